"""Catalogs, schemas, tables and views: where each lives, and how a name finds its columns.

A catalog is one DuckDB file, ``PATH/catalogs/<name>.duckdb``, attached to the engine's in-memory
database under the name ``cat_<name>`` (a catalog called ``main`` would collide with DuckDB's
schema ``main``). Beside the user's schemas each file holds the schema ``__dwx`` with what Delta
keeps in its log: an id per table, the history of its commits, and the text of views. Both are
written in the transaction of the statement itself, so they never disagree with the data.

Views keep their Databricks text and the namespace they were made in, and are put in place of
their name whenever a query reads them; temporary views do the same, from their session.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote as percent
from urllib.parse import unquote

import duckdb

from executor.local import sqltypes as t
from executor.local.errors import SqlError, catalog_not_found, schema_not_found, table_not_found
from executor.local.scope import Column
from executor.local.sqltypes import from_duck, quote, text

META = "__dwx"

_META_TABLES = (
    f'CREATE SCHEMA IF NOT EXISTS {{c}}."{META}"',
    f"""CREATE TABLE IF NOT EXISTS {{c}}."{META}".tables (
        schema_name VARCHAR, table_name VARCHAR, id VARCHAR, created TIMESTAMP,
        properties VARCHAR, clustering VARCHAR, comment VARCHAR)""",
    f"""CREATE TABLE IF NOT EXISTS {{c}}."{META}".history (
        id VARCHAR, version BIGINT, committed TIMESTAMP, statement_id VARCHAR, user_name VARCHAR,
        operation VARCHAR, parameters VARCHAR, metrics VARCHAR, read_version BIGINT,
        blind_append BOOLEAN)""",
    f"""CREATE TABLE IF NOT EXISTS {{c}}."{META}".views (
        schema_name VARCHAR, view_name VARCHAR, body VARCHAR, catalog VARCHAR, namespace VARCHAR,
        names VARCHAR)""",
)


@dataclass(frozen=True, slots=True)
class View:
    """A view's text and the namespace its names are read in; ``names`` renames its columns."""

    body: str
    catalog: str
    schema: str
    names: tuple[str, ...] = ()


def attached(catalog: str) -> str:
    """The name DuckDB knows a catalog's file by, quoted."""
    return quote("cat_" + catalog.lower())


def table_sql(path: tuple[str, str, str]) -> str:
    catalog, schema, name = path
    return f"{attached(catalog)}.{quote(schema)}.{quote(name)}"


class Catalogs:
    """The catalogs of one warehouse. Methods take the DuckDB connection of the statement."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def attach_all(self, con: duckdb.DuckDBPyConnection) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in sorted(self._folder.glob("*.duckdb")):
            self._attach(con, unquote(file.stem))
        if "main" not in self._names:
            self.create(con, "main")
            con.execute(f'CREATE SCHEMA IF NOT EXISTS {attached("main")}."default"')

    def _attach(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        file = self._file(name)
        con.execute(f"ATTACH {text(str(file))} AS {attached(name)}")
        with contextlib.suppress(OSError):
            file.chmod(0o600)
        for statement in _META_TABLES:
            con.execute(statement.format(c=attached(name)))
        self._names.add(name)

    def _file(self, name: str) -> Path:
        return self._folder / (percent(name, safe="") + ".duckdb")

    def create(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        self._attach(con, name.lower())

    def drop(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        con.execute(f"DETACH {attached(name)}")
        self._names.discard(name.lower())
        for file in (self._file(name.lower()), Path(f"{self._file(name.lower())}.wal")):
            file.unlink(missing_ok=True)

    def names(self) -> list[str]:
        return sorted(self._names)

    def has(self, name: str) -> bool:
        return name.lower() in self._names

    def schemas(self, con: duckdb.DuckDBPyConnection, catalog: str) -> list[str]:
        rows = con.execute(
            "SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? AND NOT internal "
            "AND schema_name NOT IN (?, 'main') ORDER BY 1",
            ["cat_" + catalog.lower(), META],
        ).fetchall()
        return [str(r[0]) for r in rows]

    def has_schema(self, con: duckdb.DuckDBPyConnection, catalog: str, schema: str) -> bool:
        return schema.lower() in self.schemas(con, catalog)

    def need_schema(self, con: duckdb.DuckDBPyConnection, catalog: str, schema: str) -> None:
        """Raises SqlError where the catalog or the schema does not exist."""
        if not self.has(catalog):
            raise catalog_not_found(catalog)
        if not self.has_schema(con, catalog, schema):
            raise schema_not_found(catalog, schema)

    def tables(
        self, con: duckdb.DuckDBPyConnection, catalog: str, schema: str
    ) -> list[tuple[str, bool]]:
        """(name, is a view) of everything in a schema, by name."""
        rows = con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = ?",
            ["cat_" + catalog.lower(), schema.lower()],
        ).fetchall()
        views = con.execute(
            f'SELECT view_name FROM {attached(catalog)}."{META}".views WHERE schema_name = ?',
            [schema.lower()],
        ).fetchall()
        return sorted([(str(r[0]), False) for r in rows] + [(str(r[0]), True) for r in views])

    def view(self, con: duckdb.DuckDBPyConnection, path: tuple[str, str, str]) -> View | None:
        catalog, schema, name = path
        if not self.has(catalog):
            return None
        row = con.execute(
            f'SELECT body, catalog, namespace, names FROM {attached(catalog)}."{META}".views '
            "WHERE schema_name = ? AND view_name = ?",
            [schema.lower(), name.lower()],
        ).fetchone()
        if row is None:
            return None
        return View(row[0], row[1], row[2], tuple(row[3].split("\0")) if row[3] else ())

    def columns(
        self, con: duckdb.DuckDBPyConnection, path: tuple[str, str, str]
    ) -> list[Column] | None:
        """The columns of a table (``sql`` holds "NOT NULL" where NULL is refused), or None.

        Read from the catalog, not with DESCRIBE: a failed statement would abort the transaction.
        """
        rows = con.execute(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index",
            ["cat_" + path[0].lower(), path[1].lower(), path[2].lower()],
        ).fetchall()
        out = []
        for name, kind, nullable in rows:
            try:
                typed: t.SqlType | None = from_duck(str(kind))
            except ValueError:
                typed = None
            out.append(Column(str(name), typed, "" if nullable else "NOT NULL"))
        return out or None

    def missing(self, con: duckdb.DuckDBPyConnection, path: tuple[str, str, str]) -> SqlError:
        """Why a table cannot be found: its catalog, its schema, or itself."""
        catalog, schema, name = path
        return table_not_found(catalog, schema, name)
