"""Checks before a run: what they lead to, told as inputs and the events that come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from executor.core.effects import CancelRunning, Execute, ReadPlan
from executor.core.inputs import (
    Begun,
    DeadlinePassed,
    Decided,
    Examined,
    Input,
    PlanRead,
    PreflightEnded,
    Refused,
    SessionClosed,
    SessionOpened,
    StopRequested,
)
from executor.core.machine import step
from executor.core.state import Asking, Preflighting, State
from executor.replay.verify import verify
from protocol.decisions import SetPolicy
from protocol.events import Check, CheckCounts, CheckStatus, RunFinished, Severity
from protocol.policy import Match, Rule
from tests.core.drive import START, Drive, Look, error, failure, file, hello, loop, plan

ONE_FILE = plan(file(1))


def check(
    status: CheckStatus = "passed", severity: Severity = "critical", name: str = "source table t"
) -> Check:
    return Check(
        name=name,
        phase="preflight",
        status=status,
        observed="what was seen",
        expected="exists",
        severity=severity,
    )


def looks(*rounds: Sequence[Check]) -> Look:
    """A warehouse that shows these checks, round by round, the last one for ever."""
    left: Iterator[Sequence[Check]] = iter(rounds[:-1])
    return lambda: next(left, rounds[-1])


def ended(drive: Drive) -> RunFinished:
    assert isinstance(drive.events[-1], RunFinished)
    assert list(verify(drive.entries)) == []
    return drive.events[-1]


def test_checks_that_pass_come_before_the_first_file() -> None:
    drive = Drive(ONE_FILE, look=looks([check(), check(name="other runs")]), preflight="on")
    assert drive.types()[3:7] == ["connected", "check", "check", "preflight_finished"]
    assert drive.types()[7] == "file_started"
    last = ended(drive)
    assert last.exit_code == 0
    assert last.checks == CheckCounts(passed=2)


def test_without_a_preflight_nothing_is_looked_at_and_nothing_is_counted() -> None:
    drive = Drive(ONE_FILE, look=looks([check("failed")]), preflight="off")
    assert drive.of("check", "preflight_finished") == []
    assert ended(drive).checks is None


@pytest.mark.parametrize(
    ("status", "severity"),
    [("failed", "warning"), ("failed", "moderate"), ("unknown", "fatal"), ("skipped", "fatal")],
)
def test_what_is_not_grave_or_not_known_stops_no_run(
    status: CheckStatus, severity: Severity
) -> None:
    drive = Drive(ONE_FILE, look=looks([check(status, severity)]), preflight="on")
    assert drive.of("error_prompt") == []
    assert ended(drive).exit_code == 0


def test_a_grave_check_that_fails_asks_before_anything_is_executed() -> None:
    found = [check(), check("failed", name="source table u"), check("failed", name="new table v")]
    drive = Drive(ONE_FILE, look=looks(found), preflight="on")
    assert drive.executed == []
    (prompt,) = drive.of("error_prompt")
    assert prompt.title == "checks before the run failed: source table u and 1 more"
    assert prompt.error.class_ == "DWX_PREFLIGHT_FAILED"
    assert "source table u: what was seen" in prompt.error.message
    assert [one.choice for one in prompt.choices] == ["retry", "skip", "continue", "abort"]
    assert list(verify(drive.entries)) == []


def test_continue_runs_all_the_same() -> None:
    drive = Drive(ONE_FILE, look=looks([check("failed")]), preflight="on")
    drive.decide("p1", "continue")
    last = ended(drive)
    assert last.exit_code == 0
    assert last.checks == CheckCounts(failed=1)


def test_skip_leaves_out_the_files_of_the_checks_and_what_needs_them() -> None:
    chain = plan(file(1), file(2), file(3, depends_on=("f2",)), file(4))
    failed = replace(check("failed"), files=("f2",))
    drive = Drive(chain, look=looks([failed]), preflight="on")
    (prompt,) = drive.of("error_prompt")
    assert (prompt.file, prompt.dependents) == ("f2", ("f3",))
    drive.decide("p1", "skip")
    assert [one.statement for one in drive.executed] == ["f1.s1", "f4.s1"]
    last = ended(drive)
    assert last.exit_code == 4
    assert (last.files.failed, last.files.skipped, last.files.completed) == (1, 1, 2)


def test_skip_leaves_out_a_loop_as_a_whole() -> None:
    looping = plan(
        file(1, iteration=1),
        file(2, iteration=2),
        file(3, depends_on=("f1", "f2")),
        file(4),
        loops=(loop("f1", "f2"),),
    )
    failed = replace(check("failed"), files=("f1", "f2"))
    drive = Drive(looping, look=looks([failed]), preflight="on")
    drive.decide("p1", "skip")
    assert [one.statement for one in drive.executed] == ["f4.s1"]
    last = ended(drive)
    assert last.exit_code == 4
    assert [one.outcome for one in last.loops] == ["unfinished"]  # type: ignore[union-attr]


def test_abort_ends_the_run_with_the_error() -> None:
    drive = Drive(ONE_FILE, look=looks([check("failed")]), preflight="on")
    drive.decide("p1", "abort")
    last = ended(drive)
    assert last.exit_code == 3
    assert last.error is not None
    assert last.error.class_ == "DWX_PREFLIGHT_FAILED"
    assert drive.executed == []


def test_retry_reads_the_files_again_and_checks_anew() -> None:
    drive = Drive(ONE_FILE, look=looks([check("failed")], [check()]), preflight="on")
    drive.decide("p1", "retry")
    assert [type(effect) for effect in drive.effects].count(ReadPlan) == 2
    assert len(drive.of("plan")) == 2
    assert len(drive.of("connecting")) == 1
    last = ended(drive)
    assert last.exit_code == 0
    assert last.checks == CheckCounts(passed=1)


def test_checks_of_the_way_stay_when_the_others_are_made_again() -> None:
    drive = Drive(ONE_FILE, look=looks([check("failed")], [check()]), preflight="on")
    # told while the session is open already, as after it was lost
    drive.feed(Examined(check(name="DNS")))
    drive.decide("p1", "retry")
    assert ended(drive).checks == CheckCounts(passed=2)


def test_a_policy_answers_for_the_preflight() -> None:
    drive = Drive(ONE_FILE, look=looks([check("failed")]), preflight="on")
    rule = Rule(match=Match(category="preflight"), choose="continue")
    drive.feed(Decided(SetPolicy(rules=(rule,), unmatched="ask"), "d1", "inbox"))
    assert ended(drive).exit_code == 0


def test_nobody_answers_and_the_run_is_suspended_and_checks_anew_when_it_is_resumed() -> None:
    first = Drive(ONE_FILE, look=looks([check("failed")]), preflight="on")
    first.feed(DeadlinePassed("p1"))
    assert first.exit_code == 5
    second = Drive.resume(first.entries, ONE_FILE, look=looks([check()]), preflight="on")
    (resolved,) = second.of("prompt_resolved")
    assert (resolved.prompt, resolved.how, resolved.choice) == ("p1", "superseded", None)
    last = ended(second)
    assert last.exit_code == 0
    assert last.checks == CheckCounts(passed=1)


def test_checks_that_fail_again_after_a_resume_are_asked_about_anew() -> None:
    first = Drive(ONE_FILE, look=looks([check("failed")]), preflight="on")
    first.feed(DeadlinePassed("p1"))
    still = looks([check("failed")])
    second = Drive.resume(first.entries, ONE_FILE, look=still, preflight="on")
    assert isinstance(second.state.phase, Asking)
    assert second.state.phase.prompt.prompt == "p2"
    second.decide("p2", "continue")
    assert ended(second).exit_code == 0


def test_a_run_that_died_while_checking_checks_anew() -> None:
    first = Drive(ONE_FILE, look=looks([check(), check("failed")]), preflight="on")
    for cut in range(4, 6):  # behind `connected`, and behind the first check
        second = Drive.resume(first.entries[:cut], ONE_FILE, preflight="on")
        assert len(second.of("preflight_finished")) == 1
        assert ended(second).exit_code == 0


def test_a_stop_while_checking_ends_the_run_and_cancels_what_runs() -> None:
    state = State("r-test22")
    for given in (Begun(hello(preflight="on")), PlanRead(ONE_FILE), SessionOpened("s1", 5, {})):
        state, _ = step(state, given, START)
    assert state.phase == Preflighting()
    state, effects = step(state, StopRequested("SIGTERM", "now"), START)
    assert any(isinstance(effect, CancelRunning) for effect in effects)
    state, effects = step(state, Examined(check("failed")), START)
    state, effects = step(state, PreflightEnded(1), START)
    assert not any(isinstance(effect, Execute) for effect in effects)
    state, effects = step(state, SessionClosed("s1", 1), START)
    assert state.flaws.cancelled


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([check()], 0),
        ([check("failed", "warning"), check("skipped", "fatal")], 0),
        ([check("unknown", "warning")], 0),
        ([check("failed")], 4),
        ([check("unknown")], 4),
    ],
)
def test_a_check_alone_executes_nothing_and_says_how_it_stands(
    found: list[Check], code: int
) -> None:
    drive = Drive(ONE_FILE, look=looks(found), preflight="only")
    assert drive.executed == []
    assert drive.of("error_prompt") == []
    last = ended(drive)
    assert last.exit_code == code
    assert (last.error is None) == (code == 0)


def test_a_statement_that_fails_later_is_asked_about_as_ever() -> None:
    drive = Drive(ONE_FILE, failure, look=looks([check()]), preflight="on")
    (prompt,) = drive.of("error_prompt")
    assert prompt.error == error("TABLE_OR_VIEW_NOT_FOUND", "f1.s1")


def test_a_directory_that_cannot_be_read_again_is_asked_about() -> None:
    drive = Unreadable(ONE_FILE, look=looks([check("failed")]), preflight="on")
    drive.decide("p1", "retry")
    prompt = drive.of("error_prompt")[-1]
    assert prompt.error.class_ == "DWX_NO_SQL_FILES"
    assert [one.choice for one in prompt.choices] == ["retry", "abort"]
    drive.decide("p2", "abort")
    assert ended(drive).exit_code == 3


class Unreadable(Drive):
    """A run whose directory is there once only."""

    def _read(self) -> Input:
        if self.of("plan"):
            return Refused(error("DWX_NO_SQL_FILES"))
        return super()._read()
