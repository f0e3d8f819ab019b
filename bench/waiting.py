"""How long after a prompt is recorded `dwx wait` is back with its caller."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

RUNS = 7
DWX = str(Path(sys.executable).with_name("dwx"))


def report() -> list[tuple[str, str, str]]:
    """Rows of (what, measured, aim)."""
    delays = sorted(_delay_ms() for _ in range(RUNS))
    measured = f"{statistics.median(delays):.0f} ms ({delays[0]:.0f} to {delays[-1]:.0f})"
    return [("from a prompt in the record to the end of dwx wait", measured, "100 ms")]


def _delay_ms() -> float:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sql").mkdir()
        Path(folder, "sql", "01.sql").write_text("SELECT * FROM nowhere")
        command = [DWX, "run", "sql", "--local", "--stdout", "attention"]
        with subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as run:
            subprocess.run([DWX, "wait"], cwd=folder, stdout=subprocess.DEVNULL, check=False)
            returned = time.time()
            (log,) = Path(folder).glob(".dwx/runs/*/events.jsonl")
            events = [json.loads(line) for line in log.read_text().splitlines()]
            asked = next(event["ts"] for event in events if event["type"] == "error_prompt")
            assert run.stdin is not None
            run.stdin.write(b'{"type":"decide","prompt":"p1","choice":"abort"}\n')
            run.stdin.close()
    return (returned - datetime.fromisoformat(asked).timestamp()) * 1000
