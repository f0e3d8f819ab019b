"""What the script in use today does with a loop: serially, one statement after the other.

It runs the files of a directory in order. After each iteration it counts the rows that have changed
(EXCEPT) and optimizes the iteration's table; at 0 it makes the loop's alias and goes on with the
next files. Its pauses of two seconds an iteration are left out, and so are its mistakes.

Arguments: the warehouse's connection URI, a file with its token, a JSON file with the plan (see
`bench.convergence`), a file for what it did.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from databricks import sql


class Script:
    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor
        self.loop_ms = 0.0

    def execute(self, statement: str) -> Any:
        self.cursor.execute(statement)
        return self.cursor.fetchone() if self.cursor.description else None

    def loop(self, iterations: list[dict[str, Any]]) -> int:
        """Runs iterations until one changes nothing; returns its number."""
        for number, iteration in enumerate(iterations, 1):
            begun = time.perf_counter()
            for statement in iteration["statements"]:
                self.execute(statement)
            changed = self.execute(iteration["test"])
            self.execute(iteration["optimize"])
            self.loop_ms += (time.perf_counter() - begun) * 1000
            if changed[0] == 0:
                self.execute(iteration["alias"])
                return number
        raise RuntimeError("there are not enough iterations")


def main(uri: str, token_file: str, plan_file: str, done_file: str) -> None:
    parts = urlsplit(uri)
    plan = json.loads(Path(plan_file).read_text())
    with (
        sql.connect(
            server_hostname=parts.hostname,
            http_path=parts.path,
            access_token=Path(token_file).read_text().strip(),
            _connection_uri=uri,
            enable_telemetry=False,
            use_cloud_fetch=False,
        ) as connection,
        connection.cursor() as cursor,
    ):
        script = Script(cursor)
        iterations = script.loop(plan["iterations"])
        for statement in plan["after"]:
            script.execute(statement)
    done = {"iterations": iterations, "loop_ms": script.loop_ms}
    Path(done_file).write_text(json.dumps(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
