"""`dwx run`: runs a workflow as a subprocess that speaks JSON lines.

The order is for the reader at the other end of the pipe. Standard output is taken before anything
that could print is imported; the first line is out before the machine, let alone the connector, is
loaded; and whatever goes wrong, flags included, ends in a last line.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from executor.cli.parser import Parser, UsageError, assignment, duration_ms, positive
from executor.runtime import rundir
from executor.runtime.credentials import CredentialsError, Flags, Notice, resolve
from executor.runtime.journal import Journal
from executor.runtime.record import Record
from executor.runtime.secrets import Masker
from executor.runtime.stdio import STDIN, STDOUT, LineWriter, fill_closed_descriptors, own_stdout
from executor.version import __version__
from executor.warehouse.databricks.auth import Credentials, Target
from executor.workflow.model import WorkflowError
from protocol.base import MINOR, VERSION, timestamp
from protocol.exit_codes import USAGE
from protocol.hello import Entry, Hello, Settings, View

if TYPE_CHECKING:
    from executor.core.inputs import Input
    from executor.core.state import State

LOCAL_DEFAULT = Path(".dwx") / "warehouse"
LOCAL_CATALOG, LOCAL_SCHEMA = "main", "default"
ARGUMENT_SHOWN = 1_000
"""Characters of an argument that `hello` repeats."""


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
    where.add_argument("--auth-type", choices=("pat", "oauth"), help="default: pat")
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
    talk.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="answers by kind of error, given in advance (YAML or JSON)",
    )
    talk.add_argument("--run-root", type=Path, metavar="PATH", help=f"or {rundir.ROOT_VARIABLE}")
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs the verb. Ends the process itself: a daemon thread may still be blocked in a read."""
    early_signals = _keep_signals()
    try:
        args: Namespace | UsageError = parser().parse_args(argv)
    except UsageError as exc:
        args = exc
    closed = fill_closed_descriptors()
    to_person = STDOUT not in closed and os.isatty(STDOUT)
    wire = own_stdout()
    if isinstance(args, UsageError):
        code = _refuse_flags(args, argv, wire, to_person=to_person)
    else:
        process = _Process(args, argv, wire, shown=STDOUT not in closed)
        code = process.run(early_signals, read_stdin=STDIN not in closed)
    sys.stderr.flush()
    os._exit(code)


def _keep_signals() -> list[int]:
    """Keeps signals until the runner takes them: a run ends with its last line or not at all."""
    kept: list[int] = []

    def keep(number: int, frame: FrameType | None) -> None:
        kept.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, keep)
    return kept


