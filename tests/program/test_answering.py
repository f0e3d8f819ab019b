"""A run is driven from other processes, without a word on its stdin."""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.program.conftest import Served
from tests.program.dwx import TIMEOUT_SECONDS, Ended, dwx, live, workflow
from tests.program.test_deciding import ENDLESS

AT_ONCE = 40
"""Processes that answer at the same time."""


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """A workflow with two files that fail and do not need each other."""
    workflow(
        tmp_path / "sql",
        f01="SELECT * FROM no_such_table",
        f02="SELECT * FROM no_such_table_either",
    )
    return tmp_path


def inbox(cwd: Path, run_dir: str) -> list[Path]:
    return sorted((cwd / run_dir / "inbox").glob("*.json"))


def done(cwd: Path, run_dir: str) -> list[Path]:
    return sorted((cwd / run_dir / "inbox" / "done").glob("*.json"))


def verdict(ended: Ended) -> str:
    """What `dwx answer --json` was told."""
    told = json.loads(ended.stdout)
    return str(told["code"] or told["result"])


def suspended(cwd: Path, served: Served) -> Ended:
    ended = dwx(
        "run", "sql", *served.flags, "--prompt-timeout", "0",
        cwd=cwd, DATABRICKS_TOKEN=served.token,
    )  # fmt: skip
    assert ended.exit_code == 5
    return ended


# --- while it lives ---------------------------------------------------------------------------


def test_an_answer_is_taken_and_its_effect_is_there_before_the_verdict(
    failing: Path, served: Served
) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        answered = dwx("answer", "p1", "skip", "--by", "me", "--reason", "known", cwd=failing)
        assert answered.exit_code == 0, answered.stderr
        assert b"'skip'" in answered.stdout
        assert dwx("wait", "--timeout", "60", cwd=failing).exit_code == 5
        look = json.loads(dwx("status", "--json", cwd=failing).stdout)
        assert [prompt["prompt"] for prompt in look["prompts"]] == ["p2"]
        assert dwx("answer", look["run"], "p2", "skip", cwd=failing).exit_code == 0
        ended = program.end()
    assert ended.exit_code == 4
    first, second = ended.of("prompt_resolved")
    assert (first.source, first.by, first.reason) == ("inbox", "me", "known")
    assert second.source == "inbox"
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=failing).exit_code == 0


REFUSED = {
    ("p1", "yes"): "not_offered",
    ("p1", "skip", "--digest", "0"): "stale",
    ("the first", "skip"): "unknown_prompt",
    ("p1", "skip", "--by", "x" * 300): "malformed",
    ("p1", "skip", "--reason", "x" * 20_000): "too_long",
}


def test_a_bad_answer_is_rejected_with_its_reason_and_the_run_goes_on_waiting(
    failing: Path, served: Served
) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        run_dir = program.until("hello").run_dir
        program.until("error_prompt")
        for words, code in REFUSED.items():
            refused = dwx("answer", *words, "--json", cwd=failing)
            assert (refused.exit_code, verdict(refused)) == (20, code), words
        assert inbox(failing, run_dir) == []
        assert dwx("answer", "p1", "abort", cwd=failing).exit_code == 0
        assert program.end().exit_code == 3


def test_an_answer_may_come_before_its_prompt(failing: Path, served: Served) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        early = dwx("answer", "p2", "skip", cwd=failing)
        assert early.exit_code == 0
        assert b"kept until p2 is asked" in early.stdout
        assert dwx("answer", "p1", "skip", cwd=failing).exit_code == 0
        assert program.end().exit_code == 4


def test_the_same_answer_by_its_id_has_one_effect_and_the_same_verdict(
    failing: Path, served: Served
) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        for _ in range(2):
            again = dwx("answer", "p1", "skip", "--id", "mine", "--json", cwd=failing)
            assert (again.exit_code, verdict(again)) == (0, "accepted")
        assert dwx("answer", "p2", "abort", cwd=failing).exit_code == 0
        ended = program.end()
    first, _ = ended.of("decision_accepted")
    assert first.id == "mine"


def test_a_decision_with_an_id_that_was_seen_makes_no_event_and_is_put_away(
    failing: Path, served: Served
) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        run_dir = program.until("hello").run_dir
        program.until("error_prompt")
        box = failing / run_dir / "inbox"
        for name in ("1", "2", "3"):
            (box / f".{name}").write_text('{"type":"ping","nonce":"same"}')
            (box / f".{name}").rename(box / f"{name}.json")
        # the next one is taken after these
        assert dwx("answer", "p1", "abort", cwd=failing).exit_code == 0
        ended = program.end()
    assert [event.nonce for event in ended.of("decision_accepted")] == ["same", None]
    assert inbox(failing, run_dir) == []
    assert len(done(failing, run_dir)) == 4


