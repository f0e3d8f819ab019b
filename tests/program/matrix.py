"""The fault matrix: what goes wrong, to which kind of statement, and what dwx makes of it.

Each fault strikes one statement of each kind in a single run of the identity example against a
warehouse that lives in a process of its own (the one of the tests), as Databricks would: what a
client leaves behind goes on there. The run is held to its end, whatever it asks on the way, and
what became of each statement is read off its log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executor.local.faultspec import parse
from executor.local.service import LocalWarehouse
from protocol.log import read_entries, resolve
from tests.examples.reference import checksum
from tests.examples.tables import Tables
from tests.local.client import connect
from tests.program.dwx import Ended, dwx

EXAMPLE = Path(__file__).parents[2] / "examples" / "identity_unification"
CUSTOMERS = 20

KINDS = {
    "INSERT": "f3.s3",
    "REPLACE": "f5.s3",
    "REPLACE + INSERT": "f5.s4",
    "CTAS": "f13.s3",
    "RENAME": "f13.s7",
    "OPTIMIZE": "loop1.i1.optimize",
    "probe": "loop1.i2.probe",
}
"""One statement of each kind: a bare INSERT; the halves of a table emptied and filled anew; a table
made from a query; a rename; maintenance; a question."""

SPELLINGS = ("handle", "closed", "not-found", "uninitialized")
FAULTS: dict[str, tuple[str, ...]] = {
    "connection drops": (
        "drop-before-execute", "drop-during-execute", "drop-after-execute",
        "drop-before-poll", "drop-after-poll", "drop-before-fetch", "drop-after-fetch",
    ),
    "replies": (
        "truncate-execute", "garbage-execute", "truncate-poll", "garbage-poll", "truncate-fetch",
        "garbage-fetch", "hang-execute", "hang-execute,executed=yes", "hang-poll",
    ),
    "HTTP": (
        *(
            f"http-{code}-execute{wait}{done}"
            for code in (429, 503)
            for wait in ("", ",retry-after=1")
            for done in ("", ",executed=yes")
        ),
        "http-502-execute", "http-502-execute,executed=yes",
        "http-504-execute", "http-504-execute,executed=yes",
        "http-401-execute", "http-403-execute", "http-404-execute",
        "http-429-poll", "http-503-poll", "http-502-poll",
    ),
    "sessions and handles": (
        *(f"session-lost-execute,spelling={one}" for one in SPELLINGS),
        *(f"session-lost-poll,spelling={one}" for one in SPELLINGS),
        "session-lost-poll,running=cancelled", "session-lost-fetch",
        "handle-lost-poll", "handle-lost-fetch",
    ),
    "the statement": (
        "cancelled", "cancelled,committed=yes", "timed-out", "timed-out,committed=yes",
        "slow-start,seconds=1", "slow-end,seconds=1",
        'error,text="[DELTA_CONCURRENT_APPEND] Another writer was faster. SQLSTATE: 2D521"',
        'error,text="[INTERNAL_ERROR] Something went wrong inside. SQLSTATE: XX000"',
    ),
}  # fmt: skip
"""Faults by what they concern, each as its flag; `statement=` is added for each kind."""

WHOLE = (
    "starting,seconds=2", "starting,seconds=2,opens=yes", "http-503-open", "drop-after-open",
    "http-429-open,retry-after=1",
)  # fmt: skip
"""Faults that concern the warehouse as a whole, and no statement of it."""

Course = str
"""What became of a statement: `once` (sent once, and it counted), `again` (found not to have
committed, and sent again), `left` (maintenance that was left out), `asks` (a prompt), `-` (this
cannot happen to it)."""


@dataclass(frozen=True)
class Told:
    """How a run under a fault went."""

    courses: dict[str, Course]
    """By kind."""
    exit_code: int
    tables: dict[str, tuple[int, str]]
    run_dir: Path


def tables_of(warehouse: LocalWarehouse, schema: str) -> dict[str, tuple[int, str]]:
    """Every table with its rows and checksum, as any client reads them."""
    with connect(warehouse) as connection:
        found = Tables(connection, f"main.{schema}")
        sums = {}
        for name in sorted(found.names()):
            columns = [one for one in found.columns(name) if one != "created_at"]
            rows = found.rows(name, ", ".join(columns))
            sums[name] = (len(rows), checksum(rows))
        return sums


def run_under(fault: str | None, place: Path) -> Told:
    """Runs the example under a fault, answers what is asked, and looks at what is left."""
    place.mkdir(parents=True)
    with LocalWarehouse(place / "warehouse") as warehouse:
        if fault in WHOLE:
            warehouse.faults.add(parse(fault))
        elif fault is not None:
            for statement in KINDS.values():
                warehouse.faults.add(parse(f"{fault},statement={statement}"))
                if "running=cancelled" in fault:  # so that it still runs when it is asked after
                    warehouse.faults.add(parse(f"slow-start,seconds=0.5,statement={statement}"))
        # a busy machine must not be taken for a silent warehouse, where silence is not the fault
        silent = fault is not None and fault.startswith("hang")
        ended = _run(warehouse, place, "4s" if silent else "30s")
        struck = {
            fired.sent.tags.get("statement")
            for fired in warehouse.faults.fired
            if fired.sent is not None
        }
        warehouse.faults.clear()
        log = [
            resolve(entry, ended.run_dir).event
            for entry in read_entries(ended.run_dir / "events.jsonl")
        ]
        courses = {
            kind: _course(log, statement) if statement in struck else "-"
            for kind, statement in KINDS.items()
        }
        return Told(courses, ended.exit_code, tables_of(warehouse, "default"), ended.run_dir)


def _run(warehouse: LocalWarehouse, place: Path, patience: str) -> Ended:
    uri = warehouse.uri.removesuffix(warehouse.http_path)
    ended = dwx(
        "run", str(EXAMPLE), "--server-hostname", uri, "--http-path", warehouse.http_path,
        "--catalog", "main", "--schema", "default", "--var", f"customers={CUSTOMERS}",
        "--optimize-tables", "--optimize-min-files", "0", "--prompt-timeout", "0",
        "--checks", "off",
        "--network-timeout", patience,
        cwd=place, DATABRICKS_TOKEN=warehouse.token,
    )  # fmt: skip
    while ended.exit_code == 5:
        prompt = [entry.event for entry in ended.record if entry.event.type == "error_prompt"][-1]
        answer = f'{{"type":"decide","prompt":"{prompt.prompt}","choice":"{_answer(prompt)}"}}\n'  # type: ignore[union-attr]
        ended = dwx("resume", cwd=place, stdin=answer.encode(), DATABRICKS_TOKEN=warehouse.token)
    return ended


def _answer(prompt: Any) -> str:
    """What a caller answers who knows only what the prompt says."""
    offered = [choice.choice for choice in prompt.choices]
    for choice in ("retry", "restore", "check"):
        if choice in offered:
            return choice
    raise AssertionError(f"nothing can be answered to {prompt.title}: {offered}")


def _course(log: Sequence[Any], statement: str) -> Course:
    asked = [
        event for event in log if event.type == "error_prompt" and event.statement == statement
    ]
    if asked:
        return "asks"
    if any(
        event.type == "warning" and event.code == "OPTIMIZE_FAILED" for event in log
    ) and statement.endswith(".optimize"):
        return "left"
    sent = [
        event for event in log if event.type == "statement_started" and event.statement == statement
    ]
    return "once" if len(sent) == 1 else "again"


def all_faults() -> list[str]:
    """Every fault of the matrix, in its order."""
    return [fault for group in FAULTS.values() for fault in group]


def as_table(courses: dict[str, dict[str, Course]]) -> str:
    """The matrix as PROTOCOL.md shows it."""
    lines = [
        f"| fault | {' | '.join(KINDS)} |",
        f"|---|{'---|' * len(KINDS)}",
    ]
    for fault in all_faults():
        cells = (courses[fault][kind] for kind in KINDS)
        lines.append(f"| `{fault}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
