"""A report tells what the log tells, of any log, in every format, and text in it stays text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.views.report import report_of
from executor.views.report_axis import WIDTH, axis_of
from executor.views.report_html import as_html
from executor.views.report_markdown import as_markdown
from executor.views.report_model import Report, as_json
from executor.views.report_text import as_text
from executor.views.report_words import amiss, buckets, headline, percent, size
from executor.views.text import shown
from protocol.base import Cut
from protocol.events import (
    CancelRequested,
    CleanedUp,
    DecisionRejected,
    Iteration,
    NotConverged,
    OptimizeMetrics,
    RunSuspended,
    StatementFinished,
)
from protocol.hello import Entry
from protocol.log import read_entries, resolve
from tests.protocol.strategies import ANY_ENTRY
from tests.views.reported import (
    COVERED,
    HOSTILE,
    Log,
    asked,
    check,
    ended,
    ending,
    error,
    eventful,
    finished,
    hello,
    hostile,
    large,
    plan,
    planned,
    resolved,
    sent,
    started,
    taken,
)

RECORDED = Path(__file__).parents[2] / "examples" / "recorded"
LOGS = sorted(RECORDED.glob("*/events.jsonl"))


def report(log: Log) -> Report:
    return report_of(taken(log.entries))


EVENTFUL = report(eventful())


# --- any log ----------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY_ENTRY, max_size=12))
def test_any_log_has_a_report_in_every_format(entries: list[Entry]) -> None:
    told = report_of(entries)
    assert all(line.isprintable() for line in as_text(told).split("\n"))
    assert all(line.isprintable() for line in as_markdown(told).split("\n"))
    assert json.loads(json.dumps(as_json(told), allow_nan=False)).keys() == as_json(told).keys()
    parsed(as_html(told))


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.parent.name)
def test_a_recorded_run_is_reported_as_it_went(log: Path) -> None:
    entries = [resolve(entry, log.parent) for entry in read_entries(log)]
    told = report_of(entries)
    last = entries[-1].event
    assert (told.state, told.outcome, told.exit_code) == ("finished", "succeeded", 0)
    assert told.remarks == ()
    assert told.file_counts["total"] == len(told.files)
    assert told.statement_counts["succeeded"] == len(told.statements)
    assert told.next == last.next  # type: ignore[union-attr]
    (loop,) = told.loops
    assert loop.outcome == "converged"
    assert [one.iteration for one in loop.iterations] == list(range(1, len(loop.iterations) + 1))
    assert loop.iterations[-1].updated == 0
    assert {one.status for one in told.files} <= {"completed", "not_needed"}
    assert all(one.started_ms is not None for one in told.files if one.status == "completed")


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.parent.name)
def test_what_a_broken_off_log_adds_up_to_is_what_the_last_line_would_have_told(log: Path) -> None:
    entries = [resolve(entry, log.parent) for entry in read_entries(log)]
    whole, broken = report_of(entries), report_of(entries[:-1])
    assert broken.outcome is None
    assert broken.remarks != ()
    assert broken.file_counts == whole.file_counts
    assert broken.statement_counts == whole.statement_counts
    assert broken.check_counts == whole.check_counts
    assert broken.rows == whole.rows
    # which views the run made, and what the alias holds, only the last line knows
    last = {one.name: one.rows for one in whole.tables}
    assert {one.name: one.rows for one in broken.tables}.items() <= last.items()


# --- what it tells ----------------------------------------------------------------------------


def test_the_report_of_a_run_that_met_everything_tells_it_all() -> None:
    assert headline(EVENTFUL) == "Incomplete in 5 min 20 s (exit code 4)"
    assert EVENTFUL.profile == "identity_unification"
    assert EVENTFUL.coverage == COVERED
    assert EVENTFUL.clusters["size_2"] == 301_870
    assert EVENTFUL.times.asking_ms == 94_000
    (loop,) = EVENTFUL.loops
    assert (loop.outcome, loop.by, len(loop.iterations)) == ("converged", "both", 5)
    assert [one.residual for one in loop.iterations] == [91_004, 20_113, 1_872, 66, 0]
    assert [one.iterations_left for one in loop.iterations] == [None, 3, 2, 1, 0]
    assert [one.name for one in amiss(EVENTFUL.checks)] == [
        "one canonical id per key",
        "coverage of web orders",
        "no orphans in support tickets",
    ]
    assert EVENTFUL.slowest[0] == "f2.s2"


def test_attempts_of_a_statement_are_kept_side_by_side() -> None:
    (one,) = (one for one in EVENTFUL.statements if one.id == "f2.s2")
    assert [attempt.status for attempt in one.attempts] == ["failed", "succeeded"]
    assert one.elapsed_ms == sum(attempt.elapsed_ms or 0 for attempt in one.attempts)
    assert one.path == "02_extract_merge.sql"
    first, second = (attempt.started_ms for attempt in one.attempts)
    assert first is not None
    assert second is not None
    assert second - first > 94_000


def test_a_statement_sent_again_without_a_word_about_its_end_was_lost_from_sight() -> None:
    log = Log()
    log.add(hello(), started(1, "01.sql"), sent("f1.s1"), sent("f1.s1", attempt=2))
    (one,) = report(log).statements
    assert [attempt.status for attempt in one.attempts] == ["unknown", "open"]


def test_an_error_is_overcome_when_its_statement_succeeded_later() -> None:
    overcome = {one.class_: one.overcome for one in EVENTFUL.errors}
    assert overcome == {
        "DIVIDE_BY_ZERO": False,
        "DWX_CHECKS_FAILED": False,
        "UNRESOLVED_COLUMN.WITH_SUGGESTION": True,
        "DELTA_CONCURRENT_APPEND": True,
    }
    assert [one.overcome for one in EVENTFUL.errors] == [False, False, True, True]


def test_the_same_error_is_counted_and_not_told_twice() -> None:
    log = Log()
    log.add(hello(), started(1, "01.sql"))
    for attempt in (1, 2, 3):
        log.add(sent("f2.s2", attempt=attempt), ended("f2.s2", 5, error=error()))
        log.add(asked(f"p{attempt}", "failed", error()), resolved(f"p{attempt}", "retry"))
    (one,) = report(log).errors
    assert one.times == 3
    assert "(critical, 3 times)" in as_text(report(log))


def test_a_prompt_tells_how_it_was_settled_and_by_whom() -> None:
    text = as_text(EVENTFUL)
    assert "→ retry (decision by mara through inbox, after 1 min 34 s): column renamed" in text
    assert "→ continue (policy by rule 3)" in text
    log = Log()
    log.add(hello(), asked("p1", "f2.s2 failed", error()))
    assert "→ open; it offers retry, skip, abort" in as_text(report(log))


def test_optimize_tells_what_it_made_of_a_table_and_why_it_left_one() -> None:
    text = as_text(EVENTFUL)
    assert "✓ main.crm.unify_loop_1: 4.3 s, 240 → 6 files, 3.4 GB → 3.1 GB" in text
    assert "• main.crm.unify_loop_4: left as it is: it has one file" in text


def test_the_optimize_of_a_file_is_told_too() -> None:
    done = replace(ended("f1.s1", 700), metrics=metrics())
    log = Log()
    log.add(hello(), started(1, "01.sql"), sent("f1.s1", "optimize", "c.s.t"), done)
    (one,) = report(log).optimized
    assert (one.table, one.ran, one.files_removed, one.elapsed_ms) == ("c.s.t", True, 9, 700)
    assert "c.s.t: 0.7 s, 9 files became 2, 900 B became 800 B" in as_text(report(log))


def metrics() -> OptimizeMetrics:
    return OptimizeMetrics(files_added=2, files_removed=9, bytes_added=800, bytes_removed=900)


def test_a_check_made_again_counts_once_and_as_it_ended() -> None:
    log = Log()
    log.add(hello(), check("schema", "failed", phase="preflight"))
    log.add(hello(segment=2), check("schema", "passed", phase="preflight"))
    told = report(log)
    assert [one.status for one in told.checks] == ["passed"]
    assert told.check_counts["failed"] == 0
    assert told.segments == 2


def test_a_lost_statement_that_was_found_to_have_committed_succeeded() -> None:
    lost: StatementFinished = ended("f1.s1", 700, status="unknown")
    log = Log()
    log.add(hello(), started(1, "01.sql"), sent("f1.s1"), lost)
    assert report(log).statement_counts["unknown"] == 1
    log.add(check("f1.s1", phase="recovery"))
    assert report(log).statement_counts == {
        "succeeded": 1, "failed": 0, "cancelled": 0, "unknown": 0,
    }  # fmt: skip


def test_without_a_last_line_coverage_and_clusters_come_from_the_checks() -> None:
    log = eventful()
    broken = report_of(taken(log.entries[:-1]))
    assert broken.coverage == {"main.crm.enriched_web_orders": 0.8127}
    assert broken.clusters == {"size_1": 803_120, "size_2": 301_870}
    assert "81.2 %" in as_text(broken)


def test_tables_dropped_or_cleaned_up_are_no_result() -> None:
    log = Log()
    log.add(hello(), started(1, "01.sql"))
    for number, table in enumerate(("c.s.kept", "c.s.dropped", "c.s.cleaned"), 1):
        log.add(sent(f"f1.s{number}", target=table), ended(f"f1.s{number}", 5, 7))
    log.add(sent("f1.s4", "drop", "c.s.dropped"), ended("f1.s4", 5))
    log.add(CleanedUp(tables=("c.s.cleaned",)))
    assert [(one.name, one.rows) for one in report(log).tables] == [("c.s.kept", 7)]


def test_a_loop_that_did_not_converge_says_why() -> None:
    log = Log()
    log.add(hello(), iteration(1, 20, 9), iteration(2, 20, 9))
    log.add(NotConverged(loop="loop1", iteration=2, reason="stalled", evidence="9 are left"))
    assert "✗ Not converged after 2 iterations of at most 5: stalled: 9 are left" in as_text(
        report(log)
    )


def iteration(number: int, updated: int | None, residual: int | None) -> Iteration:
    return Iteration(
        loop="loop1",
        iteration=number,
        max_iterations=5,
        updated=updated,
        residual=residual,
        rows=None,
        source="file",
        table="c.s.t",
        elapsed_ms=5,
    )


def test_what_is_worth_knowing_beside_is_among_the_warnings() -> None:
    log = Log()
    log.add(hello(), CancelRequested(by="SIGINT", mode="after_statement"))
    log.add(DecisionRejected(id=None, code="stale", detail="p1 is settled", source="stdin"))
    assert [one.detail for one in report(log).warnings] == [
        "Cancel requested by SIGINT (after statement)",
        "p1 is settled",
    ]


# --- runs that have not finished ----------------------------------------------------------------


def test_a_log_without_its_last_line_says_so_and_tells_what_was_under_way() -> None:
    log = Log()
    log.add(
        hello(), plan(planned(1, "01.sql", ("insert",), "c.s.t"), planned(2, "02.sql", (), "u"))
    )
    log.add(started(1, "01.sql"), sent("f1.s1", "insert", "c.s.t"))
    log.add(check("x"), after=1_500)
    told = report(log)
    assert (told.state, told.ended, told.elapsed_ms) == ("crashed", None, 1_500)
    assert [one.status for one in told.files] == ["open", "not_reached"]
    text = as_text(told)
    assert "✗ Broken off after 1.5 s" in text
    assert "! The log has no last line" in text
    assert "! Under way: f1.s1, INSERT c.s.t" in text
    assert "The log has no last line" in as_html(told)
    assert "The log has no last line" in as_markdown(told)


def test_a_run_that_is_at_work_is_reported_as_far_as_it_came() -> None:
    told = report_of(taken(eventful(40).entries), "running")
    assert headline(told).startswith("Still running after ")
    assert told.remarks[0].startswith("The run is at work")


def test_a_suspended_run_says_how_to_go_on() -> None:
    log = Log()
    log.add(hello(), asked("p1", "f2.s2 failed", error()))
    log.add(
        RunSuspended(
            reason="nobody answered",
            open_prompts=("p1",),
            resume_with="dwx resume r-test22",
            events=3,
            digest="d",
        )
    )
    told = report_of(taken(log.entries), "running")
    assert (told.state, told.exit_code, told.next) == ("suspended", 5, ("dwx resume r-test22",))
    assert told.remarks == ()
    log.add(hello(segment=2))
    assert report_of(taken(log.entries), "running").state == "running"


def test_a_log_that_holds_nothing_has_a_report_that_says_so() -> None:
    assert report_of([]).remarks == ("The log holds no event yet.",)


def test_a_plan_that_was_kept_apart_and_is_not_there_is_said_to_be_missing() -> None:
    log = eventful()
    files = Cut(text="", bytes=20_000, ref=f"artifacts/{'0' * 64}.json")
    log.entries[1] = replace(log.entries[1], event=replace(plan(), files=files))
    told = report(log)
    assert told.remarks == ("The plan is kept apart from the log and was not found with it.",)
    assert [one.path for one in told.files] == [one.path for one in EVENTFUL.files]
    assert [one.file for one in told.statements] == [one.file for one in EVENTFUL.statements]


# --- text from outside stays text -----------------------------------------------------------------

VOID = {"meta"}


class Structure(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...], str | None]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = tuple(name for name, _ in attrs)
        self.elements.append((tag, names, dict(attrs).get("class")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parsed(page: str) -> Structure:
    found = Structure()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    st.sampled_from("<>&\"'/=;!-`|*_[]()#~\\ \n\x00\u202exa1"), max_size=40
)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_whatever_text_an_event_carries_makes_no_element_and_no_attribute(text: str) -> None:
    text = f"é{text}"
    page = parsed(as_html(report(hostile(text))))
    innocent = re.sub("[<>&\"'`/=;]", "x", text)
    assert page.elements == parsed(as_html(report(hostile(innocent)))).elements
    assert shown(text).strip() in page.text
    assert {"script", "a", "img", "link", "iframe", "form"}.isdisjoint(
        name for name, _, _ in page.elements
    )


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_whatever_text_an_event_carries_makes_no_markup_in_markdown(text: str) -> None:
    text = f"é{text}"
    innocent = re.sub(r"[<>&|`*_\[\]#~!$\\@:.\n]", "x", shown(text))
    assert skeleton(as_markdown(report(hostile(text)))) == skeleton(
        as_markdown(report(hostile(innocent)))
    )


def skeleton(markdown: str) -> list[str]:
    """Of each line, the characters that are markup: neither escaped nor written as an entity."""
    plain = re.sub(r"\\[!-/:-@\[-`{-~]|&(?:#\d+|\w+);", "x", markdown)
    return ["".join(re.findall(r"[<>&|`*_\[\]#~!$\\@]", line)) for line in plain.splitlines()]


@given(TEXTS)
def test_whatever_text_an_event_carries_is_one_line_of_text(text: str) -> None:
    lines = as_text(report(hostile(f"é{text}"))).split("\n")
    assert all(line.isprintable() for line in lines)
    assert len(lines) == len(as_text(report(hostile("é"))).split("\n"))


def test_a_hostile_text_stands_in_the_report_as_it_is_said_elsewhere() -> None:
    page = as_html(report(hostile()))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert shown(HOSTILE).strip() in parsed(page).text


# --- the page -------------------------------------------------------------------------------------


def test_the_page_forbids_everything_but_its_own_style_and_names_nothing_outside() -> None:
    page = as_html(EVENTFUL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].split("; ")[:2] == ["default-src 'none'", "style-src 'unsafe-inline'"]
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert not re.search(r"(?:src|href|url|@import)\s*[=(]", page)
    assert "://" not in page


def test_the_page_can_be_read_without_seeing_it() -> None:
    page = parsed(as_html(EVENTFUL))
    names = [name for name, _, _ in page.elements]
    assert names.count("h1") == 1
    assert names.count("section") == names.count("h2")
    for name, attributes, _ in page.elements:
        if name == "svg":
            assert "aria-label" in attributes or "aria-hidden" in attributes
        if name == "th":
            assert "scope" in attributes


@pytest.mark.parametrize(("files", "statements"), [(30, 14), (1_000, 10), (2, 5_000)])
def test_the_page_stays_small(files: int, statements: int) -> None:
    page = as_html(report_of(large(files, statements).entries))
    assert len(page.encode()) < 300_000
    parsed(page)


def test_long_lists_are_cut_and_say_so() -> None:
    told = report_of(large(310, 1).entries)
    assert "… and 10 more files." in as_html(told)
    assert "… and 10 more." in as_markdown(told)


def test_the_curve_is_broken_where_a_number_is_not_known() -> None:
    log = Log()
    log.add(hello(), iteration(1, 20, None), iteration(2, None, None), iteration(3, 0, None))
    page = as_html(report(log))
    line = re.search(r'class="l0" d="(M2[^"]*)"', page)
    assert line is not None
    assert line[1].count("M") == 2
    assert "rows changed per iteration: 20, unknown, 0" in page


# --- pieces ---------------------------------------------------------------------------------------

SPANS = st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), max_size=12)


@given(SPANS, st.integers(0, 10**8))
def test_the_axis_keeps_the_order_of_times_and_its_bounds(
    spans: list[tuple[int, int]], beyond: int
) -> None:
    busy = [(began, began + took) for began, took in spans]
    total = max((ended for _, ended in busy), default=0) + beyond
    axis = axis_of(busy, total)
    assert axis.place(0) == 0
    assert axis.place(max(total, 1)) == pytest.approx(WIDTH)
    times = sorted({time for span in busy for time in span})
    places = [axis.place(time) for time in times]
    assert places == sorted(places)
    assert all(0 <= place <= WIDTH + 1e-6 for place in places)
    assert all(not any(began < tick < ended for began, ended in axis.gaps) for tick in axis.ticks())
    assert len(axis.ticks()) <= 8


def test_a_night_of_waiting_takes_no_more_room_than_a_gap() -> None:
    night = 36_000_000
    axis = axis_of([(0, 60_000), (60_000 + night, 120_000 + night)], 120_000 + night)
    assert axis.place(60_000) == pytest.approx(485, abs=10)
    assert axis.place(60_000 + night) == pytest.approx(515, abs=10)


def test_a_share_is_never_rounded_up_to_what_it_is_not() -> None:
    assert [percent(share) for share in (1, 0.99999, 0.29, 0.57, 0)] == [
        "100.0 %", "99.9 %", "29.0 %", "57.0 %", "0.0 %",
    ]  # fmt: skip


def test_sizes_are_told_in_their_units() -> None:
    assert [size(count) for count in (None, 999, 1_000, 3_400_000_000, 5 * 10**15)] == [
        "unknown", "999 B", "1.0 kB", "3.4 GB", "5000.0 TB",
    ]  # fmt: skip


def test_only_what_names_a_size_is_a_part_of_the_whole() -> None:
    sizes, others = buckets({"clusters": 9, "largest": 7, "size_1": 5, "from_3_to_10": 4})
    assert list(sizes) == ["size_1", "from_3_to_10"]
    assert list(others) == ["clusters", "largest"]


def test_a_file_that_failed_or_was_skipped_says_why() -> None:
    log = Log()
    log.add(hello(), finished(1, "01.sql", 5, None, "failed", "f1.s1 failed"))
    log.add(finished(2, "02.sql", 0, None, "skipped", "needs 01.sql"))
    text = as_text(report(log))
    assert "✗ 01.sql: failed, f1.s1 failed" in text
    assert "• 02.sql: skipped, needs 01.sql" in text


def test_a_finished_run_needs_nothing_but_its_log() -> None:
    log = Log()
    log.add(hello())
    ending(log)
    assert as_text(report(log)).endswith("→ Nothing: all that was needed has run.\n")
