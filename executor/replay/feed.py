"""From recorded events back to the inputs that caused them.

Each input leaves what it says in the first event it causes. Given the state before, that event
tells the input; the events behind it follow from the machine and are not inputs of their own.
"""

from __future__ import annotations

from executor.core import state as states
from executor.core.inputs import (
    Beat,
    Begun,
    Broken,
    Checked,
    ChecksEnded,
    DeadlinePassed,
    Decided,
    Delayed,
    Examined,
    Failed,
    FileRead,
    FileUnreadable,
    Input,
    InputEnded,
    Inspected,
    LoginNeeded,
    Noticed,
    PlanRead,
    PreflightEnded,
    Refused,
    Resumed,
    SessionClosed,
    SessionOpened,
    SessionRefused,
    StopRequested,
    Submitted,
    Succeeded,
    TableWeighed,
    Undecidable,
)
from executor.core.prompts import KEEPING, SUSPENDING
from executor.core.recovery import CHECKED
from executor.core.resuming import NOT_RECONNECTED
from executor.core.state import (
    Asking,
    Checking,
    Generating,
    Inspecting,
    Pausing,
    Planning,
    Preflighting,
    Rereading,
    RestoreTarget,
    Resuming,
    State,
)
from protocol.base import Cut
from protocol.decisions import Cancel, Decide, Decision, Ping, SetPolicy
from protocol.events import (
    CancelRequested,
    Check,
    ChecksFinished,
    Connected,
    Connecting,
    DecisionAccepted,
    DecisionRejected,
    Disconnected,
    ErrorPrompt,
    ErrorRecord,
    Event,
    FilePlanned,
    Heartbeat,
    InputClosed,
    LoginRequired,
    Plan,
    PreflightFinished,
    PromptResolved,
    Reconnected,
    RunFinished,
    StatementFinished,
    StatementStarted,
    StatementSubmitted,
    Unknown,
    Waiting,
    Warned,
    Weighed,
)
from protocol.exit_codes import USAGE
from protocol.hello import Hello


class NoInputError(ValueError):
    """The event cannot be the first one of any input in this state."""


def inputs_of(state: State, event: Event | Unknown) -> tuple[Input, ...]:
    """The inputs whose first event is `event`, given the state before them.

    `event` must be whole: texts and lists that were cut for the wire are resolved.
    Errors: `NoInputError`.
    """
    match event:
        case Hello(segment=1):
            return (Begun(event),)
        case Hello():
            return (Resumed(event),)
        case Plan():
            return (PlanRead(event),)
        case StatementStarted() | Connecting() | Weighed() if isinstance(state.phase, Pausing):
            return (DeadlinePassed(state.phase.timer),)
        case Disconnected() if isinstance(state.phase, Asking):
            return (DeadlinePassed(KEEPING),)
        case ErrorPrompt() if isinstance(state.phase, Resuming) and event.error:
            return (SessionRefused(event.error),)
        case Connected():
            settings = {} if isinstance(event.settings, Cut) else event.settings
            return (SessionOpened(event.session_id, event.elapsed_ms, settings),)
        case Disconnected():
            return (SessionClosed(event.session_id, event.elapsed_ms),)
        case Waiting():
            return (Delayed(event.reason, event.elapsed_ms, event.budget_ms),)
        case LoginRequired():
            return (LoginNeeded(event.kind, event.url, event.deadline),)
        case FilePlanned():
            if isinstance(event.file, Cut):
                raise NoInputError("a file that was cut for the wire must be resolved first")
            return (FileRead(event.file, event.reason),)
        case Check(phase="preflight" | "publish" | "final"):
            return (Examined(event),)
        case ChecksFinished():
            return (ChecksEnded(event.elapsed_ms),)
        case Weighed():
            return (TableWeighed(event.statement, event.files, event.bytes, event.format),)
        case PreflightFinished():
            return (PreflightEnded(event.elapsed_ms),)
        case ErrorPrompt() if state.phase == Preflighting(reading=True) and event.error:
            return (Refused(event.error),)
        case ErrorPrompt() if isinstance(state.phase, Rereading | Generating) and event.error:
            return (FileUnreadable(event.error),)
        case Reconnected():
            return (SessionOpened(event.session_id, event.elapsed_ms, {}, event.replayed),)
        case StatementStarted() if isinstance(state.phase, Inspecting):
            return (_inspected(state.phase, event),)
        case StatementFinished() if isinstance(state.phase, Checking):
            evidence = _text(event.evidence)
            return (
                Checked(
                    event.statement,
                    event.elapsed_ms,
                    event.query_id,
                    event.outcome,
                    evidence,
                    event.rows,
                ),
            )
        case Check(phase="recovery") if isinstance(state.phase, Checking):
            executing = state.phase.executing
            outcome = next(one for one, status in CHECKED.items() if status == event.status)
            found = Checked(
                executing.statement,
                0,
                executing.query_id,
                outcome,
                event.observed or "",
                event.rows,
            )
            return (found,)
        case StatementSubmitted():
            return (Submitted(event.statement, event.query_id),)
        case StatementFinished():
            return (_ended(event),)
        case DecisionAccepted():
            return (Decided(_accepted(event), event.id, event.source),)
        case DecisionRejected():
            return (_rejected(event),)
        case PromptResolved(how="timeout"):
            return (DeadlinePassed(event.prompt),)
        case InputClosed():
            return (InputEnded(),)
        case Warned(code=code) if code == SUSPENDING and isinstance(state.phase, Asking):
            return (DeadlinePassed(state.phase.prompt.prompt),)
        case Warned(code=code) if code == NOT_RECONNECTED and isinstance(state.phase, Resuming):
            return (SessionRefused(_NOT_RECORDED),)
        case Warned():
            return (Noticed(event.code, _text(event.detail)),)
        case Heartbeat():
            return (Beat(event.busy_ms, event.next_by_ms),)
        case CancelRequested() if event.by != "decision":
            return (StopRequested(event.by, event.mode),)
        case RunFinished() if event.error is not None:
            return (_last(state, event),)
        case _:
            raise NoInputError(f"nothing that can happen here begins with {event.type}")


