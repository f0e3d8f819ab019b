"""Suspended and killed runs go on, and end with the tables of an undisturbed run."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.examples.reference import checksum
from tests.examples.tables import tables
from tests.program.conftest import Served
from tests.program.dwx import Ended, dwx, live, workflow

EXAMPLE = Path(__file__).parents[2] / "examples" / "identity_unification"
SMALL = (
    "--var", "customers=60", "--local", "warehouse", "--stdout", "full",
    "--optimize", "all", "--optimize-min-files", "1", "--cleanup",
)  # fmt: skip
DONE = b'{"type":"decide","prompt":"p1","choice":"done"}\n'
OF_THE_CLOCK = {"created_at"}


def contents(path: Path) -> dict[str, tuple[int, str]]:
    """Every table with its rows and checksum."""
    with tables(path) as found:
        sums = {}
        for name in found.names():
            columns = [one for one in found.columns(name) if one not in OF_THE_CLOCK]
            rows = found.rows(name, ", ".join(columns))
            sums[name] = (len(rows), checksum(rows))
        return sums


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """How many events a whole run has, and the tables it leaves."""
    cwd = tmp_path_factory.mktemp("undisturbed")
    ended = dwx("run", str(EXAMPLE), *SMALL, cwd=cwd)
    assert ended.exit_code == 0, ended.last
    return len(ended.entries), contents(cwd / "warehouse")


def killed_after(count: int, cwd: Path) -> str:
    """Kills a run once it has shown `count` events; returns the run's directory."""
    with live("run", str(EXAMPLE), *SMALL, cwd=cwd) as program:
        hello = program.until("hello")
        assert program.process.stdout is not None
        for _ in range(count - 1):
            program.process.stdout.readline()
        program.process.kill()
        program.process.wait()
    return str(hello.run_dir)


def check_kills(boundaries: range, cwd: Path, whole: dict[str, Any]) -> None:
    for count in boundaries:
        place = cwd / f"killed after {count}"
        place.mkdir()
        run_dir = killed_after(count, place)
        resumed = dwx("resume", cwd=place)
        if b"is finished" in resumed.stderr.encode():
            pass  # the kill came after the last line
        else:
            assert resumed.exit_code == 0, (count, resumed.stderr, resumed.entries[-1:])
        assert contents(place / "warehouse") == whole, count
        assert dwx("replay", "--verify", run_dir, cwd=place).exit_code == 0
        shutil.rmtree(place)


