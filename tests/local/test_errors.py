"""Errors: class, SQLSTATE and position, in the one text that the connector hands on."""

from __future__ import annotations

import re
from typing import Any

import pytest
from databricks.sql.exc import ServerOperationError

SHAPE = re.compile(r"^\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\] .+ SQLSTATE: ([0-9A-Z]{5})", re.DOTALL)


@pytest.mark.parametrize(
    ("sql", "error_class", "sqlstate"),
    [
        ("SELECT * FROM nosuch", "TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        ("INSERT INTO nosuch VALUES (1)", "TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        ("CREATE TABLE t (b INT)", "TABLE_OR_VIEW_ALREADY_EXISTS", "42P07"),
        ("SELEC 1", "PARSE_SYNTAX_ERROR", "42601"),
        ("SELECT 1; SELECT 2", "PARSE_SYNTAX_ERROR", "42601"),
        ("SELECT 'open", "PARSE_SYNTAX_ERROR", "42601"),
        ("", "PARSE_EMPTY_STATEMENT", "42617"),
        ("-- only a comment", "PARSE_EMPTY_STATEMENT", "42617"),
        ("SELECT nosuch FROM t", "UNRESOLVED_COLUMN.WITH_SUGGESTION", "42703"),
        ("SELECT nosuch(1)", "UNRESOLVED_ROUTINE", "42883"),
        ("USE SCHEMA nosuch", "SCHEMA_NOT_FOUND", "42704"),
        ("CREATE TABLE nosuch.t (a INT)", "SCHEMA_NOT_FOUND", "42704"),
        ("USE CATALOG nosuch", "NO_SUCH_CATALOG_EXCEPTION", "42704"),
        ("SELECT CAST('x' AS INT)", "CAST_INVALID_INPUT", "22018"),
        ("SELECT 1 / 0", "DIVIDE_BY_ZERO", "22012"),
        ("SELECT 2147483647 + 1", "ARITHMETIC_OVERFLOW", "22003"),
        ("SELECT EXPLODE(1)", "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09"),
        ("SELECT 1 UNION SELECT 1, 2", "NUM_COLUMNS_MISMATCH", "42826"),
        (
            "INSERT INTO t VALUES (1, 2)",
            "INSERT_COLUMN_ARITY_MISMATCH.TOO_MANY_DATA_COLUMNS",
            "21S01",
        ),
        (
            "INSERT INTO u VALUES (1)",
            "INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS",
            "21S01",
        ),
        ("INSERT INTO u VALUES (1, NULL)", "DELTA_NOT_NULL_CONSTRAINT_VIOLATED", "23502"),
        (
            "MERGE INTO u USING (SELECT 1 AS a UNION ALL SELECT 1) s ON u.a = s.a "
            "WHEN MATCHED THEN DELETE WHEN MATCHED THEN UPDATE SET b = 'x'",
            "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE",
            "21506",
        ),
        ("SELECT a FROM t JOIN u ON TRUE", "AMBIGUOUS_REFERENCE", "42704"),
        ("SELECT a, COUNT(*) FROM u GROUP BY b", "MISSING_AGGREGATION", "42803"),
        ("SELECT a, COUNT(*) FROM u", "MISSING_GROUP_BY", "42803"),
        ("SELECT XXHASH64('a')", "UNSUPPORTED_FEATURE.FUNCTION", "0A000"),
        ("SELECT HASH(1)", "UNSUPPORTED_FEATURE.FUNCTION", "0A000"),
        ("SELECT SHA2('a', 512)", "UNSUPPORTED_FEATURE.SHA2", "0A000"),
        ("SELECT 'aa' RLIKE '(a)\\\\1'", "UNSUPPORTED_FEATURE.REGEX", "0A000"),
        ("SELECT 'aa' RLIKE 'a(?=a)'", "UNSUPPORTED_FEATURE.REGEX", "0A000"),
        ("RESTORE TABLE t TO VERSION AS OF 0", "DELTA_CANNOT_RESTORE_TABLE_VERSION", "22003"),
        ("SELECT * FROM t VERSION AS OF 0", "UNSUPPORTED_FEATURE.TIME_TRAVEL", "0A000"),
        ("SELECT * FROM t TABLESAMPLE (10 PERCENT)", "UNSUPPORTED_FEATURE.SAMPLE", "0A000"),
        ("SET spark.sql.shuffle.partitions = 1", "CONFIG_NOT_AVAILABLE", "42K0I"),
        ("SET ansi_mode = false", "UNSUPPORTED_FEATURE.ANSI_MODE", "0A000"),
        ("CREATE TABLE d (a INT, A INT)", "COLUMN_ALREADY_EXISTS", "42711"),
        ("SELECT RAISE_ERROR('mine')", "USER_RAISED_EXCEPTION", "P0001"),
        ("SELECT :missing", "UNBOUND_SQL_PARAMETER", "42P02"),
    ],
)
def test_an_error_has_its_class_and_sqlstate(
    run: Any, sql: str, error_class: str, sqlstate: str
) -> None:
    run("CREATE TABLE t (a INT)")
    run("CREATE TABLE u (a INT, b STRING NOT NULL)")
    run("INSERT INTO u VALUES (1, 'x')")
    with pytest.raises(ServerOperationError) as caught:
        run(sql)
    found = SHAPE.match(str(caught.value))
    assert found is not None, str(caught.value)
    assert found.groups() == (error_class, sqlstate)


def test_a_syntax_error_tells_line_and_position(run: Any) -> None:
    with pytest.raises(ServerOperationError, match=r"line 2 pos 9"):
        run("SELECT 1,\n  FROM t )")


def test_an_unresolved_name_tells_line_and_position(run: Any) -> None:
    with pytest.raises(ServerOperationError, match=r"; line 2 pos 5"):
        run("SELECT 1\nFROM nosuch")


def test_table_names_in_messages_are_complete_and_in_backticks(run: Any, schema: str) -> None:
    with pytest.raises(ServerOperationError, match=f"`main`.`{schema}`.`nosuch`"):
        run("SELECT * FROM nosuch")


def stack_of(run: Any, sql: str) -> str:
    with pytest.raises(ServerOperationError) as caught:
        run(sql)
    stack: str = caught.value.context["diagnostic-info"]
    return stack


@pytest.mark.parametrize(
    ("sql", "cause"),
    [
        ("SELECT * FROM nosuch", "org.apache.spark.sql.AnalysisException: [TABLE_OR_VIEW"),
        (
            "SELECT CAST('x' AS INT)",
            "duckdb.ConversionException: Conversion Error: Could not",
        ),
    ],
)
def test_an_error_has_a_java_stack_with_its_cause(run: Any, sql: str, cause: str) -> None:
    stack = stack_of(run, sql)
    first, *lines = stack.splitlines()
    assert first.startswith("org.apache.hive.service.cli.HiveSQLException: Error running query: [")
    (caused,) = (line for line in lines if not line.startswith("\t"))
    assert caused.startswith(f"Caused by: {cause}")
    assert stack == stack_of(run, sql)


def test_a_table_name_never_reaches_python_variables_or_files(run: Any) -> None:
    for name in ("sys", "t", "`/etc/passwd`", "`data.csv`"):
        with pytest.raises(ServerOperationError, match="TABLE_OR_VIEW_NOT_FOUND"):
            run(f"SELECT * FROM {name}")
