"""Cuts a file of SQL into statements: the one question of what ends a statement.

Theory. Of the pieces of a text (`executor.workflow.pieces`) only code counts here; blanks and
comments never do.

A semicolon ends a statement unless a compound block is open, and a block can open in one place
only: *where a statement may begin*. This is what makes the cut decidable without knowing the
grammar of expressions. `BEGIN`, `END`, `IF`, `CASE`, `FOR`, `LOOP` and the like are keywords where
a statement may begin and ordinary words everywhere else, so that `SELECT begin, t.end FROM t`,
`CASE … END` inside a query and `DROP TABLE IF EXISTS` need no rule at all. A statement may begin

- at the start of the text and after a semicolon,
- after `BEGIN [[NOT] ATOMIC]`, `LOOP`, `REPEAT`, `ELSE`, and the `THEN` or `DO` that ends a
  condition, and after a label (`name:`),
- after the `AS` of CREATE PROCEDURE or FUNCTION, and after the conditions of DECLARE … HANDLER:
  there, a `BEGIN` opens a block although a statement has begun already.

`BEGIN TRANSACTION`, `BEGIN WORK` and a bare `BEGIN;` open a transaction, not a block. A condition
(`IF … THEN`, `WHEN … THEN`, `WHILE … DO`, `FOR … DO`, `UNTIL … END REPEAT`) is the one stretch of
expressions in which a keyword has to be found; there `CASE … END` is counted, and everything in
parentheses is passed over.

Placeholders (`${name}`) are filled in after the cut (see `placeholders`), so a value can never add
a statement, and lines are always those of the file as written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from executor.workflow.model import WorkflowError
from executor.workflow.pieces import Lines, Piece, pieces


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as it stands in the file.

    `text` runs from the first piece of code to the last, without the semicolon; comments before
    and after are not part of it, those inside are. `line` and `position` are those of the first
    piece of code, counted from 1.
    """

    text: str
    start: int
    line: int
    position: int
    code: tuple[Piece, ...]
    """Its pieces without blanks and comments."""


_BlockKind = Literal["BEGIN", "IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR"]
_OPAQUE = "'"
"""Stands for a piece that is code but can be no keyword: a string, a quoted name, a placeholder."""
_AFTER_A_NAME = frozenset("=<>/%|&^),;.") | {"IS", "IN", "LIKE", "BETWEEN", "AND", "OR", "THEN"}
"""What follows a column but never `CASE`, `THEN` or `DO`."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A compound block that is open, and the offset at which it opened."""

    kind: _BlockKind
    start: int


