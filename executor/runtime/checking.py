"""Makes checks of what a run has made, several at a time.

Theory. Each check is one query that changes nothing, so it may run in any session and run again if
it fails for a reason that passes. The session of the run makes some; beside it up to `READERS - 1`
more are opened for as long as there is work for them, each in a thread of its own. Where the
warehouse gives no more sessions, those that are there make all checks. What is found is told in the
order in which it was asked for, so that two runs with the same tables have the same log.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from executor.core import judging
from executor.core.effects import MakeChecks
from executor.core.facts import FailureFacts
from executor.core.failures import classify
from executor.core.retries import LOST
from executor.warehouse.port import ConnectError, Session, StatementError, Warehouse
from executor.workflow.expectations import FRESH
from protocol.events import Check, PlannedCheck

READERS = 4
"""Sessions that make checks at the same time, that of the run included."""

CHECKS_EACH = 3
"""Checks for which one more session is worth being opened."""

ATTEMPTS = 3
"""How often a check is tried whose query failed for a reason that passes."""

PAUSE_S = 0.5
"""Before the second attempt; twice as long before each further one."""

MOST_ROWS = 20
"""Rows of an answer that are read: as many as are told, and the newest of a history."""

_NO_HISTORY = ("EXPECT_TABLE_NOT_VIEW", "DELTA_TABLE_ONLY_OPERATION", "DELTA_ONLY_OPERATION")
_MISSING = ("missing_object", "missing_namespace")


class Checking:
    """One round of checks."""

    def __init__(self, wanted: MakeChecks, warehouse: Warehouse, cancel: threading.Event) -> None:
        self._wanted = wanted
        self._warehouse = warehouse
        self._cancel = cancel
        self._guard = threading.Lock()
        self._left = deque(enumerate(wanted.checks))
        self._made: dict[int, Check] = {}
        self._told = 0
        self._clock: tuple[Any, int] | None = None

    def make(self, session: Session, tell: Callable[[Check], None]) -> None:
        """Makes all checks; `tell` is given each, in their order, on any thread."""
        queries = sum(1 for check in self._wanted.checks if self._needs_query(check))
        more = min(READERS, -(-queries // CHECKS_EACH)) - 1
        helpers = [
            threading.Thread(target=self._help, args=(tell,), name="dwx-checks", daemon=True)
            for _ in range(more)
        ]
        for helper in helpers:
            helper.start()
        self._work(_Reader(session, self._open), tell)
        for helper in helpers:
            helper.join()

    def _needs_query(self, check: PlannedCheck) -> bool:
        return check.name not in self._wanted.left_out and check.problem is None

    def _open(self) -> Session:
        return self._warehouse.open(self._cancel)

    def _help(self, tell: Callable[[Check], None]) -> None:
        try:
            session = self._open()
        except ConnectError:
            return  # those that are there do the work
        reader = _Reader(session, self._open)
        try:
            self._work(reader, tell)
        finally:
            reader.session.close()

    def _work(self, reader: _Reader, tell: Callable[[Check], None]) -> None:
        while True:
            with self._guard:
                if not self._left:
                    break
                place, planned = self._left.popleft()
            made = self._one(reader, planned)
            with self._guard:
                self._made[place] = made
                while self._told in self._made:
                    tell(self._made[self._told])
                    self._told += 1
        reader.close_own()

    def _one(self, reader: _Reader, planned: PlannedCheck) -> Check:
        reason = self._wanted.left_out.get(planned.name)
        if reason is not None:
            return judging.left_out(planned, reason)
        if planned.problem is not None:
            return judging.unanswered(planned, str(planned.problem))
        begun = time.monotonic()
        try:
            rows = reader.rows(planned.sql, self._cancel)
            if planned.expect != (FRESH,):
                return judging.judged(planned, rows, _since(begun))
            now, ran_for_ms = self._time(reader)
            return judging.fresh(planned, rows, now, ran_for_ms, _since(begun))
        except StatementError as exc:
            return _without_rows(planned, exc.facts, _since(begun))

    def _time(self, reader: _Reader) -> tuple[Any, int]:
        """The time at the warehouse, and how long ago the run began; looked up once."""
        clock = self._clock
        if clock is None:
            rows = reader.rows("SELECT current_timestamp() AS now", self._cancel)
            ran_for = datetime.now(UTC) - self._wanted.began
            clock = self._clock = rows[0]["now"], round(ran_for.total_seconds() * 1000)
        return clock


def _without_rows(planned: PlannedCheck, facts: FailureFacts, elapsed_ms: int) -> Check:
    """The check, where its query has failed."""
    category = classify(facts).category
    if planned.expect == (FRESH,) and facts.error_class is not None:
        if facts.error_class.startswith(_NO_HISTORY) or category == "unsupported":
            return judging.left_out(planned, "it keeps no history")
        if category in _MISSING:
            return judging.failed(planned, "there is no such table", elapsed_ms)
    return judging.unanswered(planned, facts.message, elapsed_ms)


class _Reader:
    """A session to ask, and another one in its place once it is lost."""

    def __init__(self, session: Session, reopen: Callable[[], Session]) -> None:
        self.session = session
        self._given = session
        self._reopen = reopen

    def rows(self, sql: str, cancel: threading.Event) -> Sequence[Mapping[str, Any]]:
        """The rows of a query; tried again where that may help. Raises `StatementError`."""
        attempt = 1
        while True:
            try:
                return self.session.rows(sql, MOST_ROWS, cancel)
            except StatementError as exc:
                failure = classify(exc.facts)
                lost = failure.category in LOST
                if attempt == ATTEMPTS or cancel.is_set() or not (lost or failure.retry == "auto"):
                    raise
                cancel.wait(PAUSE_S * 2 ** (attempt - 1))
                attempt += 1
                if lost:
                    self._replace(exc)

    def _replace(self, why: StatementError) -> None:
        try:
            session = self._reopen()
        except ConnectError:
            raise why from None
        self.close_own()
        self.session = session

    def close_own(self) -> None:
        """Closes the session, unless it is the one that was given."""
        if self.session is not self._given:
            self.session.close()


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
