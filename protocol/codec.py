"""Entries and decisions to bytes and back.

Theory. Writing and reading are not symmetric. The writer knows its types, so it needs no
validation and no pydantic: a message is walked once along a `_Shape` worked out per class, and
`json` does the rest. The reader knows nothing, so every line is validated against the very
dataclass it becomes; pydantic is imported when the first line is read, and one validator is built
per type when that type is first met, so a program that answers one prompt does not pay for all.

One serializer masks and cuts. Masking comes first, on whole texts: half a secret that survived a
cut would be recognized by nobody. What a mask is given are the texts of a message; constants of
the protocol (`type`, `status`, ...) are left alone, so a secret that happens to read `failed`
cannot make a line invalid.

Reading is strict: `"3"` is not 3, and what is missing is missing. Unknown fields are ignored, and
an unknown event is an `Unknown`, because a newer writer may add. In a decision a key may not come
twice: JSON leaves open which one counts, and a decision must not be open.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NoReturn,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from protocol.base import MAX_LINE_BYTES, MAX_TEXT_BYTES, VERSION, Cut, Message, stable_fields
from protocol.decisions import Decision, SetPolicy
from protocol.errors import BadFields, LineTooLong, NotJson, ProtocolFault, UnknownType, shown
from protocol.events import Entry, Event, Unknown
from protocol.policy import Match

Mask = Callable[[str], str]
"""Takes a text and gives it back without secrets; idempotent."""

Store = Callable[[bytes, str], str]
"""Keeps the whole of what was cut. Given the bytes and a suffix (`.txt`, or `.json` for anything
but a text), returns the `ref`: `artifact_ref` makes it."""

MAX_NAME_BYTES: Final = 256
"""Longest id, prompt, choice, ... in a decision, as written in ASCII. They are echoed by events,
and an event must fit into a line whatever was sent."""

MAX_ECHO_BYTES: Final = {"params": 512, "reason": 4096, "rules": 8192}
"""The same for the fields of a decision that may be longer than a name."""

_dumps = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


# --- messages to plain values -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a class of messages is walked; all names but those of `values` are names on the wire."""

    names: tuple[str, ...]
    values: Callable[[Any], tuple[Any, ...]]
    attributes: dict[str, str]
    texts: tuple[str, ...]
    """Fields that hold a text and nothing deeper: what a mask is for."""
    nested: tuple[str, ...]
    """Fields that may hold a record, a list or a map."""
    cuttable: frozenset[str]
    stable: tuple[str, ...]


def wire_name(attribute: str) -> str:
    """The name on the wire of an attribute: `class_` is `class`, since Python reserves the word."""
    return attribute.rstrip("_")


