"""On a terminal a run is drawn and asks; anywhere else, and with --json, it speaks JSON lines."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.program.conftest import Served
from tests.program.dwx import DWX, TIMEOUT_SECONDS, dwx, environment, live, workflow
from tests.program.terminal import Terminal, in_terminal, terminal
from tests.program.test_deciding import ENDLESS

FAILS = "SELECT * FROM no_such_table"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    workflow(
        tmp_path / "sql",
        f01_make="CREATE OR REPLACE TABLE drawn AS SELECT 1 AS a",
        f02_read="SELECT a FROM drawn",
    )
    return tmp_path


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    workflow(tmp_path / "sql", f01=FAILS, f02="SELECT * FROM no_such_table_either")
    return tmp_path


def run(served: Served, *more: str) -> tuple[str, ...]:
    return ("run", "sql", *served.flags, *more)


def events(program: Terminal, kind: str) -> list[Any]:
    return [entry.event for entry in program.record if entry.event.type == kind]


def choices(program: Terminal) -> list[str]:
    return [event.choice for event in events(program, "prompt_resolved")]


# --- what is drawn ----------------------------------------------------------------------------


def test_progress_is_drawn_and_the_record_is_whole(small: Path, served: Served) -> None:
    with terminal(*run(served), cwd=small, DATABRICKS_TOKEN=served.token) as program:
        assert program.end() == 0
        shown = program.shown
        assert program.is_sane
    assert "✓ 01_make.sql" in shown
    assert "1 row" in shown
    assert "✓ 02_read.sql" in shown
    assert "✓ Succeeded in" in shown
    assert f"→ record  .dwx/runs/{program.record[0].run}" in shown
    assert '{"type"' not in shown
    assert program.record[-1].event.type == "run_finished"
    assert "of 2 files" not in shown  # the live region is gone


def test_what_is_under_way_is_drawn_below(tmp_path: Path, served_alone: Served) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1", f02_long=ENDLESS)
    with terminal(*run(served_alone), cwd=tmp_path, DATABRICKS_TOKEN=served_alone.token) as program:
        program.until("▸ 02_long.sql  [2 of 2]")
        program.until("1 of 2 files")
        program.type("\x03", end="")
        assert program.end() == 6
        assert program.is_sane
        assert "! Stopping  asked for by SIGINT" in program.shown
        assert "✗ Cancelled in" in program.shown
        assert "▸" not in program.shown
    assert program.record[-1].event.type == "run_finished"


def test_a_second_interrupt_leaves_at_once_and_the_terminal_is_sane(
    tmp_path: Path, served_alone: Served
) -> None:
    workflow(tmp_path / "sql", f01_long=ENDLESS)
    with terminal(*run(served_alone), cwd=tmp_path, DATABRICKS_TOKEN=served_alone.token) as program:
        program.until("▸ 01_long.sql")
        program.process.send_signal(signal.SIGINT)
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == 6
        assert program.is_sane


def test_a_run_that_is_stopped_leaves_the_terminal_to_the_shell(
    tmp_path: Path, served_alone: Served
) -> None:
    workflow(tmp_path / "sql", f01_long=ENDLESS)
    shell = ["bash", "--norc", "--noprofile", "-i"]
    token = served_alone.token
    with in_terminal(shell, cwd=tmp_path, columns=100, DATABRICKS_TOKEN=token) as program:
        program.type(shlex.join([*DWX, *run(served_alone)]))
        program.until("▸ 01_long.sql")
        program.type("\x1a", end="")
        program.until("Stopped")
        assert "▸" not in program.shown
        program.type("stty -a | grep -o ' echo ' | tr o 0")
        program.until(" ech0")
        program.type("fg")
        program.until("▸ 01_long.sql")
        program.type("\x03", end="")
        program.until("→ record")
        program.type("exit")
        assert program.end() == 6


def test_a_loop_shows_its_iterations(tmp_path: Path, served: Served) -> None:
    _loop(tmp_path)
    with terminal(*run(served), cwd=tmp_path, DATABRICKS_TOKEN=served.token) as program:
        assert program.end() == 0
        shown = program.shown
    assert "• counted  at most 30 iterations" in shown
    assert "↻ iteration 1 of at most 30  updated 1" in shown
    assert "✓ counted  converged after 3 iterations" in shown


def test_text_from_outside_is_no_markup_and_controls_nothing(
    tmp_path: Path, served: Served
) -> None:
    workflow(tmp_path / "sql", f01="SELECT `[red]a[/Volumes]\x1b[2J` FROM (SELECT 1 AS b)")
    (tmp_path / "sql" / "02_[bold]x[red].sql").write_text("SELECT 1")
    with terminal(*run(served), cwd=tmp_path, DATABRICKS_TOKEN=served.token) as program:
        program.until("p1>")
        assert "[red]a[/Volumes]\\x1b[2J" in program.shown
        program.type("skip")
        assert program.end() == 4
        assert "✓ 02_[bold]x[red].sql" in program.shown


@pytest.mark.parametrize(
    "looks",
    [
        {"TERM": "dumb"},
        {"NO_COLOR": "1"},
        {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"TERM": "no-such-terminal"},
    ],
    ids=lambda looks: " ".join(f"{name}={value}" for name, value in looks.items()),
)
@pytest.mark.parametrize("columns", [100, 40, 9])
def test_any_terminal_will_do(
    tmp_path: Path, served: Served, looks: dict[str, Any], columns: int
) -> None:
    workflow(tmp_path / "sql", f01_a_rather_long_name_for_a_file=FAILS, f02="SELECT 1")
    with terminal(
        *run(served), cwd=tmp_path, columns=columns, DATABRICKS_TOKEN=served.token, **looks
    ) as program:
        program.until("p1>")
        program.type("skip")
        assert program.end() == 4
        assert "Traceback" not in program.shown
        assert "02.sql" in program.shown
        if looks.get("TERM") == "dumb":
            assert b"\x1b" not in program.raw
        if "NO_COLOR" in looks:
            assert b"\x1b[32m" not in program.raw
        assert program.is_sane


def test_a_terminal_may_change_its_size(tmp_path: Path, served: Served) -> None:
    workflow(tmp_path / "sql", f01=FAILS, f02="SELECT 1")
    with terminal(*run(served), cwd=tmp_path, DATABRICKS_TOKEN=served.token) as program:
        program.until("p1>")
        program.resize(30)
        program.type("skip")
        assert program.end() == 4
        assert "✓ 02.sql" in program.shown


# --- what speaks JSON -------------------------------------------------------------------------


def test_json_on_a_terminal_is_what_a_pipe_gets(small: Path, served: Served) -> None:
    with terminal(
        *run(served, "--json"), cwd=small, columns=20_000, DATABRICKS_TOKEN=served.token
    ) as program:
        assert program.end() == 0
        lines = [json.loads(line) for line in program.raw.decode().splitlines()]
    assert [lines[0]["type"], lines[-1]["type"]] == ["hello", "run_finished"]
    assert lines[0]["view"] == "progress"
    assert "statement_started" not in {line["type"] for line in lines}


def test_off_shows_nothing_and_the_record_has_all(small: Path, served: Served) -> None:
    with terminal(
        *run(served, "--stdout", "off"), cwd=small, DATABRICKS_TOKEN=served.token
    ) as program:
        assert program.end() == 0
        assert program.raw == b""
    assert program.record[-1].event.type == "run_finished"


def test_detached_on_a_terminal_tells_its_first_event_as_json(small: Path, served: Served) -> None:
    with terminal(
        *run(served, "--detach"), cwd=small, columns=5_000, DATABRICKS_TOKEN=served.token
    ) as program:
        assert program.end() == 0
        assert json.loads(program.raw)["type"] == "hello"
    assert dwx("wait", "--until", "finished", cwd=small).exit_code == 0


def test_flags_that_are_wrong_are_told_as_text(small: Path) -> None:
    with terminal("run", "sql", "--no-such-flag", cwd=small) as program:
        assert program.end() == 2
        assert program.shown.startswith("dwx run: ")
    with terminal("run", "sql", "--no-such-flag", "--json", cwd=small, columns=5_000) as program:
        assert program.end() == 2
        assert b'"type":"run_finished"' in program.raw


def test_only_a_terminal_pays_for_drawing(small: Path, served: Served) -> None:
    script = (
        "import os, sys\nreal = os._exit\n"
        "def leave(code):\n"
        "    print('rich' in sys.modules, file=sys.stderr)\n"
        "    sys.stderr.flush()\n    real(code)\n"
        "os._exit = leave\n"
        "from executor.cli.main import main\nmain(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", script, *run(served)]
    with in_terminal(command, cwd=small, columns=100, DATABRICKS_TOKEN=served.token) as program:
        assert program.end() == 0
        assert program.shown.endswith("True")
    piped = subprocess.run(
        command, cwd=small, capture_output=True, stdin=subprocess.DEVNULL, check=False,
        env=environment(DATABRICKS_TOKEN=served.token), timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    assert (piped.returncode, piped.stderr) == (0, b"False\n")


# --- questions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", ["skip", "sk", "SKIP", "3", '{"type":"decide","prompt":"p1","choice":"skip"}']
)
def test_a_question_is_answered_by_typing(tmp_path: Path, served: Served, typed: str) -> None:
    workflow(tmp_path / "sql", f01=FAILS, f02="SELECT 1")
    with terminal(*run(served), cwd=tmp_path, DATABRICKS_TOKEN=served.token) as program:
        program.until("p1>")
        assert "✗ f1.s1 in 01.sql, line 1, failed: TABLE_OR_VIEW_NOT_FOUND" in program.shown
        assert "3 skip      mark the file failed" in program.shown
        program.type(typed)
        assert program.end() == 4
        assert "→ p1  skip" in program.shown
    assert choices(program) == ["skip"]


def test_a_wrong_word_is_told_and_has_no_effect(failing: Path, served: Served) -> None:
    with terminal(*run(served), cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("p1>")
        for word, told in {
            "yes": "'yes' is not offered",
            "9": "There is no choice 9",
            "skip 3": "skip stands alone",
        }.items():
            program.type(word)
            program.until(told)
        program.type("abort")
        assert program.end() == 3
    assert events(program, "decision_rejected") == []
    assert choices(program) == ["abort"]


def test_a_decision_that_does_not_fit_is_told_and_asked_again(
    failing: Path, served: Served
) -> None:
    with terminal(*run(served), cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("p1>")
        program.type('{"type":"decide","prompt":"p1","choice":"yes"}')
        program.until("! Decision rejected (not_offered)")
        program.type("skip")
        program.until("p2>")
        program.type("abort")
        assert program.end() == 3
    assert choices(program) == ["skip", "abort"]


def test_a_loop_is_extended_by_a_number(tmp_path: Path, served: Served) -> None:
    _loop(tmp_path)
    flags = run(served, "--max-iterations", "1")
    with terminal(*flags, cwd=tmp_path, DATABRICKS_TOKEN=served.token) as program:
        program.until("p1>")
        program.type("ext 1")
        program.until("p2>")
        program.type("ext 20")
        assert program.end() == 0
        assert "✓ counted  converged after 3 iterations" in program.shown
    accepted = events(program, "decision_accepted")
    assert [one.params for one in accepted] == [{"iterations": 1}, {"iterations": 20}]


def test_an_answer_from_elsewhere_takes_the_question_away(failing: Path, served: Served) -> None:
    with terminal(*run(served), cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("p1>")
        program.type("abo", end="")
        program.until("p1> abo")
        assert dwx("answer", "p1", "skip", "--by", "ana", cwd=failing).exit_code == 0
        program.until("→ p1  answered elsewhere: skip, by ana")
        program.until("p2>")
        program.type("rt")  # what was begun before is no part of it
        program.until("'rt' is not offered")
        program.type("abort")
        assert program.end() == 3
    assert choices(program) == ["skip", "abort"]


def test_a_deadline_takes_the_question_away(failing: Path, served: Served) -> None:
    with terminal(
        *run(served, "--prompt-timeout", "1s"), cwd=failing, DATABRICKS_TOKEN=served.token
    ) as program:
        program.until("p1>")
        assert program.end() == 5
        assert "• Suspended" in program.shown
        assert "dwx resume" in program.shown
        assert program.is_sane
    flags = ("resume", "--prompt-timeout", "15m")
    with terminal(*flags, cwd=failing, DATABRICKS_TOKEN=served.token) as resumed:
        resumed.until("p1>")
        resumed.type("skip")
        resumed.until("p2>")
        resumed.type("skip")
        assert resumed.end() == 4
    assert choices(resumed) == ["skip", "skip"]


def test_the_end_of_input_is_no_answer(failing: Path, served: Served) -> None:
    with terminal(*run(served), cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("p1>")
        program.type("\x04", end="")
        program.until("The end of input is no answer. Answer with: dwx answer")
        assert dwx("answer", "p1", "abort", cwd=failing).exit_code == 0
        assert program.end() == 3
    assert choices(program) == ["abort"]


def test_an_interrupt_at_a_question_ends_the_run(failing: Path, served: Served) -> None:
    with terminal(*run(served), cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("p1>")
        program.type("\x03", end="")
        assert program.end() == 6
        assert program.is_sane
        assert "→ p1  asked no more" in program.shown


def test_what_is_typed_while_nothing_is_asked_is_no_answer(
    tmp_path: Path, served_alone: Served
) -> None:
    workflow(tmp_path / "sql", f01_long=ENDLESS)
    with terminal(*run(served_alone), cwd=tmp_path, DATABRICKS_TOKEN=served_alone.token) as program:
        program.until("▸ 01_long.sql")
        program.type("skip")
        program.until("! Nothing is asked now.")
        program.type('{"type":"cancel"}')
        assert program.end() == 6


def test_a_stdin_that_is_no_terminal_brings_decisions_as_ever(
    failing: Path, served: Served
) -> None:
    outside, inside = os.pipe()
    os.write(inside, b'{"type":"decide","prompt":"p1","choice":"skip"}\nskip\n')
    os.close(inside)
    with terminal(
        *run(served), cwd=failing, stdin=outside, DATABRICKS_TOKEN=served.token
    ) as program:
        program.until("Answer with: dwx answer")
        program.until("? p2  waits for an answer")
        assert dwx("answer", "p2", "abort", cwd=failing).exit_code == 0
        assert program.end() == 3
    os.close(outside)
    assert [one.code for one in events(program, "decision_rejected")] == ["malformed"]


def test_a_pipe_gets_json_whatever_stdin_is(small: Path, served: Served) -> None:
    with live(*run(served), cwd=small, DATABRICKS_TOKEN=served.token) as program:
        assert program.until("run_finished").exit_code == 0


def _loop(directory: Path) -> None:
    """Three iterations: the second changes nothing that the first has not, and so on."""
    make = "CREATE OR REPLACE TABLE ${catalog}.${schema}."
    workflow(
        directory / "sql",
        f01=f"{make}counted_0 AS SELECT 2 AS a",
        f02_round_iteration_01=f"{make}counted_1 AS SELECT greatest(a - 1, 0) AS a "
        "FROM ${catalog}.${schema}.counted_0",
    )
