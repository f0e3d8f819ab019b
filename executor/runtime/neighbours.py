"""Other runs of dwx below the same run root that work in the same schema.

Only what the first line of a record says is compared: host, catalog and schema. That the run lives
is asked of its lock. A run that executes nothing is no neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from executor.core import checks
from executor.runtime.find import runs
from executor.runtime.rundir import is_alive, settings_of
from protocol.events import Check
from protocol.hello import Settings

_SAME: Final = ("host", "catalog", "schema")


def other_runs(run_dir: Path, settings: Settings) -> Check | None:
    """The check for other runs beside that of `run_dir`.

    `None` for the embedded warehouse, whose files only one process can hold, and where the schema
    is not known.
    """
    if settings.auth == "local" or settings.catalog is None or settings.schema is None:
        return None
    found = sorted(_neighbours(run_dir, settings))
    return checks.other_runs(found, f"{settings.catalog}.{settings.schema}")


def _neighbours(run_dir: Path, settings: Settings) -> Iterator[str]:
    for path in runs(run_dir.parent):
        if path.name == run_dir.name or not is_alive(path):
            continue
        theirs = settings_of(path)
        if theirs.get("dry_run") or theirs.get("preflight") == "only":
            continue
        if all(_same(theirs.get(name), getattr(settings, name)) for name in _SAME):
            yield path.name


def _same(one: Any, other: Any) -> bool:
    """Names are compared as the catalog does, without regard to case."""
    return isinstance(one, str) and isinstance(other, str) and one.lower() == other.lower()
