"""The machine: `step(state, input, at)` gives the next state and the effects it asks for.

Theory. A run is a fold of its inputs. `step` is pure: it knows no clock (the time of the input
comes with it), no files, no network; it cannot wait. Every input leaves what it says in the first
event it causes, so the recorded events alone bring the same state back (`executor.replay`).

Phases and what leads from one to another:

    Planning --PlanRead--> Connecting --SessionOpened--> Preflighting --> (work) ... --> Closing
                                                                           |  ^           --> Ended
         Inspecting / Weighing / Executing / Checking / Pausing <----------+--+
               / Validating / Rereading / Generating / Asking

A session that is lost, or let go while an answer is awaited, is opened again when something needs
it (Resuming), as it is in a process that goes on with the run.

An input that cannot happen in the present phase is a defect of the caller: `IllegalInputError`,
and the state is left as it was. Inputs that may well arrive late (a deadline after the answer, a
decision after the end) are not illegal; they change nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from executor.core import (
    ending,
    maintenance,
    preflight,
    prompts,
    recovery,
    resuming,
    validation,
    work,
)
from executor.core.effects import Effect, ReadPlan
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
from executor.core.state import (
    Asking,
    Checking,
    Closing,
    Connecting,
    Ended,
    Executing,
    FileProgress,
    Generating,
    Inspecting,
    LoopProgress,
    Pausing,
    Planning,
    Preflighting,
    Ready,
    Rereading,
    Resuming,
    State,
    Validating,
    Weighing,
    in_doubt,
)
from executor.core.statements import planned_statement, submitted
from executor.core.turn import Turn
from protocol import exit_codes
from protocol.base import Cut
from protocol.events import (
    Connected,
    Disconnected,
    Heartbeat,
    InputClosed,
    LoginRequired,
    Waiting,
    Warned,
)


class IllegalInputError(Exception):
    """An input that cannot happen in the present phase; the state is unchanged."""

    def __init__(self, state: State, given: Input) -> None:
        phase = type(state.phase).__name__
        super().__init__(f"{type(given).__name__} cannot happen while {phase} (seq {state.seq})")


def step(state: State, given: Input, at: datetime) -> tuple[State, tuple[Effect, ...]]:
    """The next state, and the effects to perform in order. `at` is the input's time, in UTC.

    Errors: `IllegalInputError`.
    """
    suspended = isinstance(state.phase, Ended) and state.phase.asking is not None
    if isinstance(state.phase, Ended) and not (suspended and isinstance(given, Resumed)):
        return state, ()  # the last line is written; nothing follows it
    turn = Turn(state, at)
    _take(turn, given)
    work.proceed(turn)
    return turn.state, tuple(turn.effects)


def _take(turn: Turn, given: Input) -> None:
    """Lets one input change the state."""
    match given:
        case Begun():
            _expect(turn, given, state_is=Planning, when=turn.state.hello is None)
            turn.set(hello=given.hello, began=turn.at)
            turn.emit(given.hello, durable=True)
            if given.hello.settings is not None:
                turn.want(ReadPlan())
        case Resumed():
            _expect(turn, given, state_is=object, when=turn.state.hello is not None)
            resuming.resumed(turn, given)
        case Refused() if turn.state.phase == Preflighting(reading=True):
            preflight.unreadable(turn, given)
        case Refused():
            _expect(turn, given, state_is=(Planning, Resuming))
            ending.finish(turn, given.exit_code, given.error)
        case PlanRead():
            _expect(turn, given, state_is=(Planning, Preflighting, Resuming))
            if isinstance(turn.state.phase, Resuming):
                resuming.plan_read(turn, given)
            else:
                _plan_read(turn, given)
        case SessionOpened():
            _expect(turn, given, state_is=(Connecting, Resuming))
            if isinstance(turn.state.phase, Resuming):
                resuming.session_opened(turn, given)
            else:
                _session_opened(turn, given)
        case SessionRefused():
            _expect(turn, given, state_is=(Connecting, Resuming))
            if isinstance(turn.state.phase, Resuming):
                resuming.session_refused(turn, given)
            else:
                cancelled = turn.state.stop is not None
                code = exit_codes.CANCELLED if cancelled else exit_codes.NEVER_CONNECTED
                ending.finish(turn, code, given.error)
        case SessionClosed():
            if isinstance(turn.state.phase, Closing):
                _session_closed(turn, given)
            # else it was let go while an answer was awaited, and that stands in the log
        case Examined():
            if given.check.phase in ("publish", "final"):
                validation.examined(turn, given)
            else:
                preflight.examined(turn, given)
        case ChecksEnded():
            _expect(turn, given, state_is=Validating)
            validation.ended(turn, given)
        case PreflightEnded():
            _expect(turn, given, state_is=Preflighting)
            preflight.ended(turn, given)
        case FileRead():
            _expect(turn, given, state_is=(Rereading, Generating))
            work.file_read(turn, given)
        case FileUnreadable():
            _expect(turn, given, state_is=(Rereading, Generating))
            work.file_unreadable(turn, given)
        case Inspected():
            work.inspected(turn, given, _inspecting(turn, given))
        case TableWeighed():
            maintenance.weighed(turn, given, _weighing(turn, given))
        case Checked():
            recovery.checked(turn, _checking(turn, given), given)
        case Submitted():
            executing = _executing(turn, given, given.statement)
            turn.set(phase=replace(executing, query_id=given.query_id))
            turn.emit(submitted(turn.state, given))
        case Succeeded():
            work.succeeded(turn, given, _executing(turn, given, given.statement))
        case Failed():
            work.failed(turn, given, _executing(turn, given, given.statement))
        case Decided():
            prompts.decided(turn, given)
        case Undecidable():
            prompts.undecidable(turn, given)
        case DeadlinePassed():
            _deadline_passed(turn, given)
        case StopRequested():
            prompts.request_stop(turn, given.by, given.mode)
        case Broken():
            _broken(turn, given)
        case InputEnded() | Noticed() | Delayed() | LoginNeeded() | Beat():
            _tell(turn, given)
        case _ as unreachable:
            assert_never(unreachable)


def _broken(turn: Turn, given: Broken) -> None:
    """Ends the run at once; a write that is under way is left with an unknown outcome."""
    in_record = given.what == "record"
    ending.flaw(turn, record_broken=in_record, internal=not in_record)
    if _may_have_written(turn.state):
        ending.flaw(turn, unknown_write=True)
    ending.finish(turn, ending.exit_code(turn.state), given.error)


def _may_have_written(state: State) -> bool:
    """True if there is a write whose end has not been seen and that must not simply run again."""
    if isinstance(state.phase, Asking) and state.phase.unknown_write:
        return True
    executing = in_doubt(state.phase)
    return executing is not None and not planned_statement(state, executing.task)[0].idempotent


def _plan_read(turn: Turn, given: PlanRead) -> None:
    plan = given.plan
    if isinstance(plan.files, Cut) or isinstance(plan.loops, Cut) or isinstance(plan.checks, Cut):
        raise TypeError("a plan that was cut for the wire must be resolved before it is used")
    turn.emit(plan)
    turn.set(
        files=plan.files,
        loops=plan.loops,
        checks=plan.checks,
        progress={file.id: FileProgress() for file in plan.files},
        loop_progress={loop.id: LoopProgress() for loop in plan.loops},
    )
    if turn.state.settings.dry_run:
        ending.finish(turn, exit_codes.SUCCEEDED, None)
        return
    if turn.state.connected:
        preflight.begin(turn)
        return
    turn.set(phase=Connecting())
    resuming.connect(turn)


def _session_opened(turn: Turn, given: SessionOpened) -> None:
    settings = turn.state.settings
    turn.set(connected=True, session_id=given.session_id)
    turn.emit(
        Connected(
            host=settings.host,
            http_path=settings.http_path,
            auth=settings.auth,
            catalog=settings.catalog,
            schema=settings.schema,
            session_id=given.session_id,
            elapsed_ms=given.elapsed_ms,
            settings=dict(given.settings),
        )
    )
    preflight.begin(turn)


def _session_closed(turn: Turn, given: SessionClosed) -> None:
    closing = turn.state.phase
    assert isinstance(closing, Closing)
    turn.set(connected=False)
    turn.emit(
        Disconnected(
            session_id=given.session_id,
            reason="suspended" if closing.suspended else "finished",
            elapsed_ms=given.elapsed_ms,
        )
    )
    if closing.suspended:
        ending.suspend_line(turn, closing.reason, closing.asking)
    else:
        ending.finish(turn, ending.exit_code(turn.state), closing.error)


def _deadline_passed(turn: Turn, given: DeadlinePassed) -> None:
    phase = turn.state.phase
    if isinstance(phase, Pausing) and phase.timer == given.timer:
        turn.set(phase=Ready())
    elif given.timer == prompts.KEEPING:
        prompts.kept_long_enough(turn)
    else:
        prompts.deadline_passed(turn, given)


def _tell(turn: Turn, given: InputEnded | Noticed | Delayed | LoginNeeded | Beat) -> None:
    """Inputs that are recorded and change nothing."""
    match given:
        case InputEnded():
            turn.emit(InputClosed())
        case Noticed(code, detail):
            turn.emit(Warned(code=code, detail=detail))
        case Delayed(reason, elapsed_ms, budget_ms):
            turn.emit(Waiting(reason=reason, elapsed_ms=elapsed_ms, budget_ms=budget_ms))
        case LoginNeeded(kind, url, deadline):
            turn.emit(LoginRequired(kind=kind, url=url, deadline=deadline))
        case Beat(busy_ms, next_by_ms):
            phase = turn.state.phase
            statement = phase.statement if isinstance(phase, Executing) else None
            turn.emit(
                Heartbeat(
                    phase=type(phase).__name__.lower(),
                    statement=statement,
                    busy_ms=busy_ms,
                    next_by_ms=next_by_ms,
                )
            )
        case _ as unreachable:
            assert_never(unreachable)


def _expect(
    turn: Turn, given: Input, *, state_is: type | tuple[type, ...], when: bool = True
) -> None:
    if not (when and isinstance(turn.state.phase, state_is)):
        raise IllegalInputError(turn.state, given)


def _inspecting(turn: Turn, given: Inspected) -> Inspecting:
    phase = turn.state.phase
    if not isinstance(phase, Inspecting) or phase.statement != given.statement:
        raise IllegalInputError(turn.state, given)
    return phase


def _weighing(turn: Turn, given: TableWeighed) -> Weighing:
    phase = turn.state.phase
    if not isinstance(phase, Weighing) or phase.statement != given.statement:
        raise IllegalInputError(turn.state, given)
    return phase


def _checking(turn: Turn, given: Checked) -> Checking:
    phase = turn.state.phase
    if not isinstance(phase, Checking) or phase.executing.statement != given.statement:
        raise IllegalInputError(turn.state, given)
    return phase


def _executing(turn: Turn, given: Input, statement: str) -> Executing:
    phase = turn.state.phase
    if not isinstance(phase, Executing) or phase.statement != statement:
        raise IllegalInputError(turn.state, given)
    return phase
