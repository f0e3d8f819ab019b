"""Every way to give a credential, and none of them shows it."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.program.conftest import Served
from tests.program.dwx import DWX, Ended, dwx, environment, live, workflow
from tests.program.workspace import CLIENT_ID, CLIENT_SECRET, Workspace, workspace

CANARY = "canary-4f9d2c7b8a61e350"
LOOKS_LIKE = {
    "pat": "dapi" + "0123456789abcdef" * 2,
    "jwt": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ",
    "url": "hunter2-canary",
}


@pytest.fixture
def place(served: Served) -> Iterator[Workspace]:
    """A workspace that takes `CANARY` for an access token."""
    with workspace(served) as one:
        one.valid.add(CANARY)
        yield one


@pytest.fixture
def home(tmp_path: Path) -> Path:
    workflow(
        tmp_path / "sql",
        f01_fine=f"""CREATE OR REPLACE TABLE canaries AS SELECT '{LOOKS_LIKE["pat"]}' AS a,
            '{LOOKS_LIKE["jwt"]}' AS b, 'https://ana:{LOOKS_LIKE["url"]}@example.com/x' AS c""",
        # the warehouse repeats what it cannot cast
        f02_echo=f"SELECT CAST('{CANARY} {LOOKS_LIKE['pat']}' AS INT)",
    )
    return tmp_path


def nothing_shows(root: Path, ended: Ended, *secrets: str) -> None:
    """No secret (`CANARY`, or those given) in any file below the run root or in a stream."""
    files = [path for path in (root / ".dwx").rglob("*") if path.is_file()]
    assert files
    kept = b"".join(path.read_bytes() for path in files)
    for secret in (*LOOKS_LIKE.values(), *(secrets or (CANARY,))):
        for place in (kept, ended.stdout, ended.stderr.encode()):
            assert secret.encode() not in place


def echoed(ended: Ended) -> None:
    """The run came as far as the warehouse's error, in which the secret was."""
    assert ended.exit_code == 5, (ended.stderr, ended.stdout)
    (prompt,) = ended.of("error_prompt")
    assert "***" in prompt.error.message


SUSPEND = ("--prompt-timeout", "0")


def profile(home: Path, place: Workspace, *lines: str) -> str:
    path = home / "databrickscfg"
    path.touch(0o600)
    path.write_text("\n".join(["[there]", f"host = {place.address}", *lines, ""]))
    return str(path)


def test_a_token_in_the_environment(home: Path, place: Workspace) -> None:
    ended = dwx("run", "sql", *place.flags, *SUSPEND, cwd=home, DATABRICKS_TOKEN=CANARY)
    echoed(ended)
    assert b"CREATE OR REPLACE TABLE canaries" in ended.stdout  # what is no secret is told
    given = dwx("answer", "p1", "abort", "--reason", f"no {LOOKS_LIKE['pat']}", cwd=home)
    assert given.exit_code == 21
    resumed = dwx("resume", cwd=home, DATABRICKS_TOKEN=CANARY)
    assert resumed.exit_code == 3, resumed.stderr
    nothing_shows(home, resumed)
    nothing_shows(home, ended)


def test_a_token_on_the_command_line_is_warned_about_and_blotted_out(
    home: Path, place: Workspace
) -> None:
    command = ("run", "sql", *place.flags, "--access-token", CANARY)
    with live(*command, cwd=home) as process:
        process.until("error_prompt")
        if sys.platform == "linux":
            shown = Path(f"/proc/{process.process.pid}/cmdline").read_bytes()
            assert CANARY.encode() not in shown
            assert b"--access-token" in shown
        process.decide(prompt="p1", choice="abort")
        ended = process.end()
    assert ended.exit_code == 3
    (plan,) = ended.of("plan")
    assert "TOKEN_IN_ARGV" in [warning.code for warning in plan.warnings]
    nothing_shows(home, ended)


def test_a_token_through_a_descriptor(home: Path, place: Workspace) -> None:
    reader, writer = os.pipe()
    os.write(writer, CANARY.encode() + b"\n")
    os.close(writer)
    command = [*DWX, "run", "sql", *place.flags, *SUSPEND, "--token-fd", str(reader)]
    process = subprocess.run(
        command, cwd=home, capture_output=True, pass_fds=(reader,), env=environment(), check=False
    )
    os.close(reader)
    ended = Ended(process.returncode, process.stdout, process.stderr.decode(), home)
    echoed(ended)
    nothing_shows(home, ended)


def test_a_token_through_stdin_by_a_detached_run(home: Path, place: Workspace) -> None:
    command = ("run", "sql", *place.flags, *SUSPEND, "--token-fd", "0", "--detach")
    started = dwx(*command, cwd=home, stdin=CANARY.encode())
    assert started.exit_code == 0, started.stderr
    waited = dwx("wait", "--timeout", "60", cwd=home)
    assert waited.exit_code == 5, waited.stdout
    assert started.of("error_prompt")
    nothing_shows(home, started)
    # the descriptor of then is not asked for now
    given = dwx("resume", cwd=home)
    assert "No access token was given" in given.stderr


class Terminal:
    """A run that somebody sits at, with stdout in a pipe."""

    def __init__(self, home: Path, place: Workspace) -> None:
        self._ours, theirs = pty.openpty()

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self._process = subprocess.Popen(
            [*DWX, "run", "sql", *place.flags, *SUSPEND],
            cwd=home,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            preexec_fn=take_terminal,
        )
        os.close(theirs)
        self._cwd = home
        self.screen = b""
        while b"token: " not in self.screen:
            self.screen += os.read(self._ours, 1000)

    def type(self, keys: bytes) -> Ended:
        os.write(self._ours, keys)
        out, err = self._process.communicate(timeout=60)
        with suppress(OSError):  # the other side is closed
            while more := os.read(self._ours, 1000):
                self.screen += more
        os.close(self._ours)
        return Ended(self._process.returncode, out, err.decode(), self._cwd)


def test_a_token_typed_at_a_terminal_is_not_shown(home: Path, place: Workspace) -> None:
    terminal = Terminal(home, place)
    ended = terminal.type(CANARY.encode() + b"\n")
    echoed(ended)
    assert CANARY.encode() not in terminal.screen
    nothing_shows(home, ended)


def test_whoever_types_no_token_can_leave(home: Path, place: Workspace) -> None:
    ended = Terminal(home, place).type(b"\x03")
    assert ended.exit_code == 2
    assert "No access token" in ended.last.error.message


@pytest.mark.parametrize(
    ("number", "says", "more"),
    [
        ("1", "output", ()),
        ("77", "not open", ()),
        ("77", "not open", ("--detach",)),
        ("0", "end", ()),
    ],
)
def test_a_descriptor_that_gives_no_token_is_refused(
    home: Path, place: Workspace, number: str, says: str, more: tuple[str, ...]
) -> None:
    ended = dwx("run", "sql", *place.flags, "--token-fd", number, *more, cwd=home)
    assert ended.last.exit_code == 2
    assert says in ended.last.error.message


def test_a_profile_goes_before_the_environment(home: Path, place: Workspace) -> None:
    path = profile(home, place, f"token = {CANARY}", f"http_path = {place.http_path}")
    ended = dwx(
        "run", "sql", "--profile", "there", "--catalog", "main", "--schema", "default", *SUSPEND,
        cwd=home, DATABRICKS_CONFIG_FILE=path, DATABRICKS_TOKEN="of-another-workspace",
        DATABRICKS_HOST="other.example.com",
    )  # fmt: skip
    echoed(ended)
    nothing_shows(home, ended, CANARY, "of-another-workspace")


def test_credentials_in_the_host_are_shown_nowhere(home: Path) -> None:
    for host in ("ana:hunter2-canary@host.example.com", "https://ana:hunter2-canary@h.example.com"):
        for how in ((), ("--server-hostname", host)):
            ended = dwx(
                "run", "sql", *how, "--http-path", "/x", cwd=home,
                DATABRICKS_HOST=host, DATABRICKS_TOKEN=CANARY,
            )  # fmt: skip
            assert ended.exit_code == 2
            assert "no host name" in ended.last.error.message
            nothing_shows(home, ended, CANARY, "hunter2-canary")


