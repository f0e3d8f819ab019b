"""A run on a terminal: drawn while it goes on, and answered by typing.

Theory. One thread draws. Whatever is to be seen comes to it through one queue: events, what others
write to stderr, and word that a line was typed; while nothing comes it ticks, so that times go on.
So nothing lands in the middle of something else, and the run never waits for a terminal. What was
typed is translated in the thread that reads stdin; what is no answer never gets to the run.

rich and the validator load in the thread that draws, once the first event has been recorded.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Final, TextIO

from executor.cli.happenings import Continued, Happening, Noted, Paused, Recalled, Typed
from executor.cli.keyboard import Keyboard

if TYPE_CHECKING:
    from executor.cli.scene import Scene

TICK_SECONDS: Final = 0.25
SETTLING_SECONDS: Final = 1.0
"""How long a stop from the keyboard waits for the live region to be taken away."""
SANE: Final = b"\r\n\x1b[?25h"
"""Begins a line and shows the cursor: what a terminal needs of us that is left in the middle."""


class TerminalWriter:
    """Takes events as lines of the protocol, and draws what a person is shown of them."""

    def __init__(self, descriptor: int, on_closed: Callable[[], None]) -> None:
        """`on_closed` is called once, from the drawing thread, when the terminal is gone."""
        self._descriptor = descriptor
        self._on_closed = on_closed
        self._queue: SimpleQueue[Happening | None] = SimpleQueue()
        self._keyboard = Keyboard()
        self._scene: Scene | None = None
        self._draws = False
        """Whether the terminal is ours to draw on."""
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr = Notes(sys.stderr, self._note)
        self._ticked = 0.0
        signal.signal(signal.SIGTSTP, self._step_aside)
        self._thread = threading.Thread(target=self._draw_all, name="dwx-stdout", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Hands an event over; returns at once."""
        self._queue.put(line)

    def recall(self, log: Path) -> None:
        """Takes in what happened before this process; nothing of it is drawn."""
        self._queue.put(Recalled(log, log.stat().st_size))

    def decision_of(self, line: bytes) -> bytes | None:
        """The decision that a line on stdin is; `None` if it is none, which is told."""
        if not self._keyboard.there:
            return line
        from executor.views.typed_answer import NotUnderstood, decision_of, is_decision

        typed = line.decode(errors="replace")
        if is_decision(typed):
            self._queue.put(Typed())
            return line
        asked = self._scene.asked if self._scene is not None else None
        if asked is None:
            self._queue.put(Typed("Nothing is asked now."))
            return None
        try:
            decision = decision_of(typed, asked.prompt, asked.choices)
        except NotUnderstood as exc:
            self._queue.put(Typed(str(exc)))
            return None
        self._queue.put(Typed(answers=True))
        return decision.encode()

    def drain(self, timeout: float | None) -> None:
        """Waits until all is drawn or the terminal is gone; at most `timeout` seconds."""
        self._queue.put(None)
        self._thread.join(timeout)
        self.give_back()

    def give_back(self) -> None:
        """Leaves the terminal as it was found, whatever is still to be drawn. From any thread."""
        if self._draws:
            self._draws = False
            with suppress(OSError):
                os.write(self._descriptor, SANE)
        self._keyboard.give_back()

    def _draw_all(self) -> None:
        happening = self._queue.get()
        if happening is None:
            return
        from executor.cli.drawing import Drawing
        from executor.cli.scene import Scene

        scene = self._scene = Scene(Drawing(self._descriptor), self._keyboard, now())
        self._draws = True
        self._keyboard.hush()
        try:
            while happening is not None:
                scene.take(happening, now())
                happening = self._next(scene)
            scene.end()
            self._draws = False
        except OSError:  # the terminal is gone
            self._on_closed()
        finally:
            self.give_back()

    def _next(self, scene: Scene) -> Happening | None:
        """What happens next; draws as often as it ticks until then."""
        while scene.ticks:
            try:
                left = self._ticked + TICK_SECONDS - monotonic()
                return self._queue.get(block=left > 0, timeout=max(0.0, left))
            except Empty:
                self._ticked = monotonic()
                scene.tick(now())
        return self._queue.get()

    def _note(self, text: str) -> bool:
        """Has something drawn that was written to stderr; false where nothing is drawn."""
        if self._draws:
            self._queue.put(Noted(text))
        return self._draws

    def _step_aside(self, number: int, frame: FrameType | None) -> None:
        """Stops the process, as Ctrl-Z means it, and leaves the terminal to the shell till then."""
        drew = self._draws
        if drew:
            settled = threading.Event()
            self._queue.put(Paused(settled))
            settled.wait(SETTLING_SECONDS)
            self.give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        # here it goes on
        signal.signal(signal.SIGTSTP, self._step_aside)
        if drew:
            self._draws = True
            self._queue.put(Continued())


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Notes(io.TextIOBase):
    """stderr on the terminal that is drawn on: what is written goes among the lines drawn."""

    def __init__(self, stream: TextIO, note: Callable[[str], bool]) -> None:
        """`note` takes a text, unless nothing is drawn."""
        self._stream = stream
        self._note = note

    def write(self, text: str) -> int:
        if not self._note(text):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding
