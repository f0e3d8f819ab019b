"""Time to the first event of `dwx run`, against importing pydantic and anyio and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import pairs, process, ratio

RUNS = 21
DWX = str(Path(sys.executable).with_name("dwx"))
EXAMPLE = str(Path(__file__).parent.parent / "examples" / "identity_unification")


def report() -> list[tuple[str, str, str]]:
    """Rows of (what, ratio, aim)."""
    with tempfile.TemporaryDirectory() as root:

        def first_event() -> float:
            begun = time.perf_counter()
            command = [DWX, "run", EXAMPLE, "--dry-run", "--run-root", root, "--local"]
            with subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
            ) as child:
                assert child.stdout is not None
                line = child.stdout.readline()
                elapsed = time.perf_counter() - begun
                child.stdout.read()
            assert b'"hello"' in line
            return elapsed

        def imports() -> float:
            return process([sys.executable, "-c", "import pydantic, anyio"]).wall_s

        ours, theirs = pairs(first_event, imports, RUNS)
    return [("first event / import pydantic, anyio (wall)", ratio(ours, theirs), "1.5")]
