"""Name resolution: which column a name in a query means, and of what type it is.

A ``Scope`` holds the relations of one FROM clause, the lambda parameters and select-list aliases
in force, and the scope around it. Resolution follows Spark: lambda parameter, column of a
relation, alias of the select list, then the surrounding query. Every relation's columns are
known, so a name that resolves nowhere is an error here, worded as Spark words it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from executor.local import sqltypes as t
from executor.local.errors import SqlError, quote_name
from executor.local.sqltypes import SqlType
from executor.local.values import Value


@dataclass(slots=True)
class Column:
    """An output column: name as shown, type, and the DuckDB SQL that reads it."""

    name: str
    type: SqlType | None
    sql: str = ""


@dataclass(slots=True)
class Relation:
    """One item of a FROM clause. ``path`` is its qualified name where it is a table."""

    alias: str
    columns: list[Column]
    path: tuple[str, ...] = ()
    hidden: set[str] = field(default_factory=set)  # merged away by USING; not seen unqualified
    visible: bool = True  # False on the right of a semi or anti join, after the join


@dataclass(slots=True)
class Scope:
    relations: list[Relation] = field(default_factory=list)
    parent: Scope | None = None
    lambdas: dict[str, Value] = field(default_factory=dict)
    aliases: dict[str, Value] = field(default_factory=dict)
    ctes: dict[str, tuple[str, list[Column]]] = field(default_factory=dict)
    grouping: list[Value] = field(default_factory=list)
    windows: dict[str, str] = field(default_factory=dict)

    def inner(self) -> Scope:
        return Scope(parent=self)

    def cte(self, name: str) -> tuple[str, list[Column]] | None:
        scope: Scope | None = self
        while scope is not None:
            if name.lower() in scope.ctes:
                return scope.ctes[name.lower()]
            scope = scope.parent
        return None

    def resolve(self, parts: list[str]) -> Value:
        """The column ``parts`` names, e.g. ["t", "a"]. Raises SqlError where there is none."""
        scope: Scope | None = self
        while scope is not None:
            found = scope._local(parts)
            if found is not None:
                return found
            scope = scope.parent
        raise self._unresolved(parts)

    def _local(self, parts: list[str]) -> Value | None:
        low = [p.lower() for p in parts]
        if low[0] in self.lambdas:
            return fields(self.lambdas[low[0]], parts[1:])
        matches: list[tuple[Value, list[str], str]] = []
        for relation in self.relations:
            if not relation.visible:
                continue
            prefixes = [0]
            if low[0] == relation.alias.lower():
                prefixes.append(1)
            path = tuple(p.lower() for p in relation.path)
            for size in (2, 3):
                if len(low) > size and path[-size:] == tuple(low[:size]):
                    prefixes.append(size)
            for skip in prefixes:
                if len(low) <= skip:
                    continue
                for column in relation.columns:
                    if column.name.lower() != low[skip]:
                        continue
                    if skip == 0 and column.name.lower() in relation.hidden:
                        continue
                    matches.append(
                        (
                            Value(column.sql, column.type),
                            parts[skip + 1 :],
                            quote_name(relation.alias, column.name),
                        )
                    )
        if not matches:
            if low[0] in self.aliases:
                return fields(self.aliases[low[0]], parts[1:])
            return None
        if len(matches) > 1:
            fewest = min(len(m[1]) for m in matches)
            matches = [m for m in matches if len(m[1]) == fewest]
        if len(matches) > 1:
            names = ", ".join(m[2] for m in matches)
            raise SqlError(
                "AMBIGUOUS_REFERENCE",
                f"Reference {quote_name(*parts)} is ambiguous, could be: [{names}].",
            )
        return fields(matches[0][0], matches[0][1])

    def _unresolved(self, parts: list[str]) -> SqlError:
        known = [c.name for r in self.relations if r.visible for c in r.columns]
        near = difflib.get_close_matches(parts[-1], known, n=5, cutoff=0.0)
        words = f"A column, variable, or function parameter with name {quote_name(*parts)} cannot "
        if not near:
            return SqlError("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", words + "be resolved.")
        listed = ", ".join(quote_name(n) for n in near)
        return SqlError(
            "UNRESOLVED_COLUMN.WITH_SUGGESTION",
            words + f"be resolved. Did you mean one of the following? [{listed}].",
        )

    def star(self, qualifier: list[str]) -> list[Column]:
        """The columns ``*`` or ``qualifier.*`` stands for, in Spark's order."""
        wanted = [q.lower() for q in qualifier]
        if wanted:
            for relation in self.relations:
                path = [p.lower() for p in relation.path]
                if relation.visible and (
                    wanted == [relation.alias.lower()] or path[-len(wanted) :] == wanted
                ):
                    return list(relation.columns)
            value = self.resolve(qualifier)
            if value.type is not None and value.type.name == "struct":
                return [Column(n, k, f"{value.sql}.{t.quote(n)}") for n, k in value.type.args]
            raise self._unresolved(qualifier)
        shown = [r for r in self.relations if r.visible]
        merged = [n for r in shown for n in r.hidden]
        first: list[Column] = []
        for name in dict.fromkeys(merged):
            first.extend([Column(name, self.resolve([name]).type, t.quote(name))])
        rest = [c for r in shown for c in r.columns if c.name.lower() not in merged]
        named = {c.name.lower(): c.name for r in shown for c in r.columns}
        return [Column(named.get(c.name, c.name), c.type, c.sql) for c in first] + rest


def fields(value: Value, names: list[str]) -> Value:
    """``value.a.b``: fields of a struct, or of every struct in an array."""
    for name in names:
        kind = value.type
        if kind is not None and kind.name == "struct":
            for label, inner in kind.args:
                if label.lower() == name.lower():
                    value = Value(f"({value.sql}).{t.quote(label)}", inner)
                    break
            else:
                listed = ", ".join(quote_name(n) for n, _ in kind.args)
                raise SqlError(
                    "FIELD_NOT_FOUND", f"No such struct field {quote_name(name)} in {listed}."
                )
        elif kind is not None and kind.name == "map" and kind.args[0] == t.STRING:
            value = Value(f"({value.sql})[{t.text(name)}]", kind.args[1])
        elif kind is not None and kind.name == "array" and kind.args[0].name == "struct":
            inner = fields(Value("__f", kind.args[0]), [name])
            assert inner.type is not None
            value = Value(
                f"list_transform({value.sql}, lambda __f: {inner.sql})", t.array(inner.type)
            )
        else:
            raise SqlError(
                "INVALID_EXTRACT_BASE_FIELD_TYPE",
                f"Can't extract a value from {value.sql[:40]}: need a complex type [STRUCT, "
                f'ARRAY, MAP] but got "{t.spark_name(kind) if kind else "unknown"}".',
                sqlstate="42000",
            )
    return value
