"""Entries and decisions to bytes and back.

Theory. Writing and reading are not symmetric. The writer knows its types: a message is walked along
its shape (`protocol.shapes`), and `json` does the rest. The reader knows nothing, so every line is
validated against the very dataclass it becomes; pydantic is imported when the first line is read,
and one validator is built per type when that type is first met, so a program that answers one
prompt does not pay for all.

Reading is strict: `"3"` is not 3, and what is missing is missing. Unknown fields are ignored, and
an unknown event is an `Unknown`, because a newer writer may add. In a decision a key may not come
twice: JSON leaves open which one counts, and a decision must not be open.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn, get_args

from protocol.base import MAX_LINE_BYTES, VERSION, Message
from protocol.cutting import Store, artifact_ref, dumps
from protocol.decisions import Decision, SetPolicy
from protocol.errors import BadFields, LineTooLong, NotJson, ProtocolFault, UnknownType, shown
from protocol.events import Event, Unknown
from protocol.hello import Entry
from protocol.policy import Match
from protocol.shapes import Mask, fields_of, shape_of, stable_fields_of
from protocol.writing import encode, encode_fitting

__all__ = [
    "DECISION_TYPES",
    "EVENT_TYPES",
    "Mask",
    "Store",
    "artifact_ref",
    "decision_id",
    "decode",
    "decode_decision",
    "encode",
    "encode_fitting",
    "fields_of",
    "stable_fields_of",
    "validator",
]

MAX_NAME_BYTES: Final = 256
"""Longest id, prompt, choice, ... in a decision, as written in ASCII. They are echoed by events,
and an event must fit into a line whatever was sent."""

MAX_ECHO_BYTES: Final = {"params": 512, "reason": 4_096, "rules": 8_192}
"""The same for the fields of a decision that may be longer than a name."""


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
        if value is not None and len(dumps(value)) > limit:
            raise BadFields(
                f"the field `{name}` is longer than {limit} bytes as ASCII; "
                "its sender must shorten it",
                name,
            )


def _check_match(raw: dict[str, Any]) -> None:
    """Elsewhere an unknown field is ignored; here the rule would apply to more than it says."""
    for index, rule in enumerate(raw["rules"]):
        for name in rule["match"]:
            if name not in shape_of(Match).names:
                field = shown(f"rules.{index}.match.{name}")
                raise BadFields(
                    f"the field `{field}` is not known, and without it the rule would apply to "
                    f"more than it says; its sender must use {', '.join(shape_of(Match).names)}",
                    field,
                )
