"""Laws of the machine, whatever the warehouse answers and whoever decides what."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from executor.core.effects import CheckCommit, Execute
from executor.core.facts import TableSize
from executor.core.inputs import DeadlinePassed, Input, StopRequested
from executor.core.judging import judged
from executor.core.state import Asking, Executing
from executor.replay.verify import Folding, verify
from protocol.events import (
    Check,
    CheckStatus,
    Outcome,
    Plan,
    PlannedCheck,
    PlannedFile,
    RunFinished,
    RunSuspended,
    Severity,
)
from protocol.hello import ChecksMode, Convergence, OptimizeMode, PreflightMode
from tests.core.drive import (
    Drive,
    World,
    failure,
    file,
    loop,
    plan,
    planned_check,
    statement,
    success,
)

MOST_DECISIONS = 40
CLASSES = (
    "TABLE_OR_VIEW_NOT_FOUND", "DWX_CONNECTION_LOST", "INVALID_HANDLE.SESSION_CLOSED",
    "DELTA_CONCURRENT_APPEND", "REQUEST_LIMIT_EXCEEDED", "DWX_STATEMENT_TIMEOUT",
)  # fmt: skip
"""Of failures that are asked about, and of such as dwx deals with by itself."""


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Files that need earlier ones, some with an INSERT of their own, and perhaps a loop."""
    count = draw(st.integers(1, 4))
    looping = draw(st.integers(0, 2))
    files: list[PlannedFile] = []
    for number in range(1, count + looping + 1):
        iteration = number if number <= looping else None
        earlier = tuple(one.id for one in files)
        needs = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        table = f"c.s.loop_{iteration}" if iteration else f"c.s.t{number}"
        statements = [statement(f"f{number}.s1", "replace", table)]
        alone = False
        for place in range(2, draw(st.integers(1, 3)) + 1):
            # no retry unit reaches across a statement that must not be repeated
            alone = alone or draw(st.booleans())
            statements.append(
                statement(
                    f"f{number}.s{place}",
                    "insert",
                    table,
                    unit=f"f{number}.s{place}" if alone else f"f{number}.s1",
                    idempotent=not alone,
                )
            )
        files.append(
            file(
                number,
                *statements,
                depends_on=tuple(needs),
                critical=draw(st.booleans()),
                iteration=iteration,
            )
        )
    if not looping:
        return plan(*files, checks=draw(st.sampled_from([(), (planned_check(),)])))
    residual = draw(st.sampled_from([None, "SELECT COUNT(*) FROM {table}"]))
    names = (f"f{number}" for number in range(1, looping + 1))
    loops = (loop(*names, max_iterations=3, residual=residual, stall_after=2),)
    checks = (planned_check("it may be published", "publish"), planned_check(files=("f1",)))
    return plan(*files, loops=loops, checks=draw(st.sampled_from([(), checks])))


