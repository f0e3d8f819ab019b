"""Reads workflow.toml, and the built-in profiles, which are written in the same format.

```toml
name = "supplier_reach"

[vars]                                  # defaults; --var on the command line wins
companies = 200

[[loop]]                                # a declared loop wins over one found in the SQL
name = "reach"
files = "03_reach_round_*.sql"
table = "${catalog}.${schema}.reach_{iteration}"
changed_columns = ["company", "supplier", "hops"]
residual = "SELECT COUNT(*) FROM {table} WHERE ..."
alias = "${catalog}.${schema}.reach_final"
max_iterations = 20
generate = true

[files."05_statistics.sql"]             # a name or a pattern
critical = false
```

A profile has a `[match]` besides: `loop_table`, the last part of the loop's table, in which `{id}`
stands for the name that the workflow's tables begin with; and `unprefixed`, patterns of files whose
tables should begin with it too.

Whatever is not known here is an error, with a guess at what was meant: a misspelled key that were
ignored would silently mean the default. Validation is by hand and not by pydantic, since a profile
is read for every plan and the format is a dozen keys.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from executor.workflow.model import WorkflowError


@dataclass(frozen=True, slots=True)
class DeclaredLoop:
    """A `[[loop]]` as it is written: placeholders are not yet filled in. `line` is its header's."""

    line: int | None
    name: str | None = None
    files: str | None = None
    table: str | None = None
    changed_columns: tuple[str, ...] | None = None
    probe: str | None = None
    residual: str | None = None
    alias: str | None = None
    max_iterations: int | None = None
    generate: bool | None = None


@dataclass(frozen=True, slots=True)
class DeclaredFile:
    """A `[files."pattern"]`."""

    pattern: str
    line: int | None
    critical: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    """When a profile applies."""

    loop_table: str
    unprefixed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    name: str | None = None
    vars: Mapping[str, str] = field(default_factory=dict)
    loops: tuple[DeclaredLoop, ...] = ()
    files: tuple[DeclaredFile, ...] = ()
    match: Match | None = None


