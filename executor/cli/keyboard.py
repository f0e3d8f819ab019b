"""What a person types at the terminal: heard while something is asked, and not shown otherwise.

While the screen is redrawn, an echo would land in the middle of it. So the terminal shows what is
typed only while something is asked; what was typed before a question was seen is no answer to it.
The line is edited by the terminal itself, and its keys for signals stay as they are.
"""

from __future__ import annotations

import os
import termios
from contextlib import suppress

from executor.runtime.stdio import STDIN

_LOCAL_FLAGS = 3
"""Place of the flags for echo in what `tcgetattr` returns."""


class Keyboard:
    """Standard input, if it is a terminal."""

    def __init__(self) -> None:
        self.there = os.isatty(STDIN)
        self._before = termios.tcgetattr(STDIN) if self.there else None

    def listen(self) -> None:
        """Shows what is typed from now on, and forgets what was typed before."""
        if self._is_ours():
            with suppress(termios.error):
                termios.tcflush(STDIN, termios.TCIFLUSH)
                self._set_echo(on=True)

    def hush(self) -> None:
        """Shows nothing of what is typed, and forgets a line that was begun."""
        if self._is_ours():
            with suppress(termios.error):
                termios.tcflush(STDIN, termios.TCIFLUSH)
                self._set_echo(on=False)

    def give_back(self) -> None:
        """Leaves the terminal as it was found. From any thread, and more than once."""
        if self._before is not None and self._is_ours():
            with suppress(termios.error):
                termios.tcsetattr(STDIN, termios.TCSANOW, self._before)

    def _is_ours(self) -> bool:
        """A process in the background that touches the terminal would be stopped."""
        try:
            return self.there and os.tcgetpgrp(STDIN) == os.getpgrp()
        except OSError:  # the terminal is gone, or is not the one that controls us
            return False

    def _set_echo(self, *, on: bool) -> None:
        assert self._before is not None
        mode = [*self._before]
        flags = mode[_LOCAL_FLAGS]
        mode[_LOCAL_FLAGS] = flags if on else flags & ~termios.ECHO
        termios.tcsetattr(STDIN, termios.TCSANOW, mode)
