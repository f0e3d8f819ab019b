"""A failed statement's stack: its first cause in the event, the whole in an artifact."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.program.dwx import Ended, dwx, workflow

CANARY = "dapi" + "0123456789abcdef" * 2
RUN = ("run", "sql", "--local", "warehouse", "--stdout", "full")
CONVERSION = "duckdb.ConversionException: Conversion Error: Could not convert string '"


def failed(cwd: Path, value: str) -> Ended:
    """A run that fails because `value` is no number, and suspends itself."""
    sql = f"CREATE TABLE made AS SELECT CAST(v AS INT) AS n FROM (SELECT '{value}' AS v)"
    workflow(cwd / "sql", f01=sql)
    ended = dwx(*RUN, "--prompt-timeout", "0", cwd=cwd)
    assert ended.exit_code == 5, ended.stderr
    return ended


def errors(ended: Ended) -> list[dict[str, Any]]:
    """The errors on stdout, as they stand there."""
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    return [event["error"] for event in events if event.get("error")]


def test_the_cause_is_in_the_event_and_the_stack_in_an_artifact(tmp_path: Path) -> None:
    ended = failed(tmp_path, f"key {CANARY}")
    finished, asked = errors(ended)
    assert finished == asked
    assert finished["cause"] == f"{CONVERSION}key ***' to INT32"
    assert len(json.dumps(finished)) < 1_500
    stack, ref = finished["stack"], finished["stack"]["ref"]
    kept = (ended.run_dir / ref).read_bytes()
    assert stack == {"text": "", "truncated": True, "bytes": len(kept), "ref": ref}
    assert ref == f"artifacts/{hashlib.sha256(kept).hexdigest()}.txt"
    assert kept.startswith(b"org.apache.hive.service.cli.HiveSQLException: Error running query: [")
    assert b"\n\tat " in kept
    assert f"\nCaused by: {CONVERSION}key ***' to INT32\n" in kept.decode()
    assert "HiveSQLException" not in ended.stdout.decode()

    shown = dwx("replay", str(ended.run_dir), cwd=tmp_path).stdout.decode()
    assert f"  caused by {CONVERSION}key ***' to INT32\n" in shown
    assert f"  stack: {ref} ({len(kept)} bytes)\n" in shown


@pytest.mark.parametrize("room", [10, 25, 34])
def test_no_half_of_a_secret_is_left_where_a_cause_ends(room: int, tmp_path: Path) -> None:
    """`room`: characters of the secret that would have stayed within the 300 of a cause."""
    before = "x" * (300 - len(" …".encode()) - len(CONVERSION) - room - 1) + " "
    ended = failed(tmp_path, f"{before}{CANARY} {'y' * 300}")
    assert errors(ended)[0]["cause"].endswith(" …")
    written = [path.read_bytes() for path in ended.run_dir.rglob("*") if path.is_file()]
    for text in (ended.stdout, ended.stderr.encode(), *written):
        assert b"dapi" not in text


def test_a_record_verifies_and_is_resumed_with_its_stack_and_not_without(tmp_path: Path) -> None:
    ended = failed(tmp_path, "no number")
    verify = ("replay", "--verify", str(ended.run_dir))
    assert dwx(*verify, cwd=tmp_path).exit_code == 0
    (artifact,) = (ended.run_dir / "artifacts").iterdir()
    whole = artifact.read_bytes()

    artifact.unlink()
    for verb, code in ((verify, 10), (("resume",), 2)):
        missing = dwx(*verb, cwd=tmp_path)
        assert missing.exit_code == code, missing.stderr
        assert f"artifacts/{artifact.name}" in missing.stderr + missing.stdout.decode()

    artifact.write_bytes(whole)
    workflow(tmp_path / "sql", f01="CREATE TABLE made AS SELECT 1 AS n")
    decision = b'{"type":"decide","prompt":"p1","choice":"retry"}\n'
    resumed = dwx("resume", cwd=tmp_path, stdin=decision)
    assert resumed.exit_code == 0, resumed.stderr
    assert dwx(*verify, cwd=tmp_path).exit_code == 0
