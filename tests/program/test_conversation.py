"""The whole conversation from separate commands: start, fail, look, repair, answer, wait, finish.

It is the same whatever stdin is: the run is driven without it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.codec import decode
from protocol.log import read_entries, resolve
from protocol.shapes import stable_fields_of
from tests.program.conftest import Served
from tests.program.dwx import DWX, Ended, dwx, environment, workflow

STDINS = {
    "null": "{} < /dev/null > out.jsonl 2> err.txt &",
    "closed": "{} <&- > out.jsonl 2> err.txt &",
    # a pipe that says nothing, held open by somebody else for as long as the run lives
    "silent pipe": "mkfifo pipe; {} <> pipe > out.jsonl 2> err.txt &",
}
MOST_BYTES = 6_000
"""What an agent reads at most to get a failing workflow to its end."""


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    workflow(
        tmp_path / "sql",
        f01="CREATE OR REPLACE TABLE talked AS SELECT 1 AS a",
        f02="INSERT INTO talked VALUES (2)",
        f03="CREATE OR REPLACE TABLE talked_about AS SELECT b FROM talked",
        f04="CREATE OR REPLACE TABLE talked_of AS SELECT a FROM talked_about",
    )
    return tmp_path


def converse(cwd: Path, served: Served, start: str) -> tuple[list[dict[str, Any]], int]:
    """Drives the run to its end; returns its events and the bytes that were read on the way."""
    read: list[bytes] = []

    def say(*words: str, expected: int) -> str:
        ended: Ended = dwx(*words, cwd=cwd, stdin=subprocess.DEVNULL)
        assert ended.exit_code == expected, (words, ended.stdout, ended.stderr)
        read.append(ended.stdout)
        return ended.stdout.decode()

    command = f"{DWX[0]} run sql {' '.join(served.flags)}"
    shell = start.format(command)
    given = environment(DATABRICKS_TOKEN=served.token)
    subprocess.run(["bash", "-c", shell], cwd=cwd, env=given, check=True, timeout=60)

    waited = say("wait", "--until", "attention", "--timeout", "60", expected=5)
    assert "f3.s1 in 03.sql" in waited
    looked = say("status", expected=0)
    assert len(looked.encode()) < 1_000
    assert "UNRESOLVED_COLUMN" in looked
    workflow(cwd / "sql", f03="CREATE OR REPLACE TABLE talked_about AS SELECT a FROM talked")
    assert "settled with 'retry'" in say("answer", "p1", "retry", expected=0)
    assert "succeeded" in say("wait", "--until", "finished", "--timeout", "60", expected=0)

    (log,) = (cwd / ".dwx" / "runs").glob("r-*/events.jsonl")
    assert dwx("replay", "--verify", str(log), cwd=cwd).exit_code == 0
    assert decode((cwd / "out.jsonl").read_bytes().splitlines()[-1]).event.type == "run_finished"
    return list(comparable(log)), sum(map(len, read))


def comparable(log: Path) -> Iterator[dict[str, Any]]:
    """What two runs that did the same have in common, whatever their stdin was."""
    for entry in read_entries(log):
        event = stable_fields_of(resolve(entry, log.parent).event)
        if entry.event.type == "run_finished":
            # they count `input_closed` too
            del event["digest"], event["events"]
        if entry.event.type == "decision_accepted":
            event.pop("id")  # made up by `dwx answer`
        if entry.event.type != "input_closed":
            yield event


def test_the_conversation_is_the_same_with_every_stdin_that_says_nothing(
    failing: Path, tmp_path: Path, served: Served
) -> None:
    told = {}
    for name, start in STDINS.items():
        cwd = tmp_path / name
        shutil.copytree(failing / "sql", cwd / "sql")
        told[name], read = converse(cwd, served, start)
        assert read < MOST_BYTES
    expected = told["null"]
    kinds = [event["type"] for event in expected]
    assert kinds.count("error_prompt") == kinds.count("decision_accepted") == 1
    assert {name for name, events in told.items() if events != expected} == set()
