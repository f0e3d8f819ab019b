"""Whoever does not answer is found out before the connector is let loose, with the reason."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from executor.core.failures import classify
from executor.warehouse.databricks.reach import reach
from protocol.events import Check


def found(url: str, cancel: Event | None = None) -> str | None:
    facts = reach(url, cancel or Event(), budget_s=0.5)
    if facts is None:
        return None
    assert classify(facts).severity == "fatal" or facts.error_class == "DWX_CANCELLED"
    assert facts.during == "connect"
    return facts.error_class


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        yield server


@pytest.fixture
def full() -> Iterator[socket.socket]:
    """A listener whose queue is full: the kernel drops what comes, as a firewall would."""
    waiting: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        for _ in range(3):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(server.getsockname())
            waiting.append(connection)
        yield server
    for connection in waiting:
        connection.close()


def url(server: socket.socket, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.getsockname()[1]}/sql"


def steps(url: str) -> dict[str, str]:
    """The status of each step that was told of."""
    told: list[Check] = []
    reach(url, Event(), budget_s=0.5, told=told.append)
    return {check.name: check.status for check in told}


@contextmanager
def self_signed() -> Iterator[str]:
    """The address of a server whose certificate nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parent / "certificates" / "self_signed.pem")

    def serve(server: socket.socket) -> None:
        with suppress(OSError):  # the client hangs up; the server is closed
            while True:
                connection, _ = server.accept()
                with connection, suppress(ssl.SSLError, OSError):
                    context.wrap_socket(connection, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield f"https://localhost:{server.getsockname()[1]}/sql"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    with self_signed() as address:
        assert found(address) == "DWX_TLS_FAILED"
        assert steps(address) == {"DNS": "passed", "TCP": "passed", "TLS": "failed"}


def test_each_step_is_told_up_to_the_one_that_failed(
    listener: socket.socket, full: socket.socket
) -> None:
    assert steps("https://no-such-host.invalid") == {"DNS": "failed"}
    assert steps(url(full)) == {"DNS": "skipped", "TCP": "failed"}
    assert steps(url(listener)) == {"DNS": "skipped", "TCP": "passed", "TLS": "skipped"}
    assert steps(url(listener, "https")) == {"DNS": "skipped", "TCP": "passed", "TLS": "failed"}


def test_a_server_that_answers_is_reached(listener: socket.socket) -> None:
    assert found(url(listener)) is None


def test_a_server_that_swallows_everything_is_given_up_in_time(full: socket.socket) -> None:
    assert found(url(full)) == "DWX_CONNECT_TIMEOUT"


def test_a_server_that_never_negotiates_tls_is_given_up_in_time(listener: socket.socket) -> None:
    assert found(url(listener, "https")) == "DWX_CONNECT_TIMEOUT"


def test_a_closed_port_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = url(server)
    assert found(address) == "DWX_CONNECTION_REFUSED"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70 + ".example"])
def test_a_host_that_is_none_is_unknown(host: str) -> None:
    assert found(f"https://{host}") == "DWX_HOST_UNKNOWN"


def test_waiting_for_a_server_can_be_cancelled(full: socket.socket) -> None:
    cancel = Event()
    cancel.set()
    assert found(url(full), cancel) == "DWX_CANCELLED"


def test_a_proxy_for_loopback_is_a_mistake_and_named_as_such(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert found(url(listener)) == "DWX_PROXY_FAILED"


def test_the_proxy_is_probed_where_one_is_set(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = listener.getsockname()
    monkeypatch.setenv("https_proxy", f"http://{host}:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert found("https://resolves-only-behind-the-proxy.invalid") is None
