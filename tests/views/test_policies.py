"""A policy against the prompts of a recorded run, and a policy from the decisions in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from executor.core.effects import Execute
from executor.core.inputs import DeadlinePassed, Decided, Input
from executor.runtime.policy_file import parse
from executor.views.policy_check import Verdict, as_json, as_text, check
from executor.views.policy_suggestion import suggest
from executor.views.recorded_prompts import recorded_prompts
from protocol.decisions import SetPolicy
from protocol.events import Plan
from protocol.policy import Match, Rule
from tests.core.drive import Drive, Script, error, failure, file, loop, plan, success
from tests.core.test_policy import failing, rule


def verdicts_of(drive: Drive, *rules: Rule, unmatched: Any = "ask") -> tuple[Verdict, ...]:
    policy = SetPolicy(rules=rules, unmatched=unmatched)
    return check(policy, recorded_prompts(drive.entries))


def suggested(drive: Drive) -> str:
    return suggest("r-test22", recorded_prompts(drive.entries))


def rules_of(drive: Drive) -> tuple[Rule, ...]:
    """The rules suggested, read back as the program would."""
    return parse(suggested(drive), "suggested.yaml").rules


def three_failures(*choices: str, **more: Any) -> Drive:
    drive = Drive(plan(file(1), file(2), file(3)), failing("f1.s1", "f2.s1", "f3.s1"))
    for number, choice in enumerate(choices, 1):
        drive.decide(f"p{number}", choice, **more)
    return drive


def not_converging() -> Drive:
    def answer(executed: Execute) -> Input:
        return success(executed, value=1) if executed.kind == "probe" else success(executed)

    return Drive(plan(file(1, iteration=1), loops=(loop("f1", max_iterations=1),)), answer)


# --- what was asked ---------------------------------------------------------------------------


def probe_without_number(executed: Execute) -> Input:
    return success(executed, value=None) if executed.kind == "probe" else success(executed)


def probe_fails(executed: Execute) -> Input:
    return failure(executed) if executed.kind == "probe" else success(executed)


def changed() -> Drive:
    drive = Drive(plan(file(1)), failing("f1.s1"))
    drive.files["f1"] = file(1, sha256="two")
    drive.decide("p1", "retry")
    return drive


ONE_LOOP = plan(file(1, iteration=1), loops=(loop("f1"),))


@pytest.mark.parametrize(
    ("drive", "path", "kind"),
    [
        (lambda: Drive(plan(file(1)), failing("f1.s1")), "01.sql", "replace_as"),
        (lambda: Drive(ONE_LOOP, probe_fails), None, "probe"),
        (lambda: Drive(ONE_LOOP, probe_without_number), None, "probe"),
        (not_converging, None, None),
    ],
)
def test_a_view_sees_of_a_prompt_what_the_machine_holds_against_rules(
    drive: Callable[[], Drive], path: str | None, kind: str | None
) -> None:
    """Whatever rule the machine would take, the view must take, and no other."""
    asked = drive()
    (one,) = recorded_prompts(asked.entries)
    assert (one.path, one.kind) == (path, kind)
    wanted = Match(path=path, kind=kind)
    asked.feed(Decided(SetPolicy(rules=(Rule(match=wanted, choose="abort"),)), "d", "stdin"))
    assert asked.of("prompt_resolved")[0].by == "rule 1"


def test_a_file_edited_before_its_retry_is_noticed() -> None:
    assert [one.edited for one in recorded_prompts(changed().entries)] == [True, False]


# --- check ------------------------------------------------------------------------------------


def test_a_check_says_which_rule_would_have_settled_which_prompt() -> None:
    drive = three_failures("skip", "done", "abort")
    verdicts = verdicts_of(drive, rule("skip", path="01*"), rule("retry", path="02*"))
    assert [(one.rule, one.choice) for one in verdicts] == [(1, "skip"), (2, "retry"), (None, None)]
    assert [one.differs for one in verdicts] == [False, True, True]


def test_a_check_counts_uses_and_retries_along() -> None:
    def always(executed: Execute) -> Input:
        return failure(executed)

    drive = Drive(plan(file(1)), always)
    for number in range(1, 6):
        drive.decide(f"p{number}", "retry")
    by = [one.rule for one in verdicts_of(drive, rule("done", 1), rule("retry"), rule("skip"))]
    assert by == [1, 2, 2, 2, 3, 3]


def test_a_check_agrees_with_a_run_under_that_policy() -> None:
    rules = (rule("retry", attempt=1), rule("done", 1, path="01*"), rule("skip"))
    drive = Drive(plan(file(1), file(2)), failing("f1.s1", "f2.s1"))
    drive.feed(Decided(SetPolicy(rules=rules), "d1", "flag"))
    verdicts = verdicts_of(drive, *rules)
    assert [f"rule {one.rule}" for one in verdicts] == [
        event.by for event in drive.of("prompt_resolved")
    ]
    assert not any(one.differs for one in verdicts)


@pytest.mark.parametrize(
    ("unmatched", "choice"), [("ask", None), ("suspend", None), ("abort", "abort")]
)
def test_what_no_rule_answers_is_settled_only_if_it_aborts(
    unmatched: str, choice: str | None
) -> None:
    (verdict,) = verdicts_of(three_failures("abort"), rule("accept"), unmatched=unmatched)
    assert (verdict.rule, verdict.choice) == (None, choice)
    assert verdict.passed_over == ((1, "not_offered"),)


def test_the_text_of_a_check_names_rules_and_reasons() -> None:
    policy = SetPolicy(rules=(rule("accept"), rule("skip", 1), rule("abort", path="9*")))
    verdicts = check(policy, recorded_prompts(three_failures("skip", "abort").entries))
    assert as_text(policy, verdicts) == (
        "p1: f1.s1 in 01.sql, line 1, failed: TABLE_OR_VIEW_NOT_FOUND\n"
        "  policy:   skip (rule 2)\n"
        "  recorded: skip (decision)\n"
        "  rule 1 matches, but accept is not offered\n"
        "p2: f2.s1 in 02.sql, line 1, failed: TABLE_OR_VIEW_NOT_FOUND\n"
        "  policy:   no answer (unmatched: ask)\n"
        "  recorded: abort (decision)\n"
        "  rule 1 matches, but accept is not offered\n"
        "  rule 2 matches, but is used up\n"
        "The policy settles 1 of 2 prompts.\n"
        "Rules that decided nothing here: 1, 3.\n"
    )


def test_the_json_of_a_check_says_the_same() -> None:
    policy = SetPolicy(rules=(rule("skip", path="01*"),))
    told = as_json("r", policy, check(policy, recorded_prompts(three_failures("done").entries)))
    assert (told["asked"], told["settled"], told["differing"]) == (2, 1, 1)
    first, second = told["prompts"]
    assert (first["rule"], first["choice"], first["recorded"]["choice"]) == (1, "skip", "done")
    assert (second["rule"], second["unmatched"], second["recorded"]) == (None, "ask", None)


# --- suggest ----------------------------------------------------------------------------------


def test_a_decision_becomes_a_rule_for_its_class_and_file_and_no_more() -> None:
    drive = three_failures("skip", "continue", "abort", by="ana", reason="known\nto fail")
    assert rules_of(drive) == tuple(
        rule(choice, class_="TABLE_OR_VIEW_NOT_FOUND", path=path)
        for choice, path in (("skip", "01.sql"), ("continue", "02.sql"), ("abort", "03.sql"))
    )
    text = suggested(drive)
    assert "# p1: TABLE_OR_VIEW_NOT_FOUND in 01.sql: skip by ana (known\\nto fail)" in text
    settled = verdicts_of(drive, *rules_of(drive))
    assert not any(one.differs for one in settled)


def test_a_path_is_taken_by_the_letter() -> None:
    odd = replace(file(1), path="01_[a]*.sql")
    drive = Drive(plan(odd), failing("f1.s1"))
    drive.decide("p1", "skip")
    (found,) = rules_of(drive)
    assert found.match.path == "01_[[]a][*].sql"
    assert [one.choice for one in verdicts_of(drive, found)] == ["skip"]


def test_a_text_from_outside_cannot_add_a_rule() -> None:
    evil = 'X"\n  - match: {}\n    choose: abort\n#'

    def answer(executed: Execute) -> Input:
        return replace(failure(executed), error=replace(error(evil), fingerprint="x"))

    drive = Drive(plan(replace(file(1), path=evil)), answer)
    drive.decide("p1", "skip", by=evil, reason=evil)
    assert rules_of(drive) == (rule("skip", class_=evil, path=evil.replace("*", "[*]")),)


def test_what_somebody_repaired_by_hand_is_no_rule() -> None:
    drive = three_failures("done")
    assert rules_of(drive) == ()
    assert "Not a rule: somebody had repaired it by hand" in suggested(drive)
    assert "  #   choose: done" in suggested(drive)


def test_a_retry_is_a_rule_only_where_the_error_goes_away_by_itself() -> None:
    def conflict(class_: str, times: int) -> Script:
        left = [class_] * times

        def answer(executed: Execute) -> Input:
            return failure(executed, left.pop()) if left else success(executed)

        return answer

    passing = Drive(plan(file(1)), conflict("DELTA_CONCURRENT_APPEND", 8))
    passing.decide("p1", "retry")
    passing.decide("p2", "retry")
    assert rules_of(passing) == (rule("retry", 2, class_="DELTA_CONCURRENT_APPEND", path="01.sql"),)
    repaired = Drive(plan(file(1)), conflict("TABLE_OR_VIEW_NOT_FOUND", 1))
    repaired.decide("p1", "retry")
    assert rules_of(repaired) == ()
    assert "does not go away by itself" in suggested(repaired)
    assert "the file had been edited" in suggested(changed())


def test_decisions_that_changed_with_the_attempt_become_rules_for_each_attempt() -> None:
    drive = Drive(plan(file(1)), failing("f1.s1", class_="DELTA_CONCURRENT_APPEND"))
    drive.decide("p1", "retry")
    drive.decide("p2", "skip")
    match: dict[str, Any] = {"class_": "DELTA_CONCURRENT_APPEND", "path": "01.sql"}
    assert rules_of(drive) == (
        rule("retry", 1, **match, attempt=4), rule("skip", **match, attempt=8)
    )  # fmt: skip


def test_decisions_that_contradict_each_other_are_no_rule() -> None:
    two = file(1, *file(1).statements, replace(file(1).statements[0], id="f1.s2", unit="f1.s2"))
    drive = Drive(plan(two), failing("f1.s1", "f1.s2"))
    drive.decide("p1", "done")
    drive.decide("p2", "skip")
    assert rules_of(drive) == ()
    assert "decisions differed (p1 done, p2 skip)" in suggested(drive)


def test_a_subclass_comes_before_its_class_which_would_take_its_prompts() -> None:
    classes = {"f1.s1": "A_CLASS", "f2.s1": "A_CLASS.SUB"}

    def answer(executed: Execute) -> Input:
        return failure(executed, classes[executed.statement])

    same = replace(file(2), path="01.sql")
    drive = Drive(plan(file(1), same), answer)
    drive.decide("p1", "skip")
    drive.decide("p2", "abort")
    assert [one.match.class_ for one in rules_of(drive)] == ["A_CLASS.SUB", "A_CLASS"]
    assert not any(one.differs for one in verdicts_of(drive, *rules_of(drive)))


def test_extending_a_loop_is_a_rule_as_often_as_it_was_extended() -> None:
    drive = not_converging()
    drive.decide("p1", "extend", params={"iterations": 2})
    drive.decide("p2", "extend", params={"iterations": 1})
    assert rules_of(drive) == (rule("extend", 2),)


@pytest.mark.parametrize("choice", ["accept", "abort"])
def test_what_nothing_narrows_down_is_no_rule(choice: str) -> None:
    drive = not_converging()
    drive.decide("p1", choice)
    assert rules_of(drive) == ()
    assert "nothing narrows it down" in suggested(drive)


def test_a_statement_of_the_executors_own_is_told_by_its_kind() -> None:
    drive = Drive(ONE_LOOP, probe_fails)
    drive.decide("p1", "accept")
    assert rules_of(drive) == (rule("accept", class_="TABLE_OR_VIEW_NOT_FOUND", kind="probe"),)


def open_prompt() -> Plan:
    return plan(file(1))


def test_what_time_or_an_end_settled_is_no_decision() -> None:
    expired = Drive(open_prompt(), failing("f1.s1"), on_unanswered="skip")
    expired.feed(DeadlinePassed("p1"))
    still_open = Drive(open_prompt(), failing("f1.s1"))
    unmatched = Drive(open_prompt(), failing("f1.s1"))
    unmatched.feed(Decided(SetPolicy(rules=(), unmatched="abort"), "d", "flag"))
    for drive, why in ((expired, "timeout"), (still_open, "open"), (unmatched, "unmatched")):
        assert rules_of(drive) == ()
        assert f"# No decision to go by: p1 ({why})." in suggested(drive)


def test_a_run_without_prompts_gives_a_policy_without_rules() -> None:
    drive = Drive(plan(file(1)))
    assert rules_of(drive) == ()
    text = as_text(SetPolicy(rules=()), verdicts_of(drive))
    assert text == "The policy settles 0 of 0 prompts.\n"
