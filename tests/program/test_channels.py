"""stdin and stdout, whatever they are."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
from pathlib import Path

import pytest

from tests.program.conftest import Served
from tests.program.dwx import TIMEOUT_SECONDS, Ended, dwx, in_bash, live, workflow

NOISY_IMPORT = """
import os, sys

class Noisy:
    def find_spec(self, name, path=None, target=None):
        if name in ("sqlglot", "databricks.sql.client", "pydantic.main"):
            print("noise from", name)
            os.write(1, b"noise on descriptor 1\\n")

sys.meta_path.insert(0, Noisy())
"""


def what_happened(ended: Ended) -> list[str]:
    return [entry.event.type for entry in ended.entries if entry.event.type != "input_closed"]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    workflow(tmp_path / "sql", f01="SELECT 1", f02="CREATE OR REPLACE TABLE channels AS SELECT 1")
    return tmp_path


def run(small: Path, served: Served, **stdin: object) -> Ended:
    return dwx("run", "sql", *served.flags, cwd=small, DATABRICKS_TOKEN=served.token, **stdin)  # type: ignore[arg-type]


def test_every_kind_of_stdin_gives_the_same_events(small: Path, served: Served) -> None:
    expected = what_happened(run(small, served))
    assert expected[-1] == "run_finished"
    seen = {"pipe": expected}

    file = small / "nothing.jsonl"
    file.write_bytes(b"")
    with file.open("rb") as opened:
        seen["file"] = what_happened(run(small, served, stdin=opened))
    seen["null"] = what_happened(run(small, served, stdin=subprocess.DEVNULL))

    silent, other = socket.socketpair()
    seen["silent socket"] = what_happened(run(small, served, stdin=other.fileno()))
    silent.close()
    other.close()

    terminal, inside = pty.openpty()
    seen["terminal"] = what_happened(run(small, served, stdin=inside))
    os.close(terminal)
    os.close(inside)

    silent_pipe, held = os.pipe()
    seen["silent pipe"] = what_happened(run(small, served, stdin=silent_pipe))
    os.close(silent_pipe)
    os.close(held)

    command = f"exec $DWX run sql {' '.join(served.flags)} <&-"
    closed = in_bash(command, cwd=small, DATABRICKS_TOKEN=served.token)
    seen["closed"] = what_happened(closed)
    assert {name for name, types in seen.items() if types != expected} == set()


def test_what_a_library_prints_never_reaches_stdout(small: Path, served: Served) -> None:
    (small / "site").mkdir()
    (small / "site" / "sitecustomize.py").write_text(NOISY_IMPORT)
    ended = dwx(
        "run", "sql", *served.flags,
        cwd=small, DATABRICKS_TOKEN=served.token, PYTHONPATH=str(small / "site"),
    )  # fmt: skip
    assert ended.exit_code == 0
    assert ended.last.type == "run_finished"
    assert "noise on descriptor 1" in ended.stderr


def test_a_reader_that_goes_away_ends_nothing(small: Path, served: Served) -> None:
    with live("run", "sql", *served.flags, cwd=small, DATABRICKS_TOKEN=served.token) as program:
        hello = program.until("hello")
        assert program.process.stdout is not None
        program.process.stdout.close()
        assert program.process.wait(TIMEOUT_SECONDS) == 0
    ended = Ended(0, program.lines[0], "", small)
    assert hello.run_dir is not None
    assert ended.record[-1].event.type == "run_finished"


def test_a_reader_that_goes_away_cancels_if_asked_to(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", f01="SELECT * FROM no_such_table")
    flags = ("--on-stdout-closed", "cancel")
    with live(
        "run", "sql", *served.flags, *flags, cwd=tmp_path, DATABRICKS_TOKEN=served.token
    ) as program:
        program.until("error_prompt")
        assert program.process.stdout is not None
        program.process.stdout.close()
        # something must be written for the program to notice
        program.decide(prompt="p9", choice="skip")
        assert program.process.wait(TIMEOUT_SECONDS) == 6
    ended = Ended(6, program.lines[0], "", tmp_path)
    assert [event.by for event in ended.of("cancel_requested")] == ["stdout_closed"]


def test_a_closed_stdout_leaves_the_record_whole(small: Path, served: Served) -> None:
    command = f"exec $DWX run sql --run-root runs {' '.join(served.flags)} >&-"
    ended = in_bash(command, cwd=small, DATABRICKS_TOKEN=served.token)
    assert ended.exit_code == 0, ended.stderr
    (log,) = (small / "runs").glob("*/events.jsonl")
    assert b'"run_finished"' in log.read_bytes().splitlines()[-1]


@pytest.mark.parametrize("view", ["full", "progress", "attention", "off"])
def test_a_view_shows_less_and_the_record_has_all(small: Path, served: Served, view: str) -> None:
    ended = dwx(
        "run", "sql", *served.flags, "--stdout", view, "--run-root", "runs",
        cwd=small, DATABRICKS_TOKEN=served.token,
    )  # fmt: skip
    (log,) = (small / "runs").glob("*/events.jsonl")
    lines = log.read_bytes().splitlines(keepends=True)
    shown = ended.stdout.splitlines(keepends=True)
    assert [line for line in lines if line in shown] == shown
    if view == "full":
        assert shown == lines
    if view == "off":
        assert shown == []
    else:
        assert shown[-1] == lines[-1]


def test_a_closed_stderr_changes_no_exit_code(small: Path, served: Served) -> None:
    command = f"exec $DWX run sql {' '.join(served.flags)} 2>&-"
    ended = in_bash(command, cwd=small, DATABRICKS_TOKEN=served.token)
    assert ended.exit_code == ended.last.exit_code == 0


def test_a_stdout_that_was_never_open_cancels_if_asked_to(small: Path, served: Served) -> None:
    command = f"exec $DWX run sql --on-stdout-closed cancel {' '.join(served.flags)} >&-"
    assert in_bash(command, cwd=small, DATABRICKS_TOKEN=served.token).exit_code == 6


@pytest.mark.parametrize(
    "probe",
    [
        "SELECT 0, 1 FROM {table}",
        "SELECT 0 FROM {table} UNION ALL SELECT 1 FROM {table}",
        "SELECT -1 FROM {table}",
        "SELECT 'none' FROM {table}",
    ],
)
def test_a_probe_that_is_not_one_count_is_no_verdict(
    tmp_path: Path, served: Served, probe: str
) -> None:
    workflow(
        tmp_path / "sql",
        f01="CREATE OR REPLACE TABLE ${catalog}.${schema}.probed_0 AS SELECT 1 AS a",
        f02_round_1="CREATE OR REPLACE TABLE ${catalog}.${schema}.probed_1 AS "
        "SELECT a FROM ${catalog}.${schema}.probed_0",
    )
    (tmp_path / "sql" / "workflow.toml").write_text(
        'name = "probed"\n[[loop]]\nname = "round"\nfiles = "02_round_*.sql"\n'
        'table = "${catalog}.${schema}.probed_{iteration}"\n' + f'probe = "{probe}"\n'
    )
    ended = dwx(
        "run", "sql", *served.flags, "--prompt-timeout", "0", "--on-unanswered", "abort",
        cwd=tmp_path, DATABRICKS_TOKEN=served.token,
    )  # fmt: skip
    assert ended.exit_code == 8, ended.last
    assert ended.of("converged") == []
    assert [event.reason for event in ended.of("not_converged")] == ["unknown"]
