"""Which columns a query needs of which tables, as far as its syntax tree alone can tell.

Theory. What is said here is held against the warehouse before a run begins, so it must never be
wrong; it may well be incomplete. Two kinds of names can be told without knowing any table. `t.a`,
where `t` names a table of the query it stands in. And `a` alone, where one table
is all that there is to find it in: no join, no query around it that could lend a name, and no
alias, lambda or keyword of that name. Names in scripts, in pivots, of renamed columns and of tables
as they once were are left out, like everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlglot import exp

_NO_COLUMNS = frozenset(
    ("current_date", "current_timestamp", "current_user", "current_catalog", "current_schema",
     "current_database", "current_timezone", "localtimestamp", "session_user", "user", "now",
     "microsecond", "millisecond", "second", "minute", "hour", "day", "dayofyear", "week", "month",
     "quarter", "year", "default", "both", "leading", "trailing")
)  # fmt: skip
"""Words that may stand where a column does."""


@dataclass(frozen=True, slots=True)
class ColumnRead:
    """A column of a table. `qualifier` is what stood before its name, empty for nothing.

    `q.a` may also mean the field `a` of a column `q`: whoever has the table's columns can tell.
    """

    table: str
    column: str
    qualifier: str


def columns_read(
    tree: exp.Expr, tables: frozenset[int], full_name: Callable[[exp.Table], str | None]
) -> tuple[ColumnRead, ...]:
    """The columns that `tree` surely reads. `tables` are the ids of the nodes that name tables."""
    found: list[ColumnRead] = []
    for column in tree.find_all(exp.Column):
        name = column.name.lower()
        if not isinstance(column.this, exp.Identifier) or name.startswith("_metadata"):
            continue
        if column.args.get("db") is not None or column.find_ancestor(exp.Star) is not None:
            continue
        qualifier = column.table.lower()
        table = _named(column, qualifier) if qualifier else _only_table(column, name)
        if table is None or id(table) not in tables or not _as_it_is(table):
            continue
        full = full_name(table)
        if full is not None:
            found.append(ColumnRead(full, name, qualifier))
    return tuple(dict.fromkeys(found))


def _named(column: exp.Column, qualifier: str) -> exp.Table | None:
    """The table that `qualifier` names in the query that the column stands in.

    Not one of a query around it: there, a table of the inner query could have a column of that
    name.
    """
    query = column.find_ancestor(exp.Select, exp.Merge)
    for source in _sources(query) if query is not None else ():
        if source.alias_or_name.lower() == qualifier:
            return source if isinstance(source, exp.Table) else None
    return None


def _sources(node: exp.Expr) -> Iterator[exp.Expr]:
    """What the FROM of a query offers, or what MERGE brings together."""
    if isinstance(node, exp.Select):
        from_ = node.args.get("from_")
        if from_ is not None:
            yield from_.this
        for join in node.args.get("joins") or ():
            yield join.this
        yield from node.args.get("laterals") or ()
    elif isinstance(node, exp.Merge):
        yield node.this
        yield node.args["using"]


def _only_table(column: exp.Column, name: str) -> exp.Table | None:
    """The one table in which an unqualified name can be looked up; None if it may be elsewhere."""
    query = column.find_ancestor(exp.Select)
    if query is None or name in _NO_COLUMNS:
        return None
    if column.find_ancestor(exp.Lambda, exp.Order) is not None:
        return None  # a parameter; a column of the result
    sources = list(_sources(query))
    if len(sources) != 1 or not isinstance(sources[0], exp.Table) or sources[0].args.get("joins"):
        return None
    for made in query.expressions:
        # behind it in the list, and in GROUP BY and HAVING, the name may mean what is made there
        if isinstance(made, exp.Aliases) or (
            isinstance(made, exp.Alias) and made.alias.lower() == name
        ):
            return None
    return None if _may_borrow(query) else sources[0]


def _may_borrow(query: exp.Select) -> bool:
    """True if a name that the query's own table does not have may come from a query around it."""
    below: exp.Expr = query
    while (node := below.parent) is not None:
        if isinstance(node, exp.Select):
            if not isinstance(below, (exp.From, exp.Join, exp.With)):
                return True
        elif isinstance(node, exp.Merge):
            return below is not node.args.get("using")
        elif not isinstance(
            node,
            (exp.From, exp.Join, exp.With, exp.CTE, exp.Subquery, exp.SetOperation, exp.Insert,
             exp.Create),
        ):  # fmt: skip
            return True
        below = node
    return False


def _as_it_is(table: exp.Table) -> bool:
    """False where the columns of the table may have other names here than today."""
    alias = table.args.get("alias")
    renamed = alias is not None and alias.args.get("columns")
    other = any(table.args.get(key) for key in ("version", "when", "pivots", "laterals"))
    return not renamed and not other
