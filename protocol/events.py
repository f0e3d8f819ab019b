"""Every event dwx can emit: one class per type, in the order in which a run meets them.

PROTOCOL.md describes the same types for readers on the other side of the pipe; a test holds the
two together. Units: durations are milliseconds (`*_ms`), sizes are bytes, lines count from 1.
`None` always means *not known* or *does not apply*, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from protocol.base import (
    VOLATILE,
    Cut,
    Enclosure,
    Message,
    Milliseconds,
    Prose,
    Text,
    Timestamp,
    VolatileInt,
    VolatileText,
)
from protocol.hello import Convergence, Hello, Unanswered
from protocol.policy import Rule, Unmatched

# --- words shared by several events -----------------------------------------------------------

StatementKind = Literal[
    "use", "set", "create", "create_as", "replace", "replace_as", "insert", "insert_overwrite",
    "merge", "update", "delete", "truncate", "copy_into", "drop", "rename", "alter", "optimize",
    "vacuum", "select", "script", "transaction", "probe", "alias", "restore", "other", "unknown",
]  # fmt: skip
"""What a statement is. `create`/`replace`: a table or view without, `*_as`: with a query.
`probe`, `alias` and `restore` are statements of the executor's own; `other` is parsed but none of
these; `unknown` could not be parsed."""

Outcome = Literal["committed", "not_committed", "unknown"]
ChoiceName = Literal[
    "retry", "skip", "continue", "done", "abort", "extend", "accept", "check", "restore"
]
Retry = Literal["auto", "after_check", "user", "no"]
"""Who may run a failed statement again as it is: dwx by itself, dwx once it has looked whether the
first attempt committed, only somebody who decides so, nobody (it would fail again)."""
RowSource = Literal["result", "driver", "history", "unknown"]
CheckStatus = Literal["passed", "failed", "unknown", "skipped"]
CheckPhase = Literal["preflight", "recovery", "publish", "final"]
"""When a check is made: before anything is executed; to find out what became of a statement; before
a loop's result is published; when all files are done."""
Severity = Literal["fatal", "critical", "moderate", "warning"]
RunOutcome = Literal["succeeded", "failed", "cancelled", "incomplete"]
CancelMode = Literal["after_statement", "now"]
DecisionSource = Literal["stdin", "inbox", "flag"]
RejectionCode = Literal[
    "malformed", "too_long", "unknown_type", "unknown_prompt", "already_resolved", "not_offered",
    "stale", "wrong_run",
]  # fmt: skip


