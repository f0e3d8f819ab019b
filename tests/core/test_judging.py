"""From rows to a verdict on a check."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.core.judging import SLACK_MS, fresh, judged
from executor.workflow.expectations import parse_expectation
from protocol.events import PlannedCheck


def check(*expect: str) -> PlannedCheck:
    return PlannedCheck(
        name="c", phase="final", severity="critical", sql="", expect=expect, source="t"
    )


@pytest.mark.parametrize(
    ("expect", "row", "status"),
    [
        ("rows = expected", {"rows": 3, "expected": 3}, "passed"),
        ("rows = expected", {"rows": 3, "expected": 4}, "failed"),
        ("rows = expected", {"rows": Decimal("3.0"), "expected": "3"}, "passed"),
        ("rows = expected", {"rows": None, "expected": 3}, "unknown"),
        ("rows = expected", {"rows": 3}, "unknown"),
        ("rows = 0", {"rows": "no number"}, "unknown"),
        ("rows = 0", {"rows": float("nan")}, "unknown"),
        ("rows = 0", {"rows": True}, "unknown"),
        ("largest <= 0.1 * ids", {"largest": 10, "ids": 100}, "passed"),
        ("largest <= 0.1 * ids", {"largest": 11, "ids": 100}, "failed"),
        ("a != b", {"a": 1, "b": 2}, "passed"),
        ("a < -2.5", {"a": -3}, "passed"),
        ("a > 1", {"a": 1}, "failed"),
        ("a >= 1", {"a": 1}, "passed"),
    ],
)
def test_a_row_is_held_against_what_is_expected(
    expect: str, row: dict[str, Any], status: str
) -> None:
    assert judged(check(expect), [row], 1).status == status


def test_all_that_is_expected_must_hold_and_a_failure_weighs_more_than_what_is_unknown() -> None:
    both = check("a = 1", "b = 1")
    assert judged(both, [{"a": 1, "b": 1}], 1).status == "passed"
    assert judged(both, [{"a": 2, "b": None}], 1).status == "failed"
    assert judged(both, [{"a": 1, "b": None}], 1).status == "unknown"


@pytest.mark.parametrize("rows", [[], [{"a": 1}, {"a": 1}]])
def test_no_row_or_more_than_one_is_no_proof(rows: list[dict[str, Any]]) -> None:
    assert judged(check("a = 1"), rows, 1).status == "unknown"


def test_without_an_expectation_any_row_is_a_failure_and_is_shown() -> None:
    assert judged(check(), [], 1).status == "passed"
    found = judged(check(), [{"id": "x"}] * 5, 1)
    assert found.status == "failed"
    assert str(found.observed).count("id x") == 3


@pytest.mark.parametrize("text", ["1e5000", "1e99999999", "1e-99999999", "1e999999999999999999"])
def test_a_text_that_is_called_a_number_and_is_beyond_all_numbers_is_none(text: str) -> None:
    assert judged(check("n > 0"), [{"n": text}], 1).status == "unknown"
    assert judged(check("n > 0"), [{"n": 1, "m": text}], 1).measured == {"n": 1}


def test_what_was_measured_is_kept_as_whole_numbers() -> None:
    row = {"a": 1, "b": Decimal(2), "c": 0.5, "d": None, "e": "text"}
    assert judged(check("a = 1"), [row], 1).measured == {"a": 1, "b": 2}


@given(st.integers(), st.integers())
def test_comparing_is_what_it_is_in_mathematics(left: int, right: int) -> None:
    row = {"a": left, "b": right}
    for sign, holds in {
        "=": left == right, "!=": left != right, "<": left < right, "<=": left <= right,
        ">": left > right, ">=": left >= right,
    }.items():  # fmt: skip
        assert (judged(check(f"a {sign} b"), [row], 1).status == "passed") == holds
        assert (judged(check(f"a {sign} {right}"), [row], 1).status == "passed") == holds


@pytest.mark.parametrize("text", ["", "a", "a = ", "= 1", "a == 1", "a = b + 1", "1 = a", "a=b c"])
def test_what_is_no_expectation_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="rows = expected"):
        parse_expectation(text)


# --- written by this run ----------------------------------------------------------------------

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def history(age: timedelta, operation: str = "WRITE", form: str = "text") -> dict[str, Any]:
    then = NOW - age
    shown: Any = then.replace(tzinfo=None).isoformat(" ") if form == "text" else then
    return {"version": 1, "timestamp": shown, "operation": operation}


def status(entries: list[dict[str, Any]], ran_for: timedelta, now: Any = NOW) -> str:
    return fresh(check("fresh"), entries, now, round(ran_for.total_seconds() * 1000), 1).status


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from(["text", "value"]))
def test_a_table_is_fresh_if_it_was_written_no_longer_ago_than_the_run_began(
    age_ms: int, ran_for_ms: int, form: str
) -> None:
    entries = [history(timedelta(milliseconds=age_ms), form=form)]
    found = status(entries, timedelta(milliseconds=ran_for_ms))
    assert (found == "passed") == (age_ms <= ran_for_ms + SLACK_MS)
    assert found in ("passed", "failed")


def test_maintenance_makes_no_table_fresh() -> None:
    day = timedelta(days=1)
    entries = [history(timedelta(), "OPTIMIZE"), history(timedelta(), "VACUUM END"), history(day)]
    assert status(entries, timedelta(hours=1)) == "failed"
    assert status(entries[:2], timedelta(hours=1)) == "unknown"


def test_a_time_that_cannot_be_read_or_a_history_without_a_write_proves_nothing() -> None:
    assert status([{"timestamp": "yesterday", "operation": "WRITE"}], timedelta(1)) == "unknown"
    assert status([history(timedelta())], timedelta(1), now="soon") == "unknown"
    assert status([], timedelta(1)) == "unknown"
