"""RESTORE TABLE … TO VERSION AS OF n, without keeping old contents.

Theory. DuckDB keeps a table's rows in the order in which they came, and what is appended stands at
the end. So as long as a table has only been appended to, its contents at an earlier version are its
first rows, and how many they were follows from the row counts in the history. RESTORE deletes the
rest. That undoes INSERT, however often, which is what repairs need; it costs nothing until it is
used.

What changed rows (UPDATE, DELETE, MERGE that matched, INSERT OVERWRITE, CREATE OR REPLACE, a new
column) ends the reach of RESTORE: earlier versions are refused as Delta refuses versions whose
files VACUUM has removed.
"""

from __future__ import annotations

from executor.local.catalogs import table_sql
from executor.local.dml import counted, table_bytes
from executor.local.errors import SqlError, unsupported
from executor.local.execution import Execution
from executor.local.history import Commit, Entry
from executor.local.results import Result
from executor.local.words import Words, table

_WITHOUT_ROWS = ("OPTIMIZE", "SET TBLPROPERTIES", "CLUSTER BY")
_REMOVED = "numRemovedRows"  # ours: Delta counts files


def restore(work: Execution, words: Words) -> Result:
    with work.transaction():
        path, columns = table(work, words)
        words.take("TO")
        if words.take("TIMESTAMP"):
            raise unsupported("RESTORE_TIMESTAMP", "RESTORE to a timestamp; give a version")
        words.need("VERSION", "AS", "OF")
        wanted = words.next().text
        words.end()
        if not wanted.isdigit():
            raise words.error()
        entries = work.engine.history.entries(work.con, path)
        before = int(str(work.run(f"SELECT count(*) FROM {table_sql(path)}")[0][0]))
        within_reach = rows_at(entries, before)
        kept = within_reach.get(int(wanted))
        newest = entries[0].version
        if kept is None or int(wanted) == newest:
            reach = sorted(set(within_reach) - {newest})
            raise SqlError(
                "DELTA_CANNOT_RESTORE_TABLE_VERSION",
                f"Cannot restore table to version {wanted}. Available versions: "
                f"{reach}; the table is at version {newest}.",
                sqlstate="22003",
            )
        work.run(
            f"DELETE FROM {table_sql(path)} WHERE rowid IN "
            f"(SELECT rowid FROM {table_sql(path)} ORDER BY rowid OFFSET {kept})"
        )
        removed = before - kept
        size = table_bytes(kept, columns)
        gone = 8 * removed * len(columns)
        figures = (size, 1 if kept else 0, 1 if removed else 0, 0, gone, 0)
        names = ("tableSizeAfterRestore", "numOfFilesAfterRestore", "numRemovedFiles",
                 "numRestoredFiles", "removedFilesSize", "restoredFilesSize")  # fmt: skip
        metrics = dict(zip(names, map(str, figures), strict=True)) | {_REMOVED: str(removed)}
        parameters = {"version": wanted, "timestamp": "null"}
        work.record(Commit(path, "RESTORE", parameters, metrics, follows=newest))
    return Result(
        counted("table_size_after_restore", "num_of_files_after_restore", "num_removed_files",
                "num_restored_files", "removed_files_size", "restored_files_size"),
        [figures],
    )  # fmt: skip


def rows_at(entries: list[Entry], now: int) -> dict[int, int]:
    """How many of the first rows were the whole table, for each version that is within reach.

    ``entries`` are the history, newest first; ``now`` is the number of rows the table has.
    """
    found: dict[int, int] = {}
    rows = fewest = now
    for entry in entries:
        if rows <= fewest:  # else some of its rows have been deleted since
            found[entry.version] = rows
            fewest = rows
        added = _appended(entry)
        if added is None:
            break
        rows -= added
    return found


def _appended(entry: Entry) -> int | None:
    """Rows an entry added at the end; None where it changed others."""
    metrics = entry.metrics
    match entry.operation:
        case "WRITE" if entry.parameters.get("mode") == "Append":
            return int(metrics["numOutputRows"])
        case "MERGE" if metrics["numTargetRowsUpdated"] == metrics["numTargetRowsDeleted"] == "0":
            return int(metrics["numTargetRowsInserted"])
        case "RESTORE":
            return -int(metrics[_REMOVED])
        case operation if operation in _WITHOUT_ROWS:
            return 0
    return None
