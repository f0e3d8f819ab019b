"""Looking at a run from other processes: while it lives, and after it died."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program.conftest import Served
from tests.program.dwx import DWX, TIMEOUT_SECONDS, Ended, dwx, environment, live, workflow
from tests.program.test_deciding import ENDLESS

HEAVY = {
    "pydantic", "sqlglot", "duckdb", "databricks", "anyio", "asyncio", "rich", "watchfiles",
    "executor.core", "executor.workflow", "protocol.events",
}  # fmt: skip


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    workflow(
        tmp_path / "sql",
        f01_make="CREATE OR REPLACE TABLE looking AS SELECT 1 AS a",
        f02_fill="INSERT INTO looking\nSELECT a FROM lookking",
        f03_read="SELECT * FROM looking",
    )
    return tmp_path


def run(cwd: Path, served: Served, *flags: str, stdin: bytes = b"") -> Ended:
    return dwx(
        "run", "sql", *served.flags, *flags, cwd=cwd, stdin=stdin, DATABRICKS_TOKEN=served.token
    )


SKIP = b'{"type":"decide","prompt":"p1","choice":"skip"}\n'


# --- status -----------------------------------------------------------------------------------


def test_the_status_follows_a_run_through_its_life(failing: Path, served: Served) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        waiting = dwx("status", cwd=failing)
        assert waiting.exit_code == 0
        assert len(waiting.stdout) < 1024
        lines = waiting.stdout.decode().splitlines()
        assert lines[0].startswith(f"{program.run_dir.name} waiting")
        assert lines[-1] == f"next: dwx answer {program.run_dir.name} p1 CHOICE"
        program.decide(prompt="p1", choice="skip")
        program.end()
    finished = json.loads(dwx("status", "--json", cwd=failing).stdout)
    assert (finished["state"], finished["exit_code"]) == ("finished", 4)
    assert finished["files"] == {
        "completed": 1, "failed": 1, "skipped": 1, "not_needed": 0, "total": 3,
    }  # fmt: skip


def test_the_status_of_a_run_that_was_killed_names_what_was_in_flight(
    tmp_path: Path, served_alone: Served
) -> None:
    workflow(tmp_path / "sql", f01=ENDLESS)
    with live(
        "run",
        "sql",
        *served_alone.flags,
        "--stdout",
        "full",
        cwd=tmp_path,
        DATABRICKS_TOKEN=served_alone.token,
    ) as program:
        program.until("statement_submitted")
        running = dwx("status", cwd=tmp_path).stdout.decode()
        assert "running" in running
        assert "f1.s1" in running
        program.process.kill()
        program.process.wait(TIMEOUT_SECONDS)
    crashed = dwx("status", cwd=tmp_path).stdout.decode()
    assert "crashed" in crashed
    assert "in flight when it ended: f1.s1" in crashed
    assert "next: dwx resume" in crashed


def silent_for_an_hour(ended: Ended) -> Path:
    """A log without its last line, last written an hour ago."""
    log = ended.run_dir / "events.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    then = log.stat().st_mtime - 3600
    os.utime(log, (then, then))
    return ended.run_dir / "lock"


def test_a_run_that_lives_and_is_silent_is_stalled(failing: Path, served: Served) -> None:
    lock = silent_for_an_hour(run(failing, served, stdin=SKIP))
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert json.loads(dwx("status", "--json", cwd=failing).stdout)["state"] == "stalled"
        assert dwx("wait", cwd=failing).exit_code == 23
    assert json.loads(dwx("status", "--json", cwd=failing).stdout)["state"] == "crashed"


def test_a_clock_that_was_set_makes_no_run_stalled(failing: Path, served: Served) -> None:
    lock = silent_for_an_hour(run(failing, served, stdin=SKIP))
    holder = json.loads(lock.read_bytes())
    lock.write_text(json.dumps(holder | {"booted_ms": holder["booted_ms"] - 3_600_000}))
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert json.loads(dwx("status", "--json", cwd=failing).stdout)["state"] == "running"


def test_the_beginning_of_a_line_at_the_end_of_a_log_is_left_alone(
    failing: Path, served: Served
) -> None:
    ended = run(failing, served, stdin=SKIP)
    before = dwx("status", "--json", cwd=failing).stdout
    with (ended.run_dir / "events.jsonl").open("ab") as log:
        log.write(b'{"type":"hello","v":1,"run":"r-')
    assert dwx("status", "--json", cwd=failing).stdout == before


# --- wait and watch ---------------------------------------------------------------------------


def test_who_waits_is_woken_by_a_prompt_and_then_by_the_end(failing: Path, served: Served) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("hello")
        attention = dwx("wait", "--until", "attention", cwd=failing)
        assert attention.exit_code == 5
        assert len(attention.stdout.splitlines()) == 1
        assert b"dwx answer" in attention.stdout
        assert dwx("wait", "--until", "finished", "--timeout", "0", cwd=failing).exit_code == 5
        program.decide(prompt="p1", choice="skip")
        finished = dwx("wait", "--until", "finished", cwd=failing)
        assert finished.exit_code == program.end().exit_code == 4


def test_who_waits_for_a_run_started_just_now_does_not_take_an_older_one(
    failing: Path, served: Served
) -> None:
    run(failing, served, stdin=SKIP)
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        assert dwx("wait", cwd=failing).exit_code == 5
        program.until("error_prompt")


def test_who_watches_sees_one_line_per_event_that_matters_until_the_end(
    failing: Path, served: Served
) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("hello")
        with subprocess.Popen(
            [*DWX, "watch"], cwd=failing, env=environment(), stdout=subprocess.PIPE, text=True
        ) as watching:
            assert watching.stdout is not None
            lines: list[str] = []
            for line in watching.stdout:
                lines.append(line.rstrip("\n"))
                if "ANSWER NEEDED" in line:
                    program.decide(prompt="p1", choice="skip", by="\x1b[31mme")
            assert watching.wait(TIMEOUT_SECONDS) == 4
        ended = program.end()
    assert all(line.isprintable() for line in lines)
    *events, following = lines
    assert following == f"next: dwx report {ended.run_dir.name}"
    seqs = [int(line.split()[0]) for line in events]
    assert seqs == sorted(set(seqs))
    assert len(seqs) < len(ended.record)
    assert "FINISHED incomplete, exit code 4" in events[-1]
    again = dwx("watch", "--after", str(seqs[-2]), cwd=failing)
    assert again.stdout.decode().splitlines() == [events[-1], following]


# --- events -----------------------------------------------------------------------------------


def test_pages_of_events_put_together_are_the_record(failing: Path, served: Served) -> None:
    ended = run(failing, served, stdin=SKIP)
    pages: list[bytes] = []
    words = ["events", "--max-bytes", "2000"]
    while words[0] == "events":
        header, *lines = dwx(*words, cwd=failing).stdout.splitlines(keepends=True)
        told = json.loads(header)
        assert told["lines"] == len(lines) > 0
        assert len(lines) == 1 or sum(map(len, lines)) <= 2000
        pages += lines
        words = told["next"].split()[1:]
    assert b"".join(pages) == (ended.run_dir / "events.jsonl").read_bytes()
    assert words[0] == "report"


def test_events_may_be_picked_by_type_and_waited_for(failing: Path, served: Served) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("hello")
        page = dwx("events", "--types", "error_prompt,run_finished", "--wait", "60", cwd=failing)
        header, line = page.stdout.splitlines()
        assert json.loads(line)["type"] == "error_prompt"
        told = json.loads(header)
        nothing = dwx("events", "--after", str(told["after"]), cwd=failing)
        assert json.loads(nothing.stdout)["lines"] == 0
        program.decide(prompt="p1", choice="abort")
        program.end()
        rest = dwx(*told["next"].split()[1:], cwd=failing).stdout.splitlines()
    assert [json.loads(line)["type"] for line in rest[1:]] == ["run_finished"]


def test_a_type_of_event_that_does_not_exist_is_named(failing: Path, served: Served) -> None:
    run(failing, served, stdin=SKIP)
    page = dwx("events", "--types", "error_prompt,eror_prompt", cwd=failing)
    assert page.exit_code == 2
    assert "eror_prompt is no type of event; they are alias_created" in page.stderr


def test_a_log_with_a_hole_is_not_believed(failing: Path, served: Served) -> None:
    log = run(failing, served, stdin=SKIP).run_dir / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:5] + lines[6:]))
    assert "the log is damaged in 1 places" in dwx("status", cwd=failing).stdout.decode()


def test_the_status_file_says_what_the_verb_says(failing: Path, served: Served) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        file = program.run_dir / "status.json"
        assert json.loads(file.read_bytes()) == json.loads(
            dwx("status", "--json", cwd=failing).stdout
        )
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.unlink()  # a cache
        program.decide(prompt="p1", choice="skip")
        program.end()
        told = json.loads(dwx("status", "--json", cwd=failing).stdout)
        assert json.loads(file.read_bytes()) == told


# --- which run --------------------------------------------------------------------------------


def test_a_run_is_found_by_id_by_prefix_by_directory_and_by_being_the_latest(
    failing: Path, served: Served
) -> None:
    first = run(failing, served, stdin=SKIP).run_dir
    second = run(failing, served, stdin=SKIP).run_dir

    def found(*words: str, cwd: Path = failing, root: Path | str = "") -> str:
        ended = dwx("status", "--json", *words, cwd=cwd, DWX_RUN_ROOT=str(root))
        return str(json.loads(ended.stdout)["run"])

    assert found() == second.name
    assert found(first.name) == first.name
    prefixes = (first.name[:length] for length in range(1, len(first.name)))
    unique = next(prefix for prefix in prefixes if not second.name.startswith(prefix))
    assert found(unique) == first.name
    assert found(first.name[2:]) == first.name
    assert found(str(first), cwd=Path("/")) == first.name
    assert found("--run-root", str(first.parent), first.name, cwd=Path("/")) == first.name
    assert found(first.name, cwd=Path("/"), root=first.parent) == first.name
    listed = dwx("runs", "--json", cwd=failing)
    assert [row["run"] for row in json.loads(listed.stdout)] == [second.name, first.name]
    text = dwx("runs", cwd=failing).stdout.decode().splitlines()
    assert text[-1] == f"next: dwx status {second.name}"


def test_the_only_run_that_lives_is_meant_and_of_two_one_must_be_named(
    failing: Path, served: Served
) -> None:
    flags = ("run", "sql", *served.flags)
    with live(*flags, cwd=failing, DATABRICKS_TOKEN=served.token) as older:
        older.until("error_prompt")
        ended = run(failing, served, stdin=SKIP)
        told = json.loads(dwx("status", "--json", cwd=failing).stdout)
        assert told["run"] == older.run_dir.name != ended.run_dir.name
        with live(*flags, cwd=failing, DATABRICKS_TOKEN=served.token) as newer:
            newer.until("error_prompt")
            unclear = dwx("answer", "p1", "skip", cwd=failing)
            assert unclear.exit_code == 2
            assert older.run_dir.name in unclear.stderr
            assert newer.run_dir.name in unclear.stderr


@pytest.mark.parametrize("verb", ["status", "wait", "watch", "events", "cancel"])
def test_a_run_that_is_not_there_is_an_error_that_says_where_it_was_looked_for(
    tmp_path: Path, verb: str
) -> None:
    nothing = dwx(verb, cwd=tmp_path)
    assert (nothing.exit_code, nothing.stdout) == (2, b"")
    assert ".dwx/runs" in nothing.stderr
    unknown = dwx(verb, "r-nosuch", "--json", cwd=tmp_path)
    assert unknown.exit_code == 2
    assert "r-nosuch" in json.loads(unknown.stdout)["error"]


def test_no_runs_are_no_error(tmp_path: Path) -> None:
    ended = dwx("runs", cwd=tmp_path)
    assert ended.exit_code == 0
    assert b"no runs" in ended.stdout


# --- lightness --------------------------------------------------------------------------------


def test_looking_and_answering_load_nothing_heavy(failing: Path, served: Served) -> None:
    run(failing, served, "--prompt-timeout", "0")
    loaded: dict[str, set[str]] = {}
    for words in ("status", "wait", "watch", "events", "runs", "answer p1 skip", "cancel --json"):
        script = (
            "import sys\nfrom executor.cli.main import main\n"
            f"main({words.split()!r})\nprint(*sys.modules, file=sys.stderr)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script],
            cwd=failing,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=True,
        )
        assert ended.stdout
        loaded[words] = set(ended.stderr.split()) & HEAVY
    assert {words for words, found in loaded.items() if found} == set()
