"""What a failure means: one judgement for each way the warehouse has of saying it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.core.facts import FailureFacts
from executor.core.failures import (
    MAX_CAUSE_BYTES,
    MAX_STACK_BYTES,
    classify,
    error_record,
    fingerprint,
    readable,
)
from executor.core.taxonomy import BY_SQLSTATE, RULES, UNKNOWN
from protocol.events import PlannedStatement

STATEMENT = PlannedStatement(
    id="f3.s2", kind="insert", target="t", line=10, sha256="0", head="", unit="f3.s1",
    idempotent=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("error_class", "category", "retry"),
    [
        ("PARSE_SYNTAX_ERROR", "syntax", "no"),
        ("UNRESOLVED_COLUMN.WITH_SUGGESTION", "missing_column", "no"),
        ("UNRESOLVED_ROUTINE", "missing_function", "no"),
        ("TABLE_OR_VIEW_NOT_FOUND", "missing_object", "user"),
        ("SCHEMA_NOT_FOUND", "missing_namespace", "no"),
        ("NO_SUCH_CATALOG_EXCEPTION", "missing_namespace", "no"),
        ("TABLE_OR_VIEW_ALREADY_EXISTS", "exists", "after_check"),
        ("INSUFFICIENT_PERMISSIONS", "permission", "user"),
        ("INVALID_HANDLE.SESSION_CLOSED", "session_lost", "auto"),
        ("INVALID_HANDLE.OPERATION_ABANDONED", "handle_lost", "after_check"),
        ("DELTA_CONCURRENT_APPEND.WITHOUT_HINT", "concurrency", "auto"),
        ("DELTA_METADATA_CHANGED", "concurrency", "auto"),
        ("DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE", "data_error", "no"),
        ("CAST_INVALID_INPUT", "data_error", "no"),
        ("DIVIDE_BY_ZERO", "data_error", "no"),
        ("DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES", "schema_mismatch", "no"),
        ("AMBIGUOUS_REFERENCE", "semantic", "no"),
        ("DELTA_LOG_FILE_NOT_FOUND", "storage", "user"),
        ("CONFIG_NOT_AVAILABLE", "config", "no"),
        ("UNSUPPORTED_FEATURE.TABLE_OPERATION", "unsupported", "no"),
        ("METASTORE_ERROR", "transient_server", "auto"),
        ("INTERNAL_ERROR_BROADCAST", "internal", "user"),
        ("OPERATION_CANCELED", "cancelled", "after_check"),
        ("DWX_CHECK_LOOKUP_UNIQUE", "quality", "no"),
    ],
)
def test_a_class_decides(error_class: str, category: str, retry: str) -> None:
    failure = classify(FailureFacts(error_class, "whatever"))
    assert (failure.category, failure.retry) == (category, retry)
    assert failure.class_ == error_class
    assert failure.retryable == (retry != "no")


@pytest.mark.parametrize(
    ("message", "during", "category"),
    [
        ("Invalid SessionHandle: SessionHandle [0-1]", "execute", "session_lost"),
        ("BAD_REQUEST: Invalid SessionHandle: Session [0-1] is closed.", "execute", "session_lost"),
        ("requirement failed: Session handle [0] has not been initialized or had already closed",
         "poll", "session_lost"),
        ("Command 01 unexpectedly closed server side", "poll", "handle_lost"),
        ("Statement has timed out after 600 seconds", "poll", "timeout"),
        ("Query has been timed out due to inactivity.", "poll", "client_poll_gap"),
        ("Query could not be scheduled: HTTP Response code: 503", "poll", "transient_server"),
        ("Cluster 1 is temporarily unavailable", "connect", "warehouse_starting"),
        ("User does not have USE SCHEMA on Schema 'x'", "poll", "permission"),
        ("Source IP address: 1.2.3.4 is blocked by Databricks IP ACL for workspace: 1", "connect",
         "permission"),
        ("Job aborted due to stage failure: Task 3", "poll", "resource"),
        ("SparkOutOfMemoryError: no memory", "poll", "resource"),
        ("The warehouse x is stopped", "connect", "warehouse_failed"),
    ],
)  # fmt: skip
def test_without_a_class_the_text_decides(message: str, during: str, category: str) -> None:
    assert classify(FailureFacts(None, message, during=during)).category == category


@pytest.mark.parametrize(
    ("status", "during", "category"),
    [
        (401, "connect", "auth"),
        (403, "connect", "permission"),
        (404, "connect", "wrong_warehouse"),
        (404, "poll", "handle_lost"),
        (429, "execute", "throttled"),
        (503, "connect", "warehouse_starting"),
        (503, "execute", "transport_ambiguous"),
        (502, "execute", "transport_ambiguous"),
        (502, "connect", "transport"),
    ],
)
def test_without_class_and_text_the_http_status_decides(
    status: int, during: str, category: str
) -> None:
    facts = FailureFacts(None, "The server answered.", http_status=status, during=during)
    assert classify(facts).category == category


@pytest.mark.parametrize(
    ("sqlstate", "category"),
    [
        ("42K99", "semantic"),
        ("2D521", "concurrency"),
        ("22P99", "data_error"),
        ("XXKST", "internal"),
    ],
)
def test_a_class_nobody_knows_is_judged_by_its_sqlstate(sqlstate: str, category: str) -> None:
    failure = classify(FailureFacts("BRAND_NEW_ERROR", "?", sqlstate=sqlstate))
    assert failure.category == category
    assert failure.class_ == "BRAND_NEW_ERROR"


def test_what_nothing_is_known_about_is_unknown_and_asked_about() -> None:
    failure = classify(FailureFacts(None, "Something odd."))
    assert failure.category == "unknown"
    assert failure.retry == "user"
    assert failure.class_ == "DWX_UNKNOWN"


def test_a_class_is_not_taken_for_another_one_that_begins_alike() -> None:
    assert classify(FailureFacts("AMBIGUOUS_REFERENCE_NEW", "?")).category == "unknown"


def test_a_lost_session_under_a_running_statement_calls_for_a_look_at_the_table() -> None:
    facts = FailureFacts("INVALID_HANDLE.SESSION_CHANGED", "?", during="poll")
    assert classify(facts).retry == "after_check"


def test_every_row_of_the_table_can_be_reached_and_says_what_to_do() -> None:
    for rule in (*RULES, *BY_SQLSTATE.values(), UNKNOWN):
        assert rule.suggestion.endswith(".")
        assert rule.retry != "auto" or rule.default in ("retry", "continue")
    for rule in RULES:
        assert rule.classes or rule.phrases or rule.statuses


def test_every_class_of_the_table_is_judged_by_its_own_row_at_some_stage() -> None:
    for rule in RULES:
        for name in rule.classes:
            example = name.replace("*", "X")
            found = {
                classify(FailureFacts(example, "", during=stage)).category
                for stage in ("connect", "execute", "poll", "fetch", "close")
            }
            assert rule.category in found, name


@given(
    st.one_of(st.none(), st.text()), st.text(), st.one_of(st.none(), st.text(max_size=5)),
    st.one_of(st.none(), st.integers(100, 599)),
)  # fmt: skip
def test_everything_is_judged(
    error_class: str | None, message: str, sqlstate: str | None, status: int | None
) -> None:
    record = error_record(
        FailureFacts(error_class, message, sqlstate, status), path="a.sql", statement=STATEMENT
    )
    assert record.category
    assert record.suggestion
    assert record.severity in ("fatal", "critical", "moderate", "warning")


# --- the record -------------------------------------------------------------------------------


def test_the_line_counts_from_the_top_of_the_file() -> None:
    facts = FailureFacts("PARSE_SYNTAX_ERROR", "no", line=3, position=7)
    record = error_record(facts, path="05_x.sql", statement=STATEMENT)
    assert (record.file, record.line, record.position) == ("05_x.sql", 12, 7)
    assert record.statement == "f3.s2"


def test_without_a_line_the_statement_s_own_is_named() -> None:
    record = error_record(FailureFacts(None, "no"), path="a.sql", statement=STATEMENT)
    assert record.line == 10


def test_a_leaf_file_is_never_more_than_moderate() -> None:
    facts = FailureFacts("PERMISSION_DENIED", "no")
    assert error_record(facts, path=None, statement=None).severity == "fatal"
    assert error_record(facts, path=None, statement=None, critical=False).severity == "moderate"


def test_a_warning_stays_a_warning_in_a_leaf_file() -> None:
    facts = FailureFacts("DELTA_OPTIMIZE_X", "no")
    assert error_record(facts, path=None, statement=None, critical=False).severity == "warning"


def test_the_fingerprint_depends_on_place_and_class_alone() -> None:
    one = error_record(FailureFacts("A", "x", query_id="1"), path="p", statement=STATEMENT)
    two = error_record(FailureFacts("A", "y", query_id="2"), path="p", statement=STATEMENT)
    assert one.fingerprint == two.fingerprint
    assert len({fingerprint(*key) for key in [("p", "s", "A"), ("q", "s", "A"), ("p", "s", "B"),
                                              ("p", None, "A"), ("ps", "", "A")]}) == 5  # fmt: skip


def test_a_java_stack_is_left_out() -> None:
    text = "[X] Failed.\n\tat org.apache.spark.Foo.bar(Foo.scala:1)\n\tat java.lang.Thread.run(T:1)"
    assert readable(text) == "[X] Failed."


def test_a_cause_stands_on_one_short_line() -> None:
    facts = FailureFacts("X_Y", "Job aborted.", cause="a.B: [C_D]\t" + "é" * 1000 + "\r\x1b[31m")
    cause = error_record(facts, path=None, statement=None).cause
    assert cause is not None
    assert cause.startswith("a.B: [C_D] éé")
    assert cause.endswith(" …")
    assert len(cause.encode()) <= MAX_CAUSE_BYTES


def test_a_stack_is_kept_whole_with_nothing_a_terminal_would_obey() -> None:
    facts = FailureFacts("X_Y", "no", stack="a.B: \x1b[31m\n\tat c.D(E.java:1)\nCaused by: f.G")
    record = error_record(facts, path=None, statement=None)
    assert record.stack == "a.B: \\x1b[31m\n\tat c.D(E.java:1)\nCaused by: f.G"


def test_of_a_stack_of_a_megabyte_both_ends_are_kept_and_it_says_so() -> None:
    stack = "a.B: first\n" + "\tat é.D(E.java:1)\n" * 50_000 + "Caused by: f.G: last"
    kept = error_record(FailureFacts("X_Y", "no", stack=stack), path=None, statement=None).stack
    assert isinstance(kept, str)
    assert len(kept.encode()) <= MAX_STACK_BYTES
    head, _, rest = kept.partition("\n… ")
    said, _, tail = rest.partition(" bytes left out …\n")
    assert stack.startswith(head)
    assert stack.endswith(tail)
    assert tail.endswith("Caused by: f.G: last")
    assert len(stack.encode()) - len(head.encode()) - len(tail.encode()) - int(said) in range(4)


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert readable("a\x1b[31mb\r\u202ec\x9bd") == "a\\x1b[31mb\\x0d\\u202ec\\x9bd"
    assert readable("two\n\tlines") == "two\n\tlines"


@given(st.text(), st.integers(10, 200))
def test_a_message_never_exceeds_its_limit_and_can_be_written(text: str, limit: int) -> None:
    assert len(readable(text, limit).encode("utf-8")) <= limit
