"""A session: where its names are looked up, its temporary views, its settings."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field

from executor.local.catalogs import View


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
