"""Finds the loops of a workflow.

Theory. A loop is a family of tables `stem_N`, each made from the one before. It shows in the SQL
without any convention about names: a file that writes `stem_N` and reads `stem_{N-1}` is one step,
and files whose names differ in a number only, and whose SQL differs in nothing but N, are the same
step again. The last condition is what separates a loop from a chain of stages that happens to be
numbered; where it fails the files stay plain and a warning says so. The number in the table counts,
not the one in the name. A single file has nothing to be compared with: it is a loop if its name
says so or if a later file reads the table that a converged loop leaves behind.

That table, the *alias*, is one that a later file reads, nobody writes, and whose name is the stem
with a word for the end (`…_loop_final`). The list of words is short on purpose: the executor
creates the alias, and must not take a table of the user's for it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from executor.workflow.discover import order_key
from executor.workflow.files import ReadFile
from executor.workflow.manifest import DeclaredLoop
from executor.workflow.model import WorkflowError
from executor.workflow.names import split_name, table_name
from executor.workflow.pieces import Piece, pieces
from protocol.events import PlanWarning

MAX_ITERATIONS = 30
"""Unless the manifest says otherwise."""

NUMBERED = re.compile(r"(.*\D)(\d+)")
"""A table's full name that ends in a number."""

ITERATION = re.compile(r"\{iteration(?::0?(\d+))?\}")
_LOOP_WORD = re.compile(r"iter|loop|round|pass(?:es)?(?![a-z])", re.IGNORECASE)
_END_WORDS = frozenset(
    {"final", "last", "latest", "result", "converged", "fixpoint", "end", "done", "current"}
)