# --- records inside events --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord(Message):
    """One error, whoever made it. Text in it comes from outside and is data, never markup."""

    class_: str
    """Error class of the warehouse (`TABLE_OR_VIEW_NOT_FOUND`) or one of dwx's own (`DWX_…`)."""
    sqlstate: str | None = None
    category: str
    severity: Severity
    retryable: bool
    retry: Retry = "no"
    retry_after_ms: VolatileInt | None = None
    """How long the warehouse asked to wait before the next attempt."""
    message: Prose
    cause: VolatileText | None = None
    """The first exception that the warehouse names as the cause, on one line; `None` if it names
    none, or one that says what the message says."""
    stack: Enclosure | None = None
    """The warehouse's Java stack, always in an artifact."""
    file: str | None = None
    line: int | None = None
    """Line in the file, counted from 1."""
    position: int | None = None
    """Character in the line, counted from 1."""
    statement: str | None = None
    query_id: VolatileText | None = None
    suggestion: Prose
    """What to do next, in one sentence."""
    fingerprint: str
    """Stable hash of path, statement and class: the key for policies and replay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts(Message):
    """Rows a statement touched; `None` is unknown. `source` says who counted."""

    total: int | None = None
    inserted: int | None = None
    updated: int | None = None
    deleted: int | None = None
    source: RowSource = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeMetrics(Message):
    """What OPTIMIZE reported; `None` where the warehouse did not say."""

    files_added: VolatileInt | None = None
    files_removed: VolatileInt | None = None
    bytes_added: VolatileInt | None = None
    bytes_removed: VolatileInt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStatement(Message):
    """A statement of a file as the plan sees it; the text itself stays in the file."""

    id: str
    kind: StatementKind
    target: str | None = None
    """Table or view it writes, `catalog.schema.name` in lower case; a part that holds a dot or a
    backtick is backtick-quoted."""
    renames: str | None = None
    """For kind `rename`: the table's name before."""
    line: int
    """Line in the file on which the statement starts, counted from 1."""
    sha256: str
    """Of the statement's text with placeholders filled in."""
    head: str
    """First 120 characters on one line, literals masked."""
    unit: str
    """Id of the first statement of its retry unit: a retry starts there."""
    idempotent: bool
    """True if running the retry unit again is safe whatever happened to this statement."""
    session: bool = False
    """True if it makes something that is gone with the session, such as a temporary view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile(Message):
    id: str
    path: str
    """Relative to the workflow's directory, `/` between parts."""
    sha256: str
    kind: Literal["plain", "loop"]
    loop: str | None = None
    iteration: int | None = None
    critical: bool = True
    """False for a leaf file: its failure never stops the run."""
    statements: tuple[PlannedStatement, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    depends_on: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoop(Message):
    id: str
    name: str
    files: tuple[str, ...]
    table: str
    """Name of the table made by iteration N, with `{iteration}` in place of N; 0 is the entry."""
    changed_columns: tuple[str, ...] | None = None
    """Columns of the EXCEPT test; `None` means all."""
    one_way: bool = False
    """True if only rows that the iteration before did not have are looked for, because a loop like
    this never loses one without getting another."""
    probe: str | None = None
    """SQL with one number; zero means converged. `{table}` and `{previous}` are filled in."""
    residual: str | None = None
    """SQL with one number, what is left to merge. `{table}` is filled in."""
    alias: str | None = None
    """Table made from the last iteration once the loop has converged."""
    max_iterations: int
    generate: bool
    """True if iterations beyond the files are generated from the last file."""
    stall_after: int = 3
    """Iterations without a smaller residual after which the loop counts as stalled."""
    intermediates: tuple[str, ...] = ()
    """Tables nobody needs when all is done; `{iteration}` stands for every one, from 1 on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCheck(Message):
    """A query about what the run has made, and what it has to give."""

    name: str
    phase: Literal["publish", "final"]
    severity: Severity
    sql: str
    """One query; `{result}` is the table of the loop's last iteration."""
    expect: tuple[str, ...]
    """All that must hold of the one row it gives (`rows = expected`); none: it gives no row."""
    loop: str | None = None
    """Of phase `publish`: the loop whose result it is about."""
    table: str | None = None
    """The table it is about."""
    share: tuple[str, ...] = ()
    """Two columns whose quotient is the table's coverage."""
    sizes: bool = False
    """True if its columns tell the sizes of clusters."""
    files: tuple[str, ...] = ()
    """Ids of the files that made what it is about."""
    source: str
    """Where it is written: `workflow.toml`, `checks/name.sql`, a profile, or `dwx`."""
    problem: Prose | None = None
    """Why it cannot be evaluated, where that is known beforehand; `sql` is empty then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWarning(Message):
    code: str
    detail: VolatileText
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Message):
    """One answer a prompt offers. `safe` is true if it can write nothing twice."""

    choice: ChoiceName
    effect: VolatileText
    safe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCounts(Message):
    completed: int
    failed: int
    skipped: int
    not_needed: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementCounts(Message):
    succeeded: int
    failed: int
    cancelled: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopResult(Message):
    loop: str
    iterations: int
    outcome: Literal["converged", "accepted", "not_converged", "unfinished", "skipped"]
    final_table: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRows(Message):
    name: str
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStatement(Message):
    statement: VolatileText
    path: VolatileText
    elapsed_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCounts(Message):
    asked: int
    resolved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpent(Message):
    """Where the time went. What runs side by side counts in full each."""

    statements_ms: Milliseconds = 0
    """Statements of files."""
    convergence_ms: Milliseconds = 0
    """Tests of loops, and making their results."""
    optimize_ms: Milliseconds = 0
    checks_ms: Milliseconds = 0
    """Pre-flight, before publishing, and at the end."""
    asking_ms: Milliseconds = 0
    """Waiting for answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCounts(Message):
    passed: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0


# --- the life of the process ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Message):
    """What will run, in order."""

    type: Literal["plan"] = "plan"
    directory: VolatileText
    profile: str | None
    profile_reason: VolatileText | None = None
    """Why this profile, or why none."""
    files: tuple[PlannedFile, ...] | Cut
    loops: tuple[PlannedLoop, ...] | Cut
    checks: tuple[PlannedCheck, ...] | Cut = ()
    """Checks before a loop's result is published, and at the end."""
    total_files: int
    total_statements: int
    warnings: tuple[PlanWarning, ...] | Cut


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlanned(Message):
    """A file's statements replaced or added after the plan: read again, or generated."""

    type: Literal["file_planned"] = "file_planned"
    reason: Literal["reread", "generated"]
    changed: bool
    """True if the file's hash differs from the one planned before (always for a generated one)."""
    file: PlannedFile | Cut


# --- connection -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Connecting(Message):
    type: Literal["connecting"] = "connecting"
    host: VolatileText | None
    http_path: VolatileText | None
    auth: str | None
    catalog: str | None
    schema: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Message):
    """Still waiting for something outside; `budget_ms` is when dwx gives up."""

    type: Literal["waiting"] = "waiting"
    reason: Literal[
        "warehouse_starting", "throttled", "queued", "session_reopen", "unreachable",
        "statement_running",
    ]  # fmt: skip
    elapsed_ms: Milliseconds
    budget_ms: Milliseconds | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequired(Message):
    """The session opens once somebody has logged in at `url`; after `deadline` it is given up."""

    type: Literal["login_required"] = "login_required"
    kind: Literal["browser"]
    url: VolatileText
    deadline: Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(Message):
    type: Literal["connected"] = "connected"
    host: VolatileText | None
    http_path: VolatileText | None
    auth: str | None
    catalog: str | None
    schema: str | None
    session_id: VolatileText | None
    elapsed_ms: Milliseconds
    settings: Annotated[dict[str, str] | Cut, VOLATILE]
    """Session settings in force, as the warehouse reports them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnected(Message):
    type: Literal["reconnected"] = "reconnected"
    session_id: VolatileText | None
    elapsed_ms: Milliseconds
    replayed: int
    """How many USE and SET statements were run again in the new session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected(Message):
    type: Literal["disconnected"] = "disconnected"
    session_id: VolatileText | None
    reason: VolatileText
    elapsed_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Message):
    type: Literal["check"] = "check"
    name: str
    phase: CheckPhase
    status: CheckStatus
    observed: VolatileText | None
    expected: VolatileText | None
    severity: Severity
    files: tuple[str, ...] = ()
    """Ids of the files that need it; of `publish` and `final`: that made what it is about."""
    rows: RowCounts | None = None
    """Of phase `recovery`: the rows that a statement touched that was found to have committed."""
    table: str | None = None
    """The table it is about."""
    measured: dict[str, int] | None = None
    """The numbers that the query gave, by column."""
    elapsed_ms: Milliseconds | None = None
    """How long the query took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFinished(Message):
    """All checks of the pre-flight have been made, those of connecting included."""

    type: Literal["preflight_finished"] = "preflight_finished"
    checks: CheckCounts
    elapsed_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksFinished(Message):
    """All checks of a phase have been made."""

    type: Literal["checks_finished"] = "checks_finished"
    phase: Literal["publish", "final"]
    loop: str | None
    """Of phase `publish`: the loop whose result they are about."""
    checks: CheckCounts
    elapsed_ms: Milliseconds


# --- files and statements ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStarted(Message):
    type: Literal["file_started"] = "file_started"
    file: str
    path: str
    index: int
    """Place in the run's order, counted from 1."""
    total: int
    """Files planned so far; grows when iterations are generated."""
    statements: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementStarted(Message):
    """Durable before anything is sent: after a crash it names what may have been in flight."""

    type: Literal["statement_started"] = "statement_started"
    statement: str
    kind: StatementKind
    target: str | None
    line: int | None
    sha256: str
    attempt: int
    head: str
    target_version: VolatileInt | None = None
    """Newest version of the target's history before the write, -1 if there is no such table; only
    where running the statement again would not be safe, and known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSubmitted(Message):
    """The warehouse took the statement and named it."""

    type: Literal["statement_submitted"] = "statement_submitted"
    statement: str
    query_id: VolatileText | None
    history_url: VolatileText | None = None
    """Where a browser shows the statement in the warehouse's query history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFinished(Message):
    type: Literal["statement_finished"] = "statement_finished"
    statement: str
    status: Literal["succeeded", "failed", "cancelled", "unknown"]
    elapsed_ms: Milliseconds
    query_id: VolatileText | None
    rows: RowCounts | None
    value: int | None
    """The number a probe asked for."""
    metrics: OptimizeMetrics | None
    error: ErrorRecord | None
    outcome: Outcome
    evidence: Prose


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsAffected(Message):
    type: Literal["rows_affected"] = "rows_affected"
    statement: str
    file: str
    target: str | None
    total: int | None
    inserted: int | None
    updated: int | None
    deleted: int | None
    source: RowSource


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFinished(Message):
    type: Literal["file_finished"] = "file_finished"
    file: str
    path: str
    status: Literal["completed", "failed", "skipped", "not_needed"]
    """`not_needed`: an iteration's file, left out because the loop had converged before it."""
    rows: int | None
    """Rows affected by the statements that reported a number."""
    elapsed_ms: Milliseconds
    reason: Prose | None


