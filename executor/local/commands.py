"""Statements that are words, not queries: USE, SHOW, DESCRIBE, OPTIMIZE, SET, CREATE SCHEMA, ...

sqlglot reads most of these as opaque commands or not at all, so they are read here from tokens.
``find`` looks at the first words and gives the function that does the rest, or None for what is a
query, DML or DDL of tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlglot.tokenizer_core import Token, TokenType

from executor.local import sqltypes as t
from executor.local.catalogs import META, attached, table_sql
from executor.local.describe import (
    describe_detail,
    describe_history,
    describe_namespace,
    describe_table,
    show_create,
)
from executor.local.errors import (
    SqlError,
    catalog_not_found,
    quote_name,
    schema_not_found,
    unsupported,
)
from executor.local.execution import Execution
from executor.local.history import Commit
from executor.local.results import Result
from executor.local.scope import Column
from executor.local.session import set_one
from executor.local.sqltypes import quote, text


class Words:
    """A cursor over tokens; comparisons ignore case."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = [k for k in tokens if k.token_type != TokenType.SEMICOLON]
        self.at = 0

    def take(self, *words: str) -> bool:
        """Step over ``words`` if they are next."""
        here = [k.text.upper() for k in self.tokens[self.at : self.at + len(words)]]
        if here != list(words):
            return False
        self.at += len(words)
        return True

    @property
    def done(self) -> bool:
        return self.at >= len(self.tokens)

    def need(self, *words: str) -> None:
        if not self.take(*words):
            raise self.error()

    def error(self) -> SqlError:
        if self.done:
            last = self.tokens[-1]
            return SqlError(
                "PARSE_SYNTAX_ERROR",
                "Syntax error at or near end of input.",
                line=last.line,
                position=last.col,
            )
        token = self.tokens[self.at]
        return SqlError(
            "PARSE_SYNTAX_ERROR",
            f"Syntax error at or near '{token.text}'.",
            line=token.line,
            position=max(token.col - len(token.text), 0),
        )

    def end(self) -> None:
        if not self.done:
            raise self.error()

    def next(self) -> Token:
        if self.done:
            raise self.error()
        self.at += 1
        return self.tokens[self.at - 1]

    def name(self) -> list[str]:
        """A dotted name, lower-cased."""
        parts = [self.next().text.lower()]
        while not self.done and self.tokens[self.at].token_type == TokenType.DOT:
            self.at += 1
            parts.append(self.next().text.lower())
        return parts

    def position(self) -> tuple[int, int]:
        token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return token.line, max(token.col - len(token.text), 0)


Command = Callable[[Execution, Words], Result]


def find(words: Words) -> Command | None:
    for heads, command in _COMMANDS:
        for head in heads:
            if words.take(*head.split()):
                return command
    return None


def _texts(*names: str) -> list[Column]:
    return [Column(n, t.STRING) for n in names]


# where we are -------------------------------------------------------------------------------


def _use_catalog(work: Execution, words: Words) -> Result:
    name = words.next().text.lower()
    words.end()
    if not work.engine.catalogs.has(name):
        raise catalog_not_found(name)
    work.session.catalog, work.session.schema = name, "default"
    return Result()


def _use(work: Execution, words: Words) -> Result:
    parts = words.name()
    words.end()
    catalog, schema = ([work.session.catalog, *parts])[-2:]
    if len(parts) > 2:
        raise words.error()
    work.engine.catalogs.need_schema(work.con, catalog, schema)
    work.session.catalog, work.session.schema = catalog, schema
    return Result()


_SETTING_COLUMNS = _texts("key", "value")


def _set(work: Execution, words: Words) -> Result:
    if words.done:
        return Result(_SETTING_COLUMNS, sorted(work.session.settings.items()))
    if words.take("TIME", "ZONE"):
        zone = words.next().text.strip("'\"")
        return _set_one(work, "timezone", zone)
    key = ".".join(words.name())
    tag = ""
    if not words.done and words.tokens[words.at].text == "[":
        words.next()
        tag = words.next().text
        words.need("]")
    if words.done:
        return Result(_SETTING_COLUMNS, [(key, work.session.settings.get(key, "<undefined>"))])
    words.need("=")
    rest = words.tokens[words.at :]
    value = " ".join(k.text for k in rest) if rest else ""
    return _set_one(work, key, f"{tag}:{value}" if tag else value)


