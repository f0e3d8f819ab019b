"""A report as one HTML file: nothing is fetched, nothing is executed, and it prints.

Text from outside is data. All of it goes through `safe`, into elements and quoted attributes only,
and the page forbids the browser everything but its own style. Whatever the size of the run, the
page stays small: lists are cut at `MOST`, and of statements only the longest are drawn one by one.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.resources import files as package_files
from typing import Final

from executor.views.report_axis import Axis, axis_of
from executor.views.report_model import (
    CheckReport,
    ErrorReport,
    FileReport,
    IterationReport,
    LoopReport,
    PromptReport,
    Report,
    StatementReport,
)
from executor.views.report_svg import bar, curve, is_logarithmic, prose, safe, stacked, timeline
from executor.views.report_words import (
    MOST,
    amiss,
    bounded,
    buckets,
    compacted,
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
    percent,
    place,
    settled,
    size,
    spent,
    times,
    took_of,
    verdict,
    words,
)
from executor.views.text import seconds

MOST_DRAWN: Final = 500
"""Statements drawn one by one; the others are within the bar of their file."""

MOST_FAILED: Final = 100
"""Statements drawn because they did not succeed."""

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
TONES: Final = {"✓": "good", "✗": "bad", "!": "warn", "•": "dim"}
SPENT: Final = {
    "statements": "i0",
    "convergence": "i1",
    "OPTIMIZE": "i2",
    "checks": "i3",
    "waiting for answers": "i4",
}
"""The class in the style sheet of what time was spent on."""


def as_html(report: Report) -> str:
    """The page."""
    style = package_files("executor.views").joinpath("report.css").read_text("utf-8")
    title = safe(f"{headline(report)}: {report.run}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in _parts(report) if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _parts(report: Report) -> Iterable[str]:
    yield _header(report)
    yield from (f'<p class="note">{safe(one)}</p>' for one in report.remarks)
    yield _tiles(report)
    yield _section("What to do next", _next(report))
    yield _section("What went wrong", _wrong(report))
    yield _section("Decisions", _decisions(report))
    yield _section("Timeline", _timeline(report))
    yield _section("Where the time went", _spent(report))
    yield from (_section(f"Loop {loop.name}", _loop(loop)) for loop in report.loops)
    yield _section("Coverage", _coverage(report))
    yield _section("Clusters", _clusters(report))
    yield _section("Checks", _checks(report))
    yield _section("OPTIMIZE", _optimized(report))
    yield _section("Tables", _tables(report))
    yield _section("Slowest statements", _slowest(report))
    yield _section("Warnings", _warnings(report))
    version = f"dwx {safe(report.version or '')}".strip()
    yield f"<footer>Written by {version} from the log of run {_name(report.run)}.</footer>"


# --- the beginning ------------------------------------------------------------------------------


def _header(report: Report) -> str:
    sign = mark(verdict(report))
    began = f"began {safe(_date(report.began))}" if report.began else ""
    profile = f"profile {_name(report.profile)}" if report.profile else ""
    facts = (part for part in (began, safe(place(report)), profile) if part)
    where = f" of {_name(report.directory)}" if report.directory else ""
    return (
        f'<header><p class="dim small">Run {_name(report.run)}{where}</p>'
        f'<h1><span class="{TONES[sign]}" aria-hidden="true">{sign}</span>&nbsp;'
        f"{safe(headline(report))}</h1>"
        f'<p class="dim small">{" · ".join(facts)}</p></header>'
    )


def _date(ts: str) -> str:
    """`2026-01-31 02:00:00 UTC`, from the time on the wire."""
    return f"{ts[:10]} {ts[11:19]} UTC" if ts.endswith("Z") and len(ts) == 24 else ts


def _tiles(report: Report) -> str:
    files, statements = report.file_counts, report.statement_counts
    total = files.get("total", len(report.files))
    checks = report.check_counts
    found = [
        ("Total time", took_of(report.elapsed_ms), f"{report.segments} processes")
        if report.segments > 1
        else ("Total time", took_of(report.elapsed_ms), ""),
        ("Files completed", f"{files.get('completed', 0)} of {total}", _rest(files, "completed")),
        (
            "Statements",
            f"{sum(statements.values()):,}",
            _rest(statements, "succeeded") or "all succeeded",
        ),
    ]
    if report.rows is not None:
        found.append(("Rows affected", f"{report.rows:,}", ""))
    if report.loops:
        loop = report.loops[0]
        found.append(("Iterations", str(len(loop.iterations)), words(loop.outcome)))
    if any(checks.values()):
        made = sum(checks.values()) - checks.get("skipped", 0)
        found.append(
            ("Checks passed", f"{checks.get('passed', 0)} of {made}", _rest(checks, "passed"))
        )
    if report.coverage:
        several = f"of {len(report.coverage)} tables" if len(report.coverage) > 1 else ""
        found.append(("Lowest coverage", percent(min(report.coverage.values())), several))
    tiles = "".join(
        f"<div><dt>{name}</dt><dd>{safe(value)}</dd>"
        + (f"<dd>{safe(more)}</dd>" if more else "")
        + "</div>"
        for name, value, more in found
    )
    return f'<dl class="tiles">{tiles}</dl>'


def _rest(counts: dict[str, int], good: str) -> str:
    said = counts_of({name: count for name, count in counts.items() if name != good})
    return "" if said == "none" else said


def _next(report: Report) -> str:
    items = "".join(
        f"<li>{_name(one) if one.startswith('dwx ') else safe(one)}</li>" for one in report.next
    )
    return f"<ul>{items}</ul>" if items else ""


# --- what went wrong, and what was decided --------------------------------------------------------


def _wrong(report: Report) -> str:
    checks, more = bounded(amiss(report.checks), MOST["checks"])
    errors, left = bounded(report.errors, MOST["errors"])
    return (
        "".join(_error(one) for one in errors if not one.overcome)
        + "".join(_bad_check(one) for one in checks)
        + "".join(_error(one) for one in errors if one.overcome)
        + _more(more, "checks")
        + _more(left, "errors")
    )


def _error(error: ErrorReport) -> str:
    sign, tone = error_mark(error), "dim" if error.overcome else "bad"
    where = f'<p class="dim small">{safe(error_place(error))}</p>' if error_place(error) else ""
    cause = f"<p>Caused by {prose(error.cause)}</p>" if error.cause is not None else ""
    advice = "" if error.overcome else f"<p>→ {prose(error.suggestion)}</p>"
    return (
        f'<article class="card"><h3><span class="{tone}" aria-hidden="true">{sign}</span>&nbsp;'
        f"{_name(error.class_)} {_tag(error_status(error), tone)}</h3>"
        f"{where}<p>{prose(message_of(error))}</p>{cause}{advice}</article>"
    )


def _bad_check(check: CheckReport) -> str:
    tone = "bad" if check.status == "failed" else "warn"
    sign = "✗" if check.status == "failed" else "!"
    facts = [
        ("Observed", prose(check.observed) if check.observed is not None else ""),
        ("Expected", prose(check.expected) if check.expected is not None else ""),
        ("Measured", prose(measured(check))),
        ("Table", _name(check.table) if check.table else ""),
        ("Made by", safe(", ".join(check.paths[:5]))),
        ("Written in", safe(check.source) if check.source else ""),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts if value)
    return (
        f'<article class="card"><h3><span class="{tone}" aria-hidden="true">{sign}</span>&nbsp;'
        f"Check {safe(check.name)} {_tag(f'{check.severity}, {check.status}', tone)}</h3>"
        f"{f'<dl>{rows}</dl>' if rows else ''}</article>"
    )


def _decisions(report: Report) -> str:
    prompts, left = bounded(report.prompts, MOST["prompts"])
    asked = _table(
        ("Question", "Answer"),
        "--",
        [(_question(one), _answer(one)) for one in prompts],
        "What was asked, and how it was settled.",
    )
    retries, more = bounded(report.retries, MOST["retries"])
    again = _table(
        ("Statement", "Times", "Waited"),
        "-nn",
        [
            (f"{_name(one.statement)}{_sub(one.category)}", str(one.times), seconds(one.delay_ms))
            for one in retries
        ],
        "What was tried again without asking.",
    )
    sessions = (
        f'<p class="small">Lost sessions replaced: {report.reconnected}.</p>'
        if report.reconnected
        else ""
    )
    return asked + _more(left, "questions") + again + _more(more, "statements") + sessions


def _question(prompt: PromptReport) -> str:
    return f"{safe(prompt.title)}{_sub(prompt.prompt)}"


def _answer(prompt: PromptReport) -> str:
    reason = _sub(prompt.reason) if prompt.reason else ""
    return f"{safe(settled(prompt))}{reason}"


# --- time -----------------------------------------------------------------------------------------


def _timeline(report: Report) -> str:
    busy = _busy(report)
    latest = max((ended for _, ended in busy), default=0)
    axis = axis_of(busy, max(report.elapsed_ms or 0, latest))
    inside = _drawn(report)
    files, left = bounded(report.files, MOST["files"])
    rows = [
        (
            _file_row(axis, one, inside[one.id]),
            number(one.rows) if one.rows is not None else "",
            seconds(one.elapsed_ms) if one.elapsed_ms is not None else "",
        )
        for one in files
    ]
    own = [one for one in report.statements if one.file is None]
    if own:
        took = sum(one.elapsed_ms for one in own)
        said = f"{len(own):,} statements of dwx itself: tests of loops, aliases, OPTIMIZE"
        name = f'<div>dwx itself<span class="sub">{safe(said)}</span></div>'
        drawn = timeline(axis, None, inside[None], said)
        rows.append((f'<div class="two">{name}{drawn}</div>', "", seconds(took)))
    if not rows:
        return ""
    ticks = "".join(
        f'<span style="left:{axis.place(at) / 10:.1f}%">{safe(_tick(at))}</span>'
        for at in axis.ticks()
    )
    rows.append((f'<div class="two"><div></div><div class="ax">{ticks}</div></div>', "", ""))
    gaps = (
        " A shaded gap is a long pause in which no statement was under way, drawn short."
        if axis.gaps
        else ""
    )
    caption = f"Files, and the statements in them, from the beginning of the run on.{gaps}"
    return _table(("File", "Rows", "Time"), "-nn", rows, caption) + _more(left, "files")


def _busy(report: Report) -> list[tuple[int, int]]:
    """When statements were under way, or files where no statement is known."""
    sent = [
        (attempt.started_ms, attempt.started_ms + (attempt.elapsed_ms or 0))
        for one in report.statements
        for attempt in one.attempts
        if attempt.started_ms is not None
    ]
    return sent or [
        (one.started_ms, one.started_ms + (one.elapsed_ms or 0))
        for one in report.files
        if one.started_ms is not None
    ]


def _drawn(report: Report) -> dict[str | None, list[StatementReport]]:
    """Statements to be drawn, by file, in their order."""
    longest = heapq.nlargest(MOST_DRAWN, report.statements, key=lambda one: one.elapsed_ms)
    failed = [one for one in report.statements if one.status != "succeeded"]
    chosen = {one.id for one in (*longest, *failed[:MOST_FAILED])}
    inside: dict[str | None, list[StatementReport]] = defaultdict(list)
    for one in report.statements:
        if one.id in chosen:
            inside[one.file].append(one)
    return inside


def _file_row(axis: Axis, file: FileReport, statements: Sequence[StatementReport]) -> str:
    sign = mark(file.status)
    status = "" if file.status == "completed" else words(file.status)
    why = ": ".join(part for part in (status, file.reason or "") if part)
    name = (
        f'<div><span class="{TONES[sign]}" aria-hidden="true">{sign}</span>&nbsp;{safe(file.path)}'
        f"{_sub(why) if why else ''}</div>"
    )
    if file.started_ms is None:
        return name
    until = file.started_ms + file.elapsed_ms if file.elapsed_ms is not None else axis.total_ms
    said = f"from {_tick(file.started_ms)} to {_tick(until)} of {_tick(axis.total_ms)}"
    kind = "x" if file.status == "failed" else ""
    drawn = timeline(axis, (file.started_ms, until), statements, said, kind)
    return f'<div class="two">{name}{drawn}</div>'


def _tick(milliseconds: int) -> str:
    """A time of the axis, short."""
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:g} s" if milliseconds % 1000 else f"{milliseconds // 1000} s"
    minutes, rest = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _spent(report: Report) -> str:
    parts = [(name, SPENT[name], taken) for name, taken in spent(report.times)]
    if not parts:
        return ""
    key = "".join(
        f'<li><svg viewBox="0 0 10 6" aria-hidden="true"><rect class="{kind}" width="10" '
        f'height="6"/></svg>{name}: {seconds(taken)}</li>'
        for name, kind, taken in parts
    )
    return f'<figure>{stacked(parts)}<figcaption><ul class="key">{key}</ul></figcaption></figure>'


def _slowest(report: Report) -> str:
    by_id = {one.id: one for one in report.statements}
    slow = [by_id[name] for name in report.slowest]
    most = max((one.elapsed_ms for one in slow), default=1)
    rows = [
        (
            f'<div class="two"><div>{_name(one.id)}{_sub(one.head)}{_sub(_about(one))}</div>'
            f"{bar(one.elapsed_ms / most, f'{seconds(one.elapsed_ms)}')}</div>",
            number(one.rows) if one.rows is not None else "",
            seconds(one.elapsed_ms),
        )
        for one in slow
    ]
    return _table(("Statement", "Rows", "Time"), "-nn", rows, "All attempts together.")


def _about(one: StatementReport) -> str:
    line = f"line {one.line}" if one.line is not None and one.path else ""
    sent = f"sent {times(len(one.attempts))}" if len(one.attempts) > 1 else ""
    return ", ".join(part for part in (one.path or "by dwx itself", line, sent) if part)


# --- loops ------------------------------------------------------------------------------------


def _loop(loop: LoopReport) -> str:
    sign = mark(loop.outcome)
    said = loop_line(loop)
    result = f" Its result is {_name(loop.final_table)}." if loop.final_table else ""
    verdict_of = (
        f'<p><span class="{TONES[sign]}" aria-hidden="true">{sign}</span>&nbsp;'
        f"{safe(said[:1].upper() + said[1:])}.{result}</p>"
    )
    iterations, left = bounded(loop.iterations, MOST["iterations"])
    if not iterations:
        return verdict_of
    return verdict_of + _curve(iterations) + _iterations(iterations) + _more(left, "iterations")


def _curve(iterations: Sequence[IterationReport]) -> str:
    if len(iterations) < 2:
        return ""
    scale = " (logarithmic scale)" if is_logarithmic(iterations) else ""
    residual = any(one.residual is not None for one in iterations)
    left = (
        '<li><svg viewBox="0 0 10 6" aria-hidden="true"><path class="l1" d="M0 3h10"/></svg>'
        "left to merge</li>"
        if residual
        else ""
    )
    return (
        f'<figure><figcaption><ul class="key"><li><svg viewBox="0 0 10 6" aria-hidden="true">'
        f'<path class="l0" d="M0 3h10"/></svg>rows changed</li>{left}'
        f'<li class="dim">by iteration{scale}</li></ul></figcaption>{curve(iterations)}</figure>'
    )


def _iterations(iterations: Sequence[IterationReport]) -> str:
    residual = any(one.residual is not None for one in iterations)
    heads = ("Iteration", "Changed", *(("Left to merge",) if residual else ()), "Rows", "Time")
    rows = [
        (
            f"{one.iteration}{_sub('generated') if one.source == 'generated' else ''}",
            number(one.updated),
            *((_left(one),) if residual else ()),
            number(one.rows) if one.rows is not None else "",
            seconds(one.elapsed_ms),
        )
        for one in iterations
    ]
    return _table(heads, "-" + "n" * (len(heads) - 1), rows, even=True)


def _left(one: IterationReport) -> str:
    if one.residual is None:
        return ""
    return number(one.residual) + (
        _sub(f"≈ {one.iterations_left} to go") if one.iterations_left else ""
    )


# --- what was made ----------------------------------------------------------------------------


def _coverage(report: Report) -> str:
    covered, left = bounded(list(report.coverage.items()), MOST["coverage"])
    rows = [
        (_barred(safe(table), bar(share, percent(share))), percent(share))
        for table, share in covered
    ]
    caption = "The share of each table's rows that have a canonical id."
    return _table(("Table", "Covered"), "-n", rows, caption) + _more(left, "tables")


def _clusters(report: Report) -> str:
    sizes, others = buckets(report.clusters)
    facts = "".join(
        f"<li>{safe(words(name))}: {count:,}</li>" for name, count in list(others.items())[:20]
    )
    drawn, left = bounded(list(sizes.items()), MOST["clusters"])
    most = max((count for _, count in drawn), default=0) or 1
    rows = [
        (_barred(safe(words(name)), bar(count / most, f"{count:,}")), f"{count:,}")
        for name, count in drawn
    ]
    return (
        (f'<ul class="key">{facts}</ul>' if facts else "")
        + _table(("Size", "Clusters"), "-n", rows, "How many clusters are of which size.")
        + _more(left, "sizes")
    )


def _barred(name: str, drawn: str) -> str:
    return f'<div class="two"><div>{name}</div>{drawn}</div>'


def _checks(report: Report) -> str:
    bad = amiss(report.checks)
    listed = [*bad, *(one for one in report.checks if one.status not in ("failed", "unknown"))]
    checks, left = bounded(listed, MOST["checks"])
    rows = [(_check_name(one), safe(one.phase), safe(one.status)) for one in checks]
    table = _table(("Check", "When", "Status"), "---", rows) + _more(left, "checks")
    if not rows:
        return ""
    said = f"<p>{safe(counts_of(report.check_counts).capitalize())}.</p>"
    return f"{said}<details><summary>All checks</summary>{table}</details>"


def _check_name(check: CheckReport) -> str:
    sign = mark(check.status)
    more = ", ".join(part for part in (check.table or "", measured(check)) if part)
    return (
        f'<span class="{TONES[sign]}" aria-hidden="true">{sign}</span>&nbsp;{safe(check.name)}'
        f"{_sub(more) if more else ''}"
    )


def _optimized(report: Report) -> str:
    optimized, left = bounded(report.optimized, MOST["optimized"])
    most = max((one.bytes_before or 0 for one in optimized), default=0)
    rows = []
    for one in optimized:
        name = f"{safe(one.table)}{_sub(compacted(one))}"
        if one.bytes_before and one.bytes_after is not None:
            said = f"{size(one.bytes_after)} of {size(one.bytes_before)}"
            name = _barred(name, bar(one.bytes_after / most, said))
        rows.append((name, seconds(one.elapsed_ms) if one.elapsed_ms is not None else ""))
    caption = "A bar shows what is left of a table's size, beside the largest."
    return _table(("Table", "Time"), "-n", rows, caption) + _more(left, "tables")


def _tables(report: Report) -> str:
    tables, left = bounded(report.tables, MOST["tables"])
    rows = [(safe(one.name), number(one.rows)) for one in tables]
    caption = "What the run wrote and did not drop, with the rows last reported."
    return _table(("Table", "Rows"), "-n", rows, caption) + _more(left, "tables")


def _warnings(report: Report) -> str:
    warnings, left = bounded(report.warnings, MOST["warnings"])
    items = "".join(
        f"<li>{safe(one.detail)}{_sub(_where(one.code, one.path, one.line))}</li>"
        for one in warnings
    )
    return (f"<ul>{items}</ul>" if items else "") + _more(left, "warnings")


def _where(code: str, path: str | None, line: int | None) -> str:
    return f"{code}{f' in {path}' if path else ''}{f', line {line}' if line is not None else ''}"


# --- pieces -----------------------------------------------------------------------------------


def _section(title: str, inside: str) -> str:
    """A heading and what stands below it; nothing if that is nothing."""
    return f"<section><h2>{safe(title)}</h2>{inside}</section>" if inside else ""


def _table(
    heads: Sequence[str],
    kinds: str,
    rows: Sequence[Sequence[str]],
    caption: str = "",
    *,
    even: bool = False,
) -> str:
    """A table of cells that are HTML already.

    `kinds`: `n` for each column of numbers. `even`: these share the width there is.
    """
    if not rows:
        return ""
    classes = ['class="n"' if kind == "n" else "" for kind in kinds]
    head = "".join(
        f'<th scope="col" {of}>{name}</th>'.replace(" >", ">")
        for name, of in zip(heads, classes, strict=True)
    )
    body = "\n".join(f"<tr>{_cells(row, classes)}</tr>" for row in rows)
    kind = ' class="e"' if even else ""
    said = f"<caption>{safe(caption)}</caption>" if caption else ""
    return (
        f'<div class="w"><table{kind}>{said}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[str], classes: Sequence[str]) -> str:
    first = f'<th scope="row">{row[0]}</th>'
    return first + "".join(
        f"<td {of}>{cell}</td>".replace(" >", ">", 1)
        for cell, of in zip(row[1:], classes[1:], strict=True)
    )


def _more(left: int, what: str) -> str:
    return f'<p class="dim small">… and {left:,} more {what}.</p>' if left else ""


def _name(text: str) -> str:
    return f"<code>{safe(text)}</code>"


def _sub(text: str) -> str:
    return f'<span class="sub">{safe(text)}</span>'


def _tag(text: str, tone: str) -> str:
    return f'<span class="tag {tone}">{safe(text)}</span>'
