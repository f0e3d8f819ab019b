"""OPTIMIZE, VACUUM, ANALYZE, COMMENT, table properties and DESCRIBE."""

from __future__ import annotations

import json
from typing import Any

from executor.local import sqltypes as t
from executor.local.catalogs import META, attached, table_sql
from executor.local.describe import (
    describe_detail,
    describe_history,
    describe_namespace,
    describe_table,
    show_create,
)
from executor.local.errors import SqlError, unsupported
from executor.local.execution import Execution
from executor.local.history import Commit, Entry
from executor.local.namespaces import namespace
from executor.local.results import Result
from executor.local.scope import Column
from executor.local.sqltypes import text
from executor.local.words import Words, string_columns, table


def optimize(work: Execution, words: Words) -> Result:
    with work.transaction():
        path, columns = table(work, words)
        z_order = []
        while not words.done():
            if words.take("ZORDER", "BY"):
                known = {c.name.lower() for c in columns}
                z_order = [k.text.lower() for k in words.tokens[words.at :]
                           if k.text not in "(),"]  # fmt: skip
                unknown = [n for n in z_order if n not in known]
                if unknown:
                    raise SqlError(
                        "DELTA_ZORDERING_COLUMN_DOES_NOT_EXIST",
                        f"Z-Ordering column {unknown[0]} does not exist in data schema.",
                        sqlstate="42703",
                    )
            words.next()
        count = int(str(work.run(f"SELECT count(*) FROM {table_sql(path)}")[0][0]))
        files = _files(work.engine.history.entries(work.con, path))
        compacted = files > 1
        size = 400 + 8 * count * len(columns)
        removed, added = (_sizes(files, size), _sizes(1, size)) if compacted else (_NONE, _NONE)
        metrics = {
            "numFilesAdded": added["totalFiles"], "numFilesRemoved": removed["totalFiles"],
            "filesAdded": added, "filesRemoved": removed,
            "partitionsOptimized": 0, "zOrderStats": None, "clusteringStats": None,
            "numBins": int(compacted), "numBatches": int(compacted), "totalConsideredFiles": files,
            "totalFilesSkipped": 0 if compacted else files, "preserveInsertionOrder": not z_order,
            "numFilesSkippedToReduceWriteAmplification": 0,
            "numBytesSkippedToReduceWriteAmplification": 0, "numTableColumns": len(columns),
            "numTableColumnsWithStats": len(columns),
        }  # fmt: skip
        if compacted:  # Delta writes no commit where there is nothing to compact
            work.record(
                Commit(path, "OPTIMIZE",
                       {"predicate": "[]", "zOrderBy": json.dumps(z_order), "batchId": "0",
                        "auto": "false"},
                       {"numRemovedFiles": str(files), "numAddedFiles": "1",
                        "numRemovedBytes": str(size), "numAddedBytes": str(size)})
            )  # fmt: skip
    return Result(
        [Column("path", t.STRING), Column("metrics", _METRICS)],
        [(location(work, path), json.dumps(metrics))],
    )


_NONE: dict[str, Any] = {"min": None, "max": None, "avg": 0.0, "totalFiles": 0, "totalSize": 0}


def _sizes(files: int, size: int) -> dict[str, Any]:
    each = size // files
    return {"min": each, "max": each, "avg": size / files, "totalFiles": files, "totalSize": size}


def _files(entries: list[Entry]) -> int:
    """How many files Delta would have now: one for each write since the last that wrote them all.

    DuckDB has no such files; counted they are because OPTIMIZE commits if it finds several.
    """
    files = 0
    for entry in entries:
        written = entry.metrics.get("numFiles", entry.metrics.get("numOutputRows", "0")) != "0"
        match entry.operation:
            case "OPTIMIZE" | "RESTORE":
                return files + 1
            case "WRITE" if entry.parameters.get("mode") == "Append":
                files += written
            case "MERGE" | "UPDATE":
                files += written or entry.metrics.get("numUpdatedRows", "0") != "0"
            case "WRITE" | "TRUNCATE":
                return files + written
            case operation if operation.startswith("CREATE"):
                return files + written
    return files


_SIZES = t.SqlType("struct", (("min", t.BIGINT), ("max", t.BIGINT), ("avg", t.DOUBLE),
                              ("totalFiles", t.BIGINT), ("totalSize", t.BIGINT)))  # fmt: skip
