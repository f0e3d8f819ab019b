"""A run as text for a person: one entry at a time, so it serves a live run and a recorded one.

Text from the warehouse or from SQL is data: control characters are escaped before it is shown.
"""

from __future__ import annotations

from typing import TypeVar

from protocol.base import Cut
from protocol.events import (
    AliasCreated,
    CancelRequested,
    Check,
    CheckCounts,
    ChecksFinished,
    CleanedUp,
    Connected,
    Connecting,
    Converged,
    DecisionRejected,
    Disconnected,
    ErrorPrompt,
    ErrorRecord,
    FileFinished,
    FilePlanned,
    FileStarted,
    Iteration,
    LoginRequired,
    LoopStarted,
    NotConverged,
    Optimized,
    Plan,
    PreflightFinished,
    PromptResolved,
    Reconnected,
    Retrying,
    RowsAffected,
    RunFinished,
    RunSuspended,
    Unknown,
    Waiting,
    Warned,
    Weighed,
)
from protocol.hello import Entry, Hello
from protocol.shapes import fields_of

T = TypeVar("T")


def lines_of(entry: Entry) -> list[str]:
    """What a person is shown of an entry; empty for what only a program wants to know."""
    event = entry.event
    match event:
        case Hello():
            directory = event.settings.directory if event.settings else ""
            resumed = f" (segment {event.segment})" if event.segment > 1 else ""
            return [f"dwx {event.tool_version}  run {entry.run}{resumed}  {directory}".rstrip()]
        case Plan():
            return [
                f"• Plan: {event.total_files} files, {event.total_statements} statements",
                *(f"! {shown(one.detail)}" for one in _whole(event.warnings)),
            ]
        case Connecting():
            return [f"• Connecting to {event.host or 'the warehouse'}"]
        case Waiting():
            return [f"• Waiting: {event.reason}, {seconds(event.elapsed_ms)}"]
        case LoginRequired():
            return [f"? Log in until {event.deadline}: {shown(event.url)}"]
        case Connected():
            return [f"✓ Connected: {event.catalog}.{event.schema} ({seconds(event.elapsed_ms)})"]
        case Reconnected():
            return [f"✓ Connected again ({seconds(event.elapsed_ms)})"]
        case Disconnected():
            return [f"• Disconnected: {event.reason}"]
        case Check():
            return [_check(event)]
        case PreflightFinished():
            return [f"• Checks: {_counts(event.checks)}"]
        case ChecksFinished():
            what = "before publishing" if event.phase == "publish" else "of what was made"
            return [f"• Checks {what}: {_counts(event.checks)} ({seconds(event.elapsed_ms)})"]
        case FileStarted():
            return [f"Executing: {shown(event.path)}  [{event.index}/{event.total}]"]
        case FilePlanned(reason="generated", file=file) if not isinstance(file, Cut):
            return [f"• Generated: {shown(file.path)}"]
        case FilePlanned(file=file) if not isinstance(file, Cut):
            return [f"• Read again: {shown(file.path)}{' (edited)' if event.changed else ''}"]
        case RowsAffected():
            return [f"  • {shown(event.target or event.statement)}: {counted(event.total)}"]
        case FileFinished():
            return [_file_finished(event)]
        case LoopStarted():
            return [f"Loop {event.name}: at most {event.max_iterations} iterations"]
        case Iteration():
            return [
                f"--- Iteration {event.iteration} ---",
                f"  • {progress_of(event)}, {seconds(event.elapsed_ms)}",
            ]
        case Converged():
            return [f"✓ Converged after {event.iterations} iterations: {shown(event.final_table)}"]
        case NotConverged():
            return [f"✗ Not converged ({event.reason}): {shown(event.evidence)}"]
        case AliasCreated():
            return [f"✓ {shown(event.table)} is {shown(event.from_)}"]
        case Weighed(worth=False):
            return [f"• Not optimized, {shown(event.table)}: {shown(event.reason)}"]
        case Optimized():
            return [f"✓ Optimized {shown(event.table)} ({seconds(event.elapsed_ms)})"]
        case CleanedUp():
            return [f"✓ Cleaned up {shown(table)}" for table in _whole(event.tables)]
        case ErrorPrompt():
            return _prompt(event)
        case PromptResolved():
            chosen = f"{event.choice} " if event.choice else ""
            by = f" by {shown(event.by)}" if event.by else ""
            return [f"→ {event.prompt}: {chosen}({event.how}{by})"]
        case DecisionRejected():
            return [f"! Decision rejected ({event.code}): {shown(event.detail)}"]
        case Retrying():
            return [f"• Retrying {event.statement}: {event.category}"]
        case Warned():
            return [f"! {shown(event.detail)}"]
        case CancelRequested():
            return [f"! Cancel requested by {event.by}"]
        case RunSuspended():
            return [f"• Suspended: {event.reason}", f"  {event.resume_with}"]
        case RunFinished():
            return _summary(event)
        case Unknown() if event.critical:
            return [f"! {shown(event.type)}: this version does not know it, and it is critical"]
        case _:
            return []


