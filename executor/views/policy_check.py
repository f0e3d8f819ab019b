"""A policy held against the prompts of a recorded run: what would it have said?

The prompts are the ones that came. Where the policy would have answered otherwise than was done,
the run would have gone on differently, and from there on the answers are about prompts that might
never have come; the text says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from executor.core import policy as rules
from executor.core.state import Policy
from executor.views.recorded_prompts import RecordedPrompt
from executor.views.text import shown
from protocol.decisions import SetPolicy


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says to one prompt."""

    recorded: RecordedPrompt
    choice: str | None
    """`None`: it leaves the prompt to somebody."""
    rule: int | None
    """Number of the rule that decides, from 1; `None`: `unmatched` does."""
    passed_over: tuple[tuple[int, rules.PassedOver], ...]
    """Rules before it that match and do not decide."""

    @property
    def differs(self) -> bool:
        """True if it chooses something else than was chosen."""
        resolved = self.recorded.resolved
        return resolved is None or self.choice != resolved.choice


def check(policy: SetPolicy, prompts: Iterable[RecordedPrompt]) -> tuple[Verdict, ...]:
    """What the policy says to each prompt, its uses and automatic retries counted along."""
    left = Policy(policy.rules, (0,) * len(policy.rules), policy.unmatched)
    retried: Counter[str] = Counter()
    verdicts = []
    for one in prompts:
        about = rules.about(one.asked)
        subject = rules.subject_of(one.asked, one.path, one.kind, retried[about])
        number = rules.choose(left, subject)
        before = left.rules if number is None else left.rules[:number]
        over = tuple(
            (place, why)
            for place, (rule, uses) in enumerate(zip(before, left.uses, strict=False), 1)
            if rules.matches(rule.match, subject)
            and (why := rules.passed_over(rule, uses, subject)) is not None
        )
        if number is not None:
            choice: str | None = left.rules[number].choose
            left = rules.used(left, number)
            retried[about] += choice == "retry"
        else:
            choice = "abort" if left.unmatched == "abort" else None
        verdicts.append(Verdict(one, choice, None if number is None else number + 1, over))
    return tuple(verdicts)


def unused(policy: SetPolicy, verdicts: Iterable[Verdict]) -> tuple[int, ...]:
    """Numbers of the rules that decided nothing."""
    used = {verdict.rule for verdict in verdicts}
    return tuple(number for number in range(1, len(policy.rules) + 1) if number not in used)


def as_text(policy: SetPolicy, verdicts: tuple[Verdict, ...]) -> str:
    """For a person."""
    lines: list[str] = []
    for verdict in verdicts:
        asked = verdict.recorded.asked
        answer = verdict.choice or "no answer"
        by = f"rule {verdict.rule}" if verdict.rule else f"unmatched: {policy.unmatched}"
        lines += [
            f"{asked.prompt}: {shown(asked.title)}",
            f"  policy:   {answer} ({by})",
            f"  recorded: {_recorded(verdict.recorded)}",
        ]
        lines += [
            f"  rule {number} matches, but "
            + ("is used up" if why == "used_up" else f"{_chosen(policy, number)} is not offered")
            for number, why in verdict.passed_over
        ]
    settled = sum(verdict.choice is not None for verdict in verdicts)
    differing = [one.recorded.asked.prompt for one in verdicts if one.choice and one.differs]
    plural = "" if len(verdicts) == 1 else "s"
    lines.append(f"The policy settles {settled} of {len(verdicts)} prompt{plural}.")
    if differing:
        lines.append(
            f"It differs from the record at {', '.join(differing)}: behind that, other prompts "
            "might have come."
        )
    never = unused(policy, verdicts)
    if never and verdicts:
        lines.append(f"Rules that decided nothing here: {', '.join(map(str, never))}.")
    return "\n".join(lines) + "\n"


def as_json(run: str | None, policy: SetPolicy, verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    """For a program; texts from the log are data."""
    return {
        "run": run,
        "prompts": [_json_of(policy, verdict) for verdict in verdicts],
        "asked": len(verdicts),
        "settled": sum(verdict.choice is not None for verdict in verdicts),
        "differing": sum(bool(one.choice) and one.differs for one in verdicts),
        "unused_rules": list(unused(policy, verdicts)),
    }


def _json_of(policy: SetPolicy, verdict: Verdict) -> dict[str, Any]:
    one, resolved = verdict.recorded, verdict.recorded.resolved
    return {
        "prompt": one.asked.prompt,
        "title": shown(one.asked.title),
        "category": one.asked.error.category if one.asked.error else None,
        "class": one.class_,
        "path": one.path,
        "kind": one.kind,
        "attempt": one.asked.attempt,
        "offered": [choice.choice for choice in one.asked.choices],
        "choice": verdict.choice,
        "rule": verdict.rule,
        "unmatched": None if verdict.rule else policy.unmatched,
        "passed_over": [{"rule": number, "why": why} for number, why in verdict.passed_over],
        "recorded": resolved
        and {"choice": resolved.choice, "how": resolved.how, "by": resolved.by},
    }


def _chosen(policy: SetPolicy, number: int) -> str:
    return policy.rules[number - 1].choose


def _recorded(one: RecordedPrompt) -> str:
    if one.resolved is None:
        return "still open"
    by = f" by {shown(one.resolved.by)}" if one.resolved.by else ""
    return f"{one.resolved.choice or 'no answer'} ({one.resolved.how}{by})"
