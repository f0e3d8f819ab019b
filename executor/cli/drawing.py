"""Lines and a live region on a terminal, drawn with rich. The one module that imports it.

Text is given to rich as text, never as markup. Nothing is drawn from another thread than that of
the caller: rich's own refreshing is off.

A terminal that cannot move its cursor gets the lines alone, and one whose encoding lacks the marks
gets others.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import IO, Final, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live as Region
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from executor.runtime.stdio import write_whole
from executor.views.progress import Line, Live

WIDEST: Final = 88
"""Columns over which a line with an aside is spread: on a wide screen they would be far apart."""
NARROWEST: Final = 8
FALLBACK_SIZE: Final = (80, 24)

STYLES: Final = {
    "✓": "green", "✗": "bold red", "!": "bold yellow", "?": "bold magenta", "→": "cyan",
    "•": "dim", "↻": "cyan", "▸": "bold cyan",
}  # fmt: skip
ASCII: Final = str.maketrans("✓✗•→↻▸…", "+x*>~>~")


class Drawing:
    """One terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._console = Console(
            file=cast("IO[str]", Stream(descriptor)), force_terminal=True, force_jupyter=False,
            markup=False, highlight=False, emoji=False,
        )  # fmt: skip
        self.moves = not self._console.is_dumb_terminal
        """Whether a live region can be drawn."""
        self._region: Region | None = None

    def lines(self, lines: Sequence[Line], live: Live | None = None) -> None:
        """Draws lines that stay, above the live region as it is now."""
        self._measure()
        if self._region is not None and live is not None:
            self._region.update(self._under_way(live))
        for line in lines:
            self._console.print(self._line(line))

    def live(self, live: Live) -> None:
        """Draws the live region anew."""
        if not self.moves:
            return
        self._measure()
        if self._region is None:
            self._region = Region(
                console=self._console, auto_refresh=False, transient=True, redirect_stdout=False,
                redirect_stderr=False, vertical_overflow="crop",
            )  # fmt: skip
            self._region.start()
        self._region.update(self._under_way(live), refresh=True)

    def settle(self) -> None:
        """Takes the live region away, so that what comes next stays where it is written."""
        if self._region is not None:
            region, self._region = self._region, None
            region.stop()

    def ask(self, prompt: str) -> None:
        """Writes the words behind which a person types."""
        self._measure()
        self._console.print(Text(f"{prompt}> ", style="bold magenta"), end="")

    def end_line(self) -> None:
        """Goes to the beginning of the next line."""
        self._console.print()

    # --- how lines look -------------------------------------------------------------------------

    def _measure(self) -> None:
        # rich would ask the standard streams, and ours has another descriptor by now
        try:
            columns, rows = os.get_terminal_size(self._descriptor)
        except OSError:
            columns, rows = FALLBACK_SIZE
        if not columns:
            columns, rows = FALLBACK_SIZE
        self._console.size = max(columns, NARROWEST), max(rows, 2)

    def _width(self) -> int:
        return min(self._console.width, WIDEST)

    def _line(self, line: Line) -> RenderableType:
        if not line.mark:
            return _words(line)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=1)
        grid.add_column(overflow="fold")
        words, mark = _words(line), Text(line.mark, style=STYLES.get(line.mark, ""))
        if not line.aside:
            grid.add_row(mark, words)
            return grid
        aside = Text(line.aside.strip(), style="dim")
        room = self._width() - len("✓ ") - len(" ")
        if words.cell_len + aside.cell_len <= room:
            gap = room - words.cell_len - len(aside) + 1
            grid.add_row(mark, Text.assemble(words, " " * gap, aside))
        else:
            grid.add_row(mark, words)
            grid.add_row("", aside)
        return grid

    def _under_way(self, live: Live) -> RenderableType:
        return Group(Text(""), *map(self._fitted, live.lines), self._bar(live))

    def _fitted(self, line: Line) -> RenderableType:
        """A line cut to the width: a live region whose lines wrapped could not be taken away."""
        words = _words(line)
        room = self._width() - len("▸ ")
        words.truncate(max(1, room - len(line.aside) - 2), overflow="ellipsis")
        gap = max(1, room - words.cell_len - len(line.aside))
        mark = Text(f"{line.mark} ", style=STYLES.get(line.mark, ""))
        row = Text.assemble(mark, words, " " * gap, (line.aside, "dim"))
        row.truncate(self._console.width, overflow="crop")
        row.no_wrap = True
        return row

    def _bar(self, live: Live) -> RenderableType:
        count = f"{live.done} of {live.total} files" if live.total else ""
        text = Text(f" {count}  {live.elapsed}", style="dim")
        width = max(1, self._width() - text.cell_len - 1)
        grid = Table.grid()
        bar = ProgressBar(
            total=max(live.total, 1), completed=live.done, width=width,
            complete_style="cyan", finished_style="green", style="dim",
        )  # fmt: skip
        grid.add_row(bar, text)
        return grid


def _words(line: Line) -> Text:
    if not line.head:
        return Text(line.text, overflow="fold")
    return Text.assemble((line.head, "bold"), "  " if line.text else "", line.text, overflow="fold")


class Stream(io.TextIOBase):
    """The terminal's descriptor as a file that takes any text."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        given = sys.__stdout__.encoding if sys.__stdout__ is not None else None
        self._encoding = given or "utf-8"
        try:
            "✓━".encode(self._encoding)
        except (UnicodeEncodeError, LookupError):
            self._marks: dict[int, int] = ASCII
        else:
            self._marks = {}

    def write(self, text: str) -> int:
        plain = text.translate(self._marks) if self._marks else text
        write_whole(self._descriptor, plain.encode(self._encoding, errors="backslashreplace"))
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding
