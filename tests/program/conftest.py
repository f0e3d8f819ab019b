from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.program.dwx import DWX, environment


@dataclass(frozen=True)
class Served:
    """An embedded warehouse in a process of its own."""

    uri: str
    http_path: str
    token: str
    path: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of `dwx run` that lead there; the token goes into the environment.

        Without a pre-flight: most tests are about statements that fail, and it would be first.
        """
        return (*self.place, "--preflight", "off")

    @property
    def place(self) -> tuple[str, ...]:
        """Flags of `dwx check`, and of `dwx run` as users give them."""
        return (
            "--server-hostname", self.uri, "--http-path", self.http_path,
            "--catalog", "main", "--schema", "default",
        )  # fmt: skip


@contextmanager
def serving(path: Path) -> Iterator[Served]:
    command = [*DWX, "warehouse", "serve", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as server:
        assert server.stdout is not None
        where = json.loads(server.stdout.readline())
        token = Path(where["token_file"]).read_text().strip()
        yield Served(where["uri"], where["http_path"], token, path)
        server.terminate()
        server.stdout.close()
        assert server.wait(30) == 0


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A warehouse that the tests share."""
    with serving(tmp_path_factory.mktemp("served") / "warehouse") as one:
        yield one


@pytest.fixture
def served_alone(tmp_path: Path) -> Iterator[Served]:
    """A warehouse for one test: statements that a killed client leaves behind end with it."""
    with serving(tmp_path / "served") as one:
        yield one
