"""Events as text, for a person at a terminal who asked for no program's answer."""

from __future__ import annotations

from executor.runtime.stdio import LineWriter


class TextWriter(LineWriter):
    """Takes events as lines of the protocol, and writes what a person is shown of them."""

    def write(self, line: bytes) -> None:
        """Hands over the text of an event; returns at once."""
        from executor.views.text import lines_of  # only a person pays for these
        from protocol.codec import decode

        for text in lines_of(decode(line)):
            super().write(text.encode(errors="backslashreplace") + b"\n")
