"""A run as it goes on, for a person at a terminal: lines that stay, and what is under way now.

Theory. A fold, as every view is: an entry gives the lines that stay on the screen (`take`), and
what has been taken in tells at any time what to show below them (`live`) and what is asked
(`questions`). It knows no terminal and no clock: entries carry their time, and whoever draws says
what time it is. So a recorded run can be folded as well, and the fold is tested with values.

What happens often and means little (a statement begins, a check passes) is only under way; what a
person would miss afterwards (a file is done, an iteration, a warning) stays. Several things may be
under way at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from executor.views.text import counted, lines_of, seconds, shown
from protocol.base import Cut
from protocol.events import (
    CancelRequested,
    Check,
    ChecksFinished,
    Connected,
    Connecting,
    Converged,
    DecisionAccepted,
    Disconnected,
    ErrorPrompt,
    FileFinished,
    FilePlanned,
    FileStarted,
    Heartbeat,
    Iteration,
    LoopStarted,
    Optimized,
    Plan,
    PlannedFile,
    PreflightFinished,
    PromptResolved,
    Retrying,
    RowsAffected,
    RunFinished,
    RunSuspended,
    StatementFinished,
    StatementStarted,
    Waiting,
    Weighed,
)
from protocol.hello import Entry, Hello, Unanswered

MARKS: Final = "✓✗•!?→"
"""What a line of text may begin with."""

KINDS: Final = {
    "create_as": "create", "replace_as": "replace", "insert_overwrite": "insert overwrite",
    "copy_into": "copy into", "other": "statement on", "unknown": "statement on",
}  # fmt: skip
"""Kinds of statements, where a person says it otherwise."""

WAITS: Final = {
    "warehouse_starting": "the warehouse is starting",
    "throttled": "the warehouse asks for patience",
    "queued": "the statement is queued",
    "session_reopen": "a new session is being opened",
    "unreachable": "the warehouse cannot be reached",
    "statement_running": "the statement of the process before is still running",
}
UNANSWERED: Final = {
    "suspend": "the run is suspended",
    "abort": "the run is aborted",
    "skip": "the file is skipped",
}
SETTLED: Final = {
    "decision": "answered elsewhere", "policy": "answered by the policy",
    "timeout": "not answered in time", "cancelled": "asked no more, the run is stopping",
    "superseded": "asked no more",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line for a person; text from outside is escaped already, and is never markup."""

    text: str
    mark: str = ""
    """One character before it that says what kind of line it is."""
    head: str = ""
    """The first word or words, set off."""
    aside: str = ""
    """Numbers, set off to the right."""


@dataclass(frozen=True, slots=True)
class Live:
    """What is under way at a moment."""

    lines: tuple[Line, ...]
    done: int
    total: int
    """Files; 0 before the plan is known."""
    elapsed: str


@dataclass(frozen=True, slots=True)
class Question:
    """An open prompt, and how it is put to a person."""

    prompt: str
    choices: tuple[str, ...]
    lines: tuple[Line, ...]
    unanswered: str
    """What happens if nobody answers."""
    answer_with: str
    """The command that answers it from another shell."""


@dataclass(frozen=True, slots=True)
class _Doing:
    """Something under way."""

    title: str
    since: datetime
    detail: str = ""
    detail_since: datetime | None = None


