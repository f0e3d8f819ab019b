"""Effects: everything a run can want from the world. The shell performs them in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from protocol.events import PlannedCheck, StatementKind
from protocol.hello import Entry


@dataclass(frozen=True, slots=True)
class Emit:
    """Append to the record, then show. `durable`: on disk before the next effect is performed."""

    entry: Entry
    durable: bool


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Read the workflow's directory."""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Open a session on the warehouse, and run these USE and SET statements of files in it.

    A session that is still open is closed first.
    """

    replay: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Close the session, if one is open; answered by `SessionClosed` in any case."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """Make the checks of the pre-flight; answered by `Examined` for each, then `PreflightEnded`."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Read a file of the plan again."""

    file: str


@dataclass(frozen=True, slots=True)
class GenerateFile:
    """Generate the file of `iteration` from that of the iteration before it."""

    loop: str
    iteration: int
    last: str


@dataclass(frozen=True, slots=True)
class Inspect:
    """Find the newest version of a table; answered by `Inspected`."""

    statement: str
    table: str


@dataclass(frozen=True, slots=True)
class Weigh:
    """Find out how many files a table has; answered by `TableWeighed`."""

    statement: str
    table: str


@dataclass(frozen=True, slots=True)
class MakeChecks:
    """Make these checks, side by side where that can be; answered by `Examined` for each in this
    order, then `ChecksEnded`.
    """

    checks: tuple[PlannedCheck, ...]
    left_out: Mapping[str, str]
    """Those that are not to be made, by name, each with the reason."""
    began: datetime
    """When the run began."""
    catalog: str | None = None
    schema: str | None = None
    """Where names without a catalog or schema belong; `None` for what the user's default is."""


@dataclass(frozen=True, slots=True)
class CheckCommit:
    """Find out whether a statement has committed; answered by `Checked`.

    `version` is the target's newest one before the statement. `repeatable` is true if running it
    again is safe whatever happened, `over` if it is known that it runs no more. `wait`: if it still
    runs, wait for its end.
    """

    statement: str
    kind: StatementKind
    target: str | None
    renames: str | None
    attempt: int
    sent: datetime
    query_id: str | None
    version: int | None
    repeatable: bool
    over: bool
    wait: bool


@dataclass(frozen=True, slots=True)
class Execute:
    """Send a statement. `sql` is `None` for a statement of a file: the file holds its text."""

    statement: str
    kind: StatementKind
    target: str | None
    file: str | None
    attempt: int
    sql: str | None


@dataclass(frozen=True, slots=True)
class CancelRunning:
    """Cancel whatever is under way at the warehouse: the statement, or opening the session."""


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Come back with `DeadlinePassed(timer)` at this time."""

    timer: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ClearTimer:
    timer: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over for this process."""

    exit_code: int


Effect = (
    Emit | ReadPlan | OpenSession | CloseSession | Preflight | ReadFile | GenerateFile | Inspect
    | Weigh | MakeChecks | CheckCommit | Execute | CancelRunning | SetTimer | ClearTimer | Finish
)  # fmt: skip
"""Any effect."""
