"""Entries to bytes. Loads no validator: the first line of a run does not wait for one.

The writer knows its types: a message is walked along its shape (`protocol.shapes`), and `json`
does the rest.
"""

from __future__ import annotations

from typing import Any

from protocol.base import MAX_LINE_BYTES, MAX_TEXT_BYTES
from protocol.cutting import Store, dumps, holds_apart, places
from protocol.errors import LineTooLong
from protocol.hello import Entry
from protocol.shapes import Mask, fields_of


def encode(entry: Entry, mask: Mask | None = None) -> bytes:
    """`entry` as one line, line feed included. Loads nothing.

    Raises:
        LineTooLong: it would be longer than `MAX_LINE_BYTES`.
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    line = _line(entry, mask)
    if len(line) > MAX_LINE_BYTES:
        raise LineTooLong(len(line), MAX_LINE_BYTES)
    return line


def encode_fitting(entry: Entry, store: Store, mask: Mask | None = None) -> bytes:
    """As `encode`, but what may be cut is cut until the line fits, the longest first, and what is
    kept apart is cut in any case.

    A text keeps its beginning, `MAX_TEXT_BYTES` as written on the line and less if that is still
    too much; a list or a record is replaced as a whole. `store` gets the whole, masked: a text
    as UTF-8, anything else as JSON.

    Raises:
        LineTooLong: nothing is left to cut.
        ValueError: as `encode`.
    """
    if not holds_apart(entry.event):
        line = _line(entry, mask)
        if len(line) <= MAX_LINE_BYTES:
            return line
    line_fields = _line_fields(entry, _scrubbing(mask))
    longest_first = sorted(places(entry.event, line_fields), key=lambda place: -place.size)
    for place in longest_first:
        if place.apart:
            place.put_apart(store)
    line = _as_line(line_fields)
    if len(line) <= MAX_LINE_BYTES:
        return line
    for room in (MAX_TEXT_BYTES, 1024, 256, 0):
        for place in longest_first:
            if place.size > room and place.cut(store, room):
                line = _as_line(line_fields)
                if len(line) <= MAX_LINE_BYTES:
                    return line
    raise LineTooLong(len(line), MAX_LINE_BYTES)


def _line_fields(entry: Entry, mask: Mask | None) -> dict[str, Any]:
    result = {
        "type": entry.event.type,
        "v": entry.v,
        "run": entry.run,
        "seq": entry.seq,
        "ts": entry.ts,
    }
    result.update(fields_of(entry.event, mask))
    return result


def _as_line(line_fields: dict[str, Any]) -> bytes:
    return dumps(line_fields).encode("ascii") + b"\n"


def _line(entry: Entry, mask: Mask | None) -> bytes:
    line = _as_line(_line_fields(entry, mask))
    if rb"\ud" in line:
        # perhaps half a surrogate pair (a file name that is not UTF-8): valid as an escape,
        # but no parser has to accept it, and ours does not
        line = _as_line(_line_fields(entry, _scrubbing(mask)))
    return line


def _scrubbing(mask: Mask | None) -> Mask:
    """`mask`, and halves of surrogate pairs replaced by U+FFFD."""

    def scrub(text: str) -> str:
        masked = text if mask is None else mask(text)
        return masked.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    return scrub
