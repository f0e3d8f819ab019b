"""The facts of a failure, as the edge knows them; judgement is in `failures`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailureFacts:
    """What the edge knows about a failure, before any judgement.

    `line` and `position` count from 1 within the statement's text.
    """

    error_class: str | None
    message: str
    sqlstate: str | None = None
    http_status: int | None = None
    line: int | None = None
    position: int | None = None
    query_id: str | None = None
    during: str = "execute"
    """What was under way: `connect`, `execute` (submission), `poll`, `fetch`, `close`."""
    retry_after_s: float | None = None
    """Seconds the server asked to wait (Retry-After)."""
    cause: str | None = None
    """The exception named as the cause, where the message does not say the same."""
    stack: str | None = None
    """The Java stack, as it came: of any length."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the edge knows about a table or view. Columns are in lower case, in their order.

    `exists` is `None` if that could not be found out; `detail` says why.
    """

    exists: bool | None
    columns: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TableSize:
    """What a table holds, as its format keeps it; `None` for what could not be found out."""

    format: str | None = None
    files: int | None = None
    bytes: int | None = None
