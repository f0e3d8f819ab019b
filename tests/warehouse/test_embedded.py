"""The connector, this package and the embedded warehouse together: SQL goes in, facts come out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from executor.core.failures import classify
from executor.local.service import LocalWarehouse
from executor.warehouse.databricks.auth import Credentials, Target
from executor.warehouse.databricks.session import DatabricksSession
from executor.warehouse.databricks.warehouse import DatabricksWarehouse
from executor.warehouse.port import ConnectError, Request, Result, StatementError
from protocol.events import RowCounts, StatementKind


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWarehouse]:
    path: Path = tmp_path_factory.mktemp("warehouse")
    with LocalWarehouse(path) as warehouse:
        warehouse.create_namespace("shop", "data")
        yield warehouse


def open_session(
    local: LocalWarehouse,
    catalog: str = "shop",
    schema: str = "data",
    token: str | None = None,
) -> DatabricksSession:
    target = Target("127.0.0.1", "/sql/1.0/warehouses/local", catalog, schema)
    credentials = Credentials("pat", token or local.token)
    return DatabricksWarehouse(target, credentials, uri=local.uri).open(Event())


@pytest.fixture
def session(local: LocalWarehouse) -> Iterator[DatabricksSession]:
    opened = open_session(local)
    run(opened, "CREATE OR REPLACE TABLE t (a INT, b STRING) USING DELTA", "replace")
    run(opened, "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')", "insert")
    yield opened
    opened.close()


def run(
    session: DatabricksSession, sql: str, kind: StatementKind, cancel: Event | None = None
) -> Result:
    request = Request("f1.s1", sql, kind, "shop.data.t", {"run": "r-test"})
    return session.execute(request, submitted=lambda query_id: None, cancel=cancel or Event())


@pytest.mark.parametrize(
    ("sql", "kind", "rows"),
    [
        ("INSERT INTO t SELECT a + 10, b FROM t", "insert", RowCounts(total=3, inserted=3)),
        ("INSERT OVERWRITE t VALUES (7, 'q')", "insert_overwrite", RowCounts(total=1, inserted=1)),
        ("UPDATE t SET b = 'q' WHERE a > 1", "update", RowCounts(total=2, updated=2)),
        ("DELETE FROM t WHERE a = 3", "delete", RowCounts(total=1, deleted=1)),
        (
            "MERGE INTO t USING (SELECT 1 AS a, 'n' AS b UNION ALL SELECT 9, 'm') AS s "
            "ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b WHEN NOT MATCHED THEN INSERT *",
            "merge",
            RowCounts(total=2, inserted=1, updated=1, deleted=0),
        ),
    ],
)
def test_dml_reports_the_rows_it_touched(
    session: DatabricksSession, sql: str, kind: StatementKind, rows: RowCounts
) -> None:
    found = run(session, sql, kind).rows
    assert found is not None
    assert found.source == "result"
    assert (found.total, found.inserted, found.updated, found.deleted) == (
        rows.total,
        rows.inserted,
        rows.updated,
        rows.deleted,
    )


def test_a_table_made_from_a_query_reports_its_rows(session: DatabricksSession) -> None:
    found = run(
        session, "CREATE OR REPLACE TABLE t AS SELECT 1 AS a UNION ALL SELECT 2", "replace_as"
    )
    assert found.rows is not None
    assert found.rows.total == 2


def test_the_history_names_the_statement_that_committed(session: DatabricksSession) -> None:
    query_id = run(session, "DELETE FROM t WHERE a = 3", "delete").query_id
    assert session.history("shop.data.t", 1, Event())[0].statement_id == query_id


@pytest.mark.parametrize("sql", ["SELECT COUNT(*) FROM t", "SELECT SUM(a) / 2 * 1 FROM t"])
def test_a_probe_gives_its_number(session: DatabricksSession, sql: str) -> None:
    assert run(session, sql, "probe").value == 3


def test_a_probe_of_nothing_gives_nothing(session: DatabricksSession) -> None:
    assert run(session, "SELECT MAX(a) FROM t WHERE a > 99", "probe").value is None


@pytest.mark.parametrize(
    ("sql", "error_class", "category"),
    [
        ("SELECT * FROM missing", "TABLE_OR_VIEW_NOT_FOUND", "missing_object"),
        ("SELECT\n  missing FROM t", "UNRESOLVED_COLUMN.WITH_SUGGESTION", "missing_column"),
        ("SELECT CAST('x' AS INT)", "CAST_INVALID_INPUT", "data_error"),
        ("SELECT 1 / 0", "DIVIDE_BY_ZERO", "data_error"),
        ("SELECT no_function(1)", "UNRESOLVED_ROUTINE", "missing_function"),
        ("SELEC 1", "PARSE_SYNTAX_ERROR", "syntax"),
    ],
)
def test_errors_keep_their_class(
    session: DatabricksSession, sql: str, error_class: str, category: str
) -> None:
    with pytest.raises(StatementError) as caught:
        run(session, sql, "insert")
    assert caught.value.facts.error_class == error_class
    assert classify(caught.value.facts).category == category
    assert caught.value.outcome == "not_committed"


def test_an_error_names_its_line(session: DatabricksSession) -> None:
    with pytest.raises(StatementError) as caught:
        run(session, "SELECT\n  missing FROM t", "select")
    assert caught.value.facts.line == 2


def test_a_statement_that_failed_changed_nothing(session: DatabricksSession) -> None:
    with pytest.raises(StatementError):
        run(session, "INSERT INTO t SELECT CAST(b AS INT), b FROM t", "insert")
    assert run(session, "SELECT COUNT(*) FROM t", "probe").value == 3


def test_a_running_statement_is_cancelled(session: DatabricksSession) -> None:
    cancel = Event()
    request = Request(
        "f1.s1",
        "INSERT INTO t SELECT COUNT(*), 'n' FROM range(1000000) AS x JOIN range(1000000) AS y "
        "ON x.id * y.id % 7 = 3",
        "insert",
        None,
    )
    with pytest.raises(StatementError) as caught:
        session.execute(request, submitted=lambda query_id: cancel.set(), cancel=cancel)
    assert caught.value.cancelled
    assert caught.value.outcome == "unknown"
    assert run(session, "SELECT COUNT(*) FROM t", "probe").value == 3


@pytest.mark.parametrize(("catalog", "schema"), [("nowhere", "data"), ("shop", "nowhere")])
def test_a_wrong_namespace_is_named_as_such(
    local: LocalWarehouse, catalog: str, schema: str
) -> None:
    with pytest.raises(ConnectError, match="nowhere") as caught:
        open_session(local, catalog, schema)
    assert classify(caught.value.facts).category == "missing_namespace"


def test_a_wrong_token_is_refused(local: LocalWarehouse) -> None:
    with pytest.raises(ConnectError) as caught:
        open_session(local, token="wrong")
    assert classify(caught.value.facts).category in ("auth", "permission")
