"""No statement is ever sent twice, whatever happens to the request or its answer."""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sql.auth.retry import DatabricksRetryPolicy
from databricks.sql.backend.thrift_backend import ThriftDatabricksClient
from databricks.sql.client import Connection
from databricks.sql.exc import Error
from urllib3.exceptions import HTTPError

from executor.warehouse.databricks.safe_retry import (
    SUPPORTED,
    QuietConnection,
    UnprotectedError,
    protect,
)
from tests.warehouse.endpoint import TOKEN, Endpoint, Fault, running

ROOT = Path(__file__).parents[2]
INSERT = "INSERT INTO t VALUES (1)"

DROPPED = Fault()
UNAVAILABLE = Fault(status=503)
UNAVAILABLE_FOR_A_WHILE = Fault(status=503, headers={"Retry-After": "1"})
THROTTLED = Fault(status=429, headers={"Retry-After": "1"})
THROTTLED_WITHOUT_A_TIME = Fault(status=429)
REDIRECTED = Fault(status=307, headers={"Location": "/sql/1.0/warehouses/other"})
BAD_GATEWAY = Fault(status=502)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running(Endpoint()) as served:
        yield served


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def connect(endpoint: Endpoint, **settings: Any) -> Connection:
    return QuietConnection(
        "127.0.0.1",
        "/sql/1.0/warehouses/test",
        TOKEN,
        _connection_uri=endpoint.uri,
        enable_telemetry=False,
        **settings,
    )


@pytest.mark.parametrize(
    "fault",
    [
        DROPPED,
        UNAVAILABLE,
        UNAVAILABLE_FOR_A_WHILE,
        THROTTLED,
        THROTTLED_WITHOUT_A_TIME,
        REDIRECTED,
        BAD_GATEWAY,
    ],
)
def test_a_protected_connection_sends_a_statement_once(endpoint: Endpoint, fault: Fault) -> None:
    connection = connect(endpoint)
    protect(connection)
    endpoint.faults.extend([fault, fault])
    with pytest.raises((Error, HTTPError)):
        connection.cursor().execute_async(INSERT)
    assert endpoint.executed == [INSERT]
    connection.close()


def test_an_unprotected_connection_sends_twice_what_a_broken_connection_carried(
    endpoint: Endpoint,
) -> None:
    connection = connect(endpoint, _retry_delay_min=0.1)
    endpoint.faults.append(DROPPED)
    connection.cursor().execute_async(INSERT)
    assert endpoint.executed == [INSERT, INSERT]
    connection.close()


def test_an_unprotected_connection_sends_twice_what_was_answered_with_503(
    endpoint: Endpoint,
) -> None:
    # by its second retry layer, although the setting promises to wait for a Retry-After
    connection = connect(endpoint, _respect_server_retry_after_header=True)
    endpoint.faults.append(UNAVAILABLE)
    connection.cursor().execute_async(INSERT)
    assert endpoint.executed == [INSERT, INSERT]
    connection.close()


def test_protection_holds_for_every_statement_of_a_session(endpoint: Endpoint) -> None:
    connection = connect(endpoint)
    protect(connection)
    for number in range(3):
        endpoint.faults.append(UNAVAILABLE)
        with pytest.raises(Error):
            connection.cursor().execute_async(f"{INSERT} -- {number}")
        connection.cursor().execute_async(f"SELECT {number}")
    assert len(endpoint.executed) == len(set(endpoint.executed)) == 6
    connection.close()


def test_the_status_of_an_earlier_answer_is_not_taken_for_that_of_a_broken_connection(
    endpoint: Endpoint,
) -> None:
    connection = connect(endpoint)
    backend = protect(connection)
    endpoint.faults.extend([UNAVAILABLE, DROPPED])
    with pytest.raises(Error) as refused:
        connection.cursor().execute_async(INSERT)
    assert refused.value.context["http-code"] == 503
    with pytest.raises(HTTPError):
        connection.cursor().execute_async(INSERT + " -- 2")
    assert backend._transport.code is None
    connection.close()


def test_the_time_a_server_asks_to_wait_is_passed_on(endpoint: Endpoint) -> None:
    connection = connect(endpoint)
    protect(connection)
    endpoint.faults.append(THROTTLED)
    with pytest.raises(Error) as refused:
        connection.cursor().execute_async(INSERT)
    assert refused.value.context["retry-after"] == "1"
    connection.close()


def test_polls_are_sent_once_as_well(endpoint: Endpoint) -> None:
    connection = connect(endpoint)
    protect(connection)
    cursor = connection.cursor()
    cursor.execute_async("SELECT 1")
    endpoint.poll_faults.extend([DROPPED, DROPPED])
    with pytest.raises(Error):
        cursor.get_query_state()
    assert endpoint.requests.count("GetOperationStatus") == 1
    connection.close()


class RenamedHooks(ThriftDatabricksClient):  # type: ignore[misc]
    """Stands for a backend of a later version of the connector."""


class OtherPolicy(DatabricksRetryPolicy):  # type: ignore[misc]
    """Stands for a policy of a later version of the connector."""


def test_a_backend_of_another_make_is_refused(endpoint: Endpoint) -> None:
    connection = connect(endpoint)
    connection.session.backend.__class__ = RenamedHooks
    with pytest.raises(UnprotectedError, match="Thrift backend"):
        protect(connection)
    connection.close()


def test_a_policy_of_another_make_is_refused(endpoint: Endpoint) -> None:
    connection = connect(endpoint)
    connection.session.backend.retry_policy.__class__ = OtherPolicy
    with pytest.raises(UnprotectedError, match="retry_policy"):
        protect(connection)
    connection.close()


def test_a_transport_that_has_its_own_policy_is_refused(endpoint: Endpoint) -> None:
    connection = connect(endpoint)
    connection.session.backend._transport.retry_policy = 0
    with pytest.raises(UnprotectedError, match="THttpClient"):
        protect(connection)
    connection.close()


def test_a_refusal_names_the_versions_that_would_do(endpoint: Endpoint) -> None:
    connection = connect(endpoint)
    connection.session.backend.__class__ = RenamedHooks
    with pytest.raises(UnprotectedError, match=re.escape(SUPPORTED)):
        protect(connection)
    connection.close()


def test_the_versions_named_are_those_declared_and_documented() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert SUPPORTED in project["dependencies"]
    assert f"`{SUPPORTED}`" in (ROOT / "README.md").read_text()
