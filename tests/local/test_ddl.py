"""Names: catalogs, schemas, tables, views; what exists, what moves, what is gone."""

from __future__ import annotations

from typing import Any

import pytest
from databricks.sql.exc import ServerOperationError

from executor.local.service import LocalWarehouse
from tests.local.client import connect


def test_a_new_warehouse_has_catalog_main_with_schema_default_and_nothing_else() -> None:
    with LocalWarehouse() as fresh, connect(fresh) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW CATALOGS")
        assert [tuple(r) for r in cursor.fetchall()] == [("main",)]
        cursor.execute("SHOW SCHEMAS IN main")
        assert [tuple(r) for r in cursor.fetchall()] == [("default",)]
        cursor.execute("SELECT current_catalog(), current_schema()")
        assert [tuple(r) for r in cursor.fetchall()] == [("main", "default")]
        cursor.execute("SHOW TABLES")
        assert cursor.fetchall() == []


def test_catalogs_and_schemas_are_created_used_and_dropped(run: Any) -> None:
    run("CREATE CATALOG IF NOT EXISTS Other")
    run("CREATE CATALOG IF NOT EXISTS other")
    run("USE CATALOG other")
    assert run("SELECT current_catalog(), current_schema()") == [("other", "default")]
    run("CREATE SCHEMA IF NOT EXISTS other.one")
    run("USE SCHEMA one")
    run("CREATE TABLE t AS SELECT 1 AS a")
    run("USE main.default")
    assert run("SELECT a FROM other.one.t") == [(1,)]
    assert run("SELECT other.one.t.a, t.a FROM other.one.t") == [(1, 1)]
    with pytest.raises(ServerOperationError, match="SCHEMA_NOT_EMPTY"):
        run("DROP SCHEMA other.one")
    run("DROP SCHEMA other.one CASCADE")
    run("DROP SCHEMA IF EXISTS other.one")
    run("DROP CATALOG other CASCADE")
    with pytest.raises(ServerOperationError, match=r"\[NO_SUCH_CATALOG_EXCEPTION\].*42704"):
        run("USE CATALOG other")


def test_rename_takes_a_bare_or_a_full_name_and_carries_the_history_along(
    run: Any, schema: str
) -> None:
    run("CREATE TABLE a_tmp AS SELECT 1 AS x")
    ((*_, statement_id),) = run("DESCRIBE HISTORY a_tmp")
    run(f"ALTER TABLE main.{schema}.a_tmp RENAME TO a")
    run(f"ALTER TABLE a RENAME TO {schema}.b")
    run(f"ALTER TABLE b RENAME TO main.{schema}.c")
    assert run("SELECT x FROM c") == [(1,)]
    assert run("DESCRIBE HISTORY c")[0][-1] == statement_id
    with pytest.raises(ServerOperationError, match="TABLE_OR_VIEW_NOT_FOUND"):
        run("SELECT * FROM a_tmp")
    run("CREATE TABLE d (y INT)")
    with pytest.raises(ServerOperationError, match="TABLE_OR_VIEW_ALREADY_EXISTS"):
        run("ALTER TABLE c RENAME TO d")


def test_drop_forgets_the_history_and_replace_keeps_it(run: Any) -> None:
    run("CREATE TABLE k (a INT)")
    run("INSERT INTO k VALUES (1)")
    run("CREATE OR REPLACE TABLE k (b STRING)")
    assert [r[0] for r in run("DESCRIBE HISTORY k")] == [2, 1, 0]
    run("DROP TABLE k")
    run("DROP TABLE IF EXISTS k")
    run("CREATE TABLE k (c INT)")
    assert [r[0] for r in run("DESCRIBE HISTORY k")] == [0]


def test_names_ignore_case_and_backticks_allow_any(run: Any) -> None:
    run("CREATE TABLE MixedCase (Col INT)")
    run("INSERT INTO mixedcase VALUES (1)")
    assert run("SELECT COL, `col` FROM MIXEDCASE m WHERE M.Col = 1") == [(1, 1)]
    assert run("SHOW TABLES LIKE 'mixed*'")[0][1] == "mixedcase"


def test_views_keep_their_namespace_and_temporary_ones_their_session(
    run: Any, shared: LocalWarehouse, schema: str
) -> None:
    run("CREATE TABLE base AS SELECT 1 AS a UNION ALL SELECT 2")
    run("CREATE VIEW seen(n) AS SELECT a FROM base WHERE a > 1")
    run("CREATE OR REPLACE TEMP VIEW mine AS SELECT a + 1 AS b FROM base")
    run("USE main.default")
    assert run(f"SELECT n FROM {schema}.seen") == [(2,)]
    assert sorted(run("SELECT b FROM mine")) == [(2,), (3,)]
    with connect(shared) as other, other.cursor() as cursor:
        with pytest.raises(ServerOperationError, match="TABLE_OR_VIEW_NOT_FOUND"):
            cursor.execute("SELECT * FROM mine")
        cursor.execute(f"SELECT n FROM main.{schema}.seen")
        assert cursor.fetchone()[0] == 2
    with pytest.raises(ServerOperationError, match="EXPECT_TABLE_NOT_VIEW"):
        run(f"INSERT INTO {schema}.seen VALUES (1)")
    run(f"DROP VIEW {schema}.seen")
    run("DROP VIEW mine")


def test_describe_shows_names_and_spark_types(run: Any) -> None:
    run(
        "CREATE TABLE types (a TINYINT, b DECIMAL(10,2), c ARRAY<STRUCT<x: INT, y: STRING>>, "
        "d MAP<STRING, DOUBLE>, e TIMESTAMP, f TIMESTAMP_NTZ, g BINARY, h FLOAT)"
    )
    assert [(r[0], r[1]) for r in run("DESCRIBE TABLE types")] == [
        ("a", "tinyint"),
        ("b", "decimal(10,2)"),
        ("c", "array<struct<x:int,y:string>>"),
        ("d", "map<string,double>"),
        ("e", "timestamp"),
        ("f", "timestamp_ntz"),
        ("g", "binary"),
        ("h", "float"),
    ]


def test_columns_are_added_and_table_properties_set(run: Any) -> None:
    run("CREATE TABLE z (a INT) TBLPROPERTIES ('k' = 'v')")
    run("ALTER TABLE z ADD COLUMN b STRING")
    run("ALTER TABLE z SET TBLPROPERTIES ('delta.x' = 'y')")
    run("INSERT INTO z VALUES (1, 'q')")
    assert run("SELECT * FROM z") == [(1, "q")]
    assert run("SHOW TBLPROPERTIES z") == [("delta.x", "y"), ("k", "v")]
