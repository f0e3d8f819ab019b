"""A run against a warehouse that goes on by itself: orphans, silence, sessions that end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.local.faultspec import parse
from executor.local.service import LocalWarehouse
from tests.local.client import connect
from tests.program.dwx import Ended, dwx, live, workflow

STOPS_WITHIN_S = 15
"""What a run is allowed between a signal and its end."""


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[LocalWarehouse]:
    with LocalWarehouse(tmp_path / "warehouse") as served:
        yield served


@pytest.fixture
def filling(tmp_path: Path) -> Path:
    """A workflow whose second file must not run twice."""
    workflow(
        tmp_path / "sql",
        f01="CREATE OR REPLACE TABLE filled (n INT)",
        f02="USE SCHEMA default; INSERT INTO filled VALUES (1)",
        f03="CREATE OR REPLACE TABLE counted AS SELECT COUNT(*) AS rows FROM filled",
    )
    return tmp_path


def flags(warehouse: LocalWarehouse, *more: str) -> tuple[str, ...]:
    uri = warehouse.uri.removesuffix(warehouse.http_path)
    return (
        "run", "sql", "--server-hostname", uri, "--http-path", warehouse.http_path,
        "--catalog", "main", "--schema", "default", "--stdout", "full", *more,
    )  # fmt: skip


def rows_of(warehouse: LocalWarehouse, table: str) -> int:
    with connect(warehouse) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM main.default.{table}")
        count: int = cursor.fetchone()[0]
        return count


def until_sent(program: Any, statement: str) -> None:
    while program.until("statement_submitted").statement != statement:
        pass


# --- orphans ----------------------------------------------------------------------------------


def killed_while_filling(cwd: Path, warehouse: LocalWarehouse, seconds: int) -> None:
    """Kills a run whose INSERT goes on at the warehouse for some seconds more."""
    warehouse.faults.add(parse(f"slow-end,seconds={seconds},statement=f2.s2"))
    with live(*flags(warehouse), cwd=cwd, DATABRICKS_TOKEN=warehouse.token) as program:
        until_sent(program, "f2.s2")
        program.process.kill()
        program.process.wait()


def test_a_write_that_goes_on_after_its_run_was_killed_is_waited_for(
    filling: Path, warehouse: LocalWarehouse
) -> None:
    killed_while_filling(filling, warehouse, 3)
    ended = dwx("resume", cwd=filling, DATABRICKS_TOKEN=warehouse.token)
    assert ended.exit_code == 0, ended.stderr
    assert ended.of("error_prompt") == []
    sent = [event for event in ended.of("statement_started") if event.statement == "f2.s2"]
    assert len(sent) == 1
    (end,) = [event for event in ended.of("statement_finished") if event.statement == "f2.s2"]
    assert (end.status, end.rows.total) == ("succeeded", 1)
    assert rows_of(warehouse, "filled") == 1


def test_a_write_that_nobody_waits_for_any_more_is_cancelled_at_the_warehouse(
    filling: Path, warehouse: LocalWarehouse
) -> None:
    killed_while_filling(filling, warehouse, 600)
    with live("resume", "--stdout", "full", cwd=filling, DATABRICKS_TOKEN=warehouse.token) as again:
        again.until("reconnected")
        again.process.send_signal(signal.SIGTERM)
        ended = again.end()
    # that it was cancelled is known only once it is over; until then its outcome is not
    assert ended.exit_code in (6, 9)
    while rows_of(warehouse, "filled") > 1:
        pass
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=filling).exit_code == 0


# --- a warehouse that is silent ---------------------------------------------------------------


@pytest.mark.parametrize("fault", ["hang-execute,executed=yes", "hang-poll,count=always"])
def test_a_silent_warehouse_does_not_hold_a_run_that_is_to_stop(
    filling: Path, warehouse: LocalWarehouse, fault: str
) -> None:
    struck = parse(f"{fault},statement=f2.s2")
    warehouse.faults.add(struck)
    with live(*flags(warehouse), cwd=filling, DATABRICKS_TOKEN=warehouse.token) as program:
        while program.until("statement_started").statement != "f2.s2":
            pass
        warehouse.faults.wait(struck)
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(STOPS_WITHIN_S) in (6, 9)
        ended = program.end()
    assert ended.last.type == "run_finished"
    assert ended.last.exit_code == ended.exit_code
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=filling).exit_code == 0


def test_a_second_signal_ends_the_process_at_once(filling: Path, warehouse: LocalWarehouse) -> None:
    warehouse.faults.add(parse("hang-execute,statement=f2.s2"))
    with live(*flags(warehouse), cwd=filling, DATABRICKS_TOKEN=warehouse.token) as program:
        while program.until("statement_started").statement != "f2.s2":
            pass
        program.process.send_signal(signal.SIGTERM)
        program.until("cancel_requested")
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(STOPS_WITHIN_S) == 6
    assert dwx("status", cwd=filling).stdout.decode().count("crashed")


# --- sessions ---------------------------------------------------------------------------------


def test_a_session_is_let_go_while_an_answer_is_awaited_and_another_is_opened_for_it(
    filling: Path, warehouse: LocalWarehouse
) -> None:
    text = 'error,text="[INTERNAL_ERROR] Something went wrong. SQLSTATE: XX000",statement=f2.s2'
    warehouse.faults.add(parse(text))
    keep = ("--keep-session", "0")
    with live(*flags(warehouse, *keep), cwd=filling, DATABRICKS_TOKEN=warehouse.token) as program:
        assert program.until("disconnected").reason == "idle"
        program.decide(prompt="p1", choice="retry")
        assert program.until("reconnected").replayed == 1
        ended = program.end()
    assert ended.exit_code == 0
    assert rows_of(warehouse, "filled") == 1


def test_a_warehouse_that_goes_away_is_asked_about_and_gone_on_with_when_it_is_back(
    filling: Path, tmp_path: Path
) -> None:
    first = LocalWarehouse(tmp_path / "warehouse")
    struck = parse("hang-execute,executed=yes,statement=f2.s2")
    first.faults.add(struck)
    with first:
        command = flags(first)
        with live(*command, cwd=filling, DATABRICKS_TOKEN=first.token) as program:
            first.faults.wait(struck)
            while rows_of(first, "filled") < 1:
                pass
            first.close()
            prompt = program.until("error_prompt")
            assert prompt.error.class_ == "DWX_CONNECTION_REFUSED"
            assert (prompt.statement, prompt.outcome) == ("f2.s2", "unknown")
            again = LocalWarehouse(tmp_path / "warehouse", port=first.port, token=first.token)
            with again:
                program.decide(prompt="p1", choice="retry")
                question = program.until("error_prompt", "run_finished")
                # its query history went with the old process: only the table can tell
                assert question.type == "error_prompt"
                assert question.statement == "f2.s2"
                program.decide(prompt="p2", choice="done")
                ended: Ended = program.end()
                assert rows_of(again, "filled") == 1
    assert ended.exit_code == 0
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=filling).exit_code == 0


# --- a warehouse that is not the one it should be ---------------------------------------------


@pytest.mark.parametrize("certificate", ["self-signed", "wrong-host"])
def test_a_certificate_that_proves_nothing_ends_the_run_before_a_token_is_sent(
    filling: Path, certificate: str
) -> None:
    fault = f"tls,certificate={certificate}"
    ended = dwx("run", "sql", "--local", "tables", "--fault", fault, cwd=filling)
    assert ended.exit_code == ended.last.exit_code == 7
    assert ended.last.error.class_ == "DWX_TLS_FAILED"
    assert "SSL_CERT_FILE" in ended.last.error.suggestion


@pytest.mark.parametrize("lost", ["session-lost-poll", "drop-after-execute"])
def test_a_session_in_the_place_of_a_lost_one_is_not_checked_on_the_way_again(
    filling: Path, lost: str
) -> None:
    fault = f"{lost},sql=INSERT"
    ended = dwx("run", "sql", "--local", "wh", "--stdout", "full", "--fault", fault, cwd=filling)
    assert ended.exit_code == 0, ended.stdout
    assert len(ended.of("reconnected")) == 1
    on_the_way = [one.name for one in ended.of("check") if one.name == "TCP"]
    assert on_the_way == ["TCP"]
