"""The runner: feeds the machine with what happens, and performs what it asks for.

One task group, one stream of inputs, one machine. Everything that happens, in whatever thread, is
put into the stream as an input; the loop takes them out one by one, steps the machine, and performs
the effects in order before it takes the next. Nothing here decides what anything means.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from executor.core.effects import (
    CancelRunning,
    CheckCommit,
    ClearTimer,
    CloseSession,
    Effect,
    Emit,
    Execute,
    Finish,
    GenerateFile,
    Inspect,
    MakeChecks,
    OpenSession,
    Preflight,
    ReadFile,
    ReadPlan,
    SetTimer,
    Weigh,
)
from executor.core.inputs import (
    Beat,
    Broken,
    DeadlinePassed,
    Decided,
    FileRead,
    FileUnreadable,
    Input,
    InputEnded,
    Noticed,
    PlanRead,
    Refused,
    SessionClosed,
    StopRequested,
    Undecidable,
)
from executor.core.machine import step
from executor.core.state import Executing, State
from executor.core.statements import planned_statement
from executor.runtime import faults
from executor.runtime.inbox import Inbox
from executor.runtime.record import Record
from executor.runtime.secrets import Masker
from executor.runtime.stdio import read_chunks
from executor.runtime.worker import SessionWorker
from executor.warehouse.port import Request, Warehouse, Write
from executor.workflow.model import SourceFile, Workflow, WorkflowError
from executor.workflow.names import join_name
from executor.workflow.requirements import requirements
from protocol.errors import LineTooLong, ProtocolFault
from protocol.events import Check, Plan
from protocol.exit_codes import INTERNAL
from protocol.framing import LineFramer
from protocol.hello import Settings

HEARTBEAT_SECONDS = 30
SILENCE_ALLOWED = 3
"""A run is taken for stalled after this many heartbeats that did not come."""

UNDECIDABLE_LINES = 1_000
"""Lines on stdin that are no decisions, after which it is not listened to: each costs the record
some bytes, and whoever sends so many is not talking to us."""

WIND_DOWN_SECONDS = 12.0
"""How long a run that cannot go on waits for its statement's cancellation and session's end."""

TAGS_MAX_CHARACTERS = 128


@dataclass(slots=True)
class World:
    """What a run acts on; given by the command line, or by a test."""

    warehouse: Callable[[Callable[[Input], None]], Warehouse]
    """Makes the warehouse; it may deliver inputs (`Delayed`) from the session's thread."""
    load: Callable[[], Workflow]
    """Reads the workflow's directory; raises `WorkflowError`."""
    plan: Callable[[Workflow], Plan]
    reload: Callable[[Workflow, SourceFile], SourceFile]
    """Reads one file again; raises `WorkflowError`."""
    generate: Callable[[Workflow, str, int, SourceFile], SourceFile]
    """Generates an iteration of a loop from the last file; raises `WorkflowError`."""
    mask: Masker
    other_runs: Callable[[Settings], Check | None] = lambda settings: None
    """Looks for runs that work in the same schema; `None` where there can be none."""
    read_stdin: bool = True
    decision_of: Callable[[bytes], bytes | None] = lambda line: line
    """The decision that a line on stdin is; `None` if it is none and the run need not know."""
    inbox: Path | None = None
    """Directory in which other processes leave decisions."""
    first: tuple[Input, ...] = ()
    """What the command line has decided: taken in before anything else."""
    signals: list[int] = field(default_factory=list)
    """Signals that came before the runner was there to take them."""


