"""The time axis of a report: when something happened, as a place between 0 and 1000.

Theory. A run that waited all night for an answer would be a line with a dot at each end, if its
axis were even. So a pause in which no statement was under way, and which is long beside the time
in which some were, is drawn as a narrow gap. All else keeps its proportions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000.0
LONG: Final = 0.2
"""A pause longer than this share of the time that is not a pause is drawn as a gap."""

GAP: Final = 0.03
"""How wide a gap is, as a share of the same."""

MOST_GAPS: Final = 8
TICKS: Final = 4
STEPS: Final = (
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Axis:
    total_ms: int
    knees: tuple[tuple[int, float], ...]
    """Times and places between which the axis is even."""
    gaps: tuple[tuple[int, int], ...]
    """When the pauses drawn as gaps began and ended."""
    drawn_ms: int
    """What the axis shows beside the gaps."""

    def place(self, at_ms: int) -> float:
        """Where a time stands."""
        at = min(max(at_ms, 0), self.total_ms)
        index = max(1, min(bisect_right(self.knees, (at, WIDTH)), len(self.knees) - 1))
        (before, left), (after, right) = self.knees[index - 1], self.knees[index]
        share = (at - before) / (after - before) if after > before else 0.0
        return left + (right - left) * share

    def ticks(self) -> list[int]:
        """Round times to be written below the axis, none in a gap."""
        step = next((one for one in STEPS if one * TICKS >= self.drawn_ms), STEPS[-1])
        found: list[int] = []
        start = 0
        for began, ended in (*self.gaps, (self.total_ms, self.total_ms)):
            first = -(-start // step) * step
            found.extend(range(first, began, step)[: TICKS + 2])
            start = ended
        apart = WIDTH / (TICKS + 2)
        kept: list[int] = []
        for at in found:
            if not kept or self.place(at) - self.place(kept[-1]) >= apart:
                kept.append(at)
        return [at for at in kept if self.place(at) <= WIDTH - apart / 2]


def axis_of(busy: Iterable[tuple[int, int]], total_ms: int) -> Axis:
    """The axis of a run of `total_ms`; `busy`: when something was under way, in any order."""
    total = max(1, total_ms)
    idle: list[tuple[int, int]] = []
    reached = 0
    for began, ended in sorted(busy):
        if began > reached:
            idle.append((reached, min(began, total)))
        reached = max(reached, ended)
    if reached < total:
        idle.append((reached, total))
    gaps = _gaps(idle, total)
    drawn = max(1, total - sum(ended - began for began, ended in gaps))
    full = drawn * (1 + GAP * len(gaps))
    knees, at, place = [(0, 0.0)], 0, 0.0
    for began, ended in gaps:
        place += (began - at) / full * WIDTH
        knees.append((began, place))
        place += GAP * drawn / full * WIDTH
        knees.append((ended, place))
        at = ended
    if at < total:
        knees.append((total, WIDTH))
    return Axis(total, tuple(knees), gaps, drawn)


def _gaps(idle: list[tuple[int, int]], total: int) -> tuple[tuple[int, int], ...]:
    """The pauses that are long beside all else, the longest first taken away."""
    gaps: list[tuple[int, int]] = []
    left = total
    for began, ended in sorted(idle, key=lambda pause: pause[0] - pause[1])[:MOST_GAPS]:
        rest = left - (ended - began)
        if rest <= 0 or ended - began <= LONG * rest:
            break
        gaps.append((began, ended))
        left = rest
    return tuple(sorted(gaps))
