"""Logs made for reports: a run that met everything a report tells of, and a run of any size."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from protocol.codec import encode
from protocol.events import (
    Check,
    CheckCounts,
    ChecksFinished,
    Choice,
    Connected,
    Connecting,
    Converged,
    Disconnected,
    ErrorPrompt,
    ErrorRecord,
    Event,
    FileCounts,
    FileFinished,
    FileStarted,
    Iteration,
    LoopResult,
    LoopStarted,
    Optimized,
    Plan,
    PlannedCheck,
    PlannedFile,
    PlannedLoop,
    PlannedStatement,
    PreflightFinished,
    PromptCounts,
    PromptResolved,
    Reconnected,
    Retrying,
    RowCounts,
    RowsAffected,
    RunFinished,
    SlowStatement,
    StatementCounts,
    StatementFinished,
    StatementStarted,
    TableRows,
    TimeSpent,
    Unknown,
    Warned,
    Weighed,
)
from protocol.hello import Entry, Hello, Settings

RUN = "r-test22"
BEGAN = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> [/Volumes] | `x` \"q\" 'a' \x1b[31m \u202egnp.exe &amp; \x00 "
"""A text that means something to a browser, to Markdown and to a terminal."""


class Log:
    """Entries with their times; `after` says how many milliseconds go by before an event."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.now = BEGAN

    def add(self, *events: Event | Unknown, after: int = 0) -> None:
        for event in events:
            self.now += timedelta(milliseconds=after)
            ts = self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self.entries.append(Entry(v=1, run=RUN, seq=len(self.entries) + 1, ts=ts, event=event))

    def written(self, directory: Path) -> Path:
        """A run directory with this log."""
        directory.mkdir(parents=True, exist_ok=True)
        lines = b"".join(encode(entry) for entry in self.entries)
        (directory / "events.jsonl").write_bytes(lines)
        return directory


# --- parts --------------------------------------------------------------------------------------


def hello(segment: int = 1, **settings: Any) -> Hello:
    return Hello(
        protocol="dwx/1.0",
        tool_version="0.1.0",
        run_dir=f".dwx/runs/{RUN}",
        pid=1,
        view="full",
        argv=("dwx", "run", "sql"),
        segment=segment,
        answer_with=f"dwx answer {RUN} PROMPT CHOICE",
        settings=Settings(directory="sql/identity", catalog="main", schema="crm", **settings),
    )


def planned(
    number: int, path: str, kinds: tuple[str, ...], table: str, iteration: int | None = None
) -> PlannedFile:
    statements = tuple(
        PlannedStatement(
            id=f"f{number}.s{place}",
            kind=kind,  # type: ignore[arg-type]
            target=table,
            line=place * 7,
            sha256="0" * 64,
            head=f"{kind.upper().replace('_', ' ')} {table} …",
            unit=f"f{number}.s1",
            idempotent=True,
        )
        for place, kind in enumerate(kinds, 1)
    )
    return PlannedFile(
        id=f"f{number}",
        path=path,
        sha256="0" * 64,
        kind="plain" if iteration is None else "loop",
        loop=None if iteration is None else "loop1",
        iteration=iteration,
        statements=statements,
        reads=(),
        writes=(table,),
        depends_on=(),
    )


def plan(*files: PlannedFile, checks: tuple[PlannedCheck, ...] = ()) -> Plan:
    loop = PlannedLoop(
        id="loop1",
        name="unify_loop",
        files=tuple(file.id for file in files if file.loop),
        table="main.crm.unify_loop_{iteration}",
        alias="main.crm.unify_loop_final",
        max_iterations=30,
        generate=True,
    )
    return Plan(
        directory="sql/identity",
        profile="identity_unification",
        files=files,
        loops=(loop,) if loop.files else (),
        checks=checks,
        total_files=len(files),
        total_statements=sum(len(file.statements) for file in files),
        warnings=(),
    )


