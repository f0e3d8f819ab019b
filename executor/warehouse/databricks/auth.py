"""Where to connect and with which credentials. Values only; light to import.

The connector starts a browser login by itself, without a deadline, when it is given no credential.
Here that cannot be said by leaving something out: `oauth` is a kind one has to ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from executor.core.facts import FailureFacts

LOGIN_BUDGET_S = 300.0
"""How long a browser login may take before it is given up, in seconds."""

PAT, OAUTH = "pat", "oauth"

SDK_CHAIN = "sdk"
"""Whatever kind the vendor's SDK finds to be configured; never a browser."""

SDK_KINDS = (
    SDK_CHAIN,
    "oauth-m2m",
    "databricks-cli",
    "azure-cli",
    "azure-client-secret",
    "azure-devops-oidc",
    "env-oidc",
    "file-oidc",
    "github-oidc",
    "github-oidc-azure",
    "google-credentials",
    "google-id",
    "metadata-service",
)
"""Kinds that the vendor's SDK knows how to use; `external-browser` is ours, as `oauth`."""

AUTH_TYPES = (PAT, OAUTH, *SDK_KINDS)


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
    """Of one of the `AUTH_TYPES`.

    `pat`: an access token. `oauth`: a login in the browser by the person who runs dwx. All others
    are the SDK's; `sdk` holds the settings for it that were found, by its own names.
    """

    kind: str
    token: str | None = field(default=None, repr=False)
    sdk: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def problem(self) -> FailureFacts | None:
        """What forbids to use these credentials at all, or `None`."""
        if self.kind == PAT and not self.token:
            return FailureFacts(
                error_class="DWX_NO_CREDENTIALS",
                message=(
                    "No access token was given, and a browser login was not asked for: set "
                    "DATABRICKS_TOKEN, or ask for the login with --auth-type oauth."
                ),
                during="connect",
            )
        return None


@dataclass(frozen=True, slots=True)
class LoginChoices:
    """How a login in the browser goes about it."""

    timeout_s: float = LOGIN_BUDGET_S
    cache: Path | None = None
    """File in which its tokens are kept for the next run; `None`: nowhere."""


def _nobody(*what: object) -> None:
    """Told to nobody."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told what happens while credentials are obtained; called on the session's thread."""

    login: Callable[[str, datetime], None] = _nobody
    """Somebody has to log in at this address until then."""
    secret: Callable[[str], None] = _nobody
    """From now on this text must be masked. Told before anything is done with it."""
    warning: Callable[[str, str], None] = _nobody
    """A code and what there is to say."""


class AuthFailed(Exception):  # noqa: N818 - named after what happened
    """No credential could be had. Whatever it was needed for has not been sent."""

    def __init__(self, facts: FailureFacts) -> None:
        super().__init__(facts.message)
        self.facts = facts


def login_failed(message: str, error_class: str = "DWX_LOGIN_FAILED") -> AuthFailed:
    """An `AuthFailed` with these facts."""
    return AuthFailed(FailureFacts(error_class, message, during="connect"))
