"""Every decision dwx can be given: one class per type.

A decision is a JSON object on one line of stdin or in one file of the run's inbox. Only `type` and
what the type needs must be there; `{"type":"decide","prompt":"p1","choice":"skip"}` is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.base import Message
from protocol.events import CancelMode
from protocol.policy import Rule, Unmatched


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide(Message):
    """Answers a prompt, or one that has not come yet."""

    type: Literal["decide"] = "decide"
    prompt: str
    choice: str
    """Any text is taken in: a choice that was not offered is rejected by name, never approval."""
    id: str | None = None
    """Idempotency: the same id again has no effect. Default: a hash of the content."""
    run: str | None = None
    """Refuses the decision if another run reads it."""
    digest: str | None = None
    """Refuses the decision if the prompt is not the one that was read."""
    by: str | None = None
    reason: str | None = None
    params: dict[str, int] | None = None
    """`{"iterations": N}` with `extend`."""
    remember: Literal["fingerprint"] | None = None
    """Give the same answer to the same error for the rest of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Message):
    """Stops the run: `after_statement` lets the running one finish, `now` cancels it."""

    type: Literal["cancel"] = "cancel"
    mode: CancelMode = "now"
    id: str | None = None
    run: str | None = None
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPolicy(Message):
    """Replaces the run's policy from here on."""

    type: Literal["policy"] = "policy"
    rules: tuple[Rule, ...]
    unmatched: Unmatched = "ask"
    id: str | None = None
    run: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Message):
    """Asks for a sign of life; answered by a `decision_accepted` with the same nonce."""

    type: Literal["ping"] = "ping"
    nonce: str
    id: str | None = None
    run: str | None = None


Decision = Decide | Cancel | SetPolicy | Ping
"""Any decision."""
