"""Errors become prompts, and decisions on stdin answer them."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path

import pytest

from tests.program.conftest import Served
from tests.program.dwx import TIMEOUT_SECONDS, dwx, live, workflow


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """A workflow whose second file names a table nobody makes."""
    workflow(
        tmp_path / "sql",
        f01_make="CREATE OR REPLACE TABLE deciding AS SELECT 1 AS a",
        f02_fill="INSERT INTO deciding\nSELECT a FROM decidding",
        f03_read="SELECT * FROM deciding",
    )
    return tmp_path


def test_a_repaired_file_is_retried_and_nothing_is_written_twice(
    failing: Path, served: Served
) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        prompt = program.until("error_prompt")
        assert prompt.error.class_ == "TABLE_OR_VIEW_NOT_FOUND"
        assert (prompt.error.file, prompt.error.line) == ("02_fill.sql", 2)
        assert prompt.dependents == ("f3",)
        (failing / "sql" / "02_fill.sql").write_text("INSERT INTO deciding SELECT 2")
        program.decide(prompt=prompt.prompt, choice="retry", by="tester")
        ended = program.end()
    assert ended.exit_code == 0
    assert [event.changed for event in ended.of("file_planned")] == [True]
    assert [(table.name, table.rows) for table in ended.last.tables] == [
        ("main.default.deciding", 2)
    ]


def test_decisions_may_be_piped_in_before_anything_has_happened(
    failing: Path, served: Served
) -> None:
    lines = b'{"type":"decide","prompt":"p1","choice":"skip","reason":"known"}\n'
    ended = dwx(
        "run", "sql", *served.flags, cwd=failing, stdin=lines, DATABRICKS_TOKEN=served.token
    )
    assert ended.exit_code == 4
    (resolved,) = ended.of("prompt_resolved")
    assert (resolved.choice, resolved.source, resolved.reason) == ("skip", "stdin", "known")
    assert [event.status for event in ended.of("file_finished")] == [
        "completed", "failed", "skipped",
    ]  # fmt: skip


BAD_DECISIONS = {
    b"garbage": "malformed",
    b'{"type":"decide","prompt":"p1"': "malformed",
    b'{"type":"decide","prompt":"p1","choice":"yes"}': "not_offered",
    b'{"type":"decide","prompt":1,"choice":"skip"}': "malformed",
    b'{"type":"decide","choice":"skip"}': "malformed",
    b'{"type":"approve","prompt":"p1"}': "unknown_type",
    b'{"type":"decide","prompt":"\xff\xfe","choice":"skip"}': "malformed",
    b'{"type":"decide","prompt":"the first","choice":"skip"}': "unknown_prompt",
    b'{"type":"decide","prompt":"p1","choice":"skip","digest":"0"}': "stale",
    b'{"type":"decide","prompt":"p1","choice":"skip","run":"r-other2"}': "wrong_run",
    b'["decide"]': "malformed",
    b'"' + b"x" * 1_000_000 + b'"': "too_long",
}


def test_malformed_decisions_are_rejected_one_by_one_and_the_run_goes_on_waiting(
    failing: Path, served: Served
) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        assert program.process.stdin is not None
        for line, code in BAD_DECISIONS.items():
            program.process.stdin.write(line + b"\n")
            program.process.stdin.flush()
            assert program.until("decision_rejected").code == code, line[:80]
        program.decide(prompt="p1", choice="abort")
        ended = program.end()
    assert ended.exit_code == ended.last.exit_code == 3
    assert ended.last.error.class_ == "TABLE_OR_VIEW_NOT_FOUND"
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=failing).exit_code == 0


def test_the_end_of_stdin_is_never_an_answer(failing: Path, served: Served) -> None:
    ended = dwx(
        "run", "sql", *served.flags, "--prompt-timeout", "0",
        cwd=failing, DATABRICKS_TOKEN=served.token,
    )  # fmt: skip
    assert ended.exit_code == ended.last.exit_code == 5
    assert ended.last.type == "run_suspended"
    assert ended.last.open_prompts == ("p1",)
    assert ended.of("prompt_resolved") == []


@pytest.mark.parametrize(("unanswered", "code"), [("abort", 3), ("skip", 4)])
def test_a_deadline_may_answer_if_the_caller_said_so(
    failing: Path, served: Served, unanswered: str, code: int
) -> None:
    ended = dwx(
        "run", "sql", *served.flags, "--prompt-timeout", "0", "--on-unanswered", unanswered,
        cwd=failing, DATABRICKS_TOKEN=served.token,
    )  # fmt: skip
    assert ended.exit_code == code
    assert [event.how for event in ended.of("prompt_resolved")] == ["timeout"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_a_prompt_ends_the_run_with_its_last_line(
    failing: Path, served: Served, number: signal.Signals
) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        program.process.send_signal(number)
        ended = program.end()
    assert ended.exit_code == ended.last.exit_code == 6
    assert [event.by for event in ended.of("cancel_requested")] == [number.name]
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=failing).exit_code == 0


ENDLESS = (
    "CREATE OR REPLACE TABLE endless AS SELECT COUNT(*) AS n FROM range(4000000) AS a "
    "CROSS JOIN range(4000000) AS b WHERE a.id * b.id % 7 = 3"
)


def test_a_signal_cancels_the_statement_that_runs_and_nothing_of_it_stays(
    tmp_path: Path, served: Served
) -> None:
    workflow(tmp_path / "sql", f01=ENDLESS)
    flags = ("--stdout", "full")
    with live(
        "run", "sql", *served.flags, *flags, cwd=tmp_path, DATABRICKS_TOKEN=served.token
    ) as program:
        program.until("statement_submitted")
        program.process.send_signal(signal.SIGINT)
        ended = program.end()
    assert ended.exit_code == ended.last.exit_code == 6
    assert [event.status for event in ended.of("statement_finished")] == ["cancelled"]
    workflow(tmp_path / "look", f01="SELECT * FROM endless")
    look = dwx(
        "run", "look", *served.flags, cwd=tmp_path, DATABRICKS_TOKEN=served.token,
        stdin=b'{"type":"decide","prompt":"p1","choice":"abort"}\n',
    )  # fmt: skip
    assert look.last.error.class_ == "TABLE_OR_VIEW_NOT_FOUND"


def test_a_second_signal_leaves_at_once(tmp_path: Path, served_alone: Served) -> None:
    workflow(tmp_path / "sql", f01=ENDLESS)
    flags = ("--stdout", "full")
    with live(
        "run", "sql", *served_alone.flags, *flags, cwd=tmp_path, DATABRICKS_TOKEN=served_alone.token
    ) as program:
        program.until("statement_submitted")
        program.process.send_signal(signal.SIGTERM)
        program.until("cancel_requested")
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(TIMEOUT_SECONDS) == 6


def test_the_log_of_a_run_that_was_killed_names_what_was_open(
    tmp_path: Path, served_alone: Served
) -> None:
    workflow(tmp_path / "sql", f01=ENDLESS)
    flags = ("--stdout", "full")
    with live(
        "run", "sql", *served_alone.flags, *flags, cwd=tmp_path, DATABRICKS_TOKEN=served_alone.token
    ) as program:
        hello = program.until("hello")
        program.until("statement_submitted")
        program.process.kill()
        program.process.wait(TIMEOUT_SECONDS)
    shown = dwx("replay", str(tmp_path / hello.run_dir), cwd=tmp_path)
    assert shown.exit_code == 0
    assert "f1.s1" in shown.stdout.decode()
    assert dwx("replay", "--verify", hello.run_dir, cwd=tmp_path).exit_code == 0


@pytest.mark.parametrize("flags", [(), ("--run-root", "my runs")])
def test_the_command_line_a_prompt_gives_answers_it(
    failing: Path, served: Served, flags: tuple[str, ...]
) -> None:
    """The prompt itself says how to answer it; whoever follows that to the letter is understood."""
    with live(
        "run", "sql", *served.flags, *flags, cwd=failing, DATABRICKS_TOKEN=served.token
    ) as program:
        hello = program.until("hello")
        prompt = program.until("error_prompt")
        assert prompt.answer_with == hello.answer_with.replace("PROMPT", prompt.prompt)
        program_name, *words = shlex.split(prompt.answer_with.replace("CHOICE", "abort"))
        assert program_name == "dwx"
        answered = dwx(*words, cwd=failing)
        assert answered.exit_code == 0, answered.stderr
        assert program.end().exit_code == 3
