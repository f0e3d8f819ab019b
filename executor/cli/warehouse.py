"""`dwx warehouse serve`: the embedded warehouse, for any program that uses the connector."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from executor.cli.parser import Parser, UsageError, fault
from protocol.exit_codes import NEVER_CONNECTED, SUCCEEDED, USAGE

if TYPE_CHECKING:
    from executor.local.service import LocalWarehouse

TOKEN_VARIABLE = "DATABRICKS_TOKEN"  # noqa: S105 - a variable's name


def main(argv: Sequence[str]) -> int:
    """Serves until SIGINT or SIGTERM."""
    flags = Parser(
        prog="dwx warehouse",
        description=__doc__,
        epilog=f"The token is that of {TOKEN_VARIABLE}, else a random one; it stands in the file "
        "PATH/token, which only its owner can read. The first line of output says where "
        "everything is; with --fault, each further one says that a fault has struck.",
    )
    flags.add_argument("action", choices=("serve",))
    flags.add_argument("path", metavar="PATH", type=Path, help="directory that holds the tables")
    flags.add_argument("--port", type=int, default=0, help="default: any free one")
    flags.add_argument("--create", metavar="CATALOG.SCHEMA", help="create it if it is missing")
    flags.add_argument(
        "--fault",
        type=fault,
        action="append",
        default=[],
        metavar="SPEC",
        help="let this go wrong, such as http-503-open,count=2; may be repeated",
    )
    args = flags.parse_args(argv)
    if not 0 <= args.port < 65_536:
        raise UsageError(f"--port {args.port}: ports end at 65535")
    namespace = args.create.split(".") if args.create else None
    if namespace is not None and not (len(namespace) == 2 and all(namespace)):
        raise UsageError(f"--create {args.create}: say CATALOG.SCHEMA")
    try:
        from executor.local.errors import WarehouseError
        from executor.local.faults import Faults, Fired
        from executor.local.faultspec import render
        from executor.local.serve import serve
    except ImportError as exc:
        print(f"dwx warehouse: install the extra `local`: {exc}", file=sys.stderr)
        return USAGE

    def ready(warehouse: LocalWarehouse) -> None:
        if namespace is not None:
            warehouse.create_namespace(*namespace)
        where = {
            "uri": warehouse.uri.removesuffix(warehouse.http_path),
            "http_path": warehouse.http_path,
            "token_file": str(_keep_token(args.path, warehouse.token)),
            "path": str(args.path),
            "pid": os.getpid(),
        }
        print(json.dumps(where), flush=True)

    def on_fired(fired: Fired) -> None:
        tags, sql = (fired.sent.tags, fired.sent.sql) if fired.sent is not None else ({}, None)
        struck = {
            "fault": render(fired.fault),
            "time": fired.time,
            "call": fired.call,
            "statement": tags.get("statement"),
            "sql": sql,
        }
        print(json.dumps(struck), flush=True)

    try:
        token = os.environ.get(TOKEN_VARIABLE) or None
        serve(args.path, args.port, token, faults=Faults(args.fault, on_fired), ready=ready)
    except WarehouseError as exc:
        print(f"dwx warehouse: {exc}", file=sys.stderr)
        return NEVER_CONNECTED
    return SUCCEEDED


def _keep_token(path: Path, token: str) -> Path:
    """Writes the token where only the owner reads it."""
    file = path / "token"
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(token + "\n")
    return file