def _set_one(work: Execution, key: str, value: str) -> Result:
    set_one(work.session, key, value)
    return Result(_SETTING_COLUMNS, [(key, value)])


def _reset(work: Execution, words: Words) -> Result:
    if words.done:
        work.session.settings.clear()
    else:
        work.session.settings.pop(".".join(words.name()), None)
    return Result()


# namespaces ---------------------------------------------------------------------------------


def _create_catalog(work: Execution, words: Words) -> Result:
    quiet = words.take("IF", "NOT", "EXISTS")
    name = words.next().text.lower()
    with work.engine.writing:
        if work.engine.catalogs.has(name):
            if quiet:
                return Result()
            raise SqlError("CATALOG_ALREADY_EXISTS", f"Catalog '{name}' already exists.")
        work.engine.catalogs.create(work.con, name)
        work.run(f'CREATE SCHEMA IF NOT EXISTS {attached(name)}."default"')
    return Result()


def _drop_catalog(work: Execution, words: Words) -> Result:
    quiet = words.take("IF", "EXISTS")
    name = words.next().text.lower()
    with work.engine.writing:
        catalogs = work.engine.catalogs
        if not catalogs.has(name):
            if quiet:
                return Result()
            raise catalog_not_found(name)
        full = [s for s in catalogs.schemas(work.con, name)
                if s != "default" or catalogs.tables(work.con, name, s)]  # fmt: skip
        if full and not words.take("CASCADE"):
            raise SqlError("CATALOG_NOT_EMPTY", f"Catalog '{name}' is not empty: it has {full[0]}.")
        catalogs.drop(work.con, name)
    return Result()


def _namespace(work: Execution, words: Words) -> tuple[str, str]:
    parts = words.name()
    catalog, schema = ([work.session.catalog, *parts])[-2:]
    if not work.engine.catalogs.has(catalog):
        raise catalog_not_found(catalog)
    return catalog, schema


def _create_schema(work: Execution, words: Words) -> Result:
    quiet = words.take("IF", "NOT", "EXISTS")
    catalog, schema = _namespace(work, words)
    with work.engine.writing, work.transaction():
        if work.engine.catalogs.has_schema(work.con, catalog, schema) or schema == META:
            if quiet:
                return Result()
            raise SqlError(
                "SCHEMA_ALREADY_EXISTS",
                f"Cannot create schema {quote_name(catalog, schema)} because it already exists.",
            )
        work.run(f"CREATE SCHEMA {attached(catalog)}.{quote(schema)}")
    return Result()


def _drop_schema(work: Execution, words: Words) -> Result:
    quiet = words.take("IF", "EXISTS")
    catalog, schema = _namespace(work, words)
    cascade = words.take("CASCADE")
    with work.transaction():
        catalogs = work.engine.catalogs
        if not catalogs.has_schema(work.con, catalog, schema):
            if quiet:
                return Result()
            raise schema_not_found(catalog, schema)
        inside = catalogs.tables(work.con, catalog, schema)
        if inside and not cascade:
            raise SqlError(
                "SCHEMA_NOT_EMPTY",
                f"Cannot drop a schema {quote_name(catalog, schema)} "
                "because it contains objects. Use DROP SCHEMA ... CASCADE.",
            )
        for name, is_view in inside:
            if not is_view:
                work.engine.history.drop(work.con, (catalog, schema, name))
        work.run(f'DELETE FROM {attached(catalog)}."{META}".views WHERE schema_name = ?', [schema])
        work.run(f"DROP SCHEMA {attached(catalog)}.{quote(schema)} CASCADE")
    return Result()


# SHOW ---------------------------------------------------------------------------------------


def _like(words: Words, names: list[str]) -> list[str]:
    """The names a SHOW pattern leaves: ``*`` is any text, ``|`` separates alternatives."""
    words.take("LIKE")
    if words.done:
        return names
    import fnmatch

    patterns = words.next().text.lower().split("|")
    return [n for n in names if any(fnmatch.fnmatchcase(n.lower(), p.strip()) for p in patterns)]


