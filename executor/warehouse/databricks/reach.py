"""Is there anybody at the other end? DNS, TCP and TLS, before the connector is let loose.

The connector tries a host that does not exist, or does not answer, for a quarter of an hour without
a word. The probe finds out within `BUDGET_S` and says which of the three steps failed. Where a
proxy stands between, the proxy is what is probed: behind it names may not resolve here.
"""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from threading import Event, Thread
from time import monotonic
from urllib.parse import urlsplit

from executor.core.checks import step_taken
from executor.core.facts import FailureFacts
from protocol.events import Check

BUDGET_S = 10.0
"""Longest time for all steps together, in seconds."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(slots=True)
class _Progress:
    """Written by the probing thread, read by whoever waits for it."""

    step: str = "DNS"
    """The step under way: one of `checks.STEPS`."""
    done: dict[str, Check] = field(default_factory=dict)
    """The steps taken, by name; with another address some are taken again."""
    problem: FailureFacts | None = None


_UNDER_WAY = {
    "DNS": "resolving the name",
    "TCP": "opening a connection",
    "TLS": "negotiating TLS",
}


def reach(
    url: str,
    cancel: Event,
    *,
    budget_s: float = BUDGET_S,
    told: Callable[[Check], None] = lambda check: None,
) -> FailureFacts | None:
    """What keeps us from the server of `url` (`http` or `https`), or `None` if nothing does.

    `told` hears of each step, on this thread. Returns after `budget_s` seconds at the latest, at
    once when `cancel` is set. Name resolution cannot be interrupted, so all of it happens in a
    thread that is left behind if need be.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    proxy = _proxy(parts.scheme, host)
    if proxy is not None and host in _LOOPBACK:
        return _facts(
            "DWX_PROXY_FAILED",
            f"The environment sends requests for {host} to a proxy: add {host} to NO_PROXY.",
        )
    without_tls = None if secure else "plain HTTP, within this machine"
    if proxy is not None:
        host, port, without_tls = proxy[0], proxy[1], "behind the proxy, which was probed instead"
    progress, done = _Progress(), Event()

    def run() -> None:
        progress.problem = _probe(host, port, without_tls, progress, monotonic() + budget_s)
        done.set()

    Thread(target=run, name="dwx-reach", daemon=True).start()
    problem = _watch(progress, done, cancel, f"{host}:{port}", budget_s)
    step = progress.step if problem is not None else None
    for check in tuple(progress.done.values()):
        if check.name != step:
            told(check)
    if problem is not None and step is not None and problem.error_class != "DWX_CANCELLED":
        told(step_taken(step, "failed", problem.message))
    return problem


def _watch(
    progress: _Progress, done: Event, cancel: Event, server: str, budget_s: float
) -> FailureFacts | None:
    deadline = monotonic() + budget_s
    while not done.wait(min(0.1, max(0.0, deadline - monotonic()))):
        if cancel.is_set():
            return cancelled_facts()
        if monotonic() >= deadline:
            return _facts(
                "DWX_CONNECT_TIMEOUT",
                f"No answer from {server} within {budget_s:.0f} s, "
                f"while {_UNDER_WAY[progress.step]}.",
            )
    return progress.problem


def cancelled_facts() -> FailureFacts:
    """Connecting was given up because the caller asked for it."""
    return _facts("DWX_CANCELLED", "Connecting was cancelled.")


def _probe(
    host: str, port: int, without_tls: str | None, progress: _Progress, deadline: float
) -> FailureFacts | None:
    """`without_tls`: why no TLS is to be negotiated, if it is not."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        return _facts("DWX_HOST_UNKNOWN", f"The host name {host} cannot be resolved: {exc}.")
    is_address = _is_address(host)
    progress.done["DNS"] = step_taken(
        "DNS", "skipped" if is_address else "passed", "an address" if is_address else "resolves"
    )
    problem: FailureFacts | None = None
    for number, address in enumerate(addresses):
        # each address gets its share, so that a dead IPv6 route does not use up all the time
        share = (deadline - monotonic()) / (len(addresses) - number)
        if share <= 0:
            break
        progress.step = "TCP"
        try:
            with socket.socket(address[0], socket.SOCK_STREAM) as connection:
                connection.settimeout(share)
                connection.connect(address[4])
                progress.done["TCP"] = step_taken("TCP", "passed", "connects")
                progress.step = "TLS"
                if without_tls is not None:
                    progress.done["TLS"] = step_taken("TLS", "skipped", without_tls)
                    return None
                context = ssl.create_default_context()
                with context.wrap_socket(connection, server_hostname=host) as secured:
                    observed = f"certificate accepted, {secured.version()}"
                    progress.done["TLS"] = step_taken("TLS", "passed", observed)
                    return None
        except ssl.SSLError as exc:
            return _facts("DWX_TLS_FAILED", f"TLS with {host}:{port} failed: {exc}.")
        except TimeoutError:
            problem = _facts("DWX_CONNECT_TIMEOUT", f"{host}:{port} does not answer.")
        except ConnectionRefusedError:
            problem = _facts("DWX_CONNECTION_REFUSED", f"{host}:{port} refuses connections.")
        except OSError as exc:
            problem = _facts("DWX_CONNECT_FAILED", f"{host}:{port} cannot be reached: {exc}.")
    return problem or _facts("DWX_CONNECT_TIMEOUT", f"{host}:{port} does not answer.")


def _proxy(scheme: str, host: str) -> tuple[str, int] | None:
    """Host and port of the proxy the connector will use, by the rules of the environment."""
    url = urllib.request.getproxies().get(scheme)
    if not url or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(url if "//" in url else f"//{url}")
    return (parts.hostname or "", parts.port or 80)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _facts(error_class: str, message: str) -> FailureFacts:
    return FailureFacts(error_class=error_class, message=message, during="connect")
