"""Masking: no secret may reach the record, an artifact, or a stream.

Two nets. Secrets that are known (the token in use) are replaced wherever they stand. Whatever
looks like one (personal access tokens, JWTs, credentials in URLs and forms) is replaced too,
because SQL and error texts may hold secrets nobody told us about.

A secret that comes into being while a run goes on (a token that was renewed) is known from the
moment it is told to `learn`, which is before anything is done with it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

MASK = "***"
SECRET_VARIABLES = (
    "DATABRICKS_TOKEN",
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_PASSWORD",
    "ARM_CLIENT_SECRET",
    "GOOGLE_CREDENTIALS",
)
"""Variables that hold a secret, whoever it is for."""

_SHORTEST = 6
"""A shorter secret is not searched for: it would be found in innocent words."""

_PATTERNS = (
    re.compile(r"\bdapi[0-9a-f]{32}(?:-\d+)?\b"),
    re.compile(r"\bdose[0-9a-f]{32}\b"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
)
_IN_FORM = re.compile(
    r"(?i)(\b(?:access_token|refresh_token|client_secret|code_verifier|pwd)=)[^\s&;,'\"*]+"
)
"""As in the body of a token request, or in a JDBC address."""

_URL_CREDENTIALS = re.compile(r"(?<=://)[^\s/@:'\"]+:[^\s/@'\"]+(?=@)")


def secrets_in(environ: Mapping[str, str]) -> frozenset[str]:
    """Secrets in well-known variables of the environment."""
    given = (environ.get(name, "").strip() for name in SECRET_VARIABLES)
    return frozenset(secret for secret in given if secret)


class Masker:
    """Replaces secrets in text. Callable, so it can be passed where a mask is asked for."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self._lock = threading.Lock()
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """From now on these are replaced too. Any thread may tell them."""
        with self._lock:
            known = self._secrets.union(one for one in secrets if len(one) >= _SHORTEST)
            if known == self._secrets:
                return
            from urllib.parse import quote  # 4 ms that a run without secrets does not pay

            spellings = known | {quote(secret, safe="") for secret in known}
            # the longest first, so that a secret that contains another leaves nothing behind
            ordered = sorted(spellings, key=len, reverse=True)
            self._secrets = known
            self._known = re.compile("|".join(map(re.escape, ordered)))

    def __call__(self, text: str) -> str:
        if not text.isascii():
            # halves of surrogate pairs (a file name that is not UTF-8) have no place in a log
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        known = self._known
        if known is not None:
            text = known.sub(MASK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(MASK, text)
        text = _IN_FORM.sub(rf"\1{MASK}", text)
        return _URL_CREDENTIALS.sub(MASK, text) if "://" in text else text

    def masked(self, value: Any) -> Any:
        """A copy of a dataclass, sequence or mapping with every text in it masked."""
        if isinstance(value, str):
            return self(value)
        if is_dataclass(value) and not isinstance(value, type):
            changed = {
                field.name: self.masked(getattr(value, field.name))
                for field in fields(value)
                if field.init
            }
            return replace(value, **changed)
        if isinstance(value, tuple):
            return tuple(self.masked(one) for one in value)
        if isinstance(value, dict):
            return {key: self.masked(one) for key, one in value.items()}
        return value
