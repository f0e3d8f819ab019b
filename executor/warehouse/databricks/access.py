"""Credentials, as the connector takes them: obtained once for an opening, renewed as they expire.

An access token goes to the connector as it is. Everything else becomes its `credentials_provider`,
which it asks for the headers of each request. Or should: a header called `Authorization` it keeps
until it thinks that the token has expired (an hour, if the token does not say), drops all headers
beside it (which some kinds on Azure need), and may exchange the token for another. It passes on
what it is given only if it finds no such name, so the name is spelled in lower case, which HTTP
does not mind.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

from executor.warehouse.databricks.auth import OAUTH, PAT, Credentials, LoginChoices, Told


class Access:
    """What to open a session with."""

    def __init__(self, arguments: dict[str, Any], refused: Callable[[Event], bool]) -> None:
        self.arguments = arguments
        """Arguments of the connector. Holds the secret: never log it."""
        self.refused = refused
        """The warehouse refuses the credentials: gets others if that may help, else is false.

        May raise `AuthFailed`.
        """


def obtain(
    address: str, credentials: Credentials, choices: LoginChoices, told: Told, cancel: Event
) -> Access:
    """Gets what the credentials stand for. `address` is the workspace's. Raises `AuthFailed`."""
    if credentials.kind == PAT:
        return Access({"access_token": credentials.token or ""}, _nothing_else)
    if credentials.kind == OAUTH:
        from executor.warehouse.databricks.login import BrowserLogin  # only who asked for it

        login = BrowserLogin(address, choices, told)
        login.obtain(cancel)
        return Access(_provider(login.headers), login.refused)
    from executor.warehouse.databricks import sdk

    headers = sdk.headers(address, credentials, told, cancel)
    return Access(_provider(headers), _nothing_else)


def _provider(headers: Callable[[], dict[str, str]]) -> dict[str, Any]:
    def current() -> dict[str, str]:
        return {name.lower(): value for name, value in headers().items()}

    return {"credentials_provider": lambda: current}


def _nothing_else(cancel: Event) -> bool:
    return False
