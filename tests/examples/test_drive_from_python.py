"""The example program that drives dwx does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.program.dwx import TIMEOUT_SECONDS, environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "drive_from_python.py"


def test_it_repairs_the_file_and_finishes(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(PATH=path),
        timeout=TIMEOUT_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-2:] == ["main.default.copies: 10 rows", "the run succeeded"]
