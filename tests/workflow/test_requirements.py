"""What a workflow requires before it begins: nothing is said that is not sure."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.workflow.load import load_workflow
from executor.workflow.requirements import Requirements, requirements


def required(tmp_path: Path, *files: str, skip_loop: bool = False, toml: str = "") -> Requirements:
    directory = tmp_path / "sql"
    directory.mkdir(exist_ok=True)
    for number, text in enumerate(files, 1):
        (directory / f"{number:02}_file.sql").write_text(text)
    if toml:
        (directory / "workflow.toml").write_text(toml)
    workflow = load_workflow(directory, vars={"catalog": "c", "schema": "s"})
    return requirements(workflow, skip_loop=skip_loop)


def sources(tmp_path: Path, *files: str) -> dict[str, list[str]]:
    """Tables that must be there, each with its columns."""
    found = required(tmp_path, *files).sources
    return {one.table: [column.name for column in one.columns] for one in found}


def columns(tmp_path: Path, query: str) -> list[str]:
    """The columns that a query needs of the table `c.s.t`."""
    return sources(tmp_path, query).get("c.s.t", [])


def new(tmp_path: Path, *files: str) -> list[str]:
    return [one.table for one in required(tmp_path, *files).new]


# --- tables that must be there ----------------------------------------------------------------


def test_a_table_that_nobody_makes_must_be_there(tmp_path: Path) -> None:
    found = required(tmp_path, "SELECT 1;\nSELECT * FROM People", "SELECT * FROM c.s.people")
    (people,) = found.sources
    assert people.table == "c.s.people"
    assert str(people.place) == "01_file.sql, line 2"
    assert people.critical


def test_a_table_that_an_earlier_file_makes_need_not_be_there(tmp_path: Path) -> None:
    assert sources(tmp_path, "CREATE TABLE a AS SELECT 1 AS x", "SELECT x FROM a") == {}


def test_order_matters(tmp_path: Path) -> None:
    assert sources(tmp_path, "SELECT x FROM a", "CREATE OR REPLACE TABLE a (x INT)") == {
        "c.s.a": ["x"]
    }


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO a VALUES (1)",
        "UPDATE a SET x = 1",
        "DELETE FROM a WHERE x = 1",
        "TRUNCATE TABLE a",
        "MERGE INTO a USING (SELECT 1 AS x) AS n ON a.x = n.x WHEN NOT MATCHED THEN INSERT *",
        "ALTER TABLE a ADD COLUMN y INT",
        "ALTER TABLE a RENAME TO b",
        "DROP TABLE a",
        "OPTIMIZE a",
    ],
)
def test_a_table_that_is_changed_must_be_there(tmp_path: Path, change: str) -> None:
    assert list(sources(tmp_path, change)) == ["c.s.a"]


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE IF EXISTS a",
        "CREATE TABLE IF NOT EXISTS a (x INT); INSERT INTO a VALUES (1)",
        "WITH a AS (SELECT 1 AS x) SELECT x FROM a",
        "CREATE TEMPORARY VIEW a AS SELECT 1 AS x; SELECT x FROM a",
        "SELECT * FROM delta.`/a`",
        "SELECT * FROM range(3)",
        "BEGIN IF 1 = 2 THEN SELECT * FROM a; END IF; END",
        "EXECUTE IMMEDIATE 'CREATE TABLE a (x INT)'; SELECT * FROM a",
        "SOMETHING NOBODY KNOWS; SELECT * FROM a",
        "UNDROP TABLE a; SELECT * FROM a",
    ],
)
def test_where_it_is_not_needed_or_not_sure_nothing_is_required(tmp_path: Path, text: str) -> None:
    assert sources(tmp_path, text) == {}


def test_a_table_that_only_leaf_files_need_is_not_critical(tmp_path: Path) -> None:
    leaf = '[files."01_file.sql"]\ncritical = false\n'
    (found,) = required(tmp_path, "SELECT * FROM a", toml=leaf).sources
    assert not found.critical
    (found,) = required(tmp_path, "SELECT * FROM a", "SELECT * FROM a", toml=leaf).sources
    assert found.critical


LOOP = (
    "CREATE OR REPLACE TABLE r_0 AS SELECT 1 AS x",
    "CREATE OR REPLACE TABLE r_1 AS SELECT x FROM r_0",
    "CREATE OR REPLACE TABLE r_2 AS SELECT x FROM r_1",
    "SELECT x FROM r_final",
)
LOOP_TOML = (
    '[[loop]]\nfiles = "0[23]_file.sql"\ntable = "${catalog}.${schema}.r_{iteration}"\n'
    'alias = "${catalog}.${schema}.r_final"\n'
)


def test_the_result_of_a_loop_is_made_by_the_loop_unless_it_is_left_out(tmp_path: Path) -> None:
    found = required(tmp_path, *LOOP, toml=LOOP_TOML)
    assert found.results == ("c.s.r_final",)
    assert found.sources == ()
    left_out = required(tmp_path, *LOOP, toml=LOOP_TOML, skip_loop=True)
    assert left_out.results == ()
    assert [one.table for one in left_out.sources] == ["c.s.r_final"]


# --- tables that must not be there ------------------------------------------------------------


def test_a_table_that_is_created_plainly_must_not_be_there(tmp_path: Path) -> None:
    assert new(tmp_path, "CREATE TABLE a (x INT); CREATE TABLE b AS SELECT 1 AS x") == [
        "c.s.a",
        "c.s.b",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE OR REPLACE TABLE a (x INT)",
        "CREATE TABLE IF NOT EXISTS a (x INT)",
        "DROP TABLE IF EXISTS a; CREATE TABLE a (x INT)",
        "ALTER TABLE a RENAME TO b; CREATE TABLE a (x INT); DROP TABLE b",
        "CREATE TEMPORARY VIEW a AS SELECT 1 AS x",
        "EXECUTE IMMEDIATE 'DROP TABLE a'; CREATE TABLE a (x INT)",
    ],
)
def test_where_it_may_be_there_nothing_is_required(tmp_path: Path, text: str) -> None:
    assert "c.s.a" not in new(tmp_path, text)


def test_the_schemas_in_which_tables_are_made_are_named(tmp_path: Path) -> None:
    found = required(
        tmp_path, "CREATE TABLE a (x INT); CREATE TABLE d.e.b (x INT); DROP TABLE z.z.z"
    )
    assert found.schemas == ("c.s", "d.e")


# --- columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        ("SELECT a, B FROM t WHERE c > 1 GROUP BY a, b HAVING max(d) > 1", ["a", "b", "c", "d"]),
        ("SELECT p.a FROM t AS p JOIN u ON p.k = u.k", ["a", "k"]),
        ("SELECT t.a FROM c.s.t JOIN u USING (k)", ["a"]),
        ("INSERT INTO x SELECT a FROM t", ["a"]),
        ("CREATE OR REPLACE TABLE x AS SELECT a FROM t UNION ALL SELECT b FROM t", ["a", "b"]),
        ("SELECT x FROM (SELECT a AS x FROM t) AS inner_one", ["a"]),
        ("WITH q AS (SELECT a FROM t) SELECT a FROM q", ["a"]),
        ("SELECT sum(a) OVER (PARTITION BY b) FROM t", ["a", "b"]),
        ("SELECT transform(a, one -> one + b) FROM t", ["a"]),
        ("SELECT date_add(MONTH, 1, a), extract(YEAR FROM b), current_date FROM t", ["a", "b"]),
        (
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET t.b = u.b "
            "WHEN NOT MATCHED THEN INSERT (b) VALUES (u.b)",
            ["a", "b"],
        ),
        ("SELECT t.a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = 1)", ["a"]),
    ],
)
def test_columns_that_are_surely_read_are_required(
    tmp_path: Path, query: str, needed: list[str]
) -> None:
    assert sorted(columns(tmp_path, query)) == needed


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM t",
        "SELECT t.* FROM t",
        "SELECT * EXCEPT (a) FROM t",
        "SELECT a FROM t JOIN u ON true",
        "SELECT a FROM t, u",
        "SELECT a FROM t LATERAL VIEW explode(array(1)) AS a",
        "SELECT 1 AS a, a + 1 AS b FROM t",
        "SELECT count(*) AS a FROM t GROUP BY 1 HAVING a > 1",
        "SELECT count(*) FROM t ORDER BY a",
        "SELECT stack(1, 2) AS (a, b) FROM t HAVING a > 1",
        "SELECT 1 FROM u WHERE EXISTS (SELECT 1 FROM t WHERE a = 1)",
        "SELECT 1 FROM u WHERE k IN (SELECT a FROM t)",
        "SELECT a.b FROM t",
        "SELECT t.a.b FROM t",
        "SELECT x.a FROM t AS y (a) JOIN y AS x ON true",
        "SELECT a FROM t VERSION AS OF 3",
        "SELECT a FROM t AS y (a)",
        "SELECT a FROM t PIVOT (sum(v) FOR k IN (1 AS a))",
        "SELECT _metadata.file_path FROM t",
        "SELECT current_user, user, current_date FROM t",
        "DECLARE VARIABLE a INT; SELECT a FROM t",
        "ALTER TABLE t ADD COLUMN a INT; SELECT a FROM t",
    ],
)
def test_a_name_that_may_mean_something_else_is_left_out(tmp_path: Path, query: str) -> None:
    assert columns(tmp_path, query) == []


def test_a_column_is_told_with_the_place_that_reads_it_first(tmp_path: Path) -> None:
    (found,) = required(tmp_path, "SELECT 1;\n\nSELECT a FROM t", "SELECT A FROM t").sources
    (column,) = found.columns
    assert str(column.place) == "01_file.sql, line 3"


def test_tables_that_are_made_on_the_way_are_told_from_those_that_stay(tmp_path: Path) -> None:
    found = required(
        tmp_path,
        "CREATE OR REPLACE TABLE a_tmp AS SELECT 1 AS n;\nDROP TABLE IF EXISTS a;\n"
        "ALTER TABLE a_tmp RENAME TO a",
        "CREATE OR REPLACE TABLE b AS SELECT 1 AS n;\nDROP TABLE b;\n"
        "CREATE OR REPLACE TABLE c_tmp AS SELECT 1 AS n;\nDROP TABLE c_tmp",
        "CREATE OR REPLACE TABLE b AS SELECT 2 AS n",
    )
    assert found.passing == ("c.s.a_tmp", "c.s.c_tmp")
