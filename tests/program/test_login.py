"""Logging in with the browser, against a workspace on loopback and with a browser that obeys."""

from __future__ import annotations

import json
import socket
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.replay.verify import verify
from tests.program.conftest import Served
from tests.program.dwx import Ended, dwx, live, workflow
from tests.program.workspace import Workspace, browser, workspace


@pytest.fixture
def place(served: Served) -> Iterator[Workspace]:
    with workspace(served) as one:
        yield one


class Person:
    """Somebody with a home, a browser and a workflow."""

    def __init__(self, home: Path, place: Workspace) -> None:
        self.home = home
        self.place = place
        self.environment = {"XDG_CACHE_HOME": str(home / "cache"), "BROWSER": browser(home)}
        self.flags = (*place.flags, "--auth-type", "oauth")
        workflow(home / "sql", f01_one="CREATE OR REPLACE TABLE made_after_login AS SELECT 1 AS a")

    @property
    def cache(self) -> Path:
        return self.home / "cache" / "dwx" / "oauth-tokens.json"

    def run(self, *more: str, **environment: str) -> Ended:
        command = ("run", "sql", *self.flags, *more)
        return dwx(*command, cwd=self.home, stdin=b"", **{**self.environment, **environment})


@pytest.fixture
def ana(tmp_path: Path, place: Workspace) -> Person:
    return Person(tmp_path, place)


def shown_and_recorded(ended: Ended) -> bytes:
    files = [path.read_bytes() for path in ended.run_dir.parent.rglob("*") if path.is_file()]
    return b"".join([*files, ended.stdout, ended.stderr.encode()])


def test_a_login_runs_the_workflow_and_the_next_run_needs_none(ana: Person) -> None:
    ended = ana.run()
    assert ended.exit_code == 0, ended.stderr
    (asked,) = ended.of("login_required")
    assert asked.url.startswith(f"{ana.place.address}/oidc/oauth2/v2.0/authorize?")
    assert asked.url in ended.stderr
    assert list(verify(ended.record)) == []
    assert stat.S_IMODE(ana.cache.stat().st_mode) == 0o600
    assert stat.S_IMODE(ana.cache.parent.stat().st_mode) == 0o700

    again = ana.run()
    assert again.exit_code == 0
    assert again.of("login_required") == []
    assert ana.place.grants == ["authorization_code"]


def test_an_old_token_is_renewed_without_a_browser(ana: Person) -> None:
    ana.place.lifetime_s = 60  # old from the start: it is renewed five minutes early
    first = ana.run()
    assert first.exit_code == 0, first.stderr
    before = list(ana.place.grants)
    second = ana.run()
    assert second.exit_code == 0, second.stderr
    assert second.of("login_required") == []
    assert set(ana.place.grants[len(before) :]) == {"refresh_token"}
    assert len(ana.place.grants) > len(before) + 2  # while the session goes on, too
    assert ana.place.logins == 1


def test_a_token_that_is_still_good_outlives_a_refused_renewal(ana: Person) -> None:
    ana.place.lifetime_s = 60
    ana.place.refuses_renewal = True
    ended = ana.run()
    assert ended.exit_code == 0, ended.stderr
    assert "refresh_token" in ana.place.grants


def test_when_renewal_is_refused_the_person_is_asked_again(ana: Person) -> None:
    ana.place.lifetime_s = 60
    ana.run()
    ana.place.renewals.clear()
    ana.place.lifetime_s = 3600
    ended = ana.run()
    assert ended.exit_code == 0, ended.stderr
    assert len(ended.of("login_required")) == 1


def test_kept_tokens_that_the_warehouse_refuses_are_replaced(ana: Person) -> None:
    ana.run()
    ana.place.valid.clear()
    ended = ana.run()
    assert ended.exit_code == 0, ended.stderr
    assert len(ended.of("login_required")) == 1
    assert list(verify(ended.record)) == []


def test_no_token_of_a_login_is_found_anywhere_but_in_the_cache(ana: Person) -> None:
    ana.place.lifetime_s = 60
    ana.run()
    ana.place.renewals.clear()  # the answer repeats the token it refuses
    ended = ana.run()
    assert ended.exit_code == 0, ended.stderr
    everything = shown_and_recorded(ended)
    assert len(ana.place.issued) > 4
    for secret in ana.place.issued:
        assert secret.encode() not in everything
    elsewhere = [path for path in ana.home.rglob("*") if path.is_file() and path != ana.cache]
    for path in elsewhere:
        assert b"canary-" not in path.read_bytes(), path


