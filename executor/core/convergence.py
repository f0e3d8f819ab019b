"""A loop, from its first iteration to a verdict.

Theory. An iteration is a file followed by a test. The test says one of three things: nothing
changed (a fixpoint: converged), something changed (go on, up to a limit), or nothing at all,
because it failed or gave no number. Only the first publishes without a decision: absence of proof
is a question to the caller, never convergence.

    pending -> iterating -> probing -> aliasing -> settled
                  ^            |
                  +-(optimizing)
"""

from __future__ import annotations

from typing import assert_never

from executor.core import prompts
from executor.core.answers import (
    generate,
    loop_choices,
    next_iteration,
    settle,
)
from executor.core.inputs import Succeeded
from executor.core.state import Generating, LoopQuestion, LoopStatement
from executor.core.statements import planned_statement, start
from executor.core.turn import Turn
from executor.workflow.names import table_name
from protocol.events import (
    AliasCreated,
    Converged,
    ErrorRecord,
    Iteration,
    LoopStarted,
    NotConverged,
    Optimized,
    PlannedFile,
    PlannedLoop,
)


def begin(turn: Turn, loop: PlannedLoop) -> None:
    """Starts the loop with its first iteration."""
    limit = turn.state.settings.max_iterations or loop.max_iterations
    turn.loop_progress(loop.id, limit=limit)
    turn.emit(
        LoopStarted(
            loop=loop.id,
            name=loop.name,
            table=loop.table,
            max_iterations=limit,
            files=len(loop.files),
        )
    )
    next_iteration(turn, loop.id)


def proceed(turn: Turn, loop: PlannedLoop) -> PlannedFile | None:
    """Does what the loop needs next; returns a file if that is to run one."""
    progress = turn.state.loop_progress[loop.id]
    match progress.stage:
        case "iterating":
            return _iterate(turn, loop, progress.iteration)
        case "probing":
            start(turn, LoopStatement(loop.id, progress.iteration, "probe"))
        case "optimizing":
            start(turn, LoopStatement(loop.id, progress.iteration, "optimize"))
        case "aliasing":
            if loop.alias is None:
                settle(turn, loop.id)
            else:
                start(turn, LoopStatement(loop.id, progress.iteration, "alias"))
        case "pending" | "settled" | "broken" | "left_out":
            raise ValueError(f"loop {loop.id} is {progress.stage}: there is nothing to go on with")
        case _ as unreachable:
            assert_never(unreachable)
    return None


def _iterate(turn: Turn, loop: PlannedLoop, iteration: int) -> PlannedFile | None:
    for file in turn.state.files:
        if file.loop == loop.id and file.iteration == iteration:
            return file
    generate(turn, Generating(loop.id, iteration))
    return None


def tested(turn: Turn, loop: PlannedLoop, ended: Succeeded) -> None:
    """Draws the verdict from the convergence test of the current iteration."""
    progress = turn.state.loop_progress[loop.id]
    table = table_name(loop.table, progress.iteration)
    turn.emit(
        Iteration(
            loop=loop.id,
            iteration=progress.iteration,
            max_iterations=progress.limit,
            updated=ended.value,
            residual=None,
            rows=turn.state.tables.get(table),
            source="generated" if progress.generated else "file",
            table=table,
            elapsed_ms=turn.since(progress.started),
        )
    )
    if ended.value is None or ended.value < 0:
        _ask_about_silent_test(turn, loop)
    elif ended.value == 0:
        turn.emit(
            Converged(
                loop=loop.id,
                iterations=progress.iteration,
                final_table=loop.alias or table,
            )
        )
        turn.loop_progress(loop.id, stage="aliasing")
    elif progress.iteration >= progress.limit or not _can_go_on(turn, loop, progress.iteration):
        _limit_reached(turn, loop, ended.value)
    elif turn.state.settings.optimize:
        turn.loop_progress(loop.id, stage="optimizing")
    else:
        next_iteration(turn, loop.id)


def _ask_about_silent_test(turn: Turn, loop: PlannedLoop) -> None:
    """A test that ran and gave no number says nothing about convergence."""
    task = LoopStatement(loop.id, turn.state.loop_progress[loop.id].iteration, "probe")
    planned, sql = planned_statement(turn.state, task)
    error = ErrorRecord(
        class_="DWX_PROBE_WITHOUT_NUMBER",
        category="quality",
        severity="critical",
        retryable=False,
        message=f"the convergence test of {loop.name} gave no whole number: {sql}",
        statement=planned.id,
        suggestion="Correct the loop's probe in workflow.toml: one row whose first column counts.",
        fingerprint=f"probe:{loop.name}",
    )
    _not_converged(turn, loop, "unknown", "the convergence test gave no number")
    prompts.ask_about_statement(turn, task, error, "not_committed", "a probe writes nothing")


def _can_go_on(turn: Turn, loop: PlannedLoop, iteration: int) -> bool:
    return loop.generate or any(
        file.loop == loop.id and file.iteration == iteration + 1 for file in turn.state.files
    )


def _limit_reached(turn: Turn, loop: PlannedLoop, updated: int) -> None:
    progress = turn.state.loop_progress[loop.id]
    can_extend = _can_go_on(turn, loop, progress.iteration)
    why = f"the limit is {progress.limit}" if can_extend else "there are no further files"
    evidence = f"iteration {progress.iteration} still changed {updated} rows, and {why}"
    _not_converged(turn, loop, "limit", evidence)
    prompts.ask(
        turn,
        LoopQuestion(loop.id, progress.iteration),
        prompts.Wording(
            title=f"{loop.name} has not converged after {progress.iteration} iterations",
            evidence=evidence,
        ),
        loop_choices(can_extend=can_extend),
    )


def test_failed(turn: Turn, loop: PlannedLoop, error: ErrorRecord) -> None:
    """The convergence test could not be evaluated: that is no verdict."""
    _not_converged(turn, loop, "unknown", f"the convergence test failed: {error.class_}")


def _not_converged(turn: Turn, loop: PlannedLoop, reason: str, evidence: str) -> None:
    turn.emit(
        NotConverged(
            loop=loop.id,
            iteration=turn.state.loop_progress[loop.id].iteration,
            reason=reason,  # type: ignore[arg-type]  # both callers pass one of the literals
            evidence=evidence,
        )
    )


def finished(turn: Turn, task: LoopStatement, ended: Succeeded) -> None:
    """Goes on after a statement of the executor's own."""
    loop = turn.state.loop(task.loop)
    match task.what:
        case "probe":
            tested(turn, loop, ended)
        case "alias":
            aliased(turn, loop)
        case "optimize":
            optimized(turn, table_name(loop.table, task.iteration), ended)
            next_iteration(turn, loop.id)
        case _ as unreachable:
            assert_never(unreachable)


def aliased(turn: Turn, loop: PlannedLoop) -> None:
    """The loop's result has its name: the loop is over."""
    table = table_name(loop.table, turn.state.loop_progress[loop.id].iteration)
    turn.emit(AliasCreated(table=loop.alias or "", from_=table))
    settle(turn, loop.id)


def optimized(turn: Turn, table: str, ended: Succeeded) -> None:
    """Records what OPTIMIZE did."""
    metrics = ended.metrics
    turn.emit(
        Optimized(
            table=table,
            files_added=metrics.files_added if metrics else None,
            files_removed=metrics.files_removed if metrics else None,
            bytes_added=metrics.bytes_added if metrics else None,
            bytes_removed=metrics.bytes_removed if metrics else None,
            elapsed_ms=ended.elapsed_ms,
        )
    )