class Progress:
    """Folds the entries of a run, those of all its processes."""

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._run_dir: str | None = None
        self._files: dict[str, PlannedFile] = {}
        self._loops: dict[str, str] = {}
        """Names by id."""
        self._limits: dict[str, int] = {}
        """Iterations that loops may have, by id."""
        self._total = 0
        self._done: set[str] = set()
        self._titles: dict[str, str] = {}
        """Of files that have begun."""
        self._doing: dict[str, _Doing] = {}
        """By file, or by statement for what dwx does itself; the latest last."""
        self._waiting: tuple[Waiting, datetime] | None = None
        self._questions: dict[str, Question] = {}
        self.over = False
        """Whether this process of the run has said its last."""

    @property
    def questions(self) -> dict[str, Question]:
        """What is asked, the oldest first; nothing any more once it is over."""
        return {} if self.over else self._questions

    def take(self, entry: Entry) -> list[Line]:
        """Takes an entry in; returns the lines that it leaves on the screen."""
        at = datetime.fromisoformat(entry.ts)
        event = entry.event
        if not isinstance(event, Waiting | Heartbeat | DecisionAccepted):
            self._waiting = None
        match event:
            case Hello():
                self._began = at
                self._doing = {}
                self.over = False
                self._run_dir = event.run_dir
                self._asked_again(event)
                return _text(entry)
            case Plan():
                return self._plan(event, entry)
            case FilePlanned():
                return self._file_planned(event, entry)
            case Connecting():
                self._doing["session"] = _Doing(f"connecting to {shown(event.host or '')}", at)
            case Connected():
                self._doing = {"session": _Doing("checks before anything is executed", at)}
                return _text(entry)
            case Waiting():
                self._waiting = event, at
            case Check():
                return _text(entry) if event.status in ("failed", "unknown") else []
            case PreflightFinished() | ChecksFinished():
                self._doing.pop("session", None)
                return _text(entry)
            case FileStarted():
                self._doing.pop("session", None)
                self._file_started(event, at)
            case StatementStarted():
                self._statement_started(event, at)
            case StatementFinished():
                self._doing.pop(event.statement, None)
            case FileFinished():
                return [self._file_finished(event)]
            case LoopStarted():
                self._loops[event.loop] = shown(event.name)
                self._limits[event.loop] = event.max_iterations
                return [Line(f"at most {_times(event.max_iterations)}", "•", shown(event.name))]
            case Iteration():
                return [self._iteration(event)]
            case Converged():
                text = f"converged after {_times(event.iterations)}"
                return [Line(f"{text}: {shown(event.final_table)}", "✓", self._loop(event.loop))]
            case Weighed():
                return []
            case Optimized():
                return [_optimized(event)]
            case RowsAffected() | Disconnected():
                return []
            case DecisionAccepted() if event.kept and event.prompt is not None:
                choice = shown(event.choice or "")
                return [Line(f"{choice} is kept until {shown(event.prompt)} is asked", "•")]
            case ErrorPrompt():
                self._questions[event.prompt] = _question(event, at)
                self._doing.pop(event.file or "", None)
            case PromptResolved():
                self._questions.pop(event.prompt, None)
                return [_resolved(event)]
            case Retrying():
                pause = f", in {seconds(event.delay_ms)}" if event.delay_ms else ""
                text = f"{shown(event.statement)}: attempt {event.attempt}{pause}"
                return [Line(f"{text} ({shown(event.category)})", "•", "Trying again")]
            case CancelRequested():
                again = "; the same once more leaves at once" if event.by == "SIGINT" else ""
                return [Line(f"asked for by {event.by}{again}", "!", "Stopping")]
            case RunSuspended() | RunFinished():
                return self._over(entry)
            case _:
                return _text(entry)
        return []

    def live(self, at: datetime) -> Live | None:
        """What is under way at this time; `None` before the run begins and after it is over."""
        if self._began is None or self.over:
            return None
        lines: list[Line] = []
        for one in self._doing.values():
            lines.append(Line(one.title, "▸", aside=_since(one.since, at)))
            if one.detail:
                aside = _since(one.detail_since, at) if one.detail_since else ""
                lines.append(Line(one.detail, " ", aside=aside))
        if self._waiting is not None:
            lines.append(_waiting(*self._waiting, at))
        lines.extend(Line("waits for an answer", "?", shown(one)) for one in self._questions)
        return Live(tuple(lines), len(self._done), self._total, _since(self._began, at))

    # --- what events say ------------------------------------------------------------------------

    def _asked_again(self, event: Hello) -> None:
        """What is open still when a run goes on is waited for anew, by what was said this time."""
        if event.settings is not None:
            settings = event.settings
            silence = _silence(settings.prompt_timeout_ms, settings.on_unanswered)
            self._questions = {
                name: replace(question, unanswered=silence)
                for name, question in self._questions.items()
            }

    def _plan(self, event: Plan, entry: Entry) -> list[Line]:
        self._total = event.total_files
        if not isinstance(event.files, Cut):
            self._files = {file.id: file for file in event.files}
        if not isinstance(event.loops, Cut):
            self._loops = {loop.id: shown(loop.name) for loop in event.loops}
            self._limits = {loop.id: loop.max_iterations for loop in event.loops}
        return _text(entry)

    def _file_planned(self, event: FilePlanned, entry: Entry) -> list[Line]:
        if not isinstance(event.file, Cut):
            self._files[event.file.id] = event.file
            self._total = max(self._total, len(self._files))
        return [] if event.reason == "generated" else _text(entry)

    def _file_started(self, event: FileStarted, at: datetime) -> None:
        self._total = max(self._total, event.total)
        self._done.discard(event.file)
        title = f"{shown(event.path)}  [{event.index} of {self._total}]"
        self._titles[event.file] = title
        self._doing[event.file] = _Doing(title, at)

    def _statement_started(self, event: StatementStarted, at: datetime) -> None:
        owner = event.statement.partition(".")[0]
        target = shown(event.target) if event.target else ""
        doing = self._doing.get(owner)
        if doing is None and owner in self._titles:
            doing = _Doing(self._titles[owner], at)
        if doing is not None:
            done = f"{KINDS.get(event.kind, event.kind.replace('_', ' '))} {target}"
            detail = f"{self._iteration_of(owner)}{done if target else shown(event.head)}"
            self._doing[owner] = replace(doing, detail=detail, detail_since=at)
            return
        self._doing.pop("session", None)
        loop = self._loops.get(owner, "")
        title = f"OPTIMIZE {target}" if event.kind == "optimize" else loop or shown(event.statement)
        detail = {
            "probe": "has anything changed?",
            "alias": f"making {target}",
            "optimize": "",
            "restore": f"restoring {target}",
        }.get(event.kind, shown(event.head))
        self._doing[event.statement] = _Doing(title, at, detail)

    def _iteration_of(self, file: str) -> str:
        planned = self._files.get(file)
        if planned is None or planned.loop is None or planned.iteration is None:
            return ""
        limit = self._limits.get(planned.loop)
        at_most = f" of at most {limit}" if limit is not None else ""
        return f"iteration {planned.iteration}{at_most}: "

    def _file_finished(self, event: FileFinished) -> Line:
        self._done.add(event.file)
        self._doing.pop(event.file, None)
        path, reason = shown(event.path), shown(event.reason or "")
        match event.status:
            case "completed":
                rows = counted(event.rows) if event.rows is not None else ""
                return Line(path, "✓", aside=f"{rows}  {seconds(event.elapsed_ms):>8}")
            case "not_needed":
                return Line(f"{path}: not needed, {reason}", "•")
            case "failed" | "skipped":
                return Line(f"{path}: {event.status}, {reason}", "✗")

    def _iteration(self, event: Iteration) -> Line:
        self._limits[event.loop] = event.max_iterations
        updated = "unknown" if event.updated is None else f"{event.updated:,}"
        parts = [f"updated {updated}"]
        if event.residual is not None:
            parts.append(f"residual {event.residual:,}")
        if event.iterations_left is not None:
            parts.append(f"about {event.iterations_left} left")
        # with one loop alone it is clear whose iteration it is
        whose = f"{self._loop(event.loop)} " if len(self._loops) > 1 else ""
        head = f"{whose}iteration {event.iteration} of at most {event.max_iterations}"
        return Line(", ".join(parts), "↻", head, f"{seconds(event.elapsed_ms):>8}")

    def _loop(self, loop: str) -> str:
        return self._loops.get(loop) or shown(loop)

    def _over(self, entry: Entry) -> list[Line]:
        self.over = True
        lines = _text(entry)
        if self._run_dir is not None:
            lines.append(Line(shown(self._run_dir), "→", "record"))
        return lines


