"""Opening sessions on a Databricks SQL warehouse.

Theory. Opening is the one request that may simply be repeated, because it changes nothing: so a
warehouse that starts, or is busy, is waited for here. Before it come the way to the server
(`reach`) and the credentials (`access`), which are obtained once for all sessions. The connector
cannot be told to give up, so each attempt has a thread of its own that may be left behind.

What a session does once it is open stands in `session`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Event, Thread
from time import monotonic
from urllib.parse import urlsplit

from executor.core import checks
from executor.core.facts import FailureFacts
from executor.core.failures import classify
from executor.warehouse.databricks import access
from executor.warehouse.databricks.auth import (
    AuthFailed,
    Credentials,
    LoginChoices,
    Target,
    Told,
)
from executor.warehouse.databricks.query_history import QueryHistory
from executor.warehouse.databricks.reach import cancelled_facts, reach
from executor.warehouse.databricks.session import (
    CANCEL_BUDGET_S,
    DatabricksSession,
    Reason,
    Waiting,
    close_connection,
)
from executor.warehouse.port import ConnectError, StatementError
from protocol.events import Check

START_BUDGET_S = 600.0
"""How long a warehouse may take to start, in seconds."""

PATIENCE_S = 120.0
"""How long the server may be silent on a request, in seconds."""

_ATTEMPT_BUDGET_S = 150.0  # for a session that hangs: a little more than a socket timeout
_START_DELAYS_S = (2.0, 4.0, 8.0, 16.0, 30.0)
_WORTH_WAITING = ("warehouse_starting", "throttled", "session_lost", "transport")
_TRANSPORT_ATTEMPTS = 2


def _nobody(reason: Reason, elapsed_ms: int, budget_ms: int | None) -> None:
    """Is told, where nobody wants to be."""


def _nobody_checks(check: Check) -> None:
    """Is told what was found on the way, where nobody wants to know."""


class DatabricksWarehouse:
    """A SQL warehouse. Implements `executor.warehouse.port.Warehouse`."""

    def __init__(
        self,
        target: Target,
        credentials: Credentials,
        *,
        start_budget_s: float = START_BUDGET_S,
        statement_timeout_s: int | None = None,
        patience_s: float = PATIENCE_S,
        cancel_budget_s: float = CANCEL_BUDGET_S,
        uri: str | None = None,
        waiting: Waiting | None = None,
        login: LoginChoices | None = None,
        told: Told | None = None,
        checked: Callable[[Check], None] | None = None,
    ) -> None:
        """`uri` leads elsewhere than to `https://host/http_path`: to the embedded warehouse.

        `statement_timeout_s` is enforced by the warehouse, for every statement. `patience_s`: the
        longest silence of the server before a request counts as lost. `waiting` is told,
        on the thread that opens, each time the warehouse makes us wait; `told`, what happens while
        credentials are obtained; `checked` is told there what was found on the way.
        """
        self._target = target
        self._credentials = credentials
        self._start_budget_s = start_budget_s
        self._statement_timeout_s = statement_timeout_s
        self._patience_s = patience_s
        self._cancel_budget_s = cancel_budget_s
        self._uri = uri or target.uri
        self._waiting = waiting or _nobody
        self._login = login or LoginChoices()
        self._told = told or Told()
        self._granted: access.Access | None = None
        self._checked = checked or _nobody_checks

    def open(self, cancel: Event) -> DatabricksSession:
        """Opens a session in the target's catalog and schema.

        Waits at most the start budget for a warehouse that starts; every other failure is known
        within seconds. Raises `ConnectError`.
        """
        namespace = (self._target.catalog, self._target.schema)
        try:
            session = self._reach(cancel)
        except ConnectError as exc:
            for check in checks.refused(exc.facts, *namespace):
                self._checked(check)
            raise
        for check in checks.connected(*namespace):
            self._checked(check)
        self._checked = _nobody_checks  # a session that takes the place of a lost one is no news
        return session

    def _reach(self, cancel: Event) -> DatabricksSession:
        problem = self._credentials.problem() or reach(self._url(), cancel, told=self._checked)
        if problem is not None:
            raise ConnectError(problem)
        try:
            if self._granted is None:
                self._granted = access.obtain(
                    self._address(), self._credentials, self._login, self._told, cancel
                )
            return self._open(self._granted, cancel)
        except AuthFailed as exc:
            raise ConnectError(exc.facts) from exc

    def _open(self, granted: access.Access, cancel: Event) -> DatabricksSession:
        begun = monotonic()
        session_settings = {"TIMEZONE": "UTC"}
        attempt = 0
        while True:
            try:
                return self._attempt(granted, session_settings, cancel)
            except ConnectError as exc:
                failure = classify(exc.facts)
                if failure.category == "auth" and granted.refused(cancel):
                    continue
                if failure.category == "config" and "TIMEZONE" in session_settings:
                    session_settings = {}  # nice to have, not worth a refused session
                    continue
                if failure.category not in _WORTH_WAITING:
                    raise
                if failure.category == "transport" and attempt >= _TRANSPORT_ATTEMPTS:
                    raise
                elapsed = monotonic() - begun
                delay = exc.facts.retry_after_s
                if delay is None:
                    delay = _START_DELAYS_S[min(attempt, len(_START_DELAYS_S) - 1)]
                if elapsed + delay > self._start_budget_s:
                    raise ConnectError(_too_slow(exc.facts, elapsed)) from exc
                self._waiting(
                    "throttled" if failure.category == "throttled" else "warehouse_starting",
                    int(elapsed * 1000),
                    int(self._start_budget_s * 1000),
                )
                if cancel.wait(delay):
                    raise ConnectError(cancelled_facts()) from exc
                attempt += 1

    def close(self) -> None:
        """See `executor.warehouse.port.Warehouse.close`: a warehouse far away needs nothing."""

    def _url(self) -> str:
        return self._uri or f"https://{self._target.host}"

    def _address(self) -> str:
        """The workspace's, without the path of the warehouse."""
        parts = urlsplit(self._url())
        return f"{parts.scheme}://{parts.netloc}"

    def _attempt(
        self, granted: access.Access, session_settings: Mapping[str, str], cancel: Event
    ) -> DatabricksSession:
        """One attempt, in a thread of its own: the connector cannot be told to give up."""
        attempt = _Attempt(lambda: self._connect(granted, session_settings, cancel))
        budget = max(_ATTEMPT_BUDGET_S, self._start_budget_s)
        deadline = monotonic() + budget
        while not attempt.done.wait(0.1):
            if cancel.is_set() or monotonic() > deadline:
                attempt.abandon()
                raise ConnectError(
                    cancelled_facts() if cancel.is_set() else self._no_answer(budget)
                )
        if attempt.problem is not None:
            raise attempt.problem
        assert attempt.session is not None
        return attempt.session

    def _connect(
        self, granted: access.Access, session_settings: Mapping[str, str], cancel: Event
    ) -> DatabricksSession:
        _tame_logging()
        # 0.7 s: only whoever connects pays for it
        from executor.warehouse.databricks import errors, safe_retry

        configuration: dict[str, str] = dict(session_settings)
        if self._statement_timeout_s is not None:
            configuration["STATEMENT_TIMEOUT"] = str(self._statement_timeout_s)
        special = {"_connection_uri": self._uri} if self._uri is not None else {}
        try:
            connection = safe_retry.QuietConnection(
                self._target.host,
                self._target.http_path,
                session_configuration=configuration,
                user_agent_entry="databricks-workflow-executor",
                enable_telemetry=False,
                use_cloud_fetch=False,
                _socket_timeout=self._patience_s,
                _retry_delay_min=1,
                _retry_delay_max=5,
                _retry_stop_after_attempts_count=1,
                _retry_stop_after_attempts_duration=max(1.0, self._start_budget_s),
                _respect_server_retry_after_header=True,
                **special,
                **granted.arguments,
            )
        # The connector lets through whatever its own parts raise; this is the edge to it.
        except Exception as exc:
            raise ConnectError(errors.facts_of(exc, during="connect")) from exc
        try:
            backend = safe_retry.protect(connection, self._patience_s)
        except safe_retry.UnprotectedError as exc:
            close_connection(connection)
            facts = FailureFacts("DWX_CONNECTOR_UNPROTECTED", str(exc), during="connect")
            raise ConnectError(facts) from exc
        queries = QueryHistory(
            self._address(),
            self._target.http_path.partition("?")[0].rpartition("/")[2],
            connection.session.auth_provider.add_headers,
        )
        session = DatabricksSession(
            connection, backend, queries, self._waiting, self._cancel_budget_s
        )
        try:
            session.prepare(self._target, cancel)
        except StatementError as exc:
            session.close()
            if exc.cancelled and cancel.is_set():
                raise ConnectError(cancelled_facts()) from exc
            raise ConnectError(replace(exc.facts, during="connect")) from exc
        return session

    def _no_answer(self, budget: float) -> FailureFacts:
        return FailureFacts(
            "DWX_CONNECT_TIMEOUT",
            f"{self._target.host} took the connection but opened no session in {budget:.0f} s.",
            during="connect",
        )