def members(hint: Any) -> tuple[Any, ...]:
    """The types a field may have: the parts of a union, marks (`VOLATILE`) taken off."""
    if get_origin(hint) is Annotated:
        return members(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return tuple(part for arg in get_args(hint) for part in members(arg))
    return (hint,)


_shapes: dict[type[Message], _Shape] = {}


def _shape(kind: type[Message]) -> _Shape:
    shape = _shapes.get(kind)
    if shape is None:
        shape = _shapes[kind] = _work_out(kind)
    return shape


def _work_out(kind: type[Message]) -> _Shape:
    hints = get_type_hints(kind, include_extras=True)
    attributes = {wire_name(field.name): field.name for field in fields(kind)}
    types = {name: members(hints[attribute]) for name, attribute in attributes.items()}
    flat = (str, int, float, bool, type(None))
    nested = tuple(
        name
        for name, parts in types.items()
        if not all(part in flat or get_origin(part) is Literal for part in parts)
    )
    getter = attrgetter(*attributes.values())
    return _Shape(
        names=tuple(attributes),
        # attrgetter of one name gives the value itself
        values=getter if len(attributes) > 1 else lambda message: (getter(message),),
        attributes=attributes,
        texts=tuple(n for n, parts in types.items() if str in parts and n not in nested),
        nested=nested,
        cuttable=frozenset(name for name, parts in types.items() if Cut in parts),
        stable=tuple(wire_name(name) for name in stable_fields(kind)),
    )


def fields_of(message: Message, mask: Mask | None = None) -> dict[str, Any]:
    """The fields of `message` as JSON has them: names of the wire, in order, lists for tuples."""
    shape = _shape(type(message))
    result = dict(zip(shape.names, shape.values(message), strict=True))
    for name in shape.nested:
        value = result[name]
        if value is not None:
            result[name] = _plain(value, mask)
    if mask is not None:
        for name in shape.texts:
            value = result[name]
            if value is not None:
                result[name] = mask(value)
    return result


def stable_fields_of(message: Message, mask: Mask | None = None) -> dict[str, Any]:
    """As `fields_of`, but only the stable fields, in nested messages too.

    Whether a text was cut depends on the length of its line, and so on volatile fields: compare
    entries from a log after `protocol.log.resolve`, and pass the `mask` a log was written with.
    """
    shape = _shape(type(message))
    return {
        name: _plain(getattr(message, shape.attributes[name]), mask, stable_fields_of)
        if name in shape.nested or name in shape.texts
        else getattr(message, shape.attributes[name])
        for name in shape.stable
    }


def _plain(
    value: Any,
    mask: Mask | None,
    inner: Callable[[Message, Mask | None], dict[str, Any]] = fields_of,
) -> Any:
    if isinstance(value, Message):
        return inner(value, mask)
    if isinstance(value, (tuple, list)):
        return [_plain(item, mask, inner) for item in value]
    if isinstance(value, dict):
        return {_plain(key, mask, inner): _plain(item, mask, inner) for key, item in value.items()}
    if mask is not None and isinstance(value, str):
        return mask(value)
    return value


# --- writing ----------------------------------------------------------------------------------


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
    """As `encode`, but what may be cut is cut until the line fits, the longest first.

    A text keeps its beginning, `MAX_TEXT_BYTES` as written on the line and less if that is still
    too much; a list or a record is replaced as a whole. `store` gets the whole, masked: a text
    as UTF-8, anything else as JSON.

    Raises:
        LineTooLong: nothing is left to cut.
        ValueError: as `encode`.
    """
    line = _line(entry, mask)
    if len(line) <= MAX_LINE_BYTES:
        return line
    line_fields = _line_fields(entry, _scrubbing(mask))
    places = sorted(_places(entry.event, line_fields), key=lambda place: -place.size)
    for room in (MAX_TEXT_BYTES, 1024, 256, 0):
        for place in places:
            if place.size > room and place.cut(store, room):
                line = _as_line(line_fields)
                if len(line) <= MAX_LINE_BYTES:
                    return line
    raise LineTooLong(len(line), MAX_LINE_BYTES)


def artifact_ref(data: bytes, suffix: str) -> str:
    """Where the whole of something cut is kept: relative to the run directory, named by content."""
    return f"artifacts/{hashlib.sha256(data).hexdigest()}{suffix}"


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
    return _dumps(line_fields).encode("ascii") + b"\n"


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


class _Place:
    """A value on a line that may be cut."""

    def __init__(self, holder: dict[str, Any], name: str) -> None:
        self._holder, self._name = holder, name
        self._whole = holder[name]
        self.size = len(_dumps(self._whole))
        """Bytes the value takes on the line as it is now."""
        self._ref: str | None = None
        self._bytes = 0

    def cut(self, store: Store, room: int) -> bool:
        """Replaces the value, keeping `room` bytes of a text; False if that gains nothing."""
        # a name as long as a real one, so that nothing is stored in vain
        smallest = {"text": "", "truncated": True, "bytes": 0, "ref": artifact_ref(b"", ".json")}
        if self._ref is None and len(_dumps(smallest)) >= self.size:
            return False
        if self._ref is None:
            data, suffix = (
                (self._whole.encode(), ".txt")
                if isinstance(self._whole, str)
                else (_dumps(self._whole).encode("ascii"), ".json")
            )
            self._ref, self._bytes = store(data, suffix), len(data)
        text = _beginning(self._whole, room) if isinstance(self._whole, str) else ""
        record = Cut(text=text, bytes=self._bytes, ref=self._ref)
        self._holder[self._name] = fields_of(record)
        before, self.size = self.size, len(_dumps(self._holder[self._name]))
        return self.size < before


def _places(message: Message, message_fields: dict[str, Any]) -> Iterator[_Place]:
    """Every value in `message` that may be cut, at any depth."""
    shape = _shape(type(message))
    for name in shape.nested:
        value = getattr(message, shape.attributes[name])
        if name in shape.cuttable:
            if value is not None and not isinstance(value, Cut):
                yield _Place(message_fields, name)
        elif isinstance(value, Message):
            yield from _places(value, message_fields[name])
        elif isinstance(value, tuple):
            for item, item_fields in zip(value, message_fields[name], strict=True):
                if isinstance(item, Message):
                    yield from _places(item, item_fields)


def _beginning(text: str, room: int) -> str:
    """The longest beginning of `text` that takes at most `room` bytes on a line."""
    text = text[:room]  # no character takes less than a byte
    lengths = range(len(text) + 1)
    return text[: bisect_right(lengths, room, key=lambda n: len(_dumps(text[:n])) - 2) - 1]


# --- reading ----------------------------------------------------------------------------------


def _by_type(union: Any) -> dict[str, type[Message]]:
    return {kind.__dataclass_fields__["type"].default: kind for kind in get_args(union)}


EVENT_TYPES: Final = _by_type(Event)
"""Every event type of this version and its class."""

DECISION_TYPES: Final = _by_type(Decision)
"""Every decision type of this version and its class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Envelope(Message):
    """The half of a line that says where."""

    type: str
    v: int
    run: str
    seq: int
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Typed(Message):
    """What every decision has."""

    type: str


def decode(line: bytes) -> Entry:
    """One line of a log; an event type this version does not know becomes an `Unknown`.

    Raises:
        LineTooLong: longer than any line of this protocol.
        NotJson: not one JSON value in UTF-8.
        BadFields: not an object, a field missing or of the wrong type, or `v` greater than ours.
    """
    _check_length(line)
    try:
        head = validator(_Envelope)(line)
        if head.v <= VERSION:
            event = validator(EVENT_TYPES.get(head.type, Unknown))(line)
    except ValueError as error:
        raise _fault(error) from None
    if head.v > VERSION:
        raise BadFields(
            f"the line is of version {shown(str(head.v))} of the protocol and this program reads "
            f"up to version {VERSION}; its reader must be upgraded",
            "v",
        )
    if head.v < 1 or head.seq < 1:
        field = "seq" if head.seq < 1 else "v"
        raise BadFields(f"`{field}` is less than 1; whoever wrote the line is at fault", field)
    return Entry(v=head.v, run=head.run, seq=head.seq, ts=head.ts, event=event)


def decode_decision(line: bytes) -> Decision:
    """One decision, from a line of stdin or a file of the inbox.

    Raises:
        LineTooLong: longer than `MAX_LINE_BYTES`.
        NotJson: not one JSON value in UTF-8.
        UnknownType: an object, but its `type` names no decision.
        BadFields: not an object, no `type`, a key given twice, a field missing, of the wrong type
            or too long to be echoed, a condition of a policy's rule that is not known.
    """
    _check_length(line)
    line = line.removeprefix(b"\xef\xbb\xbf")  # a file written by an editor may begin with it
    try:
        name = validator(_Typed)(line).type
        raw = json.loads(line, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except ValueError as error:
        raise _fault(error) from None
    if name not in DECISION_TYPES:
        raise UnknownType(name, tuple(DECISION_TYPES))
    try:
        decision: Decision = validator(DECISION_TYPES[name])(line)
    except ValueError as error:
        raise _fault(error) from None
    if isinstance(decision, SetPolicy):
        _check_match(raw)
    _check_echo(decision)
    return decision


def decision_id(decision: Decision) -> str:
    """The decision's own id, or a short hash of what it says: the same words, the same id."""
    if decision.id is not None:
        return decision.id
    # absent and null are one, so that a field added later leaves old decisions their ids
    content = {name: value for name, value in fields_of(decision).items() if value is not None}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "d-" + hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


_validators: dict[Any, Callable[[bytes], Any]] = {}


def validator(hint: Any) -> Callable[[bytes], Any]:
    """Reads JSON that must be `hint`, a message or any type of a field; built once per type.

    What it returns raises `ValueError` with pydantic's words.
    """
    found = _validators.get(hint)
    if found is None:
        # takes longer to import than a short program runs
        from pydantic import TypeAdapter

        found = _validators[hint] = partial(TypeAdapter(hint).validator.validate_json, strict=True)
    return found


def _check_length(line: bytes) -> None:
    if len(line) >= MAX_LINE_BYTES:  # the line feed counts whether it is still there or not
        size = len(line) + (not line.endswith(b"\n"))
        if size > MAX_LINE_BYTES:
            raise LineTooLong(size, MAX_LINE_BYTES)


def _fault(error: ValueError) -> ProtocolFault:
    """What pydantic or `json` found, in the words of the protocol."""
    from pydantic import ValidationError

    if isinstance(error, ProtocolFault):
        return error
    if not isinstance(error, ValidationError):
        return NotJson(str(error))
    # the input is left out: a value in the wrong place may be a secret
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return NotJson(str(first["ctx"]["error"]))
    if not first["loc"]:
        return BadFields("the line is JSON but not an object; its sender must send an object")
    # the parts of a union are named in the place, after the field: keep to what is on the wire
    field = shown(".".join(str(part) for part in first["loc"]))
    if first["type"] == "missing":
        return BadFields(f"the field `{field}` is missing; its sender must give it", field)
    return BadFields(
        f"the field `{field}` does not fit: {shown(first['msg'], 200)}; its sender must mend it",
        field,
    )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            name = shown(key)
            raise BadFields(
                f"the field `{name}` is given twice, so it is open which value counts; "
                "its sender must give it once",
                name,
            )
        result[key] = value
    return result


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON number")


def _check_echo(decision: Decision) -> None:
    """Events repeat what a decision says, so none of it may be longer than an event can hold."""
    for name, value in fields_of(decision).items():
        limit = MAX_ECHO_BYTES.get(name, MAX_NAME_BYTES)
        if value is not None and len(_dumps(value)) > limit:
            raise BadFields(
                f"the field `{name}` is longer than {limit} bytes as ASCII; "
                "its sender must shorten it",
                name,
            )


def _check_match(raw: dict[str, Any]) -> None:
    """Elsewhere an unknown field is ignored; here the rule would apply to more than it says."""
    for index, rule in enumerate(raw["rules"]):
        for name in rule["match"]:
            if name not in _shape(Match).names:
                field = shown(f"rules.{index}.match.{name}")
                raise BadFields(
                    f"the field `{field}` is not known, and without it the rule would apply to "
                    f"more than it says; its sender must use {', '.join(_shape(Match).names)}",
                    field,
                )