def _refuse_flags(error: UsageError, argv: Sequence[str], wire: int, *, to_person: bool) -> int:
    """Flags that cannot be understood: a program gets events all the same."""
    print(f"dwx run: {error}", file=sys.stderr)
    if to_person:
        return USAGE
    from executor.core.inputs import Refused
    from executor.runtime import faults

    mask = Masker()
    record = Record(None, LineWriter(wire, lambda: None), "progress", mask)
    hello = _hello(argv, mask, run_dir=None, view="progress", settings=None)
    state = _first(rundir.new_run_id(), hello, record)
    suggestion = "Correct the flags: dwx run --help lists them."
    code = _end(state, Refused(faults.usage("DWX_USAGE", str(error), suggestion)), record, mask)
    record.finish()
    return code


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the run will execute; `problem` says why that cannot be said, and what to do."""

    target: Target | None = None
    credentials: Credentials | None = None
    notices: tuple[Notice, ...] = ()
    problem: tuple[str, str, str] | None = None


class _Process:
    """One `dwx run`, from its flags to its last line."""

    def __init__(self, args: Namespace, argv: Sequence[str], wire: int, *, shown: bool) -> None:
        self._args = args
        self._view: View = args.stdout if shown else "off"
        self._place = _place(args)
        token = self._place.credentials.token if self._place.credentials else None
        self._mask = Masker(secret for secret in (token, args.access_token) if secret)
        self._argv = argv
        self._on_closed: Callable[[], None] = lambda: None
        self._screen = LineWriter(wire, lambda: self._on_closed())

    def run(self, early_signals: list[int], *, read_stdin: bool) -> int:
        """Runs to the last line; returns the exit code."""
        root = self._args.run_root or Path(
            os.environ.get(rundir.ROOT_VARIABLE) or rundir.DEFAULT_ROOT
        )
        try:
            directory = rundir.create(root)
            lock = rundir.RunLock(directory)
            record = Record(
                Journal(directory.events, self._mask), self._screen, self._view, self._mask
            )
            hello = self._hello(directory)
            at = datetime.now(UTC)
            entry = Entry(v=VERSION, run=directory.run, seq=1, ts=timestamp(at), event=hello)
            record.append(entry, durable=True)
        except OSError as exc:
            return self._without_record(exc)
        # the first line is out; from here on imports cost nobody a wait for it
        state = _begun(directory.run, hello, at)
        if self._place.problem is not None:
            from executor.core.inputs import Refused
            from executor.runtime import faults

            code = _end(state, Refused(faults.usage(*self._place.problem)), record, self._mask)
        else:
            code = self._go_on(state, record, directory, early_signals, read_stdin=read_stdin)
        record.finish()
        del lock  # held until here
        return code

    def _go_on(
        self,
        state: State,
        record: Record,
        directory: rundir.RunDirectory,
        early_signals: list[int],
        *,
        read_stdin: bool,
    ) -> int:
        import anyio

        from executor.core.inputs import Refused
        from executor.runtime import faults
        from executor.runtime.runner import Runner
        from executor.runtime.world import Choices, make_world

        args, place, settings = self._args, self._place, state.settings
        try:
            policy = _policy(args.policy)
        except WorkflowError as exc:
            return _end(state, Refused(faults.workflow_error(exc)), record, self._mask)
        namespace = {"catalog": settings.catalog, "schema": settings.schema}
        timeout_ms: int | None = args.statement_timeout
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
            statement_timeout_s=-(-timeout_ms // 1000) if timeout_ms is not None else None,
        )
        world = make_world(choices, place.target, place.credentials, place.notices, self._mask)
        world.signals = early_signals
        world.read_stdin = read_stdin
        world.inbox = directory.inbox
        world.first = policy
        runner = Runner(state, record, world)
        if args.on_stdout_closed == "cancel":
            self._on_closed = runner.reader_gone
        try:
            return anyio.run(runner.run)
        except Exception as exc:  # noqa: BLE001 - the outermost edge: there is always a last line
            return runner.crashed(exc)

    def _hello(self, directory: rundir.RunDirectory | None) -> Hello:
        return _hello(
            self._argv,
            self._mask,
            run_dir=str(directory.path) if directory else None,
            view=self._view,
            settings=self._settings(),
            answer_with=_answer_line(directory.run, self._args.run_root) if directory else None,
        )

    def _settings(self) -> Settings:
        args, target = self._args, self._place.target
        auth = self._place.credentials.kind if self._place.credentials else None
        return Settings(
            directory=str(args.directory),
            catalog=target.catalog if target else args.catalog,
            schema=target.schema if target else args.schema,
            host=target.host if target else None,
            http_path=target.http_path if target else None,
            auth="local" if args.local is not None else auth,
            max_iterations=args.max_iterations,
            prompt_timeout_ms=args.prompt_timeout,
            on_unanswered=args.on_unanswered,
            skip_loop=args.skip_loop,
            optimize=args.optimize_tables,
            dry_run=args.dry_run,
        )

    def _without_record(self, error: OSError) -> int:
        """There is nowhere to keep the record: nothing is executed, and stdout says why."""
        from executor.core.inputs import Broken
        from executor.runtime import faults

        record = Record(None, self._screen, self._view, self._mask)
        state = _first(rundir.new_run_id(), self._hello(None), record)
        code = _end(state, Broken("record", faults.record_broken(error)), record, self._mask)
        record.finish()
        return code


def _policy(path: Path | None) -> tuple[Input, ...]:
    """The policy given by a flag, as an input. Errors: `WorkflowError`."""
    if path is None:
        return ()
    from executor.runtime import policy_file  # only who gives a policy pays for it

    return (policy_file.given(path),)


def _place(args: Namespace) -> _Place:
    if args.local is not None:
        target = Target(
            host="127.0.0.1",
            http_path="/sql/1.0/warehouses/local",
            catalog=args.catalog or LOCAL_CATALOG,
            schema=args.schema or LOCAL_SCHEMA,
        )
        return _Place(target=target)
    if args.create_namespace:
        problem = "--create-namespace is for the embedded warehouse"
        suggestion = "Add --local, or create the namespace on Databricks yourself."
        return _Place(problem=("DWX_USAGE", problem, suggestion))
    if args.dry_run:
        return _Place()
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
        return _Place(problem=("DWX_CREDENTIALS", str(exc), exc.suggestion))
    return _Place(resolved.target, resolved.credentials, resolved.warnings)


def _ask_hidden(question: str) -> str:
    from getpass import getpass  # only a person at a terminal is asked

    return getpass(question)


def _answer_line(run: str, run_root: Path | None) -> str:
    """The command line that answers a prompt, to be given where this one was."""
    root = f" --run-root {shlex.quote(str(run_root))}" if run_root is not None else ""
    return f"dwx answer {run} PROMPT CHOICE{root}"


def _hello(
    argv: Sequence[str],
    mask: Masker,
    *,
    run_dir: str | None,
    view: View,
    settings: Settings | None,
    answer_with: str | None = None,
) -> Hello:
    hello = Hello(
        protocol=f"{VERSION}.{MINOR}",
        tool_version=__version__,
        run_dir=run_dir,
        pid=os.getpid(),
        view=view,
        argv=tuple(one[:ARGUMENT_SHOWN] for one in _without_token(("dwx", "run", *argv))),
        segment=1,
        answer_with=answer_with,
        settings=settings,
    )
    masked: Hello = mask.masked(hello)
    return masked


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


# --- the machine, before the runner is there --------------------------------------------------


def _first(run: str, hello: Hello, record: Record) -> State:
    """Emits `hello` where there is no run directory."""
    at = datetime.now(UTC)
    entry = Entry(v=VERSION, run=run, seq=1, ts=timestamp(at), event=hello)
    record.append(entry, durable=False)
    return _begun(run, hello, at)


def _begun(run: str, hello: Hello, at: datetime) -> State:
    """The state after `hello`, which has been emitted already, as the machine would have."""
    from executor.core.inputs import Begun
    from executor.core.machine import step
    from executor.core.state import State

    return step(State(run), Begun(hello), at)[0]


def _end(state: State, last: Input, record: Record, mask: Masker) -> int:
    """Feeds an input that ends the run, and emits what follows."""
    from executor.core.effects import Emit
    from executor.core.machine import step
    from executor.core.state import Ended

    state, effects = step(state, mask.masked(last), datetime.now(UTC))
    for effect in effects:
        if isinstance(effect, Emit):
            record.append(effect.entry, durable=effect.durable)
    assert isinstance(state.phase, Ended)
    return state.phase.exit_code
