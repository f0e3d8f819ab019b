"""catalogs(), schemas(), tables() and columns() of the connector."""

from __future__ import annotations

from typing import Any


def rows(cursor: Any) -> list[dict[str, Any]]:
    names = [d[0] for d in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_the_connector_lists_catalogs_schemas_tables_and_columns(
    connection: Any, run: Any, schema: str
) -> None:
    run("CREATE TABLE first_table (a INT NOT NULL, b DECIMAL(10,2), c STRING)")
    run("CREATE VIEW second_view AS SELECT 1 AS x")
    with connection.cursor() as cursor:
        cursor.catalogs()
        assert "main" in [r["TABLE_CAT"] for r in rows(cursor)]
        cursor.schemas("main", schema)
        assert rows(cursor) == [{"TABLE_SCHEM": schema, "TABLE_CATALOG": "main"}]
        cursor.tables("main", schema)
        found = [(r["TABLE_NAME"], r["TABLE_TYPE"]) for r in rows(cursor)]
        assert found == [("first_table", "TABLE"), ("second_view", "VIEW")]
        cursor.tables("main", schema, "first%", ["TABLE"])
        assert [r["TABLE_NAME"] for r in rows(cursor)] == ["first_table"]
        cursor.columns("main", schema, "first_table")
        columns = [(r["COLUMN_NAME"], r["TYPE_NAME"], r["IS_NULLABLE"]) for r in rows(cursor)]
        assert columns == [
            ("a", "INT", "NO"),
            ("b", "DECIMAL(10,2)", "YES"),
            ("c", "STRING", "YES"),
        ]


def test_the_warehouses_own_bookkeeping_is_not_listed(connection: Any, run: Any) -> None:
    assert ("__dwx",) not in run("SHOW SCHEMAS IN main")
    with connection.cursor() as cursor:
        cursor.tables("main", "__dwx")
        assert cursor.fetchall() == []
