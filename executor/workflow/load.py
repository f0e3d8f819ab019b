"""Reads a directory into a workflow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from executor.workflow.dependencies import dependencies, warnings_between
from executor.workflow.discover import MANIFEST, built_in_profiles, read_directory, read_file
from executor.workflow.files import ReadFile, read_statements
from executor.workflow.lineage import Names
from executor.workflow.loop_finding import MAX_ITERATIONS, FoundLoop, declared_loop, find_loops
from executor.workflow.manifest import DeclaredFile, DeclaredLoop, Manifest, Match, read_manifest
from executor.workflow.model import SourceFile, Workflow, WorkflowError
from executor.workflow.names import split_name, table_name
from executor.workflow.placeholders import fill_text
from protocol.events import PlannedFile, PlannedLoop, PlanWarning


def load_workflow(directory: Path, *, vars: Mapping[str, str]) -> Workflow:  # noqa: A002  # its name for users
    """Reads every SQL file of `directory`, and workflow.toml if there is one.

    `vars` are the placeholders of the command line, catalog and schema among them; they win over
    the defaults of the manifest. Raises WorkflowError for the first fault found.
    """
    raw = read_directory(directory)
    manifest = Manifest() if raw.manifest is None else read_manifest(raw.manifest, MANIFEST)
    values = {**manifest.vars, **vars}
    temporary: set[str] = set()
    files = [
        read_statements(
            f"f{number}", file.path, file.sha256, file.text, values, _names(values, temporary)
        )
        for number, file in enumerate(raw.files, 1)
    ]
    warnings = [warning for file in files for warning in file.warnings]

    declared = [(loop, _declared(loop, files, values)) for loop in manifest.loops]
    taken = frozenset(file.id for _, loop in declared for _, file in loop.steps)
    found, more = find_loops(files, taken)
    warnings += more
    profile = _matching_profile([*(loop for _, loop in declared), *found])
    given: list[tuple[FoundLoop, DeclaredLoop | None]] = [(loop, own) for own, loop in declared]
    given += [(loop, _settings(loop, profile)) for loop in found]
    given.sort(key=lambda pair: min(files.index(file) for _, file in pair[0].steps))
    loops = tuple(
        _planned_loop(f"loop{number}", loop, settings, values)
        for number, (loop, settings) in enumerate(given, 1)
    )
    for (loop, settings), planned in zip(given, loops, strict=True):
        warnings += loop.warnings
        if loop.literals_differ and (settings is None or settings.generate is not False):
            warnings.append(_cannot_generate(planned, loop))
    warnings += warnings_between(files, loops)
    if profile is not None:
        warnings += _unprefixed(files, profile)

    criticality = _criticality(manifest, profile, files)
    needed = dependencies(files, loops)
    steps = {
        file.id: (planned.id, number)
        for (loop, _), planned in zip(given, loops, strict=True)
        for number, file in loop.steps
    }
    return Workflow(
        directory=raw.directory,
        profile=profile.name if profile else None,
        files=tuple(
            _source_file(file, steps.get(file.id), criticality[file.id], needed[file.id])
            for file in files
        ),
        loops=loops,
        warnings=tuple(warnings),
        vars=values,
    )


def reload_file(workflow: Workflow, file_id: str, planned: PlannedFile) -> SourceFile:
    """Reads a file of the workflow again, which may have been edited meanwhile.

    Id, loop, iteration, criticality and dependencies stay those of `planned`. Raises WorkflowError
    as `load_workflow` does; FILE_GENERATED if no file holds this iteration; LOOP_TABLE_GONE if a
    file of a loop does not make its iteration's table any more.
    """
    if all(file.planned.id != file_id for file in workflow.files):
        raise WorkflowError(
            "FILE_GENERATED",
            "this iteration was generated, there is no file to read again",
            path=planned.path,
            suggestion="Correct the last file of the loop and generate the iteration again.",
        )
    raw = read_file(workflow.directory, planned.path)
    temporary = {name for file in workflow.files for name in file.planned.writes if "." not in name}
    read = read_statements(
        file_id, raw.path, raw.sha256, raw.text, workflow.vars, _names(workflow.vars, temporary)
    )
    _require_iteration(workflow, planned, read)
    return SourceFile(
        replace(
            planned,
            sha256=read.sha256,
            statements=read.statements,
            reads=read.reads,
            writes=read.writes,
        ),
        read.texts,
        read.lineage,
    )


def _require_iteration(workflow: Workflow, planned: PlannedFile, read: ReadFile) -> None:
    for loop in workflow.loops:
        if loop.id == planned.loop and planned.iteration is not None:
            table = table_name(loop.table, planned.iteration)
            if table not in read.keeps:
                raise WorkflowError(
                    "LOOP_TABLE_GONE",
                    f"the file was edited and does not make {table} any more, "
                    f"the table of iteration {planned.iteration}",
                    path=planned.path,
                    suggestion="Write that table again, or run the workflow anew.",
                )


def _names(values: Mapping[str, str], temporary: set[str]) -> Names:
    return Names(values.get("catalog"), values.get("schema"), temporary)


def _source_file(
    file: ReadFile, step: tuple[str, int] | None, critical: bool, depends_on: tuple[str, ...]
) -> SourceFile:
    planned = PlannedFile(
        id=file.id,
        path=file.path,
        sha256=file.sha256,
        kind="plain" if step is None else "loop",
        loop=None if step is None else step[0],
        iteration=None if step is None else step[1],
        critical=critical,
        statements=file.statements,
        reads=file.reads,
        writes=file.writes,
        depends_on=depends_on,
    )
    return SourceFile(planned, file.texts, file.lineage)


# --- loops ------------------------------------------------------------------------------------


def _declared(
    loop: DeclaredLoop, files: Sequence[ReadFile], values: Mapping[str, str]
) -> FoundLoop:
    assert loop.table is not None
    table = _full_name(loop.table, values)
    alias = None if loop.alias is None else _full_name(loop.alias, values)
    return declared_loop(loop, table, alias, files, MANIFEST)


def _full_name(text: str, values: Mapping[str, str]) -> str:
    filled = fill_text(text, values, path=MANIFEST)
    return _names(values, set()).resolve(split_name(filled))


def _planned_loop(
    loop_id: str, loop: FoundLoop, settings: DeclaredLoop | None, values: Mapping[str, str]
) -> PlannedLoop:
    settings = settings or DeclaredLoop(line=None)
    highest = max(number for number, _ in loop.steps)
    return PlannedLoop(
        id=loop_id,
        name=settings.name or loop.name,
        files=tuple(file.id for _, file in loop.steps),
        table=loop.table,
        changed_columns=settings.changed_columns,
        probe=_query(settings.probe, values),
        residual=_query(settings.residual, values),
        alias=loop.alias,
        max_iterations=settings.max_iterations or max(MAX_ITERATIONS, highest),
        generate=settings.generate is not False and not loop.literals_differ,
    )


def _query(text: str | None, values: Mapping[str, str]) -> str | None:
    return None if text is None else fill_text(text.strip(), values, path=MANIFEST)


def _cannot_generate(planned: PlannedLoop, loop: FoundLoop) -> PlanWarning:
    return PlanWarning(
        code="LOOP_NOT_GENERATED",
        detail=f"the files of the loop {planned.name} differ in more than table names, so no "
        "iterations beyond them can be made",
        path=loop.steps[-1][1].path,
    )


# --- profile ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Profile:
    """A built-in profile that fits, and the name its `{id}` stands for."""

    name: str
    manifest: Manifest
    match: Match
    prefix: str


def _matching_profile(loops: Sequence[FoundLoop]) -> _Profile | None:
    if not loops:
        return None
    for name, text in built_in_profiles():
        manifest = read_manifest(text, f"profiles/{name}.toml", profile=True)
        assert manifest.match is not None
        pattern = re.escape(manifest.match.loop_table)
        pattern = pattern.replace(re.escape("{id}"), "(?P<id>.+)")
        pattern = pattern.replace(re.escape("{iteration}"), r"\{iteration(?::\d+)?\}")
        for loop in loops:
            found = re.fullmatch(pattern, split_name(loop.table)[-1])
            if found:
                return _Profile(name, manifest, manifest.match, found.groupdict().get("id", ""))
    return None


def _settings(loop: FoundLoop, profile: _Profile | None) -> DeclaredLoop | None:
    if profile is None or not profile.manifest.loops:
        return None
    is_its_loop = split_name(loop.table)[-1].startswith(profile.prefix)
    return profile.manifest.loops[0] if is_its_loop else None


def _unprefixed(files: Sequence[ReadFile], profile: _Profile) -> list[PlanWarning]:
    return [
        PlanWarning(
            code="SHARED_TABLE",
            detail=f"{name} is not named after {profile.prefix}: another workflow in this schema "
            "writes the same table",
            path=file.path,
        )
        for file in files
        if any(PurePosixPath(file.path).match(one) for one in profile.match.unprefixed)
        for name in file.writes
        if not split_name(name)[-1].startswith(f"{profile.prefix}_")
    ]


def _criticality(
    manifest: Manifest, profile: _Profile | None, files: Sequence[ReadFile]
) -> Mapping[str, bool]:
    """By file id; what the manifest says wins over the profile, a later entry over an earlier."""
    for entry in manifest.files:
        if not any(_matches(entry, file) for file in files):
            raise WorkflowError(
                "MANIFEST_INVALID",
                f"no file matches {entry.pattern!r}",
                path=MANIFEST,
                line=entry.line,
                suggestion="Correct the name, or take the entry out.",
            )
    rules = [*(profile.manifest.files if profile else ()), *manifest.files]
    return {
        file.id: next((rule.critical for rule in reversed(rules) if _matches(rule, file)), True)
        for file in files
    }


def _matches(rule: DeclaredFile, file: ReadFile) -> bool:
    return PurePosixPath(file.path).match(rule.pattern)
