"""`dwx report` on runs that the program itself has made, in whatever state they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from executor.views.report_model import Report
from tests.program.conftest import Served
from tests.program.dwx import TIMEOUT_SECONDS, Ended, dwx, live, workflow
from tests.program.test_deciding import ENDLESS
from tests.views.reported import RUN, eventful

SKIP = b'{"type":"decide","prompt":"p1","choice":"skip","by":"mara"}\n'
HTML = ("--format", "html")
FORMATS = {"text": "! Incomplete", "json": "{", "markdown": "# ! Incomplete", "html": "<!doctype"}


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    workflow(
        tmp_path / "sql",
        f01_make="CREATE OR REPLACE TABLE reporting AS SELECT 1 AS a",
        f02_fill="INSERT INTO reporting\nSELECT a FROM reportting",
        f03_read="SELECT * FROM reporting",
    )
    return tmp_path


def run(cwd: Path, served: Served, *flags: str, stdin: bytes = b"") -> Ended:
    return dwx(
        "run", "sql", *served.flags, *flags, cwd=cwd, stdin=stdin, DATABRICKS_TOKEN=served.token
    )


def told(cwd: Path, *arguments: str) -> dict[str, object]:
    ended = dwx("report", *arguments, "--format", "json", cwd=cwd)
    assert (ended.exit_code, ended.stderr) == (0, "")
    found: dict[str, object] = json.loads(ended.stdout)
    return found


def test_a_run_that_just_ended_is_reported_in_every_format(failing: Path, served: Served) -> None:
    ended = run(failing, served, stdin=SKIP)
    for wanted, beginning in FORMATS.items():
        said = dwx("report", "--format", wanted, cwd=failing)
        assert (said.exit_code, said.stderr) == (0, "")
        assert beginning in said.stdout.decode()
        assert "TABLE_OR_VIEW_NOT_FOUND" in said.stdout.decode()
        assert "skip" in said.stdout.decode()
        assert ended.run_dir.name in said.stdout.decode()
    found = told(failing)
    assert found.keys() == set(Report.__dataclass_fields__)
    assert (found["state"], found["outcome"], found["exit_code"]) == ("finished", "incomplete", 4)
    assert (
        dwx("report", "--json", cwd=failing).stdout
        == dwx("report", "--format", "json", cwd=failing).stdout
    )


def test_a_run_is_named_as_elsewhere_or_by_its_log(failing: Path, served: Served) -> None:
    directory = run(failing, served, stdin=SKIP).run_dir
    expected = told(failing)
    assert told(failing, directory.name) == expected
    assert told(failing, directory.name[:5]) == expected
    assert told(failing, str(directory)) == expected
    assert told(failing, str(directory / "events.jsonl")) == expected
    copy = failing / "copied.jsonl"
    shutil.copy(directory / "events.jsonl", copy)
    assert told(failing, str(copy)) == expected
    root = ("--run-root", str(directory.parent))
    assert told(failing / "sql", *root) == expected


def test_a_run_that_lives_is_reported_and_then_one_that_was_killed(
    tmp_path: Path, served_alone: Served
) -> None:
    workflow(tmp_path / "sql", f01=ENDLESS)
    with live(
        "run", "sql", *served_alone.flags, "--stdout", "full", cwd=tmp_path,
        DATABRICKS_TOKEN=served_alone.token,
    ) as program:  # fmt: skip
        program.until("statement_submitted")
        running = dwx("report", cwd=tmp_path).stdout.decode()
        assert "• Still running after" in running
        assert "! Under way: f1.s1" in running
        assert f"→ dwx wait {program.run_dir.name}" in running
        program.process.kill()
        program.process.wait(TIMEOUT_SECONDS)
        crashed = dwx("report", cwd=tmp_path).stdout.decode()
        assert "✗ Broken off after" in crashed
        assert "! The log has no last line" in crashed
        assert f"→ dwx resume {program.run_dir.name}" in crashed


def test_a_run_that_waits_or_is_suspended_says_how_to_answer(failing: Path, served: Served) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        waiting = dwx("report", cwd=failing).stdout.decode()
        assert "Waiting for an answer after" in waiting
        assert f"→ dwx answer {program.run_dir.name} p1 CHOICE" in waiting
        program.decide(prompt="p1", choice="abort")
        program.end()
    run(failing, served, "--prompt-timeout", "0")
    suspended = told(failing)
    assert (suspended["state"], suspended["exit_code"]) == ("suspended", 5)
    answer, resume = suspended["next"]  # type: ignore[misc]
    assert answer.startswith("dwx answer ")  # type: ignore[has-type]
    assert resume.startswith("dwx resume ")  # type: ignore[has-type]


def test_a_report_goes_into_a_file_or_says_why_it_cannot(tmp_path: Path) -> None:
    log = eventful().written(tmp_path / RUN)
    output = tmp_path / "report.html"
    ended = dwx("report", str(log), *HTML, "--output", str(output), cwd=tmp_path)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, b"", "")
    printed = dwx("report", str(log), *HTML, cwd=tmp_path, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert printed.stdout == output.read_bytes()
    nowhere = dwx("report", str(log), "--output", "not/there.txt", cwd=tmp_path)
    assert nowhere.exit_code == 2
    assert "not/there.txt: No such file or directory" in nowhere.stderr


def test_a_log_that_ends_inside_a_line_is_reported_as_far_as_it_is_whole(tmp_path: Path) -> None:
    log = eventful().written(tmp_path / RUN) / "events.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) - 100])
    remarks = told(tmp_path, str(log))["remarks"]
    assert isinstance(remarks, list)
    assert remarks[0].startswith("The log has no last line")
    assert remarks[-1].endswith("bytes into a line.")


def test_a_damaged_log_is_not_reported(tmp_path: Path) -> None:
    log = eventful().written(tmp_path / RUN) / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:5] + lines[6:]))
    ended = dwx("report", str(log), cwd=tmp_path)
    assert (ended.exit_code, ended.stdout) == (10, b"")
    assert "seq is 7 where 6 is due" in ended.stderr


def test_what_was_kept_apart_is_read_and_missed_if_it_is_gone(
    tmp_path: Path, served: Served
) -> None:
    names = {f"f{number:02}_a": f"SELECT {number} -- {'x' * 900}" for number in range(1, 60)}
    workflow(tmp_path / "sql", **names)
    ended = run(tmp_path, served)
    assert list((ended.run_dir / "artifacts").iterdir())
    found = told(tmp_path)
    assert found["remarks"] == []
    shutil.rmtree(ended.run_dir / "artifacts")
    without = told(tmp_path)
    remarks = without["remarks"]
    assert isinstance(remarks, list)
    assert any("is missing" in one for one in remarks)
    assert without["file_counts"] == found["file_counts"]


def test_a_run_that_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    ended = dwx("report", "r-nowhere", cwd=tmp_path)
    assert ended.exit_code == 2
    assert "is neither a run directory nor a run below" in ended.stderr
