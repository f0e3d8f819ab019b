"""What the connector's catalogs(), schemas(), tables() and columns() ask for."""

from __future__ import annotations

import re

from executor.local import sqltypes as t
from executor.local.execution import Execution
from executor.local.results import Result
from executor.local.scope import Column

_IDS = {
    "boolean": 16, "tinyint": -6, "smallint": 5, "int": 4, "bigint": -5, "float": 6, "double": 8,
    "decimal": 3, "string": 12, "binary": -2, "date": 91, "timestamp": 93, "timestamp_ntz": 93,
    "array": 2003, "map": 2000, "struct": 2002,
}  # java.sql.Types  # fmt: skip
_SIZES = {"boolean": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8, "float": 4, "double": 8,
          "date": 4, "timestamp": 8, "timestamp_ntz": 8}  # fmt: skip


def _pattern(pattern: str | None) -> re.Pattern[str]:
    """A JDBC pattern: % is any text, _ any character, a backslash takes their meaning away."""
    if not pattern or pattern == "*":
        return re.compile(".*", re.DOTALL)
    out = ""
    escaped = False
    for ch in pattern:
        if escaped:
            out, escaped = out + re.escape(ch), False
        elif ch == "\\":
            escaped = True
        else:
            out += {"%": ".*", "_": ".", "*": ".*"}.get(ch, re.escape(ch))
    return re.compile(out, re.IGNORECASE | re.DOTALL)


def _texts(*names: str) -> list[Column]:
    return [Column(n, t.STRING) for n in names]


def catalogs(work: Execution) -> Result:
    return Result(_texts("TABLE_CAT"), [(n,) for n in work.engine.catalogs.names()])


def _catalogs(work: Execution, pattern: str | None) -> list[str]:
    found = _pattern(pattern)
    return [n for n in work.engine.catalogs.names() if found.fullmatch(n)]


def schemas(work: Execution, catalog: str | None, schema: str | None) -> Result:
    wanted = _pattern(schema)
    rows = [
        (s, c)
        for c in _catalogs(work, catalog)
        for s in work.engine.catalogs.schemas(work.con, c)
        if wanted.fullmatch(s)
    ]
    return Result(_texts("TABLE_SCHEM", "TABLE_CATALOG"), rows)


def _found(
    work: Execution, catalog: str | None, schema: str | None, name: str | None
) -> list[tuple[str, str, str, bool]]:
    want_schema, want_name = _pattern(schema), _pattern(name)
    return [
        (c, s, n, is_view)
        for c in _catalogs(work, catalog)
        for s in work.engine.catalogs.schemas(work.con, c)
        if want_schema.fullmatch(s)
        for n, is_view in work.engine.catalogs.tables(work.con, c, s)
        if want_name.fullmatch(n)
    ]


def tables(
    work: Execution,
    catalog: str | None,
    schema: str | None,
    name: str | None,
    types: list[str] | None,
) -> Result:
    wanted = {k.upper() for k in types or []}
    rows = []
    for c, s, n, is_view in _found(work, catalog, schema, name):
        kind = "VIEW" if is_view else "TABLE"
        if not wanted or kind in wanted:
            rows.append((c, s, n, kind, "", None, None, None, None, None))
    return Result(
        _texts("TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS", "TYPE_CAT",
               "TYPE_SCHEM", "TYPE_NAME", "SELF_REFERENCING_COL_NAME", "REF_GENERATION"),
        rows,
    )  # fmt: skip


def columns(
    work: Execution, catalog: str | None, schema: str | None, name: str | None, column: str | None
) -> Result:
    wanted = _pattern(column)
    rows = []
    for c, s, n, is_view in _found(work, catalog, schema, name):
        if is_view:
            continue
        for place, one in enumerate(work.engine.catalogs.columns(work.con, (c, s, n)) or []):
            if not wanted.fullmatch(one.name):
                continue
            kind = one.type or t.STRING
            scale = kind.args[1] if kind.name == "decimal" else (0 if kind.integral else None)
            size = kind.args[0] if kind.name == "decimal" else _SIZES.get(kind.name)
            rows.append(
                (c, s, n, one.name, _IDS.get(kind.name, 1111), t.spark_name(kind), size, None,
                 scale, 10 if kind.numeric else None, 0 if one.sql else 1, "", None, None, None,
                 None, place, "NO" if one.sql else "YES", None, None, None, None, "NO")
            )  # fmt: skip
    names = _texts(
        "TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME",
        "COLUMN_SIZE", "BUFFER_LENGTH", "DECIMAL_DIGITS", "NUM_PREC_RADIX", "NULLABLE", "REMARKS",
        "COLUMN_DEF", "SQL_DATA_TYPE", "SQL_DATETIME_SUB", "CHAR_OCTET_LENGTH", "ORDINAL_POSITION",
        "IS_NULLABLE", "SCOPE_CATALOG", "SCOPE_SCHEMA", "SCOPE_TABLE", "SOURCE_DATA_TYPE",
        "IS_AUTO_INCREMENT",
    )  # fmt: skip
    for place in (4, 6, 7, 8, 9, 10, 13, 14, 15, 16):
        names[place] = Column(names[place].name, t.INT)
    return Result(names, rows)
