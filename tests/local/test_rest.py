"""The query history of the embedded warehouse, asked as Databricks' own is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
import requests
from databricks.sql.exc import DatabaseError

from executor.local.service import LocalWarehouse
from executor.warehouse.databricks.query_history import QueryHistory
from tests.local.client import connect

NOW = datetime.now(UTC)
TAGS = {"run": "r-test22", "statement": "f1.s1", "attempt": "1"}


def queries(warehouse: LocalWarehouse, token: str | None = None) -> QueryHistory:
    def authorize(headers: dict[str, str]) -> None:
        headers["Authorization"] = f"Bearer {token or warehouse.token}"

    return QueryHistory(f"http://{warehouse.host}:{warehouse.port}", "local", authorize)


def test_a_statement_is_found_by_its_tags_and_by_its_id(shared: LocalWarehouse) -> None:
    with connect(shared) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1", query_tags=TAGS)
        query_id = cursor.query_id
        cursor.execute("SELECT 2", query_tags={**TAGS, "attempt": "2"})
    found, _ = queries(shared).by_tags(TAGS, NOW)
    assert found is not None
    assert (found.query_id, found.course) == (query_id, "finished")
    assert queries(shared).by_id(query_id) == found
    other = {**TAGS, "attempt": "3"}
    assert queries(shared).by_tags(other, NOW, query_id) == (None, True)
    assert queries(shared).by_tags(other, NOW, "another mark") == (None, False)


def test_a_statement_is_found_behind_many_others_and_not_before_its_time(
    shared: LocalWarehouse,
) -> None:
    with connect(shared) as connection, connection.cursor() as cursor:
        tags = {**TAGS, "attempt": "6"}
        cursor.execute("SELECT 1", query_tags=tags)
        for _ in range(120):  # more than the embedded warehouse lists on a page
            cursor.execute("SELECT 2")
    found, _ = queries(shared).by_tags(tags, NOW)
    assert found is not None
    assert queries(shared).by_tags(tags, NOW + timedelta(days=2)) == (None, False)


def test_a_statement_that_failed_says_so(shared: LocalWarehouse) -> None:
    with (
        connect(shared) as connection,
        connection.cursor() as cursor,
        pytest.raises(DatabaseError, match="TABLE_OR_VIEW_NOT_FOUND"),
    ):
        cursor.execute("SELECT * FROM nowhere", query_tags={**TAGS, "attempt": "4"})
    found, _ = queries(shared).by_tags({**TAGS, "attempt": "4"}, NOW)
    assert found is not None
    assert found.course == "failed"


def test_a_statement_is_cancelled_by_its_id(shared: LocalWarehouse) -> None:
    endless = "SELECT COUNT(*) FROM range(4000000) AS a CROSS JOIN range(4000000) AS b"
    with connect(shared) as connection, connection.cursor() as cursor:
        tags = {**TAGS, "attempt": "5"}
        cursor.execute_async(endless, query_tags=tags)
        found, _ = queries(shared).by_tags(tags, NOW)
        assert found is not None
        assert found.course == "running"
        queries(shared).cancel(found.query_id)
        while (again := queries(shared).by_id(found.query_id)) == found:
            Event().wait(0.01)
        assert again is not None
        assert again.course == "cancelled"


def test_whoever_has_no_token_gets_no_answer(shared: LocalWarehouse) -> None:
    assert queries(shared, token="another").by_tags(TAGS, NOW) == (None, False)
    address = f"http://{shared.host}:{shared.port}/api/2.0/sql/history/queries"
    assert requests.get(address, timeout=10).status_code == 401
