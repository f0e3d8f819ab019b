"""USE, SET, CREATE and DROP of catalogs and schemas, and SHOW."""

from __future__ import annotations

import fnmatch
import json

from executor.local import sqltypes as t
from executor.local.catalogs import META, attached
from executor.local.errors import SqlError, catalog_not_found, quote_name, schema_not_found
from executor.local.execution import Execution
from executor.local.results import Result
from executor.local.scope import Column
from executor.local.session import set_one
from executor.local.sqltypes import quote
from executor.local.words import Words, string_columns, table


def use_catalog(work: Execution, words: Words) -> Result:
    name = words.next().text.lower()
    words.end()
    if not work.engine.catalogs.has(name):
        raise catalog_not_found(name)
    work.session.catalog, work.session.schema = name, "default"
    return Result()


def use_schema(work: Execution, words: Words) -> Result:
    parts = words.name()
    words.end()
    catalog, schema = ([work.session.catalog, *parts])[-2:]
    if len(parts) > 2:
        raise words.error()
    work.engine.catalogs.need_schema(work.con, catalog, schema)
    work.session.catalog, work.session.schema = catalog, schema
    return Result()


_SETTING_COLUMNS = string_columns("key", "value")


def set_config(work: Execution, words: Words) -> Result:
    if words.done():
        return Result(_SETTING_COLUMNS, sorted(work.session.settings.items()))
    if words.take("TIME", "ZONE"):
        zone = words.next().text.strip("'\"")
        return _set_one(work, "timezone", zone)
    key = ".".join(words.name())
    tag = ""
    if not words.done() and words.tokens[words.at].text == "[":
        words.next()
        tag = words.next().text
        words.need("]")
    if words.done():
        return Result(_SETTING_COLUMNS, [(key, work.session.settings.get(key, "<undefined>"))])
    words.need("=")
    rest = words.tokens[words.at :]
    value = " ".join(k.text for k in rest) if rest else ""
    return _set_one(work, key, f"{tag}:{value}" if tag else value)


def _set_one(work: Execution, key: str, value: str) -> Result:
    set_one(work.session, key, value)
    return Result(_SETTING_COLUMNS, [(key, value)])


def reset(work: Execution, words: Words) -> Result:
    if words.done():
        work.session.settings.clear()
    else:
        work.session.settings.pop(".".join(words.name()), None)
    return Result()


# namespaces ---------------------------------------------------------------------------------


def create_catalog(work: Execution, words: Words) -> Result:
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


def drop_catalog(work: Execution, words: Words) -> Result:
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


def namespace(work: Execution, words: Words) -> tuple[str, str]:
    parts = words.name()
    catalog, schema = ([work.session.catalog, *parts])[-2:]
    if not work.engine.catalogs.has(catalog):
        raise catalog_not_found(catalog)
    return catalog, schema


def create_schema(work: Execution, words: Words) -> Result:
    quiet = words.take("IF", "NOT", "EXISTS")
    catalog, schema = namespace(work, words)
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


def drop_schema(work: Execution, words: Words) -> Result:
    quiet = words.take("IF", "EXISTS")
    catalog, schema = namespace(work, words)
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
    if words.done():
        return names
    patterns = words.next().text.lower().split("|")
    return [n for n in names if any(fnmatch.fnmatchcase(n.lower(), p.strip()) for p in patterns)]


def show_catalogs(work: Execution, words: Words) -> Result:
    return Result(
        string_columns("catalog"), [(n,) for n in _like(words, work.engine.catalogs.names())]
    )


def show_schemas(work: Execution, words: Words) -> Result:
    catalog = work.session.catalog
    if words.take("IN") or words.take("FROM"):
        catalog = words.next().text.lower()
    if not work.engine.catalogs.has(catalog):
        raise catalog_not_found(catalog)
    names = _like(words, work.engine.catalogs.schemas(work.con, catalog))
    return Result(string_columns("databaseName"), [(n,) for n in names])


def _in_schema(work: Execution, words: Words) -> tuple[str, str]:
    catalog, schema = work.session.catalog, work.session.schema
    if words.take("IN") or words.take("FROM"):
        catalog, schema = ([catalog, *words.name()])[-2:]
    work.engine.catalogs.need_schema(work.con, catalog, schema)
    return catalog, schema


def show_tables(work: Execution, words: Words) -> Result:
    catalog, schema = _in_schema(work, words)
    found = [n for n, _ in work.engine.catalogs.tables(work.con, catalog, schema)]
    rows: list[tuple[object, ...]] = [(schema, n, False) for n in _like(words, found)]
    words.at = max(words.at - 1, 0) if not words.done() else words.at
    rows += [("", n, True) for n in sorted(work.session.views)]
    return Result(
        [*string_columns("database", "tableName"), Column("isTemporary", t.BOOLEAN)], rows
    )


def show_views(work: Execution, words: Words) -> Result:
    catalog, schema = _in_schema(work, words)
    found = [n for n, view in work.engine.catalogs.tables(work.con, catalog, schema) if view]
    rows: list[tuple[object, ...]] = [(schema, n, False, False) for n in _like(words, found)]
    rows += [("", n, True, False) for n in sorted(work.session.views)]
    return Result(
        [*string_columns("namespace", "viewName"), Column("isTemporary", t.BOOLEAN),
         Column("isMaterialized", t.BOOLEAN)], rows)  # fmt: skip


def show_columns(work: Execution, words: Words) -> Result:
    if not (words.take("IN") or words.take("FROM")):
        raise words.error()
    _, columns = table(work, words)
    return Result(string_columns("col_name"), [(c.name,) for c in columns])


def show_properties(work: Execution, words: Words) -> Result:
    path, _ = table(work, words)
    rows = work.run(
        f'SELECT properties FROM {attached(path[0])}."{META}".tables '
        "WHERE schema_name = ? AND table_name = ?", [path[1], path[2]])  # fmt: skip
    found = json.loads(str(rows[0][0])) if rows else {}
    return Result(string_columns("key", "value"), sorted(found.items()))


def show_current(work: Execution, words: Words) -> Result:
    return Result(
        string_columns("catalog", "namespace"), [(work.session.catalog, work.session.schema)]
    )
