"""CREATE, DROP and ALTER of tables and views."""

from __future__ import annotations

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.catalogs import META, View, attached, table_sql
from executor.local.dialect import position_of
from executor.local.dml import counted, table_bytes, target
from executor.local.errors import (
    SqlError,
    already_exists,
    quote_name,
    table_not_found,
    unsupported,
)
from executor.local.execution import Execution
from executor.local.history import Commit
from executor.local.results import Result
from executor.local.scope import Column, Scope
from executor.local.values import implicit

_IGNORED = (
    exp.FileFormatProperty, exp.SchemaCommentProperty, exp.ClusterProperty, exp.Cluster,
    exp.ClusteredByProperty, exp.PartitionedByProperty, exp.Property, exp.TemporaryProperty,
)  # fmt: skip


def create(work: Execution, node: exp.Create) -> Result:
    kind = str(node.args["kind"]).upper()
    if kind == "TABLE":
        return _create_table(work, node)
    if kind == "VIEW":
        return _create_view(work, node)
    raise unsupported(f"CREATE_{kind}", f"CREATE {kind}")


def _table_properties(node: exp.Create) -> tuple[dict[str, str], list[str]]:
    properties: dict[str, str] = {}
    clustering: list[str] = []
    for item in node.args["properties"].expressions if node.args.get("properties") else []:
        if not isinstance(item, _IGNORED):
            raise unsupported("CREATE_TABLE", f"this clause: {item.sql('databricks')[:80]}")
        if isinstance(item, exp.FileFormatProperty) and item.name.lower() != "delta":
            raise unsupported("TABLE_FORMAT", f"tables in the format {item.name}")
        if isinstance(item, (exp.ClusterProperty, exp.Cluster)):
            clustering = [c.name for c in item.expressions]
        elif type(item) is exp.Property:
            properties[item.name] = str(item.args["value"].name)
    return properties, clustering


def _create_table(work: Execution, node: exp.Create) -> Result:
    properties, clustering = _table_properties(node)
    schema = node.this if isinstance(node.this, exp.Schema) else None
    if node.args.get("clone"):
        raise unsupported("CLONE", "CREATE TABLE … CLONE")
    with work.transaction():
        path = work.path_of(node.this)
        work.engine.catalogs.need_schema(work.con, path[0], path[1])
        replace = bool(node.args.get("replace"))
        there = work.engine.catalogs.columns(work.con, path) is not None
        if work.engine.catalogs.view(work.con, path) is not None:
            raise already_exists(*path).at(*position_of(node.this))
        if there and not replace:
            if node.args.get("exists"):
                return Result()
            raise already_exists(*path).at(*position_of(node.this))
        query = node.expression
        word = "CREATE OR REPLACE TABLE" if there else "CREATE TABLE"
        commit = Commit(path, "", _parameters(clustering, properties), {}, not there, True,
                        properties, clustering)  # fmt: skip
        if query is not None and (schema is None or not schema.expressions):
            sql, columns = work.query(query)
            _check_columns(columns)
            work.run(f"{word} {table_sql(path)} AS {_retyped(sql, columns)}")
            count = int(str(work.run(f"SELECT count(*) FROM {table_sql(path)}")[0][0]))
            commit.operation = ("CREATE OR REPLACE" if replace else "CREATE") + " TABLE AS SELECT"
            commit.metrics = {
                "numFiles": "1" if count else "0",
                "numOutputRows": str(count),
                "numOutputBytes": str(table_bytes(count, columns)),
            }
            work.record(commit)
            return Result(counted("num_affected_rows", "num_inserted_rows"))
        if schema is None or query is not None:
            raise unsupported("CREATE_TABLE", "CREATE TABLE without columns, or columns with AS")
        parts = [_column_def(work, c) for c in schema.expressions if _is_column(c)]
        if not parts:
            raise unsupported("CREATE_TABLE", "a table without columns")
        _check_columns([Column(c.name, None) for c in schema.expressions if _is_column(c)])
        work.run(f"{word} {table_sql(path)} ({', '.join(parts)})")
        commit.operation = "CREATE OR REPLACE TABLE" if replace else "CREATE TABLE"
        work.record(commit)
    return Result()


def _parameters(clustering: list[str], properties: dict[str, str]) -> dict[str, str]:
    import json

    return {"isManaged": "true", "partitionBy": "[]", "description": "null",
            "properties": json.dumps(properties), "clusterBy": json.dumps(clustering)}  # fmt: skip