def test_a_run_that_was_killed_ends_with_the_tables_of_an_undisturbed_one(
    tmp_path: Path, undisturbed: tuple[int, dict[str, Any]]
) -> None:
    events, whole = undisturbed
    check_kills(range(3, events, events // 7), tmp_path, whole)


@pytest.mark.soak
def test_a_run_may_be_killed_at_any_event(
    tmp_path: Path, undisturbed: tuple[int, dict[str, Any]]
) -> None:
    events, whole = undisturbed
    check_kills(range(1, events), tmp_path, whole)


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    workflow(
        tmp_path / "sql",
        f01_make="CREATE OR REPLACE TABLE resuming AS SELECT 1 AS a",
        f02_fill="INSERT INTO resuming SELECT a FROM nowhere",
        f03_read="SELECT * FROM resuming",
    )
    return tmp_path


def start(cwd: Path, served: Served, *flags: str) -> Ended:
    return dwx("run", "sql", *served.flags, *flags, cwd=cwd, DATABRICKS_TOKEN=served.token)


def resume(cwd: Path, served: Served, *decisions: str, **more: str) -> Ended:
    lines = "".join(
        f'{{"type":"decide","prompt":"p{number}","choice":"{choice}"}}\n'
        for number, choice in enumerate(decisions, 1)
    )
    return dwx("resume", cwd=cwd, stdin=lines.encode(), DATABRICKS_TOKEN=served.token, **more)


def test_a_suspended_run_goes_on_at_its_prompt(failing: Path, served: Served) -> None:
    assert start(failing, served, "--prompt-timeout", "0").exit_code == 5
    (failing / "sql" / "02_fill.sql").write_text("INSERT INTO resuming VALUES (2)")
    ended = resume(failing, served, "retry")
    assert ended.exit_code == 0, ended.stderr
    hellos = [entry.event.segment for entry in ended.record if entry.event.type == "hello"]  # type: ignore[union-attr]
    assert hellos == [1, 2]
    (made,) = [table for table in ended.last.tables if table.name == "main.default.resuming"]
    assert made.rows == 2
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=failing).exit_code == 0


def test_the_command_that_resumes_is_right_to_the_letter(failing: Path, served: Served) -> None:
    ended = start(failing, served, "--prompt-timeout", "0", "--run-root", "my runs")
    assert ended.exit_code == 5
    _, *words = shlex.split(ended.last.resume_with)
    resumed = dwx(
        *words, cwd=failing, stdin=DONE, DATABRICKS_TOKEN=served.token, DWX_RUN_ROOT="elsewhere"
    )
    assert resumed.exit_code == 0, resumed.stderr


def test_a_finished_run_is_not_resumed(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    assert start(tmp_path, served).exit_code == 0
    again = resume(tmp_path, served)
    assert (again.exit_code, again.stdout) == (2, b"")
    assert "finished" in again.stderr


def test_a_run_that_lives_is_not_resumed(failing: Path, served: Served) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        again = resume(failing, served)
        assert (again.exit_code, again.stdout) == (2, b"")
        assert "running" in again.stderr
        program.decide(prompt="p1", choice="abort")
        assert program.end().exit_code == 3


def test_files_that_come_or_go_are_named_and_nothing_is_lost(failing: Path, served: Served) -> None:
    assert start(failing, served, "--prompt-timeout", "0").exit_code == 5
    (failing / "sql" / "03_read.sql").rename(failing / "sql" / "04_read.sql")
    refused = resume(failing, served, "abort")
    assert refused.exit_code == 2
    assert "03_read.sql is gone" in refused.stderr
    assert "04_read.sql is new" in refused.stderr
    (failing / "sql" / "04_read.sql").rename(failing / "sql" / "03_read.sql")
    assert resume(failing, served, "done").exit_code == 0


def test_a_file_edited_after_it_had_committed_is_asked_about(failing: Path, served: Served) -> None:
    assert start(failing, served, "--prompt-timeout", "0").exit_code == 5
    (failing / "sql" / "01_make.sql").write_text(
        "CREATE OR REPLACE TABLE resuming AS SELECT 2 AS a"
    )
    ended = resume(failing, served, "done", "done")
    assert ended.exit_code == 0, ended.stderr
    prompts = [event.error.class_ for event in ended.of("error_prompt")]
    assert prompts == ["TABLE_OR_VIEW_NOT_FOUND", "DWX_COMMITTED_STATEMENT_CHANGED"]


def test_a_torn_last_line_is_cut_off(failing: Path, served: Served) -> None:
    ended = start(failing, served, "--prompt-timeout", "0")
    log = ended.run_dir / "events.jsonl"
    with log.open("ab") as opened:
        opened.write(b'{"type":"hello","v":1,"ru')
    assert resume(failing, served, "done").exit_code == 0
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=failing).exit_code == 0


def test_a_resume_without_the_token_says_what_is_missing(failing: Path, served: Served) -> None:
    assert start(failing, served, "--prompt-timeout", "0").exit_code == 5
    refused = dwx("resume", cwd=failing)
    assert refused.exit_code == 2
    assert "DATABRICKS_TOKEN" in refused.stderr
    assert resume(failing, served, "done").exit_code == 0


def test_answers_kept_for_a_resume_leave_a_log_that_can_be_resumed_again(
    failing: Path, served: Served
) -> None:
    run = start(failing, served, "--prompt-timeout", "0").run_dir.name
    for choice in ("retry", "skip"):
        assert dwx("answer", run, "p1", choice, cwd=failing).exit_code == 21
    assert resume(failing, served).exit_code == 5  # it fails again, and nobody answers
    assert dwx("replay", "--verify", str(failing / ".dwx/runs" / run), cwd=failing).exit_code == 0
    assert dwx("answer", run, "p2", "done", cwd=failing).exit_code == 21
    assert resume(failing, served).exit_code == 0


def test_a_resume_may_be_detached_and_waited_for_at_once(failing: Path, served: Served) -> None:
    run = start(failing, served, "--prompt-timeout", "0").run_dir.name
    assert dwx("answer", run, "p1", "done", cwd=failing).exit_code == 21
    resumed = dwx("resume", run, "--detach", cwd=failing, DATABRICKS_TOKEN=served.token)
    assert [entry.event.type for entry in resumed.entries] == ["hello"]
    waited = dwx("wait", run, "--until", "finished", "--timeout", "60", cwd=failing)
    assert waited.exit_code == 0, waited.stdout
