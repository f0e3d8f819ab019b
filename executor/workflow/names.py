"""Names of tables: `catalog.schema.table` as text, and as SQL.

In plans and events a name is its parts joined by dots, in lower case as the catalog keeps it. A
part that itself holds a dot or a backtick stays backtick-quoted, so that the text can be taken
apart again. In SQL every part is quoted: a catalog may be called `my-catalog`, or `order`.
"""

from __future__ import annotations

import re

_PART = re.compile(r"`((?:[^`]|``)*)`|([^.`]+)")


def split_name(name: str) -> tuple[str, ...]:
    """The parts of a dotted name, without quotes."""
    return tuple(
        quoted.replace("``", "`") if bare == "" else bare for quoted, bare in _PART.findall(name)
    )


def join_name(parts: tuple[str, ...]) -> str:
    """The dotted name of `parts`; the inverse of `split_name`."""
    return ".".join(quote(part) if re.search(r"[.`]", part) else part for part in parts)


def quote(part: str) -> str:
    """One identifier in SQL, whatever characters it has."""
    return "`" + part.replace("`", "``") + "`"


def sql_name(name: str) -> str:
    """A dotted name in SQL, every part quoted."""
    return ".".join(quote(part) for part in split_name(name))


_ITERATION = re.compile(r"\{iteration(?::0?(\d+))?\}")


def table_name(pattern: str, iteration: int) -> str:
    """The table of an iteration: `{iteration}` is its number, `{iteration:02}` padded with zeros.

    Errors: `ValueError` if the pattern has no such mark.
    """
    if not _ITERATION.search(pattern):
        raise ValueError(f"{pattern!r} does not say where the iteration's number stands")
    return _ITERATION.sub(lambda mark: f"{iteration:0{int(mark[1] or 1)}}", pattern)
