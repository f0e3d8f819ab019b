"""Arithmetic with Spark's result types: integers, decimals, doubles, dates and intervals.

Overflow and division by zero are errors (ANSI). A decimal result has the precision and scale that
Spark gives it; a quotient of decimals is computed exactly, in 128-bit integers.
"""

from __future__ import annotations

from executor.local import sqltypes as t
from executor.local.errors import SqlError, mismatch, unsupported
from executor.local.sqltypes import SqlType
from executor.local.values import Value, cast, implicit, once, unify


def number(value: Value, *, interval: bool = False) -> Value:
    """An operand of arithmetic: texts become numbers, anything else non-numeric is refused."""
    kind = value.type
    if kind is None or kind.numeric or kind.name == "void" or (interval and kind.interval):
        return value
    if kind.name == "string":
        return cast(value, t.DOUBLE)
    raise mismatch(f'A number is needed but the type is "{t.spark_name(kind)}": {value.sql[:60]}.')


def widened(value: Value, kind: SqlType) -> str:
    """DuckDB narrows integer literals to the other operand's type; Spark widens."""
    if kind.integral and (value.type != kind or value.const is not None):
        return f"CAST({value.sql} AS {t.duck_name(kind)})"
    return value.sql


def arithmetic(sign: str, left: Value, right: Value) -> Value:
    """``+``, ``-`` and ``*`` with Spark's result types; overflow is an error in both."""
    a, b = left.type, right.type
    if a is None or b is None:
        return Value(f"({left.sql} {sign} {right.sql})", None)
    moment = _moment(sign, left, right)
    if moment is not None:
        return moment
    if a.interval or b.interval:
        kind = a if a.interval else b
        return Value(f"({left.sql} {sign} {right.sql})", kind)
    if a.name == "string" or b.name == "string":
        other = b if a.name == "string" else a
        kind = t.BIGINT if other.integral else t.DOUBLE
        left = implicit(left, kind) if a.name == "string" else left
        right = implicit(right, kind) if b.name == "string" else right
        a, b = left.type, right.type
        assert a is not None
        assert b is not None
    if (a.nested or b.nested) and a != b:
        raise SqlError(
            "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES",
            "Cannot resolve the expression due to data type mismatch: the left and right operands "
            f"of the binary operator have incompatible types "
            f'("{t.spark_name(a)}" and "{t.spark_name(b)}").',
        )
    left, right = number(left), number(right)
    kind2 = _result(sign, a, b, left, right)
    if kind2 is None or kind2.name == "void":
        return Value(f"CAST(NULL AS {t.duck_name(b if a.name == 'void' else a)})", kind2)
    if kind2.name == "decimal":
        plain = f"({left.sql} {sign} {right.sql})"
        return Value(f"CAST({plain} AS {t.duck_name(kind2)})", kind2)
    if kind2.integral:
        return Value(f"({widened(left, kind2)} {sign} {widened(right, kind2)})", kind2)
    return Value(f"({implicit(left, kind2).sql} {sign} {implicit(right, kind2).sql})", kind2)


def _literal_decimal(value: Value, other: SqlType) -> tuple[int, int] | None:
    """An integer literal beside a decimal has just the digits it needs."""
    if value.const and isinstance(value.const[0], int) and other.name == "decimal":
        return len(str(abs(value.const[0]))), 0
    return t.as_decimal(value.type) if value.type else None


def _result(sign: str, a: SqlType, b: SqlType, left: Value, right: Value) -> SqlType | None:
    if "decimal" in (a.name, b.name) and not (a.fractional or b.fractional):
        one, two = _literal_decimal(left, b), _literal_decimal(right, a)
        if one is None or two is None:
            return t.common(a, b)
        (p1, s1), (p2, s2) = one, two
        if sign == "*":
            return t.decimal(p1 + p2 + 1, s1 + s2)
        scale = max(s1, s2)
        return t.decimal(max(p1 - s1, p2 - s2) + scale + 1, scale)
    return t.common(a, b)


