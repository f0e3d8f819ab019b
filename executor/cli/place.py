"""Where a run will execute, and as whom, as its flags and the environment say.

Nothing is connected here, and nothing raised: what stands in the way is kept as a problem, for the
record to tell.
"""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import dataclass, field, replace

from executor.cli.parser import LOCAL_CATALOG, LOCAL_SCHEMA
from executor.runtime import token_input
from executor.runtime.credentials import CredentialsError, Flags, Notice, resolve
from executor.runtime.secrets import secrets_in
from executor.runtime.stdio import STDIN
from executor.runtime.token_input import TokenInput
from executor.warehouse.databricks.auth import Credentials, Target


@dataclass(frozen=True, slots=True)
class Place:
    """Where the run will execute; `problem` says why that cannot be said, and what to do."""

    target: Target | None = None
    credentials: Credentials | None = None
    notices: tuple[Notice, ...] = ()
    problem: tuple[str, str, str] | None = None
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """What was given and must not be shown, used or not."""


def place_of(args: Namespace, token: TokenInput) -> Place:
    """Where these flags and the environment say the run will execute."""
    given = secrets_in(os.environ) | {one for one in (token.token, args.access_token) if one}
    return replace(found := _place_of(args, token), secrets=found.secrets | given)


def _place_of(args: Namespace, token: TokenInput) -> Place:
    if args.local is not None and any(args.local.glob("*.sql")):
        problem = f"--local takes the place for tables, and {args.local} holds SQL files"
        suggestion = "Put the directory before --local, or give --local a path of its own."
        return Place(problem=("DWX_USAGE", problem, suggestion))
    if args.local is not None:
        target = Target(
            host="127.0.0.1",
            http_path="/sql/1.0/warehouses/local",
            catalog=args.catalog or LOCAL_CATALOG,
            schema=args.schema or LOCAL_SCHEMA,
        )
        return Place(target=target)
    if args.fault:
        problem = "--fault is for the embedded warehouse"
        suggestion = "Add --local: what goes wrong on Databricks is not for dwx to choose."
        return Place(problem=("DWX_USAGE", problem, suggestion))
    if args.create_namespace:
        problem = "--create-namespace is for the embedded warehouse"
        suggestion = "Add --local, or create the namespace on Databricks yourself."
        return Place(problem=("DWX_USAGE", problem, suggestion))
    if args.dry_run:
        return Place()
    flags = Flags(
        server_hostname=args.server_hostname,
        http_path=args.http_path,
        catalog=args.catalog,
        schema=args.schema,
        auth_type=args.auth_type,
        access_token=args.access_token,
        profile=args.profile,
        token_from_descriptor=token.token,
    )
    if token.problem is not None:
        what, remedy = token.problem
        return Place(problem=("DWX_CREDENTIALS", f"--token-fd: {what}", remedy))
    try:
        resolved = resolve(flags, os.environ, _ask_hidden if os.isatty(STDIN) else None)
    except CredentialsError as exc:
        return Place(problem=("DWX_CREDENTIALS", str(exc), exc.suggestion), secrets=exc.secrets)
    return Place(resolved.target, resolved.credentials, resolved.warnings, secrets=resolved.secrets)


def _ask_hidden(question: str) -> str:
    from getpass import getpass  # only a person at a terminal is asked

    try:
        with token_input.interruptible():
            return getpass(question)
    except (KeyboardInterrupt, EOFError):
        return ""  # then there is none, and the run says so
