"""`dwx run`: runs a workflow as a subprocess that speaks JSON lines.

The order below is for the reader on the other end of the pipe. Standard output is taken before
anything that could print is imported; the first event is out before anything heavy is; and
whatever goes wrong, flags included, ends in a last line.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from executor.cli.parser import Parser, UsageError, assignment, duration_ms, positive
from executor.core.effects import Emit
from executor.core.inputs import Begun, Broken, Input, Refused
from executor.core.machine import step
from executor.core.state import Ended, State
from executor.runtime import faults, rundir
from executor.runtime.credentials import CredentialsError, Flags, resolve
from executor.runtime.journal import Journal
from executor.runtime.record import Record
from executor.runtime.secrets import Masker
from executor.runtime.stdio import STDIN, STDOUT, LineWriter, fill_closed_descriptors, own_stdout
from executor.version import __version__
from executor.warehouse.databricks.auth import Credentials, Target
from protocol.base import MINOR, VERSION
from protocol.events import ErrorRecord, Hello, PlanWarning, Settings, View
from protocol.exit_codes import RECORD_BROKEN, USAGE

ANSWER_WITH = '{"type":"decide","prompt":"PROMPT","choice":"CHOICE"} as one line on stdin'
LOCAL_DEFAULT = Path(".dwx") / "warehouse"
LOCAL_CATALOG, LOCAL_SCHEMA = "main", "default"


def parser() -> Parser:
    """The flags of `dwx run`."""
    flags = Parser(
        prog="dwx run",
        description="Runs a directory of Databricks SQL: events on stdout, decisions on stdin.",
    )
    flags.add_argument("directory", metavar="DIR", type=Path, help="directory with the SQL files")

    where = flags.add_argument_group("where it runs")
    where.add_argument("--server-hostname", metavar="HOST", help="or DATABRICKS_HOST")
    where.add_argument("--http-path", metavar="PATH", help="or DATABRICKS_HTTP_PATH")
    where.add_argument("--catalog", help="catalog to start in, and ${catalog} in the files")
    where.add_argument("--schema", help="schema to start in, and ${schema} in the files")
    where.add_argument("--auth-type", choices=("pat", "oauth"))
    where.add_argument("--access-token", metavar="TOKEN", help="better: DATABRICKS_TOKEN")
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
    where.add_argument("--start-timeout", type=duration_ms, default=600_000, metavar="TIME")
    where.add_argument("--statement-timeout", type=duration_ms, metavar="TIME")

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
    what.add_argument("--dry-run", action="store_true", help="read the plan, execute nothing")
    what.add_argument("--skip-loop", action="store_true", help="leave loops out")
    what.add_argument("--max-iterations", type=positive, metavar="N")
    what.add_argument(
        "--optimize-tables", action="store_true", help="OPTIMIZE loop tables and outputs"
    )

    talk = flags.add_argument_group("how it talks")
    talk.add_argument(
        "--stdout",
        choices=("full", "progress", "attention", "off"),
        default="progress",
        help="which events stdout shows; the record has them all",
    )
    talk.add_argument(
        "--on-stdout-closed",
        choices=("continue", "cancel"),
        default="continue",
        help="what happens when the reader of stdout goes away",
    )
    talk.add_argument("--prompt-timeout", type=duration_ms, default=900_000, metavar="TIME")
    talk.add_argument("--on-unanswered", choices=("suspend", "abort", "skip"), default="suspend")
    talk.add_argument("--run-root", type=Path, metavar="PATH", help=f"or {rundir.ROOT_VARIABLE}")
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs the verb. Ends the process itself: a daemon thread may still be blocked in a read."""
    early_signals: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        early_signals.append(number)

    # until the runner takes them, signals wait; a second one ends the process as it should
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    try:
        args: Namespace | UsageError = parser().parse_args(argv)
    except UsageError as exc:
        args = exc
    closed = fill_closed_descriptors()
    to_person = STDOUT not in closed and os.isatty(STDOUT)
    wire = own_stdout()
    stdin_open = STDIN not in closed
    if isinstance(args, UsageError):
        code = _refuse_flags(args, argv, wire, to_person=to_person)
    else:
        code = _Process(args, argv, wire, shown=STDOUT not in closed).run(
            early_signals, read_stdin=stdin_open
        )
    sys.stderr.flush()
    os._exit(code)


