"""The run directory: where one run keeps its record. Readable by its owner only."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from protocol.base import MAX_LINE_BYTES

DEFAULT_ROOT: Final = Path(".dwx") / "runs"
ROOT_VARIABLE: Final = "DWX_RUN_ROOT"
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_ATTEMPTS: Final = 20
_LOCK_ATTEMPTS: Final = 20
_LOCK_PAUSE_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of one run."""

    run: str
    path: Path

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def inbox(self) -> Path:
        return self.path / "inbox"

    @property
    def lock(self) -> Path:
        return self.path / "lock"


def new_run_id() -> str:
    """A short id that nobody misreads: `r-` and six letters or digits."""
    return "r-" + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in os.urandom(6))


def create(root: Path) -> RunDirectory:
    """Makes a new run directory below `root`, private to its owner.

    Errors: `OSError` if it cannot be made.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for _ in range(_ATTEMPTS):
        run = new_run_id()
        path = root / run
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        (path / "artifacts").mkdir(mode=0o700)
        (path / "inbox").mkdir(mode=0o700)
        (path / "inbox" / "done").mkdir(mode=0o700)
        return RunDirectory(run, path)
    raise FileExistsError(f"no free run id below {root}")


def remove(directory: RunDirectory) -> None:
    """Takes away a run directory in which nothing was recorded."""
    directory.lock.unlink(missing_ok=True)
    for folder in ("artifacts", "inbox/done", "inbox", ""):
        (directory.path / folder).rmdir()


class RunLock:
    """Held by the process that writes the record; the system lets go of it when that dies."""

    def __init__(self, directory: RunDirectory) -> None:
        """Takes the lock. Errors: `BlockingIOError` if another process holds it."""
        self._descriptor = os.open(directory.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for attempt in range(_LOCK_ATTEMPTS):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # somebody who asks whether the run lives holds it for a moment
                if attempt == _LOCK_ATTEMPTS - 1:
                    os.close(self._descriptor)
                    raise
                time.sleep(_LOCK_PAUSE_SECONDS)
        holder = {"pid": os.getpid(), "host": os.uname().nodename, "booted_ms": booted_ms()}
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, json.dumps(holder).encode() + b"\n")


def booted_ms() -> int:
    """When the machine was booted by its wall clock, in milliseconds: changes if that is set."""
    since_boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return (time.time_ns() - time.clock_gettime_ns(since_boot)) // 1_000_000


def holder(run_path: Path) -> int | None:
    """The process that last took the run's lock; `None` if that cannot be told."""
    try:
        pid = json.loads((run_path / "lock").read_bytes())["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if isinstance(pid, int) else None


def settings_of(run_path: Path) -> dict[str, Any]:
    """The settings in the first line of a run's record; empty if they cannot be read."""
    try:
        with (run_path / "events.jsonl").open("rb") as log:
            settings = json.loads(log.readline(MAX_LINE_BYTES))["settings"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return settings if isinstance(settings, dict) else {}


def is_alive(run_path: Path) -> bool:
    """True if a process holds the run's lock."""
    try:
        descriptor = os.open(run_path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
