"""Drives dwx from Python: starts it, reads its events, and answers a prompt.

    python examples/drive_from_python.py

It makes a workflow whose second file fails, runs it on the embedded warehouse, repairs the file
when asked, and lets the run finish. Exit code 0 if the run succeeded.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from protocol.codec import decode
from protocol.events import ErrorPrompt, Iteration, RowsAffected, RunFinished

FILES = {
    "01_make.sql": "CREATE OR REPLACE TABLE people AS SELECT explode(sequence(1, 10)) AS id;",
    "02_copy.sql": "CREATE OR REPLACE TABLE copies AS SELECT id FROM peeple;",
}
REPAIRED = "CREATE OR REPLACE TABLE copies AS SELECT id FROM people;"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        sql = Path(folder, "sql")
        sql.mkdir()
        for name, text in FILES.items():
            (sql / name).write_text(text)
        return drive(["dwx", "run", "sql", "--local"], folder, sql)


def drive(command: list[str], folder: str, sql: Path) -> int:
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        for line in run.stdout:
            event = decode(line).event
            match event:
                case RowsAffected(target=target, total=total):
                    print(f"{target}: {total} rows")
                case Iteration(iteration=number, updated=updated):
                    print(f"iteration {number} changed {updated} rows")
                case ErrorPrompt(prompt=prompt, title=title):
                    print(f"{title}: repairing the file and trying again")
                    (sql / "02_copy.sql").write_text(REPAIRED)
                    answer = {"type": "decide", "prompt": prompt, "choice": "retry"}
                    run.stdin.write(json.dumps(answer).encode() + b"\n")
                    run.stdin.flush()
                case RunFinished(outcome=outcome):
                    print(f"the run {outcome}")
                case _:
                    pass  # a reader takes what it knows and leaves the rest
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