def _is_column(node: exp.Expr) -> bool:
    if isinstance(node, exp.ColumnDef):
        return True
    if isinstance(node, (exp.PrimaryKey, exp.ForeignKey, exp.Constraint)):
        return False  # keys inform on Databricks, they are not enforced
    raise unsupported("CREATE_TABLE", f"this in a list of columns: {node.sql('databricks')[:80]}")


def _check_columns(columns: list[Column]) -> None:
    seen: set[str] = set()
    for column in columns:
        if column.name.lower() in seen:
            raise SqlError(
                "COLUMN_ALREADY_EXISTS",
                f"The column {quote_name(column.name)} already "
                "exists. Choose another name or rename the existing column.",
            )
        seen.add(column.name.lower())
        if any(ch in column.name for ch in " ,;{}()\n\t="):
            raise SqlError(
                "DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES",
                "Found invalid character(s) among ' ,;{}()\\n\\t=' in the column names of your "
                f"schema. Invalid column names: {column.name}. Use other characters, or an alias.",
                sqlstate="42K05",
            )


def _retyped(sql: str, columns: list[Column]) -> str:
    """The query with every column in exactly the type Spark gives it."""
    for column in columns:
        if column.type is not None and column.type.name == "void":
            raise unsupported("VOID_COLUMN", f"the column {column.name} without a type (NULL)")
        if column.type is not None and column.type.interval:
            raise unsupported("INTERVAL_COLUMN", "columns of intervals")
    names = [f"__c{i}" for i in range(len(columns))]
    items = [
        f"{n if c.type is None else f'CAST({n} AS {t.duck_name(c.type)})'} AS {t.quote(c.name)}"
        for n, c in zip(names, columns, strict=True)
    ]
    return f"SELECT {', '.join(items)} FROM ({sql}) AS __t({', '.join(names)})"


def _column_def(work: Execution, node: exp.ColumnDef) -> str:
    kind = t.from_ast(node.args["kind"]) if node.args.get("kind") else None
    if kind is None:
        shown = node.args["kind"].sql("databricks") if node.args.get("kind") else "none"
        raise unsupported("DATATYPE", f"a column of type {shown}")
    out = f"{t.quote(node.name)} {t.duck_name(kind)}"
    for constraint in node.args.get("constraints") or []:
        what = constraint.kind
        if isinstance(what, exp.NotNullColumnConstraint):
            out += "" if what.args.get("allow_null") else " NOT NULL"
        elif isinstance(what, exp.DefaultColumnConstraint):
            value = work.queries().expressions.value(what.this, Scope())
            out += f" DEFAULT {implicit(value, kind).sql}"
        elif not isinstance(what, (exp.CommentColumnConstraint, exp.PrimaryKeyColumnConstraint)):
            raise unsupported("COLUMN", f"this column constraint: {constraint.sql('databricks')}")
    return out


def _create_view(work: Execution, node: exp.Create) -> Result:
    properties = node.args["properties"].expressions if node.args.get("properties") else []
    temporary = any(isinstance(p, exp.TemporaryProperty) for p in properties)
    renames: tuple[str, ...] = ()
    if isinstance(node.this, exp.Schema):
        renames = tuple(c.name for c in node.this.expressions)
    body = node.expression.sql(dialect="databricks")
    with work.transaction():
        _, columns = work.query(node.expression)  # it must be a good query now
        if renames and len(renames) != len(columns):
            raise SqlError(
                "CREATE_VIEW_COLUMN_ARITY_MISMATCH",
                "The view names another number of columns than its query has.",
                sqlstate="21S01",
            )
        view = View(body, work.session.catalog, work.session.schema, renames)
        table = node.this if isinstance(node.this, exp.Table) else node.this.this
        if temporary:
            name = table.name.lower()
            if name in work.session.views and not node.args.get("replace"):
                raise SqlError(
                    "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS",
                    "Cannot create the temporary "
                    f"view {quote_name(name)} because it already exists.",
                )
            work.session.views[name] = view
            return Result()
        path = work.path_of(node.this)
        work.engine.catalogs.need_schema(work.con, path[0], path[1])
        if work.engine.catalogs.columns(work.con, path) is not None:
            raise already_exists(*path)
        there = work.engine.catalogs.view(work.con, path) is not None
        if there and not node.args.get("replace"):
            if node.args.get("exists"):
                return Result()
            raise already_exists(*path)
        _drop_view(work, path)
        work.run(
            f'INSERT INTO {attached(path[0])}."{META}".views VALUES (?, ?, ?, ?, ?, ?)',
            [path[1], path[2], body, view.catalog, view.schema, "\0".join(renames)],
        )
    return Result()


