"""A token that comes through a file descriptor: `--token-fd 3 3< <(pass show databricks)`.

Nothing of it is visible to other users, in a file or in the environment of children. It is read
before dwx opens descriptors of its own, which could have the number the caller meant.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

MAX_BYTES = 16_384
"""No token is longer; whoever gives more has mistaken the descriptor."""

_OUTPUTS = (1, 2)


class TokenInput(NamedTuple):
    """What came: a token, or why there is none and what to do about it."""

    token: str | None = None
    problem: tuple[str, str] | None = None


def problem_of(descriptor: int) -> tuple[str, str] | None:
    """Why no token can be read from this descriptor, and what to do; `None` if one can."""
    name = f"descriptor {descriptor}"
    if descriptor in _OUTPUTS:
        return f"{name} is an output.", "Give --token-fd 0 or a number from 3 on."
    try:
        os.fstat(descriptor)
    except (OSError, OverflowError):
        return (
            f"{name} is not open.",
            f"Open it: dwx run --token-fd {descriptor} ... {descriptor}< FILE.",
        )
    if os.isatty(descriptor):
        return (
            f"{name} is a terminal, which would show what is typed.",
            "Leave --token-fd out: at a terminal the token is asked for, hidden.",
        )
    return None


def read_token(descriptor: int) -> TokenInput:
    """Reads a token to the end of the descriptor, and closes it."""
    problem = problem_of(descriptor)
    if problem is not None:
        return TokenInput(problem=problem)
    data = b""
    try:
        os.set_blocking(descriptor, True)
        with interruptible():
            while len(data) <= MAX_BYTES and (chunk := os.read(descriptor, MAX_BYTES)):
                data += chunk
    except OSError as exc:
        return TokenInput(
            problem=(f"descriptor {descriptor} cannot be read ({exc.strerror}).", "Open it anew.")
        )
    except KeyboardInterrupt:
        return TokenInput(problem=("Reading the token was interrupted.", "Start again."))
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        return TokenInput(
            problem=(
                f"descriptor {descriptor} gives more than {MAX_BYTES} bytes, and a token is short.",
                "Write the token and nothing else to it.",
            )
        )
    token = data.decode("utf-8", "replace").strip()
    if not token:
        return TokenInput(
            problem=(
                f"descriptor {descriptor} came to its end without a token.",
                "Look at what writes to it.",
            )
        )
    return TokenInput(token)


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM raise `KeyboardInterrupt`: nothing has begun that they would cut.

    A run keeps signals until it can take them; while it waits for a token there is no run.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
