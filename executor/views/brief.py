"""One short line per event that matters: what `dwx watch` prints. From raw JSON, as `status`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from executor.views.status import choices_of, record, text, whole
from executor.views.summary import Command

Event = dict[str, Any]

LIVE_ONLY: Final = frozenset({"connecting", "file_started", "loop_started"})
"""What a person who looks on wants to see, and who pays for every line does not."""


def line_of(event: Event, command: Command, *, live: bool = False) -> str | None:
    """The line of an event; `None` if it does not matter. `live`: with what begins, too."""
    kind = event.get("type")
    if not isinstance(kind, str) or (kind in LIVE_ONLY and not live):
        return None
    if kind == "error_prompt":
        return _prompt(event, command)
    spell = _LINES.get(kind)
    if spell is None:
        critical = event.get("critical") is True
        return f"{text(kind)}: a newer dwx wrote it; do not go on by yourself" if critical else None
    return spell(event)


def duration(value: Any) -> str:
    """A number of milliseconds for a person."""
    milliseconds = whole(value) or 0
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} min {seconds} s"


def _rows(value: Any) -> str:
    rows = whole(value)
    return "rows unknown" if rows is None else f"{rows} row{'' if rows == 1 else 's'}"


def _hello(event: Event) -> str:
    segment = whole(event.get("segment")) or 1
    word = f"resumed (segment {segment})" if segment > 1 else "begins"
    directory = text(record(event.get("settings")).get("directory"))
    return f"{text(event.get('run'))} {word}: {directory}"


def _plan(event: Event) -> str:
    warnings = event.get("warnings")
    found = f", {len(warnings)} warnings" if isinstance(warnings, list) and warnings else ""
    files, statements = (whole(event.get(f"total_{name}")) for name in ("files", "statements"))
    return f"plan: {files} files, {statements} statements{found}"


def _check(event: Event) -> str | None:
    if event.get("status") == "passed":
        return None
    return f"check {text(event.get('name'))}: {text(event.get('status'))}"


def _checks_finished(event: Event) -> str:
    counts = record(event.get("checks"))
    said = [f"{whole(count)} {text(name)}" for name, count in counts.items() if whole(count)]
    what = "before publishing" if event.get("phase") == "publish" else "at the end"
    return f"checks {what}: {', '.join(said) or 'none'}"


def _file_finished(event: Event) -> str:
    status = text(event.get("status"))
    what = f"{text(event.get('path'), 120)}: {status.replace('_', ' ')}"
    if status == "completed":
        return f"{what}, {_rows(event.get('rows'))}, {duration(event.get('elapsed_ms'))}"
    reason = text(event.get("reason"), 160)
    return f"{what}, {reason}" if reason else what


def _iteration(event: Event) -> str:
    changed, residual = whole(event.get("updated")), whole(event.get("residual"))
    said = [f"changed {changed}"] if changed is not None else []
    said += [f"{residual} left"] if residual is not None else []
    left = whole(event.get("iterations_left"))
    said += [f"about {left} more"] if left else []
    reached = f"{whole(event.get('iteration'))} of at most {whole(event.get('max_iterations'))}"
    took = duration(event.get("elapsed_ms"))
    return f"{text(event.get('loop'))} iteration {reached}: {', '.join(said) or 'unknown'}, {took}"


def _prompt(event: Event, command: Command) -> str:
    choices = [text(one.get("choice")) for one in choices_of(event)]
    prompt = text(event.get("prompt"))
    answer = command("answer", prompt, "CHOICE")
    return f"ANSWER NEEDED {text(event.get('title'), 200)}; {answer} (CHOICE: {', '.join(choices)})"


def _resolved(event: Event) -> str:
    choice, how, by = (text(event.get(name)) for name in ("choice", "how", "by"))
    return f"{text(event.get('prompt'))}: {choice} ({how}{f' by {by}' if by else ''})"


def _rejected(event: Event) -> str:
    return f"decision rejected ({text(event.get('code'))}): {text(event.get('detail'), 160)}"


def _finished(event: Event) -> str:
    files = record(event.get("files"))
    counts = ", ".join(
        f"{whole(files.get(name))} {name.replace('_', ' ')}"
        for name in ("completed", "failed", "skipped", "not_needed")
        if whole(files.get(name))
    )
    error = record(event.get("error"))
    why = f": {text(error.get('class'))}: {text(error.get('message'), 160)}" if error else ""
    ending = f"{text(event.get('outcome'))}, exit code {whole(event.get('exit_code'))}"
    return f"FINISHED {ending}, files {counts or 'none'}{why}"


_LINES: Final[dict[str, Callable[[Event], str | None]]] = {
    "hello": _hello,
    "plan": _plan,
    "connecting": lambda event: f"connecting to {text(event.get('host'), 120) or 'the warehouse'}",
    "waiting": lambda event: (
        f"waiting ({text(event.get('reason'))}), {duration(event.get('elapsed_ms'))}"
    ),
    "login_required": lambda event: (
        f"LOGIN NEEDED until {text(event.get('deadline'))}: {text(event.get('url'), 2_000)}"
    ),
    "connected": lambda event: f"connected, {duration(event.get('elapsed_ms'))}",
    "reconnected": lambda event: f"connected again, {duration(event.get('elapsed_ms'))}",
    "check": _check,
    "checks_finished": _checks_finished,
    "file_started": lambda event: (
        f"{text(event.get('path'), 120)} [{whole(event.get('index'))}/{whole(event.get('total'))}]"
    ),
    "file_finished": _file_finished,
    "loop_started": lambda event: f"loop {text(event.get('name'))} begins",
    "iteration": _iteration,
    "converged": lambda event: (
        f"{text(event.get('loop'))} converged after {whole(event.get('iterations'))} iterations: "
        f"{text(event.get('final_table'), 160)}"
    ),
    "not_converged": lambda event: (
        f"{text(event.get('loop'))} not converged ({text(event.get('reason'))}): "
        f"{text(event.get('evidence'), 160)}"
    ),
    "prompt_resolved": _resolved,
    "decision_rejected": _rejected,
    "retrying": lambda event: (
        f"retrying {text(event.get('statement'))} ({text(event.get('category'))})"
    ),
    "warning": lambda event: f"warning {text(event.get('code'))}: {text(event.get('detail'), 200)}",
    "cancel_requested": lambda event: f"cancel requested by {text(event.get('by'))}",
    "run_suspended": lambda event: f"SUSPENDED {text(event.get('reason'), 160)}",
    "run_finished": _finished,
}