def read_manifest(text: str, path: str, *, profile: bool = False) -> Manifest:
    """Parses and validates; `path` is what errors name.

    Raises WorkflowError MANIFEST_INVALID with line and key.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(exc))
        raise WorkflowError(
            "MANIFEST_INVALID",
            f"this is not valid TOML: {exc}",
            path=path,
            line=int(place[1]) if place else len(text.splitlines()) or None,
            position=int(place[2]) if place else None,
            suggestion="Texts need quotes, and every key its own line.",
        ) from exc
    reader = _Reader(text, path)
    known = ("name", "vars", "loop", "files", *(("match",) if profile else ()))
    reader.only(data, known, header=None)
    match = None
    if profile:
        table = reader.get(data, "match", dict, None)
        reader.only(table, ("loop_table", "unprefixed"), header="match")
        match = Match(
            loop_table=reader.get(table, "loop_table", str, "match"),
            unprefixed=reader.texts(table, "unprefixed", "match") or (),
        )
    return Manifest(
        name=reader.optional(data, "name", str, None),
        vars=_vars(reader, reader.optional(data, "vars", dict, None) or {}),
        loops=_loops(reader, data, profile=profile),
        files=_files(reader, reader.optional(data, "files", dict, None) or {}),
        match=match,
    )


def _vars(reader: _Reader, table: Mapping[str, Any]) -> dict[str, str]:
    values = {}
    for key, value in table.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", key):
            raise reader.error(
                "a placeholder's name has letters, digits and underscores only", "vars", key
            )
        if isinstance(value, bool):
            values[key] = "true" if value else "false"
        elif isinstance(value, (str, int, float)):
            values[key] = str(value)
        else:
            raise reader.error("a placeholder's value is a text, a number or a bool", "vars", key)
    return values


_LOOP_KEYS = tuple(name for name in DeclaredLoop.__dataclass_fields__ if name != "line")


def _loops(reader: _Reader, data: Mapping[str, Any], *, profile: bool) -> tuple[DeclaredLoop, ...]:
    tables = data.get("loop", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise reader.error("a loop is written [[loop]], with two brackets", None, "loop")
    loops = []
    for index, table in enumerate(tables):
        where = ("loop", index)
        reader.only(table, _LOOP_KEYS, header=where)
        loop = DeclaredLoop(
            line=reader.line(where, None),
            name=reader.optional(table, "name", str, where),
            # a profile describes the loop that was found; a manifest declares one
            files=reader.optional(table, "files", str, where)
            if profile
            else reader.get(table, "files", str, where),
            table=reader.optional(table, "table", str, where)
            if profile
            else reader.get(table, "table", str, where),
            changed_columns=reader.texts(table, "changed_columns", where),
            probe=reader.optional(table, "probe", str, where),
            residual=reader.optional(table, "residual", str, where),
            alias=reader.optional(table, "alias", str, where),
            max_iterations=reader.optional(table, "max_iterations", int, where),
            generate=reader.optional(table, "generate", bool, where),
        )
        if loop.table is not None and len(_ITERATION.findall(loop.table)) != 1:
            raise reader.error(
                "the table needs {iteration} exactly once (or {iteration:02} for two digits)",
                where,
                "table",
            )
        if loop.max_iterations is not None and loop.max_iterations < 1:
            raise reader.error("max_iterations is at least 1", where, "max_iterations")
        if loop.changed_columns == ():
            raise reader.error(
                "changed_columns names at least one column; leave it out to compare all",
                where,
                "changed_columns",
            )
        if loop.probe is not None and loop.changed_columns is not None:
            raise reader.error(
                "probe and changed_columns are two ways to say the same; keep one", where, "probe"
            )
        for key, sql in (("probe", loop.probe), ("residual", loop.residual)):
            if sql is not None and "{table}" not in sql:
                raise reader.error(f"the {key} has to read {{table}}", where, key)
        loops.append(loop)
    return tuple(loops)


_ITERATION = re.compile(r"\{iteration(?::0?\d+)?\}")


def _files(reader: _Reader, data: Mapping[str, Any]) -> tuple[DeclaredFile, ...]:
    files = []
    for pattern, table in data.items():
        where = ("files", pattern)
        if not isinstance(table, dict):
            raise reader.error(
                f'the settings of a file are a table: [files."{pattern}"]', "files", pattern
            )
        reader.only(table, ("critical",), header=where)
        critical = reader.optional(table, "critical", bool, where)
        files.append(DeclaredFile(pattern, reader.line(where, None), critical is not False))
    return tuple(files)


# --- errors with a place ----------------------------------------------------------------------

_Header = str | tuple[str, int | str] | None
"""None is the top; ("loop", 1) the second [[loop]]; ("files", "x") is [files."x"]."""

_TYPES: Mapping[type, str] = {
    str: "a text in quotes",
    int: "a whole number",
    bool: "true or false",
    dict: "a table",
    list: "a list of texts",
}


class _Reader:
    def __init__(self, text: str, path: str) -> None:
        self.lines = text.splitlines()
        self.path = path

    def only(self, table: Mapping[str, Any], known: tuple[str, ...], header: _Header) -> None:
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."
                raise self.error(f"there is no key {key!r} here", header, key, suggestion=hint)

    def optional(self, table: Mapping[str, Any], key: str, kind: type, header: _Header) -> Any:
        value = table.get(key)
        # bool is an int in Python, but `max_iterations = true` is a mistake
        if value is not None and (
            not isinstance(value, kind) or (kind is int and isinstance(value, bool))
        ):
            raise self.error(f"{key} has to be {_TYPES[kind]}", header, key)
        return value

    def get(self, table: Mapping[str, Any], key: str, kind: type, header: _Header) -> Any:
        value = self.optional(table, key, kind, header)
        if value is None:
            raise self.error(f"{key} is missing", header, None)
        return value

    def texts(self, table: Mapping[str, Any], key: str, header: _Header) -> tuple[str, ...] | None:
        value = self.optional(table, key, list, header)
        if value is None:
            return None
        if not all(isinstance(part, str) for part in value):
            raise self.error(f"{key} has to be {_TYPES[list]}", header, key)
        return tuple(value)

    def error(
        self, message: str, header: _Header, key: str | None, suggestion: str | None = None
    ) -> WorkflowError:
        return WorkflowError(
            "MANIFEST_INVALID",
            message,
            path=self.path,
            line=self.line(header, key),
            suggestion=suggestion or "Correct the entry; the format is described by the examples.",
        )

    def line(self, header: _Header, key: str | None) -> int | None:
        """The line of a key, or of its table's header; None where it is written in a way that a
        look at the lines does not find (inline tables, dotted keys)."""
        is_header = _header_test(header)
        is_key = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""") if key else None
        start, seen = (0, 0) if header is None else (None, -1)
        for number, line in enumerate(self.lines, 1):
            if line.lstrip().startswith("["):
                if start is not None and header is not None:
                    break
                if is_header(line):
                    seen += 1
                    wanted = header[1] if isinstance(header, tuple) else 0
                    if not isinstance(wanted, int) or seen == wanted:
                        start = number
                elif key and header is None and re.match(rf"\s*\[+\s*{re.escape(key)}\b", line):
                    return number
            elif start is not None and is_key and is_key.match(line):
                return number
        return start or None


def _header_test(header: _Header) -> Callable[[str], object]:
    match header:
        case None:
            return lambda line: False
        case (str(table), int()):
            return re.compile(rf"\s*\[\[\s*{table}\s*\]\]").match
        case (str(table), str(name)):
            return re.compile(rf"""\s*\[\s*{table}\s*\.\s*["']?{re.escape(name)}["']?\s*\]""").match
        case str(table):
            return re.compile(rf"\s*\[\s*{table}\s*\]").match
        case _:
            raise TypeError(header)
