"""What statements are, read and write."""

from __future__ import annotations

import pytest

from executor.workflow.lineage import Lineage, Names, lineage


def read(text: str, names: Names | None = None) -> Lineage:
    return lineage(text, names or Names("lake", "crm"))


@pytest.mark.parametrize(
    ("text", "kind", "target", "reads", "writes"),
    [
        ("USE CATALOG x", "use", None, "", ""),
        ("SET CATALOG x", "use", None, "", ""),
        ("SET TIMEZONE = 'UTC'", "set", None, "", ""),
        ("CREATE TABLE t (a INT)", "create", "lake.crm.t", "", "lake.crm.t"),
        ("CREATE TABLE t AS SELECT * FROM u",
         "create_as", "lake.crm.t", "lake.crm.u", "lake.crm.t"),
        ("CREATE OR REPLACE TABLE a.t (a INT) USING DELTA", "replace", "lake.a.t", "", "lake.a.t"),
        ("CREATE OR REPLACE TABLE t CLUSTER BY (a) AS SELECT a FROM x.y.u",
         "replace_as", "lake.crm.t", "x.y.u", "lake.crm.t"),
        ("REPLACE TABLE t AS SELECT 1", "replace_as", "lake.crm.t", "", "lake.crm.t"),
        ("CREATE OR REPLACE VIEW v AS SELECT * FROM u",
         "replace_as", "lake.crm.v", "lake.crm.u", "lake.crm.v"),
        ("CREATE TABLE t SHALLOW CLONE u", "create_as", "lake.crm.t", "lake.crm.u", "lake.crm.t"),
        ("INSERT INTO TABLE t (a) SELECT a FROM u",
         "insert", "lake.crm.t", "lake.crm.u", "lake.crm.t"),
        ("INSERT INTO t WITH q AS (SELECT * FROM u) SELECT * FROM q",
         "insert", "lake.crm.t", "lake.crm.u", "lake.crm.t"),
        ("WITH q AS (SELECT * FROM q) INSERT INTO t SELECT * FROM q",
         "insert", "lake.crm.t", "lake.crm.q", "lake.crm.t"),
        ("INSERT OVERWRITE TABLE t SELECT 1", "insert_overwrite", "lake.crm.t", "", "lake.crm.t"),
        ("MERGE INTO t AS x USING u ON x.a = u.a WHEN MATCHED THEN UPDATE SET *",
         "merge", "lake.crm.t", "lake.crm.u", "lake.crm.t"),
        ("MERGE WITH SCHEMA EVOLUTION INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
         "merge", "lake.crm.t", "lake.crm.u", "lake.crm.t"),
        ("UPDATE t SET a = 1 WHERE b IN (SELECT b FROM u)",
         "update", "lake.crm.t", "lake.crm.u", "lake.crm.t"),
        ("DELETE FROM t WHERE a = 1", "delete", "lake.crm.t", "", "lake.crm.t"),
        ("TRUNCATE TABLE t", "truncate", "lake.crm.t", "", "lake.crm.t"),
        ("COPY INTO t FROM '/x/y' FILEFORMAT = CSV", "copy_into", "lake.crm.t", "", "lake.crm.t"),
        ("DROP TABLE IF EXISTS t", "drop", "lake.crm.t", "", "lake.crm.t"),
        ("ALTER TABLE a.b.t RENAME TO u", "rename", "a.b.u", "a.b.t", "a.b.u"),
        ("ALTER TABLE a.b.t RENAME TO c.d.u", "rename", "c.d.u", "a.b.t", "c.d.u"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1)", "alter", "lake.crm.t", "", "lake.crm.t"),
        ("OPTIMIZE t ZORDER BY (a)", "optimize", "lake.crm.t", "lake.crm.t", ""),
        ("VACUUM t", "vacuum", "lake.crm.t", "lake.crm.t", ""),
        ("SELECT * FROM t JOIN a.u ON true", "select", None, "lake.crm.t lake.a.u", ""),
        ("WITH q AS (SELECT * FROM t) SELECT * FROM q, Q", "select", None, "lake.crm.t", ""),
        ("WITH RECURSIVE q AS (SELECT 1 UNION ALL SELECT * FROM q JOIN t) SELECT * FROM q",
         "select", None, "lake.crm.t", ""),
        ("SELECT * FROM (WITH q AS (SELECT 1) SELECT * FROM q) JOIN q",
         "select", None, "lake.crm.q", ""),
        ("SELECT a FROM t LATERAL VIEW EXPLODE(a) e AS b", "select", None, "lake.crm.t", ""),
        ("SELECT * FROM delta.`/mnt/x`", "select", None, "", ""),
        ("SELECT * FROM read_files('/x')", "select", None, "", ""),
        ("SELECT * FROM `My-Lake`.`S``1`.`T.x`", "select", None, "my-lake.`s``1`.`t.x`", ""),
        ("BEGIN INSERT INTO t SELECT * FROM u; SELECT * FROM t; END",
         "script", None, "lake.crm.u", "lake.crm.t"),
        ("BEGIN TRANSACTION", "transaction", None, "", ""),
        ("GRANT SELECT ON TABLE t TO someone", "other", None, "", ""),
        ("DESCRIBE HISTORY t", "other", None, "", ""),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1", "other", None, "", ""),
        ("CREATE SCHEMA IF NOT EXISTS s", "other", None, "", ""),
        ("SELEC 1", "unknown", None, "", ""),
        ("CREATE OR REPLACE TABLE t DEEP CLONE u VERSION AS OF 3", "unknown", None, "", ""),
    ],
)  # fmt: skip
def test_a_statement_is_told_by_kind_target_reads_and_writes(
    text: str, kind: str, target: str | None, reads: str, writes: str
) -> None:
    found = read(text)
    assert (found.kind, found.target) == (kind, target)
    assert found.reads == tuple(reads.split())
    assert found.writes == tuple(writes.split())