def _show_catalogs(work: Execution, words: Words) -> Result:
    return Result(_texts("catalog"), [(n,) for n in _like(words, work.engine.catalogs.names())])


def _show_schemas(work: Execution, words: Words) -> Result:
    catalog = work.session.catalog
    if words.take("IN") or words.take("FROM"):
        catalog = words.next().text.lower()
    if not work.engine.catalogs.has(catalog):
        raise catalog_not_found(catalog)
    names = _like(words, work.engine.catalogs.schemas(work.con, catalog))
    return Result(_texts("databaseName"), [(n,) for n in names])


def _in_schema(work: Execution, words: Words) -> tuple[str, str]:
    catalog, schema = work.session.catalog, work.session.schema
    if words.take("IN") or words.take("FROM"):
        catalog, schema = ([catalog, *words.name()])[-2:]
    work.engine.catalogs.need_schema(work.con, catalog, schema)
    return catalog, schema


def _show_tables(work: Execution, words: Words) -> Result:
    catalog, schema = _in_schema(work, words)
    found = [n for n, _ in work.engine.catalogs.tables(work.con, catalog, schema)]
    rows: list[tuple[object, ...]] = [(schema, n, False) for n in _like(words, found)]
    words.at = max(words.at - 1, 0) if not words.done else words.at
    rows += [("", n, True) for n in sorted(work.session.views)]
    return Result([*_texts("database", "tableName"), Column("isTemporary", t.BOOLEAN)], rows)


def _show_views(work: Execution, words: Words) -> Result:
    catalog, schema = _in_schema(work, words)
    found = [n for n, view in work.engine.catalogs.tables(work.con, catalog, schema) if view]
    rows: list[tuple[object, ...]] = [(schema, n, False, False) for n in _like(words, found)]
    rows += [("", n, True, False) for n in sorted(work.session.views)]
    return Result(
        [*_texts("namespace", "viewName"), Column("isTemporary", t.BOOLEAN),
         Column("isMaterialized", t.BOOLEAN)], rows)  # fmt: skip


def _show_columns(work: Execution, words: Words) -> Result:
    if not (words.take("IN") or words.take("FROM")):
        raise words.error()
    _, columns = table(work, words)
    return Result(_texts("col_name"), [(c.name,) for c in columns])


def _show_properties(work: Execution, words: Words) -> Result:
    path, _ = table(work, words)
    rows = work.run(
        f'SELECT properties FROM {attached(path[0])}."{META}".tables '
        "WHERE schema_name = ? AND table_name = ?", [path[1], path[2]])  # fmt: skip
    found = json.loads(str(rows[0][0])) if rows else {}
    return Result(_texts("key", "value"), sorted(found.items()))


def _show_current(work: Execution, words: Words) -> Result:
    return Result(_texts("catalog", "namespace"), [(work.session.catalog, work.session.schema)])


# tables -------------------------------------------------------------------------------------


def table(work: Execution, words: Words) -> tuple[tuple[str, str, str], list[Column]]:
    """The table named next. Raises TABLE_OR_VIEW_NOT_FOUND, or says that it is a view."""
    words.take("TABLE")
    where = words.position()
    path = work.session.path(words.name())
    catalogs = work.engine.catalogs
    columns = catalogs.columns(work.con, path) if catalogs.has(path[0]) else None
    if columns is None or path[1] == META:
        if catalogs.view(work.con, path) is not None:
            raise SqlError(
                "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
                f"The operation expects a table but {quote_name(*path)} is a view.",
            )
        raise catalogs.missing(work.con, path).at(*where)
    return path, columns


