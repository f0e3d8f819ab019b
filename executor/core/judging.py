"""From what a check's query gave to a `check` event.

Theory. A check has passed only with proof. No row where one is expected, a NULL, a column that is
not there, a query that failed: all of these say nothing, and `unknown` is what they are.

Whether a table was written since the run began is told by its history, whose times are those of
the warehouse's clock, not ours. So ages are compared and not times: how long ago the newest write
was, by the warehouse's clock, and how long ago the run began, by ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from executor.workflow.expectations import FRESH, parse_expectation
from protocol.events import Check, CheckStatus, PlannedCheck

Row = Mapping[str, Any]
"""Values of one row by column name, lower case."""

UPKEEP = (
    "OPTIMIZE", "VACUUM", "ANALYZE", "COMPUTE STATS", "REORG", "SET TBLPROPERTIES",
    "UNSET TBLPROPERTIES", "CLUSTER BY", "UPGRADE PROTOCOL", "ADD CONSTRAINT", "DROP CONSTRAINT",
)  # fmt: skip
"""Beginnings of operations in a history that change nothing in what a table says."""

DIGITS = 300
"""Places before or behind the decimal point from which on a number is none: nobody counts so far,
and a text may say 1e99999999.
"""

SLACK_MS = 2_000
"""How much older than the run a write may look and still count as one of the run's: clocks tell
whole milliseconds, and asking takes time."""

MOST = 2**63
"""What is measured is smaller: the integers of the warehouse."""

ROWS_SHOWN = 3
"""Rows that are told of a query that should have given none."""


def judged(planned: PlannedCheck, rows: Sequence[Row], elapsed_ms: int) -> Check:
    """The check, by the rows that its query gave. Not for freshness."""
    if not planned.expect:
        return _without_rows(planned, rows, elapsed_ms)
    if len(rows) != 1:
        observed = f"the query gave {'no row' if not rows else 'more than one row'}"
        return _check(planned, "unknown", observed, elapsed_ms)
    numbers = {name: number(value) for name, value in rows[0].items()}
    measured = {
        name: int(value)
        for name, value in numbers.items()
        if value is not None and abs(value) < MOST and value == value.to_integral_value()
    }
    expectations = [parse_expectation(text) for text in planned.expect]
    held = [one.holds(numbers) for one in expectations]
    wanted = dict.fromkeys(name for one in expectations for name in one.columns)
    observed = ", ".join(f"{name} {_shown(numbers, rows[0], name)}" for name in wanted)
    status: CheckStatus = "passed"
    if not all(held):
        status = "failed" if False in held else "unknown"
    return _check(planned, status, observed, elapsed_ms, measured)


def _without_rows(planned: PlannedCheck, rows: Sequence[Row], elapsed_ms: int) -> Check:
    if not rows:
        return _check(planned, "passed", "no rows", elapsed_ms)
    shown = "; ".join(
        ", ".join(f"{name} {value}" for name, value in row.items()) for row in rows[:ROWS_SHOWN]
    )
    more = " and more" if len(rows) > ROWS_SHOWN else ""
    return _check(planned, "failed", f"rows such as {shown}{more}", elapsed_ms)


def fresh(
    planned: PlannedCheck, entries: Sequence[Row], now: Any, ran_for_ms: int, elapsed_ms: int
) -> Check:
    """Whether a table was written since the run began.

    `entries`: the newest rows of its history; `now`: the time at the warehouse, in the same terms;
    `ran_for_ms`: how long ago the run began.
    """
    writes = [
        row for row in entries if not str(row.get("operation") or "").upper().startswith(UPKEEP)
    ]
    if not writes:
        return _check(planned, "unknown", "its history tells of no write", elapsed_ms)
    then, here = moment(writes[0].get("timestamp")), moment(now)
    if then is None or here is None:
        return _check(planned, "unknown", "the time of its last write cannot be read", elapsed_ms)
    age_ms = round((here - then).total_seconds() * 1000)
    if age_ms <= ran_for_ms + SLACK_MS:
        return _check(planned, "passed", "written by this run", elapsed_ms)
    older_s = (age_ms - ran_for_ms) // 1000
    observed = f"last written {older_s} s before the run began, by {writes[0].get('operation')}"
    return _check(planned, "failed", observed, elapsed_ms)


def failed(planned: PlannedCheck, why: str, elapsed_ms: int) -> Check:
    """A check of which it is known without a row that it fails."""
    return _check(planned, "failed", why, elapsed_ms)


def unanswered(planned: PlannedCheck, why: str, elapsed_ms: int = 0) -> Check:
    """A check that could not be evaluated."""
    return _check(planned, "unknown", why, elapsed_ms)


def left_out(planned: PlannedCheck, why: str) -> Check:
    """A check that would say nothing about this run."""
    return _check(planned, "skipped", why, 0)


def _check(
    planned: PlannedCheck,
    status: CheckStatus,
    observed: str,
    elapsed_ms: int,
    measured: dict[str, int] | None = None,
) -> Check:
    expected = " and ".join(planned.expect) or "no rows"
    return Check(
        name=planned.name,
        phase=planned.phase,
        status=status,
        observed=observed,
        expected="written by this run" if planned.expect == (FRESH,) else expected,
        severity=planned.severity,
        files=planned.files,
        table=planned.table,
        measured=measured,
        elapsed_ms=elapsed_ms,
    )


def number(value: Any) -> Decimal | None:
    """A finite number, whatever type carries it."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found.adjusted()) < DIGITS else None


def moment(value: Any) -> datetime | None:
    """A time as a connector gives it, without its zone: both that are compared have the same."""
    try:
        found = datetime.fromisoformat(str(value).strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return found.replace(tzinfo=None)


def _shown(numbers: Mapping[str, Decimal | None], row: Row, name: str) -> str:
    if name not in row:
        return "is not a column of the result"
    value = row[name] if numbers[name] is None else numbers[name]
    return "NULL" if value is None else str(value)
