"""What a log adds up to: the status of a run, folded from its lines as raw JSON.

Theory. A reader ignores what it does not know, so nothing here validates: a field that is missing
or strange reads as not known. That makes the fold light (no validator is loaded) and fast (lines
of types that do not change the status are not even parsed; every line begins with its type).

What the log cannot say comes from outside: whether the process that writes it lives, and for how
long nothing was written. `state_of` puts the three together.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from protocol.errors import shown

RunState = Literal["running", "waiting", "suspended", "finished", "crashed", "stalled"]

SILENCE_ALLOWED_MS: Final = 90_000
"""Silence allowed before the first heartbeat, which names its own limit."""

_HEAD: Final = re.compile(rb'\{"type":"([a-z_]+)","v":\d+,"run":"[^"]*","seq":(\d+),')
_WITHOUT_EFFECT: Final = frozenset(
    {
        b"statement_submitted",
        b"rows_affected",
        b"preflight_finished",
        b"checks_finished",
        b"alias_created",
        b"weighed",
        b"optimized",
        b"cleaned_up",
        b"input_closed",
        b"warning",
        b"decision_accepted",
        b"decision_rejected",
    }
)
EVENT_TYPES: Final = frozenset(
    {
        "hello", "plan", "file_planned", "connecting", "waiting", "login_required",
        "connected", "reconnected", "disconnected", "file_started", "statement_started",
        "statement_finished", "file_finished",
        "loop_started", "iteration", "converged", "not_converged", "error_prompt",
        "prompt_resolved", "retrying", "heartbeat", "check", "cancel_requested", "run_suspended",
        "run_finished",
    }
    | {name.decode() for name in _WITHOUT_EFFECT}
)  # fmt: skip
"""Every type of event of this version. `protocol.codec` knows them too, but loads the validator."""


def head_of(line: bytes) -> tuple[str, int] | None:
    """Type and `seq` of a line; `None` if it is no event."""
    found = _HEAD.match(line)
    if found is not None:
        return found[1].decode(), int(found[2])
    record = parsed(line)
    kind, seq = record.get("type"), record.get("seq")
    return (kind, seq) if isinstance(kind, str) and isinstance(seq, int) else None


def parsed(line: bytes) -> dict[str, Any]:
    """The object on a line; empty if there is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def text(value: Any, limit: int = 80) -> str:
    """A text of an event (cut or whole), fit to be shown; empty if it is none."""
    if isinstance(value, dict):  # cut: its beginning is here, the whole in an artifact
        value = value.get("text")
    return shown(value, limit) if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    """A whole number of an event; `None` if it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def record(value: Any) -> dict[str, Any]:
    """An object inside an event; empty if it is none."""
    return value if isinstance(value, dict) else {}


def choices_of(prompt: dict[str, Any]) -> list[dict[str, Any]]:
    """What an `error_prompt` offers."""
    offered = prompt.get("choices")
    return [record(one) for one in offered] if isinstance(offered, list) else []


@dataclass(slots=True)
class Fold:
    """The facts of a log, line by line. Not the whole truth: what `status` tells."""

    run: str = ""
    seq: int = 0
    began: str = ""
    segment: int = 0
    pid: int | None = None
    directory: str = ""
    files: dict[str, int] = field(default_factory=dict)
    """By how they ended, and `total`."""
    statements: dict[str, int] = field(default_factory=dict)
    in_doubt: bool = False
    """Whether the statement that ended last ended with an unknown status."""
    loops: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The last `iteration` of each loop, or its `loop_started`."""
    iterations: int = 0
    file: dict[str, Any] | None = None
    """The `file_started` of the file under way."""
    statement: dict[str, Any] | None = None
    """The `statement_started` of the statement under way."""
    connection: dict[str, Any] | None = None
    """The last `connecting`, `waiting` or `login_required`, until something else follows."""
    prompts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Open prompts by id."""
    settled: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The `prompt_resolved` of the others."""
    error: dict[str, Any] | None = None
    next_by_ms: int = SILENCE_ALLOWED_MS
    cancelling: bool = False
    last: dict[str, Any] | None = None
    """`run_finished` or `run_suspended`, unless a resume followed it."""
    strange: list[str] = field(default_factory=list)
    """Types this version does not know and must not ignore."""
    damaged: int = 0
    """Lines that are no events, or do not follow the one before."""

    def take(self, line: bytes) -> None:
        """Takes the next line in."""
        found = _HEAD.match(line)
        if found is not None and found[1] in _WITHOUT_EFFECT:
            self._count(int(found[2]))
            return
        event = parsed(line)
        kind, seq = event.get("type"), event.get("seq")
        if not (isinstance(kind, str) and isinstance(seq, int)):
            self.damaged += bool(line.strip())
            return
        self._count(seq)
        handler = getattr(self, f"_{kind}", None) if kind in EVENT_TYPES else None
        if handler is not None:
            handler(event)
        elif kind not in EVENT_TYPES and event.get("critical") is True:
            self.strange.append(kind)

    def _count(self, seq: int) -> None:
        self.damaged += seq != self.seq + 1
        self.seq = seq

    # --- one method per type that has an effect -------------------------------------------

    def _hello(self, event: dict[str, Any]) -> None:
        self.run = text(event.get("run"))
        self.began = self.began or text(event.get("ts"))
        self.segment = whole(event.get("segment")) or 1
        self.pid = whole(event.get("pid"))
        self.directory = text(record(event.get("settings")).get("directory"), 200)
        # what an earlier process had under way is over; the file stays open until it is finished
        self.last = self.statement = None
        # an answer that was kept may settle what is open: nobody is asked before it is connected
        self.connection = event if self.segment > 1 else None
        self.cancelling = False
        self.next_by_ms = SILENCE_ALLOWED_MS

    def _plan(self, event: dict[str, Any]) -> None:
        self.files["total"] = whole(event.get("total_files")) or 0

    def _file_planned(self, event: dict[str, Any]) -> None:
        if event.get("reason") == "generated":
            self.files["total"] = self.files.get("total", 0) + 1

    def _connecting(self, event: dict[str, Any]) -> None:
        self.connection = event

    _waiting = _login_required = _connecting

    def _connected(self, event: dict[str, Any]) -> None:
        self.connection = None

    _reconnected = _connected

    def _file_started(self, event: dict[str, Any]) -> None:
        self.file = event

    def _file_finished(self, event: dict[str, Any]) -> None:
        _count(self.files, event.get("status"))
        if self.file is not None and self.file.get("file") == event.get("file"):
            self.file = None

    def _statement_started(self, event: dict[str, Any]) -> None:
        self.statement, self.connection = event, None

    def _statement_finished(self, event: dict[str, Any]) -> None:
        _count(self.statements, event.get("status"))
        self.in_doubt = event.get("status") == "unknown"
        self.statement = self.connection = None
        self.error = record(event.get("error")) or self.error

    def _check(self, event: dict[str, Any]) -> None:
        """What became of a statement that was lost from sight may be known meanwhile."""
        known = {"passed": "succeeded", "failed": "failed"}.get(text(event.get("status")))
        if event.get("phase") == "recovery" and self.in_doubt and known is not None:
            self.in_doubt = False
            self.statements["unknown"] -= 1
            _count(self.statements, known)

    def _loop_started(self, event: dict[str, Any]) -> None:
        self.loops[text(event.get("loop"))] = event

    def _iteration(self, event: dict[str, Any]) -> None:
        self.iterations += 1
        self._loop_started(event)

    def _not_converged(self, event: dict[str, Any]) -> None:
        loop = text(event.get("loop"))
        self.loops[loop] = {**self.loops.get(loop, {}), "iteration": event.get("iteration")}

    def _error_prompt(self, event: dict[str, Any]) -> None:
        self.connection = None
        self.prompts[text(event.get("prompt"))] = event
        self.error = record(event.get("error")) or self.error

    def _prompt_resolved(self, event: dict[str, Any]) -> None:
        prompt = text(event.get("prompt"))
        self.prompts.pop(prompt, None)
        self.settled[prompt] = event

    def _heartbeat(self, event: dict[str, Any]) -> None:
        self.next_by_ms = whole(event.get("next_by_ms")) or SILENCE_ALLOWED_MS

    def _cancel_requested(self, event: dict[str, Any]) -> None:
        self.cancelling = True

    def _run_finished(self, event: dict[str, Any]) -> None:
        self.last = event
        self.error = record(event.get("error")) or self.error
        self.statement = self.file = self.connection = None

    def _run_suspended(self, event: dict[str, Any]) -> None:
        self.last = event

    # --- what it adds up to ---------------------------------------------------------------

    @property
    def login(self) -> dict[str, Any] | None:
        """The `login_required` that somebody has to do something about now."""
        asked = self.connection is not None and self.connection.get("type") == "login_required"
        return self.connection if asked else None

    @property
    def finished(self) -> bool:
        return self.last is not None and self.last.get("type") == "run_finished"

    @property
    def exit_code(self) -> int | None:
        """The run's exit code, once its process has written its last line."""
        return whole(self.last.get("exit_code")) if self.last is not None else None


def _count(counts: dict[str, int], status: Any) -> None:
    name = text(status)
    counts[name] = counts.get(name, 0) + 1


def state_of(fold: Fold, *, alive: bool, silent_ms: int) -> RunState:
    """The state of a run.

    `alive`: whether its process lived before the log was read to its end (asked after, it may have
    written its last line and died in between). `silent_ms`: for how long nothing has been written;
    0 if that cannot be told.
    """
    if fold.finished:
        return "finished"
    if fold.last is not None:
        return "suspended"
    if not alive:
        return "crashed"
    if silent_ms > fold.next_by_ms:
        return "stalled"
    asks = bool(fold.prompts) and fold.connection is None
    return "waiting" if asks or fold.login is not None else "running"


def settled_with(fold: Fold, prompt: str) -> str | None:
    """How a prompt was settled, in words; `None` if it was not."""
    resolved = fold.settled.get(prompt)
    if resolved is None:
        return None
    choice, how, by = (text(resolved.get(name)) for name in ("choice", "how", "by"))
    return f"{prompt} was settled with {choice!r} ({how}{f' by {by}' if by else ''})"
