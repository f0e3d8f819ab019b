"""What must be true of the warehouse before a workflow begins, as its files tell.

Theory. The statements are gone through in the order in which they run, keeping book of the tables
that are there because an earlier one has made them. A table that is read or changed before the
workflow has made it must exist; one that is created without OR REPLACE or IF NOT EXISTS, and has
not been dropped before, must not. Where the book cannot be kept, nothing is required any more: a
statement that could not be parsed, or that runs text from somewhere else, may make or drop
anything. Nothing is required for statements in scripts either, because they may never run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from executor.workflow.model import SourceFile, Workflow
from executor.workflow.names import join_name, split_name, table_name
from protocol.events import PlannedFile, PlannedLoop

if TYPE_CHECKING:
    from executor.workflow.lineage import Lineage

_MAKES_ANYTHING = ("SYNC", "UNDROP", "CONVERT", "RESTORE")
"""First words of commands that make tables which lineage does not name."""
_CHANGES = frozenset(
    {"insert", "insert_overwrite", "merge", "update", "delete", "truncate", "copy_into", "alter"}
)
_CREATES = frozenset({"create", "create_as", "rename"})
_FULL = 3
"""Parts of a name that says where its table is, whatever session reads it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said: file and line."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


@dataclass(frozen=True, slots=True)
class NeededColumn:
    """A column that a source table must have. `qualifier` as in `columns.ColumnRead`."""

    name: str
    qualifier: str
    place: Place


@dataclass(frozen=True, slots=True)
class Source:
    """A table that must exist before the workflow begins; `place` needs it first."""

    table: str
    place: Place
    critical: bool
    """False if only leaf files need it."""
    files: tuple[str, ...]
    """Ids of the files that need it."""
    columns: tuple[NeededColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class NewTable:
    """A table that must not exist before the workflow begins; `place` creates it."""

    table: str
    place: Place
    critical: bool
    file: str
    """Id of the file that creates it."""


@dataclass(frozen=True, slots=True)
class Requirements:
    sources: tuple[Source, ...] = ()
    new: tuple[NewTable, ...] = ()
    results: tuple[str, ...] = ()
    """Tables that loops publish."""
    passing: tuple[str, ...] = ()
    """Tables that are made on the way and are gone at the end."""
    left_over: tuple[str, ...] = ()
    """Results of loops that are left out: what an earlier run has left is read."""
    schemas: tuple[str, ...] = ()
    """`catalog.schema` in which tables are made."""


@dataclass(slots=True)
class _Book:
    """What is known while the statements are gone through."""

    sources: dict[str, Source] = field(default_factory=dict)
    new: dict[str, NewTable] = field(default_factory=dict)
    schemas: dict[str, None] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    """Tables that are there by now if they were made here."""
    passing: dict[str, None] = field(default_factory=dict)
    """Tables that were made here and are gone again."""
    gone: set[str] = field(default_factory=set)
    variables: bool = False
    """True once the session has variables, which look like columns."""


def requirements(workflow: Workflow, *, skip_loop: bool = False) -> Requirements:
    """What `workflow` needs. `skip_loop`: loops are left out, so nobody makes their results."""
    book = _Book()
    loops: Sequence[PlannedLoop] = () if skip_loop else workflow.loops
    book.made.update(name for loop in loops for name in generated_between(workflow, loop))
    ends = {loop.files[-1]: loop.alias for loop in loops if loop.files}
    for file in workflow.files:
        if skip_loop and file.planned.loop is not None:
            continue
        if not _enter(book, file):
            break
        alias = ends.get(file.planned.id)
        if alias is not None:
            book.made.add(alias)
            _note_schema(book, alias)
    results = tuple(loop.alias for loop in loops if loop.alias is not None)
    return Requirements(
        sources=tuple(book.sources.values()),
        new=tuple(book.new.values()),
        results=tuple(name for name in results if name not in book.new),
        left_over=tuple(
            loop.alias for loop in workflow.loops if skip_loop and loop.alias in book.sources
        ),
        passing=tuple(
            name
            for name in book.passing
            if name not in book.new and name not in results and name not in book.made
        ),
        schemas=tuple(book.schemas),
    )


def generated_between(workflow: Workflow, loop: PlannedLoop) -> Iterator[str]:
    """Tables of iterations between those of the loop's files that no file makes."""
    numbers = {workflow.source(file).planned.iteration or 0 for file in loop.files}
    for number in range(min(numbers), max(numbers)):
        if number not in numbers:
            yield table_name(loop.table, number)


def _enter(book: _Book, file: SourceFile) -> bool:
    """Enters the statements of a file; false if the book cannot be kept behind it."""
    for step, planned in zip(file.lineage, file.planned.statements, strict=True):
        place = Place(file.planned.path, planned.line)
        if step.kind == "unknown" or planned.head.split(" ", 1)[0].upper() in _MAKES_ANYTHING:
            return False
        if step.kind != "script":
            for table in _needed(step):
                _need(book, table, place, file.planned)
            _need_columns(book, step, place)
            if step.kind in _CREATES and not step.guarded and step.target is not None:
                _create(book, step.target, place, file.planned)
        for table in step.writes:
            if step.kind != "drop":
                _note_schema(book, table)
            (book.gone if table in step.dropped else book.made).add(table)
        for table in step.dropped:  # a rename drops what it does not write
            if table in book.made and _is_full(table):
                book.passing[table] = None
            book.gone.add(table)
            book.made.discard(table)
        book.variables = book.variables or (step.session and step.kind == "other")
        if step.opaque is not None:
            return False
    return True


def _needed(step: Lineage) -> Iterator[str]:
    yield from step.reads
    if step.kind in _CHANGES or (step.kind == "drop" and not step.guarded):
        yield from step.writes


def _need(book: _Book, table: str, place: Place, file: PlannedFile) -> None:
    if table in book.made or table in book.gone or not _is_full(table):
        return
    known = book.sources.get(table) or Source(table, place, critical=False, files=())
    files = known.files if file.id in known.files else (*known.files, file.id)
    book.sources[table] = replace(known, critical=known.critical or file.critical, files=files)


def _need_columns(book: _Book, step: Lineage, place: Place) -> None:
    for read in step.columns:
        source = book.sources.get(read.table)
        if source is None or read.table in book.made or read.table in book.gone:
            continue
        if book.variables and not read.qualifier:
            continue
        if all(read.column != known.name for known in source.columns):
            column = NeededColumn(read.column, read.qualifier, place)
            book.sources[read.table] = replace(source, columns=(*source.columns, column))


def _create(book: _Book, table: str, place: Place, file: PlannedFile) -> None:
    known = table in book.made or table in book.gone or table in book.sources
    if not known and _is_full(table):
        book.new.setdefault(table, NewTable(table, place, file.critical, file.id))


def _note_schema(book: _Book, table: str) -> None:
    if _is_full(table):
        book.schemas[join_name(split_name(table)[:2])] = None


def _is_full(table: str) -> bool:
    return len(split_name(table)) == _FULL