def _moment(sign: str, left: Value, right: Value) -> Value | None:
    """Dates, timestamps and intervals under + and -; None when neither operand is one."""
    a, b = left.type, right.type
    assert a is not None
    assert b is not None
    points = ("date", "timestamp", "timestamp_ntz")
    if a.name not in points and b.name in points and sign == "+":
        left, right, a, b = right, left, b, a
    if a.name not in points:
        return None
    if a.name == "date" and b.integral and sign in "+-":
        return Value(f"CAST({left.sql} {sign} CAST({right.sql} AS INTEGER) AS DATE)", t.DATE)
    if b.interval and sign in "+-":
        plain = f"({left.sql} {sign} {right.sql})"
        if a.name == "date":
            whole_days = right.sql.startswith(("to_days(", "to_weeks(")) or b == t.INTERVAL_YM
            kind = t.DATE if whole_days else t.TIMESTAMP
            return Value(f"CAST({plain} AS {t.duck_name(kind)})", kind)
        return Value(plain, a)
    if b.name in points and sign == "-":
        if a.name == b.name == "date":
            return Value(f"to_days(CAST({left.sql} - {right.sql} AS INTEGER))", t.INTERVAL_DT)
        (left, right), _ = unify([left, right])
        return Value(f"({left.sql} - {right.sql})", t.INTERVAL_DT)
    if b.name == "string" and sign == "-" and a.name == "date":
        return _moment(sign, left, cast(right, t.DATE))
    raise mismatch(f'Cannot apply {sign} to "{t.spark_name(a)}" and "{t.spark_name(b)}".')


def divide(left: Value, right: Value) -> Value:
    """``/``: a double for integers, an exact decimal with Spark's scale for decimals."""
    left, right = number(left, interval=True), number(right)
    a, b = left.type, right.type
    if a is None or b is None:
        raise unsupported("UNTYPED_EXPRESSION", "a division of values of unknown type")
    if a.interval:
        raise unsupported("INTERVAL", "division of intervals")
    if "decimal" in (a.name, b.name) and not (a.fractional or b.fractional):
        one, two = _literal_decimal(left, b), _literal_decimal(right, a)
        if one is not None and two is not None:
            (p1, s1), (p2, s2) = one, two
            scale = max(6, s1 + p2 + 1)
            return exact_quotient(left, s1, right, s2, t.decimal(p1 - s1 + s2 + scale, scale))
    sql = once([left.sql, right.sql], lambda x: f"spark_divide({x[0]}, {x[1]})")
    return Value(sql, t.DOUBLE)


def exact_quotient(left: Value, s1: int, right: Value, s2: int, kind: SqlType) -> Value:
    """left / right rounded half up to the scale of ``kind``, in 128-bit integers throughout."""
    scale = kind.args[1]
    shift = scale - s1 + s2
    n, d = _unscaled(left, s1), _unscaled(right, s2)
    if shift >= 0:
        n = f"({n} * CAST('1{'0' * shift}' AS HUGEINT))"
    else:
        d = f"({d} * CAST('1{'0' * -shift}' AS HUGEINT))"
    whole = once([n, d], lambda x: f"spark_half_up({x[0]}, {x[1]})")
    if scale:
        unit = f"CAST('0.{'0' * (scale - 1)}1' AS DECIMAL({scale},{scale}))"
        whole = f"(CAST({whole} AS DECIMAL(38,0)) * {unit})"
    return Value(f"CAST({whole} AS {t.duck_name(kind)})", kind)


def _unscaled(value: Value, scale: int) -> str:
    """A decimal times ten to the power of its scale, as a whole number."""
    power = f"CAST('1{'0' * scale}' AS DECIMAL(38,0))"
    return f"CAST(CAST({value.sql} AS DECIMAL(38,{scale})) * {power} AS HUGEINT)"


def modulo(left: Value, right: Value) -> Value:
    left, right = number(left), number(right)
    a, b = left.type, right.type
    kind = t.common(a, b)
    if kind is not None and kind.integral:
        return Value(f"({widened(left, kind)} % {widened(right, kind)})", kind)
    if kind is not None and kind.name == "decimal":
        assert a is not None
        assert b is not None
        one, two = _literal_decimal(left, b), _literal_decimal(right, a)
        if one is not None and two is not None:
            scale = max(one[1], two[1])
            kind = t.decimal(min(one[0] - one[1], two[0] - two[1]) + scale, scale)
        return Value(f"CAST(({left.sql} % {right.sql}) AS {t.duck_name(kind)})", kind)
    sql = once([left.sql, right.sql], lambda x: f"spark_modulo({x[0]}, {x[1]})")
    return Value(sql, kind)
