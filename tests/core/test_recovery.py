"""What a run does by itself about failures that pass, and about ends that nobody saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from executor.core.effects import CancelRunning, CheckCommit, CloseSession, OpenSession, SetTimer
from executor.core.inputs import DeadlinePassed, Decided, Input, StopRequested
from executor.core.prompts import KEEPING
from executor.core.retries import RUN_BUDGET
from executor.core.state import Asking
from executor.replay.verify import verify
from protocol.decisions import Decide, SetPolicy
from protocol.events import Outcome, PlannedStatement, RunFinished
from protocol.policy import Match, Rule
from tests.core.drive import Drive, Script, World, failure, file, plan, statement, success

INSERT = statement("f1.s2", "insert", "c.s.t1", idempotent=False)
LONE_INSERT = plan(file(1, statement("f1.s1", "use", None), INSERT), file(2, depends_on=("f1",)))


class Found(World):
    """What the warehouse says, look by look, and whether it can be reached."""

    def __init__(self, *outcomes: Outcome, reachable: bool = True) -> None:
        self._outcomes = iter(outcomes)
        self.reachable = reachable

    def outcome(self, check: CheckCommit) -> Outcome:
        return next(self._outcomes)

    def refuses(self) -> bool:
        return not self.reachable


def once(statement_id: str, *classes: str, outcome: Outcome = "unknown") -> Script:
    """The warehouse fails a statement in these ways, one after the other, then executes it."""
    left: Iterator[str] = iter(classes)

    def answer(executed: Any) -> Input:
        class_ = next(left, None) if executed.statement == statement_id else None
        if class_ is None:
            return success(executed)
        return failure(executed, class_, outcome=outcome)

    return answer


def sent(drive: Drive, statement_id: str = "f1.s2") -> int:
    return [one.statement for one in drive.executed].count(statement_id)


def finished(drive: Drive) -> RunFinished:
    last = drive.events[-1]
    assert isinstance(last, RunFinished), drive.types()[-3:]
    assert list(verify(drive.entries)) == []
    return last


# --- ends that nobody saw ---------------------------------------------------------------------


def test_a_write_whose_reply_was_lost_is_looked_up_and_not_sent_again_if_it_has_committed() -> None:
    drive = Drive(LONE_INSERT, once("f1.s2", "DWX_CONNECTION_LOST"), Found("committed"))
    last = finished(drive)
    assert (last.exit_code, sent(drive)) == (0, 1)
    assert [event.status for event in drive.of("check")] == ["passed"]
    assert (last.statements.succeeded, last.statements.unknown) == (3, 0)
    assert drive.of("error_prompt") == []


def test_a_write_that_has_not_committed_is_sent_again_in_a_new_session() -> None:
    drive = Drive(LONE_INSERT, once("f1.s2", "DWX_CONNECTION_LOST"), Found("not_committed"))
    last = finished(drive)
    assert (last.exit_code, sent(drive)) == (0, 2)
    assert [event.attempt for event in drive.of("retrying")] == [2]
    opened = [effect.replay for effect in drive.effects if isinstance(effect, OpenSession)]
    assert opened == [(), ("f1.s1",)]
    assert (last.statements.succeeded, last.statements.failed) == (3, 1)


def test_a_write_of_which_nothing_is_known_is_asked_about_and_its_target_can_be_restored() -> None:
    drive = Drive(LONE_INSERT, once("f1.s2", "DWX_CONNECTION_LOST"), Found("unknown"))
    (prompt,) = drive.of("error_prompt")
    assert prompt.outcome == "unknown"
    offered = {choice.choice: choice for choice in prompt.choices}
    assert list(offered) == ["check", "restore", "done", "skip", "continue", "abort"]
    assert not offered["restore"].safe
    assert "version 7" in offered["restore"].effect
    drive.version = 8
    drive.decide("p1", "restore")
    last = finished(drive)
    assert last.exit_code == 0
    order = [one.statement for one in drive.executed]
    assert order == ["f1.s1", "f1.s2", "f1.s2.restore", "f1.s2", "f2.s1"]
    assert drive.executed[2].sql == "RESTORE TABLE `c`.`s`.`t1` TO VERSION AS OF 7"


def test_what_is_as_it_was_before_the_statement_is_not_restored() -> None:
    drive = Drive(LONE_INSERT, once("f1.s2", "DWX_CONNECTION_LOST"), Found("unknown"))
    drive.decide("p1", "restore")
    assert finished(drive).exit_code == 0
    assert [one.statement for one in drive.executed] == ["f1.s1", "f1.s2", "f1.s2", "f2.s1"]


def test_a_restore_that_fails_is_asked_about_before_the_statement_is_sent_again() -> None:
    fails = iter([True, False])

    def answer(executed: Any) -> Input:
        if executed.statement == "f1.s2.restore" and next(fails):
            return failure(executed, "DELTA_LOG_FILE_NOT_FOUND")
        return lost(executed)

    lost = once("f1.s2", "DWX_CONNECTION_LOST")
    drive = Drive(LONE_INSERT, answer, Found("unknown"))
    drive.version = 8
    drive.decide("p1", "restore")
    assert drive.of("error_prompt")[1].statement == "f1.s2.restore"
    assert sent(drive) == 1
    drive.decide("p2", "retry")
    assert finished(drive).exit_code == 0
    assert sent(drive) == 2


def test_no_restore_is_offered_where_there_was_no_table() -> None:
    created = statement("f1.s1", "create_as", "c.s.t1", idempotent=False)
    drive = Drive(plan(file(1, created)), once("f1.s1", "DWX_CONNECTION_LOST"), Found("unknown"))
    offered = [choice.choice for choice in drive.of("error_prompt")[0].choices]
    assert "restore" not in offered
    assert "retry" not in offered


def test_a_timeout_is_looked_up_and_not_tried_again_by_itself() -> None:
    drive = Drive(LONE_INSERT, once("f1.s2", "DWX_STATEMENT_TIMEOUT"), Found("not_committed"))
    (check,) = [effect for effect in drive.effects if isinstance(effect, CheckCommit)]
    assert check.over
    (prompt,) = drive.of("error_prompt")
    assert (prompt.outcome, prompt.error.category) == ("not_committed", "timeout")
    assert "retry" in [choice.choice for choice in prompt.choices]
    assert sent(drive) == 1


# --- failures that pass -----------------------------------------------------------------------


def test_a_failure_that_passes_is_retried_as_often_as_its_budget_allows_and_then_asked_about() -> (
    None
):
    classes = ["DELTA_CONCURRENT_APPEND"] * 5
    drive = Drive(LONE_INSERT, once("f1.s2", *classes, outcome="not_committed"))
    assert [event.budget_left for event in drive.of("retrying")] == [2, 1, 0]
    assert sent(drive) == 4
    drive.decide("p1", "retry")  # somebody has looked: the budget is whole again
    assert sent(drive) == 6
    assert finished(drive).exit_code == 0


def test_pauses_grow_and_are_never_the_same_for_two_runs_or_longer_than_a_pace_allows() -> None:
    classes = ["REQUEST_LIMIT_EXCEEDED"] * 10
    drive = Drive(LONE_INSERT, once("f1.s2", *classes, outcome="not_committed"))
    delays = [event.delay_ms for event in drive.of("retrying")]
    assert len(delays) == 10
    assert all(1_000 <= delay <= 60_000 for delay in delays)
    assert delays[4] > 2 * delays[0]
    assert finished(drive).exit_code == 0


def test_the_warehouse_s_own_word_on_when_to_come_back_counts() -> None:
    answers = iter([7_000, 10**9])

    def answer(executed: Any) -> Input:
        said = next(answers, None) if executed.statement == "f1.s2" else None
        if said is None:
            return success(executed)
        failed = failure(executed, "REQUEST_LIMIT_EXCEEDED")
        return replace(failed, error=replace(failed.error, retry_after_ms=said))

    drive = Drive(LONE_INSERT, answer)
    assert [event.delay_ms for event in drive.of("retrying")] == [7_000, 300_000]


def test_a_run_has_a_budget_too() -> None:
    files = [file(number) for number in range(1, 10)]
    left = {f"f{number}.s1": 3 for number in range(1, 10)}

    def answer(executed: Any) -> Input:
        if left[executed.statement]:
            left[executed.statement] -= 1
            return failure(executed, "DELTA_CONCURRENT_APPEND")
        return success(executed)

    drive = Drive(plan(*files), answer)
    assert len(drive.of("retrying")) == RUN_BUDGET
    assert isinstance(drive.state.phase, Asking)


def test_a_leaf_file_is_retried_before_it_is_left_behind() -> None:
    classes = ["DELTA_CONCURRENT_APPEND"] * 9
    drive = Drive(
        plan(file(1, critical=False), file(2)), once("f1.s1", *classes, outcome="not_committed")
    )
    assert sent(drive, "f1.s1") == 4
    assert finished(drive).exit_code == 4


def test_a_stop_ends_a_pause() -> None:
    waits = once("f1.s2", "REQUEST_LIMIT_EXCEEDED", outcome="not_committed")
    drive = Drive(LONE_INSERT, waits, timers=False)
    drive.feed(StopRequested("SIGTERM", "now"))
    assert finished(drive).exit_code == 6
    assert sent(drive) == 1


# --- sessions ---------------------------------------------------------------------------------


def test_a_session_that_is_lost_is_opened_again_and_what_it_refused_is_sent() -> None:
    lost = once("f1.s2", "INVALID_HANDLE.SESSION_CLOSED", outcome="not_committed")
    drive = Drive(LONE_INSERT, lost)
    assert finished(drive).exit_code == 0
    assert [event.type for event in drive.of("connected", "reconnected")] == [
        "connected", "reconnected",
    ]  # fmt: skip
    assert sent(drive) == 2


def test_a_warehouse_that_cannot_be_reached_again_is_asked_about_and_nothing_is_lost() -> None:
    world = Found("committed", reachable=False)
    drive = Drive(LONE_INSERT, once("f1.s2", "DWX_CONNECTION_LOST"), world)
    (prompt,) = drive.of("error_prompt")
    assert prompt.error.class_ == "DWX_CONNECTION_REFUSED"
    assert (prompt.outcome, prompt.statement) == ("unknown", "f1.s2")
    assert [choice.choice for choice in prompt.choices] == ["retry", "abort"]
    world.reachable = True
    drive.decide("p1", "retry")
    assert (finished(drive).exit_code, sent(drive)) == (0, 1)


def test_a_run_that_lost_its_warehouse_may_be_suspended_and_goes_on_where_it_was() -> None:
    world = Found(reachable=False)
    drive = Drive(LONE_INSERT, once("f1.s2", "DWX_CONNECTION_LOST"), world)
    drive.feed(DeadlinePassed("p1"))
    assert drive.exit_code == 5
    again = Drive.resume(drive.entries, LONE_INSERT, success, lambda check: "committed")
    assert [event.how for event in again.of("prompt_resolved")] == ["superseded"]
    assert finished(again).exit_code == 0
    assert sent(again) == 0


def test_giving_up_a_write_in_doubt_with_its_warehouse_exits_with_9() -> None:
    world = Found(reachable=False)
    drive = Drive(LONE_INSERT, once("f1.s2", "DWX_CONNECTION_LOST"), world)
    drive.decide("p1", "abort")
    assert finished(drive).exit_code == 9


def test_a_session_is_let_go_while_an_answer_is_awaited_for_long() -> None:
    drive = Drive(LONE_INSERT, once("f1.s2", "TABLE_OR_VIEW_NOT_FOUND", outcome="not_committed"))
    timers = [effect.timer for effect in drive.effects if isinstance(effect, SetTimer)]
    assert timers == ["p1", KEEPING]
    drive.feed(DeadlinePassed(KEEPING))
    assert [event.reason for event in drive.of("disconnected")] == ["idle"]
    assert any(isinstance(effect, CloseSession) for effect in drive.effects)
    drive.decide("p1", "retry")
    assert [event.replayed for event in drive.of("reconnected")] == [1]
    assert finished(drive).exit_code == 0


def test_a_deadline_after_the_session_was_let_go_suspends_the_run() -> None:
    drive = Drive(LONE_INSERT, once("f1.s2", "TABLE_OR_VIEW_NOT_FOUND", outcome="not_committed"))
    drive.feed(DeadlinePassed(KEEPING))
    drive.feed(DeadlinePassed("p1"))
    assert drive.exit_code == 5
    assert list(verify(drive.entries)) == []


# --- stopping ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "exit_code"), [("committed", 6), ("not_committed", 6), ("unknown", 9)]
)
def test_a_write_that_is_cancelled_is_looked_up_before_the_run_ends(
    outcome: Outcome, exit_code: int
) -> None:
    def silent(executed: Any) -> Any:
        return None if executed.statement == "f1.s2" else success(executed)

    drive = Drive(LONE_INSERT, silent, Found(outcome))
    drive.feed(StopRequested("SIGINT", "now"))
    assert any(isinstance(effect, CancelRunning) for effect in drive.effects)
    drive.feed(
        failure(drive.executed[-1], "DWX_STATEMENT_CANCELLED", outcome="unknown", cancelled=True)
    )
    (check,) = [effect for effect in drive.effects if isinstance(effect, CheckCommit)]
    assert (check.wait, check.over) == (False, True)
    assert finished(drive).exit_code == exit_code


# --- in doubt, and in other processes ---------------------------------------------------------


def killed_while_filling() -> Drive:
    """A run whose process died while its INSERT was under way."""

    def silent(executed: Any) -> Any:
        return None if executed.statement == "f1.s2" else success(executed)

    return Drive(LONE_INSERT, silent)


def test_what_is_in_doubt_stays_so_through_a_resume_that_could_not_connect() -> None:
    refused = Drive.resume(killed_while_filling().entries, LONE_INSERT, refuses=True)
    (prompt,) = refused.of("error_prompt")
    assert (prompt.statement, prompt.outcome) == ("f1.s2", "unknown")
    refused.feed(DeadlinePassed("p1"))
    again = Drive.resume(refused.entries, LONE_INSERT, success, lambda check: "committed")
    assert again.of("hello")[-1].in_flight == "f1.s2"
    assert sent(again) == 0
    assert finished(again).exit_code == 0


def test_an_answer_kept_for_a_run_that_lost_its_warehouse_is_carried_out() -> None:
    refused = Drive.resume(killed_while_filling().entries, LONE_INSERT, refuses=True)
    refused.feed(DeadlinePassed("p1"))
    assert refused.exit_code == 5
    # as `dwx resume` takes in what waits in the inbox, before it connects
    again = Drive.resume(
        refused.entries,
        LONE_INSERT,
        first=(Decided(Decide(prompt="p1", choice="abort"), "kept", "inbox"),),
    )
    assert [event.choice for event in again.of("prompt_resolved")] == ["abort"]
    assert finished(again).exit_code == 9
    assert sent(again) == 0


def test_an_edit_of_a_statement_in_doubt_is_asked_about_and_has_to_be_undone() -> None:
    other = replace(INSERT, sha256="another")
    edited = plan(file(1, statement("f1.s1", "use", None), other, sha256="two"), file(2))
    again = Drive.resume(killed_while_filling().entries, edited, success, lambda check: "committed")
    (prompt,) = again.of("error_prompt")
    assert prompt.error.class_ == "DWX_COMMITTED_STATEMENT_CHANGED"
    assert [choice.choice for choice in prompt.choices] == ["retry", "abort"]
    assert [effect for effect in again.effects if isinstance(effect, CheckCommit)] == []
    again.decide("p1", "abort")
    assert finished(again).exit_code == 9


def test_what_runs_again_after_a_look_is_the_whole_retry_unit() -> None:
    filled = plan(
        file(
            1,
            statement("f1.s1", "replace", "c.s.t1"),
            statement("f1.s2", "insert", "c.s.t1", unit="f1.s1"),
        )
    )
    drive = Drive(filled, once("f1.s2", "DWX_CONNECTION_LOST"), Found("not_committed"))
    assert finished(drive).exit_code == 0
    assert [one.statement for one in drive.executed] == ["f1.s1", "f1.s2", "f1.s1", "f1.s2"]


def test_a_retry_that_may_meet_its_first_attempt_is_not_safe_and_no_rule_chooses_it() -> None:
    rules = SetPolicy(rules=(Rule(match=Match(), choose="retry", max_uses=None),), unmatched="ask")
    drive = Drive(plan(file(1)), lambda executed: None)  # type: ignore[arg-type,return-value]
    drive.feed(Decided(rules, "policy", "flag"))
    drive.feed(failure(drive.executed[-1], "DWX_CONNECTION_LOST", outcome="unknown"))
    (prompt,) = drive.of("error_prompt")
    assert [choice.choice for choice in prompt.choices if not choice.safe] == ["retry"]
    assert isinstance(drive.state.phase, Asking)


# --- what a session loses ---------------------------------------------------------------------


def replayed(*statements: PlannedStatement) -> tuple[str, ...]:
    """What is run again in the session after one that was lost behind these statements."""
    lost = once("f2.s1", "INVALID_HANDLE.SESSION_CLOSED", outcome="not_committed")
    drive = Drive(plan(file(1, *statements), file(2)), lost)
    assert finished(drive).exit_code == 0
    opened = [effect.replay for effect in drive.effects if isinstance(effect, OpenSession)]
    return opened[-1]


def use(number: int, head: str) -> PlannedStatement:
    return replace(statement(f"f1.s{number}", "use", None), head=head, sha256=head)


def test_what_a_later_use_overrides_is_not_run_again() -> None:
    catalog, schema = use(1, "USE CATALOG c2"), use(2, "USE SCHEMA x")
    assert replayed(catalog, schema) == ("f1.s1", "f1.s2")
    assert replayed(catalog, schema, use(3, "USE CATALOG c2")) == ("f1.s3",)
    assert replayed(catalog, schema, use(3, "use catalog c3"), use(4, "USE y")) == (
        "f1.s3", "f1.s4",
    )  # fmt: skip


def test_a_temporary_view_is_made_again_where_it_was_made() -> None:
    view = replace(statement("f1.s2", "replace", None), session=True)
    assert replayed(use(1, "USE SCHEMA a"), view, use(3, "USE SCHEMA b")) == (
        "f1.s1", "f1.s2", "f1.s3",
    )  # fmt: skip
