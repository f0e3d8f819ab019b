"""The order of work: which statement, file or loop comes next, and what an end leads to.

`proceed` is called whenever nothing is under way. It goes on from the state alone, so a run that
is resumed goes on exactly where one that was never interrupted would be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from executor.core import (
    answers,
    convergence,
    ending,
    findings,
    maintenance,
    prompts,
    recovery,
    resuming,
    retries,
    setbacks,
    validation,
)
from executor.core.inputs import Failed, FileRead, FileUnreadable, Inspected, Succeeded
from executor.core.state import (
    CleanUp,
    Executing,
    FileProgress,
    FileQuestion,
    FileStatement,
    Generating,
    GoingOn,
    Inspecting,
    LoopStatement,
    OutputOptimize,
    Ready,
    Rereading,
    RestoreTarget,
)
from executor.core.statements import (
    record_failure,
    record_success,
    send,
    start,
    unit_start,
)
from executor.core.turn import Turn
from protocol.events import (
    ErrorRecord,
    FileFinished,
    FilePlanned,
    FileStarted,
    PlannedFile,
    PlannedLoop,
)

GOING_ON = ("iterating", "probing", "measuring", "optimizing", "checking", "aliasing")


def proceed(turn: Turn) -> None:
    """Goes on with the run until something is under way again, or nothing is left to do."""
    while isinstance(turn.state.phase, GoingOn | Ready):
        state, phase = turn.state, turn.state.phase
        if state.stop is None and not state.connected:
            resuming.reopen(turn, phase)
            return
        if isinstance(phase, GoingOn):
            resuming.go_on(turn, phase.was)
        elif state.stop is not None:
            if state.current is not None:
                answers.fail_file(turn, state.current)
            ending.flaw(turn, cancelled=True)
            ending.close(turn)
        elif state.current is not None:
            _go_on_with_file(turn, state.file(state.current))
        elif (loop := _loop_under_way(turn)) is not None:
            file = convergence.proceed(turn, loop)
            if file is not None:
                _start_file(turn, file)
        elif (file := _next_file(turn)) is not None:
            _reach_file(turn, file)
        else:
            _conclude(turn)


# --- files ------------------------------------------------------------------------------------


def _next_file(turn: Turn) -> PlannedFile | None:
    for file in turn.state.files:
        if _progress(turn, file).status == "pending":
            return file
    return None


def _reach_file(turn: Turn, file: PlannedFile) -> None:
    """A file's turn has come: run it, begin its loop, or leave it out."""
    reason = turn.state.blocked.get(file.id)
    if reason is not None:
        _leave_out(turn, file, "skipped", reason)
        ending.flaw(turn, unfinished=True)
        return
    if file.loop is None:
        _start_file(turn, file)
        return
    loop = turn.state.loop(file.loop)
    match turn.state.loop_progress[loop.id].stage:
        case "pending" if turn.state.settings.skip_loop:
            turn.loop_progress(loop.id, stage="left_out")
        case "pending":
            convergence.begin(turn, loop)
        case "left_out":
            _leave_out(turn, file, "not_needed", "loops are left out (--skip-loop)")
        case _:
            iterations = turn.state.loop_progress[loop.id].iteration
            reason = f"{loop.name} was settled after iteration {iterations}"
            _leave_out(turn, file, "not_needed", reason)


def _start_file(turn: Turn, file: PlannedFile) -> None:
    turn.file_progress(file.id, status="running", started=turn.at, done=0)
    turn.set(current=file.id)
    order = [planned.id for planned in turn.state.files]
    turn.emit(
        FileStarted(
            file=file.id,
            path=file.path,
            index=order.index(file.id) + 1,
            total=len(order),
            statements=len(file.statements),
            sha256=file.sha256,
        )
    )


def _go_on_with_file(turn: Turn, file: PlannedFile) -> None:
    done, restore_to = _progress(turn, file).done, _progress(turn, file).restore_to
    if restore_to is not None:
        start(turn, RestoreTarget(FileStatement(file.id, done), restore_to))
        return
    if done < len(file.statements):
        start(turn, FileStatement(file.id, done))
        return
    progress = turn.file_progress(file.id, status="completed")
    turn.set(current=None)
    turn.emit(
        FileFinished(
            file=file.id,
            path=file.path,
            status="completed",
            rows=progress.rows,
            elapsed_ms=turn.since(progress.started),
            reason=None,
        )
    )
    if file.loop is not None:
        convergence.iterated(turn, file.loop)


def _leave_out(turn: Turn, file: PlannedFile, status: str, reason: str) -> None:
    turn.file_progress(file.id, status=status)
    turn.emit(
        FileFinished(
            file=file.id,
            path=file.path,
            status=status,  # type: ignore[arg-type]  # both callers pass one of the literals
            rows=None,
            elapsed_ms=0,
            reason=reason,
        )
    )


def _progress(turn: Turn, file: PlannedFile) -> FileProgress:
    return turn.state.progress.get(file.id, FileProgress())


def _loop_under_way(turn: Turn) -> PlannedLoop | None:
    for loop in turn.state.loops:
        if turn.state.loop_progress[loop.id].stage in GOING_ON:
            return loop
    return None


def _conclude(turn: Turn) -> None:
    """All files are done: check what they have made, then look after the tables, then close."""
    match turn.state.conclusion:
        case "checking":
            validation.at_the_end(turn)
        case "optimizing":
            if not maintenance.next_output(turn):
                turn.set(conclusion="cleaning")
        case "cleaning":
            well = not turn.state.flaws.unfinished and not findings.decisive(turn.state)
            if not maintenance.clean_next(turn, well=well):
                ending.close(turn, error=findings.error_of(turn.state))
        case _ as unreachable:
            assert_never(unreachable)


