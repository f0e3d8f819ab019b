"""The command line: one verb, one module. Only the verb that was asked for is imported.

Agents call dwx often and pay for every import, so this uses argparse (6 ms) and loads nothing
else until the verb is known.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from executor.cli.parser import UsageError, secret_values
from executor.version import __version__
from protocol.exit_codes import USAGE

VERBS = {
    "run": "run a directory of Databricks SQL",
    "check": "make the checks that come before a run, and execute nothing",
    "status": "tell how a run is doing, and what to do next",
    "wait": "wait until a run needs attention or is over",
    "answer": "answer a run's prompt",
    "cancel": "stop a run in good order",
    "report": "tell all about a run: text, JSON, Markdown or one HTML file",
    "events": "read a run's record from a cursor on",
    "watch": "follow a run, one line per event that matters",
    "runs": "list the runs",
    "resume": "go on with a run that was suspended or whose process died",
    "plan": "show what would run, offline",
    "replay": "show a recorded run, or verify its log",
    "policy": "hold a policy against a recorded run, or suggest one from it",
    "schema": "print the JSON Schema of every event and decision",
    "warehouse": "serve the embedded warehouse to any client",
}

HELP = """\
usage: dwx VERB [ARGUMENTS]

Runs Databricks SQL workflows as a subprocess an agent can trust.

{verbs}

dwx VERB --help tells more about a verb; PROTOCOL.md describes events and decisions.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help", "help"):
        lines = "\n".join(f"  {verb:10} {summary}" for verb, summary in VERBS.items())
        print(HELP.format(verbs=lines), end="")
        return 0 if arguments else USAGE
    if first == "--version":
        print(f"dwx {__version__}")
        return 0
    if first not in VERBS:
        print(f"dwx: there is no verb {first!r}; the verbs are {', '.join(VERBS)}", file=sys.stderr)
        return USAGE
    verb = import_module(f"executor.cli.{first}")
    try:
        code: int = verb.main(arguments[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read our output has enough of it; do not let the interpreter complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UsageError as exc:
        from executor.runtime.secrets import Masker

        mask = Masker(value for _, value in secret_values(arguments))
        print(mask(f"dwx {first}: {exc}"), file=sys.stderr)
        return USAGE
    return code