class _Attempt:
    """Opening a session in a thread that may have to be left behind."""

    def __init__(self, connect: Callable[[], DatabricksSession]) -> None:
        self.done = Event()
        self.session: DatabricksSession | None = None
        self.problem: Exception | None = None
        self._connect = connect
        self._abandoned = Event()
        Thread(target=self._run, name="dwx-connect", daemon=True).start()

    def abandon(self) -> None:
        """Nobody waits any more: a session that comes yet is closed."""
        self._abandoned.set()
        if self.done.is_set() and self.session is not None:
            self.session.close()

    def _run(self) -> None:
        try:
            self.session = self._connect()
        except Exception as exc:  # noqa: BLE001 — raised again in the thread that waits
            self.problem = exc
        self.done.set()
        if self._abandoned.is_set() and self.session is not None:
            self.session.close()


def _too_slow(facts: FailureFacts, elapsed_s: float) -> FailureFacts:
    return replace(
        facts,
        error_class="DWX_START_TIMEOUT",
        message=f"The warehouse was not ready after {elapsed_s:.0f} s. It said: {facts.message}",
    )


def _tame_logging() -> None:
    """Warnings only, and none that pyarrow is missing: dwx does not want it."""
    for name in ("databricks.sql", "urllib3"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
    logging.getLogger("databricks.sql.client").addFilter(_about_more_than_pyarrow)


def _about_more_than_pyarrow(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("[WARN] pyarrow")