def test_names_follow_the_use_statements_before_them() -> None:
    names = Names("lake", "crm")
    assert read("SELECT * FROM t", names).reads == ("lake.crm.t",)
    read("USE SCHEMA `Sales`", names)
    assert read("SELECT * FROM t", names).reads == ("lake.sales.t",)
    read("USE CATALOG other", names)
    assert read("SELECT * FROM t", names).reads == ("other.default.t",)
    read("USE a.b", names)
    assert read("SELECT * FROM t", names).reads == ("a.b.t",)


def test_without_a_catalog_a_name_says_what_is_known() -> None:
    assert read("SELECT * FROM t", Names(None, None)).reads == ("t",)
    assert read("SELECT * FROM s.t", Names(None, "crm")).reads == ("s.t",)


def test_a_temporary_view_belongs_to_the_session_until_it_is_dropped() -> None:
    names = Names("lake", "crm")
    made = read("CREATE OR REPLACE TEMPORARY VIEW t AS SELECT * FROM t", names)
    assert (made.target, made.reads, made.session) == ("t", ("lake.crm.t",), True)
    assert read("SELECT * FROM t", names).reads == ("t",)
    read("DROP VIEW t", names)
    assert read("SELECT * FROM t", names).reads == ("lake.crm.t",)


@pytest.mark.parametrize(
    "text",
    ["SELECT * FROM IDENTIFIER('a.b')", "CALL p(1)", "EXECUTE IMMEDIATE 'SELECT 1'",
     "BEGIN SELEC 1; END"],
)  # fmt: skip
def test_what_cannot_be_seen_from_the_text_is_said(text: str) -> None:
    assert read(text).opaque is not None


def test_the_parser_says_nothing_on_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("CREATE OR REPLACE TABLE t DEEP CLONE u VERSION AS OF 3", "SELEC 1", "SELECT (("):
        assert read(text).kind == "unknown"
    assert capfd.readouterr() == ("", "")


def test_sql_that_is_nested_beyond_the_parsers_depth_is_unknown_and_no_error() -> None:
    assert read("SELECT " + "(" * 5000 + "1" + ")" * 5000).kind == "unknown"


@pytest.mark.parametrize(
    "text",
    [
        "CREATE OR REPLACE TABLE IDENTIFIER('x') AS SELECT 1 AS n",
        "INSERT INTO IDENTIFIER('x') SELECT 1",
    ],
)
def test_a_target_whose_name_is_computed_is_not_known(text: str) -> None:
    found = lineage(text, Names("lake", "crm"))
    assert (found.target, found.writes) == (None, ())
    assert found.opaque is not None
    assert lineage("CREATE TABLE identifier (a INT)", Names("lake", "crm")).target is not None