class _Cutter:
    """Walks over the code of one text and finds the semicolons that end statements."""

    def __init__(self, code: Sequence[Piece]) -> None:
        self.code = code
        self.words = [p.text.upper() if p.kind in ("word", "symbol") else _OPAQUE for p in code]
        self.at = 0
        self.open: list[_Block] = []
        self.inside: list[tuple[int, int]] = []
        """Index ranges of the plain statements inside blocks."""

    def statements(self) -> Iterator[tuple[int, int]]:
        """Index ranges [first, stop) into the code, without the semicolons that end them.

        Leaves the blocks that nobody closed in `open`.
        """
        while self.at < len(self.code):
            if self.word() == ";":
                self.at += 1
                continue
            first = self.at
            self.enter()
            self.go_to_semicolon()
            while self.open and self.at < len(self.code):
                self.at += 1
                self.enter()
                self.go_to_semicolon()
            yield first, self.at

    def word(self, ahead: int = 0) -> str:
        """The word or symbol `ahead` places from here, in capitals; empty beyond the text."""
        place = self.at + ahead
        return self.words[place] if 0 <= place < len(self.words) else ""

    def go_to_semicolon(self) -> None:
        while self.at < len(self.code) and self.words[self.at] != ";":
            self.at += 1

    def enter(self) -> None:
        """Called where a statement may begin: opens and closes blocks until a plain statement
        begins, or a block has been closed and only its label can follow."""
        while True:
            if self.word(1) == ":" and self.word() != ":":
                self.at += 2  # a label
            match self.word():
                case "BEGIN" if self.word(1) not in ("TRANSACTION", "WORK", ";", ""):
                    self.push("BEGIN")
                    self.at += {"NOT": 2, "ATOMIC": 1}.get(self.word(), 0)
                case "LOOP":
                    self.push("LOOP")
                case "REPEAT":
                    self.push("REPEAT")
                case "IF":
                    self.push("IF")
                    self.pass_condition("THEN")
                case "CASE":
                    self.push("CASE")
                    self.pass_condition("THEN")
                case "WHILE":
                    self.push("WHILE")
                    self.pass_condition("DO")
                case "FOR":
                    self.push("FOR")
                    query = self.at + 2 if self.word(1) == "AS" else self.at
                    self.pass_condition("DO")
                    self.inside.append((query, self.at - 1))
                case "ELSEIF" | "WHEN" if self.open:
                    self.at += 1
                    self.pass_condition("THEN")
                case "ELSE" if self.open:
                    self.at += 1
                case "UNTIL" if self.open:
                    self.pass_until()
                case "END" if self.open:
                    closed = self.open.pop()
                    self.at += 1 + (self.word(1) == closed.kind)
                    return
                case "CREATE" if self.pass_routine_header():
                    pass
                case "DECLARE" if self.pass_handler_header():
                    pass
                case _:
                    first = self.at
                    self.go_to_semicolon()
                    if self.open and first < self.at:
                        self.inside.append((first, self.at))
                    return

    def push(self, kind: _BlockKind) -> None:
        self.open.append(_Block(kind, self.code[self.at].start))
        self.at += 1

    def pass_condition(self, closing: str) -> None:
        """Goes behind the `THEN` or `DO` that ends the condition which begins here. Without one it
        stops at the semicolon: the block stays open, and the warehouse knows the syntax better."""
        cases = parentheses = 0
        while self.word() not in (";", ""):
            word = self.word()
            named = self.word(-1) in (".", "AS") or (
                word != "END" and self.word(1) in _AFTER_A_NAME and self.word(1) != ""
            )
            self.at += 1
            if word == "(":
                parentheses += 1
            elif word == ")":
                parentheses -= 1
            elif parentheses > 0 or named:
                continue
            elif word == "CASE":
                cases += 1
            elif word == "END" and cases > 0:
                cases -= 1
            elif word == closing and cases == 0:
                return

    def pass_until(self) -> None:
        """Goes to the `END` of `UNTIL condition END REPEAT`."""
        while self.word() not in (";", "") and (self.word(), self.word(1)) != ("END", "REPEAT"):
            self.at += 1

    def pass_routine_header(self) -> bool:
        """Goes to the body of `CREATE … PROCEDURE | FUNCTION … AS [label:] BEGIN`; stays and
        returns False if the body is no block or the statement makes something else."""
        if not {"PROCEDURE", "FUNCTION"} & {self.word(ahead) for ahead in (1, 2, 3, 4)}:
            return False
        parentheses = ahead = 0
        while (word := self.word(ahead)) not in (";", "") and (parentheses, word) != (0, "RETURN"):
            parentheses += (word == "(") - (word == ")")
            ahead += 1
            if (parentheses, word) == (0, "AS"):
                label = 2 if self.word(ahead + 1) == ":" else 0
                if self.word(ahead + label) == "BEGIN":
                    self.at += ahead
                    return True
                return False
        return False

    def pass_handler_header(self) -> bool:
        """Goes to the body of `DECLARE … HANDLER FOR condition {, condition} BEGIN`; stays and
        returns False if the handler is a single statement or none is declared."""
        if self.word(2) != "HANDLER":
            return False
        ahead = 3
        while ahead == 3 or self.word(ahead) == ",":
            ahead += 1
            if self.word(ahead) == "SQLSTATE":
                ahead += 1 + (self.word(ahead + 1) == "VALUE")
            elif self.word(ahead) == "NOT":
                ahead += 1
            ahead += 1
        if self.word(ahead) != "BEGIN":
            return False
        self.at += ahead
        return True


def scan(text: str, path: str | None = None) -> tuple[Statement, ...]:
    """The statements of `text`, in order; stray semicolons and comments are none.

    Raises WorkflowError as `pieces` does, and UNTERMINATED_BLOCK at the opening of a compound
    block that is never closed.
    """
    code = [piece for piece in pieces(text, path) if piece.is_code]
    cutter = _Cutter(code)
    found = _statements(text, code, cutter.statements())
    if cutter.open:
        block = cutter.open[-1]
        line, position = Lines(text).at(block.start)
        raise WorkflowError(
            "UNTERMINATED_BLOCK",
            f"the {block.kind} block that opens here is never closed",
            path=path,
            line=line,
            position=position,
            suggestion=f"Close it with {'END' if block.kind == 'BEGIN' else f'END {block.kind}'}; "
            "every statement inside needs its semicolon, the last one too.",
        )
    return found


def scan_inside(text: str) -> tuple[Statement, ...]:
    """The plain statements inside the compound blocks of `text` (queries of FOR loops too)."""
    code = [piece for piece in pieces(text) if piece.is_code]
    cutter = _Cutter(code)
    for _ in cutter.statements():
        pass
    return _statements(text, code, cutter.inside)


def _statements(
    text: str, code: Sequence[Piece], ranges: Iterable[tuple[int, int]]
) -> tuple[Statement, ...]:
    lines = Lines(text)
    found = []
    for first, stop in ranges:
        start = code[first].start
        line, position = lines.at(start)
        content = text[start : code[stop - 1].end]
        found.append(Statement(content, start, line, position, tuple(code[first:stop])))
    return tuple(found)
