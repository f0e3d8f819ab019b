"""Has a write committed? Only proof counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import pytest

from executor.core.facts import FailureFacts
from executor.warehouse.databricks.commits import (
    NO_TABLE,
    Sources,
    fate_of,
    newest_version,
)
from executor.warehouse.databricks.history import HistoryEntry
from executor.warehouse.databricks.query_history import QueryHistory
from executor.warehouse.port import StatementError, Write
from protocol.events import Outcome, RowCounts, StatementKind
from tests.warehouse.endpoint import Endpoint, running

MARK = "0a1b2c3d-0000-4000-8000-00000000000f"
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
OURS = "0a1b2c3d-0000-4000-8000-000000000001"
History = Callable[[str, int], list[HistoryEntry]]


def tables(**versions: list[tuple[int, str | None]]) -> History:
    """Tables with their versions and the statements that made them, newest first."""

    def history(table: str, limit: int) -> list[HistoryEntry]:
        if table not in versions:
            facts = FailureFacts("TABLE_OR_VIEW_NOT_FOUND", f"{table} is not there")
            raise StatementError(facts, outcome="not_committed", evidence="")
        return [
            HistoryEntry(
                version=version, timestamp=None, operation=None, statement_id=by, metrics={}
            )
            for version, by in versions[table][:limit]
        ]

    return history


def test_rows_of_a_write_that_was_lost_come_from_its_version(endpoint: Endpoint) -> None:
    def history(table: str, limit: int) -> list[HistoryEntry]:
        return [HistoryEntry(8, None, "WRITE", OURS, {"numOutputRows": "12"})]

    endpoint.queries = [query("FINISHED")]
    fate = fate_of(sources(history, endpoint), lost(7), Event(), lambda waited: None)
    assert fate.rows == RowCounts(total=12, inserted=12, source="history")


def unreadable(table: str, limit: int) -> list[HistoryEntry]:
    facts = FailureFacts("PERMISSION_DENIED", "no")
    raise StatementError(facts, outcome="not_committed", evidence="")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running(Endpoint()) as served:
        yield served


def sources(history: History, endpoint: Endpoint, *, fenced: bool = True) -> Sources:
    queries = QueryHistory(f"http://127.0.0.1:{endpoint.port}", "test", lambda headers: None)
    return Sources(history, queries, lambda: MARK, fenced)


def outcome(
    history: History,
    endpoint: Endpoint,
    write: Write,
    *,
    fenced: bool = True,
    waits: bool = True,
) -> Outcome:
    """`waits`: false if nobody has the patience to look twice."""
    cancel = Event()
    if not waits:
        cancel.set()
    fate = fate_of(sources(history, endpoint, fenced=fenced), write, cancel, lambda waited: None)
    assert fate.evidence
    return fate.outcome


def lost(
    version: int | None,
    *,
    kind: StatementKind = "insert",
    query_id: str | None = OURS,
    repeatable: bool = False,
    over: bool = True,
    wait: bool = False,
) -> Write:
    renames = "t_tmp" if kind == "rename" else None
    return Write(
        "r-test22", "f2.s1", 1, NOW, kind, "t", renames, query_id, version, repeatable, over, wait
    )


def query(status: str, query_id: str = OURS, **tags: str) -> dict[str, Any]:
    told = {"run": "r-test22", "statement": "f2.s1", "attempt": "1", **tags}
    listed = [{"key": key, "value": value} for key, value in told.items()]
    return {"query_id": query_id, "status": status, "query_tags": listed}


@pytest.mark.parametrize(
    ("history", "write", "expected"),
    [
        (tables(t=[(8, OURS), (7, "x")]), lost(7), "committed"),
        (tables(t=[(9, "y"), (8, OURS.replace("-", "").upper()), (7, "x")]), lost(7), "committed"),
        (tables(t=[(7, "x")]), lost(7), "not_committed"),
        (tables(t=[(7, "x")]), lost(7, over=False), "unknown"),
        (tables(t=[(8, "somebody else"), (7, "x")]), lost(7), "unknown"),
        (tables(t=[(8, None), (7, None)]), lost(7), "unknown"),
        (tables(t=[(8, "z"), (7, "x")]), lost(7, query_id=None), "unknown"),
        (tables(t=[(7, "x")]), lost(None), "unknown"),
        (tables(t=[(7, "x")]), lost(None, repeatable=True), "not_committed"),
        (tables(), lost(NO_TABLE), "not_committed"),
        (tables(), lost(NO_TABLE, over=False), "unknown"),
        (tables(), lost(7), "unknown"),
        (unreadable, lost(7), "unknown"),
        (unreadable, lost(None, repeatable=True), "unknown"),
    ],
)
def test_without_a_query_history_the_history_of_the_target_has_to_prove_it(
    endpoint: Endpoint, history: History, write: Write, expected: Outcome
) -> None:
    endpoint.queries = None
    assert outcome(history, endpoint, write) == expected


@pytest.mark.parametrize(
    ("status", "history", "write", "expected"),
    [
        ("FINISHED", unreadable, lost(7), "committed"),
        ("FINISHED", unreadable, lost(None, query_id=None), "committed"),
        ("FAILED", tables(t=[(8, "somebody else"), (7, "x")]), lost(7), "not_committed"),
        ("FAILED", tables(t=[(8, OURS), (7, "x")]), lost(7), "committed"),
        ("FAILED", unreadable, lost(7, kind="script"), "unknown"),
        ("CANCELED", tables(t=[(8, OURS), (7, "x")]), lost(7), "committed"),
        ("CANCELED", tables(t=[(7, "x")]), lost(7, over=False), "not_committed"),
        ("CANCELED", tables(t=[(8, "somebody else"), (7, "x")]), lost(7), "unknown"),
        ("RUNNING", tables(t=[(7, "x")]), lost(7), "unknown"),
        ("RUNNING", tables(t=[(8, OURS), (7, "x")]), lost(7, over=False), "committed"),
    ],
)
def test_the_query_history_says_how_a_statement_ended(
    endpoint: Endpoint, status: str, history: History, write: Write, expected: Outcome
) -> None:
    endpoint.queries = [query(status)]
    assert outcome(history, endpoint, write) == expected


def test_a_statement_that_still_runs_is_waited_for(endpoint: Endpoint) -> None:
    endpoint.queries = [query("RUNNING")]
    write = lost(7, over=False, wait=True)
    cancel = Event()
    told: list[Outcome] = []

    def ask() -> None:
        found = fate_of(sources(tables(t=[(7, "x")]), endpoint), write, cancel, lambda waited: None)
        told.append(found.outcome)

    looks = len(endpoint.looks)
    asking = Thread(target=ask)
    asking.start()
    while len(endpoint.looks) < looks + 2:
        asking.join(0.01)
    assert told == []
    endpoint.queries = [query("FINISHED")]
    asking.join()
    assert told == ["committed"]


def test_a_statement_nobody_waits_for_any_more_is_cancelled(endpoint: Endpoint) -> None:
    endpoint.queries = [query("RUNNING")]
    cancel = Event()
    cancel.set()
    write = lost(7, query_id=None, over=False, wait=True)
    found = fate_of(sources(tables(t=[(7, "x")]), endpoint), write, cancel, lambda waited: None)
    assert found.outcome == "unknown"
    assert endpoint.looks[-1] == f"POST /api/2.0/sql/statements/{OURS}/cancel"


UNNAMED = lost(7, query_id=None, over=False, wait=True)
UNMOVED = tables(t=[(7, "x")])


@pytest.mark.parametrize(
    ("write", "fenced", "expected"),
    [
        (UNNAMED, True, "not_committed"),
        # the old session may still take it in
        (UNNAMED, False, "unknown"),
        (lost(None, query_id=None, over=False, wait=True, repeatable=True), False, "unknown"),
        # an id was given, so it did arrive
        (lost(7, over=False, wait=True), True, "unknown"),
    ],
)
def test_what_is_missing_behind_a_mark_never_came_if_it_cannot_come_any_more(
    endpoint: Endpoint, write: Write, fenced: bool, expected: Outcome
) -> None:
    mark = query("FINISHED", MARK, statement="")
    endpoint.queries = [mark, query("FINISHED", "another", attempt="2"), {"query_id": 3}, {}]
    assert outcome(UNMOVED, endpoint, write, fenced=fenced) == expected


@pytest.mark.parametrize(
    "listed",
    [
        [],
        # the history lags behind: it does not show what was sent after the statement either
        [query("FINISHED", "another", attempt="2")],
        # it is there, in a state that this version does not know
        [query("FINISHED", MARK, statement=""), query("RUNNING_SOMEWHERE")],
    ],
)
def test_without_the_mark_in_the_query_history_nothing_is_proven(
    endpoint: Endpoint, listed: list[dict[str, Any]]
) -> None:
    endpoint.queries = listed
    assert outcome(UNMOVED, endpoint, UNNAMED, waits=False) == "unknown"


def test_a_query_history_without_end_proves_nothing_about_what_it_has_not_shown(
    endpoint: Endpoint,
) -> None:
    endpoint.queries = [query("FINISHED", MARK, statement="")]
    endpoint.more_queries = True
    try:
        assert outcome(UNMOVED, endpoint, UNNAMED, waits=False) == "unknown"
    finally:
        endpoint.more_queries = False


def test_a_statement_that_was_seen_running_does_not_count_as_one_that_never_came(
    endpoint: Endpoint,
) -> None:
    endpoint.queries = [query("RUNNING")]
    told: list[Outcome] = []
    cancel = Event()

    def ask() -> None:
        asked = sources(UNMOVED, endpoint)
        told.append(fate_of(asked, UNNAMED, cancel, lambda waited: None).outcome)

    asking = Thread(target=ask)
    looks = len(endpoint.looks)
    asking.start()
    while len(endpoint.looks) < looks + 1:
        asking.join(0.01)
    endpoint.queries = [query("FINISHED", MARK, statement="")]  # the history forgets it
    while len(endpoint.looks) < looks + 3:
        asking.join(0.01)
    assert told == []
    cancel.set()
    asking.join()
    assert told == ["unknown"]


@pytest.mark.parametrize(
    ("history", "over", "expected"),
    [
        (tables(t=[(3, "x")]), True, "committed"),
        (tables(t_tmp=[(3, "x")]), True, "not_committed"),
        (tables(t_tmp=[(3, "x")]), False, "unknown"),
        (tables(), True, "unknown"),
        (unreadable, True, "unknown"),
    ],
)
def test_a_rename_shows_in_which_of_its_names_exists(
    endpoint: Endpoint, history: History, over: bool, expected: Outcome
) -> None:
    endpoint.queries = None
    assert outcome(history, endpoint, lost(None, kind="rename", over=over)) == expected


def test_the_newest_version_tells_no_table_from_not_known() -> None:
    assert newest_version(tables(t=[(8, None), (7, None)]), "t") == 8
    assert newest_version(tables(), "t") == NO_TABLE
    assert newest_version(unreadable, "t") is None
