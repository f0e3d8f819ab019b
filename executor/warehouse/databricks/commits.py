"""Has a write committed? What the histories of the warehouse prove, and what they do not.

Two histories are asked. The *query history* says whether the statement still runs, and how it
ended. The *history of the target* says which statement made which version. Proof that it has
committed: the query history says it finished, or the target has a version with its id. Proof that
it has not: it failed, for a statement commits as a whole; or it runs no more and the target has no
version newer than before it. A RENAME leaves no entry of its own, but its two names tell: it is
atomic, so exactly one of them exists. Everything else is unknown.

A statement whose reply was lost has no id for us; the query history knows it by its tags. That it
is not there proves something only if nothing sent before can begin any more (`fenced`), and if the
history is as far as that: so a statement of ours is sent to *mark* the place, and what is missing
still when the mark is shown never arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic

from executor.warehouse.databricks.history import (
    DEPTH,
    HistoryEntry,
    commit_of,
    rows_committed,
)
from executor.warehouse.databricks.query_history import Found, QueryHistory
from executor.warehouse.databricks.results import AS_SELECT, DML
from executor.warehouse.port import Fate, StatementError, Write

NO_TABLE = -1
_MISSING = ("TABLE_OR_VIEW_NOT_FOUND", "DELTA_TABLE_NOT_FOUND", "DELTA_MISSING_DELTA_TABLE")
_IN_PARTS = ("script", "transaction")
"""Kinds of which a part may have committed though the whole failed."""

MARK_SHOWN_WITHIN_S = 30.0
"""How long to wait until the query history shows a mark of ours, in seconds."""
LOOKS = 2
"""How often a statement has to be missing behind a mark that is shown."""
_LOOK_AGAIN_S = 1.0
_TELL_EVERY_S = 10.0

History = Callable[[str, int], list[HistoryEntry]]
"""The newest entries of a table's history, newest first. Raises `StatementError`."""

Running = Callable[[int], None]
"""Told now and then that the statement still runs, and for how many milliseconds we have waited."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What can be asked about a statement."""

    history: History
    queries: QueryHistory
    mark: Callable[[], str | None]
    """Runs a statement that changes nothing, and returns its id; `None` if it failed."""
    fenced: bool
    """True if the statement was sent in a session that the warehouse has closed since."""


def newest_version(history: History, table: str) -> int | None:
    """The newest version of a table; `NO_TABLE` if there is none, `None` if nobody can tell."""
    try:
        entries = history(table, 1)
    except StatementError as exc:
        return NO_TABLE if exc.facts.error_class in _MISSING else None
    return entries[0].version if entries else None


def fate_of(sources: Sources, write: Write, cancel: Event, running: Running) -> Fate:
    """Whether a write has committed, and the evidence."""
    found, answered = _in_query_history(sources, write, cancel, running)
    if found is None:
        never_came = answered and write.query_id is None and (sources.fenced or write.repeatable)
        return _in_target(sources.history, replace(write, over=write.over or never_came))
    known = replace(write, query_id=found.query_id, over=found.course != "running")
    fate = _in_target(sources.history, known)
    if fate.outcome == "committed":
        return fate
    if found.course == "finished":
        return Fate("committed", f"the query history says that {found.query_id} finished")
    if found.course == "failed" and write.kind not in _IN_PARTS:
        # a version made by others meanwhile changes nothing about that
        return Fate("not_committed", f"the query history says that {found.query_id} failed")
    return fate


def _in_query_history(
    sources: Sources, write: Write, cancel: Event, running: Running
) -> tuple[Found | None, bool]:
    """The statement as the query history knows it, at its end if that is to be waited for; and
    whether it is proven never to have arrived.
    """
    if write.query_id is not None:
        return _at_its_end(sources, write, sources.queries.by_id(write.query_id), cancel, running)
    tags = {"run": write.run, "statement": write.statement, "attempt": str(write.attempt)}
    found, _ = sources.queries.by_tags(tags, write.sent)
    if found is not None or not write.wait or not sources.fenced:
        return _at_its_end(sources, write, found, cancel, running)
    mark, begun, missing = sources.mark(), monotonic(), 0
    while mark is not None and monotonic() - begun < MARK_SHOWN_WITHIN_S:
        found, shown = sources.queries.by_tags(tags, write.sent, mark)
        if found is not None:
            return _at_its_end(sources, write, found, cancel, running)
        missing += shown
        if missing == LOOKS:
            return None, True
        if cancel.wait(_LOOK_AGAIN_S):
            break
    return None, False


def _at_its_end(
    sources: Sources, write: Write, found: Found | None, cancel: Event, running: Running
) -> tuple[Found | None, bool]:
    """Waits for the end of a statement that still runs, if it is to be waited for."""
    begun = told = monotonic()
    while found is not None and found.course == "running" and write.wait:
        if cancel.wait(_LOOK_AGAIN_S):
            sources.queries.cancel(found.query_id)  # nobody waits for it any more
            break
        if (now := monotonic()) - told >= _TELL_EVERY_S:
            told = now
            running(int((now - begun) * 1000))
        # one that was seen does not vanish: without an answer it counts as before
        found = sources.queries.by_id(found.query_id) or found
    return found, False


def _in_target(history: History, write: Write) -> Fate:
    if write.target is None:
        return Fate(
            "unknown", "what it writes is not known, so no table's history can be looked at"
        )
    if write.kind == "rename":
        return _of_rename(history, write)
    try:
        entries = history(write.target, DEPTH)
    except StatementError as exc:
        missing = exc.facts.error_class in _MISSING
        if missing and write.over and (write.repeatable or write.version == NO_TABLE):
            return Fate("not_committed", f"{write.target} does not exist")
        return Fate("unknown", f"the history of {write.target} cannot be read: {exc.facts.message}")
    found = commit_of(entries, write.query_id)
    if found is not None:
        evidence = f"version {found.version} of {write.target} was made by the statement"
        rows = rows_committed(found) if write.kind in DML or write.kind in AS_SELECT else None
        return Fate("committed", evidence, rows)
    newest = entries[0].version if entries else None
    if not write.over:
        return Fate(
            "unknown", f"the statement may still run; {write.target} is at version {newest}"
        )
    if write.repeatable:
        return Fate("not_committed", f"it runs no more, and no version of {write.target} names it")
    if newest is None or write.version is None:
        return Fate("unknown", f"the version of {write.target} before the statement is not known")
    if newest > write.version:
        return Fate("unknown", f"{write.target} has moved from version {write.version} to {newest}")
    return Fate("not_committed", f"{write.target} is still at version {write.version}")


def _of_rename(history: History, write: Write) -> Fate:
    if write.renames is None or write.target is None:
        return Fate("unknown", "the name before the rename is not known")
    before = newest_version(history, write.renames)
    after = newest_version(history, write.target)
    if before == NO_TABLE and after is not None and after != NO_TABLE:
        return Fate("committed", f"{write.renames} is gone and {write.target} is there")
    if before is not None and before != NO_TABLE and write.over:
        return Fate("not_committed", f"{write.renames} is still there")
    return Fate(
        "unknown", f"neither {write.renames} nor {write.target} tells whether it was renamed"
    )
