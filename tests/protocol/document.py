"""PROTOCOL.md as data: its sections with their tables and examples, and how it spells a type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from protocol.base import Message
from protocol.shapes import members

PATH = Path(__file__).parents[2] / "PROTOCOL.md"

_SCALARS = {str: "text", int: "integer", float: "number", bool: "true or false", NoneType: "null"}


def spelled(hint: Any) -> str:
    """The type of a field as the tables spell it."""
    return " or ".join(_spelled_member(part) for part in members(hint))


def _spelled_member(part: Any) -> str:
    if part in _SCALARS:
        return _SCALARS[part]
    origin, arguments = get_origin(part), get_args(part)
    if origin is Literal:
        words = ("true" if word is True else str(word) for word in arguments)
        return ", ".join(f"`{word}`" for word in words)
    if origin is tuple:
        return f"list of {spelled(arguments[0])}"
    if origin is dict:
        return f"map of text to {spelled(arguments[1])}"
    assert issubclass(part, Message)
    return f"[{part.__name__}](#{part.__name__.lower()})"


@dataclass(frozen=True, slots=True)
class Section:
    """One heading of the third level: its name, tables and examples."""

    name: str
    tables: tuple[tuple[dict[str, str], ...], ...]
    """Each table's rows by column."""
    examples: tuple[bytes, ...]


def sections(chapter: str) -> list[Section]:
    """The sections below the heading `## chapter`."""
    text = PATH.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(chapter)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found is not None, f"PROTOCOL.md has no chapter {chapter}"
    parts = re.split(r"^### (.+)\n", found.group(1), flags=re.M)[1:]
    return [_section(name, body) for name, body in zip(parts[::2], parts[1::2], strict=True)]


def all_examples() -> list[bytes]:
    """Every JSON line of the document, wherever it stands."""
    return [line for block in _blocks(PATH.read_text(encoding="utf-8")) for line in block]


def _section(name: str, body: str) -> Section:
    examples = tuple(line for block in _blocks(body) for line in block)
    return Section(name.strip("`"), tuple(_tables(body)), examples)


def _blocks(text: str) -> Iterator[list[bytes]]:
    for block in re.findall(r"^```json\n(.*?)^```", text, re.M | re.S):
        yield [line.encode() for line in block.splitlines()]


def _tables(text: str) -> Iterator[tuple[dict[str, str], ...]]:
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        header, _, *rows = [_cells(row) for row in block.splitlines()]
        yield tuple(dict(zip(header, row, strict=True)) for row in rows)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]