def progress_of(event: Iteration) -> str:
    """What the tests of an iteration have told, in words."""
    said = []
    if event.updated is not None:
        said.append(f"changed {counted(event.updated)}")
    if event.residual is not None:
        said.append(f"{event.residual:,} left to merge")
    if event.iterations_left:
        more = "iteration" if event.iterations_left == 1 else "iterations"
        said.append(f"about {event.iterations_left} more {more}")
    return ", ".join(said) or "how much it changed is not known"


def _check(event: Check) -> str:
    mark = {"passed": "✓", "failed": "✗"}.get(event.status, "•")
    light = event.severity not in ("fatal", "critical")
    said = f": {shown(event.observed)}" if event.observed and event.status != "passed" else ""
    status = "warning" if event.status == "failed" and light else event.status
    return f"{mark} Check {shown(event.name)}: {status}{said}"


def _counts(checks: CheckCounts) -> str:
    found = fields_of(checks)
    return ", ".join(f"{found[name]} {name}" for name in found if found[name]) or "none made"


def _file_finished(event: FileFinished) -> str:
    path = shown(event.path)
    match event.status:
        case "completed":
            rows = f"{counted(event.rows)}, " if event.rows is not None else ""
            return f"✓ {path}: {rows}{seconds(event.elapsed_ms)}"
        case "failed":
            return f"✗ {path}: failed, {shown(event.reason or '')}"
        case "skipped":
            return f"✗ {path}: skipped, {shown(event.reason or '')}"
        case "not_needed":
            return f"• {path}: not needed, {shown(event.reason or '')}"


def _prompt(event: ErrorPrompt) -> list[str]:
    lines = [f"✗ {shown(event.title)}"]
    if event.error is not None:
        lines.extend(f"  {line}" for line in _error(event.error))
    elif event.evidence:
        lines.append(f"  {shown(event.evidence)}")
    choices = ", ".join(choice.choice for choice in event.choices)
    return [*lines, f"? {event.prompt}: {choices}"]


def _error(error: ErrorRecord) -> list[str]:
    place = f" ({shown(error.file)}, line {error.line})" if error.file and error.line else ""
    lines = [f"{shown(error.message)}{place}"]
    if error.cause is not None:
        lines.append(f"caused by {shown(error.cause)}")
    if isinstance(error.stack, Cut) and error.stack.ref:
        lines.append(f"stack: {shown(error.stack.ref)} ({error.stack.bytes} bytes)")
    return [*lines, f"→ {shown(error.suggestion)}"]


def _summary(event: RunFinished) -> list[str]:
    files, statements = event.files, event.statements
    marks = {"succeeded": "✓", "incomplete": "!"}
    left = f", {files.not_needed} not needed" if files.not_needed else ""
    lines = [
        "",
        f"{marks.get(event.outcome, '✗')} {event.outcome.capitalize()} in "
        f"{seconds(event.elapsed_ms)} (exit code {event.exit_code})",
        f"  • files: {files.completed} completed, {files.failed} failed, "
        f"{files.skipped} skipped{left}, of {files.total}",
        f"  • statements: {statements.succeeded} succeeded, {statements.failed} failed",
    ]
    lines.extend(
        f"  • {loop.loop}: {loop.outcome}, {loop.iterations} iterations"
        for loop in _whole(event.loops)
    )
    lines.extend(f"  • {shown(one.name)}: {counted(one.rows)}" for one in _whole(event.tables))
    lines.extend(
        f"  • coverage of {shown(table)}: {share:.1%}"
        for table, share in (event.coverage or {}).items()
    )
    if event.checks is not None:
        lines.append(f"  • checks: {_counts(event.checks)}")
    lines.extend(f"  ✗ {shown(name)}" for name in _whole(event.failed_checks))
    if event.error is not None:
        lines.extend(f"  {line}" for line in _error(event.error))
    lines.extend(f"→ {one}" for one in event.next)
    return lines


def _whole(items: tuple[T, ...] | Cut) -> tuple[T, ...]:
    """A list, or nothing where it was too long for its line."""
    return () if isinstance(items, Cut) else items


def shown(text: str | Cut) -> str:
    """Text from outside, on one line, control characters escaped."""
    if isinstance(text, Cut):
        text = f"{text.text}… ({text.bytes} bytes)"
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def counted(rows: int | None) -> str:
    """A number of rows; unknown is said, not shown as zero."""
    if rows is None:
        return "rows unknown"
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def seconds(milliseconds: int) -> str:
    """A duration for a person."""
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, rest = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} min {rest} s"