def _refuse_flags(error: UsageError, argv: Sequence[str], wire: int, *, to_person: bool) -> int:
    """Flags that cannot be understood: a program gets events all the same."""
    print(f"dwx run: {error}", file=sys.stderr)
    if to_person:
        return USAGE
    mask = Masker()
    record = Record(None, LineWriter(wire, lambda: None), "progress", mask)
    hello = _hello(argv, mask, run_dir=None, view="progress", settings=None)
    refusal = faults.usage("DWX_USAGE", str(error), "Correct the flags: dwx run --help lists them.")
    state = _emit(State(rundir.new_run_id()), Begun(hello), record, mask)
    _emit(state, Refused(refusal), record, mask)
    record.finish()
    return USAGE


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the run will execute, or why that cannot be said."""

    target: Target | None = None
    credentials: Credentials | None = None
    warnings: tuple[PlanWarning, ...] = ()
    refusal: ErrorRecord | None = None


class _Process:
    """One `dwx run`, from its flags to its last line."""

    def __init__(self, args: Namespace, argv: Sequence[str], wire: int, *, shown: bool) -> None:
        self._args = args
        self._argv = argv
        self._view: View = args.stdout if shown else "off"
        self._place = _place(args)
        token = self._place.credentials.token if self._place.credentials else None
        self._mask = Masker(secret for secret in (token, args.access_token) if secret)
        self._on_closed = lambda: None
        self._screen = LineWriter(wire, lambda: self._on_closed())

    def run(self, early_signals: list[int], *, read_stdin: bool) -> int:
        root = self._args.run_root or Path(
            os.environ.get(rundir.ROOT_VARIABLE) or rundir.DEFAULT_ROOT
        )
        try:
            directory = rundir.create(root)
            lock = rundir.RunLock(directory)
            journal = Journal(directory.events, self._mask)
            record = Record(journal, self._screen, self._view, self._mask)
            hello = _hello(
                self._argv,
                self._mask,
                run_dir=str(directory.path),
                view=self._view,
                settings=self._settings(),
            )
            state = _emit(State(directory.run), Begun(hello), record, self._mask)
        except OSError as exc:
            return self._without_record(exc)
        if self._place.refusal is not None:
            state = _emit(state, Refused(self._place.refusal), record, self._mask)
            record.finish()
            assert isinstance(state.phase, Ended)
            return state.phase.exit_code
        code = self._go_on(state, record, early_signals, read_stdin=read_stdin)
        record.finish()
        del lock  # held until here
        return code

    def _go_on(
        self, state: State, record: Record, early_signals: list[int], *, read_stdin: bool
    ) -> int:
        # the first event is out; from here on imports cost nobody a wait for it
        import anyio

        from executor.runtime.runner import Runner
        from executor.runtime.world import Choices, make_world

        args = self._args
        settings = state.settings
        namespace = {"catalog": settings.catalog, "schema": settings.schema}
        choices = Choices(
            directory=args.directory,
            variables={
                **{name: value for name, value in namespace.items() if value is not None},
                **dict(args.var),
            },
            config=args.config,
            local=args.local,
            create_namespace=args.create_namespace,
            start_timeout_s=args.start_timeout / 1000,
            statement_timeout_s=-(-args.statement_timeout // 1000)
            if args.statement_timeout
            else None,
        )
        place = self._place
        world = make_world(choices, place.target, place.credentials, place.warnings, self._mask)
        world.signals = early_signals
        world.read_stdin = read_stdin
        runner = Runner(state, record, world)
        if self._args.on_stdout_closed == "cancel":
            self._on_closed = runner.reader_gone
        return anyio.run(runner.run)

    def _settings(self) -> Settings:
        args, target = self._args, self._place.target
        local = args.local is not None
        auth = self._place.credentials.kind if self._place.credentials else None
        return Settings(
            directory=str(args.directory),
            catalog=target.catalog if target else args.catalog,
            schema=target.schema if target else args.schema,
            host=target.host if target else None,
            http_path=target.http_path if target else None,
            auth="local" if local else auth,
            max_iterations=args.max_iterations,
            prompt_timeout_ms=args.prompt_timeout,
            on_unanswered=args.on_unanswered,
            skip_loop=args.skip_loop,
            optimize=args.optimize_tables,
            dry_run=args.dry_run,
        )

    def _without_record(self, error: OSError) -> int:
        """There is nowhere to keep the record: nothing is executed, and stdout says why."""
        record = Record(None, self._screen, self._view, self._mask)
        hello = _hello(
            self._argv, self._mask, run_dir=None, view=self._view, settings=self._settings()
        )
        state = _emit(State(rundir.new_run_id()), Begun(hello), record, self._mask)
        _emit(state, Broken("record", faults.record_broken(error)), record, self._mask)
        record.finish()
        return RECORD_BROKEN


def _place(args: Namespace) -> _Place:
    if args.local is not None:
        target = Target(
            host="127.0.0.1",
            http_path="/sql/1.0/warehouses/local",
            catalog=args.catalog or LOCAL_CATALOG,
            schema=args.schema or LOCAL_SCHEMA,
        )
        return _Place(target=target)
    if args.dry_run:
        return _Place()
    if args.create_namespace:
        problem = "--create-namespace is for the embedded warehouse"
        suggestion = "Add --local, or create the namespace on Databricks yourself."
        return _Place(refusal=faults.usage("DWX_USAGE", problem, suggestion))
    flags = Flags(
        server_hostname=args.server_hostname,
        http_path=args.http_path,
        catalog=args.catalog,
        schema=args.schema,
        auth_type=args.auth_type,
        access_token=args.access_token,
    )
    try:
        resolved = resolve(flags, os.environ, _ask_hidden if os.isatty(STDIN) else None)
    except CredentialsError as exc:
        return _Place(refusal=faults.usage("DWX_CREDENTIALS", str(exc), exc.suggestion))
    return _Place(resolved.target, resolved.credentials, resolved.warnings)


def _ask_hidden(question: str) -> str:
    from getpass import getpass  # only a person at a terminal is asked

    return getpass(question)


def _hello(
    argv: Sequence[str],
    mask: Masker,
    *,
    run_dir: str | None,
    view: View,
    settings: Settings | None,
) -> Hello:
    return Hello(
        protocol=f"{VERSION}.{MINOR}",
        tool_version=__version__,
        run_dir=run_dir,
        pid=os.getpid(),
        view=view,
        argv=tuple(mask(one) for one in _without_token(("dwx", "run", *argv))),
        segment=1,
        answer_with=ANSWER_WITH if settings is not None else None,
        settings=settings,
    )


def _without_token(argv: Sequence[str]) -> list[str]:
    """The command line without the value of --access-token, also where it could not be parsed."""
    shown: list[str] = []
    secret_next = False
    for one in argv:
        if secret_next:
            shown.append("***")
            secret_next = False
            continue
        name, equals, _ = one.partition("=")
        is_token = len(name) > len("--a") and "--access-token".startswith(name)
        secret_next = is_token and not equals
        shown.append(f"{name}=***" if is_token and equals else one)
    return shown


def _emit(state: State, given: Input, record: Record, mask: Masker) -> State:
    """Steps the machine before the runner is there; only what is emitted is performed."""
    state, effects = step(state, mask.masked(given), datetime.now(UTC))
    for effect in effects:
        if isinstance(effect, Emit):
            record.append(effect.entry, durable=effect.durable)
    return state
