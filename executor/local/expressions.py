"""Expressions: one Databricks expression tree in, one typed piece of DuckDB SQL out.

``Expressions.value`` dispatches on the class of the node. A node that no method here handles is
refused (UNSUPPORTED_FEATURE): the translation never passes on what it does not understand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.arithmetic import arithmetic, divide, modulo, number, widened
from executor.local.dialect import position_of
from executor.local.errors import SqlError, mismatch, unsupported
from executor.local.ordering import key_or_null
from executor.local.scope import Column, Scope, fields
from executor.local.sqltypes import SqlType
from executor.local.values import Value, cast, implicit, once, string_literal, unify

Query = Callable[[exp.Expr, Scope], tuple[str, list[Column]]]
Calls = Callable[["Expressions", str, exp.Expr, Scope], Value]


class Expressions:
    """Translates expressions; ``query`` and ``call`` are given so that modules stay apart."""

    def __init__(
        self, query: Query, call: Calls, params: dict[str, Value], facts: dict[str, str]
    ) -> None:
        self.query = query
        self.call = call
        self.params = params
        self.facts = facts  # catalog, schema, user: what current_…() answers
        self._positional = 0

    def value(self, node: exp.Expr, scope: Scope) -> Value:
        method = self._METHODS.get(type(node))
        if method is None:
            for kind, candidate in self._METHODS.items():
                if isinstance(node, kind):
                    method = candidate
                    break
        if method is None:
            raise unsupported(type(node).__name__.upper(), f"this expression: {_shown(node)}").at(
                *position_of(node)
            )
        allowed = _READ.get(type(node), ())
        for name, given in node.args.items():
            if given and name not in _ALWAYS_READ and name not in allowed:
                raise unsupported(
                    type(node).__name__.upper(), f"{name.upper()} in {_shown(node)}"
                ).at(*position_of(node))
        try:
            found = method(self, node, scope)
        except SqlError as exc:
            raise exc.at(*position_of(node)) from None
        if node.args.get("negate"):
            return Value(f"(NOT {found.sql})", t.BOOLEAN)
        return found

    def values(self, nodes: list[exp.Expr], scope: Scope) -> list[Value]:
        return [self.value(n, scope) for n in nodes]

    def condition(self, node: exp.Expr, scope: Scope, *, what: str = "") -> str:
        """A truth value; ``what`` names the clause whose error class has a name of its own."""
        value = self.value(node, scope)
        if value.type is not None and value.type.name not in ("boolean", "void"):
            if what:
                raise SqlError(
                    f"DATATYPE_MISMATCH.{what}_NOT_BOOLEAN",
                    f'The condition {_shown(node)} of type "{t.spark_name(value.type)}" is not a '
                    "boolean.",
                )
            if value.type.name != "string":
                raise mismatch(
                    f'The condition {_shown(node)} should be "BOOLEAN" but is '
                    f'"{t.spark_name(value.type)}".'
                )
            value = cast(value, t.BOOLEAN)
        return value.sql

    # literals, names -----------------------------------------------------------------------

    def _literal(self, node: exp.Literal, scope: Scope) -> Value:
        text = str(node.this)
        if node.is_string:
            return string_literal(text)
        if "e" in text.lower():
            return Value(f"CAST({t.text(text)} AS DOUBLE)", t.DOUBLE, (float(text),))
        if "." in text:
            digits = text.replace(".", "").lstrip("0")
            scale = len(text.split(".")[1])
            return Value(
                f"CAST({t.text(text)} AS DECIMAL({max(len(digits), scale, 1)},{scale}))",
                SqlType("decimal", (max(len(digits), scale, 1), scale)),
            )
        number = int(text)
        if number < 1 << 31:
            return Value(text, t.INT, (number,))
        if number < 1 << 63:
            return Value(text, t.BIGINT, (number,))
        kind = SqlType("decimal", (len(str(number)), 0))
        return Value(f"CAST({t.text(text)} AS {t.duck_name(kind)})", kind)

    def _raw(self, node: exp.RawString, scope: Scope) -> Value:
        return string_literal(str(node.this))

    def _hex(self, node: exp.HexString, scope: Scope) -> Value:
        return Value(f"unhex({t.text(str(node.this))})", t.BINARY)

    def _null(self, node: exp.Null, scope: Scope) -> Value:
        return Value("NULL", t.VOID, (None,))

    def _boolean(self, node: exp.Boolean, scope: Scope) -> Value:
        return Value("TRUE" if node.this else "FALSE", t.BOOLEAN, (bool(node.this),))

    def _column(self, node: exp.Column, scope: Scope) -> Value:
        return scope.resolve([p.name for p in node.parts])

    def _identifier(self, node: exp.Identifier, scope: Scope) -> Value:
        return scope.resolve([node.name])

    def _dot(self, node: exp.Dot, scope: Scope) -> Value:
        parts: list[str] = []
        inner: exp.Expr = node
        while isinstance(inner, exp.Dot):
            parts.append(inner.expression.name)
            inner = inner.this
        parts.reverse()
        if isinstance(inner, exp.Column):
            return scope.resolve([p.name for p in inner.parts] + parts)
        return fields(self.value(inner, scope), parts)

    def _placeholder(self, node: exp.Placeholder, scope: Scope) -> Value:
        name = str(node.this or "")
        if not name:
            name = str(self._positional)
            self._positional += 1
        found = self.params.get(name.lower())
        if found is None:
            raise SqlError(
                "UNBOUND_SQL_PARAMETER",
                f"Found the unbound parameter: {name}. Please, fix args and provide a mapping of "
                "the parameter to a SQL literal.",
            )
        return found

    def _paren(self, node: exp.Paren, scope: Scope) -> Value:
        inner = self.value(node.this, scope)
        return Value(f"({inner.sql})", inner.type, inner.const)

    # operators -----------------------------------------------------------------------------

    def _arithmetic(self, node: exp.Binary, scope: Scope) -> Value:
        sign = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}[type(node)]
        return arithmetic(sign, self.value(node.left, scope), self.value(node.right, scope))

    def _divide(self, node: exp.Div, scope: Scope) -> Value:
        return divide(self.value(node.left, scope), self.value(node.right, scope))

    def _modulo(self, node: exp.Mod, scope: Scope) -> Value:
        return modulo(self.value(node.left, scope), self.value(node.right, scope))

    def _int_div(self, node: exp.IntDiv, scope: Scope) -> Value:
        left, right = (number(self.value(n, scope)) for n in (node.left, node.right))
        if left.type is not None and not left.type.integral:
            raise unsupported("DIV", "DIV on anything but integers")
        return Value(f"(CAST({left.sql} AS BIGINT) // {right.sql})", t.BIGINT)

    def _negate(self, node: exp.Neg, scope: Scope) -> Value:
        if isinstance(node.this, exp.Literal) and not node.this.is_string:
            inner = self._literal(node.this, scope)
            if node.this.name in ("2147483648", "9223372036854775808"):
                smallest = t.INT if len(node.this.name) == 10 else t.BIGINT
                return Value(
                    f"CAST('-{node.this.name}' AS {t.duck_name(smallest)})",
                    smallest,
                    (-int(node.this.name),),
                )
            const = (-inner.const[0],) if inner.const else None
            return Value(f"-{inner.sql}", inner.type, const)
        inner = number(self.value(node.this, scope), interval=True)
        if inner.type is not None and inner.type.integral:  # so that overflow is an error
            return Value(f"(CAST(0 AS {t.duck_name(inner.type)}) - {inner.sql})", inner.type)
        return Value(f"(-{inner.sql})", inner.type)

    def _bitwise(self, node: exp.Binary, scope: Scope) -> Value:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        kind = t.common(number(left).type, number(right).type)
        if kind is None or not kind.integral:
            raise mismatch(f"Bitwise operators need integers: {_shown(node)}.")
        left, right = implicit(left, kind), implicit(right, kind)
        if isinstance(node, exp.BitwiseXor):
            return Value(f"xor({widened(left, kind)}, {widened(right, kind)})", kind)
        sign = "&" if isinstance(node, exp.BitwiseAnd) else "|"
        return Value(f"({widened(left, kind)} {sign} {widened(right, kind)})", kind)

    def _bitwise_not(self, node: exp.BitwiseNot, scope: Scope) -> Value:
        inner = self.value(node.this, scope)
        return Value(f"(~{inner.sql})", inner.type)

    def _shift(self, node: exp.Binary, scope: Scope) -> Value:
        name = "shiftleft" if isinstance(node, exp.BitwiseLeftShift) else "shiftright"
        return self.call(
            self, name, exp.Anonymous(this=name, expressions=[node.left, node.right]), scope
        )

    def _compare(self, node: exp.Binary, scope: Scope) -> Value:
        sign = self._SIGNS[type(node)]
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if isinstance(right.type, SqlType) and right.type.name == "map":
            raise mismatch("Maps cannot be compared.")
        (left, right), kind = unify([left, right])
        if kind is not None and kind.nested and sign in ("<", "<=", ">", ">="):
            # A NULL field is smallest in Spark and greatest in DuckDB: compare keys instead.
            return Value(f"({key_or_null(left)} {sign} {key_or_null(right)})", t.BOOLEAN)
        return Value(f"({left.sql} {sign} {right.sql})", t.BOOLEAN)

    def _logical(self, node: exp.Connector, scope: Scope) -> Value:
        word = "AND" if isinstance(node, exp.And) else "OR"
        parts = [self.condition(p, scope) for p in node.flatten()]
        return Value("(" + f" {word} ".join(parts) + ")", t.BOOLEAN)

    def _not(self, node: exp.Not, scope: Scope) -> Value:
        return Value(f"(NOT {self.condition(node.this, scope)})", t.BOOLEAN)

    def _is(self, node: exp.Is, scope: Scope) -> Value:
        right = node.expression
        word = "NULL" if isinstance(right, exp.Null) else str(right.sql()).upper()
        if word not in ("NULL", "TRUE", "FALSE"):
            raise unsupported("IS", f"IS {word}")
        return Value(f"({self.value(node.this, scope).sql} IS {word})", t.BOOLEAN)

    def _between(self, node: exp.Between, scope: Scope) -> Value:
        values = self.values([node.this, node.args["low"], node.args["high"]], scope)
        (x, low, high), _ = unify(values)
        return Value(f"({x.sql} BETWEEN {low.sql} AND {high.sql})", t.BOOLEAN)

    def _in(self, node: exp.In, scope: Scope) -> Value:
        query = node.args.get("query")
        if query is not None:
            left = (
                "(" + ", ".join(v.sql for v in self.values(node.this.expressions, scope)) + ")"
                if isinstance(node.this, exp.Tuple)
                else self.value(node.this, scope).sql
            )
            inner, _ = self.query(query, scope.inner())
            return Value(f"({left} IN ({inner}))", t.BOOLEAN)
        if isinstance(node.this, exp.Tuple):
            left = "(" + ", ".join(v.sql for v in self.values(node.this.expressions, scope)) + ")"
            rows = [
                "(" + ", ".join(v.sql for v in self.values(e.expressions, scope)) + ")"
                for e in node.expressions
            ]
            return Value(f"({left} IN ({', '.join(rows)}))", t.BOOLEAN)
        values, _ = unify(self.values([node.this, *node.expressions], scope))
        listed = ", ".join(v.sql for v in values[1:])
        return Value(f"({values[0].sql} IN ({listed}))", t.BOOLEAN)

    def _exists(self, node: exp.Exists, scope: Scope) -> Value:
        inner, _ = self.query(node.this, scope.inner())
        return Value(f"EXISTS ({inner})", t.BOOLEAN)

    def _subquery(self, node: exp.Expr, scope: Scope) -> Value:
        inner, columns = self.query(node, scope.inner())
        if len(columns) != 1:
            raise SqlError(
                "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN",
                f"Invalid subquery: it must return one column but returns {len(columns)}.",
                sqlstate="42823",
            )
        return Value(f"({inner})", columns[0].type)

    def _like(self, node: exp.Expr, scope: Scope) -> Value:
        escape = "\\"
        if isinstance(node, exp.Escape):
            given = self.value(node.expression, scope)
            escape = str(given.const[0]) if given.const else "\\"
            node = node.this
        word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
        left = implicit(self.value(node.this, scope), t.STRING)
        if isinstance(node.expression, (exp.Any, exp.All, exp.Tuple)):
            raise unsupported("LIKE_ANY", "LIKE ANY and LIKE ALL")
        right = implicit(self.value(node.expression, scope), t.STRING)
        return Value(f"({left.sql} {word} {right.sql} ESCAPE {t.text(escape)})", t.BOOLEAN)

    def _rlike(self, node: exp.Expr, scope: Scope) -> Value:
        call = exp.Anonymous(this="regexp_like", expressions=[node.this, node.expression])
        return self.call(self, "regexp_like", call, scope)

    def _concat(self, node: exp.Expr, scope: Scope) -> Value:
        parts = list(node.flatten()) if isinstance(node, exp.DPipe) else node.expressions
        call = exp.Anonymous(this="concat", expressions=list(parts))
        return self.call(self, "concat", call, scope)

    # forms ---------------------------------------------------------------------------------

    def _case(self, node: exp.Case, scope: Scope) -> Value:
        subject = node.this
        whens: list[str] = []
        for branch in node.args["ifs"]:
            if subject is not None:
                test = self._compare(exp.EQ(this=subject, expression=branch.this), scope).sql
            else:
                test = self.condition(branch.this, scope)
            whens.append(test)
        results = [branch.args["true"] for branch in node.args["ifs"]]
        default = node.args.get("default")
        values, kind = unify(self.values([*results, default or exp.Null()], scope))
        body = " ".join(f"WHEN {w} THEN {v.sql}" for w, v in zip(whens, values[:-1], strict=True))
        return Value(f"CASE {body} ELSE {values[-1].sql} END", kind)

    def _if(self, node: exp.If, scope: Scope) -> Value:
        values, kind = unify(
            self.values([node.args["true"], node.args.get("false") or exp.Null()], scope)
        )
        test = self.condition(node.this, scope)
        return Value(f"CASE WHEN {test} THEN {values[0].sql} ELSE {values[1].sql} END", kind)

    def _cast(self, node: exp.Cast, scope: Scope) -> Value:
        to = t.from_ast(node.args["to"])
        if to is None:
            raise unsupported("DATATYPE", f"the type {node.args['to'].sql('databricks')}")
        inner = cast(self.value(node.this, scope), to)
        return Value(f"TRY({inner.sql})", to) if isinstance(node, exp.TryCast) else inner

    def _bracket(self, node: exp.Bracket, scope: Scope) -> Value:
        base = self.value(node.this, scope)
        key = self.value(node.expressions[0], scope)
        if base.type is None:
            raise unsupported("UNTYPED_EXPRESSION", "an index into a value of unknown type")
        if base.type.name == "map":
            return Value(f"({base.sql})[{implicit(key, base.type.args[0]).sql}]", base.type.args[1])
        if base.type.name == "array":
            place = implicit(key, t.INT).sql
            sql = once([base.sql, place], lambda x: f"spark_item({x[0]}, {x[1]})")
            return Value(sql, base.type.args[0])
        if base.type.name == "struct" and key.const:
            return fields(base, [str(key.const[0])])
        raise mismatch(f"[] needs an array or a map: {_shown(node)}.")

    def _interval(self, node: exp.Interval, scope: Scope) -> Value:
        unit = node.args.get("unit")
        if unit is None or not isinstance(unit, exp.Var):
            raise unsupported("INTERVAL", f"this interval literal: {_shown(node)}")
        name = unit.name.upper().rstrip("S")
        if name not in ("YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"):
            raise unsupported("INTERVAL", f"intervals in units of {name}")
        count = self.value(node.this, scope)
        kind = t.INTERVAL_YM if name in ("YEAR", "MONTH") else t.INTERVAL_DT
        if count.type == t.STRING:
            count = cast(count, t.DOUBLE if name == "SECOND" else t.INT)
        return Value(f"to_{name.lower()}s({count.sql})", kind)

    def _extract(self, node: exp.Extract, scope: Scope) -> Value:
        name = node.name.lower()
        call = exp.Anonymous(this=name, expressions=[node.expression])
        return self.call(self, name, call, scope)

    def _trim(self, node: exp.Trim, scope: Scope) -> Value:
        name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position")), "trim")
        text = implicit(self.value(node.this, scope), t.STRING)
        chars = node.expression
        if chars is None:
            return Value(f"{name}({text.sql}, ' ')", t.STRING)
        return Value(
            f"{name}({text.sql}, {implicit(self.value(chars, scope), t.STRING).sql})", t.STRING
        )

    def _substring(self, node: exp.Substring, scope: Scope) -> Value:
        args = [node.this, node.args.get("start"), node.args.get("length")]
        call = exp.Anonymous(this="substring", expressions=[a for a in args if a is not None])
        return self.call(self, "substring", call, scope)

    def _position(self, node: exp.StrPosition, scope: Scope) -> Value:
        args = [node.args["substr"], node.this, node.args.get("position")]
        call = exp.Anonymous(this="locate", expressions=[a for a in args if a is not None])
        return self.call(self, "locate", call, scope)

    def _anonymous(self, node: exp.Anonymous, scope: Scope) -> Value:
        return self.call(self, str(node.this).lower(), node, scope)

    def _keyword_call(self, node: exp.Expr, scope: Scope) -> Value:
        name = self._KEYWORDS[type(node)]
        args = [a for a in (node.args.get("this"), node.args.get("expression")) if a is not None]
        return self.call(self, name, exp.Anonymous(this=name, expressions=args), scope)

    def _wrapped_aggregate(self, node: exp.Expr, scope: Scope) -> Value:
        return self.call(self, "", node, scope)

    def _tuple(self, node: exp.Tuple, scope: Scope) -> Value:
        call = exp.Anonymous(this="struct", expressions=list(node.expressions))
        return self.call(self, "struct", call, scope)

    def _alias(self, node: exp.Alias, scope: Scope) -> Value:
        return self.value(node.this, scope)

    _SIGNS: ClassVar[dict[type, str]] = {
        exp.EQ: "=",
        exp.NEQ: "<>",
        exp.LT: "<",
        exp.LTE: "<=",
        exp.GT: ">",
        exp.GTE: ">=",
        exp.NullSafeEQ: "IS NOT DISTINCT FROM",
        exp.NullSafeNEQ: "IS DISTINCT FROM",
    }
    _KEYWORDS: ClassVar[dict[type, str]] = {
        exp.CurrentDate: "current_date",
        exp.CurrentTimestamp: "current_timestamp",
        exp.CurrentUser: "current_user",
        exp.SessionUser: "session_user",
        exp.Transform: "transform",
        exp.Any: "any",
        exp.CurrentCatalog: "current_catalog",
    }
    _METHODS: ClassVar[dict[type, Callable[[Any, Any, Scope], Value]]] = {
        exp.Literal: _literal,
        exp.RawString: _raw,
        exp.HexString: _hex,
        exp.Null: _null,
        exp.Boolean: _boolean,
        exp.Column: _column,
        exp.Identifier: _identifier,
        exp.Dot: _dot,
        exp.Placeholder: _placeholder,
        exp.Paren: _paren,
        exp.Add: _arithmetic,
        exp.Sub: _arithmetic,
        exp.Mul: _arithmetic,
        exp.Div: _divide,
        exp.Mod: _modulo,
        exp.IntDiv: _int_div,
        exp.Neg: _negate,
        exp.BitwiseAnd: _bitwise,
        exp.BitwiseOr: _bitwise,
        exp.BitwiseXor: _bitwise,
        exp.BitwiseNot: _bitwise_not,
        exp.BitwiseLeftShift: _shift,
        exp.BitwiseRightShift: _shift,
        **dict.fromkeys(_SIGNS, _compare),
        exp.And: _logical,
        exp.Or: _logical,
        exp.Not: _not,
        exp.Is: _is,
        exp.Between: _between,
        exp.In: _in,
        exp.Exists: _exists,
        exp.Subquery: _subquery,
        exp.Select: _subquery,
        exp.Like: _like,
        exp.ILike: _like,
        exp.Escape: _like,
        exp.RegexpLike: _rlike,
        exp.DPipe: _concat,
        exp.Concat: _concat,
        exp.Case: _case,
        exp.If: _if,
        exp.Cast: _cast,
        exp.TryCast: _cast,
        exp.Bracket: _bracket,
        exp.Interval: _interval,
        exp.Extract: _extract,
        exp.Trim: _trim,
        exp.Substring: _substring,
        exp.StrPosition: _position,
        exp.Anonymous: _anonymous,
        exp.Window: _wrapped_aggregate,
        exp.Filter: _wrapped_aggregate,
        exp.IgnoreNulls: _wrapped_aggregate,
        exp.RespectNulls: _wrapped_aggregate,
        exp.WithinGroup: _wrapped_aggregate,
        exp.Tuple: _tuple,
        exp.Alias: _alias,
        **dict.fromkeys(_KEYWORDS, _keyword_call),
    }


# Which parts of a node are read, beside the usual ones: a part nobody reads would be lost, so a
# node that has one is refused.
_ALWAYS_READ = ("this", "expression", "expressions", "negate", "alias")
_READ: dict[type, tuple[str, ...]] = {
    exp.Literal: ("is_string",),
    exp.Column: ("table", "db", "catalog"),
    exp.Identifier: ("quoted",),
    exp.Case: ("ifs", "default"),
    exp.If: ("true", "false"),
    exp.Between: ("low", "high"),
    exp.In: ("query",),
    exp.Cast: ("to", "safe"),
    exp.TryCast: ("to", "safe"),
    exp.Bracket: ("offset", "safe"),
    exp.Interval: ("unit",),
    exp.Trim: ("position",),
    exp.Substring: ("start", "length"),
    exp.StrPosition: ("substr", "position"),
    exp.Window: ("partition_by", "order", "spec", "over"),
    exp.DPipe: ("safe",),
    exp.Concat: ("safe", "coalesce"),
    exp.Div: ("typed", "safe"),
    exp.Select: ("with_", "hint", "distinct", "from_", "joins", "laterals", "where", "group",
                 "having", "qualify", "windows", "order", "limit", "offset", "sort", "cluster",
                 "distribute"),
    exp.Subquery: ("with_", "order", "limit", "offset"),
}  # fmt: skip


def _shown(node: exp.Expr) -> str:
    return '"' + str(node.sql(dialect="databricks"))[:120] + '"'
