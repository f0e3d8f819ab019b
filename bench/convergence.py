"""`dwx run` against what the script in use today does, for the loop of a large graph.

The graph is made beforehand: chains of 8 to 20 identifiers whose order is a hash, as many as give
about a million edges. Both run the loop of the identity example and the file after it, on the same
embedded warehouse in a process of its own, in turn.
"""

from __future__ import annotations

import itertools
import json
import re
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import process, ratio
from bench.overhead import DWX, EXAMPLE, warehouse
from executor.core.own_sql import alias_sql, changed_rows_sql, optimize_sql
from executor.workflow.load import load_workflow

RUNS = 3
CHAINS = 47_000
ITERATIONS = 12
"""Files of the loop: more than the graph needs, so that the script can stop where it wants."""
SCRIPT = str(Path(__file__).with_name("todays_script.py"))
PLACE = {"catalog": "main", "schema": "default"}
MAKE_GRAPH = f"""
CREATE OR REPLACE TABLE ${{catalog}}.${{schema}}.unified_id_graph_unify_loop_0 AS
WITH nodes AS (
  SELECT
    chain.id AS chain,
    link.id AS place,
    SUBSTRING(SHA2(CONCAT(CAST(chain.id AS STRING), ':', CAST(link.id AS STRING)), 256), 1, 16)
      AS id
  FROM range({CHAINS}) AS chain CROSS JOIN range(20) AS link
  WHERE link.id < 8 + chain.id % 13
),
pairs AS (
  SELECT one.id AS one, other.id AS other
  FROM nodes AS one JOIN nodes AS other
    ON one.chain = other.chain AND one.place + 1 = other.place
),
edges AS (
  SELECT one AS follower_id, LEAST(one, other) AS leader_id FROM pairs
  UNION ALL
  SELECT other AS follower_id, LEAST(one, other) AS leader_id FROM pairs
)
SELECT DISTINCT follower_id, 1 AS follower_ns, leader_id, 1 AS leader_ns FROM edges;
"""


@dataclass(frozen=True)
class Measured:
    """One run of either."""

    wall_s: float
    loop_ms: float
    """What the loop's statements took, its tests and OPTIMIZE included, the alias left out."""
    statements: int
    """That the warehouse got, the program's own questions included."""
    iterations: int


MODES = {
    "dwx, residual": ("--convergence", "residual"),
    "dwx, both": ("--convergence", "both"),
    "dwx, both, OPTIMIZE": ("--optimize", "loop", "--optimize-min-files", "0"),
}
"""The ways in which dwx goes through the loop; the last does all that the script does, and more."""


def report() -> list[tuple[str, str, str]]:
    """Rows of (what, measured, aim)."""
    with tempfile.TemporaryDirectory() as root, warehouse(Path(root)) as server:
        folder = Path(root)
        edges = _make_graph(folder, server)
        ways: dict[str, Callable[[], Measured]] = {"script": _script(folder, server)}
        for name, flags in MODES.items():
            ways[name] = _dwx(folder, server, flags)
        ways["script"]()  # does not count
        measured: dict[str, list[Measured]] = {name: [] for name in ways}
        for _ in range(RUNS):
            for name, way in ways.items():
                measured[name].append(way())
    return _rows(f"{edges:,} edges", measured)


def _rows(graph: str, measured: dict[str, list[Measured]]) -> list[tuple[str, str, str]]:
    script = measured.pop("script")
    rows = [(f"today's script, {graph}", _said(script), "")]
    for name, ours in measured.items():
        rows += [
            (f"{name}, {graph}", _said(ours), ""),
            (f"{name} / today's script (wall)", _ratio(ours, script, "wall_s"), "1"),
            (f"{name} / today's script (loop)", _ratio(ours, script, "loop_ms"), "1"),
        ]
    residual, both, _ = measured.values()
    rows.append(("dwx, residual / both (loop)", _ratio(residual, both, "loop_ms"), "below 1"))
    return rows


def _said(runs: Sequence[Measured]) -> str:
    wall = statistics.median(one.wall_s for one in runs)
    return f"{runs[0].iterations} iterations, {runs[0].statements} statements, {wall:.1f} s"


def _ratio(ours: Sequence[Measured], theirs: Sequence[Measured], figure: str) -> str:
    return ratio([getattr(one, figure) for one in ours], [getattr(one, figure) for one in theirs])


# --- the workflow ---------------------------------------------------------------------------------