_METRICS = t.SqlType("struct", (("numFilesAdded", t.BIGINT), ("numFilesRemoved", t.BIGINT),
                                ("filesAdded", _SIZES), ("filesRemoved", _SIZES)))  # fmt: skip


def location(work: Execution, path: tuple[str, str, str]) -> str:
    return f"dwx-local:/{'/'.join(path)}"


def vacuum(work: Execution, words: Words) -> Result:
    path, _ = table(work, words)
    return Result(string_columns("path"), [(location(work, path),)])


def analyze(work: Execution, words: Words) -> Result:
    table(work, words)
    return Result()


def refresh(work: Execution, words: Words) -> Result:
    table(work, words)
    return Result()


def comment_on(work: Execution, words: Words) -> Result:
    words.need("TABLE")
    path, _ = table(work, words)
    words.need("IS")
    work.run(
        f'UPDATE {attached(path[0])}."{META}".tables SET comment = {text(words.next().text)} '
        "WHERE schema_name = ? AND table_name = ?", [path[1], path[2]])  # fmt: skip
    return Result()


def alter_properties(work: Execution, words: Words) -> Result | None:
    """ALTER TABLE t SET TBLPROPERTIES (...) or CLUSTER BY (...); None for another ALTER."""
    start = words.at
    words.name()
    wanted = words.take("SET", "TBLPROPERTIES") or words.take("CLUSTER", "BY")
    words.at = start
    if not wanted:
        return None
    with work.transaction():
        path, _ = table(work, words)
        where = f'{attached(path[0])}."{META}".tables'
        who = [path[1], path[2]]
        if words.take("SET", "TBLPROPERTIES"):
            rest = [k.text for k in words.tokens[words.at :] if k.text not in "(),"]
            pairs: dict[str, str] = {}
            key = ""
            for i, word in enumerate(rest):
                if word == "=":
                    pairs[key] = rest[i + 1]
                    key = ""
                elif i == 0 or rest[i - 1] != "=":
                    key += word
            old = work.run(
                f"SELECT properties FROM {where} WHERE schema_name = ? AND table_name = ?", who
            )
            merged = {**json.loads(str(old[0][0])), **pairs}
            work.run(
                f"UPDATE {where} SET properties = {text(json.dumps(merged))} "
                "WHERE schema_name = ? AND table_name = ?",
                who,
            )
            work.record(Commit(path, "SET TBLPROPERTIES", {"properties": json.dumps(pairs)}))
        elif words.take("CLUSTER", "BY"):
            named = [k.text.lower() for k in words.tokens[words.at :] if k.text not in "(),"]
            clustering = [] if named == ["none"] else named
            work.run(
                f"UPDATE {where} SET clustering = {text(json.dumps(clustering))} "
                "WHERE schema_name = ? AND table_name = ?",
                who,
            )
            work.record(Commit(path, "CLUSTER BY", {"newClusteringColumns": ",".join(clustering)}))
    return Result()


def describe(work: Execution, words: Words) -> Result:
    if words.take("DETAIL"):
        path, columns = table(work, words)
        return describe_detail(work, path, columns, location(work, path))
    if words.take("HISTORY"):
        path, _ = table(work, words)
        limit = int(words.next().text) if words.take("LIMIT") else None
        return describe_history(work, path, limit)
    if words.take("SCHEMA") or words.take("DATABASE"):
        words.take("EXTENDED")
        return describe_namespace(work, *_checked(work, words))
    if words.take("QUERY") or words.take("FUNCTION") or words.take("CATALOG"):
        raise unsupported("DESCRIBE", "DESCRIBE QUERY, FUNCTION and CATALOG")
    words.take("TABLE")
    extended = words.take("EXTENDED") or words.take("FORMATTED")
    where = words.position()
    return describe_table(work, words.name(), extended=extended, where=where)


def _checked(work: Execution, words: Words) -> tuple[str, str]:
    catalog, schema = namespace(work, words)
    work.engine.catalogs.need_schema(work.con, catalog, schema)
    return catalog, schema


def show_create_table(work: Execution, words: Words) -> Result:
    path, columns = table(work, words)
    return show_create(work, path, columns)
