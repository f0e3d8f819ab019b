"""Faults as text, for command lines: ``drop-after-execute,statement=f2.s1,count=2``.

A spec is a name and options, separated by commas. The name of what happens to a call ends with that
call (``http-503-open``); without it the usual call is meant. A value with a comma, a quote or a
backslash in it, or none at all, stands in double quotes; inside them ``\\`` keeps the character
that follows.

``render`` is the inverse of ``parse``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any, get_args

from executor.local.faults import (
    CALLS,
    STATUS_CODES,
    Call,
    Delay,
    Drop,
    Error,
    Fault,
    FaultError,
    Fired,
    Garbage,
    HandleLost,
    Hang,
    Refuse,
    SessionLost,
    SlowEnd,
    SlowStart,
    Spelling,
    Starting,
    Status,
    Stopped,
    Tls,
    Truncate,
    What,
)

_ON_CALLS: dict[str, tuple[type[What], dict[str, Any], Call]] = {
    "drop-before": (Drop, {"when": "before"}, "execute"),
    "drop-during": (Drop, {"when": "during"}, "execute"),
    "drop-after": (Drop, {"when": "after"}, "execute"),
    "truncate": (Truncate, {}, "execute"),
    "garbage": (Garbage, {}, "execute"),
    **{f"http-{code}": (Status, {"code": code}, "execute") for code in STATUS_CODES},
    "hang": (Hang, {}, "execute"),
    "delay": (Delay, {}, "execute"),
    "refuse": (Refuse, {}, "execute"),
    "session-lost": (SessionLost, {}, "execute"),
    "handle-lost": (HandleLost, {}, "poll"),
}
_OTHERS: dict[str, tuple[type[What], dict[str, Any], Call]] = {
    "slow-start": (SlowStart, {}, "execute"),
    "slow-end": (SlowEnd, {}, "execute"),
    "cancelled": (Stopped, {"state": "cancelled"}, "execute"),
    "timed-out": (Stopped, {"state": "timed-out"}, "execute"),
    "error": (Error, {}, "execute"),
    "starting": (Starting, {}, "execute"),
    "tls": (Tls, {}, "execute"),
}
_CHOICES = {
    "spelling": get_args(Spelling),
    "running": ("goes-on", "cancelled"),
    "certificate": ("self-signed", "wrong-host"),
    "executed": ("yes", "no"),
    "committed": ("yes", "no"),
    "opens": ("yes", "no"),
}
_WHICH = ("statement", "file", "sql", "table")
_WHEN = ("skip", "every", "count", "chance", "seed")


def parse(text: str) -> Fault:
    """The fault that ``text`` describes. Raises FaultError: what is wrong, and what is allowed."""
    name, *rest = _pieces(text)
    kind, fixed, call = _named(name)
    own = {f.name.replace("_", "-"): f for f in fields(kind) if f.name not in fixed}
    allowed = (*own, *_WHICH, *_WHEN)
    given: dict[str, Any] = {}
    for piece in rest:
        key, equals, value = piece.partition("=")
        if key not in allowed:
            raise FaultError(f"{name} has no option {key!r}; its options are {', '.join(allowed)}")
        if not equals:
            raise FaultError(f"{key} needs a value: {key}={_example(key)}")
        if key in given:
            raise FaultError(f"{key} is given twice")
        given[key] = _value(key, _unquoted(value))
    missing = [k for k, f in own.items() if f.default is MISSING and k not in given]
    if missing:
        raise FaultError(f"{name} needs {missing[0]}={_example(missing[0])}")
    what = kind(**fixed, **{f.name: given[k] for k, f in own.items() if k in given})
    chosen = {key: given[key] for key in (*_WHICH, *_WHEN) if key in given}
    return Fault(what, call, **{"count": _usual_count(what), **chosen})


def render(fault: Fault) -> str:
    """The text that ``parse`` reads as this fault."""
    name, fixed = next(
        (name, fixed)
        for name, (kind, fixed, _) in {**_ON_CALLS, **_OTHERS}.items()
        if type(fault.what) is kind and all(getattr(fault.what, k) == v for k, v in fixed.items())
    )
    parts = [f"{name}-{fault.call}" if name in _ON_CALLS else name]
    for owner, names, usual in (
        (fault.what, [f.name for f in fields(fault.what) if f.name not in fixed], {}),
        (fault, [*_WHICH, *_WHEN], {"count": _usual_count(fault.what)}),
    ):
        defaults = {f.name: f.default for f in fields(owner)} | usual
        for key in names:
            value = getattr(owner, key)
            if value != defaults[key]:
                parts.append(f"{key.replace('_', '-')}={_shown(key, value)}")
    return ",".join(parts)


def told(fired: Fired) -> str:
    """A fault that has struck, as a line for people."""
    line = f"fault {render(fired.fault)} has struck {fired.call}"
    if fired.sent is not None:
        named = fired.sent.tags.get("statement")
        line += f" of {named or ' '.join(fired.sent.sql.split())[:60]}"
    return f"{line} (time {fired.time})"


def _usual_count(what: What) -> int | None:
    return None if isinstance(what, (Starting, Tls)) else 1


def _named(name: str) -> tuple[type[What], dict[str, Any], Call]:
    if name in _OTHERS:
        return _OTHERS[name]
    for known, (kind, fixed, usual) in _ON_CALLS.items():
        if name == known:
            return kind, fixed, usual
        if name.startswith(known + "-"):
            for call in CALLS.values():
                if name == f"{known}-{call}":
                    return kind, fixed, call
            raise FaultError(
                f"{name!r}: there is no call {name[len(known) + 1 :]!r}; calls are "
                f"{', '.join(CALLS.values())}"
            )
    raise FaultError(
        f"there is no fault {name!r}; to a call happen {', '.join(_ON_CALLS)} (add -CALL for "
        f"another call than the usual one); to a statement or the warehouse {', '.join(_OTHERS)}"
    )


def _pieces(text: str) -> Iterator[str]:
    """``text`` at its commas, except those in quotes."""
    found = re.fullmatch(rf"{_PIECE}(?:,{_PIECE})*", text)
    if found is None:
        raise FaultError(f"{text!r}: a quote is not closed, or stands inside a value")
    return iter(re.findall(rf"(?:^|,)({_PIECE})", text))


_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PIECE = rf'(?:[^,"=]*(?:=(?:{_QUOTED}|[^,"]*))?)'


def _unquoted(value: str) -> str:
    if value.startswith('"'):
        return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
    return value


def _value(key: str, text: str) -> Any:
    if key in _CHOICES:
        if text not in _CHOICES[key]:
            raise FaultError(f"{key}={text!r} is none of {', '.join(_CHOICES[key])}")
        return text == "yes" if text in ("yes", "no") else text
    if key in ("seconds", "chance"):
        if not re.fullmatch(r"\d+(\.\d+)?(e-?\d+)?", text):
            raise FaultError(f"{key}={text!r} is no number such as {_example(key)}")
        return float(text)
    if key == "count" and text == "always":
        return None
    if key in ("retry-after", "skip", "every", "count", "seed"):
        if not re.fullmatch(r"\d{1,9}", text):
            more = ", nor always" if key == "count" else ""
            raise FaultError(f"{key}={text!r} is no whole number{more}")
        return int(text)
    return text


def _shown(key: str, value: Any) -> str:
    if value is None:
        return "always"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
    if text == "" or re.search(r'[,"\\]', text):
        return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
    return text


def _example(key: str) -> str:
    examples: dict[str, str] = {
        "seconds": "2.5",
        "chance": "0.1",
        "text": '"[DELTA_CONCURRENT_APPEND] A file was added. SQLSTATE: 2D521"',
        "statement": "f2.s1",
        "file": "02_merge.sql",
        "sql": "'INSERT INTO'",
        "table": "main.crm.t",
        **{name: choices[0] for name, choices in _CHOICES.items()},
    }
    return examples.get(key, "1")
