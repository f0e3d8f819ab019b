"""A policy written from the decisions that were taken in a run.

A decision says what somebody did once, knowing more than the log does; a rule will do it every
time. So a rule is suggested for exactly the class of error and the file it was taken for, and only
where the choice alone was the deed. Where somebody repaired something beside it (`done`, or a
`retry` that worked because of it), where decisions contradict each other, or where nothing narrow
could be matched, the rule stands there as a comment, with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from executor.core.facts import FailureFacts
from executor.core.failures import classify
from executor.views.recorded_prompts import RecordedPrompt
from executor.views.text import shown

REASON_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class _Taken:
    """A prompt and the choice somebody, or a rule, made."""

    prompt: RecordedPrompt
    choice: str


@dataclass(frozen=True, slots=True)
class _Match:
    """The fields of a rule's match, in the order in which they are written."""

    class_: str | None = None
    path: str | None = None
    kind: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Lines of the file, not yet indented: a comment, and a rule that may be only a comment too."""

    comment: tuple[str, ...]
    rule: tuple[str, ...] = ()
    is_rule: bool = False

    def lines(self) -> list[str]:
        mark = "" if self.is_rule else "# "
        return [f"  # {line}" for line in self.comment] + [f"  {mark}{one}" for one in self.rule]


def suggest(run: str, prompts: Sequence[RecordedPrompt]) -> str:
    """The policy as YAML, with a comment for each rule that says where it comes from."""
    taken = [_Taken(one, choice) for one in prompts if (choice := _choice(one)) is not None]
    left = [one for one in prompts if _choice(one) is None]
    groups: dict[_Match, list[_Taken]] = {}
    for one in taken:
        groups.setdefault(_match_of(one.prompt), []).append(one)
    # a class stands for its subclasses too, so the narrower rule has to come first
    order = sorted(groups, key=lambda match: -(match.class_ or "").count("."))
    parts = [part for match in order for part in _parts(match, groups[match])]
    count = "1 decision" if len(taken) == 1 else f"{len(taken)} decisions"
    lines = [
        f"# From the {count} taken in run {shown(run)}. Look it over: a rule repeats a decision",
        "# without the knowledge it was taken with.",
        _rules_line(parts),
        *(line for part in parts for line in part.lines()),
        "unmatched: ask",
    ]
    if left:
        names = ", ".join(f"{one.asked.prompt} ({_why_not_taken(one)})" for one in left)
        lines.append(f"# No decision to go by: {names}.")
    return "\n".join(lines) + "\n"


def _rules_line(parts: Sequence[_Part]) -> str:
    if any(part.is_rule for part in parts):
        return "rules:"
    comments = any(part.rule for part in parts)
    return "rules: []" + ("  # without the [], once a rule below is no comment" if comments else "")


def _choice(one: RecordedPrompt) -> str | None:
    """What was chosen by somebody or a rule; `None` where only time or the end of the run did."""
    resolved = one.resolved
    if resolved is None or resolved.how not in ("decision", "policy") or resolved.by == "unmatched":
        return None
    return resolved.choice


def _why_not_taken(one: RecordedPrompt) -> str:
    if one.resolved is None:
        return "open"
    return one.resolved.how if one.resolved.by != "unmatched" else "unmatched"


def _match_of(one: RecordedPrompt) -> _Match:
    if one.path is not None:
        return _Match(one.class_, re.sub(r"([*?[])", r"[\1]", one.path))
    # a statement of the executor's own; its kind keeps the rule away from the files
    return _Match(one.class_, kind=one.kind if one.class_ is not None else None)


def _parts(match: _Match, taken: list[_Taken]) -> list[_Part]:
    """One rule; or one for each attempt, where the choice changed with it; or none."""
    if len({one.choice for one in taken}) == 1:
        return [_part(match, taken)]
    attempts: dict[int, list[_Taken]] = {}
    for one in taken:
        attempts.setdefault(one.prompt.asked.attempt, []).append(one)
    if any(len({one.choice for one in same}) > 1 for same in attempts.values()):
        choices = ", ".join(f"{one.prompt.asked.prompt} {one.choice}" for one in taken)
        return [_Part((f"{_subject(match)}: no rule, since decisions differed ({choices}).",))]
    return [
        _part(replace(match, attempt=attempt), same) for attempt, same in sorted(attempts.items())
    ]


def _part(match: _Match, taken: list[_Taken]) -> _Part:
    choice = taken[0].choice
    names = ", ".join(one.prompt.asked.prompt for one in taken)
    comment = [f"{names}: {_subject(match)}: {choice}{_words_of(taken)}"]
    objection = _objection(match, choice, taken)
    if objection is not None:
        comment.append(f"Not a rule: {objection}.")
    said = {
        "class": match.class_, "path": match.path, "kind": match.kind, "attempt": match.attempt
    }  # fmt: skip
    # a JSON text is a YAML text, and cannot break out of its line
    fields = [f"    {name}: {json.dumps(value)}" for name, value in said.items() if value]
    rule = ["- match:" if fields else "- match: {}", *fields, f"  choose: {choice}"]
    if choice in ("retry", "extend"):
        rule.append(f"  max_uses: {len(taken)}")
    return _Part(tuple(comment), tuple(rule), is_rule=objection is None)


def _objection(match: _Match, choice: str, taken: list[_Taken]) -> str | None:
    """Why a choice should not be repeated without anybody looking."""
    if choice == "done":
        return "somebody had repaired it by hand, which a rule cannot do"
    if match == _Match() and choice != "extend":
        return f"nothing narrows it down, so it would {choice} wherever that is offered"
    if choice != "retry":
        return None
    if any(one.prompt.edited for one in taken):
        return "the file had been edited, which a rule cannot do"
    if not all(_passes_by_itself(one.prompt) for one in taken):
        return "an error of this kind does not go away by itself, so something was repaired"
    return None


def _passes_by_itself(one: RecordedPrompt) -> bool:
    error = one.asked.error
    if error is None:
        return False
    facts = FailureFacts(error_class=error.class_, message="", sqlstate=error.sqlstate)
    return classify(facts).retry in ("auto", "after_check")


def _subject(match: _Match) -> str:
    what = shown(match.class_) if match.class_ is not None else "a loop that has not converged"
    where = f" in {shown(match.path)}" if match.path is not None else ""
    where = f" ({match.kind} of a loop)" if match.kind is not None else where
    return what + where + (f", attempt {match.attempt}" if match.attempt is not None else "")


def _words_of(taken: list[_Taken]) -> str:
    """Who decided and why, each once, in their words."""
    said: dict[str, None] = {}
    for one in taken:
        resolved = one.prompt.resolved
        if resolved is None:
            continue
        by = f" by {shown(resolved.by)}" if resolved.by else ""
        reason = f" ({shown(resolved.reason)[:REASON_CHARACTERS]})" if resolved.reason else ""
        said[by + reason] = None
    return ";".join(words for words in said if words)