class Runner:
    """Runs one workflow to the end of this process."""

    def __init__(self, state: State, record: Record, world: World) -> None:
        """`state` has taken `Begun`; what it asked for beyond emitting is still to be done."""
        self._state = state
        self._record = record
        self._world = world
        self._workflow: Workflow | None = None
        self._sources: dict[str, SourceFile] = {}
        self._timers: dict[str, anyio.CancelScope] = {}
        self._busy_since = datetime.now(UTC)
        self._exit_code: int | None = None
        self._worker: SessionWorker | None = None
        self._inbox = Inbox(world.inbox)
        self._broken = False
        self._undecidable = 0

    async def run(self) -> int:
        """Runs to the last line and returns the exit code."""
        send, receive = anyio.create_memory_object_stream[Input](float("inf"))
        self._inputs: MemoryObjectSendStream[Input] = send
        token = anyio.lowlevel.current_token()

        def deliver(given: Input) -> None:
            # what comes after the end is not heard
            with suppress(anyio.ClosedResourceError, anyio.RunFinishedError):
                anyio.from_thread.run_sync(send.send_nowait, given, token=token)

        self._deliver = deliver
        with ExitStack() as stack:
            stack.enter_context(send)
            stack.enter_context(receive)
            async with anyio.create_task_group() as tasks:
                self._tasks: TaskGroup = tasks
                tasks.start_soon(self._take_signals)
                tasks.start_soon(self._beat)
                for given in self._world.first:
                    self._feed(given)
                if self._world.read_stdin:
                    self._read_stdin()
                else:
                    send.send_nowait(InputEnded())
                self._inbox.drain(self._feed)
                tasks.start_soon(self._inbox.serve, send.send_nowait)
                self._perform(ReadPlan())
                await self._take_inputs(receive)
                if self._broken and self._worker is not None:
                    # nothing stays behind on the warehouse, though no one hears of it any more
                    await anyio.to_thread.run_sync(self._worker.wind_down, WIND_DOWN_SECONDS)
                tasks.cancel_scope.cancel()
        assert self._exit_code is not None
        return self._exit_code

    def crashed(self, error: Exception) -> int:
        """Writes the last line of a run that a defect of ours ended; returns the exit code."""
        self._break(self._state, Broken("internal", faults.internal(error)))
        return INTERNAL

    def reader_gone(self) -> None:
        """The reader of stdout is gone and the caller wants the run to end then. Any thread."""
        self._deliver(StopRequested("stdout_closed", "now"))

    # --- inputs -------------------------------------------------------------------------------

    async def _take_inputs(self, receive: MemoryObjectReceiveStream[Input]) -> None:
        while self._exit_code is None:
            given = await receive.receive()
            if isinstance(given, SessionClosed):
                self._inbox.drain(self._feed)  # whoever answers late is told before the last line
            self._feed(given)
            self._inbox.taken(given)

    def _feed(self, given: Input) -> None:
        masked: Input = self._world.mask.masked(given)
        before = sound = self._state
        try:
            self._state, effects = step(before, masked, now())
            for place, effect in enumerate(effects):
                if not any(isinstance(one, Emit) for one in effects[place:]):
                    sound = self._state  # the record has all that the step says
                self._perform(effect)
        except OSError as exc:  # only the record touches files while effects are performed
            self._break(before, Broken("record", faults.record_broken(exc)))
        except Exception as exc:  # noqa: BLE001 - the outermost edge: say so, whatever it is
            self._break(sound, Broken("internal", faults.internal(exc)))

    def _break(self, before: State, broken: Broken) -> None:
        """Ends a run that cannot go on; the last line goes to stdout if nowhere else.

        What the failed step wanted beyond what was recorded has not happened.
        """
        self._broken = True
        self._state, effects = step(replace(before, seq=self._record.seq), broken, now())
        for effect in effects:
            if isinstance(effect, Emit):
                self._record.append_or_show(effect.entry)
            elif isinstance(effect, Finish):
                self._exit_code = effect.exit_code

    def _crashed_elsewhere(self, exc: BaseException) -> None:
        self._deliver(Broken("internal", faults.internal(exc)))

    async def _take_signals(self) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            for number in self._world.signals:
                self._stop(number)
            asked_before = bool(self._world.signals)
            async for number in received:
                if asked_before:
                    self._record.leave_at_once()
                asked_before = True
                self._stop(number)

    def _stop(self, number: int) -> None:
        self._record.hurry()
        by = "SIGTERM" if number == signal.SIGTERM else "SIGINT"
        self._inputs.send_nowait(StopRequested(by, "now"))  # type: ignore[arg-type]

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(HEARTBEAT_SECONDS)
            busy = round((now() - self._busy_since).total_seconds() * 1000)
            next_by = HEARTBEAT_SECONDS * SILENCE_ALLOWED * 1000
            self._inputs.send_nowait(Beat(max(0, busy), next_by))

    def _read_stdin(self) -> None:
        framer = LineFramer()

        def on_chunk(chunk: bytes) -> None:
            if self._undecidable < UNDECIDABLE_LINES:
                for line in framer.feed(chunk):
                    self._deliver_line(line)

        def on_end() -> None:
            for line in framer.finish():
                self._deliver_line(line)
            self._deliver(InputEnded())

        read_chunks(on_chunk, on_end)

    def _deliver_line(self, line: bytes | LineTooLong) -> None:
        # loads pydantic, which the first event does not wait for
        from protocol.codec import decision_id, decode_decision

        try:
            if isinstance(line, LineTooLong):
                raise line
            said = self._world.decision_of(line)
            if said is None:
                return
            decision = decode_decision(said)
        except ProtocolFault as fault:
            self._reject_line(fault)
        else:
            self._deliver(Decided(decision, decision_id(decision), "stdin"))

    def _reject_line(self, fault: ProtocolFault) -> None:
        self._undecidable += 1
        if self._undecidable <= UNDECIDABLE_LINES:
            self._deliver(Undecidable(fault.code, fault.detail, "stdin"))
        if self._undecidable == UNDECIDABLE_LINES:
            detail = f"{UNDECIDABLE_LINES} lines on stdin were no decisions: it is read no more"
            self._deliver(Noticed("STDIN_IGNORED", detail))

    # --- effects ------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Emit(entry, durable):
                self._record.append(entry, durable=durable)
            case ReadPlan():
                self._in_thread(self._load)
            case OpenSession(replay):
                if self._worker is None:
                    warehouse = self._world.warehouse(self._deliver)
                    self._worker = SessionWorker(
                        warehouse, self._deliver, self._crashed_elsewhere, self._world.mask
                    )
                self._worker.open([self._replayed(statement) for statement in replay])
            case CloseSession():
                self._session().close()
            case Preflight():
                self._preflight()
            case ReadFile(file):
                self._in_thread(lambda: self._reload(file))
            case GenerateFile(loop, iteration, last):
                self._in_thread(lambda: self._generate(loop, iteration, last))
            case Inspect(statement, table):
                self._session().inspect(statement, table)
            case Weigh(statement, table):
                self._session().weigh(statement, table)
            case MakeChecks():
                self._session().make_checks(effect)
            case CheckCommit():
                self._session().check(self._write(effect))
            case Execute():
                self._execute(effect)
            case CancelRunning():
                if self._worker is not None:  # else there is nothing yet to cancel
                    self._worker.cancel()
            case SetTimer(timer, at):
                self._timers[timer] = anyio.CancelScope()
                self._tasks.start_soon(self._wait_until, timer, at)
            case ClearTimer(timer):
                scope = self._timers.pop(timer, None)
                if scope is not None:
                    scope.cancel()
            case Finish(exit_code):
                self._exit_code = exit_code
            case _ as unreachable:
                assert_never(unreachable)

    def _preflight(self) -> None:
        assert self._workflow is not None
        settings = self._state.settings
        needed = requirements(self._workflow, skip_loop=settings.skip_loop)
        if not needed.schemas and settings.catalog is not None and settings.schema is not None:
            here = join_name((settings.catalog.lower(), settings.schema.lower()))
            needed = replace(needed, schemas=(here,))
        self._session().preflight(needed, self._world.other_runs(settings))

    def _session(self) -> SessionWorker:
        assert self._worker is not None, "nothing is asked of a session before it is opened"
        return self._worker

    def _execute(self, effect: Execute) -> None:
        phase = self._state.phase
        assert isinstance(phase, Executing)
        self._busy_since = now()
        planned, _ = planned_statement(self._state, phase.task)
        file = self._state.file(effect.file) if effect.file is not None else None
        sql = effect.sql if effect.sql is not None else self._text(effect.statement)
        tags = {
            "run": self._state.run,
            "file": (file.path if file is not None else "")[-TAGS_MAX_CHARACTERS:],
            "statement": effect.statement,
            "attempt": str(effect.attempt),
        }
        request = Request(effect.statement, sql, effect.kind, effect.target, tags)
        self._session().execute(
            request,
            path=file.path if file is not None else None,
            planned=planned,
            critical=file.critical if file is not None else effect.kind != "optimize",
        )

    def _write(self, effect: CheckCommit) -> Write:
        return Write(
            run=self._state.run,
            statement=effect.statement,
            attempt=effect.attempt,
            sent=effect.sent,
            kind=effect.kind,
            target=effect.target,
            renames=effect.renames,
            query_id=effect.query_id,
            version=effect.version,
            repeatable=effect.repeatable,
            over=effect.over,
            wait=effect.wait,
        )

    def _text(self, statement: str) -> str:
        """The SQL of a statement of a file."""
        for source in self._sources.values():
            for planned, text in zip(source.planned.statements, source.texts, strict=True):
                if planned.id == statement:
                    return text
        raise KeyError(statement)

    def _replayed(self, statement: str) -> Request:
        """A USE or SET of a file, to be run again in a new session."""
        return Request(statement, self._text(statement), "set", None, count_rows=False)

    async def _wait_until(self, timer: str, at: datetime) -> None:
        with self._timers.get(timer, anyio.CancelScope()):
            await anyio.sleep(max(0.0, (at - now()).total_seconds()))
            self._inputs.send_nowait(DeadlinePassed(timer))

    # --- files --------------------------------------------------------------------------------

    def _in_thread(self, job: Callable[[], Input]) -> None:
        """Does what parses SQL beside the loop, which goes on taking decisions and signals."""

        def work() -> None:
            try:
                answer = job()
            except Exception as exc:  # noqa: BLE001 - the outermost edge of this thread
                self._crashed_elsewhere(exc)
            else:
                self._deliver(answer)

        threading.Thread(target=work, name="dwx-files", daemon=True).start()

    def _load(self) -> Input:
        try:
            self._workflow = self._world.load()
            plan = self._world.plan(self._workflow)
        except WorkflowError as exc:
            return Refused(faults.workflow_error(exc))
        self._sources = {source.planned.id: source for source in self._workflow.files}
        try:
            self._generate_again(self._workflow)
        except WorkflowError as exc:
            return Refused(faults.workflow_error(exc))
        return PlanRead(plan)

    def _generate_again(self, workflow: Workflow) -> None:
        """Makes the texts of iterations that an earlier process had generated."""
        files = {(file.loop, file.iteration): file for file in self._state.files if file.loop}
        for (loop, iteration), file in files.items():
            if file.id not in self._sources and loop is not None and iteration is not None:
                last = self._sources[files[loop, iteration - 1].id]
                self._sources[file.id] = self._world.generate(workflow, loop, iteration, last)

    def _reload(self, file: str) -> Input:
        assert self._workflow is not None
        try:
            source = self._world.reload(self._workflow, self._sources[file])
        except WorkflowError as exc:
            return FileUnreadable(faults.workflow_error(exc))
        self._sources[file] = source
        return FileRead(source.planned, "reread")

    def _generate(self, loop: str, iteration: int, last: str) -> Input:
        assert self._workflow is not None
        try:
            source = self._world.generate(self._workflow, loop, iteration, self._sources[last])
        except WorkflowError as exc:
            return FileUnreadable(faults.workflow_error(exc))
        self._sources[source.planned.id] = source
        return FileRead(source.planned, "generated")


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
