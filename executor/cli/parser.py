"""argparse, with errors as values: a program reads them, so they are not just printed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from executor.local.faults import Fault

LOCAL_CATALOG, LOCAL_SCHEMA = "main", "default"
"""What a new embedded warehouse has, and where `--local` starts unless told otherwise."""


LONGEST_MS = 30 * 24 * 3_600_000


class UsageError(Exception):
    """The command line cannot be understood. The message is for the person who wrote it."""


class Parser(argparse.ArgumentParser):
    """A parser that raises `UsageError` instead of printing and exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def assignment(text: str) -> tuple[str, str]:
    """`NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def duration_ms(text: str) -> int:
    """`90`, `90s`, `15m` or `2h`, in milliseconds; a bare number is seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; say 90s, 15m or 2h")
    unit = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[found[2] or "s"]
    milliseconds = round(float(found[1]) * unit)
    if milliseconds > LONGEST_MS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than 30 days")
    return milliseconds


def fault(text: str) -> Fault:
    """A fault of the embedded warehouse, as `executor.local.faultspec` reads it."""
    from executor.local.faultspec import parse  # only for those who rehearse

    try:
        return parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def filled(text: str) -> str:
    """A text that says something."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def descriptor(text: str) -> int:
    """The number of a file descriptor. The error does not repeat what may be a token."""
    if not re.fullmatch(r"\d{1,6}", text):
        raise argparse.ArgumentTypeError("takes the number of a file descriptor, not a token")
    return int(text)


_SECRET = re.compile(r"--[\w-]*(?:token|secret|password|passwd|pwd)[\w-]*")


def secret_values(argv: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Values of flags for secrets, mistyped ones too, with the place of the argument they are in.

    Holds where the command line could not be parsed: that is when it is shown.
    """
    name = ""
    for place, one in enumerate(argv):
        if name and not one.startswith("--"):
            if _is_secret(name, one):
                yield place, one
            name = ""
            continue
        name, equals, value = one.partition("=")
        if not equals:
            continue
        if value and _is_secret(name, value):
            yield place, value
        name = ""


def _is_secret(name: str, value: str) -> bool:
    """Whether this is the value of a flag for secrets, abbreviated or mistyped perhaps."""
    if "--token-fd".startswith(name) and value.isdecimal():
        return False
    if len(name) > len("--n") and "--no-token-cache".startswith(name):
        return False
    abbreviated = len(name) > len("--a") and "--access-token".startswith(name)
    return abbreviated or _SECRET.fullmatch(name) is not None


def count(text: str) -> int:
    """A whole number from 0 on."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
