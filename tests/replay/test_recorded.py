"""The recorded logs of the examples replay, and a cut or changed one is noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from protocol.log import classify
from tests.program.dwx import dwx, in_bash

RECORDED = Path(__file__).parents[2] / "examples" / "recorded"
LOGS = sorted(RECORDED.glob("*/events.jsonl"))


def test_both_examples_are_recorded() -> None:
    assert [log.parent.name for log in LOGS] == ["identity_unification", "supplier_reach"]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.parent.name)
def test_a_recorded_log_verifies_in_silence(log: Path, tmp_path: Path) -> None:
    ended = dwx("replay", "--verify", str(log), cwd=tmp_path)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, b"", "")


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.parent.name)
def test_a_recorded_log_reads_as_text(log: Path, tmp_path: Path) -> None:
    text = dwx("replay", str(log), cwd=tmp_path).stdout.decode()
    for part in ("✓ Connected", "Executing: ", "--- Iteration 2 ---", "✓ Converged", "✓ Succeeded"):
        assert part in text


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.parent.name)
def test_a_changed_log_is_named_with_file_seq_expected_and_actual(
    log: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(log.parent, copy)
    lines = (copy / "events.jsonl").read_text().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if '"type":"iteration"' in line)
    event = json.loads(lines[place])
    lines[place] = lines[place].replace(
        f'"updated":{event["updated"]}', f'"updated":{event["updated"] + 1}'
    )
    (copy / "events.jsonl").write_text("".join(lines))
    ended = dwx("replay", "--verify", str(copy), cwd=tmp_path)
    assert ended.exit_code == 10
    told = dict(line.split(":", 1) for line in ended.stdout.decode().splitlines())
    assert told["file"].strip() == str(copy / "events.jsonl")
    assert told["seq"].strip() == str(event["seq"])
    assert told["expected"].strip() == str(event["updated"])
    assert told["actual"].strip() == str(event["updated"] + 1)


def test_a_recorded_log_cut_at_any_byte_is_classified_rightly(tmp_path: Path) -> None:
    whole = LOGS[0].read_bytes()
    cut = tmp_path / "events.jsonl"
    ends = {n + 1 for n, byte in enumerate(whole) if byte == ord("\n")}
    near = {end + shift for end in ends for shift in (-2, -1, 0, 1, 2)}
    for length in sorted(size for size in near | {0} if 0 <= size <= len(whole)):
        cut.write_bytes(whole[:length])
        state = classify(cut, alive=False).state
        if length == len(whole):
            assert state == "complete"
        elif length in ends:
            assert state == "crashed"
        else:
            assert state == "truncated"


def test_the_examples_recorded_say_nothing_of_the_machine_they_ran_on() -> None:
    for log in LOGS:
        assert "/work" not in log.read_text()
        assert "/home" not in log.read_text()
        assert "/root" not in log.read_text()


@pytest.mark.parametrize("verb", ["replay", "report"])
def test_a_reader_that_has_seen_enough_is_no_fault(verb: str, tmp_path: Path) -> None:
    ended = in_bash(
        f"set -o pipefail; for i in 1 2 3; do $DWX {verb} {LOGS[0]}; done | head -1", cwd=tmp_path
    )
    assert (ended.stdout.count(b"\n"), ended.stderr) == (1, "")
