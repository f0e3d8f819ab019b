"""Who connects where: flags before environment before the prompt, and all problems at once."""

from __future__ import annotations

from pathlib import Path

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


# --- profiles, service principals, descriptors ------------------------------------------------


def config_file(directory: Path, text: str) -> dict[str, str]:
    path = directory / "databrickscfg"
    path.touch(0o600)
    path.write_text(text)
    return {"DATABRICKS_CONFIG_FILE": str(path)}


PROFILES = """
[DEFAULT]
host = https://default.example.com
token = dapi-default
http_path = /default

[work]
host = https://work.example.com/
token = dapi-%-work
warehouse_id = abc1

[robot]
host = https://robot.example.com
http_path = /robot
client_id = robot-1
client_secret = robot-secret

[person]
host = https://person.example.com
http_path = /person
auth_type = databricks-cli
"""


def test_a_profile_is_enough(tmp_path: Path) -> None:
    found = resolve(Flags(profile="work"), config_file(tmp_path, PROFILES), never)
    assert found.target == Target("work.example.com", "/sql/1.0/warehouses/abc1")
    assert found.credentials == Credentials("pat", "dapi-%-work")
    assert "dapi-%-work" in found.secrets


def test_a_profile_asked_for_by_a_flag_goes_before_the_environment(tmp_path: Path) -> None:
    environ = {**COMPLETE, **config_file(tmp_path, PROFILES)}
    found = resolve(Flags(profile="work"), environ, never)
    assert found.target == Target("work.example.com", "/sql/1.0/warehouses/abc1")
    assert found.credentials.token == "dapi-%-work"
    # and a token of the environment is never sent to its host
    text = problems(Flags(profile="person", auth_type="pat"), environ)
    assert "No access token" in text


def test_the_environment_goes_before_a_profile_named_in_it(tmp_path: Path) -> None:
    environ = {
        "DATABRICKS_CONFIG_PROFILE": "work",
        "DATABRICKS_HTTP_PATH": "/here",
        "DATABRICKS_TOKEN": "dapi-env",
        **config_file(tmp_path, PROFILES),
    }
    found = resolve(Flags(), environ, never)
    assert found.target == Target("work.example.com", "/here")
    assert found.credentials.token == "dapi-env"


def test_a_token_of_a_profile_goes_to_no_other_host(tmp_path: Path) -> None:
    flags = Flags("elsewhere.example.com", profile="work")
    text = problems(flags, config_file(tmp_path, PROFILES))
    assert "work.example.com" in text
    assert "elsewhere.example.com" in text
    secret = Flags("elsewhere.example.com", profile="robot")
    assert "client_secret of profile" in problems(secret, config_file(tmp_path, PROFILES))


def test_the_default_profile_is_used_only_where_nothing_else_is_given(tmp_path: Path) -> None:
    file = config_file(tmp_path, PROFILES)
    assert resolve(Flags(), file, never).credentials.token == "dapi-default"
    assert "No access token" in problems(Flags(), {"DATABRICKS_HOST": HOST, **file})
    assert "No host" in problems(Flags(), {"DATABRICKS_TOKEN": "dapi-env", **file})
    settings = config_file(tmp_path, PROFILES + "\n[__settings__]\ndefault_profile = work\n")
    assert resolve(Flags(), settings, never).credentials.token == "dapi-%-work"


def test_default_lends_nothing_to_other_profiles(tmp_path: Path) -> None:
    text = problems(Flags(profile="bare"), config_file(tmp_path, PROFILES + "\n[bare]\nx = 1\n"))
    for missing in ("No host", "No HTTP path", "No access token"):
        assert missing in text


def test_what_is_wrong_with_a_profile_is_said_without_its_lines(tmp_path: Path) -> None:
    assert "work" in problems(Flags(profile="wrok"), config_file(tmp_path, PROFILES))
    broken = config_file(tmp_path, "[work]\ntoken dapi-broken\n")
    text = problems(Flags(profile="work"), broken)
    assert "line 2" in text
    assert "dapi-broken" not in text
    missing = {"DATABRICKS_CONFIG_FILE": str(tmp_path / "none")}
    assert "There is no file" in problems(Flags(profile="work"), missing)


def test_a_profile_that_others_can_read_is_warned_about(tmp_path: Path) -> None:
    environ = config_file(tmp_path, PROFILES)
    Path(environ["DATABRICKS_CONFIG_FILE"]).chmod(0o644)
    found = resolve(Flags(profile="work"), environ, never)
    assert [warning.code for warning in found.warnings] == ["PROFILE_EXPOSED"]


def test_a_warehouse_id_stands_for_its_path() -> None:
    environ = {**COMPLETE, "DATABRICKS_HTTP_PATH": "", "DATABRICKS_WAREHOUSE_ID": "f00d"}
    assert resolve(Flags(), environ, never).target.http_path == "/sql/1.0/warehouses/f00d"
    assert "no id" in problems(Flags(), {**environ, "DATABRICKS_WAREHOUSE_ID": "/a/b"})


def test_a_service_principal_is_used_where_there_is_no_token(tmp_path: Path) -> None:
    principal = {"DATABRICKS_CLIENT_ID": "id", "DATABRICKS_CLIENT_SECRET": "secret-of-robot"}
    without = {name: value for name, value in COMPLETE.items() if name != "DATABRICKS_TOKEN"}
    found = resolve(Flags(), {**without, **principal}, never)
    assert found.credentials.kind == "oauth-m2m"
    assert dict(found.credentials.sdk)["client_secret"] == "secret-of-robot"
    assert "secret-of-robot" in found.secrets
    both = resolve(Flags(), {**COMPLETE, **principal}, never)
    assert both.credentials == Credentials("pat", "dapi-env")
    assert [warning.code for warning in both.warnings] == ["TWO_CREDENTIALS"]
    robot = resolve(Flags(profile="robot"), config_file(tmp_path, PROFILES), never)
    assert robot.credentials.kind == "oauth-m2m"


def test_a_profile_says_its_kind(tmp_path: Path) -> None:
    found = resolve(Flags(profile="person"), config_file(tmp_path, PROFILES), never)
    assert found.credentials.kind == "databricks-cli"
    assert dict(found.credentials.sdk)["profile"] == "person"


@pytest.mark.parametrize("kind", ["external-browser", "databricks-oauth"])
@pytest.mark.parametrize("flag", [None, "sdk"])
def test_only_the_command_line_can_ask_for_a_browser(kind: str, flag: str | None) -> None:
    environ = {**COMPLETE, "DATABRICKS_AUTH_TYPE": kind}
    assert "--auth-type oauth" in problems(Flags(auth_type=flag), environ)


def test_a_token_from_a_descriptor_goes_before_all_but_a_flag() -> None:
    given = Flags(token_from_descriptor="dapi-fd")
    assert resolve(given, COMPLETE, never).credentials.token == "dapi-fd"
    both = Flags(access_token="dapi-flag", token_from_descriptor="dapi-fd")
    assert "Two access tokens" in problems(both, COMPLETE)


@pytest.mark.parametrize(
    "host", ["ana:hunter2@h.example.com", "https://ana:p@ss:w@h.example.com/x"]
)
def test_credentials_in_a_host_are_known_and_not_repeated(host: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        resolve(Flags(host), COMPLETE, never)
    info = host.removeprefix("https://").rpartition("@")[0]
    assert info not in str(caught.value)
    assert "***@h.example.com" in str(caught.value)
    assert f"{info}@" in caught.value.secrets
