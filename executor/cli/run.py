"""`dwx run`: runs a workflow as a subprocess that speaks JSON lines.

The order is for the reader at the other end of the pipe. Standard output is taken before anything
that could print is imported; the first line is out before the machine, let alone the connector, is
loaded; and whatever goes wrong, flags included, ends in a last line.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace, _ArgumentGroup
from collections.abc import Sequence
from pathlib import Path

from executor.cli.parser import (
    Parser,
    UsageError,
    assignment,
    count,
    descriptor,
    duration_ms,
    fault,
    filled,
    positive,
    secret_values,
)
from executor.cli.process import (
    Process,
    detach,
    end,
    first,
    hello_of,
    keep_signals,
    take_secrets,
)
from executor.cli.stdout import stdout_of
from executor.runtime import rundir
from executor.runtime.record import Record
from executor.runtime.secrets import Masker, secrets_in
from executor.runtime.stdio import STDIN, STDOUT, LineWriter, fill_closed_descriptors, own_stdout
from executor.warehouse.databricks.auth import AUTH_TYPES
from protocol.exit_codes import USAGE

LOCAL_DEFAULT = Path(".dwx") / "warehouse"


def parser() -> Parser:
    """The flags of `dwx run`."""
    flags = Parser(
        prog="dwx run",
        description="Runs a directory of Databricks SQL: events on stdout, decisions on stdin. "
        "On a terminal it draws its progress, and asks.",
    )
    flags.add_argument("directory", metavar="DIR", type=Path, help="directory with the SQL files")
    add_flags(flags)
    return flags


def add_flags(flags: Parser) -> None:
    """Everything but the directory: what `dwx run` and `dwx resume` take."""
    add_place(flags)
    what = add_workflow(flags)
    _add_execution(what)
    talk = add_talk(flags)
    _add_decisions(talk)


def add_place(flags: Parser) -> None:
    """Flags that say where: what `dwx run` and `dwx check` connect to."""
    where = flags.add_argument_group("where it runs")
    where.add_argument("--server-hostname", metavar="HOST", help="or DATABRICKS_HOST")
    where.add_argument(
        "--http-path", metavar="PATH", help="or DATABRICKS_HTTP_PATH, or DATABRICKS_WAREHOUSE_ID"
    )
    where.add_argument("--catalog", help="catalog to start in, and ${catalog} in the files")
    where.add_argument("--schema", help="schema to start in, and ${schema} in the files")
    where.add_argument(
        "--start-timeout",
        type=duration_ms,
        default=600_000,
        metavar="TIME",
        help="how long the warehouse may take to start (default: 10m)",
    )
    where.add_argument("--statement-timeout", type=duration_ms, metavar="TIME")
    where.add_argument(
        "--network-timeout",
        type=duration_ms,
        default=120_000,
        metavar="TIME",
        help="longest silence of the warehouse on a request, before what became of it is looked up "
        "(default: 2m)",
    )
    where.add_argument(
        "--local",
        nargs="?",
        type=Path,
        const=LOCAL_DEFAULT,
        metavar="PATH",
        help=f"run on the embedded warehouse; tables stay in PATH (default {LOCAL_DEFAULT})",
    )
    where.add_argument(
        "--create-namespace",
        action="store_true",
        help="with --local: create the catalog and the schema if they are missing",
    )
    where.add_argument(
        "--fault",
        type=fault,
        action="append",
        default=[],
        metavar="SPEC",
        help="with --local: let this go wrong, such as drop-after-execute,statement=f2.s1; "
        "not repeated by dwx resume",
    )

    who = flags.add_argument_group("as whom")
    who.add_argument(
        "--profile",
        metavar="NAME",
        help="profile of ~/.databrickscfg; goes before the environment",
    )
    who.add_argument(
        "--auth-type",
        choices=AUTH_TYPES,
        metavar="TYPE",
        help="pat (an access token, the default), oauth (log in with the browser), or what the "
        f"extra `sdk` knows: {', '.join(AUTH_TYPES[2:])}",
    )
    who.add_argument(
        "--token-fd",
        type=descriptor,
        metavar="N",
        help="read the access token from this file descriptor",
    )
    who.add_argument(
        "--access-token", metavar="TOKEN", help="seen by others: better DATABRICKS_TOKEN"
    )
    who.add_argument(
        "--login-timeout",
        type=duration_ms,
        default=300_000,
        metavar="TIME",
        help="with --auth-type oauth: how long the login may take (default: 5m)",
    )
    who.add_argument(
        "--no-token-cache",
        action="store_true",
        help="with --auth-type oauth: do not keep the login for the next run",
    )


def add_workflow(flags: Parser) -> _ArgumentGroup:
    """Flags that say what the files mean."""
    what = flags.add_argument_group("what it does")
    what.add_argument(
        "--var",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="value of ${NAME} in the files",
    )
    what.add_argument("--config", type=Path, metavar="FILE", help="unify.yml, to compare ids with")
    what.add_argument("--skip-loop", action="store_true", help="leave loops out")
    return what


def _add_execution(what: _ArgumentGroup) -> None:
    what.add_argument(
        "--preflight",
        choices=("on", "off"),
        default="on",
        help="checks before anything is executed: tables, columns, privileges, other runs",
    )
    what.add_argument("--dry-run", action="store_true", help="read the plan, execute nothing")
    what.add_argument(
        "--checks",
        choices=("off", "warn", "fail"),
        default="fail",
        help="checks of what the run has made; warn: they do not decide the exit code "
        "(default: fail)",
    )
    what.add_argument(
        "--convergence",
        choices=("updated", "residual", "both"),
        default="both",
        help="what a loop is tested with: rows that changed, what is left to merge, or both "
        "(default); residual alone saves comparing two whole tables",
    )
    what.add_argument("--max-iterations", type=positive, metavar="N")
    what.add_argument(
        "--optimize",
        choices=("off", "final", "loop", "all"),
        default="off",
        help="OPTIMIZE outputs (final), the tables of iterations (loop), or both (default: off)",
    )
    what.add_argument(
        "--optimize-tables",
        action="store_const",
        const="all",
        dest="optimize",
        help="the same as --optimize all",
    )
    what.add_argument(
        "--optimize-min-files",
        type=count,
        default=2,
        metavar="N",
        help="leave tables with fewer files as they are; 0: do not look (default: 2)",
    )
    what.add_argument(
        "--cleanup",
        action="store_true",
        help="drop the intermediate tables of loops once all is well",
    )


def add_talk(flags: Parser) -> _ArgumentGroup:
    """Flags that say how it talks."""
    talk = flags.add_argument_group("how it talks")
    talk.add_argument(
        "--stdout",
        choices=("full", "progress", "attention", "off"),
        default="progress",
        help="which events stdout shows; the record has them all",
    )
    talk.add_argument(
        "--json", action="store_true", help="events as JSON lines on a terminal too, as in a pipe"
    )
    talk.add_argument(
        "--on-stdout-closed",
        choices=("continue", "cancel"),
        default="continue",
        help="what happens when the reader of stdout goes away",
    )
    talk.add_argument("--run-root", type=Path, metavar="PATH", help=f"or {rundir.ROOT_VARIABLE}")
    return talk


def _add_decisions(talk: _ArgumentGroup) -> None:
    talk.add_argument("--prompt-timeout", type=duration_ms, default=900_000, metavar="TIME")
    talk.add_argument(
        "--keep-session",
        type=duration_ms,
        default=300_000,
        metavar="TIME",
        help="how long the session stays open while an answer is awaited (default 5m)",
    )
    talk.add_argument("--on-unanswered", choices=("suspend", "abort", "skip"), default="suspend")
    talk.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="answers by kind of error, given in advance (YAML or JSON)",
    )
    talk.add_argument(
        "--key",
        type=filled,
        help="start at most one run with this key; again: its state, and exit code 12",
    )
    talk.add_argument(
        "--detach",
        action="store_true",
        help="return after the first event; the run goes on by itself",
    )


def main(argv: Sequence[str]) -> int:
    """Runs the verb. Ends the process itself."""
    return start("run", parser(), argv)


def start(verb: str, flags: Parser, argv: Sequence[str]) -> int:
    """Starts what `verb` does with these flags.

    Ends the process itself: a daemon thread may still be blocked in a read.
    """
    early_signals = keep_signals()
    try:
        args: Namespace | UsageError = flags.parse_args(argv)
    except UsageError as exc:
        args = exc
    # before any descriptor of ours is opened: it could get the number that the caller meant
    token, detached = take_secrets(args, argv)
    closed = fill_closed_descriptors()
    to_person = STDOUT not in closed and os.isatty(STDOUT)
    wire = own_stdout()
    if not isinstance(args, UsageError) and detached:
        code = detach(verb, argv, wire, args)
    elif isinstance(args, UsageError):
        code = _refuse_flags(verb, args, argv, wire, to_person=to_person)
    else:
        stdout = stdout_of(verb, args, to_person=to_person)
        process = Process(
            args, argv, wire, token, shown=STDOUT not in closed, verb=verb, stdout=stdout
        )
        code = process.run(early_signals, read_stdin=STDIN not in closed)
    if sys.stderr is not None:  # closed by whoever started us
        sys.stderr.flush()
    os._exit(code)


def _refuse_flags(
    verb: str, error: UsageError, argv: Sequence[str], wire: int, *, to_person: bool
) -> int:
    """Flags that cannot be understood: a program gets events all the same."""
    given = (value for _, value in secret_values(argv))
    mask = Masker((*given, *secrets_in(os.environ)))
    print(mask(f"dwx {verb}: {error}"), file=sys.stderr)
    if to_person and "--json" not in argv:
        return USAGE
    from executor.core.inputs import Refused
    from executor.runtime import faults

    record = Record(None, LineWriter(wire, lambda: None), "progress", mask)
    hello = hello_of(verb, argv, mask, run_dir=None, view="progress", settings=None)
    state = first(rundir.new_run_id(), hello, record)
    suggestion = f"Correct the flags: dwx {verb} --help lists them."
    code = end(state, Refused(faults.usage("DWX_USAGE", str(error), suggestion)), record, mask)
    record.finish()
    return code
