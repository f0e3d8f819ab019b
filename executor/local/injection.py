"""Making faults happen: to calls on their way, and to statements while they run.

``Injection.answer`` stands between the wire and the protocol's handler, and ``Injection.course``
between a statement and its work; nothing else of the warehouse knows that there are faults. What a
fault has changed for good (a session or a handle that is gone) stays so after it was disarmed.

Where a reply is lost, what was asked has happened all the same: a statement whose handle never
reached its client runs to its end, and neither the end of the connection nor that of the session
stops it. Databricks documents no such stop, so a client must reckon with the worst.
"""

from __future__ import annotations

import re
import select
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from databricks.sql.thrift_api.TCLIService import ttypes

from executor.local.errors import Cancelled, SqlError, TimedOut
from executor.local.execution import Execution
from executor.local.faults import (
    CALLS,
    Delay,
    Drop,
    Error,
    Fault,
    Faults,
    Garbage,
    HandleLost,
    Hang,
    OnCall,
    OnStatement,
    Refuse,
    SessionLost,
    SlowEnd,
    SlowStart,
    Starting,
    Status,
    Stopped,
    Truncate,
)
from executor.local.operations import Registry, Work
from executor.local.results import Result
from executor.local.sent import Sent, sent_of
from executor.local.wire import (
    Asked,
    Reply,
    http_refusal,
    read_call,
    read_operation,
    thrift_refusal,
    write_call,
)

_ERROR = ttypes.TStatusCode.ERROR_STATUS
_BAD_HANDLE = ttypes.TStatusCode.INVALID_HANDLE_STATUS
_STARTING = (
    "TEMPORARILY_UNAVAILABLE: The warehouse is starting and temporarily unavailable. "
    "Please try again later."
)
_SAID = {
    400: "BAD_REQUEST: The request cannot be understood.",
    401: "UNAUTHENTICATED: Invalid access token.",
    403: "PERMISSION_DENIED: You are not authorized to use this SQL warehouse.",
    404: "ENDPOINT_NOT_FOUND: There is no such SQL warehouse.",
    429: "RESOURCE_EXHAUSTED: Too many requests; the queue is full.",
    500: "INTERNAL_ERROR: The server failed.",
    502: "Bad Gateway",
    503: "TEMPORARILY_UNAVAILABLE: The service is temporarily unavailable. Try again later.",
    504: "Gateway Timeout: upstream request timeout",
}


class _WordedError(SqlError):
    """A failure in exactly these words."""

    def __init__(self, text: str) -> None:
        self._text = text
        found = re.match(r"\[([\w.]+)\]", text)
        super().__init__(found[1] if found else "", text, sqlstate=_sqlstate(text))

    @property
    def text(self) -> str:
        return self._text


def _sqlstate(text: str) -> str | None:
    found = re.search(r"SQLSTATE:\s*([0-9A-Z]{5})", text)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class _Gone:
    """How calls with a handle are answered whose session, or which itself, the server forgot."""

    what: SessionLost | HandleLost
    id: uuid.UUID


