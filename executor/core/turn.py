"""One turn of the machine: the state as it changes during a step, and the effects it asks for.

A `Turn` lives only inside `step`. Handlers read `turn.state`, change it with `turn.set(...)`, and
collect effects; outside, the step is still a pure function from state and input to state and
effects.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from executor.core.effects import Effect, Emit
from executor.core.state import FileProgress, LoopProgress, State
from protocol.base import VERSION, Message, timestamp
from protocol.events import Event
from protocol.hello import Entry
from protocol.shapes import stable_fields_of


class Turn:
    """State and effects under way. `at` is the time of the input."""

    def __init__(self, state: State, at: datetime) -> None:
        self.state = state
        self.at = at
        self.effects: list[Effect] = []

    def set(self, **changes: Any) -> None:
        """Replaces fields of the state."""
        self.state = replace(self.state, **changes)

    def want(self, effect: Effect) -> None:
        """Asks the world for something."""
        self.effects.append(effect)

    def emit(self, event: Event, *, durable: bool = False) -> None:
        """Records an event as the next entry of the log."""
        seq = self.state.seq + 1
        self.set(seq=seq, digest=chained(self.state.digest, event))
        entry = Entry(v=VERSION, run=self.state.run, seq=seq, ts=timestamp(self.at), event=event)
        self.want(Emit(entry, durable))

    def file_progress(self, file_id: str, **changes: Any) -> FileProgress:
        """Changes a file's progress and returns it."""
        progress = replace(self.state.progress.get(file_id, FileProgress()), **changes)
        self.set(progress={**self.state.progress, file_id: progress})
        return progress

    def loop_progress(self, loop_id: str, **changes: Any) -> LoopProgress:
        """Changes a loop's progress and returns it."""
        progress = replace(self.state.loop_progress.get(loop_id, LoopProgress()), **changes)
        self.set(loop_progress={**self.state.loop_progress, loop_id: progress})
        return progress

    def spent(self, **milliseconds: int) -> None:
        """Adds to the time that went into something, named as in `TimeSpent`."""
        spent = self.state.spent
        more = {name: spent.get(name, 0) + added for name, added in milliseconds.items()}
        self.set(spent={**spent, **more})

    def since(self, then: datetime | None) -> int:
        """Milliseconds from `then` to now; 0 if unknown or if the clock went back."""
        if then is None:
            return 0
        return max(0, round((self.at - then).total_seconds() * 1000))


def chained(digest: bytes, event: Message) -> bytes:
    """The digest over the log with one more event: SHA-256 over the stable fields only."""
    body = json.dumps(stable_fields_of(event), separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(digest + body.encode()).digest()
