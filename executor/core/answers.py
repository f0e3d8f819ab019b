"""What follows from an answer, question by question.

The choices a prompt offers and what each does stand side by side here: a choice that cannot be
carried out is never offered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from executor.core import ending, retries
from executor.core.effects import GenerateFile, ReadFile, ReadPlan
from executor.core.state import (
    Asking,
    Checking,
    CleanUp,
    ConnectQuestion,
    EditQuestion,
    ErrorQuestion,
    Executing,
    FileQuestion,
    FileStatement,
    Generating,
    GoingOn,
    LoopProgress,
    LoopQuestion,
    LoopStatement,
    OutputOptimize,
    Preflighting,
    PreflightQuestion,
    PublishQuestion,
    Question,
    Ready,
    Rereading,
    RestoreTarget,
    Resuming,
    State,
    Task,
)
from executor.core.statements import planned_statement
from executor.core.turn import Turn
from executor.core.verdicts import iterations_left, stalled
from executor.workflow.names import table_name
from protocol.events import (
    Choice,
    ChoiceName,
    FileFinished,
    LoopResult,
    Outcome,
    PlannedFile,
    PlannedLoop,
)

UNDOABLE = frozenset({"insert", "insert_overwrite", "merge", "update", "delete", "copy_into"})
"""Kinds of write that leave the table they write the same table."""

EXTEND_BY = 10
"""Iterations added by `extend` that does not say how many, at least."""


# --- what is offered --------------------------------------------------------------------------


def error_choices(
    state: State, question: ErrorQuestion, outcome: Outcome, *, idempotent: bool
) -> tuple[Choice, ...]:
    """The choices after a statement failed or its outcome is unknown."""
    task = question.task
    choices: list[Choice] = []
    if outcome != "unknown" or idempotent:
        effect = "run the statement again"
        if isinstance(task, FileStatement):
            effect = "read the file again and run the retry unit again"
        # the first attempt may still be on its way, and come after the second
        choices.append(Choice(choice="retry", effect=effect, safe=outcome != "unknown"))
    if outcome == "unknown" and question.executing is not None and isinstance(task, FileStatement):
        choices.append(_choice("check", "look again whether the statement has committed"))
        if (version := _undoable(state, task, question.executing)) is not None:
            effect = (
                f"restore the target to version {version}, as it was before the statement, and run "
                "the statement again; whatever was written to it since is undone"
            )
            # it would be in vain if the statement still ran and committed afterwards
            choices.append(Choice(choice="restore", effect=effect, safe=False))
    if isinstance(task, LoopStatement) and task.tests:
        return (*choices, _choice("accept", _ACCEPT), _choice("abort", _ABORT))
    choices.append(_choice("done", "treat the statement as done by hand and go on with the next"))
    choices.append(_choice("skip", "mark the file failed, skip the files that need it, go on"))
    if isinstance(task, FileStatement) and state.file(task.file).loop is None:
        choices.append(_choice("continue", "mark the file failed, run everything else"))
    return (*choices, _choice("abort", _ABORT))


def _undoable(state: State, task: FileStatement, executing: Executing) -> int | None:
    """The version that undoes a write of unknown outcome, if it is known and there is one."""
    planned, _ = planned_statement(state, task)
    exists = executing.version is not None and executing.version >= 0
    return executing.version if exists and planned.kind in UNDOABLE else None


def loop_choices(state: State, loop_id: str, *, can_extend: bool) -> tuple[Choice, ...]:
    """The choices when a loop has reached its limit, or has stalled."""
    default = extension(state.loop_progress[loop_id])
    extend = (
        _choice("extend", f"go on for params.iterations more iterations (default {default})"),
    )
    rest = (_choice("accept", _ACCEPT), _choice("abort", _ABORT))
    return extend + rest if can_extend else rest


def file_choices(phase: Rereading | Generating) -> tuple[Choice, ...]:
    """The choices when a file cannot be read again or generated."""
    if isinstance(phase, Generating):
        return (
            _choice("retry", "try to generate the iteration again"),
            _choice("accept", _ACCEPT),
            _choice("abort", _ABORT),
        )
    return (
        _choice("retry", "read the file again"),
        _choice("done", "treat the failed statement as done by hand and go on with the next"),
        _choice("skip", "mark the file failed, skip the files that need it, go on"),
        _choice("abort", _ABORT),
    )


def extension(progress: LoopProgress) -> int:
    """Iterations added by `extend` that does not say how many: enough, as far as one can guess."""
    # one more, because a guess is a guess, and another for the proof that nothing changes
    return max(EXTEND_BY, (iterations_left(progress.residuals) or 0) + 2)


_ABORT = "stop the run"
_ACCEPT = "publish the last iteration as it is; the record says that it has not converged"


def _choice(choice: ChoiceName, effect: str) -> Choice:
    return Choice(choice=choice, effect=effect, safe=True)


# --- what it does -----------------------------------------------------------------------------


def take(turn: Turn, asking: Asking, choice: ChoiceName, iterations: int | None) -> None:
    """Carries out an answer. `choice` is one of those the prompt offered."""
    turn.set(phase=Ready())
    if choice == "abort":
        _abort(turn, asking)
        return
    question = asking.question
    match question:
        case ErrorQuestion(executing=Executing() as executing) if choice == "check":
            turn.set(connected=False)  # in a session of its own: this one may be what is broken
            turn.set(phase=GoingOn(Checking(executing, question.error, closed=True)))
        case ErrorQuestion(FileStatement(file), executing=Executing(version=version)) if (
            choice == "restore"
        ):
            turn.file_progress(file, restore_to=version)
        case ErrorQuestion(task):
            _after_error(turn, task, choice)
        case ConnectQuestion(was):
            turn.set(phase=GoingOn(was))
        case LoopQuestion(loop, _):
            if choice == "extend":
                extend(turn, loop, iterations)
            else:
                accept(turn, loop)
        case FileQuestion(phase, _):
            _after_file_error(turn, phase, choice)
        case EditQuestion(files, was):
            if choice == "retry":
                turn.set(phase=Resuming(was=was))
                turn.want(ReadPlan())
            else:
                turn.set(files=with_files(turn.state, files), phase=GoingOn(was))
        case PublishQuestion(loop):
            if choice == "continue":
                turn.loop_progress(loop, stage="aliasing")
            # else its checks are simply what comes next again
        case PreflightQuestion() if choice == "retry":
            turn.set(phase=Preflighting(reading=True))
            turn.want(ReadPlan())
        case PreflightQuestion(files=files) if choice == "skip":
            give_up_early(turn, files)
        case PreflightQuestion():
            pass  # `continue`: work is what comes next
        case _ as unreachable:
            assert_never(unreachable)


def _abort(turn: Turn, asking: Asking) -> None:
    question: Question = asking.question
    in_loop = isinstance(question, LoopQuestion) or (
        isinstance(question, FileQuestion) and isinstance(question.phase, Generating)
    )
    is_test = (
        isinstance(question, ErrorQuestion)
        and isinstance(question.task, LoopStatement)
        and question.task.tests
    )
    if in_loop or is_test:
        ending.flaw(turn, loop_aborted=True)
    else:
        ending.flaw(turn, aborted=True)
        if turn.state.current is not None:
            fail_file(turn, turn.state.current)
    ending.close(turn, error=asking.prompt.error)


def _after_error(turn: Turn, task: Task, choice: ChoiceName) -> None:
    if choice == "retry":
        retries.forgotten(turn, planned_statement(turn.state, task)[0].id)
        if isinstance(task, FileStatement):
            reread(turn, Rereading(task.file, task.index))
        return  # a statement of the executor's own is simply what comes next again
    match task:
        case FileStatement(file, index):
            if choice == "done":
                turn.file_progress(file, done=index + 1)
            else:
                give_up_file(turn, file, skip_dependents=choice == "skip")
        case LoopStatement(loop, _, what):
            if choice == "accept":
                accept(turn, loop)
            elif choice == "done":
                settle(turn, loop)
            else:
                reason = f"the loop's {what} failed"
                break_loop(turn, loop, reason)
        case RestoreTarget(FileStatement(file)):
            if choice == "done":
                turn.file_progress(file, restore_to=None)
            else:
                give_up_file(turn, file, skip_dependents=choice == "skip")
        case OutputOptimize() | CleanUp():
            pass  # never asked about
        case _ as unreachable:
            assert_never(unreachable)


def _after_file_error(turn: Turn, phase: Rereading | Generating, choice: ChoiceName) -> None:
    if isinstance(phase, Generating):
        if choice == "retry":
            generate(turn, phase)
        else:  # what is published is the last iteration there is
            turn.loop_progress(phase.loop, iteration=phase.iteration - 1)
            accept(turn, phase.loop)
    elif choice == "retry":
        reread(turn, phase)
    elif choice == "done":
        turn.file_progress(phase.file, done=phase.index + 1)
    else:
        give_up_file(turn, phase.file, skip_dependents=True)


def connect_choices() -> tuple[Choice, ...]:
    """The choices when the session was lost and no other can be opened."""
    return (_choice("retry", "try to connect again, and go on"), _choice("abort", _ABORT))


def edit_choices(*, in_doubt: bool) -> tuple[Choice, ...]:
    """The choices when files were edited after statements of theirs had committed.

    `in_doubt`: or after one was sent whose end nobody has seen, which cannot be looked up by a file
    that does not hold it any more.
    """
    undo = _choice("retry", "read the files again, once the edits are undone")
    if in_doubt:
        return (undo, _choice("abort", _ABORT))
    return (
        undo,
        _choice("done", "leave what has committed as it is and go on with the files as they are"),
        _choice("abort", _ABORT),
    )


def with_files(state: State, files: Iterable[PlannedFile]) -> tuple[PlannedFile, ...]:
    """The files of the run, with these in place of those of the same id."""
    new = {file.id: file for file in files}
    return tuple(new.get(file.id, file) for file in state.files)


# --- files ------------------------------------------------------------------------------------


def reread(turn: Turn, phase: Rereading) -> None:
    """Reads a file again, to retry its statement."""
    turn.set(phase=phase)
    turn.want(ReadFile(phase.file))


def give_up_file(turn: Turn, file_id: str, *, skip_dependents: bool) -> None:
    """Marks the file under way as failed and goes on with the rest."""
    file = turn.state.file(file_id)
    fail_file(turn, file_id)
    ending.flaw(turn, unfinished=True)
    if file.loop is not None:
        break_loop(turn, file.loop, f"{file.path} failed")
    elif skip_dependents:
        block(turn, dependents(turn.state, {file_id}), f"it needs {file.path}, which failed")


def fail_file(turn: Turn, file_id: str) -> None:
    """Closes the file under way as failed."""
    file = turn.state.file(file_id)
    progress = turn.file_progress(file_id, status="failed")
    turn.set(current=None)
    turn.emit(
        FileFinished(
            file=file_id,
            path=file.path,
            status="failed",
            rows=progress.rows,
            elapsed_ms=turn.since(progress.started),
            reason=f"{progress.done} of {len(file.statements)} statements are done",
        )
    )


def dependents(state: State, files: Iterable[str]) -> tuple[str, ...]:
    """The files that need one of `files`, directly or through others, in the run's order."""
    reached = set(files)
    found: list[str] = []
    for file in state.files:
        if file.id not in reached and reached.intersection(file.depends_on):
            reached.add(file.id)
            found.append(file.id)
    return tuple(found)


