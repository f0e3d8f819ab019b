"""The one thread that talks to the warehouse: it owns the session from open to close.

The connector blocks and is not to be used from two threads, so all of it happens here, one job
after another. What comes back is an input for the machine, handed over by `deliver`. The only
thing another thread may do is set the cancel flag.

A server that stops answering can hold this thread for as long as a socket waits. A run that is to
stop does not wait for it: `STOP_BUDGET_S` after `cancel`, the thread is left behind, and whatever
was asked of it is answered with what is known without it, which for a write is: nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from executor.core import checks
from executor.core.effects import MakeChecks
from executor.core.facts import FailureFacts
from executor.core.failures import error_record
from executor.core.inputs import (
    Checked,
    ChecksEnded,
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
    TableWeighed,
)
from executor.runtime.checking import Checking
from executor.runtime.secrets import Masker
from executor.warehouse.port import (
    ConnectError,
    Request,
    Session,
    StatementError,
    Warehouse,
    Write,
    end_not_seen,
)
from executor.workflow.requirements import Requirements
from protocol.events import Check, PlannedStatement

STOP_BUDGET_S = 11.0
"""How long a run that is to stop waits for the warehouse, in seconds, all its jobs together."""

SILENT = "the warehouse did not answer before the run had to stop"


@dataclass(frozen=True, slots=True)
class _Job:
    """Something asked of the thread."""

    run: Callable[[], Input]
    left: Callable[[], Input]
    """The answer if the thread is left behind."""


class SessionWorker:
    """Opens a session, executes statements in it, closes it; one job at a time, in order."""

    def __init__(
        self,
        warehouse: Warehouse,
        deliver: Callable[[Input], None],
        crashed: Callable[[BaseException], None],
        mask: Masker,
    ) -> None:
        """`deliver` and `crashed` are never called from the thread that asks; the latter only for
        our defects.
        """
        self._warehouse = warehouse
        self._deliver = deliver
        self._crashed = crashed
        self._mask = mask
        self._cancel = threading.Event()
        self._closed = threading.Event()
        self._session: Session | None = None
        self._session_id: str | None = None
        self._fenced = True
        """Whether the warehouse has confirmed the end of all earlier sessions of this process."""
        self._sent: set[tuple[str, int]] = set()
        """Statements of earlier sessions of this process, each with its attempt."""
        self._in_session: set[tuple[str, int]] = set()
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._guard = threading.Lock()
        self._current: _Job | None = None
        self._left = False
        self._watch: threading.Timer | None = None
        threading.Thread(target=self._work, name="dwx-session", daemon=True).start()

    def open(self, replay: Sequence[Request]) -> None:
        """Opens a session and runs `replay` in it, closing one that is still open first; answered
        by `SessionOpened` or `SessionRefused`.
        """
        self._ask(lambda: self._open(replay), _not_opened)

    def preflight(self, needed: Requirements, others: Check | None) -> None:
        """Makes the checks of the pre-flight; answered by `Examined` for each, then
        `PreflightEnded`. `others`: the check that needs no session.
        """
        self._ask(lambda: self._preflight(needed, others), lambda: PreflightEnded(0))

    def inspect(self, statement: str, table: str) -> None:
        """Looks up a table's newest version; answered by `Inspected`."""
        self._ask(lambda: self._inspect(statement, table), lambda: Inspected(statement, None))

    def weigh(self, statement: str, table: str) -> None:
        """Looks up what a table holds; answered by `TableWeighed`."""
        nothing = TableWeighed(statement, None, None, None)
        self._ask(lambda: self._weigh(statement, table), lambda: nothing)

    def make_checks(self, wanted: MakeChecks) -> None:
        """Makes checks of what the run has made; answered by `Examined` for each, then
        `ChecksEnded`.
        """
        self._ask(lambda: self._make_checks(wanted), lambda: ChecksEnded(0))

    def check(self, write: Write) -> None:
        """Finds out whether a write has committed; answered by `Checked`."""
        nothing = Checked(write.statement, 0, write.query_id, "unknown", SILENT)
        self._ask(lambda: self._check(write), lambda: nothing)

    def execute(
        self, request: Request, *, path: str | None, planned: PlannedStatement, critical: bool
    ) -> None:
        """Executes a statement; answered by `Submitted`, then `Succeeded` or `Failed`.

        `path` and `planned` say where the statement stands, for the error; `critical` is false in
        a file whose failure stops nothing.
        """
        self._ask(
            lambda: self._execute(request, path, planned, critical),
            lambda: _left_behind(request, path, planned, critical),
        )

    def close(self) -> None:
        """Closes the session, if there is one; answered by `SessionClosed`."""
        self._put(_Job(self._close, lambda: SessionClosed(self._session_id, 0)))

    def cancel(self) -> None:
        """Cancels what is under way, for good: the run is to stop."""
        self._cancel.set()
        if self._watch is None:
            self._watch = threading.Timer(STOP_BUDGET_S, self._leave)
            self._watch.daemon = True
            self._watch.start()

    def wind_down(self, seconds: float) -> None:
        """Cancels what is under way and closes the session; waits at most so long for both."""
        self.cancel()
        self.close()
        self._closed.wait(seconds)

    # --- jobs ---------------------------------------------------------------------------------

    def _ask(self, run: Callable[[], Input], left: Callable[[], Input]) -> None:
        self._cancel.clear()
        self._put(_Job(run, left))

    def _put(self, job: _Job) -> None:
        with self._guard:
            if not self._left:
                self._jobs.put(job)
                return
        threading.Thread(target=lambda: self._deliver(job.left()), daemon=True).start()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if not self._taken_up(job):
                return
            try:
                answer = job.run()
            except BaseException as exc:  # noqa: BLE001 - the outermost edge of this thread
                self._crashed(exc)
                return
            if not self._taken_up(None):
                return
            self._deliver(answer)

    def _taken_up(self, job: _Job | None) -> bool:
        """Notes what is under way; false if this thread has been left behind."""
        with self._guard:
            self._current = job
            return not self._left

    def _leave(self) -> None:
        """The time is up: answers what is under way, and what waits, without the thread."""
        with self._guard:
            self._left = True
            waiting = [self._current] if self._current is not None else []
            while not self._jobs.empty():
                waiting.append(self._jobs.get())
        self._closed.set()  # as far as anybody can wait for it
        for job in waiting:
            self._deliver(job.left())

    def _open(self, replay: Sequence[Request]) -> Input:
        begun = time.monotonic()
        if self._session is not None:
            session, self._session = self._session, None
            self._end(session)
        try:
            session = self._warehouse.open(self._cancel)
        except ConnectError as exc:
            return SessionRefused(error_record(self._masked(exc), path=None, statement=None))
        try:
            for request in replay:
                session.execute(request, submitted=_nobody, cancel=self._cancel)
        except StatementError as exc:
            session.close()
            return SessionRefused(error_record(self._masked(exc), path=None, statement=None))
        self._session, opened = session, session.opened
        self._session_id = opened.session_id
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

    def _weigh(self, statement: str, table: str) -> Input:
        assert self._session is not None
        size = self._session.size(table, self._cancel)
        return TableWeighed(statement, size.files, size.bytes, size.format)

    def _make_checks(self, wanted: MakeChecks) -> Input:
        assert self._session is not None
        begun = time.monotonic()
        checking = Checking(wanted, self._warehouse, self._cancel)
        checking.make(self._session, lambda check: self._deliver(Examined(check)))
        return ChecksEnded(_since(begun))

    def _check(self, write: Write) -> Input:
        assert self._session is not None
        begun = time.monotonic()
        fenced = self._fenced and (write.statement, write.attempt) in self._sent
        fate = self._session.outcome(write, self._cancel, fenced=fenced)
        return Checked(
            write.statement,
            _since(begun),
            write.query_id,
            fate.outcome,
            fate.evidence,
            fate.rows,
        )

    def _execute(
        self, request: Request, path: str | None, planned: PlannedStatement, critical: bool
    ) -> Input:
        assert self._session is not None
        begun = time.monotonic()
        query_id: str | None = None
        self._in_session.add((request.statement, int(request.tags["attempt"])))

        def submitted(given: str | None) -> None:
            nonlocal query_id
            query_id = given
            self._deliver(Submitted(request.statement, given))

        try:
            result = self._session.execute(request, submitted=submitted, cancel=self._cancel)
        except StatementError as exc:
            error = error_record(self._masked(exc), path=path, statement=planned, critical=critical)
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

    def _end(self, session: Session) -> None:
        self._fenced = session.close() and self._fenced
        self._sent |= self._in_session
        self._in_session.clear()

    def _close(self) -> Input:
        begun = time.monotonic()
        session, self._session = self._session, None
        if session is not None:
            self._end(session)
        self._warehouse.close()
        self._closed.set()
        return SessionClosed(self._session_id if session else None, _since(begun))

    def _masked(self, exc: ConnectError | StatementError) -> FailureFacts:
        """The facts without secrets. A record shortens them, and who masks half a secret?"""
        masked: FailureFacts = self._mask.masked(exc.facts)
        return masked


def _not_opened() -> Input:
    facts = FailureFacts("DWX_CANCELLED", "Connecting was cancelled.", during="connect")
    return SessionRefused(error_record(facts, path=None, statement=None))


def _left_behind(
    request: Request, path: str | None, planned: PlannedStatement, critical: bool
) -> Input:
    message = f"Cancelled, and {SILENT}; the statement may still be running."
    facts = FailureFacts("DWX_CANCEL_UNCONFIRMED", message, during="poll")
    outcome, evidence = end_not_seen(request.kind, SILENT)
    return Failed(
        statement=request.statement,
        elapsed_ms=round(STOP_BUDGET_S * 1000),
        query_id=None,
        error=error_record(facts, path=path, statement=planned, critical=critical),
        outcome=outcome,
        evidence=evidence,
    )


def _nobody(query_id: str | None) -> None:
    """USE and SET that are replayed belong to no statement of the log."""


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
