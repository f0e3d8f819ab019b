"""A statement as its client sent it: its text and its query tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sent:
    sql: str
    tags: Mapping[str, str]


def sent_of(request: Any) -> Sent:
    """What a TExecuteStatementReq says."""
    return Sent(request.statement, _tags((request.confOverlay or {}).get("query_tags") or ""))


def _tags(text: str) -> dict[str, str]:
    """``k:v,k2:v2``, with a backslash before ``:``, ``,`` and a backslash in a value."""
    tags: dict[str, str] = {}
    for piece in re.findall(r"(?:\\.|[^,\\])+", text, re.DOTALL):
        key, _, value = piece.partition(":")
        tags[key] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
    return tags
