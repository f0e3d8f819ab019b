"""A report as Markdown: for a pull request, a ticket, a chat.

Text from outside is data. What only looks like a name stands in a code span, where nothing is
markup; in everything else each character that could begin markup, HTML, a link, a mention or a cell
is escaped. No text from outside stands at the beginning of a line, where a few characters more
would mean something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from executor.views.report_model import ErrorReport, LoopReport, Report
from executor.views.report_words import (
    MOST,
    MOST_CHARACTERS,
    amiss,
    bounded,
    clipped,
    counts_of,
    error_mark,
    error_place,
    error_status,
    headline,
    loop_line,
    mark,
    measured,
    message_of,
    number,
    optimize_line,
    percent,
    place,
    settled,
    spent,
    took_of,
    verdict,
    words,
)
from executor.views.text import seconds, shown

_NAME: Final = re.compile(r"[\w./-]+( [\w./-]+)*", re.ASCII)
_MARKUP: Final = re.compile(r"[\\`*_\[\]#~!$]")
_ENTITIES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"}
)

_LINKS: Final = re.compile(r"://|www\.", re.IGNORECASE)


def as_markdown(report: Report) -> str:
    """The report, line feed at the end included."""
    return "\n".join(_lines(report)) + "\n"


def text(value: str) -> str:
    """Text from outside, as text and nothing else."""
    safe = _MARKUP.sub(lambda found: f"\\{found[0]}", shown(clipped(value, MOST_CHARACTERS)))
    safe = safe.translate(_ENTITIES)
    # what some renderers make links of by themselves
    return _LINKS.sub(lambda found: found[0].replace(":", "&#58;").replace(".", "&#46;"), safe)


def name(value: str) -> str:
    """A name from outside, in a code span where nothing in it speaks against that."""
    return f"`{value}`" if _NAME.fullmatch(value) and len(value) < 200 else text(value)


def _lines(report: Report) -> Iterable[str]:
    yield f"# {mark(verdict(report))} {headline(report)}"
    yield ""
    yield f"Run {name(report.run)}" + (f" of {name(report.directory)}" if report.directory else "")
    for remark in report.remarks:
        yield from ("", f"> **Note:** {text(remark)}")
    yield from _table(("What", "Value"), "--", _facts(report), 0)
    yield from _files(report)
    for loop in report.loops:
        yield from _loop(loop)
    yield from _optimized(report)
    yield from _checks(report)
    yield from _errors(report)
    yield from _decisions(report)
    coverage, left = bounded(list(report.coverage.items()), MOST["coverage"])
    rows = [(name(table), percent(share)) for table, share in coverage]
    yield from _titled("Coverage", _table(("Table", "Covered"), "-r", rows, left))
    clusters, left = bounded(list(report.clusters.items()), MOST["clusters"])
    rows = [(text(words(one)), number(count)) for one, count in clusters]
    yield from _titled("Clusters", _table(("Measure", "Count"), "-r", rows, left))
    tables, left = bounded(report.tables, MOST["tables"])
    rows = [(name(one.name), number(one.rows)) for one in tables]
    yield from _titled("Tables", _table(("Table", "Rows"), "-r", rows, left))
    yield from _titled("Slowest statements", _slowest(report))
    yield from _warnings(report)
    if report.next:
        yield from ("", "## Next", "", *(f"- → {_advice(one)}" for one in report.next))


def _advice(one: str) -> str:
    return name(one) if one.startswith("dwx ") else text(one)


def _titled(title: str, lines: Iterable[str]) -> Iterable[str]:
    found = list(lines)
    return ["", f"## {title}", *found] if found else []


def _table(
    heads: Sequence[str], sides: str, rows: Sequence[Sequence[str]], left: int
) -> Iterable[str]:
    """A table; nothing if it has no row. `sides`: `r` for each column of numbers."""
    if not rows:
        return
    yield ""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('--:' if side == 'r' else '---' for side in sides)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    if left:
        yield from ("", f"… and {left:,} more.")


def _facts(report: Report) -> list[tuple[str, str]]:
    total = report.file_counts.get("total", len(report.files))
    times = ", ".join(f"{what} {seconds(taken)}" for what, taken in spent(report.times))
    facts = [
        ("Began", text(report.began or "")),
        ("Total time", seconds(report.elapsed_ms) if report.elapsed_ms is not None else ""),
        ("Time spent", times),
        ("Where", text(place(report))),
        ("Profile", name(report.profile) if report.profile else ""),
        ("Files", f"{counts_of(report.file_counts)}, of {total}"),
        ("Statements", counts_of(report.statement_counts)),
        ("Rows affected", number(report.rows) if report.rows is not None else ""),
        ("Checks", counts_of(report.check_counts) if any(report.check_counts.values()) else ""),
        ("Resumed", str(report.segments - 1) if report.segments > 1 else ""),
        ("Sessions replaced", str(report.reconnected or "")),
    ]
    return [(what, value) for what, value in facts if value]


def _files(report: Report) -> Iterable[str]:
    files, left = bounded(report.files, MOST["files"])
    rows = [
        (
            f"{mark(one.status)} {name(one.path)}",
            words(one.status) + (f": {text(one.reason)}" if one.reason else ""),
            number(one.rows) if one.rows is not None else "",
            took_of(one.elapsed_ms) if one.elapsed_ms is not None else "",
        )
        for one in files
    ]
    return _titled("Files", _table(("File", "Status", "Rows", "Time"), "--rr", rows, left))


def _loop(loop: LoopReport) -> Iterable[str]:
    yield from ("", f"## Loop {name(loop.name)}", "")
    result = f" → {name(loop.final_table)}" if loop.final_table else ""
    yield f"{mark(loop.outcome)} {text(loop_line(loop))}{result}"
    iterations, left = bounded(loop.iterations, MOST["iterations"])
    rows = [
        (
            str(one.iteration),
            number(one.updated),
            number(one.residual) if one.residual is not None else "",
            number(one.rows) if one.rows is not None else "",
            seconds(one.elapsed_ms),
        )
        for one in iterations
    ]
    heads = ("Iteration", "Changed", "Left to merge", "Rows", "Time")
    yield from _table(heads, "rrrrr", rows, left)


def _optimized(report: Report) -> Iterable[str]:
    optimized, left = bounded(report.optimized, MOST["optimized"])
    rows = [(name(one.table), text(optimize_line(one))) for one in optimized]
    return _titled("OPTIMIZE", _table(("Table", "What it did"), "--", rows, left))


def _checks(report: Report) -> Iterable[str]:
    bad = amiss(report.checks)
    shown_first = [*bad, *(one for one in report.checks if one not in bad)]
    checks, left = bounded(shown_first, MOST["checks"])
    rows = [
        (
            f"{mark(one.status)} {name(one.name)}",
            f"{one.status} ({one.severity})",
            one.phase,
            ". ".join(
                part
                for part in (text(one.observed or ""), name(one.table) if one.table else "")
                if part
            ),
            text(one.expected or ""),
            text(measured(one)),
        )
        for one in checks
    ]
    heads = ("Check", "Status", "When", "Observed", "Expected", "Measured")
    return _titled("Checks", _table(heads, "------", rows, left))


def _errors(report: Report) -> Iterable[str]:
    errors, left = bounded(report.errors, MOST["errors"])
    rows = [
        (
            f"{error_mark(one)} {name(one.class_)}",
            error_status(one),
            text(error_place(one)),
            _said(one),
            text(one.suggestion),
        )
        for one in errors
    ]
    heads = ("Error", "Severity", "Where", "Message", "What to do")
    return _titled("Errors", _table(heads, "-----", rows, left))


def _said(error: ErrorReport) -> str:
    cause = f" Caused by {text(error.cause)}" if error.cause is not None else ""
    return f"{text(message_of(error))}{cause}"


def _decisions(report: Report) -> Iterable[str]:
    prompts, left = bounded(report.prompts, MOST["prompts"])
    rows = [
        (name(one.prompt), text(one.title), text(settled(one)), text(one.reason or ""))
        for one in prompts
    ]
    heads = ("Prompt", "Question", "Answer", "Reason")
    yield from _titled("Decisions", _table(heads, "----", rows, left))
    retries, left = bounded(report.retries, MOST["retries"])
    again = [
        (name(one.statement), text(one.category), str(one.times), seconds(one.delay_ms))
        for one in retries
    ]
    heads = ("Statement", "Because of", "Times", "Waited")
    yield from _titled("Tried again", _table(heads, "--rr", again, left))


def _slowest(report: Report) -> Iterable[str]:
    by_id = {one.id: one for one in report.statements}
    rows = [
        (name(one.id), name(one.path) if one.path else "", text(one.head), seconds(one.elapsed_ms))
        for one in (by_id[found] for found in report.slowest)
    ]
    return _table(("Statement", "File", "Text", "Time"), "---r", rows, 0)


def _warnings(report: Report) -> Iterable[str]:
    warnings, left = bounded(report.warnings, MOST["warnings"])
    rows = [
        (
            name(one.code),
            f"{name(one.path)}{f', line {one.line}' if one.line else ''}" if one.path else "",
            text(one.detail),
        )
        for one in warnings
    ]
    return _titled("Warnings", _table(("Warning", "Where", "What"), "---", rows, left))
