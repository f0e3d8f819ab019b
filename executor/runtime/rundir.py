"""The run directory: where one run keeps its record. Readable by its owner only."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_ROOT: Final = Path(".dwx") / "runs"
ROOT_VARIABLE: Final = "DWX_RUN_ROOT"
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of one run."""

    run: str
    path: Path

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

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
        return RunDirectory(run, path)
    raise FileExistsError(f"no free run id below {root}")


class RunLock:
    """Held by the process that writes the record; the system lets go of it when that dies."""

    def __init__(self, directory: RunDirectory) -> None:
        """Takes the lock. Errors: `BlockingIOError` if another process holds it."""
        self._descriptor = os.open(directory.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise
        holder = {"pid": os.getpid(), "host": os.uname().nodename}
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, json.dumps(holder).encode() + b"\n")


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