def _text(entry: Entry) -> list[Line]:
    """What the text view says of an entry."""
    return [_marked(shown(text)) for text in lines_of(entry)]


def _marked(text: str) -> Line:
    mark, space, rest = text[:1], text[1:2], text[2:]
    if mark == space == " ":  # part of what the line before says
        return _marked(rest) if rest[:1] in MARKS else Line(rest, " ")
    return Line(rest, mark) if space == " " and mark in MARKS else Line(text)


def _optimized(event: Optimized) -> Line:
    files = ""
    if event.files_added and event.files_removed:
        files = f"{event.files_removed} → {event.files_added} files"
    table = shown(event.table)
    return Line(table, "✓", "OPTIMIZE", f"{files}  {seconds(event.elapsed_ms):>8}")


def _waiting(event: Waiting, told: datetime, at: datetime) -> Line:
    passed = max(0, round((at - told).total_seconds() * 1000))
    limit = f" of at most {_whole(event.budget_ms)}" if event.budget_ms is not None else ""
    return Line(WAITS[event.reason], "•", "waiting", _whole(event.elapsed_ms + passed) + limit)


def _question(event: ErrorPrompt, at: datetime) -> Question:
    lines = [Line("", "✗", shown(event.title))]
    error = event.error
    if error is not None:
        lines.append(Line(shown(error.message), " "))
        if error.cause is not None:
            lines.append(Line(f"caused by {shown(error.cause)}", " "))
        lines.append(Line(shown(error.suggestion), "→"))
    elif event.evidence:
        lines.append(Line(shown(event.evidence), " "))
    lines.append(Line(""))
    names = tuple(choice.choice for choice in event.choices)
    widest = max(map(len, names), default=0)
    lines.extend(
        Line(
            shown(one.effect),
            str(number),
            f"{one.choice:{widest}}",
            "" if one.safe else "not safe: it may write twice",
        )
        for number, one in enumerate(event.choices, start=1)
    )
    lines.append(Line(""))
    left: int | None = None
    if event.deadline is not None:
        left = round((datetime.fromisoformat(event.deadline) - at).total_seconds() * 1000)
    silence = _silence(left, event.unanswered)
    return Question(event.prompt, names, tuple(lines), silence, shown(event.answer_with))


def _silence(left_ms: int | None, unanswered: Unanswered) -> str:
    limit = f" in {_whole(left_ms)}" if left_ms is not None else ""
    return f"If nobody answers{limit}, {UNANSWERED[unanswered]}."


def _resolved(event: PromptResolved) -> Line:
    if event.how == "cancelled":
        return Line(SETTLED[event.how], "→", shown(event.prompt))
    if event.source == "stdin":
        return Line(shown(event.choice or ""), "→", shown(event.prompt))
    choice = f": {event.choice}" if event.choice else ""
    by = f", by {shown(event.by)}" if event.by else ""
    return Line(f"{SETTLED[event.how]}{choice}{by}", "→", shown(event.prompt))


def _times(iterations: int) -> str:
    return f"{iterations} iteration{'' if iterations == 1 else 's'}"


def _since(then: datetime, at: datetime) -> str:
    return _whole(round((at - then).total_seconds() * 1000))


def _whole(milliseconds: int) -> str:
    """A duration in whole seconds: what ticks should not flicker."""
    total = max(0, milliseconds) // 1000
    hours, minutes, rest = total // 3600, total // 60 % 60, total % 60
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{rest} s"
