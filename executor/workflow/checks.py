"""Plans the checks of what a run makes: those of a profile, those of the user, and dwx's own.

Theory. A check is a query and what it has to give. A profile writes it for a layout, not for
tables, so names stand in braces in it: `{lookup}` for a table that `[tables]` names, `{output}` and
`{source}` for those of each file that it is made for. A check whose tables this workflow does not
make does not apply, and is left out; one of which it cannot be told what it is about cannot be
evaluated, and is `unknown` in every run until it is written down in workflow.toml.

Every table that the files leave behind gets a check of dwx's own: that it was written by this run,
and is not what an earlier one has left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePosixPath

from executor.workflow.discover import RawFile
from executor.workflow.expectations import FRESH
from executor.workflow.files import ReadFile
from executor.workflow.lineage import Lineage, Names
from executor.workflow.manifest import DeclaredCheck
from executor.workflow.model import WorkflowError
from executor.workflow.names import quote, split_name, sql_name
from executor.workflow.pieces import pieces
from executor.workflow.placeholders import fill, fill_text
from executor.workflow.queries import is_query
from executor.workflow.statements import scan
from protocol.events import PlannedCheck, PlannedLoop, Severity

HISTORY_READ = 10
"""Entries of a table's history among which the newest write is looked for."""

_NAME = re.compile(r"(?<!\$)\{([a-z_]\w*)\}")
_VIEW = re.compile(r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:\w+\s+){0,2}VIEW\b", re.IGNORECASE)
_FULL = 3  # parts of a name that says where its table is


@dataclass(frozen=True, slots=True)
class Written:
    """Checks as somebody has written them."""

    path: str
    """Where, as errors and plans name it."""
    checks: tuple[DeclaredCheck, ...]
    tables: Mapping[str, str]
    """Full names by the name in braces; only tables that there are."""
    known: frozenset[str]
    """Names in braces that mean a table, whether this workflow has it or not."""
    named: frozenset[str]
    """Tables that have a name, those of other ids included."""
    several: bool
    """True if the workflow makes several ids."""
    of_profile: bool
    """True for a layout's: what this workflow does not make is left out, and so are files that do
    not read, directly or through others, a table that `tables` names."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What checks are planned for."""

    files: Sequence[ReadFile]
    loops: Sequence[PlannedLoop]
    criticality: Mapping[str, bool]
    prefix: str | None
    """What `{id}` stands for; `None` without a profile."""
    prefixed_loop: str | None
    """Id of the loop whose tables have told it."""


# --- what the files leave behind --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Output:
    """A table that is there when all files are done."""

    file: str
    """The one that wrote it last."""
    anew: bool
    """True if the run makes it anew, so that nothing of an earlier one can be left in it."""


def outputs(layout: Layout) -> Mapping[str, _Output]:
    """The tables that are there when all files are done, but for views and what passes."""
    kept: dict[str, _Output] = {}
    views: set[str] = set()
    ends = {loop.files[-1]: loop for loop in layout.loops}
    for file in layout.files:
        for step, planned in zip(file.lineage, file.statements, strict=True):
            if _VIEW.match(planned.head):
                views.update(step.writes)
            for name in step.writes:
                kept[name] = _written(file.id, step, kept.get(name))
            for name in step.dropped:
                kept.pop(name, None)
        loop = ends.get(file.id)
        if loop is not None and loop.alias is not None:
            kept[loop.alias] = _Output(file.id, anew=True)
    in_loops = {file for loop in layout.loops for file in loop.files}
    passing = views | {name for loop in layout.loops for name in loop.intermediates}
    passing |= {name for file in layout.files if file.id in in_loops for name in file.keeps}
    return {
        name: output
        for name, output in kept.items()
        if name not in passing and len(split_name(name)) == _FULL
    }


def _written(file: str, step: Lineage, before: _Output | None) -> _Output:
    """What a table is once this step has written it. One that is made only if it is missing is
    meant to be kept from run to run.
    """
    if step.kind in _MAKE or (step.kind == "insert_overwrite" and not step.partial):
        return _Output(file, anew=not step.guarded)
    return _Output(file, anew=before is not None and before.anew)


_MAKE = ("create", "create_as", "replace", "replace_as", "rename", "truncate")


