"""Functions over arrays, maps and structs."""

from __future__ import annotations

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.errors import SqlError, mismatch, unsupported
from executor.local.expressions import Expressions
from executor.local.functions import Build, coerce, define, special
from executor.local.ordering import sort_key
from executor.local.scope import Scope
from executor.local.sqltypes import SqlType
from executor.local.values import REFUSED, Value, fresh, implicit, unify

# building -----------------------------------------------------------------------------------


def _array(v: list[Value]) -> Value:
    values, kind = unify(v)
    return Value(f"[{', '.join(x.sql for x in values)}]", t.array(kind or t.VOID))


define("array", (0, 9999), "a", _array)


@special("struct", "named_struct")
def _struct(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    pairs: list[tuple[str, Value]] = []
    args = list(node.expressions)
    if str(node.this).lower() == "named_struct":
        for label, item in zip(args[::2], args[1::2], strict=True):
            name = ctx.value(label, scope)
            if not name.const:
                raise unsupported("NAMED_STRUCT", "named_struct with a name that is not a literal")
            pairs.append((str(name.const[0]), ctx.value(item, scope)))
    else:
        for i, item in enumerate(args):
            named = isinstance(item, (exp.Alias, exp.Column, exp.Dot))
            label = item.alias_or_name if named else f"col{i + 1}"
            if isinstance(item, exp.Dot):
                label = item.expression.name
            pairs.append((label, ctx.value(item, scope)))
    for _, value in pairs:
        if value.type is None:
            raise unsupported("UNTYPED_EXPRESSION", "a struct field of unknown type")
    return struct_of(pairs)


def struct_of(pairs: list[tuple[str, Value]]) -> Value:
    fields = ", ".join(f"{t.quote(n)} := {typed(v)}" for n, v in pairs)
    return Value(f"struct_pack({fields})", SqlType("struct", tuple((n, v.type) for n, v in pairs)))


def typed(v: Value) -> str:
    if v.type is not None and (v.type.name == "void" or (v.const and v.type.integral)):
        return f"CAST({v.sql} AS {t.duck_name(v.type)})"
    return v.sql


def _map(v: list[Value]) -> Value:
    if len(v) % 2:
        raise SqlError("WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "The `map` requires 2n parameters.")
    keys, kind = unify(v[::2])
    items, item = unify(v[1::2])
    pairs = ", ".join(f"{k.sql}: {x.sql}" for k, x in zip(keys, items, strict=True))
    return Value(f"MAP {{{pairs}}}", SqlType("map", (kind or t.VOID, item or t.VOID)))


define("map", (0, 9999), "a", _map)


def item_of(v: Value) -> SqlType:
    if v.type is None or v.type.name != "array":
        raise mismatch(f"An ARRAY is needed: {v.sql[:60]}.")
    kind = v.type.args[0]
    assert isinstance(kind, SqlType)
    return kind


define(
    "map_from_arrays",
    2,
    "A",
    lambda v: Value(f"map({v[0].sql}, {v[1].sql})", SqlType("map", (item_of(v[0]), item_of(v[1])))),
)


def _from_entries(v: list[Value]) -> Value:
    (_, key), (_, item) = item_of(v[0]).args
    return Value(f"map_from_entries({v[0].sql})", SqlType("map", (key, item)))


define("map_from_entries", 1, "A", _from_entries)


def _entry(v: Value) -> tuple[SqlType, SqlType]:
    """The types of a map's keys and values."""
    if v.type is None or v.type.name != "map":
        raise mismatch(f"A MAP is needed: {v.sql[:60]}.")
    key, item = v.type.args
    return key, item


define("map_keys", 1, "M", lambda v: Value(f"map_keys({v[0].sql})", t.array(_entry(v[0])[0])))
define("map_values", 1, "M", lambda v: Value(f"map_values({v[0].sql})", t.array(_entry(v[0])[1])))
define(
    "map_contains_key",
    2,
    "Ma",
    lambda v: Value(f"map_contains({v[0].sql}, {implicit(v[1], _entry(v[0])[0]).sql})", t.BOOLEAN),
)


def entry_type(kind: SqlType) -> SqlType:
    return SqlType("struct", (("key", kind.args[0]), ("value", kind.args[1])))


def _map_entries(v: list[Value]) -> Value:
    key, item = _entry(v[0])
    return Value(f"map_entries({v[0].sql})", t.array(entry_type(SqlType("map", (key, item)))))


define("map_entries", 1, "M", _map_entries)


def _map_concat(v: list[Value]) -> Value:
    values, kind = unify(v)
    joined = " || ".join(f"map_entries({x.sql})" for x in values)
    return Value(f"map_from_entries({joined})", kind)


define("map_concat", (1, 99), "M", _map_concat)

# reading ------------------------------------------------------------------------------------


def _size(v: list[Value]) -> Value:
    if v[0].type is not None and v[0].type.name == "map":
        return Value(f"CAST(cardinality({v[0].sql}) AS INTEGER)", t.INT)
    return Value(f"CAST(len({coerce(v[0], 'A', 'size').sql}) AS INTEGER)", t.INT)


define("size cardinality array_size", 1, "a", _size)


def _element_at(v: list[Value]) -> Value:
    kind = v[0].type
    if kind is not None and kind.name == "map":
        return Value(f"({v[0].sql})[{implicit(v[1], kind.args[0]).sql}]", kind.args[1])
    return Value(f"spark_element_at({v[0].sql}, {implicit(v[1], t.INT).sql})", item_of(v[0]))


define("element_at", 2, "a", _element_at)
define(
    "try_element_at",
    2,
    "a",
    lambda v: (
        _element_at(v)
        if v[0].type and v[0].type.name == "map"
        else Value(f"({v[0].sql})[{implicit(v[1], t.INT).sql}]", item_of(v[0]))
    ),
)
define(
    "get",
    2,
    "Ai",
    lambda v: Value(
        f"CASE WHEN {v[1].sql} >= 0 THEN ({v[0].sql})[{v[1].sql} + 1] END", item_of(v[0])
    ),
)


def _with_item(template: str, kind: SqlType | None = None) -> Build:
    """A function of an array and an element, both brought to one type."""

    def build(v: list[Value]) -> Value:
        item = t.common(item_of(v[0]), v[1].type)
        if item is None:
            raise mismatch("The array and the element differ in type.")
        one, two = implicit(v[0], t.array(item)), implicit(v[1], item)
        return Value(template.format(one.sql, two.sql), kind or t.array(item))

    return build


define("array_contains", 2, "Aa", _with_item("spark_array_contains({0}, {1})", t.BOOLEAN))
define(
    "array_position",
    2,
    "Aa",
    _with_item(
        "CASE WHEN {0} IS NULL OR {1} IS NULL THEN NULL "
        "ELSE CAST(coalesce(list_position({0}, {1}), 0) AS BIGINT) END",
        t.BIGINT,
    ),
)
define(
    "array_remove",
    2,
    "Aa",
    _with_item(
        "CASE WHEN {1} IS NOT NULL THEN list_filter({0}, lambda __x: __x IS DISTINCT FROM {1}) END"
    ),
)
define(
    "array_append", 2, "Aa", _with_item("CASE WHEN {0} IS NOT NULL THEN list_append({0}, {1}) END")
)
define(
    "array_prepend",
    2,
    "Aa",
    _with_item("CASE WHEN {0} IS NOT NULL THEN list_prepend({1}, {0}) END"),
)
define("array_compact", 1, "A", "list_filter({0}, lambda __x: __x IS NOT NULL)")
define("array_distinct", 1, "A", "spark_distinct({0})")


def _two_arrays(template: str, kind: SqlType | None = None) -> Build:
    def build(v: list[Value]) -> Value:
        values, both = unify(v)
        return Value(template.format(values[0].sql, values[1].sql), kind or both)

    return build


define("array_union", 2, "A", _two_arrays("spark_distinct({0} || {1})"))
define("array_intersect", 2, "A", _two_arrays("spark_intersect({0}, {1})"))
define("array_except", 2, "A", _two_arrays("spark_except({0}, {1})"))
define("arrays_overlap", 2, "A", _two_arrays("spark_overlap({0}, {1})", t.BOOLEAN))
define(
    "array_repeat",
    2,
    "ai",
    lambda v: Value(
        f"list_transform(range(greatest({v[1].sql}, 0)), lambda __i: {v[0].sql})",
        t.array(v[0].type or t.VOID),
    ),
)
define("slice", 3, "Aii", "spark_slice({0}, {1}, {2})")


def _scalar_items(v: Value, what: str) -> SqlType:
    item = item_of(v)
    if item.nested and item.name != "array" and item.name != "struct":
        raise unsupported("COMPARISON_OF_MAPS", f"{what} of maps")
    if item.nested:
        raise unsupported("COMPARISON_OF_STRUCTS", f"{what} of arrays of structs or arrays")
    return item


def _array_extreme(name: str) -> Build:
    return lambda v: Value(f"list_{name}({v[0].sql})", _scalar_items(v[0], "array_" + name))


define("array_max", 1, "A", _array_extreme("max"))
define("array_min", 1, "A", _array_extreme("min"))


def _sort_array(v: list[Value]) -> Value:
    up = True
    if len(v) > 1:
        if not v[1].const:
            raise unsupported("SORT_ARRAY", "sort_array with a direction that is not a literal")
        up = bool(v[1].const[0])
    order = "'ASC', 'NULLS FIRST'" if up else "'DESC', 'NULLS LAST'"
    return sorted_array(v[0], order, nulls_first=up, descending=not up)


def sorted_array(v: Value, order: str, *, nulls_first: bool, descending: bool) -> Value:
    """Arrays of structs sort by a key in which a NULL field is smallest, as in Spark."""
    item = item_of(v)
    if not item.nested:
        return Value(f"list_sort({v.sql}, {order})", v.type)
    one = fresh("s", v.sql)
    key = sort_key(Value(one, item))
    pair = f"{{'k': CASE WHEN {one} IS NOT NULL THEN {key} END, 'v': {one}}}"
    packed = f"list_transform({v.sql}, lambda {one}: {pair})"
    nulls = f"list_filter({v.sql}, lambda __x: __x IS NULL)"
    kept = f"list_filter({packed}, lambda __x: __x.v IS NOT NULL)"
    ordered = (
        f"list_transform(list_sort({kept}, '{'DESC' if descending else 'ASC'}'), lambda __x: __x.v)"
    )
    both = f"{nulls} || {ordered}" if nulls_first else f"{ordered} || {nulls}"
    return Value(f"({both})", v.type)


define("sort_array", (1, 2), "AB", _sort_array)
define(
    "flatten",
    1,
    "A",
    lambda v: Value(
        f"CASE WHEN len(list_filter({v[0].sql}, lambda __x: __x IS NULL)) = 0 "
        f"THEN flatten({v[0].sql}) END",
        item_of(v[0]),
    ),
)


def _array_join(v: list[Value]) -> Value:
    item = item_of(v[0])
    texts = v[0] if item == t.STRING else implicit(v[0], t.array(t.STRING))
    if len(v) > 2:
        source = f"list_transform({texts.sql}, lambda __x: coalesce(__x, {v[2].sql}))"
    else:
        source = f"list_filter({texts.sql}, lambda __x: __x IS NOT NULL)"
    return Value(
        f"CASE WHEN {texts.sql} IS NULL THEN NULL "
        f"ELSE coalesce(array_to_string({source}, {v[1].sql}), '') END",
        t.STRING,
    )


define("array_join", (2, 3), "As", _array_join)


@special("reverse")
def _reverse(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    (v,) = ctx.values(list(node.expressions), scope)
    if v.type is not None and v.type.name == "array":
        return Value(f"list_reverse({v.sql})", v.type)
    return Value(f"reverse({implicit(v, t.STRING).sql})", t.STRING)


def _sequence(v: list[Value]) -> Value:
    kind = t.common(v[0].type, v[1].type)
    if kind is not None and kind.integral:
        a, b = (f"CAST({x.sql} AS BIGINT)" for x in v[:2])
        step = (
            f"CAST({v[2].sql} AS BIGINT)"
            if len(v) > 2
            else f"CASE WHEN {a} <= {b} THEN 1 ELSE -1 END"
        )
        call = f"spark_sequence({a}, {b}, {step})"
        return Value(
            call if kind == t.BIGINT else f"CAST({call} AS {t.duck_name(kind)}[])", t.array(kind)
        )
    if kind is not None and len(v) > 2 and v[2].type == t.INTERVAL_YM:
        # Months count from the start, so that the 31st comes back after a short month.
        a, b, step = (x.sql for x in v)
        months = f"(datepart('year', {step}) * 12 + datepart('month', {step}))"
        one = fresh("q", a + b)
        items = (
            f"list_filter(list_transform(generate_series(0, date_diff('month', {a}, {b}) // "
            f"{months} + 1), lambda {one}: CAST({a} + to_months(CAST({one} * {months} AS INTEGER)) "
            f"AS {t.duck_name(kind)})), lambda {one}: {one} <= {b})"
        )
        ok = f"{months} > 0 AND {a} <= {b}"
        wrong = f"[{a} + CAST('{REFUSED}sequence' AS INTEGER)]"
        if kind != t.DATE:
            raise unsupported("SEQUENCE", "sequence of timestamps by months")
        return Value(f"CASE WHEN {ok} THEN {items} ELSE {wrong} END", t.array(kind))
    if kind is not None and kind.name in ("date", "timestamp") and len(v) > 2:
        items = f"generate_series({v[0].sql}, {v[1].sql}, {v[2].sql})"
        return Value(f"CAST({items} AS {t.duck_name(kind)}[])", t.array(kind))
    if kind == t.DATE:
        way = f"to_days(CASE WHEN {v[0].sql} <= {v[1].sql} THEN 1 ELSE -1 END)"
        items = f"generate_series({v[0].sql}, {v[1].sql}, {way})"
        return Value(f"CAST({items} AS DATE[])", t.array(t.DATE))
    raise unsupported("SEQUENCE", "sequence of these types")


define("sequence", (2, 3), "a", _sequence)


@special("arrays_zip")
def _arrays_zip(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    values = ctx.values(list(node.expressions), scope)
    names = [
        n.name if isinstance(n, exp.Column) else str(i) for i, n in enumerate(node.expressions)
    ]
    one = fresh("z", node.sql())
    packed = ", ".join(f"{t.quote(n)} := {one}[{i + 1}]" for i, n in enumerate(names))
    zipped = f"list_zip({', '.join(v.sql for v in values)})"
    present = " AND ".join(f"{v.sql} IS NOT NULL" for v in values)
    kind = SqlType("struct", tuple((n, item_of(v)) for n, v in zip(names, values, strict=True)))
    return Value(
        f"CASE WHEN {present} THEN "
        f"list_transform({zipped}, lambda {one}: struct_pack({packed})) END",
        t.array(kind),
    )
