"""The first line of every process, and what holds for all lines: the entry.

Apart from the other events so that the first line can be written before they are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from protocol.base import VOLATILE, Cut, Message, VolatileInt, VolatileText

if TYPE_CHECKING:
    from protocol.events import Event, Unknown

View = Literal["full", "progress", "attention", "off"]
Unanswered = Literal["suspend", "abort", "skip"]
PreflightMode = Literal["on", "off", "only"]
Convergence = Literal["updated", "residual", "both"]
OptimizeMode = Literal["off", "final", "loop", "all"]
ChecksMode = Literal["off", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One recorded line: where in which run (`run`, `seq`, `ts`), and what (`event`)."""

    v: int
    run: str
    seq: int
    ts: str
    event: Event | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Message):
    """What the caller asked for, as far as it decides how the run goes on."""

    directory: VolatileText
    catalog: str | None = None
    schema: str | None = None
    host: VolatileText | None = None
    http_path: VolatileText | None = None
    auth: str | None = None
    """Kind of credential (`pat`, `oauth`, `local`), never the credential."""
    max_iterations: int | None = None
    """Overrides the limit of every loop of the plan."""
    prompt_timeout_ms: int = 900_000
    on_unanswered: Unanswered = "suspend"
    keep_session_ms: int = 300_000
    """How long the session stays open while an answer is awaited: an open one keeps the warehouse
    running."""
    skip_loop: bool = False
    convergence: Convergence = "both"
    """What a loop is tested with: rows an iteration changed, what is left to merge, or both; a loop
    without a residual is tested with `updated` in any case."""
    optimize: OptimizeMode = "off"
    """Which tables OPTIMIZE is run on: none, outputs, those of loops, all of these."""
    optimize_min_files: int = 2
    """A table with fewer files is left as it is; 0 or 1: none is looked at before."""
    dry_run: bool = False
    preflight: PreflightMode = "off"
    """Whether checks are made before anything is executed; `only`: and nothing is."""
    checks: ChecksMode = "off"
    """Whether what the run has made is checked; `warn`: and the exit code is the same whatever is
    found."""
    cleanup: bool = False
    """Whether the tables of loops are dropped once all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Message):
    """First line of every process: who speaks, which run, and how to answer it."""

    type: Literal["hello"] = "hello"
    protocol: str
    tool: str = "dwx"
    tool_version: VolatileText
    run_dir: VolatileText | None
    pid: VolatileInt
    view: Annotated[View, VOLATILE]
    argv: Annotated[tuple[str, ...] | Cut, VOLATILE]
    """The command line, secrets masked."""
    segment: int
    """1, or 2 and more after a resume."""
    answer_with: VolatileText | None
    """The exact way to answer a prompt of this run."""
    in_flight: str | None = None
    """After a resume: the statement that may have been under way when the process before ended."""
    settings: Settings | None
    """`None` only where the command line itself could not be understood."""
