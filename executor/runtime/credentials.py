"""Where to connect and as whom: flags, environment, profile, and a hidden prompt.

Theory. Every setting is looked up in a row of sources, and the first that has it wins:

    without --profile:  flags, --token-fd, environment, profile, prompt
    with --profile:     flags, --token-fd, that profile, environment (where to connect only), prompt

The vendor's tools look into the environment before the profile even when the profile was asked for
by a flag, setting by setting. Their users report that as a defect, and rightly: it mixes two
identities. Here a flag says more than a variable, and a token goes only where it belongs: one from
the environment is not sent to the host of a profile that was asked for, and one from a profile not
to another host than the profile's. As in the vendor's tools, a profile nobody named is looked at
only where neither a host nor a credential is given otherwise.

The kind of credential is what `--auth-type` says, else DATABRICKS_AUTH_TYPE or the profile, else
what is there: a token, else the id and secret of a service principal. A browser is never a
consequence of something missing.

Pure but for its arguments: the environment, the profile's file and the prompt are passed in. The
token is asked for only where `ask` is given, which the caller does when a person sits at the
terminal; everything else that is missing is an error that names all of it at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from executor.runtime import profiles
from executor.runtime.profiles import Profile
from executor.runtime.secrets import secrets_in
from executor.warehouse.databricks.auth import (
    AUTH_TYPES,
    OAUTH,
    PAT,
    SDK_CHAIN,
    Credentials,
    Target,
)

VARIABLES = {
    "host": ("DATABRICKS_HOST", "DATABRICKS_SERVER_HOSTNAME"),
    "http_path": ("DATABRICKS_HTTP_PATH",),
    "warehouse_id": ("DATABRICKS_WAREHOUSE_ID",),
    "token": ("DATABRICKS_TOKEN",),
    "auth_type": ("DATABRICKS_AUTH_TYPE",),
    "client_id": ("DATABRICKS_CLIENT_ID",),
    "client_secret": ("DATABRICKS_CLIENT_SECRET",),
    "catalog": ("DATABRICKS_CATALOG",),
    "schema": ("DATABRICKS_SCHEMA",),
}
"""Variables of the environment by setting; settings have the names they have in a profile."""

WHO = ("token", "auth_type", "client_id", "client_secret")
"""Settings that say as whom; a profile that was asked for keeps the environment's out."""

SECRET_SETTINGS = (
    "token",
    "client_secret",
    "password",
    "azure_client_secret",
    "google_credentials",
)

BROWSER_TYPES = ("external-browser", "databricks-oauth", "azure-oauth")
"""Other tools' names for a login in the browser; no reason to open one."""

_LOOPBACK = r"http://(?:127\.0\.0\.1|localhost):\d+(?:/|$)"
"""The embedded warehouse, served by another process of this machine."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The command line's part; `None` where a flag was not given."""

    server_hostname: str | None = None
    http_path: str | None = None
    catalog: str | None = None
    schema: str | None = None
    auth_type: str | None = None
    access_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    token_from_descriptor: str | None = field(default=None, repr=False)


class Notice(NamedTuple):
    """Worth telling, no reason to stop."""

    code: str
    detail: str


class Problem(NamedTuple):
    what: str
    remedy: str


class CredentialsError(Exception):
    """What the caller gave is not enough for connecting, or wrong. Nothing has been executed.

    The text says what is wrong, `suggestion` what to set; both name every problem at once.
    `secrets` are those that were given, to be masked.
    """

    def __init__(self, problems: tuple[Problem, ...], secrets: frozenset[str]) -> None:
        super().__init__(" ".join(problem.what for problem in problems))
        self.problems = problems
        self.suggestion = " ".join(problem.remedy for problem in problems)
        self.secrets = secrets


class Resolved(NamedTuple):
    target: Target
    credentials: Credentials
    warnings: tuple[Notice, ...]
    secrets: frozenset[str]
    """What was given and must never be shown, used or not."""


