"""Statements in a session on a Databricks SQL warehouse, through the vendor's connector.

Theory. `cursor.execute` of the connector cannot be used: it reports a statement that the warehouse
cancelled or timed out as a success, and names the statement only when it is over. So a statement is
submitted with `execute_async`, which comes back in one round trip with the query id, and polled
until the warehouse names a terminal state. Each statement has a cursor of its own, since cancelling
a used cursor hits the statement before. Submitting, polling and cancelling happen on one thread:
the connector's `cancel` waits for a lock that a poll on another thread would hold.

Nothing is repeated below this module (see `safe_retry`). Repeated here, because it changes nothing:
polls while the network is away. How a session is opened stands in `warehouse`.

Sources: databricks-sql-connector 4.4 to 4.9 (behaviour observed against an endpoint of our own),
and https://docs.databricks.com/dev-tools/python-sql-connector.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from threading import Event, Thread
from time import monotonic
from typing import Any, Literal

from executor.core.facts import FailureFacts, TableFacts, TableSize
from executor.warehouse.databricks.auth import Target
from executor.warehouse.databricks.commits import Sources, fate_of, newest_version
from executor.warehouse.databricks.history import (
    HistoryEntry,
    commit_of,
    detail_query,
    entry,
    history_query,
    rows_committed,
    table_size,
)
from executor.warehouse.databricks.query_history import QueryHistory
from executor.warehouse.databricks.results import (
    AS_SELECT,
    DML,
    UNKNOWN_ROWS,
    Row,
    counted_by_driver,
    optimize_metrics,
    row_counts,
    whole_number,
)
from executor.warehouse.databricks.tables import may_create, table_facts
from executor.warehouse.port import (
    CreatePrivilege,
    Fate,
    Opened,
    Request,
    Result,
    StatementError,
    Write,
    end_not_seen,
)
from executor.workflow.names import quote
from protocol.events import RowCounts

CANCEL_BUDGET_S = 7.0
"""How long the terminal state of a cancelled statement is waited for, in seconds."""

OUTAGE_BUDGET_S = 120.0
"""How long polls may fail before the statement counts as lost from sight, in seconds."""

CLOSE_BUDGET_S = 3.0
"""How long closing may take, in seconds."""

_FIRST_DELAY_S, _LAST_DELAY_S = 0.02, 1.0
_TELL_EVERY_S = 10.0  # how often it is told that polls get no answer
_ONE_POLL_S = 2.0  # how long a poll takes at most once the run is to stop
_LONG_POLL_S = 0.5  # a poll that took longer has waited at the server: ask again at once
_NEVER = Event()  # something to wait on once `cancel` is set

_SETTINGS = frozenset(
    {"ANSI_MODE", "TIMEZONE", "STATEMENT_TIMEOUT", "USE_CACHED_RESULT", "LEGACY_TIME_PARSER_POLICY"}
)

Reason = Literal["warehouse_starting", "throttled", "unreachable", "statement_running"]
Waiting = Callable[[Reason, int, int | None], None]
"""Called with the reason, milliseconds waited so far, and the budget in milliseconds."""


class DatabricksSession:
    """An open session. Implements `executor.warehouse.port.Session`."""

    def __init__(
        self,
        connection: Any,
        backend: Any,
        queries: QueryHistory,
        waiting: Waiting,
        cancel_budget_s: float,
    ) -> None:
        """Made by `DatabricksWarehouse.open`. `backend` is `connection`'s, protected."""
        self._connection = connection
        self._backend = backend
        self._queries = queries
        self._waiting = waiting
        self._cancel_budget_s = cancel_budget_s
        self._settings: dict[str, str] = {}
        self._open = True

    @property
    def opened(self) -> Opened:
        return Opened(
            session_id=self._connection.get_session_id_hex(), settings=dict(self._settings)
        )

    def prepare(self, target: Target, cancel: Event) -> None:
        """Moves to catalog and schema and reads the settings. Raises `StatementError`.

        USE says clearly what is wrong with a catalog or schema; the protocol's initial namespace
        does not.
        """
        if target.catalog is not None:
            self._use(f"USE CATALOG {quote(target.catalog)}", cancel)
        if target.schema is not None:
            self._use(f"USE SCHEMA {quote(target.schema)}", cancel)
        rows: list[Row] = []
        with contextlib.suppress(StatementError):  # for information only
            rows = self._rows("SET", 200, cancel)
        for row in rows:
            name, value = row.get("key"), row.get("value")
            if isinstance(name, str) and value is not None and name.upper() in _SETTINGS:
                self._settings[name.upper()] = str(value)

    def execute(
        self, request: Request, *, submitted: Callable[[str | None], None], cancel: Event
    ) -> Result:
        """See `executor.warehouse.port.Session.execute`."""
        cursor = self._finished(request, submitted, cancel)
        query_id: str | None = cursor.query_id
        try:
            return self._result(request, cursor, query_id, cancel)
        finally:
            self._release(cursor)

    def history(self, table: str, limit: int, cancel: Event) -> list[HistoryEntry]:
        """The last `limit` commits of a table, newest first. Raises `StatementError`."""
        return [entry(row) for row in self._rows(history_query(table, limit), limit, cancel)]

    def version(self, table: str, cancel: Event) -> int | None:
        """See `executor.warehouse.port.Session.version`."""
        return newest_version(lambda name, limit: self.history(name, limit, cancel), table)

    def outcome(self, write: Write, cancel: Event, *, fenced: bool) -> Fate:
        """See `executor.warehouse.port.Session.outcome`."""
        sources = Sources(
            history=lambda name, limit: self.history(name, limit, cancel),
            queries=self._queries,
            mark=lambda: self._mark(cancel),
            fenced=fenced,
        )
        return fate_of(
            sources, write, cancel, lambda waited: self._waiting("statement_running", waited, None)
        )

    def table_facts(
        self, tables: Mapping[str, Collection[str]], cancel: Event
    ) -> Mapping[str, TableFacts]:
        """See `executor.warehouse.port.Session.table_facts`."""
        return table_facts(lambda sql, limit: self._rows(sql, limit, cancel), tables)

    def rows(self, sql: str, limit: int, cancel: Event) -> list[Row]:
        """See `executor.warehouse.port.Session.rows`."""
        return self._rows(sql, limit, cancel)

    def size(self, table: str, cancel: Event) -> TableSize:
        """See `executor.warehouse.port.Session.size`."""
        with contextlib.suppress(StatementError):
            rows = self._rows(detail_query(table), 1, cancel)
            return table_size(rows[0]) if rows else TableSize()
        return TableSize()

    def may_create(self, schema: str, cancel: Event) -> tuple[CreatePrivilege, str]:
        """See `executor.warehouse.port.Session.may_create`."""
        return may_create(lambda sql, limit: self._rows(sql, limit, cancel), schema)

    def _mark(self, cancel: Event) -> str | None:
        """Runs a statement that changes nothing; returns its id."""
        request = Request(statement="", sql="SELECT 1", kind="select", target=None)
        query_id: str | None = None
        with contextlib.suppress(StatementError):
            cursor = self._finished(request, lambda given: None, cancel)
            query_id = cursor.query_id
            self._release(cursor)
        return query_id

    def close(self) -> bool:
        """Closes the session within `CLOSE_BUDGET_S`; never raises. True if that was confirmed."""
        if not self._open:
            return True
        self._open = False
        return close_connection(self._connection)

    # --- one statement ------------------------------------------------------------------------

    def _finished(
        self, request: Request, submitted: Callable[[str | None], None], cancel: Event
    ) -> Any:
        """Runs a statement to its end and returns its cursor; the warehouse said FINISHED."""
        # Here the connector is loaded already; at the head of this module it would not be.
        from executor.warehouse.databricks import errors

        if cancel.is_set():
            raise StatementError(
                FailureFacts("DWX_STATEMENT_CANCELLED", "Cancelled before it was sent."),
                outcome="not_committed",
                evidence="the statement was never sent",
                cancelled=True,
            )
        self._backend.hurry = False
        cursor = None
        try:
            cursor = self._connection.cursor(arraysize=1)
            cursor.execute_async(request.sql, query_tags=_tags(request) or None)
        # Whatever goes wrong in the connector from here on, the statement may have been sent.
        except Exception as exc:
            raise errors.statement_error(
                exc, during="execute", kind=request.kind, query_id=cursor and cursor.query_id
            ) from exc
        submitted(cursor.query_id)
        try:
            self._poll(request, cursor, cancel)
        except StatementError as exc:
            if exc.facts.error_class not in ("DWX_CONNECTION_LOST", "DWX_CANCEL_UNCONFIRMED"):
                self._release(cursor)  # to a server that answers
            raise
        return cursor

    def _poll(self, request: Request, cursor: Any, cancel: Event) -> None:
        """Polls until the warehouse says FINISHED. Raises `StatementError` for any other end."""
        from executor.warehouse.databricks import errors

        delay = _FIRST_DELAY_S
        asked_to_stop: float | None = None
        last_answer = monotonic()
        told = -_TELL_EVERY_S
        while True:
            if asked_to_stop is None and cancel.is_set():
                asked_to_stop = monotonic()
                self._backend.hurry = True
                # a refused or lost cancel shows in the polls that follow
                with contextlib.suppress(Exception):
                    cursor.cancel()
            asked = monotonic()
            pause = delay
            try:
                state = cursor.get_query_state().value
                last_answer = monotonic()
            except Exception as exc:
                lost_for = monotonic() - last_answer
                if not errors.passing(exc) or lost_for > OUTAGE_BUDGET_S:
                    raise errors.statement_error(
                        exc, during="poll", kind=request.kind, query_id=cursor.query_id
                    ) from exc
                if asked - told >= _TELL_EVERY_S:
                    told = asked
                    self._waiting("unreachable", int(lost_for * 1000), int(OUTAGE_BUDGET_S * 1000))
                state = "RUNNING"
                pause = errors.retry_after_s(exc) or _LAST_DELAY_S
            if state == "SUCCEEDED":
                return
            if state not in ("PENDING", "RUNNING"):
                raise self._ended(request, cursor.query_id, state, asked_to_stop is not None)
            if asked_to_stop is not None:
                if monotonic() - asked_to_stop > self._cancel_budget_s - _ONE_POLL_S:
                    raise _unconfirmed(request, cursor.query_id, self._cancel_budget_s)
                _NEVER.wait(min(pause, 0.2))
            elif monotonic() - asked < _LONG_POLL_S:
                cancel.wait(pause)
                delay = min(delay * 1.5, _LAST_DELAY_S)

    def _ended(
        self, request: Request, query_id: str | None, state: str, by_us: bool
    ) -> StatementError:
        """The error for a terminal state that is neither FINISHED nor comes with a reason."""
        from databricks.sql.thrift_api.TCLIService.ttypes import TOperationState

        exact = getattr(self._backend.last_status, "operationState", None)
        if state == "CANCELLED":
            facts = FailureFacts(
                "DWX_STATEMENT_CANCELLED",
                "Cancelled as requested."
                if by_us
                else "The statement was cancelled on the warehouse, and not by this run.",
            )
            evidence = "the warehouse reports it as cancelled; it may have committed before"
        elif exact == TOperationState.TIMEDOUT_STATE:
            facts = FailureFacts(
                "DWX_STATEMENT_TIMEOUT", "The statement has timed out on the warehouse."
            )
            evidence = "the warehouse stopped it at its time limit; it may have committed before"
        else:
            facts = FailureFacts(
                None, f"The statement ended in state {state}, and the warehouse gave no reason."
            )
            evidence = "the warehouse did not say how it ended"
        outcome, evidence = end_not_seen(request.kind, evidence)
        return StatementError(
            replace(
                facts,
                query_id=query_id,
                during="poll",
                sqlstate=getattr(self._backend.last_status, "sqlState", None),
            ),
            outcome=outcome,
            evidence=evidence,
            cancelled=state == "CANCELLED",
        )

    def _result(self, request: Request, cursor: Any, query_id: str | None, cancel: Event) -> Result:
        from executor.warehouse.databricks import errors

        kind = request.kind
        if kind == "probe":
            try:
                rows = self._fetch(cursor, 2)
            except Exception as exc:
                raise errors.statement_error(
                    exc, during="fetch", kind=kind, query_id=query_id
                ) from exc
            # one row of one column, or it is no answer: a forgotten COUNT(*) must not converge
            single = len(rows) == 1 and len(cursor.description or ()) == 1
            value = whole_number(next(iter(rows[0].values()), None)) if single else None
            return Result(query_id=query_id, rows=None, value=value, metrics=None)
        if kind == "optimize":
            row = self._first_row(cursor)
            metrics = optimize_metrics(row) if row else None
            return Result(query_id=query_id, rows=None, value=None, metrics=metrics)
        counts: RowCounts | None = None
        if kind in DML or kind in AS_SELECT:
            counts = self._row_counts(request, cursor, query_id, cancel)
        return Result(query_id=query_id, rows=counts, value=None, metrics=None)

    def _row_counts(
        self, request: Request, cursor: Any, query_id: str | None, cancel: Event
    ) -> RowCounts:
        driver = whole_number(getattr(self._backend.last_status, "numModifiedRows", None))
        row = self._first_row(cursor)
        counts = row_counts(row, request.kind) if row else None
        if counts is None and driver is not None and driver >= 0 and request.kind in DML:
            counts = counted_by_driver(driver, request.kind)
        if counts is None and request.count_rows and request.target is not None:
            # The statement has succeeded; not to know its count is no failure.
            with contextlib.suppress(StatementError):
                found = commit_of(self.history(request.target, 5, cancel), query_id)
                counts = rows_committed(found) if found else None
        return counts or UNKNOWN_ROWS

    def _first_row(self, cursor: Any) -> Row | None:
        """The first row of a statement that has succeeded; a row that cannot be read is none."""
        with contextlib.suppress(Exception):
            rows = self._fetch(cursor)
            return rows[0] if rows else None
        return None

    # --- small statements of our own ----------------------------------------------------------

    def _use(self, sql: str, cancel: Event) -> None:
        request = Request(statement="", sql=sql, kind="use", target=None)
        self._release(self._finished(request, lambda query_id: None, cancel))

    def _rows(self, sql: str, limit: int, cancel: Event) -> list[Row]:
        from executor.warehouse.databricks import errors

        request = Request(statement="", sql=sql, kind="probe", target=None)
        cursor = self._finished(request, lambda query_id: None, cancel)
        try:
            return self._fetch(cursor, limit)
        except Exception as exc:
            raise errors.statement_error(
                exc, during="fetch", kind="probe", query_id=cursor.query_id
            ) from exc
        finally:
            self._release(cursor)

    # --- the connector ------------------------------------------------------------------------

    def _fetch(self, cursor: Any, limit: int = 1) -> list[Row]:
        """At most `limit` rows of a finished statement, in one request."""
        cursor.arraysize = limit
        # Not `get_async_execution_result`: it polls twice more, and carries out uploads and
        # downloads that a server may ask for.
        cursor.active_result_set = self._backend.get_execution_result(
            cursor.active_command_id, cursor
        )
        names = [str(column[0]).lower() for column in cursor.description or ()]
        rows = cursor.active_result_set.fetchmany(limit)
        return [dict(zip(names, row, strict=False)) for row in rows]

    def _release(self, cursor: Any) -> None:
        """Lets the warehouse forget the statement. Best effort: a session's end does it as well."""
        with contextlib.suppress(Exception):
            command = cursor.active_command_id
            if cursor.active_result_set is None and command is not None:
                self._backend.close_command(command)
            cursor.close()
        with contextlib.suppress(AttributeError, ValueError):
            self._connection._cursors.remove(cursor)  # it would keep every cursor of the run