@dataclass(frozen=True, slots=True)
class FoundLoop:
    """A loop with the iteration that each of its files makes, in the order of iterations."""

    name: str
    table: str
    """Pattern with `{iteration}`."""
    steps: tuple[tuple[int, ReadFile], ...]
    alias: str | None
    literals_differ: bool
    """The files differ in a literal too, so no further iteration can be made from the last one."""
    warnings: tuple[PlanWarning, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """One file seen as one step of a family of tables."""

    stem: str
    number: int
    digits: str
    file: ReadFile


# --- finding ----------------------------------------------------------------------------------


def find_loops(
    files: Sequence[ReadFile], taken: frozenset[str]
) -> tuple[list[FoundLoop], list[PlanWarning]]:
    """The loops among files that no declared loop has taken (by id), in order of their first file.

    Raises WorkflowError LOOP_GAP, LOOP_DUPLICATE.
    """
    groups: dict[tuple[str, str], list[_Step]] = defaultdict(list)
    for file in files:
        if file.id in taken or _name_number(file.path) is None:
            continue
        for step in _steps(file):
            groups[step.stem, _name_key(file.path)].append(step)
    loops: list[FoundLoop] = []
    warnings: list[PlanWarning] = []
    used: set[str] = set()
    # most files first; of families of equal size the one whose table is written last in the file
    for (stem, _), steps in sorted(groups.items(), key=lambda item: -len(item[1])):
        if used.intersection(step.file.id for step in steps):
            continue
        steps.sort(key=lambda step: step.number)
        alias, unclear = _find_alias(stem, steps, files)
        if len(steps) == 1 and alias is None and not _LOOP_WORD.search(steps[0].file.path):
            continue
        differences = [_difference(a, b) for a, b in pairwise(steps)]
        if "code" in differences:
            at = steps[differences.index("code") + 1]
            warnings.append(
                PlanWarning(
                    code="LOOP_SHAPE",
                    detail=f"the files that make {stem}N look like a loop but differ in more than "
                    "N, so they run as plain files, once each; declare the loop in workflow.toml "
                    "if it is one",
                    path=at.file.path,
                )
            )
            continue
        used.update(step.file.id for step in steps)
        padded = any(step.digits.startswith("0") and step.digits != "0" for step in steps)
        width = f":0{len(steps[0].digits)}" if padded else ""
        table = f"{stem}{{iteration{width}}}"
        numbered = tuple((step.number, step.file) for step in steps)
        loops.append(
            FoundLoop(
                name=split_name(stem)[-1].strip("_") or "loop",
                table=table,
                steps=numbered,
                alias=alias,
                literals_differ="literal" in differences,
                warnings=(
                    *unclear,
                    *check_numbers(table, numbered, files, generate="literal" not in differences),
                ),
            )
        )
    loops.sort(key=lambda loop: min(order_key(file.path) for _, file in loop.steps))
    return loops, warnings


def _steps(file: ReadFile) -> list[_Step]:
    """Families of which this file makes a member from the one before, the main table first."""
    kept = [name for name in reversed(file.writes) if name in file.keeps]
    reads = set(file.reads)
    found = []
    for name in kept:
        parts = NUMBERED.fullmatch(name)
        if parts is None or int(parts[2]) < 1:
            continue
        before = int(parts[2]) - 1
        if {parts[1] + str(before), parts[1] + str(before).zfill(len(parts[2]))} & reads:
            found.append(_Step(parts[1], int(parts[2]), parts[2], file))
    return found


def _name_number(path: str) -> int | None:
    """The iteration in a file's name: its last number, unless that is the one it is ordered by."""
    rest = re.sub(r"^\d+_", "", path.rpartition(".")[0])
    numbers = re.findall(r"\d+", rest)
    return int(numbers[-1]) if numbers else None


def _name_key(path: str) -> str:
    """The name without its order and with its last number left open."""
    rest = re.sub(r"^\d+_", "", path.rpartition(".")[0].lower())
    return re.sub(r"\d+(?=\D*$)", "#", rest)


def _find_alias(
    stem: str, steps: Sequence[_Step], files: Sequence[ReadFile]
) -> tuple[str | None, list[PlanWarning]]:
    first = min(files.index(step.file) for step in steps)
    written = {name for file in files for name in file.keeps}
    wanted = {
        name: file.path
        for file in files[first + 1 :]
        for name in file.reads
        if name.startswith(stem) and name not in written and not NUMBERED.fullmatch(name)
    }
    aliases = [name for name in wanted if name.removeprefix(stem) in _END_WORDS]
    if len(aliases) == 1:
        return aliases[0], []
    if not wanted:
        return None, []
    return None, [
        PlanWarning(
            code="LOOP_ALIAS_UNCLEAR",
            detail=f"{name} is read here and written nowhere; if it is what the loop leaves "
            "behind, declare the loop with this alias in workflow.toml",
            path=path,
        )
        for name, path in wanted.items()
    ]


def check_numbers(
    table: str,
    steps: Sequence[tuple[int, ReadFile]],
    files: Sequence[ReadFile],
    *,
    generate: bool,
) -> list[PlanWarning]:
    """What the numbers of a loop's files say. `steps` are in the order of iterations; an iteration
    that no file makes is generated from the one before if that can be done (`generate`).

    Raises WorkflowError LOOP_DUPLICATE, or LOOP_GAP where the table before an iteration is made by
    nobody although an earlier one is: one left over from another run would be taken for it.
    """
    warnings = []
    for (number, file), (following, other) in pairwise(steps):
        if number == following:
            raise WorkflowError(
                "LOOP_DUPLICATE",
                f"{file.path} and {other.path} both make {table_name(table, number)}",
                path=other.path,
                suggestion="Keep one of them.",
            )
        if following != number + 1 and not generate:
            raise _gap(table, number + 1, other.path)
        warnings += [
            PlanWarning(
                code="LOOP_GAP",
                detail=f"no file makes {table_name(table, missing)}: that iteration is generated "
                f"from {file.path}",
                path=other.path,
            )
            for missing in range(number + 1, following)
        ]
    first, file = steps[0]
    written = {name for other in files for name in other.keeps}
    entry = table_name(table, first - 1)
    if entry not in written:
        if any(table_name(table, number) in written for number in range(first - 1)):
            raise _gap(table, first - 1, file.path)
        warnings.append(
            PlanWarning(
                code="LOOP_ENTRY",
                detail=f"the loop starts from {entry}, which no file makes: it must exist",
                path=file.path,
            )
        )
    warnings += [
        PlanWarning(
            code="LOOP_NUMBER",
            detail=f"the name says {_name_number(file.path)}, but the file makes "
            f"{table_name(table, number)}: the table counts",
            path=file.path,
        )
        for number, file in steps
        if _name_number(file.path) not in (None, number)
    ]
    members = {table_name(table, number): number for number, _ in steps}
    inside = {file.id for _, file in steps}
    warnings += [
        PlanWarning(
            code="LOOP_MEMBER_READ",
            detail=f"{name} is read directly, whichever iteration the loop ends with",
            path=other.path,
        )
        for other in files
        if other.id not in inside
        for name in other.reads
        if name in members
    ]
    return warnings


def _gap(table: str, missing: int, path: str) -> WorkflowError:
    name = table_name(table, missing)
    return WorkflowError(
        "LOOP_GAP",
        f"no file makes {name}, which the iteration after it reads",
        path=path,
        suggestion=f"Add the file of iteration {missing}, or leave out those after it: "
        "the executor makes them.",
    )


# --- are two files the same step? -------------------------------------------------------------


def _difference(a: _Step, b: _Step) -> str:
    return difference(a.number, a.file, b.number, b.file)


def difference(number: int, file: ReadFile, other_number: int, other: ReadFile) -> str:
    """How the SQL of two iterations differs apart from N: `none`, `literal` or `code`."""
    found = "none"
    if len(file.filled) != len(other.filled):
        return "code"
    for a, b in zip(file.filled, other.filled, strict=True):
        left = [piece for piece in pieces(a.parsed) if piece.is_code]
        right = [piece for piece in pieces(b.parsed) if piece.is_code]
        if len(left) != len(right):
            return "code"
        for one, two in zip(left, right, strict=True):
            if one.text.lower() == two.text.lower():
                continue
            if _is_literal(one) and _is_literal(two):
                found = "literal"
            elif _relative(one, number) != _relative(two, other_number):
                return "code"
    return found


def _is_literal(piece: Piece) -> bool:
    return piece.kind in ("string", "dollar") or piece.text[0].isdigit()


def _relative(piece: Piece, number: int) -> str:
    """The piece with its trailing number told from N: `loop_4` is `loop_{-1}` in iteration 5."""
    text = piece.text.strip("`").lower()
    parts = NUMBERED.fullmatch(text)
    return f"{parts[1]}{{{int(parts[2]) - number}}}" if parts else text


# --- declared loops ---------------------------------------------------------------------------


def declared_loop(
    declared: DeclaredLoop, table: str, alias: str | None, files: Sequence[ReadFile], path: str
) -> FoundLoop:
    """The loop that workflow.toml (`path`) describes; `table` and `alias` are full names.

    Raises WorkflowError MANIFEST_INVALID where it does not fit the files, LOOP_GAP, LOOP_DUPLICATE.
    """
    assert declared.files is not None
    matching = [file for file in files if PurePosixPath(file.path).match(declared.files)]
    if not matching:
        raise WorkflowError(
            "MANIFEST_INVALID",
            f"no file matches files = {declared.files!r}",
            path=path,
            line=declared.line,
            suggestion="Correct the pattern, or take the loop out.",
        )
    before, after = ITERATION.split(table)[::2]
    member = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    steps = []
    for file in matching:
        numbers = [int(found[1]) for name in file.writes if (found := member.fullmatch(name))]
        if len(set(numbers)) != 1:
            raise WorkflowError(
                "MANIFEST_INVALID",
                f"{file.path} belongs to a loop but makes "
                f"{'more than one' if numbers else 'no'} table of the form {table}",
                path=path,
                line=declared.line,
                suggestion="Correct table or files of the loop; a file makes one iteration.",
            )
        steps.append((numbers[0], file))
    steps.sort(key=lambda step: step[0])
    differences = [difference(*a, *b) for a, b in pairwise(steps)]
    return FoundLoop(
        name=declared.name or split_name(before)[-1].strip("_") or "loop",
        table=table,
        steps=tuple(steps),
        alias=alias,
        literals_differ=bool({"literal", "code"} & set(differences)),
        warnings=tuple(
            check_numbers(
                table,
                steps,
                files,
                generate=declared.generate is not False and set(differences) <= {"none"},
            )
        ),
    )
