"""Starting once and only once, and starting without staying."""

from __future__ import annotations

import subprocess
from pathlib import Path

from protocol.codec import decode
from tests.program.conftest import Served
from tests.program.dwx import DWX, Ended, dwx, environment, workflow


def run(cwd: Path, served: Served, *flags: str) -> Ended:
    return dwx("run", "sql", *served.flags, *flags, cwd=cwd, DATABRICKS_TOKEN=served.token)


def test_a_second_start_with_the_same_key_executes_nothing(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    first = run(tmp_path, served, "--key", "tonight")
    assert first.exit_code == 0
    second = run(tmp_path, served, "--key", "tonight")
    assert second.exit_code == second.last.exit_code == 12
    assert second.entries[0].run == first.entries[0].run
    assert "finished" in second.last.error.message
    assert run(tmp_path, served, "--key", "tomorrow").exit_code == 0
    directories = [path for path in (tmp_path / ".dwx" / "runs").glob("r-*") if path.is_dir()]
    assert len(directories) == 2


def test_of_many_starts_with_one_key_one_runs(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    command = [*DWX, "run", "sql", *served.flags, "--key", "tonight"]
    started = [
        subprocess.Popen(
            command,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment(DATABRICKS_TOKEN=served.token),
        )
        for _ in range(6)
    ]
    outputs = [process.communicate()[0] for process in started]
    assert sorted(process.returncode for process in started) == [0] + [12] * 5
    assert len({decode(output.splitlines()[0]).run for output in outputs}) == 1


def test_a_detached_run_goes_on_by_itself(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    started = run(tmp_path, served, "--detach")
    assert started.exit_code == 0
    (hello,) = started.entries
    waited = dwx("wait", hello.run, "--until", "finished", "--timeout", "60", cwd=tmp_path)
    assert waited.exit_code == 0, waited.stdout
    assert started.record[-1].event.type == "run_finished"


def test_a_detached_run_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = dwx("run", "sql", "--local", "--detach", "--run-root", "file/runs", cwd=tmp_path)
    assert ended.exit_code == ended.last.exit_code == 11


def test_a_silent_run_may_be_detached_and_a_key_that_has_a_run_says_so(
    tmp_path: Path, served: Served
) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    command = ("run", "sql", *served.flags, "--detach", "--key", "tonight")
    begun = dwx(*command, "--stdout", "off", cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert [entry.event.type for entry in begun.entries] == ["hello"]
    assert dwx("wait", "--until", "finished", "--timeout", "60", cwd=tmp_path).exit_code == 0
    again = dwx(*command, cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert again.exit_code == again.last.exit_code == 12


def test_a_place_for_tables_that_holds_sql_files_was_meant_as_the_directory(tmp_path: Path) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    ended = dwx("check", "--local", "sql", cwd=tmp_path)
    assert ended.exit_code == 2
    assert "holds SQL files" in ended.last.error.message
    assert [path.name for path in (tmp_path / "sql").iterdir()] == ["01.sql"]


def test_a_check_is_not_taken_for_the_run_that_is_meant(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", f01="SELECT * FROM nowhere")
    flags = (*served.flags, "--prompt-timeout", "0")
    run = dwx("run", "sql", *flags, cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert run.exit_code == 5
    dwx("check", *served.place, cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert dwx("answer", "p1", "abort", cwd=tmp_path).exit_code == 21
    # the answer that was kept is not asked for again while the resume connects
    resumed = dwx("resume", "--detach", cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert resumed.entries[0].run == run.entries[0].run
    assert dwx("wait", "--timeout", "60", cwd=tmp_path).exit_code == 3
