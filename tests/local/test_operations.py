"""The life of a statement: asynchronous, cancelled, parameterised, concurrent, very large."""

from __future__ import annotations

import datetime
import threading
import tracemalloc
import uuid
from decimal import Decimal
from typing import Any

import pytest
from databricks.sql.backend.types import CommandState
from databricks.sql.exc import DatabaseError, ServerOperationError

from executor.local.service import LocalWarehouse
from tests.local.client import connect

SLOW = (
    "SELECT COUNT(*) FROM range(3000000) a CROSS JOIN range(3000000) b WHERE (a.id * b.id) % 7 = 3"
)


def finished(cursor: Any) -> CommandState:
    """Poll to the end, as the executor does."""
    while (state := cursor.get_query_state()) in (CommandState.RUNNING, CommandState.PENDING):
        pass
    return state


def test_an_asynchronous_statement_is_polled_and_then_read(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute_async("SELECT SUM(id) AS s FROM range(1000)")
        assert uuid.UUID(cursor.query_id)
        assert finished(cursor) is CommandState.SUCCEEDED
        cursor.get_async_execution_result()
        assert cursor.fetchall()[0][0] == 499500


def test_an_asynchronous_failure_is_seen_by_the_poll(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute_async("SELECT CAST('x' AS INT)")
        with pytest.raises(ServerOperationError, match="CAST_INVALID_INPUT"):
            finished(cursor)


def test_a_cancelled_statement_ends_as_cancelled(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute_async(SLOW)
        cursor.cancel()
        assert finished(cursor) is CommandState.CANCELLED


def test_a_cancelled_write_leaves_nothing(connection: Any, run: Any) -> None:
    run("CREATE TABLE w (n BIGINT)")
    with connection.cursor() as cursor:
        cursor.execute_async(f"INSERT INTO w {SLOW}")
        cursor.cancel()
        assert finished(cursor) is CommandState.CANCELLED
    assert run("SELECT COUNT(*) FROM w") == [(0,)]
    assert len(run("DESCRIBE HISTORY w")) == 1


def test_closing_a_session_stops_what_runs_in_it(shared: LocalWarehouse) -> None:
    connection = connect(shared)
    cursor = connection.cursor()
    cursor.execute_async(SLOW)
    connection.close()
    workers = [t for t in threading.enumerate() if t.name.startswith("dwx-statement")]
    for worker in workers:
        worker.join(30)
    assert not any(worker.is_alive() for worker in workers)


def test_parameters_are_bound_by_name_and_by_place(run: Any) -> None:
    assert run("SELECT :a + 1, :b, :c", {"a": 41, "b": "it's", "c": None}) == [(42, "it's", None)]
    assert run("SELECT ?, ?", [Decimal("1.50"), datetime.date(2024, 1, 2)]) == [
        (Decimal("1.50"), datetime.date(2024, 1, 2))
    ]
    assert run("SELECT COUNT(*) FROM range(10) WHERE id < :n", {"n": 3}) == [(3,)]
    run("CREATE TABLE prm (a INT, b STRING)")
    run("INSERT INTO prm VALUES (:x, :y)", {"x": 1, "y": "a;b"})
    assert run("SELECT b FROM IDENTIFIER(:t) WHERE a = :x", {"t": "prm", "x": 1}) == [("a;b",)]


def test_values_arrive_in_the_types_of_python(run: Any) -> None:
    ((*plain, moment, text),) = run(
        "SELECT TRUE, CAST(1 AS TINYINT), 2L, 1.5D, 1.50, 'é', X'00FF', DATE'2024-02-29', NULL, "
        "TIMESTAMP'2024-02-29 12:00:00.5', ARRAY(NAMED_STRUCT('a', 1, 'b', NULL))"
    )
    assert plain == [
        True,
        1,
        2,
        1.5,
        Decimal("1.50"),
        "é",
        b"\0\xff",
        datetime.date(2024, 2, 29),
        None,
    ]
    assert moment == datetime.datetime(2024, 2, 29, 12, 0, 0, 500000)
    assert text == '[{"a":1,"b":null}]'


def test_a_write_that_meets_another_transaction_conflicts_and_may_be_tried_again(
    shared: LocalWarehouse, run: Any, schema: str
) -> None:
    run("CREATE TABLE c AS SELECT id, 0 AS n FROM range(10)")
    other = shared.engine.connect()
    other.execute("BEGIN")
    other.execute(f'UPDATE "cat_main"."{schema}".c SET n = 7')
    with pytest.raises(ServerOperationError, match=r"\[DELTA_CONCURRENT_APPEND\].*SQLSTATE: 2D521"):
        run("UPDATE c SET n = n + 1")
    other.execute("ROLLBACK")
    other.close()
    assert run("SELECT DISTINCT n FROM c") == [(0,)]
    assert run("UPDATE c SET n = n + 1") == [(10,)]
    assert len(run("DESCRIBE HISTORY c")) == 2


def test_sessions_that_change_the_same_rows_at_once_either_commit_or_conflict(
    shared: LocalWarehouse, run: Any, schema: str
) -> None:
    run("CREATE TABLE c AS SELECT id, 0 AS n FROM range(300000)")
    barrier, outcomes = threading.Barrier(2), []

    def change() -> None:
        with connect(shared, catalog="main", schema=schema) as mine, mine.cursor() as cursor:
            barrier.wait()
            try:
                cursor.execute("UPDATE c SET n = n + 1")
                outcomes.append("done")
            except ServerOperationError as exc:
                outcomes.append(str(exc))

    threads = [threading.Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = outcomes.count("done")
    failed = [o for o in outcomes if o != "done"]
    assert all(o.startswith("[DELTA_CONCURRENT_") and "SQLSTATE: 2D521" in o for o in failed)
    assert run("SELECT DISTINCT n FROM c") == [(done,)]
    assert len(run("DESCRIBE HISTORY c")) == 1 + done


def test_many_sessions_append_to_one_table_and_every_version_is_there(
    shared: LocalWarehouse, run: Any, schema: str
) -> None:
    run("CREATE TABLE a (n INT)")

    def append() -> None:
        with connect(shared, catalog="main", schema=schema) as mine, mine.cursor() as cursor:
            for _ in range(5):
                cursor.execute("INSERT INTO a VALUES (1)")

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run("SELECT COUNT(*) FROM a") == [(20,)]
    assert [r[0] for r in run("DESCRIBE HISTORY a")] == list(range(20, -1, -1))


def test_an_unknown_session_is_told_so(connection: Any) -> None:
    with connection.cursor() as cursor:
        backend = connection.session.backend
        handle = connection.session._session_id
        backend.close_session(handle)
        with pytest.raises(DatabaseError, match="Invalid SessionHandle"):
            cursor.execute("SELECT 1")


def test_five_million_rows_stream_in_batches_with_flat_memory(shared: LocalWarehouse) -> None:
    from databricks.sql.thrift_api.TCLIService import ttypes

    from executor.local.handler import Handler

    assert shared._registry is not None
    handler = Handler(shared._registry)
    session = handler.OpenSession(ttypes.TOpenSessionReq()).sessionHandle
    opened = handler.ExecuteStatement(
        ttypes.TExecuteStatementReq(
            sessionHandle=session,
            statement="SELECT id, CAST(id AS STRING) AS s FROM range(5000000)",
            runAsync=True,
        )
    ).operationHandle
    state = ttypes.TOperationState.RUNNING_STATE
    while state == ttypes.TOperationState.RUNNING_STATE:
        state = handler.GetOperationStatus(
            ttypes.TGetOperationStatusReq(operationHandle=opened)
        ).operationState
    assert state == ttypes.TOperationState.FINISHED_STATE
    fetch = ttypes.TFetchResultsReq(
        operationHandle=opened, orientation=ttypes.TFetchOrientation.FETCH_NEXT, maxRows=50_000
    )
    total = last = 0
    peaks: dict[int, int] = {}
    for batch in range(100):
        watched = batch in (3, 97)  # watching every one would take a minute
        if watched:
            tracemalloc.start()
        reply = handler.FetchResults(fetch)
        if watched:
            peaks[batch] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        ids = reply.results.columns[0].i64Val.values
        assert reply.results.startRowOffset == total
        total, last = total + len(ids), ids[-1]
        assert reply.hasMoreRows is (batch < 99)
    assert (total, last) == (5_000_000, 4_999_999)
    assert peaks[97] < 1.2 * peaks[3]
    handler.CloseSession(ttypes.TCloseSessionReq(sessionHandle=session))


def test_an_error_in_a_late_row_fails_the_statement_not_the_fetch(connection: Any) -> None:
    with connection.cursor() as cursor, pytest.raises(ServerOperationError, match="DIVIDE_BY_ZERO"):
        cursor.execute("SELECT 1 / (id - 199999) FROM range(200000)")