def give_up_early(turn: Turn, files: Iterable[str]) -> None:
    """Marks files that have not begun as failed; what needs them is skipped."""
    for file_id in files:
        loop = turn.state.file(file_id).loop
        if loop is None or turn.state.loop_progress[loop].stage != "broken":
            give_up_file(turn, file_id, skip_dependents=True)


def block(turn: Turn, files: Iterable[str], reason: str) -> None:
    """Has files skipped when their turn comes."""
    turn.set(blocked={**dict.fromkeys(files, reason), **turn.state.blocked})


# --- loops ------------------------------------------------------------------------------------


def next_iteration(turn: Turn, loop_id: str) -> None:
    """Makes the loop's next iteration the thing to do."""
    progress = turn.state.loop_progress[loop_id]
    turn.loop_progress(
        loop_id,
        stage="iterating",
        iteration=progress.iteration + 1,
        generated=False,
        started=turn.at,
        updated=None,
    )


def extend(turn: Turn, loop_id: str, iterations: int | None) -> None:
    """Lets the loop go on beyond its limit, or though it had stalled."""
    progress = turn.state.loop_progress[loop_id]
    more = iterations or extension(progress)
    residuals = progress.residuals
    if stalled(residuals, turn.state.loop(loop_id).stall_after):
        residuals = residuals[-1:]  # or it would count as stalled again at once
    turn.loop_progress(loop_id, limit=progress.iteration + more, residuals=residuals)
    next_iteration(turn, loop_id)


