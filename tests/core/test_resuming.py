"""Going on in another process: after a suspension, and after a death at any event."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from executor.core.effects import CheckCommit, Execute, OpenSession, SetTimer
from executor.core.inputs import DeadlinePassed, Input
from executor.core.state import Asking
from executor.replay.verify import verify
from protocol.events import Outcome, Plan, RunFinished
from protocol.hello import Entry
from tests.core.drive import Drive, file, loop, plan, statement, success
from tests.core.test_machine import changing, failing


def finished(drive: Drive) -> Any:
    last = drive.events[-1]
    assert isinstance(last, RunFinished), drive.types()[-3:]
    assert [entry.seq for entry in drive.entries] == list(range(1, last.events + 1))
    assert list(verify(drive.entries)) == []
    return last


def suspended() -> Drive:
    planned = plan(file(1), file(2, depends_on=("f1",)))
    drive = Drive(planned, failing("f1.s1"))
    drive.feed(DeadlinePassed("p1"))
    assert drive.exit_code == 5
    return drive


def test_a_suspended_run_goes_on_at_its_open_prompt() -> None:
    before = suspended()
    drive = Drive.resume(before.entries, plan(file(1), file(2, depends_on=("f1",))))
    assert isinstance(drive.state.phase, Asking)
    assert isinstance(drive.effects[-1], SetTimer)
    assert drive.of("hello")[-1].segment == 2
    drive.decide("p1", "retry")
    last = finished(drive)
    assert (last.exit_code, last.prompts.asked, last.prompts.resolved) == (0, 1, 1)


def test_a_run_may_be_suspended_and_resumed_again_and_again() -> None:
    entries = suspended().entries
    for segment in range(2):
        drive = Drive.resume(entries, plan(file(1), file(2, depends_on=("f1",))))
        drive.feed(DeadlinePassed("p1"))
        assert drive.exit_code == 5, segment
        entries = drive.entries
    drive = Drive.resume(entries, plan(file(1), file(2, depends_on=("f1",))))
    drive.decide("p1", "done")
    assert finished(drive).exit_code == 0


def test_what_use_and_set_had_set_holds_again() -> None:
    head = (statement("f1.s1", "use", None), statement("f1.s2", "set", None))
    planned = plan(file(1, *head, statement("f1.s3")))
    drive = Drive(planned, failing("f1.s3"))
    drive.feed(DeadlinePassed("p1"))
    again = Drive.resume(drive.entries, planned)
    opened = [effect for effect in again.effects if isinstance(effect, OpenSession)]
    assert [effect.replay for effect in opened] == [("f1.s1", "f1.s2")]


# --- a death at any event ---------------------------------------------------------------------

INSERT = statement("f2.s2", "insert", "c.s.t2", idempotent=False)
EVERYTHING = plan(
    file(1),
    file(2, statement("f2.s1", "replace", "c.s.t2"), INSERT),
    file(3, statement("f3.s1", "replace", "c.s.loop_1"), iteration=1),
    file(4, depends_on=("f3",)),
    loops=(loop("f3"),),
)


class Warehouse:
    """Remembers what has committed, through every process that uses it."""

    def __init__(self) -> None:
        self.committed: list[str] = []
        self._numbers = changing(4, 1, 0)

    def answer(self, executed: Execute) -> Input:
        self.committed.append(executed.statement)
        return self._numbers(executed) if executed.kind == "probe" else success(executed)

    def outcome(self, check: CheckCommit) -> Outcome:
        return "committed" if check.statement in self.committed else "not_committed"


def died_after(count: int, lost: bool) -> tuple[list[Entry], Warehouse]:
    """The log of a run that died after `count` events, and the warehouse it leaves behind.

    `lost`: a statement under way at that moment did not reach the warehouse.
    """
    whole = Drive(EVERYTHING, Warehouse().answer)
    entries = whole.entries[:count]
    warehouse = Warehouse()
    events: list[Any] = [entry.event for entry in entries]
    sent = [event.statement for event in events if event.type == "statement_started"]
    ended = [event.statement for event in events if event.type == "statement_finished"]
    for name in sent:
        if name in ended or not lost:
            warehouse.committed.append(name)
    probes = sum(1 for name in ended if name.endswith("probe"))
    warehouse._numbers = changing(*([4, 1, 0][probes:] or [0]))
    return entries, warehouse


LENGTH = len(Drive(EVERYTHING, Warehouse().answer).entries)


@pytest.mark.parametrize("lost", [True, False])
def test_after_a_death_at_any_event_the_run_ends_as_if_undisturbed(lost: bool) -> None:
    undisturbed = finished(Drive(EVERYTHING, Warehouse().answer))
    for count in range(1, LENGTH):
        entries, warehouse = died_after(count, lost)
        drive = Drive.resume(entries, EVERYTHING, warehouse.answer, warehouse.outcome)
        last = finished(drive)
        assert last.exit_code == 0, count
        assert warehouse.committed.count("f2.s2") == 1, count
        assert last.loops == undisturbed.loops, count
        assert [table.name for table in last.tables] == [
            table.name for table in undisturbed.tables
        ], count


def test_what_cannot_be_known_is_asked_about_and_never_sent_again() -> None:
    events: list[Any] = Drive(EVERYTHING, Warehouse().answer).events
    place = next(
        number
        for number, event in enumerate(events)
        if event.type == "statement_submitted" and event.statement == "f2.s2"
    )
    entries, warehouse = died_after(place + 1, lost=True)
    drive = Drive.resume(entries, EVERYTHING, warehouse.answer)
    prompt = drive.of("error_prompt")[0]
    assert drive.of("hello")[-1].in_flight == "f2.s2"
    assert (prompt.outcome, prompt.error.class_) == ("unknown", "DWX_OUTCOME_UNKNOWN")
    assert "retry" not in [choice.choice for choice in prompt.choices]
    assert "f2.s2" not in warehouse.committed
    drive.decide("p1", "abort")
    assert finished(drive).exit_code == 9


# --- edited files -----------------------------------------------------------------------------


def edited(number: int, place: int) -> Plan:
    """`EVERYTHING` with one statement of one file edited."""
    files = list(EVERYTHING.files)  # type: ignore[arg-type]
    old = files[number - 1]
    statements = list(old.statements)
    statements[place] = replace(statements[place], sha256="edited")
    files[number - 1] = replace(old, statements=tuple(statements), sha256="edited")
    return replace(EVERYTHING, files=tuple(files))


def stopped_in_the_second_file() -> list[Entry]:
    drive = Drive(EVERYTHING, failing("f2.s2"))
    drive.feed(DeadlinePassed("p1"))
    return drive.entries


def test_a_file_that_has_not_started_is_simply_the_new_one() -> None:
    drive = Drive.resume(stopped_in_the_second_file(), edited(4, 0), changing(0))
    drive.decide("p1", "done")
    assert [event.sha256 for event in drive.of("file_started")][-1] == "edited"
    assert finished(drive).exit_code == 0


@pytest.mark.parametrize(("number", "place"), [(1, 0), (2, 0)])
def test_an_edit_of_what_has_committed_is_asked_about(number: int, place: int) -> None:
    drive = Drive.resume(stopped_in_the_second_file(), edited(number, place), changing(0))
    prompt = drive.of("error_prompt")[-1]
    assert (prompt.prompt, prompt.error.class_) == ("p2", "DWX_COMMITTED_STATEMENT_CHANGED")
    drive.decide("p2", "done")
    assert isinstance(drive.state.phase, Asking)
    assert drive.state.phase.prompt.prompt == "p1"
    drive.decide("p1", "done")
    assert finished(drive).exit_code == 0


def test_an_edit_of_the_statement_that_failed_is_what_a_retry_runs() -> None:
    now = edited(2, 1)
    drive = Drive.resume(stopped_in_the_second_file(), now, changing(0))
    drive.decide("p1", "retry")
    assert drive.of("error_prompt")[1:] == []
    assert [event.sha256 for event in drive.of("statement_started") if event.statement == "f2.s2"][
        -1
    ] == "edited"
    assert finished(drive).exit_code == 0


def test_an_edit_may_be_undone() -> None:
    drive = Drive.resume(stopped_in_the_second_file(), edited(1, 0), changing(0))
    drive._plan = EVERYTHING
    drive.decide("p2", "retry")
    assert isinstance(drive.state.phase, Asking)
    assert drive.state.phase.prompt.prompt == "p1"
    drive.decide("p1", "done")
    assert finished(drive).exit_code == 0
