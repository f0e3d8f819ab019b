"""DESCRIBE in its forms: TABLE, DETAIL, HISTORY, SCHEMA; and SHOW CREATE TABLE."""

from __future__ import annotations

import json

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.catalogs import META, attached, table_sql
from executor.local.errors import SqlError
from executor.local.execution import Execution
from executor.local.results import Result
from executor.local.scope import Column

Path3 = tuple[str, str, str]
_TEXTS = t.SqlType("map", (t.STRING, t.STRING))

HISTORY_COLUMNS = [
    Column("version", t.BIGINT), Column("timestamp", t.TIMESTAMP), Column("userId", t.STRING),
    Column("userName", t.STRING), Column("operation", t.STRING),
    Column("operationParameters", _TEXTS),
    Column("job", t.SqlType("struct", (("jobId", t.STRING),))),
    Column("notebook", t.SqlType("struct", (("notebookId", t.STRING),))),
    Column("clusterId", t.STRING), Column("readVersion", t.BIGINT),
    Column("isolationLevel", t.STRING), Column("isBlindAppend", t.BOOLEAN),
    Column("operationMetrics", _TEXTS), Column("userMetadata", t.STRING),
    Column("engineInfo", t.STRING), Column("queryHistoryStatementId", t.STRING),
]  # fmt: skip


def describe_history(work: Execution, path: Path3, limit: int | None) -> Result:
    return Result(HISTORY_COLUMNS, work.engine.history.rows(work.con, path, limit))


def _shown(kind: t.SqlType | None) -> str:
    if kind is None:
        return "unknown"
    return t.spark_name(kind).lower().replace(": ", ":").replace(", ", ",")


def describe_table(
    work: Execution, parts: list[str], *, extended: bool, where: tuple[int, int]
) -> Result:
    node = exp.Table(
        this=exp.to_identifier(parts[-1]),
        db=exp.to_identifier(parts[-2]) if len(parts) > 1 else None,
        catalog=exp.to_identifier(parts[-3]) if len(parts) > 2 else None,
    )
    try:
        source = work.lookup(node)
    except SqlError as exc:
        raise exc.at(*where) from None
    rows: list[tuple[str | None, ...]] = [(c.name, _shown(c.type), None) for c in source.columns]
    if extended:
        catalog, schema, name = source.path
        rows += [("", "", ""), ("# Detailed Table Information", "", ""), ("Catalog", catalog, ""),
                 ("Database", schema, ""), ("Table", name, ""),
                 ("Type", "MANAGED" if source.sql[0] != "(" else "VIEW", ""),
                 ("Provider", "delta", "")]  # fmt: skip
    return Result([Column(n, t.STRING) for n in ("col_name", "data_type", "comment")], rows)


def describe_namespace(work: Execution, catalog: str, schema: str) -> Result:
    rows = [
        ("Catalog Name", catalog),
        ("Namespace Name", schema),
        ("Comment", ""),
        ("Location", f"dwx-local:/{catalog}/{schema}"),
        ("Owner", work.session.user),
    ]
    return Result([Column("database_description_item", t.STRING),
                   Column("database_description_value", t.STRING)], rows)  # fmt: skip


DETAIL_COLUMNS = [
    Column("format", t.STRING), Column("id", t.STRING), Column("name", t.STRING),
    Column("description", t.STRING), Column("location", t.STRING),
    Column("createdAt", t.TIMESTAMP), Column("lastModified", t.TIMESTAMP),
    Column("partitionColumns", t.array(t.STRING)), Column("clusteringColumns", t.array(t.STRING)),
    Column("numFiles", t.BIGINT), Column("sizeInBytes", t.BIGINT), Column("properties", _TEXTS),
    Column("minReaderVersion", t.INT), Column("minWriterVersion", t.INT),
    Column("tableFeatures", t.array(t.STRING)), Column("statistics", _TEXTS),
]  # fmt: skip


def describe_detail(work: Execution, path: Path3, columns: list[Column], where: str) -> Result:
    catalog, schema, name = path
    meta = f'{attached(catalog)}."{META}"'
    (row,) = work.run(
        f"SELECT t.id, CAST(t.created AS VARCHAR), t.properties, t.clustering, t.comment, "
        f"CAST((SELECT max(committed) FROM {meta}.history h WHERE h.id = t.id) AS VARCHAR) "
        f"FROM {meta}.tables t WHERE schema_name = ? AND table_name = ?",
        [schema, name],
    )
    table_id, created, properties, clustering, comment, modified = row
    # One "file" per row group of storage; bytes are the blocks those segments occupy.
    ((groups, blocks),) = work.run(
        "SELECT count(DISTINCT row_group_id), count(DISTINCT block_id) FILTER (WHERE persistent) "
        f"FROM pragma_storage_info({t.text(table_sql(path))})"
    )
    count = int(str(work.run(f"SELECT count(*) FROM {table_sql(path)}")[0][0]))
    files = max(int(str(groups)), 1) if count else 0
    size = 0
    if count:
        size = max(int(str(blocks)) * 262_144, 400 + 8 * count * len(columns))
    return Result(
        DETAIL_COLUMNS,
        [("delta", table_id, f"{catalog}.{schema}.{name}", comment or None, where, created,
          modified or created, "[]", clustering, files, size, properties, 3, 7,
          json.dumps(["appendOnly", "invariants"]), json.dumps({"numRows": str(count)}))],
    )  # fmt: skip


def show_create(work: Execution, path: Path3, columns: list[Column]) -> Result:
    lines = ",\n  ".join(
        f"{c.name} {t.spark_name(c.type) if c.type else ''}{' NOT NULL' if c.sql else ''}"
        for c in columns
    )
    text = f"CREATE TABLE {'.'.join(path)} (\n  {lines})\nUSING delta\n"
    return Result([Column("createtab_stmt", t.STRING)], [(text,)])
