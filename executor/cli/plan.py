"""`dwx plan`: shows what would run, offline: files, statements, dependencies, loops, warnings."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from executor.cli.parser import LOCAL_CATALOG, LOCAL_SCHEMA, Parser, assignment
from protocol.exit_codes import SUCCEEDED, USAGE


def main(argv: Sequence[str]) -> int:
    flags = Parser(prog="dwx plan", description=__doc__)
    flags.add_argument("directory", metavar="DIR", type=Path, help="directory with the SQL files")
    flags.add_argument("--catalog", help="value of ${catalog} in the files")
    flags.add_argument("--schema", help="value of ${schema} in the files")
    flags.add_argument("--var", type=assignment, action="append", default=[], metavar="NAME=VALUE")
    flags.add_argument(
        "--local", nargs="?", const="", help="as in dwx run: catalog main, schema default"
    )
    flags.add_argument("--json", action="store_true", help="JSON instead of text")
    args = flags.parse_args(argv)
    from executor.workflow.load import load_workflow
    from executor.workflow.model import WorkflowError
    from executor.workflow.plan import plan_event, plan_text
    from protocol.shapes import fields_of

    local = args.local is not None
    namespace = {
        "catalog": args.catalog or (LOCAL_CATALOG if local else None),
        "schema": args.schema or (LOCAL_SCHEMA if local else None),
    }
    given = {name: value for name, value in namespace.items() if value is not None}
    try:
        workflow = load_workflow(args.directory, vars={**given, **dict(args.var)})
    except WorkflowError as exc:
        if args.json:
            error = {
                "class": f"DWX_{exc.code}",
                "message": exc.message,
                "file": exc.path,
                "line": exc.line,
                "position": exc.position,
                "suggestion": exc.suggestion,
            }
            print(json.dumps({"error": error}, indent=2))
        print(f"dwx plan: {exc}\n{exc.suggestion}", file=sys.stderr)
        return USAGE
    if args.json:
        print(json.dumps(fields_of(plan_event(workflow)), indent=2))
    else:
        print(plan_text(workflow), end="")
    return SUCCEEDED
