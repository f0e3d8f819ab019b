"""Bad input: a clear last event, nothing executed, nothing lost."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.program.dwx import DWX, Ended, dwx, live, workflow


def refused(ended: Ended, class_: str) -> None:
    """It ended with exit 2, and the last line says what is wrong and what to do."""
    assert ended.exit_code == 2, ended.stderr
    assert [entry.event.type for entry in ended.entries if entry.event.type != "input_closed"] == [
        "hello",
        "run_finished",
    ]
    assert ended.last.exit_code == 2
    assert ended.last.error.class_ == class_
    assert ended.last.error.suggestion
    assert ended.last.statements.succeeded == 0


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("sql", "--no-such-flag"),
        ("sql", "--max-iterations", "0"),
        ("sql", "--prompt-timeout", "soon"),
        ("sql", "--stdout", "loud"),
        ("sql", "--var", "no equals sign"),
        ("sql", "more"),
        ("sql", "--key", ""),
    ],
)
def test_wrong_flags_still_give_a_first_and_a_last_event(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    refused(dwx("run", *flags, cwd=tmp_path), "DWX_USAGE")


def test_wrong_flags_at_a_terminal_are_told_in_plain_words(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        [*DWX, "run", "--no-such-flag"], stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(theirs)
    os.close(ours)
    assert ended.returncode == 2
    assert b"DIR" in ended.stderr


def test_everything_that_is_missing_for_connecting_is_named_at_once(tmp_path: Path) -> None:
    ended = dwx("run", str(workflow(tmp_path / "sql", f01="SELECT 1")), cwd=tmp_path)
    refused(ended, "DWX_CREDENTIALS")
    for word in ("DATABRICKS_HOST", "DATABRICKS_HTTP_PATH", "DATABRICKS_TOKEN"):
        assert word in ended.last.error.suggestion


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    ended = dwx("run", "nowhere", "--local", cwd=tmp_path)
    refused(ended, "DWX_DIRECTORY_MISSING")
    assert ended.last.error.file == "nowhere"


def test_an_empty_directory_and_one_without_sql_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(dwx("run", "empty", "--local", cwd=tmp_path), "DWX_DIRECTORY_EMPTY")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no SQL")
    refused(dwx("run", "other", "--local", cwd=tmp_path), "DWX_NO_SQL_FILES")


@pytest.mark.parametrize(
    ("text", "class_", "line"),
    [
        (b"SELECT 1;\nSELECT 'open", "DWX_UNTERMINATED_STRING", 2),
        (b"SELECT 1;\n\n/* open", "DWX_UNTERMINATED_COMMENT", 3),
        (b"SELECT 1;\nBEGIN\n  SELECT 2;\n", "DWX_UNTERMINATED_BLOCK", 2),
        (b"SELECT 1;\nSELECT ${nobody_said}", "DWX_UNDEFINED_PLACEHOLDER", 2),
        (b"SELECT 1;\nSELECT '\xff\xfe'", "DWX_FILE_NOT_UTF8", 2),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, text: bytes, class_: str, line: int
) -> None:
    directory = workflow(tmp_path / "sql", f01="SELECT 1")
    (directory / "02_bad.sql").write_bytes(text)
    ended = dwx("run", "sql", "--local", cwd=tmp_path)
    refused(ended, class_)
    assert (ended.last.error.file, ended.last.error.line) == ("02_bad.sql", line)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    directory = workflow(tmp_path / "sql", f01="SELECT 1")
    # permissions do not stop root; a link that leads nowhere stops everybody
    (directory / "02_bad.sql").symlink_to("nowhere.sql")
    refused(dwx("run", "sql", "--local", cwd=tmp_path), "DWX_FILE_UNREADABLE")


def test_a_file_that_would_never_end_is_refused_unread(tmp_path: Path) -> None:
    directory = workflow(tmp_path / "sql", f01="SELECT 1")
    os.mkfifo(directory / "02_pipe.sql")
    refused(dwx("run", "sql", "--local", cwd=tmp_path), "DWX_FILE_UNREADABLE")


def test_a_name_too_long_for_the_catalog_is_refused_with_its_line(tmp_path: Path) -> None:
    name = "t" * 20_000
    workflow(tmp_path / "sql", f01=f"SELECT 1;\nCREATE OR REPLACE TABLE {name} AS SELECT 1 AS a")
    ended = dwx("run", "sql", "--local", cwd=tmp_path)
    refused(ended, "DWX_NAME_TOO_LONG")
    assert ended.last.error.line == 2


def test_a_stdin_of_garbage_does_not_grow_the_record_without_end(tmp_path: Path) -> None:
    workflow(tmp_path / "sql", f01="SELECT * FROM nowhere")
    with live("run", "sql", "--local", cwd=tmp_path) as program:
        program.until("error_prompt")
        assert program.process.stdin is not None
        program.process.stdin.write(b"garbage\n" * 50_000)
        program.process.stdin.flush()
        assert program.until("warning").code == "STDIN_IGNORED"
        assert dwx("answer", "p1", "abort", cwd=tmp_path).exit_code == 0
        ended = program.end()
    assert len(ended.of("decision_rejected")) == 1_000


def test_a_run_directory_that_cannot_be_made_stops_before_anything_is_done(tmp_path: Path) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    (tmp_path / "file").write_text("in the way")
    ended = dwx("run", "sql", "--local", "--run-root", "file/runs", cwd=tmp_path)
    assert ended.exit_code == ended.last.exit_code == 11
    assert [entry.event.type for entry in ended.entries] == ["hello", "run_finished"]


def test_a_token_on_the_command_line_is_masked_and_warned_about(tmp_path: Path) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    ended = dwx(
        "run", "sql", "--server-hostname", "http://127.0.0.1:9", "--http-path", "/sql/1.0/x",
        "--catalog", "c", "--schema", "s", "--access-token", "hunter2-canary",
        cwd=tmp_path,
    )  # fmt: skip
    assert ended.exit_code == 7
    assert b"hunter2" not in ended.stdout
    assert "hunter2" not in ended.stderr
    for file in ended.run_dir.rglob("*"):
        assert not file.is_file() or b"hunter2" not in file.read_bytes()
    (plan,) = ended.of("plan")
    assert [warning.code for warning in plan.warnings] == ["TOKEN_IN_ARGV"]


def test_a_port_where_nobody_listens_is_told_quickly(tmp_path: Path) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    ended = dwx(
        "run", "sql", "--server-hostname", "http://127.0.0.1:9", "--http-path", "/sql/1.0/x",
        "--catalog", "c", "--schema", "s",
        cwd=tmp_path,
        DATABRICKS_TOKEN="some-token",
    )  # fmt: skip
    assert ended.exit_code == ended.last.exit_code == 7
    assert ended.last.error.category == "connect"
    assert ended.last.elapsed_ms < 15_000
