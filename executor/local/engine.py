"""The engine: one DuckDB instance, its lock on the directory, its settings, its connections.

DuckDB opens a file for writing in one process only and says so badly; so the directory has a lock
of its own, held by the kernel for as long as the process lives (SIGKILL releases it), with a text
beside it that names the holder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from executor.local.catalogs import Catalogs, attached
from executor.local.errors import WarehouseBusy, WarehouseError
from executor.local.history import History
from executor.local.macros import statements as macros
from executor.local.sqltypes import quote

THREADS = 2


class Engine:
    """Opens a warehouse directory. Raises WarehouseBusy or WarehouseError."""

    def __init__(self, path: Path | None) -> None:
        self._private = path is None
        self.path = Path(tempfile.mkdtemp(prefix="dwx-warehouse-")) if path is None else path
        self._lock_file = -1
        self._closed = False
        self.writing = threading.Lock()  # DDL on catalogs, which no transaction covers
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._private or not any(self.path.iterdir()):
                self.path.chmod(0o700)
            self._take_lock()
        except OSError as exc:
            raise WarehouseError(
                f"The warehouse directory {self.path} cannot be used: {exc}. Give another "
                "directory, or repair its permissions."
            ) from exc
        try:
            self._open()
        except BaseException:
            self._release()
            raise

    def _take_lock(self) -> None:
        file = self.path / "holder.json"
        self._lock_file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = os.pread(self._lock_file, 4096, 0)
            os.close(self._lock_file)
            self._lock_file = -1
            raise WarehouseBusy(_busy(self.path, told)) from None
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.ftruncate(self._lock_file, 0)
        os.pwrite(self._lock_file, json.dumps(holder).encode(), 0)

    def _open(self) -> None:
        spill = self.path / "tmp"
        shutil.rmtree(spill, ignore_errors=True)
        spill.mkdir(mode=0o700)
        self.spill = spill
        self._root = duckdb.connect(
            ":memory:",
            config={
                "threads": THREADS,
                "temp_directory": str(spill),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        try:
            for statement in (
                "SET GLOBAL TimeZone = 'UTC'",
                # or a table name nobody created finds a variable of ours
                "SET GLOBAL python_enable_replacements = false",
                "SET GLOBAL default_null_order = 'nulls_first_on_asc_last_on_desc'",
                *macros(),
            ):
                self._root.execute(statement)
            self.catalogs = Catalogs(self.path / "catalogs")
            self.catalogs.attach_all(self._root)
        except duckdb.Error as exc:
            self._root.close()
            raise WarehouseError(
                f"The warehouse in {self.path} cannot be opened: {exc}. If its files are damaged, "
                "move the directory away and start with a new one."
            ) from exc
        self.history = History()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own for one statement."""
        if self._closed:
            raise WarehouseError("The warehouse is closing.")
        return self._root.cursor()

    def create_namespace(self, catalog: str, schema: str) -> None:
        """Create catalog and schema unless they exist."""
        with self.writing, contextlib.closing(self.connect()) as con:
            if not self.catalogs.has(catalog):
                self.catalogs.create(con, catalog)
                con.execute(f'CREATE SCHEMA IF NOT EXISTS {attached(catalog)}."default"')
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {attached(catalog)}.{quote(schema.lower())}")

    def close(self) -> None:
        """Close DuckDB and give the directory back. Idempotent."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(duckdb.Error):
            self._root.close()
        self._release()

    def _release(self) -> None:
        if self._lock_file >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._lock_file, 0)
                os.close(self._lock_file)
            self._lock_file = -1
        if self._private:
            shutil.rmtree(self.path, ignore_errors=True)


def _busy(path: Path, told: bytes) -> str:
    try:
        holder = json.loads(told)
        who = f"process {holder['pid']} on {holder['host']} (since {holder['since']})"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return (
        f"The warehouse in {path} is in use: {who} is running and holds it. One process at a time "
        "can write it. Wait for that process or stop it, connect to the endpoint it serves, or "
        "give another directory."
    )
