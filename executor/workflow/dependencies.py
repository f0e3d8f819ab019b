"""Which file needs which, and what looks wrong between files.

A file depends on the last earlier file that wrote a table it needs: one it reads before making it
itself, or one it changes without replacing it. The alias of a loop is written by the whole loop,
so a file that reads it depends on all of the loop's files. Only these are dependencies: a file that
replaces a table as a whole needs nobody who wrote it before. That is the meaning `skip` gives to
the word; whoever runs files side by side must keep writers of one table apart by `writes` too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from executor.workflow.discover import order_number
from executor.workflow.files import ReadFile
from executor.workflow.units import resets
from protocol.events import PlannedLoop, PlanWarning


def dependencies(
    files: Sequence[ReadFile], loops: Sequence[PlannedLoop]
) -> Mapping[str, tuple[str, ...]]:
    """For each file id the ids of the files it depends on directly, in order."""
    aliases = {loop.alias: loop.files for loop in loops if loop.alias is not None}
    last_writer: dict[str, str] = {}
    found: dict[str, tuple[str, ...]] = {}
    for file in files:
        needed: list[str] = []
        for name in needs(file):
            if name in last_writer:
                needed.append(last_writer[name])
            elif name in aliases:
                needed += aliases[name]
        found[file.id] = tuple(
            other.id for other in files if other.id in needed and other.id != file.id
        )
        for name in file.writes:
            last_writer[name] = file.id
        for step in file.lineage:
            if step.kind == "rename":  # the old name is gone, and with it who wrote it
                for name in step.dropped:
                    last_writer[name] = file.id
    return found


def needs(file: ReadFile) -> tuple[str, ...]:
    """Tables whose content from outside the file matters to it."""
    found: list[str] = []
    own: set[str] = set()
    for step in file.lineage:
        found += [name for name in step.reads if name not in own]
        if not resets(step) and step.kind not in ("create", "create_as", "rename"):
            found += [name for name in step.writes if name not in own]
        own.update(step.writes)
    dropped_only = {name for step in file.lineage for name in step.dropped} - file.keeps
    found += [name for name in file.writes if name in dropped_only]
    return tuple(dict.fromkeys(found))


def warnings_between(files: Sequence[ReadFile], loops: Sequence[PlannedLoop]) -> list[PlanWarning]:
    """What a look at all files together makes suspicious."""
    return [
        *_without_number(files),
        *_not_recreated(files),
        *_read_before_written(files, loops),
    ]


def _without_number(files: Sequence[ReadFile]) -> list[PlanWarning]:
    return [
        PlanWarning(
            code="FILE_WITHOUT_NUMBER",
            detail="the name does not begin with a number, so the file runs after all that do",
            path=file.path,
        )
        for file in files
        if order_number(file.path) is None
    ]


def _not_recreated(files: Sequence[ReadFile]) -> list[PlanWarning]:
    """Tables that are only added to: what an earlier run left there stays."""
    made = {
        name
        for file in files
        for step in file.lineage
        if resets(step) or step.kind in ("create", "create_as", "rename", "script", "alter")
        for name in step.writes
    }
    adders: dict[str, list[tuple[str, int]]] = {}
    for file in files:
        for step, planned in zip(file.lineage, file.statements, strict=True):
            if step.kind in ("insert", "copy_into"):
                for name in set(step.writes) - made:
                    adders.setdefault(name, []).append((file.path, planned.line))
    return [
        PlanWarning(
            code="NOT_RECREATED",
            detail=f"{name} is added to {_times(places)} and never made anew: "
            "another run adds the same rows again",
            path=places[0][0],
            line=places[0][1],
        )
        for name, places in adders.items()
    ]


def _times(places: Sequence[tuple[str, int]]) -> str:
    paths = list(dict.fromkeys(path for path, _ in places))
    return "here" if len(paths) == 1 else f"by {' and '.join(paths)}"


def _read_before_written(
    files: Sequence[ReadFile], loops: Sequence[PlannedLoop]
) -> list[PlanWarning]:
    first_write: dict[str, tuple[int, int, str]] = {}
    for place, file in enumerate(files):
        for at, step in enumerate(file.lineage):
            for name in step.writes:
                if name not in step.dropped:
                    first_write.setdefault(name, (place, at, file.path))
    position = {file.id: place for place, file in enumerate(files)}
    for loop in loops:
        if loop.alias is not None:
            end = max(position[file_id] for file_id in loop.files)
            first_write[loop.alias] = (end, -1, "the loop")
    found: dict[tuple[str, str], PlanWarning] = {}
    for place, file in enumerate(files):
        for at, (step, planned) in enumerate(zip(file.lineage, file.statements, strict=True)):
            for name in step.reads:
                writer = first_write.get(name)
                if writer is not None and writer[:2] > (place, at) and name != planned.target:
                    found.setdefault(
                        (file.path, name),
                        PlanWarning(
                            code="READ_BEFORE_WRITTEN",
                            detail=f"{name} is read here and written only later, by {writer[2]}: "
                            "this reads what an earlier run left",
                            path=file.path,
                            line=planned.line,
                        ),
                    )
    return list(found.values())