def _optimize(work: Execution, words: Words) -> Result:
    with work.transaction():
        path, columns = table(work, words)
        z_order = []
        while not words.done:
            if words.take("ZORDER", "BY"):
                known = {c.name.lower() for c in columns}
                z_order = [k.text.lower() for k in words.tokens[words.at :]
                           if k.text not in "(),"]  # fmt: skip
                unknown = [n for n in z_order if n not in known]
                if unknown:
                    raise SqlError(
                        "DELTA_ZORDERING_COLUMN_DOES_NOT_EXIST",
                        f"Z-Ordering column {unknown[0]} does not exist in data schema.",
                        sqlstate="42703",
                    )
            words.next()
        count = int(str(work.run(f"SELECT count(*) FROM {table_sql(path)}")[0][0]))
        size = {"min": None, "max": None, "avg": 0.0, "totalFiles": 0, "totalSize": 0}
        metrics = {
            "numFilesAdded": 0, "numFilesRemoved": 0, "filesAdded": size, "filesRemoved": size,
            "partitionsOptimized": 0, "zOrderStats": None, "clusteringStats": None,
            "numBins": 0, "numBatches": 0, "totalConsideredFiles": 1 if count else 0,
            "totalFilesSkipped": 1 if count else 0, "preserveInsertionOrder": not z_order,
            "numFilesSkippedToReduceWriteAmplification": 0,
            "numBytesSkippedToReduceWriteAmplification": 0, "numTableColumns": len(columns),
            "numTableColumnsWithStats": len(columns),
        }  # fmt: skip
        # Delta writes no commit when there was nothing to compact; DuckDB has no small files.
    return Result(
        [Column("path", t.STRING), Column("metrics", _METRICS)],
        [(location(work, path), json.dumps(metrics))],
    )


_SIZES = t.SqlType("struct", (("min", t.BIGINT), ("max", t.BIGINT), ("avg", t.DOUBLE),
                              ("totalFiles", t.BIGINT), ("totalSize", t.BIGINT)))  # fmt: skip
_METRICS = t.SqlType("struct", (("numFilesAdded", t.BIGINT), ("numFilesRemoved", t.BIGINT),
                                ("filesAdded", _SIZES), ("filesRemoved", _SIZES)))  # fmt: skip


def location(work: Execution, path: tuple[str, str, str]) -> str:
    return f"dwx-local:/{'/'.join(path)}"


def _vacuum(work: Execution, words: Words) -> Result:
    path, _ = table(work, words)
    return Result(_texts("path"), [(location(work, path),)])


def _analyze(work: Execution, words: Words) -> Result:
    table(work, words)
    return Result()


def _refresh(work: Execution, words: Words) -> Result:
    table(work, words)
    return Result()


def _comment_on(work: Execution, words: Words) -> Result:
    words.need("TABLE")
    path, _ = table(work, words)
    words.need("IS")
    work.run(
        f'UPDATE {attached(path[0])}."{META}".tables SET comment = {text(words.next().text)} '
        "WHERE schema_name = ? AND table_name = ?", [path[1], path[2]])  # fmt: skip
    return Result()


def _alter_properties(work: Execution, words: Words) -> Result | None:
    """ALTER TABLE t SET TBLPROPERTIES (...) or CLUSTER BY (...); None for another ALTER."""
    start = words.at
    words.name()
    wanted = words.take("SET", "TBLPROPERTIES") or words.take("CLUSTER", "BY")
    words.at = start
    if not wanted:
        return None
    with work.transaction():
        path, _ = table(work, words)
        where = f'{attached(path[0])}."{META}".tables'
        who = [path[1], path[2]]
        if words.take("SET", "TBLPROPERTIES"):
            rest = [k.text for k in words.tokens[words.at :] if k.text not in "(),"]
            pairs: dict[str, str] = {}
            key = ""
            for i, word in enumerate(rest):
                if word == "=":
                    pairs[key] = rest[i + 1]
                    key = ""
                elif i == 0 or rest[i - 1] != "=":
                    key += word
            old = work.run(
                f"SELECT properties FROM {where} WHERE schema_name = ? AND table_name = ?", who
            )
            merged = {**json.loads(str(old[0][0])), **pairs}
            work.run(
                f"UPDATE {where} SET properties = {text(json.dumps(merged))} "
                "WHERE schema_name = ? AND table_name = ?",
                who,
            )
            work.record(Commit(path, "SET TBLPROPERTIES", {"properties": json.dumps(pairs)}))
        elif words.take("CLUSTER", "BY"):
            named = [k.text.lower() for k in words.tokens[words.at :] if k.text not in "(),"]
            clustering = [] if named == ["none"] else named
            work.run(
                f"UPDATE {where} SET clustering = {text(json.dumps(clustering))} "
                "WHERE schema_name = ? AND table_name = ?",
                who,
            )
            work.record(Commit(path, "CLUSTER BY", {"newClusteringColumns": ",".join(clustering)}))
    return Result()