# --- loops ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStarted(Message):
    type: Literal["loop_started"] = "loop_started"
    loop: str
    name: str
    table: str
    max_iterations: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration(Message):
    """One iteration is done and its convergence test has been evaluated."""

    type: Literal["iteration"] = "iteration"
    loop: str
    iteration: int
    max_iterations: int
    updated: int | None
    """Rows of this iteration's table that the previous one does not have, or the other way round,
    whichever are more; 0 is a fixpoint."""
    residual: int | None
    """What is left to merge, where the loop declares such a probe."""
    iterations_left: int | None = None
    """An estimate from the residuals so far."""
    rows: int | None
    source: Literal["file", "generated"]
    table: str
    elapsed_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Converged(Message):
    type: Literal["converged"] = "converged"
    loop: str
    iterations: int
    by: Convergence = "updated"
    """Which tests gave 0."""
    final_table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotConverged(Message):
    type: Literal["not_converged"] = "not_converged"
    loop: str
    iteration: int
    reason: Literal["limit", "stalled", "unknown"]
    evidence: Prose


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasCreated(Message):
    type: Literal["alias_created"] = "alias_created"
    table: str
    from_: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed(Message):
    """What a table holds, looked up before OPTIMIZE, and whether OPTIMIZE is worth it."""

    type: Literal["weighed"] = "weighed"
    table: str
    statement: str
    """The OPTIMIZE that follows if it is worth it."""
    files: VolatileInt | None
    bytes: VolatileInt | None
    format: VolatileText | None
    worth: Annotated[bool, VOLATILE]
    reason: Prose


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimized(Message):
    type: Literal["optimized"] = "optimized"
    table: str
    files_added: VolatileInt | None
    files_removed: VolatileInt | None
    bytes_added: VolatileInt | None
    bytes_removed: VolatileInt | None
    elapsed_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedUp(Message):
    type: Literal["cleaned_up"] = "cleaned_up"
    tables: tuple[str, ...] | Cut


