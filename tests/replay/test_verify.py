"""A log is what the machine makes, or the difference is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from executor.core.inputs import Decided, InputEnded, LoginNeeded, Noticed, Undecidable
from executor.replay.verify import verify
from protocol.base import Message
from protocol.codec import decode, encode
from protocol.decisions import Ping
from protocol.errors import BadFields
from protocol.hello import Entry
from protocol.shapes import stable_fields_of, wire_name
from tests.core.drive import Drive, file, loop, plan
from tests.core.test_machine import changing, failing


def eventful_run() -> Drive:
    """A run with as many kinds of event as fit in one."""
    planned = plan(
        file(1),
        file(2, iteration=1),
        file(3, depends_on=("f2",)),
        loops=(loop("f2", max_iterations=2),),
    )
    fails, counts = failing("f1.s1"), changing(3, 2)

    def answer(executed: Any) -> Any:
        return counts(executed) if executed.kind == "probe" else fails(executed)

    drive = Drive(planned, answer, optimize="all")
    drive.feed(Undecidable("malformed", "not JSON", "stdin"))
    drive.feed(Decided(Ping(nonce="hi"), "ping", "stdin"))
    drive.feed(InputEnded())
    drive.feed(Noticed("NOISE", "a library printed something"))
    drive.feed(LoginNeeded("browser", "https://w.example.com/login", "2026-01-31T12:05:00.000Z"))
    drive.decide("p1", "yes")
    drive.decide("p1", "retry", by="tester", reason="because")
    drive.decide("p2", "accept")
    return drive


def test_a_log_as_it_was_written_verifies() -> None:
    assert list(verify(eventful_run().entries)) == []


def test_a_log_that_stops_early_verifies_as_far_as_it_goes() -> None:
    entries = eventful_run().entries
    for length in range(len(entries) + 1):
        assert list(verify(entries[:length])) == []


def changes(message: Any) -> Iterator[Any]:
    """The message with one stable field changed, for each of them, nested ones included."""
    stable = stable_fields_of(message)
    for field in fields(message):
        if wire_name(field.name) not in stable or field.name in ("type", "last"):
            continue
        value = getattr(message, field.name)
        for other in other_values(value):
            yield replace(message, **{field.name: other})


def other_values(value: Any) -> Iterator[Any]:
    if isinstance(value, Message):
        yield from changes(value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, str):
        yield value + "x"
    elif isinstance(value, tuple):
        if value:
            yield value[:-1]
            if is_dataclass(value[0]):
                for other in changes(value[0]):
                    yield (other, *value[1:])
    elif isinstance(value, dict):
        yield {**value, "x": 1}
    elif value is None:
        yield "x"


def every_tampering() -> Iterator[tuple[str, list[Entry]]]:
    entries = eventful_run().entries
    for place, entry in enumerate(entries):
        for number, event in enumerate(changes(entry.event)):
            altered = as_read(replace(entry, event=event))
            if altered is not None:
                yield (
                    f"{entry.seq}-{entry.event.type}-{number}",
                    [*entries[:place], altered, *entries[place + 1 :]],
                )


def as_read(entry: Entry) -> Entry | None:
    """The entry as a reader of the log gets it; `None` if the reader refuses it already."""
    try:
        return decode(encode(entry))
    except BadFields:
        return None


def test_a_change_of_any_field_that_matters_is_found() -> None:
    tampered = list(every_tampering())
    assert len(tampered) > 300
    assert [name for name, entries in tampered if not list(verify(entries))] == []


@pytest.mark.parametrize("removed", range(2, 12))
def test_an_event_that_is_missing_is_found(removed: int) -> None:
    entries = eventful_run().entries
    assert list(verify(entries[:removed] + entries[removed + 1 :])) != []


def test_a_complete_log_without_its_last_events_is_not_taken_for_whole() -> None:
    entries = eventful_run().entries
    twice = [*entries, replace(entries[-1], seq=entries[-1].seq + 1)]
    assert list(verify(twice)) != []


def reworded(message: Any) -> Any:
    """The message with other words in every sentence of it, nested ones included."""
    stable = stable_fields_of(message)
    changed: dict[str, Any] = {}
    for field in fields(message):
        value = getattr(message, field.name)
        if isinstance(value, Message):
            changed[field.name] = reworded(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Message):
            changed[field.name] = tuple(map(reworded, value))
        elif wire_name(field.name) in stable:
            continue
        elif isinstance(value, str) and " " in value:
            changed[field.name] = f"in other words: {value}"
        elif field.name == "next":
            changed[field.name] = ("in other words",)
    return replace(message, **changed)


def test_a_log_that_an_earlier_version_worded_otherwise_verifies() -> None:
    entries = eventful_run().entries
    others = [replace(entry, event=reworded(entry.event)) for entry in entries]
    altered = [one.event.type for one, other in zip(entries, others, strict=True) if one != other]
    assert {"error_prompt", "statement_finished", "run_finished", "warning"} <= set(altered)
    assert list(verify(others)) == []


def test_a_mismatch_names_seq_field_expected_and_actual() -> None:
    entries = eventful_run().entries
    place = next(n for n, entry in enumerate(entries) if entry.event.type == "file_started")
    event: Any = entries[place].event
    altered = replace(entries[place], event=replace(event, path="other.sql"))
    found = next(iter(verify([*entries[:place], altered, *entries[place + 1 :]])))
    assert (found.seq, found.field) == (entries[place].seq, "path")
    assert (found.expected, found.actual) == ("01.sql", "other.sql")
