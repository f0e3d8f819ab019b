"""What a person at a terminal is shown, folded from events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.views.progress import Line, Live, Progress
from protocol.base import timestamp
from protocol.events import (
    Choice,
    Connecting,
    ErrorPrompt,
    Event,
    FileFinished,
    FileStarted,
    Iteration,
    LoopStarted,
    PromptResolved,
    StatementStarted,
    Unknown,
    Waiting,
)
from protocol.hello import Entry, Hello, Settings
from protocol.log import read_entries
from tests.protocol.strategies import ANY_ENTRY

RECORDED = Path(__file__).parents[2] / "examples" / "recorded"
LOGS = sorted(RECORDED.glob("*/events.jsonl"))
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HELLO = Hello(
    protocol="dwx/1.0", tool_version="0", run_dir=".dwx/runs/r-1", pid=1, view="full", argv=(),
    segment=1, answer_with=None, settings=None,
)  # fmt: skip


def entry(event: Event | Unknown, after_s: float = 0) -> Entry:
    at = timestamp(BEGAN + timedelta(seconds=after_s))
    return Entry(v=1, run="r-1", seq=1, ts=at, event=event)


def folded(*events: Event, after_s: float = 0) -> tuple[Progress, list[Line]]:
    """A fold after these events, and the lines that the last one left."""
    progress, lines = Progress(), list[Line]()
    for event in (HELLO, *events):
        lines = progress.take(entry(event, after_s))
    return progress, lines


def under_way(progress: Progress, after_s: float = 0) -> Live:
    live = progress.live(BEGAN + timedelta(seconds=after_s))
    assert live is not None
    return live


def texts(lines: Sequence[Line]) -> list[str]:
    return [" ".join(part for part in (one.mark, one.head, one.text) if part) for one in lines]


def prompt(name: str = "p1") -> ErrorPrompt:
    return ErrorPrompt(
        prompt=name, digest="0", title="f1.s1 failed", file="f1", statement="f1.s1", loop=None,
        error=None, attempt=1, outcome="unknown", evidence="nobody saw it end", already_done=(),
        dependents=(), unanswered="suspend", answer_with="dwx answer p1 CHOICE",
        deadline=timestamp(BEGAN + timedelta(minutes=15)),
        choices=(
            Choice(choice="retry", effect="run it again", safe=False),
            Choice(choice="abort", effect="stop the run", safe=True),
        ),
    )  # fmt: skip


def resolved(name: str) -> PromptResolved:
    return PromptResolved(
        prompt=name, how="decision", choice="retry", source="inbox", by="ana", reason=None
    )


# --- laws -------------------------------------------------------------------------------------


def _dated(one: Entry) -> Entry:
    """With times as they are on the wire."""
    event = one.event
    if isinstance(event, ErrorPrompt) and event.deadline is not None:
        event = replace(event, deadline=timestamp(BEGAN))
    return replace(one, ts=timestamp(BEGAN), event=event)


@settings(deadline=None)
@given(st.lists(ANY_ENTRY.map(_dated), max_size=12))
def test_whatever_happens_is_shown_without_a_control_character(entries: list[Entry]) -> None:
    progress = Progress()
    for one in entries:
        lines = progress.take(one)
        live = progress.live(BEGAN)
        shown = [*lines, *(live.lines if live is not None else ())]
        shown += [line for question in progress.questions.values() for line in question.lines]
        for line in shown:
            for text in (line.text, line.mark, line.head, line.aside):
                assert text.isprintable(), (one.event.type, text)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["p1", "p2", "p3"]))))
def test_what_is_asked_is_what_was_opened_and_not_settled(steps: list[tuple[bool, str]]) -> None:
    progress, expected = Progress(), dict[str, None]()
    progress.take(entry(HELLO))
    for opens, name in steps:
        progress.take(entry(prompt(name) if opens else resolved(name)))
        if opens:
            expected[name] = None
        else:
            expected.pop(name, None)
        assert list(progress.questions) == list(expected)


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.parent.name)
def test_a_recorded_run_is_never_ahead_of_itself_and_over_at_its_end(log: Path) -> None:
    progress, before = Progress(), 0
    for one in read_entries(log):
        progress.take(one)
        live = progress.live(datetime.fromisoformat(one.ts))
        if live is not None:
            assert before <= live.done <= live.total or live.total == 0
            before = live.done
    assert progress.over
    assert progress.live(BEGAN) is None


# --- what is under way ------------------------------------------------------------------------


def started(statements: int = 1) -> FileStarted:
    return FileStarted(
        file="f1", path="01_a.sql", index=1, total=3, statements=statements, sha256="0"
    )


def statement(name: str, kind: str, target: str | None) -> StatementStarted:
    return StatementStarted(
        statement=name, kind=kind, target=target, line=1, sha256="0", attempt=1, head="SELECT 1",  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_statement_is_told_by_its_kind_and_target() -> None:
    progress, _ = folded(started(), statement("f1.s1", "merge", "main.crm.people"))
    live = under_way(progress, 65)
    assert texts(live.lines) == ["▸ 01_a.sql  [1 of 3]", "  merge main.crm.people"]
    assert [line.aside for line in live.lines] == ["1 min 5 s", "1 min 5 s"]
    assert (live.done, live.total) == (0, 3)


def test_a_statement_without_a_target_is_told_by_its_beginning() -> None:
    progress, _ = folded(started(), statement("f1.s1", "select", None))
    assert texts(under_way(progress).lines)[1] == "  SELECT 1"


def test_several_things_may_be_under_way() -> None:
    other = replace(started(), file="f2", path="02_b.sql", index=2)
    optimize = statement("optimize.s1", "optimize", "b")
    progress, _ = folded(started(), other, statement("f1.s1", "insert", "a"), optimize)
    assert texts(under_way(progress).lines) == [
        "▸ 01_a.sql  [1 of 3]", "  insert a", "▸ 02_b.sql  [2 of 3]", "▸ OPTIMIZE b",
    ]  # fmt: skip


def test_waiting_goes_on_with_the_clock_until_something_else_happens() -> None:
    waiting = Waiting(reason="warehouse_starting", elapsed_ms=10_000, budget_ms=600_000)
    connecting = Connecting(
        host="h", http_path=None, auth=None, catalog=None, schema=None
    )  # fmt: skip
    progress, _ = folded(connecting, waiting)
    line = under_way(progress, 5).lines[-1]
    assert texts([line]) == ["• waiting the warehouse is starting"]
    assert line.aside == "15 s of at most 10 min"
    progress.take(entry(started()))
    assert texts(under_way(progress).lines) == ["▸ 01_a.sql  [1 of 3]"]


# --- what stays -------------------------------------------------------------------------------


def test_a_file_that_is_done_stays_with_rows_and_time() -> None:
    finished = FileFinished(
        file="f1", path="01_a.sql", status="completed", rows=1200, elapsed_ms=2500, reason=None
    )
    progress, lines = folded(started(), finished)
    assert texts(lines) == ["✓ 01_a.sql"]
    assert lines[0].aside.split("  ")[0] == "1,200 rows"
    assert under_way(progress).done == 1


def test_an_iteration_tells_what_changed_what_is_left_and_an_estimate() -> None:
    loop = LoopStarted(loop="l1", name="merge", table="t", max_iterations=30, files=1)
    iteration = Iteration(
        loop="l1", iteration=2, max_iterations=30, updated=1234, residual=17, iterations_left=3,
        rows=None, source="file", table="t", elapsed_ms=100,
    )  # fmt: skip
    _, lines = folded(loop, iteration)
    assert texts(lines) == ["↻ iteration 2 of at most 30 updated 1,234, residual 17, about 3 left"]
    _, lines = folded(loop, replace(iteration, updated=None, residual=None, iterations_left=None))
    assert texts(lines) == ["↻ iteration 2 of at most 30 updated unknown"]


def test_a_question_names_choices_effects_what_is_not_safe_and_what_silence_does() -> None:
    progress, lines = folded(prompt())
    question = progress.questions["p1"]
    assert lines == []
    assert question.choices == ("retry", "abort")
    assert texts(question.lines) == [
        "✗ f1.s1 failed", "  nobody saw it end", "", "1 retry run it again", "2 abort stop the run",
        "",
    ]  # fmt: skip
    assert [line.aside for line in question.lines if line.aside] == ["not safe: it may write twice"]
    assert question.unanswered == "If nobody answers in 15 min, the run is suspended."


def test_a_run_that_goes_on_waits_for_what_was_asked_anew() -> None:
    again = replace(HELLO, segment=2, settings=Settings(directory="sql", on_unanswered="abort"))
    progress, _ = folded(prompt(), again)
    silence = progress.questions["p1"].unanswered
    assert silence == "If nobody answers in 15 min, the run is aborted."


def test_who_answered_elsewhere_is_told() -> None:
    progress, lines = folded(prompt(), resolved("p1"))
    assert progress.questions == {}
    assert texts(lines) == ["→ p1 answered elsewhere: retry, by ana"]
