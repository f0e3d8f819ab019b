"""Blots a secret out of the command line that `ps` shows, on Linux.

The kernel shows the memory in which it put the arguments. Python keeps copies of its own, so that
memory may be overwritten; nothing is moved, and the length stays. The secret was visible until
then, and stays so in the command line of whatever started us.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

_SELF = Path("/proc/self")
_ARG_START, _ARG_END = 45, 46
"""Places in /proc/self/stat after the name of the program (fields 48 and 49 of proc(5))."""


def blot_out(secrets: Iterable[str]) -> None:
    """Overwrites these texts with asterisks; does nothing where that cannot be done."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = (_SELF / "stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
        with (_SELF / "mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            shown = memory.read(end - start)
            for secret in secrets:
                data = secret.encode(errors="surrogateescape")
                shown = shown.replace(data, b"*" * len(data)) if data else shown
            memory.seek(start)
            memory.write(shown)