def own_checks(layout: Layout) -> Iterator[PlannedCheck]:
    """For each output that it was written by this run. Of one that is kept from run to run that is
    only told: a MERGE that finds nothing to change need not write.
    """
    for table, output in outputs(layout).items():
        severity: Severity = "critical" if layout.criticality[output.file] else "moderate"
        yield PlannedCheck(
            name=f"{table} was written by this run",
            phase="final",
            severity=severity if output.anew else "warning",
            sql=f"DESCRIBE HISTORY {sql_name(table)} LIMIT {HISTORY_READ}",
            expect=(FRESH,),
            table=table,
            files=(output.file,),
            source="dwx",
        )


def require_different_names(checks: Sequence[PlannedCheck]) -> None:
    """Raises WorkflowError MANIFEST_INVALID for two checks of one name: in a log they are one."""
    for place, check in enumerate(checks):
        if any(other.name == check.name for other in checks[:place]):
            raise WorkflowError(
                "MANIFEST_INVALID",
                f"there are two checks called {check.name!r}",
                path=check.source,
                suggestion="Give each a name of its own; with each, put {output} into it.",
            )


# --- what somebody has written ----------------------------------------------------------------


def merged(
    base: Sequence[DeclaredCheck], own: Sequence[DeclaredCheck], path: str
) -> tuple[tuple[DeclaredCheck, ...], tuple[DeclaredCheck, ...]]:
    """The checks of a profile with what the user's say otherwise, and the user's other checks."""
    by_name = {check.name: check for check in own}
    changed = tuple(_over(by_name.pop(check.name, None), check) for check in base)
    for check in by_name.values():
        if check.sql is None and check.file is None and check.enabled is not False:
            raise WorkflowError(
                "MANIFEST_INVALID",
                f"there is no check called {check.name!r} whose settings this could change, and it "
                "has no sql of its own",
                path=path,
                line=check.line,
                suggestion="Add sql or file, or take a name that dwx plan shows.",
            )
    return changed, tuple(by_name.values())


def _over(own: DeclaredCheck | None, base: DeclaredCheck) -> DeclaredCheck:
    if own is None:
        return base
    said = {
        one.name: value
        for one in fields(own)
        if (value := getattr(own, one.name)) is not None and one.name != "line"
    }
    return replace(base, **said)


def with_files(
    checks: Sequence[DeclaredCheck], texts: Sequence[RawFile], path: str
) -> tuple[DeclaredCheck, ...]:
    """Puts the queries of checks/*.sql in; those that nobody speaks of are checks all the same."""
    by_path = {raw.path: raw for raw in texts}
    found: list[DeclaredCheck] = []
    for check in checks:
        if check.file is None:
            found.append(check)
            continue
        raw = by_path.pop(check.file, None)
        if raw is None:
            raise WorkflowError(
                "MANIFEST_INVALID",
                f"there is no file {check.file}",
                path=path,
                line=check.line,
                suggestion="Checks lie in the folder checks/, as checks/name.sql.",
            )
        found.append(replace(check, sql=raw.text))
    found += [
        DeclaredCheck(line=1, name=raw.path, file=raw.path, sql=raw.text)
        for raw in by_path.values()
    ]
    return tuple(found)


def planned_checks(
    written: Written, layout: Layout, values: Mapping[str, str], names: Names
) -> Iterator[PlannedCheck]:
    """The checks as they will be made. Raises WorkflowError MANIFEST_INVALID, CHECK_NOT_A_QUERY,
    UNDEFINED_PLACEHOLDER.
    """
    for check in written.checks:
        if check.enabled is False:
            continue
        assert check.sql is not None
        _require_known_names(check, written, layout)
        once = [_Instance()]
        for instance in once if check.each is None else _each(check, written, layout):
            planned = _planned(check, written, layout, instance, values, names)
            if planned is not None:
                yield planned


def left_out(written: Written) -> Mapping[str, tuple[str, ...]]:
    """Checks of a profile about tables that this workflow does not make, by name, with what is
    missing.
    """
    found = {}
    for check in written.checks:
        missing = (_names_in(check.sql or "") & written.known) - written.tables.keys()
        if missing and check.enabled is not False:
            found[check.name] = tuple(sorted(missing))
    return found


@dataclass(frozen=True, slots=True)
class _Instance:
    """A check as it is made for one file, or the only one there is."""

    meaning: Mapping[str, _Meaning] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    problem: str | None = None
    """Why it cannot be evaluated."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a word in braces stands for: a table, or SQL."""

    table: str | None = None
    sql: str = ""

    def in_sql(self) -> str:
        return sql_name(self.table) if self.table is not None else self.sql

    def in_text(self) -> str:
        return split_name(self.table)[-1] if self.table is not None else self.sql


