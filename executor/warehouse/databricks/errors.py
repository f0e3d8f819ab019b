"""From the connector's exceptions to facts: what happened, and what is known about the write.

Theory. An error reaches us in one of four shapes:

- `ServerOperationError`: the warehouse took the statement and reports that it failed. Delta commits
  a statement as a whole or not at all, so nothing was committed.
- `DatabaseError`: the warehouse answered a request with an error status. For ExecuteStatement that
  is a refusal; for a poll the statement has been lost from sight.
- `RequestError`: there was an HTTP answer that is no Thrift answer (401, 429, 503, ...), or half of
  one.
- `urllib3` exceptions: there was no answer. If no connection was made nothing was sent; in every
  other case the request may have been executed.

Class, SQLSTATE and place stand in the text, as `[CLASS] message SQLSTATE: 42P01; line 1 pos 14`;
the connector drops the fields of the protocol that hold them. `pos` counts from 0. Beside the text
a `ServerOperationError` carries the Java stack, which may name a cause that the text does not.

Importing this module imports urllib3 and the light part of the connector.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import Any

from databricks.sql.exc import DatabaseError, RequestError, ServerOperationError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from executor.core.facts import FailureFacts
from executor.core.failures import classify
from executor.warehouse.databricks.auth import AuthFailed
from executor.warehouse.port import NOTHING_WRITTEN, READS, StatementError
from protocol.events import Outcome, StatementKind

REFUSALS = frozenset({400, 401, 403, 404})
"""HTTP statuses that say who may ask for what, and come before anything is executed."""

_CLASS = re.compile(
    r"(?:^|Exception:\s|running query:\s)\s*\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]", re.MULTILINE
)
_BARE_CLASS = re.compile(r"^\s*(?:[\w.]+Exception:\s*)?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?=:|$)")
_CAUSE = re.compile(r"^\s*Caused by: (.+)$", re.MULTILINE)
_CLASS_OF_CAUSE = re.compile(
    r"^\s*Caused by:.*?\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]", re.MULTILINE
)
_EXCEPTION = re.compile(r"^[\w.$]+: ")
_SQLSTATE = re.compile(r"SQLSTATE:\s*([0-9A-Z]{5})\b")
_PLACE = re.compile(r"\bline (\d+),? pos(?:ition)? (\d+)")
_STATUS_IN_TEXT = re.compile(r"\btoo many (\d{3}) error responses")


def facts_of(exc: BaseException, *, during: str, query_id: str | None = None) -> FailureFacts:
    """The facts in an exception of the connector or of what is below it."""
    if isinstance(exc, AuthFailed):
        return replace(exc.facts, during=during, query_id=query_id)
    if isinstance(exc, ServerOperationError | DatabaseError) and not isinstance(exc, RequestError):
        facts = facts_in_text(_message(exc), during=during, query_id=query_id)
        stack = (getattr(exc, "context", None) or {}).get("diagnostic-info")
        return _with_stack(facts, stack) if isinstance(stack, str) else facts
    if isinstance(exc, RequestError):
        return _request_facts(exc, during=during, query_id=query_id)
    status = _STATUS_IN_TEXT.search(str(exc))
    if status:
        return FailureFacts(
            error_class=None,
            message=f"The server answered with HTTP status {status.group(1)}, again and again.",
            http_status=int(status.group(1)),
            query_id=query_id,
            during=during,
        )
    return FailureFacts(
        error_class=_transport_class(exc),
        message=f"{type(_root(exc)).__name__}: {_root(exc)}",
        query_id=query_id,
        during=during,
    )


def facts_in_text(
    text: str, *, during: str, query_id: str | None = None, http_status: int | None = None
) -> FailureFacts:
    """Class, SQLSTATE and place as far as a message of the warehouse holds them."""
    error_class = _CLASS.search(text) or _BARE_CLASS.search(text)
    sqlstate = _SQLSTATE.search(text)
    place = _PLACE.search(text)
    return FailureFacts(
        error_class=error_class.group(1) if error_class else None,
        message=text,
        sqlstate=sqlstate.group(1) if sqlstate else None,
        http_status=http_status,
        line=int(place.group(1)) if place else None,
        position=int(place.group(2)) + 1 if place else None,
        query_id=query_id,
        during=during,
    )


def _with_stack(facts: FailureFacts, stack: str) -> FailureFacts:
    if stack.strip() in ("", facts.message.strip()):
        return facts
    cause = _CAUSE.search(stack)
    named = cause.group(1).strip() if cause else ""
    # after the name of the exception, and without what joins it to a plan
    said = _EXCEPTION.sub("", named).rstrip(" ;")
    # "Job aborted due to stage failure" wraps the error that explains it
    found = _CLASS_OF_CAUSE.search(stack) if facts.error_class is None else None
    return replace(
        facts,
        error_class=found.group(1) if found else facts.error_class,
        cause=None if said in facts.message else named,
        stack=stack,
    )


def statement_error(
    exc: Exception, *, during: str, kind: StatementKind, query_id: str | None
) -> StatementError:
    """What a failed statement's exception says, and whether it may have committed."""
    facts = facts_of(exc, during=during, query_id=query_id)
    outcome, evidence = _outcome(exc, facts, kind)
    return StatementError(
        facts,
        outcome=outcome,
        evidence=evidence,
        cancelled=classify(facts).category == "cancelled",
    )


