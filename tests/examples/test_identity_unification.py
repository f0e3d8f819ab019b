"""The identity example makes what union-find makes, and what Apache Spark makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.reference import (
    SPARK_IDENTITY_1000,
    checksum,
    entry_edges,
    identity_iterations,
    lookup_of_sources,
)
from tests.examples.tables import Tables, tables
from tests.program.dwx import Ended, dwx

EXAMPLE = Path(__file__).parents[2] / "examples" / "identity_unification"

SOURCES = {
    "crm_customers": "customer_id, email, phone",
    "web_orders": "customer_id, email, phone",
    "support_tickets": "customer_id, reply_email, caller_phone",
}


def run(customers: int, cwd: Path) -> Ended:
    return dwx(
        "run",
        str(EXAMPLE),
        "--local",
        "warehouse",
        "--prompt-timeout",
        "0",
        "--var",
        f"customers={customers}",
        cwd=cwd,
    )


@pytest.mark.parametrize("customers", [1_000, 100_000])
def test_the_tables_equal_those_of_an_independent_union_find(
    tmp_path: Path, customers: int
) -> None:
    ended = run(customers, tmp_path)
    assert ended.exit_code == 0, ended.last
    assert (ended.last.outcome, ended.last.files.failed) == ("succeeded", 0)

    with tables(tmp_path / "warehouse") as found:
        sources = {name: found.rows(name, columns) for name, columns in SOURCES.items()}
        everything = [row for rows in sources.values() for row in rows]
        expected = lookup_of_sources(everything)
        lookup = found.rows("unified_id_lookup", "canonical_id, id, id_key_type")
        assert len(lookup) == len(expected)
        assert set(lookup) == expected
        check_enriched(found, expected, sources)
        masters = found.rows("master_customers", "unified_id")
        assert len(masters) == len(set(masters))

    wanted = identity_iterations(entry_edges(everything))
    told = ended.of("iteration")
    assert len(told) >= 5
    assert [event.updated for event in told] == [one.updated for one in wanted]
    assert [event.rows for event in told] == [one.rows for one in wanted]


def check_enriched(
    found: Tables,
    lookup: set[tuple[str, str, int]],
    sources: dict[str, list[tuple[object, ...]]],
) -> None:
    """Every source row is there once, and no id is made up."""
    known = {canonical for canonical, _, _ in lookup}
    for name, rows in sources.items():
        ids = [row[0] for row in found.rows(f"enriched_{name}", "unified_id")]
        assert len(ids) == len(rows)
        assert {one for one in ids if one is not None} <= known


def test_every_table_is_what_apache_spark_makes_of_it(tmp_path: Path) -> None:
    assert run(1_000, tmp_path).exit_code == 0
    with tables(tmp_path / "warehouse") as found:
        sums = {}
        for name in SPARK_IDENTITY_1000:
            kept = [column for column in found.columns(name) if column != "created_at"]
            rows = found.rows(name, ", ".join(kept))
            sums[name] = (len(rows), checksum(rows))
    assert sums == SPARK_IDENTITY_1000


def test_a_second_run_on_the_same_tables_gives_the_same(tmp_path: Path) -> None:
    first, second = run(200, tmp_path), run(200, tmp_path)
    assert first.exit_code == second.exit_code == 0
    assert first.last.tables == second.last.tables
    assert [event.updated for event in first.of("iteration")] == [
        event.updated for event in second.of("iteration")
    ]


def test_the_alias_is_made_from_the_last_iteration(tmp_path: Path) -> None:
    ended = run(200, tmp_path)
    (converged,) = ended.of("converged")
    (alias,) = ended.of("alias_created")
    assert alias.table == converged.final_table == "main.default.unified_id_graph_unify_loop_final"
    assert alias.from_ == f"main.default.unified_id_graph_unify_loop_{converged.iterations}"
