"""The words that all formats of a report share: headlines, marks, percents, sizes, short lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from executor.views.report_model import (
    CheckReport,
    ErrorReport,
    FileReport,
    IterationReport,
    LoopReport,
    OptimizeReport,
    PromptReport,
    Report,
    Times,
)
from executor.views.text import counted, seconds, shown

T = TypeVar("T")

MARKS: Final = {
    "completed": "✓",
    "succeeded": "✓",
    "passed": "✓",
    "converged": "✓",
    "accepted": "✓",
    "failed": "✗",
    "not_converged": "✗",
    "cancelled": "✗",
    "crashed": "✗",
    "incomplete": "!",
    "unknown": "!",
    "suspended": "!",
    "stalled": "!",
}
"""What is good, what is bad, what is doubtful; anything else is just said."""

MOST: Final = {
    "files": 300,
    "iterations": 200,
    "checks": 200,
    "errors": 60,
    "prompts": 100,
    "retries": 60,
    "warnings": 60,
    "tables": 300,
    "coverage": 100,
    "clusters": 40,
    "optimized": 100,
}
"""How many of each a page shows at most, so that no run makes one that cannot be opened."""

MOST_CHARACTERS: Final = 1_000
"""Of a text from outside on a page."""

STATES: Final = {
    "running": "Still running after",
    "waiting": "Waiting for an answer after",
    "stalled": "Silent, after",
    "suspended": "Suspended after",
    "crashed": "Broken off after",
}


def mark(status: str | None) -> str:
    return MARKS.get(status or "", "•")


def verdict(report: Report) -> str:
    """The word that the run as a whole is marked by."""
    return report.outcome or report.state


def headline(report: Report) -> str:
    """How the run ended, or where it is."""
    took = took_of(report.elapsed_ms)
    code = f" (exit code {report.exit_code})" if report.exit_code is not None else ""
    if report.outcome is not None:
        return f"{report.outcome.capitalize()} in {took}{code}"
    return f"{STATES.get(report.state, 'Ended after')} {took}{code}"


def place(report: Report) -> str:
    """Where the run worked, as far as known."""
    names = ".".join(shown(part) for part in (report.catalog, report.schema) if part)
    host = f"on {shown(report.host)}" if report.host else ""
    return " ".join(part for part in (names, host) if part)


def took_of(milliseconds: int | None) -> str:
    return seconds(milliseconds) if milliseconds is not None else "a time that is not known"


def number(value: int | None) -> str:
    return f"{value:,}" if value is not None else "unknown"


def percent(share: float) -> str:
    """Rounded down, so that only what is whole reads as 100 %."""
    return f"{round(share * 1000, 6) // 1 / 10:.1f} %"


def size(count: int | None) -> str:
    """A number of bytes for a person."""
    if count is None:
        return "unknown"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def words(name: str) -> str:
    """A name of the protocol as words."""
    return name.replace("_", " ")


def counts_of(counts: dict[str, int]) -> str:
    """`6 passed, 1 failed`; the total, if there is one, is not among them."""
    said = [f"{count} {words(name)}" for name, count in counts.items() if count and name != "total"]
    return ", ".join(said) or "none"


def file_line(file: FileReport) -> str:
    """What became of a file, without its name."""
    reason = f", {shown(file.reason)}" if file.reason else ""
    if file.status == "completed":
        rows = f"{counted(file.rows)}, " if file.rows is not None else ""
        return f"{rows}{took_of(file.elapsed_ms)}"
    return f"{words(file.status)}{reason}"


def iteration_line(one: IterationReport) -> str:
    """What an iteration changed and what it left."""
    parts = [f"changed {counted(one.updated)}"]
    if one.residual is not None:
        left = one.iterations_left
        ahead = f", about {left} more iteration{'' if left == 1 else 's'}" if left else ""
        parts.append(f"{one.residual:,} left to merge{ahead}")
    if one.rows is not None:
        parts.append(f"{counted(one.rows)} in all")
    return ", ".join([*parts, seconds(one.elapsed_ms)])


def loop_line(loop: LoopReport) -> str:
    """The verdict on a loop."""
    done = len(loop.iterations)
    limit = f" of at most {loop.max_iterations}" if loop.max_iterations is not None else ""
    ran = f"{done} iteration{'' if done == 1 else 's'}"
    match loop.outcome:
        case "converged":
            tests = {"updated": "nothing changed", "residual": "nothing is left to merge"}
            why = tests.get(loop.by or "", "nothing changed and nothing is left to merge")
            return f"converged after {ran}: {why}"
        case "not_converged":
            why = f": {shown(loop.detail)}" if loop.detail else ""
            return f"not converged after {ran}{limit}{why}"
        case _:
            return f"{words(loop.outcome)}, {ran}{limit}"


def optimize_line(one: OptimizeReport) -> str:
    """What OPTIMIZE did and how long it took, without the table's name."""
    parts = [took_of(one.elapsed_ms)] if one.ran else []
    return ", ".join(part for part in (*parts, compacted(one)) if part)


