"""What a report of a run holds. Every format shows the same values.

Texts stand here as they came: from SQL, from a warehouse, from whoever answered. They are data, and
each format escapes them its own way. `None` is not known or does not apply, never zero. Times
within the run are milliseconds since it began.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from executor.views.status import RunState

Phase = Literal["preflight", "recovery", "publish", "final"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    id: str
    path: str
    status: Literal["completed", "failed", "skipped", "not_needed", "open", "not_reached"]
    """`open`: started and not ended; `not_reached`: planned, and the run never came to it."""
    reason: str | None
    loop: str | None
    iteration: int | None
    statements: int | None
    """As planned; `None` where the plan is not known."""
    started_ms: int | None
    elapsed_ms: int | None
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One time that a statement was sent."""

    started_ms: int | None
    elapsed_ms: int | None
    """`None`: its end is not in the log."""
    status: Literal["succeeded", "failed", "cancelled", "unknown", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementReport:
    id: str
    file: str | None
    """`None` for the executor's own: tests of loops, aliases, OPTIMIZE."""
    path: str | None
    kind: str
    target: str | None
    line: int | None
    head: str
    status: Literal["succeeded", "failed", "cancelled", "unknown", "open"]
    attempts: tuple[Attempt, ...]
    elapsed_ms: int
    """Of all attempts together, as far as known."""
    rows: int | None
    query_id: str | None
    history_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationReport:
    iteration: int
    updated: int | None
    residual: int | None
    iterations_left: int | None
    rows: int | None
    elapsed_ms: int
    source: Literal["file", "generated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReport:
    id: str
    name: str
    outcome: str
    """`converged`, `accepted`, `not_converged`, `unfinished` or `skipped`."""
    by: str | None
    """Which tests gave 0, where it converged."""
    detail: str | None
    """Why it did not converge."""
    max_iterations: int | None
    final_table: str | None
    iterations: tuple[IterationReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    name: str
    phase: Phase
    status: Literal["passed", "failed", "unknown", "skipped"]
    severity: Literal["fatal", "critical", "moderate", "warning"]
    observed: str | None
    expected: str | None
    table: str | None
    measured: dict[str, int]
    elapsed_ms: int | None
    paths: tuple[str, ...]
    """Of the files it is about."""
    source: str | None
    """Where it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeReport:
    """A table that OPTIMIZE was run on, or that was looked at and left as it is."""

    table: str
    ran: bool
    worth: bool | None
    """What looking at it beforehand said; `None`: it was not looked at."""
    reason: str | None
    """Why it was worth it, or was not."""
    files_before: int | None
    files_after: int | None
    bytes_before: int | None
    bytes_after: int | None
    files_removed: int | None
    files_added: int | None
    bytes_removed: int | None
    bytes_added: int | None
    elapsed_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    class_: str
    message: str
    cause: str | None
    severity: str
    category: str
    path: str | None
    line: int | None
    position: int | None
    statement: str | None
    query_id: str | None
    suggestion: str
    times: int
    """How often it came."""
    overcome: bool = False
    """True if its statement succeeded in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptReport:
    """A question, and how it was settled."""

    prompt: str
    title: str
    class_: str | None
    path: str | None
    statement: str | None
    choices: tuple[str, ...]
    choice: str | None
    how: str | None
    """`None`: it is still open."""
    source: str | None
    by: str | None
    reason: str | None
    waited_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryReport:
    statement: str
    category: str
    times: int
    delay_ms: int
    """Pauses before the attempts, together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningReport:
    code: str
    detail: str
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReport:
    name: str
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Where the time went. What runs side by side counts in full each."""

    statements_ms: int
    convergence_ms: int
    optimize_ms: int
    checks_ms: int
    asking_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    run: str
    state: RunState
    outcome: str | None
    """`None` until the run has finished."""
    exit_code: int | None
    remarks: tuple[str, ...]
    """What is missing of the log, and what that means."""
    directory: str | None
    profile: str | None
    host: str | None
    catalog: str | None
    schema: str | None
    version: str | None
    """Of the dwx that ran it."""
    segments: int
    """Processes that worked on it: 2 and more after a resume."""
    began: str | None
    ended: str | None
    """When its last line was written; `None` while there is none."""
    elapsed_ms: int | None
    """Up to the last line, or up to where the log ends."""
    rows: int | None
    file_counts: dict[str, int]
    statement_counts: dict[str, int]
    check_counts: dict[str, int]
    files: tuple[FileReport, ...]
    statements: tuple[StatementReport, ...]
    loops: tuple[LoopReport, ...]
    checks: tuple[CheckReport, ...]
    coverage: dict[str, float]
    """By table, the share of rows that have a canonical id, from 0 to 1."""
    clusters: dict[str, int]
    tables: tuple[TableReport, ...]
    optimized: tuple[OptimizeReport, ...]
    errors: tuple[ErrorReport, ...]
    prompts: tuple[PromptReport, ...]
    retries: tuple[RetryReport, ...]
    reconnected: int
    """Sessions that took the place of a lost one."""
    warnings: tuple[WarningReport, ...]
    times: Times
    slowest: tuple[str, ...]
    """Ids of the statements that took longest, the slowest first."""
    next: tuple[str, ...]


def as_json(value: Any) -> Any:
    """A report, or a part of it, as plain values: names as on the wire."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name.rstrip("_"): as_json(getattr(value, field.name)) for field in fields(value)
        }
    if isinstance(value, tuple):
        return [as_json(one) for one in value]
    return value
