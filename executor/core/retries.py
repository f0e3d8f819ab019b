"""Running a statement again without anybody looking: when, how soon, how often.

Only what has committed nothing for certain is run again, and only where the kind of failure says
that it may pass by itself (`taxonomy`). Every kind has a pace: how often, and how long to wait in
between, twice as long each time and spread out so that runs that failed together do not come back
together. Where the warehouse says when to come back, that counts. Waiting for a warehouse that
starts or throttles executes nothing, so it is bounded by the statement alone; everything else also
counts against the run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from executor.core.effects import SetTimer
from executor.core.state import Pausing, State
from executor.core.turn import Turn
from protocol.events import ErrorRecord, Retrying

RUN_BUDGET = 20
"""Retries in one run, whatever the statements; waiting for the warehouse does not count."""

LONGEST_MS = 300_000
"""Longest pause the warehouse may ask for."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a kind of failure is retried; times in milliseconds."""

    attempts: int
    first_ms: int
    most_ms: int
    counts: bool = True
    """False for waiting, which executes nothing and costs the run's budget nothing."""


PACES = {
    "warehouse_starting": Pace(24, 2_000, 30_000, counts=False),
    "throttled": Pace(10, 2_000, 60_000, counts=False),
    "maintenance": Pace(1, 1_000, 1_000),
    "orphan_conflict": Pace(5, 15_000, 240_000),
    "session_lost": Pace(5, 500, 10_000),
    "handle_lost": Pace(5, 500, 10_000),
}
USUAL = Pace(3, 1_000, 10_000)
"""The pace of every other kind."""


LOST = frozenset(
    {"session_lost", "handle_lost", "transport", "transport_ambiguous", "client_poll_gap"}
)
"""Categories in which the way to the statement failed, not the statement. The session is given up
with it: what may still be on its way in it must not arrive late, and a new one is as good."""


def paces(category: str) -> Pace:
    """How failures of this category are retried."""
    return PACES.get(category, USUAL)


def may_pass(error: ErrorRecord) -> bool:
    """True if a statement that failed so, and committed nothing, may simply run again."""
    # after a timeout or somebody's cancellation a look is due too, but the same would happen again
    return error.retry == "auto" or (error.retry == "after_check" and error.category in LOST)


def again(turn: Turn, statement: str, error: ErrorRecord) -> bool:
    """Has the statement run again after a pause; false if its budget, or the run's, is used up."""
    state, pace = turn.state, paces(error.category)
    used = state.retries.get(statement, 0)
    left = pace.attempts - used - 1
    if pace.counts:
        left = min(left, RUN_BUDGET - state.retried - 1)
    if left < 0 or not may_pass(error):
        return False
    delay_ms = _delay_ms(state, statement, used, pace, error.retry_after_ms)
    turn.set(
        retries={**state.retries, statement: used + 1},
        retried=state.retried + pace.counts,
    )
    turn.emit(
        Retrying(
            statement=statement,
            attempt=state.attempts.get(statement, 0) + 1,
            delay_ms=delay_ms,
            category=error.category,
            budget_left=left,
        )
    )
    pausing = Pausing(statement)
    turn.set(phase=pausing)
    turn.want(SetTimer(pausing.timer, turn.at + timedelta(milliseconds=delay_ms)))
    return True


def _delay_ms(
    state: State, statement: str, used: int, pace: Pace, retry_after_ms: int | None
) -> int:
    if retry_after_ms is not None:
        return min(retry_after_ms, LONGEST_MS)
    pause: int = min(pace.first_ms << used, pace.most_ms)
    # spread by what tells runs and statements apart: the machine has no dice
    digest = hashlib.sha256(f"{state.run}\0{statement}\0{used}".encode()).digest()
    return pause // 2 + pause * int.from_bytes(digest[:2]) // 2 // 0xFFFF


def forgotten(turn: Turn, statement: str) -> None:
    """Somebody has looked and wants it run again: it has its whole budget once more."""
    turn.set(retries={key: used for key, used in turn.state.retries.items() if key != statement})
