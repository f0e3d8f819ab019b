"""Checks before a run, and `dwx check`, which makes them alone: what users see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protocol.exit_codes import NEVER_CONNECTED
from tests.program.conftest import Served
from tests.program.dwx import Ended, dwx, live, workflow


def checks(ended: Ended) -> dict[str, str]:
    """The status of each check by its name; the last one counts."""
    return {one.name: one.status for one in ended.of("check")}


@pytest.fixture(scope="module")
def place(served: Served, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Flags that lead to a schema with a table `people`."""
    cwd = tmp_path_factory.mktemp("people")
    made = "CREATE SCHEMA main.checked; CREATE TABLE main.checked.people (id INT, email STRING)"
    workflow(cwd / "sql", f01=made)
    ended = dwx("run", "sql", *served.flags, cwd=cwd, DATABRICKS_TOKEN=served.token)
    assert ended.exit_code == 0, ended.stdout
    return (*served.place, "--schema", "checked")


# --- the way to the warehouse -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "host", "step", "error", "advice"),
    [
        ("run", "nosuchhost.invalid", "DNS", "DWX_HOST_UNKNOWN", "--server-hostname"),
        # nobody serves HTTPS at this address of the machine itself
        ("check", "127.255.255.254", "TCP", "DWX_CONNECTION_REFUSED", "firewall"),
    ],
)
def test_a_server_that_is_not_there_is_told_with_the_step_that_failed(
    tmp_path: Path, verb: str, host: str, step: str, error: str, advice: str
) -> None:
    workflow(tmp_path / "sql", f01="SELECT 1")
    ended = dwx(
        verb, "sql", "--server-hostname", host, "--http-path", "/sql/1.0/warehouses/x",
        cwd=tmp_path, DATABRICKS_TOKEN="any",
    )  # fmt: skip
    assert ended.exit_code == ended.last.exit_code == NEVER_CONNECTED
    failed = next(one for one in ended.of("check") if one.status == "failed")
    assert (failed.name, failed.phase, failed.severity) == (step, "preflight", "fatal")
    assert ended.last.error.class_ == error
    assert advice in ended.last.error.suggestion
    assert "nothing was executed" in ended.last.next[0]


def test_a_wrong_token_fails_the_check_of_the_credentials(tmp_path: Path, served: Served) -> None:
    ended = dwx("check", *served.place, cwd=tmp_path, DATABRICKS_TOKEN="wrong-token")
    assert ended.exit_code == NEVER_CONNECTED
    assert checks(ended) == {
        "DNS": "skipped", "TCP": "passed", "TLS": "skipped", "credentials": "failed",
    }  # fmt: skip
    assert "DATABRICKS_TOKEN" in ended.last.error.suggestion


