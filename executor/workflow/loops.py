"""Finds the loop of a workflow, and makes iterations beyond its files.

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

A further iteration is the last file with N-1 -> N and N -> N+1. Which names to change is read from
the syntax tree; the change itself is made in the text at the places the tree gives, so that all the
rest is sent exactly as the user wrote it; and the result is parsed again and must be the renamed
tree. Whatever cannot be decided (another member of the family, its name in a string) is an error.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePosixPath

from sqlglot import exp

from executor.workflow.discover import order_key
from executor.workflow.files import ReadFile, plan_statements
from executor.workflow.lineage import Names, free_tables, lineage, parse, table_full_name
from executor.workflow.manifest import DeclaredLoop
from executor.workflow.model import SourceFile, Workflow, WorkflowError
from executor.workflow.placeholders import Filled, fill
from executor.workflow.statements import Piece, pieces, scan
from protocol.events import PlannedFile, PlannedLoop, PlanWarning

MAX_ITERATIONS = 30
"""Unless the manifest says otherwise."""

_NUMBERED = re.compile(r"(.*\D)(\d+)")
_PATTERN = re.compile(r"\{iteration(?::0?(\d+))?\}")
_LOOP_WORD = re.compile(r"iter|loop|round|pass(?:es)?(?![a-z])", re.IGNORECASE)
_END_WORDS = frozenset(
    {"final", "last", "latest", "result", "converged", "fixpoint", "end", "done", "current"}
)


def table_name(pattern: str, iteration: int) -> str:
    """The table of iteration N: `{iteration}` stands for N, `{iteration:02}` for two digits."""
    return _PATTERN.sub(lambda found: str(iteration).zfill(int(found[1] or 0)), pattern)


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
                name=stem.rpartition(".")[2].strip("_") or "loop",
                table=table,
                steps=numbered,
                alias=alias,
                literals_differ="literal" in differences,
                warnings=(*unclear, *check_numbers(table, numbered, files)),
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
        parts = _NUMBERED.fullmatch(name)
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
        if name.startswith(stem) and name not in written and not _NUMBERED.fullmatch(name)
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
    table: str, steps: Sequence[tuple[int, ReadFile]], files: Sequence[ReadFile]
) -> list[PlanWarning]:
    """What the numbers of a loop's files say. `steps` are in the order of iterations.

    Raises WorkflowError LOOP_DUPLICATE, or LOOP_GAP where the table before an iteration is made by
    nobody although an earlier one is: one left over from another run would be taken for it.
    """
    for (number, file), (following, other) in pairwise(steps):
        if number == following:
            raise WorkflowError(
                "LOOP_DUPLICATE",
                f"{file.path} and {other.path} both make {table_name(table, number)}",
                path=other.path,
                suggestion="Keep one of them.",
            )
        if following != number + 1:
            raise _gap(table, number + 1, other.path)
    first, file = steps[0]
    written = {name for other in files for name in other.keeps}
    entry = table_name(table, first - 1)
    warnings = []
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
    parts = _NUMBERED.fullmatch(text)
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
    before, after = _PATTERN.split(table)[::2]
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
        name=declared.name or before.rpartition(".")[2].strip("_") or "loop",
        table=table,
        steps=tuple(steps),
        alias=alias,
        literals_differ=bool({"literal", "code"} & set(differences)),
        warnings=tuple(check_numbers(table, steps, files)),
    )


# --- generating -------------------------------------------------------------------------------


def generate_iteration(
    workflow: Workflow, loop: PlannedLoop, iteration: int, last: SourceFile
) -> SourceFile:
    """Iteration `iteration` of `loop`, made from `last`, the file of an earlier one.

    Statements keep the lines of `last`, whose text they are. Raises WorkflowError
    LOOP_NOT_GENERATED where a statement cannot be parsed or a name cannot be decided.
    """
    number = last.planned.iteration
    assert number is not None, "only a loop's file is the model for another"
    assert iteration > number
    rename = _Rename(loop, number, iteration - number, last.planned)
    rename.learn_families()
    names = Names(workflow.vars.get("catalog"), workflow.vars.get("schema"))
    filled = [
        rename.statement(text, planned.line, names)
        for text, planned in zip(last.texts, last.planned.statements, strict=True)
    ]
    file_id = f"{loop.id}.i{iteration}"
    text = "".join(f"{one.sent};\n" for one in filled)
    read = plan_statements(
        file_id,
        _generated_path(last.planned.path, iteration - number),
        hashlib.sha256(text.encode()).hexdigest(),
        filled,
        [planned.line for planned in last.planned.statements],
        Names(workflow.vars.get("catalog"), workflow.vars.get("schema")),
    )
    outside = tuple(one for one in last.planned.depends_on if one not in loop.files)
    planned = PlannedFile(
        id=file_id,
        path=read.path,
        sha256=read.sha256,
        kind="loop",
        loop=loop.id,
        iteration=iteration,
        critical=last.planned.critical,
        statements=read.statements,
        reads=read.reads,
        writes=read.writes,
        depends_on=(*(one for one in outside if not _is_generated(loop, one)), last.planned.id),
    )
    return SourceFile(planned, read.texts)


def _is_generated(loop: PlannedLoop, file_id: str) -> bool:
    return file_id.startswith(f"{loop.id}.i")


def _generated_path(path: str, shift: int) -> str:
    """The path with its last number counted on: `iteration_06.sql` becomes `iteration_08.sql`."""
    stem, dot, suffix = path.rpartition(".")
    counted = re.sub(
        r"(\d+)(?=\D*$)", lambda found: str(int(found[1]) + shift).zfill(len(found[1])), stem
    )
    return counted + dot + suffix


class _Rename:
    """Renames the numbered tables of one iteration's file."""

    def __init__(self, loop: PlannedLoop, number: int, shift: int, planned: PlannedFile) -> None:
        self.number = number
        self.shift = shift
        self.planned = planned
        width = _PATTERN.search(loop.table)
        self.width = int(width[1] or 0) if width else 0
        before, after = _PATTERN.split(loop.table)[::2]
        self.families = {(before, after)}

    def learn_families(self) -> None:
        """Other tables the file makes anew in each iteration are renamed with it."""
        for name in self.planned.writes:
            parts = _NUMBERED.fullmatch(name)
            if parts and int(parts[2]) == self.number:
                self.families.add((parts[1], ""))

    def renamed(self, name: str, line: int) -> str | None:
        """The last part of the new name of a table, None if it keeps its own."""
        for before, after in self.families:
            digits = name.removeprefix(before).removesuffix(after)
            if name != f"{before}{digits}{after}" or not digits.isdecimal():
                continue
            found = int(digits)
            if found in (self.number, self.number - 1):
                counted = str(found + self.shift).zfill(self.width)
                return f"{before}{counted}{after}".rpartition(".")[2]
            if found == 0 and self.number > 2:
                return None  # the entry of the loop, read by every iteration
            raise self.error(
                line,
                f"it is not clear which table {name} is in another iteration than {self.number}",
            )
        return None

    def statement(self, text: str, line: int, names: Names) -> Filled:
        scanned = scan(text)
        original = fill(scanned[0], None, source=text, path=self.planned.path)
        before = replace(names, temporary=set(names.temporary))
        step = lineage(original.parsed, names)
        if step.kind in ("use", "set"):
            return original
        if step.kind in ("optimize", "vacuum"):
            edits = self.edits_of_command(original.parsed, step.target, line)
            return self.apply(original, edits)
        tree = parse(original.parsed)
        if tree is None or step.kind in ("unknown", "script"):
            if self.mentions(original.parsed):
                raise self.error(line, "the statement names a table of the loop, but has no tree")
            return original
        self.refuse_strings(original.parsed, line)
        nodes = list(self.nodes(tree, before, line))
        edits = [(node.meta["start"], node.meta["end"] + 1, new) for node, new in nodes]
        changed = self.apply(original, edits)
        for node, new in nodes:
            node.set("this", new)
        if parse(changed.parsed) != tree:
            raise self.error(line, "the renamed text is not the renamed tree")
        return changed

    def nodes(
        self, tree: exp.Expr, names: Names, line: int
    ) -> Iterator[tuple[exp.Identifier, str]]:
        """Identifiers to change, each with its new text: of tables, and of columns that are
        qualified by them."""
        new_names: dict[str, str] = {}
        own = {alias.name.lower() for alias in tree.find_all(exp.TableAlias)}
        for table in list(free_tables(tree)):
            full = table_full_name(table, names)
            new = self.renamed(full, line) if full else None
            if new is None or not isinstance(table.this, exp.Identifier):
                continue
            if table.name.lower() in own:
                raise self.error(line, f"{table.name} is the name of a table and of an alias")
            new_names[table.name.lower()] = new
            yield table.this, new
        for column in list(tree.find_all(exp.Column)):
            qualifier = column.args.get("table")
            if isinstance(qualifier, exp.Identifier) and qualifier.name.lower() in new_names:
                yield qualifier, new_names[qualifier.name.lower()]

    def edits_of_command(
        self, text: str, target: str | None, line: int
    ) -> list[tuple[int, int, str]]:
        new = self.renamed(target, line) if target else None
        if new is None or target is None:
            return []
        last = target.rpartition(".")[2]
        for piece in pieces(text):
            if piece.text.strip("`").lower() == last:
                return [(piece.start, piece.end, new)]
        return []

    def apply(self, original: Filled, edits: Sequence[tuple[int, int, str]]) -> Filled:
        sent = original.sent
        for start, end, new in sorted(edits, reverse=True):
            quote = "`" if sent[start] == "`" else ""
            sent = f"{sent[:start]}{quote}{new}{quote}{sent[end:]}"
        return fill(scan(sent)[0], None, source=sent, path=self.planned.path)

    def mentions(self, text: str) -> bool:
        return any(self.is_member_name(piece.text.strip("`")) for piece in pieces(text))

    def refuse_strings(self, text: str, line: int) -> None:
        for piece in pieces(text):
            if piece.kind in ("string", "dollar"):
                for word in re.findall(r"\w+", piece.text):
                    if self.is_member_name(word):
                        raise self.error(line, f"a string holds the name {word}")

    def is_member_name(self, word: str) -> bool:
        """True for the last part of this or the previous iteration's table of a family."""
        return any(
            word.lower() == f"{before.rpartition('.')[2]}{str(number).zfill(width)}{after}"
            for before, after in self.families
            for number in (self.number, self.number - 1)
            for width in {0, self.width}
        )

    def error(self, line: int, why: str) -> WorkflowError:
        return WorkflowError(
            "LOOP_NOT_GENERATED",
            f"no iteration after {self.number} can be made from this file: {why}",
            path=self.planned.path,
            line=line,
            suggestion="Write the further iterations as files, or accept the result so far.",
        )
