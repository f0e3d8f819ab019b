"""Serving a warehouse until told to stop: what ``dwx warehouse serve`` runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

from executor.local.faults import Faults
from executor.local.service import LocalWarehouse


def serve(
    path: Path | None,
    port: int = 0,
    token: str | None = None,
    *,
    faults: Faults | None = None,
    ready: Callable[[LocalWarehouse], None] | None = None,
) -> None:
    """Serve ``path`` on loopback until SIGINT or SIGTERM, then close within 5 s.

    ``ready`` is called once the warehouse answers, with its port, uri and token known. Must be
    called from the main thread (signals). Raises WarehouseBusy or WarehouseError, as ``start``.
    """
    stop = threading.Event()
    kept = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with LocalWarehouse(path, port=port, token=token, faults=faults or ()) as warehouse:
            if ready is not None:
                ready(warehouse)
            stop.wait()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