@pytest.mark.parametrize(
    "flags",
    [
        ("--token", CANARY),
        (f"--token={CANARY}",),
        (f"--acces-token={CANARY}",),
        ("--access-token", CANARY, "--no-such-flag"),
        ("--client-secret", CANARY),
    ],
)
@pytest.mark.parametrize("verb", [("run", "sql"), ("plan", "sql")])
def test_a_mistyped_flag_shows_no_secret(
    home: Path, verb: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    ended = dwx(*verb, *flags, cwd=home)
    assert ended.exit_code == 2
    assert CANARY.encode() not in ended.stdout + ended.stderr.encode()


# --- the vendor's SDK -------------------------------------------------------------------------


def test_a_service_principal_in_the_environment_is_used(home: Path, place: Workspace) -> None:
    place.lifetime_s = 60
    ended = dwx(
        "run", "sql", *place.flags, *SUSPEND, cwd=home,
        DATABRICKS_CLIENT_ID=CLIENT_ID, DATABRICKS_CLIENT_SECRET=CLIENT_SECRET,
    )  # fmt: skip
    echoed(ended)
    assert set(place.grants) == {"client_credentials"}
    assert ended.of("connected")[0].auth == "oauth-m2m"
    nothing_shows(home, ended, CLIENT_SECRET, *place.issued)


def test_a_service_principal_in_a_profile_is_used(home: Path, place: Workspace) -> None:
    path = profile(home, place, f"client_id = {CLIENT_ID}", f"client_secret = {CLIENT_SECRET}")
    ended = dwx(
        "run", "sql", *place.flags, "--profile", "there", "--auth-type", "sdk", *SUSPEND,
        cwd=home, DATABRICKS_CONFIG_FILE=path,
    )  # fmt: skip
    echoed(ended)
    assert set(place.grants) == {"client_credentials"}
    nothing_shows(home, ended, CLIENT_SECRET, *place.issued)


def test_a_wrong_secret_is_said_and_not_shown(home: Path, place: Workspace) -> None:
    ended = dwx(
        "run", "sql", *place.flags, cwd=home,
        DATABRICKS_CLIENT_ID=CLIENT_ID, DATABRICKS_CLIENT_SECRET="canary-wrong-secret",
    )  # fmt: skip
    assert ended.exit_code == 7
    assert ended.last.error.class_ == "DWX_SDK_AUTH_FAILED"
    assert "invalid_client" in ended.last.error.message
    nothing_shows(home, ended, "canary-wrong-secret")


def test_what_a_library_logs_is_masked(home: Path, place: Workspace) -> None:
    place.repeats = CANARY
    ended = dwx(
        "run", "sql", *place.flags, cwd=home,
        DATABRICKS_CLIENT_ID=CLIENT_ID, DATABRICKS_CLIENT_SECRET=CANARY,
    )  # fmt: skip
    assert ended.exit_code == 7
    assert "we do not like ***" in ended.stderr
    nothing_shows(home, ended)


def test_without_the_extra_it_is_said_how_to_install_it(home: Path, place: Workspace) -> None:
    (home / "sitecustomize.py").write_text("import sys; sys.modules['databricks.sdk'] = None\n")
    ended = dwx(
        "run", "sql", *place.flags, "--auth-type", "azure-cli", cwd=home, PYTHONPATH=str(home)
    )
    assert ended.exit_code == 7
    assert ended.last.error.class_ == "DWX_SDK_NOT_INSTALLED"
    assert "pip install 'databricks-workflow-executor[sdk]'" in ended.last.error.suggestion


def test_the_sdk_s_own_search_opens_no_browser(home: Path, place: Workspace) -> None:
    ended = dwx("run", "sql", *place.flags, "--auth-type", "sdk", cwd=home, PATH="/nowhere")
    assert ended.exit_code == 7
    assert ended.last.error.class_ == "DWX_SDK_AUTH_FAILED"
    refused = dwx(
        "run", "sql", *place.flags, "--auth-type", "sdk", cwd=home,
        DATABRICKS_AUTH_TYPE="external-browser",
    )  # fmt: skip
    assert refused.exit_code == 2
    assert place.logins == 0
