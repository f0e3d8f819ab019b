"""Going on with a run in another process: after a suspension, or after the last one died.

Theory. The log has brought the state back; what it cannot tell is what happened to the one thing
that was under way when the process ended. If that was a prompt, it is still open. If it was a
statement, the last process named it before sending it, so there is at most one, and it is one of
three kinds: never sent (run it), safe to repeat (run its retry unit again), or neither. Only for
the last the target's history is asked, and if that gives no proof, the caller is.

    Resumed -> plan read again -> session opened, USE and SET replayed -> on from where it was

Files may have been edited meanwhile. A file that has not started is simply the new one; one with
committed statements must begin with the same ones, or the caller is asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from executor.core import answers, ending, preflight, prompts
from executor.core.effects import (
    CheckCommit,
    GenerateFile,
    OpenSession,
    ReadFile,
    ReadPlan,
)
from executor.core.inputs import Checked, PlanRead, Resumed, SessionOpened
from executor.core.state import (
    Asking,
    Checking,
    Closing,
    Connecting,
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
)
from executor.core.statements import planned_statement, tables_after
from executor.core.turn import Turn
from protocol.base import Cut
from protocol.events import (
    Check,
    ErrorRecord,
    Outcome,
    PlannedFile,
    PlannedStatement,
    Reconnected,
    StatementFinished,
)
from protocol.events import Connecting as ConnectingEvent

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
    turn.set(phase=replace(resuming, edited=tuple(edited)))
    if turn.state.connected:
        _go_on_or_ask(turn)
    else:
        connect(turn)


def _begins_differently(state: State, before: PlannedFile, now: PlannedFile) -> bool:
    """True if a statement that has committed was edited, or is gone."""
    done = state.progress[before.id].done
    ours = [statement.sha256 for statement in before.statements[:done]]
    return ours != [statement.sha256 for statement in now.statements[:done]]


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
    """The USE and SET statements that have run, each text once, where it came last."""
    last: dict[str, str] = {}
    for file in state.files:
        for statement in file.statements[: state.progress[file.id].done]:
            if statement.kind in REPLAYED:
                last.pop(statement.sha256, None)
                last[statement.sha256] = statement.id
    return tuple(last.values())


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
        turn.set(phase=Ready())
    elif resuming.edited:
        _ask_about_edits(turn, resuming)
    else:
        turn.set(phase=GoingOn(resuming.was))


def _ask_about_edits(turn: Turn, resuming: Resuming) -> None:
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
        error=error,
        file=resuming.edited[0].id,
    )
    question = EditQuestion(resuming.edited, resuming.was)
    prompts.ask(turn, question, wording, answers.edit_choices())


# --- what was interrupted ---------------------------------------------------------------------


def go_on(turn: Turn, was: Phase) -> None:
    """Takes up what was under way when the process before ended."""
    turn.set(phase=was)
    match was:
        case Connecting() | Preflighting():
            preflight.begin(turn)
        case Asking(question=PreflightQuestion()):
            preflight.go_on(turn, was)
        case Asking():
            prompts.wait(turn, was)
        case Executing():
            _after_interruption(turn, was)
        case Checking(executing, asked):
            _check(turn, executing, asked=asked)
        case Rereading(file, _):
            turn.want(ReadFile(file))
        case Generating():
            last = [file for file in turn.state.files if file.loop == was.loop][-1]
            turn.want(GenerateFile(was.loop, was.iteration, last.id))
        case Closing(error=error):
            ending.close(turn, error=error)
        case _:
            turn.set(phase=Ready())


def _after_interruption(turn: Turn, was: Executing) -> None:
    planned, _ = planned_statement(turn.state, was.task)
    hello = turn.state.hello
    if hello is None or hello.in_flight != was.statement:
        _finished(turn, was, "not_committed", "it was never sent")
        turn.set(phase=Ready())
    elif planned.idempotent:
        _finished(turn, was, "unknown", "the process ended while it ran; it is safe to repeat")
        if isinstance(was.task, FileStatement):
            file = turn.state.file(was.task.file)
            units = [statement.id for statement in file.statements]
            turn.file_progress(file.id, done=units.index(planned.unit))
        turn.set(phase=Ready())
    else:
        _check(turn, was)


def _check(turn: Turn, executing: Executing, *, asked: bool = False) -> None:
    planned, _ = planned_statement(turn.state, executing.task)
    turn.set(phase=Checking(executing, asked))
    if planned.target is None:
        evidence = "what it writes is not known, so nothing can be looked up"
        _conclude(turn, executing, planned, "unknown", evidence, asked=asked)
        return
    turn.want(
        CheckCommit(
            statement=executing.statement,
            kind=planned.kind,
            target=planned.target,
            renames=planned.renames,
            query_id=executing.query_id,
            version=executing.version,
            # the embedded warehouse ends with the process; any other may still be at work
            ended=turn.state.settings.auth == "local" and not asked,
        )
    )


def checked(turn: Turn, given: Checked) -> None:
    """The look into the target's history has an answer."""
    checking = turn.state.phase
    assert isinstance(checking, Checking)
    planned, _ = planned_statement(turn.state, checking.executing.task)
    _conclude(
        turn,
        checking.executing,
        planned,
        given.outcome,
        given.evidence,
        asked=checking.asked,
    )


