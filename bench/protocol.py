"""Writing and reading events: how many for a second of CPU, and how much memory it takes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

EVENTS = 1_000_000

WRITE = """
import sys, time
from protocol.codec import encode
from protocol.events import RowsAffected
from protocol.hello import Entry
count = int(sys.argv[2])
begun = time.process_time()
with open(sys.argv[1], "wb") as log:
    for seq in range(1, count + 1):
        event = RowsAffected(statement="f3.s2", file="f3", target="main.default.t", total=seq,
                             inserted=seq, updated=None, deleted=None, source="result")
        entry = Entry(v=1, run="r-abcdef", seq=seq, ts="2026-01-31T12:00:00.000Z", event=event)
        log.write(encode(entry))
spent = time.process_time() - begun
import resource
print(round(count / spent), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""

READ = """
import sys, time
from pathlib import Path
from protocol.log import read_entries
begun = time.process_time()
count = sum(1 for _ in read_entries(Path(sys.argv[1])))
spent = time.process_time() - begun
import resource
print(round(count / spent), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def report() -> list[tuple[str, str, str]]:
    """Rows of (what, measured, aim)."""
    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder, "short.jsonl"), Path(folder, "long.jsonl")
        _script(WRITE, str(short), str(EVENTS // 100))
        write_rate, write_mib = _script(WRITE, str(long), str(EVENTS))
        _, short_mib = _script(READ, str(short))
        read_rate, read_mib = _script(READ, str(long))
    return [
        (f"encoding {EVENTS:,} events", f"{write_rate:,} per CPU second, {write_mib} MiB", ""),
        (f"reading {EVENTS:,} events", f"{read_rate:,} per CPU second, {read_mib} MiB", ""),
        (
            f"peak memory, reading {EVENTS:,} / {EVENTS // 100:,} events",
            f"{read_mib / short_mib:.2f}",
            "1 (reading does not grow with the log)",
        ),
    ]


def _script(source: str, *arguments: str) -> tuple[int, int]:
    ended = subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=True
    )
    rate, mib = ended.stdout.split()
    return int(rate), int(mib)
