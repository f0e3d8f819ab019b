"""What a log adds up to in full: the fold behind `dwx report`.

Theory. The last line of a finished run has sums, but a report is wanted most of runs that have no
last line. So everything is added up from the events, and where the last line tells the same it has
the last word. What it would have told and nothing else does stays unknown, and a remark says that
the line is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from executor.views.report_fold import ReportFold, SeenFile, plain, whole
from executor.views.report_model import (
    Attempt,
    CheckReport,
    ErrorReport,
    FileReport,
    LoopReport,
    PromptReport,
    Report,
    StatementReport,
    TableReport,
    Times,
)
from executor.views.status import RunState
from protocol.base import Cut
from protocol.events import Check, RunFinished
from protocol.hello import Entry
from protocol.shapes import fields_of

SLOWEST: Final = 10

LEFT_OPEN: Final = {
    "running": "The run is at work: this is what its log holds so far.",
    "waiting": "The run waits for an answer: this is what its log holds so far.",
    "stalled": "The run lives but has been silent for longer than it said: this is what its log "
    "holds so far.",
    "crashed": "The log has no last line: its process ended without writing one. What was under "
    "way then may have been executed or not.",
}


def report_of(
    entries: Iterable[Entry], state: RunState = "crashed", remarks: tuple[str, ...] = ()
) -> Report:
    """The report of a run.

    `state`: what the run is in where the log has no last line, which it cannot say itself.
    `remarks`: what the reader of the log has to say beside.
    """
    fold = ReportFold()
    for entry in entries:
        fold.take(entry)
    last = fold.last
    finished = last if isinstance(last, RunFinished) else None
    if last is not None:
        state = "finished" if finished is not None else "suspended"
    place = fold.place or (fold.hello.settings if fold.hello is not None else None)
    statements = tuple(_statement(fold, name) for name in fold.statements)
    files = tuple(_file(fold, one) for one in fold.files.values())
    checks = tuple(_check_report(fold, one) for one in fold.checks.values())
    elapsed = finished.elapsed_ms if finished is not None else _since(fold, fold.reached)
    return Report(
        run=fold.run,
        state=state,
        outcome=finished.outcome if finished is not None else None,
        exit_code=last.exit_code if last is not None else None,
        remarks=(*_remarks(fold, state, statements), *remarks),
        directory=_directory(fold),
        profile=fold.plan.profile if fold.plan is not None else None,
        host=place.host if place is not None else None,
        catalog=place.catalog if place is not None else None,
        schema=place.schema if place is not None else None,
        version=fold.hello.tool_version if fold.hello is not None else None,
        segments=fold.segments,
        began=fold.began_text,
        ended=fold.last_text if last is not None else None,
        elapsed_ms=elapsed,
        rows=_rows(fold, finished, statements),
        file_counts=_file_counts(finished, files),
        statement_counts=_statement_counts(finished, statements),
        check_counts=_check_counts(finished, checks),
        files=files,
        statements=statements,
        loops=_loops(fold, finished),
        checks=checks,
        coverage=_coverage(fold, finished),
        clusters=_clusters(fold, finished),
        tables=_tables(fold, finished),
        optimized=tuple(fold.optimized),
        errors=_errors(fold, statements),
        prompts=tuple(_prompt(fold, name) for name in fold.prompts),
        retries=tuple(fold.retries.values()),
        reconnected=fold.reconnected,
        warnings=tuple(fold.warnings),
        times=_times(fold, finished, statements),
        slowest=_slowest(statements),
        next=_next(fold),
    )


def _remarks(
    fold: ReportFold, state: RunState, statements: tuple[StatementReport, ...]
) -> tuple[str, ...]:
    if fold.hello is None:
        return ("The log holds no event yet.",)
    open_end = [LEFT_OPEN[state]] if state in LEFT_OPEN else []
    open_end += [
        f"Under way: {one.id}, {one.head}"
        for one in statements
        if open_end and one.status == "open"
    ]
    cut = fold.plan is not None and isinstance(fold.plan.files, Cut)
    strange = (
        f"A newer dwx wrote {name}, which this one does not know and must not ignore: believe "
        "this report only as far as it goes."
        for name in fold.strange
    )
    plan = ("The plan is kept apart from the log and was not found with it.",) if cut else ()
    return (*open_end, *plan, *strange)


def _directory(fold: ReportFold) -> str | None:
    if fold.plan is not None:
        return fold.plan.directory
    settings = fold.hello.settings if fold.hello is not None else None
    return settings.directory if settings is not None else None


def _next(fold: ReportFold) -> tuple[str, ...]:
    if isinstance(fold.last, RunFinished):
        return fold.last.next
    return (fold.last.resume_with,) if fold.last is not None else ()


def _since(fold: ReportFold, at: datetime | None) -> int | None:
    if at is None or fold.began is None:
        return None
    return max(0, round((at - fold.began).total_seconds() * 1000))


def _path(fold: ReportFold, file: str | None) -> str | None:
    known = fold.files.get(file) if file is not None else None
    return known.path if known is not None else None


def _file(fold: ReportFold, one: SeenFile) -> FileReport:
    ended = one.finished
    return FileReport(
        id=one.id,
        path=one.path,
        status=ended.status if ended else "open" if one.begun else "not_reached",
        reason=plain(ended.reason) if ended is not None and ended.reason is not None else None,
        loop=one.planned.loop if one.planned is not None else None,
        iteration=one.planned.iteration if one.planned is not None else None,
        statements=len(one.planned.statements) if one.planned is not None else None,
        started_ms=_since(fold, one.started),
        elapsed_ms=ended.elapsed_ms if ended is not None and one.begun else None,
        rows=ended.rows if ended is not None else None,
    )


def _statement(fold: ReportFold, name: str) -> StatementReport:
    one = fold.statements[name]
    attempts = tuple(
        Attempt(
            started_ms=_since(fold, at),
            elapsed_ms=ended.elapsed_ms if ended is not None else None,
            # what was sent again without a word about its end was lost from sight
            status=ended.status if ended else "open" if place == len(one.attempts) else "unknown",
        )
        for place, (at, ended) in enumerate(one.attempts, 1)
    )
    status: Any = one.found or attempts[-1].status
    return StatementReport(
        id=name,
        file=one.file,
        path=_path(fold, one.file),
        kind=one.begun.kind,
        target=one.begun.target,
        line=one.begun.line,
        head=one.begun.head,
        status=status,
        attempts=attempts,
        elapsed_ms=sum(attempt.elapsed_ms or 0 for attempt in attempts),
        rows=one.rows,
        query_id=one.query_id,
        history_url=one.history_url,
    )


def _loops(fold: ReportFold, finished: RunFinished | None) -> tuple[LoopReport, ...]:
    told = {one.loop: one for one in whole(finished.loops)} if finished is not None else {}
    return tuple(
        LoopReport(
            id=one.id,
            name=one.name,
            outcome=told[one.id].outcome if one.id in told else one.outcome,
            by=one.by,
            detail=one.detail,
            max_iterations=one.max_iterations,
            final_table=(told[one.id].final_table if one.id in told else None) or one.final_table,
            iterations=tuple(one.iterations[number] for number in sorted(one.iterations)),
        )
        for one in fold.loops.values()
    )


def _check_report(fold: ReportFold, one: Check) -> CheckReport:
    planned = fold.planned_checks.get((one.phase, one.name))
    paths = (_path(fold, file) for file in one.files)
    return CheckReport(
        name=one.name,
        phase=one.phase,
        status=one.status,
        severity=one.severity,
        observed=one.observed,
        expected=one.expected,
        table=one.table or (planned.table if planned is not None else None),
        measured=one.measured or {},
        elapsed_ms=one.elapsed_ms,
        paths=tuple(path for path in paths if path is not None),
        source=planned.source if planned is not None else None,
    )


def _coverage(fold: ReportFold, finished: RunFinished | None) -> dict[str, float]:
    if finished is not None and finished.coverage is not None:
        return dict(finished.coverage)
    planned = fold.planned_checks
    found: dict[str, float] = {}
    for one in fold.checks.values():
        share = planned[one.phase, one.name].share if (one.phase, one.name) in planned else ()
        measured = one.measured or {}
        if len(share) == 2 and one.table and all(name in measured for name in share):
            part, of = (measured[name] for name in share)
            if of > 0:
                found[one.table] = part / of
    return found


def _clusters(fold: ReportFold, finished: RunFinished | None) -> dict[str, int]:
    if finished is not None and finished.clusters is not None:
        return dict(finished.clusters)
    planned = fold.planned_checks
    sizes = [
        one.measured
        for one in fold.checks.values()
        if (about := planned.get((one.phase, one.name))) is not None and about.sizes
    ]
    return dict(sizes[-1] or {}) if sizes else {}


def _tables(fold: ReportFold, finished: RunFinished | None) -> tuple[TableReport, ...]:
    if finished is not None and not isinstance(finished.tables, Cut):
        return tuple(TableReport(name=one.name, rows=one.rows) for one in finished.tables)
    return tuple(TableReport(name=name, rows=rows) for name, rows in fold.tables.items())


def _errors(fold: ReportFold, statements: tuple[StatementReport, ...]) -> tuple[ErrorReport, ...]:
    """What still stands first, then what was overcome."""
    succeeded = {one.id for one in statements if one.status == "succeeded"}
    errors = (replace(one, overcome=one.statement in succeeded) for one in fold.errors.values())
    return tuple(sorted(errors, key=lambda one: one.overcome))


def _prompt(fold: ReportFold, name: str) -> PromptReport:
    asked, at = fold.prompts[name]
    resolved, answered = fold.resolved.get(name, (None, None))
    began, ended = _since(fold, at), _since(fold, answered)
    return PromptReport(
        prompt=name,
        title=plain(asked.title),
        class_=asked.error.class_ if asked.error is not None else None,
        path=_path(fold, asked.file),
        statement=asked.statement,
        choices=tuple(choice.choice for choice in asked.choices),
        choice=resolved.choice if resolved is not None else None,
        how=resolved.how if resolved is not None else None,
        source=resolved.source if resolved is not None else None,
        by=resolved.by if resolved is not None else None,
        reason=plain(resolved.reason) if resolved and resolved.reason is not None else None,
        waited_ms=ended - began if began is not None and ended is not None else None,
    )


def _rows(
    fold: ReportFold, finished: RunFinished | None, statements: tuple[StatementReport, ...]
) -> int | None:
    if finished is not None and finished.rows is not None:
        return finished.rows
    counted = [one.rows for one in statements if one.file is not None and one.rows is not None]
    return sum(counted) if counted else None


def _times(
    fold: ReportFold, finished: RunFinished | None, statements: tuple[StatementReport, ...]
) -> Times:
    if finished is not None and finished.times is not None:
        return Times(**fields_of(finished.times))
    own = [one for one in statements if one.file is None]
    waits = (_prompt(fold, name).waited_ms for name in fold.prompts)
    return Times(
        statements_ms=sum(one.elapsed_ms for one in statements if one.file is not None),
        convergence_ms=sum(one.elapsed_ms for one in own if one.kind != "optimize"),
        optimize_ms=sum(one.elapsed_ms for one in own if one.kind == "optimize"),
        checks_ms=fold.checks_ms,
        asking_ms=sum(wait for wait in waits if wait is not None),
    )


def _slowest(statements: tuple[StatementReport, ...]) -> tuple[str, ...]:
    order = sorted(statements, key=lambda one: -one.elapsed_ms)
    return tuple(one.id for one in order[:SLOWEST] if one.elapsed_ms > 0)


def _file_counts(finished: RunFinished | None, files: tuple[FileReport, ...]) -> dict[str, int]:
    if finished is not None:
        return fields_of(finished.files)
    names = ("completed", "failed", "skipped", "not_needed")
    counts = {name: sum(one.status == name for one in files) for name in names}
    return {**counts, "total": len(files)}


def _statement_counts(
    finished: RunFinished | None, statements: tuple[StatementReport, ...]
) -> dict[str, int]:
    if finished is not None:
        return fields_of(finished.statements)
    names = ("succeeded", "failed", "cancelled", "unknown")
    return {name: sum(one.status == name for one in statements) for name in names}


def _check_counts(finished: RunFinished | None, checks: tuple[CheckReport, ...]) -> dict[str, int]:
    if finished is not None and finished.checks is not None:
        return fields_of(finished.checks)
    names = ("passed", "failed", "unknown", "skipped")
    return {name: sum(one.status == name for one in checks) for name in names}
