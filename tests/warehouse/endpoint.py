"""A scripted Thrift endpoint on loopback: what a SQL warehouse says on the wire, in miniature.

It executes nothing. Tests say beforehand how it answers a statement (`Answer`) and what happens to
the next ExecuteStatement on its way (`faults`), and ask afterwards what it received.
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

TOKEN = "dapi-of-the-test"

RUNNING = ttypes.TOperationState.RUNNING_STATE
FINISHED = ttypes.TOperationState.FINISHED_STATE
CANCELED = ttypes.TOperationState.CANCELED_STATE
TIMED_OUT = ttypes.TOperationState.TIMEDOUT_STATE
CLOSED = ttypes.TOperationState.CLOSED_STATE
FAILED = ttypes.TOperationState.ERROR_STATE
OK = ttypes.TStatusCode.SUCCESS_STATUS


@dataclass(frozen=True)
class Answer:
    """How the endpoint answers a statement: its states, poll by poll; the last one stays."""

    states: Sequence[int] = (FINISHED,)
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    modified: int | None = None
    error: str | None = None
    stack: str | None = None
    refused: str | None = None
    """ExecuteStatement itself is answered with this error."""
    cancels_to: int | None = CANCELED
    """State after CancelOperation; `None`: it goes on as if nothing had been asked."""
    unreadable: bool = False
    """FetchResults fails."""


@dataclass(frozen=True)
class Fault:
    """What happens to one request: `execute` tells whether the endpoint still executes it."""

    status: int | None = None
    """HTTP status to answer with; `None` closes the connection without an answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    execute: bool = True


@dataclass
class _Operation:
    answer: Answer
    polls: int = 0
    cancelled: bool = False


