"""Fills `${name}` into statements, and makes the two other texts a statement is known by.

Rules. A placeholder is filled in wherever code is: bare, inside strings, names in backticks and
hints. Comments keep theirs, defined or not: nobody executes them, and a value must not be able to
end one. Bodies in dollars (`$$ … $$`) are another language's text and stay as they are. Inside
quotes `$${name}` stands for a literal `${name}`; `${` before anything but a name, as in the regular
expression `'a${2}'`, is text. Values are text and nothing is quoted for them; a value that would
turn its statement into two, or open a string it does not close, is an error.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from executor.workflow.model import WorkflowError
from executor.workflow.pieces import Lines, Piece
from executor.workflow.statements import Statement, scan

HEAD_LENGTH = 120
"""Characters of a statement's head."""

_PLACEHOLDER = re.compile(r"(\$?)\$\{([A-Za-z_]\w*)\}")
_HARMLESS = re.compile(r"[\w. ]*")
_NOT_LINE_END = re.compile(r"[^\r\n]")


@dataclass(frozen=True, slots=True)
class Filled:
    """The texts of one statement."""

    sent: str
    """What goes to the warehouse."""
    parsed: str
    """The same length, comments blanked: parsers need not agree with us on what a comment is."""
    head: str
    """Its beginning on one line, comments left out and strings masked: safe to show."""


def fill(
    statement: Statement, values: Mapping[str, str] | None, *, source: str, path: str | None
) -> Filled:
    """The texts of `statement`, which was scanned from `source`, the text of the file `path`.

    `values` is None for a text in which everything is filled in already.

    Raises WorkflowError UNDEFINED_PLACEHOLDER, or PLACEHOLDER_BREAKS_STATEMENT where a value does
    not leave one statement one statement.
    """
    sent: list[str] = []
    parsed: list[str] = []
    head = ""
    used: set[str] = set()
    end = statement.start
    for piece in statement.code:
        gap = source[end : piece.start]
        if gap:
            sent.append(gap)
            parsed.append(gap if gap.isspace() else _NOT_LINE_END.sub(" ", gap))
        text = piece.text
        if values is not None and "${" in text and piece.kind != "dollar":
            text = _fill_piece(piece, values, used, source, path)
        sent.append(text)
        parsed.append(text)
        if len(head) < HEAD_LENGTH:
            head += " " if gap and head else ""
            head += {"string": "'?'", "dollar": "$$?$$"}.get(piece.kind) or " ".join(text.split())
        end = piece.end
    filled = "".join(sent)
    if values and not all(_HARMLESS.fullmatch(values[name]) for name in used):
        _require_one_statement(filled, statement, used, path)
    return Filled(filled, "".join(parsed), head[:HEAD_LENGTH].rstrip())


def fill_text(text: str, values: Mapping[str, str], *, path: str | None) -> str:
    """`text` with its placeholders filled in; for settings that hold a name or a query.

    Raises WorkflowError UNDEFINED_PLACEHOLDER.
    """
    return _fill_piece(Piece("string", text, 0), values, set(), text, path, lines=False)


def _fill_piece(
    piece: Piece,
    values: Mapping[str, str],
    used: set[str],
    source: str,
    path: str | None,
    *,
    lines: bool = True,
) -> str:
    def value(found: re.Match[str]) -> str:
        escaped, name = found.groups()
        if escaped and piece.kind in ("string", "name"):
            return found[0][1:]
        if name not in values:
            line, position = Lines(source).at(piece.start + found.start() + len(escaped))
            raise WorkflowError(
                "UNDEFINED_PLACEHOLDER",
                f"the placeholder ${{{name}}} has no value",
                path=path,
                line=line if lines else None,
                position=position if lines else None,
                suggestion=_how_to_define(name, values),
            )
        used.add(name)
        return escaped + values[name]

    return _PLACEHOLDER.sub(value, piece.text)


def _how_to_define(name: str, values: Mapping[str, str]) -> str:
    if name in ("catalog", "schema"):
        return f"Pass --{name} NAME."
    near = difflib.get_close_matches(name, values, n=1)
    guess = f"Did you mean ${{{near[0]}}}? Otherwise pass" if near else "Pass"
    return (
        f"{guess} --var {name}=VALUE, or give it a default under [vars] in workflow.toml; "
        f"if the text is meant as it is, write $${{{name}}} inside the quotes."
    )


def _require_one_statement(
    filled: str, statement: Statement, used: set[str], path: str | None
) -> None:
    try:
        found = scan(filled)
    except WorkflowError:
        found = ()
    if len(found) != 1 or found[0].text != filled:
        names = ", ".join(f"${{{name}}}" for name in sorted(used))
        raise WorkflowError(
            "PLACEHOLDER_BREAKS_STATEMENT",
            f"with the value of {names} filled in, this is no longer one statement",
            path=path,
            line=statement.line,
            position=statement.position,
            suggestion="Look for a quote, a semicolon or a comment in the value; inside a string, "
            "a quote has to be doubled.",
        )
