"""The warehouse's query history, by REST: what became of a statement nobody has a handle on.

The Thrift session knows a statement by its handle. Where the reply that would have given it was
lost, or the session is gone, the query history still knows the statement: by its id, or by the
query tags that every statement of ours carries (run, statement, attempt). It also says whether it
still runs, which the history of a table cannot.

It is asked with the credentials of the open session. Not every token may ask, so whatever goes
wrong is *no answer* (`None`), never proof that there is no such statement.

Sources: https://docs.databricks.com/api/workspace/queryhistory/list and
https://docs.databricks.com/api/workspace/statementexecution/cancelexecution.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

PATH = "/api/2.0/sql/history/queries"
CANCEL_PATH = "/api/2.0/sql/statements/{id}/cancel"
TIMEOUTS_S = (5.0, 10.0)
"""For connecting, and for an answer, in seconds."""
PAGE = "500"
MOST_PAGES = 20
CLOCKS_DIFFER_BY = timedelta(hours=26)
"""How far the warehouse's clock and ours may be apart."""

Course = Literal["running", "finished", "failed", "cancelled"]
_COURSES: Mapping[str, Course] = {
    "QUEUED": "running", "STARTED": "running", "COMPILING": "running", "COMPILED": "running",
    "RUNNING": "running", "FINISHED": "finished", "FAILED": "failed", "CANCELED": "cancelled",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A statement as the query history has it."""

    query_id: str
    course: Course


class QueryHistory:
    """The query history of one workspace."""

    def __init__(
        self, base: str, warehouse: str, authorize: Callable[[dict[str, str]], None]
    ) -> None:
        """`base`: `https://host`. `warehouse`: the last part of its HTTP path. `authorize` adds
        the credentials to the headers of a request.
        """
        self._base = base
        self._warehouse = warehouse
        self._authorize = authorize

    def by_id(self, query_id: str) -> Found | None:
        """The statement with this id; `None` without an answer, or if it is not there (yet)."""
        for page in self._pages({"filter_by.statement_ids": query_id}):
            for entry in page or ():
                found = _found(entry)
                if found is not None and found.query_id == query_id:
                    return found
        return None

    def by_tags(
        self, tags: Mapping[str, str], sent: datetime, mark: str | None = None
    ) -> tuple[Found | None, bool]:
        """The latest statement on this warehouse with these query tags, and whether that it is not
        there means anything: only if all since it was `sent` was listed, with the statement `mark`.
        """
        since = int((sent - CLOCKS_DIFFER_BY).timestamp() * 1000)
        filters = {
            "filter_by.warehouse_ids": self._warehouse,
            "filter_by.query_start_time_range.start_time_ms": str(since),
        }
        shown = False
        for page in self._pages(filters):
            if page is None:
                return None, False
            for entry in page:
                shown = shown or (mark is not None and entry.get("query_id") == mark)
                if tags.items() <= _tags(entry).items():
                    return _found(entry), False
        return None, shown

    def cancel(self, query_id: str) -> None:
        """Asks the warehouse to cancel a statement; best effort."""
        self._request("POST", CANCEL_PATH.format(id=query_id), {})

    def _pages(self, filters: Mapping[str, str]) -> Iterator[list[Mapping[str, Any]] | None]:
        """The statements that pass the filters, newest first, page by page; `None` where there is
        no answer, or no end.
        """
        token: object = None
        for _ in range(MOST_PAGES):
            turned = {"page_token": token} if isinstance(token, str) else {}
            answer = self._request("GET", PATH, {"max_results": PAGE, **filters, **turned})
            listed = answer.get("res", []) if answer is not None else None
            if answer is None or not isinstance(listed, list):
                yield None
                return
            yield [entry for entry in listed if isinstance(entry, dict)]
            token = answer.get("next_page_token")
            if not answer.get("has_next_page"):
                return
        yield None

    def _request(
        self, method: str, path: str, parameters: Mapping[str, str]
    ) -> Mapping[str, Any] | None:
        import requests  # the connector has loaded it

        headers: dict[str, str] = {}
        # whatever goes wrong here, nothing is known, and nothing is lost
        with contextlib.suppress(Exception):
            self._authorize(headers)
            answer = requests.request(
                method,
                self._base + path,
                params=parameters,
                headers=headers,
                timeout=TIMEOUTS_S,
                allow_redirects=False,
            )
            if answer.status_code == 200:
                said = answer.json()
                return said if isinstance(said, dict) else None
        return None


def _found(entry: Mapping[str, Any]) -> Found | None:
    query_id, status = entry.get("query_id"), entry.get("status")
    course = _COURSES.get(status) if isinstance(status, str) else None
    if not isinstance(query_id, str) or course is None:
        return None
    return Found(query_id, course)


def _tags(entry: Mapping[str, Any]) -> dict[str, str]:
    """Query tags as a mapping: the API lists them as keys and values."""
    listed = entry.get("query_tags")
    if not isinstance(listed, list):
        return {}
    return {
        str(tag["key"]): str(tag.get("value", ""))
        for tag in listed
        if isinstance(tag, dict) and "key" in tag
    }
