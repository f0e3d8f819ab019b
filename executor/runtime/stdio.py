"""Standard input and standard output of a process that speaks a protocol.

Output. Anything imported may print. `own_stdout` moves the real output to a descriptor of ours and
lets descriptor 1 point to stderr, so that a stray print, or a child's, lands where it does no
harm. One thread writes, one `write` a line; the run hands lines over and never waits for a slow
reader. A reader that is gone is noticed (EPIPE) and told to whoever asked; it ends nothing here.

Input. Harnesses give a process anything as stdin: a pipe, a file, /dev/null, a socket that stays
silent, a closed descriptor, a terminal. A daemon thread with plain `os.read` works for all of
them, and never keeps the process alive.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Protocol

STDIN, STDOUT, STDERR = 0, 1, 2
CHUNK_BYTES: Final = 65_536
FLUSH_AFTER_STOP_SECONDS: Final = 5.0
"""How long the last lines may take to a reader that has stopped reading, once a stop was asked."""


def fill_closed_descriptors() -> frozenset[int]:
    """Opens /dev/null on those of descriptors 0 to 2 that are closed; returns which were.

    Otherwise the next file opened would become standard input or output.
    """
    closed = set()
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.add(descriptor)
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
    return frozenset(closed)


def own_stdout() -> int:
    """Takes standard output for the protocol; descriptor 1 is stderr from here on."""
    wire = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    return wire


class Screen(Protocol):
    """What stdout is used as: a pipe for lines, or something a person looks at."""

    def write(self, line: bytes) -> None:
        """Takes an event, as a line of the protocol; returns at once."""

    def recall(self, log: Path) -> None:
        """Takes in what is in the record of a run that is gone on with; shows nothing of it."""

    def drain(self, timeout: float | None) -> None:
        """Waits until all is out or nobody reads it; at most `timeout` seconds."""

    def give_back(self) -> None:
        """Leaves what was given to us as it was found; the process may end now."""

    def decision_of(self, line: bytes) -> bytes | None:
        """The decision that a line on stdin is; `None` if it is none, and the screen tells it."""


class LineWriter:
    """Writes lines to a descriptor from a thread of its own, in order, one `write` each."""

    def __init__(self, descriptor: int, on_closed: Callable[[], None]) -> None:
        """`on_closed` is called once, from the writing thread, when the reader is gone."""
        self._descriptor = descriptor
        self._on_closed = on_closed
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._write_all, name="dwx-stdout", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Hands a line over; returns at once."""
        self._lines.put(line)

    def drain(self, timeout: float | None) -> None:
        """Waits until every line is written or the reader is gone; at most `timeout` seconds."""
        self._lines.put(None)
        self._thread.join(timeout)

    def recall(self, log: Path) -> None:
        """Nothing to do: whoever reads lines has read those."""

    def give_back(self) -> None:
        """Nothing to do: the descriptor is as it was found."""

    def decision_of(self, line: bytes) -> bytes | None:
        """The decision that a line on stdin is: the line itself."""
        return line

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._closed:
                continue
            try:
                write_whole(self._descriptor, line)
            except OSError:  # EPIPE, and whatever else a descriptor that is gone answers
                self._closed = True
                self._on_closed()


def write_whole(descriptor: int, data: bytes) -> None:
    """Writes all of it. Errors: `OSError` if whoever reads is gone."""
    rest = memoryview(data)
    while rest:
        try:
            written = os.write(descriptor, rest)
        except BlockingIOError:
            # the descriptor was made non-blocking by whoever else holds it
            select.select([], [descriptor], [])
            continue
        rest = rest[written:]


def read_chunks(on_chunk: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
    """Starts reading stdin; both callbacks are called from the reading thread.

    `on_end` is called once, at the end of input or when it cannot be read.
    """

    def read_all() -> None:
        while True:
            try:
                chunk = os.read(STDIN, CHUNK_BYTES)
            except BlockingIOError:
                select.select([STDIN], [], [])
                continue
            except OSError:
                chunk = b""
            if not chunk:
                on_end()
                return
            on_chunk(chunk)

    threading.Thread(target=read_all, name="dwx-stdin", daemon=True).start()
