"""OPTIMIZE and clean-up: what is worth doing, and that it stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from typing import Any, get_args

import pytest

from executor.core.effects import Execute
from executor.core.facts import TableSize
from executor.core.inputs import Input
from executor.core.maintenance import LARGE_BYTES
from executor.replay.verify import verify
from protocol.events import RunFinished
from protocol.hello import OptimizeMode
from tests.core.drive import (
    Drive,
    Script,
    World,
    failure,
    file,
    loop,
    plan,
    planned_check,
    statement,
    success,
)

PLAN = plan(
    file(1),
    file(2, statement("f2.s1", target="c.s.loop_1"), iteration=1),
    file(3, statement("f3.s1", target="c.s.loop_2"), iteration=2),
    file(4, depends_on=("f2",)),
    loops=(loop("f2", "f3"),),
)


class Sizes(World):
    """Tables that hold this."""

    def __init__(self, size: TableSize) -> None:
        self._size = size

    def size(self, table: str) -> TableSize:
        return self._size


def counting(*numbers: int) -> Script:
    """A warehouse whose convergence tests give these numbers, the last one for ever."""
    left: Iterator[int] = chain(numbers, repeat(numbers[-1]))

    def answer(executed: Execute) -> Input:
        given: dict[str, Any] = {"value": next(left)} if executed.kind == "probe" else {}
        return success(executed, **given)

    return answer


def ended(drive: Drive) -> RunFinished:
    assert isinstance(drive.events[-1], RunFinished)
    assert list(verify(drive.entries)) == []
    return drive.events[-1]


OPTIMIZED = {
    "off": [],
    "loop": ["c.s.loop_1"],
    "final": ["c.s.t1", "c.s.t4"],
    "all": ["c.s.loop_1", "c.s.t1", "c.s.t4"],
}


@pytest.mark.parametrize("mode", get_args(OptimizeMode))
def test_only_tables_that_are_read_again_are_optimized(mode: str) -> None:
    drive = Drive(PLAN, counting(3, 0), optimize=mode)
    assert [event.table for event in drive.of("optimized")] == OPTIMIZED[mode]
    assert ended(drive).exit_code == 0


@pytest.mark.parametrize(
    ("size", "worth"),
    [
        (TableSize("delta", 1, 10), False),
        (TableSize("delta", 2, 10), True),
        (TableSize("DELTA", 9, None), True),
        (TableSize("delta", 2, 2 * LARGE_BYTES), False),
        (TableSize("delta", 3, 2 * LARGE_BYTES), True),
        (TableSize("parquet", 9, 10), False),
        (TableSize(), True),
    ],
)
def test_a_table_is_optimized_if_it_has_several_small_files(size: TableSize, worth: bool) -> None:
    drive = Drive(plan(file(1)), world=Sizes(size), optimize="final")
    (weighed,) = drive.of("weighed")
    assert (weighed.worth, weighed.files, weighed.bytes) == (worth, size.files, size.bytes)
    assert len(drive.of("optimized")) == worth
    assert ended(drive).exit_code == 0


def test_an_iteration_that_is_not_worth_it_is_followed_by_the_next() -> None:
    drive = Drive(PLAN, counting(3, 0), Sizes(TableSize("delta", 1, 10)), optimize="loop")
    assert [event.iteration for event in drive.of("iteration")] == [1, 2]
    assert drive.of("optimized") == []
    assert ended(drive).exit_code == 0


def test_without_a_gate_nothing_is_looked_at() -> None:
    sizes = Sizes(TableSize("delta", 1, 10))
    drive = Drive(PLAN, counting(3, 0), sizes, optimize="all", optimize_min_files=0)
    assert drive.of("weighed") == []
    assert [event.table for event in drive.of("optimized")] == OPTIMIZED["all"]


def test_what_optimize_takes_is_told_apart_from_what_the_work_takes() -> None:
    times = ended(Drive(PLAN, counting(3, 0), optimize="all")).times
    assert times is not None
    assert (times.optimize_ms, times.statements_ms) == (3, 4)


def test_the_loop_s_tables_are_dropped_at_the_end_if_all_is_well() -> None:
    drive = Drive(PLAN, counting(3, 0), cleanup=True, optimize="all")
    assert [event.tables for event in drive.of("cleaned_up")] == [("c.s.loop_1",), ("c.s.loop_2",)]
    assert [one.kind for one in drive.executed[-2:]] == ["drop", "drop"]
    left = [table.name for table in ended(drive).tables]  # type: ignore[union-attr]
    assert left == ["c.s.t1", "c.s.loop_final", "c.s.t4"]


@pytest.mark.parametrize("how", ["a file failed", "a check failed"])
def test_they_are_kept_if_not_all_is_well_and_that_is_said(how: str) -> None:
    planned = plan(*PLAN.files, loops=PLAN.loops, checks=(planned_check(),))  # type: ignore[misc,arg-type]
    numbers = counting(3, 0)

    class Wrong(World):
        def finds(self, planned: Any) -> Any:
            from executor.core.judging import judged

            return judged(planned, [{"wrong": int(how == "a check failed")}], 1)

    def answer(executed: Execute) -> Input:
        if executed.statement == "f4.s1" and how == "a file failed":
            return failure(executed)
        return numbers(executed)

    drive = Drive(planned, answer, Wrong(), cleanup=True, checks="fail")
    if how == "a file failed":
        drive.decide("p1", "skip")
    assert drive.of("cleaned_up") == []
    assert [event.code for event in drive.of("warning")] == ["CLEANUP_LEFT"]
    assert ended(drive).exit_code == 4


def test_a_table_that_cannot_be_dropped_stops_nothing() -> None:
    numbers = counting(3, 0)

    def answer(executed: Execute) -> Input:
        if executed.statement == "cleanup.s1":
            return failure(executed, "PERMISSION_DENIED")
        return numbers(executed)

    drive = Drive(PLAN, answer, cleanup=True)
    assert [event.tables for event in drive.of("cleaned_up")] == [("c.s.loop_2",)]
    assert [event.code for event in drive.of("warning")] == ["CLEANUP_FAILED"]
    assert ended(drive).exit_code == 0


def test_a_drop_whose_reply_was_lost_is_sent_again_or_known_to_be_done() -> None:
    numbers = counting(3, 0)
    lost = iter([True])

    def answer(executed: Execute) -> Input:
        if executed.statement == "cleanup.s1" and next(lost, False):
            return failure(executed, "DWX_CONNECTION_LOST", outcome="unknown", evidence="no reply")
        return numbers(executed)

    class Committed(World):
        def outcome(self, check: Any) -> Any:
            return "committed"

    drive = Drive(PLAN, answer, Committed(), cleanup=True)
    assert [event.tables for event in drive.of("cleaned_up")] == [("c.s.loop_1",), ("c.s.loop_2",)]
    assert ended(drive).exit_code == 0


def test_a_loop_without_another_name_for_its_result_keeps_its_last_table() -> None:
    nameless = plan(*PLAN.files[:3], loops=(replace(loop("f2", "f3"), alias=None),))  # type: ignore[index]
    drive = Drive(nameless, counting(3, 0), cleanup=True, optimize="final")
    assert [event.tables for event in drive.of("cleaned_up")] == [("c.s.loop_1",)]
    assert "c.s.loop_2" in [event.table for event in drive.of("optimized")]


@pytest.mark.parametrize("statement", ["cleanup.s1", "optimize.s1"])
@pytest.mark.parametrize("auth", ["local", "pat"])
def test_what_was_under_way_when_the_process_was_killed_is_done_by_the_next(
    statement: str, auth: str
) -> None:
    numbers = counting(3, 0)

    def answer(executed: Execute) -> Any:
        return None if executed.statement == statement else numbers(executed)

    wanted: dict[str, Any] = {"cleanup": True, "optimize": "final", "auth": auth}
    killed = Drive(PLAN, answer, **wanted)
    assert killed.executed[-1].statement == statement
    again = Drive.resume(
        killed.entries, PLAN, counting(0), outcome=lambda check: "not_committed", **wanted
    )
    assert [event.table for event in again.of("optimized")] == OPTIMIZED["final"]
    assert len(again.of("cleaned_up")) == 2
    assert ended(again).exit_code == 0


@pytest.mark.parametrize("statement", ["cleanup.s1", "optimize.s1"])
def test_what_was_about_to_be_sent_when_the_process_was_killed_is_sent_by_the_next(
    statement: str,
) -> None:
    wanted: dict[str, Any] = {"cleanup": True, "optimize": "final", "optimize_min_files": 0}
    whole = Drive(PLAN, counting(3, 0), **wanted)
    announced = next(
        place
        for place, event in enumerate(whole.events)
        if event.type == "statement_started" and event.statement == statement
    )
    again = Drive.resume(whole.entries[:announced], PLAN, counting(0), **wanted)
    assert [event.table for event in again.of("optimized")] == OPTIMIZED["final"]
    assert len(again.of("cleaned_up")) == 2
    assert ended(again).exit_code == 0