def started(number: int, path: str, total: int = 12, statements: int = 2) -> FileStarted:
    return FileStarted(
        file=f"f{number}",
        path=path,
        index=number,
        total=total,
        statements=statements,
        sha256="0" * 64,
    )


def finished(
    number: int,
    path: str,
    elapsed_ms: int,
    rows: int | None = None,
    status: Any = "completed",
    reason: str | None = None,
) -> FileFinished:
    return FileFinished(
        file=f"f{number}",
        path=path,
        status=status,
        rows=rows,
        elapsed_ms=elapsed_ms,
        reason=reason,
    )


def sent(
    statement: str,
    kind: Any = "replace_as",
    target: str | None = "main.crm.t",
    attempt: int = 1,
    head: str | None = None,
) -> StatementStarted:
    return StatementStarted(
        statement=statement,
        kind=kind,
        target=target,
        line=7,
        sha256="0" * 64,
        attempt=attempt,
        head=head or f"{kind.upper().replace('_', ' ')} {target} …",
    )


def ended(
    statement: str,
    elapsed_ms: int,
    rows: int | None = None,
    error: ErrorRecord | None = None,
    status: Any = None,
) -> StatementFinished:
    return StatementFinished(
        statement=statement,
        status=status or ("succeeded" if error is None else "failed"),
        elapsed_ms=elapsed_ms,
        query_id="01f0c3b2-77a0-1c55",
        rows=RowCounts(total=rows, source="result") if rows is not None else None,
        value=None,
        metrics=None,
        error=error,
        outcome="committed" if error is None else "not_committed",
        evidence="the warehouse reported it",
    )


def error(
    class_: str = "UNRESOLVED_COLUMN.WITH_SUGGESTION", statement: str = "f2.s2", **more: Any
) -> ErrorRecord:
    facts: dict[str, Any] = {
        "message": "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column `emial` cannot be resolved. "
        "Did you mean one of `email`, `phone`?",
        "file": "02_extract_merge.sql",
        "line": 53,
        "position": 12,
        "suggestion": "Correct the name of the column, then retry.",
    }
    return ErrorRecord(
        class_=class_,
        category="semantic",
        severity="critical",
        retryable=False,
        statement=statement,
        fingerprint=f"{class_}:{statement}",
        **{**facts, **more},
    )


def asked(prompt: str, title: str, about: ErrorRecord | None, **more: Any) -> ErrorPrompt:
    return ErrorPrompt(
        prompt=prompt,
        digest="d",
        title=title,
        file="f2",
        statement=about.statement if about is not None else None,
        loop=None,
        error=about,
        attempt=1,
        outcome="not_committed",
        evidence="the warehouse said so",
        already_done=(),
        dependents=(),
        choices=tuple(
            Choice(choice=one, effect="…", safe=True) for one in ("retry", "skip", "abort")
        ),
        unanswered="suspend",
        deadline=None,
        answer_with="…",
        **more,
    )


def resolved(prompt: str, choice: Any, how: Any = "decision", **more: Any) -> PromptResolved:
    facts: dict[str, Any] = {"source": "inbox", "by": "mara", "reason": "column renamed"}
    return PromptResolved(prompt=prompt, how=how, choice=choice, **{**facts, **more})


def check(
    name: str,
    status: Any = "passed",
    phase: Any = "final",
    severity: Any = "critical",
    **more: Any,
) -> Check:
    facts: dict[str, Any] = {"observed": None, "expected": None}
    return Check(name=name, phase=phase, status=status, severity=severity, **{**facts, **more})


def last(**changes: Any) -> RunFinished:
    facts: dict[str, Any] = {
        "outcome": "succeeded",
        "exit_code": 0,
        "error": None,
        "files": FileCounts(completed=2, failed=0, skipped=0, not_needed=0, total=2),
        "statements": StatementCounts(succeeded=4, failed=0, cancelled=0, unknown=0),
        "loops": (),
        "tables": (),
        "coverage": None,
        "checks": None,
        "prompts": PromptCounts(asked=0, resolved=0),
        "elapsed_ms": 3_000,
        "slowest": (),
        "next": ("Nothing: all that was needed has run.",),
        "events": 1,
        "digest": None,
    }
    return RunFinished(**{**facts, **changes})


