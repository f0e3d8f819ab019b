"""RESTORE, and the history entries that commit checks look for."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest
from databricks.sql.exc import ServerOperationError

from executor.local.errors import SqlError
from executor.local.history import Commit
from executor.local.service import LocalWarehouse
from tests.local.client import connect


def operations(run: Any, table: str = "t") -> list[str]:
    return [row[4] for row in run(f"DESCRIBE HISTORY {table}")]


def rows(run: Any) -> list[int]:
    return [row[0] for row in run("SELECT a FROM t ORDER BY a")]


@pytest.fixture
def t(run: Any) -> None:
    run("CREATE TABLE t AS SELECT 1 AS a UNION ALL SELECT 2")


@pytest.mark.usefixtures("t")
def test_restore_takes_back_inserts_as_often_as_it_is_told(run: Any) -> None:
    run("INSERT INTO t VALUES (3)")
    run("INSERT INTO t SELECT id + 100 FROM range(5000)")
    assert run("RESTORE TABLE t TO VERSION AS OF 1")[0][1:4] == (1, 1, 0)
    assert rows(run) == [1, 2, 3]
    run("INSERT INTO t VALUES (4)")
    run("RESTORE t TO VERSION AS OF 0")
    assert rows(run) == [1, 2]
    assert operations(run) == [
        "RESTORE",
        "WRITE",
        "RESTORE",
        "WRITE",
        "WRITE",
        "CREATE TABLE AS SELECT",
    ]


@pytest.mark.usefixtures("t")
def test_restore_names_its_columns_as_databricks_does(connection: Any, run: Any) -> None:
    run("INSERT INTO t VALUES (3)")
    with connection.cursor() as cursor:
        cursor.execute("RESTORE TABLE t TO VERSION AS OF 0")
        assert [column[0] for column in cursor.description] == [
            "table_size_after_restore",
            "num_of_files_after_restore",
            "num_removed_files",
            "num_restored_files",
            "removed_files_size",
            "restored_files_size",
        ]
        query_id = cursor.query_id
    entry = run("DESCRIBE HISTORY t LIMIT 1")[0]
    assert (entry[0], entry[4], entry[15]) == (2, "RESTORE", query_id)
    assert json.loads(entry[5])["version"] == "0"


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM t WHERE a = 1",
        "UPDATE t SET a = 9 WHERE a = 1",
        "INSERT OVERWRITE t VALUES (9)",
        "CREATE OR REPLACE TABLE t AS SELECT 9 AS a",
        "ALTER TABLE t ADD COLUMN b INT",
        "MERGE INTO t USING (SELECT 1 AS a) s ON t.a = s.a WHEN MATCHED THEN DELETE",
    ],
)
@pytest.mark.usefixtures("t")
def test_restore_does_not_reach_behind_a_change_of_rows(run: Any, change: str) -> None:
    run(change)
    before = run("SELECT * FROM t")
    with pytest.raises(ServerOperationError, match="DELTA_CANNOT_RESTORE_TABLE_VERSION"):
        run("RESTORE TABLE t TO VERSION AS OF 0")
    assert run("SELECT * FROM t") == before
    assert len(operations(run)) == 2


@pytest.mark.usefixtures("t")
def test_rows_that_were_deleted_by_restore_do_not_come_back(run: Any) -> None:
    run("INSERT INTO t VALUES (3)")
    run("RESTORE TABLE t TO VERSION AS OF 0")
    for version in (1, 2, 7):  # gone, current, never there
        with pytest.raises(ServerOperationError, match=r"Available versions: \[0\]"):
            run(f"RESTORE TABLE t TO VERSION AS OF {version}")


@pytest.mark.usefixtures("t")
def test_restore_reaches_over_a_merge_that_only_inserted_and_over_optimize(run: Any) -> None:
    run("MERGE INTO t USING (SELECT 5 AS a) s ON t.a = s.a WHEN NOT MATCHED THEN INSERT *")
    run("OPTIMIZE t")
    run("RESTORE TABLE t TO VERSION AS OF 0")
    assert rows(run) == [1, 2]


@pytest.mark.usefixtures("t")
def test_optimize_commits_where_there_are_several_files_and_only_there(
    shared: LocalWarehouse, schema: str, run: Any
) -> None:
    run("OPTIMIZE t")
    assert operations(run) == ["CREATE TABLE AS SELECT"]
    run("INSERT INTO t VALUES (3)")
    with connect(shared, catalog="main", schema=schema) as connection:
        cursor = connection.cursor()
        cursor.execute("OPTIMIZE t ZORDER BY (a)")
        metrics = json.loads(cursor.fetchall()[0][1])
        query_id = cursor.query_id
    assert (metrics["numFilesRemoved"], metrics["numFilesAdded"]) == (2, 1)
    entry = run("DESCRIBE HISTORY t LIMIT 1")[0]
    assert (entry[4], entry[15]) == ("OPTIMIZE", query_id)
    run("OPTIMIZE t")
    assert len(operations(run)) == 3


@pytest.mark.usefixtures("t")
def test_a_rename_and_a_replacement_keep_the_history(run: Any) -> None:
    run("ALTER TABLE t RENAME TO u")
    assert operations(run, "u") == ["CREATE TABLE AS SELECT"]
    run("INSERT INTO u VALUES (3)")
    run("CREATE OR REPLACE TABLE u AS SELECT 9 AS a")
    assert [row[0] for row in run("DESCRIBE HISTORY u")] == [2, 1, 0]


@pytest.mark.usefixtures("t")
def test_a_commit_that_must_follow_a_version_is_refused_after_another(
    shared: LocalWarehouse, schema: str, run: Any
) -> None:
    run("INSERT INTO t VALUES (3)")
    path, history = ("main", schema, "t"), shared.engine.history
    late = Commit(path, "RESTORE", follows=0)
    with (
        closing(shared.engine.connect()) as con,
        history.lock,
        pytest.raises(SqlError, match="DELTA_CONCURRENT_APPEND"),
    ):
        history.write(con, str(history.table_id(con, path)), late, "a statement", "a user")
    assert operations(run) == ["WRITE", "CREATE TABLE AS SELECT"]
