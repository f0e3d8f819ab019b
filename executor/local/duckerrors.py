"""DuckDB's errors in the words of a Databricks warehouse.

Most faults of a statement are found by the translation, which knows names and types. What is left
happens while rows are computed (casts, overflow, division) or is a conflict between transactions.
Anything unknown becomes INTERNAL_ERROR with DuckDB's own text: a fault of ours, to be reported.
"""

from __future__ import annotations

import re

import duckdb

from executor.local.errors import Cancelled, SqlError
from executor.local.values import REFUSED

_NAMES = {
    "INT8": "TINYINT", "INT16": "SMALLINT", "INT32": "INT", "INT64": "BIGINT", "INT128": "DECIMAL",
    "BOOL": "BOOLEAN", "DOUBLE": "DOUBLE", "FLOAT": "FLOAT", "VARCHAR": "STRING",
}  # fmt: skip


def _name(duck: str) -> str:
    return _NAMES.get(duck, duck)


def _cast_input(value: str, to: str) -> SqlError:
    if REFUSED in value:
        special = _marked(value)
        if special is not None:
            return special
        value = value.replace(REFUSED, "")
    return SqlError(
        "CAST_INVALID_INPUT",
        f'The value \'{value}\' of the type "STRING" cannot be cast to "{to}" because it is '
        "malformed. Correct the value as per the syntax, or change its target type. Use `try_cast` "
        "to tolerate malformed input and return NULL instead.",
    )


def _marked(value: str) -> SqlError | None:
    """What the macros made fail on purpose."""
    index = re.fullmatch(REFUSED + r"(index|element) (-?\d+) of (\d+)", value)
    if index:
        kind = "INVALID_ARRAY_INDEX" + ("_IN_ELEMENT_AT" if index[1] == "element" else "")
        if index[1] == "element" and index[2] == "0":
            return SqlError(
                "INVALID_INDEX_OF_ZERO",
                "The index 0 is invalid. An index shall be either < 0 or > 0.",
                sqlstate="22003",
            )
        return SqlError(
            kind,
            f"The index {index[2]} is out of bounds. The array has {index[3]} elements. Use the "
            "SQL function `get()` or `try_element_at` to tolerate accessing element at invalid "
            "index and return NULL instead.",
        )
    if value == REFUSED + "conv":
        return SqlError("ARITHMETIC_OVERFLOW", "Overflow in function conv().")
    if value in (REFUSED + "slice", REFUSED + "sequence"):
        return SqlError(
            "INVALID_PARAMETER_VALUE", f"Illegal arguments of the function {value[1:]}()."
        )
    return None


def translate(exc: Exception) -> Exception:
    """The SqlError (or Cancelled) that ``exc`` is to a client."""
    if isinstance(exc, (SqlError, Cancelled)):
        return exc
    if isinstance(exc, duckdb.InterruptException):
        return Cancelled()
    text = str(exc)
    if not isinstance(exc, duckdb.Error):
        return SqlError("INTERNAL_ERROR", f"{type(exc).__name__}: {text}"[:2000])
    first = text.split("\n\nLINE ")[0].strip()
    for pattern, build in _RULES:
        found = re.search(pattern, first, re.DOTALL)
        if found:
            return build(found)
    return SqlError("INTERNAL_ERROR", f"The embedded engine failed: {first}"[:2000])


def _user_error(m: re.Match[str]) -> SqlError:
    return SqlError(m[1], m[2], sqlstate="P0001" if m[1] == "USER_RAISED_EXCEPTION" else None)


def _overflow(m: re.Match[str]) -> SqlError:
    return SqlError(
        "ARITHMETIC_OVERFLOW",
        f"{m[0].strip()[:200]} Use a wider type, or `try_add`, `try_subtract`, `try_multiply` to "
        "tolerate overflow and return NULL instead.",
    )


def _cast_overflow(m: re.Match[str]) -> SqlError:
    if m[1] == "INT128":  # a sum of integers, which DuckDB computes in 128 bits
        return SqlError("ARITHMETIC_OVERFLOW", f"BIGINT overflow: {m[2]} is out of range.")
    return SqlError(
        "CAST_OVERFLOW",
        f'The value {m[2]} of the type "{_name(m[1])}" cannot be cast to "{_name(m[3])}" due to '
        "an overflow. Use `try_cast` to tolerate overflow and return NULL instead.",
    )


def _out_of_range(m: re.Match[str]) -> SqlError:
    return SqlError(
        "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION",
        f"The value cannot be represented: {m[0][:200]}.",
        sqlstate="22003",
    )


def _zero(m: re.Match[str]) -> SqlError:
    return SqlError(
        "DIVIDE_BY_ZERO",
        "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead.",
    )


def _not_null(m: re.Match[str]) -> SqlError:
    return SqlError(
        "DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
        f"NOT NULL constraint violated for column: {m[1].split('.')[-1]}.",
    )


