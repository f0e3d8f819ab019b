"""One statement at work: its connection, its transaction, and the way names are looked up in it.

A statement is atomic, as on Delta: it runs in a DuckDB transaction of its own, its history row is
written in the same transaction, and a statement that fails or is cancelled leaves nothing.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence

import duckdb
from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.catalogs import View, table_sql
from executor.local.dialect import parse, position_of
from executor.local.engine import Engine
from executor.local.errors import Cancelled, SqlError
from executor.local.history import Commit
from executor.local.queries import Queries, Source
from executor.local.scope import Column, Scope
from executor.local.session import Session
from executor.local.values import Value

VIEW_DEPTH = 32


class Execution:
    """A running statement. ``cancel`` may be called from any thread, the rest from the worker."""

    def __init__(self, engine: Engine, session: Session, statement_id: uuid.UUID) -> None:
        self.engine = engine
        self.session = session
        self.id = statement_id
        self.con = engine.connect()
        self.params: dict[str, Value] = {}
        self._cancelled = threading.Event()
        self._told_to_stop = threading.Event()
        self._deciding = threading.Lock()
        self._committed = False
        self._views = 0

    # cancelling ----------------------------------------------------------------------------

    def cancel(self) -> None:
        """Ask for a stop; may be repeated. Without effect once the commit has begun."""
        self._told_to_stop.set()
        with self._deciding:
            if self._committed:
                return
            self._cancelled.set()
        with contextlib.suppress(duckdb.Error):
            self.con.interrupt()

    def check(self) -> None:
        """Raises Cancelled where a stop was asked for."""
        if self._cancelled.is_set():
            raise Cancelled

    def pause(self, seconds: float) -> None:
        """Wait; shorter where a stop is asked for, be it too late for the commit."""
        self._told_to_stop.wait(seconds)

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def close(self) -> None:
        with contextlib.suppress(duckdb.Error):
            self.con.close()

    # transactions --------------------------------------------------------------------------

    def run(self, sql: str, params: Sequence[object] | None = None) -> list[tuple[object, ...]]:
        """Execute DuckDB SQL and give its rows."""
        self.check()
        done = self.con.execute(sql, params) if params else self.con.execute(sql)
        rows: list[tuple[object, ...]] = done.fetchall()
        self.check()
        return rows

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside commits together at the end, or not at all."""
        self.check()
        self._committed, self._pending = False, None
        self.con.execute("BEGIN")
        try:
            yield
            self.commit()
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self.con.execute("ROLLBACK")
            raise

    def commit(self, commit: Commit | None = None) -> None:
        """Commit, with ``commit`` in the table's history. Called by ``transaction`` at its end."""
        pending = commit or self._pending
        history = self.engine.history
        if pending is None:
            self._point_of_no_return()
            self.con.execute("COMMIT")
            return
        table_id = history.identify(self.con, pending)
        with history.lock:
            self._point_of_no_return()
            try:
                history.write(self.con, table_id, pending, str(self.id), self.session.user)
                self.con.execute("COMMIT")
            except BaseException:
                history.forget(table_id)
                raise

    _pending: Commit | None = None

    def record(self, commit: Commit) -> None:
        """What the history shall say once the transaction commits."""
        self._pending = commit

    def _point_of_no_return(self) -> None:
        with self._deciding:
            if self._cancelled.is_set():
                raise Cancelled
            self._committed = True

    # names ---------------------------------------------------------------------------------

    def path_of(self, node: exp.Expr) -> tuple[str, str, str]:
        table = node.find(exp.Table) if not isinstance(node, exp.Table) else node
        if table is None:
            raise SqlError("PARSE_SYNTAX_ERROR", "A table name is needed.", line=1, position=0)
        parts = [p.name for p in table.parts]
        if isinstance(table.this, exp.Anonymous) and table.name.lower() == "identifier":
            value = self.queries().expressions.value(table.this.expressions[0], Scope())
            if value.const:
                parts = [
                    p.name for p in exp.to_table(str(value.const[0]), dialect="databricks").parts
                ]
        return self.session.path(parts)

    def lookup(self, node: exp.Table) -> Source:
        """The table or view a query names. Raises TABLE_OR_VIEW_NOT_FOUND."""
        parts = [p.name for p in node.parts]
        if len(parts) == 1 and parts[0].lower() in self.session.views:
            return self._view_source(
                ("", "", parts[0].lower()), self.session.views[parts[0].lower()]
            )
        path = self.session.path(parts)
        catalogs = self.engine.catalogs
        columns = catalogs.columns(self.con, path) if catalogs.has(path[0]) else None
        if columns is not None and path[1] != "__dwx":
            shown = [Column(c.name, c.type) for c in columns]
            return Source(path, shown, table_sql(path))
        view = catalogs.view(self.con, path)
        if view is not None:
            return self._view_source(path, view)
        raise catalogs.missing(self.con, path).at(*position_of(node))

    def _view_source(self, path: tuple[str, str, str], view: View) -> Source:
        self._views += 1
        if self._views > VIEW_DEPTH:
            raise SqlError("RECURSIVE_VIEW", "A view refers to itself.", sqlstate="42K0H")
        kept = self.session.catalog, self.session.schema
        self.session.catalog, self.session.schema = view.catalog, view.schema
        try:
            sql, columns = self.queries().query(parse(view.body), Scope())
        finally:
            self.session.catalog, self.session.schema = kept
            self._views -= 1
        if view.names:
            columns = [Column(n, c.type) for n, c in zip(view.names, columns, strict=True)]
            listed = ", ".join(t.quote(c.name) for c in columns)
            return Source(path, columns, f"(SELECT * FROM ({sql}) AS __w({listed}))")
        return Source(path, columns, f"({sql})")

    def queries(self) -> Queries:
        facts = {
            "current_catalog": self.session.catalog,
            "current_schema": self.session.schema,
            "current_user": self.session.user,
            "version": "4.0.0 dwx-embedded",
        }
        lookup: Callable[[exp.Table], Source] = self.lookup
        return Queries(lookup, self.params, facts)

    def query(self, node: exp.Expr) -> tuple[str, list[Column]]:
        """A whole query: DuckDB SQL and its columns, checked for types we cannot name."""
        sql, columns = self.queries().query(node, Scope())
        return sql, columns