class Injection:
    def __init__(
        self, faults: Faults, registry: Registry, process: Callable[[bytes], bytes]
    ) -> None:
        self._faults = faults
        self._registry = registry
        self._process = process
        self._gone: dict[bytes, _Gone] = {}
        self._guard = threading.Lock()
        registry.course = self.course

    # calls ---------------------------------------------------------------------------------

    def answer(self, body: bytes, client: Any) -> Reply | None:
        """The reply to the call in ``body``; None: the connection to ``client`` breaks."""
        if not self._gone and not self._faults.armed:
            return Reply(self._process(body))
        asked = read_call(body)
        gone = self._gone.get(asked.session or asked.operation or b"")
        if gone is not None:
            return _forgotten(gone, asked)
        call = CALLS.get(asked.name)
        if call is None:
            return Reply(self._process(body))
        sent = self._sent(asked)
        starting = self._faults.strike(Starting, call, sent)
        if starting is not None:
            assert isinstance(starting.what, Starting)
            return http_refusal(503, _STARTING, starting.what.retry_after)
        fault = self._faults.strike(OnCall, call, sent)
        if fault is None:
            return Reply(self._process(body))
        return self._struck(fault, asked, body, client)

    def _sent(self, asked: Asked) -> Sent | None:
        if asked.name == "ExecuteStatement":
            return sent_of(asked.request)
        operation = self._registry.operation(asked.operation or b"")
        return None if operation is None else operation.sent

    def _struck(self, fault: Fault, asked: Asked, body: bytes, client: Any) -> Reply | None:
        match fault.what:
            case Drop(when="before"):
                return None
            case Drop(when="during"):
                self._executed(asked, body, to_its_end=False)
                return None
            case Drop():
                self._executed(asked, body)
                return None
            case Truncate():
                reply = self._executed(asked, body)
                return Reply(reply, cut=len(reply) // 2)
            case Garbage():
                reply = self._executed(asked, body)
                return Reply(b"\xff" * len(reply))
            case Status(code, retry_after, executed):
                if executed:
                    self._executed(asked, body)
                return http_refusal(code, _SAID[code], retry_after)
            case Hang(executed):
                if executed:
                    self._executed(asked, body, to_its_end=False)
                _await_end(client, None)
                return None
            case Delay(seconds):
                reply = self._process(body)
                _await_end(client, seconds)
                return Reply(reply)
            case Refuse(text):
                return thrift_refusal(asked, _ERROR, text, _sqlstate(text))
            case SessionLost() as lost:
                return self._lose_session(lost, asked)
            case HandleLost() as lost:
                return self._lose_handle(lost, asked)
        raise AssertionError(fault)

    def _executed(self, asked: Asked, body: bytes, *, to_its_end: bool = True) -> bytes:
        """The reply that its client will not see. A statement gets out of the client's reach."""
        if asked.name == "ExecuteStatement" and not to_its_end:
            asked.request.getDirectResults = None  # or the reply waits for the statement's end
            body = write_call(asked)
        reply = self._process(body)
        if asked.name == "ExecuteStatement":
            operation = self._registry.abandon(read_operation(reply) or b"")
            if operation is not None and to_its_end:
                operation.wait(None)
        return reply

    def _lose_session(self, lost: SessionLost, asked: Asked) -> Reply:
        guid = asked.session
        if guid is None:
            operation = self._registry.operation(asked.operation or b"")
            guid = operation.session.id.bytes if operation is not None else b""
        handles = self._registry.lose_session(guid, cancel=lost.running == "cancelled")
        gone = _Gone(lost, uuid.UUID(bytes=guid) if guid else uuid.UUID(int=0))
        with self._guard:
            self._gone |= dict.fromkeys((guid, *handles), gone)
        return _forgotten(gone, asked)

    def _lose_handle(self, lost: HandleLost, asked: Asked) -> Reply:
        guid = asked.operation or b""
        self._registry.abandon(guid)
        gone = _Gone(lost, uuid.UUID(bytes=guid))
        with self._guard:
            self._gone[guid] = gone
        return _forgotten(gone, asked)

    # statements ----------------------------------------------------------------------------

    def course(self, sent: Sent, work: Work) -> Work:
        """What a statement that was sent will do, instead of ``work``."""
        fault = self._faults.strike(OnStatement, "execute", sent)
        if fault is None:
            return work
        what = fault.what

        def run(execution: Execution) -> Result:
            match what:
                case SlowStart(seconds):
                    execution.pause(seconds)
                    execution.check()
                    return work(execution)
                case SlowEnd(seconds):
                    result = work(execution)
                    execution.pause(seconds)
                    return result
                case Stopped(state, committed):
                    if committed:
                        work(execution).close()
                    raise Cancelled if state == "cancelled" else TimedOut
                case Error(text):
                    raise _WordedError(text)
            raise AssertionError(what)

        return run


def _await_end(client: Any, seconds: float | None) -> None:
    """Waits so long, or until the connection ends: a client says nothing before it is answered."""
    select.select([client], [], [], seconds)


def _forgotten(gone: _Gone, asked: Asked) -> Reply:
    if isinstance(gone.what, HandleLost):
        return http_refusal(404, f"RESOURCE_DOES_NOT_EXIST: Command {gone.id} does not exist.")
    match gone.what.spelling:
        case "handle":
            text = f"Invalid SessionHandle: SessionHandle [{gone.id}]"
            return thrift_refusal(asked, _BAD_HANDLE, text, "HY000")
        case "closed":
            text = f"BAD_REQUEST: Invalid SessionHandle: Session [{gone.id}] is closed."
            return http_refusal(400, text)
        case "not-found":
            text = (
                f"[INVALID_HANDLE.SESSION_NOT_FOUND] The handle {gone.id} is invalid. Session not "
                "found. SQLSTATE: HY000"
            )
            return thrift_refusal(asked, _ERROR, text, "HY000")
        case "uninitialized":
            text = (
                f"requirement failed: Session handle {gone.id} has not been initialized or had "
                "already closed"
            )
            return thrift_refusal(asked, _ERROR, text, None)
