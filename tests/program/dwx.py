"""Starts `dwx` as anybody would, and reads what it says through the protocol package.

Reading stdout here is itself a check: a line that is no valid event fails the test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from protocol.codec import decode
from protocol.hello import Entry
from protocol.log import read_entries, resolve

DWX = (str(Path(sys.executable).with_name("dwx")),)
TIMEOUT_SECONDS = 120
"""No test waits for it: it only keeps a defect from hanging the suite."""


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    exit_code: int
    stdout: bytes
    stderr: str
    cwd: Path

    @property
    def entries(self) -> list[Entry]:
        return [decode(line) for line in self.stdout.splitlines(keepends=True)]

    @property
    def run_dir(self) -> Path:
        hello = decode(self.stdout.splitlines(keepends=True)[0]).event
        return self.cwd / str(hello.run_dir)  # type: ignore[union-attr]

    @property
    def record(self) -> list[Entry]:
        """What the run directory holds, artifacts resolved."""
        run_dir = self.run_dir
        return [resolve(entry, run_dir) for entry in read_entries(run_dir / "events.jsonl")]

    def of(self, *types: str) -> list[Any]:
        return [entry.event for entry in self.record if entry.event.type in types]

    @property
    def last(self) -> Any:
        return self.entries[-1].event


def environment(**more: str) -> dict[str, str]:
    """The environment without anything that would connect somewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS")}
    nothing = {"DATABRICKS_CONFIG_FILE": os.devnull, "BROWSER": "true"}
    return {**kept, **nothing, **more}


def dwx(*arguments: str, cwd: Path, stdin: bytes | int | IO[bytes] = b"", **more: str) -> Ended:
    """Runs the program to its end. `stdin`: bytes for a pipe, or a descriptor."""
    given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    ended = subprocess.run(
        [*DWX, *arguments],
        cwd=cwd,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        env=environment(**more),
        check=False,
        **given,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr.decode(), cwd)


def in_bash(command: str, *, cwd: Path, **more: str) -> Ended:
    """Runs a command line of bash, for descriptors and limits; `$DWX` is the program."""
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        env=environment(DWX=DWX[0], **more),
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr.decode(), cwd)


class Live:
    """A program that runs, with both its pipes in hand."""

    def __init__(self, process: subprocess.Popen[bytes], cwd: Path) -> None:
        self.process = process
        self.cwd = cwd
        self.lines: list[bytes] = []

    def until(self, *types: str) -> Any:
        """Reads events until one of these types comes, and returns it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            event = decode(line).event
            if event.type in types:
                return event
        raise AssertionError(f"the output ended without {types}: {self.lines[-3:]}")

    @property
    def run_dir(self) -> Path:
        """The run directory, once `hello` has been read."""
        return self.cwd / str(decode(self.lines[0]).event.run_dir)  # type: ignore[union-attr]

    def decide(self, **decision: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"type": "decide", **decision}).encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> Ended:
        """Reads to the end."""
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)
        code = self.process.wait(TIMEOUT_SECONDS)
        assert self.process.stderr is not None
        return Ended(code, b"".join(self.lines), self.process.stderr.read().decode(), self.cwd)


@contextmanager
def live(*arguments: str, cwd: Path, **more: str) -> Iterator[Live]:
    """Starts the program with a pipe at each end."""
    with started([*DWX, *arguments], cwd, **more) as program:
        yield program


@contextmanager
def started(command: Sequence[str], cwd: Path, **more: str) -> Iterator[Live]:
    """As `live`, by a command that starts the program in turn."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**more),
    ) as process:
        try:
            yield Live(process, cwd)
        finally:
            process.kill()


def workflow(directory: Path, **files: str) -> Path:
    """Writes SQL files; `f01_name="SELECT 1"` becomes `01_name.sql`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / f"{name.removeprefix('f')}.sql").write_text(text)
    return directory
