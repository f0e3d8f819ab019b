"""INSERT, UPDATE, DELETE, MERGE and TRUNCATE: atomic, counted, and written to the history."""

from __future__ import annotations

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.catalogs import table_sql
from executor.local.dialect import position_of
from executor.local.errors import SqlError, quote_name, unsupported
from executor.local.execution import Execution
from executor.local.history import Commit
from executor.local.results import Result
from executor.local.scope import Column, Relation, Scope
from executor.local.values import Value, implicit

Path3 = tuple[str, str, str]


def counted(*names: str) -> list[Column]:
    return [Column(n, t.BIGINT) for n in names]


def target(work: Execution, node: exp.Expr) -> tuple[Path3, list[Column]]:
    """The table a statement writes, with its columns. Raises where it is missing or a view."""
    path = work.path_of(node)
    columns = (
        work.engine.catalogs.columns(work.con, path) if work.engine.catalogs.has(path[0]) else None
    )
    if columns is None or path[1] == "__dwx":
        if work.engine.catalogs.view(work.con, path) is not None:
            raise SqlError(
                "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
                f"The operation expects a table but {quote_name(*path)} is a view.",
            )
        table = node if isinstance(node, exp.Table) else node.find(exp.Table)
        raise work.engine.catalogs.missing(work.con, path).at(
            *(position_of(table) if table is not None else (None, None))
        )
    return path, columns


def stored(value: Value, column: Column) -> str:
    """``value`` as it is stored in ``column``: Spark's assignment casts, which never round."""
    if column.type is None:
        return value.sql
    return implicit(value, column.type).sql


def insert(work: Execution, node: exp.Insert) -> Result:
    for arg in ("partition", "where", "exists", "returning", "alternative"):
        if node.args.get(arg):
            raise unsupported("INSERT", f"INSERT with {arg.upper()}")
    with work.transaction():
        path, columns = target(work, node.this)
        named = [i.name for i in node.this.expressions] if isinstance(node.this, exp.Schema) else []
        source = node.expression
        if source is None:
            raise unsupported("INSERT", "INSERT without a query")
        sql, given = work.query(source)
        if node.args.get("by_name"):
            named = [c.name for c in given]
        chosen = _chosen(path, columns, named)
        if len(given) != len(chosen):
            raise _arity(path, chosen, given)
        body = _assigned(sql, given, chosen)
        names = ", ".join(t.quote(c.name) for c in chosen)
        where = table_sql(path)
        if node.args.get("overwrite"):
            work.run(f"CREATE OR REPLACE TEMP TABLE __overwrite AS {body}")
            work.run(f"DELETE FROM {where}")
            body = "SELECT * FROM __overwrite"
        count = _count(work.run(f"INSERT INTO {where} ({names}) {body}"))
        if node.args.get("overwrite"):
            work.run("DROP TABLE __overwrite")
        mode = "Overwrite" if node.args.get("overwrite") else "Append"
        work.record(
            Commit(path, "WRITE", {"mode": mode, "statsOnLoad": "false", "partitionBy": "[]"},
                   {"numFiles": "1" if count else "0", "numOutputRows": str(count),
                    "numOutputBytes": str(table_bytes(count, columns))},
                   blind_append=mode == "Append" and source.find(exp.Table) is None)
        )  # fmt: skip
    return Result(counted("num_affected_rows", "num_inserted_rows"), [(count, count)], count)


def _chosen(path: Path3, columns: list[Column], named: list[str]) -> list[Column]:
    if not named:
        return columns
    by_name = {c.name.lower(): c for c in columns}
    out = []
    for name in named:
        if name.lower() not in by_name:
            listed = ", ".join(quote_name(c.name) for c in columns)
            raise SqlError(
                "UNRESOLVED_COLUMN.WITH_SUGGESTION",
                f"A column, variable, or function parameter with name {quote_name(name)} cannot be "
                f"resolved. Did you mean one of the following? [{listed}].",
            )
        if by_name[name.lower()] in out:
            raise SqlError(
                "COLUMN_ALREADY_EXISTS", f"The column {quote_name(name)} already exists."
            )
        out.append(by_name[name.lower()])
    return out


def _arity(path: Path3, wanted: list[Column], given: list[Column]) -> SqlError:
    kind = "TOO_MANY_DATA_COLUMNS" if len(given) > len(wanted) else "NOT_ENOUGH_DATA_COLUMNS"
    table = ", ".join(quote_name(c.name) for c in wanted)
    data = ", ".join(quote_name(c.name) for c in given)
    words = "too many" if len(given) > len(wanted) else "not enough"
    return SqlError(
        f"INSERT_COLUMN_ARITY_MISMATCH.{kind}",
        f"Cannot write to {quote_name(*path)}, the reason is {words} data columns: Table columns: "
        f"{table}. Data columns: {data}.",
    )


