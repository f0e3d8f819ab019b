"""From the facts of a failure to an error record: category, severity, what to do next.

Facts come from the edge (class name, SQLSTATE, HTTP status, text); judgement is here, and what it
goes by is the table in `executor.core.taxonomy`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from executor.core.facts import FailureFacts
from executor.core.taxonomy import BY_SQLSTATE, RULES, UNKNOWN, Rule
from protocol.base import MAX_TEXT_BYTES
from protocol.events import ChoiceName, ErrorRecord, Retry, Severity

MAX_CAUSE_BYTES = 300
MAX_STACK_BYTES = 262_144
"""Longest stack that is kept whole; one with a plan of thousands of nodes in it can be longer."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Judgement of a failure. `retryable`: the same statement may succeed if it runs again."""

    category: str
    severity: Severity
    retryable: bool
    suggestion: str
    class_: str
    retry: Retry
    default: ChoiceName


class Place(Protocol):
    """Where a statement stands; a planned statement is one."""

    @property
    def id(self) -> str: ...
    @property
    def line(self) -> int: ...


def classify(facts: FailureFacts) -> Failure:
    """Judges a failure by its class, else its text, else HTTP status, else SQLSTATE."""
    rule = (
        _by_class(facts)
        or _by_text(facts)
        or _by_status(facts)
        or BY_SQLSTATE.get((facts.sqlstate or "")[:2])
        or UNKNOWN
    )
    return Failure(
        category=rule.category,
        severity=rule.severity,
        retryable=rule.retry != "no",
        suggestion=rule.suggestion,
        class_=facts.error_class or _made_up_class(facts, rule),
        retry=rule.retry,
        default=rule.default,
    )


def error_record(
    facts: FailureFacts,
    *,
    path: str | None,
    statement: Place | None,
    critical: bool = True,
) -> ErrorRecord:
    """The record of a failure, as events carry it.

    `path` is the file's, relative to the workflow. A file that is not critical limits the severity
    to moderate: its failure never stops a run.
    """
    failure = classify(facts)
    severity = failure.severity
    if not critical and severity in ("fatal", "critical"):
        severity = "moderate"
    line = statement.line if statement else None
    if line is not None and facts.line is not None:
        line += facts.line - 1
    return ErrorRecord(
        class_=failure.class_,
        sqlstate=facts.sqlstate,
        category=failure.category,
        severity=severity,
        retryable=failure.retryable,
        retry=failure.retry,
        retry_after_ms=round(facts.retry_after_s * 1000) if facts.retry_after_s else None,
        message=readable(facts.message),
        cause=_line(facts.cause) if facts.cause else None,
        stack=_enclosed(facts.stack) if facts.stack else None,
        file=path,
        line=line,
        position=facts.position,
        statement=statement.id if statement else None,
        query_id=facts.query_id,
        suggestion=failure.suggestion,
        fingerprint=fingerprint(path, statement.id if statement else None, failure.class_),
    )


def fingerprint(path: str | None, statement: str | None, class_: str) -> str:
    """Stable short hash: the same error at the same place has the same one in every run."""
    key = "\0".join((path or "", statement or "", class_))
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def readable(message: str, limit: int = MAX_TEXT_BYTES) -> str:
    """A message from outside, fit to be shown: no Java stack, no control characters, capped.

    `limit` is in bytes of UTF-8. Line feeds and tabs stay.
    """
    text = _STACK.split(message, maxsplit=1)[0].strip()
    text = _UNSHOWABLE.sub(_escaped, text)
    data = text.encode("utf-8")
    if len(data) <= limit:
        return text
    return data[: limit - len(_MORE)].decode("utf-8", "ignore") + _MORE.decode()


def _line(cause: str) -> str:
    return readable(" ".join(cause.split()), MAX_CAUSE_BYTES)


def _enclosed(stack: str, limit: int = MAX_STACK_BYTES) -> str:
    """A stack as it is kept: nothing a terminal would obey, and of a very long one both ends, for
    what failed stands first and what caused it last.
    """
    text = _UNSHOWABLE.sub(_escaped, stack)
    data = text.encode("utf-8")
    if len(data) <= limit:
        return text
    half = limit // 2 - 32  # leaves room for the mark
    head, tail = data[:half].decode("utf-8", "ignore"), data[-half:].decode("utf-8", "ignore")
    return f"{head}\n… {len(data) - 2 * half} bytes left out …\n{tail}"


_MORE = " …".encode()
_STACK = re.compile(r"\r?\n(?:\s+at [\w.$<>/]+\(|Caused by: |\s*\.\.\. \d+ more)")
# C0 but for tab and line feed, DEL, C1, marks that reverse or hide text, lone surrogates
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _by_class(facts: FailureFacts) -> Rule | None:
    name = facts.error_class
    if name is None:
        return None
    for rule in RULES:
        if _holds(rule, facts) and any(_names(pattern, name) for pattern in rule.classes):
            return rule
    return None


def _by_text(facts: FailureFacts) -> Rule | None:
    for rule in RULES:
        if _holds(rule, facts) and any(
            _phrase(text).search(facts.message) for text in rule.phrases
        ):
            return rule
    return None


@cache
def _phrase(text: str) -> re.Pattern[str]:
    # compiled when first needed: most processes never see a failure
    return re.compile(text, re.IGNORECASE)


def _by_status(facts: FailureFacts) -> Rule | None:
    for rule in RULES:
        if _holds(rule, facts) and facts.http_status in rule.statuses:
            return rule
    return None


def _holds(rule: Rule, facts: FailureFacts) -> bool:
    return not rule.during or facts.during in rule.during


def _names(pattern: str, name: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern or name.startswith(pattern + ".")


def _made_up_class(facts: FailureFacts, rule: Rule) -> str:
    """A name of our own for an error that came without one."""
    if rule is UNKNOWN and facts.sqlstate:
        return f"SQLSTATE_{facts.sqlstate}"
    return f"DWX_{rule.category.upper()}"
