"""The one thread that talks to the warehouse: it owns the session from open to close.

The connector blocks and is not to be used from two threads, so all of it happens here, one job
after another. What comes back is an input for the machine, handed over by `deliver`. The only
thing another thread may do is set the cancel flag.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from executor.core.failures import error_record
from executor.core.inputs import (
    Failed,
    Input,
    SessionClosed,
    SessionOpened,
    SessionRefused,
    Submitted,
    Succeeded,
)
from executor.warehouse.port import ConnectError, Request, Session, StatementError, Warehouse
from protocol.events import PlannedStatement


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

    def open(self) -> None:
        """Opens the session; answered by `SessionOpened` or `SessionRefused`."""
        self._cancel.clear()
        self._jobs.put(self._open)

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

    def _open(self) -> Input:
        begun = time.monotonic()
        try:
            self._session = self._warehouse.open(self._cancel)
        except ConnectError as exc:
            return SessionRefused(error_record(exc.facts, path=None, statement=None))
        opened = self._session.opened
        return SessionOpened(opened.session_id, _since(begun), opened.settings)

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


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
