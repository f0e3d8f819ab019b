"""The state of a run: everything the recorded log says, and nothing else.

Theory. A run is in exactly one *phase*; a phase holds what only makes sense while it lasts (the
statement that executes, the prompt that is open), so that a state that asks nothing cannot hold a
question. Beside the phase stand the facts that outlive it: how far each file and loop has come,
what was asked and settled, what the tables hold. All values are immutable; a step makes a new
state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from protocol.decisions import Decide
from protocol.events import (
    CancelMode,
    Check,
    ChoiceName,
    DecisionSource,
    ErrorPrompt,
    ErrorRecord,
    LoopResult,
    PlannedCheck,
    PlannedFile,
    PlannedLoop,
)
from protocol.hello import Hello, Settings
from protocol.policy import Rule

# --- what can execute -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileStatement:
    """Statement `index` (from 0) of a file."""

    file: str
    index: int


@dataclass(frozen=True, slots=True)
class LoopStatement:
    """A statement of the executor's own, for one iteration of a loop."""

    loop: str
    iteration: int
    what: Literal["probe", "residual", "alias", "optimize"]

    @property
    def tests(self) -> bool:
        """True if it tells whether the loop has converged."""
        return self.what in ("probe", "residual")


@dataclass(frozen=True, slots=True)
class OutputOptimize:
    """OPTIMIZE of a table the run leaves behind."""

    table: str
    number: int


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """RESTORE of the target of a file's statement to what it was before that was sent."""

    before: FileStatement
    version: int


@dataclass(frozen=True, slots=True)
class CleanUp:
    """DROP of an intermediate table that nobody needs any more."""

    table: str
    number: int


Task: TypeAlias = FileStatement | LoopStatement | OutputOptimize | RestoreTarget | CleanUp

# --- phases -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Planning:
    """Nothing is known yet but the command line."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """A session is being opened."""


@dataclass(frozen=True, slots=True)
class Preflighting:
    """Checks are made; `reading`: they begin when the files have been read again."""

    reading: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """Nothing is under way; lasts only until the end of the step that caused it."""


@dataclass(frozen=True, slots=True)
class Inspecting:
    """A write waits until its target's version is known."""

    task: Task
    statement: str


@dataclass(frozen=True, slots=True)
class Weighing:
    """An OPTIMIZE waits until it is known whether it is worth it."""

    task: LoopStatement | OutputOptimize
    statement: str


@dataclass(frozen=True, slots=True)
class Validating:
    """Checks of what the run has made are made; `loop`: of that loop's result."""

    what: Literal["publish", "final"]
    loop: str | None = None


@dataclass(frozen=True, slots=True)
class Executing:
    task: Task
    statement: str
    attempt: int
    sent: datetime
    """When it was announced; it was sent at once."""
    version: int | None = None
    """The target's newest version before, where it was looked up."""
    query_id: str | None = None


@dataclass(frozen=True, slots=True)
class Checking:
    """Nobody saw the end of a statement: has it committed?"""

    executing: Executing
    error: ErrorRecord | None = None
    """How it ended for us; `None` if the process ended first."""
    closed: bool = False
    """True if its end, as one that is not known, stands in the log already."""
    over: bool = False
    """True if the warehouse has said that it runs no more."""


@dataclass(frozen=True, slots=True)
class Pausing:
    """A statement is to run again, a little later."""

    statement: str

    @property
    def timer(self) -> str:
        """The name of the timer that ends the pause."""
        return f"pause before {self.statement}"


@dataclass(frozen=True, slots=True)
class Rereading:
    """A file is read again because its statement at `index` is to be retried."""

    file: str
    index: int


@dataclass(frozen=True, slots=True)
class Generating:
    loop: str
    iteration: int


@dataclass(frozen=True, slots=True)
class ErrorQuestion:
    """A statement failed, or its outcome is not known."""

    task: Task
    error: ErrorRecord
    executing: Executing | None = None
    """What is known of its sending, to look again whether it has committed."""


@dataclass(frozen=True, slots=True)
class LoopQuestion:
    """A loop has not been shown to have converged: more iterations, or was the test not run?"""

    loop: str
    iteration: int


@dataclass(frozen=True, slots=True)
class FileQuestion:
    """A file cannot be read again as it is, or an iteration cannot be generated."""

    phase: Rereading | Generating
    error: ErrorRecord


@dataclass(frozen=True, slots=True)
class EditQuestion:
    """Files were edited after statements of theirs had committed; `was` is what to go on with."""

    files: tuple[PlannedFile, ...]
    """As they are now."""
    was: Phase


