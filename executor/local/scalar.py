"""Functions over numbers and conditions, and the ones that only tell where we are."""

from __future__ import annotations

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.arithmetic import arithmetic, divide, modulo
from executor.local.errors import unsupported
from executor.local.expressions import Expressions
from executor.local.functions import Build, define, special
from executor.local.scope import Scope
from executor.local.sqltypes import SqlType
from executor.local.values import Value, cast, implicit, string_literal, unify

# numbers ------------------------------------------------------------------------------------


def _round(values: list[Value], *, mode: str) -> Value:
    x = values[0]
    places = 0
    if len(values) > 1:
        if not values[1].const or not isinstance(values[1].const[0], int):
            raise unsupported("ROUND", f"{mode} with a scale that is not a literal")
        places = values[1].const[0]
    kind = x.type
    if kind is None:
        raise unsupported("UNTYPED_EXPRESSION", f"{mode} of a value of unknown type")
    if kind.integral:
        return (
            x
            if places >= 0
            else Value(f"CAST(round({x.sql}, {places}) AS {t.duck_name(kind)})", kind)
        )
    if kind.name == "decimal":
        p, s = kind.args
        kept = max(min(s, places), 0)
        result = t.decimal(p - s + kept + 1, kept)
        return Value(f"CAST(round({x.sql}, {places}) AS {t.duck_name(result)})", result)
    if kind.name == "float":
        raise unsupported("ROUND", "rounding a FLOAT; cast it to DOUBLE")
    return Value(f"spark_round_double({x.sql}, {places})", t.DOUBLE)


define("round", (1, 2), "ni", lambda v: _round(v, mode="round"))


def _floor(values: list[Value], name: str) -> Value:
    x = values[0]
    if len(values) > 1:
        raise unsupported("ROUND", f"{name} with a scale")
    if x.type is not None and x.type.name == "decimal":
        p, s = x.type.args
        kind = t.decimal(p - s + 1, 0) if s else x.type
        return Value(f"CAST({name}({x.sql}) AS {t.duck_name(kind)})", kind)
    if x.type is not None and x.type.integral:
        return Value(f"CAST({x.sql} AS BIGINT)", t.BIGINT)
    return Value(f"CAST({name}({x.sql}) AS BIGINT)", t.BIGINT)


define("floor", (1, 2), "ni", lambda v: _floor(v, "floor"))
define("ceil ceiling", (1, 2), "ni", lambda v: _floor(v, "ceil"))
define("abs", 1, "n", "abs({0})")
define("negative", 1, "n", "(-{0})")
define("positive", 1, "n", "{0}")
define("sign signum", 1, "d", "CAST(sign({0}) AS DOUBLE)", t.DOUBLE)
define("sqrt", 1, "d", "CASE WHEN {0} < 0 THEN CAST('nan' AS DOUBLE) ELSE sqrt({0}) END", t.DOUBLE)
define("cbrt", 1, "d", "cbrt({0})", t.DOUBLE)
define("exp", 1, "d", "exp({0})", t.DOUBLE)
define("ln", 1, "d", "CASE WHEN {0} > 0 THEN ln({0}) END", t.DOUBLE)
define("log10", 1, "d", "CASE WHEN {0} > 0 THEN log10({0}) END", t.DOUBLE)
define("log2", 1, "d", "CASE WHEN {0} > 0 THEN log2({0}) END", t.DOUBLE)
define(
    "log",
    (1, 2),
    "d",
    lambda v: Value(
        f"CASE WHEN {v[0].sql} > 0 THEN ln({v[0].sql}) END"
        if len(v) == 1
        else f"CASE WHEN {v[0].sql} > 0 AND {v[1].sql} > 0 "
        f"THEN ln({v[1].sql}) / ln({v[0].sql}) END",
        t.DOUBLE,
    ),
)
define("pow power", 2, "d", "pow({0}, {1})", t.DOUBLE)
for _name in ("sin", "cos", "tan", "atan", "degrees", "radians", "sinh", "cosh", "tanh"):
    define(_name, 1, "d", _name + "({0})", t.DOUBLE)
