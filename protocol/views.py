"""Which events each view of stdout shows. The record has them all, whatever the view."""

from __future__ import annotations

from typing import Any, Final

from protocol.hello import View

NOT_IN_PROGRESS: Final = frozenset(
    {"statement_started", "statement_submitted", "statement_finished", "heartbeat"}
)
"""What `progress` leaves out: what is noise to a reader who pays for every line."""

ATTENTION: Final = frozenset(
    {
        "hello",
        "login_required",
        "not_converged",
        "error_prompt",
        "prompt_resolved",
        "decision_accepted",
        "decision_rejected",
        "warning",
        "cancel_requested",
        "run_suspended",
        "run_finished",
    }
)
"""What `attention` shows: what somebody must act on or has acted on, and where the run ends."""


def is_quiet(event: Any) -> bool:
    """True for what `progress` leaves out though it shows others of its type: a check after the
    work that passed, since `checks_finished` tells how many there were.
    """
    return bool(
        event.type == "check" and event.phase in ("publish", "final") and event.status == "passed"
    )


def shows(view: View, event_type: str) -> bool:
    """True if `view` shows events of this type."""
    if view == "off":
        return False
    if view == "attention":
        return event_type in ATTENTION
    return view == "full" or event_type not in NOT_IN_PROGRESS