# --- prompts and decisions --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPrompt(Message):
    """Something needs a decision. Durable; answered by a line on stdin or one in the inbox."""

    type: Literal["error_prompt"] = "error_prompt"
    prompt: str
    digest: str
    """Changes when the question does; a decision may name it to refuse a question that changed."""
    title: Prose
    file: str | None
    statement: str | None
    loop: str | None
    error: ErrorRecord | None
    attempt: int
    outcome: Outcome
    evidence: Prose
    already_done: tuple[str, ...] | Cut
    """Statements of this file that have committed."""
    dependents: tuple[str, ...] | Cut
    """Files that need this one, directly or through others."""
    choices: tuple[Choice, ...]
    unanswered: Unanswered
    deadline: Timestamp | None
    answer_with: VolatileText


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptResolved(Message):
    """Exactly once per prompt, and durable before anything follows from it."""

    type: Literal["prompt_resolved"] = "prompt_resolved"
    prompt: str
    how: Literal["decision", "policy", "timeout", "cancelled", "superseded"]
    choice: ChoiceName | Literal["suspend"] | None
    source: Literal["stdin", "inbox", "policy", "flag"] | None
    by: str | None
    reason: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAccepted(Message):
    """A decision was understood. `kept` if it waits for a prompt that has not come yet."""

    type: Literal["decision_accepted"] = "decision_accepted"
    id: str
    kind: Literal["decide", "cancel", "policy", "ping"]
    source: DecisionSource
    kept: bool
    prompt: str | None = None
    choice: str | None = None
    digest: str | None = None
    by: str | None = None
    reason: Text | None = None
    params: dict[str, int] | None = None
    remember: Literal["fingerprint"] | None = None
    mode: CancelMode | None = None
    nonce: str | None = None
    rules: tuple[Rule, ...] | None = None
    unmatched: Unmatched | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRejected(Message):
    """A decision had no effect, and why; the run goes on waiting."""

    type: Literal["decision_rejected"] = "decision_rejected"
    id: str | None
    code: RejectionCode
    detail: Prose
    source: DecisionSource
    prompt: str | None = None
    choice: str | None = None
    digest: str | None = None
    run_named: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputClosed(Message):
    """stdin reached its end. It is never an answer."""

    type: Literal["input_closed"] = "input_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying(Message):
    type: Literal["retrying"] = "retrying"
    statement: str
    attempt: int
    delay_ms: Milliseconds
    category: str
    budget_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Message):
    """Something the reader should know that changes nothing by itself."""

    type: Literal["warning"] = "warning"
    code: str
    detail: Prose


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Message):
    """A sign of life; silence longer than `next_by_ms` means stalled."""

    type: Literal["heartbeat"] = "heartbeat"
    phase: str
    statement: str | None
    busy_ms: Milliseconds
    next_by_ms: VolatileInt


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(Message):
    type: Literal["cancel_requested"] = "cancel_requested"
    by: Literal["SIGINT", "SIGTERM", "decision", "stdout_closed"]
    mode: CancelMode