# --- statements -------------------------------------------------------------------------------


def inspected(turn: Turn, found: Inspected, inspecting: Inspecting) -> None:
    """A write's target has been looked up: send it, unless a stop was asked for meanwhile."""
    task = inspecting.task
    if turn.state.stop is not None:
        turn.set(phase=Ready())
    elif isinstance(task, RestoreTarget) and found.version == task.version:
        turn.file_progress(task.before.file, restore_to=None)  # there is nothing to undo
        turn.set(phase=Ready())
    else:
        send(turn, inspecting.task, found.version)


def succeeded(turn: Turn, ended: Succeeded, executing: Executing) -> None:
    """A statement finished."""
    task = executing.task
    record_success(turn, ended, task)
    turn.set(phase=Ready())
    match task:
        case FileStatement(file, index):
            turn.file_progress(file, done=index + 1)
        case RestoreTarget(before):
            turn.file_progress(before.file, restore_to=None)
        case LoopStatement():
            convergence.finished(turn, task, ended)
        case OutputOptimize(table, _):
            maintenance.optimized(turn, table, ended)
        case CleanUp():
            maintenance.cleaned(turn, task)
        case _ as unreachable:
            assert_never(unreachable)


def failed(turn: Turn, ended: Failed, executing: Executing) -> None:
    """A statement did not finish well: look what became of it, or go on from what is known."""
    record_failure(turn, ended, executing.task)
    # a statement that has no id may not even have arrived: in this session it could come late
    unnamed = ended.outcome == "unknown" and ended.query_id is None
    if unnamed or ended.error.category in retries.LOST:
        turn.set(connected=False)
    if ended.outcome == "unknown":
        recovery.look(turn, executing, ended)
    else:
        setbacks.after(turn, executing, ended.error, ended.outcome, ended.evidence)


# --- files read again or generated ------------------------------------------------------------


def file_read(turn: Turn, read: FileRead) -> None:
    """A file came back, read again or generated."""
    phase = turn.state.phase
    if isinstance(phase, Generating):
        _insert_generated(turn, read.file, phase)
    elif isinstance(phase, Rereading):
        _retry_in(turn, read.file, phase)
    else:
        raise ValueError(f"no file was asked for: {read.file.path}")


def _insert_generated(turn: Turn, file: PlannedFile, phase: Generating) -> None:
    files = list(turn.state.files)
    files.insert(files.index(answers.model_of(turn.state, phase)) + 1, file)
    turn.set(files=tuple(files), phase=Ready())
    turn.file_progress(file.id)
    turn.loop_progress(phase.loop, generated=True)
    turn.emit(FilePlanned(reason="generated", changed=True, file=file))


def _retry_in(turn: Turn, file: PlannedFile, phase: Rereading) -> None:
    """Goes on in a file that was read again, from the retry unit of the failed statement.

    Statements before that unit have committed. If one of them was edited, going on would leave
    its old effect in place and running it again might write twice: that is for the caller.
    """
    before = turn.state.file(file.id)
    turn.set(files=tuple(file if one.id == file.id else one for one in turn.state.files))
    turn.emit(FilePlanned(reason="reread", changed=file.sha256 != before.sha256, file=file))
    start_at = unit_start(file, phase.index)
    for old, new in zip(before.statements[:start_at], file.statements[:start_at], strict=False):
        if old.sha256 != new.sha256:
            turn.set(files=tuple(before if one.id == file.id else one for one in turn.state.files))
            _ask_about_edit(turn, file, phase, new.line)
            return
    turn.file_progress(file.id, done=min(start_at, len(file.statements)))
    turn.set(phase=Ready())


def _ask_about_edit(turn: Turn, file: PlannedFile, phase: Rereading, line: int) -> None:
    statement = file.statements[phase.index].id if phase.index < len(file.statements) else None
    error = ErrorRecord(
        class_="DWX_COMMITTED_STATEMENT_CHANGED",
        category="changed_file",
        severity="critical",
        retryable=True,
        message=f"{file.path} was edited at line {line}, in a statement that has committed",
        file=file.path,
        line=line,
        statement=statement,
        suggestion="Undo that edit and answer retry, or abort and run the workflow anew.",
        fingerprint=f"changed:{file.path}",
    )
    _ask_about_file(turn, phase, error)


def file_unreadable(turn: Turn, refused: FileUnreadable) -> None:
    """A file could not be read again, or an iteration could not be generated."""
    phase = turn.state.phase
    if not isinstance(phase, Rereading | Generating):
        raise ValueError("no file was asked for")
    _ask_about_file(turn, phase, refused.error)


def _ask_about_file(turn: Turn, phase: Rereading | Generating, error: ErrorRecord) -> None:
    state = turn.state
    wording = prompts.Wording(
        title=f"{error.file or 'the workflow'}: {error.class_}",
        evidence="nothing was sent to the warehouse",
        error=error,
        statement=error.statement,
    )
    if isinstance(phase, Rereading):
        done = state.file(phase.file).statements[: phase.index]
        wording = replace(
            wording,
            file=phase.file,
            already_done=tuple(statement.id for statement in done),
            dependents=answers.dependents(state, {phase.file}),
        )
    else:
        wording = replace(wording, loop=phase.loop)
    prompts.ask(turn, FileQuestion(phase, error), wording, answers.file_choices(phase))
