"""The two calls by REST that concern statements: the query history, and cancelling by id.

The query history knows every statement by its id and its query tags, also those whose handle is
lost and whose session is gone: what a client needs to find out what became of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from executor.local.operations import CANCELLED, FAILED, FINISHED, RUNNING, TIMED_OUT, Operation
from executor.local.wire import Reply, http_refusal

HISTORY = "/api/2.0/sql/history/queries"
_CANCEL = re.compile(r"/api/2\.0/sql/statements/([0-9a-f-]{36})/cancel")
MOST_RESULTS = 100

_STATUSES = {
    RUNNING: "RUNNING", FINISHED: "FINISHED", FAILED: "FAILED", CANCELLED: "CANCELED",
    TIMED_OUT: "CANCELED",
}  # fmt: skip


def answer(method: str, target: str, statements: Iterable[Operation]) -> Reply:
    """The reply to a request for ``target``; ``statements`` are those known, newest first."""
    parts = urlsplit(target)
    if method == "GET" and parts.path == HISTORY:
        return _json(_listed(parse_qs(parts.query), statements))
    found = _CANCEL.fullmatch(parts.path)
    if method == "POST" and found is not None:
        for operation in statements:
            if str(operation.id) == found[1]:
                operation.cancel()
                return _json({})
        return http_refusal(404, f"RESOURCE_DOES_NOT_EXIST: there is no statement {found[1]}.")
    return http_refusal(404, f"ENDPOINT_NOT_FOUND: {method} {parts.path[:200]}")


def _listed(asked: dict[str, list[str]], statements: Iterable[Operation]) -> dict[str, Any]:
    wanted = asked.get("filter_by.statement_ids")
    since = int(asked.get("filter_by.query_start_time_range.start_time_ms", ["0"])[0])
    most = min(int(asked.get("max_results", [str(MOST_RESULTS)])[0]), MOST_RESULTS)
    first = int(asked.get("page_token", ["0"])[0])
    found = [
        one
        for one in statements
        if one.started_ms >= since and (wanted is None or str(one.id) in wanted)
    ]
    page: dict[str, Any] = {"res": [_entry(one) for one in found[first : first + most]]}
    if len(found) > first + most:
        return {**page, "has_next_page": True, "next_page_token": str(first + most)}
    return {**page, "has_next_page": False}


def _entry(operation: Operation) -> dict[str, Any]:
    sent = operation.sent
    assert sent is not None  # what is no statement is not listed
    return {
        "query_id": str(operation.id),
        "status": _STATUSES[operation.state],
        "query_text": sent.sql,
        "query_start_time_ms": operation.started_ms,
        "query_end_time_ms": operation.completed_ms or None,
        "query_tags": [{"key": key, "value": value} for key, value in sent.tags.items()],
    }


def _json(value: dict[str, Any]) -> Reply:
    body = json.dumps(value).encode()
    return Reply(body, headers={"Content-Type": "application/json"})
