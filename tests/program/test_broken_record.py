"""A record that cannot be written: nothing goes on unseen, and a resume can go on from there."""

from __future__ import annotations

import shutil
from pathlib import Path

from protocol.log import classify
from tests.examples.tables import tables
from tests.program.dwx import DWX, dwx, in_bash, live, started, workflow

LIMIT = ("bash", "-c", 'ulimit -f 24; exec "$@"', "bash")
"""A disk with room for 24 KiB of record."""
SLOW = "SELECT COUNT(*) AS n FROM range(4000000) AS a CROSS JOIN range(4000) AS b"


def test_a_disk_that_is_full_for_the_record_ends_the_run_and_a_resume_goes_on(
    tmp_path: Path,
) -> None:
    files = {f"f{number:02}": "SELECT 1; " * 30 for number in range(1, 20)}
    workflow(tmp_path / "sql", **files)
    limited = "ulimit -f 24; exec $DWX run sql --dry-run --catalog c --schema s"
    ended = in_bash(limited, cwd=tmp_path)
    assert ended.exit_code == ended.last.exit_code == 11, ended.stderr
    assert ended.last.error.class_ == "DWX_RECORD_NOT_WRITABLE"
    # nothing is written to a record that broke: it is whole up to there
    assert classify(ended.run_dir / "events.jsonl", alive=False).state == "crashed"
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=tmp_path).exit_code == 0
    assert dwx("resume", cwd=tmp_path).exit_code == 0
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=tmp_path).exit_code == 0


def test_a_record_that_fills_up_while_a_write_runs_says_that_its_outcome_is_not_known(
    tmp_path: Path,
) -> None:
    workflow(
        tmp_path / "sql",
        f01="CREATE TABLE IF NOT EXISTS counted (n BIGINT)",
        f02=f"INSERT INTO counted {SLOW}",
    )
    flags = ("run", "sql", "--local", "warehouse", "--stdout", "full")
    with started([*LIMIT, *DWX, *flags], tmp_path) as program:
        while program.until("statement_submitted").statement != "f2.s1":
            pass
        for number in range(1, 400):
            program.decide(prompt=f"no prompt {number}", choice="skip")
        ended = program.end()
    assert ended.exit_code == ended.last.exit_code == 9, ended.stderr
    assert ended.last.error.class_ == "DWX_RECORD_NOT_WRITABLE"
    status = dwx("status", "--json", cwd=tmp_path)
    assert b'"crashed"' in status.stdout
    resumed = dwx("resume", cwd=tmp_path)
    assert resumed.exit_code == 0, resumed.entries[-1:]
    with tables(tmp_path / "warehouse") as found:
        assert found.rows("counted", "n") == [(16_000_000_000,)]


def test_a_run_directory_that_is_removed_ends_the_run_with_a_clear_error(tmp_path: Path) -> None:
    workflow(tmp_path / "sql", f01="SELECT * FROM nowhere")
    with live("run", "sql", "--local", "warehouse", cwd=tmp_path) as program:
        program.until("error_prompt")
        shutil.rmtree(program.run_dir)
        program.decide(prompt="p1", choice="skip")
        ended = program.end()
    assert ended.exit_code == ended.last.exit_code == 11, ended.stderr
    assert "removed" in ended.last.error.message
    assert "Traceback" not in ended.stderr
