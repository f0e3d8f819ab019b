"""Cuts a text of SQL into pieces: the lexer.

Theory. A text is a row of pieces: blanks, comments, strings, quoted names, bodies in dollars,
hints, words and symbols. Every character belongs to exactly one piece, so the pieces laid end to
end are the text again.

Lexical facts, each confirmed against Spark 4.0.1: block comments nest, but `/*+` inside a comment
opens nothing, and outside it is a hint, which is code; a line comment goes on behind a backslash
at the end of its line (LF only) and ends at a lone CR too; a backslash escapes in strings except
in raw ones (`r'\\'`); a doubled quote stays inside (in a raw string two literals meet, which ends
at the same character); in backticks only the doubled backtick is special. Databricks alone has
bodies in dollars, `$$ … $$` or `$tag$ … $tag$`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from executor.workflow.model import WorkflowError

PieceKind = Literal[
    "space", "comment", "hint", "string", "name", "dollar", "placeholder", "word", "symbol"
]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text of one kind; `start` is its offset in characters."""

    kind: PieceKind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def is_code(self) -> bool:
        return self.kind not in ("space", "comment")


class Lines:
    """Turns offsets into lines and positions, both counted from 1."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer(r"\r\n?|\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


_PIECE = re.compile(
    r"""
      (?P<space>   \s++ )
    | (?P<comment> -- (?: \\\n | [^\r\n] )*+ )
    | (?P<hint>    /\*\+ )
    | (?P<block>   /\* )
    | (?P<string>  [rR](?: '[^']*+' | "[^"]*+" )
                 | ' (?: [^'\\] | \\. | '' )*+ '
                 | " (?: [^"\\] | \\. | "" )*+ " )
    | (?P<name>    ` (?: [^`] | `` )*+ ` )
    | (?P<placeholder> \$\{[A-Za-z_]\w*\} )
    | (?P<dollar>  \$(?:[^\W\d]\w*)?\$ )
    | (?P<word>    \w++ )
    | (?P<symbol>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*(?!\+)|\*/")


def pieces(text: str, path: str | None = None) -> Iterator[Piece]:
    """The pieces of `text`, in order and without gaps.

    Raises WorkflowError (UNTERMINATED_STRING, UNTERMINATED_COMMENT) at the opening of whatever the
    text does not close.
    """
    at, end = 0, len(text)
    while at < end:
        found = _PIECE.match(text, at)
        assert found is not None, "the last alternative takes any character"
        kind, stop = found.lastgroup, found.end()
        if kind == "block":
            kind, stop = "comment", _end_of_comment(text, at, path)
        elif kind == "hint":
            close = text.find("*/", stop)
            if close < 0:
                raise _unterminated("COMMENT", "hint", text, at, path, "*/")
            stop = close + 2
        elif kind == "dollar":
            close = text.find(found[0], stop)
            if close < 0:
                raise _unterminated("STRING", f"text in {found[0]}", text, at, path, found[0])
            stop = close + len(found[0])
        elif kind == "symbol" and found[0] in "'\"`":
            what = "name in backticks" if found[0] == "`" else "string"
            raise _unterminated("STRING", what, text, at, path, found[0])
        yield Piece(kind, text[at:stop], at)  # type: ignore[arg-type]  # group names are kinds
        at = stop


def _end_of_comment(text: str, start: int, path: str | None) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise _unterminated("COMMENT", "comment", text, start, path, "*/")


def _unterminated(
    code: str, what: str, text: str, start: int, path: str | None, closing: str
) -> WorkflowError:
    line, position = Lines(text).at(start)
    return WorkflowError(
        f"UNTERMINATED_{code}",
        f"the {what} that opens here is never closed",
        path=path,
        line=line,
        position=position,
        suggestion=f"Close it with {closing}, or look for one too many before it.",
    )
