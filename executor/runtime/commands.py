"""Spelling command lines about a run, to be given where the one that asks for them was given."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from executor.runtime.find import run_root


@dataclass(frozen=True, slots=True)
class Commands:
    """Callable: `commands("answer", "p1", "skip")`."""

    path: Path
    """The run's directory."""
    root: Path | None
    """The --run-root that was given, if one was."""

    def __call__(self, verb: str, *arguments: str) -> str:
        # a run outside the root is named by its directory; others by their whole id
        below_root = self.path.parent == run_root(self.root)
        words = ["dwx", verb, self.path.name if below_root else str(self.path), *arguments]
        if self.root is not None and below_root:
            words += ["--run-root", str(self.root)]
        return shlex.join(words)
