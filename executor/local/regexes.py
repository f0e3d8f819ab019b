"""Regular expressions: Java's, as RE2 reads them, or refused where the two read differently."""

from __future__ import annotations

import re

from executor.local import sqltypes as t
from executor.local.errors import SqlError, unsupported
from executor.local.functions import define
from executor.local.sqltypes import SqlType
from executor.local.values import Value


def _pattern(v: Value) -> str:
    """A Java pattern as RE2 reads it. Refuses what the two read differently."""
    if not v.const:
        raise unsupported("REGEX", "a regular expression that is not a literal")
    text = str(v.const[0])
    if re.search(r"\(\?<?[=!]|\(\?>|[*+?}]\+|\\[1-9]|\\[GXRZ]", text):
        raise unsupported("REGEX", f"lookaround, backreferences or possessive quantifiers: {text}")
    inside = False
    for i, ch in enumerate(text):
        if i and text[i - 1] == "\\" and not (i > 1 and text[i - 2] == "\\"):
            continue
        if ch == "[":
            if inside:
                raise unsupported("REGEX", f"nested character classes: {text}")
            inside = True
        elif ch == "]":
            inside = False
        elif inside and text[i : i + 2] == "&&":
            raise unsupported("REGEX", f"intersections of character classes: {text}")
    return t.text(re.sub(r"\(\?<([A-Za-z])", r"(?P<\1", text))


def _replacement(v: Value) -> str:
    """Java's $1 and \\$ as RE2's \\1 and $."""
    if not v.const:
        raise unsupported("REGEX", "a replacement text that is not a literal")
    out, text, i = "", str(v.const[0]), 0
    while i < len(text):
        ch = text[i]
        if ch == "\\" and i + 1 < len(text):
            i += 1
            out += "\\\\" if text[i] == "\\" else text[i]
        elif ch == "$" and i + 1 < len(text) and text[i + 1].isdigit():
            i += 1
            out += "\\" + text[i]
        elif ch in "$\\":
            raise SqlError(
                "INVALID_PARAMETER_VALUE.REGEX_REPLACEMENT", f"Illegal group reference: {text}."
            )
        else:
            out += ch
        i += 1
    return t.text(out)


define(
    "regexp_like rlike regexp",
    2,
    "s",
    lambda v: Value(f"regexp_matches({v[0].sql}, {_pattern(v[1])})", t.BOOLEAN),
)


def _regexp_replace(v: list[Value]) -> Value:
    if len(v) > 3 and v[3].const != (1,):
        raise unsupported("REGEX", "regexp_replace with a start position")
    return Value(
        f"regexp_replace({v[0].sql}, {_pattern(v[1])}, {_replacement(v[2])}, 'g')", t.STRING
    )


define("regexp_replace", (3, 4), "sssi", _regexp_replace)


def _group(v: list[Value]) -> int:
    if len(v) < 3:
        return 1
    if not v[2].const:
        raise unsupported("REGEX", "a group number that is not a literal")
    return int(v[2].const[0])


def _regexp_extract(v: list[Value], name: str, kind: SqlType) -> Value:
    group, pattern = _group(v), _pattern(v[1])
    groups = re.compile(str(v[1].const[0] if v[1].const else "")).groups
    if not 0 <= group <= groups:
        raise SqlError(
            "INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX",
            f"The value of parameter(s) `idx` in `{name}` is invalid: Expects group index between "
            f"0 and {groups}, but got {group}.",
        )
    return Value(f"{name}({v[0].sql}, {pattern}, {group})", kind)


define("regexp_extract", (2, 3), "ssi", lambda v: _regexp_extract(v, "regexp_extract", t.STRING))
define(
    "regexp_extract_all",
    (2, 3),
    "ssi",
    lambda v: _regexp_extract(v, "regexp_extract_all", t.array(t.STRING)),
)
define(
    "regexp_count",
    2,
    "s",
    lambda v: Value(
        f"CAST(len(regexp_extract_all({v[0].sql}, {_pattern(v[1])})) AS INTEGER)", t.INT
    ),
)
define(
    "regexp_substr",
    2,
    "s",
    lambda v: Value(
        f"CASE WHEN regexp_matches({v[0].sql}, {_pattern(v[1])}) "
        f"THEN regexp_extract({v[0].sql}, {_pattern(v[1])}) END",
        t.STRING,
    ),
)


def _split(v: list[Value]) -> Value:
    if len(v) > 2 and (not v[2].const or v[2].const[0] > 0):
        raise unsupported("SPLIT", "split with a limit")
    if not v[1].const:
        raise unsupported("REGEX", "a regular expression that is not a literal")
    text = str(v[1].const[0])
    if text == "":
        raise unsupported("SPLIT", "split on the empty pattern")
    plain = re.fullmatch(r"(?:[^\\.\[\]{}()*+?^$|]|\\[^A-Za-z0-9])+", text)
    if plain:
        literal = re.sub(r"\\(.)", r"\1", text)
        return Value(f"string_split({v[0].sql}, {t.text(literal)})", t.array(t.STRING))
    return Value(f"regexp_split_to_array({v[0].sql}, {_pattern(v[1])})", t.array(t.STRING))


define("split", (2, 3), "ssi", _split)
