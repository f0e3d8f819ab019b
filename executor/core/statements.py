"""Sending a statement and taking in how it ended; whose statement it was decides what follows.

Every statement, the executor's own probes included, is announced durably before it is sent: after
a crash the log names everything that may have been in flight.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Any, Literal, assert_never

from executor.core.effects import Execute, Inspect
from executor.core.inputs import Failed, Submitted, Succeeded
from executor.core.own_sql import (
    alias_sql,
    changed_rows_sql,
    drop_sql,
    optimize_sql,
    residual_sql,
    restore_sql,
)
from executor.core.state import (
    CleanUp,
    Executing,
    FileStatement,
    Inspecting,
    LoopStatement,
    OutputOptimize,
    RestoreTarget,
    Slow,
    State,
    Task,
)
from executor.core.turn import Turn
from executor.workflow.names import table_name
from protocol.events import (
    PlannedFile,
    PlannedStatement,
    RowCounts,
    RowsAffected,
    StatementFinished,
    StatementStarted,
    StatementSubmitted,
)

SLOWEST_KEPT = 5
HEAD_CHARACTERS = 120


INSPECTED = frozenset(
    {"insert", "insert_overwrite", "merge", "update", "delete", "copy_into", "create", "create_as"}
)
"""Kinds of write whose commit shows in the history of their target."""


def start(turn: Turn, task: Task) -> None:
    """Starts the statement of `task`; first looks up its target if it must not run twice."""
    planned, _ = planned_statement(turn.state, task)
    unsafe = not planned.idempotent and planned.kind in INSPECTED
    if planned.target is None or not (unsafe or isinstance(task, RestoreTarget)):
        send(turn, task, version=None)
        return
    turn.set(phase=Inspecting(task=task, statement=planned.id))
    turn.want(Inspect(statement=planned.id, table=planned.target))


def send(turn: Turn, task: Task, version: int | None) -> None:
    """Announces and sends the statement of `task`; `version` is its target's newest one."""
    planned, sql = planned_statement(turn.state, task)
    attempt = turn.state.attempts.get(planned.id, 0) + 1
    turn.set(
        attempts={**turn.state.attempts, planned.id: attempt},
        phase=Executing(
            task=task, statement=planned.id, attempt=attempt, sent=turn.at, version=version
        ),
    )
    turn.emit(
        StatementStarted(
            statement=planned.id,
            kind=planned.kind,
            target=planned.target,
            line=planned.line if sql is None else None,
            sha256=planned.sha256,
            attempt=attempt,
            head=planned.head,
            target_version=version,
        ),
        durable=True,
    )
    turn.want(
        Execute(
            statement=planned.id,
            kind=planned.kind,
            target=planned.target,
            file=task.file if isinstance(task, FileStatement) else None,
            attempt=attempt,
            sql=sql,
        )
    )


def submitted(state: State, given: Submitted) -> StatementSubmitted:
    """The warehouse took a statement and named it."""
    return StatementSubmitted(
        statement=given.statement,
        query_id=given.query_id,
        history_url=_history_url(state, given.query_id),
    )


def _history_url(state: State, query_id: str | None) -> str | None:
    """Where the query history shows a statement; the embedded warehouse has no such page.

    Source: https://docs.databricks.com/sql/user/queries/query-history
    """
    settings = state.settings
    host, path = settings.host, settings.http_path or ""
    if query_id is None or host is None or settings.auth == "local" or ":" in host:
        return None
    workspace = re.search(r"[?&]o=(\d+)", path)
    return f"https://{host}/sql/history?queryId={query_id}" + (
        f"&o={workspace[1]}" if workspace else ""
    )


def planned_statement(state: State, task: Task) -> tuple[PlannedStatement, str | None]:
    """What the plan says of a statement, and its SQL where the executor makes it itself."""
    match task:
        case FileStatement(file, index):
            return state.file(file).statements[index], None
        case LoopStatement(loop_id, iteration, what):
            loop = state.loop(loop_id)
            if what == "probe":
                sql = changed_rows_sql(loop, iteration)
                return _own(f"{loop_id}.i{iteration}.probe", "probe", None, sql)
            if what == "residual":
                sql = residual_sql(loop, iteration)
                return _own(f"{loop_id}.i{iteration}.residual", "probe", None, sql)
            if what == "alias":
                return _own(f"{loop_id}.alias", "alias", loop.alias, alias_sql(loop, iteration))
            table = table_name(loop.table, iteration)
            return _own(f"{loop_id}.i{iteration}.optimize", "optimize", table, optimize_sql(table))
        case RestoreTarget(before, version):
            planned, _ = planned_statement(state, before)
            assert planned.target is not None
            sql = restore_sql(planned.target, version)
            return _own(f"{planned.id}.restore", "restore", planned.target, sql)
        case OutputOptimize(table, number):
            return _own(f"optimize.s{number}", "optimize", table, optimize_sql(table))
        case CleanUp(table, number):
            return _own(f"cleanup.s{number}", "drop", table, drop_sql(table))
        case _ as unreachable:
            assert_never(unreachable)


