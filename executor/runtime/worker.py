"""The one thread that talks to the warehouse: it owns the session from open to close.

The connector blocks and is not to be used from two threads, so all of it happens here, one job
after another. What comes back is an input for the machine, handed over by `deliver`. The only
thing another thread may do is set the cancel flag.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from executor.core import checks
from executor.core.failures import error_record
from executor.core.inputs import (
    Checked,
    Examined,
    Failed,
    Input,
    Inspected,
    PreflightEnded,
    SessionClosed,
    SessionOpened,
    SessionRefused,
    Submitted,
    Succeeded,
)
from executor.warehouse.port import (
    ConnectError,
    Request,
    Session,
    StatementError,
    Warehouse,
    Write,
)
from executor.workflow.requirements import Requirements
from protocol.events import Check, PlannedStatement


class SessionWorker:
    """Opens a session, executes statements in it, closes it; one job at a time, in order."""

    def __init__(
        self,
        warehouse: Warehouse,
        deliver: Callable[[Input], None],
        crashed: Callable[[BaseException], None],
    ) -> None:
        """`deliver` and `crashed` are called from this thread; the latter only for our defects."""
        self._warehouse = warehouse
        self._deliver = deliver
        self._crashed = crashed
        self._cancel = threading.Event()
        self._session: Session | None = None
        self._jobs: SimpleQueue[Callable[[], Input]] = SimpleQueue()
        threading.Thread(target=self._work, name="dwx-session", daemon=True).start()

    def open(self, replay: Sequence[Request]) -> None:
        """Opens the session and runs `replay` in it; answered by `SessionOpened` or
        `SessionRefused`.
        """
        self._cancel.clear()
        self._jobs.put(lambda: self._open(replay))

    def preflight(self, needed: Requirements, others: Check | None) -> None:
        """Makes the checks of the pre-flight; answered by `Examined` for each, then
        `PreflightEnded`. `others`: the check that needs no session.
        """
        self._cancel.clear()
        self._jobs.put(lambda: self._preflight(needed, others))

    def inspect(self, statement: str, table: str) -> None:
        """Looks up a table's newest version; answered by `Inspected`."""
        self._cancel.clear()
        self._jobs.put(lambda: self._inspect(statement, table))

    def check(self, statement: str, write: Write) -> None:
        """Finds out whether a write has committed; answered by `Checked`."""
        self._cancel.clear()
        self._jobs.put(lambda: self._check(statement, write))

    def execute(
        self, request: Request, *, path: str | None, planned: PlannedStatement, critical: bool
    ) -> None:
        """Executes a statement; answered by `Submitted`, then `Succeeded` or `Failed`.

        `path` and `planned` say where the statement stands, for the error; `critical` is false in
        a file whose failure stops nothing.
        """
        self._cancel.clear()
        self._jobs.put(lambda: self._execute(request, path, planned, critical))

    def close(self) -> None:
        """Closes the session, if there is one; answered by `SessionClosed`."""
        self._jobs.put(self._close)

    def cancel(self) -> None:
        """Cancels what is under way."""
        self._cancel.set()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                answer = job()
            except BaseException as exc:  # noqa: BLE001 - the outermost edge of this thread
                self._crashed(exc)
                return
            self._deliver(answer)

    def _open(self, replay: Sequence[Request]) -> Input:
        begun = time.monotonic()
        try:
            session = self._warehouse.open(self._cancel)
        except ConnectError as exc:
            return SessionRefused(error_record(exc.facts, path=None, statement=None))
        try:
            for request in replay:
                session.execute(request, submitted=_nobody, cancel=self._cancel)
        except StatementError as exc:
            session.close()
            return SessionRefused(error_record(exc.facts, path=None, statement=None))
        self._session = session
        opened = session.opened
        return SessionOpened(opened.session_id, _since(begun), opened.settings, len(replay))

    def _preflight(self, needed: Requirements, others: Check | None) -> Input:
        assert self._session is not None
        begun = time.monotonic()
        for schema in needed.schemas:
            status, observed = self._session.may_create(schema, self._cancel)
            self._deliver(Examined(checks.may_create(schema, status, observed)))
        facts = self._session.table_facts(checks.tables_to_look_up(needed), self._cancel)
        for check in checks.about_tables(needed, facts):
            self._deliver(Examined(check))
        if others is not None:
            self._deliver(Examined(others))
        return PreflightEnded(_since(begun))

    def _inspect(self, statement: str, table: str) -> Input:
        assert self._session is not None
        return Inspected(statement, self._session.version(table, self._cancel))

    def _check(self, statement: str, write: Write) -> Input:
        assert self._session is not None
        begun = time.monotonic()
        outcome, evidence = self._session.outcome(write, self._cancel)
        return Checked(statement, _since(begun), write.query_id, outcome, evidence)

    def _execute(
        self, request: Request, path: str | None, planned: PlannedStatement, critical: bool
    ) -> Input:
        assert self._session is not None
        begun = time.monotonic()
        query_id: str | None = None

        def submitted(given: str | None) -> None:
            nonlocal query_id
            query_id = given
            self._deliver(Submitted(request.statement, given))

        try:
            result = self._session.execute(request, submitted=submitted, cancel=self._cancel)
        except StatementError as exc:
            error = error_record(exc.facts, path=path, statement=planned, critical=critical)
            return Failed(
                statement=request.statement,
                elapsed_ms=_since(begun),
                query_id=exc.facts.query_id or query_id,
                error=error,
                outcome=exc.outcome,
                evidence=exc.evidence,
                cancelled=exc.cancelled,
            )
        return Succeeded(
            statement=request.statement,
            elapsed_ms=_since(begun),
            query_id=result.query_id,
            rows=result.rows,
            value=result.value,
            metrics=result.metrics,
        )

    def _close(self) -> Input:
        begun = time.monotonic()
        session, self._session = self._session, None
        session_id = session.opened.session_id if session is not None else None
        if session is not None:
            session.close()
        return SessionClosed(session_id, _since(begun))


def _nobody(query_id: str | None) -> None:
    """USE and SET that are replayed belong to no statement of the log."""


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
