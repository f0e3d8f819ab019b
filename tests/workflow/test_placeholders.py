"""What is filled in, and what a statement shows of itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.workflow.model import WorkflowError
from executor.workflow.placeholders import Filled, fill
from executor.workflow.statements import scan

VALUES = {"catalog": "lake", "day": "2026-01-31", "n": "3"}


def filled(sql: str, **more: str) -> Filled:
    return fill(scan(sql)[0], {**VALUES, **more}, source=sql, path="x.sql")


def test_a_placeholder_is_filled_in_wherever_code_is() -> None:
    sql = (
        "SELECT '${day}', \"${day}\", `${catalog}`.x, t_${n}.${n} /*+ H(${n}) */ FROM ${catalog}.t"
    )
    assert filled(sql).sent == (
        "SELECT '2026-01-31', \"2026-01-31\", `lake`.x, t_3.3 /*+ H(3) */ FROM lake.t"
    )


def test_comments_keep_theirs_defined_or_not() -> None:
    sql = "SELECT 1 -- ${day} ${unknown}\n, /* ${n} */ ${n}"
    assert filled(sql).sent == "SELECT 1 -- ${day} ${unknown}\n, /* ${n} */ 3"


def test_bodies_in_dollars_stay_as_they_are() -> None:
    sql = "CREATE FUNCTION f() RETURNS INT AS $$ return '${n}' + ${unknown} $$"
    assert filled(sql).sent == sql


def test_a_doubled_dollar_inside_quotes_stands_for_the_text_itself() -> None:
    assert filled("SELECT '$${n}', '$$$${x}'").sent == "SELECT '${n}', '$$${x}'"


def test_what_is_no_name_is_no_placeholder() -> None:
    sql = r"SELECT 'a${2}', '^x$', '${}', '$n'"
    assert filled(sql).sent == sql


@pytest.mark.parametrize(
    ("sql", "line", "position", "hint"),
    [
        ("SELECT 1,\n  '${dai}'", 2, 4, "${day}"),
        ("SELECT 1,\n\n ${catalogue}.x", 3, 2, "${catalog}"),
        ("SELECT ${schema}.x", 1, 8, "--schema"),
        ("SELECT ${wholly_other}", 1, 8, "--var wholly_other=VALUE"),
    ],
)
def test_an_undefined_one_is_an_error_with_its_place(
    sql: str, line: int, position: int, hint: str
) -> None:
    with pytest.raises(WorkflowError) as caught:
        filled(sql)
    error = caught.value
    assert (error.code, error.path) == ("UNDEFINED_PLACEHOLDER", "x.sql")
    assert (error.line, error.position) == (line, position)
    assert hint in error.suggestion


@pytest.mark.parametrize("value", ["a'; DROP TABLE t; --", "it's", "1; SELECT 2", "x -- y", "/*"])
def test_a_value_cannot_make_another_statement_of_its_own(value: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        filled("SELECT 1,\n'${value}'" if "'" in value else "SELECT 1,\n${value}", value=value)
    assert caught.value.code == "PLACEHOLDER_BREAKS_STATEMENT"
    assert (caught.value.path, caught.value.line) == ("x.sql", 1)


@settings(deadline=None)
@given(st.text(st.sampled_from("a1'\"`;-/*\\$ \n{}")))
def test_whatever_the_value_one_statement_stays_one(value: str) -> None:
    for sql in ("SELECT ${value} FROM t", "SELECT '${value}' FROM t", "SELECT `${value}` FROM t"):
        try:
            sent = filled(sql, value=value).sent
        except WorkflowError:
            continue
        assert [one.text for one in scan(sent)] == [sent]


def test_the_text_for_parsers_has_the_same_length_and_no_comments() -> None:
    sql = "SELECT '-- ${n}' -- it's\r\n, /* a /* b */ \n*/ ${n}"
    result = filled(sql)
    comments = [len("-- it's"), len("/* a /* b */ "), len("*/")]
    assert result.parsed == "SELECT '-- 3' {}\r\n, {}\n{} 3".format(*(" " * n for n in comments))
    assert len(result.parsed) == len(result.sent)


def test_the_head_is_one_line_without_comments_and_with_masked_strings() -> None:
    sql = "SELECT  'secret',\n\t\"too\" /* gone */, `kept name`, $$ body $$ -- gone\n, ${n} FROM t"
    assert filled(sql).head == "SELECT '?', '?' , `kept name`, $$?$$ , 3 FROM t"


def test_the_head_has_at_most_120_characters() -> None:
    assert len(filled("SELECT " + ", ".join(["column_name"] * 40)).head) == 120
