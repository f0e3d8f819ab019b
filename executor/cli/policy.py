"""`dwx policy`: holds a policy against a recorded run, or suggests one from it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from executor.cli.parser import Parser
from protocol.exit_codes import INCOMPLETE, SUCCEEDED, USAGE


def main(argv: Sequence[str]) -> int:
    flags = Parser(prog="dwx policy", description=__doc__)
    verbs = flags.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = verbs.add_parser(
        "check",
        help="say what a policy would have answered to the prompts of a run",
        description="Says what a policy would have answered to each prompt of a recorded run. "
        f"Exits {SUCCEEDED} if it settles them all, {INCOMPLETE} if somebody would be needed, "
        f"{USAGE} if the policy or the log is not in order.",
    )
    check.add_argument("--policy", type=Path, required=True, metavar="FILE", help="YAML or JSON")
    check.add_argument("--against", required=True, metavar="RUN", help="a run, or a log")
    check.add_argument("--json", action="store_true", help="JSON instead of text")
    suggest = verbs.add_parser(
        "suggest",
        help="write a policy from the decisions taken in a run",
        description="Writes a policy, as YAML on stdout, from the decisions taken in a run.",
    )
    suggest.add_argument("against", metavar="RUN", help="a run, or a log")
    for verb in (check, suggest):
        verb.add_argument("--run-root", type=Path, metavar="PATH", help="where runs are kept")
    args = flags.parse_args(argv)
    from executor.runtime.find import RunNotFound
    from executor.workflow.model import WorkflowError
    from protocol.log import LogDamaged

    try:
        return _check(args) if args.action == "check" else _suggest(args)
    except WorkflowError as exc:
        print(f"dwx policy: {exc}\n{exc.suggestion}", file=sys.stderr)
    except (RunNotFound, LogDamaged) as exc:
        print(f"dwx policy: {exc}", file=sys.stderr)
    except OSError as exc:
        print(f"dwx policy: {exc.filename} cannot be read: {exc.strerror}", file=sys.stderr)
    return USAGE


def _check(args: Namespace) -> int:
    from executor.runtime import policy_file
    from executor.views.policy_check import as_json, as_text, check
    from executor.views.recorded_prompts import recorded_prompts
    from protocol.log import LogReader

    policy = policy_file.load(args.policy)
    reader = LogReader(_log(args))
    verdicts = check(policy, recorded_prompts(reader))
    if args.json:
        run = reader.last.run if reader.last is not None else None
        print(json.dumps(as_json(run, policy, verdicts), indent=2))
    else:
        print(as_text(policy, verdicts), end="")
    settled = all(verdict.choice is not None for verdict in verdicts)
    return SUCCEEDED if settled else INCOMPLETE


def _suggest(args: Namespace) -> int:
    from executor.views.policy_suggestion import suggest
    from executor.views.recorded_prompts import recorded_prompts
    from protocol.log import LogReader

    reader = LogReader(_log(args))
    prompts = recorded_prompts(reader)
    run = reader.last.run if reader.last is not None else args.against
    print(suggest(run, prompts), end="")
    return SUCCEEDED


def _log(args: Namespace) -> Path:
    """The log that is meant. Errors: `RunNotFound`."""
    from executor.runtime.find import find, run_root

    if Path(args.against).is_file():
        return Path(args.against)
    return find(run_root(args.run_root), args.against) / "events.jsonl"