def _drop_view(work: Execution, path: tuple[str, str, str]) -> None:
    work.run(
        f'DELETE FROM {attached(path[0])}."{META}".views WHERE schema_name = ? AND view_name = ?',
        [path[1], path[2]],
    )


def drop(work: Execution, node: exp.Drop) -> Result:
    kind = str(node.args["kind"]).upper()
    if kind not in ("TABLE", "VIEW"):
        raise unsupported(f"DROP_{kind}", f"DROP {kind}")
    table = node.this if isinstance(node.this, exp.Table) else node.find(exp.Table)
    assert table is not None
    if kind == "VIEW" and len(table.parts) == 1 and table.name.lower() in work.session.views:
        del work.session.views[table.name.lower()]
        return Result()
    with work.transaction():
        path = work.path_of(table)
        catalogs = work.engine.catalogs
        is_table = catalogs.has(path[0]) and catalogs.columns(work.con, path) is not None
        is_view = catalogs.view(work.con, path) is not None
        if not (is_table or is_view):
            if node.args.get("exists"):
                return Result()
            raise table_not_found(*path).at(*position_of(table))
        if kind == "VIEW" and is_table:
            raise SqlError(
                "EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE",
                f"The operation expects a view but {quote_name(*path)} is a table.",
            )
        if kind == "TABLE" and is_view:
            raise SqlError(
                "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
                f"The operation expects a table but {quote_name(*path)} is a view.",
            )
        if is_view:
            _drop_view(work, path)
        else:
            work.run(f"DROP TABLE {table_sql(path)}")
            work.engine.history.drop(work.con, path)
    return Result()


def alter(work: Execution, node: exp.Alter) -> Result:
    actions = node.args["actions"]
    with work.transaction():
        path, columns = target(work, node.this)
        for action in actions:
            if isinstance(action, exp.AlterRename):
                _rename(work, path, action)
                return Result()
            work.run(f"ALTER TABLE {table_sql(path)} {_alteration(work, action, columns)}")
        work.record(Commit(path, _OPERATIONS.get(type(actions[0]), "CHANGE COLUMN"), {}, {}))
    return Result()


_OPERATIONS = {exp.ColumnDef: "ADD COLUMNS", exp.Schema: "ADD COLUMNS", exp.Drop: "DROP COLUMNS",
               exp.RenameColumn: "RENAME COLUMN"}  # fmt: skip


def _alteration(work: Execution, action: exp.Expr, columns: list[Column]) -> str:
    if isinstance(action, exp.ColumnDef):
        return f"ADD COLUMN {_column_def(work, action)}"
    if isinstance(action, exp.Schema) and len(action.expressions) == 1:
        return f"ADD COLUMN {_column_def(work, action.expressions[0])}"
    if isinstance(action, exp.RenameColumn):
        return f"RENAME COLUMN {t.quote(action.this.name)} TO {t.quote(action.args['to'].name)}"
    if isinstance(action, exp.Drop) and str(action.args.get("kind")).upper() == "COLUMN":
        return f"DROP COLUMN {t.quote(action.this.name)}"
    if isinstance(action, exp.AlterColumn) and action.args.get("allow_null") is not None:
        word = "DROP" if action.args.get("drop") else "SET"
        return f"ALTER COLUMN {t.quote(action.name)} {word} NOT NULL"
    raise unsupported("ALTER_TABLE", f"this ALTER TABLE: {action.sql('databricks')[:100]}")


def _rename(work: Execution, path: tuple[str, str, str], action: exp.AlterRename) -> None:
    new = work.path_of(action.this)
    if len(action.this.parts) == 1:
        new = (path[0], path[1], action.this.name.lower())
    if new[:2] != path[:2]:
        raise unsupported("RENAME_ACROSS_SCHEMAS", "renaming a table into another schema")
    catalogs = work.engine.catalogs
    if catalogs.columns(work.con, new) is not None or catalogs.view(work.con, new) is not None:
        raise already_exists(*new)
    work.run(f"ALTER TABLE {table_sql(path)} RENAME TO {t.quote(new[2])}")
    work.engine.history.rename(work.con, path, new[2])
