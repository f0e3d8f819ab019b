"""Going on with a run in another process: after a suspension, or after the last one died.

Theory. The log has brought the state back; what it cannot tell is what happened to the one thing
that was under way when the process ended. If that was a prompt, it is still open. If it was a
statement, the last process named it before sending it, so there is at most one, and it is one of
two kinds: never sent (run it), or sent. What became of one that was sent is looked up
(`recovery`), unless the warehouse ended with the process and repeating it is safe.

    Resumed -> plan read again -> session opened, USE and SET replayed -> on from where it was

Files may have been edited meanwhile. A file that has not started is simply the new one; one with
committed statements must begin with the same ones, or the caller is asked.
"""

from __future__ import annotations

import re
from dataclasses import replace

from executor.core import answers, ending, maintenance, preflight, prompts, recovery
from executor.core.effects import (
    OpenSession,
    ReadFile,
    ReadPlan,
)
from executor.core.inputs import PlanRead, Resumed, SessionOpened, SessionRefused
from executor.core.state import (
    Asking,
    Checking,
    Closing,
    Connecting,
    ConnectQuestion,
    EditQuestion,
    Ended,
    Executing,
    FileStatement,
    Generating,
    GoingOn,
    Phase,
    Planning,
    Preflighting,
    PreflightQuestion,
    Ready,
    Rereading,
    Resuming,
    State,
    Weighing,
    in_doubt,
)
from executor.core.statements import planned_statement
from executor.core.turn import Turn
from protocol.base import Cut
from protocol.events import Connecting as ConnectingEvent
from protocol.events import (
    ErrorRecord,
    PlannedFile,
    Reconnected,
    Warned,
)

NOT_RECONNECTED = "NOT_RECONNECTED"
"""Code of the warning that says that a run that is to stop could not look once more."""

_CATALOG = re.compile(r"(?:USE|SET)\s+CATALOG\b", re.IGNORECASE)

REPLAYED = ("use", "set")
"""Kinds of statement whose effect a session loses when it ends."""


def resumed(turn: Turn, given: Resumed) -> None:
    """Another process has taken over."""
    was = _interrupted(turn.state.phase)
    turn.set(hello=given.hello, stop=None, connected=False, session_id=None)
    turn.emit(given.hello, durable=True)
    turn.set(phase=Planning() if isinstance(was, Planning) else Resuming(was=was))
    turn.want(ReadPlan())


def _interrupted(phase: Phase) -> Phase:
    """What was under way, if one looks through the end of the process."""
    match phase:
        case Ended(asking=Asking() as asking):
            return asking
        case Closing(asking=Asking() as asking):
            return asking
        case Resuming(was) | GoingOn(was):
            return was
        case _:
            return phase


def plan_read(turn: Turn, given: PlanRead) -> None:
    """The directory was read again: take over what has not started, note what was edited."""
    resuming = turn.state.phase
    assert isinstance(resuming, Resuming)
    plan = given.plan
    if isinstance(plan.files, Cut):
        raise TypeError("a plan that was cut for the wire must be resolved before it is used")
    turn.emit(plan)
    taken: list[PlannedFile] = []
    edited: list[PlannedFile] = []
    known = {file.id: file for file in turn.state.files}
    for file in plan.files:
        before = known.get(file.id)
        if before is None or before.path != file.path:
            raise ValueError(f"{file.path} is not where it was when the run began")
        if before.sha256 != file.sha256:
            (edited if _begins_differently(turn.state, before, file) else taken).append(file)
    turn.set(files=answers.with_files(turn.state, taken))
    if not isinstance(plan.checks, Cut):  # whoever has corrected one wants it made as it is now
        turn.set(checks=plan.checks)
    turn.set(phase=replace(resuming, edited=tuple(edited)))
    if turn.state.connected:
        _go_on_or_ask(turn)
    else:
        connect(turn)


def _begins_differently(state: State, before: PlannedFile, now: PlannedFile) -> bool:
    """True if a statement that has committed, or may have, was edited, or is gone."""
    sent = state.progress[before.id].done + (_in_doubt_in(state, before) is not None)
    ours = [statement.sha256 for statement in before.statements[:sent]]
    return ours != [statement.sha256 for statement in now.statements[:sent]]


def _in_doubt_in(state: State, file: PlannedFile) -> Executing | None:
    """The statement of this file whose end nobody has seen."""
    lost = in_doubt(state.phase)
    is_here = (
        lost is not None and isinstance(lost.task, FileStatement) and lost.task.file == file.id
    )
    return lost if is_here else None


def connect(turn: Turn) -> None:
    """Wants a session in which what was set before holds again."""
    settings = turn.state.settings
    turn.emit(
        ConnectingEvent(
            host=settings.host,
            http_path=settings.http_path,
            auth=settings.auth,
            catalog=settings.catalog,
            schema=settings.schema,
        )
    )
    turn.want(OpenSession(replay=_to_replay(turn.state)))


def _to_replay(state: State) -> tuple[str, ...]:
    """Statements that have run and whose effect ended with the session, in the order in which they
    have to run again.

    What a temporary view means depends on everything before it, so with one of them all are run
    again. Without, the last USE CATALOG and the last USE of a schema behind it say where we are:
    what they override may not even exist any more. Of a SET that came more than once the last
    counts.
    """
    ran = [
        statement
        for file in state.files
        for statement in file.statements[: state.progress[file.id].done]
        if statement.session or statement.kind in REPLAYED
    ]
    if any(statement.session for statement in ran):
        return tuple(statement.id for statement in ran)
    last: dict[str, str] = {}
    for statement in ran:
        if statement.kind != "use":
            place = statement.sha256
        elif _CATALOG.match(statement.head):
            last.pop("schema", None)
            place = "catalog"
        else:
            place = "schema"
        last.pop(place, None)
        last[place] = statement.id
    return tuple(last.values())