def _describe(work: Execution, words: Words) -> Result:
    if words.take("DETAIL"):
        path, columns = table(work, words)
        return describe_detail(work, path, columns, location(work, path))
    if words.take("HISTORY"):
        path, _ = table(work, words)
        limit = int(words.next().text) if words.take("LIMIT") else None
        return describe_history(work, path, limit)
    if words.take("SCHEMA") or words.take("DATABASE"):
        words.take("EXTENDED")
        return describe_namespace(work, *_checked(work, words))
    if words.take("QUERY") or words.take("FUNCTION") or words.take("CATALOG"):
        raise unsupported("DESCRIBE", "DESCRIBE QUERY, FUNCTION and CATALOG")
    words.take("TABLE")
    extended = words.take("EXTENDED") or words.take("FORMATTED")
    where = words.position()
    return describe_table(work, words.name(), extended=extended, where=where)


def _checked(work: Execution, words: Words) -> tuple[str, str]:
    catalog, schema = _namespace(work, words)
    work.engine.catalogs.need_schema(work.con, catalog, schema)
    return catalog, schema


def _show_create(work: Execution, words: Words) -> Result:
    path, columns = table(work, words)
    return show_create(work, path, columns)


def _refused(feature: str, sentence: str) -> Command:
    def refuse(work: Execution, words: Words) -> Result:
        raise unsupported(feature, sentence)

    return refuse


_COMMANDS: tuple[tuple[tuple[str, ...], Command], ...] = (
    (("USE CATALOG", "SET CATALOG"), _use_catalog),
    (("USE SCHEMA", "USE DATABASE", "USE NAMESPACE", "USE"), _use),
    (("CREATE CATALOG",), _create_catalog),
    (("DROP CATALOG",), _drop_catalog),
    (("CREATE SCHEMA", "CREATE DATABASE"), _create_schema),
    (("DROP SCHEMA", "DROP DATABASE"), _drop_schema),
    (("SHOW CATALOGS",), _show_catalogs),
    (("SHOW SCHEMAS", "SHOW DATABASES"), _show_schemas),
    (("SHOW TABLES",), _show_tables),
    (("SHOW VIEWS",), _show_views),
    (("SHOW COLUMNS",), _show_columns),
    (("SHOW TBLPROPERTIES",), _show_properties),
    (("SHOW CURRENT",), _show_current),
    (("SHOW CREATE TABLE",), _show_create),
    (("SHOW",), _refused("SHOW", "this SHOW statement")),
    (("DESCRIBE", "DESC"), _describe),
    (("OPTIMIZE",), _optimize),
    (("VACUUM",), _vacuum),
    (("ANALYZE TABLE",), _analyze),
    (("REFRESH TABLE", "REFRESH"), _refresh),
    (("COMMENT ON",), _comment_on),
    (("SET",), _set),
    (("RESET",), _reset),
    (("RESTORE",), _refused("RESTORE", "RESTORE: earlier versions of a table are not kept")),
    (("COPY INTO",), _refused("COPY_INTO", "COPY INTO")),
    (("GRANT", "REVOKE"), _refused("GRANT", "privileges")),
    (("EXPLAIN",), _refused("EXPLAIN", "EXPLAIN")),
    (("CACHE", "UNCACHE", "CLEAR"), _refused("CACHE", "CACHE and UNCACHE")),
    (("MSCK",), _refused("MSCK", "MSCK REPAIR TABLE")),
    (("BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK"),
     _refused("TRANSACTIONS", "transactions of more than one statement")),
    (("DECLARE", "EXECUTE IMMEDIATE", "CALL"), _refused("SCRIPTING", "SQL scripting")),
)  # fmt: skip

alter_properties = _alter_properties