def test_a_cancel_stops_the_statement_that_runs(tmp_path: Path, served_alone: Served) -> None:
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
        assert dwx("wait", "--timeout", "0", cwd=tmp_path).exit_code == 75
        assert dwx("cancel", "--by", "me", cwd=tmp_path).exit_code == 0
        assert dwx("wait", "--until", "finished", cwd=tmp_path).exit_code == 6
        ended = program.end()
    assert ended.exit_code == 6
    assert [event.by for event in ended.of("cancel_requested")] == ["decision"]
    late = dwx("cancel", cwd=tmp_path)
    assert late.exit_code == 20
    assert b"the run is over" in late.stdout


# --- many at once -----------------------------------------------------------------------------


def answers_at_once(cwd: Path, count: int) -> Counter[tuple[int, str]]:
    def answer(number: int) -> tuple[int, str]:
        choice = "skip" if number % 2 else "continue"
        ended = dwx("answer", "p1", choice, "--by", str(number), "--json", cwd=cwd)
        return ended.exit_code, verdict(ended)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(answer, range(count)))


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.soak)])
def test_of_many_answers_to_one_prompt_exactly_one_wins_and_every_other_is_told(
    failing: Path, served: Served, count: int
) -> None:
    """The run goes on to its second prompt, so it judges all of them itself."""
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        run_dir = program.until("hello").run_dir
        program.until("error_prompt")
        told = answers_at_once(failing, count)
        dwx("answer", "p2", "abort", cwd=failing)
        ended = program.end()
    assert told == {(0, "accepted"): 1, (20, "already_resolved"): count - 1}
    assert len(ended.of("decision_rejected")) == count - 1
    assert inbox(failing, run_dir) == []
    assert len(done(failing, run_dir)) == count + 1
    assert [event.prompt for event in ended.of("prompt_resolved")] == ["p1", "p2"]


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.soak)])
def test_those_who_answer_while_the_run_ends_are_told_what_won(
    tmp_path: Path, served: Served, count: int
) -> None:
    workflow(tmp_path / "sql", f01="SELECT * FROM no_such_table")
    with live("run", "sql", *served.flags, cwd=tmp_path, DATABRICKS_TOKEN=served.token) as program:
        run_dir = program.until("hello").run_dir
        program.until("error_prompt")
        told = answers_at_once(tmp_path, count)
        assert program.end().exit_code == 4
    assert told == {(0, "accepted"): 1, (20, "already_resolved"): count - 1}
    assert inbox(tmp_path, run_dir) == []


# --- when nobody runs it ----------------------------------------------------------------------


def test_an_answer_to_a_suspended_run_is_kept_for_its_resume(failing: Path, served: Served) -> None:
    ended = suspended(failing, served)
    assert dwx("wait", cwd=failing).exit_code == 5
    refused = dwx("answer", "p1", "yes", "--json", cwd=failing)
    assert (refused.exit_code, verdict(refused)) == (20, "not_offered")
    assert inbox(failing, str(ended.run_dir)) == []
    kept = dwx("answer", "p1", "skip", cwd=failing)
    assert kept.exit_code == 21
    assert f"next: dwx resume {ended.entries[0].run}" in kept.stdout.decode()
    assert len(inbox(failing, str(ended.run_dir))) == 1
    look = json.loads(dwx("status", "--json", cwd=failing).stdout)
    assert (look["state"], look["kept"]) == ("suspended", ["p1 skip"])
    again = dwx("answer", "p1", "abort", cwd=failing)
    assert again.exit_code == 21
    assert b"behind p1 skip, which counts first" in again.stdout


def test_an_answer_to_a_run_that_was_killed_is_kept_too(failing: Path, served: Served) -> None:
    with live("run", "sql", *served.flags, cwd=failing, DATABRICKS_TOKEN=served.token) as program:
        program.until("error_prompt")
        program.process.kill()
        program.process.wait(TIMEOUT_SECONDS)
    assert dwx("wait", cwd=failing).exit_code == 23
    assert dwx("answer", "p1", "skip", cwd=failing).exit_code == 21
    assert json.loads(dwx("status", "--json", cwd=failing).stdout)["state"] == "crashed"


def test_an_answer_to_a_run_that_does_not_listen_waits_in_the_inbox(
    failing: Path, served: Served
) -> None:
    """The process lives (it holds the lock), but nobody takes what is in the inbox."""
    ended = suspended(failing, served)
    log = ended.run_dir / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    with (ended.run_dir / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = dwx("answer", "p1", "skip", "--timeout", "0", "--json", cwd=failing)
    assert (waiting.exit_code, verdict(waiting)) == (22, "no_verdict")
    assert len(inbox(failing, str(ended.run_dir))) == 1


def test_a_run_that_is_over_says_what_won(failing: Path, served: Served) -> None:
    decisions = b'{"type":"decide","prompt":"p1","choice":"abort","by":"ana"}\n'
    ended = dwx(
        "run", "sql", *served.flags, cwd=failing, stdin=decisions, DATABRICKS_TOKEN=served.token
    )
    late = dwx("answer", "p1", "skip", cwd=failing)
    assert late.exit_code == 20
    assert b"p1 was settled with 'abort' (decision by ana)" in late.stdout
    never = dwx("answer", "p7", "skip", "--json", cwd=failing)
    assert (never.exit_code, verdict(never)) == (20, "unknown_prompt")
    assert inbox(failing, str(ended.run_dir)) == []
