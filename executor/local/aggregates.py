"""Aggregate and window functions, with their DISTINCT, FILTER, OVER and IGNORE NULLS.

An aggregate is one node deep inside others (``Window(Filter(Anonymous))``); DuckDB wants the
modifiers in the same places, so ``_call`` peels them off, translates the core with its filter,
puts OVER back and only then wraps the result (a sum of integers is narrowed to BIGINT, an absent
list becomes an empty one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.arithmetic import exact_quotient
from executor.local.errors import SqlError, mismatch, unsupported
from executor.local.expressions import Expressions
from executor.local.functions import SPECIAL, call, special
from executor.local.ordering import key_or_null
from executor.local.scope import Scope
from executor.local.sqltypes import SqlType
from executor.local.values import Value, cast, implicit


@dataclass(slots=True)
class Core:
    """An aggregate before its modifiers: DuckDB call, extra filter, and what wraps the whole."""

    sql: str
    type: SqlType | None
    only: str = ""
    wrap: Callable[[Callable[[str], str], str], str] = field(
        default=lambda modified, core: modified(core)
    )


@dataclass(slots=True)
class Asked:
    """What the author wrote around the arguments."""

    args: list[Value]
    distinct: bool
    ignore_nulls: bool
    order: str
    windowed: bool


Maker = Callable[[Asked], Core]
AGGREGATES: dict[str, Maker] = {}
WINDOW_ONLY = ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag",
               "lead", "nth_value", "first_value", "last_value")  # fmt: skip


def aggregate(*names: str) -> Callable[[Maker], Maker]:
    def enter(maker: Maker) -> Maker:
        for name in names:
            AGGREGATES[name] = maker
            SPECIAL[name] = _plain
        return maker

    return enter


def _plain(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    return _call(ctx, node, scope)


SPECIAL[""] = _plain


def _call(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    over: exp.Window | None = None
    only: list[str] = []
    ignore, order_node = False, None
    inner = node
    while not isinstance(inner, exp.Anonymous):
        if isinstance(inner, exp.Window):
            over = inner
        elif isinstance(inner, exp.Filter):
            only.append(ctx.condition(inner.expression.this, scope))
        elif isinstance(inner, exp.IgnoreNulls):
            ignore = True
        elif isinstance(inner, exp.WithinGroup):
            order_node = inner.expression
        elif not isinstance(inner, exp.RespectNulls):
            raise unsupported("AGGREGATE", f"this aggregate: {node.sql('databricks')[:100]}")
        inner = inner.this
    name = str(inner.this).lower()
    nodes = list(inner.expressions)
    distinct = bool(nodes) and isinstance(nodes[0], exp.Distinct)
    if distinct:
        nodes = list(nodes[0].expressions)
    if name not in AGGREGATES:
        if over is None and not only and name not in SPECIAL:
            return call(ctx, name, inner, scope)
        raise SqlError("UNRESOLVED_ROUTINE", f"Cannot resolve routine `{name}` as an aggregate.")
    stars = [isinstance(n, exp.Star) for n in nodes]
    args = [] if any(stars) else ctx.values(nodes, scope)
    order = "" if order_node is None else _order(ctx, order_node, scope)
    core = AGGREGATES[name](Asked(args, distinct, ignore, order, over is not None))
    if core.only:
        only.append(core.only)
    tail = f" FILTER (WHERE {' AND '.join(only)})" if only else ""
    if over is not None:
        tail += " OVER " + _window(ctx, over, scope)
    elif name in WINDOW_ONLY[:9]:
        raise SqlError(
            "WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE",
            f'Window function "{name}" requires an OVER clause.',
            sqlstate="42601",
        )
    return Value(core.wrap(lambda sql: sql + tail, core.sql), core.type)


def _order(ctx: Expressions, node: exp.Expr, scope: Scope) -> str:
    return "ORDER BY " + ", ".join(ordered(ctx, o, scope) for o in node.expressions)


def ordered(ctx: Expressions, node: exp.Expr, scope: Scope) -> str:
    """One ORDER BY item; NULL sorts as the smallest value unless the author says otherwise."""
    if not isinstance(node, exp.Ordered):
        node = exp.Ordered(this=node, desc=False, nulls_first=True)
    value = ctx.value(node.this, scope)
    sql = value.sql
    if value.type is not None and value.type.nested:
        sql = key_or_null(value)
    down = bool(node.args.get("desc"))
    nulls = "FIRST" if node.args.get("nulls_first") else "LAST"
    return f"{sql} {'DESC' if down else 'ASC'} NULLS {nulls}"


def _window(ctx: Expressions, node: exp.Window, scope: Scope) -> str:
    if node.args.get("alias") and not node.args.get("partition_by") and not node.args.get("order"):
        name = node.args["alias"].name
        return t.quote(name)
    return window_body(ctx, node, scope)


def window_body(ctx: Expressions, node: exp.Expr, scope: Scope) -> str:
    parts = []
    if node.args.get("partition_by"):
        keys = ", ".join(v.sql for v in ctx.values(node.args["partition_by"], scope))
        parts.append(f"PARTITION BY {keys}")
    if node.args.get("order"):
        parts.append(_order(ctx, node.args["order"], scope))
    spec = node.args.get("spec")
    if spec is not None:
        parts.append(_frame(ctx, spec, scope))
    return "(" + " ".join(parts) + ")"


def _frame(ctx: Expressions, spec: exp.WindowSpec, scope: Scope) -> str:
    def side(which: str) -> str:
        at = spec.args.get(which)
        if at is None:
            return "CURRENT ROW"
        words = at if isinstance(at, str) else ctx.value(at, scope).sql
        return f"{words} {spec.args.get(which + '_side') or ''}".strip()

    return f"{spec.args['kind']} BETWEEN {side('start')} AND {side('end')}"


def _distinct(asked: Asked) -> str:
    return "DISTINCT " if asked.distinct else ""


@aggregate("count")
def _count(asked: Asked) -> Core:
    if not asked.args:
        return Core("count(*)", t.BIGINT)
    if len(asked.args) == 1:
        return Core(f"count({_distinct(asked)}{asked.args[0].sql})", t.BIGINT)
    present = " AND ".join(f"{v.sql} IS NOT NULL" for v in asked.args)
    if asked.distinct:
        row = f"row({', '.join(v.sql for v in asked.args)})"
        return Core(f"count(DISTINCT CASE WHEN {present} THEN {row} END)", t.BIGINT)
    return Core(f"count(CASE WHEN {present} THEN 1 END)", t.BIGINT)


def _number(asked: Asked, name: str) -> Value:
    (v,) = asked.args
    if v.type is None:
        raise unsupported("UNTYPED_EXPRESSION", f"{name} of a value of unknown type")
    if v.type.name in ("string", "void"):
        return cast(v, t.DOUBLE)
    if not v.type.numeric:
        raise mismatch(f'{name} needs a number but has "{t.spark_name(v.type)}".')
    return v


@aggregate("sum", "try_sum")
def _sum(asked: Asked) -> Core:
    v = _number(asked, "sum")
    assert v.type is not None
    sql = f"sum({_distinct(asked)}{v.sql})"
    if v.type.integral:
        return Core(sql, t.BIGINT, wrap=lambda m, s: f"CAST({m(s)} AS BIGINT)")
    if v.type.name == "decimal":
        kind = SqlType("decimal", (min(v.type.args[0] + 10, 38), v.type.args[1]))
        return Core(sql, kind, wrap=lambda m, s: f"CAST({m(s)} AS {t.duck_name(kind)})")
    return Core(f"sum({_distinct(asked)}CAST({v.sql} AS DOUBLE))", t.DOUBLE)


@aggregate("avg", "mean", "try_avg")
def _avg(asked: Asked) -> Core:
    v = _number(asked, "avg")
    assert v.type is not None
    if v.type.name != "decimal":
        return Core(f"avg({_distinct(asked)}CAST({v.sql} AS DOUBLE))", t.DOUBLE)
    p, s = v.type.args
    kind = t.decimal(p + 4, s + 4)
    total, count = f"sum({_distinct(asked)}{v.sql})", f"count({_distinct(asked)}{v.sql})"

    def wrap(modified: Callable[[str], str], _: str) -> str:
        top = Value(modified(total), SqlType("decimal", (38, s)))
        bottom = Value(f"nullif({modified(count)}, 0)", t.BIGINT)
        return exact_quotient(top, s, bottom, 0, kind).sql

    return Core(total, kind, wrap=wrap)


def _extreme(name: str) -> Maker:
    def make(asked: Asked) -> Core:
        (v,) = asked.args
        if v.type is None:
            raise unsupported("UNTYPED_EXPRESSION", f"{name} of a value of unknown type")
        if not v.type.nested:
            return Core(f"{name}({v.sql})", v.type)
        # Structs and arrays: Spark sorts a NULL field first, DuckDB last. Compare by a key.
        key = key_or_null(v)
        return Core(f"arg_{name}({v.sql}, {key})", v.type)

    return make


aggregate("min")(_extreme("min"))
aggregate("max")(_extreme("max"))


def _by(name: str) -> Maker:
    def make(asked: Asked) -> Core:
        v, key = asked.args
        order = key.sql
        if key.type is not None and key.type.nested:
            order = key_or_null(key)
        return Core(f"arg_{name}_null({v.sql}, {order})", v.type)

    return make


aggregate("min_by")(_by("min"))
aggregate("max_by")(_by("max"))


def _ignoring(asked: Asked) -> bool:
    if len(asked.args) > 1:
        if not asked.args[1].const:
            raise unsupported("IGNORE_NULLS", "an isIgnoreNull flag that is not a literal")
        return bool(asked.args[1].const[0])
    return asked.ignore_nulls


def _end(name: str) -> Maker:
    def make(asked: Asked) -> Core:
        v = asked.args[0]
        ignore = _ignoring(asked)
        if asked.windowed:
            return Core(f"{name}_value({v.sql}{' IGNORE NULLS' if ignore else ''})", v.type)
        return Core(f"{name}({v.sql})", v.type, only=f"{v.sql} IS NOT NULL" if ignore else "")

    return make


aggregate("first", "first_value", "any_value")(_end("first"))
aggregate("last", "last_value")(_end("last"))


@aggregate("collect_list", "array_agg")
def _collect_list(asked: Asked) -> Core:
    (v,) = asked.args
    return Core(
        f"list({_distinct(asked)}{v.sql}{' ' + asked.order if asked.order else ''})",
        t.array(v.type or t.VOID),
        only=f"{v.sql} IS NOT NULL",
        wrap=lambda m, s: f"coalesce({m(s)}, [])",
    )


@aggregate("collect_set")
def _collect_set(asked: Asked) -> Core:
    (v,) = asked.args
    return Core(
        f"list(DISTINCT {v.sql})",
        t.array(v.type or t.VOID),
        only=f"{v.sql} IS NOT NULL",
        wrap=lambda m, s: f"coalesce({m(s)}, [])",
    )


@aggregate("listagg", "string_agg")
def _listagg(asked: Asked) -> Core:
    v = implicit(asked.args[0], t.STRING)
    separator = asked.args[1].sql if len(asked.args) > 1 else "''"
    order = " " + asked.order if asked.order else ""
    return Core(f"string_agg({_distinct(asked)}{v.sql}, {separator}{order})", t.STRING)


@aggregate("count_if")
def _count_if(asked: Asked) -> Core:
    (v,) = asked.args
    return Core("count(*)", t.BIGINT, only=implicit(v, t.BOOLEAN).sql)


def _simple(template: str, wanted: SqlType | None, result: SqlType | None) -> Maker:
    def make(asked: Asked) -> Core:
        args = [implicit(v, wanted) for v in asked.args]
        sqls = [v.sql for v in args]
        return Core(template.format(*sqls, d=_distinct(asked)), result or args[0].type)

    return make


for _names, _template, _wanted, _result in (
    ("bool_and every", "bool_and({0})", t.BOOLEAN, t.BOOLEAN),
    ("bool_or some any", "bool_or({0})", t.BOOLEAN, t.BOOLEAN),
    ("stddev stddev_samp std", "stddev_samp({d}{0})", t.DOUBLE, t.DOUBLE),
    ("stddev_pop", "stddev_pop({d}{0})", t.DOUBLE, t.DOUBLE),
    ("variance var_samp", "var_samp({d}{0})", t.DOUBLE, t.DOUBLE),
    ("var_pop", "var_pop({d}{0})", t.DOUBLE, t.DOUBLE),
    ("corr", "corr({0}, {1})", t.DOUBLE, t.DOUBLE),
    ("covar_samp", "covar_samp({0}, {1})", t.DOUBLE, t.DOUBLE),
    ("covar_pop", "covar_pop({0}, {1})", t.DOUBLE, t.DOUBLE),
    ("median", "median({d}{0})", t.DOUBLE, t.DOUBLE),
    ("mode", "mode({0})", None, None),
    ("bit_and", "bit_and({0})", None, None),
    ("bit_or", "bit_or({0})", None, None),
    ("bit_xor", "bit_xor({0})", None, None),
    ("product", "product({0})", t.DOUBLE, t.DOUBLE),
    # Spark estimates these; the exact number is within any error it may make.
    ("approx_count_distinct", "count(DISTINCT {0})", None, t.BIGINT),
):
    aggregate(*_names.split())(_simple(_template, _wanted, _result))


@aggregate("percentile_cont", "percentile_disc")
def _percentile(asked: Asked) -> Core:
    raise unsupported("PERCENTILE", "percentile_cont and percentile_disc")


def _place(call: str) -> Maker:
    return lambda asked: Core(call, t.INT, wrap=lambda m, c: f"CAST({m(c)} AS INTEGER)")


for _name in ("row_number", "rank", "dense_rank"):
    aggregate(_name)(_place(f"{_name}()"))
aggregate("percent_rank")(lambda asked: Core("percent_rank()", t.DOUBLE))
aggregate("cume_dist")(lambda asked: Core("cume_dist()", t.DOUBLE))
aggregate("ntile")(
    lambda asked: Core(
        f"ntile({asked.args[0].sql if asked.args else 1})",
        t.INT,
        wrap=lambda m, c: f"CAST({m(c)} AS INTEGER)",
    )
)


def _shifted(name: str) -> Maker:
    def make(asked: Asked) -> Core:
        v = asked.args[0]
        rest = [asked.args[1].sql] if len(asked.args) > 1 else []
        if len(asked.args) > 2:
            rest.append(implicit(asked.args[2], v.type).sql)
        tail = " IGNORE NULLS" if asked.ignore_nulls else ""
        return Core(f"{name}({', '.join([v.sql, *rest])}{tail})", v.type)

    return make


aggregate("lag")(_shifted("lag"))
aggregate("lead")(_shifted("lead"))
aggregate("nth_value")(_shifted("nth_value"))


@special("grouping", "grouping_id")
def _grouping(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    args = [v.sql for v in ctx.values(list(node.expressions), scope)]
    if not args:
        args = list(dict.fromkeys(v.sql for v in scope.grouping))
    if not args:
        raise SqlError(
            "UNSUPPORTED_GROUPING_EXPRESSION",
            "grouping()/grouping_id() can only be used with GroupingSets/Cube/Rollup.",
            sqlstate="42K0E",
        )
    name = str(node.this).lower()
    kind = t.TINYINT if name == "grouping" else t.BIGINT
    return Value(f"CAST(GROUPING({', '.join(args)}) AS {t.duck_name(kind)})", kind)
