"""Whatever the graph, the loop ends with its connected components, and says so when it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.program.graphs import KINDS, graph, unify

AT_ONCE = 100
"""Graphs in one run."""


def test_every_kind_of_graph_ends_with_the_partition_of_a_union_find(tmp_path: Path) -> None:
    graphs = [graph(number) for number in range(9 * len(KINDS))]
    assert {one.kind for one in graphs} == {kind.__name__ for kind in KINDS}
    faults = unify(graphs, tmp_path)
    assert not faults, "\n".join(faults)


@pytest.mark.soak
@pytest.mark.parametrize("begin", range(1_000, 3_000, AT_ONCE))
def test_two_thousand_graphs_end_with_the_partition_of_a_union_find(
    tmp_path: Path, begin: int
) -> None:
    graphs = [graph(number, largest=24) for number in range(begin, begin + AT_ONCE)]
    faults = unify(graphs, tmp_path)
    assert not faults, "\n".join(faults)
