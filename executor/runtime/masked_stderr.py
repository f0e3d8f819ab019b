"""Standard error without secrets: logging of libraries, tracebacks, and what dwx says itself.

All that Python writes to stderr goes through `sys.stderr`, so one place is enough. Text is masked
line by line, since a secret may be written in two pieces.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import TextIO


class MaskedStream(io.TextIOBase):
    """A text stream that masks whole lines before it passes them on."""

    def __init__(self, stream: TextIO, mask: Callable[[str], str]) -> None:
        self._stream = stream
        self._mask = mask
        self._rest = ""
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        with self._lock:
            lines, newline, self._rest = (self._rest + text).rpartition("\n")
            if newline:
                self._stream.write(self._mask(lines) + newline)
                self._stream.flush()
        return len(text)

    def flush(self) -> None:
        with self._lock:
            rest, self._rest = self._rest, ""
            if rest:
                self._stream.write(self._mask(rest))
            self._stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


def mask_stderr(mask: Callable[[str], str]) -> None:
    """From here on `sys.stderr` shows no secret that `mask` knows."""
    if sys.stderr is not None:  # closed by whoever started us
        sys.stderr = MaskedStream(sys.stderr, mask)
