"""Exceptions of the connector, turned into facts and into what is known about the write."""

from __future__ import annotations

import pytest
from databricks.sql.exc import DatabaseError, RequestError, ServerOperationError
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    ResponseError,
    SSLError,
)

from executor.core.failures import classify
from executor.warehouse.databricks.auth import login_failed
from executor.warehouse.databricks.errors import facts_in_text, facts_of, passing, statement_error

POOL = HTTPConnectionPool("127.0.0.1", 9)
NOTHING_SENT: Exception = NewConnectionError(None, "refused")  # type: ignore[arg-type]
BROKEN = ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))
SILENT = ReadTimeoutError(POOL, "/", "read timed out")


def answered(status: int | None, said: str = "", original: Exception | None = None) -> RequestError:
    context = {"http-code": status, "error-message": said}
    return RequestError("Error during request to server", context, None, original)


@pytest.mark.parametrize(
    ("text", "error_class"),
    [
        ("[A_B] x", "A_B"),
        ("[A_B.C] x SQLSTATE: 42P01", "A_B.C"),
        ("org.apache.spark.sql.AnalysisException: [A_B] x", "A_B"),
        ("org.apache.hive.service.cli.HiveSQLException: Error running query: [A_B] x", "A_B"),
        ("RESOURCE_DOES_NOT_EXIST: No warehouse", "RESOURCE_DOES_NOT_EXIST"),
        ("column [A_B] of the table", None),
        ("Something failed: see [A_B]", None),
    ],
)
def test_the_class_is_where_a_class_stands(text: str, error_class: str | None) -> None:
    assert facts_in_text(text, during="poll").error_class == error_class


def test_the_place_counts_from_one() -> None:
    for text in ("; line 3 pos 0", "(line 3, pos 0)", "(line 3, position 0)"):
        facts = facts_in_text(f"[PARSE_SYNTAX_ERROR] no SQLSTATE: 42601{text}", during="poll")
        assert (facts.line, facts.position, facts.sqlstate) == (3, 1, "42601")


HEAD = "org.apache.hive.service.cli.HiveSQLException: Error running query: [A_B] It failed."
FRAMES = "\tat a.b.C$.d(E.scala:1)\n\tat f.G.run(H.java:2)"


@pytest.mark.parametrize(
    ("beneath", "cause"),
    [
        ("", None),
        ("Caused by: i.J: [A_B] It failed. SQLSTATE: 42P01; line 1 pos 2;", None),
        ("Caused by: i.J: [A_B] It failed. SQLSTATE: 42P01; line 1 pos 2;\n'Project [x]", None),
        ("Caused by: i.J: disk full\n\tat k.L(M.java:3)\n\t... 2 more", "i.J: disk full"),
        ("Caused by: i.J: disk full\nand more\nCaused by: n.O: no", "i.J: disk full"),
        ("Caused by: java.lang.NullPointerException", "java.lang.NullPointerException"),
        ("\tCaused by: i.J: of what was suppressed\r", "i.J: of what was suppressed"),
    ],
)
def test_the_first_cause_is_told_where_the_message_does_not_say_it(
    beneath: str, cause: str | None
) -> None:
    stack = f"{HEAD}\n{FRAMES}\n{beneath}"
    text = "[A_B] It failed. SQLSTATE: 42P01; line 1 pos 2"
    facts = facts_of(ServerOperationError(text, {"diagnostic-info": stack}), during="poll")
    assert (facts.cause, facts.stack, facts.message) == (cause, stack, text)


@pytest.mark.parametrize("stack", [None, "", "[A_B] It failed.\n"])
def test_where_there_is_no_stack_none_is_kept(stack: str | None) -> None:
    failed = ServerOperationError("[A_B] It failed.", {"diagnostic-info": stack})
    facts = facts_of(failed, during="poll")
    assert (facts.cause, facts.stack) == (None, None)


@pytest.mark.parametrize("during", ["execute", "poll", "fetch"])
def test_a_broken_connection_leaves_a_write_unknown(during: str) -> None:
    for exc in (BROKEN, SILENT):
        caught = statement_error(exc, during=during, kind="insert", query_id=None)
        assert caught.outcome == "unknown"


