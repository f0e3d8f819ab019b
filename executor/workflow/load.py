"""Reads a directory into a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from executor.workflow.checks import (
    Layout,
    Written,
    left_out,
    merged,
    own_checks,
    planned_checks,
    require_different_names,
    with_files,
)
from executor.workflow.dependencies import dependencies, warnings_between
from executor.workflow.discover import MANIFEST, RawDirectory, read_directory, read_file
from executor.workflow.files import ReadFile, read_statements
from executor.workflow.lineage import Names
from executor.workflow.loop_finding import MAX_ITERATIONS, FoundLoop, declared_loop, find_loops
from executor.workflow.manifest import DeclaredFile, DeclaredLoop, Manifest, read_manifest
from executor.workflow.model import SourceFile, Workflow, WorkflowError
from executor.workflow.names import split_name, table_name
from executor.workflow.placeholders import fill_text
from executor.workflow.profile import (
    Profile,
    choose,
    loop_settings,
    overridden,
    require_loops,
    shared_tables,
)
from executor.workflow.queries import is_query
from protocol.events import PlannedCheck, PlannedFile, PlannedLoop, PlanWarning

STALL_AFTER = 3
"""Iterations without a smaller residual, unless the manifest says otherwise."""


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

    declared = [
        (loop, _declared(loop, files, values)) for loop in manifest.loops if loop.files is not None
    ]
    taken = frozenset(file.id for _, loop in declared for _, file in loop.steps)
    found, more = find_loops(files, taken)
    warnings += more
    require_loops(manifest, found)
    profiles, reason = choose(manifest, [*(loop for _, loop in declared), *found])
    given: list[tuple[FoundLoop, DeclaredLoop]] = [
        (loop, loop_settings(loop, own, manifest, profiles)) for own, loop in declared
    ]
    given += [(loop, loop_settings(loop, None, manifest, profiles)) for loop in found]
    given.sort(key=lambda pair: min(files.index(file) for _, file in pair[0].steps))
    given = _with_names_apart(given)
    loops = tuple(
        _planned_loop(f"loop{number}", loop, settings, values)
        for number, (loop, settings) in enumerate(given, 1)
    )
    for (loop, settings), planned in zip(given, loops, strict=True):
        warnings += loop.warnings
        if loop.literals_differ and settings.generate is not False:
            warnings.append(_cannot_generate(planned, loop))
    warnings += warnings_between(files, loops)
    warnings += shared_tables(files, profiles)
    reason += overridden(manifest, profiles)
    profile = profiles[0] if profiles else None

    criticality = _criticality(manifest, profile, files)
    needed = dependencies(files, loops)
    checks, more = _checks(raw, manifest, profiles, files, loops, criticality, values)
    warnings += more
    steps = {
        file.id: (planned.id, number)
        for (loop, _), planned in zip(given, loops, strict=True)
        for number, file in loop.steps
    }
    return Workflow(
        directory=raw.directory,
        profile=profile.name if profile else None,
        profile_reason=reason,
        files=tuple(
            _source_file(file, steps.get(file.id), criticality[file.id], needed[file.id])
            for file in files
        ),
        loops=loops,
        warnings=tuple(warnings),
        vars=values,
        checks=checks,
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


def _with_names_apart(
    given: Sequence[tuple[FoundLoop, DeclaredLoop]],
) -> list[tuple[FoundLoop, DeclaredLoop]]:
    """The loops, those that would have the same name called by their tables."""
    names = [settings.name or loop.name for loop, settings in given]
    return [
        (loop, settings)
        if names.count(name) == 1
        else (loop, replace(settings, name=loop.table.partition("{")[0].strip("_")))
        for (loop, settings), name in zip(given, names, strict=True)
    ]


def _planned_loop(
    loop_id: str, loop: FoundLoop, settings: DeclaredLoop, values: Mapping[str, str]
) -> PlannedLoop:
    highest = max(number for number, _ in loop.steps)
    return PlannedLoop(
        id=loop_id,
        name=settings.name or loop.name,
        files=tuple(file.id for _, file in loop.steps),
        table=loop.table,
        changed_columns=settings.changed_columns,
        one_way=settings.one_way is True,
        probe=_query(settings.probe, values),
        residual=_query(settings.residual, values),
        alias=loop.alias,
        max_iterations=settings.max_iterations or max(MAX_ITERATIONS, highest),
        generate=settings.generate is not False and not loop.literals_differ,
        stall_after=settings.stall_after or STALL_AFTER,
        intermediates=(loop.table,)
        if settings.intermediates is None
        else tuple(_full_name(name, values) for name in settings.intermediates),
    )


def _query(text: str | None, values: Mapping[str, str]) -> str | None:
    """A test of a loop. Raises WorkflowError if it would change something."""
    if text is None:
        return None
    filled = fill_text(text.strip(), values, path=MANIFEST)
    asked = filled.replace("{table}", "`t`").replace("{previous}", "`p`")
    if not is_query(asked, Names(None, None)):
        raise WorkflowError(
            "CHECK_NOT_A_QUERY",
            f"the test of a loop is not a query: {filled[:80]}",
            path=MANIFEST,
            suggestion="A test changes nothing: write one SELECT that gives one number.",
        )
    return filled


def _cannot_generate(planned: PlannedLoop, loop: FoundLoop) -> PlanWarning:
    return PlanWarning(
        code="LOOP_NOT_GENERATED",
        detail=f"the files of the loop {planned.name} differ in more than table names, so no "
        "iterations beyond them can be made",
        path=loop.steps[-1][1].path,
    )


# --- checks -----------------------------------------------------------------------------------


def _checks(
    raw: RawDirectory,
    manifest: Manifest,
    profiles: Sequence[Profile],
    files: Sequence[ReadFile],
    loops: Sequence[PlannedLoop],
    criticality: Mapping[str, bool],
    values: Mapping[str, str],
) -> tuple[tuple[PlannedCheck, ...], list[PlanWarning]]:
    warnings: list[PlanWarning] = []
    names = _names(values, set())
    mine = {name: _full_name(table, values) for name, table in manifest.tables.items()}
    changed, own = merged(
        profiles[0].manifest.checks if profiles else (), manifest.checks, MANIFEST
    )
    own = with_files(own, raw.checks, MANIFEST)
    named = frozenset(mine.values()).union(
        *(_tables_of(profile, files, loops).values() for profile in profiles)
    )
    planned: list[PlannedCheck] = []
    for place, profile in enumerate(profiles):
        path = f"profiles/{profile.name}.toml"
        loop = next(loop.id for loop in loops if loop.table == profile.loop.table)
        theirs = _tables_of(profile, files, loops)
        known = frozenset(profile.manifest.tables) | mine.keys()
        written = Written(
            path, changed, {**theirs, **mine}, known, named, several=len(profiles) > 1,
            of_profile=True,
        )  # fmt: skip
        warnings += _about_left_out(path, left_out(written))
        layout = Layout(files, loops, criticality, profile.prefix, loop)
        found = list(planned_checks(written, layout, values, names))
        if len(profiles) > 1:  # several ids, each with its checks
            found = [replace(one, name=f"{one.name} ({profile.prefix})") for one in found]
        planned += found
        if place == 0:  # what the user writes may speak of the first id's tables
            written = Written(
                MANIFEST, own, {**theirs, **mine}, known, named, several=False, of_profile=False
            )
            planned += planned_checks(written, layout, values, names)
    layout = Layout(files, loops, criticality, None, None)
    if not profiles:
        written = Written(
            MANIFEST, own, mine, frozenset(mine), named, several=False, of_profile=False
        )
        planned += planned_checks(written, layout, values, names)
    planned += own_checks(layout)
    require_different_names(planned)
    return tuple(planned), warnings


def _about_left_out(path: str, left: Mapping[str, tuple[str, ...]]) -> list[PlanWarning]:
    return [
        PlanWarning(
            code="CHECK_LEFT_OUT",
            detail=f"the check {name!r} of {path} is not made: this workflow makes no table that "
            f"would be called {' or '.join(missing)} in it",
        )
        for name, missing in left.items()
    ]


def _tables_of(
    profile: Profile, files: Sequence[ReadFile], loops: Sequence[PlannedLoop]
) -> dict[str, str]:
    """The tables that a profile has names for, as far as this workflow writes them."""
    there = {name for file in files for name in file.writes}
    there |= {loop.alias for loop in loops if loop.alias is not None}
    return {
        name: full
        for name, last in profile.manifest.tables.items()
        if (full := profile.beside(last)) in there
    }


# --- criticality ------------------------------------------------------------------------------


def _criticality(
    manifest: Manifest, profile: Profile | None, files: Sequence[ReadFile]
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
