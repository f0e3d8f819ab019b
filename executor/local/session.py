"""A session: where its names are looked up, its temporary views, its settings."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field

from executor.local.catalogs import View
from executor.local.errors import SqlError, unsupported

_SETTINGS = ("ansi_mode", "legacy_time_parser_policy", "max_file_partition_bytes",
             "read_only_external_metastore", "statement_timeout", "timezone", "use_cached_result",
             "query_tags", "enable_photon")  # fmt: skip


@dataclass(slots=True)
class Session:
    """State between the statements of one client connection."""

    catalog: str = "main"
    schema: str = "default"
    user: str = "local-user"
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    views: dict[str, View] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def path(self, parts: list[str]) -> tuple[str, str, str]:
        """A table's full name: missing parts come from the session."""
        low = [p.lower() for p in parts]
        if len(low) == 1:
            return self.catalog, self.schema, low[0]
        if len(low) == 2:
            return self.catalog, low[0], low[1]
        return low[-3], low[-2], low[-1]


def set_one(session: Session, key: str, value: str) -> None:
    """SET key = value. Raises SqlError for a setting unknown to a SQL warehouse or to us."""
    if key not in _SETTINGS:
        raise SqlError("CONFIG_NOT_AVAILABLE", f"Configuration {key} is not available.")
    if key == "ansi_mode" and value.lower() != "true":
        raise unsupported("ANSI_MODE", "any ANSI_MODE but true")
    if key == "timezone" and value.upper() not in ("UTC", "ETC/UTC", "GMT", "Z", "+00:00"):
        raise unsupported("TIMEZONE", "any TIMEZONE but UTC")
    if key == "statement_timeout" and not value.isdigit():
        raise SqlError(
            "INVALID_CONF_VALUE", f"{value} is not a number of seconds.", sqlstate="22022"
        )
    session.settings[key] = value


def timeout_of(session: Session) -> int:
    """Seconds a statement may run; 0 means no limit."""
    return int(session.settings.get("statement_timeout", "0"))
