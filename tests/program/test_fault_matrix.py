"""Every fault × every kind of statement: the tables of an undisturbed run, and nothing doubled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from executor.local.faultspec import parse
from executor.local.service import LocalWarehouse
from executor.workflow.load import load_workflow
from tests.local.client import connect
from tests.program.dwx import dwx
from tests.program.matrix import (
    CUSTOMERS,
    EXAMPLE,
    KINDS,
    WHOLE,
    Told,
    all_faults,
    as_table,
    run_under,
    tables_of,
)

pytestmark = pytest.mark.xdist_group("fault matrix")  # its runs are made once, for all its tests

DOCUMENT = Path(__file__).parents[2] / "PROTOCOL.md"
AT_ONCE = 4
"""Runs at the same time: most of a run under a fault is waiting."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return run_under(None, tmp_path_factory.mktemp("matrix") / "undisturbed")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Told]]]:
    place = tmp_path_factory.mktemp("matrix")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            fault: pool.submit(run_under, fault, place / str(number))
            for number, fault in enumerate(all_faults())
        }


@pytest.mark.parametrize("fault", all_faults())
def test_under_a_fault_nothing_is_lost_and_nothing_doubled(
    fault: str, runs: Mapping[str, Future[Told]], undisturbed: Told
) -> None:
    told = runs[fault].result()
    assert told.exit_code == 0
    assert told.tables == undisturbed.tables
    assert set(told.courses.values()) != {"-"}  # it struck
    assert dwx("replay", "--verify", str(told.run_dir), cwd=told.run_dir).exit_code == 0


@pytest.mark.parametrize("fault", WHOLE)
def test_a_warehouse_that_is_not_ready_is_waited_for(
    fault: str, tmp_path: Path, undisturbed: Told
) -> None:
    told = run_under(fault, tmp_path / "run")
    assert told.exit_code == 0
    assert told.tables == undisturbed.tables


def test_what_becomes_of_each_statement_is_what_the_document_says(
    runs: Mapping[str, Future[Told]],
) -> None:
    courses = {fault: run.result().courses for fault, run in runs.items()}
    told = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert [line for line in as_table(courses).splitlines() if line not in told] == []


@pytest.mark.parametrize("fault", ["drop-after-execute", "http-503-execute,executed=yes"])
def test_the_same_faults_double_rows_for_a_plain_loop_over_the_connector(
    fault: str, tmp_path: Path, undisturbed: Told
) -> None:
    files = load_workflow(
        EXAMPLE,
        vars={"catalog": "main", "schema": "default", "customers": str(CUSTOMERS)},
    ).files
    kind = KINDS["INSERT"].partition(".")[0]
    with LocalWarehouse(tmp_path / "warehouse") as warehouse:
        warehouse.faults.add(parse(f'{fault},table=unified_id_graph_unify_loop_0,sql="^INSERT"'))
        # with the retries of its own that a plain user has
        retries = {"_retry_stop_after_attempts_count": 30, "_retry_delay_max": 5}
        with connect(warehouse, **retries) as connection, connection.cursor() as cursor:
            for file in files:
                for text in file.texts:
                    cursor.execute(text)
                if file.planned.id == kind:
                    break
        table = "unified_id_graph_unify_loop_0"
        rows, _ = tables_of(warehouse, "default")[table]
    assert rows == 2 * undisturbed.tables[table][0]
