"""The journal: appends to `events.jsonl`, the record of a run. One writer, never a torn line.

A write that fails half-way (a full disk) is taken back, so that what the file holds is always
whole lines.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import ENOENT
from pathlib import Path

from protocol.cutting import artifact_ref
from protocol.hello import Entry
from protocol.writing import encode_fitting


class Journal:
    """The record of one run. Every method may raise `OSError`: then nothing was appended."""

    def __init__(self, path: Path, mask: Callable[[str], str]) -> None:
        """`mask` takes secrets out of whatever is written."""
        self._directory = path.parent
        self._mask = mask
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def line(self, entry: Entry) -> bytes:
        """The entry as a line; what is too long for it goes to an artifact."""
        return encode_fitting(entry, self._store, self._mask)

    def append(self, line: bytes, *, durable: bool) -> None:
        """Appends a line; `durable` returns only once it is on disk."""
        if os.fstat(self._descriptor).st_nlink == 0:
            # what is appended to a removed file is lost, and the system reports no error
            raise FileNotFoundError(ENOENT, "the record was removed while the run was at work")
        try:
            rest = memoryview(line)
            while rest:
                # a short write means there is no room; the next one says so
                rest = rest[os.write(self._descriptor, rest) :]
            if durable:
                os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        os.close(self._descriptor)

    def _store(self, data: bytes, suffix: str) -> str:
        ref = artifact_ref(data, suffix)
        target = self._directory / ref
        if not target.exists():
            partial = target.with_suffix(".partial")
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(target)
        return ref
