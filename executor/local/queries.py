"""Queries: SELECT, set operations, CTEs and FROM clauses, as DuckDB SQL with typed columns.

Every projection gets the name Spark would give it, every ``*`` is written out and every table is
written in full, so the text that comes out means the same in any session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from executor.local import (  # noqa: F401 -- they fill the table of functions
    aggregates,
    lambdas,
    nested,
    regexes,
    scalar,
    temporal,
    texts,
)
from executor.local import sqltypes as t
from executor.local.aggregates import ordered, window_body
from executor.local.dialect import position_of
from executor.local.errors import SqlError, unsupported
from executor.local.expressions import Expressions
from executor.local.functions import call
from executor.local.generators import GENERATORS, is_generator, lateral_view, projected
from executor.local.labels import label
from executor.local.scope import Column, Relation, Scope
from executor.local.values import Value, implicit


@dataclass(frozen=True, slots=True)
class Source:
    """A table, or a view's query, as the catalog knows it."""

    path: tuple[str, str, str]
    columns: list[Column]
    sql: str  # quoted table name, or a parenthesised query


Lookup = Callable[[exp.Table], Source]


class Queries:
    """Translates queries; ``lookup`` finds a table or view by the name in the tree."""

    def __init__(self, lookup: Lookup, params: dict[str, Value], facts: dict[str, str]) -> None:
        self.lookup = lookup
        self.expressions = Expressions(self.query, call, params, facts)

    def query(self, node: exp.Expr, scope: Scope) -> tuple[str, list[Column]]:
        """SQL and output columns of ``node``; ``scope`` is fresh, its parent is what surrounds."""
        with_sql = self._ctes(node.args.get("with_") or node.args.get("with"), scope)
        if isinstance(node, exp.Subquery):
            inner, columns = self.query(node.this, scope)
            tail = self._tail(node, scope, columns)
            return f"{with_sql}({inner}){tail}" if tail or with_sql else inner, columns
        if isinstance(node, exp.SetOperation):
            sql, columns = self._set_operation(node, scope)
            return with_sql + sql + self._tail(node, scope, columns), columns
        if isinstance(node, exp.Values):
            relation, sql = self._values(node, scope)
            return with_sql + f"SELECT * FROM {sql}", relation.columns
        if isinstance(node, exp.Table):
            whole = exp.Select(expressions=[exp.Star()], from_=exp.From(this=node))
            sql, columns = self._select(whole, scope)
            return with_sql + sql, columns
        if not isinstance(node, exp.Select):
            raise unsupported("QUERY", f"this query: {node.sql('databricks')[:100]}")
        sql, columns = self._select(node, scope)
        return with_sql + sql, columns

    def _ctes(self, node: exp.Expr | None, scope: Scope) -> str:
        if node is None:
            return ""
        parts = []
        recursive = bool(node.args.get("recursive"))
        for cte in node.expressions:
            name = cte.alias
            renames = [c.name for c in cte.args["alias"].args.get("columns") or []]
            if recursive and isinstance(cte.this, exp.SetOperation):
                _, columns = self.query(cte.this.left, scope.inner())
                named = _renamed(columns, renames)
                scope.ctes[name.lower()] = (t.quote(name), named)
            sql, columns = self.query(cte.this, scope.inner())
            columns = _renamed(columns, renames)
            scope.ctes[name.lower()] = (t.quote(name), columns)
            listed = ", ".join(t.quote(c.name) for c in columns)
            parts.append(
                f"{t.quote(name)}({listed}) AS ({sql})"
                if renames
                else f"{t.quote(name)} AS ({sql})"
            )
        return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(parts)} "

    def _set_operation(self, node: exp.SetOperation, scope: Scope) -> tuple[str, list[Column]]:
        sides = []
        for side in (node.left, node.right):
            sql, columns = self.query(side, scope.inner())
            sides.append((sql, columns))
        (left, first), (right, second) = sides
        word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
        if len(first) != len(second):
            raise SqlError(
                "NUM_COLUMNS_MISMATCH",
                f"{word} can only be performed on inputs with the same number of columns, but the "
                f"first input has {len(first)} columns and the second input has {len(second)} "
                "columns.",
            )
        if node.args.get("by_name"):
            raise unsupported("UNION_BY_NAME", "UNION BY NAME")
        kinds = []
        for a, b in zip(first, second, strict=True):
            kind = t.common(a.type, b.type)
            if kind is None and a.type is not None and b.type is not None:
                raise SqlError(
                    "INCOMPATIBLE_COLUMN_TYPE",
                    f"{word} can only be performed on tables with compatible column types. The "
                    f'column `{b.name}` is "{t.spark_name(b.type)}" which is not compatible with '
                    f'"{t.spark_name(a.type)}".',
                    sqlstate="42825",
                )
            kinds.append(kind)
        left, right = _retyped(left, first, kinds), _retyped(right, second, kinds)
        every = "" if node.args.get("distinct", True) else " ALL"
        columns = [Column(a.name, k) for a, k in zip(first, kinds, strict=True)]
        return f"({left}) {word}{every} ({right})", columns

    # SELECT --------------------------------------------------------------------------------

    def _select(self, node: exp.Select, scope: Scope) -> tuple[str, list[Column]]:
        _read_all(node, _SELECT)
        if node.args.get("distinct") and node.args["distinct"].args.get("on"):
            raise unsupported("DISTINCT_ON", "DISTINCT ON")
        frm = node.args.get("from_") or node.args.get("from")
        from_sql = self._from(frm, node, scope) if frm is not None else ""
        ctx = self.expressions
        clauses: list[str] = []
        if node.args.get("where"):
            clauses.append("WHERE " + ctx.condition(node.args["where"].this, scope, what="FILTER"))
        projections = self._expanded(node.expressions, scope)
        group = node.args.get("group")
        group_sql = self._group(group, node, scope) if group is not None else ""
        for window in node.args.get("windows") or []:
            scope.windows[window.name.lower()] = window_body(ctx, window, scope)
        columns, items = self._projections(projections, scope)
        if group_sql:
            clauses.append(group_sql)
        if node.args.get("having"):
            clauses.append(
                "HAVING " + ctx.condition(node.args["having"].this, scope, what="FILTER")
            )
        if scope.windows:
            named = [f"{t.quote(n)} AS {b}" for n, b in scope.windows.items()]
            clauses.append("WINDOW " + ", ".join(named))
        if node.args.get("qualify"):
            clauses.append("QUALIFY " + ctx.condition(node.args["qualify"].this, scope))
        distinct = "DISTINCT " if node.args.get("distinct") else ""
        tail = self._tail(node, scope, columns, distinct=bool(distinct))
        body = " ".join(["SELECT", distinct + ", ".join(items), from_sql, *clauses]).strip()
        return body + tail, columns

    def _expanded(self, nodes: list[exp.Expr], scope: Scope) -> list[exp.Expr | Column]:
        """The select list with every star written out."""
        out: list[exp.Expr | Column] = []
        for node in nodes:
            star = node if isinstance(node, exp.Star) else None
            qualifier: list[str] = []
            if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
                star, qualifier = node.this, [p.name for p in node.parts[:-1]]
            if star is None:
                out.append(node)
                continue
            if star.args.get("replace") or star.args.get("rename"):
                raise unsupported("STAR_REPLACE", "* REPLACE and * RENAME")
            dropped = {
                c.name.lower() for c in star.args.get("except_") or star.args.get("except") or []
            }
            found = scope.star(qualifier)
            if not found:
                raise SqlError(
                    "INVALID_USAGE_OF_STAR_OR_REGEX", "* needs a FROM clause.", sqlstate="42000"
                )
            out.extend(c for c in found if c.name.lower() not in dropped)
        return out

    def _projections(
        self, nodes: list[exp.Expr | Column], scope: Scope
    ) -> tuple[list[Column], list[str]]:
        columns: list[Column] = []
        items: list[str] = []
        for node in nodes:
            if isinstance(node, Column):
                columns.append(Column(node.name, node.type))
                items.append(f"{node.sql} AS {t.quote(node.name)}")
                continue
            if is_generator(node):
                for name, value in projected(self.expressions, node, scope):
                    columns.append(Column(name, value.type))
                    items.append(f"{value.sql} AS {t.quote(name)}")
                continue
            name = label(node)
            value = self.expressions.value(node, scope)
            if value.type is not None and value.const and value.type.integral:
                value = Value(f"CAST({value.sql} AS {t.duck_name(value.type)})", value.type)
            columns.append(Column(name, value.type))
            items.append(f"{value.sql} AS {t.quote(name)}")
            if isinstance(node, exp.Alias):
                scope.aliases[name.lower()] = Value(value.sql, value.type)
        return columns, items

    def _group(self, group: exp.Group, node: exp.Select, scope: Scope) -> str:
        if group.args.get("all"):
            return "GROUP BY ALL"
        keys: list[str] = []

        def key(item: exp.Expr) -> str:
            if isinstance(item, exp.Literal) and not item.is_string:
                place = int(item.name)
                if not 1 <= place <= len(node.expressions):
                    raise SqlError(
                        "GROUP_BY_POS_OUT_OF_RANGE",
                        f"GROUP BY position {place} is not in select list (valid range is [1, "
                        f"{len(node.expressions)}]).",
                        sqlstate="42805",
                    )
                target = node.expressions[place - 1]
                return key(target.unalias() if isinstance(target, exp.Alias) else target)
            if isinstance(item, exp.Paren):
                return key(item.this)
            if isinstance(item, exp.Tuple):
                return "(" + ", ".join(key(i) for i in item.expressions) + ")"
            aliased = self._aliased(item, node, scope)
            value = self.expressions.value(aliased if aliased is not None else item, scope)
            scope.grouping.append(value)
            return value.sql

        sets: list[str] = []
        for item in group.expressions:
            if isinstance(item, (exp.Rollup, exp.Cube)):
                word = "ROLLUP" if isinstance(item, exp.Rollup) else "CUBE"
                sets.append(f"{word} ({', '.join(key(i) for i in item.expressions)})")
            elif isinstance(item, exp.GroupingSets):
                sets.append(self._grouping_sets(item, key))
            else:
                keys.append(key(item))
        for item in (group.args.get("rollup") or []) + (group.args.get("cube") or []):
            word = "ROLLUP" if isinstance(item, exp.Rollup) else "CUBE"
            if item.expressions:
                sets.append(f"{word} ({', '.join(key(i) for i in item.expressions)})")
            else:  # GROUP BY a, b WITH ROLLUP
                sets.append(f"{word} ({', '.join(keys)})")
                keys = []
        for item in group.args.get("grouping_sets") or []:
            sets.append(self._grouping_sets(item, key))
            keys = []  # GROUP BY a, b GROUPING SETS (…): the list only names the columns
        return "GROUP BY " + ", ".join(keys + sets)

    @staticmethod
    def _grouping_sets(item: exp.Expr, key: Callable[[exp.Expr], str]) -> str:
        parts = []
        for one in item.expressions:
            text = key(one)
            parts.append(
                text if text.startswith("(") and isinstance(one, exp.Tuple) else f"({text})"
            )
        return f"GROUPING SETS ({', '.join(parts)})"

    @staticmethod
    def _aliased(item: exp.Expr, node: exp.Select, scope: Scope) -> exp.Expr | None:
        """GROUP BY alias: the aliased expression, where no column of that name exists."""
        if not isinstance(item, exp.Column) or len(item.parts) > 1:
            return None
        if any(
            c.name.lower() == item.name.lower()
            for r in scope.relations
            if r.visible
            for c in r.columns
        ):
            return None
        for projection in node.expressions:
            if isinstance(projection, exp.Alias) and projection.alias.lower() == item.name.lower():
                found: exp.Expr = projection.this
                return found
        return None

    def _tail(
        self, node: exp.Expr, scope: Scope, columns: list[Column], *, distinct: bool = False
    ) -> str:
        """ORDER BY, LIMIT, OFFSET. SORT BY and CLUSTER BY order too, DISTRIBUTE BY does nothing."""
        parts: list[str] = []
        order = node.args.get("order") or node.args.get("sort") or node.args.get("cluster")
        if order is not None:
            whole = isinstance(node, (exp.SetOperation, exp.Subquery)) or distinct
            parts.append(
                "ORDER BY "
                + ", ".join(self._order_item(o, scope, columns, whole) for o in order.expressions)
            )
        for arg, word in (("limit", "LIMIT"), ("offset", "OFFSET")):
            clause = node.args.get(arg)
            if clause is None:
                continue
            amount = clause.expression if clause.expression is not None else clause.this
            if isinstance(amount, (exp.Var, exp.Column)) and amount.name.upper() == "ALL":
                continue
            value = self.expressions.value(amount, Scope())
            parts.append(f"{word} {value.sql}")
        return (" " + " ".join(parts)) if parts else ""

    def _order_item(self, item: exp.Expr, scope: Scope, columns: list[Column], whole: bool) -> str:
        target = item.this if isinstance(item, exp.Ordered) else item
        nulls = "FIRST" if item.args.get("nulls_first") else "LAST"
        way = f"{'DESC' if item.args.get('desc') else 'ASC'} NULLS {nulls}"
        if isinstance(target, exp.Literal) and not target.is_string:
            place = int(target.name)
            if not 1 <= place <= len(columns):
                raise SqlError(
                    "ORDER_BY_POS_OUT_OF_RANGE",
                    f"ORDER BY position {place} is not in select list (valid range is [1, "
                    f"{len(columns)}]).",
                    sqlstate="42805",
                )
            kind = columns[place - 1].type
            if kind is None or not kind.nested:
                return f"{place} {way}"
        if isinstance(target, exp.Column) and len(target.parts) == 1:
            hits = [c for c in columns if c.name.lower() == target.name.lower()]
            if len(hits) == 1 and (hits[0].type is None or not hits[0].type.nested):
                return f"{t.quote(hits[0].name)} {way}"
        if whole:
            out = Scope(
                relations=[
                    Relation("", [Column(c.name, c.type, t.quote(c.name)) for c in columns])
                ],
                parent=scope,
            )
            return ordered(self.expressions, item, out)
        return ordered(self.expressions, item, scope)

    # FROM ----------------------------------------------------------------------------------

    def _from(self, frm: exp.Expr, node: exp.Select, scope: Scope) -> str:
        sql = self._relation(frm.this, scope)
        for join in node.args.get("joins") or []:
            sql += self._join(join, scope)
        for lateral in node.args.get("laterals") or []:
            sql += lateral_view(self.expressions, lateral, scope)
        return "FROM " + sql

    def _relation(self, node: exp.Expr, scope: Scope) -> str:
        """Translate one relation and enter it in ``scope``."""
        _read_all(node, _RELATION)
        if node.args.get("sample") or node.args.get("pivots"):
            raise unsupported("TABLE_CLAUSE", "TABLESAMPLE, PIVOT and UNPIVOT")
        if isinstance(node, exp.Values):
            relation, sql = self._values(node, scope)
        elif (
            isinstance(node, exp.Subquery)
            and isinstance(node.this, (exp.Table, exp.Subquery))
            and not node.alias
        ):
            sql = self._relation(node.this, scope)
            for join in node.this.args.get("joins") or []:
                sql += self._join(join, scope)
            return f"({sql})"
        elif isinstance(node, exp.Subquery):
            inner = Scope(parent=None, ctes=_all_ctes(scope))
            body, columns = self.query(node.this, inner)
            relation, sql = _aliased_query(body, columns, node)
        elif isinstance(node, exp.Lateral):
            body, columns = self.query(
                node.this.this if isinstance(node.this, exp.Subquery) else node.this, scope.inner()
            )
            relation, sql = _aliased_query(body, columns, node)
            sql = "LATERAL " + sql
        elif isinstance(node, exp.Table) and isinstance(node.this, exp.Anonymous):
            relation, sql = self._table_function(node, scope)
        elif isinstance(node, exp.Table):
            relation, sql = self._table(node, scope)
        else:
            raise unsupported("RELATION", f"this in FROM: {node.sql('databricks')[:100]}")
        scope.relations.append(relation)
        if isinstance(node, exp.Table):
            for join in node.args.get("joins") or []:
                sql += self._join(join, scope)
            for lateral in node.args.get("laterals") or []:
                sql += lateral_view(self.expressions, lateral, scope)
        return sql

    def _table(self, node: exp.Table, scope: Scope) -> tuple[Relation, str]:
        if node.args.get("version") or node.args.get("when"):
            raise unsupported("TIME_TRAVEL", "reading an earlier version of a table").at(
                *position_of(node)
            )
        alias = node.alias or node.name
        known = scope.cte(node.name) if not node.db else None
        path: tuple[str, ...] = ()
        if known is not None:
            sql, columns = known
        else:
            source = self.lookup(node)
            sql, columns, path = source.sql, source.columns, source.path
        renames = (
            [c.name for c in (node.args["alias"].args.get("columns") or [])]
            if node.args.get("alias")
            else []
        )
        named = _renamed(columns, renames)
        head = t.quote(alias)
        listed = f"({', '.join(t.quote(c.name) for c in named)})" if renames else ""
        relation = Relation(
            alias, [Column(c.name, c.type, f"{head}.{t.quote(c.name)}") for c in named], path
        )
        return relation, f"{sql} AS {head}{listed}"

    def _values(self, node: exp.Values, scope: Scope) -> tuple[Relation, str]:
        rows = [
            self.expressions.values(list(r.expressions) if isinstance(r, exp.Tuple) else [r], scope)
            for r in node.expressions
        ]
        width = len(rows[0])
        if any(len(r) != width for r in rows):
            raise SqlError(
                "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH",
                "Invalid inline table: its rows differ in their number of columns.",
                sqlstate="42000",
            )
        kinds = []
        for i in range(width):
            kind: t.SqlType | None = t.VOID
            for row in rows:
                kind = t.common(kind, row[i].type)
            if kind is None:
                raise SqlError(
                    "INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE",
                    f"Invalid inline table: found incompatible types in the column `col{i + 1}`.",
                    sqlstate="42000",
                )
            kinds.append(kind)
        lines = []
        for row in rows:
            cells = [
                f"CAST({implicit(v, k).sql} AS {t.duck_name(k)})"
                for v, k in zip(row, kinds, strict=True)
            ]
            lines.append(f"({', '.join(cells)})")
        alias_node = node.args.get("alias")
        alias = (node.alias if alias_node is not None else "") or "__values"
        renames = (
            [c.name for c in alias_node.args.get("columns") or []] if alias_node is not None else []
        )
        columns = _renamed([Column(f"col{i + 1}", k) for i, k in enumerate(kinds)], renames)
        head = t.quote(alias)
        listed = ", ".join(t.quote(c.name) for c in columns)
        relation = Relation(
            alias, [Column(c.name, c.type, f"{head}.{t.quote(c.name)}") for c in columns]
        )
        return relation, f"(VALUES {', '.join(lines)}) AS {head}({listed})"

    def _table_function(self, node: exp.Table, scope: Scope) -> tuple[Relation, str]:
        function = node.this
        name = str(function.this).lower()
        renames = (
            [c.name for c in (node.args["alias"].args.get("columns") or [])]
            if node.args.get("alias")
            else []
        )
        alias = node.alias or name
        head = t.quote(alias)
        if name == "range":
            args = [
                implicit(v, t.BIGINT).sql
                for v in self.expressions.values(list(function.expressions), scope)
            ][:3]
            names = renames or ["id"]
            relation = Relation(alias, [Column(names[0], t.BIGINT, f"{head}.{t.quote(names[0])}")])
            return relation, f"range({', '.join(args)}) AS {head}({t.quote(names[0])})"
        if name in GENERATORS:
            values = projected(
                self.expressions,
                exp.Alias(this=function, alias=exp.to_identifier(renames[0]))
                if len(renames) == 1
                else function,
                scope,
            )
            columns = _renamed([Column(n, v.type) for n, v in values], renames)
            body = ", ".join(
                f"{v.sql} AS {t.quote(c.name)}" for (_, v), c in zip(values, columns, strict=True)
            )
            relation = Relation(
                alias, [Column(c.name, c.type, f"{head}.{t.quote(c.name)}") for c in columns]
            )
            return relation, f"LATERAL (SELECT {body}) AS {head}"
        if name == "identifier":
            value = self.expressions.value(function.expressions[0], scope)
            if not value.const:
                raise unsupported(
                    "IDENTIFIER", "IDENTIFIER() of anything but a literal or parameter"
                )
            table = exp.to_table(str(value.const[0]), dialect="databricks")
            if node.args.get("alias"):
                table.set("alias", node.args["alias"].copy())
            return self._table(table, scope)
        raise SqlError(
            "UNRESOLVABLE_TABLE_VALUED_FUNCTION",
            f"Could not resolve `{name}` to a table-valued function.",
        ).at(*position_of(node))

    def _join(self, join: exp.Join, scope: Scope) -> str:
        _read_all(join, _JOIN)
        before = len(scope.relations)
        left = list(scope.relations)
        right_sql = self._relation(join.this, scope)
        right = scope.relations[before:]
        side = (join.side or "").upper()
        kind = (join.kind or "").upper()
        natural = (join.method or "").upper() == "NATURAL"
        using = [i.name for i in join.args.get("using") or []]
        if natural:
            mine = {c.name.lower() for r in right for c in r.columns}
            using = [c.name for r in left for c in r.columns if c.name.lower() in mine]
        on = join.args.get("on")
        semi = kind in ("SEMI", "ANTI") or side in ("SEMI", "ANTI")
        word = " ".join(w for w in ("" if semi else side, kind if semi else "") if w)
        condition = ""
        if using:
            condition = f" USING ({', '.join(t.quote(u) for u in using)})"
            for relation in [*left, *right]:
                relation.hidden |= {u.lower() for u in using}
            merged = [self._merged(u, left, right) for u in using]
            scope.relations.append(Relation("", merged))
        elif on is not None:
            condition = " ON " + self.expressions.condition(on, scope)
        elif side or semi:
            condition = " ON TRUE"
        if semi:
            for relation in right:
                relation.visible = False
        if not condition:
            return f" CROSS JOIN {right_sql}"
        return f" {word + ' ' if word else ''}JOIN {right_sql}{condition}"

    @staticmethod
    def _merged(name: str, left: list[Relation], right: list[Relation]) -> Column:
        found = [
            [c for r in rs if r.visible for c in r.columns if c.name.lower() == name.lower()]
            for rs in (left, right)
        ]
        if not found[0] or not found[1]:
            raise SqlError(
                "UNRESOLVED_USING_COLUMN_FOR_JOIN",
                f"USING column `{name}` cannot be resolved on both sides of the join.",
                sqlstate="42703",
            )
        return Column(found[0][0].name, t.common(found[0][0].type, found[1][0].type), t.quote(name))


