"""What goes wrong on purpose, seen by the real connector: first as it comes, then through dwx."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3
from databricks.sql.backend.types import CommandState
from databricks.sql.exc import DatabaseError, Error, RequestError, ServerOperationError
from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer
from urllib3.exceptions import HTTPError

from executor.core.failures import classify
from executor.local.faults import Fault, FaultError, Faults, Tls
from executor.local.faultspec import parse
from executor.local.service import LocalWarehouse
from executor.warehouse.databricks.auth import Credentials, Target
from executor.warehouse.databricks.safe_retry import protect
from executor.warehouse.databricks.session import DatabricksSession
from executor.warehouse.databricks.warehouse import DatabricksWarehouse
from executor.warehouse.port import ConnectError, Request, StatementError
from tests.local.client import connect

Arm = Callable[[str], Fault]
Run = Callable[..., list[tuple[Any, ...]]]
Post = Callable[[], Any]
OVER = (CommandState.SUCCEEDED, CommandState.FAILED, CommandState.CANCELLED)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def arm(shared: LocalWarehouse) -> Iterator[Arm]:
    def add(spec: str) -> Fault:
        fault = parse(spec)
        shared.faults.add(fault)
        return fault

    yield add
    shared.faults.clear()


@pytest.fixture
def t(run: Run) -> str:
    """A table with one row."""
    run("CREATE TABLE t (a INT)")
    run("INSERT INTO t VALUES (0)")
    return "t"


def insert(connection: Any, sql: str = "INSERT INTO t VALUES (1)", **tags: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, query_tags=tags or None)


def open_by_hand(warehouse: LocalWarehouse) -> Any:
    """The HTTP answer to OpenSession; the connector would hide its headers, and ask again."""
    sink = TMemoryBuffer()
    TCLIService.Client(TBinaryProtocol(sink)).send_OpenSession(ttypes.TOpenSessionReq())
    return urllib3.request(
        "POST",
        warehouse.uri,
        body=sink.getvalue(),
        headers={"Authorization": f"Bearer {warehouse.token}"},
        retries=False,
    )


@pytest.fixture
def post(shared: LocalWarehouse) -> Post:
    return lambda: open_by_hand(shared)


def count(run: Run) -> int:
    return int(run("SELECT COUNT(*) FROM t")[0][0])


def until(holds: Callable[[], bool]) -> None:
    """For what the server does when nobody is told: asks again until it holds."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end


def other(shared: LocalWarehouse, schema: str) -> Any:
    """A connection of its own that sends everything once."""
    opened = connect(shared, catalog="main", schema=schema)
    protect(opened)
    return closing(opened)


@pytest.fixture
def connection(shared: LocalWarehouse, schema: str) -> Iterator[Any]:
    """Sends everything once: what the connector makes of a fault by itself is a test of its own."""
    with other(shared, schema) as opened:
        yield opened


# --- connections that break -------------------------------------------------------------------


def test_a_connection_dropped_before_executing_leaves_nothing(
    connection: Any, run: Run, arm: Arm, t: str
) -> None:
    arm("drop-before-execute,table=t")
    with pytest.raises(HTTPError):
        insert(connection)
    assert count(run) == 1


def test_a_connection_dropped_after_executing_leaves_the_rows(
    connection: Any, run: Run, arm: Arm, t: str
) -> None:
    arm("drop-after-execute,sql=^INSERT")
    with pytest.raises(HTTPError):
        insert(connection)
    assert count(run) == 2


def test_the_connector_left_to_itself_writes_twice_after_one_drop(
    shared: LocalWarehouse, schema: str, run: Run, arm: Arm, t: str
) -> None:
    fault = arm("drop-after-execute,table=t")
    with connect(shared, catalog="main", schema=schema, _retry_delay_min=0.1) as connection:
        insert(connection)
    assert shared.faults.times(fault) == 1
    assert count(run) == 3


