"""A typed word means a choice exactly if it can mean no other."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.views.typed_answer import NotUnderstood, choice_of, decision_of, is_decision
from protocol.codec import decode_decision
from protocol.decisions import Decide
from protocol.events import ChoiceName

OFFERED = st.lists(st.sampled_from(get_args(ChoiceName)), min_size=1, unique=True)


@given(OFFERED, st.data())
def test_a_beginning_is_a_choice_exactly_if_only_one_has_it(
    offered: list[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(get_args(ChoiceName)))
    word = name[: data.draw(st.integers(1, len(name)))]
    meant = [choice for choice in offered if choice.startswith(word)]
    found = None
    with suppress(NotUnderstood):
        found = choice_of(word, offered)
    assert found == (word if word in offered else meant[0] if len(meant) == 1 else None)


@given(OFFERED, st.integers(-2, 20))
def test_a_number_is_the_choice_at_its_place(offered: list[str], number: int) -> None:
    found = None
    with suppress(NotUnderstood):
        found = choice_of(str(number), offered)
    assert found == (offered[number - 1] if 1 <= number <= len(offered) else None)


@settings(deadline=None)  # the first decision loads the validator
@given(OFFERED, st.text())
def test_whatever_is_typed_is_a_decision_that_was_offered_or_told(
    offered: list[str], typed: str
) -> None:
    try:
        line = decision_of(typed, "p1", offered)
    except NotUnderstood as exc:
        assert str(exc).isprintable()  # noqa: PT017 - the other way is just as right
    else:
        decision = decode_decision(line.encode())
        assert isinstance(decision, Decide)
        assert decision.prompt == "p1"
        assert decision.choice in offered


def test_extend_takes_a_number_of_iterations() -> None:
    offered = ("extend", "accept", "abort")
    assert json.loads(decision_of("extend 20", "p1", offered)) == {
        "type": "decide", "prompt": "p1", "choice": "extend", "params": {"iterations": 20},
    }  # fmt: skip
    assert json.loads(decision_of(" 1  7 ", "p2", offered))["params"] == {"iterations": 7}
    assert "params" not in json.loads(decision_of("extend", "p1", offered))


@pytest.mark.parametrize(
    "typed", ["extend x", "extend 0", "extend -1", "extend 1 2", "extend 99999999", "accept 3", ""]
)
def test_any_other_number_is_told(typed: str) -> None:
    with pytest.raises(NotUnderstood):
        decision_of(typed, "p1", ("extend", "accept", "abort"))


def test_a_word_that_may_be_two_choices_is_told_with_both() -> None:
    with pytest.raises(NotUnderstood, match="may be retry or restore"):
        choice_of("re", ("retry", "restore"))


def test_json_is_known_as_such() -> None:
    assert is_decision('  {"type":"ping"}')
    assert not is_decision("skip")
