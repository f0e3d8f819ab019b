"""The port: what the runtime asks of a warehouse, whichever it is.

Theory. A session belongs to one thread from `open` to `close`; nothing here is called from two
threads at once. The one thing another thread may do is set the `cancel` flag of a running
statement: whoever executes it looks at the flag between two polls, cancels on the warehouse, and
goes on polling until the terminal state is seen, because a statement that was told to stop may
still have committed.

A statement ends in one of two ways: `execute` returns (the warehouse said FINISHED), or it raises
`StatementError`. The error always says what is known about the write: `not_committed` only with
proof, `unknown` otherwise. No implementation may send a statement twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any, Literal, Protocol

from executor.core.facts import FailureFacts, TableFacts, TableSize
from protocol.events import OptimizeMetrics, Outcome, RowCounts, StatementKind

READS: frozenset[StatementKind] = frozenset({"select", "probe", "use", "set"})
"""Kinds that commit nothing, however they end."""

NOTHING_WRITTEN: tuple[Outcome, str] = ("not_committed", "the statement writes nothing")
"""Outcome of one of these, with its evidence."""

CreatePrivilege = Literal["passed", "unknown", "skipped"]
"""Whether tables may be made: yes; nobody can tell; there are no privileges here."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session is open. `settings` are those the warehouse reports (names upper case)."""

    session_id: str | None
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """One statement to execute."""

    statement: str
    """Id in the plan, `f3.s2`."""
    sql: str
    kind: StatementKind
    target: str | None
    tags: Mapping[str, str] = field(default_factory=dict)
    """Query tags: run, file, statement, attempt. Plain text, never a secret."""
    count_rows: bool = True
    """Ask the table history for the row count where neither result nor driver says it."""


@dataclass(frozen=True, slots=True)
class Write:
    """A statement whose end nobody saw, with what is known of its sending."""

    run: str
    statement: str
    attempt: int
    sent: datetime
    """When, by our clock."""
    kind: StatementKind
    target: str | None
    renames: str | None
    """For kind `rename`: the table's name before."""
    query_id: str | None
    """`None` if the reply that would have named it was lost."""
    version: int | None
    """Newest version of the target before it; -1 for no table, `None` for unknown."""
    repeatable: bool
    """True if running it again is safe whatever happened to it."""
    over: bool
    """True if it cannot be running any more."""
    wait: bool
    """Whether to wait for its end if it still runs."""


def end_not_seen(kind: StatementKind, evidence: str) -> tuple[Outcome, str]:
    """Outcome and evidence where nobody has seen how a statement of this kind ended."""
    return NOTHING_WRITTEN if kind in READS else ("unknown", evidence)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a write."""

    outcome: Outcome
    evidence: str
    rows: RowCounts | None = None
    """Rows it touched, if it has committed and somebody has counted them."""


@dataclass(frozen=True, slots=True)
class Result:
    """The warehouse finished the statement."""

    query_id: str | None
    rows: RowCounts | None
    """`None` for kinds that touch no rows (USE, SET, DROP, SELECT, ...)."""
    value: int | None
    """First column of the first row, for kind `probe`; `None` if it was NULL or no integer."""
    metrics: OptimizeMetrics | None


class WarehouseError(Exception):
    """Something the warehouse, the way to it, or the credentials refused."""

    def __init__(self, facts: FailureFacts) -> None:
        super().__init__(facts.message)
        self.facts = facts


class ConnectError(WarehouseError):
    """No session could be opened. Nothing was executed."""


class StatementError(WarehouseError):
    """A statement did not finish well.

    `cancelled` is true if the warehouse reports it as cancelled (by us or by somebody else).
    """

    def __init__(
        self,
        facts: FailureFacts,
        *,
        outcome: Outcome,
        evidence: str,
        cancelled: bool = False,
    ) -> None:
        super().__init__(facts)
        self.outcome = outcome
        self.evidence = evidence
        self.cancelled = cancelled


class Session(Protocol):
    """One open session."""

    @property
    def opened(self) -> Opened: ...

    def execute(
        self, request: Request, *, submitted: Callable[[str | None], None], cancel: Event
    ) -> Result:
        """Executes one statement and waits for its end.

        Calls `submitted` with the query id once, as soon as the warehouse has taken the statement.
        Raises `StatementError`.
        """
        ...

    def version(self, table: str, cancel: Event) -> int | None:
        """The newest version in the table's history; -1 if there is no such table, `None` if that
        cannot be found out. Never raises.
        """
        ...

    def outcome(self, write: Write, cancel: Event, *, fenced: bool) -> Fate:
        """Whether a write has committed, and the evidence; `unknown` without. Never raises.

        `fenced`: it was sent in a session that the warehouse has closed since, so that it cannot
        begin any more.
        """
        ...

    def table_facts(
        self, tables: Mapping[str, Collection[str]], cancel: Event
    ) -> Mapping[str, TableFacts]:
        """What is known of each of `tables`, given by full name with the columns that it should
        have. Never raises.
        """
        ...

    def rows(self, sql: str, limit: int, cancel: Event) -> Sequence[Mapping[str, Any]]:
        """The rows that a query gives, at most `limit`, by column names in lower case. The query
        must change nothing. Raises `StatementError`.
        """
        ...

    def size(self, table: str, cancel: Event) -> TableSize:
        """What a table holds, as far as that can be found out. Never raises."""
        ...

    def may_create(self, schema: str, cancel: Event) -> tuple[CreatePrivilege, str]:
        """Whether tables may be made in `catalog.schema`, and how that is known. Never raises."""
        ...

    def close(self) -> bool:
        """Closes the session; true if the warehouse has confirmed it, so that nothing sent in it
        can begin any more. Bounded in time, never raises.
        """
        ...


class Warehouse(Protocol):
    """Where sessions come from; one at a time."""

    def open(self, cancel: Event) -> Session:
        """Opens a session, or raises `ConnectError` within a bounded time.

        Gives up early once `cancel` is set.
        """
        ...

    def close(self) -> None:
        """Nothing more is wanted of it. Bounded in time, never raises."""
        ...
