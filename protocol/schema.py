"""JSON Schema 2020-12 of every line that crosses the pipe, made from the classes.

Theory. The classes are the contract; this says the same in a language other programs read. An
event and its envelope are one flat object. `required` is what every writer of this major version
writes. Unknown fields are allowed everywhere, because a minor version may add some. A field that
replay and diff do not compare carries `"x-volatile": true`. Descriptions are the docstrings of
classes and fields, so the sources must be there: an installed program prints `shipped()`, the
committed copy, which a test holds equal to `schema()`.

`python -m protocol.schema`, in the root of the repository, writes the copy anew.
"""

from __future__ import annotations

import ast
import inspect
import json
from dataclasses import MISSING, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from protocol import base
from protocol.base import MINOR, VERSION, Message, stable_fields
from protocol.codec import DECISION_TYPES, EVENT_TYPES
from protocol.shapes import members, wire_name

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

FILE: Final = "schema.json"

ENVELOPE: Final[dict[str, dict[str, Any]]] = {
    "type": {"type": "string", "description": "What the line is."},
    "v": {
        "type": "integer",
        "minimum": 1,
        "maximum": VERSION,
        "description": "Major version of the protocol.",
    },
    "run": {"type": "string", "description": "The run's id.", "x-volatile": True},
    "seq": {
        "type": "integer",
        "minimum": 1,
        "description": "Place in the run's record: 1, 2, 3 … without holes, across resumptions.",
    },
    "ts": {
        "type": "string",
        "format": "date-time",
        "description": "When it was recorded: RFC 3339, UTC, milliseconds.",
        "x-volatile": True,
    },
}
"""The fields every event begins with, in order."""

_SCALARS: Final = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
}


def schema() -> dict[str, Any]:
    """The schema; the same for the same sources, whatever is installed."""
    definitions: dict[str, Any] = {}
    for name, kind in EVENT_TYPES.items():
        definitions[name] = _object(kind, definitions, event=True)
    for name, kind in DECISION_TYPES.items():
        definitions[name] = _object(kind, definitions)
    for union, types in (("event", EVENT_TYPES), ("decision", DECISION_TYPES)):
        definitions[union] = {"oneOf": [_ref(name) for name in types]}
    return {
        "$schema": DIALECT,
        "$id": f"urn:dwx:protocol:{VERSION}.{MINOR}",
        "title": "The protocol of dwx: events out, decisions in",
        "description": "One JSON object per line. Readers ignore fields and types not named here.",
        "oneOf": [_ref("event"), _ref("decision")],
        "$defs": dict(sorted(definitions.items())),
    }


def rendered() -> str:
    """`schema()` as the committed copy has it."""
    return json.dumps(schema(), indent=2) + "\n"


def shipped() -> str:
    """The committed copy, which is part of the package."""
    return files("protocol").joinpath(FILE).read_text(encoding="utf-8")


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _object(
    kind: type[Message], definitions: dict[str, Any], *, event: bool = False
) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    stable = stable_fields(kind)
    docstrings = _field_docstrings(kind)
    properties: dict[str, Any] = dict(ENVELOPE) if event else {}
    required = list(ENVELOPE) if event else []
    for field in fields(kind):
        name = wire_name(field.name)
        property_ = _of_type(hints[field.name], definitions)
        if field.name in docstrings:
            property_["description"] = docstrings[field.name]
        if field.name not in stable:
            property_["x-volatile"] = True
        properties[name] = property_
        # a constant tells the reader what it has in hand, so it is never left out
        constant = "const" in property_
        if (constant or field.default is MISSING) and name not in required:
            required.append(name)
    result: dict[str, Any] = {"type": "object"}
    # a dataclass without a docstring gets its signature for one
    if kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("):
        result["description"] = inspect.cleandoc(kind.__doc__)
    result["properties"] = properties
    result["required"] = required
    return result


def _of_type(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    alternatives = [_of_member(part, definitions) for part in members(hint)]
    if len(alternatives) == 1:
        return alternatives[0]
    words = [word for part in members(hint) for word in _words(part)]
    if len(words) >= len(alternatives):  # nothing but constants and null: one list of them
        return {"enum": words}
    return {"anyOf": alternatives}


def _words(part: Any) -> list[str | None]:
    if part is NoneType:
        return [None]
    return list(get_args(part)) if get_origin(part) is Literal else []


def _of_member(part: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if part in _SCALARS:
        return dict(_SCALARS[part])
    origin, arguments = get_origin(part), get_args(part)
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _of_type(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of_type(arguments[1], definitions)}
    if isinstance(part, type) and issubclass(part, Message):
        if part.__name__ not in definitions:
            definitions[part.__name__] = {}  # holds the place, should a record hold itself
            definitions[part.__name__] = _object(part, definitions)
        return dict(_ref(part.__name__))
    raise TypeError(f"no JSON Schema for {part!r}: teach protocol.schema this type")


# --- docstrings of fields ---------------------------------------------------------------------


def _field_docstrings(kind: type[Message]) -> dict[str, str]:
    return _docstrings_of(inspect.getmodule(kind) or base).get(kind.__name__, {})


@cache
def _docstrings_of(module: ModuleType) -> dict[str, dict[str, str]]:
    """By class and field: the text that stands below the field. Python itself drops it."""
    result: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            found = result.setdefault(node.name, {})
            for above, below in zip(node.body, node.body[1:], strict=False):
                match above, below:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        found[name] = " ".join(inspect.cleandoc(text).split())
    return result


if __name__ == "__main__":
    Path(__file__).with_name(FILE).write_text(rendered(), encoding="utf-8")