def test_a_token_got_while_the_run_goes_on_is_masked_in_what_repeats_it(ana: Person) -> None:
    ana.place.refuses_tokens = True
    ended = ana.run()
    assert ended.exit_code == 7
    assert "who is Bearer ***?" in ended.last.error.message
    for secret in ana.place.issued:
        assert secret.encode() not in shown_and_recorded(ended)


def test_nothing_is_kept_if_that_is_not_wanted(ana: Person) -> None:
    ended = ana.run("--no-token-cache")
    assert ended.exit_code == 0, ended.stderr
    assert not ana.cache.exists()


def test_tokens_that_others_could_read_are_not_used(ana: Person) -> None:
    ana.run()
    ana.cache.chmod(0o644)
    ended = ana.run()
    assert ended.exit_code == 0, ended.stderr
    assert [event.code for event in ended.of("warning")] == ["TOKEN_CACHE_EXPOSED"]
    assert len(ended.of("login_required")) == 1
    assert stat.S_IMODE(ana.cache.stat().st_mode) == 0o600


def test_a_login_that_nobody_completes_ends_at_its_deadline(ana: Person) -> None:
    ended = ana.run("--login-timeout", "300ms", BROWSER="true")
    assert ended.exit_code == 7
    assert ended.last.error.class_ == "DWX_LOGIN_FAILED"
    assert "not completed" in ended.last.error.message
    assert list(verify(ended.record)) == []


def test_a_login_that_is_refused_says_why(ana: Person) -> None:
    ana.place.refuses_login = True
    ended = ana.run()
    assert ended.exit_code == 7
    assert "not on a Sunday" in ended.last.error.message


def test_a_program_reads_the_address_and_only_the_right_answer_counts(ana: Person) -> None:
    environment = {**ana.environment, "BROWSER": "true"}
    with live("run", "sql", *ana.flags, cwd=ana.home, **environment) as process:
        asked = process.until("login_required")
        port = asked.url.partition("localhost%3A")[2].partition("&")[0]
        for path in ("/favicon.ico", "/?code=canary-injected&state=guessed", "/?error=x"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30)
        with urllib.request.urlopen(asked.url, timeout=30) as page:
            assert b"You are logged in" in page.read()
        ended = process.end()
    assert ended.exit_code == 0, ended.stderr


def test_a_cancelled_run_waits_for_no_login(ana: Person) -> None:
    environment = {**ana.environment, "BROWSER": "true"}
    with live("run", "sql", *ana.flags, cwd=ana.home, **environment) as process:
        process.until("login_required")
        process.process.terminate()
        ended = process.end()
    assert ended.exit_code == 6


def test_ports_that_are_all_in_use_are_named(ana: Person) -> None:
    taken = []
    for port in range(8020, 8025):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError:  # somebody else has it, which will do
            listener.close()
        else:
            taken.append(listener)
    ended = ana.run()
    for listener in taken:
        listener.close()
    assert ended.exit_code == 7
    assert "8020 to 8024" in ended.last.error.message


def test_a_detached_run_has_the_address_in_its_record(ana: Person) -> None:
    ana.run("--detach", BROWSER="true")
    waited = dwx("wait", "--until", "attention", "--timeout", "60", cwd=ana.home)
    assert waited.exit_code == 5, waited.stdout
    status = json.loads(dwx("status", "--json", cwd=ana.home).stdout)
    assert status["state"] == "waiting"
    with urllib.request.urlopen(status["connection"]["url"], timeout=30) as page:
        assert b"You are logged in" in page.read()
    ended = dwx("wait", "--until", "finished", "--timeout", "60", cwd=ana.home)
    assert ended.exit_code == 0, ended.stdout


def test_a_missing_token_opens_no_browser(ana: Person) -> None:
    asked: dict[str, str] = {"DATABRICKS_AUTH_TYPE": "external-browser"}
    for more in ({}, asked):
        given = {**ana.environment, **more}
        ended = dwx("run", "sql", *ana.place.flags, cwd=ana.home, stdin=b"", **given)
        assert ended.exit_code == 2
        assert "--auth-type oauth" in ended.last.error.suggestion
    assert ana.place.logins == 0
