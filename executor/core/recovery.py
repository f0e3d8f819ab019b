"""What became of a statement whose end nobody saw.

Theory. A statement whose reply was lost, that was cancelled, or that was under way when its process
died, has committed, has not, or is still running. Nobody may send it again before that is known.
So the warehouse is asked: its query history, whether the statement is over, and the target's own
history, whether it made a version (`CheckCommit`). Three answers are possible. *Committed*: it is
done, go on. *Not committed*: it may run again. *Unknown*: that is for the caller, who is told what
was found.

The answer is recorded in one of two places. Where the log has seen the statement's end already, as
one that is not known, it stands beside it, as a `check`; else it is the statement's end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from executor.core import maintenance, setbacks
from executor.core.effects import CheckCommit
from executor.core.inputs import Checked, Failed
from executor.core.state import Checking, Executing, FileStatement, GoingOn, Ready
from executor.core.statements import planned_statement, take_effect, unit_start
from executor.core.turn import Turn
from protocol.events import Check, ErrorRecord, Outcome, RowCounts, StatementFinished

OVER = frozenset({"cancelled", "timeout"})
"""Categories of failure with which the warehouse says that the statement runs no more."""


def look(turn: Turn, executing: Executing, ended: Failed) -> None:
    """A statement ended, and whether it has committed is not known."""
    over = ended.cancelled or ended.error.category in OVER
    turn.set(phase=GoingOn(Checking(executing, ended.error, closed=True, over=over)))


def check(turn: Turn, checking: Checking) -> None:
    """Wants to know what became of a statement."""
    executing = checking.executing
    planned, _ = planned_statement(turn.state, executing.task)
    turn.set(phase=checking)
    if not turn.state.connected:
        _conclude(turn, checking, "unknown", "the session is gone, and the run is to stop")
        return
    died_with_the_process = turn.state.settings.auth == "local" and not checking.closed
    turn.want(
        CheckCommit(
            statement=executing.statement,
            kind=planned.kind,
            target=planned.target,
            renames=planned.renames,
            attempt=executing.attempt,
            sent=executing.sent,
            query_id=executing.query_id,
            version=executing.version,
            repeatable=planned.idempotent,
            over=checking.over or died_with_the_process,
            wait=turn.state.stop is None,
        )
    )


def checked(turn: Turn, checking: Checking, given: Checked) -> None:
    """The warehouse has answered."""
    _conclude(turn, checking, given.outcome, given.evidence, given.rows)


def _conclude(
    turn: Turn,
    checking: Checking,
    outcome: Outcome,
    evidence: str,
    rows: RowCounts | None = None,
) -> None:
    executing = checking.executing
    if checking.closed:
        _stand_beside(turn, checking, outcome, evidence, rows)
    else:
        close(turn, executing, outcome, evidence, rows)
    if outcome == "committed":
        take_effect(turn, executing.task, rows)
        setbacks.done(turn, executing)
        return
    if outcome == "not_committed":
        back_to_unit(turn, executing)
    if checking.error is None and outcome == "not_committed":
        turn.set(phase=Ready())
        return
    error = checking.error or _outcome_unknown(turn, executing, evidence)
    setbacks.after(turn, executing, error, outcome, evidence)


def back_to_unit(turn: Turn, executing: Executing) -> None:
    """What runs again is the whole retry unit: its beginning takes back what the first attempt
    wrote, should it have written all the same.
    """
    task = executing.task
    if isinstance(task, FileStatement):
        turn.file_progress(task.file, done=unit_start(turn.state.file(task.file), task.index))
    else:
        maintenance.again(turn, task)


def _outcome_unknown(turn: Turn, executing: Executing, evidence: str) -> ErrorRecord:
    planned, _ = planned_statement(turn.state, executing.task)
    task = executing.task
    path = turn.state.file(task.file).path if isinstance(task, FileStatement) else None
    return ErrorRecord(
        class_="DWX_OUTCOME_UNKNOWN",
        category="transport_ambiguous",
        severity="critical",
        retryable=False,
        message=f"nobody saw the end of {planned.id}: {evidence}",
        file=path,
        line=planned.line if path is not None else None,
        statement=planned.id,
        query_id=executing.query_id,
        suggestion="Look at the target's history. If the statement has committed, answer "
        "done; if not, run it by hand and answer done.",
        fingerprint=f"unknown:{planned.id}",
    )


CHECKED: dict[Outcome, Literal["passed", "failed", "unknown"]] = {
    "committed": "passed",
    "not_committed": "failed",
    "unknown": "unknown",
}
"""The status of a check that asks whether a statement has committed."""


def _stand_beside(
    turn: Turn, checking: Checking, outcome: Outcome, evidence: str, rows: RowCounts | None
) -> None:
    executing = checking.executing
    # what the warehouse reports as cancelled is counted so, whatever it had committed before
    cancelled = checking.error is not None and checking.error.category == "cancelled"
    turn.emit(
        Check(
            name=f"commit of {executing.statement}",
            phase="recovery",
            status=CHECKED[outcome],
            observed=evidence,
            expected="committed",
            severity="critical",
            rows=rows,
        )
    )
    counts = turn.state.counts
    known = {"committed": "succeeded", "not_committed": "failed"}.get(outcome)
    if known is not None and not cancelled:
        moved = {"unknown": counts.unknown - 1, known: getattr(counts, known) + 1}
        turn.set(counts=replace(counts, **moved))


def close(
    turn: Turn,
    executing: Executing,
    outcome: Outcome,
    evidence: str,
    rows: RowCounts | None = None,
) -> None:
    """Closes the statement in the log: its end is known now, or known to be unknown."""
    status: Literal["succeeded", "cancelled", "unknown"] = "cancelled"
    if outcome == "committed":
        status = "succeeded"
    elif outcome == "unknown":
        status = "unknown"
    counts = turn.state.counts
    turn.set(counts=replace(counts, **{status: getattr(counts, status) + 1}))
    turn.emit(
        StatementFinished(
            statement=executing.statement,
            status=status,
            elapsed_ms=0,
            query_id=executing.query_id,
            rows=rows,
            value=None,
            metrics=None,
            error=None,
            outcome=outcome,
            evidence=evidence,
        )
    )