class Endpoint:
    """Handler of the Thrift service, and the record of what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.faults: deque[Fault] = deque()
        """One for each ExecuteStatement to come."""
        self.poll_faults: deque[Fault] = deque()
        self.open_faults: deque[Fault] = deque()
        self.executed: list[str] = []
        self.requests: list[str] = []
        self.tags: list[str | None] = []
        self.session_settings: list[dict[str, str]] = []
        self.refuse_setting: str | None = None
        self.polled = Event()
        """Set at the first poll."""
        self.fetched_rows: list[int] = []
        """`maxRows` of each FetchResults."""
        self.query_ids: list[str] = []
        self.queries: list[dict[str, Any]] | None = None
        """The query history, newest first; `None`: it may not be read."""
        self.more_queries = False
        """Every page of the query history says that there is a further one."""
        self.looks: list[str] = []
        """What was asked of the query history: method and path with its parameters."""
        self.port = 0
        self._operations: dict[bytes, _Operation] = {}

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/sql/1.0/warehouses/test"

    # --- TCLIService ----------------------------------------------------------------------------

    def OpenSession(self, request: Any) -> Any:  # noqa: N802
        settings = dict(request.configuration or {})
        self.session_settings.append(settings)
        if self.refuse_setting is not None and self.refuse_setting in settings:
            message = f"[CONFIG_NOT_AVAILABLE] {self.refuse_setting} is not available."
            return ttypes.TOpenSessionResp(status=_error(message), serverProtocolVersion=_PROTOCOL)
        return ttypes.TOpenSessionResp(
            status=_ok(),
            serverProtocolVersion=_PROTOCOL,
            sessionHandle=ttypes.TSessionHandle(sessionId=_identifier()),
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, request: Any) -> Any:  # noqa: N802
        return ttypes.TCloseSessionResp(status=_ok())

    def ExecuteStatement(self, request: Any) -> Any:  # noqa: N802
        self.executed.append(request.statement)
        self.tags.append((request.confOverlay or {}).get("query_tags"))
        answer = self.answers.get(request.statement, Answer())
        if answer.refused is not None:
            return ttypes.TExecuteStatementResp(status=_error(answer.refused))
        identifier = _identifier()
        self._operations[identifier.guid] = _Operation(answer)
        self.query_ids.append(str(uuid.UUID(bytes=identifier.guid)))
        handle = ttypes.TOperationHandle(
            operationId=identifier,
            operationType=ttypes.TOperationType.EXECUTE_STATEMENT,
            hasResultSet=True,
        )
        return ttypes.TExecuteStatementResp(status=_ok(), operationHandle=handle)

    def GetOperationStatus(self, request: Any) -> Any:  # noqa: N802
        operation = self._operations[request.operationHandle.operationId.guid]
        answer = operation.answer
        state = answer.states[min(operation.polls, len(answer.states) - 1)]
        operation.polls += 1
        if operation.cancelled and answer.cancels_to is not None:
            state = answer.cancels_to
        self.polled.set()
        return ttypes.TGetOperationStatusResp(
            status=_ok(),
            operationState=state,
            numModifiedRows=answer.modified,
            displayMessage=answer.error,
            diagnosticInfo=answer.stack,
        )

    def CancelOperation(self, request: Any) -> Any:  # noqa: N802
        self._operations[request.operationHandle.operationId.guid].cancelled = True
        return ttypes.TCancelOperationResp(status=_ok())

    def CloseOperation(self, request: Any) -> Any:  # noqa: N802
        return ttypes.TCloseOperationResp(status=_ok())

    def FetchResults(self, request: Any) -> Any:  # noqa: N802
        answer = self._operations[request.operationHandle.operationId.guid].answer
        self.fetched_rows.append(request.maxRows)
        if answer.unreadable:
            return ttypes.TFetchResultsResp(status=_error("[INTERNAL_ERROR] no results"))
        rows = list(answer.rows)[: request.maxRows]
        columns = [_column([row[i] for row in rows]) for i in range(len(answer.columns))]
        metadata = ttypes.TGetResultSetMetadataResp(
            status=_ok(),
            schema=ttypes.TTableSchema(
                columns=[
                    _described(name, [row[i] for row in answer.rows], i)
                    for i, name in enumerate(answer.columns)
                ]
            ),
            resultFormat=ttypes.TSparkRowSetType.COLUMN_BASED_SET,
        )
        return ttypes.TFetchResultsResp(
            status=_ok(),
            hasMoreRows=len(rows) < len(answer.rows),
            results=ttypes.TRowSet(startRowOffset=0, rows=[], columns=columns),
            resultSetMetadata=metadata,
        )


@contextmanager
def running(endpoint: Endpoint) -> Iterator[Endpoint]:
    """Serves `endpoint` on a free port of the loopback interface."""
    processor = TCLIService.Processor(endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet, or each request waits 40 ms for an ACK

        def do_POST(self) -> None:
            if self.path.startswith("/api/"):
                self._about_queries("POST")
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer(401, {"x-databricks-reason-phrase": "Invalid access token."})
                return
            name, _, _ = TBinaryProtocol(TMemoryBuffer(body)).readMessageBegin()
            endpoint.requests.append(name)
            fault = _next_fault(endpoint, name)
            reply = TMemoryBuffer()
            if fault is None or fault.execute:
                processor.process(TBinaryProtocol(TMemoryBuffer(body)), TBinaryProtocol(reply))
            if fault is None:
                self._answer(200, {}, reply.getvalue())
            elif fault.status is None:
                self.close_connection = True
            else:
                self._answer(fault.status, fault.headers)

        def do_GET(self) -> None:
            self._about_queries("GET")

        def _about_queries(self, method: str) -> None:
            endpoint.looks.append(f"{method} {self.path}")
            if endpoint.queries is None:
                self._answer(403, {})
            else:
                listed = {"res": endpoint.queries, "has_next_page": endpoint.more_queries}
                self._answer(200, {"Content-Type": "application/json"}, json.dumps(listed).encode())

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_PROTOCOL = ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V8


def _next_fault(endpoint: Endpoint, name: str) -> Fault | None:
    queue = {
        "ExecuteStatement": endpoint.faults,
        "GetOperationStatus": endpoint.poll_faults,
        "OpenSession": endpoint.open_faults,
    }.get(name)
    return queue.popleft() if queue else None


def _ok() -> Any:
    return ttypes.TStatus(statusCode=OK)


def _error(message: str) -> Any:
    return ttypes.TStatus(statusCode=ttypes.TStatusCode.ERROR_STATUS, errorMessage=message)


def _identifier() -> Any:
    return ttypes.THandleIdentifier(guid=uuid.uuid4().bytes, secret=uuid.uuid4().bytes)


def _column(values: list[Any]) -> Any:
    nulls = bytearray((len(values) + 7) // 8)
    for i, value in enumerate(values):
        if value is None:
            nulls[i // 8] |= 1 << (i % 8)
    if values and all(value is None or isinstance(value, int) for value in values):
        return ttypes.TColumn(
            i64Val=ttypes.TI64Column(values=[value or 0 for value in values], nulls=bytes(nulls))
        )
    return ttypes.TColumn(
        stringVal=ttypes.TStringColumn(
            values=["" if value is None else str(value) for value in values], nulls=bytes(nulls)
        )
    )


def _described(name: str, values: list[Any], position: int) -> Any:
    whole = bool(values) and all(value is None or isinstance(value, int) for value in values)
    type_id = ttypes.TTypeId.BIGINT_TYPE if whole else ttypes.TTypeId.STRING_TYPE
    entry = ttypes.TTypeEntry(primitiveEntry=ttypes.TPrimitiveTypeEntry(type=type_id))
    return ttypes.TColumnDesc(
        columnName=name, typeDesc=ttypes.TTypeDesc(types=[entry]), position=position
    )
