"""One send per request: the connector's two retry layers, switched off where they are dangerous.

Theory. The connector (4.4 to 4.9) repeats a request in two places. urllib3 does so under the
connector's `DatabricksRetryPolicy`: if the connection breaks or a read times out after
ExecuteStatement was sent, it sends ExecuteStatement again, and the warehouse executes the write
again. The Thrift backend does so in `make_request`: on HTTP 429 and 503, whether or not the server
had executed anything. In both cases the caller sees one success and the table has the rows twice.

Only the caller knows whether a statement may be sent again, so here nothing is ever repeated below
the caller: `OneSendPolicy` refuses every retry of urllib3's, `OneSendBackend` every retry of
`make_request`. What should be repeated is repeated by `session` (polls) and `warehouse` (opening a
session), which wait for Retry-After and can be interrupted meanwhile.

The classes hook into names of the connector that are not public. `protect` checks each of them and
refuses to go on if one is missing or has changed its shape: better no run than an unprotected one.
Versions before 4.3 lack some of them. 4.3 would do for dwx, but it gives no `rowcount` to the other
programs that use the embedded warehouse.

Importing this module imports the connector (0.7 s); `warehouse` does so when it first connects.
"""

from __future__ import annotations

import inspect
from types import TracebackType
from typing import Any, NoReturn

from databricks.sql import __version__
from databricks.sql.auth.retry import DatabricksRetryPolicy
from databricks.sql.backend.thrift_backend import ThriftDatabricksClient
from databricks.sql.client import Connection
from databricks.sql.exc import RequestError
from urllib3.exceptions import MaxRetryError, ResponseError

SUPPORTED = "databricks-sql-connector>=4.4,<5"
"""As declared in pyproject.toml. `make oldest` runs the tests of the wire with the oldest."""

TIMEOUTS_S = {
    "ExecuteStatement": 120.0,
    "GetOperationStatus": 30.0,  # the server answers a poll within about 5 s
    "CancelOperation": 5.0,
    "CloseOperation": 5.0,
    "CloseSession": 4.0,
}
"""Longest silence of the server, in seconds, by request; 120 for all others."""

LONGEST_SILENCE_S = 120.0
HURRIED_TIMEOUT_S = 2.0
"""The same once the run is to stop."""


class UnprotectedError(RuntimeError):
    """This version of the connector cannot be kept from sending a statement twice."""


class OneSendPolicy(DatabricksRetryPolicy):  # type: ignore[misc]
    """Raises where urllib3 would send again."""

    last_error: Exception | None = None
    """What broke the last request; the connector forgets it for polls."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> NoReturn:
        if error is not None:
            self.last_error = error
            raise error
        # A redirect: following it would send the request again, to another place.
        status = getattr(response, "status", None)
        raise MaxRetryError(_pool, url or "", ResponseError(f"redirected with status {status}"))

    def should_retry(
        self, method: str, status_code: int, has_retry_after: bool = False
    ) -> tuple[bool, str]:
        return False, "whoever called decides whether to send again"


class OneSendBackend(ThriftDatabricksClient):  # type: ignore[misc]
    """The connector's Thrift backend with one attempt per request."""

    last_status: Any = None
    """The last TGetOperationStatusResp: state, SQLSTATE and row count the connector drops."""

    patience_s = LONGEST_SILENCE_S
    """Longest silence of the server, in seconds, whatever the request."""

    hurry = False
    """Set when the run is to stop: no more patience with a silent server."""

    def make_request(self, method: Any, request: Any, retryable: bool = True) -> Any:
        # Left over from the request before, these would be taken for this one's answer.
        self._transport.code = None
        self._transport.headers = {}
        self.retry_policy.last_error = None
        seconds = min(TIMEOUTS_S.get(method.__name__, LONGEST_SILENCE_S), self.patience_s)
        if self.hurry:
            seconds = min(seconds, HURRIED_TIMEOUT_S)
        self._transport.setTimeout(seconds * 1000.0)
        response = super().make_request(method, request, retryable=False)
        if method.__name__ == "GetOperationStatus":
            self.last_status = response
        return response

    def _handle_request_error(self, error_info: Any, attempt: int, elapsed: float) -> None:
        # With a delay set, the original would sleep and come back; without, it raises.
        error = error_info.error or self.retry_policy.last_error
        try:
            super()._handle_request_error(
                error_info._replace(retry_delay=None, error=error), attempt, elapsed
            )
        except RequestError as exc:
            headers = self._transport.headers or {}
            exc.context["retry-after"] = headers.get("Retry-After")
            raise


class QuietConnection(Connection):  # type: ignore[misc]
    """A connection that is closed by `close` alone.

    The original also closes itself when it is collected, which at interpreter exit can wait for a
    dead server for minutes. A session that was never closed ends on the server by itself.
    """

    def __del__(self) -> None:
        pass


def protect(connection: Connection, patience_s: float = LONGEST_SILENCE_S) -> OneSendBackend:
    """Makes an open connection send every request once, and returns its backend.

    `patience_s`: the longest silence of the server, in seconds.

    Raises `UnprotectedError`, naming what is missing, if this version of the connector does not
    have what the protection hooks into.
    """
    backend = connection.session.backend
    _require(type(backend) is ThriftDatabricksClient, "the Thrift backend (another one is in use)")
    policy = getattr(backend, "retry_policy", None)
    transport = getattr(backend, "_transport", None)
    _require(getattr(backend, "enable_v3_retries", False) is True, "retries by policy")
    _require(type(policy) is DatabricksRetryPolicy, "ThriftDatabricksClient.retry_policy")
    _require(getattr(transport, "retry_policy", None) is policy, "THttpClient.retry_policy")
    _require(hasattr(transport, "setTimeout"), "THttpClient.setTimeout")
    for owner, name, parameters in _HOOKS:
        _require(callable(getattr(owner, name, None)), f"{owner.__name__}.{name}")
        known = inspect.signature(getattr(owner, name)).parameters
        _require(set(parameters) <= set(known), f"{owner.__name__}.{name}({', '.join(parameters)})")
    policy = OneSendPolicy(
        delay_min=1.0,
        delay_max=5.0,
        stop_after_attempts_count=1,
        stop_after_attempts_duration=60.0,
        delay_default=1.0,
        force_dangerous_codes=[],
    )
    backend.retry_policy = backend._transport.retry_policy = policy
    backend.__class__ = OneSendBackend
    protected: OneSendBackend = backend
    protected.patience_s = patience_s
    return protected


_HOOKS: tuple[tuple[type, str, tuple[str, ...]], ...] = (
    (ThriftDatabricksClient, "make_request", ("method", "request", "retryable")),
    (ThriftDatabricksClient, "_handle_request_error", ("error_info", "attempt", "elapsed")),
    (DatabricksRetryPolicy, "increment", ("response", "error", "_pool", "_stacktrace")),
    (DatabricksRetryPolicy, "is_retry", ("method", "status_code", "has_retry_after")),
    (DatabricksRetryPolicy, "should_retry", ("method", "status_code", "has_retry_after")),
)


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise UnprotectedError(
            f"databricks-sql-connector {__version__} cannot be kept from sending a statement "
            f"twice: it lacks {what}. Install another of those that dwx supports: {SUPPORTED}"
        )
