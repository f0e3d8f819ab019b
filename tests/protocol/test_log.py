"""Recorded logs: their entries, and the verdict on one that ends too early."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.base import MAX_LINE_BYTES
from protocol.codec import encode
from protocol.events import (
    ErrorPrompt,
    Event,
    FileFinished,
    FileStarted,
    Heartbeat,
    InputClosed,
    PromptResolved,
    RunFinished,
    RunSuspended,
    StatementFinished,
    StatementStarted,
)
from protocol.hello import Entry, Hello
from protocol.log import LogDamaged, LogReader, classify, read_entries
from tests.protocol.test_codec import HELLO, entry_of, finished


def log_of(events: Iterable[Event]) -> list[Entry]:
    """Entries that count, the last lines too."""
    entries = []
    for seq, event in enumerate(events, 1):
        if isinstance(event, (RunFinished, RunSuspended)):
            event = replace(event, events=seq)
        entries.append(entry_of(event, seq))
    return entries


def written(path: Path, entries: Iterable[Entry]) -> bytes:
    data = b"".join(map(encode, entries))
    path.write_bytes(data)
    return data


# --- events of a run --------------------------------------------------------------------------


def hello(segment: int) -> Hello:
    return replace(HELLO, segment=segment)


def started(file: str) -> FileStarted:
    return FileStarted(file=file, path="p", index=1, total=1, statements=1, sha256="s")


def ended(file: str, status: Any = "completed") -> FileFinished:
    return FileFinished(file=file, path="p", status=status, rows=None, elapsed_ms=0, reason=None)


def statement(name: str) -> StatementStarted:
    return StatementStarted(
        statement=name, kind="insert", target=None, line=1, sha256="s", attempt=1, head="INSERT é"
    )


def statement_ended(name: str) -> StatementFinished:
    return StatementFinished(
        statement=name,
        status="succeeded",
        elapsed_ms=0,
        query_id=None,
        rows=None,
        value=None,
        metrics=None,
        error=None,
        outcome="committed",
        evidence="",
    )


def asked(prompt: str) -> ErrorPrompt:
    return ErrorPrompt(
        prompt=prompt,
        digest="d",
        title="t",
        file=None,
        statement=None,
        loop=None,
        error=None,
        attempt=1,
        outcome="unknown",
        evidence="",
        already_done=(),
        dependents=(),
        choices=(),
        unanswered="suspend",
        deadline=None,
        answer_with="",
    )


def resolved(prompt: str) -> PromptResolved:
    return PromptResolved(
        prompt=prompt, how="decision", choice="skip", source="stdin", by=None, reason=None
    )


SUSPENDED = RunSuspended(reason="r", open_prompts=(), resume_with="", events=0, digest="")

RUN: tuple[Event, ...] = (
    hello(1),
    started("f1"),
    statement("f1.s1"),
    statement_ended("f1.s1"),
    ended("f1"),
    started("f2"),
    statement("f2.s1"),
    asked("p1"),
    SUSPENDED,
    hello(2),
    resolved("p1"),
    statement_ended("f2.s1"),
    ended("f2", "failed"),
    ended("f3", "skipped"),
    finished(),
)
"""A run that was suspended at a prompt and resumed."""

OPENS = {FileStarted: "file", StatementStarted: "statement", ErrorPrompt: "prompt"}
CLOSES = {FileFinished: "file", StatementFinished: "statement", PromptResolved: "prompt"}


def still_open(events: Iterable[Event], kind: type[Event]) -> tuple[str, ...]:
    """Names of what was opened by `kind` and not closed, said without looking at the reader."""
    what = OPENS[kind]
    names: list[str] = []
    for event in events:
        if OPENS.get(type(event)) == what and getattr(event, what) not in names:
            names.append(getattr(event, what))
        if CLOSES.get(type(event)) == what:
            names = [name for name in names if name != getattr(event, what)]
    return tuple(names)


# --- the law ----------------------------------------------------------------------------------


@st.composite
def runs(draw: st.DrawFn) -> list[Entry]:
    """Runs of several segments, each of which ends with a last line or by a crash."""
    events: list[Event] = []
    segments = draw(st.integers(1, 3))
    for segment in range(1, segments + 1):
        events.append(hello(segment))
        for number in range(draw(st.integers(0, 3))):
            name = f"f{number}"
            events += draw(
                st.sampled_from(
                    [
                        [started(name), statement(f"{name}.s1"), statement_ended(f"{name}.s1")],
                        [started(name), statement(f"{name}.s1"), ended(name, "failed")],
                        [ended(name, "skipped")],
                        [asked(f"p{number}"), InputClosed(), resolved(f"p{number}")],
                        [asked(f"p{number}")],
                    ]
                )
            )
        ending: Event | None = draw(st.sampled_from([SUSPENDED, finished(), None]))
        if ending is not None:
            events.append(ending)
    return log_of(events)


@settings(max_examples=300, deadline=None)
@given(runs(), st.data(), st.sampled_from([True, False, None]))
def test_a_log_cut_at_any_byte_is_classified_rightly(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[Entry],
    data: st.DataObject,
    alive: bool | None,
) -> None:
    whole = b"".join(map(encode, entries))
    cut = data.draw(st.integers(0, len(whole)), label="cut")
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    path.write_bytes(whole[:cut])
    check_verdict(path, entries, cut, alive)


@pytest.mark.parametrize("between", [SUSPENDED, finished(), InputClosed()])
def test_a_run_cut_at_each_of_its_bytes_is_classified_rightly(
    tmp_path: Path, between: Event
) -> None:
    path = tmp_path / "events.jsonl"
    entries = log_of(between if event is SUSPENDED else event for event in RUN)
    whole = written(path, entries)
    for cut in range(len(whole), -1, -1):
        with path.open("rb+") as file:
            file.truncate(cut)
        check_verdict(path, entries, cut, alive=False)


def check_verdict(path: Path, entries: list[Entry], cut: int, alive: bool | None) -> None:
    whole_lines = 0
    sound = 0
    for entry in entries:
        size = len(encode(entry))
        if sound + size > cut:
            break
        sound += size
        whole_lines += 1
    torn = cut - sound
    events: Any = [entry.event for entry in entries[:whole_lines]]
    last = events[-1] if events and torn == 0 else None

    verdict = classify(path, alive)
    assert verdict.entries == verdict.last_seq == whole_lines
    assert verdict.torn_bytes == torn
    assert verdict.open_files == still_open(events, FileStarted)
    assert verdict.open_statements == still_open(events, StatementStarted)
    assert verdict.open_prompts == still_open(events, ErrorPrompt)
    if isinstance(last, RunFinished):
        assert verdict.state == "complete"
    elif isinstance(last, RunSuspended):
        assert verdict.state == "suspended"
    elif alive:
        assert verdict.state == "live"
    elif torn or not events:
        assert verdict.state == "truncated"
    else:
        assert verdict.state == "crashed"

    reader = LogReader(path)
    assert list(reader) == entries[:whole_lines]
    assert (reader.sound_bytes, reader.torn_bytes) == (sound, torn)


# --- what a log may hold ----------------------------------------------------------------------


def test_blank_lines_are_skipped_and_a_rest_of_white_space_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    entries = log_of(RUN)
    path.write_bytes(b"\n" + b"\r\n \n".join(encode(entry) for entry in entries) + b" \t")
    assert list(read_entries(path)) == entries
    assert classify(path, alive=False).state == "complete"


def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(read_entries(tmp_path / "none"))


def test_events_of_unknown_type_count(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    entries = log_of([hello(1), InputClosed(), finished()])
    written(path, entries)
    path.write_bytes(path.read_bytes().replace(b'"input_closed"', b'"not_yet_thought_of"'))
    assert classify(path, alive=False).state == "complete"


def test_a_log_that_grows_while_it_is_read_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    entries = log_of(RUN)
    written(path, entries[:3])
    reading = read_entries(path)
    assert list(islice(reading, 3)) == entries[:3]
    with path.open("ab") as file:
        file.write(b"".join(map(encode, entries[3:])))
    assert list(reading) == entries[3:]


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    beat = Heartbeat(phase="executing", statement=None, busy_ms=1, next_by_ms=1)

    def peak(count: int) -> int:
        with path.open("wb") as file:
            for seq in range(1, count + 1):
                file.write(encode(entry_of(hello(1) if seq == 1 else beat, seq)))
        tracemalloc.start()
        assert classify(path, alive=False).entries == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)  # builds what is built once
    assert peak(10_000) < peak(1_000) + 20_000


def test_memory_does_not_grow_with_a_line_that_never_ends(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    head = written(path, log_of([hello(1)]))
    list(LogReader(path))  # builds what is built once
    with path.open("ab") as file:
        file.truncate(len(head) + 2**28)  # a hole: NULs that take no space on the disk
    tracemalloc.start()
    verdict = classify(path, alive=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (verdict.state, verdict.torn_bytes) == ("truncated", 2**28)
    assert peak < 40 * MAX_LINE_BYTES


# --- damage -----------------------------------------------------------------------------------


def damage(tmp_path: Path, lines: list[bytes]) -> LogDamaged:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(lines))
    with pytest.raises(LogDamaged) as caught:
        classify(path, alive=False)
    assert caught.value.path == path
    assert str(path) in str(caught.value)
    with pytest.raises(LogDamaged):
        list(read_entries(path))
    return caught.value


LINES = [encode(entry) for entry in log_of(RUN)]


@pytest.mark.parametrize("missing", range(len(LINES) - 1))
def test_a_line_taken_out_is_a_hole(tmp_path: Path, missing: int) -> None:
    found = damage(tmp_path, LINES[:missing] + LINES[missing + 1 :])
    assert (found.line, found.seq) == (missing + 1, missing)
    assert f"seq is {missing + 2} where {missing + 1} is due" in found.detail


def test_a_line_given_twice_is_damage(tmp_path: Path) -> None:
    assert damage(tmp_path, [*LINES[:3], LINES[2], *LINES[3:]]).line == 4


def test_a_line_that_is_not_json_is_damage_wherever_it_stands(tmp_path: Path) -> None:
    for place in range(len(LINES) + 1):
        found = damage(tmp_path, [*LINES[:place], b"\x00\x00{\n", *LINES[place:]])
        assert (found.line, found.seq) == (place + 1, place)
        assert "not JSON" in found.detail


def test_two_lines_run_into_one_are_damage(tmp_path: Path) -> None:
    assert damage(tmp_path, [LINES[0], LINES[1][:40], *LINES[1:]]).line == 2


def test_a_line_longer_than_any_is_damage_and_does_not_fill_the_memory(tmp_path: Path) -> None:
    found = damage(tmp_path, [LINES[0], b"x" * 2**20 + b"\n", *LINES[1:]])
    assert (found.line, str(2**20 + 1) in found.detail) == (2, True)


def test_an_entry_of_another_run_is_damage(tmp_path: Path) -> None:
    other = LINES[2].replace(b'"run":"r-1"', b'"run":"r-2"')
    found = damage(tmp_path, [*LINES[:2], other, *LINES[3:]])
    assert "of run r-2, not of r-1" in found.detail


def test_a_last_line_that_miscounts_is_damage(tmp_path: Path) -> None:
    line = json.loads(LINES[-1])
    found = damage(tmp_path, [*LINES[:-1], json.dumps(line | {"events": 3}).encode() + b"\n"])
    assert "counts 3 events" in found.detail


@pytest.mark.parametrize("event", [InputClosed(), hello(1), hello(3), finished()])
def test_only_the_next_hello_may_follow_a_last_line(tmp_path: Path, event: Event) -> None:
    entries = log_of([hello(1), SUSPENDED, event])
    found = damage(tmp_path, list(map(encode, entries)))
    assert found.line == 3
    assert "hello of segment 2" in found.detail
