"""Functions by name: what each Databricks function is in DuckDB, with its argument types.

The table ``TABLE`` is the whole list. A name that is not in it is refused: UNRESOLVED_ROUTINE if
it is no Databricks function that we know of, UNSUPPORTED_FEATURE if it is one we cannot answer
as Spark does. Every entry has been compared with Apache Spark (tests/local/spark_reference.json).

An entry says how many arguments a function takes, of which kinds they are (one letter each, the
last repeats) and how the call reads in DuckDB. Kinds: s STRING, i INT, l BIGINT, d DOUBLE,
b BINARY, t TIMESTAMP, D DATE, B BOOLEAN, n any number, a anything, A array, M map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.errors import SqlError, mismatch, unsupported
from executor.local.expressions import Expressions
from executor.local.scope import Scope
from executor.local.sqltypes import SqlType
from executor.local.values import Value, implicit, once

Build = Callable[[list[Value]], Value]
Special = Callable[[Expressions, exp.Expr, Scope], Value]

_KINDS = {
    "s": t.STRING,
    "i": t.INT,
    "l": t.BIGINT,
    "d": t.DOUBLE,
    "b": t.BINARY,
    "t": t.TIMESTAMP,
    "D": t.DATE,
    "B": t.BOOLEAN,
}


@dataclass(frozen=True, slots=True)
class Function:
    """A function of values: arity, argument kinds, and how it reads in DuckDB."""

    least: int
    most: int
    kinds: str
    build: Build


TABLE: dict[str, Function] = {}
SPECIAL: dict[str, Special] = {}


def define(
    names: str,
    arity: int | tuple[int, int],
    kinds: str,
    build: Build | str,
    kind: SqlType | None = None,
) -> None:
    """Enter a function; ``build`` may be a template where {0}, {1} stand for the arguments."""
    least, most = (arity, arity) if isinstance(arity, int) else arity
    if isinstance(build, str):
        template = build

        def build(values: list[Value]) -> Value:
            sqls = [v.sql for v in values]
            result = kind if kind is not None else values[0].type
            return Value(template.format(*sqls, all=", ".join(sqls)), result)

    for name in names.split():
        TABLE[name] = Function(least, most, kinds, build)


def special(*names: str) -> Callable[[Special], Special]:
    """Enter a function that needs its syntax tree (lambdas, DISTINCT, generators)."""

    def enter(function: Special) -> Special:
        for name in names:
            SPECIAL[name] = function
        return function

    return enter


def coerce(value: Value, kind: str, name: str) -> Value:
    """An argument in the type its function wants."""
    if kind == "a":
        return value
    if kind in _KINDS:
        wanted = _KINDS[kind]
        if kind in "sb" and value.type is not None and value.type.nested:
            raise mismatch(f'{name} needs "{t.spark_name(wanted)}".')
        if kind == "t" and value.type == t.TIMESTAMP_NTZ:
            return value
        if kind == "i" and value.type is not None and value.type.integral:
            return (
                value
                if value.type != t.BIGINT
                else Value(f"CAST({value.sql} AS INTEGER)", t.INT, value.const)
            )
        if kind == "l" and value.type is not None and value.type.integral:
            return Value(f"CAST({value.sql} AS BIGINT)", t.BIGINT, value.const)
        if not _implicitly(value.type, wanted):
            assert value.type is not None
            raise mismatch(
                f'Cannot resolve "{name}" due to data type mismatch: a parameter requires the '
                f'"{t.spark_name(wanted)}" type, however it has the type '
                f'"{t.spark_name(value.type)}".'
            )
        return implicit(value, wanted)
    if value.type is None or value.type.name == "void":
        return value
    if kind == "n":
        return (
            implicit(value, t.DOUBLE)
            if value.type == t.STRING
            else _check(value, value.type.numeric, name, "a number")
        )
    if kind == "A":
        return _check(value, value.type.name == "array", name, "an ARRAY")
    if kind == "M":
        return _check(value, value.type.name == "map", name, "a MAP")
    raise AssertionError(kind)


def _implicitly(source: SqlType | None, to: SqlType) -> bool:
    """Whether Spark (ANSI) casts a parameter by itself."""
    if source is None or source == to or source.name in ("void", "string"):
        return True
    if to.name == "string":
        return not source.nested
    if to.numeric:
        return source.numeric and (source.integral or to.fractional)
    return to.name in ("date", "timestamp") and source.name in (
        "date",
        "timestamp",
        "timestamp_ntz",
    )


def _check(value: Value, good: bool, name: str, wanted: str) -> Value:
    if good:
        return value
    assert value.type is not None
    raise mismatch(
        f'Cannot resolve "{name}": it needs {wanted} but has "{t.spark_name(value.type)}".'
    )


def call(ctx: Expressions, name: str, node: exp.Expr, scope: Scope) -> Value:
    """Translate a call. ``name`` is empty for an aggregate wrapped in OVER, FILTER, ..."""
    if not name:
        return SPECIAL[""](ctx, node, scope)
    if name in SPECIAL:
        return SPECIAL[name](ctx, node, scope)
    function = TABLE.get(name)
    if function is None:
        raise _unknown(name)
    nodes = list(node.expressions)
    if not function.least <= len(nodes) <= function.most:
        raise SqlError(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
            f"The `{name}` requires {function.least} parameters but the actual number is "
            f"{len(nodes)}.",
        )
    values = [
        coerce(v, function.kinds[min(i, len(function.kinds) - 1)], name)
        for i, v in enumerate(ctx.values(nodes, scope))
    ]
    found = function.build(values)
    sql = once([v.sql for v in values], lambda names: _built(function, values, names))
    return Value(sql, found.type, found.const, found.shape)


def _built(function: Function, values: list[Value], names: list[str]) -> str:
    given = [Value(n, v.type, v.const, v.shape) for n, v in zip(names, values, strict=True)]
    return function.build(given).sql


def _unknown(name: str) -> SqlError:
    if name in KNOWN_ELSEWHERE:
        return unsupported("FUNCTION", f"the function {name}()")
    return SqlError(
        "UNRESOLVED_ROUTINE",
        f"Cannot resolve routine `{name}` on search path [`system`.`builtin`, "
        "`system`.`session`, `spark_catalog`.`default`].",
    )


# Databricks functions that exist and that we refuse, each because the answer would differ
# (hashes, sketches, random sequences) or because nothing here needs it.
KNOWN_ELSEWHERE = frozenset(
    [
        "xxhash64",
        "hash",
        "murmur3",
        "crc32",
        "from_json",
        "to_json",
        "get_json_object",
        "json_tuple",
        "schema_of_json",
        "parse_json",
        "try_parse_json",
        "variant_get",
        "to_variant_object",
        "from_csv",
        "to_csv",
        "from_xml",
        "to_xml",
        "xpath",
        "hll_sketch_agg",
        "hll_sketch_estimate",
        "approx_top_k",
        "histogram_numeric",
        "count_min_sketch",
        "ai_query",
        "ai_classify",
        "http_request",
        "randn",
        "randstr",
        "uniform",
        "shuffle",
        "monotonically_increasing_id",
        "spark_partition_id",
        "input_file_name",
        "aes_encrypt",
        "aes_decrypt",
        "try_aes_decrypt",
        "secret",
        "encode",
        "decode",
        "sentences",
        "format_number",
        "to_number",
        "try_to_number",
        "to_char",
        "to_varchar",
        "window",
        "session_window",
        "window_time",
        "map_zip_with",
        "array_insert",
        "array_sort_by",
        "regr_slope",
        "regr_intercept",
        "regr_r2",
        "skewness",
        "kurtosis",
        "percentile",
        "percentile_approx",
        "approx_percentile",
        "h3_longlatash3",
        "st_point",
        "bitmap_construct_agg",
        "bitmap_or_agg",
        "bitmap_count",
        "make_timestamp",
        "make_interval",
        "make_dt_interval",
        "make_ym_interval",
        "convert_timezone",
        "from_utc_timestamp",
        "to_utc_timestamp",
        "java_method",
        "reflect",
        "stack",
        "inline",
        "inline_outer",
        "json_object_keys",
        "bround",
        "is_account_group_member",
        "is_member",
        "url_encode",
        "url_decode",
        "parse_url",
        "try_parse_url",
        "luhn_check",
        "collate",
        "collation",
        "zeroifnull",
        "read_files",
        "read_kafka",
        "table_changes",
        "event_log",
        "vector_search",
        "sequence_file",
        "split_part_all",
    ]
)
