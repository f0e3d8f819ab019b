"""Idempotent starts: a key names at most one run, whoever asks twice.

`<root>/keys/<hash of the key>` is a link whose target is the run's id. Making a link is atomic, so
of two processes that start with the same key one makes it, and the other finds it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from executor.runtime.rundir import is_alive


def claim(root: Path, key: str, run: str) -> str | None:
    """Gives `key` to `run`; returns `None`, or the run that has it already.

    `run` must hold its lock already, so that others see that it lives. A key whose run never came
    to write anything is taken over.
    Errors: `OSError` if the link cannot be made.
    """
    keys = root / "keys"
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    link = keys / hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    while True:
        try:
            link.symlink_to(run)
        except FileExistsError:
            holder = str(link.readlink())
            if (root / holder / "events.jsonl").exists() or is_alive(root / holder):
                return holder
            _replace(link, run)
            continue
        return None if str(link.readlink()) == run else str(link.readlink())


def _replace(link: Path, run: str) -> None:
    """Takes away a link to a run that never was, so that it can be made anew."""
    stale = link.with_name(f"{link.name}.{os.getpid()}.{run}")
    try:
        link.rename(stale)
    except FileNotFoundError:
        return  # somebody else was faster
    stale.unlink()