def ending(log: Log, **changes: Any) -> None:
    """The last line, which counts itself."""
    log.add(last(events=len(log.entries) + 1, **changes), after=5)


# --- whole runs ---------------------------------------------------------------------------------

COVERED = {
    "main.crm.enriched_crm_customers": 0.99951,
    "main.crm.enriched_support_tickets": 0.9432,
    "main.crm.enriched_web_orders": 0.8127,
}
FILES = (
    ("01_create_graph.sql", ("create", "insert"), "main.crm.graph"),
    ("02_extract_merge.sql", ("replace_as", "merge"), "main.crm.unify_loop_0"),
    ("04_unify_loop_iteration_01.sql", ("replace_as",), "main.crm.unify_loop_1"),
    ("04_unify_loop_iteration_02.sql", ("replace_as",), "main.crm.unify_loop_2"),
    ("04_unify_loop_iteration_03.sql", ("replace_as",), "main.crm.unify_loop_3"),
    ("04_unify_loop_iteration_04.sql", ("replace_as",), "main.crm.unify_loop_4"),
    ("04_unify_loop_iteration_05.sql", ("replace_as",), "main.crm.unify_loop_5"),
    ("05_canonicalize.sql", ("replace_as", "replace_as", "insert"), "main.crm.lookup"),
    ("10_enrich_crm_customers.sql", ("replace_as",), "main.crm.enriched_crm_customers"),
    ("10_enrich_support_tickets.sql", ("replace_as",), "main.crm.enriched_support_tickets"),
    ("10_enrich_web_orders.sql", ("replace_as",), "main.crm.enriched_web_orders"),
    ("30_statistics.sql", ("replace_as", "select"), "main.crm.statistics"),
)
ITERATIONS = (
    (3, 184_220, 91_004, None, 4_583_112),
    (4, 61_870, 20_113, 3, 4_398_892),
    (5, 8_342, 1_872, 2, 4_337_022),
    (6, 411, 66, 1, 4_328_680),
    (7, 0, 0, 0, 4_328_269),
)
"""Number of the file, rows changed, residual, iterations left, rows."""
DURATIONS = (
    4_100,
    38_400,
    21_700,
    17_900,
    12_300,
    9_800,
    8_800,
    26_000,
    15_200,
    9_700,
    22_400,
    900,
)