def resolve(
    flags: Flags,
    environ: Mapping[str, str],
    ask: Callable[[str], str] | None,
) -> Resolved:
    """Target and credentials, or `CredentialsError` with everything that is missing or wrong.

    `ask` shows a text and returns what is typed, without echo; `None` where nobody is there to ask.
    It is called only when the token is all that is missing.
    """
    return _Lookup(flags, environ).resolve(ask)


class _Lookup:
    """One search through the sources, and what came to light on the way."""

    def __init__(self, flags: Flags, environ: Mapping[str, str]) -> None:
        self._flags = flags
        self._problems: list[Problem] = []
        self._warnings: list[Notice] = []
        self._given = {
            "host": flags.server_hostname,
            "http_path": flags.http_path,
            "catalog": flags.catalog,
            "schema": flags.schema,
            "auth_type": flags.auth_type,
            "token": flags.access_token or flags.token_from_descriptor,
        }
        self._environment = {
            setting: next((environ[name] for name in names if environ.get(name, "").strip()), None)
            for setting, names in VARIABLES.items()
        }
        self._config_file = environ.get("DATABRICKS_CONFIG_FILE", "").strip() or "~/.databrickscfg"
        self._profile = self._read_profile(environ.get("DATABRICKS_CONFIG_PROFILE", "").strip())
        profile = self._profile.values if self._profile is not None else {}
        sources: list[Mapping[str, str | None]]
        if flags.profile:
            where = {key: value for key, value in self._environment.items() if key not in WHO}
            sources = [self._given, profile, where]
        else:
            sources = [self._given, self._environment, profile]
        self._sources = sources
        self._secrets = set(secrets_in(environ))
        self._secrets.update(value for key, value in profile.items() if key in SECRET_SETTINGS)
        self._secrets.update(
            value.strip() for value in (flags.access_token, flags.token_from_descriptor) if value
        )
        for source in (self._given, self._environment, profile):
            self._secrets |= user_info(source.get("host") or "")

    def resolve(self, ask: Callable[[str], str] | None) -> Resolved:
        host = self._host()
        path = self._path()
        local = host if host.startswith("http://") else None
        target = Target(
            host=host.removeprefix("http://"),
            http_path=path,
            uri=f"{local}{path}" if local is not None else None,
            catalog=self._first("catalog"),
            schema=self._first("schema"),
        )
        self._check_flags()
        credentials = self._credentials(host, ask)
        secrets = frozenset(self._secrets | ({credentials.token} if credentials.token else set()))
        if self._problems:
            raise CredentialsError(tuple(self._problems), secrets)
        return Resolved(target, credentials, tuple(self._warnings), secrets)

    # --- sources ------------------------------------------------------------------------------

    def _first(self, setting: str) -> str | None:
        """What the first source says that says something; blanks count as nothing."""
        for source in self._sources:
            value = source.get(setting)
            if value is not None and value.strip():
                return value.strip()
        return None

    def _read_profile(self, named_by_variable: str) -> Profile | None:
        name = self._flags.profile or named_by_variable or None
        given = (self._given["host"], self._given["token"])
        known = (self._environment[setting] for setting in ("host", "token", "client_secret"))
        if name is None and any((*given, *known)):
            return None
        try:
            profile = profiles.read(_expanded(self._config_file), name)
        except profiles.ProfileError as exc:
            self._problems.append(Problem(str(exc), exc.remedy))
            return None
        if profile is not None and profile.exposed and set(profile.values) & set(SECRET_SETTINGS):
            self._warnings.append(
                Notice(
                    "PROFILE_EXPOSED",
                    f"{self._config_file} holds a secret and can be read by others than you: "
                    f"chmod 600 {self._config_file}.",
                )
            )
        return profile

    # --- where --------------------------------------------------------------------------------

    def _host(self) -> str:
        given = self._first("host")
        if given is None:
            self._problems.append(
                Problem(
                    "No host was given.",
                    "Set DATABRICKS_HOST or give --server-hostname "
                    "(like adb-1234567890123456.7.azuredatabricks.net).",
                )
            )
            return ""
        return self._cleaned(given)

    def _cleaned(self, given: str) -> str:
        if (loopback := _loopback(given)) is not None:
            return loopback
        shown = without_user_info(given)
        if given.lower().startswith("http://"):
            self._problems.append(
                Problem(
                    f"{shown!r} would send the token over the network in the clear.",
                    "Give the host without http://; only the embedded warehouse of this machine "
                    "(http://127.0.0.1:PORT) is reached like that.",
                )
            )
        bare = bare_host(given)
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", bare):
            self._problems.append(
                Problem(
                    f"{shown!r} is no host name.",
                    "Give the host as in the browser's address, without user and port.",
                )
            )
        return bare

    def _path(self) -> str:
        # a source that has both knows best by the path itself
        for source in self._sources:
            path, warehouse = source.get("http_path"), source.get("warehouse_id")
            if path is not None and path.strip():
                return self._checked_path(path.strip())
            if warehouse is not None and warehouse.strip():
                return self._warehouse_path(warehouse.strip())
        self._problems.append(
            Problem(
                "No HTTP path was given.",
                "Set DATABRICKS_HTTP_PATH (or DATABRICKS_WAREHOUSE_ID) or give --http-path "
                "(like /sql/1.0/warehouses/1234567890abcdef).",
            )
        )
        return ""

    def _checked_path(self, given: str) -> str:
        if "://" in given or re.search(r"\s", given):
            self._problems.append(
                Problem(
                    f"{given!r} is no HTTP path.",
                    "Copy it from the warehouse's connection details "
                    "(like /sql/1.0/warehouses/1234567890abcdef).",
                )
            )
        return "/" + given.lstrip("/")

    def _warehouse_path(self, given: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", given):
            self._problems.append(
                Problem(
                    f"{given!r} is no id of a SQL warehouse.",
                    "Copy it from the warehouse's page (like 1234567890abcdef).",
                )
            )
        return f"/sql/1.0/warehouses/{given}"

    # --- as whom ------------------------------------------------------------------------------

    def _check_flags(self) -> None:
        if self._flags.access_token:
            self._warnings.append(
                Notice(
                    code="TOKEN_IN_ARGV",
                    detail="The access token stands on the command line, where every user of this "
                    "machine can see it until dwx has blotted it out (which it can on Linux only), "
                    "and where a shell's history keeps it: set DATABRICKS_TOKEN or give it with "
                    "--token-fd instead.",
                )
            )
        if self._flags.access_token and self._flags.token_from_descriptor is not None:
            self._problems.append(
                Problem("Two access tokens were given.", "Give --access-token or --token-fd.")
            )

    def _credentials(self, host: str, ask: Callable[[str], str] | None) -> Credentials:
        token = self._first("token")
        kind = self._kind(token)
        if kind not in AUTH_TYPES:
            self._problems.append(self._unknown_kind(kind))
            return Credentials(PAT)
        if kind == OAUTH:
            if self._given["token"]:
                self._problems.append(
                    Problem(
                        "An access token and a login in the browser were asked for together.",
                        "Give an access token or --auth-type oauth, not both.",
                    )
                )
            return Credentials(OAUTH)
        if self._belongs_elsewhere(host, "token" if kind == PAT else "client_secret"):
            return Credentials(PAT)
        if kind != PAT:
            return Credentials(kind, sdk=self._for_sdk(kind))
        return self._with_token(token, ask)

    def _kind(self, token: str | None) -> str:
        found = self._first("auth_type")
        if found is not None:
            return found
        principal = self._first("client_id") and self._first("client_secret")
        if token is None and principal:
            return "oauth-m2m"
        if principal:
            self._warnings.append(
                Notice(
                    "TWO_CREDENTIALS",
                    "There are an access token and a service principal; the token is used. "
                    "Say which with --auth-type pat or oauth-m2m.",
                )
            )
        return PAT

    def _unknown_kind(self, kind: str) -> Problem:
        if kind in BROWSER_TYPES:
            return Problem(
                f"The environment or the profile asks for a login in the browser ({kind}), and "
                "dwx opens one only if the command line says so.",
                "Give --auth-type oauth.",
            )
        return Problem(
            f"There is no auth type {kind!r}.",
            f"Give --auth-type pat or oauth, or with the extra `sdk` "
            f"{', '.join(one for one in AUTH_TYPES if one not in (PAT, OAUTH))}.",
        )

    def _for_sdk(self, kind: str) -> tuple[tuple[str, str], ...]:
        """The settings the SDK is to prefer to what it finds by itself."""
        settings = dict(self._profile.values) if self._profile is not None else {}
        if self._profile is not None:
            settings |= {"profile": self._profile.name, "config_file": self._config_file}
        for name in ("client_id", "client_secret", "token"):
            found = self._first(name)
            if found is not None:
                settings[name] = found
        for name in ("host", "http_path", "auth_type"):
            settings.pop(name, None)
        if kind == SDK_CHAIN:
            named = [source.get("auth_type") for source in self._sources]
            chosen = next((one for one in named if one and one != SDK_CHAIN), None)
            if chosen in BROWSER_TYPES:
                self._problems.append(self._unknown_kind(chosen))
            elif chosen is not None:
                settings["auth_type"] = chosen
            elif self._flags.profile and self._environment["token"]:
                # the SDK would look for it, find it, and send it to the profile's host
                self._problems.append(
                    Problem(
                        f"Profile {self._flags.profile!r} does not say what kind of credential it "
                        "holds, and DATABRICKS_TOKEN is set beside it.",
                        "Unset DATABRICKS_TOKEN, or name the kind with --auth-type.",
                    )
                )
        return tuple(settings.items())

    def _with_token(self, token: str | None, ask: Callable[[str], str] | None) -> Credentials:
        if token is None and ask is not None and not self._problems:
            token = ask("Databricks access token: ").strip() or None
        if token is None:
            self._problems.append(
                Problem(
                    "No access token was given.",
                    "Set DATABRICKS_TOKEN, give --profile or --token-fd, or log in with the "
                    "browser: --auth-type oauth.",
                )
            )
        elif not (token.isascii() and token.isprintable() and " " not in token):
            # the text of a problem never has the token in it
            self._problems.append(
                Problem(
                    "The access token has characters no token has (a blank, a line feed, a "
                    "quotation mark of a word processor).",
                    "Copy the token again.",
                )
            )
        return Credentials(PAT, token)

    def _belongs_elsewhere(self, host: str, secret: str) -> bool:
        """Whether the secret is a profile's and the host is not; then it is a problem."""
        profile = self._profile
        if profile is None or not host or not {"host", secret} <= profile.values.keys():
            return False
        if self._first(secret) != profile.values[secret]:
            return False
        theirs = profile.values["host"]
        if (_loopback(theirs) or bare_host(theirs)) == host:
            return False
        self._problems.append(
            Problem(
                f"The {secret} of profile {profile.name!r} is for {without_user_info(theirs)}, and "
                f"the run is to connect to {host}.",
                "Give the host of the profile, or a credential for this host.",
            )
        )
        return True


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # a user without a home, as in some containers, has no such file
        return Path(path)


def _loopback(given: str) -> str | None:
    """The address of an embedded warehouse, without a path; `None` for anything else."""
    found = re.match(_LOOPBACK, given.lower())
    return found[0].rstrip("/") if found is not None else None


def bare_host(given: str) -> str:
    """The host in what may be an address."""
    bare = re.sub(r"^[a-z]+://", "", given.strip(), flags=re.IGNORECASE)
    return re.split(r"[/?#]", bare, maxsplit=1)[0].removesuffix(":443").lower()


def user_info(given: str) -> frozenset[str]:
    """The parts of a host or an address that are credentials: `user:password@host` has some."""
    rest = re.sub(r"^[a-z]+://", "", given.strip(), flags=re.IGNORECASE)
    info, at, _ = rest.rpartition("@")
    if not at or not info:
        return frozenset()
    # with the mark at its end it is found however short, and a name alone hides no other words
    return frozenset({f"{info}@"} | {one for one in (info.partition(":")[2],) if one})


def without_user_info(given: str) -> str:
    """A host or an address as it may be shown."""
    scheme = re.match(r"[a-z]+://", given, re.IGNORECASE)
    head = scheme[0] if scheme else ""
    info, at, host = given[len(head) :].rpartition("@")
    return f"{head}***@{host}" if at and info else given
