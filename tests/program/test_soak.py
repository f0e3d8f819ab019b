"""Many statements with a fault every tenth: nothing doubled, memory flat, no thread left behind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from executor.local.faultspec import parse
from executor.local.service import LocalWarehouse
from tests.local.client import connect
from tests.program.dwx import dwx, live, workflow

FILES = 10
FAULTS = (
    "drop-after-execute", "drop-during-execute", "truncate-execute", "garbage-execute",
    "http-503-execute,executed=yes", "http-502-execute,executed=yes", "session-lost-execute",
    "session-lost-poll", "handle-lost-poll", "drop-before-poll", "http-503-poll",
    'error,text="[DELTA_CONCURRENT_APPEND] Another writer was faster. SQLSTATE: 2D521"',
)  # fmt: skip
ALWAYS_AGAIN = "rules:\n  - match: {}\n    choose: retry\n"
"""Beyond the budget of a run somebody has to say so, and does."""


def resources(pid: int) -> tuple[int, int]:
    """Resident memory in KiB, and threads, of a process that runs."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return int(found["VmRSS"].split()[0]), int(found["Threads"])


def soak(cwd: Path, statements: int) -> tuple[list[tuple[int, int]], int]:
    """Inserts every number once, under faults; returns the resources at each tenth, and how many
    faults have struck.
    """
    each = statements // FILES
    files = {
        f"f{number + 1:02}": ";\n".join(
            f"INSERT INTO soaked VALUES ({number * each + place})" for place in range(each)
        )
        for number in range(FILES)
    }
    workflow(cwd / "sql", f00_make="CREATE OR REPLACE TABLE soaked (n INT)", **files)
    (cwd / "policy.yaml").write_text(ALWAYS_AGAIN)
    seen = []
    with LocalWarehouse(cwd / "warehouse") as warehouse:
        for number, fault in enumerate(FAULTS):
            chance = 0.1 / len(FAULTS)
            spec = f'{fault},sql="^INSERT",count=always,chance={chance:.5f},seed={number}'
            warehouse.faults.add(parse(spec))
        uri = warehouse.uri.removesuffix(warehouse.http_path)
        with live(
            "run", "sql", "--server-hostname", uri, "--http-path", warehouse.http_path,
            "--catalog", "main", "--schema", "default", "--policy", "policy.yaml",
            cwd=cwd, DATABRICKS_TOKEN=warehouse.token,
        ) as program:  # fmt: skip
            for _ in range(FILES):
                program.until("file_finished")
                seen.append(resources(program.process.pid))
            ended = program.end()
        assert ended.exit_code == 0, ended.last
        assert dwx("replay", "--verify", str(ended.run_dir), cwd=cwd).exit_code == 0
        struck = len(warehouse.faults.fired)
        warehouse.faults.clear()
        with connect(warehouse) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM main.default.soaked")
            counts = Counter(row[0] for row in cursor.fetchall())
    assert counts == Counter(range(statements))
    return seen, struck


def test_a_run_of_two_hundred_statements_survives_a_fault_every_tenth(tmp_path: Path) -> None:
    _, struck = soak(tmp_path, 200)
    assert struck > 10


@pytest.mark.soak
def test_a_run_of_two_thousand_statements_leaves_nothing_behind(tmp_path: Path) -> None:
    seen, struck = soak(tmp_path, 2_000)
    assert struck > 100
    memory, threads = zip(*seen, strict=True)
    # the plan and the log's fold are there from the start; what each statement costs is given back
    assert memory[-1] < 1.15 * memory[1]
    assert max(threads[1:]) <= threads[1] + 2
