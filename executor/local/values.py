"""Typed SQL: what the translation passes around, and Spark's casts between types.

``Value`` is a piece of DuckDB SQL together with the type Spark gives the expression it came from.
Types matter because the same words mean different things: CAST(2.7 AS INT) truncates in Spark and
rounds in DuckDB, a double becomes text as ``1.0E10`` in the one and ``10000000000.0`` in the
other. ``cast`` writes out Spark's (ANSI) meaning. A type of None means "not known"; what depends
on it is refused, never guessed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from executor.local import sqltypes as t
from executor.local.errors import SqlError, unsupported
from executor.local.sqltypes import SqlType


class Value(NamedTuple):
    """DuckDB SQL, its Spark type, and its value where it is a literal (``const`` in a 1-tuple).

    ``shape`` tells what a text can hold where that makes the translation shorter: "ascii" has no
    letters beyond ASCII, "digits" is a whole number in decimal.
    """

    sql: str
    type: SqlType | None
    const: tuple[Any] | None = None
    shape: str = ""


# Appended to a text that Spark refuses to cast, so that DuckDB's cast fails on it too; the mark
# is taken off again where the message is written. (error() would do, but it is volatile and
# keeps DuckDB from pushing filters down and from using TRY.)
REFUSED = "\u2063"

_SIMPLE = re.compile(r"""-?[\w.]+|(?:\(?"(?:[^"]|"")*"\)?\.?)+|'(?:[^']|'')*'|NULL""")


def fresh(prefix: str, seed: str) -> str:
    """A lambda parameter no user can have written.

    The same seed gives the same name: an expression must come out as the same text wherever it
    stands, or the one in SELECT would not be recognised as the one in GROUP BY.
    """
    return f"__{prefix}{hashlib.blake2s(seed.encode(), digest_size=6).hexdigest()}"


def once(sqls: list[str], build: Callable[[list[str]], str]) -> str:
    """``build`` applied to SQL that must not be repeated.

    DuckDB expands macros and repeated arguments as text, so f(g(h(x))) with each argument used
    three times would be 27 copies of x; real programs nest deep enough to use up all memory. An
    argument that is more than a name or a literal is therefore bound to a lambda parameter first.
    """
    names = [s if _SIMPLE.fullmatch(s) else fresh("v", f"{i}{s}") for i, s in enumerate(sqls)]
    body = build(names)
    bound = [(n, s) for n, s in zip(names, sqls, strict=True) if n != s]
    if all(body.count(n) <= 1 for n, _ in bound) and "spark_" not in body:
        for name, sql in bound:
            body = body.replace(name, sql)
        return body
    bound = [(n, s) for n, s in bound if n in body]
    if not bound:
        return body
    if len(bound) == 1:
        name, sql = bound[0]
        return f"list_transform([{sql}], lambda {name}: {body})[1]"
    pack = fresh("p", "".join(s for _, s in bound))
    for i, (name, _) in enumerate(bound):
        body = body.replace(name, f"{pack}.a{i}")
    fields = ", ".join(f"a{i} := {s}" for i, (_, s) in enumerate(bound))
    return f"list_transform([struct_pack({fields})], lambda {pack}: {body})[1]"


def string_literal(value: str) -> Value:
    return Value(t.text(value), t.STRING, (value,))


def cast(value: Value, to: SqlType) -> Value:
    """CAST(value AS to) in Spark's ANSI mode. Raises SqlError for a pair Spark or we refuse."""
    source = value.type
    if source is None:
        raise unsupported(
            "UNTYPED_EXPRESSION", f"a cast of {value.sql[:60]}, whose type is unknown"
        )
    if source == to:
        return value
    if value.shape == "digits" and to.integral:
        return Value(f"CAST({value.sql} AS {t.duck_name(to)})", to)
    if source.name == "void":
        return Value(f"CAST({value.sql} AS {t.duck_name(to)})", to)
    possible = _cast_sql("x", source, to) is not None
    sql = once([value.sql], lambda x: str(_cast_sql(x[0], source, to))) if possible else None
    if sql is None:
        hint = "WITHOUT" if source.nested or to.nested else "WITH_FUNC"
        raise SqlError(
            f"DATATYPE_MISMATCH.CAST_{hint}_SUGGESTION",
            "Cannot resolve the cast due to data type mismatch: cannot cast "
            f'"{t.spark_name(source)}" to "{t.spark_name(to)}".',
        )
    return Value(sql, to)


def _cast_sql(sql: str, source: SqlType, to: SqlType) -> str | None:
    if to.name == "string":
        return to_text(sql, source)
    if to.integral:
        return _to_integer(sql, source, to)
    if to.nested:
        return _to_nested(sql, source, to)
    plain = f"CAST({sql} AS {t.duck_name(to)})"
    match to.name:
        case "decimal":
            if source.name == "string":
                return f"CAST(spark_number_text({sql}) AS {t.duck_name(to)})"
            if source.fractional:
                return f"CAST(CAST({sql} AS VARCHAR) AS {t.duck_name(to)})"
            return plain if source.numeric or source.name == "boolean" else None
        case "double" | "float":
            if source.name == "string":
                return f"CAST(spark_number_text({sql}) AS {t.duck_name(to)})"
            if source.name == "timestamp":
                return f"(epoch_us({sql}) / 1000000)"
            if to.name == "float" and source.name == "double":
                return f"spark_float({sql})"
            return plain if source.numeric or source.name == "boolean" else None
        case "boolean":
            if source.name == "string":
                return f"spark_boolean({sql})"
            return f"({sql} <> 0)" if source.numeric else None
        case "date":
            if source.name == "string":
                return f"spark_date({sql})"
            return plain if source.name.startswith("timestamp") else None
        case "timestamp" | "timestamp_ntz":
            if source.name == "string":
                return f"CAST(spark_timestamp_text({sql}) AS {t.duck_name(to)})"
            if source.name == "date" or source.name.startswith("timestamp"):
                return plain
            if to.name == "timestamp" and source.integral:
                return f"make_timestamptz(CAST({sql} AS BIGINT) * 1000000)"
            if to.name == "timestamp" and source.numeric:
                return f"make_timestamptz(CAST(floor({sql} * 1000000) AS BIGINT))"
            return None
        case "binary":
            return f"encode({sql})" if source.name == "string" else None
    return None


