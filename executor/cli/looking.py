"""What the verbs that look at a run share: naming the run, spelling commands, printing.

These verbs are called again and again, so they load no validator, no SQL parser and no driver.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from executor.cli.parser import Parser
from executor.runtime.commands import Commands
from executor.runtime.find import RunNotFound, await_live, find, run_root
from executor.runtime.look import POLL_SECONDS, Look
from executor.runtime.rundir import ROOT_VARIABLE
from executor.views.summary import summary
from protocol.errors import shown
from protocol.exit_codes import LOST, STILL_RUNNING, SUSPENDED, USAGE

START_SECONDS: Final = 1.0
"""A run has its directory long before."""

CODES: Final = {
    "running": STILL_RUNNING,
    "waiting": SUSPENDED,
    "suspended": SUSPENDED,
    "crashed": LOST,
    "stalled": LOST,
}
"""The exit code that mirrors a state; a finished run has its own."""


def flags(verb: str, about: str | None, *, run: bool = True, log: bool = False) -> Parser:
    """A parser with what all these verbs take; `log`: a run may be named by its log, too."""
    parser = Parser(prog=f"dwx {verb}", description=about)
    if run:
        parser.add_argument(
            "run",
            metavar="RUN",
            nargs="?",
            help=f"id, unique prefix{', directory or log' if log else ' or directory'}; "
            "default: the only live run, else the latest",
        )
    parser.add_argument("--run-root", type=Path, metavar="PATH", help=f"or {ROOT_VARIABLE}")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    return parser


class Subject:
    """The run a verb is about."""

    def __init__(self, args: Namespace, wanted: str | None, *, starting: bool = False) -> None:
        """`starting`: a run that does not live may just be about to, or about to be resumed.

        Errors: `RunNotFound`, `OSError`.
        """
        if starting and wanted is None:
            await_live(run_root(args.run_root), START_SECONDS)
        path = find(run_root(args.run_root), wanted)
        self.look = Look(path)
        if starting and wanted is not None:
            self._await_resume()
        self.command = Commands(path, args.run_root)
        """Spells a command line about this run, to be given where this one was."""

    def _await_resume(self) -> None:
        """Gives a `dwx resume` of this run, started a moment before, the time to take over."""
        limit = time.monotonic() + START_SECONDS
        self.look.refresh()
        while self.look.state in ("suspended", "crashed") and time.monotonic() < limit:
            time.sleep(POLL_SECONDS)
            self.look.refresh()

    def summary(self) -> dict[str, Any]:
        """The run's status as of the last look."""
        look = self.look
        return summary(look.fold, look.state, str(look.path), self.command, look.kept())

    def exit_code(self) -> int:
        """The exit code that mirrors the run's state."""
        fold = self.look.fold
        if fold.finished:
            return fold.exit_code if fold.exit_code is not None else LOST
        return CODES[self.look.state]


def looking(verb: str, args: Namespace, act: Callable[[], int]) -> int:
    """Does what a verb does; a run that cannot be found or read is told, with exit code 2."""
    # whatever the terminal's encoding: a name must not end a look
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return act()
    except RunNotFound as exc:
        message = str(exc)
    except BrokenPipeError:
        raise
    except OSError as exc:
        place = shown(str(exc.filename or "the run directory"), 200)
        message = f"{place}: {exc.strerror or exc}"
    if args.json:
        print_json({"error": message})
    print(f"dwx {verb}: {message}", file=sys.stderr)
    return USAGE


def print_json(value: dict[str, Any] | Sequence[Any]) -> None:
    """Prints one line of JSON."""
    print(json.dumps(value, separators=(",", ":")))
