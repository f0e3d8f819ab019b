"""Connecting to a warehouse of another process."""

from __future__ import annotations

from pathlib import Path

from tests.program.conftest import Served
from tests.program.dwx import dwx, workflow

TWO_FILES = {
    "f01_make": "CREATE OR REPLACE TABLE ${catalog}.${schema}.made AS SELECT 1 AS a",
    "f02_fill": "INSERT INTO ${catalog}.${schema}.made VALUES (2), (3)",
}


def test_a_workflow_runs_and_says_what_it_wrote(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", **TWO_FILES)
    ended = dwx("run", "sql", *served.flags, cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert ended.exit_code == 0, ended.stderr
    assert [(table.name, table.rows) for table in ended.last.tables] == [("main.default.made", 3)]
    assert [event.total for event in ended.of("rows_affected")] == [1, 2]
    assert ended.entries == [
        entry for entry in ended.record if entry.seq in {one.seq for one in ended.entries}
    ]


def test_a_wrong_token_is_never_connected(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", **TWO_FILES)
    ended = dwx("run", "sql", *served.flags, cwd=tmp_path, DATABRICKS_TOKEN="wrong-token")
    assert ended.exit_code == ended.last.exit_code == 7
    assert ended.last.error.category == "auth"
    assert "DATABRICKS_TOKEN" in ended.last.error.suggestion


def test_a_wrong_catalog_and_a_wrong_schema_are_named(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", **TWO_FILES)
    for flags, name in (
        (("--catalog", "no-such-catalog"), "no-such-catalog"),
        (("--schema", "no_such_schema"), "no_such_schema"),
    ):
        ended = dwx(
            "run", "sql", *served.flags, *flags, cwd=tmp_path, DATABRICKS_TOKEN=served.token
        )
        assert ended.exit_code == ended.last.exit_code == 7
        assert ended.last.error.category == "missing_namespace"
        assert name in ended.last.error.message


def test_a_second_run_on_the_same_local_path_is_told_who_holds_it(
    tmp_path: Path, served: Served
) -> None:
    workflow(tmp_path / "sql", **TWO_FILES)
    ended = dwx("run", "sql", "--local", str(served.path), cwd=tmp_path)
    assert ended.exit_code == 7
    assert "process" in ended.last.error.message
