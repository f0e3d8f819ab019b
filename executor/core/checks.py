"""The checks of a pre-flight: from facts about the warehouse to `check` events.

Theory. A check says what was expected, what was observed, and what it means if they differ. It has
passed only with proof; what cannot be found out is `unknown`. How grave a failure is follows from
what would happen: `fatal` means no session, `critical` a file that would fail, `moderate` a leaf
file, and `warning` something that may well be meant so. Only `fatal` and `critical` stop a run.

What is observed is told in words that are the same in every run with the same facts: no times, no
addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from executor.core.facts import FailureFacts, TableFacts
from executor.core.failures import classify, readable
from executor.workflow.requirements import NewTable, Requirements, Source
from protocol.events import Check, CheckCounts, CheckStatus, Severity

STOPPING: tuple[Severity, ...] = ("fatal", "critical")
"""Severities of a check without which a run does not begin by itself."""

CREDENTIALS, WAREHOUSE = "credentials", "warehouse"
STEPS: Mapping[str, str] = {
    "DNS": "the host name resolves",
    "TCP": "the server takes connections",
    "TLS": "the server proves who it is",
}
"""The steps of reaching a server, in order, and what is expected of each."""

LISTED = 20
"""Names that a check lists at most, and checks that an error tells: each has an event."""


def check(
    name: str,
    status: CheckStatus,
    observed: str,
    expected: str,
    severity: Severity,
    files: tuple[str, ...] = (),
) -> Check:
    """A check of the pre-flight. `observed` may be text from outside, of any length."""
    return Check(
        name=name,
        phase="preflight",
        status=status,
        observed=observed,
        expected=expected,
        severity=severity,
        files=files,
    )


def counts(checks: Iterable[Check]) -> CheckCounts:
    """How many checks ended how."""
    found = [one.status for one in checks]
    return CheckCounts(
        passed=found.count("passed"),
        failed=found.count("failed"),
        unknown=found.count("unknown"),
        skipped=found.count("skipped"),
    )


def in_words(said: Iterable[str]) -> str:
    """What is said of checks, one after the other; of many the first, and how many more."""
    every = list(said)
    more = [f"and {len(every) - LISTED} more"] if len(every) > LISTED else []
    return readable("; ".join([*every[:LISTED], *more]))


# --- connecting -------------------------------------------------------------------------------


def step_taken(step: str, status: CheckStatus, observed: str) -> Check:
    """One of `STEPS` was taken, or left out."""
    return check(step, status, observed, STEPS[step], "fatal")


def connected(catalog: str | None, schema: str | None) -> Iterator[Check]:
    """A session is open in this namespace."""
    yield check(CREDENTIALS, "passed", "accepted", "accepted", "fatal")
    yield check(WAREHOUSE, "passed", "running", "running", "fatal")
    yield from _namespace(catalog, schema)


def refused(facts: FailureFacts, catalog: str | None, schema: str | None) -> Iterator[Check]:
    """No session could be opened. Says nothing where the way to the server is the fault, because
    the step that failed has been told already.
    """
    failure = classify(facts)
    if failure.category == "auth":
        yield check(CREDENTIALS, "failed", facts.message, "accepted", "fatal")
    elif failure.category == "missing_namespace":
        yield check(CREDENTIALS, "passed", "accepted", "accepted", "fatal")
        yield check(WAREHOUSE, "passed", "running", "running", "fatal")
        yield from _namespace(catalog, schema, missing=facts)
    elif failure.category not in ("connect", "cancelled", "transport"):
        yield check(WAREHOUSE, "failed", facts.message, "running", "fatal")


def _namespace(
    catalog: str | None, schema: str | None, missing: FailureFacts | None = None
) -> Iterator[Check]:
    if catalog is not None:
        no_schema = missing is not None and "SCHEMA" in (missing.error_class or "")
        if missing is not None and not (no_schema and schema is not None):
            yield check(f"catalog {catalog}", "failed", missing.message, "exists", "fatal")
            return
        yield check(f"catalog {catalog}", "passed", "exists", "exists", "fatal")
    if schema is not None:
        name = f"schema {'.'.join(part for part in (catalog, schema) if part is not None)}"
        if missing is None:
            yield check(name, "passed", "exists", "exists", "fatal")
        else:
            yield check(name, "failed", missing.message, "exists", "fatal")


# --- tables -----------------------------------------------------------------------------------


def tables_to_look_up(needed: Requirements) -> Mapping[str, frozenset[str]]:
    """The tables that the checks are about, each with the columns that it should have."""
    looked_up = {
        source.table: frozenset(column.name for column in source.columns)
        for source in needed.sources
    }
    for table in (*(new.table for new in needed.new), *needed.results, *needed.passing):
        looked_up.setdefault(table, frozenset())
    return looked_up


def about_tables(needed: Requirements, facts: Mapping[str, TableFacts]) -> Iterator[Check]:
    """Whether the tables are there that must be, and those are not that must not."""
    for source in needed.sources:
        yield _about_source(source, facts[source.table])
    for new in needed.new:
        yield _about_new(new, facts[new.table])
    for table in needed.results:
        replaced = "it is replaced when the loop is done"
        yield _about_leftover(f"loop result {table}", facts[table], replaced)
    for table in needed.left_over:
        read = "it is read all the same, because loops are left out"
        yield _about_leftover(f"loop result {table}", facts[table], read)
    for table in needed.passing:
        replaced = "that run did not come to its end; it is replaced"
        yield _about_leftover(f"temporary table {table}", facts[table], replaced)


def _about_source(source: Source, found: TableFacts) -> Check:
    names = [column.name for column in source.columns]
    expected = f"exists, with {_listed('column', names)}" if names else "exists"
    severity: Severity = "critical" if source.critical else "moderate"
    status: CheckStatus = "passed"
    observed = expected
    if found.exists is None:
        status, observed = "unknown", found.detail
    elif not found.exists:
        status, observed = "failed", f"no such table or view; needed by {source.place}"
    else:
        # `q.a` where the table has a column `q` may mean a field of it
        missing = [
            column
            for column in source.columns
            if column.name not in found.columns and column.qualifier not in found.columns
        ]
        if missing:
            status = "failed"
            observed = "; ".join(
                f"no column {column.name}, which {column.place} reads"
                for column in missing[:LISTED]
            )
            observed += f"; it has {_listed('column', found.columns)}"
    name = f"source table {source.table}"
    return check(name, status, observed, expected, severity, source.files)


def _about_new(new: NewTable, found: TableFacts) -> Check:
    status, observed = _absent(found)
    if status == "failed":
        observed = f"is there already; {new.place} creates it without OR REPLACE"
    severity: Severity = "critical" if new.critical else "moderate"
    return check(f"new table {new.table}", status, observed, ABSENT, severity, (new.file,))


def _about_leftover(name: str, found: TableFacts, replaced: str) -> Check:
    status, observed = _absent(found)
    if status == "failed":
        observed = f"left from an earlier run; {replaced}"
    return check(name, status, observed, ABSENT, "warning")


ABSENT = "does not exist yet"


def _absent(found: TableFacts) -> tuple[CheckStatus, str]:
    if found.exists is None:
        return "unknown", found.detail
    return ("failed", "exists") if found.exists else ("passed", ABSENT)


def _listed(noun: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:LISTED])
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{noun if len(names) == 1 else noun + 's'} {shown}{more}"


# --- the rest ---------------------------------------------------------------------------------


def may_create(schema: str, status: CheckStatus, observed: str) -> Check:
    """Whether tables may be made in a schema. Never `failed`: that no grant can be seen is no proof
    that there is none, and the first CREATE TABLE says it without doubt.
    """
    return check(f"CREATE TABLE in {schema}", status, observed, "granted", "warning")


def other_runs(runs: Iterable[str], namespace: str) -> Check:
    """Whether other runs of dwx are at work in the same schema."""
    found = list(runs)
    observed = f"at work there: {', '.join(found[:LISTED])}" if found else "none"
    expected = f"none in {namespace}"
    return check("other runs", "failed" if found else "passed", observed, expected, "warning")
