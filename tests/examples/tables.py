"""Reads the tables that a run left in the embedded warehouse, as any client would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from databricks import sql

from executor.local.service import LocalWarehouse


class Tables:
    """The tables of one schema."""

    def __init__(self, connection: Any, schema: str) -> None:
        self._connection = connection
        self._schema = schema

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """All rows; arrays, maps and structures come as values, not as the text they travel as."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM {self._schema}.{table}")
            nested = [column[1] in ("array", "map", "struct") for column in cursor.description]
            return [
                tuple(
                    json.loads(value) if is_nested and isinstance(value, str) else value
                    for value, is_nested in zip(row, nested, strict=True)
                )
                for row in cursor.fetchall()
            ]

    def columns(self, table: str) -> list[str]:
        """Names of the columns, in order."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self._schema}.{table} LIMIT 0")
            return [column[0] for column in cursor.description]

    def names(self) -> set[str]:
        """Names of the tables."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SHOW TABLES IN {self._schema}")
            return {row[1] for row in cursor.fetchall()}


@contextmanager
def tables(path: Path, schema: str = "main.default") -> Iterator[Tables]:
    """Opens the warehouse at `path`."""
    with (
        LocalWarehouse(path) as warehouse,
        sql.connect(
            server_hostname=warehouse.host,
            http_path=warehouse.http_path,
            access_token=warehouse.token,
            _connection_uri=warehouse.uri,
            enable_telemetry=False,
            use_cloud_fetch=False,
        ) as connection,
    ):
        yield Tables(connection, schema)
