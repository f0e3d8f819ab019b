"""Results: columns with types, and rows in the form the wire wants them.

A query's rows leave DuckDB already in wire form: numbers, truth values and bytes as they are,
everything else (decimals, dates, timestamps) as text and nested values as JSON text, converted in
SQL, because DuckDB does that faster than Python could.

A small result is kept in memory. A large one is first written to a file in the warehouse's
temporary directory and read from there in batches, so a statement is FINISHED only once every row
has been computed, as on a warehouse, and memory stays flat however many rows there are.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from executor.local import sqltypes as t
from executor.local.scope import Column
from executor.local.sqltypes import SqlType, text
from executor.local.values import fresh, to_text

KEPT_IN_MEMORY = 20_000  # rows


@dataclass(slots=True)
class Result:
    """What a statement returns. ``modified`` is numModifiedRows where the statement has one."""

    columns: list[Column] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    modified: int | None = None
    spooled: Spool | None = None

    def close(self) -> None:
        if self.spooled is not None:
            self.spooled.close()


class Spool:
    """Rows in a file, read forward."""

    def __init__(self, con: duckdb.DuckDBPyConnection, file: Path) -> None:
        self._con = con
        self._file = file
        con.execute(f"SELECT * FROM read_parquet({text(str(file))})")

    def next(self, most: int) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._con.fetchmany(most)
        return rows

    def close(self) -> None:
        with contextlib.suppress(duckdb.Error):
            self._con.close()
        with contextlib.suppress(OSError):
            self._file.unlink()


def wire_sql(sql: str, kind: SqlType | None) -> str:
    """``sql`` in wire form."""
    if kind is None:
        return f"CAST({sql} AS VARCHAR)"
    if kind.name in ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double",
                     "string", "binary"):  # fmt: skip
        return sql
    if kind.nested:
        return json_sql(sql, kind)
    if kind.interval:
        return f"spark_interval_text({sql}, {'TRUE' if kind == t.INTERVAL_YM else 'FALSE'})"
    return to_text(sql, kind)


def json_sql(sql: str, kind: SqlType) -> str:
    """A nested value as JSON text, the form a warehouse returns without Arrow."""
    return f"CAST(to_json({_json_ready(sql, kind)}) AS VARCHAR)"


def _json_ready(sql: str, kind: SqlType) -> str:
    if not _needs_work(kind):
        return sql
    one = fresh("j", sql)
    if kind.name == "array":
        return f"list_transform({sql}, lambda {one}: {_json_ready(one, kind.args[0])})"
    if kind.name == "struct":
        fields = ", ".join(
            f"{t.quote(n)} := {_json_ready(f'{one}.{t.quote(n)}', k)}" for n, k in kind.args
        )
        return (
            f"list_transform([{sql}], lambda {one}: CASE WHEN {one} IS NULL THEN NULL "
            f"ELSE struct_pack({fields}) END)[1]"
        )
    if kind.name == "map":
        key, item = (
            _json_ready(f"{one}.key", kind.args[0]),
            _json_ready(f"{one}.value", kind.args[1]),
        )
        pair = f"{{'key': {key}, 'value': {item}}}"
        return f"map_from_entries(list_transform(map_entries({sql}), lambda {one}: {pair}))"
    if kind.name == "binary":
        return f"base64({sql})"
    return to_text(sql, kind)


def _needs_work(kind: SqlType) -> bool:
    if kind.name in ("timestamp", "timestamp_ntz", "binary"):
        return True
    if kind.name == "struct":
        return any(_needs_work(k) for _, k in kind.args)
    return any(_needs_work(k) for k in kind.args if isinstance(k, SqlType))


def in_wire_form(sql: str, columns: Sequence[Column]) -> str:
    """A query around ``sql`` whose columns are in wire form, or ``sql`` itself if they are."""
    names = [f"c{i}" for i in range(len(columns))]
    items = [wire_sql(n, c.type) for n, c in zip(names, columns, strict=True)]
    if items == names:
        return sql
    return f"SELECT {', '.join(items)} FROM ({sql}) AS __r({', '.join(names)})"


def run_query(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    columns: list[Column],
    spill: Path,
    connect: Callable[[], duckdb.DuckDBPyConnection],
) -> Result:
    """Execute a query to its end. A spooled result reads through a connection of its own."""
    wired = in_wire_form(sql, columns)
    con.execute(wired)
    rows = con.fetchmany(KEPT_IN_MEMORY + 1)
    if len(rows) <= KEPT_IN_MEMORY:
        return Result(columns, rows)
    del rows
    file = spill / f"{uuid.uuid4().hex}.parquet"
    names = ", ".join(f"c{i}" for i in range(len(columns)))
    try:
        con.execute(
            f"COPY (SELECT * FROM ({wired}) AS __r({names})) TO {text(str(file))} "
            "(FORMAT parquet, COMPRESSION lz4_raw)"
        )
        return Result(columns, [], None, Spool(connect(), file))
    except BaseException:
        file.unlink(missing_ok=True)
        raise
