"""Service principals and every other kind of credential the vendor's SDK can use.

The SDK is an extra (`pip install 'databricks-workflow-executor[sdk]'`) and is imported here, when a
session is opened, by those alone who ask for one of its kinds. It reads its own variables and the
profile that was chosen; what dwx has found is given to it as well and goes before.

The SDK cannot be told to give up, so it works in a thread that is left behind if need be.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from time import monotonic

from executor.warehouse.databricks.auth import (
    SDK_CHAIN,
    AuthFailed,
    Credentials,
    Told,
    login_failed,
)
from executor.warehouse.databricks.reach import cancelled_facts

BUDGET_S = 120.0
"""How long the SDK may take to get the first token, in seconds."""

Headers = Callable[[], dict[str, str]]


def headers(address: str, credentials: Credentials, told: Told, cancel: Event) -> Headers:
    """What gives the headers for one request, renewed when it is time to. Raises `AuthFailed`."""
    found: list[Headers] = []
    problems: list[Exception] = []
    done = Event()

    def run() -> None:
        try:
            found.append(_configure(address, credentials, told))
            found[0]()  # the first token now, so that what is wrong is said here
        except Exception as exc:  # noqa: BLE001 - raised again in the thread that waits
            problems.append(exc)
        done.set()

    Thread(target=run, name="dwx-sdk", daemon=True).start()
    deadline = monotonic() + BUDGET_S
    while not done.wait(0.1):
        if cancel.is_set():
            raise AuthFailed(cancelled_facts())
        if monotonic() > deadline:
            raise login_failed(
                f"The databricks-sdk got no token within {BUDGET_S:.0f} s.", "DWX_SDK_AUTH_FAILED"
            )
    if problems:
        raise _failure(problems[0], credentials) from problems[0]
    return found[0]


def _configure(address: str, credentials: Credentials, told: Told) -> Headers:
    try:
        from databricks.sdk.core import Config
    except ImportError as exc:
        raise login_failed(
            f"--auth-type {credentials.kind} needs the extra `sdk`: {exc}", "DWX_SDK_NOT_INSTALLED"
        ) from exc
    settings = {
        name: value
        for name, value in credentials.sdk
        if name in {attribute.name for attribute in Config.attributes()}
    }
    kind = {} if credentials.kind == SDK_CHAIN else {"auth_type": credentials.kind}
    config = Config(**{**settings, **kind, "host": address})

    def current() -> dict[str, str]:
        try:
            given: dict[str, str] = config.authenticate()
        # the SDK lets through whatever its parts raise; this is the edge to it
        except Exception as exc:
            raise _failure(exc, credentials) from exc
        for name, value in given.items():
            if name.lower() == "authorization" or "token" in name.lower():
                told.secret(value.partition(" ")[2] or value)
        return given

    return current


def _failure(error: Exception, credentials: Credentials) -> AuthFailed:
    if isinstance(error, AuthFailed):
        return error
    # the SDK adds its configuration to what it says; secrets are masked, but nobody needs it
    said = str(error).split(". Config: ", 1)[0]
    return login_failed(
        f"The databricks-sdk has no credentials of kind {credentials.kind}: {said}",
        "DWX_SDK_AUTH_FAILED",
    )
