"""Where to connect and as whom: flags, then environment, then a hidden prompt.

Pure but for its arguments: the environment and the prompt are passed in. The token is asked for
only where `ask` is given, which the caller does when a person sits at the terminal; everything else
that is missing is an error that names all of it at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from executor.warehouse.databricks.auth import Credentials, Target

HOST_VARIABLES = ("DATABRICKS_HOST", "DATABRICKS_SERVER_HOSTNAME")
PATH_VARIABLES = ("DATABRICKS_HTTP_PATH",)
TOKEN_VARIABLES = ("DATABRICKS_TOKEN",)
CATALOG_VARIABLES = ("DATABRICKS_CATALOG",)
SCHEMA_VARIABLES = ("DATABRICKS_SCHEMA",)

_LOOPBACK = r"http://(?:127\.0\.0\.1|localhost):\d+(?:/|$)"
"""The embedded warehouse, served by another process of this machine."""

AUTH_TYPES = ("pat", "oauth")


@dataclass(frozen=True, slots=True)
class Flags:
    """The command line's part; `None` where a flag was not given."""

    server_hostname: str | None = None
    http_path: str | None = None
    catalog: str | None = None
    schema: str | None = None
    auth_type: str | None = None
    access_token: str | None = field(default=None, repr=False)


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
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(" ".join(problem.what for problem in problems))
        self.problems = problems
        self.suggestion = " ".join(problem.remedy for problem in problems)


class Resolved(NamedTuple):
    target: Target
    credentials: Credentials
    warnings: tuple[Notice, ...]


def resolve(
    flags: Flags,
    environ: Mapping[str, str],
    ask: Callable[[str], str] | None,
) -> Resolved:
    """Target and credentials, or `CredentialsError` with everything that is missing or wrong.

    `ask` shows a text and returns what is typed, without echo; `None` where nobody is there to ask.
    It is called only when the token is all that is missing.
    """
    problems: list[Problem] = []
    warnings: list[Notice] = []
    host = _host(flags.server_hostname, environ, problems)
    path = _path(flags.http_path, environ, problems)
    local = host if host.startswith("http://") else None
    target = Target(
        host=host.removeprefix("http://"),
        http_path=path,
        uri=f"{local}{path}" if local is not None else None,
        catalog=_first(flags.catalog, environ, CATALOG_VARIABLES),
        schema=_first(flags.schema, environ, SCHEMA_VARIABLES),
    )
    credentials = _credentials(flags, environ, ask, problems, warnings)
    if problems:
        raise CredentialsError(tuple(problems))
    return Resolved(target, credentials, tuple(warnings))


def _credentials(
    flags: Flags,
    environ: Mapping[str, str],
    ask: Callable[[str], str] | None,
    problems: list[Problem],
    warnings: list[Notice],
) -> Credentials:
    if flags.access_token:
        warnings.append(
            Notice(
                code="TOKEN_IN_ARGV",
                detail="The access token stands on the command line, where every user of this "
                "machine can see it (ps): set DATABRICKS_TOKEN instead.",
            )
        )
    kind = flags.auth_type or "pat"
    if kind not in AUTH_TYPES:
        problems.append(
            Problem(f"There is no auth type {kind!r}.", "Give --auth-type pat or oauth.")
        )
        return Credentials("pat")
    if kind == "oauth":
        if flags.access_token:
            problems.append(
                Problem(
                    "An access token and a login in the browser were asked for together.",
                    "Give --access-token or --auth-type oauth, not both.",
                )
            )
        return Credentials("oauth")
    token = _first(flags.access_token, environ, TOKEN_VARIABLES)
    if token is None and ask is not None and not problems:
        token = ask("Databricks access token: ").strip() or None
    if token is None:
        problems.append(
            Problem(
                "No access token was given.",
                "Set DATABRICKS_TOKEN, or log in with the browser: --auth-type oauth.",
            )
        )
    elif not (token.isascii() and token.isprintable() and " " not in token):
        # the text of a problem never has the token in it
        problems.append(
            Problem(
                "The access token has characters no token has (a blank, a line feed, a quotation "
                "mark of a word processor).",
                "Copy the token again.",
            )
        )
    return Credentials("pat", token)


def _host(flag: str | None, environ: Mapping[str, str], problems: list[Problem]) -> str:
    given = _first(flag, environ, HOST_VARIABLES)
    if given is None:
        problems.append(
            Problem(
                "No host was given.",
                "Set DATABRICKS_HOST or give --server-hostname "
                "(like adb-1234567890123456.7.azuredatabricks.net).",
            )
        )
        return ""
    loopback = re.match(_LOOPBACK, given.lower())
    if loopback is not None:
        return loopback[0].rstrip("/")
    if given.lower().startswith("http://"):
        problems.append(
            Problem(
                f"{given!r} would send the token over the network in the clear.",
                "Give the host without http://; only the embedded warehouse of this machine "
                "(http://127.0.0.1:PORT) is reached like that.",
            )
        )
    bare = re.sub(r"^[a-z]+://", "", given, flags=re.IGNORECASE)
    bare = re.split(r"[/?#]", bare, maxsplit=1)[0].removesuffix(":443").lower()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", bare):
        problems.append(
            Problem(
                f"{given!r} is no host name.",
                "Give the host as in the browser's address, without user and port.",
            )
        )
    return bare


def _path(flag: str | None, environ: Mapping[str, str], problems: list[Problem]) -> str:
    given = _first(flag, environ, PATH_VARIABLES)
    if given is None:
        problems.append(
            Problem(
                "No HTTP path was given.",
                "Set DATABRICKS_HTTP_PATH or give --http-path "
                "(like /sql/1.0/warehouses/1234567890abcdef).",
            )
        )
        return ""
    if "://" in given or re.search(r"\s", given):
        problems.append(
            Problem(
                f"{given!r} is no HTTP path.",
                "Copy it from the warehouse's connection details "
                "(like /sql/1.0/warehouses/1234567890abcdef).",
            )
        )
    return "/" + given.lstrip("/")


def _first(flag: str | None, environ: Mapping[str, str], variables: tuple[str, ...]) -> str | None:
    """The flag, else the first variable that says something; blanks count as nothing."""
    for value in (flag, *(environ.get(name) for name in variables)):
        if value is not None and value.strip():
            return value.strip()
    return None