def test_a_statement_goes_on_after_its_connection_and_its_session_are_gone(
    shared: LocalWarehouse, schema: str, run: Run, arm: Arm, t: str
) -> None:
    arm("drop-during-execute,table=t")
    arm("slow-start,seconds=0.3,table=t")
    with other(shared, schema) as connection:
        with pytest.raises(HTTPError):
            insert(connection)
        assert count(run) == 1
    until(lambda: count(run) == 2)


def test_a_drop_during_a_poll_hides_a_statement_that_commits(
    connection: Any, run: Run, arm: Arm, t: str, shared: LocalWarehouse
) -> None:
    fault = arm("drop-before-poll,statement=f1.s2")
    with connection.cursor() as cursor:
        cursor.execute_async("INSERT INTO t VALUES (1)", query_tags={"statement": "f1.s2"})
        with pytest.raises((HTTPError, Error)):
            cursor.get_query_state()
        assert shared.faults.times(fault) == 1
        while cursor.get_query_state() not in OVER:
            pass
    assert count(run) == 2


@pytest.mark.parametrize("spec", ["drop-before-fetch", "drop-after-fetch", "truncate-fetch"])
def test_a_fetch_that_breaks_off_is_an_error_not_a_short_result(
    connection: Any, arm: Arm, spec: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM range(250000)")
        arm(spec)
        with pytest.raises((HTTPError, Error)):
            cursor.fetchall()


@pytest.mark.parametrize("spec", ["truncate-execute", "garbage-execute"])
def test_a_reply_that_cannot_be_read_hides_a_statement_that_committed(
    connection: Any, run: Run, arm: Arm, t: str, spec: str
) -> None:
    arm(f"{spec},table=t")
    with pytest.raises(Exception):  # noqa: B017 - the connector lets all kinds through
        insert(connection)
    assert count(run) == 2


# --- answers below Thrift ---------------------------------------------------------------------


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize(
    "spec", ["http-429", "http-429,retry-after=1", "http-503", "http-503,retry-after=1",
             "http-502", "http-504", "http-401", "http-403", "http-404"],
)  # fmt: skip
def test_an_http_status_says_nothing_of_what_was_executed(
    connection: Any, run: Run, arm: Arm, t: str, spec: str, executed: bool
) -> None:
    arm(f"{spec},table=t,executed={'yes' if executed else 'no'}")
    with pytest.raises((Error, HTTPError)) as caught:
        insert(connection)
    assert count(run) == (2 if executed else 1)
    if isinstance(caught.value, RequestError):
        assert caught.value.context["http-code"] == int(spec[5:8])


def test_retry_after_is_sent_where_it_is_asked_for(post: Post, arm: Arm) -> None:
    arm("http-503-open,retry-after=7")
    arm("http-429-open")
    assert post().headers["Retry-After"] == "7"
    answer = post()
    assert (answer.status, answer.headers.get("Retry-After")) == (429, None)
    assert post().status == 200


# --- sessions and handles that are gone -------------------------------------------------------

SPELLINGS = {
    "handle": (DatabaseError, r"Invalid SessionHandle: SessionHandle \["),
    "closed": (RequestError, r"BAD_REQUEST: Invalid SessionHandle: Session \[.*\] is closed\."),
    "not-found": (DatabaseError, r"\[INVALID_HANDLE\.SESSION_NOT_FOUND\].*SQLSTATE: HY000"),
    "uninitialized": (DatabaseError, "has not been initialized or had already closed"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_lost_session_is_gone_for_good_and_says_so_in_four_ways(
    shared: LocalWarehouse, schema: str, run: Run, arm: Arm, t: str, spelling: str
) -> None:
    kind, text = SPELLINGS[spelling]
    with other(shared, schema) as connection:
        insert(connection, "CREATE TEMPORARY VIEW v AS SELECT 1")
        arm(f"session-lost,spelling={spelling},table=t")
        with pytest.raises(kind, match=text):
            insert(connection)
        shared.faults.clear()
        for sql in ("SELECT * FROM v", "SELECT 1"):
            with pytest.raises(kind, match=text):
                insert(connection, sql)
    assert count(run) == 1


@pytest.mark.parametrize(("running", "rows"), [("goes-on", 2), ("cancelled", 1)])
def test_what_runs_in_a_lost_session_goes_on_or_is_cancelled(
    shared: LocalWarehouse, schema: str, run: Run, arm: Arm, t: str, running: str, rows: int
) -> None:
    arm("slow-start,seconds=0.3,table=t")
    arm(f"session-lost-poll,running={running},table=t")
    with other(shared, schema) as connection, connection.cursor() as cursor:
        cursor.execute_async("INSERT INTO t VALUES (1)")
        for _ in range(2):
            with pytest.raises(DatabaseError, match="Invalid SessionHandle"):
                cursor.get_query_state()
    workers = [one for one in threading.enumerate() if one.name.startswith("dwx-statement")]
    for worker in workers:
        worker.join(30)
    assert count(run) == rows


def test_a_lost_handle_hides_a_statement_that_goes_on(
    connection: Any, run: Run, arm: Arm, t: str
) -> None:
    arm("slow-start,seconds=0.2,table=t")
    arm("handle-lost-poll,table=t")
    with connection.cursor() as cursor:
        cursor.execute_async("INSERT INTO t VALUES (1)")
        for _ in range(2):
            with pytest.raises(RequestError) as caught:
                cursor.get_query_state()
            assert caught.value.context["http-code"] == 404
            assert "RESOURCE_DOES_NOT_EXIST" in caught.value.context["error-message"]
    until(lambda: count(run) == 2)


# --- statements that the server ends, or does not end -----------------------------------------


@pytest.mark.parametrize(("committed", "rows"), [("no", 1), ("yes", 2)])
@pytest.mark.parametrize(
    ("kind", "state"),
    [("cancelled", CommandState.CANCELLED), ("timed-out", CommandState.FAILED)],
)
def test_a_statement_stopped_by_the_server_may_have_committed(
    connection: Any,
    run: Run,
    arm: Arm,
    t: str,
    kind: str,
    state: CommandState,
    committed: str,
    rows: int,
) -> None:
    arm(f"{kind},committed={committed},table=t")
    with connection.cursor() as cursor:
        cursor.execute_async("INSERT INTO t VALUES (1)")
        while (seen := cursor.get_query_state()) not in OVER:
            pass
        assert seen is state
    assert count(run) == rows


def test_an_error_of_the_server_is_in_the_words_given_and_nothing_is_executed(
    connection: Any, run: Run, arm: Arm, t: str
) -> None:
    text = "[DELTA_CONCURRENT_APPEND] Files were added, by another. SQLSTATE: 2D521"
    arm(f'error,table=t,text="{text}"')
    with pytest.raises(ServerOperationError) as caught:
        insert(connection)
    assert str(caught.value) == text
    assert count(run) == 1
    insert(connection)
    assert count(run) == 2


def test_a_call_refused_in_thrift_is_in_the_words_given(shared: LocalWarehouse, arm: Arm) -> None:
    arm('refuse-open,text="[CONFIG_NOT_AVAILABLE] No."')
    with pytest.raises(DatabaseError, match=r"\[CONFIG_NOT_AVAILABLE\] No\."):
        connect(shared)


def test_a_slow_start_begins_late_and_a_slow_end_commits_before_it_is_told(
    shared: LocalWarehouse, connection: Any, run: Run, arm: Arm, schema: str, t: str
) -> None:
    arm("slow-end,seconds=60,table=t")
    with other(shared, schema) as aside, aside.cursor() as cursor:
        cursor.execute_async("INSERT INTO t VALUES (1)")
        until(lambda: count(run) == 2)
        assert not shared.engine._closed
        cursor.cancel()  # too late for the commit, not for the wait
        while (seen := cursor.get_query_state()) not in OVER:
            pass
        assert seen is CommandState.SUCCEEDED


def test_a_hanging_call_ends_with_the_patience_of_its_client(
    shared: LocalWarehouse, schema: str, run: Run, arm: Arm, t: str
) -> None:
    arm("hang,executed=yes,table=t")
    with other(shared, schema) as connection:
        connection.session.backend.hurry = True
        with pytest.raises(HTTPError):
            insert(connection)
    until(lambda: count(run) == 2)


def test_a_hanging_call_ends_with_the_warehouse() -> None:
    fault = parse("hang-open")
    with LocalWarehouse(faults=[fault]) as warehouse:
        failed: list[HTTPError] = []

        def opening() -> None:
            try:
                open_by_hand(warehouse)
            except HTTPError as exc:
                failed.append(exc)

        thread = threading.Thread(target=opening)
        thread.start()
        assert warehouse.faults.wait(fault)
    thread.join(30)
    assert len(failed) == 1


def test_a_delayed_answer_comes_whole(connection: Any, run: Run, arm: Arm, t: str) -> None:
    arm("delay-execute,seconds=0.1,table=t")
    insert(connection)
    assert count(run) == 2


# --- warehouses that start, and that are not who they say -------------------------------------


def test_a_starting_warehouse_refuses_until_it_is_there(post: Post, arm: Arm) -> None:
    arm("starting,seconds=0.2,retry-after=3")
    answer = post()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
    assert "TEMPORARILY_UNAVAILABLE" in answer.headers["x-thriftserver-error-message"]
    until(lambda: bool(post().status == 200))


def test_a_starting_warehouse_may_open_sessions_and_execute_nothing(
    shared: LocalWarehouse, schema: str, arm: Arm
) -> None:
    starting = arm("starting,seconds=1000,opens=yes")
    with other(shared, schema) as connection:
        with pytest.raises((Error, HTTPError)):
            insert(connection, "SELECT 1")
        shared.faults.remove(starting)
        insert(connection, "SELECT 1")


@pytest.mark.parametrize(
    ("certificate", "trusted", "text"),
    [
        ("self-signed", False, "CERTIFICATE_VERIFY_FAILED"),
        ("wrong-host", True, "IP address mismatch"),
        ("self-signed", True, None),
    ],
)
def test_a_wrong_certificate_is_refused_by_the_client(
    tmp_path: Path, certificate: str, trusted: bool, text: str | None
) -> None:
    with LocalWarehouse(
        tmp_path / "w", faults=[parse(f"tls,certificate={certificate}")]
    ) as warehouse:
        keep = str(warehouse.engine.path / "certificate.pem")
        more = {"_tls_trusted_ca_file": keep} if trusted else {}
        if text is None:
            connect(warehouse, **more).close()
        else:
            with pytest.raises((Error, HTTPError), match=text):
                connect(warehouse, **more)
        with pytest.raises(FaultError, match="TLS"):
            warehouse.faults.add(Fault(Tls()))


# --- which, how often, and what was struck ----------------------------------------------------


def test_a_fault_chooses_its_statement_by_tag_file_text_or_table(
    connection: Any, run: Run, arm: Arm, t: str
) -> None:
    for choice, sql, tags in (
        ("statement=f1.s2", "INSERT INTO t VALUES (1)", {"statement": "f1.s2"}),
        (r'file="a,b:c\\.sql"', "INSERT INTO t VALUES (1)", {"file": "a,b:c\\.sql"}),
        ("sql=values", "INSERT INTO t VALUES (1)", {"statement": "f9.s9"}),
        (f"table={connection_schema(run)}.T", "DELETE FROM t WHERE a = 1", {}),
    ):
        arm(f"drop-before,{choice}")
        insert(connection, "SELECT 1", statement="f1.s1", file="x.sql")
        with pytest.raises(HTTPError):
            insert(connection, sql, **tags)


def connection_schema(run: Run) -> str:
    return str(run("SELECT current_schema()")[0][0])


def test_skip_every_and_count_say_when(connection: Any, shared: LocalWarehouse, arm: Arm) -> None:
    fault = arm("error,sql=SELECT 7,skip=1,every=2,count=2,text=no")
    failed = []
    for number in range(8):
        try:
            insert(connection, "SELECT 7")
        except ServerOperationError:
            failed.append(number)
    assert failed == [1, 3]
    assert shared.faults.times(fault) == 2


def test_chance_is_the_same_for_the_same_seed() -> None:
    def struck(seed: int) -> list[int]:
        fault = parse(f"http-503,chance=0.5,count=always,seed={seed}")
        faults = Faults([fault])
        return [n for n in range(64) if faults.strike(object, "execute", None)]

    assert struck(1) == struck(1) != struck(2)
    assert 0 < len(struck(1)) < 64


def test_what_was_struck_is_told(connection: Any, shared: LocalWarehouse, arm: Arm, t: str) -> None:
    fault = arm("drop-before-execute,table=t,count=2")
    before = len(shared.faults.fired)
    for _ in range(2):
        with pytest.raises(HTTPError):
            insert(connection, statement="f1.s2")
    struck = shared.faults.fired[before:]
    assert [(one.fault, one.time, one.call) for one in struck] == [
        (fault, 1, "execute"),
        (fault, 2, "execute"),
    ]
    assert struck[0].sent is not None
    assert struck[0].sent.sql == "INSERT INTO t VALUES (1)"
    assert struck[0].sent.tags == {"statement": "f1.s2"}
    insert(connection)


# --- through dwx's own session ----------------------------------------------------------------


@pytest.fixture
def session(shared: LocalWarehouse, schema: str) -> Iterator[DatabricksSession]:
    opened = through(shared, schema)
    yield opened
    opened.close()


def through(warehouse: LocalWarehouse, schema: str) -> DatabricksSession:
    target = Target("127.0.0.1", "/sql/1.0/warehouses/local", "main", schema)
    place = DatabricksWarehouse(target, Credentials("pat", warehouse.token), uri=warehouse.uri)
    return place.open(threading.Event())


def write(session: DatabricksSession) -> StatementError:
    request = Request("f1.s2", "INSERT INTO t VALUES (1)", "insert", "t", {"statement": "f1.s2"})
    with pytest.raises(StatementError) as caught:
        session.execute(request, submitted=lambda query_id: None, cancel=threading.Event())
    return caught.value


@pytest.mark.parametrize(
    ("spec", "outcome", "rows"),
    [
        ("drop-before", "unknown", 1),
        ("drop-after", "unknown", 2),
        ("truncate", "unknown", 2),
        ("garbage", "unknown", 2),
        ("http-503,executed=yes", "unknown", 2),
        ("http-504,executed=yes", "unknown", 2),
        ("http-429,retry-after=1", "unknown", 1),
        ("http-429,retry-after=1,executed=yes", "unknown", 2),
        ("session-lost", "not_committed", 1),
        ("handle-lost", "unknown", 2),
        ("session-lost-poll,spelling=not-found", "unknown", 2),
        ("cancelled,committed=yes", "unknown", 2),
        ("timed-out,committed=yes", "unknown", 2),
        ("error,text=[DELTA_CONCURRENT_APPEND] SQLSTATE: 2D521", "not_committed", 1),
    ],
)
def test_dwx_never_claims_more_than_it_knows(
    session: DatabricksSession, run: Run, arm: Arm, t: str, spec: str, outcome: str, rows: int
) -> None:
    arm(f"{spec},statement=f1.s2")
    assert write(session).outcome == outcome
    until(lambda: count(run) == rows)


def test_dwx_names_a_certificate_it_does_not_take() -> None:
    with LocalWarehouse(faults=[parse("tls")]) as warehouse:
        with pytest.raises(ConnectError) as caught:
            through(warehouse, "default")
        assert caught.value.facts.error_class == "DWX_TLS_FAILED"
        assert classify(caught.value.facts).category == "connect"
