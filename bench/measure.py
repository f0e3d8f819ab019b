"""Measuring whole processes in pairs: A B A B ..., so that both see the same machine."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What one run of a process took."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def process(command: Sequence[str], **options: object) -> Cost:
    """Runs a command to its end; its output is thrown away. Errors: `RuntimeError` if it fails."""
    begun = time.perf_counter()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **options,  # type: ignore[call-overload]
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def pairs(
    first: Callable[[], float], second: Callable[[], float], count: int
) -> tuple[list[float], list[float]]:
    """`count` values of each, taken in turn after one of each that does not count."""
    first(), second()
    both = [(first(), second()) for _ in range(count)]
    return [a for a, _ in both], [b for _, b in both]


def ratio(first: Sequence[float], second: Sequence[float]) -> str:
    """Median of the ratios pair by pair, with the least and the greatest."""
    ratios = sorted(a / b for a, b in zip(first, second, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
