"""A warehouse for the whole run of tests, and connections to it by the real connector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from executor.local.service import LocalWarehouse
from tests.local.client import connect


@pytest.fixture(scope="session")
def shared() -> Iterator[LocalWarehouse]:
    with LocalWarehouse() as warehouse:
        yield warehouse


_numbers = iter(range(1, 1_000_000))


@pytest.fixture
def warehouse(shared: LocalWarehouse) -> LocalWarehouse:
    return shared


@pytest.fixture
def schema(shared: LocalWarehouse) -> str:
    """A schema of catalog main that no other test uses."""
    name = f"s{next(_numbers)}"
    shared.create_namespace("main", name)
    return name


@pytest.fixture
def connection(shared: LocalWarehouse, schema: str) -> Iterator[Any]:
    with connect(shared, catalog="main", schema=schema) as opened:
        yield opened


@pytest.fixture
def run(connection: Any) -> Any:
    """Execute one statement and give its rows as tuples."""

    def execute(sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return [tuple(row) for row in cursor.fetchall()]

    return execute
