"""Retry units: from where a statement has to be run again, and whether that is safe.

Theory. A statement is *safe alone* if running it twice leaves what running it once leaves: a table
replaced as a whole by something that does not depend on the table, a drop that asks first, a
setting. INSERT, UPDATE, MERGE, RENAME are not. But a change becomes safe together with what
*resets* its table before it: run again from the reset, the table starts from the same content. The
unit of a change is therefore the stretch from the last reset of its target to the change itself,
and it holds only if nothing in the stretch spoils the repetition: every table that the stretch
writes must be reset inside it before it is changed or read, because a read would otherwise see on
the second run what the first one left behind.

A RENAME is always a unit of its own and never safe: between DROP and RENAME the production table
does not exist, and after a rename that did happen, the DROP before it would destroy the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from executor.workflow.lineage import Lineage

_ALWAYS = frozenset({"use", "set", "select", "optimize", "vacuum", "truncate"})
_RESETS = frozenset({"replace", "replace_as", "insert_overwrite", "truncate"})
_CHANGES = frozenset(
    {"insert", "merge", "update", "delete", "copy_into", "insert_overwrite", "create", "create_as"}
)


@dataclass(frozen=True, slots=True)
class Unit:
    """`start` is the index of the unit's first statement in the file."""

    start: int
    idempotent: bool


def resets(step: Lineage) -> bool:
    """True if the target's content afterwards does not depend on what it was before.

    A table dropped with IF EXISTS is reset too: to being absent, which is what CREATE needs.
    """
    if step.kind == "drop":
        return step.guarded and bool(step.writes)
    return step.kind in _RESETS and not step.partial and step.target not in step.reads


def safe_alone(step: Lineage) -> bool:
    """True if running the statement twice leaves what running it once leaves."""
    if step.opaque is not None:
        return False
    match step.kind:
        case kind if kind in _ALWAYS:
            return True
        case "replace" | "replace_as" | "insert_overwrite" | "delete":
            # rows deleted by a condition on themselves are gone the second time; a condition that
            # reads the table as a whole may find others
            return step.target not in step.reads
        case "create" | "create_as" | "drop" | "other" | "alter":
            return step.guarded
        case _:
            return False


def units(steps: Sequence[Lineage]) -> tuple[Unit, ...]:
    """The retry unit of each statement of a file."""
    return tuple(_unit(steps, at) for at in range(len(steps)))


def _unit(steps: Sequence[Lineage], at: int) -> Unit:
    step = steps[at]
    if safe_alone(step):
        return Unit(at, idempotent=True)
    if step.kind in _CHANGES:
        for start in range(at - 1, -1, -1):
            if step.target in steps[start].writes:
                if not resets(steps[start]):
                    continue
                if _repeatable(steps[start : at + 1]):
                    return Unit(start, idempotent=True)
                break
    return Unit(at, idempotent=False)


def _repeatable(stretch: Sequence[Lineage]) -> bool:
    written = {name for step in stretch for name in step.writes}
    fresh: set[str] = set()
    for step in stretch:
        stale = written - fresh
        if step.kind == "rename" or step.opaque or step.kind in ("unknown", "script"):
            return False
        if stale.intersection(step.reads):
            return False
        if resets(step):
            fresh.update(step.writes)
        elif stale.intersection(step.writes) or not (step.writes or safe_alone(step)):
            return False
    return True
