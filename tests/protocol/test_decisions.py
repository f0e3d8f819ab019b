"""Decisions from lines nobody vouches for."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.base import MAX_LINE_BYTES, Message
from protocol.codec import (
    DECISION_TYPES,
    MAX_ECHO_BYTES,
    MAX_NAME_BYTES,
    decision_id,
    decode_decision,
    encode_fitting,
    fields_of,
)
from protocol.decisions import Cancel, Decide, Decision, Ping, SetPolicy
from protocol.errors import (
    BadFields,
    LineTooLong,
    NotJson,
    ProtocolFault,
    UnknownType,
    shown,
)
from protocol.events import DecisionAccepted, DecisionRejected, PromptResolved, RejectionCode
from protocol.policy import Match, Rule
from tests.protocol.strategies import messages
from tests.protocol.test_codec import entry_of


def rejected(line: bytes) -> ProtocolFault:
    with pytest.raises(ProtocolFault) as caught:
        decode_decision(line)
    return caught.value


@pytest.mark.parametrize("kind", DECISION_TYPES.values(), ids=DECISION_TYPES)
def test_every_decision_is_read_as_it_was_written(kind: type[Message]) -> None:
    @settings(max_examples=100, deadline=None)
    @given(messages(kind))
    def check(decision: Any) -> None:
        assert decode_decision(json.dumps(fields_of(decision)).encode()) == decision

    check()


def test_type_prompt_and_choice_are_enough_for_an_answer() -> None:
    decision = decode_decision(b'{"type":"decide","prompt":"p1","choice":"skip"}')
    assert decision == Decide(prompt="p1", choice="skip")
    assert decode_decision(b'{"type":"cancel"}') == Cancel(mode="now")


def test_a_decision_may_span_lines_and_begin_with_a_byte_order_mark() -> None:
    line = b'\xef\xbb\xbf{\r\n  "type": "ping",\r\n  "nonce": "n"\r\n}\r\n'
    assert decode_decision(line) == Ping(nonce="n")


def test_unknown_fields_are_ignored() -> None:
    assert decode_decision(b'{"type":"ping","nonce":"n","mood":{"a":[1]}}') == Ping(nonce="n")


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b'{"prompt":"p1","choice":"skip"}', "type"),
        (b'{"type":3}', "type"),
        (b'{"type":"decide","prompt":"p1"}', "choice"),
        (b'{"type":"decide","choice":"skip"}', "prompt"),
        (b'{"type":"decide","prompt":1,"choice":"skip"}', "prompt"),
        (b'{"type":"decide","prompt":"p1","choice":null}', "choice"),
        (b'{"type":"decide","prompt":"p","choice":"c","remember":"always"}', "remember"),
        (b'{"type":"cancel","mode":"later"}', "mode"),
        (b'{"type":"policy","rules":[{"choose":"skip"}]}', "rules.0.match"),
        (b'{"type":"policy","rules":{}}', "rules"),
        (b'{"type":"ping"}', "nonce"),
    ],
)
def test_a_field_that_is_missing_or_wrong_is_named(line: bytes, field: str) -> None:
    fault = rejected(line)
    assert isinstance(fault, BadFields)
    assert fault.code == "malformed"
    assert fault.field is not None
    assert fault.field.startswith(field)
    assert f"`{fault.field}`" in fault.detail


@pytest.mark.parametrize("value", ['"3"', "3.0", "true", "null", "[3]"])
def test_numbers_are_not_guessed_from_something_else(value: str) -> None:
    line = f'{{"type":"decide","prompt":"p","choice":"extend","params":{{"iterations":{value}}}}}'
    fault = rejected(line.encode())
    assert isinstance(fault, BadFields)
    assert fault.field is not None
    assert fault.field.startswith("params")


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"decide","prompt":"p1","choice":"skip","choice":"abort"}',
        b'{"type":"ping","type":"cancel","nonce":"n"}',
        b'{"type":"decide","prompt":"p","choice":"extend","params":{"a":1,"a":2}}',
    ],
)
def test_a_key_given_twice_is_refused_because_it_is_open_which_counts(line: bytes) -> None:
    fault = rejected(line)
    assert isinstance(fault, BadFields)
    assert "twice" in fault.detail


def test_a_rule_with_an_unknown_condition_is_refused_instead_of_matching_everything() -> None:
    line = b'{"type":"policy","rules":[{"match":{"categroy":"auth"},"choose":"skip"}]}'
    fault = rejected(line)
    assert isinstance(fault, BadFields)
    assert fault.field == "rules.0.match.categroy"


def test_a_condition_on_the_class_is_read_by_its_name_on_the_wire() -> None:
    line = b'{"type":"policy","rules":[{"match":{"class":"X"},"choose":"skip"}]}'
    assert decode_decision(line) == SetPolicy(rules=(Rule(match=Match(class_="X"), choose="skip"),))


def test_a_type_that_is_no_decision_is_said_to_be_unknown() -> None:
    fault = rejected(b'{"type":"decied\\u001b[31m","prompt":"p1"}')
    assert isinstance(fault, UnknownType)
    assert fault.code == "unknown_type"
    assert "\x1b" not in fault.detail
    assert "decide, cancel, policy, ping" in fault.detail


def test_an_event_is_no_decision() -> None:
    assert isinstance(rejected(b'{"type":"hello"}'), UnknownType)


@pytest.mark.parametrize(
    "line",
    [
        b"skip",
        b'{"type":"ping","nonce":"\xff"}',
        b'{"type":"ping","nonce":"\\ud800"}',
        b'{"type":"ping","nonce":"n"} {"type":"cancel"}',
        b'{"type":"ping","nonce":"n","x":NaN}',
        b'{"type":"ping","nonce":"n","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"type":"ping","nonce":"n","x":' + b"9" * 5000 + b"}",
        b"",
    ],
)
def test_what_is_not_json_in_utf_8_is_malformed(line: bytes) -> None:
    fault = rejected(line)
    assert isinstance(fault, NotJson)
    assert fault.code == "malformed"


def test_a_megabyte_is_too_long_and_not_parsed() -> None:
    fault = rejected(b'{"type":"ping","nonce":"' + b"n" * 2**20 + b'"}')
    assert isinstance(fault, LineTooLong)
    assert (fault.code, fault.limit) == ("too_long", MAX_LINE_BYTES)
    assert fault.bytes > 2**20


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_garbage_is_rejected_with_a_detail_fit_to_be_shown(line: bytes) -> None:
    fault = rejected(line)
    assert fault.code in get_args(RejectionCode)
    assert fault.detail.isprintable()
    assert len(fault.detail) < 500


@pytest.mark.parametrize("field", ["prompt", "choice", "id", "run", "digest", "by"])
def test_a_name_too_long_to_be_repeated_by_events_is_refused(field: str) -> None:
    line = {"type": "decide", "prompt": "p", "choice": "c"}
    longest = "x" * (MAX_NAME_BYTES - 2)
    assert decode_decision(json.dumps(line | {field: longest}).encode())
    fault = rejected(json.dumps(line | {field: f"{longest}x"}).encode())
    assert isinstance(fault, BadFields)
    assert fault.field == field


def test_events_can_repeat_the_longest_decision_there_is() -> None:
    name = "\x01" * ((MAX_NAME_BYTES - 2) // 6)
    decide = Decide(
        prompt=name,
        choice=name,
        id=name,
        run=name,
        digest=name,
        by=name,
        reason="\x01" * ((MAX_ECHO_BYTES["reason"] - 2) // 6),
        params={"k" * (MAX_ECHO_BYTES["params"] - 8): 1},
    )
    policy = SetPolicy(
        rules=tuple(Rule(match=Match(path="/" * 10), choose="skip") for _ in range(60)), id=name
    )
    for decision in (decide, policy):
        assert decode_decision(json.dumps(fields_of(decision), ensure_ascii=False).encode())
    own = {field.name for field in fields(DecisionAccepted)}
    for decision, kind in ((decide, "decide"), (policy, "policy")):
        said = {
            field.name: getattr(decision, field.name)
            for field in fields(decision)
            if field.name in own - {"type"}
        }
        accepted = DecisionAccepted(**said, kind=kind, source="stdin", kept=False)  # type: ignore[arg-type]
        encode_fitting(entry_of(accepted), no_store)
    encode_fitting(
        entry_of(
            DecisionRejected(
                id=name, code="stale", detail="d" * 500, source="stdin", prompt=name, choice=name,
                digest=name, run_named=name,
            )
        ),
        no_store,
    )  # fmt: skip
    encode_fitting(
        entry_of(
            PromptResolved(
                prompt=name, how="decision", choice="skip", source="stdin", by=name,
                reason=decide.reason,
            )
        ),
        no_store,
    )  # fmt: skip


def no_store(data: bytes, suffix: str) -> str:
    raise AssertionError(f"{len(data)} bytes ({suffix}) did not fit")


# --- ids --------------------------------------------------------------------------------------


def test_the_id_of_a_decision_is_its_own_or_follows_from_its_content() -> None:
    decision = Decide(prompt="p1", choice="skip")
    assert decision_id(replace(decision, id="mine")) == "mine"
    assert decision_id(decision) == decision_id(
        decode_decision(b'{"choice":"skip", "prompt":"p1", "type":"decide", "id":null}')
    )
    # recorded logs hold these ids, so they must not change
    assert decision_id(decision) == "d-d4e20aff5307"


def test_other_content_has_another_id() -> None:
    decision = Decide(prompt="p1", choice="skip")
    others: list[Decision] = [
        replace(decision, prompt="p2"),
        replace(decision, choice="abort"),
        replace(decision, by="ana"),
        replace(decision, params={"iterations": 1}),
        Cancel(),
        Cancel(mode="after_statement"),
        Ping(nonce="p1"),
    ]
    assert len({decision_id(each) for each in [decision, *others]}) == len(others) + 1


# --- what may be shown ------------------------------------------------------------------------


@settings(deadline=None)
@given(st.text(), st.integers(1, 100))
def test_text_from_outside_is_shown_short_and_printable(text: str, limit: int) -> None:
    found = shown(text, limit)
    assert len(found) <= limit
    assert found.isprintable()
    if text.isprintable() and len(text) <= limit:
        assert found == text
