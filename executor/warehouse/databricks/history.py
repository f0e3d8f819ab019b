"""DESCRIBE HISTORY and DESCRIBE DETAIL, read by column name.

Each commit of a Delta table has one entry. `queryHistoryStatementId` (not documented, seen in live
results) is the id of the statement that made it: the one proof that a statement has committed.
Where the column is missing there is no proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from executor.core.facts import TableSize
from executor.warehouse.databricks.results import Row, string_map, whole_number
from executor.workflow.names import sql_name
from protocol.events import RowCounts

DEPTH = 20
"""How many entries to read when looking for a statement's commit."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One commit of a table. `timestamp` is text as the warehouse gave it."""

    version: int | None
    timestamp: str | None
    operation: str | None
    statement_id: str | None
    """Id of the statement that committed, if the warehouse says so."""
    metrics: Mapping[str, str]


def history_query(table: str, limit: int = DEPTH) -> str:
    return f"DESCRIBE HISTORY {sql_name(table)} LIMIT {limit}"


def entry(row: Row) -> HistoryEntry:
    return HistoryEntry(
        version=whole_number(row.get("version")),
        timestamp=_text(row.get("timestamp")),
        operation=_text(row.get("operation")),
        statement_id=_text(row.get("queryhistorystatementid")),
        metrics=string_map(row.get("operationmetrics")),
    )


def detail_query(table: str) -> str:
    return f"DESCRIBE DETAIL {sql_name(table)}"


def table_size(row: Row) -> TableSize:
    """A table as DESCRIBE DETAIL knows it."""
    return TableSize(
        format=_text(row.get("format")),
        files=whole_number(row.get("numfiles")),
        bytes=whole_number(row.get("sizeinbytes")),
    )


def commit_of(entries: Iterable[HistoryEntry], query_id: str | None) -> HistoryEntry | None:
    """The entry that the statement with this id made, if it is among `entries`."""
    if not query_id:
        return None
    wanted = _plain(query_id)
    for found in entries:
        if found.statement_id is not None and _plain(found.statement_id) == wanted:
            return found
    return None


def rows_committed(found: HistoryEntry) -> RowCounts | None:
    """Rows a commit wrote, by its metrics; `None` if they do not say."""
    inserted = whole_number(found.metrics.get("numTargetRowsInserted"))
    updated = whole_number(
        found.metrics.get("numTargetRowsUpdated", found.metrics.get("numUpdatedRows"))
    )
    deleted = whole_number(
        found.metrics.get("numTargetRowsDeleted", found.metrics.get("numDeletedRows"))
    )
    parts = [part for part in (inserted, updated, deleted) if part is not None]
    if parts:
        # numOutputRows of these operations counts rows copied along with the changed ones
        return RowCounts(
            total=sum(parts), inserted=inserted, updated=updated, deleted=deleted, source="history"
        )
    written = whole_number(found.metrics.get("numOutputRows"))
    if written is None:
        return None
    return RowCounts(total=written, inserted=written, source="history")


def _plain(statement_id: str) -> str:
    return statement_id.replace("-", "").lower()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
