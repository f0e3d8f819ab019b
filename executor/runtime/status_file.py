"""`status.json`: what `dwx status --json` says, kept in the run directory while the run lives.

For readers that would rather open a file than start a program. It is a cache of a fold of the log:
nothing reads it back, it may be deleted, and after a crash it is as old as the process that wrote
it, which only `dwx status` can tell.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from executor.views.status import Fold, head_of, state_of
from executor.views.summary import Command, summary
from protocol.views import shows

NAME = "status.json"


class StatusFile:
    """Keeps the file up to date, line by line."""

    def __init__(self, run_dir: Path, command: Command) -> None:
        """Takes in what the log holds already. Errors: `OSError` if it cannot be read."""
        self._run_dir = run_dir
        self._command = command
        self._fold = Fold()
        with (run_dir / "events.jsonl").open("rb") as log:
            for line in log:
                self._fold.take(line)

    def take(self, line: bytes) -> None:
        """Takes in a line, and writes the file anew if it is one that most readers are shown."""
        self._fold.take(line)
        head = head_of(line)
        if head is not None and (shows("progress", head[0]) or head[0] == "heartbeat"):
            with suppress(OSError):  # a cache: whoever wants to be sure reads the log
                self._write()

    def _write(self) -> None:
        state = state_of(self._fold, alive=True, silent_ms=0)
        told = summary(self._fold, state, str(self._run_dir), self._command)
        hidden = self._run_dir / f".{NAME}"
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(told, file)
        hidden.replace(self._run_dir / NAME)
