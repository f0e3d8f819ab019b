"""Entries to lines and back."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.base import MAX_LINE_BYTES, Message
from protocol.codec import (
    EVENT_TYPES,
    decode,
    encode,
    fields_of,
    stable_fields_of,
)
from protocol.errors import BadFields, LineTooLong, NotJson, ProtocolFault
from protocol.events import (
    AliasCreated,
    Connected,
    ErrorRecord,
    Heartbeat,
    InputClosed,
    RunFinished,
    SlowStatement,
    StatementFinished,
    Unknown,
    Warned,
)
from protocol.hello import Entry, Hello
from protocol.shapes import wire_name
from tests.protocol.strategies import ANY_ENTRY, entries

ENVELOPE = ("type", "v", "run", "seq", "ts")


def entry_of(event: Any, seq: int = 1) -> Entry:
    return Entry(v=1, run="r-1", seq=seq, ts="2026-01-31T12:00:00.000Z", event=event)


def line_with(**changes: Any) -> bytes:
    """The line of an `alias_created`, some of its fields changed."""
    line = json.loads(encode(entry_of(AliasCreated(table="a", from_="b"))))
    return json.dumps(line | changes).encode()


@pytest.mark.parametrize("kind", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_every_event_comes_back_as_it_was_written(kind: type[Message]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(entries(kind))
    def check(entry: Entry) -> None:
        assert decode(encode(entry)) == entry

    check()


@settings(max_examples=200, deadline=None)
@given(ANY_ENTRY)
def test_a_line_is_one_ascii_line_that_begins_with_the_envelope(entry: Entry) -> None:
    line = encode(entry)
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1
    names = [name for name, _ in json.loads(line, object_pairs_hook=list)]
    own = [wire_name(field.name) for field in fields(entry.event)]
    assert names == [*ENVELOPE, *(name for name in own if name != "type")]


@pytest.mark.parametrize("kind", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_no_field_of_an_event_has_a_name_of_the_envelope(kind: type[Message]) -> None:
    names = [wire_name(field.name) for field in fields(kind)]
    assert names[0] == "type"
    assert not set(names[1:]) & set(ENVELOPE)


def test_reserved_words_are_written_without_their_underscore() -> None:
    line = encode(entry_of(AliasCreated(table="a", from_="b")))
    assert line.endswith(b'"table":"a","from":"b"}\n')


def test_a_number_json_does_not_have_is_refused() -> None:
    for number in (float("nan"), float("inf")):
        event = finished(coverage={"t": number})
        with pytest.raises(ValueError, match="JSON"):
            encode(entry_of(event))
        with pytest.raises(ProtocolFault):
            decode(encode(entry_of(finished(coverage={"t": 0.5}))).replace(b"0.5", b"NaN"))


def test_an_entry_longer_than_a_line_is_refused() -> None:
    frame = len(encode(entry_of(Warned(code="c", detail=""))))
    longest = Warned(code="c", detail="x" * (MAX_LINE_BYTES - frame))
    assert decode(encode(entry_of(longest))).event == longest
    with pytest.raises(LineTooLong) as caught:
        encode(entry_of(replace(longest, detail=f"{longest.detail}x")))
    assert (caught.value.bytes, caught.value.limit) == (MAX_LINE_BYTES + 1, MAX_LINE_BYTES)


def test_half_a_surrogate_pair_is_replaced_so_that_any_parser_can_read_the_line() -> None:
    line = encode(entry_of(Warned(code="c", detail="caf\udce9.sql \\ud and \U0001f600")))
    assert decode(line).event == Warned(code="c", detail="caf�.sql \\ud and \U0001f600")


def test_texts_are_masked_at_every_depth_and_constants_are_not() -> None:
    def mask(text: str) -> str:
        return text.replace("failed", "***")

    error = replace(ERROR, message="failed", file="failed.sql")
    event = StatementFinished(
        statement="f1.s1",
        status="failed",
        elapsed_ms=1,
        query_id=None,
        rows=None,
        value=None,
        metrics=None,
        error=error,
        outcome="not_committed",
        evidence="it failed",
    )
    found = decode(encode(entry_of(event), mask)).event
    assert found == replace(
        event, error=replace(error, message="***", file="***.sql"), evidence="it ***"
    )
    connected = Connected(
        host=None,
        http_path=None,
        auth=None,
        catalog=None,
        schema=None,
        session_id=None,
        elapsed_ms=0,
        settings={"failed": "failed"},
    )
    assert b"failed" not in encode(entry_of(connected), mask)


@settings(max_examples=200, deadline=None)
@given(ANY_ENTRY)
def test_a_mask_that_hides_all_hides_every_text(entry: Entry) -> None:
    hidden = decode(encode(entry, lambda text: "#"))
    assert decode(encode(hidden, lambda text: "#")) == hidden
    texts = [text for text in texts_in(hidden.event) if text != "#"]
    assert set(texts) <= CONSTANTS


def test_writing_loads_no_validator() -> None:
    program = (
        "import sys\n"
        "from protocol.codec import encode\n"
        "from protocol.events import InputClosed\n"
        "from protocol.hello import Entry\n"
        "encode(Entry(v=1, run='r', seq=1, ts='t', event=InputClosed()))\n"
        "sys.exit('pydantic' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_stable_fields_leave_volatile_ones_out_at_every_depth() -> None:
    event = StatementFinished(
        statement="f1.s1",
        status="failed",
        elapsed_ms=1,
        query_id="q",
        rows=None,
        value=None,
        metrics=None,
        error=replace(ERROR, query_id="q"),
        outcome="unknown",
        evidence="",
    )
    stable = stable_fields_of(event)
    assert set(fields_of(event)) - set(stable) == {"elapsed_ms", "query_id", "evidence"}
    assert "query_id" not in stable["error"]
    assert stable["error"]["class"] == ERROR.class_
    assert stable_fields_of(Heartbeat(phase="p", statement=None, busy_ms=1, next_by_ms=2)) == {
        "type": "heartbeat",
        "phase": "p",
        "statement": None,
    }


def test_stable_fields_leave_volatile_ones_out_in_lists_too() -> None:
    timed = Timed(steps=(SlowStatement(statement="f1.s1", path="p", elapsed_ms=1),))
    assert fields_of(timed)["steps"][0]["elapsed_ms"] == 1
    assert stable_fields_of(timed) == {"steps": [{}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed(Message):
    """A stable list of records with volatile fields: none of ours has one yet."""

    steps: tuple[SlowStatement, ...]


def test_an_event_of_unknown_type_is_read_as_unknown_with_its_critical_flag() -> None:
    assert decode(line_with(type="new", critical=True)).event == Unknown(type="new", critical=True)
    assert decode(line_with(type="new")).event == Unknown(type="new")


def test_unknown_fields_are_ignored() -> None:
    assert decode(line_with(extra={"a": [1]})).event == AliasCreated(table="a", from_="b")


def test_a_field_that_is_left_out_takes_its_default() -> None:
    line = json.loads(encode(entry_of(HELLO)))
    del line["tool"]
    assert decode(json.dumps(line).encode()).event == HELLO


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seq": "3"}, "seq"),
        ({"seq": 1.0}, "seq"),
        ({"seq": True}, "seq"),
        ({"seq": 0}, "seq"),
        ({"v": 0}, "v"),
        ({"run": None}, "run"),
        ({"table": 3}, "table"),
        ({"from": None}, "from"),
        ({"type": 7}, "type"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadFields) as caught:
        decode(line_with(**change))
    assert caught.value.field == field
    assert f"`{field}`" in caught.value.detail


def test_a_missing_field_is_named() -> None:
    line = json.loads(line_with())
    for name in line:
        rest = {key: value for key, value in line.items() if key != name}
        with pytest.raises(BadFields, match=f"`{name}` is missing"):
            decode(json.dumps(rest).encode())


def test_a_line_of_a_later_version_says_that_the_reader_must_be_upgraded() -> None:
    with pytest.raises(BadFields, match=r"version 2 .* must be upgraded"):
        decode(line_with(v=2, **{"from": ["whatever", "2", "means"]}))


@pytest.mark.parametrize(
    "line", [b"", b"{", b"nothing", b'{"type":"\xff"}', b"\x00" * 20, b"[" * 16000, b'{"a":1} x']
)
def test_what_is_not_json_is_said_to_be_none(line: bytes) -> None:
    with pytest.raises(NotJson, match="not JSON"):
        decode(line)


@pytest.mark.parametrize("line", [b"[]", b'"text"', b"null", b"3"])
def test_json_that_is_not_an_object_is_refused(line: bytes) -> None:
    with pytest.raises(BadFields, match="not an object"):
        decode(line)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_raises_a_fault_and_nothing_else(line: bytes) -> None:
    with pytest.raises(ProtocolFault):
        decode(line)


@settings(max_examples=300, deadline=None)
@given(ANY_ENTRY, st.data())
def test_a_damaged_line_raises_a_fault_or_is_an_entry(entry: Entry, data: st.DataObject) -> None:
    line = bytearray(encode(entry))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(line))
    except ProtocolFault:
        return
    assert isinstance(found, Entry)


def test_a_line_longer_than_any_is_not_even_parsed() -> None:
    with pytest.raises(LineTooLong):
        decode(b" " * MAX_LINE_BYTES)


def test_a_line_end_is_not_part_of_an_entry() -> None:
    line = encode(entry_of(InputClosed()))
    assert decode(line) == decode(line[:-1]) == decode(line[:-1] + b"\r\n")


# --- values -----------------------------------------------------------------------------------

ERROR = ErrorRecord(
    class_="TABLE_OR_VIEW_NOT_FOUND",
    category="missing_object",
    severity="critical",
    retryable=False,
    message="no such table",
    suggestion="create it",
    fingerprint="f",
)

HELLO = Hello(
    protocol="dwx/1.0",
    tool_version="0",
    run_dir=None,
    pid=1,
    view="full",
    argv=(),
    segment=1,
    answer_with=None,
    settings=None,
)


def finished(**changes: Any) -> RunFinished:
    """A `run_finished` that says nothing but what `changes` says."""
    line = {
        "type": "run_finished",
        "last": True,
        "outcome": "succeeded",
        "exit_code": 0,
        "error": None,
        "files": {"completed": 0, "failed": 0, "skipped": 0, "not_needed": 0, "total": 0},
        "statements": {"succeeded": 0, "failed": 0, "cancelled": 0, "unknown": 0},
        "loops": [],
        "tables": [],
        "coverage": None,
        "checks": None,
        "prompts": {"asked": 0, "resolved": 0},
        "elapsed_ms": 0,
        "slowest": [],
        "next": [],
        "events": 1,
        "digest": None,
    }
    envelope = {"v": 1, "run": "r-1", "seq": 1, "ts": "2026-01-31T12:00:00.000Z"}
    event = decode(json.dumps(line | envelope).encode()).event
    assert isinstance(event, RunFinished)
    return replace(event, **changes)


def texts_in(message: Message) -> list[str]:
    """Every text in a message, keys of maps included."""

    def walk(value: Any) -> list[str]:
        if isinstance(value, str):
            return [value]
        if isinstance(value, dict):
            return [text for pair in value.items() for part in pair for text in walk(part)]
        if isinstance(value, list):
            return [text for item in value for text in walk(item)]
        return []

    return [text for value in fields_of(message).values() for text in walk(value)]


def _constants() -> set[str]:
    from protocol.schema import schema

    def walk(value: Any) -> list[str]:
        if isinstance(value, dict):
            words = [value["const"]] if "const" in value else value.get("enum", [])
            names = list(value["properties"]) if "properties" in value else []
            return [
                *(word for word in words if isinstance(word, str)),
                *names,
                *(word for inner in value.values() for word in walk(inner)),
            ]
        return [word for inner in value for word in walk(inner)] if isinstance(value, list) else []

    return set(walk(schema()))


CONSTANTS = _constants()
"""Every word that is part of the protocol and not of the data."""
