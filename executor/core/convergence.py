"""A loop, from its first iteration to a verdict.

Theory. An iteration is a file followed by tests: how many rows it changed, how much is left to
merge, or both (`--convergence`). They say one of three things (`verdicts`): converged; go on, up to
a limit, unless the loop has stalled; or nothing at all, because a test failed or gave no number.
Only the first publishes without a decision: absence of proof is a question to the caller, never
convergence. And what has converged may still be wrong: it is checked before it is published.

    pending -> iterating -> probing -> measuring -> checking -> aliasing -> settled
                  ^                       |
                  +------(optimizing)-----+
"""

from __future__ import annotations

from typing import assert_never

from executor.core import maintenance, prompts, validation
from executor.core.answers import (
    can_go_on,
    generate,
    loop_choices,
    next_iteration,
    settle,
)
from executor.core.inputs import Succeeded
from executor.core.state import (
    Generating,
    LoopProgress,
    LoopQuestion,
    LoopStage,
    LoopStatement,
    State,
)
from executor.core.statements import planned_statement, start
from executor.core.turn import Turn
from executor.core.verdicts import iterations_left, verdict
from executor.workflow.names import table_name
from protocol.events import (
    AliasCreated,
    Converged,
    ErrorRecord,
    Iteration,
    LoopStarted,
    NotConverged,
    PlannedFile,
    PlannedLoop,
    Warned,
)
from protocol.hello import Convergence


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
    if turn.state.settings.convergence == "residual" and loop.residual is None:
        detail = f"{loop.name} declares no residual: it is tested by the rows an iteration changes"
        turn.emit(Warned(code="NO_RESIDUAL", detail=detail))
    first = turn.state.file(loop.files[0]).iteration or 1  # what is before it is there already
    turn.loop_progress(loop.id, iteration=first - 1)
    next_iteration(turn, loop.id)


def tests_of(state: State, loop: PlannedLoop) -> Convergence:
    """What this loop is tested with."""
    return "updated" if loop.residual is None else state.settings.convergence


def iterated(turn: Turn, loop_id: str) -> None:
    """The file of an iteration is done: the tests come next."""
    tests = tests_of(turn.state, turn.state.loop(loop_id))
    first: LoopStage = "measuring" if tests == "residual" else "probing"
    turn.loop_progress(loop_id, stage=first)


def proceed(turn: Turn, loop: PlannedLoop) -> PlannedFile | None:
    """Does what the loop needs next; returns a file if that is to run one."""
    progress = turn.state.loop_progress[loop.id]
    match progress.stage:
        case "iterating":
            return _iterate(turn, loop, progress.iteration)
        case "probing":
            start(turn, LoopStatement(loop.id, progress.iteration, "probe"))
        case "measuring":
            start(turn, LoopStatement(loop.id, progress.iteration, "residual"))
        case "optimizing":
            maintenance.begin(turn, LoopStatement(loop.id, progress.iteration, "optimize"))
        case "checking":
            validation.before_publishing(turn, loop)
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


def tested(turn: Turn, loop: PlannedLoop, what: str, ended: Succeeded) -> None:
    """Takes in the number of a test; the last one leads to a verdict."""
    number = ended.value
    if number is None or number < 0:
        _tell_iteration(turn, loop, residual=None)
        _ask_about_silent_test(turn, loop, what)
        return
    progress = turn.state.loop_progress[loop.id]
    if what == "probe":
        progress = turn.loop_progress(loop.id, updated=number)
        if tests_of(turn.state, loop) == "both":
            turn.loop_progress(loop.id, stage="measuring")
            return
    else:
        progress = turn.loop_progress(loop.id, residuals=(*progress.residuals, number))
    residual = None if what == "probe" else number
    _tell_iteration(turn, loop, residual)
    _judge(turn, loop, progress, residual)


def _left(turn: Turn, loop: PlannedLoop) -> int | None:
    """About how many iterations are left until the loop counts as converged."""
    left = iterations_left(turn.state.loop_progress[loop.id].residuals)
    # that nothing changes any more is seen one iteration after nothing was left
    both = tests_of(turn.state, loop) == "both"
    return left + 1 if left is not None and both else left


def _tell_iteration(turn: Turn, loop: PlannedLoop, residual: int | None) -> None:
    progress = turn.state.loop_progress[loop.id]
    table = table_name(loop.table, progress.iteration)
    goes_on = residual is not None and progress.updated != 0
    turn.emit(
        Iteration(
            loop=loop.id,
            iteration=progress.iteration,
            max_iterations=progress.limit,
            updated=progress.updated,
            residual=residual,
            iterations_left=_left(turn, loop) if goes_on else None,
            rows=turn.state.tables.get(table),
            source="generated" if progress.generated else "file",
            table=table,
            elapsed_ms=turn.since(progress.started),
        )
    )


