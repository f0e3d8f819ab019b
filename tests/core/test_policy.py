"""Policies: which rule answers, when none does, and what the log says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.core import policy
from executor.core.effects import ClearTimer, Execute, SetTimer
from executor.core.inputs import DeadlinePassed, Decided, Input
from executor.core.policy import AUTOMATIC_RETRIES, Subject
from executor.core.state import Asking, Policy
from executor.replay.verify import Folding, verify
from protocol.decisions import Decide, SetPolicy
from protocol.events import DecisionSource, Plan, PlannedFile
from protocol.policy import Match, Rule, Unmatched
from tests.core.drive import Drive, Script, failure, file, loop, plan, statement, success

SUBJECT = Subject(
    category="missing_object",
    class_="TABLE_OR_VIEW_NOT_FOUND",
    path="03_statistics.sql",
    kind="replace_as",
    attempt=1,
    offered=frozenset({"retry", "skip", "abort"}),
)


def rule(choose: str, max_uses: int | None = None, **match: Any) -> Rule:
    return Rule(match=Match(**match), choose=choose, max_uses=max_uses)


def chosen(*rules: Rule, subject: Subject = SUBJECT) -> int | None:
    return policy.choose(Policy(rules, (0,) * len(rules)), subject)


def failing(*statements: str, class_: str = "TABLE_OR_VIEW_NOT_FOUND") -> Script:
    """A warehouse on which these statements always fail."""

    def answer(executed: Execute) -> Input:
        if executed.statement in statements:
            return failure(executed, class_)
        return success(executed)

    return answer


def set_policy(
    drive: Drive,
    *rules: Rule,
    unmatched: Unmatched = "ask",
    name: str = "policy",
    source: DecisionSource = "flag",
) -> None:
    drive.feed(Decided(SetPolicy(rules=rules, unmatched=unmatched), name, source))


def with_policy(
    planned: Plan,
    answer: Script,
    *rules: Rule,
    unmatched: Unmatched = "ask",
    decisions: tuple[Decide, ...] = (),
    edited: PlannedFile | None = None,
) -> Drive:
    """Drives a run that has its policy before the first statement ends.

    `decisions` come then too; `edited` is what a file is when it is read again.
    """
    held: list[Execute] = []

    def hold_first(executed: Execute) -> Input | None:
        if not held:
            held.append(executed)
            return None
        return answer(executed)

    drive = Drive(planned, hold_first)  # type: ignore[arg-type]  # None: it takes its time
    if edited is not None:
        drive.files[edited.id] = edited
    set_policy(drive, *rules, unmatched=unmatched)
    for number, decision in enumerate(decisions):
        drive.feed(Decided(decision, f"d{number}", "stdin"))
    drive.feed(answer(held[0]))
    return drive


# --- which rule -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"category": "missing_object"},
        {"class_": "TABLE_OR_VIEW_NOT_FOUND"},
        {"path": "03_statistics.sql"},
        {"path": "03_*"},
        {"path": "0[1-3]_*.sql"},
        {"kind": "replace_as"},
        {"attempt": 1},
        {"category": "missing_object", "path": "*.sql", "kind": "replace_as", "attempt": 1},
    ],
)
def test_a_rule_matches_if_every_field_it_gives_agrees(match: dict[str, Any]) -> None:
    assert chosen(rule("skip", **match)) == 0


@pytest.mark.parametrize(
    "match",
    [
        {"category": "syntax"},
        {"class_": "TABLE_OR_VIEW"},
        {"class_": "table_or_view_not_found"},
        {"path": "03_Statistics.sql"},
        {"path": "statistics"},
        {"kind": "replace"},
        {"attempt": 2},
        {"category": "missing_object", "attempt": 2},
    ],
)
def test_one_field_that_does_not_agree_is_enough_not_to_match(match: dict[str, Any]) -> None:
    assert chosen(rule("skip", **match)) is None


def test_a_class_stands_for_its_subclasses_and_a_subclass_for_itself() -> None:
    broad = replace(SUBJECT, class_="DELTA_CONCURRENT_APPEND")
    narrow = replace(SUBJECT, class_="DELTA_CONCURRENT_APPEND.ROW_LEVEL_CHANGES")
    of_class = rule("retry", class_="DELTA_CONCURRENT_APPEND")
    of_subclass = rule("retry", class_="DELTA_CONCURRENT_APPEND.ROW_LEVEL_CHANGES")
    assert chosen(of_class, subject=narrow) == chosen(of_class, subject=broad) == 0
    assert chosen(of_subclass, subject=narrow) == 0
    assert chosen(of_subclass, subject=broad) is None


def test_a_question_without_error_or_file_matches_no_rule_that_names_one() -> None:
    about_loop = Subject(None, None, None, None, 1, frozenset({"extend", "accept", "abort"}))
    matches: list[dict[str, Any]] = [
        {"category": "quality"}, {"class_": "X"}, {"path": "*"}, {"kind": "merge"}
    ]  # fmt: skip
    for match in matches:
        assert chosen(rule("accept", **match), subject=about_loop) is None
    assert chosen(rule("accept"), subject=about_loop) == 0


def test_the_first_rule_that_matches_decides() -> None:
    assert chosen(rule("skip", path="04_*"), rule("retry", path="03_*"), rule("abort")) == 1


def test_a_rule_for_a_choice_that_is_not_offered_is_passed_over() -> None:
    assert chosen(rule("accept"), rule("approve"), rule("skip")) == 2


def test_a_rule_that_is_used_up_is_passed_over() -> None:
    rules = (rule("retry", max_uses=2), rule("skip"))
    used_once = Policy(rules, (1, 0))
    assert policy.choose(used_once, SUBJECT) == 0
    assert policy.choose(policy.used(used_once, 0), SUBJECT) == 1


# --- in a run ---------------------------------------------------------------------------------


def test_a_policy_of_the_command_line_is_in_the_log_and_answers() -> None:
    drive = with_policy(
        plan(file(1), file(2), file(3, depends_on=("f2",))),
        failing("f2.s1"),
        rule("skip", path="02*"),
    )
    (accepted,) = drive.of("decision_accepted")
    assert (accepted.kind, accepted.source, accepted.unmatched) == ("policy", "flag", "ask")
    (resolved,) = drive.of("prompt_resolved")
    assert (resolved.how, resolved.choice) == ("policy", "skip")
    assert (resolved.source, resolved.by) == ("policy", "rule 1")
    assert drive.exit_code == 4
    assert list(verify(drive.entries)) == []


def test_a_decision_in_advance_comes_before_the_policy() -> None:
    drive = with_policy(
        plan(file(1), file(2)),
        failing("f2.s1"),
        rule("skip"),
        unmatched="suspend",
        decisions=(Decide(prompt="p1", choice="done"),),
    )
    (resolved,) = drive.of("prompt_resolved")
    assert (resolved.how, resolved.choice) == ("decision", "done")
    assert drive.exit_code == 0


def test_a_rule_comes_before_a_remembered_answer_and_that_before_what_is_unmatched() -> None:
    drive = Drive(plan(file(1), file(2)), failing("f1.s1", "f2.s1"))
    drive.decide("p1", "retry", remember="fingerprint")
    assert [one.choice for one in drive.of("prompt_resolved")] == ["retry"] * 4
    set_policy(drive, rule("skip", attempt=5), unmatched="abort")
    assert [one.choice for one in drive.of("prompt_resolved")] == [*["retry"] * 4, "skip", "abort"]
    assert [one.by for one in drive.of("prompt_resolved")][-2:] == ["rule 1", "unmatched"]
    assert list(verify(drive.entries)) == []


def test_rules_that_retry_are_passed_over_once_a_statement_was_retried_often_enough() -> None:
    drive = with_policy(plan(file(1)), failing("f1.s1"), rule("retry"), rule("skip"))
    choices = [event.choice for event in drive.of("prompt_resolved")]
    assert choices == ["retry"] * AUTOMATIC_RETRIES + ["skip"]
    assert list(verify(drive.entries)) == []


def test_a_policy_sent_later_replaces_the_one_before() -> None:
    drive = with_policy(plan(file(1), file(2)), failing("f1.s1", "f2.s1"), rule("accept"))
    assert isinstance(drive.state.phase, Asking)
    set_policy(drive, rule("done"), name="later", source="stdin")
    assert [event.choice for event in drive.of("prompt_resolved")] == ["done", "done"]
    assert drive.exit_code == 0
    assert list(verify(drive.entries)) == []


# --- what no rule answers ---------------------------------------------------------------------


def test_unmatched_ask_waits_for_somebody() -> None:
    drive = with_policy(plan(file(1)), failing("f1.s1"), rule("skip", path="02*"))
    assert isinstance(drive.state.phase, Asking)
    assert any(isinstance(effect, SetTimer) for effect in drive.effects)


def test_unmatched_abort_ends_the_run_at_once() -> None:
    drive = with_policy(plan(file(1)), failing("f1.s1"), unmatched="abort")
    (resolved,) = drive.of("prompt_resolved")
    assert (resolved.how, resolved.choice, resolved.by) == ("policy", "abort", "unmatched")
    assert drive.exit_code == 3
    assert list(verify(drive.entries)) == []


def test_unmatched_suspend_closes_the_session_at_once_and_leaves_the_prompt_open() -> None:
    drive = with_policy(
        plan(file(1)), failing("f1.s1"), rule("skip", path="02*"), unmatched="suspend"
    )
    assert drive.types()[-3:] == ["error_prompt", "disconnected", "run_suspended"]
    assert not any(isinstance(effect, SetTimer) for effect in drive.effects)
    last = drive.of("run_suspended")[0]
    assert last.open_prompts == ("p1",)
    assert last.reason == "no rule of the policy answers p1"
    assert drive.exit_code == 5
    assert list(verify(drive.entries)) == []


def test_a_policy_that_suspends_does_so_at_a_prompt_that_is_already_open() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1"))
    set_policy(drive, unmatched="suspend", source="inbox")
    assert ClearTimer("p1") in drive.effects
    assert drive.types()[-3:] == ["decision_accepted", "disconnected", "run_suspended"]
    drive.feed(DeadlinePassed("p1"))  # the timer was faster than its end
    assert drive.exit_code == 5
    assert list(verify(drive.entries)) == []


def test_a_deadline_says_so_when_it_suspends() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1"))
    drive.feed(DeadlinePassed("p1"))
    assert drive.of("run_suspended")[0].reason == "no answer before the deadline"


@pytest.mark.parametrize(("unmatched", "code"), [("suspend", 5), ("abort", 8)])
def test_a_loop_that_does_not_converge_is_a_prompt_like_any_other(
    unmatched: Unmatched, code: int
) -> None:
    def answer(executed: Execute) -> Input:
        return success(executed, value=1) if executed.kind == "probe" else success(executed)

    planned = plan(file(1, iteration=1), loops=(loop("f1", max_iterations=1),))
    drive = with_policy(planned, answer, rule("extend", max_uses=1), unmatched=unmatched)
    assert [event.choice for event in drive.of("prompt_resolved")][:1] == ["extend"]
    assert drive.exit_code == code
    assert list(verify(drive.entries)) == []


def test_a_prompt_about_an_edited_file_is_one_a_policy_answers() -> None:
    first = file(1, statement("f1.s1", "insert"), statement("f1.s2"))
    committed = replace(first.statements[0], sha256="another")
    edited = replace(first, sha256="two", statements=(committed, first.statements[1]))
    drive = with_policy(
        plan(first),
        failing("f1.s2"),
        rule("retry", category="missing_object"),
        rule("skip", class_="DWX_COMMITTED_STATEMENT_CHANGED", path="01.sql"),
        edited=edited,
    )
    assert [event.by for event in drive.of("prompt_resolved")] == ["rule 1", "rule 2"]
    assert drive.exit_code == 4
    assert list(verify(drive.entries)) == []


# --- after a suspension -----------------------------------------------------------------------


def suspended() -> Drive:
    drive = with_policy(plan(file(1)), failing("f1.s1"), unmatched="suspend")
    assert drive.exit_code == 5
    return drive


def test_a_run_that_is_resumed_without_an_answer_is_suspended_by_its_policy_again() -> None:
    drive = Drive.resume(suspended().entries, plan(file(1)))
    assert drive.exit_code == 5
    assert drive.types()[-3:] == ["reconnected", "disconnected", "run_suspended"]
    assert drive.of("run_suspended")[-1].open_prompts == ("p1",)
    assert list(verify(drive.entries)) == []


@pytest.mark.parametrize(
    ("decision", "how"),
    [
        (Decide(prompt="p1", choice="done"), "decision"),
        (SetPolicy(rules=(rule("done"),), unmatched="suspend"), "policy"),
    ],
)
def test_an_answer_that_waits_for_the_resume_is_taken_before_the_policy_suspends_again(
    decision: Decide | SetPolicy, how: str
) -> None:
    waiting = Decided(decision, "d9", "inbox")
    drive = Drive.resume(suspended().entries, plan(file(1)), first=(waiting,))
    assert [event.how for event in drive.of("prompt_resolved")] == [how]
    assert drive.exit_code == 0
    assert list(verify(drive.entries)) == []


# --- laws -------------------------------------------------------------------------------------

MATCHES = st.builds(
    Match,
    category=st.sampled_from([None, None, "missing_object", "syntax"]),
    class_=st.sampled_from([None, None, "TABLE_OR_VIEW_NOT_FOUND", "OTHER"]),
    path=st.sampled_from([None, None, "0*", "02*"]),
    kind=st.sampled_from([None, None, "replace_as", "probe"]),
    attempt=st.sampled_from([None, None, 1, 2]),
)
CHOICES = ["retry", "skip", "continue", "done", "abort", "extend", "accept", "no such choice"]
RULES = st.builds(
    Rule,
    match=MATCHES,
    choose=st.sampled_from(CHOICES),
    max_uses=st.integers(1, 3),
)
UNMATCHED = st.sampled_from(["ask", "suspend", "abort"])


@settings(max_examples=200, deadline=None)
@given(st.lists(RULES, max_size=4), UNMATCHED, st.data())
def test_every_run_under_a_policy_ends_and_its_log_says_all_of_it(
    rules: list[Rule], unmatched: Unmatched, data: st.DataObject
) -> None:
    def answer(executed: Execute) -> Input:
        if executed.kind == "probe":
            return success(executed, value=data.draw(st.sampled_from([0, 1]), label="probe"))
        if data.draw(st.booleans(), label="fails"):
            class_ = data.draw(st.sampled_from(["TABLE_OR_VIEW_NOT_FOUND", "OTHER.SUB"]))
            return failure(executed, class_)
        return success(executed)

    planned = plan(
        file(1),
        file(2, iteration=1),
        file(3, depends_on=("f1",)),
        loops=(loop("f2", max_iterations=1),),
    )
    drive = with_policy(planned, answer, *rules, unmatched=unmatched)
    asked = 0
    while drive.exit_code is None:
        asking = drive.state.phase
        assert isinstance(asking, Asking)
        assert unmatched == "ask"
        asked += 1
        drive.decide(asking.prompt.prompt, "abort", name=f"d{asked}")
    for event in drive.of("prompt_resolved"):
        (prompt,) = (one for one in drive.of("error_prompt") if one.prompt == event.prompt)
        assert event.choice in [choice.choice for choice in prompt.choices]
    assert list(verify(drive.entries)) == []
    folding = Folding(drive.state.run)
    for entry in drive.entries:
        assert folding.take(entry) is None
    assert folding.state == drive.state
