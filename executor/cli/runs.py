"""`dwx runs`: the runs of a run root, the latest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from executor.cli.looking import flags, looking, print_json
from executor.cli.parser import positive
from executor.runtime.find import run_root, runs
from executor.runtime.look import Look
from executor.views.status import text
from protocol.errors import shown
from protocol.exit_codes import SUCCEEDED


def main(argv: Sequence[str]) -> int:
    parser = flags("runs", __doc__, run=False)
    parser.add_argument("--limit", type=positive, default=20, metavar="N", help="default: 20")
    args = parser.parse_args(argv)

    def act() -> int:
        root = run_root(args.run_root)
        known = runs(root)
        listed = [_row(Look(path)) for path in known[: args.limit]]
        if args.json:
            print_json(listed)
            return SUCCEEDED
        for row in listed:
            code = f" {row['exit_code']}" if row["exit_code"] is not None else ""
            print(f"{row['run']}  {row['state']}{code}  {row['began']}  {text(row['directory'])}")
        if len(known) > len(listed):
            print(f"and {len(known) - len(listed)} more: --limit {len(known)}")
        suffix = f" --run-root {shown(str(root), 200)}" if args.run_root is not None else ""
        if listed:
            print(f"next: dwx status {listed[0]['run']}{suffix}")
        else:
            print(f"no runs below {shown(str(root), 200)}; next: dwx run DIRECTORY{suffix}")
        return SUCCEEDED

    return looking("runs", args, act)


def _row(look: Look) -> dict[str, Any]:
    look.refresh()
    return {
        "run": look.path.name,
        "state": look.state,
        "exit_code": look.fold.exit_code,
        "began": look.fold.began or None,
        "directory": look.fold.directory,
        "seq": look.fold.seq,
        "run_dir": str(look.path),
    }
