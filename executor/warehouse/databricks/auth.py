"""Where to connect and with which credentials. Values only; light to import.

The connector starts a browser login by itself, without a deadline, when it is given no credential.
Here that cannot be said by leaving something out: `oauth` is a kind one has to ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from executor.core.facts import FailureFacts

LOGIN_BUDGET_S = 300.0
"""How long a browser login may take before it is given up, in seconds."""


@dataclass(frozen=True, slots=True)
class Target:
    """A SQL warehouse and the namespace to start in.

    `host` is a bare host name; `http_path` starts with `/` and may carry `?o=<workspace>`.
    """

    host: str
    http_path: str
    catalog: str | None = None
    schema: str | None = None
    uri: str | None = None
    """Address without TLS: an embedded warehouse on this machine."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """`pat`: an access token. `oauth`: a login in the browser by the person who runs dwx."""

    kind: Literal["pat", "oauth"]
    token: str | None = field(default=None, repr=False)

    def problem(self) -> FailureFacts | None:
        """What forbids to use these credentials at all, or `None`."""
        if self.kind == "pat" and not self.token:
            return FailureFacts(
                error_class="DWX_NO_CREDENTIALS",
                message=(
                    "No access token was given, and a browser login was not asked for: set "
                    "DATABRICKS_TOKEN, or ask for the login with --auth-type oauth."
                ),
                during="connect",
            )
        return None

    def connector_arguments(self) -> dict[str, str]:
        """The connector's arguments for these credentials. Holds the secret: never log it."""
        if self.kind == "oauth":
            return {"auth_type": "databricks-oauth"}
        return {"access_token": self.token or ""}
