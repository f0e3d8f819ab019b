"""A run's status as `dwx status` tells it: what is true, and the command that comes next.

The text stays below 1 KB, so that looking often costs little: when the lines are too many, what
matters least goes first. The same as JSON has everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from executor.views.status import Fold, RunState, choices_of, text, whole

Command = Callable[..., str]
"""Spells a command line about this run: `command("answer", "p1", "skip")`."""

MAX_BYTES: Final = 1_000
ENDINGS: Final = ("completed", "failed", "skipped", "not_needed")
ATTENTION: Final = ("waiting", "suspended", "finished", "crashed", "stalled")
"""States in which a run does not go on by itself."""


def summary(
    fold: Fold,
    state: RunState,
    run_dir: str,
    command: Command,
    kept: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The status as JSON. `kept`: decisions in the inbox that no runner has taken yet."""
    statement = fold.statement or {}
    file = fold.file or {}
    return {
        "run": fold.run,
        "state": state,
        "exit_code": fold.exit_code,
        "outcome": text((fold.last or {}).get("outcome")) or None,
        "run_dir": run_dir,
        "directory": fold.directory,
        "segment": fold.segment,
        "pid": fold.pid,
        "began": fold.began or None,
        "seq": fold.seq,
        "files": {name: fold.files.get(name, 0) for name in (*ENDINGS, "total")},
        "statements": {
            name: fold.statements.get(name, 0)
            for name in ("succeeded", "failed", "cancelled", "unknown")
        },
        "iterations": fold.iterations,
        "loops": [
            {
                "loop": loop,
                "iteration": whole(event.get("iteration")) or 0,
                "max_iterations": whole(event.get("max_iterations")),
                "updated": whole(event.get("updated")),
            }
            for loop, event in fold.loops.items()
        ],
        "cancelling": fold.cancelling,
        "under_way": {
            "statement": text(statement.get("statement")) or None,
            "kind": text(statement.get("kind")) or None,
            "target": text(statement.get("target"), 160) or None,
            "file": text(file.get("path"), 160) or None,
            "since": text(statement.get("ts") or file.get("ts")) or None,
        },
        "connection": _connection(fold),
        "prompts": [_prompt(event, command) for event in fold.prompts.values()],
        "kept": [_kept(decision) for decision in kept],
        "error": _error(fold.error),
        "advice": _advice(fold),
        "next_by_ms": fold.next_by_ms,
        "unknown_critical": fold.strange,
        "damaged_lines": fold.damaged,
        "next": next_command(fold, state, command, any_kept=bool(kept)),
    }


def next_command(fold: Fold, state: RunState, command: Command, *, any_kept: bool = False) -> str:
    """The command line to give next."""
    if state == "running":
        return command("wait", "--until", "attention", "--timeout", "600")
    if state == "stalled":
        return command("events", "--after", str(fold.seq), "--wait", "60")
    if state == "finished":
        return command("report")
    if state == "crashed" or (state == "suspended" and (any_kept or not fold.prompts)):
        return command("resume")
    if not fold.prompts:
        return command("events", "--types", "login_required")
    return command("answer", next(iter(fold.prompts)), "CHOICE")


def text_of(status: dict[str, Any]) -> str:
    """The status as text, below 1 KB wherever names and paths leave room for it."""
    lines = [
        (0, _first_line(status)),
        (1, _counts(status)),
        (3, _under_way(status)),
        (2, _loops(status)),
        *((0, line) for line in _asked(status)),
        (2, _error_line(status)),
        (4, _cause_line(status)),
        (1, _remark(status)),
        (0, f"next: {status['next']}"),
    ]
    lines = [(weight, line) for weight, line in lines if line]
    while _size(lines) > MAX_BYTES and max(weight for weight, _ in lines) > 0:
        lines.remove(max(lines, key=lambda pair: pair[0]))
    return "\n".join(line for _, line in lines)


def one_line(status: dict[str, Any]) -> str:
    """The status in one line, without what comes next."""
    files = status["files"]
    parts = [f"{status['run']} {_state(status)}", f"seq {status['seq']}"]
    parts.append(f"{sum(files[name] for name in ENDINGS)} of {files['total']} files")
    if status["prompts"]:
        prompt = status["prompts"][0]
        parts.append(f"{prompt['prompt']}: {text(prompt['title'], 120)}")
    elif status["state"] in ("running", "stalled", "crashed") and status["under_way"]["statement"]:
        parts.append(f"{status['under_way']['statement']} since {status['under_way']['since']}")
    return ", ".join(parts)


# --- parts ------------------------------------------------------------------------------------


def _connection(fold: Fold) -> dict[str, Any] | None:
    event = fold.connection
    if event is None:
        return None
    reason = "login_required" if fold.login is not None else text(event.get("reason"))
    return {
        "reason": reason or "connecting",
        "since": text(event.get("ts")),
        "url": text(event.get("url"), 2_000) or None,
        "deadline": text(event.get("deadline")) or None,
    }


