"""Hypothesis strategies for messages, made from the dataclasses themselves."""

from __future__ import annotations

from dataclasses import fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from protocol.base import VERSION, Cut, Message
from protocol.codec import EVENT_TYPES
from protocol.hello import Entry
from protocol.shapes import members

# halves of surrogate pairs are replaced on writing, so they cannot come back; longer texts would
# not fit into what a decision may hold
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=18)

_SCALARS = {
    str: TEXTS,
    int: st.integers(-(2**63), 2**63),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    NoneType: st.none(),
}


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of the type of a field."""
    return st.one_of([_of_member(part) for part in members(hint)])


def _of_member(part: Any) -> st.SearchStrategy[Any]:
    if part in _SCALARS:
        return _SCALARS[part]
    origin, arguments = get_origin(part), get_args(part)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(of_type(arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXTS, of_type(arguments[1]), max_size=2)
    return messages(part)


def messages(kind: Any) -> st.SearchStrategy[Any]:
    """Messages of one class."""
    hints = get_type_hints(kind, include_extras=True)
    values = {field.name: of_type(hints[field.name]) for field in fields(kind)}
    if kind is Cut:
        values["truncated"] = st.just(True)
    return st.builds(kind, **values)


def entries(kind: type[Message]) -> st.SearchStrategy[Entry]:
    """Entries whose event is of one class."""
    return st.builds(
        Entry,
        v=st.just(VERSION),
        run=TEXTS,
        seq=st.integers(1, 2**40),
        ts=TEXTS,
        event=messages(kind),
    )


ANY_ENTRY = st.sampled_from(list(EVENT_TYPES.values())).flatmap(entries)
