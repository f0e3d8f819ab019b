"""Bytes to lines."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.base import MAX_LINE_BYTES
from protocol.errors import LineTooLong
from protocol.framing import BOM, LineFramer

PIECES = st.sampled_from([b"\n", b"\r", b"\r\n", b" ", b"\t", b"{", b"ab", BOM, BOM[:2], b"x" * 9])
STREAMS = st.lists(PIECES, max_size=20).map(b"".join)


def framed(chunks: list[bytes], limit: int = MAX_LINE_BYTES) -> list[bytes | int]:
    """All lines of a stream; one that is too long is given as its size."""
    framer = LineFramer(limit)
    lines = [line for chunk in chunks for line in framer.feed(chunk)] + framer.finish()
    return [line.bytes if isinstance(line, LineTooLong) else line for line in lines]


@settings(deadline=None)
@given(STREAMS, st.data())
def test_the_lines_do_not_depend_on_how_the_bytes_are_chunked(
    stream: bytes, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
    places = [0, *cuts, len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(places)]
    assert framed(chunks, limit=8) == framed([stream], limit=8)


@settings(deadline=None)
@given(STREAMS)
@example(BOM + b"ab")
@example(b"ab" + BOM)
def test_lines_are_what_stands_between_line_feeds(stream: bytes) -> None:
    parts = stream.removeprefix(BOM).split(b"\n")
    expected = [part.removesuffix(b"\r") for part in parts if part.strip()]
    assert framed([stream]) == expected


@settings(deadline=None)
@given(STREAMS, st.integers(2, 12))
def test_a_line_is_too_long_exactly_if_it_takes_more_than_the_limit(
    stream: bytes, limit: int
) -> None:
    parts = stream.removeprefix(BOM).split(b"\n")
    if not parts[-1]:
        parts.pop()  # nothing follows the last line feed
    expected = [
        len(part) + 1 if len(part) + 1 > limit else part.removesuffix(b"\r")
        for part in parts
        if part.strip() or len(part) + 1 > limit
    ]
    assert framed([stream], limit) == expected


def test_a_line_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert framed([b"x" * 9 + b"\n"], limit=10) == [b"x" * 9]
    assert framed([b"x" * 10 + b"\n"], limit=10) == [11]
    assert framed([b"x" * 9], limit=10) == [b"x" * 9]
    assert framed([b"x" * 10], limit=10) == [11]


def test_a_line_that_is_too_long_harms_no_other() -> None:
    assert framed([b"a\n", b"x" * 100, b"x" * 100 + b"\nb\n"], limit=10) == [b"a", 201, b"b"]


def test_a_line_is_handed_out_as_soon_as_it_ends() -> None:
    framer = LineFramer()
    assert framer.feed(b'{"a"') == []
    assert framer.feed(b':1}\n{"b"') == [b'{"a":1}']
    assert framer.finish() == [b'{"b"']
    assert framer.finish() == []


def test_the_beginning_of_a_byte_order_mark_that_does_not_become_one_is_kept() -> None:
    assert framed([BOM[:1], BOM[1:2], b"x\n"]) == [BOM[:2] + b"x"]
    assert framed([BOM[:2]]) == [BOM[:2]]
    assert framed([BOM[:1], BOM[1:], b"x\n"]) == [b"x"]


def test_memory_is_bounded_by_the_limit_however_long_the_line() -> None:
    framer = LineFramer()
    chunk = b"x" * 65_536
    framer.feed(chunk)
    tracemalloc.start()
    for _ in range(16_384):  # a line of 1 GiB
        assert framer.feed(chunk) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (line,) = framer.finish()
    assert isinstance(line, LineTooLong)
    assert line.bytes == 16_385 * len(chunk) + 1
    assert peak < 4 * MAX_LINE_BYTES
