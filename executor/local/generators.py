"""Generators: explode, posexplode and their _outer forms, in SELECT, FROM and LATERAL VIEW."""

from __future__ import annotations

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.errors import SqlError, mismatch, unsupported
from executor.local.expressions import Expressions
from executor.local.nested import entry_type
from executor.local.scope import Column, Relation, Scope
from executor.local.values import Value

GENERATORS = (
    "explode",
    "explode_outer",
    "posexplode",
    "posexplode_outer",
    "inline",
    "inline_outer",
)


def is_generator(node: exp.Expr) -> bool:
    inner = node.this if isinstance(node, (exp.Alias, exp.Aliases)) else node
    return isinstance(inner, exp.Anonymous) and str(inner.this).lower() in GENERATORS


def projected(ctx: Expressions, node: exp.Expr, scope: Scope) -> list[tuple[str, Value]]:
    """The columns a generator gives, each as an unnest() beside the others."""
    names: list[str] = []
    if isinstance(node, exp.Alias):
        names, node = [node.alias], node.this
    elif isinstance(node, exp.Aliases):
        names, node = [i.name for i in node.expressions], node.this
    columns = _columns(ctx, node, scope, outer=str(node.this).lower().endswith("_outer"))
    if names and len(names) != len(columns):
        raise SqlError(
            "UDTF_ALIAS_NUMBER_MISMATCH",
            "The number of aliases supplied in the AS clause does not match the number of columns "
            f"output by the UDTF. Expected {len(columns)} aliases, but got {', '.join(names)}.",
            sqlstate="42802",
        )
    return [(names[i] if names else n, v) for i, (n, v) in enumerate(columns)]


def _columns(
    ctx: Expressions, node: exp.Expr, scope: Scope, *, outer: bool
) -> list[tuple[str, Value]]:
    name = str(node.this).lower().removesuffix("_outer")
    if len(node.expressions) != 1:
        raise SqlError("WRONG_NUM_ARGS.WITHOUT_SUGGESTION", f"The `{name}` requires 1 parameter.")
    value = ctx.value(node.expressions[0], scope)
    kind = value.type
    if kind is None or kind.name not in ("array", "map"):
        shown = t.spark_name(kind) if kind else "unknown"
        raise mismatch(f'{name} needs an ARRAY or a MAP but has "{shown}".')
    source = f"map_entries({value.sql})" if kind.name == "map" else value.sql
    item = entry_type(kind) if kind.name == "map" else kind.args[0]
    if outer:
        source = f"CASE WHEN {source} IS NULL OR len({source}) = 0 THEN [NULL] ELSE {source} END"
    out: list[tuple[str, Value]] = []
    if name == "posexplode":
        places = f"unnest(range(len({source})))"
        if outer:
            filled = value.sql if kind.name == "array" else source
            places = f"CASE WHEN len({filled}) > 0 THEN {places} END"
        out.append(("pos", Value(f"CAST({places} AS INTEGER)", t.INT)))
    if kind.name == "map":
        for label, inner in item.args:
            out.append((label, Value(f"unnest({source}).{label}", inner)))
    elif name == "inline":
        if item.name != "struct":
            raise mismatch("inline needs an ARRAY of STRUCT.")
        for label, inner in item.args:
            out.append((label, Value(f"unnest({source}).{t.quote(label)}", inner)))
    else:
        out.append(("col", Value(f"unnest({source})", item)))
    return out


def lateral_view(ctx: Expressions, node: exp.Lateral, scope: Scope) -> str:
    """LATERAL VIEW [OUTER] generator(...) alias AS columns, as a lateral join."""
    call = node.this
    if not is_generator(call):
        raise unsupported("LATERAL_VIEW", f"LATERAL VIEW {call.sql('databricks')[:60]}")
    outer = bool(node.args.get("outer")) or str(call.this).lower().endswith("_outer")
    columns = _columns(ctx, call, scope, outer=False)
    alias_node = node.args.get("alias")
    alias = alias_node.this.name if alias_node is not None and alias_node.this is not None else ""
    names = [c.name for c in alias_node.args.get("columns") or []] if alias_node is not None else []
    if names and len(names) != len(columns):
        raise SqlError(
            "UDTF_ALIAS_NUMBER_MISMATCH",
            "The number of aliases supplied in the AS clause does not match the number of columns "
            f"output by the UDTF. Expected {len(columns)} aliases, but got {len(names)}.",
            sqlstate="42802",
        )
    shown = [names[i] if names else n for i, (n, _) in enumerate(columns)]
    body = ", ".join(f"{v.sql} AS {t.quote(n)}" for n, (_, v) in zip(shown, columns, strict=True))
    head = t.quote(alias or f"__v{len(scope.relations)}")
    scope.relations.append(
        Relation(
            alias,
            [
                Column(n, v.type, f"{head}.{t.quote(n)}")
                for n, (_, v) in zip(shown, columns, strict=True)
            ],
        )
    )
    join = "LEFT JOIN" if outer else "CROSS JOIN"
    return f" {join} LATERAL (SELECT {body}) AS {head}" + (" ON TRUE" if outer else "")
