"""What the numbers of an iteration say, against graphs that are merged in memory."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from executor.core.verdicts import iterations_left, stalled, verdict
from tests.examples.reference import Edge, identity_iterations


@st.composite
def graphs(draw: st.DrawFn) -> set[Edge]:
    """Groups of identifiers, each led by its smallest member, as sources give them."""
    size = draw(st.integers(2, 14))
    names = [f"{number:02}" for number in range(size)]
    groups = draw(
        st.lists(st.lists(st.sampled_from(names), min_size=1, max_size=4), min_size=1, max_size=20)
    )
    return {(one, 1, min(group), 1) for group in groups for one in group}


@settings(max_examples=300)
@given(graphs())
def test_both_tests_find_the_fixpoint_and_neither_finds_one_that_is_none(graph: set[Edge]) -> None:
    residuals: list[int] = []
    for one in identity_iterations(graph):
        residuals.append(one.residual)
        by_updated = verdict(one.updated, None, [], 3)
        by_residual = verdict(None, one.residual, residuals, 3)
        by_both = verdict(one.updated, one.residual, residuals, 3)
        assert (by_updated == "converged") == (one.updated == 0)
        assert (by_residual == "converged") == (one.residual == 0)
        assert (by_both == "converged") == (one.updated == one.residual == 0)
        assert "stalled" not in (by_updated, by_residual, by_both)
    assert residuals[-1] == 0
    # nothing is left an iteration before nothing changes any more, or at the same time
    assert residuals.index(0) >= len(residuals) - 2


@settings(max_examples=300)
@given(graphs())
def test_the_residual_falls_with_every_iteration(graph: set[Edge]) -> None:
    numbers = [one.residual for one in identity_iterations(graph)]
    falling = numbers[: numbers.index(0) + 1]
    assert falling == sorted(set(falling), reverse=True)


def test_a_fixpoint_that_has_not_merged_everything_has_stalled() -> None:
    assert verdict(0, 3, [3], 3) == "stalled"


def test_a_loop_has_stalled_once_its_residual_has_not_fallen_for_long_enough() -> None:
    assert not stalled([9, 8, 8, 8], 3)
    assert stalled([9, 8, 8, 8, 8], 3)
    assert not stalled([9, 8, 8, 9, 7], 3)
    assert stalled([5, 6, 7, 6], 3)
    assert not stalled([5, 6, 7], 3)
    assert not stalled([], 3)
    assert not stalled([4, 4, 4, 0], 3)
    assert stalled([4, 4], 1)


def test_rows_that_rise_are_no_alarm() -> None:
    assert verdict(500, 7, [9, 8, 7], 3) == "going_on"


def test_a_chain_is_foretold_exactly() -> None:
    chain = {(f"{n + i:04}", 1, f"{n:04}", 1) for n in range(40) for i in (0, 1)}
    residuals = [one.residual for one in identity_iterations(chain)]
    needed = residuals.index(0)
    for done in range(3, needed + 2):
        assert iterations_left(residuals[:done]) == needed - done + 1


def test_a_share_that_is_lost_each_time_is_foretold_as_such() -> None:
    assert iterations_left([8000, 4000, 2000]) == 11
    assert iterations_left([9, 3, 1]) == 1
    assert iterations_left([64, 16, 4]) == 2


def test_nothing_is_foretold_from_too_little_or_from_what_does_not_fall() -> None:
    for residuals in ([], [5], [9, 8], [9, 9, 8], [7, 8, 6], [5, 5, 5]):
        assert iterations_left(residuals) is None
    assert iterations_left([3, 0]) == 0


def test_the_guess_is_near_on_graphs_that_lose_a_share() -> None:
    misses: Counter[int] = Counter()
    residuals = [81920, 20480, 5120, 1280, 320, 80, 20, 5, 1, 0]
    for done in range(3, len(residuals) - 1):
        guess = iterations_left(residuals[:done])
        assert guess is not None
        misses[abs(guess - (len(residuals) - done))] += 1
    assert max(misses) <= 1
