"""The charts of a report: small drawings without text of their own.

Theory. What is drawn is stretched to the width there is, on a phone as on paper, and text would be
stretched with it. So drawings hold shapes only; names, numbers and ticks stand beside them as text,
and each drawing says in words what it shows. Colours come from the style sheet, by class, and no
colour tells what is not said in words too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from executor.views.report_axis import Axis
from executor.views.report_model import Attempt, IterationReport, StatementReport
from executor.views.report_words import MOST_CHARACTERS, clipped, number
from executor.views.text import seconds, shown

LINEAR_UP_TO = 50
"""Numbers no larger than this are drawn as they are; larger ones by their logarithm."""

MOST_LABELS = 10
MOST_ATTEMPTS = 10


def safe(text: str, limit: int = 300) -> str:
    """Text from outside, fit to stand in an element or in a quoted attribute."""
    return escape(shown(clipped(text, limit)), quote=True)


def prose(text: str) -> str:
    """As `safe`, for what is read and may be longer."""
    return safe(text, MOST_CHARACTERS)


def bar(share: float, said: str, kind: str = "s") -> str:
    """A bar, filled to a share from 0 to 1; what is more than nothing can be seen."""
    width = _short(min(max(share * 100, 0.6), 100.0) if share > 0 else 0.0)
    return (
        f'<svg class="b" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" '
        f'aria-label="{safe(said)}"><rect class="k" width="100" height="8"/>'
        f'<rect class="{kind}" width="{width}" height="8"/></svg>'
    )


def stacked(parts: Sequence[tuple[str, str, int]]) -> str:
    """One bar of several parts: the name of each, its class in the style sheet, its size."""
    total = sum(size for _, _, size in parts) or 1
    said = ", ".join(f"{name} {size * 100 // total} %" for name, _, size in parts)
    drawn, at = [], 0.0
    for _, kind, size in parts:
        width = size / total * 100
        drawn.append(f'<rect class="{kind}" x="{_short(at)}" width="{_short(width)}" height="8"/>')
        at += width
    return (
        f'<svg class="b h" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" '
        f'aria-label="{safe(said)}">{"".join(drawn)}</svg>'
    )


# --- when what was under way ------------------------------------------------------------------


def timeline(
    axis: Axis,
    span: tuple[int, int] | None,
    statements: Iterable[StatementReport],
    said: str,
    kind: str = "",
) -> str:
    """A row of the timeline: a file from its beginning to its end, and statements in it."""
    drawn = [
        f'<rect class="g" x="{_short(left)}" width="{_short(right - left)}" height="12"/>'
        for left, right in ((axis.place(began), axis.place(ended)) for began, ended in axis.gaps)
    ]
    if span is not None:
        drawn.append(_rect("fx" if kind == "x" else "f", axis, *span))
    for one in statements:
        drawn.extend(_attempts(axis, one))
    return (
        f'<svg class="t" viewBox="0 0 1000 12" preserveAspectRatio="none" role="img" '
        f'aria-label="{safe(said)}"><rect class="k" y="5.5" width="1000" height="1"/>'
        f"{''.join(drawn)}</svg>"
    )


def _attempts(axis: Axis, one: StatementReport) -> Iterable[str]:
    """The attempts of a statement; one whose end is not known lasted until the next at most."""
    attempts = one.attempts[-MOST_ATTEMPTS:]
    next_begins = [*(attempt.started_ms for attempt in attempts[1:]), axis.total_ms]
    for attempt, limit in zip(attempts, next_begins, strict=True):
        if attempt.started_ms is None:
            continue
        took = attempt.elapsed_ms
        until = attempt.started_ms + took if took is not None else limit or axis.total_ms
        yield _rect(
            {"succeeded": "s" if one.file is not None else "o"}.get(attempt.status, "x"),
            axis,
            attempt.started_ms,
            until,
            f"<title>{safe(_said(one, attempt))}</title>",
            top=2,
        )


def _said(one: StatementReport, attempt: Attempt) -> str:
    what = f"{one.id} {one.kind} {clipped(one.target or '', 60)}".strip()
    status = f", {attempt.status}" if attempt.status != "succeeded" else ""
    took = attempt.elapsed_ms
    return f"{what}{status}, {seconds(took) if took is not None else 'its end is not in the log'}"


def _rect(kind: str, axis: Axis, began: int, ended: int, inside: str = "", *, top: int = 0) -> str:
    left, right = axis.place(began), axis.place(ended)
    width = max(right - left, 2.0)
    place = f'x="{_short(min(left, 998.0))}" width="{_short(width)}" height="{12 - 2 * top}"'
    y = f' y="{top}"' if top else ""
    return f'<rect class="{kind}" {place}{y}' + (f">{inside}</rect>" if inside else "/>")


# --- how a loop converged -----------------------------------------------------------------------


def curve(iterations: Sequence[IterationReport]) -> str:
    """What each iteration changed and left, with its ticks."""
    changed = [one.updated for one in iterations]
    residual = [one.residual for one in iterations]
    most = max((value for value in (*changed, *residual) if value is not None), default=0)
    most = max(most, 1)
    places = [_across(index, len(iterations)) for index in range(len(iterations))]
    ticks = _ticks(most)
    rules = "".join(f'<path class="r" d="M0 {_short(_up(at, most))}h100"/>' for at in ticks)
    numbers = [one.iteration for one in iterations]
    lines = _line(0, "changed", numbers, places, changed, most)
    said = f"rows changed per iteration: {', '.join(map(number, changed))}"
    if any(value is not None for value in residual):
        lines += _line(1, "left to merge", numbers, places, residual, most)
        said += f"; left to merge: {', '.join(map(number, residual))}"
    beside = "".join(f'<span style="top:{_short(_up(at, most))}%">{at:,}</span>' for at in ticks)
    every = math.ceil(len(iterations) / MOST_LABELS) or 1
    below = "".join(
        f'<span style="left:{_short(place)}%">{one.iteration}</span>'
        for place, one in list(zip(places, iterations, strict=True))[::every]
    )
    return (
        f'<div class="curve"><div class="y" aria-hidden="true">{beside}</div>'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{prose(said)}">{rules}{lines}</svg>'
        f'<div class="ax" aria-hidden="true">{below}</div></div>'
    )


def is_logarithmic(iterations: Sequence[IterationReport]) -> bool:
    """Whether `curve` draws logarithms."""
    values = [value for one in iterations for value in (one.updated, one.residual)]
    return max((value for value in values if value is not None), default=0) > LINEAR_UP_TO


def _line(
    which: int,
    what: str,
    numbers: Sequence[int],
    places: Sequence[float],
    values: Sequence[int | None],
    most: int,
) -> str:
    """A line through what is known, broken where a number is not, and a dot at each."""
    path, dots, pen = "", "", "M"
    for iteration, x, value in zip(numbers, places, values, strict=True):
        if value is None:
            pen = "M"
            continue
        at = f"{_short(x)} {_short(_up(value, most))}"
        path += f"{pen}{at}"
        pen = "L"
        title = f"<title>Iteration {iteration}: {what} {value:,}</title>"
        dots += f'<path class="d{which}" d="M{at}h0">{title}</path>'
    return f'<path class="l{which}" d="{path}"/>{dots}'


def _across(index: int, count: int) -> float:
    return 50.0 if count == 1 else 2 + index / (count - 1) * 96


def _up(value: int, most: int) -> float:
    """Where a number stands, from 2 (the most) down to 98 (none)."""
    value = max(value, 0)
    if most <= LINEAR_UP_TO:
        return 98 - value / most * 96
    return 98 - math.log1p(value) / math.log1p(most) * 96


def _ticks(most: int) -> list[int]:
    if most <= LINEAR_UP_TO:
        step = max(1, math.ceil(most / 5))
        return list(range(0, most + 1, step))
    powers = [10**power for power in range(1, len(str(most)))]
    every = math.ceil(len(powers) / 5)
    return [0, *powers[::every]]


def _short(value: float) -> str:
    """A number with two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
