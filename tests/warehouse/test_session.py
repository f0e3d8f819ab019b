"""A session on the wire: what it sends, in which order, and what it makes of the answers."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import pytest

from executor.core.failures import classify
from executor.warehouse.databricks.auth import Credentials, Target
from executor.warehouse.databricks.session import DatabricksSession
from executor.warehouse.databricks.warehouse import DatabricksWarehouse
from executor.warehouse.port import (
    ConnectError,
    Request,
    Result,
    Session,
    StatementError,
    Warehouse,
)
from protocol.events import RowCounts, StatementKind
from tests.warehouse.endpoint import (
    CANCELED,
    CLOSED,
    FAILED,
    FINISHED,
    RUNNING,
    TIMED_OUT,
    TOKEN,
    Answer,
    Endpoint,
    Fault,
    running,
)

INSERT = "INSERT INTO c.s.t SELECT 1"
HISTORY = "DESCRIBE HISTORY `c`.`s`.`t` LIMIT 5"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running(Endpoint()) as served:
        yield served


@pytest.fixture
def session(endpoint: Endpoint) -> Iterator[DatabricksSession]:
    opened = warehouse(endpoint).open(Event())
    endpoint.requests.clear()
    endpoint.executed.clear()
    endpoint.fetched_rows.clear()
    endpoint.query_ids.clear()
    endpoint.polled.clear()
    yield opened
    opened.close()


def warehouse(
    endpoint: Endpoint,
    *,
    catalog: str | None = None,
    schema: str | None = None,
    credentials: Credentials | None = None,
    start_budget_s: float = 60.0,
    cancel_budget_s: float = 10.0,
    statement_timeout_s: int | None = None,
    waiting: Callable[..., None] | None = None,
) -> DatabricksWarehouse:
    return DatabricksWarehouse(
        Target("127.0.0.1", "/sql/1.0/warehouses/test", catalog, schema),
        credentials or Credentials("pat", TOKEN),
        start_budget_s=start_budget_s,
        cancel_budget_s=cancel_budget_s,
        statement_timeout_s=statement_timeout_s,
        uri=endpoint.uri,
        waiting=waiting,
    )


def request(
    sql: str = INSERT,
    kind: StatementKind = "insert",
    *,
    target: str | None = "c.s.t",
    count_rows: bool = True,
    tags: dict[str, str] | None = None,
) -> Request:
    return Request("f1.s1", sql, kind, target, tags or {}, count_rows)


def run(session: Session, wanted: Request, cancel: Event | None = None) -> Result:
    return session.execute(wanted, submitted=lambda query_id: None, cancel=cancel or Event())


def failure(session: Session, wanted: Request) -> StatementError:
    with pytest.raises(StatementError) as caught:
        run(session, wanted)
    return caught.value


# --- a statement that goes well ---------------------------------------------------------------


def test_the_query_id_is_told_before_the_first_poll(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    told: list[tuple[str | None, bool]] = []
    session.execute(
        request(),
        submitted=lambda query_id: told.append((query_id, endpoint.polled.is_set())),
        cancel=Event(),
    )
    assert told == [(endpoint.query_ids[0], False)]


def test_row_counts_come_from_the_result_by_column_name(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(
        columns=("num_inserted_rows", "something_new", "num_affected_rows"), rows=((7, 1, 7),)
    )
    rows = run(session, request()).rows
    assert rows == RowCounts(total=7, inserted=7, source="result")


def test_row_counts_of_merge_name_each_kind_of_change(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    columns = ("num_affected_rows", "num_updated_rows", "num_deleted_rows", "num_inserted_rows")
    endpoint.answers["MERGE"] = Answer(columns=columns, rows=((6, 1, 2, 3),))
    rows = run(session, request("MERGE", "merge")).rows
    assert rows == RowCounts(total=6, inserted=3, updated=1, deleted=2, source="result")


def test_without_a_result_row_the_protocol_s_own_count_is_taken(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers["DELETE"] = Answer(modified=4)
    rows = run(session, request("DELETE", "delete")).rows
    assert rows == RowCounts(total=4, deleted=4, source="driver")


def test_rows_of_a_table_made_from_a_query_come_from_its_history(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    result = run_with_history(endpoint, session, same_statement=True)
    assert result.rows == RowCounts(total=42, inserted=42, source="history")


def run_with_history(
    endpoint: Endpoint, session: DatabricksSession, *, same_statement: bool
) -> Result:
    def submitted(query_id: str | None) -> None:
        known = query_id if same_statement else "00000000-0000-0000-0000-000000000000"
        endpoint.answers[HISTORY] = Answer(
            columns=("version", "operation", "operationMetrics", "queryHistoryStatementId"),
            rows=((3, "CREATE TABLE AS SELECT", '{"numOutputRows": "42"}', known),),
        )

    return session.execute(request("CTAS", "create_as"), submitted=submitted, cancel=Event())


def test_the_history_of_another_statement_counts_nothing(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    result = run_with_history(endpoint, session, same_statement=False)
    assert result.rows == RowCounts(total=None, source="unknown")


def test_a_history_that_cannot_be_read_fails_no_statement(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[HISTORY] = Answer(states=(FAILED,), error="[DELTA_TABLE_NOT_FOUND] gone")
    result = run(session, request("CTAS", "create_as"))
    assert result.rows == RowCounts(source="unknown")


def test_the_history_is_left_alone_where_rows_need_not_be_counted(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    run(session, request("CTAS", "create_as", count_rows=False))
    assert endpoint.executed == ["CTAS"]


def test_a_result_that_cannot_be_read_fails_no_write(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(unreadable=True)
    assert run(session, request(count_rows=False)).rows == RowCounts(source="unknown")


def test_the_result_of_a_select_is_not_fetched(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers["SELECT"] = Answer(columns=("a",), rows=((1,), (2,)))
    assert run(session, request("SELECT", "select")).rows is None
    assert endpoint.fetched_rows == []


@pytest.mark.parametrize(
    ("columns", "rows", "value"),
    [
        (("n",), ((12,),), 12),
        (("n",), ((12,), (13,), (14,)), None),
        (("n", "m"), ((12, 5),), None),
    ],
)
def test_a_probe_is_one_row_of_one_column_and_no_more_than_two_rows_are_fetched(
    endpoint: Endpoint,
    session: DatabricksSession,
    columns: tuple[str, ...],
    rows: tuple[tuple[object, ...], ...],
    value: int | None,
) -> None:
    endpoint.answers["SELECT"] = Answer(columns=columns, rows=rows)
    assert run(session, request("SELECT", "probe")).value == value
    assert endpoint.fetched_rows == [2]


@pytest.mark.parametrize(("cell", "value"), [(None, None), ("7", 7), ("seven", None), (-3, -3)])
def test_a_probe_gives_an_integer_or_nothing(
    endpoint: Endpoint, session: DatabricksSession, cell: object, value: int | None
) -> None:
    endpoint.answers["SELECT"] = Answer(columns=("n",), rows=((cell,),))
    assert run(session, request("SELECT", "probe")).value == value


def test_a_probe_without_rows_gives_nothing(endpoint: Endpoint, session: DatabricksSession) -> None:
    endpoint.answers["SELECT"] = Answer(columns=("n",))
    assert run(session, request("SELECT", "probe")).value is None


def test_a_probe_that_cannot_be_read_has_failed(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers["SELECT"] = Answer(unreadable=True)
    caught = failure(session, request("SELECT", "probe"))
    assert caught.outcome == "not_committed"
    assert caught.facts.during == "fetch"


def test_optimize_reports_files_and_bytes(endpoint: Endpoint, session: DatabricksSession) -> None:
    metrics = (
        '{"numFilesAdded": 1, "numFilesRemoved": 9, '
        '"filesAdded": {"totalSize": 500}, "filesRemoved": {"totalSize": 900}}'
    )
    endpoint.answers["OPTIMIZE"] = Answer(columns=("path", "metrics"), rows=(("p", metrics),))
    found = run(session, request("OPTIMIZE", "optimize")).metrics
    assert found is not None
    assert (found.files_added, found.files_removed) == (1, 9)
    assert (found.bytes_added, found.bytes_removed) == (500, 900)


def test_every_statement_is_released_on_the_warehouse(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    run(session, request("USE", "use"))
    run(session, request(count_rows=False))
    assert endpoint.requests.count("CloseOperation") == 2
    assert session._connection._cursors == []


def test_query_tags_go_with_the_statement(endpoint: Endpoint, session: DatabricksSession) -> None:
    run(session, request("USE", "use", tags={"run": "r-1", "statement": "f1.s1"}))
    assert endpoint.tags[-1] == "run:r-1,statement:f1.s1"


# --- a statement that does not -------------------------------------------------------------------


def test_a_statement_the_warehouse_reports_as_failed_has_not_committed(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    text = "[TABLE_OR_VIEW_NOT_FOUND] No table `x`. SQLSTATE: 42P01; line 2 pos 14"
    endpoint.answers[INSERT] = Answer(states=(RUNNING, FAILED), error=text, stack="java.lang.X")
    caught = failure(session, request())
    assert caught.outcome == "not_committed"
    assert not caught.cancelled
    facts = caught.facts
    assert (facts.error_class, facts.sqlstate) == ("TABLE_OR_VIEW_NOT_FOUND", "42P01")
    assert (facts.line, facts.position) == (2, 15)
    assert facts.query_id == endpoint.query_ids[0]
    assert "java" not in facts.message


def test_a_stage_failure_is_known_by_what_caused_it(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    stack = "org.apache.X: Job aborted\n\tat a.b(C.java:1)\nCaused by: Y: [DIVIDE_BY_ZERO] Division"
    endpoint.answers[INSERT] = Answer(
        states=(FAILED,), error="Job aborted due to stage failure: Task 1", stack=stack
    )
    facts = failure(session, request()).facts
    assert facts.error_class == "DIVIDE_BY_ZERO"
    assert facts.cause == "Y: [DIVIDE_BY_ZERO] Division"
    assert facts.stack == stack


def test_a_statement_the_warehouse_refuses_has_not_committed(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(refused="[PARSE_SYNTAX_ERROR] no. SQLSTATE: 42601")
    caught = failure(session, request())
    assert caught.outcome == "not_committed"
    assert caught.facts.error_class == "PARSE_SYNTAX_ERROR"


def test_a_statement_cancelled_on_the_warehouse_is_no_success(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(states=(RUNNING, CANCELED))
    caught = failure(session, request())
    assert caught.cancelled
    assert caught.outcome == "unknown"
    assert "not by this run" in caught.facts.message
    assert classify(caught.facts).category == "cancelled"


def test_a_statement_that_timed_out_on_the_warehouse_is_no_success(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(states=(TIMED_OUT,))
    caught = failure(session, request())
    assert caught.outcome == "unknown"
    assert classify(caught.facts).category == "timeout"


def test_a_statement_closed_under_us_has_an_unknown_outcome(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(states=(RUNNING, CLOSED))
    caught = failure(session, request())
    assert caught.outcome == "unknown"
    assert classify(caught.facts).category == "handle_lost"


@pytest.mark.parametrize("kind", ["select", "probe", "use", "set"])
def test_what_writes_nothing_has_not_committed_however_it_ends(
    endpoint: Endpoint, session: DatabricksSession, kind: StatementKind
) -> None:
    endpoint.answers["READ"] = Answer(states=(CANCELED,))
    assert failure(session, request("READ", kind)).outcome == "not_committed"


def test_a_connection_that_breaks_after_a_write_was_sent_leaves_its_outcome_unknown(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.faults.append(Fault())
    caught = failure(session, request())
    assert caught.outcome == "unknown"
    assert endpoint.executed == [INSERT]
    assert classify(caught.facts).category == "transport_ambiguous"


def test_a_503_that_does_not_say_when_to_come_back_leaves_the_outcome_unknown(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.faults.append(Fault(status=503))
    caught = failure(session, request())
    assert caught.outcome == "unknown"
    assert endpoint.executed == [INSERT]


def test_a_throttled_statement_says_when_to_come_back_and_is_not_believed_to_be_unexecuted(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.faults.append(Fault(status=429, headers={"Retry-After": "3"}, execute=False))
    caught = failure(session, request())
    assert caught.outcome == "unknown"
    assert caught.facts.retry_after_s == 3.0
    assert classify(caught.facts).category == "throttled"


def test_polls_go_on_after_a_broken_connection(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(
        states=(RUNNING, FINISHED), columns=("num_affected_rows",), rows=((1,),)
    )
    endpoint.poll_faults.extend([Fault(execute=False), Fault(status=503, execute=False)])
    rows = run(session, request()).rows
    assert rows is not None
    assert rows.total == 1
    assert endpoint.executed == [INSERT]


def test_a_session_that_is_gone_is_recognised(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(refused="Invalid SessionHandle: SessionHandle [0-1]")
    caught = failure(session, request())
    assert caught.outcome == "not_committed"
    assert classify(caught.facts).category == "session_lost"


# --- cancelling -----------------------------------------------------------------------------------


def set_once_polled(endpoint: Endpoint, cancel: Event) -> None:
    """Cancels as soon as the statement is under way."""
    endpoint.polled.clear()

    def run() -> None:
        endpoint.polled.wait(10)
        cancel.set()

    Thread(target=run, daemon=True).start()


def test_cancel_reaches_the_warehouse_and_its_terminal_state_is_seen(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(states=(RUNNING,))
    cancel = Event()
    set_once_polled(endpoint, cancel)
    with pytest.raises(StatementError) as caught:
        run(session, request(), cancel)
    assert caught.value.cancelled
    assert caught.value.outcome == "unknown"
    after = endpoint.requests[endpoint.requests.index("CancelOperation") :]
    assert "GetOperationStatus" in after


def test_a_statement_that_finishes_in_spite_of_cancel_has_finished(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    endpoint.answers[INSERT] = Answer(
        states=(RUNNING,), cancels_to=FINISHED, columns=("num_affected_rows",), rows=((5,),)
    )
    cancel = Event()
    set_once_polled(endpoint, cancel)
    rows = run(session, request(), cancel).rows
    assert rows is not None
    assert rows.total == 5


def test_a_cancel_nobody_confirms_is_given_up(
    endpoint: Endpoint,
) -> None:
    session = warehouse(endpoint, cancel_budget_s=0.3).open(Event())
    endpoint.answers[INSERT] = Answer(states=(RUNNING,), cancels_to=None)
    cancel = Event()
    set_once_polled(endpoint, cancel)
    with pytest.raises(StatementError) as caught:
        run(session, request(), cancel)
    assert caught.value.outcome == "unknown"
    assert not caught.value.cancelled
    assert caught.value.facts.error_class == "DWX_CANCEL_UNCONFIRMED"
    session.close()


def test_a_statement_cancelled_before_it_is_sent_is_never_sent(
    endpoint: Endpoint, session: DatabricksSession
) -> None:
    cancel = Event()
    cancel.set()
    with pytest.raises(StatementError) as caught:
        run(session, request(), cancel)
    assert caught.value.outcome == "not_committed"
    assert endpoint.executed == []


# --- opening --------------------------------------------------------------------------------------


def refused(opening: Warehouse, cancel: Event | None = None) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        opening.open(cancel or Event())
    return caught.value


def test_a_session_starts_in_its_catalog_and_schema(endpoint: Endpoint) -> None:
    session = warehouse(endpoint, catalog="my`cat", schema="s").open(Event())
    assert endpoint.executed[:2] == ["USE CATALOG `my``cat`", "USE SCHEMA `s`"]
    session.close()
    assert endpoint.requests[-1] == "CloseSession"


def test_a_session_reports_its_settings(endpoint: Endpoint) -> None:
    endpoint.answers["SET"] = Answer(
        columns=("key", "value"), rows=(("ansi_mode", "true"), ("secret.thing", "x"))
    )
    session = warehouse(endpoint).open(Event())
    assert session.opened.settings == {"ANSI_MODE": "true"}
    assert session.opened.session_id
    session.close()


def test_a_session_asks_for_utc_and_for_the_time_limit(endpoint: Endpoint) -> None:
    warehouse(endpoint, statement_timeout_s=600).open(Event()).close()
    settings = endpoint.session_settings[0]
    assert settings["TIMEZONE"] == "UTC"
    assert settings["STATEMENT_TIMEOUT"] == "600"


def test_a_warehouse_that_refuses_the_time_zone_is_used_without(endpoint: Endpoint) -> None:
    endpoint.refuse_setting = "TIMEZONE"
    warehouse(endpoint).open(Event()).close()
    assert "TIMEZONE" not in endpoint.session_settings[-1]


def test_a_wrong_token_is_named_as_such(endpoint: Endpoint) -> None:
    caught = refused(warehouse(endpoint, credentials=Credentials("pat", "wrong")))
    assert caught.facts.http_status == 401
    assert classify(caught.facts).category == "auth"
    assert "wrong" not in caught.facts.message


def test_without_a_token_nothing_is_sent(endpoint: Endpoint) -> None:
    caught = refused(warehouse(endpoint, credentials=Credentials("pat")))
    assert caught.facts.error_class == "DWX_NO_CREDENTIALS"
    assert endpoint.requests == []


def test_a_catalog_that_does_not_exist_is_named_as_such(endpoint: Endpoint) -> None:
    text = "[NO_SUCH_CATALOG_EXCEPTION] Catalog 'nope' was not found. SQLSTATE: 42704"
    endpoint.answers["USE CATALOG `nope`"] = Answer(states=(FAILED,), error=text)
    caught = refused(warehouse(endpoint, catalog="nope"))
    assert classify(caught.facts).category == "missing_namespace"
    assert endpoint.requests[-1] == "CloseSession"


def test_a_warehouse_that_starts_is_waited_for(endpoint: Endpoint) -> None:
    waits: list[Any] = []
    endpoint.open_faults.append(Fault(status=503, execute=False))
    warehouse(endpoint, waiting=lambda *told: waits.append(told)).open(Event()).close()
    assert [(reason, budget) for reason, _, budget in waits] == [("warehouse_starting", 60_000)]


def test_a_warehouse_that_never_starts_is_given_up(endpoint: Endpoint) -> None:
    endpoint.open_faults.append(Fault(status=503, execute=False))
    caught = refused(warehouse(endpoint, start_budget_s=1.0))
    assert caught.facts.error_class == "DWX_START_TIMEOUT"
    assert classify(caught.facts).category == "warehouse_failed"


def test_waiting_for_a_warehouse_can_be_cancelled(endpoint: Endpoint) -> None:
    cancel = Event()
    endpoint.open_faults.append(Fault(status=503, execute=False))
    caught = refused(warehouse(endpoint, waiting=lambda *told: cancel.set()), cancel)
    assert caught.facts.error_class == "DWX_CANCELLED"


def test_a_closed_port_is_named_as_such() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    caught = refused(
        DatabricksWarehouse(
            Target("127.0.0.1", "/x"), Credentials("pat", TOKEN), uri=f"http://127.0.0.1:{port}/x"
        )
    )
    assert caught.facts.error_class == "DWX_CONNECTION_REFUSED"


def test_a_host_that_does_not_exist_is_named_as_such() -> None:
    caught = refused(
        DatabricksWarehouse(Target("no-such-host.invalid", "/x"), Credentials("pat", TOKEN))
    )
    assert caught.facts.error_class == "DWX_HOST_UNKNOWN"


def test_a_server_without_tls_is_named_as_such(endpoint: Endpoint) -> None:
    caught = refused(
        DatabricksWarehouse(
            Target("localhost", "/x"),
            Credentials("pat", TOKEN),
            uri=f"https://127.0.0.1:{endpoint.port}/x",
        )
    )
    assert caught.facts.error_class == "DWX_TLS_FAILED"


def test_a_process_that_connects_prints_nothing_and_loads_the_connector_late(
    endpoint: Endpoint,
) -> None:
    program = f"""
import sys
from threading import Event
from executor.warehouse.databricks.auth import Credentials, Target
from executor.warehouse.databricks.warehouse import DatabricksWarehouse
assert not any(name.split(".")[0] in ("databricks", "urllib3", "pandas") for name in sys.modules)
target = Target("127.0.0.1", "/sql/1.0/warehouses/test")
session = DatabricksWarehouse(target, Credentials("pat", {TOKEN!r}), uri={endpoint.uri!r})
session.open(Event())  # and never closed: the process ends all the same
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_closing_twice_and_closing_a_session_whose_server_is_gone_raises_nothing() -> None:
    with running(Endpoint()) as endpoint:
        session = warehouse(endpoint).open(Event())
    session.close()
    session.close()
