"""Native statement parameters: ``:name`` and ``?``, each with its type, as typed SQL."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.errors import SqlError
from executor.local.values import Value, cast, string_literal


def bind(parameters: list[Any] | None) -> dict[str, Value]:
    """Thrift parameters by name (lower case) or by ordinal, from "0"."""
    out: dict[str, Value] = {}
    place = 0
    for parameter in parameters or []:
        if parameter.name:
            key = parameter.name.lower()
        else:
            key, place = str(place), place + 1
        out[key] = _value(parameter)
    return out


def _value(parameter: Any) -> Value:
    name = (parameter.type or "STRING").upper()
    if parameter.arguments is not None:
        return _nested(name, parameter.arguments)
    raw = parameter.value
    text = None if raw is None else raw.stringValue
    if text is None and raw is not None:
        found = raw.doubleValue if raw.doubleValue is not None else raw.booleanValue
        text = None if found is None else str(found)
    return _scalar(name, text)


def _scalar(name: str, text: str | None) -> Value:
    if name == "VOID" or text is None:
        return Value("NULL", t.VOID, (None,))
    kind = t.from_ast(exp.DataType.build(name, dialect="databricks"))
    if kind is None:
        raise SqlError("INVALID_PARAMETER_VALUE", f"A parameter of type {name} cannot be used.")
    value = string_literal(text)
    if kind == t.STRING:
        return value
    typed = cast(value, kind)
    const = (int(text),) if kind.integral and text.lstrip("+-").isdigit() else None
    return Value(typed.sql, typed.type, const)


def _nested(name: str, arguments: list[Any]) -> Value:
    items = [
        _scalar(a.type.upper(), a.value)
        if a.arguments is None
        else _nested(a.type.upper(), a.arguments)
        for a in arguments
    ]  # fmt: skip
    if name.startswith("ARRAY"):
        kind = items[0].type if items else t.VOID
        return Value(f"[{', '.join(v.sql for v in items)}]", t.array(kind or t.VOID))
    if name.startswith("MAP"):
        pairs = ", ".join(f"{k.sql}: {v.sql}" for k, v in zip(items[::2], items[1::2], strict=True))
        kinds = (items[0].type or t.VOID, items[1].type or t.VOID) if items else (t.VOID, t.VOID)
        return Value(f"MAP {{{pairs}}}", t.SqlType("map", kinds))
    raise SqlError("INVALID_PARAMETER_VALUE", f"A parameter of type {name} cannot be used.")