def _conclude(
    turn: Turn,
    executing: Executing,
    planned: PlannedStatement,
    outcome: Outcome,
    evidence: str,
    *,
    asked: bool = False,
) -> None:
    if asked:
        _looked_again(turn, executing, outcome, evidence)
    else:
        _finished(turn, executing, outcome, evidence)
    turn.set(phase=Ready())
    task = executing.task
    if outcome == "committed":
        turn.set(tables=tables_after(turn.state.tables, planned, None))
        if isinstance(task, FileStatement):
            turn.file_progress(task.file, done=task.index + 1)
    elif outcome == "unknown":
        error = ErrorRecord(
            class_="DWX_OUTCOME_UNKNOWN",
            category="transport_ambiguous",
            severity="critical",
            retryable=False,
            message=f"nobody saw the end of {planned.id}: {evidence}",
            statement=planned.id,
            suggestion="Look at the target's history. If the statement has committed, answer "
            "done; if not, run it by hand and answer done.",
            fingerprint=f"unknown:{planned.id}",
        )
        prompts.ask_about_statement(turn, task, error, "unknown", evidence, executing)


CHECKED: dict[Outcome, Literal["passed", "failed", "unknown"]] = {
    "committed": "passed",
    "not_committed": "failed",
    "unknown": "unknown",
}
"""The status of a check that asks whether a statement has committed."""


def _looked_again(turn: Turn, executing: Executing, outcome: Outcome, evidence: str) -> None:
    """The statement is closed in the log already; what was found now stands beside it."""
    turn.emit(
        Check(
            name=f"commit of {executing.statement}",
            phase="recovery",
            status=CHECKED[outcome],
            observed=evidence,
            expected="committed",
            severity="critical",
        )
    )


def _finished(turn: Turn, executing: Executing, outcome: Outcome, evidence: str) -> None:
    """Closes the statement in the log: its end is known now, or known to be unknown."""
    counts = turn.state.counts
    if outcome == "committed":
        turn.set(counts=replace(counts, succeeded=counts.succeeded + 1))
    elif outcome == "unknown":
        turn.set(counts=replace(counts, unknown=counts.unknown + 1))
    else:
        turn.set(counts=replace(counts, cancelled=counts.cancelled + 1))
    turn.emit(
        StatementFinished(
            statement=executing.statement,
            status={"committed": "succeeded", "unknown": "unknown"}.get(outcome, "cancelled"),  # type: ignore[arg-type]
            elapsed_ms=0,
            query_id=executing.query_id,
            rows=None,
            value=None,
            metrics=None,
            error=None,
            outcome=outcome,
            evidence=evidence,
        )
    )
