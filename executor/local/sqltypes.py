"""Data types: one value for what Spark, DuckDB and Thrift each spell in their own way.

``SqlType("decimal", (10, 2))``, ``SqlType("array", (INT,))``, ``SqlType("map", (STRING, INT))``,
``SqlType("struct", (("a", INT), ("b", STRING)))``. Names are Spark's in lower case. Spark's
``TIMESTAMP`` is an instant and maps to DuckDB's ``TIMESTAMPTZ`` (every session is in UTC);
``TIMESTAMP_NTZ`` maps to DuckDB's plain ``TIMESTAMP``.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sqlglot import exp


class SqlType(NamedTuple):
    name: str
    args: tuple[Any, ...] = ()

    @property
    def integral(self) -> bool:
        return self.name in INTEGRAL

    @property
    def numeric(self) -> bool:
        return self.name in INTEGRAL or self.name in ("decimal", "float", "double")

    @property
    def fractional(self) -> bool:
        return self.name in ("float", "double")

    @property
    def nested(self) -> bool:
        return self.name in ("array", "map", "struct")

    @property
    def interval(self) -> bool:
        return self.name.startswith("interval")


INTEGRAL = ("tinyint", "smallint", "int", "bigint")
VOID = SqlType("void")
BOOLEAN = SqlType("boolean")
TINYINT, SMALLINT, INT, BIGINT = (SqlType(n) for n in INTEGRAL)
FLOAT, DOUBLE = SqlType("float"), SqlType("double")
STRING, BINARY = SqlType("string"), SqlType("binary")
DATE, TIMESTAMP, TIMESTAMP_NTZ = SqlType("date"), SqlType("timestamp"), SqlType("timestamp_ntz")
INTERVAL_DT, INTERVAL_YM = SqlType("interval day"), SqlType("interval month")
# Spark's precision of an integer when it meets a decimal.
DECIMAL_OF = {"tinyint": (3, 0), "smallint": (5, 0), "int": (10, 0), "bigint": (20, 0)}

_DUCK = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
    "interval day": "INTERVAL",
    "interval month": "INTERVAL",
    "void": "INTEGER",
}
_FROM_DUCK = {v: SqlType(k) for k, v in _DUCK.items() if k not in ("void", "interval month")} | {
    "TIMESTAMP WITH TIME ZONE": TIMESTAMP,
    "INTEGER_LITERAL": INT,
    "STRING_LITERAL": STRING,
    "JSON": STRING,
    '"NULL"': VOID,
    "NULL": VOID,
    "UBIGINT": SqlType("decimal", (20, 0)),
    "HUGEINT": SqlType("decimal", (38, 0)),
}


def array(item: SqlType) -> SqlType:
    return SqlType("array", (item,))


def decimal(precision: int, scale: int) -> SqlType:
    """A decimal clamped the way Spark does: integral digits before scale, at least six decimals."""
    if precision <= 38:
        return SqlType("decimal", (precision, scale))
    digits = precision - scale
    return SqlType("decimal", (38, max(38 - digits, min(scale, 6))))


def duck_name(kind: SqlType) -> str:
    """The type as DuckDB spells it."""
    if kind.name == "decimal":
        return f"DECIMAL({kind.args[0]},{kind.args[1]})"
    if kind.name == "array":
        return duck_name(kind.args[0]) + "[]"
    if kind.name == "map":
        return f"MAP({duck_name(kind.args[0])}, {duck_name(kind.args[1])})"
    if kind.name == "struct":
        inner = ", ".join(f"{quote(n)} {duck_name(t)}" for n, t in kind.args)
        return f"STRUCT({inner})"
    return _DUCK[kind.name]


def spark_name(kind: SqlType) -> str:
    """The type as messages and DESCRIBE show it, in upper case."""
    if kind.name == "decimal":
        return f"DECIMAL({kind.args[0]},{kind.args[1]})"
    if kind.name == "array":
        return f"ARRAY<{spark_name(kind.args[0])}>"
    if kind.name == "map":
        return f"MAP<{spark_name(kind.args[0])}, {spark_name(kind.args[1])}>"
    if kind.name == "struct":
        return "STRUCT<" + ", ".join(f"{n}: {spark_name(t)}" for n, t in kind.args) + ">"
    if kind.name == "interval day":
        return "INTERVAL DAY TO SECOND"
    if kind.name == "interval month":
        return "INTERVAL YEAR TO MONTH"
    return kind.name.upper()


def quote(name: str) -> str:
    """An identifier as DuckDB reads it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal as DuckDB reads it."""
    return "'" + value.replace("'", "''") + "'"


_TOKEN = re.compile(r'"(?:[^"]|"")*"|[A-Za-z_][A-Za-z_0-9]*|\d+|[(),\[\]]|\s+')


def from_duck(name: str) -> SqlType:
    """Read a type as DuckDB prints it. Raises ValueError for one that has no Spark counterpart."""
    tokens = [t for t in _TOKEN.findall(name) if not t.isspace()]
    kind, rest = _read(tokens)
    if rest:
        raise ValueError(name)
    return kind


def _read(tokens: list[str]) -> tuple[SqlType, list[str]]:
    head, rest = tokens[0].upper(), tokens[1:]
    kind: SqlType
    if head in ("DECIMAL", "NUMERIC"):
        if rest[:1] == ["("]:
            kind, rest = SqlType("decimal", (int(rest[1]), int(rest[3]))), rest[5:]
        else:
            kind = SqlType("decimal", (18, 3))
    elif head == "MAP":
        key, rest = _read(rest[1:])
        value, rest = _read(rest[1:])
        kind, rest = SqlType("map", (key, value)), rest[1:]
    elif head in ("STRUCT", "TUPLE"):
        fields: list[tuple[str, SqlType]] = []
        rest = rest[1:]
        while True:
            if head == "STRUCT":
                label, rest = rest[0], rest[1:]
                if label.startswith('"'):
                    label = label[1:-1].replace('""', '"')
            else:
                label = f"col{len(fields) + 1}"
            inner, rest = _read(rest)
            fields.append((label, inner))
            closing, rest = rest[0], rest[1:]
            if closing == ")":
                break
        kind = SqlType("struct", tuple(fields))
    else:
        if head == "TIMESTAMP" and [t.upper() for t in rest[:3]] == ["WITH", "TIME", "ZONE"]:
            head, rest = "TIMESTAMPTZ", rest[3:]
        found = _FROM_DUCK.get(head)
        if found is None:
            raise ValueError(head)
        kind = found
    while rest[:1] == ["["]:
        kind = array(kind)
        rest = rest[rest.index("]") + 1 :]
    return kind, rest


_FROM_AST = {
    "BOOLEAN": BOOLEAN,
    "TINYINT": TINYINT,
    "SMALLINT": SMALLINT,
    "INT": INT,
    "BIGINT": BIGINT,
    "FLOAT": FLOAT,
    "DOUBLE": DOUBLE,
    "TEXT": STRING,
    "VARCHAR": STRING,
    "CHAR": STRING,
    "BINARY": BINARY,
    "VARBINARY": BINARY,
    "DATE": DATE,
    "TIMESTAMP": TIMESTAMP,
    "TIMESTAMPTZ": TIMESTAMP,
    "TIMESTAMPLTZ": TIMESTAMP,
    "TIMESTAMPNTZ": TIMESTAMP_NTZ,
    "NULL": VOID,
    "VOID": VOID,
}


def from_ast(node: exp.Expr) -> SqlType | None:
    """Read a type from the syntax tree of a Databricks statement; None for one we lack."""
    if not isinstance(node, exp.DataType):
        return None
    name = getattr(node.this, "value", str(node.this)).upper()
    inner = node.expressions
    if name == "DECIMAL":
        numbers = [int(p.name) for p in inner]
        return SqlType("decimal", (numbers[0] if numbers else 10, [*numbers, 0, 0][1]))
    if name == "ARRAY":
        item = from_ast(inner[0]) if inner else None
        return array(item) if item else None
    if name == "MAP":
        parts = [from_ast(i) for i in inner]
        return SqlType("map", tuple(parts)) if len(parts) == 2 and all(parts) else None
    if name == "STRUCT":
        fields = [(f.name, from_ast(f.args["kind"])) for f in inner if f.args.get("kind")]
        if len(fields) != len(inner) or not all(t for _, t in fields):
            return None
        return SqlType("struct", tuple(fields))
    if name == "INTERVAL" or isinstance(node.this, exp.Interval):
        unit = node.sql(dialect="databricks").upper()
        return INTERVAL_YM if "MONTH" in unit or "YEAR" in unit else INTERVAL_DT
    return _FROM_AST.get(name)


def as_decimal(kind: SqlType) -> tuple[int, int] | None:
    if kind.name == "decimal":
        return int(kind.args[0]), int(kind.args[1])
    return DECIMAL_OF.get(kind.name)


def _same_names(left: SqlType, right: SqlType) -> bool:
    names = [[n.lower() for n, _ in kind.args] for kind in (left, right)]
    return names[0] == names[1]


def common(left: SqlType | None, right: SqlType | None) -> SqlType | None:
    """The type Spark (ANSI) gives to both sides of CASE, COALESCE, UNION, IN; None if unknown.

    Raises SqlError nowhere: two types without a common one give None and the engine below
    decides, which refuses them too.
    """
    if left is None or right is None:
        return None
    if left == right or right.name == "void":
        return left
    if left.name == "void":
        return right
    if left.numeric and right.numeric:
        if left.integral and right.integral:
            return max(left, right, key=lambda t: INTEGRAL.index(t.name))
        if left.fractional or right.fractional:
            both_float = {left.name, right.name} <= {"float", "tinyint", "smallint"}
            return FLOAT if both_float else DOUBLE
        a, b = as_decimal(left), as_decimal(right)
        assert a is not None
        assert b is not None
        scale = max(a[1], b[1])
        return decimal(max(a[0] - a[1], b[0] - b[1]) + scale, scale)
    for one, other in ((left, right), (right, left)):
        if one.name == "string":
            if other.integral:
                return BIGINT
            if other.numeric:
                return DOUBLE
            if other.name in ("date", "timestamp", "timestamp_ntz", "boolean", "binary"):
                return other
        if one.name == "date" and other.name in ("timestamp", "timestamp_ntz"):
            return other
        if one.name == "timestamp_ntz" and other.name == "timestamp":
            return other
    if left.name == right.name == "array":
        item = common(left.args[0], right.args[0])
        return array(item) if item else None
    if left.name == right.name == "map":
        parts = [common(a, b) for a, b in zip(left.args, right.args, strict=True)]
        return SqlType("map", tuple(parts)) if all(parts) else None
    if left.name == right.name == "struct" and _same_names(left, right):
        fields = [(n, common(a, b)) for (n, a), (_, b) in zip(left.args, right.args, strict=True)]
        return SqlType("struct", tuple(fields)) if all(t for _, t in fields) else None
    return None
