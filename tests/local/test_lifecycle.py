"""Opening, holding, closing and losing a warehouse directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from databricks.sql.exc import RequestError

from executor.local.errors import WarehouseBusy, WarehouseError
from executor.local.service import LocalWarehouse
from tests.local.client import connect

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys
from pathlib import Path
from executor.local.serve import serve
serve(Path(sys.argv[1]), token="secret", ready=lambda w: print(w.port, flush=True))
"""


def start_holder(path: Path) -> tuple[subprocess.Popen[str], LocalWarehouse]:
    """Another process that serves ``path``, and how to reach it."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLDER, str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    return process, LocalWarehouse(port=port, token="secret")


def execute(warehouse: LocalWarehouse, sql: str) -> list[tuple[Any, ...]]:
    with connect(warehouse) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return [tuple(r) for r in cursor.fetchall()]


def test_data_history_and_views_survive_a_restart(tmp_path: Path) -> None:
    with LocalWarehouse(tmp_path / "w") as first:
        first.create_namespace("Sales", "Europe")
        first.create_namespace("sales", "europe")
        execute(first, "CREATE TABLE sales.europe.t AS SELECT id FROM range(3)")
        execute(first, "CREATE VIEW sales.europe.v AS SELECT MAX(id) AS m FROM sales.europe.t")
        before = execute(first, "DESCRIBE HISTORY sales.europe.t")
    with LocalWarehouse(tmp_path / "w") as second:
        assert execute(second, "SELECT COUNT(*) FROM sales.europe.t") == [(3,)]
        assert execute(second, "SELECT m FROM sales.europe.v") == [(2,)]
        assert execute(second, "DESCRIBE HISTORY sales.europe.t") == before
        execute(second, "INSERT INTO sales.europe.t VALUES (9)")
        assert [r[0] for r in execute(second, "DESCRIBE HISTORY sales.europe.t")] == [1, 0]


def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    with LocalWarehouse(tmp_path / "w"):
        assert (tmp_path / "w").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "w" / "catalogs" / "main.duckdb").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "w" / "holder.json").stat().st_mode & 0o777 == 0o600


def test_a_private_warehouse_leaves_nothing_behind() -> None:
    with LocalWarehouse() as warehouse:
        path = warehouse.engine.path
        assert path.exists()
    assert not path.exists()
    warehouse.close()


def test_a_second_opener_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    process, _ = start_holder(tmp_path / "w")
    try:
        with pytest.raises(WarehouseBusy, match=rf"process {process.pid} .* is running"):
            LocalWarehouse(tmp_path / "w").start()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout is not None
        process.stdout.close()
    with LocalWarehouse(tmp_path / "w") as mine:
        assert execute(mine, "SELECT 1") == [(1,)]


def test_a_killed_holder_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    process, remote = start_holder(tmp_path / "w")
    try:
        execute(remote, "CREATE TABLE t (a INT)")
        execute(remote, "INSERT INTO t VALUES (1), (2)")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
    with LocalWarehouse(tmp_path / "w") as mine:
        assert execute(mine, "SELECT COUNT(*) FROM t") == [(2,)]
        assert [r[4] for r in execute(mine, "DESCRIBE HISTORY t")] == ["WRITE", "CREATE TABLE"]


def test_a_wrong_token_is_refused_and_never_shown(shared: LocalWarehouse) -> None:
    with pytest.raises(RequestError) as caught:
        connect(shared, token="wrong")
    assert caught.value.context["http-code"] == 403
    assert shared.token not in str(caught.value)


def test_another_path_on_the_port_is_not_the_warehouse(shared: LocalWarehouse) -> None:
    from databricks import sql

    with pytest.raises(RequestError) as caught:
        sql.connect(
            server_hostname=shared.host,
            http_path="/sql/1.0/warehouses/other",
            access_token=shared.token,
            _connection_uri=shared.uri.replace("/local", "/other"),
            enable_telemetry=False,
            _retry_stop_after_attempts_count=1,
        )
    assert caught.value.context["http-code"] == 404


def test_a_port_in_use_and_a_directory_that_is_a_file_are_clear_errors(
    shared: LocalWarehouse, tmp_path: Path
) -> None:
    with pytest.raises(WarehouseError, match=f"Port {shared.port}"):
        LocalWarehouse(port=shared.port).start()
    (tmp_path / "file").write_text("x")
    with pytest.raises(WarehouseError, match="cannot be used"):
        LocalWarehouse(tmp_path / "file").start()


def test_close_stops_a_running_statement_and_may_be_repeated() -> None:
    warehouse = LocalWarehouse()
    warehouse.start()
    connection = connect(warehouse)
    cursor = connection.cursor()
    cursor.execute_async(
        "SELECT COUNT(*) FROM range(9000000) a CROSS JOIN range(9000000) b "
        "WHERE a.id * b.id % 7 = 3"
    )
    warehouse.close()
    warehouse.close()
    connection.session.is_open = False  # its destructor would look for the warehouse
    assert not warehouse.engine.path.exists()