def reopen(turn: Turn, phase: Ready | GoingOn) -> None:
    """Has a session opened, to go on in it with what this phase would have done."""
    turn.set(phase=Resuming(was=phase.was if isinstance(phase, GoingOn) else phase))
    connect(turn)


def session_refused(turn: Turn, given: SessionRefused) -> None:
    """No session can be had: that is for the caller, and nothing is lost meanwhile."""
    resuming = turn.state.phase
    assert isinstance(resuming, Resuming)
    was, error = resuming.was, given.error
    if turn.state.stop is not None:
        detail = f"the session was not opened again: {error.class_}"
        turn.emit(Warned(code=NOT_RECONNECTED, detail=detail))
        _stop(turn, was)
        return
    lost = in_doubt(was)
    wording = prompts.Wording(
        title=f"the warehouse cannot be reached: {error.class_}",
        evidence=f"whether {lost.statement} has committed cannot be looked up without it"
        if lost
        else "nothing was sent",
        outcome="unknown" if lost else "not_committed",
        error=error,
        statement=lost.statement if lost else None,
    )
    # credentials and addresses are those of this process: it takes another to have better ones
    hopeless = error.category == "auth" or error.retry == "no"
    prompts.ask(turn, ConnectQuestion(was), wording, answers.connect_choices(), at_once=hopeless)


def session_opened(turn: Turn, given: SessionOpened) -> None:
    """There is a session again."""
    turn.set(connected=True, session_id=given.session_id)
    turn.emit(
        Reconnected(
            session_id=given.session_id, elapsed_ms=given.elapsed_ms, replayed=given.replayed
        )
    )
    _go_on_or_ask(turn)


def _go_on_or_ask(turn: Turn) -> None:
    resuming = turn.state.phase
    assert isinstance(resuming, Resuming)
    if turn.state.stop is not None:
        _stop(turn, resuming.was)
    elif resuming.edited:
        _ask_about_edits(turn, resuming)
    else:
        turn.set(phase=GoingOn(resuming.was))


def _stop(turn: Turn, was: Phase) -> None:
    """The run is to stop before it has gone on: nothing of what was interrupted stays open."""
    match was:
        case Asking():
            prompts.withdraw(turn, was, by=None)
            turn.set(phase=Ready())
        case Executing() | Checking():
            turn.set(phase=GoingOn(was))
        case _:
            turn.set(phase=Ready())


def _ask_about_edits(turn: Turn, resuming: Resuming) -> None:
    lost = any(_in_doubt_in(turn.state, file) is not None for file in resuming.edited)
    paths = ", ".join(file.path for file in resuming.edited)
    error = ErrorRecord(
        class_="DWX_COMMITTED_STATEMENT_CHANGED",
        category="changed_file",
        severity="critical",
        retryable=True,
        message=f"edited after statements of theirs had committed: {paths}",
        file=resuming.edited[0].path,
        suggestion="Undo the edits and answer retry, or answer done if what has committed may "
        "stay as it is.",
        fingerprint=f"changed:{paths}",
    )
    wording = prompts.Wording(
        title=f"files were edited after statements of theirs had committed: {paths}",
        evidence="nothing of the edits has been executed",
        outcome="unknown" if lost else "not_committed",
        error=error,
        file=resuming.edited[0].id,
    )
    question = EditQuestion(resuming.edited, resuming.was)
    prompts.ask(turn, question, wording, answers.edit_choices(in_doubt=lost))


# --- what was interrupted ---------------------------------------------------------------------


def go_on(turn: Turn, was: Phase) -> None:
    """Takes up what was under way when the process before ended."""
    turn.set(phase=was)
    match was:
        case Asking(question=ConnectQuestion(asked_in)):
            prompts.wait(turn, was)  # an answer that waits settles it; else there is a session now
            if turn.state.phase == was:
                prompts.supersede(turn, was)
                turn.set(phase=GoingOn(asked_in))
        case Connecting() | Preflighting():
            preflight.begin(turn)
        case Asking(question=PreflightQuestion()):
            preflight.go_on(turn, was)
        case Asking():
            prompts.wait(turn, was)
        case Executing():
            _after_interruption(turn, was)
        case Checking():
            recovery.check(turn, was)
        case Weighing(task):
            maintenance.begin(turn, task)
        case Rereading(file, _):
            turn.want(ReadFile(file))
        case Generating():
            answers.generate(turn, was)
        case Closing(error=error):
            ending.close(turn, error=error)
        case _:
            turn.set(phase=Ready())


def _after_interruption(turn: Turn, was: Executing) -> None:
    planned, _ = planned_statement(turn.state, was.task)
    hello = turn.state.hello
    if hello is None or hello.in_flight != was.statement:
        recovery.close(turn, was, "not_committed", "it was never sent")
        maintenance.again(turn, was.task)
        turn.set(phase=Ready())
    elif planned.idempotent and turn.state.settings.auth == "local":
        # the embedded warehouse ended with the process, and what ran in it
        recovery.close(turn, was, "unknown", "the process ended while it ran; it is safe to repeat")
        recovery.back_to_unit(turn, was)
        turn.set(phase=Ready())
    else:
        recovery.check(turn, Checking(was))
