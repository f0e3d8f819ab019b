"""Connecting to a warehouse as a user's program would."""

from __future__ import annotations

from typing import Any

from executor.local.service import LocalWarehouse


def connect(warehouse: LocalWarehouse, **kwargs: Any) -> Any:
    """A connection as a user's program would make it, without retries unless they are asked for."""
    from databricks import sql

    settings = {
        "server_hostname": warehouse.host,
        "http_path": warehouse.http_path,
        "access_token": kwargs.pop("token", warehouse.token),
        "_connection_uri": warehouse.uri,
        "enable_telemetry": False,
        "use_cloud_fetch": False,
        "_socket_timeout": 60,
        "_retry_stop_after_attempts_count": 1,
    }
    return sql.connect(**{**settings, **kwargs})