def compacted(one: OptimizeReport) -> str:
    """What OPTIMIZE made of a table, or why it was left alone."""
    if not one.ran:
        reason = f": {shown(one.reason)}" if one.reason else ""
        return f"{'left as it is' if one.worth is False else 'not optimized'}{reason}"
    parts = []
    if one.files_before is not None and one.files_after is not None:
        parts.append(f"{one.files_before:,} → {one.files_after:,} files")
    elif one.files_removed is not None and one.files_added is not None:
        parts.append(f"{one.files_removed:,} files became {one.files_added:,}")
    if one.bytes_before is not None and one.bytes_after is not None:
        parts.append(f"{size(one.bytes_before)} → {size(one.bytes_after)}")
    elif one.bytes_removed is not None and one.bytes_added is not None:
        parts.append(f"{size(one.bytes_removed)} became {size(one.bytes_added)}")
    return ", ".join(parts)


def settled(prompt: PromptReport) -> str:
    """How a prompt was settled, and by whom."""
    if prompt.how is None:
        return f"open; it offers {', '.join(prompt.choices)}"
    by = f" by {shown(prompt.by)}" if prompt.by else ""
    via = f" through {prompt.source}" if prompt.source and prompt.how == "decision" else ""
    waited = f", after {took_of(prompt.waited_ms)}" if (prompt.waited_ms or 0) >= 100 else ""
    return f"{prompt.choice or 'no answer'} ({prompt.how}{by}{via}{waited})"


def error_place(error: ErrorReport) -> str:
    """Where an error was made."""
    line = f", line {error.line}" if error.line is not None else ""
    parts = [f"{shown(error.path)}{line}" if error.path else "", shown(error.statement or "")]
    return ", ".join(part for part in parts if part)


def error_mark(error: ErrorReport) -> str:
    return "•" if error.overcome else "✗"


def error_status(error: ErrorReport) -> str:
    """How grave an error is, and what became of it."""
    often = f", {times(error.times)}" if error.times > 1 else ""
    overcome = ", overcome" if error.overcome else ""
    return f"{error.severity}{often}{overcome}"


def message_of(error: ErrorReport) -> str:
    """An error's message, without its class where that stands before it."""
    return error.message.removeprefix(f"[{error.class_}] ")


def amiss(checks: Sequence[CheckReport]) -> list[CheckReport]:
    """Checks that failed or are unknown, the gravest first."""
    grave = ("fatal", "critical", "moderate", "warning")
    found = [one for one in checks if one.status in ("failed", "unknown")]
    return sorted(found, key=lambda one: (grave.index(one.severity), one.status))


def measured(check: CheckReport) -> str:
    """`keys 1,000, distinct_keys 998`."""
    return ", ".join(f"{shown(name)} {count:,}" for name, count in check.measured.items())


def spent(taken: Times) -> list[tuple[str, int]]:
    """What time was spent on, without what took none."""
    all_of_it = [
        ("statements", taken.statements_ms),
        ("convergence", taken.convergence_ms),
        ("OPTIMIZE", taken.optimize_ms),
        ("checks", taken.checks_ms),
        ("waiting for answers", taken.asking_ms),
    ]
    return [(name, part) for name, part in all_of_it if part > 0]


def buckets(clusters: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Sizes of clusters, and what else was measured of them.

    A check names its columns as it likes. Only what names a size by a digit is a part of the whole
    (`size_2`, `from_3_to_10`); the others (`clusters`, `largest`) are of other kinds, and beside
    the sizes their bars would say something false.
    """
    sizes = {name: count for name, count in clusters.items() if any(map(str.isdigit, name))}
    return sizes, {name: count for name, count in clusters.items() if name not in sizes}


def bounded(items: Sequence[T], limit: int) -> tuple[Sequence[T], int]:
    """The first of `items`, and how many are left out."""
    return items[:limit], max(0, len(items) - limit)


def clipped(text: str, limit: int) -> str:
    """At most `limit` characters of a text, still raw."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