def _judge(turn: Turn, loop: PlannedLoop, progress: LoopProgress, residual: int | None) -> None:
    """What the numbers of an iteration lead to."""
    table = table_name(loop.table, progress.iteration)
    match verdict(progress.updated, residual, progress.residuals, loop.stall_after):
        case "converged":
            turn.emit(
                Converged(
                    loop=loop.id,
                    iterations=progress.iteration,
                    by=tests_of(turn.state, loop),
                    final_table=loop.alias or table,
                )
            )
            turn.loop_progress(loop.id, stage="checking")
        case "stalled":
            _stalled(turn, loop, progress)
        case "going_on" if progress.iteration >= progress.limit or not can_go_on(turn.state, loop):
            _limit_reached(turn, loop, progress, residual)
        case "going_on" if maintenance.wants_loops(turn.state):
            turn.loop_progress(loop.id, stage="optimizing")
        case "going_on":
            next_iteration(turn, loop.id)
        case _ as unreachable:
            assert_never(unreachable)


def _ask_about_silent_test(turn: Turn, loop: PlannedLoop, what: str) -> None:
    """A test that ran and gave no number says nothing about convergence."""
    iteration = turn.state.loop_progress[loop.id].iteration
    task = LoopStatement(loop.id, iteration, "probe" if what == "probe" else "residual")
    planned, sql = planned_statement(turn.state, task)
    error = ErrorRecord(
        class_="DWX_PROBE_WITHOUT_NUMBER",
        category="quality",
        severity="critical",
        retryable=False,
        message=f"the convergence test of {loop.name} gave no whole number: {sql}",
        statement=planned.id,
        suggestion="Correct the loop's probe or residual in workflow.toml: one row with one "
        "column, which counts.",
        fingerprint=f"{what}:{loop.name}",
    )
    _not_converged(turn, loop, "unknown", "the convergence test gave no number")
    prompts.ask_about_statement(turn, task, error, "not_committed", "a probe writes nothing")


def _stalled(turn: Turn, loop: PlannedLoop, progress: LoopProgress) -> None:
    left = progress.residuals[-1]
    if progress.updated == 0:
        evidence = (
            f"iteration {progress.iteration} changed nothing, and {left} are still to be merged: "
            "no further iteration will change that"
        )
    else:
        numbers = ", ".join(str(one) for one in progress.residuals[-loop.stall_after - 1 :])
        evidence = (
            f"what is left to merge has not become less for {loop.stall_after} iterations: "
            f"{numbers}"
        )
    helps = progress.updated != 0 and can_go_on(turn.state, loop)
    _not_converged(turn, loop, "stalled", evidence)
    _ask_about_loop(turn, loop, f"{loop.name} has stalled", evidence, can_extend=helps)


def _limit_reached(
    turn: Turn, loop: PlannedLoop, progress: LoopProgress, residual: int | None
) -> None:
    can_extend = can_go_on(turn.state, loop)
    why = f"the limit is {progress.limit}" if can_extend else "there are no further files"
    said = []
    if progress.updated is not None:
        said.append(f"still changed {progress.updated} rows")
    if residual is not None:
        said.append(f"left {residual} to be merged")
    left = _left(turn, loop)
    guess = f"; about {left} more iterations are needed" if left else ""
    evidence = f"iteration {progress.iteration} {' and '.join(said)}, and {why}{guess}"
    _not_converged(turn, loop, "limit", evidence)
    title = f"{loop.name} has not converged"
    _ask_about_loop(turn, loop, title, evidence, can_extend=can_extend)


def _ask_about_loop(
    turn: Turn, loop: PlannedLoop, title: str, evidence: str, *, can_extend: bool
) -> None:
    iteration = turn.state.loop_progress[loop.id].iteration
    prompts.ask(
        turn,
        LoopQuestion(loop.id, iteration),
        prompts.Wording(
            title=f"{title} after {iteration} iterations", evidence=evidence, loop=loop.id
        ),
        loop_choices(turn.state, loop.id, can_extend=can_extend),
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
        case "probe" | "residual":
            tested(turn, loop, task.what, ended)
        case "alias":
            aliased(turn, loop)
        case "optimize":
            maintenance.optimized(turn, table_name(loop.table, task.iteration), ended)
            next_iteration(turn, loop.id)
        case _ as unreachable:
            assert_never(unreachable)


def aliased(turn: Turn, loop: PlannedLoop) -> None:
    """The loop's result has its name: the loop is over."""
    table = table_name(loop.table, turn.state.loop_progress[loop.id].iteration)
    if loop.alias is not None:  # it is a copy, so it has as many rows
        turn.set(tables={**turn.state.tables, loop.alias: turn.state.tables.get(table)})
    turn.emit(AliasCreated(table=loop.alias or "", from_=table))
    settle(turn, loop.id)