class Drawn(World):
    """A warehouse and a caller that do whatever is drawn."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def answer(self, executed: Execute) -> Input:
        ending = self._data.draw(
            st.sampled_from(["success"] * 6 + ["failed", "unknown", "cancelled"]), label="ending"
        )
        if ending == "success":
            if executed.kind == "probe":
                number = self._data.draw(st.sampled_from([0, 3, 3, None]), label="probe")
                return success(executed, value=number)
            return success(executed)
        outcome = self._data.draw(st.sampled_from(["unknown", "not_committed"]), label="outcome")
        if ending == "failed":
            outcome = "not_committed"
        if ending == "cancelled":
            class_ = "DWX_STATEMENT_CANCELLED"
        else:
            class_ = self._data.draw(st.sampled_from(CLASSES), label="class")
        return failure(executed, class_, outcome=outcome, cancelled=ending == "cancelled")

    def outcome(self, check: CheckCommit) -> Outcome:
        outcomes: list[Outcome] = ["committed", "not_committed", "unknown"]
        return self._data.draw(st.sampled_from(outcomes), label="what became of it")

    def refuses(self) -> bool:
        return self._data.draw(st.sampled_from([False, False, True]), label="refuses")

    def look(self) -> list[Check]:
        statuses = st.sampled_from(get_args(CheckStatus))
        severities = st.sampled_from(get_args(Severity))
        drawn = self._data.draw(
            st.lists(st.tuples(statuses, severities), max_size=3), label="preflight"
        )
        return [
            Check(
                name=f"check {number}",
                phase="preflight",
                status=status,
                observed="this",
                expected="that",
                severity=severity,
            )
            for number, (status, severity) in enumerate(drawn)
        ]

    def finds(self, planned: PlannedCheck) -> Check:
        wrong = self._data.draw(st.sampled_from([0, 0, 1, None]), label="check")
        return judged(planned, [{"wrong": wrong}], 1)

    def size(self, table: str) -> TableSize:
        files = self._data.draw(st.sampled_from([None, 1, 9]), label="files")
        return TableSize("delta", files, 1_000)

    def decide(self, drive: Drive, count: int) -> None:
        asking = drive.state.phase
        assert isinstance(asking, Asking)
        offered = [choice.choice for choice in asking.prompt.choices]
        if count > MOST_DECISIONS:
            drive.decide(asking.prompt.prompt, "abort", name=f"d{count}")
            return
        other = ["a choice nobody offered", "deadline", "signal"]
        choice = self._data.draw(st.sampled_from(offered * 4 + other), label="choice")
        if choice == "deadline":
            drive.feed(DeadlinePassed(asking.prompt.prompt))
        elif choice == "signal":
            drive.feed(StopRequested("SIGTERM", "now"))
        else:
            drive.decide(asking.prompt.prompt, choice, name=f"d{count}")


@settings(max_examples=200, deadline=None)
@given(
    plans(),
    st.sampled_from(["suspend", "abort", "skip"]),
    st.sampled_from(get_args(PreflightMode)),
    st.fixed_dictionaries(
        {
            "convergence": st.sampled_from(get_args(Convergence)),
            "optimize": st.sampled_from(get_args(OptimizeMode)),
            "checks": st.sampled_from(get_args(ChecksMode)),
            "cleanup": st.booleans(),
        }
    ),
    st.data(),
)
def test_every_run_ends_and_its_log_says_all_of_it(
    planned: Plan, unanswered: str, preflight: str, wanted: dict[str, Any], data: st.DataObject
) -> None:
    world = Drawn(data)
    drive = Drive(
        planned,
        world.answer,
        world,
        look=world.look,
        on_unanswered=unanswered,
        preflight=preflight,
        **wanted,
    )
    decisions = 0
    while drive.exit_code is None:
        decisions += 1
        world.decide(drive, decisions)

    last = drive.events[-1]
    assert isinstance(last, RunFinished | RunSuspended)
    assert [event.type for event in drive.events].count("run_finished") <= 1
    assert [entry.seq for entry in drive.entries] == list(range(1, last.events + 1))
    assert list(verify(drive.entries)) == []
    opened_and_closed_once(drive)
    nothing_committed_runs_again(drive)
    the_log_holds_the_state(drive)


def opened_and_closed_once(drive: Drive) -> None:
    suspended = isinstance(drive.events[-1], RunSuspended)
    started = [event.file for event in drive.of("file_started")]
    finished = [event.file for event in drive.of("file_finished")]
    assert len(set(started)) == len(started)
    assert len(set(finished)) == len(finished)
    if not suspended:
        assert set(started) <= set(finished)
    asked = [event.prompt for event in drive.of("error_prompt")]
    resolved = [event.prompt for event in drive.of("prompt_resolved")]
    assert resolved == (asked[:-1] if suspended else asked)
    sent = [event.statement for event in drive.of("statement_started")]
    ended = [event.statement for event in drive.of("statement_finished")]
    assert sent == ended


def nothing_committed_runs_again(drive: Drive) -> None:
    """A statement that is not safe to repeat is never sent after it may have committed."""
    unsafe = {
        one.id for planned in drive.state.files for one in planned.statements if not one.idempotent
    }
    asked = {event.prompt: event.statement for event in drive.of("error_prompt")}
    undone = {
        asked[event.prompt] for event in drive.of("prompt_resolved") if event.choice == "restore"
    }
    may_have_committed: set[str] = set()
    for event in drive.of("statement_started", "statement_finished", "check"):
        if event.type == "statement_started":
            if event.statement in may_have_committed & unsafe:
                # only where the caller had it undone, and there was nothing to undo
                assert event.statement in undone
                assert event.target_version == drive.version
        elif event.type == "check":
            if event.status == "failed":
                may_have_committed.discard(event.name.removeprefix("commit of "))
        elif event.statement.endswith(".restore"):
            if event.status == "succeeded":
                may_have_committed.discard(event.statement.removesuffix(".restore"))
        elif event.outcome != "not_committed":
            may_have_committed.add(event.statement)


def the_log_holds_the_state(drive: Drive) -> None:
    folding = Folding(drive.state.run)
    for entry in drive.entries:
        assert folding.take(entry) is None
    assert folding.state == drive.state


@settings(max_examples=50, deadline=None)
@given(plans(), st.data())
def test_a_signal_at_any_statement_ends_the_run(planned: Plan, data: st.DataObject) -> None:
    stop_at = data.draw(st.integers(1, 8))
    count = 0

    def answer(executed: Execute) -> Input | None:
        nonlocal count
        count += 1
        return None if count == stop_at else success(executed)

    drive = Drive(planned, answer)  # type: ignore[arg-type]  # None: the warehouse takes its time
    if isinstance(drive.state.phase, Executing):
        drive.feed(StopRequested("SIGINT", "now"))
        drive.feed(failure(drive.executed[-1], outcome="not_committed", cancelled=True))
        assert drive.exit_code == 6
    assert drive.exit_code is not None
    assert list(verify(drive.entries)) == []