def eventful(upto: int | None = None) -> Log:
    """A run that met everything; `upto`: its log breaks off after so many entries."""
    log = Log()
    log.add(hello())
    files = tuple(
        planned(number, *one, iteration=number - 2 if 3 <= number <= 7 else None)
        for number, one in enumerate(FILES, 1)
    )
    log.add(plan(*files, checks=PLANNED_CHECKS), after=120)
    where: dict[str, Any] = {
        "host": "adb-1234567890123456.7.azuredatabricks.net",
        "http_path": "/sql/1.0/warehouses/1234567890abcdef",
        "auth": "pat",
        "catalog": "main",
        "schema": "crm",
    }
    log.add(Connecting(**where))
    log.add(check("DNS", phase="preflight", observed="resolves", severity="fatal"), after=30)
    log.add(Connected(**where, session_id="s1", elapsed_ms=5_210, settings={}), after=5_200)
    log.add(check("the schema main.crm", phase="preflight", severity="fatal"), after=80)
    counted = CheckCounts(passed=2)
    log.add(PreflightFinished(checks=counted, elapsed_ms=310), after=200)
    for number, (path, kinds, table) in enumerate(FILES, 1):
        _file(log, number, path, kinds, table)
    for one in FINAL_CHECKS:
        log.add(one, after=700)
    log.add(
        ChecksFinished(
            phase="final",
            loop=None,
            checks=CheckCounts(passed=4, failed=2, unknown=1),
            elapsed_ms=4_900,
        )
    )
    log.add(Disconnected(session_id="s2", reason="finished", elapsed_ms=90), after=90)
    ending(
        log,
        outcome="incomplete",
        exit_code=4,
        error=error(
            "DWX_CHECKS_FAILED",
            "",
            message="2 checks failed",
            file=None,
            line=None,
            suggestion="Look at the failed checks.",
        ),
        files=FileCounts(completed=11, failed=1, skipped=0, not_needed=0, total=12),
        statements=StatementCounts(succeeded=18, failed=2, cancelled=0, unknown=0),
        loops=(
            LoopResult(
                loop="loop1",
                iterations=5,
                outcome="converged",
                final_table="main.crm.unify_loop_final",
            ),
        ),
        tables=tuple(
            TableRows(name=table, rows=rows)
            for table, rows in (
                ("main.crm.lookup", 4_328_269),
                *((name, 1_204_518) for name in COVERED),
                ("main.crm.statistics", None),
            )
        ),
        coverage=COVERED,
        clusters={
            "clusters": 1_204_518,
            "largest": 214,
            "size_1": 803_120,
            "size_2": 301_870,
            "size_3_to_5": 88_410,
            "size_6_to_20": 10_902,
            "size_21_or_more": 216,
        },
        checks=CheckCounts(passed=6, failed=2, unknown=1),
        failed_checks=("one canonical id per key", "coverage of web orders"),
        rows=31_204_518,
        prompts=PromptCounts(asked=2, resolved=2),
        elapsed_ms=round((log.now - BEGAN).total_seconds() * 1000),
        times=TimeSpent(
            statements_ms=151_000,
            convergence_ms=9_400,
            optimize_ms=12_900,
            checks_ms=5_210,
            asking_ms=94_000,
        ),
        slowest=(SlowStatement(statement="f2.s2", path="02_extract_merge.sql", elapsed_ms=30_720),),
        next=("Look at the failed checks before anybody uses main.crm.enriched_web_orders.",),
    )
    if upto is not None:
        del log.entries[upto:]
    return log


def _file(log: Log, number: int, path: str, kinds: tuple[str, ...], table: str) -> None:
    duration = DURATIONS[number - 1]
    if number == 3:
        log.add(
            LoopStarted(
                loop="loop1",
                name="unify_loop",
                table="main.crm.unify_loop_{iteration}",
                max_iterations=30,
                files=5,
            )
        )
    log.add(started(number, path, statements=len(kinds)), after=40)
    for place, kind in enumerate(kinds, 1):
        statement, share = f"f{number}.s{place}", duration * place // sum(range(len(kinds) + 1))
        log.add(sent(statement, kind, table))
        if statement == "f2.s2":
            _asks(log, statement, kind, table)
        if statement == "f8.s1":
            log.add(ended(statement, 600, error=_conflict()), after=600)
            log.add(
                Retrying(
                    statement=statement,
                    attempt=2,
                    delay_ms=2_000,
                    category="concurrency",
                    budget_left=4,
                )
            )
            log.add(Reconnected(session_id="s2", elapsed_ms=800, replayed=2), after=2_800)
            log.add(sent(statement, kind, table, attempt=2))
        if statement == "f12.s2":
            log.add(ended(statement, share, error=_statistics()), after=share)
            continue
        rows = 1_204_518 // place if kind != "create" else None
        log.add(ended(statement, share, rows), after=share)
        if rows is not None:
            log.add(
                RowsAffected(
                    statement=statement,
                    file=f"f{number}",
                    target=table,
                    total=rows,
                    inserted=rows,
                    updated=None,
                    deleted=None,
                    source="result",
                )
            )
    if number == 12:
        log.add(asked("p2", "f12.s2 in 30_statistics.sql, line 14, failed", _statistics()))
        log.add(resolved("p2", "continue", "policy", source="policy", by="rule 3", reason=None))
        log.add(finished(number, path, duration, None, "failed", "f12.s2 failed: DIVIDE_BY_ZERO"))
        return
    log.add(finished(number, path, duration, 1_204_518))
    for file, updated, residual, left, rows in ITERATIONS:
        if file == number:
            _iteration(log, number - 2, updated, residual, left, rows, duration)


