"""The JSON Schema says what the classes say."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.base import Message, stable_fields
from protocol.codec import (
    DECISION_TYPES,
    EVENT_TYPES,
    decode,
    decode_decision,
    encode,
    fields_of,
)
from protocol.errors import ProtocolFault
from protocol.schema import ENVELOPE, rendered, schema, shipped
from protocol.shapes import wire_name
from tests.protocol.strategies import ANY_ENTRY, entries, messages

SCHEMA = schema()

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def fits(value: Any, rule: dict[str, Any]) -> bool:
    """Whether `value` is valid, for the words of JSON Schema that the schema uses."""
    if "$ref" in rule:
        name = rule["$ref"].removeprefix("#/$defs/")
        return fits(value, SCHEMA["$defs"][name])
    for word, combine in (("anyOf", any), ("oneOf", lambda found: sum(found) == 1)):
        if word in rule and not combine([fits(value, each) for each in rule[word]]):
            return False
    if "type" in rule:
        is_bool = isinstance(value, bool)
        if not isinstance(value, _TYPES[rule["type"]]) or is_bool != (rule["type"] == "boolean"):
            return False
    if "const" in rule and (value != rule["const"] or type(value) is not type(rule["const"])):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if isinstance(value, (int, float)) and not (
        rule.get("minimum", value) <= value <= rule.get("maximum", value)
    ):
        return False
    if isinstance(value, list):
        return all(fits(item, rule.get("items", {})) for item in value)
    if isinstance(value, dict):
        named = rule.get("properties", {})
        others = rule.get("additionalProperties", {})
        return set(rule.get("required", ())) <= set(value) and all(
            fits(item, named.get(name, others)) for name, item in value.items()
        )
    return True


def test_the_copy_in_the_package_is_up_to_date() -> None:
    assert shipped() == rendered(), "write it anew with: python -m protocol.schema"


def test_the_schema_is_the_same_every_time() -> None:
    assert json.dumps(schema()) == json.dumps(SCHEMA)


def test_every_type_and_every_reference_is_defined() -> None:
    definitions = set(SCHEMA["$defs"])
    assert {*EVENT_TYPES, *DECISION_TYPES, "event", "decision"} <= definitions
    references = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(SCHEMA)))
    assert references <= definitions
    assert definitions - references == set()


@pytest.mark.parametrize("kind", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_every_event_that_is_written_is_valid(kind: type[Message]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(entries(kind))
    def check(entry: Any) -> None:
        line = json.loads(encode(entry))
        assert fits(line, SCHEMA["$defs"][line["type"]])
        assert fits(line, SCHEMA)

    check()


@pytest.mark.parametrize("kind", DECISION_TYPES.values(), ids=DECISION_TYPES)
def test_every_decision_is_valid(kind: type[Message]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(messages(kind))
    def check(decision: Any) -> None:
        assert fits(fields_of(decision), SCHEMA)

    check()


STRANGE = st.sampled_from([None, 3, 3.5, True, "word", "now", [], ["x"], {}, {"a": 1}])


@settings(max_examples=400, deadline=None)
@given(ANY_ENTRY, st.data())
def test_the_schema_and_the_reader_agree_on_events_that_were_changed(
    entry: Any, data: st.DataObject
) -> None:
    line = json.loads(encode(entry))
    name = data.draw(st.sampled_from([name for name in line if name != "type"]))
    change = data.draw(st.sampled_from(["drop", "replace"]))
    definition = SCHEMA["$defs"][line["type"]]
    if change == "drop":
        del line[name]
        if name in definition["required"] and "const" in definition["properties"][name]:
            return  # the reader is kinder: it takes a constant for given
    else:
        line[name] = data.draw(STRANGE)
    try:
        decode(json.dumps(line).encode())
        taken = True
    except ProtocolFault:
        taken = False
    assert fits(line, definition) == taken


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(list(DECISION_TYPES.values())).flatmap(messages),
    st.data(),
)
def test_the_schema_and_the_reader_agree_on_decisions_that_were_changed(
    decision: Any, data: st.DataObject
) -> None:
    line = fields_of(decision)
    line[data.draw(st.sampled_from([name for name in line if name != "type"]))] = data.draw(STRANGE)
    try:
        decode_decision(json.dumps(line).encode())
        taken = True
    except ProtocolFault:
        taken = False
    assert fits(line, SCHEMA["$defs"][line["type"]]) == taken


@pytest.mark.parametrize("kind", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_volatile_fields_and_no_others_are_marked(kind: type[Message]) -> None:
    name = kind.__dataclass_fields__["type"].default
    marked = {
        field
        for field, rule in SCHEMA["$defs"][name]["properties"].items()
        if rule.get("x-volatile", False) and field not in ENVELOPE
    }
    own = {wire_name(field) for field in kind.__dataclass_fields__}
    assert marked == own - {wire_name(field) for field in stable_fields(kind)}


def test_docstrings_of_classes_and_fields_are_descriptions() -> None:
    resolved = SCHEMA["$defs"]["prompt_resolved"]
    assert "Exactly once per prompt" in resolved["description"]
    assert "counted from 1" in SCHEMA["$defs"]["file_started"]["properties"]["index"]["description"]
