"""Makes checks of what a run has made, several at a time.

Theory. Each check is one query that changes nothing, so it may run in any session and run again if
it fails for a reason that passes. It is made in a session of its own kind, opened for it: what the
run's files have set in theirs (USE, temporary views) must not decide what a name in a check means.
Up to `READERS` are opened, as long as there is work for them, each in a thread of its own. Where
the warehouse gives none, the run's own session makes all checks, moved to the catalog and schema
that the run was given and back again. What is found is told in the order in which it was asked for,
so that two runs with the same tables have the same log.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from executor.core import judging
from executor.core.effects import MakeChecks
from executor.core.facts import FailureFacts
from executor.core.failures import classify
from executor.core.retries import LOST
from executor.warehouse.port import ConnectError, Request, Session, StatementError, Warehouse
from executor.workflow.expectations import FRESH
from executor.workflow.names import quote
from protocol.events import Check, PlannedCheck

READERS = 4
"""Sessions that make checks at the same time."""

CHECKS_EACH = 3
"""Checks for which one more session is worth being opened."""

ATTEMPTS = 3
"""How often a check is tried whose query failed for a reason that passes."""

PAUSE_S = 0.5
"""Before the second attempt; twice as long before each further one."""

MOST_ROWS = 20
"""Rows of an answer that are read: as many as are told, and the newest of a history."""

OPENING_S = 5.0
"""How long the first session of the checks is waited for, in seconds."""

_LOOK_S = 0.1
_NO_HISTORY = ("EXPECT_TABLE_NOT_VIEW", "DELTA_TABLE_ONLY_OPERATION", "DELTA_ONLY_OPERATION")
_MISSING = ("missing_object", "missing_namespace")


class Checking:
    """One round of checks."""

    def __init__(self, wanted: MakeChecks, warehouse: Warehouse, cancel: threading.Event) -> None:
        self._wanted = wanted
        self._warehouse = warehouse
        self._cancel = cancel
        self._opening = threading.Event()
        """Set when no further session is wanted."""
        self._guard = threading.Lock()
        self._left = deque(enumerate(wanted.checks))
        self._made: dict[int, Check] = {}
        self._told = 0
        self._all_told = threading.Event()
        self._opened = False
        self._clock: tuple[Any, int] | None = None

    def make(self, session: Session, tell: Callable[[Check], None]) -> None:
        """Makes all checks; `tell` is given each, in their order, on any thread. `session`: the
        run's own, for want of another.
        """
        queries = sum(1 for check in self._wanted.checks if self._needs_query(check))
        helpers = [
            threading.Thread(target=self._help, args=(tell,), name="dwx-checks", daemon=True)
            for _ in range(min(READERS, -(-queries // CHECKS_EACH)))
        ]
        for helper in helpers:
            helper.start()
        if not helpers:
            self._work(_Reader(session, self._open), tell)  # there is nothing to ask
        elif not self._somebody_works(helpers):
            with self._at_home(session):
                self._work(_Reader(session, self._open), tell)
        while not self._all_told.wait(_LOOK_S):
            if self._cancel.is_set():
                self._opening.set()
            if not any(helper.is_alive() for helper in helpers):
                break
        self._opening.set()
        for place in range(self._told, len(self._wanted.checks)):  # those that nobody came to
            tell(judging.unanswered(self._wanted.checks[place], "it was not made"))

    def _needs_query(self, check: PlannedCheck) -> bool:
        return check.name not in self._wanted.left_out and check.problem is None

    def _somebody_works(self, helpers: Sequence[threading.Thread]) -> bool:
        """Waits until a session was opened for the checks; false if none can be had."""
        until = time.monotonic() + OPENING_S
        while time.monotonic() < until and any(helper.is_alive() for helper in helpers):
            if self._opened:
                return True
            if self._cancel.wait(_LOOK_S):
                self._opening.set()
        return self._opened

    def _open(self) -> Session:
        return self._warehouse.open(self._opening)

    def _help(self, tell: Callable[[Check], None]) -> None:
        try:
            session = self._open()
        except ConnectError:
            return  # those that are there do the work
        self._opened = True
        reader = _Reader(session, self._open)
        try:
            self._work(reader, tell)
        finally:
            reader.session.close()

    @contextlib.contextmanager
    def _at_home(self, session: Session) -> Iterator[None]:
        """Has names mean in the run's session what they mean in a new one."""
        before: Sequence[Mapping[str, Any]] = ()
        with contextlib.suppress(StatementError):
            asked = "SELECT current_catalog() AS catalog, current_schema() AS schema"
            before = session.rows(asked, 1, self._cancel)
            self._move(session, self._wanted.catalog, self._wanted.schema)
        try:
            yield
        finally:
            for row in before:
                with contextlib.suppress(StatementError):
                    self._move(session, row["catalog"], row["schema"])

    def _move(self, session: Session, catalog: str | None, schema: str | None) -> None:
        for kind, name in (("CATALOG", catalog), ("SCHEMA", schema)):
            if name is not None:
                request = Request("", f"USE {kind} {quote(name)}", "use", None)
                session.execute(request, submitted=lambda _: None, cancel=self._cancel)

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
                if self._told == len(self._wanted.checks):
                    self._all_told.set()
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
