"""Reading the one row a statement returns: row counts, a number, OPTIMIZE's metrics.

Columns are read by name, never by position: which columns there are depends on the statement and
on the runtime's version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from protocol.events import OptimizeMetrics, RowCounts, RowSource, StatementKind

DML: frozenset[StatementKind] = frozenset(
    {"insert", "insert_overwrite", "merge", "update", "delete", "copy_into"}
)
"""Kinds that return their row counts."""

AS_SELECT: frozenset[StatementKind] = frozenset({"create_as", "replace_as"})
"""Kinds that write rows but return no count; the table's history has it."""

UNKNOWN_ROWS = RowCounts()

Row = Mapping[str, Any]
"""Values of one row by column name, lower case."""


def row_counts(row: Row, kind: StatementKind, *, source: RowSource = "result") -> RowCounts | None:
    """Row counts in the row that DML returns; `None` if it names none."""
    total = whole_number(row.get("num_affected_rows"))
    inserted = whole_number(row.get("num_inserted_rows"))
    updated = whole_number(row.get("num_updated_rows"))
    deleted = whole_number(row.get("num_deleted_rows"))
    if kind == "update" and updated is None:
        updated = total
    if kind == "delete" and deleted is None:
        deleted = total
    parts = [part for part in (inserted, updated, deleted) if part is not None]
    if total is None:
        if not parts:
            return None
        total = sum(parts)
    return RowCounts(
        total=total, inserted=inserted, updated=updated, deleted=deleted, source=source
    )


def counted_by_driver(total: int, kind: StatementKind) -> RowCounts:
    """Row counts where only a total is known, from the protocol's own field."""
    return RowCounts(
        total=total,
        inserted=total if kind in ("insert", "insert_overwrite", "copy_into") else None,
        updated=total if kind == "update" else None,
        deleted=total if kind == "delete" else None,
        source="driver",
    )


def optimize_metrics(row: Row) -> OptimizeMetrics | None:
    """What OPTIMIZE reports in its column `metrics`: a struct, as a dict, pairs or JSON."""
    metrics = _struct(row.get("metrics"))
    if metrics is None:
        return None
    added, removed = _struct(metrics.get("filesAdded")), _struct(metrics.get("filesRemoved"))
    return OptimizeMetrics(
        files_added=whole_number(metrics.get("numFilesAdded")),
        files_removed=whole_number(metrics.get("numFilesRemoved")),
        bytes_added=whole_number((added or {}).get("totalSize")),
        bytes_removed=whole_number((removed or {}).get("totalSize")),
    )


def whole_number(value: Any) -> int | None:
    """`value` as an integer if it is one, whatever type carries it; otherwise `None`."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        text = value.strip()
        digits = text[1:] if text[:1] == "-" else text
        return int(text) if digits.isascii() and digits.isdigit() else None
    try:
        return int(value.__index__())  # numpy's integers
    except AttributeError:
        return None


def _struct(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list) and all(isinstance(p, tuple) and len(p) == 2 for p in value):
        return dict(value)
    return None


def string_map(value: Any) -> Mapping[str, str]:
    """A MAP<STRING, STRING> column: pairs, a dict or JSON; empty if it is none of them."""
    return {str(key): str(item) for key, item in (_struct(value) or {}).items()}
