"""Drives the machine with values: a workflow written as plans, and a script for the warehouse."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from executor.core import judging
from executor.core.effects import (
    CheckCommit,
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
from executor.core.facts import FailureFacts, TableSize
from executor.core.failures import error_record
from executor.core.inputs import (
    Begun,
    Checked,
    ChecksEnded,
    DeadlinePassed,
    Decided,
    Examined,
    Failed,
    FileRead,
    Input,
    Inspected,
    PlanRead,
    PreflightEnded,
    Resumed,
    SessionClosed,
    SessionOpened,
    SessionRefused,
    Submitted,
    Succeeded,
    TableWeighed,
)
from executor.core.judging import judged
from executor.core.machine import step
from executor.core.state import State
from executor.replay.verify import Folding
from protocol.decisions import Decide
from protocol.events import (
    Check,
    ErrorRecord,
    Event,
    Outcome,
    Plan,
    PlannedCheck,
    PlannedFile,
    PlannedLoop,
    PlannedStatement,
    RowCounts,
    Severity,
    StatementKind,
)
from protocol.hello import Entry, Hello, Settings

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def statement(
    statement_id: str,
    kind: StatementKind = "replace_as",
    target: str | None = "c.s.t",
    *,
    unit: str | None = None,
    idempotent: bool = True,
) -> PlannedStatement:
    return PlannedStatement(
        id=statement_id,
        kind=kind,
        target=target,
        line=1,
        sha256=f"hash of {statement_id}",
        head=f"{kind} {target}",
        unit=unit or statement_id,
        idempotent=idempotent,
    )


def file(
    number: int,
    *statements: PlannedStatement,
    depends_on: tuple[str, ...] = (),
    critical: bool = True,
    iteration: int | None = None,
    sha256: str = "one",
) -> PlannedFile:
    return PlannedFile(
        id=f"f{number}",
        path=f"{number:02}.sql",
        sha256=sha256,
        kind="plain" if iteration is None else "loop",
        loop=None if iteration is None else "loop1",
        iteration=iteration,
        critical=critical,
        statements=statements or (statement(f"f{number}.s1", target=f"c.s.t{number}"),),
        reads=(),
        writes=(f"c.s.t{number}",),
        depends_on=depends_on,
    )


def loop(
    *files: str,
    max_iterations: int = 5,
    generate: bool = True,
    residual: str | None = None,
    stall_after: int = 3,
) -> PlannedLoop:
    return PlannedLoop(
        id="loop1",
        name="merge",
        files=files,
        table="c.s.loop_{iteration}",
        changed_columns=("a", "b"),
        alias="c.s.loop_final",
        max_iterations=max_iterations,
        generate=generate,
        residual=residual,
        stall_after=stall_after,
        intermediates=("c.s.loop_{iteration}",),
    )


def planned_check(
    name: str = "it is right",
    phase: Literal["publish", "final"] = "final",
    severity: Severity = "critical",
    **more: Any,
) -> PlannedCheck:
    return PlannedCheck(
        name=name,
        phase=phase,
        severity=severity,
        sql="SELECT COUNT(*) AS wrong FROM {result}",
        expect=("wrong = 0",),
        loop="loop1" if phase == "publish" else None,
        source="workflow.toml",
        **more,
    )


def plan(
    *files: PlannedFile,
    loops: tuple[PlannedLoop, ...] = (),
    checks: tuple[PlannedCheck, ...] = (),
) -> Plan:
    return Plan(
        directory="sql",
        profile=None,
        files=files,
        loops=loops,
        checks=checks,
        total_files=len(files),
        total_statements=sum(len(one.statements) for one in files),
        warnings=(),
    )


def hello(**settings: Any) -> Hello:
    return Hello(
        protocol="1.0",
        tool_version="test",
        run_dir=None,
        pid=1,
        view="full",
        argv=(),
        segment=1,
        answer_with=None,
        settings=Settings(directory="sql", catalog="c", schema="s", **settings),
    )


def error(class_: str = "TABLE_OR_VIEW_NOT_FOUND", statement_id: str = "f1.s1") -> ErrorRecord:
    facts = FailureFacts(class_, "not there", during="poll")
    made = error_record(facts, path=None, statement=None)
    return replace(made, statement=statement_id, fingerprint=f"{class_}:{statement_id}")


def failure(executed: Execute, class_: str = "TABLE_OR_VIEW_NOT_FOUND", **changes: Any) -> Failed:
    facts: dict[str, Any] = {"outcome": "not_committed", "evidence": "the warehouse said so"}
    return Failed(
        executed.statement, 1, "q", error(class_, executed.statement), **{**facts, **changes}
    )


def success(executed: Execute, **result: Any) -> Succeeded:
    if executed.kind == "probe":
        result = {"value": 0, **result}
    else:
        result = {"rows": RowCounts(total=1, inserted=1, source="result"), **result}
    return Succeeded(executed.statement, 1, "q", **result)


Script = Callable[[Execute], Input]
Look = Callable[[], Sequence[Check]]
"""What a pre-flight finds, each time it is made."""


class World:
    """What the warehouse says of statements that were lost, and whether it can be reached again."""

    def outcome(self, check: CheckCommit) -> Outcome:
        return "unknown"

    def refuses(self) -> bool:
        return False

    def finds(self, planned: PlannedCheck) -> Check:
        """What a check finds."""
        return judged(planned, [{"wrong": 0}], 1)

    def size(self, table: str) -> TableSize:
        return TableSize("delta", 5, 1_000)


class Drive:
    """A run of the machine; `answer` says how the warehouse ends each statement."""

    _outcome: Callable[[CheckCommit], Outcome]
    refuses: Callable[[], bool]
    _timers = True

    def __init__(
        self,
        planned: Plan,
        answer: Script = success,
        world: World | None = None,
        *,
        look: Look = tuple,
        timers: bool = True,
        **settings: Any,
    ) -> None:
        """`timers`: pauses come to their end at once; without, they last for ever."""
        self._timers = timers
        self._start(planned, answer, world or World(), look)
        self.feed(Begun(hello(**settings)))

    @classmethod
    def resume(
        cls,
        entries: Sequence[Entry],
        planned: Plan,
        answer: Script = success,
        outcome: Callable[[CheckCommit], Outcome] = lambda check: "unknown",
        refuses: bool = False,
        first: tuple[Input, ...] = (),
        look: Look = tuple,
        **settings: Any,
    ) -> Drive:
        """Goes on with a recorded run as another process does; `first`: decisions that waited."""
        folding = Folding(entries[0].run)
        for entry in entries:
            assert folding.take(entry) is None
        drive = cls.__new__(cls)
        drive._start(planned, answer, World(), look)
        drive._outcome = outcome
        drive.refuses = lambda: refuses
        drive.connections = 1  # that of the process before
        drive.state = folding.state
        drive.entries = [*entries, *folding.unwritten()]
        drive._at = datetime.fromisoformat(entries[-1].ts)
        named = replace(hello(**settings), segment=2, in_flight=folding.in_flight())
        drive._inputs.append(Resumed(named))
        drive._inputs.extend(first)
        drive._run()
        return drive

    def _start(self, planned: Plan, answer: Script, world: World, look: Look) -> None:
        self._outcome, self.refuses = world.outcome, world.refuses
        self._finds, self._size = world.finds, world.size
        self.state = State("r-test22")
        self.entries: list[Entry] = []
        self.executed: list[Execute] = []
        self.checked: list[PlannedCheck] = []
        self.connections = 0
        self.version = 7
        """The newest version of every table that is looked up."""
        self.exit_code: int | None = None
        self.effects: list[Effect] = []
        self.files: dict[str, PlannedFile] = {}
        self._plan = planned
        self._answer = answer
        self._look = look
        self._inputs: deque[Input] = deque()
        self._at = START

    @property
    def events(self) -> list[Event]:
        return [entry.event for entry in self.entries]  # type: ignore[misc]  # we made them all

    def of(self, *types: str) -> list[Any]:
        return [event for event in self.events if event.type in types]

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def feed(self, given: Input) -> None:
        """Feeds an input, and whatever the world answers to it, until it waits."""
        self._inputs.append(given)
        self._run()

    def _run(self) -> None:
        while self._inputs:
            self._at += timedelta(milliseconds=10)
            self.state, effects = step(self.state, self._inputs.popleft(), self._at)
            for effect in effects:
                self._perform(effect)

    def decide(self, prompt: str, choice: str, *, name: str = "", **more: Any) -> None:
        decision = Decide(prompt=prompt, choice=choice, **more)
        self.feed(Decided(decision, name or f"{prompt}:{choice}", "stdin"))

    def _read(self) -> Input:
        return PlanRead(self._plan)

    def _perform(self, effect: Effect) -> None:
        self.effects.append(effect)
        match effect:
            case Emit(entry, _):
                self.entries.append(entry)
            case ReadPlan():
                self._inputs.append(self._read())
            case OpenSession(replay):
                reopens = self.state.hello is not None and self.connections > 0
                self.connections += 1
                if reopens and self.refuses():
                    self._inputs.append(SessionRefused(error("DWX_CONNECTION_REFUSED")))
                else:
                    self._inputs.append(SessionOpened("s1", 5, {"TIMEZONE": "UTC"}, len(replay)))
            case CloseSession():
                self._inputs.append(SessionClosed("s1", 1))
            case Preflight():
                self._inputs.extend(Examined(one) for one in self._look())
                self._inputs.append(PreflightEnded(3))
            case MakeChecks(checks, left_out, _):
                self.checked.extend(checks)
                for one in checks:
                    reason = left_out.get(one.name)
                    made = self._finds(one) if reason is None else judging.left_out(one, reason)
                    self._inputs.append(Examined(made))
                self._inputs.append(ChecksEnded(3))
            case Weigh(statement, table):
                size = self._size(table)
                self._inputs.append(TableWeighed(statement, size.files, size.bytes, size.format))
            case ReadFile(file_id):
                read = self.files.get(file_id) or self.state.file(file_id)
                self._inputs.append(FileRead(read, "reread"))
            case GenerateFile(_, iteration, _):
                self._inputs.append(FileRead(generated(iteration), "generated"))
            case Inspect(statement, _):
                creates = any(
                    one.id == statement and one.kind == "create_as"
                    for file in self.state.files
                    for one in file.statements
                )
                self._inputs.append(Inspected(statement, -1 if creates else self.version))
            case CheckCommit(statement=statement, query_id=query_id):
                outcome = self._outcome(effect)
                self._inputs.append(Checked(statement, 1, query_id, outcome, "so it is"))
            case Execute():
                self.executed.append(effect)
                answer = self._answer(effect)
                if answer is not None:
                    self._inputs.append(Submitted(effect.statement, "q"))
                    self._inputs.append(answer)
            case SetTimer(timer, _) if self._timers and timer.startswith("pause"):
                self._inputs.append(DeadlinePassed(timer))
            case Finish(exit_code):
                self.exit_code = exit_code
            case _:
                pass


def generated(iteration: int) -> PlannedFile:
    return PlannedFile(
        id=f"loop1.i{iteration}",
        path=f"iteration {iteration}",
        sha256="generated",
        kind="loop",
        loop="loop1",
        iteration=iteration,
        statements=(statement(f"loop1.i{iteration}.s1", target=f"c.s.loop_{iteration}"),),
        reads=(),
        writes=(f"c.s.loop_{iteration}",),
        depends_on=(),
    )
