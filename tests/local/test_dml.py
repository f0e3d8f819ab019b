"""Writes: counts as Databricks returns them, a history row each, and nothing left by a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from databricks.sql.exc import ServerOperationError


def history(run: Any, table: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = run(f"DESCRIBE HISTORY {table}")
    return rows


def test_insert_update_delete_and_merge_return_their_counts(connection: Any) -> None:
    with connection.cursor() as cursor:

        def names_and_row(sql: str) -> tuple[list[str], tuple[Any, ...], int]:
            cursor.execute(sql)
            return [d[0] for d in cursor.description], tuple(cursor.fetchone()), cursor.rowcount

        cursor.execute("CREATE TABLE t (a INT, b STRING) USING DELTA")
        assert names_and_row("INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')") == (
            ["num_affected_rows", "num_inserted_rows"],
            (3, 3),
            3,
        )
        assert names_and_row("UPDATE t SET b = 'u' WHERE a > 1") == (["num_affected_rows"], (2,), 2)
        assert names_and_row("DELETE FROM t WHERE a = 3") == (["num_affected_rows"], (1,), 1)
        assert names_and_row(
            "MERGE INTO t USING (SELECT 2 AS a, 'm' AS b UNION ALL SELECT 9, 'n') s ON t.a = s.a "
            "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT * "
            "WHEN NOT MATCHED BY SOURCE THEN DELETE"
        ) == (
            ["num_affected_rows", "num_updated_rows", "num_deleted_rows", "num_inserted_rows"],
            (3, 1, 1, 1),
            3,
        )
        cursor.execute("SELECT a, b FROM t ORDER BY a")
        assert [tuple(r) for r in cursor.fetchall()] == [(2, "m"), (9, "n")]


def test_ctas_has_the_two_column_header_without_a_row_and_create_has_none(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE TABLE c USING DELTA AS SELECT * FROM range(7)")
        assert [d[0] for d in cursor.description] == ["num_affected_rows", "num_inserted_rows"]
        assert cursor.fetchall() == []
        cursor.execute("CREATE TABLE d (a INT)")
        assert list(cursor.description) == []


def test_history_lists_commits_newest_first_with_statement_ids_and_metrics(
    connection: Any, run: Any
) -> None:
    ids = []
    with connection.cursor() as cursor:
        for sql in (
            "CREATE OR REPLACE TABLE h (a INT) USING DELTA",
            "INSERT INTO h VALUES (1), (2)",
            "UPDATE h SET a = 5 WHERE a = 1",
            "DELETE FROM h WHERE a = 5",
            "CREATE OR REPLACE TABLE h USING DELTA AS SELECT id FROM range(4)",
        ):
            cursor.execute(sql)
            ids.append(cursor.query_id)
    with connection.cursor() as cursor:
        cursor.execute("DESCRIBE HISTORY h")
        names = [d[0] for d in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert [r["version"] for r in rows] == [4, 3, 2, 1, 0]
    assert [r["queryHistoryStatementId"] for r in reversed(rows)] == ids
    assert [r["operation"] for r in rows] == [
        "CREATE OR REPLACE TABLE AS SELECT",
        "DELETE",
        "UPDATE",
        "WRITE",
        "CREATE OR REPLACE TABLE",
    ]
    assert json.loads(rows[0]["operationMetrics"])["numOutputRows"] == "4"
    assert json.loads(rows[3]["operationMetrics"])["numOutputRows"] == "2"
    assert rows[0]["readVersion"] == 3
    assert rows[4]["readVersion"] is None
    assert len(run("DESCRIBE HISTORY h LIMIT 2")) == 2


def test_detail_names_the_table_and_counts_something_real(run: Any, connection: Any) -> None:
    run("CREATE TABLE big USING DELTA CLUSTER BY (id) AS SELECT id FROM range(300000)")
    with connection.cursor() as cursor:
        cursor.execute("DESCRIBE DETAIL big")
        names = [d[0] for d in cursor.description]
        row = dict(zip(names, cursor.fetchone(), strict=True))
    assert row["format"] == "delta"
    assert row["name"].endswith(".big")
    assert row["numFiles"] > 1
    assert row["sizeInBytes"] > 300000
    assert json.loads(row["clusteringColumns"]) == ["id"]
    run("CREATE TABLE none (a INT)")
    (empty,) = run("DESCRIBE DETAIL none")
    assert empty[names.index("numFiles")] == 0


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t SELECT 10 / (id - 99999) FROM range(100001)",
        "UPDATE t SET a = CAST(b AS INT)",
        "INSERT OVERWRITE t VALUES (1, NULL)",
        "MERGE INTO t USING (SELECT 1 AS a UNION ALL SELECT 1) s ON t.a = s.a "
        "WHEN MATCHED THEN UPDATE SET b = 'twice'",
        "CREATE OR REPLACE TABLE t AS SELECT CAST('x' AS INT) AS a",
    ],
)
def test_a_statement_that_fails_leaves_rows_and_history_as_they_were(run: Any, sql: str) -> None:
    run("CREATE TABLE t (a DOUBLE, b STRING NOT NULL)")
    run("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    before = run("SELECT * FROM t ORDER BY a"), history(run, "t"), run("DESCRIBE t")
    with pytest.raises(ServerOperationError):
        run(sql)
    assert (run("SELECT * FROM t ORDER BY a"), history(run, "t"), run("DESCRIBE t")) == before


def test_insert_overwrite_may_read_the_table_it_replaces(run: Any) -> None:
    run("CREATE TABLE o AS SELECT id FROM range(3)")
    assert run("INSERT OVERWRITE TABLE o SELECT id + 10 FROM o WHERE id > 0") == [(2, 2)]
    assert run("SELECT id FROM o ORDER BY id") == [(11,), (12,)]


def test_columns_left_out_of_an_insert_become_null_or_their_default(run: Any) -> None:
    run("CREATE TABLE p (a INT, b STRING DEFAULT 'd', c DATE)")
    run("INSERT INTO p (c, a) VALUES (DATE'2024-01-01', 1)")
    ((a, b, c),) = run("SELECT a, b, CAST(c AS STRING) FROM p")
    assert (a, b, c) == (1, "d", "2024-01-01")
    run("INSERT INTO p BY NAME SELECT 'q' AS b")
    assert run("SELECT a, b FROM p WHERE b = 'q'") == [(None, "q")]


def test_values_are_stored_as_spark_casts_them(run: Any) -> None:
    run("CREATE TABLE v (i INT, s STRING, d DECIMAL(5,1))")
    run("INSERT INTO v SELECT 2.7D, 1e10D, 1.25")
    assert [tuple(map(str, r)) for r in run("SELECT * FROM v")] == [("2", "1.0E10", "1.3")]


def test_merge_clauses_apply_their_conditions_in_order(run: Any) -> None:
    run("CREATE TABLE m (k INT, v INT)")
    run("INSERT INTO m VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
    counts = run(
        "MERGE INTO m t USING (SELECT 1 AS k, 10 AS v UNION ALL SELECT 2, -1 UNION ALL "
        "SELECT 9, 90 UNION ALL SELECT 8, -8) s ON t.k = s.k "
        "WHEN MATCHED AND s.v < 0 THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET t.v = s.v + t.v "
        "WHEN NOT MATCHED AND s.v > 0 THEN INSERT (k, v) VALUES (s.k, s.v) "
        "WHEN NOT MATCHED BY SOURCE AND t.k = 4 THEN UPDATE SET v = 0"
    )
    assert counts == [(4, 2, 1, 1)]
    assert run("SELECT * FROM m ORDER BY k") == [(1, 11), (3, 3), (4, 0), (9, 90)]


def test_truncate_empties_a_table_and_optimize_changes_nothing(run: Any, connection: Any) -> None:
    run("CREATE TABLE q AS SELECT id FROM range(5)")
    with connection.cursor() as cursor:
        cursor.execute("OPTIMIZE q ZORDER BY (id)")
        assert [d[0] for d in cursor.description] == ["path", "metrics"]
        (row,) = cursor.fetchall()
    assert json.loads(row[1])["numFilesAdded"] == 0
    assert run("VACUUM q")[0][0].endswith("/q")
    run("ANALYZE TABLE q COMPUTE STATISTICS")
    assert run("SELECT COUNT(*) FROM q") == [(5,)]
    run("TRUNCATE TABLE q")
    assert run("SELECT COUNT(*) FROM q") == [(0,)]
