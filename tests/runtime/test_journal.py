"""The record holds whole lines, whatever happens to the disk."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from executor.runtime import rundir
from executor.runtime.journal import Journal
from protocol.events import InputClosed, Warned
from protocol.hello import Entry
from protocol.log import read_entries, resolve

FULL_DISK = """
import resource, sys
from pathlib import Path
from executor.runtime.journal import Journal
from protocol.events import Warned
from protocol.hello import Entry

resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
journal = Journal(Path(sys.argv[1]), str)
written = 0
try:
    while True:
        event = Warned(code="X", detail="y" * 700)
        entry = Entry(v=1, run="r-abcdef", seq=written + 1, ts="t", event=event)
        journal.append(journal.line(entry), durable=True)
        written += 1
except OSError as exc:
    print(written)
"""


def entry(seq: int, detail: str = "") -> Entry:
    event = Warned(code="X", detail=detail) if detail else InputClosed()
    return Entry(v=1, run="r-abcdef", seq=seq, ts="2026-01-31T12:00:00.000Z", event=event)


def test_what_is_appended_can_be_read_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl", str)
    entries = [entry(seq) for seq in range(1, 4)]
    for one in entries:
        journal.append(journal.line(one), durable=True)
    assert list(read_entries(tmp_path / "events.jsonl")) == entries


def test_a_text_too_long_for_a_line_is_kept_whole_beside_it(tmp_path: Path) -> None:
    directory = rundir.create(tmp_path / "runs")
    journal = Journal(directory.events, str)
    long = entry(1, "é" * 20_000)
    journal.append(journal.line(long), durable=True)
    (read,) = read_entries(directory.events)
    assert resolve(read, directory.path) == long
    (artifact,) = (directory.path / "artifacts").iterdir()
    assert stat.S_IMODE(artifact.stat().st_mode) == 0o600


def test_a_write_that_does_not_fit_leaves_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    whole = int(ended.stdout)
    assert whole >= 2
    assert len(list(read_entries(path))) == whole
    assert path.read_bytes().endswith(b"\n")


def test_a_run_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    directory = rundir.create(tmp_path / "deep" / "runs")
    Journal(directory.events, str).close()
    lock = rundir.RunLock(directory)
    for path in (directory.path, directory.path / "artifacts"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (directory.events, directory.lock):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert rundir.is_alive(directory.path)
    del lock


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    directory = rundir.create(tmp_path)
    script = (
        "import os, sys; from pathlib import Path; from executor.runtime import rundir\n"
        "lock = rundir.RunLock(rundir.RunDirectory('r-abcdef', Path(sys.argv[1])))\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(directory.path)], check=False)
    assert directory.lock.exists()
    assert not rundir.is_alive(directory.path)
