"""Who connects where: flags before environment before the prompt, and all problems at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.runtime.credentials import CredentialsError, Flags, Resolved, resolve
from executor.warehouse.databricks.auth import Credentials, Target

HOST = "adb-1.2.azuredatabricks.net"
PATH = "/sql/1.0/warehouses/abc"
COMPLETE = {"DATABRICKS_HOST": HOST, "DATABRICKS_HTTP_PATH": PATH, "DATABRICKS_TOKEN": "dapi-env"}


def never(question: str) -> str:
    raise AssertionError(f"asked: {question}")


def problems(flags: Flags, environ: dict[str, str], *, somebody_there: bool = False) -> str:
    with pytest.raises(CredentialsError) as caught:
        resolve(flags, environ, (lambda question: "") if somebody_there else None)
    return f"{caught.value} {caught.value.suggestion}"


def test_the_environment_is_enough() -> None:
    assert resolve(Flags(), COMPLETE, never) == Resolved(
        Target(HOST, PATH), Credentials("pat", "dapi-env"), (), frozenset({"dapi-env"})
    )


def test_flags_win_over_the_environment() -> None:
    flags = Flags("other.cloud.databricks.com", "sql/x", "c", "s", "pat", "dapi-flag")
    found = resolve(flags, {**COMPLETE, "DATABRICKS_CATALOG": "d"}, never)
    assert found.target == Target("other.cloud.databricks.com", "/sql/x", "c", "s")
    assert found.credentials.token == "dapi-flag"


def test_catalog_and_schema_may_come_from_the_environment() -> None:
    environ = {**COMPLETE, "DATABRICKS_CATALOG": "main", "DATABRICKS_SCHEMA": "s"}
    target = resolve(Flags(), environ, never).target
    assert (target.catalog, target.schema) == ("main", "s")


def test_the_connector_s_own_name_for_the_host_is_understood() -> None:
    environ = {**COMPLETE, "DATABRICKS_HOST": " ", "DATABRICKS_SERVER_HOSTNAME": "b.example.com"}
    assert resolve(Flags(), environ, never).target.host == "b.example.com"


@pytest.mark.parametrize(
    "given",
    [f"https://{HOST}/", f"https://{HOST}:443", HOST.upper(), f" {HOST} ", f"https://{HOST}/?o=1"],
)
def test_a_host_may_be_given_as_the_browser_shows_it(given: str) -> None:
    assert resolve(Flags(given), COMPLETE, never).target.host == HOST


@pytest.mark.parametrize("given", ["https://", "user@host", "host:8443", "a b", "-x"])
def test_what_is_no_host_is_refused(given: str) -> None:
    assert "no host name" in problems(Flags(given), COMPLETE)


def test_the_workspace_in_the_path_is_kept() -> None:
    flags = Flags(http_path=f"{PATH}?o=123")
    assert resolve(flags, COMPLETE, never).target.http_path == f"{PATH}?o=123"


def test_all_that_is_missing_is_named_at_once() -> None:
    text = problems(Flags(), {})
    for name in (*COMPLETE, "--auth-type oauth"):
        assert name in text


def test_nobody_is_asked_while_something_else_is_missing() -> None:
    with pytest.raises(CredentialsError):
        resolve(Flags(), {}, never)


def test_the_token_is_asked_for_where_somebody_is_there() -> None:
    environ = {name: value for name, value in COMPLETE.items() if name != "DATABRICKS_TOKEN"}
    found = resolve(Flags(), environ, lambda question: "dapi-typed\n")
    assert found.credentials == Credentials("pat", "dapi-typed")
    assert "DATABRICKS_TOKEN" in problems(Flags(), environ, somebody_there=True)


def test_a_browser_login_happens_only_when_asked_for() -> None:
    found = resolve(Flags(auth_type="oauth"), COMPLETE, never)
    assert found.credentials == Credentials("oauth")
    assert "not both" in problems(Flags(auth_type="oauth", access_token="t"), COMPLETE)
    assert "pat or oauth" in problems(Flags(auth_type="kerberos"), COMPLETE)


def test_a_token_on_the_command_line_is_warned_about() -> None:
    found = resolve(Flags(access_token="dapi-flag"), COMPLETE, never)
    assert [warning.code for warning in found.warnings] == ["TOKEN_IN_ARGV"]
    assert "dapi-flag" not in found.warnings[0].detail


def test_a_token_that_cannot_be_one_is_refused_without_showing_it() -> None:
    text = problems(Flags(), {**COMPLETE, "DATABRICKS_TOKEN": "dapi \u201csecret\u201d"})
    assert "secret" not in text


@given(st.text(min_size=1))
def test_no_representation_shows_the_token(token: str) -> None:
    shown = repr(Credentials("pat", token)) + repr(Flags(access_token=token))
    assert shown == repr(Credentials("pat", "x")) + repr(Flags(access_token="x"))
