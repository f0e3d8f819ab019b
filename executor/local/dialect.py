"""Reading Databricks SQL: sqlglot's Databricks grammar with every function call left as written.

sqlglot turns the functions it knows into nodes of their own and reorders arguments on the way to
its other dialects. We translate functions ourselves, by name and with types (see ``functions``),
so the parser here is told to know none: a call comes out as name and arguments, in the order the
author wrote them. What has a syntax of its own (CAST, EXTRACT, TRIM) keeps its node.
"""

from __future__ import annotations

import functools
import re
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.databricks import Databricks
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.databricks import DatabricksParser

from executor.local.errors import SqlError

_WITH_SYNTAX = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "SUBSTRING", "SUBSTR")


class Warehouse(Databricks):
    """The grammar of the embedded warehouse."""

    class Tokenizer(Databricks.Tokenizer):
        COMMANDS = set()  # noqa: RUF012 -- else the rest of OPTIMIZE … is one opaque token

    class Parser(DatabricksParser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}  # sqlglot configures a grammar by class attributes
        ARRAY_CONSTRUCTORS: ClassVar[dict[str, Any]] = {}  # else array(1, 2)[0] loses its elements
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: parse
            for name, parse in DatabricksParser.FUNCTION_PARSERS.items()
            if name in _WITH_SYNTAX
        }


def tokens(sql: str) -> list[sqlglot.Token]:
    """The tokens of a statement; raises SqlError where a literal or comment is not closed."""
    try:
        return Warehouse().tokenize(sql)
    except TokenError as exc:
        raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error: {exc}.", line=1, position=0) from exc


@functools.lru_cache(maxsize=512)
def _parse(sql: str) -> exp.Expr | SqlError:
    try:
        trees = [t for t in sqlglot.parse(sql, read=Warehouse) if t is not None]
    except TokenError as exc:
        return SqlError("PARSE_SYNTAX_ERROR", f"Syntax error: {exc}.", line=1, position=0)
    except ParseError as exc:
        return _syntax_error(sql, exc)
    if not trees:
        return SqlError("PARSE_EMPTY_STATEMENT", "Syntax error, unexpected empty statement.")
    if len(trees) > 1:
        second = next((t for t in tokens(sql) if t.text == ";"), None)
        line, col = (second.line, second.col - 1) if second else (1, 0)
        return SqlError(
            "PARSE_SYNTAX_ERROR",
            "Syntax error at or near ';': extra input, one statement at a time.",
            line=line,
            position=col,
        )
    return trees[0]


def _syntax_error(sql: str, exc: ParseError) -> SqlError:
    first = exc.errors[0] if exc.errors else {}
    near = str(first.get("highlight") or "").strip() or "end of input"
    line, col = first.get("line"), first.get("col")
    position = None if col is None else max(int(col) - len(near), 0)
    return SqlError(
        "PARSE_SYNTAX_ERROR",
        f"Syntax error at or near '{near[:80]}'.",
        line=int(line) if line else 1,
        position=position or 0,
    )


_STATEMENTS = (
    exp.Query,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.TruncateTable,
    exp.Values,
)


def parse(sql: str) -> exp.Expr:
    """The tree of one statement. Raises SqlError with line and position."""
    found = _parse(sql)
    if isinstance(found, SqlError):
        raise SqlError(
            found.error_class,
            found.message,
            sqlstate=found.sqlstate,
            line=found.line,
            position=found.position,
        )
    if not isinstance(found, _STATEMENTS):
        word = re.match(r"\s*(\S+)", sql)
        raise SqlError(
            "PARSE_SYNTAX_ERROR",
            f"Syntax error at or near '{word.group(1)[:80] if word else ''}'.",
            line=1,
            position=0,
        )
    return found


def position_of(node: exp.Expr) -> tuple[int | None, int | None]:
    """Where the first identifier below ``node`` stands: line from 1, column from 0."""
    for part in node.walk():
        line, col = part.meta.get("line"), part.meta.get("col")
        if line is not None and col is not None:
            start = col - len(part.name) if isinstance(part, exp.Identifier) else col
            return int(line), max(int(start), 0)
    return None, None