def can_go_on(state: State, loop: PlannedLoop) -> bool:
    """Whether there is a file for the loop's next iteration, or one can be generated."""
    following = state.loop_progress[loop.id].iteration + 1
    return loop.generate or any(
        file.loop == loop.id and file.iteration == following for file in state.files
    )


def generate(turn: Turn, phase: Generating) -> None:
    """Has the file of an iteration that no file makes generated from the one before."""
    turn.set(phase=phase)
    turn.want(GenerateFile(phase.loop, phase.iteration, model_of(turn.state, phase).id))


def model_of(state: State, phase: Generating) -> PlannedFile:
    """The file that an iteration is generated from: that of the iteration before."""
    return next(
        file
        for file in state.files
        if file.loop == phase.loop and file.iteration == phase.iteration - 1
    )


def accept(turn: Turn, loop_id: str) -> None:
    """Publishes a loop's last finished iteration though it was not shown to have converged."""
    ending.flaw(turn, unfinished=True)
    turn.loop_progress(loop_id, stage="checking", accepted=True)


def settle(turn: Turn, loop_id: str) -> None:
    """The loop is over and its result stands."""
    loop = turn.state.loop(loop_id)
    progress = turn.loop_progress(loop_id, stage="settled")
    result = LoopResult(
        loop=loop_id,
        iterations=progress.iteration,
        outcome="accepted" if progress.accepted else "converged",
        final_table=loop.alias or table_name(loop.table, progress.iteration),
    )
    turn.set(loop_results=(*turn.state.loop_results, result))


def break_loop(turn: Turn, loop_id: str, reason: str) -> None:
    """The loop cannot go on: its other files and all that need its result are skipped."""
    ending.flaw(turn, unfinished=True)
    progress = turn.loop_progress(loop_id, stage="broken")
    files = [file.id for file in turn.state.files if file.loop == loop_id]
    result = LoopResult(loop=loop_id, iterations=progress.iteration, outcome="unfinished")
    turn.set(loop_results=(*turn.state.loop_results, result))
    block(
        turn, (*files, *dependents(turn.state, files)), f"loop {loop_id} is not finished: {reason}"
    )