def _tags(request: Request) -> dict[str, str]:
    """At most 20 tags of at most 128 characters: the warehouse refuses more."""
    return {name: value[:128] for name, value in list(request.tags.items())[:20]}


def _unconfirmed(request: Request, query_id: str | None, budget_s: float) -> StatementError:
    outcome, evidence = end_not_seen(request.kind, "the end of the statement was not seen")
    return StatementError(
        FailureFacts(
            "DWX_CANCEL_UNCONFIRMED",
            f"Cancelled, but the warehouse has not confirmed it within {budget_s:.0f} s; "
            "the statement may still be running.",
            query_id=query_id,
            during="poll",
        ),
        outcome=outcome,
        evidence=evidence,
    )


def close_connection(connection: Any) -> bool:
    """Closes a connection, in a thread that may have to be left behind. True if the warehouse has
    said that the session is closed, or that it knows no such session.
    """
    confirmed = Event()

    def run() -> None:
        session = connection.session
        with contextlib.suppress(Exception):
            try:
                session.backend.close_session(session._session_id)
                confirmed.set()
            except Exception as exc:
                if "Invalid SessionHandle" in str(exc) or "is closed" in str(exc):
                    confirmed.set()
                raise
            finally:
                session.is_open = False  # or the connector would send it once more
                connection.close()

    thread = Thread(target=run, name="dwx-close", daemon=True)
    thread.start()
    thread.join(CLOSE_BUDGET_S)
    return confirmed.is_set()