define("atan2", 2, "d", "atan2({0}, {1})", t.DOUBLE)
define("pi", 0, "d", lambda v: Value("pi()", t.DOUBLE))
define("e", 0, "d", lambda v: Value("exp(1.0::DOUBLE)", t.DOUBLE))
define("isnan", 1, "d", "coalesce(isnan({0}), FALSE)", t.BOOLEAN)
define(
    "factorial",
    1,
    "i",
    "CASE WHEN {0} BETWEEN 0 AND 20 THEN CAST(factorial({0}) AS BIGINT) END",
    t.BIGINT,
)
define("mod", 2, "n", lambda v: modulo(v[0], v[1]))
define("rand random", 0, "d", lambda v: Value("random()", t.DOUBLE))
define("uuid", 0, "s", lambda v: Value("CAST(uuid() AS VARCHAR)", t.STRING))
define("bit_count", 1, "l", "CAST(bit_count({0}) AS INTEGER)", t.INT)


def _pmod(v: list[Value]) -> Value:
    (a, b), kind = unify(v)
    if kind is None or not kind.integral:
        raise unsupported("PMOD", "pmod on anything but integers")
    duck = t.duck_name(kind)
    return Value(f"spark_pmod(CAST({a.sql} AS {duck}), CAST({b.sql} AS {duck}))", kind)


define("pmod", 2, "n", _pmod)
define("div", 2, "l", "({0} // {1})", t.BIGINT)


def _tried(value: Value) -> Value:
    return Value(f"TRY({value.sql})", value.type)


define("try_add", 2, "a", lambda v: _tried(arithmetic("+", v[0], v[1])))
define("try_subtract", 2, "a", lambda v: _tried(arithmetic("-", v[0], v[1])))
define("try_multiply", 2, "a", lambda v: _tried(arithmetic("*", v[0], v[1])))
define("try_divide", 2, "a", lambda v: _tried(divide(v[0], v[1])))
define("try_mod", 2, "a", lambda v: _tried(modulo(v[0], v[1])))


def _left_shift(v: list[Value]) -> Value:
    kind = t.BIGINT if v[0].type == t.BIGINT else t.INT
    bits = 64 if kind == t.BIGINT else 32
    # Java keeps the low bits; multiply in 128 bits and fold back into the signed range.
    n = f"(CAST({v[0].sql} AS HUGEINT) * (CAST(1 AS HUGEINT) << ({v[1].sql} & {bits - 1})))"
    span, half = f"(CAST(1 AS HUGEINT) << {bits})", f"(CAST(1 AS HUGEINT) << {bits - 1})"
    folded = f"((({n} + {half}) % {span} + {span}) % {span} - {half})"
    return Value(f"CAST({folded} AS {t.duck_name(kind)})", kind)


def _right_shift(v: list[Value]) -> Value:
    kind = t.BIGINT if v[0].type == t.BIGINT else t.INT
    bits = 63 if kind == t.BIGINT else 31
    d = f"(CAST(1 AS HUGEINT) << ({v[1].sql} & {bits}))"
    n = f"CAST({v[0].sql} AS HUGEINT)"
    floored = f"(({n} - ((({n} % {d}) + {d}) % {d})) // {d})"
    return Value(f"CAST({floored} AS {t.duck_name(kind)})", kind)


define("shiftleft", 2, "ni", _left_shift)
define("shiftright", 2, "ni", _right_shift)


def _shift_unsigned(v: list[Value]) -> Value:
    kind = t.BIGINT if v[0].type == t.BIGINT else t.INT
    bits = 64 if kind == t.BIGINT else 32
    n = f"CAST({v[0].sql} AS HUGEINT)"
    span, half = f"(CAST(1 AS HUGEINT) << {bits})", f"(CAST(1 AS HUGEINT) << {bits - 1})"
    shifted = f"((({n} + {span}) % {span}) // (CAST(1 AS HUGEINT) << ({v[1].sql} & {bits - 1})))"
    folded = f"((({shifted} + {half}) % {span}) - {half})"
    return Value(f"CAST({folded} AS {t.duck_name(kind)})", kind)


define("shiftrightunsigned", 2, "ni", _shift_unsigned)


