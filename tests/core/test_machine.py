"""What a run does, told as inputs and the events that come out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import pytest

from executor.core.effects import (
    CancelRunning,
    Effect,
    Emit,
    Execute,
    GenerateFile,
    SetTimer,
)
from executor.core.inputs import (
    Begun,
    Broken,
    DeadlinePassed,
    FileUnreadable,
    Input,
    PlanRead,
    Refused,
    SessionRefused,
    StopRequested,
    Succeeded,
    Undecidable,
)
from executor.core.machine import IllegalInputError, step
from executor.core.state import Asking, Executing, State
from executor.replay.verify import verify
from protocol.decisions import Cancel, Decide, Ping, SetPolicy
from protocol.events import RowCounts, RunFinished
from protocol.policy import Match, Rule
from tests.core.drive import (
    START,
    Drive,
    Script,
    error,
    failure,
    file,
    hello,
    loop,
    plan,
    statement,
    success,
)


def failing(*statements: str, times: int = 1, class_: str = "TABLE_OR_VIEW_NOT_FOUND") -> Script:
    """A warehouse on which these statements fail the first `times` times."""
    left = dict.fromkeys(statements, times)

    def answer(executed: Execute) -> Input:
        if left.get(executed.statement, 0) > 0:
            left[executed.statement] -= 1
            return failure(executed, class_)
        return success(executed)

    return answer


def changing(*counts: int | None) -> Script:
    """A warehouse whose convergence tests give these numbers, the last one for ever."""
    numbers: Iterator[int | None] = chain(counts, repeat(counts[-1]))

    def answer(executed: Execute) -> Input:
        if executed.kind == "probe":
            return success(executed, value=next(numbers))
        return success(executed)

    return answer


def finished(drive: Drive) -> Any:
    last = drive.events[-1]
    assert isinstance(last, RunFinished)
    assert last.events == drive.entries[-1].seq == len(drive.entries)
    assert list(verify(drive.entries)) == []
    return last


def emitted(effects: tuple[Effect, ...]) -> list[Any]:
    return [effect.entry.event for effect in effects if isinstance(effect, Emit)]


LOOP_PLAN = plan(
    file(1),
    file(2, iteration=1),
    file(3, iteration=2),
    file(4, depends_on=("f2", "f3")),
    loops=(loop("f2", "f3"),),
)
SHORT_LOOP_PLAN = plan(
    file(1),
    file(2, iteration=1),
    file(3, depends_on=("f2",)),
    loops=(loop("f2", max_iterations=2),),
)


def test_files_run_in_order_and_every_statement_is_announced_before_it_is_sent() -> None:
    drive = Drive(plan(file(1), file(2)))
    assert finished(drive).exit_code == 0
    assert [one.statement for one in drive.executed] == ["f1.s1", "f2.s1"]
    announced = [place for place, effect in enumerate(drive.effects) if isinstance(effect, Execute)]
    for place in announced:
        before = drive.effects[place - 1]
        assert isinstance(before, Emit)
        assert before.durable
        assert before.entry.event.type == "statement_started"


def test_a_dry_run_stops_after_the_plan() -> None:
    drive = Drive(plan(file(1)), dry_run=True)
    assert drive.types() == ["hello", "plan", "run_finished"]
    assert finished(drive).exit_code == 0


def test_a_plan_that_is_refused_ends_the_run_before_anything_is_executed() -> None:
    state, _ = step(State("r-test22"), Begun(hello()), START)
    state, effects = step(state, Refused(error("DWX_NO_SQL_FILES")), START)
    last = emitted(effects)[0]
    assert (last.exit_code, last.error.class_) == (2, "DWX_NO_SQL_FILES")


def test_a_session_that_is_refused_ends_the_run_as_never_connected() -> None:
    state, _ = step(State("r-test22"), Begun(hello()), START)
    state, _ = step(state, PlanRead(plan(file(1))), START)
    state, effects = step(state, SessionRefused(error("DWX_UNREACHABLE")), START)
    assert emitted(effects)[0].exit_code == 7


def test_rows_are_counted_by_file_and_table() -> None:
    drive = Drive(
        plan(
            file(
                1,
                statement("f1.s1", "replace", "c.s.t1"),
                statement("f1.s2", "insert", "c.s.t1", unit="f1.s1"),
                statement("f1.s3", "insert", "c.s.t1", unit="f1.s1"),
            )
        ),
        lambda executed: Succeeded(
            executed.statement,
            1,
            "q",
            rows=RowCounts(total=7, inserted=7, source="result")
            if executed.kind == "insert"
            else None,
        ),
    )
    assert [(table.name, table.rows) for table in finished(drive).tables] == [("c.s.t1", 14)]
    assert [event.rows for event in drive.of("file_finished")] == [14]


def test_an_unknown_row_count_stays_unknown() -> None:
    drive = Drive(
        plan(file(1)),
        lambda executed: Succeeded(executed.statement, 1, "q", rows=RowCounts(source="unknown")),
    )
    assert finished(drive).tables[0].rows is None
    assert drive.of("rows_affected")[0].total is None


# --- errors -----------------------------------------------------------------------------------


def test_a_failed_statement_asks_and_waits() -> None:
    drive = Drive(plan(file(1), file(2, depends_on=("f1",))), failing("f1.s1"))
    prompt = drive.of("error_prompt")[0]
    assert drive.exit_code is None
    assert prompt.prompt == "p1"
    assert prompt.outcome == "not_committed"
    assert prompt.dependents == ("f2",)
    assert [choice.choice for choice in prompt.choices] == [
        "retry", "done", "skip", "continue", "abort",
    ]  # fmt: skip
    assert isinstance(drive.effects[-1], SetTimer)


def test_retry_reads_the_file_again_and_starts_at_the_retry_unit() -> None:
    unit = (
        statement("f1.s1", "replace", "c.s.t1"),
        statement("f1.s2", "insert", "c.s.t1", unit="f1.s1"),
    )
    drive = Drive(plan(file(1, *unit)), failing("f1.s2"))
    drive.decide("p1", "retry")
    assert [one.statement for one in drive.executed] == ["f1.s1", "f1.s2", "f1.s1", "f1.s2"]
    assert [event.attempt for event in drive.of("statement_started")] == [1, 1, 2, 2]
    assert [event.changed for event in drive.of("file_planned")] == [False]
    assert finished(drive).exit_code == 0


def test_an_edited_file_is_retried_as_it_is_now() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1"))
    drive.files["f1"] = file(1, statement("f1.s1", target="c.s.other"), sha256="two")
    drive.decide("p1", "retry")
    assert drive.of("file_planned")[0].changed
    assert drive.executed[-1].target == "c.s.other"
    assert finished(drive).exit_code == 0


def test_editing_a_committed_statement_is_asked_about_and_nothing_runs_twice() -> None:
    first, second = statement("f1.s1"), statement("f1.s2", target="c.s.u")
    drive = Drive(plan(file(1, first, second)), failing("f1.s2"))
    edited = statement("f1.s1", "insert")
    drive.files["f1"] = file(1, replace(edited, sha256="edited"), second, sha256="two")
    drive.decide("p1", "retry")
    assert drive.of("error_prompt")[1].error.class_ == "DWX_COMMITTED_STATEMENT_CHANGED"
    assert [one.statement for one in drive.executed] == ["f1.s1", "f1.s2"]
    drive.files["f1"] = file(1, first, second)
    drive.decide("p2", "retry")
    assert [one.statement for one in drive.executed] == ["f1.s1", "f1.s2", "f1.s2"]
    assert finished(drive).exit_code == 0


def test_skip_leaves_out_what_needs_the_file_and_goes_on_with_the_rest() -> None:
    drive = Drive(
        plan(file(1), file(2, depends_on=("f1",)), file(3, depends_on=("f2",)), file(4)),
        failing("f1.s1"),
    )
    drive.decide("p1", "skip")
    assert [(event.file, event.status) for event in drive.of("file_finished")] == [
        ("f1", "failed"), ("f2", "skipped"), ("f3", "skipped"), ("f4", "completed"),
    ]  # fmt: skip
    last = finished(drive)
    assert (last.exit_code, last.outcome) == (4, "incomplete")


def test_continue_runs_even_what_needs_the_file() -> None:
    drive = Drive(plan(file(1), file(2, depends_on=("f1",))), failing("f1.s1"))
    drive.decide("p1", "continue")
    assert [one.statement for one in drive.executed] == ["f1.s1", "f2.s1"]
    assert finished(drive).exit_code == 4


def test_done_goes_on_with_the_next_statement() -> None:
    drive = Drive(
        plan(file(1, statement("f1.s1"), statement("f1.s2", target="c.s.u"))), failing("f1.s1")
    )
    drive.decide("p1", "done")
    assert [one.statement for one in drive.executed] == ["f1.s1", "f1.s2"]
    assert finished(drive).exit_code == 0


def test_abort_stops_the_run_and_carries_the_error() -> None:
    drive = Drive(plan(file(1), file(2)), failing("f1.s1"))
    drive.decide("p1", "abort")
    last = finished(drive)
    assert last.exit_code == 3
    assert last.error is not None
    assert last.error.class_ == "TABLE_OR_VIEW_NOT_FOUND"
    assert [one.statement for one in drive.executed] == ["f1.s1"]


def test_a_leaf_file_that_fails_never_stops_the_run() -> None:
    drive = Drive(plan(file(1, critical=False), file(2)), failing("f1.s1"))
    assert drive.of("error_prompt") == []
    assert drive.of("warning")[0].code == "LEAF_FAILED"
    last = finished(drive)
    assert (last.exit_code, last.files.completed, last.files.failed) == (4, 1, 1)


def test_an_unknown_outcome_of_a_write_offers_no_retry_and_abort_exits_9() -> None:
    insert = statement("f1.s1", "insert", idempotent=False)
    drive = Drive(
        plan(file(1, insert)),
        lambda executed: failure(executed, "DWX_CONNECTION_LOST", outcome="unknown"),
    )
    prompt = drive.of("error_prompt")[0]
    assert prompt.outcome == "unknown"
    assert "retry" not in [choice.choice for choice in prompt.choices]
    assert drive.of("statement_finished")[0].status == "unknown"
    drive.decide("p1", "abort")
    assert finished(drive).exit_code == 9


def test_going_on_without_knowing_whether_a_write_committed_exits_9() -> None:
    insert = statement("f1.s1", "insert", idempotent=False)
    drive = Drive(
        plan(file(1, insert), file(2)),
        lambda executed: (
            failure(executed, "DWX_CONNECTION_LOST", outcome="unknown")
            if executed.statement == "f1.s1"
            else success(executed)
        ),
    )
    drive.decide("p1", "skip")
    assert finished(drive).exit_code == 9


def test_an_unknown_outcome_of_an_idempotent_unit_may_be_retried() -> None:
    unknown = iter([True, False])
    drive = Drive(
        plan(file(1)),
        lambda executed: (
            failure(executed, "DWX_CONNECTION_LOST", outcome="unknown")
            if next(unknown)
            else success(executed)
        ),
    )
    drive.decide("p1", "retry")
    assert finished(drive).exit_code == 0


def test_an_unknown_outcome_may_be_looked_at_again_and_is_never_sent_again() -> None:
    insert = statement("f1.s1", "insert", idempotent=False)
    drive = Drive(
        plan(file(1, insert)),
        lambda executed: failure(executed, "DWX_CONNECTION_LOST", outcome="unknown"),
    )
    assert [event.status for event in drive.of("check")] == ["unknown"]
    assert "check" in [choice.choice for choice in drive.of("error_prompt")[0].choices]
    drive.decide("p1", "check")
    assert [event.status for event in drive.of("check")] == ["unknown", "unknown"]
    assert drive.of("error_prompt")[1].error.class_ == "DWX_CONNECTION_LOST"
    drive._outcome = lambda check: "committed"
    drive.decide("p2", "check")
    assert [event.status for event in drive.of("check")] == ["unknown", "unknown", "passed"]
    assert [one.statement for one in drive.executed] == ["f1.s1"]
    assert finished(drive).exit_code == 0


# --- decisions --------------------------------------------------------------------------------


def test_a_decision_given_in_advance_answers_its_prompt() -> None:
    answer = failing("f2.s1")
    drive = Drive(plan(file(1), file(2)), lambda executed: None)  # type: ignore[arg-type,return-value]
    drive.decide("p1", "abort")
    assert drive.of("decision_accepted")[0].kept
    drive._answer = answer
    drive.feed(success(drive.executed[-1]))
    assert drive.of("prompt_resolved")[0].how == "decision"
    assert finished(drive).exit_code == 3


@pytest.mark.parametrize(
    ("decision", "code"),
    [
        (Decide(prompt="p1", choice="extend"), "not_offered"),
        (Decide(prompt="p1", choice="yes"), "not_offered"),
        (Decide(prompt="question", choice="skip"), "unknown_prompt"),
        (Decide(prompt="p1", choice="skip", digest="another"), "stale"),
        (Decide(prompt="p1", choice="skip", run="r-another"), "wrong_run"),
        (Decide(prompt="p1", choice="retry", params={"iterations": 0}), "malformed"),
    ],
)
def test_a_decision_that_does_not_fit_is_rejected_and_the_prompt_stays_open(
    decision: Decide, code: str
) -> None:
    from executor.core.inputs import Decided

    drive = Drive(plan(file(1)), failing("f1.s1"))
    drive.feed(Decided(decision, "d1", "stdin"))
    assert drive.of("decision_rejected")[0].code == code
    assert isinstance(drive.state.phase, Asking)
    drive.decide("p1", "done")
    assert finished(drive).exit_code == 0


def test_the_first_valid_answer_wins_and_the_second_is_told_what_won() -> None:
    drive = Drive(plan(file(1), file(2)), failing("f1.s1", "f2.s1"))
    drive.decide("p1", "done", by="first")
    drive.decide("p1", "abort", by="second")
    rejected = drive.of("decision_rejected")[0]
    assert rejected.code == "already_resolved"
    assert "done" in str(rejected.detail)
    assert "first" in str(rejected.detail)


def test_a_kept_decision_that_names_its_run_and_does_not_fit_leaves_a_log_that_verifies() -> None:
    drive = Drive(plan(file(1), file(2)), failing("f1.s1", "f2.s1"))
    drive.decide("p2", "extend", run="r-test22")
    drive.decide("p1", "done", run="r-test22")
    (rejected,) = drive.of("decision_rejected")
    assert (rejected.code, rejected.run_named) == ("not_offered", None)
    drive.decide("p2", "done")
    assert finished(drive).exit_code == 0


def test_the_same_decision_again_has_no_effect() -> None:
    drive = Drive(plan(file(1), file(2)), failing("f1.s1", "f2.s1"))
    drive.decide("p1", "done", name="d1")
    events = len(drive.entries)
    drive.decide("p1", "done", name="d1")
    assert len(drive.entries) == events


def test_something_malformed_is_rejected_with_an_event() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1"))
    drive.feed(Undecidable("malformed", "not JSON", "stdin"))
    assert drive.of("decision_rejected")[0].code == "malformed"
    assert isinstance(drive.state.phase, Asking)


def test_a_remembered_answer_is_given_again_but_not_for_ever() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1", times=100))
    drive.decide("p1", "retry", remember="fingerprint")
    hows = [event.how for event in drive.of("prompt_resolved")]
    assert hows == ["decision", "policy", "policy", "policy"]
    assert isinstance(drive.state.phase, Asking)


def test_a_policy_answers_what_it_matches_as_often_as_it_may() -> None:
    from executor.core.inputs import Decided

    drive = Drive(plan(file(1), file(2), file(3)), failing("f1.s1", "f2.s1", "f3.s1"))
    rule = Rule(
        match=Match(class_="TABLE_OR_VIEW_NOT_FOUND", path="0*.sql"), choose="done", max_uses=2
    )
    drive.feed(Decided(SetPolicy(rules=(rule,)), "d1", "stdin"))
    assert [event.how for event in drive.of("prompt_resolved")] == ["policy", "policy"]
    assert isinstance(drive.state.phase, Asking)
    drive.decide("p3", "abort")
    assert finished(drive).exit_code == 3


def test_a_ping_is_answered_with_its_nonce() -> None:
    from executor.core.inputs import Decided

    drive = Drive(plan(file(1)), failing("f1.s1"))
    drive.feed(Decided(Ping(nonce="hi"), "d1", "stdin"))
    assert drive.of("decision_accepted")[0].nonce == "hi"


def test_an_unanswered_prompt_suspends_the_run_with_the_prompt_still_open() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1"))
    drive.feed(DeadlinePassed("p1"))
    assert drive.types()[-2:] == ["disconnected", "run_suspended"]
    assert drive.of("run_suspended")[0].open_prompts == ("p1",)
    assert drive.of("prompt_resolved") == []
    assert drive.exit_code == 5
    assert list(verify(drive.entries)) == []


@pytest.mark.parametrize(("unanswered", "code"), [("abort", 3), ("skip", 4)])
def test_an_unanswered_prompt_may_be_answered_by_the_deadline(unanswered: str, code: int) -> None:
    drive = Drive(plan(file(1)), failing("f1.s1"), on_unanswered=unanswered)
    drive.feed(DeadlinePassed("p1"))
    assert drive.of("prompt_resolved")[0].how == "timeout"
    assert finished(drive).exit_code == code


def test_a_deadline_that_comes_after_the_answer_changes_nothing() -> None:
    drive = Drive(plan(file(1), file(2)), failing("f1.s1", "f2.s1"))
    drive.decide("p1", "done")
    events = len(drive.entries)
    drive.feed(DeadlinePassed("p1"))
    assert len(drive.entries) == events


# --- stopping ---------------------------------------------------------------------------------


def test_a_signal_cancels_the_statement_and_ends_the_run_once_that_is_seen() -> None:
    drive = Drive(plan(file(1)), lambda executed: None)  # type: ignore[arg-type,return-value]
    drive.feed(StopRequested("SIGINT", "now"))
    assert isinstance(drive.effects[-1], CancelRunning)
    assert drive.exit_code is None
    drive.feed(failure(drive.executed[-1], "OPERATION_CANCELED", cancelled=True))
    last = finished(drive)
    assert (last.exit_code, last.outcome) == (6, "cancelled")
    assert last.files.failed == 1


def test_cancel_after_the_statement_lets_it_finish() -> None:
    from executor.core.inputs import Decided

    drive = Drive(plan(file(1), file(2)), lambda executed: None)  # type: ignore[arg-type,return-value]
    drive.feed(Decided(Cancel(mode="after_statement"), "d1", "stdin"))
    assert isinstance(drive.state.phase, Executing)
    drive.feed(success(drive.executed[-1]))
    assert finished(drive).exit_code == 6
    assert len(drive.executed) == 1


def test_a_cancelled_write_whose_outcome_is_unknown_exits_9() -> None:
    insert = statement("f1.s1", "insert", idempotent=False)
    drive = Drive(plan(file(1, insert)), lambda executed: None)  # type: ignore[arg-type,return-value]
    drive.feed(StopRequested("SIGTERM", "now"))
    drive.feed(failure(drive.executed[-1], outcome="unknown", cancelled=True))
    assert finished(drive).exit_code == 9


def test_a_signal_at_a_prompt_settles_the_prompt_as_cancelled() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1"))
    drive.feed(StopRequested("SIGINT", "now"))
    assert drive.of("prompt_resolved")[0].how == "cancelled"
    last = finished(drive)
    assert (last.exit_code, last.prompts.asked, last.prompts.resolved) == (6, 1, 1)


def test_a_record_that_cannot_be_written_ends_the_run_with_11() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1"))
    drive.feed(Broken("record", error("DWX_RECORD_NOT_WRITABLE")))
    assert drive.exit_code == 11


# --- loops ------------------------------------------------------------------------------------


def test_a_loop_ends_at_its_fixpoint_and_leaves_the_files_behind_it_out() -> None:
    drive = Drive(LOOP_PLAN, changing(0))
    assert [event.type for event in drive.of("iteration", "converged", "alias_created")] == [
        "iteration", "converged", "alias_created",
    ]  # fmt: skip
    assert drive.executed[-2].sql == (
        "CREATE OR REPLACE TABLE `c`.`s`.`loop_final` AS SELECT * FROM `c`.`s`.`loop_1`"
    )
    last = finished(drive)
    assert (last.exit_code, last.files.not_needed) == (0, 1)


def test_the_convergence_test_is_the_set_difference_both_ways_unless_one_is_enough() -> None:
    this, before = "SELECT `a`, `b` FROM `c`.`s`.`loop_1`", "SELECT `a`, `b` FROM `c`.`s`.`loop_0`"
    drive = Drive(LOOP_PLAN, changing(0))
    probe = next(one for one in drive.executed if one.kind == "probe")
    assert probe.sql == (
        f"SELECT GREATEST((SELECT COUNT(*) FROM ({this} EXCEPT {before}) AS came), "
        f"(SELECT COUNT(*) FROM ({before} EXCEPT {this}) AS went)) AS updated"
    )
    one_way = replace(LOOP_PLAN, loops=(replace(loop("f2", "f3"), one_way=True),))
    probe = next(one for one in Drive(one_way, changing(0)).executed if one.kind == "probe")
    assert probe.sql == f"SELECT COUNT(*) AS updated FROM ({this} EXCEPT {before}) AS changed"


def test_iterations_beyond_the_files_are_generated() -> None:
    drive = Drive(LOOP_PLAN, changing(9, 4, 1, 0))
    assert [(event.iteration, event.updated, event.source) for event in drive.of("iteration")] == [
        (1, 9, "file"), (2, 4, "file"), (3, 1, "generated"), (4, 0, "generated"),
    ]  # fmt: skip
    assert finished(drive).loops[0].iterations == 4


def test_a_loop_begins_with_the_iteration_that_its_first_file_makes() -> None:
    late = plan(file(1), file(2, iteration=3), file(3, iteration=4), loops=(loop("f2", "f3"),))
    drive = Drive(late, changing(5, 0))
    assert [event.iteration for event in drive.of("iteration")] == [3, 4]
    probe = next(one for one in drive.executed if one.kind == "probe")
    assert "`loop_2`" in str(probe.sql)
    assert finished(drive).exit_code == 0


def test_an_iteration_that_no_file_makes_is_generated_in_its_place() -> None:
    gap = plan(
        file(1), file(2, iteration=1), file(3, iteration=3), loops=(loop("f2", "f3"),)
    )  # fmt: skip
    drive = Drive(gap, changing(5, 4, 3, 0))
    assert [event.file for event in drive.of("file_started")] == [
        "f1", "f2", "loop1.i2", "f3", "loop1.i4",
    ]  # fmt: skip
    assert [event.source for event in drive.of("iteration")] == [
        "file", "generated", "file", "generated",
    ]  # fmt: skip
    assert finished(drive).exit_code == 0


def test_what_is_accepted_though_no_iteration_could_be_generated_is_the_last_there_is() -> None:
    drive = NoGeneration(SHORT_LOOP_PLAN, changing(5))
    drive.decide("p1", "accept")
    (alias,) = drive.of("alias_created")
    assert alias.from_ == "c.s.loop_1"
    assert finished(drive).loops[0].iterations == 1


class NoGeneration(Drive):
    """No iteration can be generated."""

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, GenerateFile):
            self._inputs.append(FileUnreadable(error("DWX_LOOP_NOT_GENERATED")))
        else:
            super()._perform(effect)


def test_a_failed_convergence_test_is_not_convergence() -> None:
    drive = Drive(LOOP_PLAN, failing("loop1.i1.probe"))
    assert drive.of("converged") == []
    assert drive.of("not_converged")[0].reason == "unknown"
    assert [choice.choice for choice in drive.of("error_prompt")[0].choices] == [
        "retry", "accept", "abort",
    ]  # fmt: skip
    drive.decide("p1", "retry")
    assert len(drive.of("converged")) == 1
    assert finished(drive).exit_code == 0


def test_a_convergence_test_without_a_number_is_not_convergence() -> None:
    drive = Drive(LOOP_PLAN, changing(None))
    assert drive.of("converged") == []
    assert drive.of("error_prompt")[0].error.class_ == "DWX_PROBE_WITHOUT_NUMBER"
    drive.decide("p1", "abort")
    assert finished(drive).exit_code == 8


def test_a_loop_at_its_limit_publishes_nothing_until_told() -> None:
    drive = Drive(SHORT_LOOP_PLAN, changing(5))
    assert drive.of("not_converged")[0].reason == "limit"
    assert drive.of("alias_created") == []
    assert isinstance(drive.state.phase, Asking)
    drive.decide("p1", "abort")
    last = finished(drive)
    assert (last.exit_code, last.loops[0].outcome) == (8, "not_converged")
    assert drive.of("alias_created") == []


def test_extend_goes_on_and_accept_publishes_as_is() -> None:
    drive = Drive(SHORT_LOOP_PLAN, changing(5))
    drive.decide("p1", "extend", params={"iterations": 3})
    assert drive.of("iteration")[-1].iteration == 5
    drive.decide("p2", "accept")
    last = finished(drive)
    assert (last.exit_code, last.loops[0].outcome) == (4, "accepted")
    assert len(drive.of("alias_created")) == 1


def test_a_caller_may_limit_the_iterations() -> None:
    drive = Drive(LOOP_PLAN, changing(5), max_iterations=1)
    assert drive.of("iteration")[-1].max_iterations == 1
    assert len(drive.of("not_converged")) == 1


def test_a_failed_iteration_never_publishes_an_old_result() -> None:
    drive = Drive(LOOP_PLAN, failing("f2.s1"))
    assert "continue" not in [one.choice for one in drive.of("error_prompt")[0].choices]
    drive.decide("p1", "skip")
    assert drive.of("alias_created") == []
    assert [(event.file, event.status) for event in drive.of("file_finished")][1:] == [
        ("f2", "failed"), ("f3", "skipped"), ("f4", "skipped"),
    ]  # fmt: skip
    last = finished(drive)
    assert (last.exit_code, last.loops[0].outcome) == (4, "unfinished")


def test_skip_loop_leaves_the_loop_out() -> None:
    drive = Drive(LOOP_PLAN, skip_loop=True)
    assert [one.statement for one in drive.executed] == ["f1.s1", "f4.s1"]
    assert finished(drive).files.not_needed == 2


def test_optimize_runs_on_loop_tables_and_outputs_and_its_failure_stops_nothing() -> None:
    numbers = iter([3, 0])

    def answer(executed: Execute) -> Input:
        if executed.kind == "optimize" and executed.target == "c.s.t1":
            return failure(executed, "DELTA_OPTIMIZE_FAILED")
        if executed.kind == "probe":
            return success(executed, value=next(numbers))
        return success(executed)

    planned = plan(
        file(1),
        file(2, statement("f2.s1", target="c.s.loop_1"), iteration=1),
        file(3, depends_on=("f2",)),
        loops=(loop("f2"),),
    )
    drive = Drive(planned, answer, optimize="all")
    assert [event.table for event in drive.of("optimized")] == ["c.s.loop_1", "c.s.t3"]
    assert [event.attempt for event in drive.of("retrying")] == [2]
    assert drive.of("warning")[0].code == "OPTIMIZE_FAILED"
    assert finished(drive).exit_code == 0


def test_an_illegal_input_is_refused_and_changes_nothing() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1"))
    with pytest.raises(IllegalInputError):
        step(drive.state, Succeeded("f1.s1", 1, None), START)


def test_nothing_follows_the_last_line() -> None:
    drive = Drive(plan(file(1)))
    state, effects = step(drive.state, StopRequested("SIGINT", "now"), START)
    assert (state, effects) == (drive.state, ())
