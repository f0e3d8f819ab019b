"""PROTOCOL.md says what the classes say: tables, marks, units and examples."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

import pytest

from protocol import base, decisions, events, exit_codes, hello, policy
from protocol.base import MINOR, VERSION, Message, stable_fields
from protocol.codec import (
    DECISION_TYPES,
    EVENT_TYPES,
    decode,
    decode_decision,
    encode,
)
from protocol.events import ChoiceName, RejectionCode, RunFinished, RunSuspended
from protocol.hello import Entry, Unanswered, View
from protocol.schema import ENVELOPE
from protocol.shapes import wire_name
from protocol.views import shows
from tests.protocol.document import PATH, Section, all_examples, sections, spelled

EVENTS = {section.name: section for section in sections("Events")}
DECISIONS = {section.name: section for section in sections("Decisions")}
RECORDS = {section.name: section for section in sections("Records")}

RECORD_TYPES: dict[str, type[Message]] = {
    name: kind
    for module in (base, hello, events, policy, decisions)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
    if "type" not in kind.__dataclass_fields__
}

CHAPTERS_OF_TEXT = {"Early, late and twice", "Rejections"}


def check_table(section: Section, kind: type[Message]) -> None:
    """One table with all fields in order, each with its type and marks."""
    hints = get_type_hints(kind, include_extras=True)
    own = [field for field in fields(kind) if field.name != "type"]
    (table,) = section.tables
    assert [row["field"] for row in table] == [f"`{wire_name(field.name)}`" for field in own]
    for row, field in zip(table, own, strict=True):
        assert row["type"] == spelled(hints[field.name]), row["field"]
        assert row["meaning"], row["field"]
        if "needed" in row:
            needed = "yes" if field.default is MISSING else "no"
            assert row["needed"] == needed, row["field"]
        else:
            compared = "stable" if field.name in stable_fields(kind) else "volatile"
            assert row["compared"] == compared, row["field"]
            assert (row["unit"] == "ms") == field.name.endswith("_ms"), row["field"]
            assert (row["unit"] == "bytes") == field.name.startswith("bytes"), row["field"]


def test_every_event_and_every_decision_has_exactly_one_section() -> None:
    assert [section.name for section in sections("Events")] == list(EVENT_TYPES)
    names = [section.name for section in sections("Decisions")]
    assert [name for name in names if name not in CHAPTERS_OF_TEXT] == list(DECISION_TYPES)


def test_every_record_has_exactly_one_section() -> None:
    assert [section.name for section in sections("Records")] == sorted(RECORD_TYPES)


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_the_table_of_an_event_is_right(name: str) -> None:
    check_table(EVENTS[name], EVENT_TYPES[name])


@pytest.mark.parametrize("name", DECISION_TYPES)
def test_the_table_of_a_decision_is_right(name: str) -> None:
    check_table(DECISIONS[name], DECISION_TYPES[name])


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_the_table_of_a_record_is_right(name: str) -> None:
    check_table(RECORDS[name], RECORD_TYPES[name])


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_the_example_of_an_event_is_a_line_as_it_would_be_written(name: str) -> None:
    (line,) = EVENTS[name].examples
    entry = decode(line)
    assert type(entry.event) is EVENT_TYPES[name]
    assert encode(entry) == line + b"\n"
    if isinstance(entry.event, (RunFinished, RunSuspended)):
        assert entry.event.events == entry.seq


@pytest.mark.parametrize("name", DECISION_TYPES)
def test_the_example_of_a_decision_would_be_taken(name: str) -> None:
    (line,) = DECISIONS[name].examples
    assert type(decode_decision(line)) is DECISION_TYPES[name]


def test_no_example_stands_where_it_is_not_tested() -> None:
    assert len(all_examples()) == len(EVENT_TYPES) + len(DECISION_TYPES)


# --- tables of words --------------------------------------------------------------------------


def rows_below(heading: str) -> dict[str, str]:
    """First and second column of the table below a heading, in order."""
    text = PATH.read_text(encoding="utf-8")
    found = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", text, re.M | re.S)
    assert found is not None, heading
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", found.group(1), re.M)
    return {first.strip("` "): second.strip() for first, second in rows[1:]}


def test_the_envelope_is_described_in_its_order() -> None:
    assert list(rows_below("The envelope")) == list(ENVELOPE)
    (example, *_) = all_examples()
    names = re.findall(rb'"(\w+)":', example)[: len(ENVELOPE)]
    assert [name.decode() for name in names] == list(ENVELOPE)
    entry = {field.name for field in fields(Entry)}
    assert set(ENVELOPE) == entry - {"event"} | {"type"}


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("Choices", ChoiceName),
        ("Deadline", Unanswered),
        ("Rejections", RejectionCode),
        ("Views", View),
    ],
)
def test_every_word_is_explained(heading: str, words: Any) -> None:
    assert set(rows_below(heading)) == set(get_args(words))


def test_the_views_show_what_they_are_said_to_show() -> None:
    said = rows_below("Views")
    for view in get_args(View):
        named = set(re.findall(r"`(\w+)`", said[view]))
        assert named <= set(EVENT_TYPES)
        shown = {name for name in EVENT_TYPES if shows(view, name)}
        expected = {
            "full": set(EVENT_TYPES),
            "progress": set(EVENT_TYPES) - named,
            "attention": named,
            "off": set(),
        }[view]
        assert shown == expected, view


def test_prompts_and_last_lines_are_in_every_view_but_off() -> None:
    for view in ("full", "progress", "attention"):
        for name in ("hello", "error_prompt", "prompt_resolved", "run_suspended", "run_finished"):
            assert shows(view, name)


def test_the_version_is_that_of_the_package() -> None:
    assert f"version {VERSION}.{MINOR}\n" in PATH.read_text(encoding="utf-8").splitlines(True)[0]


def test_every_exit_code_is_explained() -> None:
    assert [int(code) for code in rows_below("Exit codes")] == sorted(exit_codes.MEANING)
    urgency = ", ".join(map(str, exit_codes.URGENCY))
    assert f"the first of {urgency}.\n" in PATH.read_text(encoding="utf-8")


def test_every_link_inside_the_document_leads_somewhere() -> None:
    text = PATH.read_text(encoding="utf-8")
    headings = re.findall(r"^##+ (.+)$", text, re.M)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links
    assert links <= anchors