# --- the last line ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSuspended(Message):
    """Nobody answered in time. The run waits on disk; `resume_with` goes on with it."""

    type: Literal["run_suspended"] = "run_suspended"
    last: Literal[True] = True
    reason: VolatileText
    open_prompts: tuple[str, ...]
    resume_with: VolatileText
    exit_code: Literal[5] = 5
    events: int
    """Equals this line's `seq`."""
    digest: str
    """SHA-256 over the stable fields of every event up to here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Message):
    type: Literal["run_finished"] = "run_finished"
    last: Literal[True] = True
    outcome: RunOutcome
    exit_code: int
    error: ErrorRecord | None
    """Why it ended, where an error ended it."""
    files: FileCounts
    statements: StatementCounts
    loops: tuple[LoopResult, ...] | Cut
    tables: tuple[TableRows, ...] | Cut
    """Tables the run wrote and did not drop, with the rows last reported; `None` is unknown."""
    rows: int | None = None
    """Rows affected by all statements of files that reported a number."""
    coverage: Annotated[dict[str, float], VOLATILE] | None
    """By table, the share of rows that have a canonical id, from 0 to 1."""
    clusters: dict[str, int] | None = None
    """How large clusters of ids are, as measured by the check that tells."""
    checks: CheckCounts | None
    failed_checks: tuple[str, ...] | Cut = ()
    """Names of checks that failed or are unknown, the gravest first."""
    prompts: PromptCounts
    elapsed_ms: Milliseconds
    times: Annotated[TimeSpent, VOLATILE] | None = None
    slowest: Annotated[tuple[SlowStatement, ...], VOLATILE]
    next: Annotated[tuple[str, ...], VOLATILE]
    """What to do now, most useful first."""
    events: int
    """Equals this line's `seq`: a log that has this line and as many entries is complete."""
    digest: str | None
    """SHA-256 over the stable fields of every event up to here; `None` where none was kept."""


Event = (
    Hello | Plan | FilePlanned | Connecting | Waiting | LoginRequired | Connected | Reconnected
    | Disconnected | Check | PreflightFinished | ChecksFinished | FileStarted | StatementStarted
    | StatementSubmitted | StatementFinished | RowsAffected | FileFinished | LoopStarted
    | Iteration | Converged | NotConverged | AliasCreated | Weighed | Optimized
    | CleanedUp | ErrorPrompt
    | PromptResolved | DecisionAccepted | DecisionRejected | InputClosed | Retrying | Warned
    | Heartbeat | CancelRequested | RunSuspended | RunFinished
)  # fmt: skip
"""Any event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Message):
    """An event type this version does not know; `critical` means: do not go on by yourself."""

    type: str
    critical: bool = False
