"""From the text of one file to planned statements, with what each of them reads and writes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor.workflow.lineage import Lineage, Names, lineage
from executor.workflow.model import WorkflowError
from executor.workflow.names import split_name
from executor.workflow.placeholders import Filled, fill
from executor.workflow.statements import scan
from executor.workflow.units import units
from protocol.events import PlannedStatement, PlanWarning

LONGEST_NAME = 255
"""Characters of a catalog's, schema's or table's name: the limit of Unity Catalog.

Source: https://docs.databricks.com/sql/language-manual/sql-ref-names
"""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file on its own: everything that can be known without the other files."""

    id: str
    path: str
    sha256: str
    statements: tuple[PlannedStatement, ...]
    filled: tuple[Filled, ...]
    lineage: tuple[Lineage, ...]
    warnings: tuple[PlanWarning, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(filled.sent for filled in self.filled)

    @property
    def reads(self) -> tuple[str, ...]:
        """Tables that are read before the file itself has made them."""
        made: set[str] = set()
        found: list[str] = []
        for step in self.lineage:
            found += [name for name in step.reads if name not in made]
            made.update(step.writes)
        return tuple(dict.fromkeys(found))

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for step in self.lineage for name in step.writes))

    @property
    def keeps(self) -> frozenset[str]:
        """Tables that the file writes and that are there when it is done."""
        kept: set[str] = set()
        for step in self.lineage:
            kept.update(step.writes)
            kept.difference_update(step.dropped)
        return frozenset(kept)


def read_statements(
    file_id: str,
    path: str,
    sha256: str,
    text: str,
    values: Mapping[str, str],
    names: Names,
) -> ReadFile:
    """Reads the file `path` with the text `text`; `names` holds what a session begins with.

    Raises WorkflowError from the scanner and the placeholders, and NAME_TOO_LONG.
    """
    statements = scan(text, path)
    filled = [fill(statement, values, source=text, path=path) for statement in statements]
    return plan_statements(
        file_id, path, sha256, filled, [statement.line for statement in statements], names
    )


def plan_statements(
    file_id: str,
    path: str,
    sha256: str,
    filled: Sequence[Filled],
    lines: Sequence[int],
    names: Names,
) -> ReadFile:
    """The statements with ids, lineage and retry units; `lines` are theirs in the file."""
    steps = [lineage(text.parsed, names) for text in filled]
    for step, line in zip(steps, lines, strict=True):
        _require_short_names(step, path, line)
    planned = [
        PlannedStatement(
            id=f"{file_id}.s{number}",
            kind=step.kind,
            target=step.target,
            renames=step.dropped[0] if step.kind == "rename" and step.dropped else None,
            line=line,
            sha256=hashlib.sha256(text.sent.encode()).hexdigest(),
            head=text.head,
            unit=f"{file_id}.s{unit.start + 1}",
            idempotent=unit.idempotent,
            session=step.session,
        )
        for number, (text, line, step, unit) in enumerate(
            zip(filled, lines, steps, units(steps), strict=True), 1
        )
    ]
    warnings = [
        warning
        for step, line, text in zip(steps, lines, filled, strict=True)
        for warning in _warnings(step, path, line, text.head)
    ]
    if not planned:
        warnings.append(
            PlanWarning(code="FILE_EMPTY", detail="the file holds no statement", path=path)
        )
    return ReadFile(
        file_id, path, sha256, tuple(planned), tuple(filled), tuple(steps), tuple(warnings)
    )


def _require_short_names(step: Lineage, path: str, line: int) -> None:
    for name in (*step.reads, *step.writes, *step.dropped):
        for part in split_name(name):
            if len(part) > LONGEST_NAME:
                raise WorkflowError(
                    "NAME_TOO_LONG",
                    f"{part[:40]}… has {len(part)} characters; a name has at most {LONGEST_NAME}",
                    path=path,
                    line=line,
                    suggestion="Shorten the name; if it is generated, look at what was filled in.",
                )


def _warnings(step: Lineage, path: str, line: int, head: str) -> list[PlanWarning]:
    found = []
    if step.kind == "unknown":
        found.append(
            PlanWarning(
                code="UNPARSED",
                detail="the statement could not be parsed, so what it reads and writes is not "
                f"known; it runs as it is: {head[:60]}",
                path=path,
                line=line,
            )
        )
    if step.opaque is not None:
        found.append(
            PlanWarning(
                code="LINEAGE_INCOMPLETE",
                detail=f"{step.opaque}; dependencies may be missing from the plan",
                path=path,
                line=line,
            )
        )
    if step.session:
        found.append(
            PlanWarning(
                code="SESSION_STATE",
                detail="makes something that is gone when the session has to be opened again; "
                "a table would stay",
                path=path,
                line=line,
            )
        )
    return found
