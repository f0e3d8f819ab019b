"""Loops as users bring them: numbered anyhow, with gaps, several in one workflow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.program.dwx import Ended, dwx, workflow

EXAMPLE = Path(__file__).parents[2] / "examples" / "identity_unification"


def run(cwd: Path, *flags: str) -> Ended:
    return dwx(
        "run", "sql", "--local", "warehouse", "--prompt-timeout", "0", *flags, cwd=cwd
    )  # fmt: skip


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "sql")
    return tmp_path / "sql"


def told(ended: Ended) -> list[tuple[int, int | None, int | None]]:
    return [(event.iteration, event.updated, event.residual) for event in ended.of("iteration")]


def test_all_ways_to_test_a_loop_leave_the_same_lookup_and_residual_alone_is_shortest(
    sql: Path, tmp_path: Path
) -> None:
    flags = ("--var", "customers=200")
    both = run(tmp_path, *flags)
    updated = run(tmp_path, *flags, "--convergence", "updated")
    residual = run(tmp_path, *flags, "--convergence", "residual")
    assert [one.exit_code for one in (both, updated, residual)] == [0, 0, 0]
    assert [one.of("converged")[0].by for one in (both, updated, residual)] == [
        "both", "updated", "residual",
    ]  # fmt: skip
    assert told(updated) == [(number, count, None) for number, count, _ in told(both)]
    shorter = [(number, None, left) for number, _, left in told(both)]
    assert told(residual) == shorter[: len(told(residual))]
    assert told(both)[-1][1:] == (0, 0)
    assert len(told(residual)) < len(told(both))
    rows = [
        {table.name: table.rows for table in one.last.tables}["main.default.unified_id_lookup"]
        for one in (both, updated, residual)
    ]
    assert len(set(rows)) == 1


def test_files_numbered_without_zeros_and_with_one_missing_make_the_same_loop(
    sql: Path, tmp_path: Path
) -> None:
    padded = run(tmp_path, "--var", "customers=100")
    for number in range(1, 9):
        file = sql / f"04_unify_loop_iteration_{number:02}.sql"
        file.rename(sql / f"04_unify_loop_iteration_{number}.sql")
    (sql / "04_unify_loop_iteration_3.sql").unlink()
    unpadded = run(tmp_path, "--var", "customers=100")
    assert unpadded.exit_code == 0
    assert told(unpadded) == told(padded)
    assert [event.source for event in unpadded.of("iteration")][1:4] == [
        "file", "generated", "file",
    ]  # fmt: skip
    codes = [warning.code for event in unpadded.of("plan") for warning in event.warnings]
    assert "LOOP_GAP" in codes
    assert dwx("replay", "--verify", str(unpadded.run_dir), cwd=tmp_path).exit_code == 0


def test_several_loops_in_one_workflow_converge_each_for_itself(tmp_path: Path) -> None:
    step = (
        "CREATE OR REPLACE TABLE {name}_{n} AS SELECT n, LEAST(top, {top}) AS top FROM ("
        "SELECT n, top + 1 AS top FROM {name}_{before}) AS grown"
    )
    files = {}
    for place, (name, top) in enumerate((("near", 3), ("far", 5)), 1):
        files[f"f{place}0_start_{name}"] = (
            f"CREATE OR REPLACE TABLE {name}_0 AS SELECT 1 AS n, 0 AS top"
        )
        files[f"f{place}1_{name}_round_1"] = step.format(name=name, n=1, before=0, top=top)
        files[f"f{place}2_use_{name}"] = (
            f"CREATE OR REPLACE TABLE {name}_used AS SELECT * FROM {name}_final"
        )
    workflow(tmp_path / "sql", **files)
    ended = run(tmp_path)
    assert ended.exit_code == 0
    assert [(event.loop, event.iterations) for event in ended.of("converged")] == [
        ("loop1", 4), ("loop2", 6),
    ]  # fmt: skip


def test_a_loop_whose_residual_does_not_fall_has_stalled_and_publishes_nothing(
    tmp_path: Path,
) -> None:
    workflow(
        tmp_path / "sql",
        f01_start="CREATE OR REPLACE TABLE t_0 AS SELECT 0 AS n",
        f02_round_1="CREATE OR REPLACE TABLE t_1 AS SELECT n + 1 AS n FROM t_0",
        f03_use="CREATE OR REPLACE TABLE used AS SELECT * FROM t_final",
    )
    (tmp_path / "sql" / "workflow.toml").write_text(
        '[[loop]]\nresidual = "SELECT COUNT(*) + 6 FROM {table}"\nstall_after = 2\n'
    )
    ended = run(tmp_path)
    assert ended.exit_code == 5
    (verdict,) = ended.of("not_converged")
    assert (verdict.reason, verdict.iteration) == ("stalled", 3)
    assert "7, 7, 7" in str(verdict.evidence)
    (prompt,) = ended.of("error_prompt")
    assert [one.choice for one in prompt.choices] == ["extend", "accept", "abort"]
    assert ended.of("alias_created") == []
    answer = b'{"type":"decide","prompt":"p1","choice":"extend","params":{"iterations":1}}\n'
    again = dwx("resume", cwd=tmp_path, stdin=answer)
    verdicts = [(event.reason, event.iteration) for event in again.of("not_converged")]
    assert verdicts == [("stalled", 3), ("limit", 4)]
    aborted = dwx(
        "resume", cwd=tmp_path, stdin=b'{"type":"decide","prompt":"p2","choice":"abort"}\n'
    )
    assert aborted.exit_code == 8


def test_a_fixpoint_that_has_not_merged_everything_is_no_success(tmp_path: Path) -> None:
    workflow(
        tmp_path / "sql",
        f01_start="CREATE OR REPLACE TABLE t_0 AS SELECT 0 AS n",
        f02_round_1="CREATE OR REPLACE TABLE t_1 AS SELECT n FROM t_0",
        f03_use="CREATE OR REPLACE TABLE used AS SELECT * FROM t_final",
    )
    (tmp_path / "sql" / "workflow.toml").write_text(
        '[[loop]]\nresidual = "SELECT COUNT(*) FROM {table}"\n'
    )
    ended = run(tmp_path)
    (verdict,) = ended.of("not_converged")
    assert (verdict.reason, verdict.iteration) == ("stalled", 1)
    (prompt,) = ended.of("error_prompt")
    assert [one.choice for one in prompt.choices] == ["accept", "abort"]
    by_updated_alone = run(tmp_path, "--convergence", "updated")
    assert by_updated_alone.exit_code == 0


def test_asking_for_the_residual_of_a_loop_that_has_none_is_said(tmp_path: Path) -> None:
    workflow(
        tmp_path / "sql",
        f01_start="CREATE OR REPLACE TABLE t_0 AS SELECT 0 AS n",
        f02_round_1="CREATE OR REPLACE TABLE t_1 AS SELECT n FROM t_0",
    )
    ended = run(tmp_path, "--convergence", "residual")
    assert [event.code for event in ended.of("warning")] == ["NO_RESIDUAL"]
    assert ended.of("converged")[0].by == "updated"


def test_optimize_and_cleanup_leave_what_the_run_is_for(sql: Path, tmp_path: Path) -> None:
    ended = run(
        tmp_path, "--var", "customers=40", "--optimize", "all", "--optimize-min-files", "1",
        "--cleanup",
    )  # fmt: skip
    assert ended.exit_code == 0
    optimized = [event.table.rpartition(".")[2] for event in ended.of("optimized")]
    last = ended.of("converged")[0].iterations
    loops = [f"unified_id_graph_unify_loop_{number}" for number in range(1, last)]
    assert optimized[: last - 1] == loops
    assert "unified_id_lookup" in optimized
    left = {table.name.rpartition(".")[2] for table in ended.last.tables}
    assert not {name for name in left if "loop" in name}
    assert ended.of("warning") == []


def test_a_loop_that_takes_rows_away_has_not_converged_while_it_does(tmp_path: Path) -> None:
    workflow(
        tmp_path / "sql",
        f01_start="CREATE OR REPLACE TABLE t_0 AS SELECT EXPLODE(SEQUENCE(1, 6)) AS n",
        f02_round_1="CREATE OR REPLACE TABLE t_1 AS "
        "SELECT n FROM t_0 WHERE n < (SELECT GREATEST(MAX(n), 3) FROM t_0)",
        f03_use="CREATE OR REPLACE TABLE used AS SELECT * FROM t_final",
    )
    ended = run(tmp_path)
    assert [event.updated for event in ended.of("iteration")] == [1, 1, 1, 1, 0]
    assert {table.name: table.rows for table in ended.last.tables}["main.default.used"] == 2