def _greatest(v: list[Value], name: str) -> Value:
    values, kind = unify(v)
    if kind is not None and kind.nested:
        raise unsupported("COMPARISON_OF_STRUCTS", f"{name} of arrays and structs")
    return Value(f"{name}({', '.join(x.sql for x in values)})", kind)


define("greatest", (2, 99), "a", lambda v: _greatest(v, "greatest"))
define("least", (2, 99), "a", lambda v: _greatest(v, "least"))


# conditions ---------------------------------------------------------------------------------


def _unified(template: str) -> Build:
    def build(v: list[Value]) -> Value:
        values, kind = unify(v)
        return Value(template.format(all=", ".join(x.sql for x in values)), kind)

    return build


define("coalesce", (1, 99), "a", _unified("coalesce({all})"))
define("nvl ifnull", 2, "a", _unified("coalesce({all})"))


def _nullif(v: list[Value]) -> Value:
    (a, b), _ = unify(v)
    return Value(f"CASE WHEN {a.sql} = {b.sql} THEN NULL ELSE {v[0].sql} END", v[0].type)


define("nullif", 2, "a", _nullif)
define("nullifzero", 1, "n", "nullif({0}, 0)")


def _nvl2(v: list[Value]) -> Value:
    (a, b), kind = unify(v[1:])
    return Value(f"CASE WHEN {v[0].sql} IS NOT NULL THEN {a.sql} ELSE {b.sql} END", kind)


define("nvl2", 3, "a", _nvl2)


def _iff(v: list[Value]) -> Value:
    (a, b), kind = unify(v[1:])
    return Value(f"CASE WHEN {implicit(v[0], t.BOOLEAN).sql} THEN {a.sql} ELSE {b.sql} END", kind)


define("if iff", 3, "a", _iff)
define("isnull", 1, "a", "({0} IS NULL)", t.BOOLEAN)
define("isnotnull", 1, "a", "({0} IS NOT NULL)", t.BOOLEAN)
define("nanvl", 2, "d", "CASE WHEN isnan({0}) THEN {1} ELSE {0} END", t.DOUBLE)


def _equal_null(v: list[Value]) -> Value:
    (a, b), _ = unify(v)
    return Value(f"({a.sql} IS NOT DISTINCT FROM {b.sql})", t.BOOLEAN)


define("equal_null", 2, "a", _equal_null)


def _assert_true(v: list[Value]) -> Value:
    text = v[1].sql if len(v) > 1 else "'assertion failed'"
    return Value(
        f"CASE WHEN {v[0].sql} THEN NULL ELSE error('[USER_RAISED_EXCEPTION] ' || {text}) END",
        t.VOID,
    )


define("assert_true", (1, 2), "Bs", _assert_true)
define("raise_error", 1, "s", "error('[USER_RAISED_EXCEPTION] ' || {0})", t.VOID)

for _name, _kind in (
    ("string", t.STRING), ("int", t.INT), ("bigint", t.BIGINT), ("double", t.DOUBLE),
    ("float", t.FLOAT), ("boolean", t.BOOLEAN), ("date", t.DATE), ("timestamp", t.TIMESTAMP),
    ("smallint", t.SMALLINT), ("tinyint", t.TINYINT), ("binary", t.BINARY),
    ("decimal", SqlType("decimal", (10, 0))),
):  # fmt: skip
    define(_name, 1, "a", lambda v, k=_kind: cast(v[0], k))  # type: ignore[misc]


def _typeof(v: list[Value]) -> Value:
    if v[0].type is None:
        raise unsupported("UNTYPED_EXPRESSION", "typeof of a value of unknown type")
    name = t.spark_name(v[0].type).lower().replace(": ", ":").replace(", ", ",")
    return string_literal(name)


define("typeof", 1, "a", _typeof)

# where we are -------------------------------------------------------------------------------


@special(
    "current_catalog",
    "current_schema",
    "current_database",
    "current_user",
    "session_user",
    "user",
    "current_version",
    "version",
)
def _fact(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    name = str(node.this).lower()
    key = {
        "current_database": "current_schema",
        "user": "current_user",
        "session_user": "current_user",
        "current_version": "version",
    }.get(name, name)
    return string_literal(ctx.facts[key])
