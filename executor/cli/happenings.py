"""What comes to the thread that draws on a terminal. Light, as those that send it are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Event


@dataclass(frozen=True, slots=True)
class Typed:
    """A line was typed."""

    told: str | None = None
    """Why it is no answer, if it is none."""
    answers: bool = False
    """True if it answers what is asked; otherwise the run has been given it as it is."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something was written to stderr."""

    text: str


@dataclass(frozen=True, slots=True)
class Paused:
    """The process is about to be stopped, once this is set; others use the terminal then."""

    settled: Event


@dataclass(frozen=True, slots=True)
class Continued:
    """The process goes on after it was stopped."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """The run goes on from a log: what is there in these first bytes of it was before."""

    log: Path
    size: int


Happening = bytes | Typed | Noted | Paused | Continued | Recalled
"""What comes; bytes are an event, as a line of the protocol."""