def _to_integer(sql: str, source: SqlType, to: SqlType) -> str | None:
    duck = t.duck_name(to)
    if source.name == "string":
        return f"CAST(spark_integer_text({sql}) AS {duck})"
    if source.integral or source.name == "boolean":
        return f"CAST({sql} AS {duck})"
    if source.numeric:
        return f"CAST(trunc({sql}) AS {duck})"
    if source.name == "timestamp":
        return f"CAST(floor(epoch_us({sql}) / 1000000) AS {duck})"
    return None


def to_text(sql: str, source: SqlType) -> str:
    """CAST(sql AS STRING) as Spark words each type."""
    match source.name:
        case "string":
            return sql
        case "double":
            return f"spark_double_text({sql})"
        case "float":
            return f"spark_float_text({sql})"
        case "timestamp" | "timestamp_ntz":
            return f"CAST(CAST({sql} AS TIMESTAMP) AS VARCHAR)"
        case "binary":
            return f"decode({sql})"
        case "array":
            one = fresh("e", sql)
            item = to_text(one, source.args[0])
            return (
                f"('[' || array_to_string(list_transform({sql}, lambda {one}: "
                f"coalesce({item}, 'null')), ', ') || ']')"
            )
        case "struct":
            one = fresh("e", sql)
            inner = " || ', ' || ".join(
                f"coalesce({to_text(f'{one}.{t.quote(n)}', k)}, 'null')" for n, k in source.args
            )
            return (
                f"list_transform([{sql}], lambda {one}: CASE WHEN {one} IS NULL THEN NULL "
                f"ELSE '{{' || {inner} || '}}' END)[1]"
            )
        case "map":
            one = fresh("e", sql)
            key = to_text(f"{one}.key", source.args[0])
            item = to_text(f"{one}.value", source.args[1])
            return (
                f"('{{' || array_to_string(list_transform(map_entries({sql}), lambda {one}: "
                f"{key} || ' -> ' || coalesce({item}, 'null')), ', ') || '}}')"
            )
        case "interval day" | "interval month":
            raise unsupported("INTERVAL_TO_STRING", "intervals as text")
        case _:
            return f"CAST({sql} AS VARCHAR)"


def _to_nested(sql: str, source: SqlType, to: SqlType) -> str | None:
    if source.name != to.name:
        return None
    one = fresh("e", sql)
    if to.name == "array":
        inner = cast(Value(one, source.args[0]), to.args[0]).sql
        return f"list_transform({sql}, lambda {one}: {inner})"
    if to.name == "map":
        key = cast(Value(f"{one}.key", source.args[0]), to.args[0]).sql
        item = cast(Value(f"{one}.value", source.args[1]), to.args[1]).sql
        pair = f"{{'key': {key}, 'value': {item}}}"
        return f"map_from_entries(list_transform(map_entries({sql}), lambda {one}: {pair}))"
    if len(source.args) != len(to.args):
        return None
    fields = [
        f"{t.quote(label)} := {cast(Value(f'{one}.{t.quote(old)}', kind), want).sql}"
        for (old, kind), (label, want) in zip(source.args, to.args, strict=True)
    ]
    packed = f"CASE WHEN {one} IS NULL THEN NULL ELSE struct_pack({', '.join(fields)}) END"
    return f"list_transform([{sql}], lambda {one}: {packed})[1]"


def implicit(value: Value, to: SqlType | None) -> Value:
    """Bring ``value`` to the type an operator or function wants; unknown types pass unchanged."""
    if to is None or value.type is None or value.type == to:
        return value
    if value.type.nested and value.type.name == to.name and _same_shape(value.type, to):
        return Value(value.sql, to)
    return cast(value, to)


def _same_shape(left: SqlType, right: SqlType) -> bool:
    """Types that differ only in struct field names or VOID need no work."""
    if left.name == "void":
        return True
    if left.name != right.name:
        return False
    if left.name == "struct":
        return False
    if left.nested:
        return all(_same_shape(a, b) for a, b in zip(left.args, right.args, strict=True))
    return left == right


def unify(values: list[Value]) -> tuple[list[Value], SqlType | None]:
    """All ``values`` in their common type, as CASE, COALESCE and UNION want them.

    Raises SqlError where the types are known and have none in common.
    """
    kind: SqlType | None = t.VOID
    for value in values:
        known = kind
        kind = t.common(kind, value.type)
        if kind is None and known is not None and value.type is not None:
            raise SqlError(
                "DATATYPE_MISMATCH.DATA_DIFF_TYPES",
                "Cannot resolve the expression due to data type mismatch: the inputs should all "
                f'be the same type, but they are "{t.spark_name(known)}" and '
                f'"{t.spark_name(value.type)}".',
            )
        if kind is None:
            return values, None
    assert kind is not None
    if kind.name == "void":
        return values, kind
    return [implicit(v, kind) for v in values], kind
