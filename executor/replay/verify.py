"""Running the machine against a recorded log: does the same come out?

An event that the machine has announced must equal the recorded one; an event it has not announced
must be the first of an input, which is then fed to it. Fields that say the same twice are thus
compared directly; facts that stand in one place only are caught by the digest that the last line
carries over all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from executor.core.effects import Emit
from executor.core.machine import step
from executor.core.state import State, in_doubt
from executor.replay.feed import inputs_of
from protocol.base import VERSION
from protocol.events import Event, StatementStarted, Unknown
from protocol.hello import Entry
from protocol.shapes import stable_fields_of

MOST_SILENT_INPUTS = 3
"""Inputs in a row that a log tells of only by the event they lead to: the end of a pause, a target
looked up that needs no restoring, and again before the statement itself is sent."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where a log and the machine part. `field` is `None` where whole events differ."""

    seq: int
    field: str | None
    expected: Any
    actual: Any


class Folding:
    """Folds a log, entry by entry; `state` is what the run's state was behind each."""

    def __init__(self, run: str) -> None:
        self.state = State(run)
        self._announced: deque[Event | Unknown] = deque()
        self._ts = ""

    @property
    def announced(self) -> tuple[Event | Unknown, ...]:
        """Events the machine has emitted and the log has not shown yet."""
        return tuple(self._announced)

    def unwritten(self) -> tuple[Entry, ...]:
        """The announced events as entries: what the process that died would have written next."""
        first = self.state.seq - len(self._announced) + 1
        return tuple(
            Entry(v=VERSION, run=self.state.run, seq=seq, ts=self._ts, event=event)
            for seq, event in enumerate(self._announced, first)
        )

    def in_flight(self) -> str | None:
        """The statement that may have been under way when the log ended."""
        executing = in_doubt(self.state.phase)
        if executing is None:
            return None
        # announced, but the line is not in the log: it was never sent
        unsent = any(isinstance(event, StatementStarted) for event in self._announced)
        return None if unsent else executing.statement

    def take(self, entry: Entry) -> Mismatch | None:
        """Takes the next entry; returns how it differs from what the machine says, if it does."""
        if not self._announced:
            try:
                self._feed(entry)
            except Exception as exc:  # noqa: BLE001 - a log may say anything, also what makes no sense
                return Mismatch(entry.seq, None, f"nothing ({exc})", entry.event.type)
        if not self._announced:
            return Mismatch(entry.seq, None, "no event here", entry.event.type)
        return difference(entry.seq, self._announced.popleft(), entry.event)

    def _feed(self, entry: Entry) -> None:
        at = datetime.fromisoformat(entry.ts)
        self._ts = entry.ts
        for _ in range(MOST_SILENT_INPUTS):
            for given in inputs_of(self.state, entry.event):
                self.state, effects = step(self.state, given, at)
                for effect in effects:
                    if isinstance(effect, Emit):
                        self._announced.append(effect.entry.event)
            if self._announced:
                return


def verify(entries: Iterable[Entry]) -> Iterator[Mismatch]:
    """The first mismatch of a log with the machine, if there is one.

    `entries` are whole (see `protocol.log.resolve`). A log that stops early is right as far as
    it goes.
    """
    folding: Folding | None = None
    for entry in entries:
        if folding is None:
            folding = Folding(entry.run)
        mismatch = folding.take(entry)
        if mismatch is not None:
            yield mismatch
            return


def difference(seq: int, expected: Event | Unknown, actual: Event | Unknown) -> Mismatch | None:
    """The first stable field in which two events differ, if there is one."""
    if type(expected) is not type(actual):
        return Mismatch(seq, None, expected.type, actual.type)
    ours, theirs = stable_fields_of(expected), stable_fields_of(actual)
    for name, value in ours.items():
        if theirs[name] != value:
            return Mismatch(seq, name, value, theirs[name])
    return None
