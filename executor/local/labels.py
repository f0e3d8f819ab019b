"""The name Spark gives an output column that has no alias: its expression, written its way."""

from __future__ import annotations

from sqlglot import exp

_SIGNS = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.EQ: "=",
    exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=", exp.And: "AND", exp.Or: "OR",
    exp.BitwiseXor: "^", exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.NullSafeEQ: "<=>",
    exp.IntDiv: "div",
}  # fmt: skip


def label(node: exp.Expr) -> str:
    """The column name of one item of a select list."""
    if isinstance(node, exp.Alias):
        return str(node.alias)
    if isinstance(node, exp.Column):
        return node.name
    if isinstance(node, exp.Dot):
        return str(node.expression.name)
    # an empty text has an empty name in Spark, which DuckDB takes for no name at all
    return _shown(node) or " "


def _shown(node: exp.Expr) -> str:
    if isinstance(node, exp.Column):
        return ".".join(p.name for p in node.parts)
    if isinstance(node, exp.Literal):
        return str(node.this)
    if isinstance(node, exp.Star):
        return "1"
    if isinstance(node, exp.Paren):
        return _shown(node.this)
    if isinstance(node, exp.Null):
        return "NULL"
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    if isinstance(node, exp.Neg):
        inner = _shown(node.this)
        return f"-{inner}" if isinstance(node.this, exp.Literal) else f"(- {inner})"
    if isinstance(node, exp.NEQ):
        return f"(NOT ({_shown(node.left)} = {_shown(node.right)}))"
    if isinstance(node, exp.Binary) and type(node) in _SIGNS:
        return f"({_shown(node.left)} {_SIGNS[type(node)]} {_shown(node.right)})"
    if isinstance(node, exp.Cast):
        word = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
        return f"{word}({_shown(node.this)} AS {node.args['to'].sql('databricks')})"
    if isinstance(node, exp.Anonymous):
        args = node.expressions
        if args and isinstance(args[0], exp.Distinct):
            inner = ", ".join(_shown(a) for a in args[0].expressions)
            return f"{str(node.this).lower()}(DISTINCT {inner})"
        return f"{str(node.this).lower()}({', '.join(_shown(a) for a in args)})"
    if isinstance(node, exp.CurrentDate):
        return "current_date()"
    if isinstance(node, exp.CurrentTimestamp):
        return "current_timestamp()"
    if isinstance(node, (exp.Subquery, exp.Select)):
        return "scalarsubquery()"
    return str(node.sql(dialect="databricks"))
