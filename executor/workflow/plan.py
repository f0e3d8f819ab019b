"""The plan as an event for programs and as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from executor.workflow.model import Workflow
from executor.workflow.requirements import generated_between
from protocol.events import Plan, PlannedCheck, PlannedFile, PlannedLoop


def plan_event(workflow: Workflow) -> Plan:
    """What will run, in order; iterations still to be generated are not in it."""
    return Plan(
        directory=str(workflow.directory),
        profile=workflow.profile,
        profile_reason=workflow.profile_reason or None,
        files=tuple(file.planned for file in workflow.files),
        loops=workflow.loops,
        checks=workflow.checks,
        total_files=len(workflow.files),
        total_statements=sum(len(file.texts) for file in workflow.files),
        warnings=workflow.warnings,
    )


def plan_text(workflow: Workflow) -> str:
    """The plan for a person: no colour, one blank line between parts, ends with a line feed."""
    return "\n".join(_lines(workflow)) + "\n"


def _lines(workflow: Workflow) -> Iterator[str]:
    files = [file.planned for file in workflow.files]
    paths = {file.id: file.path for file in files}
    statements = sum(len(file.statements) for file in files)
    yield f"Workflow {workflow.directory}"
    yield f"{_count(len(files), 'file')}, {_count(statements, 'statement')}"
    yield f"Profile {workflow.profile or 'none'}: {workflow.profile_reason}"
    started: set[str] = set()
    for number, file in enumerate(files, 1):
        if file.loop is not None and file.loop not in started:
            started.add(file.loop)
            loop = next(loop for loop in workflow.loops if loop.id == file.loop)
            yield ""
            yield from _loop_lines(loop, paths)
        yield ""
        yield from _file_lines(number, file, paths)
    sources = _sources(workflow)
    if sources:
        yield ""
        yield "Sources (read, written by no file)"
        yield from (f"  {name}" for name in sources)
    for phase, title in (
        ("publish", "Checks before a loop's result is published"),
        ("final", "Checks at the end"),
    ):
        found = [check for check in workflow.checks if check.phase == phase]
        if found:
            yield ""
            yield title
            yield from (_check_line(check) for check in found)
    if workflow.warnings:
        yield ""
        yield "Warnings"
        for warning in workflow.warnings:
            place = warning.path or ""
            if warning.line is not None:
                place += f":{warning.line}"
            yield f"  {warning.code} {place}".rstrip()
            yield f"      {warning.detail}"


def _file_lines(number: int, file: PlannedFile, paths: dict[str, str]) -> Iterator[str]:
    marks = [
        f"iteration {file.iteration}" if file.iteration is not None else "",
        "" if file.critical else "leaf: its failure does not stop the run",
    ]
    note = ", ".join(mark for mark in marks if mark)
    yield f"{number:3}. {file.path}" + (f"  ({note})" if note else "")
    for statement in file.statements:
        again = "" if statement.idempotent else "  [not safe to repeat]"
        if statement.idempotent and statement.unit != statement.id:
            again = f"  [repeat from {statement.unit}]"
        what = f"{statement.kind} {statement.target}" if statement.target else statement.head[:60]
        yield f"       {statement.id:8} line {statement.line:<4} {what}{again}"
    for title, names in (
        ("reads", file.reads),
        ("writes", file.writes),
        ("after", [paths[file_id] for file_id in file.depends_on]),
    ):
        if names:
            yield f"       {title:6} {', '.join(names)}"


def _loop_lines(loop: PlannedLoop, paths: dict[str, str]) -> Iterator[str]:
    yield f"Loop {loop.name}: {_count(len(loop.files), 'file')}, at most {loop.max_iterations}" + (
        " iterations; those beyond the files are generated"
        if loop.generate
        else " iterations, none generated"
    )
    yield f"       tables {loop.table}"
    if loop.probe is not None:
        yield f"       updated: {' '.join(loop.probe.split())}"
    else:
        columns = ", ".join(loop.changed_columns) if loop.changed_columns else "all columns"
        yield f"       updated: rows that the iteration before has not, in {columns}"
    if loop.residual is not None:
        yield f"       residual: {' '.join(loop.residual.split())}"
    if loop.alias is not None:
        yield f"       leaves {loop.alias}"


def _check_line(check: PlannedCheck) -> str:
    problem = f": cannot be evaluated, {check.problem}" if check.problem else ""
    return f"  {check.severity:9} {check.name}  ({check.source}){problem}"


def _sources(workflow: Workflow) -> list[str]:
    made = {name for file in workflow.files for name in file.planned.writes}
    made.update(loop.alias for loop in workflow.loops if loop.alias is not None)
    made.update(name for loop in workflow.loops for name in generated_between(workflow, loop))
    read = {name for file in workflow.files for name in file.planned.reads}
    return sorted(read - made)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