def _planned(
    check: DeclaredCheck,
    written: Written,
    layout: Layout,
    instance: _Instance,
    values: Mapping[str, str],
    names: Names,
) -> PlannedCheck | None:
    """The check with all names filled in; `None` if this workflow has not what it is about."""
    assert check.sql is not None
    meaning = {**instance.meaning, **{n: _Meaning(table) for n, table in written.tables.items()}}
    if layout.prefix is not None:
        meaning["id"] = _Meaning(sql=quote(layout.prefix))
    publish = check.when == "publish"
    used = _names_in(check.sql) | set(_NAME.findall(check.table or ""))
    used -= {"result"} if publish else set()
    problem = instance.problem
    if problem is None and not used <= meaning.keys():
        if written.of_profile:
            return None
        problem = f"this workflow makes no {', '.join(sorted(used - meaning.keys()))}"
    sql = "" if problem else _query(check, written, meaning, values, names)
    about = _NAME.fullmatch(check.table or ("{output}" if check.each else ""))
    table = meaning[about[1]].table if about and about[1] in meaning else None
    if about is None and check.table is not None:
        table = fill_text(check.table, values, path=written.path)
    writers = {name: file.id for file in layout.files for name in file.writes}
    tables = [meaning[name].table for name in sorted(used & meaning.keys())]
    about_files = instance.files or tuple(
        dict.fromkeys(writers[name] for name in tables if name is not None and name in writers)
    )
    default: Severity = "critical"
    return PlannedCheck(
        name=_filled(check.name, {name: one.in_text() for name, one in meaning.items()}),
        phase="publish" if publish else "final",
        severity=check.severity or default,
        sql=sql,
        expect=check.expect or (),
        loop=_loop_of(check, written, layout) if publish else None,
        table=table,
        share=check.share or (),
        sizes=check.sizes is True,
        files=() if publish else about_files,
        source=check.file or written.path,
        problem=problem,
    )


def _query(
    check: DeclaredCheck,
    written: Written,
    meaning: Mapping[str, _Meaning],
    values: Mapping[str, str],
    names: Names,
) -> str:
    """The SQL with everything filled in but `{result}`. It must be one query."""
    assert check.sql is not None
    text = _filled_code(check.sql, {name: one.in_sql() for name, one in meaning.items()})
    path = check.file or written.path
    line = None if check.file is None else 1
    found = scan(text, path)
    if len(found) == 1:
        filled = fill(found[0], values, source=text, path=path)
        if is_query(filled.parsed.replace("{result}", "`result`"), names):
            return filled.sent
    raise WorkflowError(
        "CHECK_NOT_A_QUERY",
        f"the check {check.name!r} is not one query",
        path=path,
        line=line or check.line,
        suggestion="A check changes nothing: write one SELECT.",
    )


def _filled(text: str, meanings: Mapping[str, str]) -> str:
    return _NAME.sub(lambda found: meanings.get(found[1], found[0]), text)


def _filled_code(sql: str, meanings: Mapping[str, str]) -> str:
    """SQL with its names in braces filled in, but for those in literals and comments."""
    for found in reversed(list(_NAME.finditer(_code_of(sql)))):
        sql = sql[: found.start()] + meanings.get(found[1], found[0]) + sql[found.end() :]
    return sql


def _names_in(sql: str) -> set[str]:
    return set(_NAME.findall(_code_of(sql)))


def _code_of(sql: str) -> str:
    """SQL of the same length with its literals, quoted names and comments blanked."""
    try:
        return "".join(
            piece.text if piece.kind in ("word", "symbol", "space", "placeholder", "hint")
            else " " * len(piece.text)
            for piece in pieces(sql)
        )  # fmt: skip
    except WorkflowError:  # not closed: that is said where the query is scanned
        return sql


def _require_known_names(check: DeclaredCheck, written: Written, layout: Layout) -> None:
    """Raises WorkflowError MANIFEST_INVALID for a name in braces that means nothing here."""
    meant = {
        "id": layout.prefix is not None,
        "result": check.when == "publish",
        "output": check.each is not None,
        "source": check.each is not None,
        "gathered": check.gather_sql is not None,
    }
    spoken = _names_in(check.sql or "") | _names_in(check.gather_sql or "")
    for name in sorted(spoken | set(_NAME.findall(check.table or ""))):
        if name in written.known or meant.get(name, False):
            continue
        known = ", ".join(sorted(written.known)) or "none"
        raise WorkflowError(
            "MANIFEST_INVALID",
            f"the check {check.name!r} speaks of {{{name}}}, which means nothing here",
            path=check.file or written.path,
            line=check.line,
            suggestion=_MEANT.get(name, f"Name it under [tables]; named are: {known}."),
        )