def passing(exc: Exception) -> bool:
    """True if asking the same again may get an answer: for polls, which change nothing."""
    if isinstance(exc, ServerOperationError):
        return False
    if isinstance(exc, RequestError):
        status = _http_status(exc)
        return status is None or status in (200, 429, 500, 502, 503, 504)
    return not isinstance(exc, DatabaseError)


def retry_after_s(exc: BaseException) -> float | None:
    """Seconds the server asked to wait, if it did."""
    text = (getattr(exc, "context", None) or {}).get("retry-after")
    try:
        return max(0.0, float(text)) if text is not None else None
    except ValueError:  # a date is allowed too; nobody sends one
        return None


def _outcome(exc: Exception, facts: FailureFacts, kind: StatementKind) -> tuple[Outcome, str]:
    if kind in READS:
        return NOTHING_WRITTEN
    if isinstance(exc, ServerOperationError):
        category = classify(facts).category
        if kind == "script" and category != "syntax":
            return "unknown", "the script failed, and what it did before that may have committed"
        if category in ("cancelled", "timeout", "client_poll_gap"):
            return "unknown", "the warehouse stopped the statement; it may have committed before"
        return (
            "not_committed",
            "the warehouse reports the statement as failed, and a statement commits as a whole",
        )
    if facts.during != "execute":
        return "unknown", "the statement was accepted, and its end was not seen"
    if isinstance(exc, AuthFailed) or any(isinstance(one, AuthFailed) for one in exc.args):
        return "not_committed", "there were no credentials to send it with, so nothing was sent"
    if isinstance(exc, RequestError):
        status = _http_status(exc)
        if status in REFUSALS:
            return "not_committed", f"the server refused the request with HTTP status {status}"
        # 429 and 503 should mean that nothing was executed, and have been seen to lie
        return "unknown", "the statement was sent, and no usable answer came back"
    if isinstance(exc, DatabaseError):
        return "not_committed", "the warehouse refused the statement"
    if _never_sent(exc):
        return "not_committed", "no connection was made, so nothing was sent"
    return "unknown", "the statement was sent, and the connection broke before an answer came"


def _request_facts(exc: RequestError, *, during: str, query_id: str | None) -> FailureFacts:
    status = _http_status(exc)
    said = exc.context.get("error-message") or ""
    original = exc.args[1] if len(exc.args) > 1 else None
    if status is None and isinstance(original, BaseException):
        return facts_of(original, during=during, query_id=query_id)
    text = said.lstrip(": ")
    if not text:
        text = (
            f"The server answered with HTTP status {status}."
            if status not in (None, 200)
            else "The server's answer broke off or could not be understood."
        )
    facts = facts_in_text(text, during=during, query_id=query_id, http_status=status)
    if status in (None, 200) and facts.error_class is None:
        facts = replace(facts, error_class="DWX_CONNECTION_LOST", http_status=None)
    return replace(facts, retry_after_s=retry_after_s(exc))


def _http_status(exc: RequestError) -> int | None:
    status = exc.context.get("http-code")
    return status if isinstance(status, int) else None


def _transport_class(exc: BaseException) -> str:
    reason = _root(exc)
    if not isinstance(reason, HTTPError | OSError):
        # A warehouse that refuses Thrift: from 4.6 on, the connector tries its kernel instead,
        # an extra dwx does without, and the refusal is the cause of what that raises.
        refused = isinstance(exc.__cause__, DatabaseError)
        return "KP001" if refused else "DWX_CONNECTOR_ERROR"
    if isinstance(reason, NameResolutionError):
        return "DWX_HOST_UNKNOWN"
    if isinstance(reason, NewConnectionError):
        return "DWX_CONNECTION_REFUSED"
    if isinstance(reason, ConnectTimeoutError):
        return "DWX_CONNECT_TIMEOUT"
    if isinstance(reason, SSLError):
        return "DWX_TLS_FAILED"
    if isinstance(reason, ProxyError):
        return "DWX_PROXY_FAILED"
    return "DWX_CONNECTION_LOST"


def _never_sent(exc: BaseException) -> bool:
    reason = _root(exc)
    if isinstance(reason, ProxyError):
        reason = reason.original_error
    if isinstance(reason, SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(reason)
    return isinstance(reason, ConnectTimeoutError)  # NewConnectionError is one


def _root(exc: BaseException) -> BaseException:
    if isinstance(exc, MaxRetryError) and exc.reason is not None:
        return exc.reason
    return exc


def _message(exc: Any) -> str:
    text: object = None
    with contextlib.suppress(AttributeError):
        text = exc.message
    # str() of the connector's errors raises TypeError where the server sent no text
    return text if isinstance(text, str) and text else "The warehouse gave no reason."
