"""Finding a run: by id, by a prefix that only one run has, by its directory, or by being the one.

A run is a directory that holds `events.jsonl`. Where no run is named, the only one that lives is
meant; if none lives, the one that was started last, as the time of its lock tells.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from executor.runtime.rundir import DEFAULT_ROOT, ROOT_VARIABLE, is_alive, settings_of
from protocol.errors import shown

PAUSE_SECONDS: Final = 0.05
LISTED: Final = 8
"""Runs that an error names at most."""


class RunNotFound(ValueError):  # noqa: N818 - named after what happened
    """No run is meant, or more than one could be. The message says what to do."""


def run_root(given: Path | None) -> Path:
    """Where runs are kept: the flag, the environment, or the default."""
    return given or Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)


def runs(root: Path) -> list[Path]:
    """The runs below `root`, the latest first; empty if there is no such directory."""
    try:
        found = [path for path in root.iterdir() if (path / "events.jsonl").is_file()]
    except OSError:
        return []
    return sorted(found, key=lambda path: (_started(path), path.name), reverse=True)


def find(root: Path, wanted: str | None) -> Path:
    """The run directory that is meant. Errors: `RunNotFound`."""
    if wanted is not None:
        return _named(root, wanted)
    known = runs(root)
    if not known:
        raise RunNotFound(
            f"there is no run below {shown(str(root), 200)}; "
            "go to the directory where it was started, or give --run-root or a run directory"
        )
    alive = [path for path in known if is_alive(path)]
    if len(alive) > 1:
        raise RunNotFound(f"{len(alive)} runs live, so name one of them: {_list(alive)}")
    # `dwx check` leaves a record too, and nobody means it who has a run
    runs_proper = (one for one in (*alive, *known) if settings_of(one).get("preflight") != "only")
    return next(runs_proper, known[0])


def await_live(root: Path, seconds: float) -> None:
    """Returns when a run below `root` lives, at the latest after `seconds`.

    For who waits: `dwx run` given a moment before, in the background, may not have come so far,
    and an older run would be taken for it.
    """
    limit = time.monotonic() + seconds
    while not any(is_alive(path) for path in runs(root)) and time.monotonic() < limit:
        time.sleep(PAUSE_SECONDS)


def _named(root: Path, wanted: str) -> Path:
    path = Path(wanted)
    if wanted and path.name == wanted and (root / wanted / "events.jsonl").is_file():
        return root / wanted
    if wanted and (path / "events.jsonl").is_file():
        return path
    known = runs(root)
    matching = [
        path for path in known if wanted and path.name.removeprefix("r-").startswith(_bare(wanted))
    ]
    if len(matching) == 1:
        return matching[0]
    where = shown(str(root), 200)
    if matching:
        raise RunNotFound(f"{shown(wanted)!r} begins several runs: {_list(matching)}")
    listed = f"; the runs there are {_list(known)}" if known else ", which holds no run"
    raise RunNotFound(
        f"{shown(wanted)!r} is neither a run directory nor a run below {where}{listed}"
    )


def _bare(wanted: str) -> str:
    return wanted.removeprefix("r-")


def _started(path: Path) -> float:
    for name in ("lock", "events.jsonl"):
        try:
            return (path / name).stat().st_mtime
        except OSError:
            continue
    return 0.0


def _list(paths: list[Path]) -> str:
    names = ", ".join(shown(path.name) for path in paths[:LISTED])
    return names if len(paths) <= LISTED else f"{names} and {len(paths) - LISTED} more"
