"""The one file that keeps tokens of browser logins, so that the next run opens no browser.

It is the only place where dwx writes a secret to disk, and only who asked for a login has it. The
file is readable by its owner alone, in a directory that is. Whatever else is found there is not
trusted: tokens that others could read, or could have put there, are not used.

A refresh token may be good for one use only, so two runs must not use the same one: `locked` holds
a lock while one of them refreshes, and the other then finds the new tokens.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

EXPOSED = "TOKEN_CACHE_EXPOSED"
NOT_WRITTEN = "TOKEN_CACHE_NOT_WRITTEN"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gives. `expires_at`: of the access token, in seconds since 1970."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: float


class TokenCache:
    """Tokens by the address they are for. No method raises: a run goes on without a cache."""

    def __init__(self, path: Path, warning: Callable[[str, str], None]) -> None:
        """`warning` is called with a code and a text."""
        self._path = path
        self._warning = warning

    def read(self, address: str) -> Tokens | None:
        """The tokens kept for an address, if there are any that nobody else could read."""
        found = self._all().get(address)
        if not isinstance(found, dict):
            return None
        try:
            return Tokens(
                access_token=str(found["access_token"]),
                refresh_token=str(found["refresh_token"]) if found["refresh_token"] else None,
                expires_at=float(found["expires_at"]),
            )
        except (KeyError, TypeError, ValueError):
            return None  # not written by us: log in again

    def keep(self, address: str, tokens: Tokens | None) -> None:
        """Keeps tokens in the place of those before; `None` forgets them."""
        try:
            self._make_directory()
            kept = self._all()
            if tokens is None:
                kept.pop(address, None)
            else:
                kept[address] = asdict(tokens)
            self._replace(json.dumps(kept, indent=1).encode())
        except OSError as exc:
            self._warning(
                NOT_WRITTEN,
                f"The login cannot be kept for the next run ({exc}): that one will ask again.",
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from refreshing at the same time, where that is possible."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                self._make_directory()
                lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
                stack.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_directory(self) -> None:
        directory = self._path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(directory.stat().st_mode) & 0o077:
            directory.chmod(0o700)

    def _all(self) -> dict[str, Any]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return {}
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            foreign = status.st_uid != os.geteuid()
            if foreign or stat.S_IMODE(status.st_mode) & 0o077:
                self._distrust(foreign=foreign)
                return {}
            try:
                found = json.loads(file.read())
            except ValueError:
                return {}
        return found if isinstance(found, dict) else {}

    def _distrust(self, *, foreign: bool) -> None:
        whose = "belongs to somebody else" if foreign else "could be read by others"
        done = "it was not used"
        if not foreign:
            with contextlib.suppress(OSError):
                self._path.unlink()
                done = "it was removed, and its tokens were not used; revoke them if in doubt"
        self._warning(EXPOSED, f"The token cache {self._path} {whose}: {done}.")

    def _replace(self, data: bytes) -> None:
        """All or nothing, and never readable by anybody else for a moment."""
        partial = self._path.with_suffix(f".{os.getpid()}.partial")
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)