def _asks(log: Log, statement: str, kind: str, table: str) -> None:
    log.add(ended(statement, 2_100, error=error()), after=2_100)
    log.add(asked("p1", f"{statement} in 02_extract_merge.sql, line 53, failed", error()), after=10)
    log.add(resolved("p1", "retry"), after=94_000)
    log.add(sent(statement, kind, table, attempt=2))


def _conflict() -> ErrorRecord:
    return error(
        "DELTA_CONCURRENT_APPEND",
        "f8.s1",
        message="[DELTA_CONCURRENT_APPEND] Files were added to the table by a concurrent update.",
        file="05_canonicalize.sql",
        line=7,
        suggestion="Nothing: it is tried again.",
    )


def _statistics() -> ErrorRecord:
    return error(
        "DIVIDE_BY_ZERO",
        "f12.s2",
        message="[DIVIDE_BY_ZERO] Division by zero. Use `try_divide`.",
        file="30_statistics.sql",
        line=14,
        suggestion="Use try_divide.",
    )


def _iteration(
    log: Log, number: int, updated: int, residual: int, left: int | None, rows: int, duration: int
) -> None:
    probe, table = f"loop1.i{number}.probe", f"main.crm.unify_loop_{number}"
    log.add(sent(probe, "probe", None))
    log.add(ended(probe, 1_880), after=1_880)
    log.add(
        Iteration(
            loop="loop1",
            iteration=number,
            max_iterations=30,
            updated=updated,
            residual=residual,
            iterations_left=left,
            rows=rows,
            source="file",
            table=table,
            elapsed_ms=duration + 1_880,
        )
    )
    if updated == 0:
        log.add(
            Converged(
                loop="loop1", iterations=5, by="both", final_table="main.crm.unify_loop_final"
            )
        )
        return
    optimize, worth = f"loop1.i{number}.optimize", number != 4
    files, size = (240, 3_400_000_000) if worth else (1, 2_900_000_000)
    reason = f"it has {files} files" if worth else "it has one file, and fewer than 2 are left"
    log.add(
        Weighed(
            table=table,
            statement=optimize,
            files=files,
            bytes=size,
            format="delta",
            worth=worth,
            reason=reason,
        )
    )
    if worth:
        log.add(sent(optimize, "optimize", table))
        log.add(ended(optimize, 4_300), after=4_300)
        log.add(
            Optimized(
                table=table,
                files_added=4,
                files_removed=238,
                bytes_added=3_050_000_000,
                bytes_removed=3_390_000_000,
                elapsed_ms=4_300,
            )
        )


PLANNED_CHECKS = (
    PlannedCheck(
        name="coverage of web orders",
        phase="final",
        severity="moderate",
        sql="SELECT …",
        expect=("identified >= 0.9 * total",),
        table="main.crm.enriched_web_orders",
        share=("identified", "total"),
        files=("f11",),
        source="workflow.toml",
    ),
    PlannedCheck(
        name="sizes of clusters",
        phase="final",
        severity="warning",
        sql="SELECT …",
        expect=(),
        sizes=True,
        source="checks/sizes.sql",
    ),
)
FINAL_CHECKS = (
    check(
        "one canonical id per key",
        "failed",
        severity="critical",
        observed="12 keys have two canonical ids",
        expected="keys = distinct_keys",
        table="main.crm.lookup",
        measured={"keys": 4_328_281, "distinct_keys": 4_328_269},
        files=("f8",),
        elapsed_ms=1_900,
    ),
    check(
        "coverage of web orders",
        "failed",
        severity="moderate",
        observed="81.27 % have a canonical id",
        expected="identified >= 0.9 * total",
        table="main.crm.enriched_web_orders",
        measured={"identified": 8_127, "total": 10_000},
        files=("f11",),
        elapsed_ms=900,
    ),
    check(
        "no orphans in support tickets",
        "unknown",
        severity="warning",
        observed="the query could not be executed",
        expected="no row",
        table="main.crm.enriched_support_tickets",
        files=("f10",),
    ),
    check("rows kept by enrichment", table="main.crm.enriched_crm_customers", elapsed_ms=410),
    check(
        "sizes of clusters",
        severity="warning",
        measured={"size_1": 803_120, "size_2": 301_870},
        elapsed_ms=700,
    ),
    check("nothing but text in canonical ids", table="main.crm.lookup", elapsed_ms=300),
    check("a canonical id for each master", table="main.crm.lookup", elapsed_ms=280),
)


