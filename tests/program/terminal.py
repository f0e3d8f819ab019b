"""Starts `dwx` in a terminal, types, and looks at the screen as a terminal would show it."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

from protocol.hello import Entry
from protocol.log import read_entries
from tests.program.dwx import DWX, TIMEOUT_SECONDS, environment

ROWS = 200
"""More than any test fills, so that nothing scrolls out of sight."""


class Terminal:
    """A program that runs in a pseudo-terminal of its own."""

    def __init__(
        self, process: subprocess.Popen[bytes], ends: tuple[int, int], columns: int, cwd: Path
    ) -> None:
        self.process = process
        self.cwd = cwd
        self.raw = b""
        """All that was written, control sequences included."""
        self._outside, self._inside = ends
        self._screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def shown(self) -> str:
        """The screen, without what is blank at the end of lines and below the last."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def is_sane(self) -> bool:
        """Whether the cursor is shown, and what is typed too."""
        mode = termios.tcgetattr(self._inside)
        return not self._screen.cursor.hidden and bool(mode[3] & termios.ECHO)

    def until(self, text: str) -> None:
        """Reads until the screen shows this."""
        while text not in self.shown:
            assert self._read(), f"{text!r} was never shown:\n{self.shown}"

    def type(self, text: str, *, end: str = "\n") -> None:
        os.write(self._outside, (text + end).encode())

    def resize(self, columns: int) -> None:
        _set_size(self._inside, columns)
        self._screen.resize(ROWS, columns)

    def end(self) -> int:
        """Reads to the end; returns the exit code."""
        while self._read():
            pass
        return self.process.wait(TIMEOUT_SECONDS)

    @property
    def record(self) -> list[Entry]:
        (log,) = self.cwd.glob(".dwx/runs/*/events.jsonl")
        return list(read_entries(log))

    def _read(self) -> bool:
        """Reads what is there; false once the program has ended and nothing is left."""
        waited = 0.0
        while not select.select([self._outside], [], [], 0.05)[0]:
            if self.process.poll() is not None and not _is_ready(self._outside):
                return False
            waited += 0.05
            assert waited < TIMEOUT_SECONDS, f"nothing more was shown:\n{self.shown}"
        chunk = os.read(self._outside, 65_536)
        self.raw += chunk
        self._stream.feed(chunk)
        return True


@contextmanager
def terminal(
    *arguments: str, cwd: Path, columns: int = 100, stdin: int | None = None, **more: str
) -> Iterator[Terminal]:
    """Starts the program with stdin, stdout and stderr on a terminal."""
    with in_terminal([*DWX, *arguments], cwd=cwd, columns=columns, stdin=stdin, **more) as program:
        yield program


@contextmanager
def in_terminal(
    command: Sequence[str], *, cwd: Path, columns: int, stdin: int | None = None, **more: str
) -> Iterator[Terminal]:
    """As `terminal`, by a command that starts the program in turn. `stdin`: another descriptor."""
    outside, inside = os.openpty()
    _set_size(inside, columns)
    looks = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

    def take_terminal() -> None:
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        command,
        cwd=cwd,
        stdin=inside if stdin is None else stdin,
        stdout=inside,
        stderr=inside,
        env=environment(**{**looks, **more}),
        start_new_session=True,
        preexec_fn=take_terminal,
    ) as process:
        try:
            yield Terminal(process, (outside, inside), columns, cwd)
        finally:
            process.kill()
            os.close(outside)
            os.close(inside)


def _set_size(descriptor: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))


def _is_ready(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
