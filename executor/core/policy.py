"""Policies: answers given in advance by what kind of error it is.

The first rule that matches, may still be used and chooses something the prompt offers decides. A
rule can never choose what the prompt does not offer; such a rule is passed over, because an answer
that does not fit is no answer. For the same reason a rule that says `retry` is passed over once the
statement has been retried `AUTOMATIC_RETRIES` times without anybody looking.

Rules see a prompt only as a `Subject`, so that a policy can be held against a recorded run as well
as against one that lives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from executor.core.state import Policy
from protocol.events import ErrorPrompt
from protocol.policy import Match, Rule

AUTOMATIC_RETRIES = 3
"""How often a rule or a remembered answer may retry one statement before somebody must look."""

PassedOver = Literal["used_up", "not_offered"]
"""Why a rule that matches does not decide."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A prompt as far as rules see it. `offered`: what may be chosen without anybody looking."""

    category: str | None
    class_: str | None
    path: str | None
    """Of the file it is about; `None` for a loop and for statements of the executor's own."""
    kind: str | None
    """Of the statement that failed; `None` where no statement did."""
    attempt: int
    offered: frozenset[str]


def subject_of(prompt: ErrorPrompt, path: str | None, kind: str | None, retried: int) -> Subject:
    """What rules see of a prompt; `retried`: how often its statement was retried by itself."""
    offered = {choice.choice for choice in prompt.choices if choice.safe}
    if retried >= AUTOMATIC_RETRIES:
        offered.discard("retry")
    return Subject(
        category=prompt.error.category if prompt.error else None,
        class_=prompt.error.class_ if prompt.error else None,
        path=path,
        kind=kind,
        attempt=prompt.attempt,
        offered=frozenset(offered),
    )


def about(prompt: ErrorPrompt) -> str:
    """What automatic retries are counted by: the statement, else the loop, else the file."""
    return prompt.statement or prompt.loop or prompt.file or ""


def choose(policy: Policy, subject: Subject) -> int | None:
    """The number (from 0) of the rule that answers, or `None`."""
    for number, (rule, uses) in enumerate(zip(policy.rules, policy.uses, strict=True)):
        if matches(rule.match, subject) and passed_over(rule, uses, subject) is None:
            return number
    return None


def passed_over(rule: Rule, uses: int, subject: Subject) -> PassedOver | None:
    """Why a rule that matches does not decide; `None` if it does."""
    if rule.max_uses is not None and uses >= rule.max_uses:
        return "used_up"
    return None if rule.choose in subject.offered else "not_offered"


def matches(match: Match, subject: Subject) -> bool:
    """True if every field that `match` gives agrees with the subject."""
    path = subject.path
    return (
        (match.category is None or match.category == subject.category)
        and (match.class_ is None or _is_of_class(subject.class_, match.class_))
        and (match.path is None or (path is not None and fnmatchcase(path, match.path)))
        and (match.kind is None or match.kind == subject.kind)
        and (match.attempt is None or match.attempt == subject.attempt)
    )


def _is_of_class(class_: str | None, name: str) -> bool:
    """The warehouse may or may not add a subclass: `NAME` stands for `NAME.SUBCLASS` too."""
    return class_ is not None and (class_ == name or class_.startswith(f"{name}."))


def used(policy: Policy, number: int) -> Policy:
    """The policy after rule `number` has been used once more."""
    uses = tuple(count + (place == number) for place, count in enumerate(policy.uses))
    return replace(policy, uses=uses)
