"""Rules that answer prompts in advance; part of decisions and of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.base import Message

Unmatched = Literal["ask", "suspend", "abort"]
"""What happens to a prompt that no rule matches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match(Message):
    """What a policy rule applies to; every field given must agree."""

    category: str | None = None
    class_: str | None = None
    path: str | None = None
    """A glob over the file's path."""
    kind: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Message):
    match: Match
    choose: str
    max_uses: int | None = None
