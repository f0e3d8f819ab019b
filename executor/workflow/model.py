"""What a workflow is in memory: its files with the SQL to send, its loops, and its errors.

A `Workflow` is a plan with the texts beside it. The plan (the `Planned…` records of the protocol)
is what the log keeps; the texts stay here, because a log that held every statement twice would be
read by nobody. Nothing in this module parses anything, so whoever only passes workflows around does
not pay for the parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from protocol.events import PlannedCheck, PlannedFile, PlannedLoop, PlanWarning

if TYPE_CHECKING:
    from executor.workflow.lineage import Lineage


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the workflow with the SQL that will be sent.

    `texts[i]` is the text of `planned.statements[i]`: placeholders filled in, without the
    semicolon that ended it in the file.
    """

    planned: PlannedFile
    texts: tuple[str, ...]
    lineage: tuple[Lineage, ...] = ()
    """What each statement does to tables; empty for a file that was made, not read."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """Everything read from a directory. `vars` are all placeholders, defaults included."""

    directory: Path
    """Absolute."""
    profile: str | None
    """Name of the built-in profile that matched."""
    profile_reason: str
    """Why this one, or why none."""
    files: tuple[SourceFile, ...]
    """In the order in which they run."""
    loops: tuple[PlannedLoop, ...]
    warnings: tuple[PlanWarning, ...]
    vars: Mapping[str, str]
    checks: tuple[PlannedCheck, ...] = ()
    """Of loops' results, and of all that the run has made."""

    def source(self, file_id: str) -> SourceFile:
        """The file with this id; KeyError if the workflow has none (iterations that were generated
        later are not part of it)."""
        for file in self.files:
            if file.planned.id == file_id:
                return file
        raise KeyError(file_id)


class WorkflowError(Exception):
    """Why a workflow cannot be read: one fault, where it is, and what to do next.

    `path` is relative to the workflow's directory (the directory itself where that is the fault),
    `line` and `position` count from 1 and refer to the file as it is written.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        suggestion: str,
        path: str | None = None,
        line: int | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.suggestion = suggestion
        self.path = path
        self.line = line
        self.position = position

    def __str__(self) -> str:
        place = self.path or ""
        if self.line is not None:
            place += f":{self.line}"
            if self.position is not None:
                place += f":{self.position}"
        return f"{place}: {self.message}" if place else self.message
