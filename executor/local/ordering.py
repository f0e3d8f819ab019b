"""Ordering nested values as Spark does.

Spark compares structs field by field and arrays item by item, and a NULL inside is smaller than
any value. DuckDB orders the same way but takes a NULL inside for greatest, so whatever orders
nested values here (MIN, MAX, <, ORDER BY, sort_array) compares keys made by ``sort_key``.
"""

from __future__ import annotations

from executor.local import sqltypes as t
from executor.local.errors import unsupported
from executor.local.values import Value, fresh, once


def sort_key(v: Value) -> str:
    """A BLOB that orders as Spark orders ``v``: field by field, NULL smallest. For v not NULL."""
    return once([v.sql], lambda names: _key(Value(names[0], v.type)))


def key_or_null(v: Value) -> str:
    """``sort_key``, NULL where ``v`` is."""
    return once(
        [v.sql],
        lambda names: f"CASE WHEN {names[0]} IS NOT NULL THEN {_key(Value(names[0], v.type))} END",
    )


def _key(v: Value) -> str:
    return f"create_sort_key({', '.join(_key_parts(v))}, '', 'ASC NULLS FIRST')"


def _key_parts(v: Value) -> list[str]:
    kind = v.type
    if kind is None or kind.name == "map":
        raise unsupported("COMPARISON_OF_MAPS", "ordering by a map or a value of unknown type")
    if kind.name == "struct":
        parts = []
        for name, inner in kind.args:
            item = Value(f"({v.sql}).{t.quote(name)}", inner)
            if inner.nested:
                item = Value(
                    f"CASE WHEN {item.sql} IS NOT NULL THEN {sort_key(item)} END", t.BINARY
                )
            parts.append(f"{item.sql}, 'ASC NULLS FIRST'")
        return parts
    if kind.name == "array":
        one = fresh("k", v.sql)
        item = Value(one, kind.args[0])
        if item.type is not None and item.type.nested:
            item = Value(f"CASE WHEN {one} IS NOT NULL THEN {sort_key(item)} END", t.BINARY)
        # No key of an element is NULL, so the list's own key has no NULL to place.
        return [f"list_transform({v.sql}, lambda {one}: {sort_key(item)}), 'ASC NULLS FIRST'"]
    return [f"{v.sql}, 'ASC NULLS FIRST'"]
