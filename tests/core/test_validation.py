"""Checks of what a run has made: what they lead to, told as inputs and the events that come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from executor.core.effects import CancelRunning, MakeChecks
from executor.core.inputs import ChecksEnded, DeadlinePassed, Examined, StopRequested
from executor.core.judging import judged
from executor.core.state import Asking, Validating
from executor.replay.verify import verify
from protocol.events import Check, PlannedCheck, RunFinished, Severity
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

PUBLISH = planned_check("it may be published", "publish")
FINAL = planned_check()
LOOP_PLAN = plan(
    file(1),
    file(2, iteration=1),
    file(3, depends_on=("f2",)),
    loops=(loop("f2"),),
    checks=(PUBLISH, FINAL),
)


class Finding(World):
    """Checks find these numbers, by name, in this order, the last one for ever."""

    def __init__(self, **wrong: Any) -> None:
        self.left = {name.replace("_", " "): list(numbers) for name, numbers in wrong.items()}

    def finds(self, planned: PlannedCheck) -> Check:
        numbers = self.left.get(planned.name, [0])
        number = numbers.pop(0) if len(numbers) > 1 else numbers[0]
        return judged(planned, [{"wrong": number}], 1)


def ended(drive: Drive) -> RunFinished:
    assert isinstance(drive.events[-1], RunFinished)
    assert list(verify(drive.entries)) == []
    return drive.events[-1]


def order(drive: Drive) -> list[str]:
    kept = ("converged", "check", "checks_finished", "alias_created", "file_started")
    return [event.type for event in drive.events if event.type in kept]


def test_a_loop_is_checked_before_it_is_published_and_the_run_at_its_end() -> None:
    drive = Drive(LOOP_PLAN, checks="fail")
    assert order(drive) == [
        "file_started", "file_started", "converged", "check", "checks_finished", "alias_created",
        "file_started", "check", "checks_finished",
    ]  # fmt: skip
    assert [one.sql.rpartition(" ")[2] for one in drive.checked] == ["`c`.`s`.`loop_1`", "{result}"]
    last = ended(drive)
    assert (last.exit_code, last.checks) == (0, drive.of("run_finished")[0].checks)
    assert last.checks is not None
    assert last.checks.passed == 2


def test_without_checks_none_are_made() -> None:
    drive = Drive(LOOP_PLAN, world=Finding(it_is_right=[1]), checks="off")
    assert drive.of("check", "checks_finished") == []


@pytest.mark.parametrize("wrong", [1, None])
def test_a_grave_check_that_fails_or_says_nothing_publishes_nothing(wrong: int | None) -> None:
    drive = Drive(LOOP_PLAN, world=Finding(it_may_be_published=[wrong]), checks="fail")
    (prompt,) = drive.of("error_prompt")
    assert [one.choice for one in prompt.choices] == ["retry", "continue", "abort"]
    assert (prompt.loop, prompt.error.class_) == ("loop1", "DWX_CHECK_FAILED")
    assert drive.of("alias_created") == []
    drive.decide("p1", "abort")
    last = ended(drive)
    assert (last.exit_code, last.failed_checks) == (3, ("it may be published",))
    assert drive.of("alias_created") == []


def test_retry_makes_the_checks_again_and_what_passes_then_has_passed() -> None:
    drive = Drive(LOOP_PLAN, world=Finding(it_may_be_published=[1, 0]), checks="fail")
    drive.decide("p1", "retry")
    assert [event.status for event in drive.of("check")] == ["failed", "passed", "passed"]
    assert ended(drive).exit_code == 0


def test_what_is_published_in_spite_of_its_checks_exits_with_4() -> None:
    drive = Drive(LOOP_PLAN, world=Finding(it_may_be_published=[1]), checks="fail")
    drive.decide("p1", "continue")
    last = ended(drive)
    assert len(drive.of("alias_created")) == 1
    assert (last.exit_code, last.outcome) == (4, "incomplete")
    assert last.error is not None
    assert "it may be published" in str(last.error.message)


def test_what_was_accepted_is_checked_and_not_asked_about_again() -> None:
    numbers: Callable[..., Any] = lambda executed: success(  # noqa: E731
        executed, **({"value": 9} if executed.kind == "probe" else {})
    )
    planned = plan(
        file(1), file(2, iteration=1), loops=(loop("f2", max_iterations=1),), checks=(PUBLISH,)
    )
    drive = Drive(planned, numbers, Finding(it_may_be_published=[1]), checks="fail")
    drive.decide("p1", "accept")
    assert len(drive.of("error_prompt")) == 1
    assert ended(drive).exit_code == 4


@pytest.mark.parametrize(
    ("severity", "wrong", "code"),
    [
        ("critical", 1, 4),
        ("critical", None, 4),
        ("fatal", None, 4),
        ("moderate", 1, 4),
        ("moderate", None, 0),
        ("warning", 1, 0),
        ("warning", None, 0),
    ],
)
def test_severity_decides_the_exit_code(severity: Severity, wrong: int | None, code: int) -> None:
    planned = plan(file(1), checks=(planned_check(severity=severity),))
    drive = Drive(planned, world=Finding(it_is_right=[wrong]), checks="fail")
    last = ended(drive)
    assert (last.exit_code, last.failed_checks) == (code, ("it is right",))
    assert (last.error is None) == (code == 0)
    warned = Drive(planned, world=Finding(it_is_right=[wrong]), checks="warn")
    assert (ended(warned).exit_code, ended(warned).failed_checks) == (0, ("it is right",))


def test_with_warn_nothing_is_asked_before_publishing() -> None:
    drive = Drive(LOOP_PLAN, world=Finding(it_may_be_published=[1]), checks="warn")
    assert ended(drive).exit_code == 0
    assert drive.of("error_prompt") == []


def test_a_check_of_a_file_that_failed_is_left_out_but_not_that_of_an_old_table() -> None:
    old = replace(planned_check("it is new", files=("f1",)), expect=("fresh",), source="dwx")
    planned = plan(file(1, critical=False), file(2), checks=(planned_check(files=("f1",)), old))

    class Old(World):
        def finds(self, planned: PlannedCheck) -> Check:
            return judged(planned_check(planned.name), [{"wrong": 1}], 1)

    drive = Drive(
        planned,
        lambda executed: failure(executed) if executed.statement == "f1.s1" else success(executed),
        Old(),
        checks="fail",
    )
    told = {event.name: event.status for event in drive.of("check")}
    assert told == {"it is right": "skipped", "it is new": "failed"}
    assert ended(drive).exit_code == 4


def test_coverage_and_sizes_come_from_the_checks_that_measure_them() -> None:
    checks = (
        planned_check("coverage", table="c.s.t1", share=("with_id", "rows")),
        planned_check("empty", table="c.s.t2", share=("with_id", "rows")),
        planned_check("clusters", sizes=True),
    )
    rows = {
        "coverage": {"wrong": 0, "with_id": 45, "rows": 60},
        "empty": {"wrong": 0, "with_id": 0, "rows": 0},
        "clusters": {"wrong": 0, "largest": 7, "clusters": 3},
    }

    class Measuring(World):
        def finds(self, planned: PlannedCheck) -> Check:
            return judged(planned, [rows[planned.name]], 1)

    last = ended(Drive(plan(file(1), checks=checks), world=Measuring(), checks="fail"))
    assert last.coverage == {"c.s.t1": 0.75}
    assert last.clusters == {"wrong": 0, "largest": 7, "clusters": 3}


class Silent(Drive):
    """A warehouse that does not come back from its checks."""

    def _perform(self, effect: Any) -> None:
        if isinstance(effect, MakeChecks):
            self.effects.append(effect)
        else:
            super()._perform(effect)


def test_a_signal_while_checks_are_made_cancels_them_and_ends_the_run() -> None:
    drive = Silent(plan(file(1), checks=(FINAL,)), checks="fail")
    assert isinstance(drive.state.phase, Validating)
    drive.feed(StopRequested("SIGTERM", "now"))
    assert isinstance(drive.effects[-1], CancelRunning)
    drive.feed(ChecksEnded(3))
    assert ended(drive).exit_code == 6


def test_checks_that_a_process_did_not_live_to_see_are_made_by_the_next() -> None:
    drive = Silent(plan(file(1), checks=(FINAL,)), checks="fail")
    again = Drive.resume(drive.entries, plan(file(1), checks=(FINAL,)), checks="fail")
    assert [event.status for event in again.of("check")] == ["passed"]
    assert ended(again).exit_code == 0
    assert [one.statement for one in again.executed] == []


def test_a_question_about_a_result_survives_a_suspension() -> None:
    drive = Drive(LOOP_PLAN, world=Finding(it_may_be_published=[1]), checks="fail")
    drive.feed(DeadlinePassed("p1"))
    assert drive.exit_code == 5
    again = Drive.resume(drive.entries, LOOP_PLAN, checks="fail")
    assert isinstance(again.state.phase, Asking)
    again.decide("p1", "continue")
    assert ended(again).exit_code == 4


def test_a_check_that_comes_after_the_run_was_stopped_does_no_harm() -> None:
    drive = Silent(plan(file(1), checks=(FINAL,)), checks="fail")
    drive.feed(StopRequested("SIGTERM", "now"))
    drive.feed(ChecksEnded(3))
    events = len(drive.entries)
    drive.feed(Examined(judged(FINAL, [{"wrong": 0}], 1)))
    assert len(drive.entries) == events


def test_what_a_loop_that_was_left_out_has_left_is_old_and_may_be() -> None:
    fresh = ("c.s.loop_final", "c.s.graph", "c.s.t3")
    checks = tuple(
        replace(planned_check(f"{table} is new", table=table), expect=("fresh",)) for table in fresh
    )
    rename = replace(statement("f3.s1", "rename", "c.s.graph"), renames="c.s.loop_final")
    planned = plan(
        file(1),
        file(2, iteration=1),
        file(3, rename, statement("f3.s2", target="c.s.t3")),
        loops=(loop("f2"),),
        checks=checks,
    )

    class Old(World):
        def finds(self, planned: PlannedCheck) -> Check:
            return judged(planned_check(planned.name), [{"wrong": 1}], 1)

    drive = Drive(planned, world=Old(), checks="fail", skip_loop=True)
    told = {event.name: event.status for event in drive.of("check")}
    assert list(told.values()) == ["skipped", "skipped", "failed"]


def test_a_check_that_was_corrected_is_made_as_it_is_when_the_run_is_resumed() -> None:
    drive = Drive(LOOP_PLAN, world=Finding(it_may_be_published=[None]), checks="fail")
    drive.feed(DeadlinePassed("p1"))
    corrected = replace(PUBLISH, sql="SELECT 0 AS wrong")
    again = Drive.resume(
        drive.entries, replace(LOOP_PLAN, checks=(corrected, FINAL)), checks="fail"
    )
    again.decide("p1", "retry")
    assert again.checked[0].sql == "SELECT 0 AS wrong"
    assert ended(again).exit_code == 0
