"""Sessions and operations: what runs, in which state it is, and who waits for it.

Every statement is an ``Operation`` with a worker thread of its own. Its state only moves forward:
running, then finished, failed or cancelled. ``wait`` is the long poll: it returns as soon as the
state is final, or after its time. Statements of one session take turns, as on a warehouse.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from executor.local.duckerrors import translate
from executor.local.engine import Engine
from executor.local.errors import Cancelled, SqlError, TimedOut
from executor.local.execution import Execution
from executor.local.results import Result
from executor.local.sent import Sent
from executor.local.session import Session, timeout_of
from executor.local.stacks import stack_of
from executor.local.values import Value

Work = Callable[[Execution], Result]

RUNNING, FINISHED, FAILED, CANCELLED = "running", "finished", "failed", "cancelled"
TIMED_OUT = "timed out"
REMEMBERED = 1_000
"""Statements that the query history still shows."""


class Operation:
    """A statement and, once finished, a forward cursor over its rows."""

    def __init__(
        self,
        engine: Engine,
        session: Session,
        work: Work,
        params: dict[str, Value] | None = None,
        sent: Sent | None = None,
    ) -> None:
        """``sent`` is None for what is no statement: a question about metadata."""
        self.id = uuid.uuid4()
        self.sent = sent
        self.session = session
        self.state = RUNNING
        self.error: SqlError | None = None
        self.stack = ""
        """Of the error, as a warehouse sends it."""
        self.result = Result()
        self.started_ms = int(time.time() * 1000)
        self.completed_ms = 0
        self.offset = 0  # rows handed out so far
        self._waiting: list[tuple[Any, ...]] = []
        self._last = False
        self._expired = False
        self._stopping = False
        self._closed = False
        self._reading = threading.Lock()
        self._done = threading.Event()
        self._execution = Execution(engine, session, self.id)
        self._execution.params = params or {}
        self._work = work
        self._thread = threading.Thread(
            target=self._run, name=f"dwx-statement-{self.id}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        state = FINISHED
        try:
            with self.session.lock:
                self._execution.check()
                with self._limit():
                    self.result = self._work(self._execution)
        except Exception as exc:  # noqa: BLE001 -- the outermost edge of a statement
            found = translate(exc)
            if isinstance(found, Cancelled) or self._execution.cancelled:
                late = self._expired or isinstance(found, TimedOut)
                state = TIMED_OUT if late else CANCELLED
            else:
                state = FAILED
                assert isinstance(found, SqlError)
                self.error, self.stack = found, stack_of(found, exc)
        finally:
            self._execution.close()
            self.completed_ms = int(time.time() * 1000)
            self.state = state
            self._done.set()
            if self._closed:
                self.result.close()

    @contextlib.contextmanager
    def _limit(self) -> Iterator[None]:
        """STATEMENT_TIMEOUT, where the session has set one."""
        seconds = timeout_of(self.session)
        if not seconds:
            yield
            return
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._expired = True
        self.cancel()

    def wait(self, seconds: float | None) -> str:
        """The state, final if it becomes so within ``seconds``; None waits for the end."""
        self._done.wait(seconds)
        return self.state

    def cancel(self) -> None:
        """Stop the statement, unless it is already committing. Returns at once.

        An interrupt that falls between two calls of DuckDB, or before the first, is lost; so it
        is repeated until the worker has noticed. Else a query nobody waits for could run on.
        """
        self._execution.cancel()
        if not self._done.is_set() and not self._stopping:
            self._stopping = True
            threading.Thread(target=self._stop, name="dwx-cancel", daemon=True).start()

    def _stop(self) -> None:
        while not self._done.wait(0.02):
            self._execution.cancel()

    def fetch(self, most: int) -> tuple[int, list[tuple[Any, ...]], bool]:
        """(number of the first row, rows, whether more follow), at most ``most`` rows."""
        with self._reading:
            while len(self._waiting) <= most and not self._last:
                self._fill(most + 1 - len(self._waiting))
            rows, self._waiting = self._waiting[:most], self._waiting[most:]
            first = self.offset
            self.offset += len(rows)
            return first, rows, bool(self._waiting)

    def _fill(self, most: int) -> None:
        if self.result.spooled is None:
            self._waiting += self.result.rows
            self.result.rows = []
            self._last = True
            return
        more = self.result.spooled.next(most)
        self._waiting += more
        self._last = not more

    def abandon(self) -> None:
        """Nobody will ask for it any more: it runs to its end, and frees what it holds there."""
        self._closed = True
        if self._done.is_set():
            self.close()

    def close(self, seconds: float = 0.0) -> None:
        """Stop it if it runs, free what it holds. Waits at most ``seconds`` for the worker."""
        self._closed = True
        if not self._done.is_set():
            self.cancel()
            self._done.wait(seconds)
        with self._reading:
            self._waiting, self._last = [], True
            self.result.close()


class Registry:
    """The sessions and operations of one warehouse, by id."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._lock = threading.Lock()
        self._sessions: dict[bytes, Session] = {}
        self._operations: dict[bytes, Operation] = {}
        self._abandoned: list[Operation] = []
        self._known: deque[Operation] = deque(maxlen=REMEMBERED)
        self.course: Callable[[Sent, Work], Work] = lambda sent, work: work
        """What becomes of a statement; here faults change it."""

    def open(self, session: Session) -> Session:
        with self._lock:
            self._sessions[session.id.bytes] = session
        return session

    def session(self, guid: bytes) -> Session | None:
        with self._lock:
            return self._sessions.get(guid)

    def close_session(self, guid: bytes) -> bool:
        """Close a session and cancel what runs in it; its temporary views go with it."""
        with self._lock:
            session = self._sessions.pop(guid, None)
            mine = [o for o in self._operations.values() if o.session is session]
        if session is None:
            return False
        for operation in mine:
            self.close_operation(operation.id.bytes)
        return True

    def lose_session(self, guid: bytes, *, cancel: bool) -> list[bytes]:
        """Forget a session as a server does that never closed it. What runs in it goes on, out of
        reach, or is cancelled. Returns the handles that were lost with it.
        """
        with self._lock:
            session = self._sessions.pop(guid, None)
            mine = [o for o in self._operations.values() if o.session is session]
        for operation in mine:
            if cancel:
                self.close_operation(operation.id.bytes)
            else:
                self.abandon(operation.id.bytes)
        return [operation.id.bytes for operation in mine]

    def submit(
        self,
        session: Session,
        work: Work,
        params: dict[str, Value] | None = None,
        sent: Sent | None = None,
    ) -> Operation:
        course = work if sent is None else self.course(sent, work)
        operation = Operation(self.engine, session, course, params, sent)
        with self._lock:
            self._operations[operation.id.bytes] = operation
            if sent is not None:
                self._known.appendleft(operation)
        operation.start()
        return operation

    def statements(self) -> list[Operation]:
        """The latest statements, newest first, whatever became of their handles and sessions."""
        with self._lock:
            return list(self._known)

    def operation(self, guid: bytes) -> Operation | None:
        with self._lock:
            return self._operations.get(guid)

    def close_operation(self, guid: bytes) -> bool:
        with self._lock:
            operation = self._operations.pop(guid, None)
        if operation is None:
            return False
        operation.close()
        return True

    def abandon(self, guid: bytes) -> Operation | None:
        """Take a statement out of every client's reach; it runs to its end."""
        with self._lock:
            operation = self._operations.pop(guid, None)
            self._abandoned = [o for o in self._abandoned if o.state == RUNNING]
            if operation is not None:
                self._abandoned.append(operation)
        if operation is not None:
            operation.abandon()
        return operation

    def close(self, seconds: float) -> None:
        """Cancel everything; wait at most ``seconds`` in all for workers to stop."""
        with self._lock:
            operations = [*self._operations.values(), *self._abandoned]
            self._operations.clear()
            self._abandoned.clear()
            self._sessions.clear()
        until = time.monotonic() + seconds
        for operation in operations:
            operation.cancel()
        for operation in operations:
            operation.close(max(until - time.monotonic(), 0.0))