def unit_start(file: PlannedFile, index: int) -> int:
    """The index of the statement with which the retry unit of another begins; behind the last
    statement that is the index itself.
    """
    if index >= len(file.statements):
        return index
    unit = file.statements[index].unit
    return next(place for place, one in enumerate(file.statements) if one.id == unit)


def _own(
    statement: str, kind: Any, target: str | None, sql: str
) -> tuple[PlannedStatement, str | None]:
    planned = PlannedStatement(
        id=statement,
        kind=kind,
        target=target,
        line=1,
        sha256=hashlib.sha256(sql.encode()).hexdigest(),
        head=" ".join(sql.split())[:HEAD_CHARACTERS],
        unit=statement,
        idempotent=True,
    )
    return planned, sql


def record_success(turn: Turn, ended: Succeeded, task: Task) -> None:
    """Records a statement that finished, and the rows it touched."""
    turn.emit(
        StatementFinished(
            statement=ended.statement,
            status="succeeded",
            elapsed_ms=ended.elapsed_ms,
            query_id=ended.query_id,
            rows=ended.rows,
            value=ended.value,
            metrics=ended.metrics,
            error=None,
            outcome="committed",
            evidence="the warehouse reported the statement as finished",
        )
    )
    turn.set(counts=replace(turn.state.counts, succeeded=turn.state.counts.succeeded + 1))
    _note_time(turn, ended.statement, ended.elapsed_ms, task)
    take_effect(turn, task, ended.rows)


def take_effect(turn: Turn, task: Task, rows: RowCounts | None) -> None:
    """Notes what a statement that has committed leaves behind, and the rows it touched."""
    planned, _ = planned_statement(turn.state, task)
    turn.set(tables=_tables_after(turn.state.tables, planned, rows))
    if rows is not None and isinstance(task, FileStatement):
        _record_rows(turn, task, planned, rows)


def record_failure(turn: Turn, ended: Failed, task: Task) -> None:
    """Records a statement that did not finish well."""
    status: Literal["failed", "cancelled", "unknown"] = "failed"
    if ended.cancelled:
        status = "cancelled"
    elif ended.outcome == "unknown":
        status = "unknown"
    turn.emit(
        StatementFinished(
            statement=ended.statement,
            status=status,
            elapsed_ms=ended.elapsed_ms,
            query_id=ended.query_id,
            rows=None,
            value=None,
            metrics=None,
            error=ended.error,
            outcome=ended.outcome,
            evidence=ended.evidence,
        )
    )
    counts = turn.state.counts
    turn.set(counts=replace(counts, **{status: getattr(counts, status) + 1}))
    _note_time(turn, ended.statement, ended.elapsed_ms, task)


def _record_rows(
    turn: Turn, task: FileStatement, planned: PlannedStatement, rows: RowCounts
) -> None:
    turn.emit(
        RowsAffected(
            statement=planned.id,
            file=task.file,
            target=planned.target,
            total=rows.total,
            inserted=rows.inserted,
            updated=rows.updated,
            deleted=rows.deleted,
            source=rows.source,
        )
    )
    if rows.total is not None:
        before = turn.state.progress[task.file].rows or 0
        turn.file_progress(task.file, rows=before + rows.total)


def _note_time(turn: Turn, statement: str, elapsed_ms: int, task: Task) -> None:
    turn.spent(**{_account(task): elapsed_ms})
    path = turn.state.file(task.file).path if isinstance(task, FileStatement) else ""
    slowest = sorted(
        (*turn.state.slowest, Slow(statement, path, elapsed_ms)),
        key=lambda slow: -slow.elapsed_ms,
    )
    turn.set(slowest=tuple(slowest[:SLOWEST_KEPT]))


def _account(task: Task) -> str:
    """What the time of a statement goes into, named as in `TimeSpent`."""
    match task:
        case LoopStatement(what="optimize") | OutputOptimize():
            return "optimize_ms"
        case LoopStatement():
            return "convergence_ms"
        case _:
            return "statements_ms"


def _tables_after(
    tables: dict[str, int | None] | Any, planned: PlannedStatement, rows: RowCounts | None
) -> dict[str, int | None]:
    """The tables the run has written, after one more statement; `None` is an unknown count."""
    after: dict[str, int | None] = dict(tables)
    target = planned.target
    if target is None:
        return after
    total = rows.total if rows is not None else None
    match planned.kind:
        case "create" | "replace":
            after[target] = 0 if planned.kind == "replace" else after.get(target, 0)
        case "create_as" | "replace_as" | "alias" | "insert_overwrite":
            after[target] = total
        case "truncate":
            after[target] = 0
        case "insert":
            # rows of a table this run did not make are not known, whatever was added to them
            before = after.get(target)
            after[target] = before + total if before is not None and total is not None else None
        case "delete" | "merge" | "copy_into" | "restore":
            after[target] = None
        case "update":
            after.setdefault(target, None)
        case "drop":
            after.pop(target, None)
        case "rename":
            count = after.pop(planned.renames, None) if planned.renames is not None else None
            after[target] = count
        case _:
            pass
    return after