_SELECT = ("expressions", "hint", "distinct", "from_", "joins", "laterals", "where", "group",
           "having", "qualify", "windows", "order", "limit", "offset", "sort", "cluster",
           "distribute", "with_")  # fmt: skip
_JOIN = ("this", "side", "kind", "method", "on", "using")
_RELATION = ("this", "db", "catalog", "alias", "joins", "laterals", "version", "when",
             "expressions", "view", "with_", "ordinality")  # fmt: skip


def _read_all(node: exp.Expr, known: tuple[str, ...]) -> None:
    """Refuse a part of ``node`` that nothing here reads: it would be lost in silence."""
    for name, given in node.args.items():
        if given and name not in known:
            raise unsupported(name.upper().rstrip("_"), f"{name.upper().rstrip('_')} in a query")


def _renamed(columns: list[Column], names: list[str]) -> list[Column]:
    if not names:
        return columns
    if len(names) != len(columns):
        raise SqlError(
            "ASSIGNMENT_ARITY_MISMATCH",
            f"The number of columns or variables assigned or aliased: {len(names)} does not match "
            f"the number of source expressions: {len(columns)}.",
            sqlstate="42802",
        )
    return [Column(n, c.type, c.sql) for n, c in zip(names, columns, strict=True)]


def _aliased_query(body: str, columns: list[Column], node: exp.Expr) -> tuple[Relation, str]:
    alias_node = node.args.get("alias")
    renames = (
        [c.name for c in (alias_node.args.get("columns") or [])] if alias_node is not None else []
    )
    alias = node.alias or ""
    named = _renamed(columns, renames)
    head = t.quote(alias or "__q")
    listed = f"({', '.join(t.quote(c.name) for c in named)})" if renames else ""
    fields = [
        Column(c.name, c.type, f"{head}.{t.quote(c.name)}" if alias else t.quote(c.name))
        for c in named
    ]
    return Relation(alias, fields), f"({body}) AS {head}{listed}" if alias else f"({body})"


def _all_ctes(scope: Scope) -> dict[str, tuple[str, list[Column]]]:
    out: dict[str, tuple[str, list[Column]]] = {}
    chain = []
    current: Scope | None = scope
    while current is not None:
        chain.append(current)
        current = current.parent
    for one in reversed(chain):
        out.update(one.ctes)
    return out


def _retyped(sql: str, columns: list[Column], kinds: list[t.SqlType | None]) -> str:
    """A side of a set operation with its columns cast where the common type differs."""
    if all(k is None or c.type is None or c.type == k for c, k in zip(columns, kinds, strict=True)):
        return sql
    names = [f"__c{i}" for i in range(len(columns))]
    items = [
        f"{n if k is None else implicit(Value(n, c.type), k).sql} AS {t.quote(c.name)}"
        for n, c, k in zip(names, columns, kinds, strict=True)
    ]
    return f"SELECT {', '.join(items)} FROM ({sql}) AS __u({', '.join(names)})"
