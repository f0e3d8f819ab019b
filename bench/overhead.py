"""`dwx run` against a bare connector loop: the same statements, the same embedded warehouse."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Cost, process, ratio
from executor.core.own_sql import alias_sql, changed_rows_sql, residual_sql
from executor.workflow.load import load_workflow

RUNS = 3
CUSTOMERS = (1_000, 20_000, 100_000)
DWX = str(Path(sys.executable).with_name("dwx"))
EXAMPLE = Path(__file__).parent.parent / "examples" / "identity_unification"
BARE_LOOP = str(Path(__file__).with_name("bare_loop.py"))


def report() -> list[tuple[str, str, str]]:
    """Rows of (what, ratio, aim)."""
    rows: list[tuple[str, str, str]] = []
    for customers in CUSTOMERS:
        with tempfile.TemporaryDirectory() as folder, warehouse(Path(folder)) as server:
            ours, theirs = _costs(Path(folder), server, customers)
        name = f"dwx run / bare loop, {customers:,} customers"
        rows.append((f"{name} (wall)", _ratio(ours, theirs, "wall_s"), "1.15"))
        rows.append((f"{name} (peak memory)", _ratio(ours, theirs, "peak_mib"), "1.3"))
    return rows


@contextmanager
def warehouse(folder: Path) -> Iterator[dict[str, str]]:
    """The embedded warehouse in a process of its own; yields how to reach it."""
    command = [DWX, "warehouse", "serve", str(folder / "warehouse")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.terminate()


def _costs(folder: Path, server: dict[str, str], customers: int) -> tuple[list[Cost], list[Cost]]:
    token = Path(server["token_file"]).read_text().strip()
    run = [
        DWX, "run", str(EXAMPLE), "--server-hostname", server["uri"], "--http-path",
        server["http_path"], "--catalog", "main", "--schema", "default",
        "--var", f"customers={customers}", "--run-root", str(folder / "runs"),
        "--checks", "off",  # the bare loop makes none
    ]  # fmt: skip
    environment = {"DATABRICKS_TOKEN": token, "PATH": "/usr/bin:/bin"}
    process(run, env=environment)
    statements = folder / "statements.json"
    statements.write_text(json.dumps(_statements(folder, customers)))
    connection = server["uri"] + server["http_path"]
    bare = [sys.executable, BARE_LOOP, connection, server["token_file"], str(statements)]
    process(bare)
    both = [(process(run, env=environment), process(bare)) for _ in range(RUNS)]
    return [ours for ours, _ in both], [theirs for _, theirs in both]


def _statements(folder: Path, customers: int) -> list[str]:
    """Every statement the first run sent, in its order, the executor's own included."""
    variables = {"catalog": "main", "schema": "default", "customers": str(customers)}
    workflow = load_workflow(EXAMPLE, vars=variables)
    texts = {
        planned.id: text
        for source in workflow.files
        for planned, text in zip(source.planned.statements, source.texts, strict=True)
    }
    for loop in workflow.loops:
        for iteration in range(1, 100):
            texts[f"{loop.id}.i{iteration}.probe"] = changed_rows_sql(loop, iteration)
            texts[f"{loop.id}.i{iteration}.residual"] = residual_sql(loop, iteration)
    (log,) = (folder / "runs").glob("*/events.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    final = next(event["iterations"] for event in events if event["type"] == "converged")
    for loop in workflow.loops:
        texts[f"{loop.id}.alias"] = alias_sql(loop, final)
    return [texts[event["statement"]] for event in events if event["type"] == "statement_started"]


def _ratio(ours: list[Cost], theirs: list[Cost], figure: str) -> str:
    return ratio([getattr(one, figure) for one in ours], [getattr(one, figure) for one in theirs])