def test_a_wrong_path_fails_the_check_of_the_warehouse(tmp_path: Path, served: Served) -> None:
    wrong = ("--http-path", "/sql/1.0/warehouses/another")
    ended = dwx("check", *served.place, *wrong, cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert ended.exit_code == NEVER_CONNECTED
    assert checks(ended)["warehouse"] == "failed"
    assert ended.last.error.category == "wrong_warehouse"
    assert "--http-path" in ended.last.error.suggestion


@pytest.mark.parametrize(
    ("flags", "failed"),
    [
        (("--catalog", "gone"), "catalog gone"),
        (("--schema", "gone"), "schema main.gone"),
    ],
)
def test_a_namespace_that_is_not_there_fails_its_check(
    tmp_path: Path, served: Served, flags: tuple[str, str], failed: str
) -> None:
    ended = dwx("check", *served.place, *flags, cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert ended.exit_code == NEVER_CONNECTED
    found = checks(ended)
    assert [name for name, status in found.items() if status == "failed"] == [failed]
    assert found["credentials"] == found["warehouse"] == "passed"


def test_the_connection_alone_can_be_checked(tmp_path: Path, served: Served) -> None:
    ended = dwx("check", *served.place, cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert ended.exit_code == 0, ended.stdout
    assert checks(ended) == {
        "DNS": "skipped", "TCP": "passed", "TLS": "skipped", "credentials": "passed",
        "warehouse": "passed", "catalog main": "passed", "schema main.default": "passed",
        # it speaks of no grants
        "CREATE TABLE in main.default": "unknown",
        "other runs": "passed",
    }  # fmt: skip
    assert ended.last.checks.unknown == 1
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=tmp_path).exit_code == 0


# --- what the files require -------------------------------------------------------------------

BAD = {
    "f01_copy": "CREATE OR REPLACE TABLE copied AS SELECT id, emial FROM people",
    "f02_more": "INSERT INTO gone SELECT id FROM copied",
}


def test_what_the_files_require_is_checked_and_nothing_is_executed(
    tmp_path: Path, served: Served, place: tuple[str, ...]
) -> None:
    workflow(tmp_path / "sql", **BAD, f03="CREATE TABLE people (id INT)")
    ended = dwx("check", "sql", *place, cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert ended.exit_code == ended.last.exit_code == 4
    failed = {one.name: one.observed for one in ended.of("check") if one.status == "failed"}
    assert failed == {
        "source table main.checked.people": "no column emial, which 01_copy.sql, line 1 reads; "
        "it has columns id, email",
        "source table main.checked.gone": "no such table or view; needed by 02_more.sql, line 1",
    }
    assert ended.of("statement_started", "error_prompt") == []
    assert ended.last.error.class_ == "DWX_PREFLIGHT_FAILED"
    assert dwx("resume", ended.run_dir.name, cwd=tmp_path).exit_code == 2


def test_a_run_asks_first_and_checks_again_once_the_files_are_corrected(
    tmp_path: Path, served: Served, place: tuple[str, ...]
) -> None:
    workflow(tmp_path / "sql", **BAD)
    with live("run", "sql", *place, cwd=tmp_path, DATABRICKS_TOKEN=served.token) as program:
        prompt = program.until("error_prompt")
        assert prompt.title.endswith("and 1 more")
        workflow(
            tmp_path / "sql",
            f01_copy="CREATE OR REPLACE TABLE copied AS SELECT id, email FROM people",
            f02_more="CREATE OR REPLACE TABLE more AS SELECT id FROM copied",
        )
        program.decide(prompt="p1", choice="retry")
        ended = program.end()
    assert ended.exit_code == 0, ended.stdout
    assert (ended.last.checks.failed, ended.last.statements.succeeded) == (0, 2)
    assert len(ended.of("plan")) == 2
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=tmp_path).exit_code == 0


def test_a_suspended_preflight_takes_an_answer_before_it_is_resumed(
    tmp_path: Path, served: Served, place: tuple[str, ...]
) -> None:
    workflow(tmp_path / "sql", f01="SELECT missing FROM people", f02="SELECT 1")
    suspended = dwx(
        "run", "sql", *place, "--prompt-timeout", "0", cwd=tmp_path, DATABRICKS_TOKEN=served.token
    )
    assert suspended.exit_code == 5
    assert dwx("answer", "p1", "continue", cwd=tmp_path).exit_code == 21
    resumed = dwx("resume", cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    # the file fails as was foretold; nobody answers that either
    assert resumed.exit_code == 5
    assert [one.choice for one in resumed.of("prompt_resolved")] == ["continue"]
    assert [one.statement for one in resumed.of("error_prompt")] == [None, "f1.s1"]
    assert dwx("replay", "--verify", str(resumed.run_dir), cwd=tmp_path).exit_code == 0


def test_a_suspended_preflight_without_an_answer_is_made_again_by_the_resume(
    tmp_path: Path, served: Served, place: tuple[str, ...]
) -> None:
    workflow(tmp_path / "sql", f01="SELECT missing FROM people")
    suspended = dwx(
        "run", "sql", *place, "--prompt-timeout", "0", cwd=tmp_path, DATABRICKS_TOKEN=served.token
    )
    assert suspended.exit_code == 5
    workflow(tmp_path / "sql", f01="SELECT id FROM people")
    resumed = dwx("resume", cwd=tmp_path, DATABRICKS_TOKEN=served.token)
    assert resumed.exit_code == 0, resumed.stdout
    assert [one.how for one in resumed.of("prompt_resolved")] == ["superseded"]


def test_another_run_in_the_same_schema_is_named_and_stops_nothing(
    tmp_path: Path, served: Served, place: tuple[str, ...]
) -> None:
    workflow(tmp_path / "waits", f01="SELECT missing FROM people")
    workflow(tmp_path / "sql", f01="SELECT id FROM people")
    with live("run", "waits", *place, cwd=tmp_path, DATABRICKS_TOKEN=served.token) as other:
        other.until("error_prompt")
        ended = dwx("run", "sql", *place, cwd=tmp_path, DATABRICKS_TOKEN=served.token)
        name = other.run_dir.name
    assert ended.exit_code == 0
    (found,) = [one for one in ended.of("check") if one.name == "other runs"]
    assert (found.status, found.severity) == ("failed", "warning")
    assert found.observed == f"at work there: {name}"


def test_a_preflight_can_be_left_out(
    tmp_path: Path, served: Served, place: tuple[str, ...]
) -> None:
    workflow(tmp_path / "sql", f01="SELECT id FROM people")
    ended = dwx(
        "run", "sql", *place, "--preflight", "off", cwd=tmp_path, DATABRICKS_TOKEN=served.token
    )
    assert ended.exit_code == 0
    assert ended.of("preflight_finished") == []
    assert set(checks(ended)) == {
        "DNS", "TCP", "TLS", "credentials", "warehouse", "catalog main", "schema main.checked",
    }  # fmt: skip


def test_the_embedded_warehouse_has_no_privileges_and_no_neighbours(tmp_path: Path) -> None:
    ended = dwx("check", "--local", "warehouse", cwd=tmp_path)
    assert ended.exit_code == 0
    found = checks(ended)
    assert found["CREATE TABLE in main.default"] == "skipped"
    assert "other runs" not in found


def test_a_check_of_files_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    ended = dwx("check", "nowhere", "--local", cwd=tmp_path)
    assert ended.exit_code == 2
    refused = dwx("check", "--no-such-flag", cwd=tmp_path)
    assert refused.exit_code == 2
    assert json.loads(refused.stdout.splitlines()[0])["argv"][:2] == ["dwx", "check"]


def test_a_check_shows_no_half_of_a_secret_where_a_long_text_is_cut(tmp_path: Path) -> None:
    workflow(tmp_path / "sql", f01="SELECT id FROM people")
    secret = "dapi" + "0123456789abcdef" * 2
    # the text of a check is cut in the middle of it
    said = f"[INTERNAL_ERROR] {'x' * 1_935} {secret} and more"
    ended = dwx(
        "check", "sql", "--local", "warehouse", "--fault", f'error,sql=DESCRIBE,text="{said}"',
        cwd=tmp_path,
    )  # fmt: skip
    observed = next(one.observed for one in ended.of("check") if one.name.endswith("people"))
    assert 1_900 < len(observed.encode()) <= 2_000
    assert "dapi" not in observed


def test_a_temporary_table_that_an_earlier_run_has_left_is_told_and_stops_nothing(
    tmp_path: Path,
) -> None:
    workflow(
        tmp_path / "sql",
        f01_a="CREATE OR REPLACE TABLE a_tmp AS SELECT 1 AS n;\n"
        "DROP TABLE IF EXISTS a;\nALTER TABLE a_tmp RENAME TO a",
    )
    workflow(tmp_path / "before", f01_left="CREATE TABLE a_tmp AS SELECT 0 AS n")
    assert dwx("run", "before", "--local", "warehouse", cwd=tmp_path).exit_code == 0
    ended = dwx("run", "sql", "--local", "warehouse", cwd=tmp_path)
    assert ended.exit_code == 0
    (check,) = [
        one for one in ended.of("check") if one.name == "temporary table main.default.a_tmp"
    ]
    assert (check.status, check.severity) == ("failed", "warning")
    assert "left from an earlier run" in check.observed
