"""Cutting: what is too long for its line is kept elsewhere, and its beginning stays.

Theory. Only fields whose type says so (`… | Cut`) may be cut, and those marked `APART` always are,
with nothing left of them. A `Place` is such a field on a line about to be written: its value is
replaced where it stands, so that the line can be measured again.
Whatever is cut has been masked before: half a secret that survived would be recognized by nobody.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from protocol.base import Cut, Message
from protocol.shapes import fields_of, shape_of

Store = Callable[[bytes, str], str]
"""Keeps the whole of what was cut. Given the bytes and a suffix (`.txt`, or `.json` for anything
but a text), returns the `ref`: `artifact_ref` makes it."""

dumps = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
"""JSON as lines have it."""


def artifact_ref(data: bytes, suffix: str) -> str:
    """Where the whole of something cut is kept: relative to the run directory, named by content."""
    return f"artifacts/{hashlib.sha256(data).hexdigest()}{suffix}"


class Place:
    """A value on a line that may be cut."""

    def __init__(self, holder: dict[str, Any], name: str, *, apart: bool) -> None:
        self._holder, self._name = holder, name
        self.apart = apart
        """Whether it must be: no part of it stays on the line."""
        self._whole = holder[name]
        self.size = len(dumps(self._whole))
        """Bytes the value takes on the line as it is now."""
        self._ref: str | None = None
        self._bytes = 0

    def cut(self, store: Store, room: int) -> bool:
        """Replaces the value, keeping `room` bytes of a text; False if that gains nothing."""
        # a name as long as a real one, so that nothing is stored in vain
        smallest = {"text": "", "truncated": True, "bytes": 0, "ref": artifact_ref(b"", ".json")}
        if self._ref is None and len(dumps(smallest)) >= self.size:
            return False
        text = _beginning(self._whole, room) if isinstance(self._whole, str) else ""
        before = self.size
        self._replace(text, store)
        return self.size < before

    def put_apart(self, store: Store) -> None:
        """Replaces the value, keeping nothing of it, even if the line gets longer."""
        self._replace("", store)

    def _replace(self, text: str, store: Store) -> None:
        if self._ref is None:
            data, suffix = (
                (self._whole.encode(), ".txt")
                if isinstance(self._whole, str)
                else (dumps(self._whole).encode("ascii"), ".json")
            )
            self._ref, self._bytes = store(data, suffix), len(data)
        record = fields_of(Cut(text=text, bytes=self._bytes, ref=self._ref))
        self._holder[self._name] = record
        self.size = len(dumps(record))


def holds_apart(message: Message) -> bool:
    """Whether there is a text in `message` that must be kept apart. Most classes have no such."""
    shape = shape_of(type(message))
    for name in shape.apart:
        if isinstance(getattr(message, shape.attributes[name]), str):
            return True
    for name in shape.towards_apart:
        value = getattr(message, shape.attributes[name])
        if value is None:
            continue
        records = value if isinstance(value, tuple) else (value,)
        if any(holds_apart(record) for record in records):
            return True
    return False


def places(message: Message, message_fields: dict[str, Any]) -> Iterator[Place]:
    """Every value in `message` that may be cut, at any depth."""
    shape = shape_of(type(message))
    for name in shape.nested:
        value = getattr(message, shape.attributes[name])
        if name in shape.cuttable:
            if value is not None and not isinstance(value, Cut):
                yield Place(message_fields, name, apart=name in shape.apart)
        elif isinstance(value, Message):
            yield from places(value, message_fields[name])
        elif isinstance(value, tuple):
            for item, item_fields in zip(value, message_fields[name], strict=True):
                if isinstance(item, Message):
                    yield from places(item, item_fields)


def _beginning(text: str, room: int) -> str:
    """The longest beginning of `text` that takes at most `room` bytes on a line."""
    text = text[:room]  # no character takes less than a byte
    lengths = range(len(text) + 1)
    return text[: bisect_right(lengths, room, key=lambda n: len(dumps(text[:n])) - 2) - 1]