def _prompt(event: dict[str, Any], command: Command) -> dict[str, Any]:
    prompt = text(event.get("prompt"))
    return {
        "prompt": prompt,
        "title": text(event.get("title"), 300),
        "digest": text(event.get("digest")),
        "asked": text(event.get("ts")),
        "deadline": text(event.get("deadline")) or None,
        "unanswered": text(event.get("unanswered")),
        "outcome": text(event.get("outcome")),
        "answer_with": command("answer", prompt, "CHOICE"),
        "choices": [
            {
                "choice": text(one.get("choice")),
                "effect": text(one.get("effect"), 200),
                "safe": one.get("safe") is True,
            }
            for one in choices_of(event)
        ],
    }


def _kept(decision: dict[str, Any]) -> str:
    """A decision in words: `p1 retry`, `cancel`."""
    words = (text(decision.get(name)) for name in ("prompt", "choice"))
    return " ".join(word for word in words if word) or text(decision.get("type")) or "?"


def _error(error: dict[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "class": text(error.get("class")),
        "message": text(error.get("message"), 500),
        "cause": text(error.get("cause"), 300) or None,
        "statement": text(error.get("statement")) or None,
        "file": text(error.get("file"), 160) or None,
        "line": whole(error.get("line")),
        "suggestion": text(error.get("suggestion"), 300),
    }


def _advice(fold: Fold) -> list[str]:
    given = (fold.last or {}).get("next")
    return [text(one, 300) for one in given] if isinstance(given, list) else []


# --- lines ------------------------------------------------------------------------------------


def _state(status: dict[str, Any]) -> str:
    if status["state"] == "finished":
        return f"finished: {text(status['outcome'])}, exit code {status['exit_code']}"
    return f"{status['state']}{', cancelling' if status['cancelling'] else ''}"


def _first_line(status: dict[str, Any]) -> str:
    directory = f" ({text(status['directory'])})" if status["directory"] else ""
    return f"{status['run']} {_state(status)}{directory}, seq {status['seq']}"


def _counts(status: dict[str, Any]) -> str:
    files, statements = status["files"], status["statements"]
    ended = _counted(files, ENDINGS) or "none ended"
    done = _counted(statements, tuple(statements)) or "none ended"
    return f"files: {ended}, of {files['total']}; statements: {done}"


def _counted(counts: dict[str, int], names: tuple[str, ...]) -> str:
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in names if counts[name])


def _under_way(status: dict[str, Any]) -> str:
    connection = status["connection"]
    if connection is not None and connection["url"]:
        return f"log in until {connection['deadline']}: {connection['url']}"
    if connection is not None:
        return f"now: {status['connection']['reason']} since {status['connection']['since']}"
    now = status["under_way"]
    if now["statement"] is None:
        idle = status["state"] != "running" or now["file"] is None
        return "" if idle else f"now: {text(now['file'])} since {now['since']}"
    word = "in flight when it ended" if status["state"] == "crashed" else "now"
    what = " ".join(text(part) for part in (now["kind"], now["target"]) if part)
    place = f" in {text(now['file'])}" if now["file"] else ""
    return f"{word}: {text(now['statement'])} {what}{place}, since {now['since']}"


def _loops(status: dict[str, Any]) -> str:
    if not status["loops"]:
        return ""
    loop = status["loops"][-1]
    changed = f", {loop['updated']} rows changed" if loop["updated"] is not None else ""
    reached = f"iteration {loop['iteration']} of {loop['max_iterations']}"
    return f"loop {loop['loop']}: {reached}{changed}"


def _asked(status: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for prompt in status["prompts"][:2]:
        lines.append(f"{prompt['prompt']}: {text(prompt['title'], 200)}")
        choices = [choice["choice"] for choice in prompt["choices"]]
        if status["state"] == "waiting" and prompt["deadline"]:
            lines.append(f"  unanswered by {prompt['deadline']}: {text(prompt['unanswered'])}")
        lines.append(f"  {prompt['answer_with']}    CHOICE: {', '.join(choices)}")
    if len(status["prompts"]) > 2:
        lines.append(f"and {len(status['prompts']) - 2} more prompts: add --json")
    return lines


def _error_line(status: dict[str, Any]) -> str:
    error = status["error"]
    if error is None:
        return ""
    place = f" ({error['file']}, line {error['line']})" if error["file"] and error["line"] else ""
    message = error["message"].removeprefix(f"[{error['class']}] ")
    return f"last error: {error['class']}: {text(message, 160)}{place}"


def _cause_line(status: dict[str, Any]) -> str:
    cause = (status["error"] or {}).get("cause")
    return f"caused by {text(cause, 160)}" if cause else ""


def _remark(status: dict[str, Any]) -> str:
    if status["unknown_critical"]:
        return f"a newer dwx wrote {text(status['unknown_critical'][-1])}: do not go on by yourself"
    if status["damaged_lines"]:
        return f"the log is damaged in {status['damaged_lines']} places: believe nothing of it"
    if status["state"] == "stalled":
        return f"silent for more than {status['next_by_ms']} ms; its process is {status['pid']}"
    if status["advice"]:
        return str(status["advice"][0])
    if status["kept"] and status["state"] in ("suspended", "crashed"):
        return f"kept for the resume: {'; '.join(status['kept'])}"
    return ""


def _size(lines: list[tuple[int, str]]) -> int:
    return sum(len(line.encode()) + 1 for _, line in lines)
