"""What follows when a statement did not finish well, once all is known that can be known.

In this order: a run that is to stop stops; what commits nothing and may pass by itself is run
again; what nothing depends on is left behind; everything else is for the caller to decide.
"""

from __future__ import annotations

from executor.core import answers, convergence, ending, maintenance, prompts, retries
from executor.core.state import (
    CleanUp,
    Executing,
    FileStatement,
    LoopStatement,
    OutputOptimize,
    Ready,
    RestoreTarget,
)
from executor.core.statements import planned_statement
from executor.core.turn import Turn
from protocol.events import ErrorRecord, Outcome, Warned


def after(
    turn: Turn,
    executing: Executing,
    error: ErrorRecord,
    outcome: Outcome,
    evidence: str,
) -> None:
    """Goes on after a failure whose outcome is known, or known not to be knowable."""
    task = executing.task
    planned, _ = planned_statement(turn.state, task)
    turn.set(phase=Ready())
    if turn.state.stop is not None:
        _note_unknown(turn, outcome, idempotent=planned.idempotent)
        return
    if outcome == "not_committed" and retries.again(turn, planned.id, error):
        maintenance.again(turn, task)
        return
    if isinstance(task, CleanUp):
        detail = f"{planned.target} could not be dropped: {error.class_}"
        turn.emit(Warned(code="CLEANUP_FAILED", detail=detail))
        return
    if planned.kind == "optimize" and not isinstance(task, FileStatement):
        detail = f"OPTIMIZE of {planned.target} failed: {error.class_}"
        turn.emit(Warned(code="OPTIMIZE_FAILED", detail=detail))
        if isinstance(task, LoopStatement):
            answers.next_iteration(turn, task.loop)
        return
    if isinstance(task, FileStatement) and not turn.state.file(task.file).critical:
        _note_unknown(turn, outcome, idempotent=planned.idempotent)
        detail = f"{turn.state.file(task.file).path} failed and nothing waits for it: going on"
        turn.emit(Warned(code="LEAF_FAILED", detail=detail))
        answers.give_up_file(turn, task.file, skip_dependents=False)
        return
    if isinstance(task, LoopStatement) and task.tests:
        convergence.test_failed(turn, turn.state.loop(task.loop), error)
    prompts.ask_about_statement(turn, task, error, outcome, evidence, executing)


def done(turn: Turn, executing: Executing) -> None:
    """Goes on after a statement that was found to have committed, though nobody saw it end."""
    turn.set(phase=Ready())
    match executing.task:
        case FileStatement(file, index):
            turn.file_progress(file, done=index + 1)
        case RestoreTarget(FileStatement(file)):
            turn.file_progress(file, restore_to=None)
        case LoopStatement(loop, _, "alias"):
            convergence.aliased(turn, turn.state.loop(loop))
        case LoopStatement(loop, _, "optimize"):
            answers.next_iteration(turn, loop)
        case CleanUp():
            maintenance.cleaned(turn, executing.task)
        case LoopStatement() | OutputOptimize():
            pass  # a probe is simply sent again; an output's OPTIMIZE is over


def _note_unknown(turn: Turn, outcome: Outcome, *, idempotent: bool) -> None:
    if outcome == "unknown" and not idempotent:
        ending.flaw(turn, unknown_write=True)