def hostile(text: str = HOSTILE) -> Log:
    """A run whose every text is `text`."""
    log = Log()
    log.add(hello())
    bad = error("X_CLASS", "f1.s1", message=text, cause=text, file=text, suggestion=text)
    file = planned(1, text, ("replace_as", "insert"), text)
    log.add(plan(file))
    log.add(
        Connected(
            host=text, http_path=text, auth=text, catalog=text, schema=text, session_id=text,
            elapsed_ms=1, settings={},
        )
    )  # fmt: skip
    log.add(started(1, text), sent("f1.s1", "replace_as", text, head=text))
    log.add(ended("f1.s1", 700, 3, error=bad), after=700)
    log.add(asked("p1", text, bad), resolved("p1", "retry", by=text, reason=text))
    log.add(sent("f1.s1", "replace_as", text, attempt=2, head=text))
    log.add(ended("f1.s1", 700, 3), after=700)
    log.add(
        Weighed(table=text, statement="o", files=1, bytes=2, format=text, worth=False, reason=text)
    )
    log.add(Warned(code=text, detail=text), Unknown(type="of_tomorrow", critical=True))
    log.add(
        Retrying(statement=text, attempt=2, delay_ms=1, category=text, budget_left=1),
        check(text, "failed", observed=text, expected=text, table=text, measured={text: 1}),
        check(text, "passed", phase="preflight", observed=text, expected=text),
    )
    log.add(finished(1, text, 1_400, 3, "failed", text))
    log.add(LoopStarted(loop=text, name=text, table=text, max_iterations=3, files=0))
    for number in (1, 2):
        log.add(
            Iteration(
                loop=text, iteration=number, max_iterations=3, updated=number, residual=None,
                rows=1, source="file", table=text, elapsed_ms=1,
            )
        )  # fmt: skip
    ending(
        log,
        loops=(LoopResult(loop=text, iterations=2, outcome="accepted", final_table=text),),
        tables=(TableRows(name=text, rows=1),),
        coverage={text: 0.5},
        clusters={text: 3, f"{text}2": 4},
        next=(text,),
    )
    return log


def large(files: int, statements: int) -> Log:
    """A run of so many files with so many statements each."""
    log = Log()
    log.add(hello())
    for number in range(1, files + 1):
        path = f"{number:04}_a_file_with_a_name_that_is_not_short_{number}.sql"
        log.add(started(number, path, files, statements))
        for place in range(1, statements + 1):
            name = f"f{number}.s{place}"
            log.add(sent(name, target=f"main.crm.table_{number}_{place}"))
            log.add(ended(name, 40 + place * 7 % 90, 12), after=40 + place * 7 % 90)
        log.add(finished(number, path, statements * 80, 12 * statements))
    ending(
        log,
        files=FileCounts(completed=files, failed=0, skipped=0, not_needed=0, total=files),
        elapsed_ms=round((log.now - BEGAN).total_seconds() * 1000),
    )
    return log


def taken(entries: list[Entry]) -> Iterator[Entry]:
    """Entries as they come back from a log."""
    from protocol.codec import decode

    return (decode(encode(entry)) for entry in entries)
