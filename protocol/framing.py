"""Bytes to lines, with a bound on memory.

Theory. A stream comes in chunks that know nothing of lines, from a sender that may be broken or
hostile. The framer keeps at most one line of `limit` bytes; of a longer one it keeps only the
count, and hands out a `LineTooLong` in its place when the line ends. The lines that come out do
not depend on how the bytes were chunked. Pure: no I/O, no decoding.

A line ends with LF; a CR before it is dropped. Lines of nothing but white space are skipped, and a
byte order mark at the very start is dropped: both come from tools, not from intent. The bytes of
a line are counted with its end, as in `MAX_LINE_BYTES`.
"""

from __future__ import annotations

from protocol.base import MAX_LINE_BYTES
from protocol.errors import LineTooLong

BOM = b"\xef\xbb\xbf"


class LineFramer:
    """Cuts a stream of bytes into lines. One framer per stream."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        """`limit`: longest line in bytes, line feed included."""
        self._limit = limit
        self._begun = bytearray()
        self._dropped = 0
        """Bytes of the line at hand that were not kept; more than 0 means it is too long."""
        self._at_start = True
        self._maybe_bom = b""

    def feed(self, chunk: bytes) -> list[bytes | LineTooLong]:
        """The lines that `chunk` completes, without their ends, in order."""
        if self._at_start:
            chunk = self._without_bom(chunk)
        lines: list[bytes | LineTooLong] = []
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._keep(chunk, start, end)
            self._end_line(lines)
            start = end + 1
        self._keep(chunk, start, len(chunk))
        return lines

    def finish(self) -> list[bytes | LineTooLong]:
        """What is left at the end of the input: a last line without a line feed, or nothing."""
        lines: list[bytes | LineTooLong] = []
        rest, self._maybe_bom, self._at_start = self._maybe_bom, b"", False
        self._keep(rest, 0, len(rest))
        self._end_line(lines)
        return lines

    def _keep(self, chunk: bytes, start: int, end: int) -> None:
        # the line feed still to come counts too, hence the 1
        room = self._limit - 1 - len(self._begun)
        if self._dropped == 0 and end - start <= room:
            self._begun += memoryview(chunk)[start:end]
        else:
            self._dropped += len(self._begun) + end - start
            self._begun.clear()

    def _end_line(self, lines: list[bytes | LineTooLong]) -> None:
        if self._dropped:
            lines.append(LineTooLong(self._dropped + 1, self._limit))
            self._dropped = 0
            return
        line = bytes(self._begun)
        self._begun.clear()
        if line.strip():
            lines.append(line.removesuffix(b"\r"))

    def _without_bom(self, chunk: bytes) -> bytes:
        """`chunk` with what was held back before it; nothing while it may still become a BOM."""
        chunk = self._maybe_bom + chunk
        if len(chunk) < len(BOM) and BOM.startswith(chunk):
            self._maybe_bom = chunk
            return b""
        self._maybe_bom, self._at_start = b"", False
        return chunk.removeprefix(BOM)