def _assigned(sql: str, given: list[Column], chosen: list[Column]) -> str:
    """The rows of ``sql`` with each column in the type of the column it goes to."""
    if all(g.type == c.type for g, c in zip(given, chosen, strict=True)):
        return sql
    names = [f"__c{i}" for i in range(len(given))]
    items = [stored(Value(n, g.type), c) for n, g, c in zip(names, given, chosen, strict=True)]
    return f"SELECT {', '.join(items)} FROM ({sql}) AS __s({', '.join(names)})"


def _count(rows: list[tuple[object, ...]]) -> int:
    return int(str(rows[0][0])) if rows else 0


def table_bytes(rows: int, columns: list[Column]) -> int:
    """A plausible size: what the rows would take at eight bytes a value, plus a footer."""
    return 0 if not rows else 400 + 8 * rows * max(len(columns), 1)


def _own_scope(path: Path3, columns: list[Column], alias: str) -> Scope:
    head = t.quote(alias)
    return Scope(
        relations=[
            Relation(
                alias, [Column(c.name, c.type, f"{head}.{t.quote(c.name)}") for c in columns], path
            )
        ]
    )


def delete(work: Execution, node: exp.Delete) -> Result:
    with work.transaction():
        path, columns = target(work, node.this)
        alias = node.this.alias or path[2]
        scope = _own_scope(path, columns, alias)
        condition, shown = "", "[]"
        if node.args.get("where"):
            test = node.args["where"].this
            condition = " WHERE " + work.queries().expressions.condition(test, scope)
            shown = str([test.sql(dialect="databricks")])
        count = _count(work.run(f"DELETE FROM {table_sql(path)} AS {t.quote(alias)}{condition}"))
        work.record(Commit(path, "DELETE", {"predicate": shown}, {"numDeletedRows": str(count)}))
    return Result(counted("num_affected_rows"), [(count,)], count)


def truncate(work: Execution, node: exp.TruncateTable) -> Result:
    with work.transaction():
        path, _ = target(work, node.expressions[0])
        count = _count(work.run(f"DELETE FROM {table_sql(path)}"))
        work.record(Commit(path, "TRUNCATE", {}, {"numDeletedRows": str(count)}))
    return Result()


def update(work: Execution, node: exp.Update) -> Result:
    if node.args.get("from_") or node.args.get("from"):
        raise unsupported("UPDATE_FROM", "UPDATE with FROM; use MERGE")
    with work.transaction():
        path, columns = target(work, node.this)
        alias = node.this.alias or path[2]
        scope = _own_scope(path, columns, alias)
        sets = _assignments(work, node.expressions, columns, scope)
        condition, shown = "", "[]"
        if node.args.get("where"):
            test = node.args["where"].this
            condition = " WHERE " + work.queries().expressions.condition(test, scope)
            shown = str([test.sql(dialect="databricks")])
        count = _count(
            work.run(f"UPDATE {table_sql(path)} AS {t.quote(alias)} SET {sets}{condition}")
        )
        work.record(Commit(path, "UPDATE", {"predicate": shown}, {"numUpdatedRows": str(count)}))
    return Result(counted("num_affected_rows"), [(count,)], count)


def _assignments(
    work: Execution, nodes: list[exp.Expr], columns: list[Column], scope: Scope
) -> str:
    by_name = {c.name.lower(): c for c in columns}
    parts = []
    for item in nodes:
        left = item.this
        name = left.name
        if not isinstance(item, exp.EQ) or name.lower() not in by_name:
            raise scope.__class__(relations=scope.relations[:1])._unresolved([name])
        column = by_name[name.lower()]
        right = item.expression
        if isinstance(right, exp.Column) and right.name.upper() == "DEFAULT" and not right.table:
            parts.append(f"{t.quote(column.name)} = DEFAULT")
            continue
        value = work.queries().expressions.value(right, scope)
        parts.append(f"{t.quote(column.name)} = {stored(value, column)}")
    return ", ".join(parts)


