"""Makes iterations of a loop beyond its files.

Theory. A further iteration is the last file with N-1 -> N and N -> N+1, for a later one counted on
accordingly. Which names to change is read from the syntax tree; the change itself is made in the
text at the places the tree gives, so that all the rest is sent exactly as the user wrote it; and
the result is parsed again and must be the renamed tree. A table that the file makes anew in each
iteration is renamed with the loop's own. Whatever cannot be decided is an error: another member of
the family, a name in a string, a statement without a tree that names a table of the loop.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlglot import exp

from executor.workflow.files import plan_statements
from executor.workflow.lineage import Names, free_tables, lineage, parse, table_full_name
from executor.workflow.loop_finding import ITERATION, NUMBERED
from executor.workflow.model import SourceFile, Workflow, WorkflowError
from executor.workflow.names import quote, split_name, table_name
from executor.workflow.pieces import pieces
from executor.workflow.placeholders import Filled, fill
from executor.workflow.statements import scan
from protocol.events import PlannedFile, PlannedLoop

__all__ = ["generate_iteration", "table_name"]


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
        width = ITERATION.search(loop.table)
        self.width = int(width[1] or 0) if width else 0
        before, after = ITERATION.split(loop.table)[::2]
        self.families = {(before, after)}

    def learn_families(self) -> None:
        """Other tables the file makes anew in each iteration are renamed with it."""
        for name in self.planned.writes:
            parts = NUMBERED.fullmatch(name)
            if parts and int(parts[2]) == self.number:
                self.families.add((parts[1], ""))

    def renamed(self, full: str, written: str, line: int) -> str | None:
        """The new last part of the table `full`, whose last part is written `written`; None if it
        keeps its name. Only the digits change."""
        for before, after in self.families:
            digits = full.removeprefix(before).removesuffix(after)
            if full != f"{before}{digits}{after}" or not digits.isdecimal():
                continue
            found = int(digits)
            if found in (self.number, self.number - 1):
                counted = str(found + self.shift).zfill(self.width)
                end = len(written) - len(after)
                return written[: end - len(digits)] + counted + written[end:]
            if found == 0 and self.number > 2:
                return None  # the entry of the loop, read by every iteration
            raise self.error(
                line,
                f"it is not clear which table {full} is in another iteration than {self.number}",
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
        members: dict[str, str] = {}
        own = {alias.name.lower() for alias in tree.find_all(exp.TableAlias)}
        for table in list(free_tables(tree)):
            full = table_full_name(table, names)
            new = self.renamed(full, table.name, line) if full else None
            if full is None or new is None or not isinstance(table.this, exp.Identifier):
                continue
            if table.name.lower() in own:
                raise self.error(line, f"{table.name} is the name of a table and of an alias")
            members[table.name.lower()] = full
            yield table.this, new
        for column in list(tree.find_all(exp.Column)):
            qualifier = column.args.get("table")
            if isinstance(qualifier, exp.Identifier) and qualifier.name.lower() in members:
                full = members[qualifier.name.lower()]
                new = self.renamed(full, qualifier.name, line)
                assert new is not None
                yield qualifier, new

    def edits_of_command(
        self, text: str, target: str | None, line: int
    ) -> list[tuple[int, int, str]]:
        last = split_name(target)[-1] if target else None
        for piece in pieces(text):
            name = piece.text.strip("`")
            if target is not None and piece.is_code and name.lower() == last:
                new = self.renamed(target, name, line)
                return [] if new is None else [(piece.start, piece.end, new)]
        return []

    def apply(self, original: Filled, edits: Sequence[tuple[int, int, str]]) -> Filled:
        sent = original.sent
        for start, end, new in sorted(edits, reverse=True):
            written = quote(new) if sent[start] == "`" else new
            sent = sent[:start] + written + sent[end:]
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