@dataclass(frozen=True, slots=True)
class ConnectQuestion:
    """The session was lost, and no other can be opened; `was` is what to go on with."""

    was: Phase


@dataclass(frozen=True, slots=True)
class PreflightQuestion:
    """Checks failed, and nothing has been executed; or the files could not be read again."""

    error: ErrorRecord
    files: tuple[str, ...] = ()
    """Those that need what is missing."""


@dataclass(frozen=True, slots=True)
class PublishQuestion:
    """Checks say that a loop's result should not be published."""

    loop: str


Question: TypeAlias = (
    ErrorQuestion | LoopQuestion | FileQuestion | EditQuestion | ConnectQuestion
    | PreflightQuestion | PublishQuestion
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asking:
    prompt: ErrorPrompt
    question: Question

    @property
    def unknown_write(self) -> bool:
        """True if it is about a write that may have committed and must not simply run again."""
        repeatable = any(one.choice == "retry" for one in self.prompt.choices)
        reconnects = isinstance(self.question, ConnectQuestion)
        return self.prompt.outcome == "unknown" and (reconnects or not repeatable)


@dataclass(frozen=True, slots=True)
class Closing:
    """The session is being closed; `suspended` tells which last line will follow."""

    suspended: bool
    error: ErrorRecord | None = None
    reason: str = ""
    """Why it is suspended."""
    asking: Asking | None = None
    """The prompt that stays open, if it is."""


@dataclass(frozen=True, slots=True)
class Ended:
    exit_code: int
    asking: Asking | None = None
    """The prompt that is still open, if the run is suspended."""


@dataclass(frozen=True, slots=True)
class GoingOn:
    """What was interrupted is taken up again; lasts only until the end of the step."""

    was: Phase


@dataclass(frozen=True, slots=True)
class Resuming:
    """The run goes on in another process; `was` is the phase it had reached."""

    was: Phase
    edited: tuple[PlannedFile, ...] = ()
    """Files as they are now whose committed statements were edited."""


Phase: TypeAlias = (
    Planning | Connecting | Preflighting | Ready | Inspecting | Weighing | Executing | Checking
    | Pausing | Validating | Rereading | Generating | Asking | Closing | Ended | Resuming | GoingOn
)  # fmt: skip


def in_doubt(phase: Phase) -> Executing | None:
    """The statement whose end nobody has seen, however deep in the phase it stands."""
    match phase:
        case Executing():
            return phase
        case Checking(executing):
            return executing
        case Resuming(was) | GoingOn(was):
            return in_doubt(was)
        case Asking(question=ConnectQuestion(was) | EditQuestion(was=was)):
            return in_doubt(was)
        case Ended(asking=Asking() as asking) | Closing(asking=Asking() as asking):
            return in_doubt(asking)
        case _:
            return None


# --- progress ---------------------------------------------------------------------------------

FileStatus = Literal["pending", "running", "completed", "failed", "skipped", "not_needed"]


@dataclass(frozen=True, slots=True)
class FileProgress:
    status: FileStatus = "pending"
    started: datetime | None = None
    done: int = 0
    """How many statements have committed, from the first on."""
    rows: int | None = None
    restore_to: int | None = None
    """The version to which the next statement's target is restored before that is sent."""


LoopStage = Literal[
    "pending", "iterating", "probing", "measuring", "optimizing", "checking", "aliasing", "settled",
    "broken", "left_out",
]  # fmt: skip
"""What a loop needs next: the file of its iteration, a convergence test (rows changed, residual),
OPTIMIZE, the checks of its result, its alias; or nothing more, because it is settled, cannot go
on, or was not asked for."""


@dataclass(frozen=True, slots=True)
class LoopProgress:
    stage: LoopStage = "pending"
    iteration: int = 0
    limit: int = 0
    generated: bool = False
    """True if the current iteration's file was generated."""
    started: datetime | None = None
    """When the current iteration began."""
    updated: int | None = None
    """Rows the current iteration changed, once that is known."""
    residuals: tuple[int, ...] = ()
    """What was left to merge after each iteration of which that is known."""
    accepted: bool = False
    """True if the caller chose to publish without convergence."""


Conclusion = Literal["checking", "optimizing", "cleaning"]
"""What is left to do when all files are done, in this order."""


@dataclass(frozen=True, slots=True)
class Counts:
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Slow:
    statement: str
    path: str
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """A decision for a prompt that has not come yet."""

    decision: Decide
    id: str
    source: DecisionSource


@dataclass(frozen=True, slots=True)
class Settled:
    """How a prompt ended, to tell those who answer late."""

    choice: str | None
    how: str
    by: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules in force, and how often each has been used."""

    rules: tuple[Rule, ...] = ()
    uses: tuple[int, ...] = ()
    unmatched: Literal["ask", "suspend", "abort"] = "ask"


@dataclass(frozen=True, slots=True)
class Flaws:
    """What happened that a well-finished run does not have; decides the exit code."""

    unknown_write: bool = False
    record_broken: bool = False
    internal: bool = False
    cancelled: bool = False
    aborted: bool = False
    loop_aborted: bool = False
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class State:
    run: str
    phase: Phase = field(default_factory=Planning)
    seq: int = 0
    digest: bytes = b""
    began: datetime | None = None
    hello: Hello | None = None
    connected: bool = False
    session_id: str | None = None
    reached: Mapping[str, Check] = field(default_factory=dict)
    """Checks of the way to the warehouse, by name."""
    checked: Mapping[str, Check] = field(default_factory=dict)
    """The other checks of the last pre-flight, by name."""

    files: tuple[PlannedFile, ...] = ()
    """In the order in which they run; generated iterations stand after their loop's last file."""
    loops: tuple[PlannedLoop, ...] = ()
    checks: tuple[PlannedCheck, ...] = ()
    """Of loops' results, and of all that the run has made."""
    validated: Mapping[str, Check] = field(default_factory=dict)
    """Those that have been made, by name, as they came out last."""
    progress: Mapping[str, FileProgress] = field(default_factory=dict)
    loop_progress: Mapping[str, LoopProgress] = field(default_factory=dict)
    loop_results: tuple[LoopResult, ...] = ()
    current: str | None = None
    """The file under way."""
    blocked: Mapping[str, str] = field(default_factory=dict)
    """Files that will be skipped, each with the reason."""

    attempts: Mapping[str, int] = field(default_factory=dict)
    """Times each statement has been sent."""
    counts: Counts = field(default_factory=Counts)
    tables: Mapping[str, int | None] = field(default_factory=dict)
    """Tables written and not dropped, with the rows last reported."""
    conclusion: Conclusion = "checking"
    """What comes next when all files are done."""
    optimized: frozenset[str] = frozenset()
    """Outputs that OPTIMIZE has been tried on."""
    cleaned: tuple[str, ...] = ()
    """Intermediate tables that dropping has been tried on."""
    spent: Mapping[str, int] = field(default_factory=dict)
    """Milliseconds by what they went into, named as in `TimeSpent`."""
    slowest: tuple[Slow, ...] = ()

    asked: int = 0
    asked_at: datetime | None = None
    """When the last prompt was opened."""
    settled: Mapping[str, Settled] = field(default_factory=dict)
    kept: tuple[KeptDecision, ...] = ()
    seen: frozenset[str] = frozenset()
    """Ids of the decisions taken in, accepted or not."""
    policy: Policy = field(default_factory=Policy)
    remembered: Mapping[str, tuple[ChoiceName, str | None]] = field(default_factory=dict)
    """Choice (and who made it) to repeat, by the error's fingerprint."""
    automatic: Mapping[str, int] = field(default_factory=dict)
    """How often rules and remembered answers have retried each statement."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """How often each statement has run again by itself since somebody last looked."""
    retried: int = 0
    """How often any statement has; waiting for the warehouse does not count."""

    stop: CancelMode | None = None
    flaws: Flaws = field(default_factory=Flaws)

    @property
    def settings(self) -> Settings:
        """The caller's settings. Errors: `ValueError` before a run has begun or without them."""
        if self.hello is None or self.hello.settings is None:
            raise ValueError("a run without settings has nothing to go on with")
        return self.hello.settings

    def command(self, verb: str, *arguments: str) -> str:
        """A command line about this run, to be given where the run was started."""
        given = self.hello.answer_with if self.hello is not None else None
        template = given or f"dwx answer {self.run} PROMPT CHOICE"
        said = "".join(f" {argument}" for argument in arguments)
        return template.replace("dwx answer", f"dwx {verb}", 1).replace(" PROMPT CHOICE", said, 1)

    def file(self, file_id: str) -> PlannedFile:
        """The planned file of this id. Errors: `KeyError`."""
        for file in self.files:
            if file.id == file_id:
                return file
        raise KeyError(file_id)

    def loop(self, loop_id: str) -> PlannedLoop:
        """The planned loop of this id. Errors: `KeyError`."""
        for loop in self.loops:
            if loop.id == loop_id:
                return loop
        raise KeyError(loop_id)
