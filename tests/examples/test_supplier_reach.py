"""The supplier example makes what a breadth-first search makes; it knows of no identities."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.reference import (
    SPARK_SUPPLIERS_200,
    checksum,
    direct_suppliers,
    reach,
    reach_updates,
)
from tests.examples.tables import tables
from tests.program.dwx import dwx

EXAMPLE = Path(__file__).parents[2] / "examples" / "supplier_reach"


@pytest.mark.parametrize("companies", [200, 5_000])
def test_the_closure_equals_that_of_a_breadth_first_search(tmp_path: Path, companies: int) -> None:
    ended = dwx(
        "run", str(EXAMPLE), "--local", "warehouse", "--prompt-timeout", "0",
        "--var", f"companies={companies}",
        cwd=tmp_path,
    )  # fmt: skip
    assert ended.exit_code == 0, ended.last
    with tables(tmp_path / "warehouse") as found:
        contracts = found.rows("supply_contracts", "buyer, seller")
        expected = reach(direct_suppliers(contracts))
        rows = found.rows("reach_final", "company, supplier, hops")
        assert len(rows) == len(expected)
        assert set(rows) == expected
        if companies == 200:
            sums = {
                name: (len(found.rows(name)), checksum(found.rows(name)))
                for name in SPARK_SUPPLIERS_200
            }
            assert sums == SPARK_SUPPLIERS_200
    told = ended.of("iteration")
    assert [event.updated for event in told] == reach_updates(expected)
    assert [event.source for event in told[:3]] == ["file", "file", "generated"]
