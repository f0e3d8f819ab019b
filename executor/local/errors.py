"""Errors as a Databricks SQL warehouse words them.

A failed statement is described by an *error class* (``TABLE_OR_VIEW_NOT_FOUND``), a sentence, a
five-character SQLSTATE and, where one is known, a position. Clients read all of it from one text,
``[CLASS] sentence SQLSTATE: 42P01; line 1 pos 14``, because the connector drops the fields that
Thrift has for it. So there is one exception here, ``SqlError``, whose ``str()`` is that text.

DuckDB's own messages are mapped to it in ``duckerrors``; what the translation refuses raises
``SqlError`` directly, through the small constructors below.
"""

from __future__ import annotations

SQLSTATES = {
    "AMBIGUOUS_REFERENCE": "42704",
    "ARITHMETIC_OVERFLOW": "22003",
    "CAST_INVALID_INPUT": "22018",
    "CAST_OVERFLOW": "22003",
    "CANNOT_PARSE_TIMESTAMP": "22007",
    "CONFIG_NOT_AVAILABLE": "42K0I",
    "DATATYPE_MISMATCH": "42K09",
    "DELTA_CONCURRENT_APPEND": "2D521",
    "DELTA_CONCURRENT_WRITE": "2D521",
    "DELTA_METADATA_CHANGED": "2D521",
    "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE": "21506",
    "DELTA_NOT_NULL_CONSTRAINT_VIOLATED": "23502",
    "DIVIDE_BY_ZERO": "22012",
    "DUPLICATED_MAP_KEY": "23505",
    "EXPECT_TABLE_NOT_VIEW": "42809",
    "EXPECT_VIEW_NOT_TABLE": "42809",
    "GROUPING_ID_COLUMN_MISMATCH": "42803",
    "INSERT_COLUMN_ARITY_MISMATCH": "21S01",
    "INTERNAL_ERROR": "XX000",
    "INVALID_ARRAY_INDEX": "22003",
    "INVALID_ARRAY_INDEX_IN_ELEMENT_AT": "22003",
    "INVALID_PARAMETER_VALUE": "22023",
    "MISSING_AGGREGATION": "42803",
    "NO_SUCH_CATALOG_EXCEPTION": "42704",
    "NUM_COLUMNS_MISMATCH": "42826",
    "OPERATION_CANCELED": "HY008",
    "OUT_OF_MEMORY": "53200",
    "PARSE_EMPTY_STATEMENT": "42617",
    "PARSE_SYNTAX_ERROR": "42601",
    "SCALAR_SUBQUERY_TOO_MANY_ROWS": "21000",
    "SCHEMA_ALREADY_EXISTS": "42P06",
    "SCHEMA_NOT_EMPTY": "2BP01",
    "SCHEMA_NOT_FOUND": "42704",
    "CATALOG_ALREADY_EXISTS": "42710",
    "CATALOG_NOT_EMPTY": "2BP01",
    "TABLE_OR_VIEW_ALREADY_EXISTS": "42P07",
    "TABLE_OR_VIEW_NOT_FOUND": "42P01",
    "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS": "42P07",
    "UNBOUND_SQL_PARAMETER": "42P02",
    "UNRESOLVED_COLUMN": "42703",
    "UNRESOLVED_FIELD": "42703",
    "FIELD_NOT_FOUND": "42704",
    "UNRESOLVED_ROUTINE": "42883",
    "UNRESOLVABLE_TABLE_VALUED_FUNCTION": "42883",
    "UNSUPPORTED_FEATURE": "0A000",
    "WRONG_NUM_ARGS": "42605",
    "COLUMN_ALREADY_EXISTS": "42711",
    "DELTA_DUPLICATE_COLUMNS_FOUND": "42711",
}


class SqlError(Exception):
    """A statement failed; ``str()`` is the text a warehouse would give.

    ``line`` is 1-based and ``position`` 0-based, as Spark counts; both None when unknown.
    """

    def __init__(
        self,
        error_class: str,
        message: str,
        *,
        sqlstate: str | None = None,
        line: int | None = None,
        position: int | None = None,
    ) -> None:
        self.error_class = error_class
        self.message = message
        self.sqlstate = sqlstate or SQLSTATES.get(error_class.split(".")[0], "XX000")
        self.line = line
        self.position = position
        super().__init__(self.text)

    @property
    def text(self) -> str:
        where = "" if self.line is None else f"; line {self.line} pos {self.position or 0}"
        return f"[{self.error_class}] {self.message} SQLSTATE: {self.sqlstate}{where}"

    def at(self, line: int | None, position: int | None) -> SqlError:
        """The same error with a position, unless it has one."""
        if self.line is not None or line is None:
            return self
        return SqlError(
            self.error_class,
            self.message,
            sqlstate=self.sqlstate,
            line=line,
            position=position,
        )


class Cancelled(Exception):  # noqa: N818 -- not an error of the statement: somebody asked for it
    """The statement was cancelled before it committed."""


class TimedOut(Cancelled):
    """The server stopped the statement at its time limit."""


class WarehouseError(Exception):
    """The embedded warehouse itself cannot start or go on; says whose fault and what to do."""


class WarehouseBusy(WarehouseError):  # noqa: N818 -- the name is the contract with callers
    """Another running process holds the same warehouse directory; the message names it."""


def quote_name(*parts: str) -> str:
    """A name as messages show it: each part in backticks."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def unsupported(feature: str, sentence: str) -> SqlError:
    """What the embedded warehouse refuses rather than answer differently."""
    return SqlError(
        f"UNSUPPORTED_FEATURE.{feature}", f"The embedded warehouse does not support {sentence}."
    )


def table_not_found(*parts: str) -> SqlError:
    return SqlError(
        "TABLE_OR_VIEW_NOT_FOUND",
        f"The table or view {quote_name(*parts)} cannot be found. Verify the spelling and "
        "correctness of the schema and catalog.",
    )


def schema_not_found(*parts: str) -> SqlError:
    return SqlError(
        "SCHEMA_NOT_FOUND",
        f"The schema {quote_name(*parts)} cannot be found. Verify the spelling and correctness "
        "of the schema and catalog.",
    )


def catalog_not_found(name: str) -> SqlError:
    return SqlError("NO_SUCH_CATALOG_EXCEPTION", f"Catalog '{name}' was not found.")


def already_exists(*parts: str) -> SqlError:
    return SqlError(
        "TABLE_OR_VIEW_ALREADY_EXISTS",
        f"Cannot create table or view {quote_name(*parts)} because it already exists. Choose a "
        "different name, drop or replace the existing object, or add the IF NOT EXISTS clause.",
    )


def mismatch(sentence: str) -> SqlError:
    return SqlError("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", sentence)