def _conflict(m: re.Match[str]) -> SqlError:
    return SqlError(
        "DELTA_CONCURRENT_APPEND",
        "Transaction conflict detected. Another transaction has written what this one read or "
        "wrote; this one was not committed and may be tried again. Details: " + m[0].strip()[:200],
    )


def _merge_twice(_: re.Match[str]) -> SqlError:
    return SqlError(
        "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE",
        "Cannot perform Merge as multiple source rows matched and attempted to modify the same "
        "target row in the Delta table in possibly conflicting ways.",
    )


def no_group_by(exc: SqlError) -> SqlError:
    """MISSING_AGGREGATION of a query that has no GROUP BY at all has a class of its own."""
    return SqlError(
        "MISSING_GROUP_BY",
        "The query does not include a GROUP BY clause. Add GROUP BY or turn it into the window "
        f"functions using OVER clauses. ({exc.message.split('.')[0]}.)",
        sqlstate="42803",
    )


def _missing_aggregation(m: re.Match[str]) -> SqlError:
    return SqlError(
        "MISSING_AGGREGATION",
        f'The non-aggregating expression "{m[1]}" is based on columns which are not participating '
        "in the GROUP BY clause. Add the columns or the expression to the GROUP BY, aggregate the "
        "expression, or use `any_value` if you do not care which value is returned.",
    )


def _strptime(m: re.Match[str]) -> SqlError:
    return SqlError(
        "CANNOT_PARSE_TIMESTAMP",
        f"Text '{m[1]}' could not be parsed. Use `try_to_timestamp` to tolerate invalid input "
        "string and return NULL instead.",
    )


_RULES = (
    (r"\[([A-Z][A-Z0-9_.]*)\] (.*)", _user_error),
    (r"MERGE INTO command cannot affect the same target row", _merge_twice),
    (r"Date out of range: [^\n]*", lambda m: SqlError(
        "DATETIME_FIELD_OUT_OF_BOUNDS", f"Invalid date: {m[0]}.", sqlstate="22023")),
    (r"Division by zero in expression \(.*\)", _zero),
    (r"Could not convert string '(.*)' to ([A-Z0-9]+)", lambda m: _cast_input(m[1], _name(m[2]))),
    (r"[Ff]ailed to cast value: (?:Could not convert|Unimplemented).*?['\"](.*)['\"]",
     lambda m: _cast_input(m[1], "TYPE")),
    (r"invalid (date|timestamp) field format: \"(.*?)\"",
     lambda m: _cast_input(m[2], m[1].upper())),
    (r"(date|timestamp) field value out of range: \"(.*?)\"",
     lambda m: _cast_input(m[2], m[1].upper())),
    (r"Could not convert string \"(.*)\" to (\w+)", lambda m: _cast_input(m[1], _name(m[2]))),
    (r"Could not cast value .* to (DECIMAL\(\d+,\d+\))", _out_of_range),
    (r"Casting value .* to type DECIMAL.* failed", _out_of_range),
    (r"Type (\w+) with value (\S+) can't be cast .*destination type (\w+)", _cast_overflow),
    (r"Overflow in [^\n]*", _overflow),
    (r"Out of Range Error: [^\n]*", _overflow),
    (r"NOT NULL constraint failed: (\S+)", _not_null),
    (r"[^\n]*([Cc]onflict|has been altered|was altered|outdated|another transaction)[^\n]*",
     _conflict),
    (r"column \"?([^\"\n]+)\"? must appear in the GROUP BY clause", _missing_aggregation),
    (r"More than one row returned by a subquery", lambda m: SqlError(
        "SCALAR_SUBQUERY_TOO_MANY_ROWS",
        "More than one row returned by a subquery used as an expression.")),
    (r"[Mm]ap keys must be unique", lambda m: SqlError(
        "DUPLICATED_MAP_KEY", "Duplicate map key was found, please check the input data.")),
    (r"Map keys can ?not be NULL", lambda m: SqlError(
        "NULL_MAP_KEY", "Cannot use null as map key.", sqlstate="2200E")),
    (r"Could not parse string \"(.*?)\" according to format", _strptime),
    (r"Invalid Input Error: (?:missing|invalid|unexpected|no argument|bad|duplicate).*",
     lambda m: SqlError(
         "UNSUPPORTED_FEATURE.REGEX", f"The regular expression cannot be used: {m[0][:150]}.")),
    (r"Out of Memory Error: [^\n]*", lambda m: SqlError("OUT_OF_MEMORY", m[0][:300])),
    (r"aggregate function calls cannot be nested|WHERE clause cannot contain (aggregates|window)",
     lambda m: SqlError("INVALID_WHERE_CONDITION", m[0], sqlstate="42903")),
)  # fmt: skip
