"""The record and its view: what is emitted goes to the journal first, then to stdout.

Light on purpose: the first event of a run is written before anything heavy is imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from executor.runtime.journal import Journal
from executor.runtime.stdio import FLUSH_AFTER_STOP_SECONDS, Screen
from protocol.exit_codes import CANCELLED
from protocol.hello import Entry, View
from protocol.views import is_quiet, shows
from protocol.writing import encode_fitting


class Record:
    """Where events go. Not thread-safe: only the machine's loop appends."""

    def __init__(
        self,
        journal: Journal | None,
        screen: Screen | None,
        view: View,
        mask: Callable[[str], str],
    ) -> None:
        """No `journal` for an error before there is a run directory; no `screen` without stdout."""
        self._journal = journal
        self._screen = screen
        self._view = view
        self._mask = mask
        self._hurry = False
        self._follower: Callable[[bytes], None] = _nobody
        self._broken = False
        self.seq = 0
        """Number of the last entry recorded, or shown where nothing can be recorded."""

    def append(self, entry: Entry, *, durable: bool) -> None:
        """Records and shows one event. Errors: `OSError` if it cannot be recorded.

        A record that could not be written once is left as it is from then on, and later events are
        only shown: it is whole as far as it goes, so a resume can go on from there.
        """
        if self._journal is None or self._broken:
            self._show_only(entry)
            return
        try:
            line = self._journal.line(entry)
            self._journal.append(line, durable=durable)
        except OSError:
            self._broken = True
            raise
        self.seq = entry.seq
        self._follower(line)
        self._show(entry, line)

    def follow(self, follower: Callable[[bytes], None]) -> None:
        """Has every line that is recorded from now on told to `follower`."""
        self._follower = follower

    def append_or_show(self, entry: Entry) -> None:
        """Records and shows an event if that can be done, else only shows it."""
        try:
            self.append(entry, durable=True)
        except OSError:
            self._show_only(entry)

    def _show_only(self, entry: Entry) -> None:
        self.seq = entry.seq
        self._show(entry, encode_fitting(entry, _nowhere, self._mask))

    def hurry(self) -> None:
        """A stop was asked for: a slow reader is no longer waited for without limit."""
        self._hurry = True

    def finish(self) -> None:
        """Waits until what was shown has reached its reader."""
        if self._screen is not None:
            self._screen.drain(FLUSH_AFTER_STOP_SECONDS if self._hurry else None)
        if self._journal is not None:
            self._journal.close()

    def leave_at_once(self) -> None:
        """Ends the process now; the next look at the record finds what was open."""
        if self._screen is not None:
            self._screen.give_back()
        os._exit(CANCELLED)

    def _show(self, entry: Entry, line: bytes) -> None:
        left_out = self._view == "progress" and is_quiet(entry.event)
        if self._screen is not None and shows(self._view, entry.event.type) and not left_out:
            self._screen.write(line)


def _nobody(line: bytes) -> None:
    """Follows the record until somebody does."""


def _nowhere(data: bytes, suffix: str) -> str:
    return ""
