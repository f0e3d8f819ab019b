"""Policies: answers given in advance by what kind of error it is.

The first rule that matches and still may be used decides. A rule can never choose what the prompt
does not offer; such a rule is passed over, because an answer that does not fit is no answer.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from executor.core.state import Policy
from protocol.events import ErrorPrompt
from protocol.policy import Match


def choose(policy: Policy, prompt: ErrorPrompt, path: str | None, kind: str | None) -> int | None:
    """The number (from 0) of the rule that answers the prompt, or `None`."""
    offered = {choice.choice for choice in prompt.choices}
    for number, (rule, uses) in enumerate(zip(policy.rules, policy.uses, strict=True)):
        used_up = rule.max_uses is not None and uses >= rule.max_uses
        if not used_up and rule.choose in offered and matches(rule.match, prompt, path, kind):
            return number
    return None


def matches(match: Match, prompt: ErrorPrompt, path: str | None, kind: str | None) -> bool:
    """True if every field that `match` gives agrees with the prompt."""
    error = prompt.error
    return (
        (match.category is None or (error is not None and match.category == error.category))
        and (match.class_ is None or (error is not None and match.class_ == error.class_))
        and (match.path is None or (path is not None and fnmatchcase(path, match.path)))
        and (match.kind is None or match.kind == kind)
        and (match.attempt is None or match.attempt == prompt.attempt)
    )


def used(policy: Policy, number: int) -> Policy:
    """The policy after rule `number` has been used once more."""
    uses = tuple(count + (place == number) for place, count in enumerate(policy.uses))
    return replace(policy, uses=uses)
