"""The envelope of every line, the limits of the wire, and the marks on fields.

Theory. A line is one flat JSON object: five envelope fields (`type`, `v`, `run`, `seq`, `ts`),
then the fields of its type. In memory the two halves stay apart: an `Entry` says *where in which
run* something was recorded, its `event` says *what*. Only the half that says what is a matter for
the state machine; the other half is stamped on by whoever keeps the log.

Messages are frozen standard-library dataclasses. Writing one costs no more than `json.dumps`, so
the first line of a run does not wait for pydantic to load; reading one goes through pydantic
(`protocol.codec`), which validates the very same classes. What else there is to say about a field
stands on its type, as a mark. A field is *stable* unless its type carries `VOLATILE`: replay and
diff compare stable fields only. A text whose type carries `APART` is never written on a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, get_args, get_origin, get_type_hints

VERSION = 1
"""Major version of the protocol, on every line as `v`."""

MINOR = 0
"""Minor version; a higher one only adds."""

MAX_LINE_BYTES = 16_384
"""Longest line in either direction, line feed included."""

MAX_TEXT_BYTES = 4_096
"""A text longer than this is cut when its line would be too long, and kept whole in an artifact."""


class Mark:
    """Something a type says about its field, beside what the field may hold."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


VOLATILE = Mark("VOLATILE")
"""The value may differ between two runs that did the same (times, ids)."""

APART = Mark("APART")
"""A text that is always kept in an artifact, however short its line: nobody reads it in passing,
and whoever needs it needs the whole."""

Milliseconds = Annotated[int, VOLATILE]
"""A measured duration in milliseconds."""

Timestamp = Annotated[str, VOLATILE]
"""RFC 3339, UTC, milliseconds: `2026-01-31T12:00:00.000Z`."""

VolatileText = Annotated[str, VOLATILE]
VolatileInt = Annotated[int, VOLATILE]

MESSAGE_CONFIG: Mapping[str, Any] = {
    # `class_` and `from_` are `class` and `from` on the wire: Python reserves the words
    "alias_generator": lambda name: name.rstrip("_"),
    "validate_by_alias": True,
    "validate_by_name": True,
    "extra": "ignore",
    # pydantic's reader takes NaN and Infinity, which JSON does not have
    "allow_inf_nan": False,
}
"""pydantic's settings for every message: unknown fields are ignored, as a newer writer may add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Root of everything that travels as a JSON object."""

    __pydantic_config__ = MESSAGE_CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Message):
    """Stands in for a text or a list too long for a line.

    `text` is the beginning (empty for a list, and for a text that is always kept apart), `bytes`
    the size of the whole in UTF-8, `ref` the file that holds the whole, relative to the run
    directory and named by its SHA-256. Without a record nothing is kept, and `ref` is empty.
    """

    text: str
    truncated: bool = True
    bytes: int
    ref: str


Text = str | Cut

Prose = Annotated[str | Cut, VOLATILE]
"""A sentence for whoever reads it. Volatile: a later version may say the same in better words, and
must still be able to replay, and go on with, what an earlier one has recorded."""

Enclosure = Annotated[str | Cut, VOLATILE, APART]
"""A text for whoever looks closer, on the line only as a reference."""


def stable_fields(message: type[Message]) -> tuple[str, ...]:
    """Names of the fields of `message` that replay and diff compare, in order."""
    hints = get_type_hints(message, include_extras=True)
    return tuple(
        name
        for name, hint in hints.items()
        if not name.startswith("__") and not is_marked(hint, VOLATILE)
    )


def is_marked(hint: Any, mark: Mark) -> bool:
    """Whether the type of a field carries `mark`."""
    if get_origin(hint) is Annotated:
        return mark in get_args(hint)[1:]
    # `Milliseconds | None`: an optional volatile field is volatile
    return any(is_marked(part, mark) for part in get_args(hint) if get_origin(part) is Annotated)


def timestamp(at: datetime) -> str:
    """A time as it stands on the wire. `at` must be in UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
