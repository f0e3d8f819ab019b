"""Looking at a run from outside: its log as it grows, whether its process lives, how long silent.

Theory. Three things must agree although nothing is locked. The log is read up to its last LF and
from the same place again next time: what follows the LF is the beginning of a line, which may
still be completed or cut off. Whether the process lives is asked *before* the log is read to its
end; then a process that was gone has nothing more to write, and a log without a last line means a
crash. Silence is measured by clocks that cannot be set: our own since we began to look, and the
wall clock only as long as it agrees with the one the run began with.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from executor.runtime.rundir import booted_ms, is_alive
from executor.views.status import Fold, RunState, parsed, state_of

CHUNK_BYTES: Final = 1 << 20
POLL_SECONDS: Final = 0.05
CLOCK_AGREES_MS: Final = 5_000
"""Two looks at when the machine was booted differ by less, unless the wall clock was set."""


class Tail:
    """Reads the whole lines of a growing log, each once."""

    def __init__(self, path: Path) -> None:
        """Errors: `OSError` if the log cannot be opened."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._offset = 0

    def lines(self) -> Iterator[bytes]:
        """What has been completed since the last call, without line feeds. Errors: `OSError`."""
        while chunk := os.pread(self._descriptor, CHUNK_BYTES, self._offset):
            end = chunk.rfind(b"\n") + 1
            if not end and len(chunk) < CHUNK_BYTES:
                return
            self._offset += end or len(chunk)  # longer than any line: damage, passed over
            yield from chunk[:end].split(b"\n")[:-1]

    def written(self) -> float:
        """When something was last written, as seconds of the wall clock."""
        return os.fstat(self._descriptor).st_mtime


class Look:
    """One run, looked at as often as needed."""

    def __init__(self, path: Path) -> None:
        """`path`: the run directory. Errors: `OSError` if it has no log that can be read."""
        self.path = path
        self.fold = Fold()
        self.alive = False
        self._tail = Tail(path / "events.jsonl")
        self._changed = time.monotonic()

    def refresh(self, on_line: Callable[[bytes], None] | None = None) -> None:
        """Takes in what is new. Errors: `OSError`."""
        self.alive = is_alive(self.path)  # before the log is read, see above
        for line in self._tail.lines():
            self._changed = time.monotonic()
            self.fold.take(line)
            if on_line is not None:
                on_line(line)

    @property
    def run(self) -> str:
        """The run's id, as its log has it."""
        return self.fold.run or self.path.name

    @property
    def state(self) -> RunState:
        """The state as of the last `refresh`."""
        return state_of(self.fold, alive=self.alive, silent_ms=self._silent_ms())

    def kept(self) -> list[dict[str, Any]]:
        """Decisions in the inbox that no runner has taken yet, the first given first."""
        try:
            waiting = sorted(
                path
                for path in (self.path / "inbox").iterdir()
                if path.suffix == ".json" and not path.name.startswith(".")
            )
            return [parsed(path.read_bytes()) for path in waiting]
        except OSError:
            return []  # taken by a runner meanwhile, or not ours to read

    def _silent_ms(self) -> int:
        seen = time.monotonic() - self._changed
        if _clock_was_set(self.path):
            return round(seen * 1000)
        return round(max(seen, time.time() - self._tail.written()) * 1000)


def _clock_was_set(path: Path) -> bool:
    """Whether the wall clock was set since the run's process began, or cannot be compared."""
    try:
        then = int(json.loads((path / "lock").read_bytes())["booted_ms"])
        return abs(booted_ms() - then) > CLOCK_AGREES_MS
    except (OSError, ValueError, KeyError, TypeError):
        return True
