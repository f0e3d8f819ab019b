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
one_way = true                          # no row goes without another that comes
residual = "SELECT COUNT(*) FROM {table} WHERE ..."
alias = "${catalog}.${schema}.reach_final"
max_iterations = 20
stall_after = 5                         # iterations without a smaller residual
generate = true
intermediates = ["${catalog}.${schema}.reach_{iteration}"]     # what --cleanup drops

[files."05_statistics.sql"]             # a name or a pattern
critical = false

[tables]                                # names for the tables that checks speak of
reach = "${catalog}.${schema}.supplier_reach"

[[check]]
name = "nobody supplies itself"
sql = "SELECT COUNT(*) AS wrong FROM {reach} WHERE company = supplier"
expect = "wrong = 0"                    # without it: the query gives no row
severity = "critical"                   # the default; or fatal, moderate, warning
when = "end"                            # the default; or publish: before a loop's result is
```

A `[[loop]]` without `files` and `table` changes settings of the loop that was found in the SQL, by
`name` if there are several. A `[[check]]` named like one of the profile changes what it says;
`enabled = false` takes it out. `file = "checks/x.sql"` instead of `sql` speaks of such a file.
`profile = false` leaves profiles out, `profile = "name"` chooses one.

A profile has a `[match]` besides: `loop_table`, the last part of the loop's table, in which `{id}`
stands for the name that the workflow's tables begin with; and `unprefixed`, patterns of files whose
tables should begin with it too. Its names of tables are their last parts, with `{id}` in them. A
check with `each`, a pattern of files, is made for every one: `{output}` is the table that the file
leaves, `{source}` the one that it reads and that no check has a name for. `gather` does the same
for the files that this one reads from, and `{gathered}` are their queries, UNION ALL between.

Whatever is not known here is an error, with a guess at what was meant: a misspelled key that were
ignored would silently mean the default. Validation is by hand and not by pydantic, since a profile
is read for every plan and the format is a dozen keys.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from executor.workflow.expectations import parse_expectation
from executor.workflow.model import WorkflowError
from protocol.events import Severity


@dataclass(frozen=True, slots=True)
class DeclaredLoop:
    """A `[[loop]]` as it is written: placeholders are not yet filled in. `line` is its header's."""

    line: int | None
    name: str | None = None
    files: str | None = None
    table: str | None = None
    changed_columns: tuple[str, ...] | None = None
    one_way: bool | None = None
    probe: str | None = None
    residual: str | None = None
    alias: str | None = None
    max_iterations: int | None = None
    stall_after: int | None = None
    generate: bool | None = None
    intermediates: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DeclaredCheck:
    """A `[[check]]` as it is written; `None` for what is not said."""

    line: int | None
    name: str
    sql: str | None = None
    file: str | None = None
    each: str | None = None
    gather_files: str | None = None
    gather_sql: str | None = None
    expect: tuple[str, ...] | None = None
    severity: Severity | None = None
    when: Literal["publish", "end"] | None = None
    loop: str | None = None
    table: str | None = None
    share: tuple[str, ...] | None = None
    sizes: bool | None = None
    enabled: bool | None = None


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
    tables: Mapping[str, str] = field(default_factory=dict)
    """Tables by the names that checks have for them."""
    table_lines: Mapping[str, int | None] = field(default_factory=dict)
    checks: tuple[DeclaredCheck, ...] = ()
    profile: str | Literal[False] | None = None
    """The profile that is to apply; false for none, `None` for the one that matches."""
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
    own = "match" if profile else "profile"
    known = ("name", "vars", "loop", "files", "tables", "check", own)
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
        tables=_tables(reader, reader.optional(data, "tables", dict, None) or {}),
        table_lines={name: reader.line("tables", name) for name in data.get("tables", {})},
        checks=_checks(reader, data),
        profile=_chosen(reader, data),
        match=match,
    )


def _chosen(reader: _Reader, data: Mapping[str, Any]) -> str | Literal[False] | None:
    chosen = data.get("profile")
    if chosen is None or chosen is False or isinstance(chosen, str):
        return chosen
    raise reader.error("profile is the name of one, or false for none", None, "profile")


def _tables(reader: _Reader, table: Mapping[str, Any]) -> dict[str, str]:
    for key, value in table.items():
        if not re.fullmatch(r"[a-z_]\w*", key) or key in RESERVED:
            taken = ", ".join(RESERVED)
            raise reader.error(
                f"{key!r} cannot be the name of a table in checks: a word in lower case, and not "
                f"one of {taken}",
                "tables",
                key,
            )
        if not isinstance(value, str) or not value.strip():
            raise reader.error(f"{key} has to be the name of a table", "tables", key)
    return dict(table)


RESERVED = ("id", "output", "source", "gathered", "result", "iteration", "table", "previous")
"""Words in braces that have a meaning of their own."""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
WHENS = ("publish", "end")
_CHECK_KEYS = (
    "name", "sql", "file", "each", "gather", "expect", "severity", "when", "loop", "table", "share",
    "sizes", "enabled",
)  # fmt: skip


def _checks(reader: _Reader, data: Mapping[str, Any]) -> tuple[DeclaredCheck, ...]:
    tables = data.get("check", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise reader.error("a check is written [[check]], with two brackets", None, "check")
    checks = [_check(reader, table, ("check", index)) for index, table in enumerate(tables)]
    for place, check in enumerate(checks):
        if any(other.name == check.name for other in checks[:place]):
            where = ("check", place)
            raise reader.error(f"there are two checks called {check.name!r}", where, "name")
    return tuple(checks)


def _check(reader: _Reader, table: Mapping[str, Any], where: tuple[str, int]) -> DeclaredCheck:
    reader.only(table, _CHECK_KEYS, header=where)
    file = reader.optional(table, "file", str, where)
    name = reader.label(table, "name", where)
    gather = reader.optional(table, "gather", dict, where) or {}
    reader.only(gather, ("files", "sql"), header=where)
    if gather and len(gather) != 2:
        raise reader.error("gather needs files and sql", where, "gather")
    check = DeclaredCheck(
        line=reader.line(where, None),
        name=name or file or reader.get(table, "name", str, where),
        sql=reader.optional(table, "sql", str, where),
        file=file,
        each=reader.pattern(table, "each", where),
        gather_files=reader.pattern(gather, "files", where),
        gather_sql=reader.optional(gather, "sql", str, where),
        expect=_expect(reader, table, where),
        severity=reader.one_of(table, "severity", SEVERITIES, where),
        when=reader.one_of(table, "when", WHENS, where),
        loop=reader.optional(table, "loop", str, where),
        table=reader.optional(table, "table", str, where),
        share=reader.texts(table, "share", where),
        sizes=reader.optional(table, "sizes", bool, where),
        enabled=reader.optional(table, "enabled", bool, where),
    )
    if check.sql is not None and check.file is not None:
        raise reader.error("sql and file are two ways to say the same; keep one", where, "file")
    if check.share is not None and len(check.share) != 2:
        raise reader.error("share names two columns: the part, and the whole", where, "share")
    if check.gather_files and not check.each:
        raise reader.error("gather goes with each", where, "gather")
    return check


def _expect(
    reader: _Reader, table: Mapping[str, Any], where: tuple[str, int]
) -> tuple[str, ...] | None:
    given = table.get("expect")
    if isinstance(given, str):
        given = [given]
    if given is None:
        return None
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise reader.error("expect has to be a text or a list of texts", where, "expect")
    for one in given:
        try:
            parse_expectation(one)
        except ValueError as exc:
            raise reader.error(str(exc), where, "expect") from exc
    return tuple(given)


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
            name=reader.label(table, "name", where),
            files=reader.pattern(table, "files", where),
            table=reader.optional(table, "table", str, where),
            changed_columns=reader.texts(table, "changed_columns", where),
            one_way=reader.optional(table, "one_way", bool, where),
            probe=reader.optional(table, "probe", str, where),
            residual=reader.optional(table, "residual", str, where),
            alias=reader.optional(table, "alias", str, where),
            max_iterations=reader.optional(table, "max_iterations", int, where),
            stall_after=reader.optional(table, "stall_after", int, where),
            generate=reader.optional(table, "generate", bool, where),
            intermediates=reader.texts(table, "intermediates", where),
        )
        # without both it speaks of a loop that was found in the SQL
        if not profile and (loop.files is None) != (loop.table is None):
            missing = "files" if loop.files is None else "table"
            raise reader.error(f"{missing} is missing", where, None)
        if loop.table is not None and len(_ITERATION.findall(loop.table)) != 1:
            raise reader.error(
                "the table needs {iteration} exactly once (or {iteration:02} for two digits)",
                where,
                "table",
            )
        for key, number in (
            ("max_iterations", loop.max_iterations),
            ("stall_after", loop.stall_after),
        ):
            if number is not None and number < 1:
                raise reader.error(f"{key} is at least 1", where, key)
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
        if not _is_pattern(pattern):
            raise reader.error(_NO_PATTERN, where, None)
        if not isinstance(table, dict):
            raise reader.error(
                f'the settings of a file are a table: [files."{pattern}"]', "files", pattern
            )
        reader.only(table, ("critical",), header=where)
        critical = reader.optional(table, "critical", bool, where)
        files.append(DeclaredFile(pattern, reader.line(where, None), critical is not False))
    return tuple(files)


LONGEST_LABEL = 200
"""Characters of the name of a loop or a check."""

_NO_PATTERN = "this is no pattern of file names, such as 10_*.sql"


def _is_pattern(text: str) -> bool:
    return text.strip(" ./") != ""


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

    def one_of(
        self, table: Mapping[str, Any], key: str, known: Sequence[str], header: _Header
    ) -> Any:
        value = self.optional(table, key, str, header)
        if value is not None and value not in known:
            raise self.error(f"{key} is one of {', '.join(known)}", header, key)
        return value

    def pattern(self, table: Mapping[str, Any], key: str, header: _Header) -> Any:
        value = self.optional(table, key, str, header)
        if value is not None and not _is_pattern(value):
            raise self.error(f"{key}: {_NO_PATTERN}", header, key)
        return value

    def label(self, table: Mapping[str, Any], key: str, header: _Header) -> Any:
        value = self.optional(table, key, str, header)
        if value is not None and not (
            value.strip() and value.isprintable() and len(value) <= LONGEST_LABEL
        ):
            raise self.error(
                f"{key} has to be one line of at most {LONGEST_LABEL} characters that can be shown",
                header,
                key,
            )
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
