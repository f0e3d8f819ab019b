"""What a person types at a question, as the decision that a program would have sent.

A choice is typed as its name, as a beginning of it that no other choice offered has, or as its
number in the list. What could mean two things means nothing: it is told, and asked again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from protocol.errors import shown

WITH_ITERATIONS = "extend"
"""The one choice that takes a number."""


class NotUnderstood(ValueError):  # noqa: N818 - it says what happened to the line
    """What was typed is no answer; the message says why."""


def is_decision(typed: str) -> bool:
    """True if a line is meant as JSON, well formed or not."""
    return typed.lstrip().startswith("{")


def decision_of(typed: str, prompt: str, choices: Sequence[str]) -> str:
    """The decision, as a line of JSON, that answers `prompt`. Errors: `NotUnderstood`."""
    words = typed.split()
    if not words:
        raise NotUnderstood("Nothing was typed.")
    word, *numbers = words
    choice = choice_of(word, choices)
    decision: dict[str, object] = {"type": "decide", "prompt": prompt, "choice": choice}
    if numbers:
        decision["params"] = {"iterations": _iterations(choice, numbers)}
    return json.dumps(decision, separators=(",", ":"))


def choice_of(word: str, choices: Sequence[str]) -> str:
    """The choice that a word means. Errors: `NotUnderstood`."""
    wanted = word.lower()
    if wanted in choices:
        return wanted
    if wanted.isascii() and wanted.isdecimal():
        # a number too long to be one is not looked at
        place = int(wanted) if len(wanted) < len("100") else 0
        if 1 <= place <= len(choices):
            return choices[place - 1]
        raise NotUnderstood(f"There is no choice {shown(word, 20)}; they are 1 to {len(choices)}.")
    meant = [choice for choice in choices if choice.startswith(wanted)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise NotUnderstood(f"{word!r} may be {' or '.join(meant)}.")
    raise NotUnderstood(f"{shown(word, 40)!r} is not offered; choose {' or '.join(choices)}.")


def _iterations(choice: str, numbers: Sequence[str]) -> int:
    text = numbers[0]
    if choice != WITH_ITERATIONS or len(numbers) > 1:
        raise NotUnderstood(f"{choice} stands alone; only {WITH_ITERATIONS} takes one number.")
    if not (text.isascii() and text.isdecimal() and len(text) < len("1000000") and int(text)):
        raise NotUnderstood(f"{shown(text, 20)!r} is no number of iterations.")
    return int(text)
