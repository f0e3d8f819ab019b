"""The inbox: decisions that other processes leave in the run directory, one file each.

Theory. A sender writes its decision under a name that begins with a dot and renames it to one that
ends in `.json`: what has such a name is whole. Here each file is read, its decision goes to the
machine, and only when the machine has taken it, and so its verdict is in the record, the file is
moved to `done/`. A process that dies in between leaves the file where it is; the next one reads it
again, and the decision's id makes that harmless. Files are taken one by one in the order of their
names.

The directory is listed twenty times a second. That costs some microseconds each time, works on
every file system, and misses nothing; a notification service wakes as often to ask its own thread,
and has to be backed by the same listing where the file system gives no notices.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from executor.core.inputs import Decided, Input, Undecidable
from protocol.base import MAX_LINE_BYTES
from protocol.errors import LineTooLong, ProtocolFault, shown
from protocol.events import RejectionCode

POLL_SECONDS: Final = 0.05


class Inbox:
    """The inbox of one run, seen by its runner. Without a directory there is nothing in it."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._underway: Input | None = None
        self._taken: anyio.Event | None = None
        self._stuck: set[str] = set()
        """Files that were told about and cannot be moved: not to be told about again."""

    def drain(self, feed: Callable[[Input], None]) -> None:
        """Feeds all that is there now; `feed` returns when the machine has taken it."""
        for name in self._names():
            given = self._read(name)
            if given is not None:
                feed(given)
            self._put_away(name)

    async def serve(self, send: Callable[[Input], None]) -> None:
        """Sends what comes, for ever. Whoever takes it in calls `taken`."""
        while True:
            for name in self._names():
                # the first decision loads pydantic, which the loop does not wait for
                given = await anyio.to_thread.run_sync(self._read, name)
                if given is not None:
                    taken = anyio.Event()
                    self._underway, self._taken = given, taken
                    send(given)
                    await taken.wait()
                self._put_away(name)
            await anyio.sleep(POLL_SECONDS)

    def taken(self, given: Input) -> None:
        """The machine has taken an input, and what it says of it is recorded."""
        if self._taken is not None and given is self._underway:
            self._taken.set()
            self._underway = self._taken = None

    def _names(self) -> list[str]:
        if self._directory is None:
            return []
        try:
            names = [path.name for path in self._directory.iterdir()]
        except OSError:
            return []  # gone, or not ours any more: the run has other channels
        return sorted(
            name
            for name in names
            if name.endswith(".json") and not name.startswith(".") and name not in self._stuck
        )

    def _read(self, name: str) -> Input | None:
        """The file's decision, or what is wrong with it; `None` if it has vanished."""
        from protocol.codec import decision_id, decode_decision

        assert self._directory is not None
        try:
            data = _contents(self._directory / name)
            decision = decode_decision(data)
        except FileNotFoundError:
            return None
        except ProtocolFault as fault:
            return _undecidable(name, fault.code, fault.detail)
        except OSError as exc:
            return _undecidable(name, "malformed", f"the file cannot be read: {exc.strerror}")
        return Decided(decision, decision_id(decision), "inbox")

    def _put_away(self, name: str) -> None:
        assert self._directory is not None
        done = self._directory / "done"
        try:
            done.mkdir(mode=0o700, exist_ok=True)
            (self._directory / name).rename(done / name)
        except FileNotFoundError:
            pass
        except OSError:
            self._stuck.add(name)


def _undecidable(name: str, code: RejectionCode, detail: str) -> Undecidable:
    return Undecidable(code, f"inbox/{shown(name)}: {detail}", "inbox")


def _contents(path: Path) -> bytes:
    """The bytes of a decision. Errors: `OSError`, `ProtocolFault` if it cannot be one."""
    # neither led elsewhere by a link nor made to wait for the other end of a pipe
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ProtocolFault("not a regular file; its sender must write one decision to a file")
        if found.st_size > MAX_LINE_BYTES:
            raise LineTooLong(found.st_size, MAX_LINE_BYTES)
        return os.read(descriptor, MAX_LINE_BYTES + 1)
    finally:
        os.close(descriptor)
