"""A report as text, for a terminal. Text from outside is data: control characters are escaped."""

from __future__ import annotations

from collections.abc import Iterable

from executor.views.report_model import CheckReport, ErrorReport, LoopReport, PromptReport, Report
from executor.views.report_words import (
    amiss,
    counts_of,
    error_mark,
    error_place,
    error_status,
    file_line,
    headline,
    iteration_line,
    loop_line,
    mark,
    measured,
    message_of,
    number,
    optimize_line,
    percent,
    place,
    settled,
    spent,
    times,
    verdict,
    words,
)
from executor.views.text import counted, seconds, shown


def as_text(report: Report) -> str:
    """The report, line feed at the end included."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterable[str]:
    yield f"dwx {shown(report.version or '')}  run {shown(report.run)}  " + shown(
        report.directory or ""
    )
    yield f"{mark(verdict(report))} {headline(report)}"
    yield from (f"! {shown(one)}" for one in report.remarks)
    began = f"began {shown(report.began)}" if report.began else ""
    facts = (began, place(report), f"profile {shown(report.profile)}" if report.profile else "")
    if any(facts):
        yield f"  {', '.join(fact for fact in facts if fact)}"
    files = (f"{mark(one.status)} {shown(one.path)}: {file_line(one)}" for one in report.files)
    yield from _section("Files", files)
    for loop in report.loops:
        yield from _section(f"Loop {shown(loop.name)}", _loop(loop))
    optimized = (
        f"{'✓' if one.ran else '•'} {shown(one.table)}: {optimize_line(one)}"
        for one in report.optimized
    )
    yield from _section("OPTIMIZE", optimized)
    yield from _section("Errors", (line for one in report.errors for line in _error(one)))
    yield from _section("Decisions", (line for one in report.prompts for line in _prompt(one)))
    retries = (
        f"• {shown(one.statement)}: {times(one.times)} ({shown(one.category)})"
        for one in report.retries
    )
    yield from _section("Tried again", retries)
    found = ": ".join(("Checks", counts_of(report.check_counts)))
    yield from _section(found, (line for one in amiss(report.checks) for line in _check(one)))
    if not amiss(report.checks) and any(report.check_counts.values()):
        yield from ("", found)
    coverage = (f"• {shown(name)}: {percent(one)}" for name, one in report.coverage.items())
    yield from _section("Coverage", coverage)
    clusters = (f"• {shown(words(name))}: {one:,}" for name, one in report.clusters.items())
    yield from _section("Clusters", clusters)
    tables = (f"• {shown(one.name)}: {counted(one.rows)}" for one in report.tables)
    yield from _section("Tables", tables)
    yield from _section("Warnings", (f"! {shown(one.detail)}" for one in report.warnings))
    yield from _section("Summary", _summary(report))
    if report.next:
        yield ""
        yield from (f"→ {shown(one)}" for one in report.next)


def _section(title: str, lines: Iterable[str]) -> Iterable[str]:
    """A title and what stands below it; nothing if that is nothing."""
    found = [f"  {line}" for line in lines]
    return ["", title, *found] if found else []


def _loop(loop: LoopReport) -> Iterable[str]:
    for one in loop.iterations:
        yield f"• Iteration {one.iteration}: {iteration_line(one)}"
    yield f"{mark(loop.outcome)} {loop_line(loop)[0].upper()}{loop_line(loop)[1:]}"
    if loop.final_table:
        yield f"→ {shown(loop.final_table)}"


def _error(error: ErrorReport) -> Iterable[str]:
    where = f" in {error_place(error)}" if error_place(error) else ""
    yield f"{error_mark(error)} {shown(error.class_)}{where} ({error_status(error)})"
    yield f"  {shown(message_of(error))}"
    if error.cause is not None:
        yield f"  caused by {shown(error.cause)}"
    yield f"  → {shown(error.suggestion)}"


def _prompt(prompt: PromptReport) -> Iterable[str]:
    yield f"{'?' if prompt.how is None else '•'} {shown(prompt.prompt)}: {shown(prompt.title)}"
    reason = f": {shown(prompt.reason)}" if prompt.reason else ""
    yield f"  → {settled(prompt)}{reason}"


def _check(check: CheckReport) -> Iterable[str]:
    about = f", {shown(check.table)}" if check.table else ""
    mark_of = "✗" if check.status == "failed" else "!"
    yield f"{mark_of} {shown(check.name)}: {check.status} ({check.severity}, {check.phase}{about})"
    if check.observed is not None:
        yield f"  observed: {shown(check.observed)}"
    if check.expected is not None:
        yield f"  expected: {shown(check.expected)}"
    if check.measured:
        yield f"  measured: {measured(check)}"


def _summary(report: Report) -> Iterable[str]:
    total = report.file_counts.get("total", len(report.files))
    yield f"• files: {counts_of(report.file_counts)}, of {total}"
    yield f"• statements: {counts_of(report.statement_counts)}"
    if report.rows is not None:
        yield f"• rows affected: {number(report.rows)}"
    if report.prompts:
        answered = sum(one.how is not None for one in report.prompts)
        yield f"• questions: {len(report.prompts)} asked, {answered} settled"
    if report.reconnected:
        yield f"• sessions replaced: {report.reconnected}"
    if report.segments > 1:
        yield f"• processes: {report.segments}, the run was resumed"
    if report.elapsed_ms is not None:
        yield f"• total time: {seconds(report.elapsed_ms)}"
    parts = ", ".join(f"{name} {seconds(taken)}" for name, taken in spent(report.times))
    if parts:
        yield f"• time spent: {parts}"
    by_id = {one.id: one for one in report.statements}
    for name in report.slowest[:3]:
        one = by_id[name]
        place_of = f" in {shown(one.path)}" if one.path else ""
        yield f"• slow: {shown(name)}{place_of}, {seconds(one.elapsed_ms)}"
