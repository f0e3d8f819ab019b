"""What a statement is, what it reads and what it writes.

Theory. Three sources of knowledge, in this order. The first words decide what a statement is where
they can: Databricks has commands no parser knows, and a known command must not become unknown for
want of one. Queries and changes of data go through sqlglot's tree: reads are the tables in it that
are neither the target nor the name of a common table expression visible at that place. What the
parser refuses is `unknown`, reads and writes nothing as far as we know, and is said aloud by a
warning; nobody is stopped for it, the warehouse has the last word on syntax.

Names are full (`executor.workflow.names`): what is left out is taken from the USE statements before
in the file, or from the catalog and schema of the run. A temporary view has one part only, since it
belongs to the session.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import sqlglot
from sqlglot import exp

from executor.workflow.columns import ColumnRead, columns_read
from executor.workflow.names import join_name
from executor.workflow.pieces import Piece, pieces
from executor.workflow.statements import scan_inside
from protocol.events import StatementKind

# The parser logs what it does not support; we say it in the plan, with file and line.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())
logging.getLogger("sqlglot").propagate = False

_FILE_FORMATS = frozenset(
    {"delta", "parquet", "csv", "json", "orc", "avro", "text", "binaryfile", "iceberg", "xml"}
)
_DIALECT = "databricks"
_NOT_IN_THE_PARSER = re.compile(r"\A(MERGE|INSERT)(\s+WITH\s+SCHEMA\s+EVOLUTION)\b", re.IGNORECASE)
"""Clauses that Databricks has and the parser has not; without them the tables are the same."""


@dataclass(slots=True)
class Names:
    """Where unqualified names belong: follows USE through a file."""

    catalog: str | None
    schema: str | None
    temporary: set[str] = field(default_factory=set)
    """Temporary views of the session, shared by the files of a workflow."""

    def resolve(self, parts: Sequence[str]) -> str:
        """The full name of a table written with these parts."""
        parts = [part.lower() for part in parts]
        if len(parts) == 1 and parts[0] in self.temporary:
            return join_name((parts[0],))
        missing = [self.catalog, self.schema][: max(0, 3 - len(parts))]
        return join_name((*(part.lower() for part in missing if part), *parts))

    def use(self, parts: Sequence[str], what: str | None) -> None:
        """`what` is CATALOG, SCHEMA, DATABASE or None for a bare USE."""
        if what == "CATALOG":
            self.catalog, self.schema = parts[0], "default"
        elif len(parts) > 1:
            self.catalog, self.schema = parts[-2], parts[-1]
        elif parts:
            self.schema = parts[0]


@dataclass(frozen=True, slots=True)
class Lineage:
    """What one statement does to tables; names are full and without duplicates."""

    kind: StatementKind
    target: str | None = None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    """Those of `writes` that are gone afterwards."""
    guarded: bool = False
    """Harmless to say twice by its own words: IF [NOT] EXISTS, OR REPLACE, ALTER … SET, SHOW."""
    partial: bool = False
    """INSERT OVERWRITE of a partition or REPLACE WHERE: other rows of the target stay."""
    session: bool = False
    """Makes something that is gone with the session."""
    opaque: str | None = None
    """Why reads and writes are not all that the statement may touch."""
    columns: tuple[ColumnRead, ...] = ()
    """Columns that it surely reads, of tables it reads or changes; there may be more."""


_BY_FIRST_WORD: dict[str, StatementKind] = {
    "COMMIT": "transaction",
    "ROLLBACK": "transaction",
    "OPTIMIZE": "optimize",
    "VACUUM": "vacuum",
    **dict.fromkeys(
        ("SHOW", "DESCRIBE", "DESC", "EXPLAIN", "GRANT", "REVOKE", "DENY", "ANALYZE", "COMMENT",
         "CACHE", "UNCACHE", "CLEAR", "REFRESH", "MSCK", "REPAIR", "LIST", "PUT", "GET", "REMOVE",
         "CALL", "EXECUTE", "DECLARE", "RESET", "REORG", "RESTORE", "FSCK", "GENERATE", "SYNC",
         "UNDROP", "CONVERT", "ADD"),
        "other",
    ),
}  # fmt: skip
_OPAQUE_COMMANDS = frozenset({"CALL", "EXECUTE"})
_BLOCKS = frozenset({"BEGIN", "IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR"})
_TABLE_LIKE = frozenset({"TABLE", "VIEW"})


def lineage(text: str, names: Names) -> Lineage:
    """Reads one statement, comments blanked and placeholders filled in.

    `names` is changed by USE and by temporary views. Never raises for what `text` says.
    """
    words = _first_words(text)
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first == "USE" or (first, second) == ("SET", "CATALOG"):
        return _use(text, words, names)
    if first == "SET":
        return Lineage("set", session=second in ("VAR", "VARIABLE"))
    if first in ("BEGIN", "START") and second in ("TRANSACTION", "WORK", ""):
        return Lineage("transaction")
    if first in _BLOCKS or second == ":":
        return _script(text, names)
    if first in _BY_FIRST_WORD:
        return _command(text, first, words, names)
    if first in ("CREATE", "DROP", "ALTER"):
        made = _made(words)
        if made not in _TABLE_LIKE:
            return Lineage(
                "drop" if first == "DROP" else "alter" if first == "ALTER" else "other",
                guarded="EXISTS" in words or "REPLACE" in words[:3],
                session="TEMPORARY" in words[:5] or "TEMP" in words[:5],
            )
    if (first, second) == ("REPLACE", "TABLE"):
        text = "CREATE OR " + text
    if first == "TABLE":
        return Lineage("select", reads=(names.resolve(_chain(text, 1)),))
    tree = parse(text)
    if tree is None and first == "ALTER" and ("RENAME", "TO") not in pairwise(words):
        target = names.resolve(_chain(text, 2))
        return Lineage("alter", target, writes=(target,))
    if tree is None:
        return Lineage("unknown")
    return _from_tree(tree, names)


def parse(text: str) -> exp.Expr | None:
    """The syntax tree, or None for what the parser refuses or keeps as mere text. Offsets in the
    tree are offsets in `text`."""
    try:
        tree = sqlglot.parse_one(_NOT_IN_THE_PARSER.sub(_blank, text), dialect=_DIALECT)
    except Exception:  # noqa: BLE001
        # An edge: the parser's own faults (recursion, attribute errors on odd input) must count
        # as "could not be parsed", like its honest refusals.
        return None
    return None if isinstance(tree, exp.Command) else tree


def _blank(found: re.Match[str]) -> str:
    return found[1] + " " * len(found[2])


# --- by the first words -----------------------------------------------------------------------


def _first_words(text: str, most: int = 12) -> list[str]:
    words: list[str] = []
    for piece in pieces(text):
        if piece.is_code:
            words.append(piece.text.upper() if piece.kind in ("word", "symbol") else "'")
            if len(words) == most:
                break
    return words


def _made(words: Sequence[str]) -> str:
    """What CREATE, DROP or ALTER is about: TABLE, VIEW, SCHEMA, FUNCTION …"""
    for word in words[1:]:
        if word in ("OR", "REPLACE", "TEMPORARY", "TEMP", "GLOBAL", "EXTERNAL", "MANAGED",
                    "MATERIALIZED", "STREAMING", "REFRESH", "LIVE", "RECURSIVE"):  # fmt: skip
            continue
        return word
    return ""


def _chain(text: str, skip: int) -> list[str]:
    """Parts of the dotted name that follows the first `skip` words."""
    code = [piece for piece in pieces(text) if piece.is_code][skip : skip + 5]
    parts: list[str] = []
    for place, piece in enumerate(code):
        if place % 2:
            if piece.text != ".":
                break
        elif (part := _name(piece)) is None:
            break
        else:
            parts.append(part)
    return parts


def _name(piece: Piece) -> str | None:
    if piece.kind == "name":
        return piece.text[1:-1].replace("``", "`")
    return piece.text if piece.kind == "word" else None


def _use(text: str, words: Sequence[str], names: Names) -> Lineage:
    what = words[1] if len(words) > 2 and words[1] in ("CATALOG", "SCHEMA", "DATABASE") else None
    parts = _chain(text, 2 if what else 1)
    if not parts or parts[0].upper() == "IDENTIFIER":
        return Lineage("use", opaque="the name is computed")
    names.use(parts, what)
    return Lineage("use")


def _command(text: str, first: str, words: Sequence[str], names: Names) -> Lineage:
    kind = _BY_FIRST_WORD[first]
    if first in ("OPTIMIZE", "VACUUM"):
        parts = _chain(text, 1)
        target = names.resolve(parts) if parts else None
        return Lineage(kind, target, reads=(target,) if target else ())
    if (first, words[1:2]) == ("RESTORE", ["TABLE"]):
        target = names.resolve(_chain(text, 2))
        return Lineage(kind, target, writes=(target,))
    opaque = f"what {first} touches is not in the statement" if first in _OPAQUE_COMMANDS else None
    guarded = not opaque and first not in ("DECLARE", "ADD", "PUT", "REMOVE", "UNDROP", "CONVERT")
    return Lineage(kind, guarded=guarded, session=first == "DECLARE", opaque=opaque)


def _script(text: str, names: Names) -> Lineage:
    reads: list[str] = []
    writes: list[str] = []
    opaque: str | None = None
    inner_names = replace(names, temporary=set(names.temporary))
    for inner in scan_inside(text):
        if inner.code[0].text.upper() in ("LEAVE", "ITERATE", "RETURN", "SIGNAL", "RESIGNAL"):
            continue
        found = lineage(inner.text, inner_names)
        reads += [name for name in found.reads if name not in writes]
        writes += found.writes
        if found.kind == "unknown" or found.opaque:
            opaque = found.opaque or f"line {inner.line} of the script could not be parsed"
    return Lineage("script", reads=_unique(reads), writes=_unique(writes), opaque=opaque)


# --- by the tree ------------------------------------------------------------------------------


def _from_tree(tree: exp.Expr, names: Names) -> Lineage:
    match tree:
        case exp.Create():
            return _create(tree, names)
        case exp.Insert():
            kind: StatementKind = "insert_overwrite" if tree.args.get("overwrite") else "insert"
            partial = tree.find(exp.Partition) is not None
            if tree.args.get("where") is not None:  # REPLACE WHERE
                kind, partial = "insert_overwrite", True
            return _change(tree, kind, [_table(tree.this)], names, partial=partial)
        case exp.MultitableInserts():
            targets = [_table(insert.this) for insert in tree.expressions]
            return _change(tree, "insert", targets, names)
        case exp.Merge():
            return _change(tree, "merge", [_table(tree.this)], names)
        case exp.Update():
            return _change(tree, "update", [_table(tree.this)], names)
        case exp.Delete():
            return _change(tree, "delete", [_table(tree.this)], names)
        case exp.Copy():
            return _change(tree, "copy_into", [_table(tree.this)], names)
        case exp.TruncateTable():
            return _change(tree, "truncate", [_table(t) for t in tree.expressions], names)
        case exp.Drop():
            tables = tree.args.get("tables") or [tree.this]
            found = _change(tree, "drop", [_table(t) for t in tables], names)
            names.temporary.difference_update(found.writes)
            return replace(found, dropped=found.writes, guarded=bool(tree.args.get("exists")))
        case exp.Alter():
            return _alter(tree, names)
        case exp.Query() | exp.Values():
            reads, columns, opaque = _reads(tree, [], names)
            return Lineage("select", reads=reads, columns=columns, opaque=opaque)
        case _:
            return Lineage("other")


def _create(tree: exp.Create, names: Names) -> Lineage:
    target = _table(tree.this)
    properties = tree.args.get("properties")
    temporary = properties is not None and properties.find(exp.TemporaryProperty) is not None
    query = tree.args.get("expression") is not None or tree.args.get("clone") is not None
    # the query is read before its name exists, so a view may be made from a table of that name
    reads, columns, opaque = _reads(tree, [target], names)
    if temporary and target is not None:
        names.temporary.add(target.name.lower())
    kind: StatementKind
    if tree.args.get("replace"):
        kind = "replace_as" if query else "replace"
    else:
        kind = "create_as" if query else "create"
    name = table_full_name(target, names)
    return Lineage(
        kind,
        name,
        reads=reads,
        writes=(name,) if name else (),
        guarded=bool(tree.args.get("exists")),
        session=temporary,
        opaque=opaque if name else "the table's name is computed",
        columns=columns,
    )


def _alter(tree: exp.Alter, names: Names) -> Lineage:
    source = _table(tree.this)
    name = table_full_name(source, names)
    for action in tree.args.get("actions") or []:
        if isinstance(action, exp.AlterRename):
            target = _table(action.this)
            if target is None or source is None:
                break
            parts = [part.name for part in target.parts]
            if len(parts) == 1:  # stays in the schema of the old name, whatever USE says
                parts = [*(part.name for part in source.parts[:-1]), *parts]
            renamed = names.resolve(parts)
            reads = (name,) if name else ()
            return Lineage("rename", renamed, reads=reads, writes=_unique([renamed]), dropped=reads)
    settings_only = all(isinstance(a, exp.AlterSet) for a in tree.args.get("actions") or [None])
    written = (name,) if name else ()
    return Lineage("alter", name, writes=written, guarded=settings_only)


def _change(
    tree: exp.Expr,
    kind: StatementKind,
    targets: Sequence[exp.Table | None],
    names: Names,
    *,
    partial: bool = False,
) -> Lineage:
    reads, columns, opaque = _reads(tree, targets, names)
    writes = _unique(name for name in (table_full_name(t, names) for t in targets) if name)
    return Lineage(
        kind,
        writes[0] if writes else None,
        reads=reads,
        writes=writes,
        partial=partial,
        opaque=opaque if writes else "the target is not a table name",
        columns=columns,
    )


def _table(node: object) -> exp.Table | None:
    if isinstance(node, exp.Schema):
        # IDENTIFIER('x') looks like a table of that name with columns; its columns are none
        computed = any(isinstance(one, (exp.Literal, exp.Parameter)) for one in node.expressions)
        node = None if computed else node.this
    return node if isinstance(node, exp.Table) else None


def table_full_name(table: exp.Table | None, names: Names) -> str | None:
    """Full name of a table; None for a function, a path, or a name that is computed."""
    if table is None or not isinstance(table.this, (exp.Identifier, exp.Dot)):
        return None
    parts = [part.name for part in table.parts]
    is_path = len(parts) == 1 or (len(parts) == 2 and parts[0].lower() in _FILE_FORMATS)
    if is_path and re.search(r"[/:]", parts[-1]):
        return None
    return names.resolve(parts)


def _reads(
    tree: exp.Expr, targets: Sequence[exp.Table | None], names: Names
) -> tuple[tuple[str, ...], tuple[ColumnRead, ...], str | None]:
    """Tables read, columns read, and why there may be more."""
    found: list[str] = []
    opaque = None
    own = {id(target) for target in targets}
    tables = list(free_tables(tree))
    for table in tables:
        if id(table) in own:
            continue
        name = table_full_name(table, names)
        if name is not None:
            found.append(name)
        elif isinstance(table.this, exp.Anonymous) and table.this.name.upper() == "IDENTIFIER":
            opaque = "a table's name is computed by IDENTIFIER()"
    named = frozenset(id(table) for table in tables)
    columns = columns_read(tree, named, lambda table: table_full_name(table, names))
    return _unique(found), columns, opaque


def free_tables(tree: exp.Expr) -> Iterator[exp.Table]:
    """The table nodes of a tree that do not name a common table expression."""
    if tree.find(exp.With) is None:
        yield from tree.find_all(exp.Table)
    else:
        yield from _free_tables(tree, frozenset())


def _free_tables(node: exp.Expr, ctes: frozenset[str]) -> Iterator[exp.Table]:
    """`ctes` are the names visible here. A CTE sees those before it, and itself if recursive."""
    if isinstance(node, exp.Table) and not (len(node.parts) == 1 and node.name.lower() in ctes):
        yield node
    with_ = node.args.get("with_")
    if with_ is not None:
        for cte in with_.expressions:
            name = cte.alias.lower()
            inside = ctes | {name} if with_.args.get("recursive") else ctes
            yield from _free_tables(cte.this, inside)
            ctes |= {name}
    for child in node.iter_expressions():
        if child is not with_:
            yield from _free_tables(child, ctes)


def _unique(names: Iterator[str] | Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
