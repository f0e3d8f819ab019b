"""Has a write committed? Only proof counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from executor.core.facts import FailureFacts
from executor.warehouse.databricks.commits import NO_TABLE, newest_version, outcome_of
from executor.warehouse.databricks.history import HistoryEntry
from executor.warehouse.port import StatementError, Write
from protocol.events import Outcome

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


def unreadable(table: str, limit: int) -> list[HistoryEntry]:
    facts = FailureFacts("PERMISSION_DENIED", "no")
    raise StatementError(facts, outcome="not_committed", evidence="")


def insert(version: int | None, *, query_id: str | None = OURS, ended: bool = True) -> Write:
    return Write("insert", "t", None, query_id, version, ended)


@pytest.mark.parametrize(
    ("history", "write", "outcome"),
    [
        (tables(t=[(8, OURS), (7, "x")]), insert(7), "committed"),
        (
            tables(t=[(9, "y"), (8, OURS.replace("-", "").upper()), (7, "x")]),
            insert(7),
            "committed",
        ),
        (tables(t=[(7, "x")]), insert(7), "not_committed"),
        (tables(t=[(7, "x")]), insert(7, ended=False), "unknown"),
        (tables(t=[(8, "somebody else"), (7, "x")]), insert(7), "unknown"),
        (tables(t=[(8, None), (7, None)]), insert(7), "unknown"),
        (tables(t=[(8, "z"), (7, "x")]), insert(7, query_id=None), "unknown"),
        (tables(t=[(7, "x")]), insert(None), "unknown"),
        (tables(), insert(NO_TABLE), "not_committed"),
        (tables(), insert(NO_TABLE, ended=False), "unknown"),
        (tables(), insert(7), "unknown"),
        (unreadable, insert(7), "unknown"),
    ],
)
def test_the_outcome_of_a_write_is_what_the_history_proves(
    history: History, write: Write, outcome: Outcome
) -> None:
    found, evidence = outcome_of(history, write)
    assert found == outcome
    assert evidence


@pytest.mark.parametrize(
    ("history", "ended", "outcome"),
    [
        (tables(t=[(3, "x")]), True, "committed"),
        (tables(t_tmp=[(3, "x")]), True, "not_committed"),
        (tables(t_tmp=[(3, "x")]), False, "unknown"),
        (tables(), True, "unknown"),
        (unreadable, True, "unknown"),
    ],
)
def test_a_rename_shows_in_which_of_its_names_exists(
    history: History, ended: bool, outcome: Outcome
) -> None:
    write = Write("rename", "t", "t_tmp", OURS, None, ended)
    assert outcome_of(history, write)[0] == outcome


def test_the_newest_version_tells_no_table_from_not_known() -> None:
    assert newest_version(tables(t=[(8, None), (7, None)]), "t") == 8
    assert newest_version(tables(), "t") == NO_TABLE
    assert newest_version(unreadable, "t") is None