def merge(work: Execution, node: exp.Merge) -> Result:
    if node.args.get("returning"):
        raise unsupported("MERGE", "MERGE with RETURNING")
    with work.transaction():
        path, columns = target(work, node.this)
        alias = node.this.alias or path[2]
        scope = _own_scope(path, columns, alias)
        queries = work.queries()
        source_sql = queries._relation(node.args["using"], scope)
        source = scope.relations[-1]
        own, other = Scope(relations=scope.relations[:1]), Scope(relations=[source])
        on = queries.expressions.condition(node.args["on"], scope)
        whens, matched = [], []
        for when in node.args["whens"].expressions:
            hit, by_source = bool(when.args.get("matched")), bool(when.args.get("source"))
            within = scope if hit else (own if by_source else other)
            test = ""
            if when.args.get("condition"):
                test = queries.expressions.condition(when.args["condition"], within)
            action = _action(work, when.args["then"], columns, source, within)
            head = "MATCHED" if hit else f"NOT MATCHED BY {'SOURCE' if by_source else 'TARGET'}"
            whens.append(f"WHEN {head}{' AND ' + test if test else ''} THEN {action}")
            if hit:
                matched.append((test, action))
        body = f"{table_sql(path)} AS {t.quote(alias)}"
        if matched and not (len(matched) == 1 and matched[0] == ("", "DELETE")):
            _refuse_double_matches(
                work, body, t.quote(alias), source_sql, on, [m[0] for m in matched]
            )
        work.check()
        work.con.execute(
            f"MERGE INTO {body} USING {source_sql} ON {on} {' '.join(whens)} RETURNING merge_action"
        )
        counts = {"INSERT": 0, "UPDATE": 0, "DELETE": 0}
        while rows := work.con.fetchmany(100_000):
            for (done,) in rows:
                counts[done] += 1
        inserted, updated, deleted = counts["INSERT"], counts["UPDATE"], counts["DELETE"]
        total = inserted + updated + deleted
        work.record(
            Commit(path, "MERGE", {"predicate": node.args["on"].sql(dialect="databricks")},
                   {"numTargetRowsInserted": str(inserted), "numTargetRowsUpdated": str(updated),
                    "numTargetRowsDeleted": str(deleted), "numOutputRows": str(inserted + updated)})
        )  # fmt: skip
    return Result(
        counted("num_affected_rows", "num_updated_rows", "num_deleted_rows", "num_inserted_rows"),
        [(total, updated, deleted, inserted)],
        total,
    )


def _refuse_double_matches(
    work: Execution, body: str, alias: str, source: str, on: str, tests: list[str]
) -> None:
    """Delta refuses a MERGE in which two source rows would change one target row."""
    touched = "" if "" in tests else f" WHERE {' OR '.join(f'({x})' for x in tests)}"
    rows = work.run(
        f"SELECT 1 FROM {body} JOIN {source} ON {on}{touched} "
        f"GROUP BY {alias}.rowid HAVING count(*) > 1 LIMIT 1"
    )
    if rows:
        raise SqlError(
            "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE",
            "Cannot perform Merge as multiple source rows matched and attempted to modify the same "
            "target row in the Delta table in possibly conflicting ways.",
        )


def _action(
    work: Execution, then: exp.Expr, columns: list[Column], source: Relation, scope: Scope
) -> str:
    if isinstance(then, exp.Var) and then.name.upper() == "DELETE":
        return "DELETE"
    by_name = {c.name.lower(): c for c in source.columns}

    def everything() -> list[tuple[Column, str]]:
        out = []
        for column in columns:
            given = by_name.get(column.name.lower())
            if given is None:
                raise SqlError(
                    "DELTA_MERGE_UNRESOLVED_EXPRESSION",
                    f"Cannot resolve {column.name} in the source of MERGE for *.",
                    sqlstate="42601",
                )
            out.append((column, stored(Value(given.sql, given.type), column)))
        return out

    if isinstance(then, exp.Update):
        if isinstance(then.args.get("expressions"), exp.Star) or not then.expressions:
            return "UPDATE SET " + ", ".join(f"{t.quote(c.name)} = {v}" for c, v in everything())
        if len(then.expressions) == 1 and isinstance(then.expressions[0], exp.Star):
            return "UPDATE SET " + ", ".join(f"{t.quote(c.name)} = {v}" for c, v in everything())
        return "UPDATE SET " + _assignments(work, then.expressions, columns, scope)
    if isinstance(then, exp.Insert):
        names = then.this
        if isinstance(names, exp.Star) or names is None:
            pairs = everything()
        else:
            chosen = _chosen(("", "", ""), columns, [c.name for c in names.expressions])
            values = work.queries().expressions.values(list(then.expression.expressions), scope)
            if len(values) != len(chosen):
                raise SqlError(
                    "INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS",
                    "The INSERT of MERGE differs in its number of columns and values.",
                )
            pairs = [(c, stored(v, c)) for c, v in zip(chosen, values, strict=True)]
        return (
            f"INSERT ({', '.join(t.quote(c.name) for c, _ in pairs)}) "
            f"VALUES ({', '.join(v for _, v in pairs)})"
        )
    raise unsupported("MERGE", f"this MERGE action: {then.sql('databricks')[:80]}")
