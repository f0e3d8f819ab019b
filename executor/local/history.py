"""A table's identity and history: what Delta's log answers to DESCRIBE HISTORY and DETAIL.

Every statement that writes a table adds one row, in its own transaction. Versions count per
table id from 0. Two statements that append to one table at the same time are both right, so the
number cannot come from what a transaction sees; it comes from a counter in memory, taken under
the lock that also covers the commit, so numbers follow the order of commits.
"""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb

from executor.local.catalogs import META, attached
from executor.local.errors import SqlError


@dataclass(slots=True)
class Commit:
    """What a write did to one table."""

    path: tuple[str, str, str]
    operation: str
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    blind_append: bool = False
    created: bool = False  # a new table id begins here, unless the table is replaced
    properties: dict[str, str] = field(default_factory=dict)
    clustering: list[str] = field(default_factory=list)
    follows: int | None = None  # the version it must come right after; None: whichever is last


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the history."""

    version: int
    operation: str
    parameters: dict[str, str]
    metrics: dict[str, str]


class History:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._last: dict[str, int] = {}

    def table_id(self, con: duckdb.DuckDBPyConnection, path: tuple[str, str, str]) -> str | None:
        catalog, schema, name = path
        row = con.execute(
            f'SELECT id FROM {attached(catalog)}."{META}".tables '
            "WHERE schema_name = ? AND table_name = ?",
            [schema.lower(), name.lower()],
        ).fetchone()
        return None if row is None else str(row[0])

    def identify(self, con: duckdb.DuckDBPyConnection, commit: Commit) -> str:
        """The table's id; a new one is entered where the commit created the table."""
        found = self.table_id(con, commit.path)
        catalog, schema, name = commit.path
        where = f'{attached(catalog)}."{META}".tables'
        if found is None:
            found = str(uuid.uuid4())
            con.execute(
                f"INSERT INTO {where} VALUES (?, ?, ?, ?, ?, ?, '')",
                [schema.lower(), name.lower(), found, _now(), json.dumps(commit.properties),
                 json.dumps(commit.clustering)],
            )  # fmt: skip
        elif commit.created:
            con.execute(
                f"UPDATE {where} SET properties = ?, clustering = ? WHERE id = ?",
                [json.dumps(commit.properties), json.dumps(commit.clustering), found],
            )
        return found

    def write(
        self,
        con: duckdb.DuckDBPyConnection,
        table_id: str,
        commit: Commit,
        statement_id: str,
        user: str,
    ) -> None:
        """Add the row; the caller holds ``lock`` and commits, or calls ``forget`` on failure."""
        catalog = commit.path[0]
        where = f'{attached(catalog)}."{META}".history'
        last = self._last.get(table_id)
        if last is None:
            row = con.execute(
                f"SELECT max(version) FROM {where} WHERE id = ?", [table_id]
            ).fetchone()
            last = -1 if row is None or row[0] is None else int(row[0])
        if commit.follows is not None and last != commit.follows:
            raise SqlError(
                "DELTA_CONCURRENT_APPEND",
                f"The table was changed by a concurrent update: it is at version {last}, no longer "
                f"at {commit.follows}. Please try the operation again.",
            )
        version = last + 1
        con.execute(
            f"INSERT INTO {where} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [table_id, version, _now(), statement_id, user, commit.operation,
             json.dumps(commit.parameters), json.dumps(commit.metrics),
             None if last < 0 else last, commit.blind_append],
        )  # fmt: skip
        self._last[table_id] = version

    def forget(self, table_id: str) -> None:
        """The transaction failed: read the last version from the table next time."""
        self._last.pop(table_id, None)

    def drop(self, con: duckdb.DuckDBPyConnection, path: tuple[str, str, str]) -> None:
        found = self.table_id(con, path)
        if found is None:
            return
        where = f'{attached(path[0])}."{META}"'
        con.execute(f"DELETE FROM {where}.tables WHERE id = ?", [found])
        con.execute(f"DELETE FROM {where}.history WHERE id = ?", [found])

    def rename(self, con: duckdb.DuckDBPyConnection, old: tuple[str, str, str], new: str) -> None:
        con.execute(
            f'UPDATE {attached(old[0])}."{META}".tables SET table_name = ? '
            "WHERE schema_name = ? AND table_name = ?",
            [new.lower(), old[1].lower(), old[2].lower()],
        )

    def entries(self, con: duckdb.DuckDBPyConnection, path: tuple[str, str, str]) -> list[Entry]:
        """The whole history, newest first."""
        rows = con.execute(
            f'SELECT version, operation, parameters, metrics FROM {attached(path[0])}."{META}"'
            ".history WHERE id = ? ORDER BY version DESC",
            [self.table_id(con, path)],
        ).fetchall()
        return [Entry(v, op, json.loads(params), json.loads(metrics))
                for v, op, params, metrics in rows]  # fmt: skip

    def rows(
        self, con: duckdb.DuckDBPyConnection, path: tuple[str, str, str], limit: int | None
    ) -> list[tuple[object, ...]]:
        """DESCRIBE HISTORY: newest first, in the columns of ``HISTORY_COLUMNS``."""
        found = self.table_id(con, path)
        only = "" if limit is None else f" LIMIT {limit}"
        rows = con.execute(
            f"SELECT version, CAST(committed AS VARCHAR), user_name, operation, parameters, "
            f'read_version, blind_append, metrics, statement_id FROM {attached(path[0])}."{META}"'
            f".history WHERE id = ? ORDER BY version DESC{only}",
            [found],
        ).fetchall()
        return [
            (v, at, user, user, op, params, None, None, None, read, "WriteSerializable", blind,
             metrics, None, ENGINE_INFO, statement)
            for v, at, user, op, params, read, blind, metrics, statement in rows
        ]  # fmt: skip


ENGINE_INFO = "dwx-embedded-warehouse DuckDB/" + str(duckdb.__version__)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
