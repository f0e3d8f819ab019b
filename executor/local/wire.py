"""Calls and replies as bytes: Thrift's binary protocol, and what HTTP puts around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocolAcceleratedFactory
from thrift.Thrift import TMessageType
from thrift.transport.TTransport import TMemoryBuffer

_PROTOCOLS = TBinaryProtocolAcceleratedFactory(
    string_length_limit=None, container_length_limit=None
)
VERSION = ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V8


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. Of ``body`` only the first ``cut`` bytes are sent; None: all of them."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"Content-Type": "application/x-thrift"}
    )
    cut: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as it came: the method's name, and its one argument."""

    name: str
    sequence: int
    request: Any

    @property
    def session(self) -> bytes | None:
        """The id in the session's handle, where the call has one."""
        handle = getattr(self.request, "sessionHandle", None)
        return None if handle is None else bytes(handle.sessionId.guid)

    @property
    def operation(self) -> bytes | None:
        """The id in the statement's handle, where the call has one."""
        handle = getattr(self.request, "operationHandle", None)
        return None if handle is None else bytes(handle.operationId.guid)


def process(processor: Any, body: bytes) -> bytes:
    """What ``processor`` answers to a call."""
    source, sink = TMemoryBuffer(body), TMemoryBuffer()
    processor.process(_PROTOCOLS.getProtocol(source), _PROTOCOLS.getProtocol(sink))
    reply: bytes = sink.getvalue()
    return reply


def read_call(body: bytes) -> Asked:
    """The call in a request. Raises what Thrift and attributes raise where it is none."""
    source = _PROTOCOLS.getProtocol(TMemoryBuffer(body))
    name, _, sequence = source.readMessageBegin()
    arguments = getattr(TCLIService, f"{name}_args")()
    arguments.read(source)
    return Asked(name, sequence, arguments.req)


def write_call(asked: Asked) -> bytes:
    """The request that ``read_call`` reads as ``asked``."""
    arguments = getattr(TCLIService, f"{asked.name}_args")(asked.request)
    return _message(asked, TMessageType.CALL, arguments)


def _message(asked: Asked, kind: int, content: Any) -> bytes:
    sink = TMemoryBuffer()
    protocol = _PROTOCOLS.getProtocol(sink)
    protocol.writeMessageBegin(asked.name, kind, asked.sequence)
    content.write(protocol)
    protocol.writeMessageEnd()
    written: bytes = sink.getvalue()
    return written


def read_operation(reply: bytes) -> bytes | None:
    """The id of the statement that a reply to ExecuteStatement hands out."""
    source = _PROTOCOLS.getProtocol(TMemoryBuffer(reply))
    source.readMessageBegin()
    result = TCLIService.ExecuteStatement_result()
    result.read(source)
    handle = result.success.operationHandle if result.success is not None else None
    return None if handle is None else bytes(handle.operationId.guid)


def thrift_refusal(asked: Asked, code: int, text: str, sqlstate: str | None) -> Reply:
    """The reply to a call that fails with a status of Thrift's, in HTTP 200."""
    status = ttypes.TStatus(
        statusCode=code, sqlState=sqlstate, errorMessage=text, displayMessage=text
    )
    response = getattr(ttypes, f"T{asked.name}Resp")(status=status)
    if asked.name == "OpenSession":
        response.serverProtocolVersion = VERSION
    result = getattr(TCLIService, f"{asked.name}_result")(success=response)
    return Reply(_message(asked, TMessageType.REPLY, result))


def http_refusal(status: int, message: str, retry_after: int | None = None) -> Reply:
    """The reply to a request that fails below Thrift."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "x-thriftserver-error-message": message,
        "x-databricks-reason-phrase": message,
        "Connection": "close",
    }
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Reply(message.encode(), status, headers)