def _flags(server: dict[str, str]) -> list[str]:
    return [
        "--server-hostname", server["uri"], "--http-path", server["http_path"],
        "--catalog", PLACE["catalog"], "--schema", PLACE["schema"],
    ]  # fmt: skip


def _environment(server: dict[str, str]) -> dict[str, str]:
    token = Path(server["token_file"]).read_text().strip()
    return {"DATABRICKS_TOKEN": token, "PATH": "/usr/bin:/bin"}


def _make_graph(folder: Path, server: dict[str, str]) -> int:
    """Makes the graph and the workflow that unifies it; returns the number of edges."""
    made, sql = folder / "graph", folder / "sql"
    made.mkdir()
    sql.mkdir()
    (made / "01_make_graph.sql").write_text(MAKE_GRAPH)
    first = (EXAMPLE / "04_unify_loop_iteration_01.sql").read_text()
    for number in range(1, ITERATIONS + 1):
        text = re.sub("loop_1", f"loop_{number}", first).replace("loop_0", f"loop_{number - 1}")
        (sql / f"04_unify_loop_iteration_{number:02}.sql").write_text(text)
    (sql / "05_canonicalize.sql").write_text((EXAMPLE / "05_canonicalize.sql").read_text())
    runs = folder / "made"
    command = [DWX, "run", str(made), *_flags(server), "--run-root", str(runs)]
    process(command, env=_environment(server))
    (event,) = [event for event in _events(runs) if event["type"] == "rows_affected"]
    return int(event["total"])


def _events(run_root: Path) -> list[dict[str, Any]]:
    (log,) = run_root.glob("*/events.jsonl")
    return [json.loads(line) for line in log.read_text().splitlines()]


def _history(server: dict[str, str]) -> Iterator[str]:
    """Ids of the statements that the warehouse has had, the latest first."""
    headers = {"Authorization": f"Bearer {Path(server['token_file']).read_text().strip()}"}
    page = {"next_page_token": "0"}
    while "next_page_token" in page:
        url = f"{server['uri']}/api/2.0/sql/history/queries?page_token={page['next_page_token']}"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            page = json.load(answer)
        yield from (entry["query_id"] for entry in page["res"])


def _since(server: dict[str, str], last: str) -> int:
    """How many statements the warehouse has had since this one."""
    return sum(1 for _ in itertools.takewhile(lambda one: one != last, _history(server)))


def _script(folder: Path, server: dict[str, str]) -> Callable[[], Measured]:
    """Runs what the script would."""
    workflow = load_workflow(folder / "sql", vars=PLACE)
    (loop,) = workflow.loops
    plan = {
        "iterations": [
            {
                "statements": file.texts,
                "test": changed_rows_sql(loop, number),
                "optimize": optimize_sql(loop.table.replace("{iteration}", str(number))),
                "alias": alias_sql(loop, number),
            }
            for number, file in enumerate(workflow.files[:ITERATIONS], 1)
        ],
        "after": workflow.files[ITERATIONS].texts,
    }
    plan_file, done_file = folder / "plan.json", folder / "done.json"
    plan_file.write_text(json.dumps(plan))
    connection = server["uri"] + server["http_path"]
    command = [
        sys.executable, SCRIPT, connection, server["token_file"], str(plan_file), str(done_file),
    ]  # fmt: skip

    def run() -> Measured:
        last = next(_history(server))
        wall_s = process(command).wall_s
        done = json.loads(done_file.read_text())
        return Measured(wall_s, done["loop_ms"], _since(server, last), done["iterations"])

    return run


def _dwx(folder: Path, server: dict[str, str], flags: Sequence[str]) -> Callable[[], Measured]:
    (loop,) = load_workflow(folder / "sql", vars=PLACE).loops
    of_loop = tuple(f"{one}." for one in (*loop.files, loop.id))

    def run() -> Measured:
        last = next(_history(server))
        with tempfile.TemporaryDirectory(dir=folder) as runs:
            command = [
                DWX, "run", str(folder / "sql"), *_flags(server), "--run-root", runs, *flags,
                "--checks", "off",  # the script makes none
            ]  # fmt: skip
            wall_s = process(command, env=_environment(server)).wall_s
            events = _events(Path(runs))
        loop_ms = sum(
            event["elapsed_ms"]
            for event in events
            if event["type"] == "statement_finished"
            and event["statement"].startswith(of_loop)
            and not event["statement"].endswith(".alias")
        )
        (end,) = [event for event in events if event["type"] == "converged"]
        return Measured(wall_s, loop_ms, _since(server, last), end["iterations"])

    return run
