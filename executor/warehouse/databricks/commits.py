"""Has a write committed? What the history of its target proves, and what it does not.

Proof that it has: an entry with its statement id. Proof that it has not: it cannot be running any
more, and there is no version newer than before it. A RENAME leaves no entry of its own, but its
two names tell: it is atomic, so exactly one of them exists. Everything else is unknown.
"""

from __future__ import annotations

from collections.abc import Callable

from executor.warehouse.databricks.history import DEPTH, HistoryEntry, commit_of
from executor.warehouse.port import StatementError, Write
from protocol.events import Outcome

NO_TABLE = -1
_MISSING = ("TABLE_OR_VIEW_NOT_FOUND", "DELTA_TABLE_NOT_FOUND", "DELTA_MISSING_DELTA_TABLE")

History = Callable[[str, int], list[HistoryEntry]]
"""The newest entries of a table's history, newest first. Raises `StatementError`."""


def newest_version(history: History, table: str) -> int | None:
    """The newest version of a table; `NO_TABLE` if there is none, `None` if nobody can tell."""
    try:
        entries = history(table, 1)
    except StatementError as exc:
        return NO_TABLE if exc.facts.error_class in _MISSING else None
    return entries[0].version if entries else None


def outcome_of(history: History, write: Write) -> tuple[Outcome, str]:
    """Whether a write has committed, and the evidence."""
    if write.kind == "rename":
        return _outcome_of_rename(history, write)
    try:
        entries = history(write.target, DEPTH)
    except StatementError as exc:
        if exc.facts.error_class in _MISSING and write.version == NO_TABLE and write.ended:
            return "not_committed", f"{write.target} still does not exist"
        return "unknown", f"the history of {write.target} cannot be read: {exc.facts.message}"
    found = commit_of(entries, write.query_id)
    if found is not None:
        return "committed", f"version {found.version} of {write.target} was made by the statement"
    newest = entries[0].version if entries else None
    if newest is None or write.version is None:
        return "unknown", f"the version of {write.target} before the statement is not known"
    if newest > write.version:
        return "unknown", f"{write.target} has moved from version {write.version} to {newest}"
    if not write.ended:
        return "unknown", f"{write.target} has no newer version, but the statement may still run"
    return "not_committed", f"{write.target} is still at version {write.version}"


def _outcome_of_rename(history: History, write: Write) -> tuple[Outcome, str]:
    if write.renames is None:
        return "unknown", "the name before the rename is not known"
    before = newest_version(history, write.renames)
    after = newest_version(history, write.target)
    if before == NO_TABLE and after is not None and after != NO_TABLE:
        return "committed", f"{write.renames} is gone and {write.target} is there"
    if before is not None and before != NO_TABLE and write.ended:
        return "not_committed", f"{write.renames} is still there"
    return "unknown", f"neither {write.renames} nor {write.target} tells whether it was renamed"
