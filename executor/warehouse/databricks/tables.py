"""Which tables there are, with which columns, and whether new ones may be made.

Theory. `information_schema` tells of many tables in one statement, but it does not tell all: some
catalogs have none, foreign ones fill it late, and it shows only what one is privileged to see. So
it is believed where it says yes. That a table or a column is missing is said by DESCRIBE TABLE
alone, which resolves the name as a query would. What neither tells is not known.

Privileges come from grants to the user or a group of theirs, or from owning the schema. That no
such grant is to be seen is no proof that there is none.

Sources: https://docs.databricks.com/sql/language-manual/sql-ref-information-schema, and there
SCHEMA_PRIVILEGES, SCHEMATA and COLUMNS; is_account_group_member takes any STRING expression.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from executor.core.facts import TableFacts
from executor.core.failures import classify
from executor.warehouse.databricks.results import Row
from executor.warehouse.port import CreatePrivilege, StatementError
from executor.workflow.names import quote, split_name, sql_name

Query = Callable[[str, int], Sequence[Row]]
"""Runs a statement and returns its rows, at most so many. Raises `StatementError`."""

ENOUGH = 4
"""From so many tables of one catalog on, one query for all is worth its time."""
MOST_COLUMNS = 20_000
"""Rows of `information_schema.columns` that are read; what is cut off is asked for by itself."""
_MISSING = ("missing_object", "missing_namespace")


def table_facts(query: Query, tables: Mapping[str, Collection[str]]) -> Mapping[str, TableFacts]:
    """What is known of `tables` (full names, each with its columns wanted). Never raises."""
    known: dict[str, TableFacts] = {}
    for catalog, group in _by_catalog(tables).items():
        if len(group) >= ENOUGH:
            known.update(_from_information_schema(query, catalog, group))
    for table, columns in tables.items():
        if table not in known or not set(columns) <= set(known[table].columns):
            known[table] = _described(query, table)
    return known


def may_create(query: Query, schema: str) -> tuple[CreatePrivilege, str]:
    """Whether tables may be made in `catalog.schema`, and how that is known. Never raises."""
    try:
        rows = query(_privilege_query(*split_name(schema)), 1)
    except StatementError as exc:
        return "unknown", f"grants cannot be read: {exc.facts.message}"
    except ValueError:
        return "unknown", f"{schema} names no catalog"
    if not rows:
        return "unknown", "no grant of CREATE TABLE is to be seen; there may be one all the same"
    return "passed", "granted"


def _by_catalog(tables: Mapping[str, Collection[str]]) -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for table in tables:
        groups.setdefault(split_name(table)[0], []).append(table)
    return groups


def _from_information_schema(
    query: Query, catalog: str, tables: Sequence[str]
) -> Mapping[str, TableFacts]:
    wanted = {split_name(table)[1:]: table for table in tables}
    names = ", ".join(f"({_text(schema)}, {_text(name)})" for schema, name in wanted)
    sql = (
        "SELECT table_schema, table_name, column_name "
        f"FROM {quote(catalog)}.information_schema.columns "
        f"WHERE (table_schema, table_name) IN ({names}) "
        "ORDER BY table_schema, table_name, ordinal_position"
    )
    try:
        rows = query(sql, MOST_COLUMNS)
    except StatementError:
        return {}
    columns: dict[str, list[str]] = {}
    for row in rows:
        table = wanted.get((str(row.get("table_schema")), str(row.get("table_name"))))
        if table is not None:
            columns.setdefault(table, []).append(str(row.get("column_name")).lower())
    return {table: TableFacts(True, tuple(found)) for table, found in columns.items()}


def _described(query: Query, table: str) -> TableFacts:
    try:
        rows = query(f"DESCRIBE TABLE {sql_name(table)}", MOST_COLUMNS)
    except StatementError as exc:
        named = exc.facts.error_class is not None
        if named and classify(exc.facts).category in _MISSING:
            return TableFacts(exists=False)
        return TableFacts(exists=None, detail=f"it cannot be described: {exc.facts.message}")
    return TableFacts(True, tuple(_columns(rows)))


def _columns(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        name = str(row.get("col_name") or "")
        if not name or name.startswith("#"):
            return  # partitions and details follow
        yield name.lower()


def _privilege_query(catalog: str, schema: str) -> str:
    where = f"{quote(catalog)}.information_schema"
    named = f"schema_name = {_text(schema)}"
    return (
        f"SELECT privilege_type FROM {where}.schema_privileges WHERE {named} "
        "AND replace(upper(privilege_type), '_', ' ') IN ('CREATE TABLE', 'ALL PRIVILEGES') "
        f"AND {_is_me('grantee')} UNION ALL "
        f"SELECT 'OWNER' FROM {where}.schemata WHERE {named} AND {_is_me('schema_owner')}"
    )


def _is_me(principal: str) -> str:
    return f"({principal} = current_user() OR is_account_group_member({principal}))"


def _text(value: str) -> str:
    """A string literal. Names of tables hold neither quotes nor backslashes; other text might."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
