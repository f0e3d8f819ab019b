"""Higher-order functions: transform, filter, exists, aggregate, zip_with and the ones over maps."""

from __future__ import annotations

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.errors import SqlError, mismatch, unsupported
from executor.local.expressions import Expressions
from executor.local.functions import special
from executor.local.nested import item_of, sorted_array, typed
from executor.local.scope import Scope
from executor.local.sqltypes import SqlType
from executor.local.values import Value, fresh, implicit


def _body(ctx: Expressions, node: exp.Expr, scope: Scope, given: list[Value]) -> Value:
    """The body of a lambda whose parameters stand for ``given``."""
    if not isinstance(node, exp.Lambda):
        raise mismatch("A lambda function is needed here.")
    inner = scope.inner()
    for parameter, value in zip(node.expressions, given, strict=False):
        inner.lambdas[parameter.name.lower()] = value
    if len(node.expressions) > len(given):
        raise SqlError(
            "INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH",
            f"Invalid lambda function call. A higher order function expects {len(given)} "
            f"arguments, but got {len(node.expressions)}.",
            sqlstate="42K0D",
        )
    return ctx.value(node.this, inner)


def _arguments(node: exp.Expr) -> list[exp.Expr]:
    return list(node.expressions)


def _over_items(ctx: Expressions, node: exp.Expr, scope: Scope) -> tuple[Value, str, Value]:
    """The array, the DuckDB lambda head and the translated body of f(array, lambda)."""
    source, function = _arguments(node)
    base = ctx.value(source, scope)
    one, index = fresh("x", node.sql()), fresh("i", node.sql())
    two = isinstance(function, exp.Lambda) and len(function.expressions) > 1
    given = [Value(one, item_of(base)), Value(f"CAST({index} - 1 AS INTEGER)", t.INT)]
    body = _body(ctx, function, scope, given if two else given[:1])
    return base, f"{one}, {index}" if two else one, body


@special("transform")
def _transform(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    base, head, body = _over_items(ctx, node, scope)
    return Value(
        f"list_transform({base.sql}, lambda {head}: {typed(body)})", t.array(body.type or t.VOID)
    )


@special("filter")
def _filter(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    base, head, body = _over_items(ctx, node, scope)
    return Value(f"list_filter({base.sql}, lambda {head}: {body.sql})", base.type)


@special("exists", "any_match")
def _exists(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    base, head, body = _over_items(ctx, node, scope)
    return Value(f"spark_any(list_transform({base.sql}, lambda {head}: {body.sql}))", t.BOOLEAN)


@special("forall")
def _forall(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    base, head, body = _over_items(ctx, node, scope)
    return Value(f"spark_all(list_transform({base.sql}, lambda {head}: {body.sql}))", t.BOOLEAN)


@special("aggregate", "reduce")
def _aggregate(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    parts = _arguments(node)
    base, start = ctx.value(parts[0], scope), ctx.value(parts[1], scope)
    if start.type is None:
        raise unsupported("UNTYPED_EXPRESSION", "aggregate with a start of unknown type")
    acc, one = fresh("a", node.sql()), fresh("x", node.sql())
    merged = _body(ctx, parts[2], scope, [Value(acc, start.type), Value(one, item_of(base))])
    if merged.type is not None and merged.type != start.type and merged.type.name != "void":
        if t.common(merged.type, start.type) != start.type:
            raise mismatch(
                "aggregate: the lambda returns "
                f'"{t.spark_name(merged.type)}" but the start is "{t.spark_name(start.type)}".'
            )
        merged = implicit(merged, start.type)
    typed = f"CAST({start.sql} AS {t.duck_name(start.type)})"
    result = Value(
        f"list_reduce({base.sql}, lambda {acc}, {one}: "
        f"CAST({merged.sql} AS {t.duck_name(start.type)}), {typed})",
        start.type,
    )
    if len(parts) == 3:
        return result
    final = fresh("f", node.sql())
    body = _body(ctx, parts[3], scope, [Value(final, start.type)])
    return Value(
        f"CASE WHEN {base.sql} IS NOT NULL THEN "
        f"list_transform([{result.sql}], lambda {final}: {body.sql})[1] END",
        body.type,
    )


@special("zip_with")
def _zip_with(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    first, second, function = _arguments(node)
    a, b = ctx.value(first, scope), ctx.value(second, scope)
    pair = fresh("p", node.sql())
    body = _body(
        ctx, function, scope, [Value(f"{pair}[1]", item_of(a)), Value(f"{pair}[2]", item_of(b))]
    )
    return Value(
        f"CASE WHEN {a.sql} IS NOT NULL AND {b.sql} IS NOT NULL THEN "
        f"list_transform(list_zip({a.sql}, {b.sql}), lambda {pair}: {body.sql}) END",
        t.array(body.type or t.VOID),
    )


def _map_lambda(ctx: Expressions, node: exp.Expr, scope: Scope) -> tuple[Value, str, Value]:
    source, function = _arguments(node)
    base = ctx.value(source, scope)
    if base.type is None or base.type.name != "map":
        raise mismatch("A MAP is needed.")
    one = fresh("m", node.sql())
    given = [Value(f"{one}.key", base.type.args[0]), Value(f"{one}.value", base.type.args[1])]
    return base, one, _body(ctx, function, scope, given)


@special("map_filter", "transform_values", "transform_keys")
def _map_higher(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    base, one, body = _map_lambda(ctx, node, scope)
    assert base.type is not None
    key, item = base.type.args
    entries, name = f"map_entries({base.sql})", str(node.this).lower()
    if name == "map_filter":
        return Value(
            f"map_from_entries(list_filter({entries}, lambda {one}: {body.sql}))", base.type
        )
    pair = (
        f"{{'key': {one}.key, 'value': {typed(body)}}}"
        if name == "transform_values"
        else f"{{'key': {typed(body)}, 'value': {one}.value}}"
    )
    kind = (key, body.type) if name == "transform_values" else (body.type, item)
    return Value(
        f"map_from_entries(list_transform({entries}, lambda {one}: {pair}))", SqlType("map", kind)
    )


@special("array_sort")
def _array_sort(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    parts = _arguments(node)
    base = ctx.value(parts[0], scope)
    if len(parts) == 1:
        return sorted_array(base, "'ASC', 'NULLS LAST'", nulls_first=False, descending=False)
    # A comparator: an element's rank is how many others come before it; equal ones keep order.
    i, j = fresh("i", node.sql()), fresh("j", node.sql())
    less = _body(
        ctx, parts[1], scope,
        [Value(f"({base.sql})[{j}]", item_of(base)), Value(f"({base.sql})[{i}]", item_of(base))],
    ).sql  # fmt: skip
    everyone = f"range(1, len({base.sql}) + 1)"
    rank = f"len(list_filter({everyone}, lambda {j}: ({less}) < 0 OR (({less}) = 0 AND {j} < {i})))"
    ranked = f"list_sort(list_transform({everyone}, lambda {i}: {{'r': {rank}, 'i': {i}}}))"
    return Value(f"list_transform({ranked}, lambda __e: ({base.sql})[__e.i])", base.type)
