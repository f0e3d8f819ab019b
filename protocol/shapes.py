"""Messages as plain values, along a shape worked out once per class.

Theory. The writer knows its types, so it needs no validation: which fields hold texts, which may
hold something deeper, which may be cut and which are kept apart follows from the class alone. A
message is then walked by names, and only where there is something to walk.

A mask is given the texts of a message, at every depth. Constants of the protocol (`type`,
`status`, ...) are left alone, so a secret that happens to read `failed` cannot make a line invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from protocol.base import APART, Cut, Message, is_marked, stable_fields

Mask = Callable[[str], str]
"""Takes a text and gives it back without secrets; idempotent."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a class of messages is walked; all names but those of `values` are names on the wire."""

    names: tuple[str, ...]
    values: Callable[[Any], tuple[Any, ...]]
    attributes: dict[str, str]
    texts: tuple[str, ...]
    """Fields that hold a text and nothing deeper: what a mask is for."""
    nested: tuple[str, ...]
    """Fields that may hold a record, a list or a map."""
    cuttable: frozenset[str]
    apart: frozenset[str]
    """Fields whose text is always kept apart."""
    towards_apart: tuple[str, ...]
    """Fields whose records have such a field, at any depth."""
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


_known: dict[type[Message], Shape] = {}


def shape_of(kind: type[Message]) -> Shape:
    """How messages of this class are walked; worked out once."""
    shape = _known.get(kind)
    if shape is None:
        shape = _known[kind] = _work_out(kind)
    return shape


def _work_out(kind: type[Message]) -> Shape:
    hints = get_type_hints(kind, include_extras=True)
    attributes = {wire_name(field.name): field.name for field in fields(kind)}
    types = {name: members(hints[attribute]) for name, attribute in attributes.items()}
    flat = (str, int, float, bool, type(None))
    nested = tuple(
        name
        for name, parts in types.items()
        if not all(part in flat or get_origin(part) is Literal for part in parts)
    )
    towards_apart = tuple(
        name
        for name in nested
        if any(
            shape_of(record).apart or shape_of(record).towards_apart
            for record in _records_in(types[name])
        )
    )
    cuttable = frozenset(name for name, parts in types.items() if Cut in parts)
    assert cuttable.isdisjoint(towards_apart), "cut as a whole, it would take what is apart along"
    getter = attrgetter(*attributes.values())
    return Shape(
        names=tuple(attributes),
        # attrgetter of one name gives the value itself
        values=getter if len(attributes) > 1 else lambda message: (getter(message),),
        attributes=attributes,
        texts=tuple(n for n, parts in types.items() if str in parts and n not in nested),
        nested=nested,
        cuttable=cuttable,
        apart=frozenset(
            name for name, attribute in attributes.items() if is_marked(hints[attribute], APART)
        ),
        towards_apart=towards_apart,
        stable=tuple(wire_name(name) for name in stable_fields(kind)),
    )


def _records_in(parts: tuple[Any, ...]) -> Iterator[type[Message]]:
    """The classes of records among the types of a field, those in a list included."""
    for part in parts:
        if isinstance(part, type) and issubclass(part, Message) and part is not Cut:
            yield part
        elif get_origin(part) is tuple:
            yield from _records_in(members(get_args(part)[0]))


def fields_of(message: Message, mask: Mask | None = None) -> dict[str, Any]:
    """The fields of `message` as JSON has them: names of the wire, in order, lists for tuples."""
    shape = shape_of(type(message))
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
    shape = shape_of(type(message))
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