def test_what_was_never_sent_has_not_committed() -> None:
    for exc in (NOTHING_SENT, ConnectTimeoutError("slow"), MaxRetryError(POOL, "/", NOTHING_SENT)):
        caught = statement_error(exc, during="execute", kind="insert", query_id=None)
        assert caught.outcome == "not_committed"


def test_a_certificate_that_is_refused_stops_before_anything_is_sent() -> None:
    refused = SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    assert statement_error(refused, during="execute", kind="insert", query_id=None).outcome == (
        "not_committed"
    )
    broken = SSLError("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred")
    assert statement_error(broken, during="execute", kind="insert", query_id=None).outcome == (
        "unknown"
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(400, "not_committed"), (401, "not_committed"), (403, "not_committed"), (404, "not_committed"),
     (429, "unknown"), (500, "unknown"), (502, "unknown"), (503, "unknown"),
     (504, "unknown"), (200, "unknown"), (None, "unknown")],
)  # fmt: skip
def test_only_a_refusal_proves_that_nothing_committed(status: int | None, outcome: str) -> None:
    caught = statement_error(answered(status), during="execute", kind="insert", query_id=None)
    assert caught.outcome == outcome


def test_a_statement_stopped_by_the_warehouse_may_have_committed() -> None:
    for text in ("Statement has timed out after 5 seconds", "[OPERATION_CANCELED] Cancelled."):
        caught = statement_error(
            ServerOperationError(text), during="poll", kind="merge", query_id=None
        )
        assert caught.outcome == "unknown"


def test_a_statement_cancelled_with_a_reason_counts_as_cancelled() -> None:
    exc = ServerOperationError("[OPERATION_CANCELED] Operation has been canceled. SQLSTATE: HY008")
    assert statement_error(exc, during="poll", kind="merge", query_id=None).cancelled


def test_a_script_that_fails_may_have_committed_its_first_half() -> None:
    failed = ServerOperationError("[DIVIDE_BY_ZERO] no")
    assert statement_error(failed, during="poll", kind="script", query_id=None).outcome == "unknown"
    unread = ServerOperationError("[PARSE_SYNTAX_ERROR] no")
    assert statement_error(unread, during="poll", kind="script", query_id=None).outcome == (
        "not_committed"
    )


def test_an_error_without_text_is_still_an_error() -> None:
    facts = facts_of(ServerOperationError(None), during="poll")
    assert facts.message == "The warehouse gave no reason."


def test_an_exhausted_retry_names_the_http_status() -> None:
    exc = MaxRetryError(POOL, "/", ResponseError("too many 503 error responses"))
    facts = facts_of(exc, during="connect")
    assert facts.http_status == 503
    assert classify(facts).category == "warehouse_starting"


def test_the_text_of_an_http_error_is_the_server_s_own() -> None:
    facts = facts_of(answered(403, ": PERMISSION_DENIED: not yours"), during="connect")
    assert facts.message == "PERMISSION_DENIED: not yours"
    assert facts.error_class == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("exc", "again"),
    [
        (BROKEN, True),
        (answered(503), True),
        (answered(None, original=BROKEN), True),
        (answered(401), False),
        (answered(404), False),
        (DatabaseError("Invalid SessionHandle"), False),
        (ServerOperationError("[X_Y] no"), False),
    ],
)
def test_a_poll_is_repeated_only_while_the_answer_is_missing(exc: Exception, again: bool) -> None:
    assert passing(exc) is again


def test_a_warehouse_that_refuses_thrift_is_known_by_what_caused_the_error() -> None:
    # what the connector raises if its extra for such warehouses is not installed
    exc = ImportError("use_kernel=True requires the optional package")
    exc.__cause__ = DatabaseError("not supported on this warehouse")
    facts = facts_of(exc, during="connect")
    assert (facts.error_class, classify(facts).category) == ("KP001", "connect")
    exc.__cause__ = None
    assert facts_of(exc, during="connect").error_class == "DWX_CONNECTOR_ERROR"


def test_a_statement_without_credentials_was_not_sent() -> None:
    expired = login_failed("The login has expired.")
    for exc in (expired, answered(None, original=expired)):
        caught = statement_error(exc, during="execute", kind="insert", query_id=None)
        assert caught.facts.error_class == "DWX_LOGIN_FAILED"
        assert classify(caught.facts).category == "auth"
        assert caught.outcome == "not_committed"
        later = statement_error(exc, during="poll", kind="insert", query_id="q")
        assert later.outcome == "unknown"