_MEANT = {
    "id": "It is known where a profile applies: see dwx plan.",
    "result": 'It is the result of a loop: say when = "publish".',
    "output": "It is a table that a file leaves: say each, a pattern of files.",
    "source": "It is a table that a file reads: say each, a pattern of files.",
    "gathered": "Say what is gathered: gather, with files and sql.",
}


def _loop_of(check: DeclaredCheck, written: Written, layout: Layout) -> str:
    """The loop before whose publishing a check is made. Loops have different names."""
    by_name = {loop.name: loop.id for loop in layout.loops}
    if check.loop in by_name:
        return by_name[check.loop]
    if check.loop is None and layout.prefixed_loop is not None:
        return layout.prefixed_loop
    if check.loop is None and len(by_name) == 1:
        return next(iter(by_name.values()))
    raise WorkflowError(
        "MANIFEST_INVALID",
        f"the check {check.name!r} does not say which loop it is about"
        if check.loop is None
        else f"there is no loop called {check.loop!r}",
        path=written.path,
        line=check.line,
        suggestion=f"Loops here: {', '.join(by_name) or 'none'}.",
    )


# --- a check for each file --------------------------------------------------------------------


def _each(check: DeclaredCheck, written: Written, layout: Layout) -> Iterator[_Instance]:
    assert check.each is not None
    concerned = _concerned(written, layout) if written.of_profile else None
    for file in layout.files:
        if not PurePosixPath(file.path).match(check.each):
            continue
        if concerned is not None and file.id not in concerned:
            continue
        left = sorted(_tables_left(file))
        meaning = {"output": _Meaning(left[0] if left else file.path)}
        problems = []
        if len(left) != 1:
            problems.append(f"{file.path} leaves {len(left)} tables, and not one")
        wanted = _names_in(check.sql or "")
        if "source" in wanted:
            read = _sources(file, meaning["output"].in_text(), written)
            meaning["source"] = _Meaning(read[0] if read else "its source")
            if len(read) != 1:
                which = f": {', '.join(read)}" if read else ""
                problems.append(f"{file.path} reads {len(read)} tables, and not one{which}")
        if "gathered" in wanted:
            parts = list(_gathered(check, file, layout))
            meaning["gathered"] = _Meaning(sql="\nUNION ALL\n".join(parts))
            if not parts:
                continue  # it is made from something else
        yield _Instance(meaning, (file.id,), "; ".join(problems) or None)


def _tables_left(file: ReadFile) -> set[str]:
    """The tables that a file leaves behind, views and what belongs to its session left out."""
    views: set[str] = set()
    for step, planned in zip(file.lineage, file.statements, strict=True):
        if _VIEW.match(planned.head):
            views.update(step.writes)
    return {name for name in file.keeps - views if len(split_name(name)) == _FULL}


def _sources(file: ReadFile, output: str, written: Written) -> list[str]:
    """The tables that a file's rows may come from: it is told from others by its name, if that is
    the end of the output's.
    """
    read = [name for name in file.reads if name not in written.named]
    named = [name for name in read if output.lower().endswith(split_name(name)[-1].lower())]
    return named if len(named) == 1 else read


def _concerned(written: Written, layout: Layout) -> set[str]:
    """The files that read a table which has a name, or one that such a file leaves; with several
    ids, of these those that speak of this one.
    """
    tables = set(written.tables.values())
    found: set[str] = set()
    for file in layout.files:
        if not tables.intersection(file.reads):
            continue
        tables |= file.keeps
        if not written.several or _speaks_of(file, layout.prefix or ""):
            found.add(file.id)
    return found


def _speaks_of(file: ReadFile, word: str) -> bool:
    return any(
        piece.text.strip("`").lower() == word.lower()
        for filled in file.filled
        for piece in pieces(filled.parsed)
        if piece.kind in ("word", "name")
    )


def _gathered(check: DeclaredCheck, file: ReadFile, layout: Layout) -> Iterator[str]:
    """The queries over the tables that this file reads and that certain other files leave."""
    assert check.gather_files is not None
    assert check.gather_sql is not None
    for other in layout.files:
        if PurePosixPath(other.path).match(check.gather_files):
            for table in sorted(_tables_left(other) & set(file.reads)):
                yield _filled(check.gather_sql, {"output": sql_name(table), **_id(layout)})


def _id(layout: Layout) -> dict[str, str]:
    return {} if layout.prefix is None else {"id": quote(layout.prefix)}
