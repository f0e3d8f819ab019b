"""Inputs: everything that can happen to a run.

An input is a fact about the world, already judged where judgement needs no state (an error comes as
an `ErrorRecord`). Whatever an input says ends up in the first event it causes, so that a log holds
all of them: `executor.replay.feed` turns such an event back into its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from protocol.decisions import Decision
from protocol.events import (
    CancelMode,
    Check,
    DecisionSource,
    ErrorRecord,
    OptimizeMetrics,
    Outcome,
    Plan,
    PlannedFile,
    RejectionCode,
    RowCounts,
)
from protocol.exit_codes import USAGE
from protocol.hello import Hello


@dataclass(frozen=True, slots=True)
class Begun:
    """The process is up; `hello` holds all that is known before the plan is read."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Resumed:
    """Another process goes on with the run; `hello` is its own."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class PlanRead:
    plan: Plan


@dataclass(frozen=True, slots=True)
class Refused:
    """Usage or configuration is wrong; nothing has been executed."""

    error: ErrorRecord
    exit_code: int = USAGE


@dataclass(frozen=True, slots=True)
class SessionOpened:
    session_id: str | None
    elapsed_ms: int
    settings: Mapping[str, str]
    replayed: int = 0
    """USE and SET statements that were run again in it."""


@dataclass(frozen=True, slots=True)
class SessionRefused:
    error: ErrorRecord


@dataclass(frozen=True, slots=True)
class SessionClosed:
    session_id: str | None
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class Examined:
    """A check was made: of the pre-flight, or of what the run has made."""

    check: Check


@dataclass(frozen=True, slots=True)
class PreflightEnded:
    """All checks of the pre-flight have been made."""

    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class ChecksEnded:
    """All checks of what the run has made, that were asked for, have been made."""

    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file was read again for a retry, or an iteration was generated."""

    file: PlannedFile
    reason: Literal["reread", "generated"]


@dataclass(frozen=True, slots=True)
class FileUnreadable:
    """A file could not be read again, or an iteration could not be generated."""

    error: ErrorRecord


@dataclass(frozen=True, slots=True)
class Inspected:
    """How far a write's target has come: newest version, -1 for no table, `None` for unknown."""

    statement: str
    version: int | None


@dataclass(frozen=True, slots=True)
class TableWeighed:
    """What a table holds; `None` for what cannot be found out. `bytes` in all its files."""

    statement: str
    files: int | None
    bytes: int | None
    format: str | None


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a statement that nobody saw the end of has committed."""

    statement: str
    elapsed_ms: int
    query_id: str | None
    outcome: Outcome
    evidence: str
    rows: RowCounts | None = None
    """Rows it touched, if it has committed and the target's history says."""


@dataclass(frozen=True, slots=True)
class Submitted:
    statement: str
    query_id: str | None


@dataclass(frozen=True, slots=True)
class Succeeded:
    statement: str
    elapsed_ms: int
    query_id: str | None
    rows: RowCounts | None = None
    value: int | None = None
    metrics: OptimizeMetrics | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    statement: str
    elapsed_ms: int
    query_id: str | None
    error: ErrorRecord
    outcome: Outcome
    evidence: str
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """A well-formed decision arrived. `id` is its own or the hash of its content."""

    decision: Decision
    id: str
    source: DecisionSource


@dataclass(frozen=True, slots=True)
class Undecidable:
    """A line or file that should have been a decision and is none."""

    code: RejectionCode
    detail: str
    source: DecisionSource


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The time of a timer has come: a prompt's, a pause's, or that of a session kept for long."""

    timer: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    by: Literal["SIGINT", "SIGTERM", "stdout_closed"]
    mode: CancelMode


@dataclass(frozen=True, slots=True)
class InputEnded:
    """stdin reached its end."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something worth telling that changes nothing."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Delayed:
    """The warehouse makes us wait."""

    reason: Literal[
        "warehouse_starting", "throttled", "queued", "session_reopen", "unreachable",
        "statement_running",
    ]  # fmt: skip
    elapsed_ms: int
    budget_ms: int | None


@dataclass(frozen=True, slots=True)
class LoginNeeded:
    """Somebody has to log in before a session can be opened."""

    kind: Literal["browser"]
    url: str
    deadline: str


@dataclass(frozen=True, slots=True)
class Beat:
    """Time for a sign of life."""

    busy_ms: int
    next_by_ms: int


@dataclass(frozen=True, slots=True)
class Broken:
    """The executor itself cannot go on: the record is not writable, or a defect came to light."""

    what: Literal["record", "internal"]
    error: ErrorRecord


Input = (
    Begun | Resumed | PlanRead | Refused | SessionOpened | SessionRefused | SessionClosed | Examined
    | PreflightEnded | ChecksEnded | FileRead | FileUnreadable | Inspected | TableWeighed | Checked
    | Submitted | Succeeded | Failed | Decided | Undecidable | DeadlinePassed | StopRequested
    | InputEnded | Noticed | Delayed | LoginNeeded | Beat | Broken
)  # fmt: skip
"""Any input."""
