"""`dwx check`: can a run begin? The checks that a run makes before it executes anything, alone.

With a directory: the way to the warehouse, and what the files require of it. Without one: the way
to the warehouse alone. It is a run with a record like any other, which executes nothing, asks
nothing, and ends with exit code 0 if nothing stands in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from executor.cli.parser import Parser
from executor.cli.run import add_place, add_talk, add_workflow, start
from protocol.hello import Settings


def parser() -> Parser:
    """The flags of `dwx check`: those of `dwx run` that say where, and what the files mean."""
    flags = Parser(prog="dwx check", description=__doc__)
    flags.add_argument(
        "directory",
        metavar="DIR",
        type=Path,
        nargs="?",
        help="directory with the SQL files; without it the connection alone is checked",
    )
    add_place(flags)
    add_workflow(flags)
    add_talk(flags)
    # what a run would do is no matter here, since nothing is executed
    unasked = Settings(directory="")
    flags.set_defaults(
        preflight="only",
        dry_run=False,
        checks="off",
        convergence=unasked.convergence,
        max_iterations=None,
        optimize=unasked.optimize,
        optimize_min_files=unasked.optimize_min_files,
        cleanup=False,
        prompt_timeout=unasked.prompt_timeout_ms,
        on_unanswered=unasked.on_unanswered,
        keep_session=unasked.keep_session_ms,
        policy=None,
        key=None,
        detach=False,
    )
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs the verb. Ends the process itself, as `dwx run` does."""
    return start("check", parser(), argv)
