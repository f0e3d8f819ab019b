"""A cursor over the tokens of a statement that is words rather than a query."""

from __future__ import annotations

from sqlglot.tokenizer_core import Token, TokenType

from executor.local import sqltypes as t
from executor.local.catalogs import META
from executor.local.errors import SqlError, quote_name
from executor.local.execution import Execution
from executor.local.scope import Column


class Words:
    """A cursor over tokens; comparisons ignore case."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = [k for k in tokens if k.token_type != TokenType.SEMICOLON]
        self.at = 0

    def take(self, *words: str) -> bool:
        """Step over ``words`` if they are next."""
        here = [k.text.upper() for k in self.tokens[self.at : self.at + len(words)]]
        if here != list(words):
            return False
        self.at += len(words)
        return True

    def done(self) -> bool:
        return self.at >= len(self.tokens)

    def need(self, *words: str) -> None:
        if not self.take(*words):
            raise self.error()

    def error(self) -> SqlError:
        if self.done():
            last = self.tokens[-1]
            return SqlError(
                "PARSE_SYNTAX_ERROR",
                "Syntax error at or near end of input.",
                line=last.line,
                position=last.col,
            )
        token = self.tokens[self.at]
        return SqlError(
            "PARSE_SYNTAX_ERROR",
            f"Syntax error at or near '{token.text}'.",
            line=token.line,
            position=max(token.col - len(token.text), 0),
        )

    def end(self) -> None:
        if not self.done():
            raise self.error()

    def next(self) -> Token:
        if self.done():
            raise self.error()
        self.at += 1
        return self.tokens[self.at - 1]

    def name(self) -> list[str]:
        """A dotted name, lower-cased."""
        parts = [self.next().text.lower()]
        while not self.done() and self.tokens[self.at].token_type == TokenType.DOT:
            self.at += 1
            parts.append(self.next().text.lower())
        return parts

    def position(self) -> tuple[int, int]:
        token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return token.line, max(token.col - len(token.text), 0)


def table(work: Execution, words: Words) -> tuple[tuple[str, str, str], list[Column]]:
    """The table named next. Raises TABLE_OR_VIEW_NOT_FOUND, or says that it is a view."""
    words.take("TABLE")
    where = words.position()
    path = work.session.path(words.name())
    catalogs = work.engine.catalogs
    columns = catalogs.columns(work.con, path) if catalogs.has(path[0]) else None
    if columns is None or path[1] == META:
        if catalogs.view(work.con, path) is not None:
            raise SqlError(
                "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
                f"The operation expects a table but {quote_name(*path)} is a view.",
            )
        raise catalogs.missing(work.con, path).at(*where)
    return path, columns


def string_columns(*names: str) -> list[Column]:
    return [Column(n, t.STRING) for n in names]
