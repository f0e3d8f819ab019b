"""A log taken in for its report, entry by entry.

Theory. A statement may be sent again, a check made again, an error come again in another attempt or
after a resume. Attempts of a statement are kept side by side; of a check only the last result
counts (those about lost statements are each about another one); the same error is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from executor.views.report_model import (
    ErrorReport,
    IterationReport,
    OptimizeReport,
    RetryReport,
    WarningReport,
)
from protocol.base import Cut
from protocol.events import (
    AliasCreated,
    CancelRequested,
    Check,
    ChecksFinished,
    CleanedUp,
    Connected,
    Connecting,
    Converged,
    DecisionRejected,
    ErrorPrompt,
    ErrorRecord,
    FileFinished,
    FilePlanned,
    FileStarted,
    Iteration,
    LoopStarted,
    NotConverged,
    Optimized,
    OptimizeMetrics,
    Plan,
    PlannedCheck,
    PlannedFile,
    PreflightFinished,
    PromptResolved,
    Reconnected,
    Retrying,
    RowsAffected,
    RunFinished,
    RunSuspended,
    StatementFinished,
    StatementStarted,
    StatementSubmitted,
    Unknown,
    Warned,
    Weighed,
)
from protocol.hello import Entry, Hello

T = TypeVar("T")

WRITES_ALL: Final = ("create_as", "replace_as", "insert_overwrite")
"""Kinds after which a table has the rows that the statement reported."""


@dataclass(slots=True)
class SeenFile:
    """A file as it is known so far."""

    id: str
    path: str
    planned: PlannedFile | None = None
    started: datetime | None = None
    finished: FileFinished | None = None
    begun: bool = False


@dataclass(slots=True)
class SeenStatement:
    """A statement, and how often it was sent."""

    begun: StatementStarted
    file: str | None
    attempts: list[tuple[datetime | None, StatementFinished | None]] = field(default_factory=list)
    rows: int | None = None
    query_id: str | None = None
    history_url: str | None = None
    found: str | None = None
    """What became of it, where that was found out afterwards."""


@dataclass(slots=True)
class SeenLoop:
    """A loop as far as it came."""

    id: str
    name: str
    max_iterations: int | None = None
    iterations: dict[int, IterationReport] = field(default_factory=dict)
    outcome: str = "unfinished"
    by: str | None = None
    detail: str | None = None
    final_table: str | None = None


@dataclass(slots=True)
class ReportFold:
    """The facts of a log, entry by entry."""

    run: str = ""
    hello: Hello | None = None
    segments: int = 0
    began: datetime | None = None
    began_text: str | None = None
    last_text: str | None = None
    reached: datetime | None = None
    """When the last entry was written."""
    plan: Plan | None = None
    planned_checks: dict[tuple[str, str], PlannedCheck] = field(default_factory=dict)
    """By phase and name."""
    place: Connecting | Connected | None = None
    files: dict[str, SeenFile] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """The file of each planned statement."""
    renamed: dict[str, str] = field(default_factory=dict)
    """By statement, the name before of the table that it renames."""
    file: str | None = None
    statements: dict[str, SeenStatement] = field(default_factory=dict)
    statement: str | None = None
    """The one that was started last."""
    loops: dict[str, SeenLoop] = field(default_factory=dict)
    checks: dict[tuple[Any, ...], Check] = field(default_factory=dict)
    checks_ms: int = 0
    tables: dict[str, int | None] = field(default_factory=dict)
    optimized: list[OptimizeReport] = field(default_factory=list)
    errors: dict[tuple[str, str | None], ErrorReport] = field(default_factory=dict)
    prompts: dict[str, tuple[ErrorPrompt, datetime | None]] = field(default_factory=dict)
    resolved: dict[str, tuple[PromptResolved, datetime | None]] = field(default_factory=dict)
    retries: dict[tuple[str, str], RetryReport] = field(default_factory=dict)
    reconnected: int = 0
    warnings: dict[WarningReport, None] = field(default_factory=dict)
    strange: dict[str, None] = field(default_factory=dict)
    last: RunFinished | RunSuspended | None = None

    # --- taking in ------------------------------------------------------------------------

    def take(self, entry: Entry) -> None:
        """Takes the next entry in."""
        at = _instant(entry.ts)
        self.run = entry.run
        self.began, self.began_text = self.began or at, self.began_text or entry.ts
        self.reached, self.last_text = at or self.reached, entry.ts
        match entry.event:
            case Hello() as event:
                self.hello, self.segments = event, event.segment
                self.last = None
            case Plan() as event:
                self._plan(event)
            case FilePlanned(file=file):
                if isinstance(file, PlannedFile):
                    self._planned(file)
            case Connecting() | Connected() as event:
                self.place = event
            case Reconnected():
                self.reconnected += 1
            case Check() as event:
                self._check(event)
            case PreflightFinished(elapsed_ms=elapsed) | ChecksFinished(elapsed_ms=elapsed):
                self.checks_ms += elapsed
            case FileStarted() as event:
                self.file = event.file
                known = self.files.setdefault(event.file, SeenFile(event.file, event.path))
                known.started, known.begun = known.started or at, True
            case FileFinished() as event:
                known = self.files.setdefault(event.file, SeenFile(event.file, event.path))
                known.finished = event
            case StatementStarted() as event:
                self._started(event, at)
            case StatementSubmitted() as event if event.statement in self.statements:
                found = self.statements[event.statement]
                found.query_id = event.query_id or found.query_id
                found.history_url = event.history_url or found.history_url
            case StatementFinished() as event:
                self._finished(event, at)
            case RowsAffected() as event:
                self._rows(event)
            case LoopStarted() as event:
                known_loop = self._loop(event.loop)
                known_loop.name, known_loop.max_iterations = event.name, event.max_iterations
            case Iteration() as event:
                self._iteration(event)
            case Converged() as event:
                known_loop = self._loop(event.loop)
                known_loop.outcome, known_loop.by = "converged", event.by
                known_loop.final_table, known_loop.detail = event.final_table, None
            case NotConverged() as event:
                known_loop = self._loop(event.loop)
                known_loop.outcome = "not_converged"
                known_loop.detail = f"{event.reason}: {plain(event.evidence)}"
            case Weighed() as event:
                self.optimized.append(_weighed(event))
            case Optimized() as event:
                self._optimized(event.table, event.elapsed_ms, event)
            case AliasCreated() as event:  # a copy has as many rows
                self.tables[event.table] = self.tables.get(event.from_)
            case CleanedUp(tables=tables):
                for table in whole(tables):
                    self.tables.pop(table, None)
            case ErrorPrompt() as event:
                _, first = self.prompts.get(event.prompt, (event, at))
                self.prompts[event.prompt] = (event, first)  # asked again after a resume
                if event.error is not None:
                    self._error(event.error, counts=False)
            case PromptResolved() as event:
                self.resolved[event.prompt] = (event, at)
            case Retrying() as event:
                key = (event.statement, event.category)
                before = self.retries.get(key)
                self.retries[key] = RetryReport(
                    statement=event.statement,
                    category=event.category,
                    times=1 + (before.times if before else 0),
                    delay_ms=event.delay_ms + (before.delay_ms if before else 0),
                )
            case Warned(code=code, detail=detail):
                self._warn(WarningReport(code=code, detail=plain(detail)))
            case DecisionRejected(code=code, detail=detail):
                self._warn(WarningReport(code=f"decision_rejected: {code}", detail=plain(detail)))
            case CancelRequested(by=by, mode=mode):
                said = f"Cancel requested by {by} ({mode.replace('_', ' ')})"
                self._warn(WarningReport(code="cancel_requested", detail=said))
            case RunFinished() | RunSuspended() as event:
                self.last = event
                if isinstance(event, RunFinished) and event.error is not None:
                    self._error(event.error, counts=False)
            case Unknown(type=name, critical=True):
                self.strange[name] = None
            case _:
                pass

    def _plan(self, plan: Plan) -> None:
        self.plan = plan
        self.planned_checks = {(one.phase, one.name): one for one in whole(plan.checks)}
        for file in whole(plan.files):
            self._planned(file)
        for loop in whole(plan.loops):
            known = self._loop(loop.id)
            known.name, known.max_iterations = loop.name, loop.max_iterations
        for one in whole(plan.warnings):
            self._warn(
                WarningReport(code=one.code, detail=one.detail, path=one.path, line=one.line)
            )

    def _planned(self, file: PlannedFile) -> None:
        known = self.files.setdefault(file.id, SeenFile(file.id, file.path))
        known.path, known.planned = file.path, file
        for statement in file.statements:
            self.owners[statement.id] = file.id
            if statement.renames is not None:
                self.renamed[statement.id] = statement.renames

    def _loop(self, loop: str) -> SeenLoop:
        return self.loops.setdefault(loop, SeenLoop(loop, loop))

    def _check(self, event: Check) -> None:
        # what recovery finds is about the statement that was lost last
        about = len(self.checks) if event.phase == "recovery" else (event.table, event.files)
        key = (event.phase, event.name, about)
        self.checks.pop(key, None)  # the later one stands where it was made
        self.checks[key] = event
        if event.phase == "recovery" and self.statement is not None:
            found = {"passed": "succeeded", "failed": "failed"}.get(event.status)
            lost = self.statements[self.statement]
            lost.found = found or lost.found
            if event.rows is not None and event.rows.total is not None:
                lost.rows = event.rows.total

    def _started(self, event: StatementStarted, at: datetime | None) -> None:
        inside = self.file is not None and event.statement.startswith(f"{self.file}.")
        file = self.owners.get(event.statement) or (self.file if inside else None)
        known = self.statements.setdefault(event.statement, SeenStatement(event, file))
        known.begun, known.found = event, None
        known.attempts.append((at, None))
        self.statement = event.statement

    def _finished(self, event: StatementFinished, at: datetime | None) -> None:
        known = self.statements.get(event.statement)
        if known is not None:
            began, before = known.attempts[-1]
            if before is None:
                known.attempts[-1] = (began, event)
            known.query_id = event.query_id or known.query_id
            if event.rows is not None:
                known.rows = event.rows.total
            self._made(known, event)
        if event.error is not None:
            self._error(event.error, counts=True)

    def _rows(self, event: RowsAffected) -> None:
        known = self.statements.get(event.statement)
        if known is not None and event.total is not None:
            known.rows = event.total
        if event.target in self.tables and known is not None and known.begun.kind in WRITES_ALL:
            self.tables[event.target] = event.total

    def _made(self, known: SeenStatement, event: StatementFinished) -> None:
        """What a statement that committed did to the tables of the run."""
        begun = known.begun
        if begun.target is None or event.outcome != "committed":
            return
        if begun.kind in WRITES_ALL:
            self.tables[begun.target] = event.rows.total if event.rows is not None else None
        elif begun.kind == "drop":
            self.tables.pop(begun.target, None)
        elif begun.kind == "rename":
            before = self.renamed.get(event.statement, "")
            self.tables[begun.target] = self.tables.pop(before, None)
        elif begun.kind == "optimize" and known.file is not None and event.metrics is not None:
            self._optimized(begun.target, event.elapsed_ms, event.metrics)

    def _iteration(self, event: Iteration) -> None:
        self.tables[event.table] = event.rows
        loop = self._loop(event.loop)
        loop.max_iterations = event.max_iterations
        loop.iterations[event.iteration] = IterationReport(
            iteration=event.iteration,
            updated=event.updated,
            residual=event.residual,
            iterations_left=event.iterations_left,
            rows=event.rows,
            elapsed_ms=event.elapsed_ms,
            source=event.source,
        )

    def _optimized(self, table: str, elapsed_ms: int, told: Optimized | OptimizeMetrics) -> None:
        before = self.optimized[-1] if self.optimized else None
        if before is None or before.table != table or before.elapsed_ms is not None:
            before = replace(_NOT_WEIGHED, table=table)
            self.optimized.append(before)
        self.optimized[-1] = replace(
            before,
            ran=True,
            files_after=_after(before.files_before, told.files_removed, told.files_added),
            bytes_after=_after(before.bytes_before, told.bytes_removed, told.bytes_added),
            files_removed=told.files_removed,
            files_added=told.files_added,
            bytes_removed=told.bytes_removed,
            bytes_added=told.bytes_added,
            elapsed_ms=elapsed_ms,
        )

    def _error(self, error: ErrorRecord, *, counts: bool) -> None:
        """`counts`: it is told where it happened, and not once more."""
        key = (error.fingerprint, error.statement)
        before = self.errors.get(key)
        if before is not None and not counts:
            return
        self.errors[key] = ErrorReport(
            class_=error.class_,
            message=plain(error.message),
            cause=error.cause,
            severity=error.severity,
            category=error.category,
            path=error.file,
            line=error.line,
            position=error.position,
            statement=error.statement,
            query_id=error.query_id,
            suggestion=plain(error.suggestion),
            times=1 + (before.times if before else 0),
        )

    def _warn(self, warning: WarningReport) -> None:
        self.warnings[warning] = None  # after a resume the plan's come again


_NOT_WEIGHED: Final = OptimizeReport(
    table="",
    ran=False,
    worth=None,
    reason=None,
    files_before=None,
    files_after=None,
    bytes_before=None,
    bytes_after=None,
    files_removed=None,
    files_added=None,
    bytes_removed=None,
    bytes_added=None,
    elapsed_ms=None,
)


def _weighed(event: Weighed) -> OptimizeReport:
    return replace(
        _NOT_WEIGHED,
        table=event.table,
        worth=event.worth,
        reason=plain(event.reason),
        files_before=event.files,
        bytes_before=event.bytes,
    )


def _after(before: int | None, removed: int | None, added: int | None) -> int | None:
    if before is None or removed is None or added is None:
        return None
    return before - removed + added


def plain(text: str | Cut) -> str:
    """A text of an event; of one that was cut, its beginning."""
    return f"{text.text}…" if isinstance(text, Cut) else text


def whole(items: tuple[T, ...] | Cut) -> tuple[T, ...]:
    """A list, or nothing where it was too long for its line and is not found apart."""
    return () if isinstance(items, Cut) else items


def _instant(ts: str) -> datetime | None:
    """A time on the wire; `None` if it is none."""
    try:
        at = datetime.fromisoformat(ts)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