def _inspected(phase: Inspecting, event: StatementStarted) -> Input:
    if isinstance(phase.task, RestoreTarget) and event.statement != phase.statement:
        # it was left out, which happens only where the target still was at that version
        return Inspected(phase.statement, phase.task.version)
    return Inspected(event.statement, event.target_version)


_NOT_RECORDED = ErrorRecord(
    class_="", category="connect", severity="fatal", retryable=False, message="", suggestion="",
    fingerprint="",
)  # fmt: skip
"""An error of which the log has only the words, because nothing followed from it."""


def _ended(event: StatementFinished) -> Input:
    if event.error is None:
        return Succeeded(
            event.statement,
            event.elapsed_ms,
            event.query_id,
            event.rows,
            event.value,
            event.metrics,
        )
    return Failed(
        event.statement,
        event.elapsed_ms,
        event.query_id,
        event.error,
        event.outcome,
        _text(event.evidence),
        cancelled=event.status == "cancelled",
    )


def _accepted(event: DecisionAccepted) -> Decision:
    match event.kind:
        case "decide":
            return Decide(
                prompt=event.prompt or "",
                choice=event.choice or "",
                digest=event.digest,
                by=event.by,
                reason=_text(event.reason) if event.reason is not None else None,
                params=event.params,
                remember=event.remember,
            )
        case "cancel":
            return Cancel(mode=event.mode or "now", by=event.by)
        case "policy":
            return SetPolicy(
                rules=event.rules or (), unmatched=event.unmatched or "ask", by=event.by
            )
        case "ping":
            return Ping(nonce=event.nonce or "")
    raise NoInputError(f"there is no decision of kind {event.kind!r}")


def _rejected(event: DecisionRejected) -> Input:
    detail = _text(event.detail)
    if event.id is None:
        return Undecidable(event.code, detail, event.source)
    decision: Decision
    if event.prompt is not None:
        # params of 0 iterations are the one thing in a decision's fields that is refused
        params = {"iterations": 0} if event.code == "malformed" else None
        decision = Decide(
            prompt=event.prompt,
            choice=event.choice or "",
            digest=event.digest,
            run=event.run_named,
            params=params,
        )
    else:
        # for another run: what it asked for beside that left no trace and had no effect
        decision = Ping(nonce="", run=event.run_named)
    return Decided(decision, event.id, event.source)


def _last(state: State, event: RunFinished) -> Input:
    assert event.error is not None
    match event.error.category:
        case "internal" | "record" as what:
            return Broken(what, event.error)
    if isinstance(state.phase, Planning) or event.exit_code == USAGE:
        return Refused(event.error)
    if isinstance(state.phase, states.Connecting):
        return SessionRefused(event.error)
    raise NoInputError("the run ends though it is not over")


def _text(text: str | Cut) -> str:
    if isinstance(text, Cut):
        raise NoInputError("a text that was cut for the wire must be resolved first")
    return text
