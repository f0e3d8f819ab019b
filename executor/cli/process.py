"""A process that runs a workflow: what `dwx run` and `dwx resume` have in common.

The first line is out before the machine, let alone the connector, is loaded; a process that has
written it writes a last line too, whatever goes wrong.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from executor.cli.parser import UsageError, secret_values
from executor.cli.place import place_of
from executor.cli.stdout import Stdout
from executor.runtime import keys, rundir, token_input
from executor.runtime.commands import Commands
from executor.runtime.find import run_root
from executor.runtime.journal import Journal
from executor.runtime.masked_stderr import mask_stderr
from executor.runtime.record import Record
from executor.runtime.secrets import MASK, Masker
from executor.runtime.stdio import FLUSH_AFTER_STOP_SECONDS, STDIN
from executor.runtime.token_input import TokenInput
from executor.version import __version__
from executor.warehouse.databricks.auth import LoginChoices
from protocol.base import MINOR, VERSION, timestamp
from protocol.exit_codes import RUN_EXISTS, SUCCEEDED
from protocol.hello import Entry, Hello, Settings, View

if TYPE_CHECKING:
    from executor.core.inputs import Input
    from executor.core.state import State
    from executor.local.faults import Fault, Faults
    from executor.replay.verify import Folding
    from executor.runtime.runner import World
    from executor.workflow.model import Workflow


ARGUMENT_SHOWN = 4_000
"""Characters of an argument that `hello` repeats."""


def keep_signals() -> list[int]:
    """Keeps signals until the runner takes them: a run ends with its last line or not at all."""
    kept: list[int] = []

    def keep(number: int, frame: FrameType | None) -> None:
        kept.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, keep)
    return kept


def take_secrets(args: Namespace | UsageError, argv: Sequence[str]) -> tuple[TokenInput, bool]:
    """Takes the secrets the command line holds or points to; tells whether to detach.

    The process that runs is the one that reads the token. What cannot be read is said by a run that
    ends at once, so that a program is told by events.
    """
    given = [value for _, value in secret_values(argv)]
    if given:
        from executor.runtime.argv_memory import blot_out

        blot_out(given)
    if isinstance(args, UsageError):
        return TokenInput(), False
    if args.token_fd is None:
        return TokenInput(), args.detach
    if args.detach and token_input.problem_of(args.token_fd) is None:
        return TokenInput(), True
    return token_input.read_token(args.token_fd), False


def detach(verb: str, argv: Sequence[str], wire: int, args: Namespace) -> int:
    """Has another process run, and passes on its first event. The token's descriptor is left to
    it.
    """
    import subprocess  # only here: 10 ms

    program = "import sys; from executor.cli.main import main; sys.exit(main())"
    token_fd = args.token_fd
    others = [one for one in argv if one != "--detach"]
    if args.stdout == "off":
        others += ["--stdout", "attention"]  # the first event has to get here
    child = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
        [sys.executable, "-P", "-c", program, verb, *others],
        stdin=None if token_fd == STDIN else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=() if token_fd in (None, STDIN) else (token_fd,),
    )
    assert child.stdout is not None
    hello = child.stdout.readline()
    os.write(wire, hello)
    run_dir = json.loads(hello or b"{}").get("run_dir")
    if run_dir is None or rundir.holder(Path(run_dir)) != child.pid:
        # it could not start, or its key has a run already: the rest says why
        os.write(wire, child.stdout.read())
        return child.wait()
    return SUCCEEDED


class CannotResume(Exception):  # noqa: N818 - named after what happened
    """The run cannot be gone on with as things are; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A run whose process has ended before its work was done, as its log tells."""

    folding: Folding
    segments: int
    """Processes it has had so far."""
    sound_bytes: int
    """Length of the log without a torn last line."""


class Process:
    """One process of a run, from its flags to its last line."""

    def __init__(
        self,
        args: Namespace,
        argv: Sequence[str],
        wire: int,
        token: TokenInput,
        *,
        shown: bool,
        verb: str = "run",
        stdout: Stdout,
    ) -> None:
        """`verb` is how the run was begun."""
        self._verb = verb
        self._args = args
        self._view: View = stdout.view if shown else "off"
        self._place = place_of(args, token)
        self._mask = Masker((*self._place.secrets, *(value for _, value in secret_values(argv))))
        self._argv = argv
        self._on_closed: Callable[[], None] = lambda: None
        self._reader_gone = not shown
        self._screen = stdout.screen(wire, self._note_reader_gone)
        mask_stderr(self._mask)  # after the screen, which may have stderr drawn

    def _note_reader_gone(self) -> None:
        self._reader_gone = True
        self._on_closed()

    def close(self) -> None:
        """Gives stdout back; for a process that never came to its last line."""
        self._screen.drain(FLUSH_AFTER_STOP_SECONDS)

    def run(self, early_signals: list[int], *, read_stdin: bool) -> int:
        """Runs to the last line; returns the exit code."""
        root = run_root(self._args.run_root)
        try:
            directory = rundir.create(root)
            lock = rundir.RunLock(directory)
            if self._args.key is not None:
                holder = keys.claim(root, self._args.key, directory.run)
                if holder is not None:
                    rundir.remove(directory)
                    return self._exists(root / holder)
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
        state = begun(directory.run, hello, at)
        if self._place.problem is not None:
            from executor.core.inputs import Refused
            from executor.runtime import faults

            code = end(state, Refused(faults.usage(*self._place.problem)), record, self._mask)
        else:
            code = self._go_on(state, record, directory, early_signals, read_stdin=read_stdin)
        record.finish()
        del lock  # held until here
        return code

    def resume(
        self,
        directory: rundir.RunDirectory,
        log: Interrupted,
        early_signals: list[int],
        *,
        read_stdin: bool,
    ) -> int:
        """Goes on with an interrupted run to this process's last line; returns the exit code.

        Errors: `CannotResume`, and nothing has been written.
        """
        from executor.core.effects import Emit
        from executor.core.inputs import Resumed
        from executor.core.machine import step
        from executor.workflow.model import WorkflowError

        if self._place.problem is not None:
            _, problem, suggestion = self._place.problem
            raise CannotResume(f"{problem} {suggestion}")
        world = self._world(self._settings())
        world.load = _loaded_already(world, log.folding.state)
        try:
            world.first = _policy(self._args.policy, log.segments + 1)
        except WorkflowError as exc:
            raise CannotResume(f"{exc}. {exc.suggestion}") from exc
        try:
            lock = rundir.RunLock(directory)
            os.truncate(directory.events, log.sound_bytes)
            self._screen.recall(directory.events)
            record = Record(
                Journal(directory.events, self._mask), self._screen, self._view, self._mask
            )
            # what the process before had decided and not yet written comes first
            for entry in log.folding.unwritten():
                record.append(entry, durable=True)
            hello = replace(
                self._hello(directory),
                segment=log.segments + 1,
                in_flight=log.folding.in_flight(),
            )
            at = datetime.now(UTC)
            state, effects = step(log.folding.state, Resumed(hello), at)
            for effect in effects:
                if isinstance(effect, Emit):
                    record.append(effect.entry, durable=effect.durable)
        except BlockingIOError as exc:
            raise CannotResume("another process is at work on this run") from exc
        code = self._run(state, record, world, directory, early_signals, read_stdin=read_stdin)
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
        from executor.core.inputs import Refused
        from executor.runtime import faults
        from executor.workflow.model import WorkflowError

        args, settings = self._args, state.settings
        try:
            policy = _policy(args.policy, segment=1)
        except WorkflowError as exc:
            return end(state, Refused(faults.workflow_error(exc)), record, self._mask)
        world = self._world(settings)
        world.first = policy
        return self._run(state, record, world, directory, early_signals, read_stdin=read_stdin)

    def _run(
        self,
        state: State,
        record: Record,
        world: World,
        directory: rundir.RunDirectory,
        early_signals: list[int],
        *,
        read_stdin: bool,
    ) -> int:
        import anyio

        from executor.runtime.neighbours import other_runs
        from executor.runtime.runner import Runner
        from executor.runtime.status_file import StatusFile

        with suppress(OSError):  # a record that cannot be read is met again, and told, below
            record.follow(StatusFile(directory.path, self._commands(directory)).take)
        world.signals = early_signals
        world.read_stdin = read_stdin
        world.decision_of = self._screen.decision_of
        world.inbox = directory.inbox
        world.other_runs = partial(other_runs, directory.path)
        runner = Runner(state, record, world)
        if self._args.on_stdout_closed == "cancel":
            self._on_closed = runner.reader_gone
        if self._reader_gone and self._args.on_stdout_closed == "cancel":
            from executor.core.inputs import StopRequested

            world.first = (*world.first, StopRequested("stdout_closed", "now"))
        try:
            code: int = anyio.run(runner.run)
        except Exception as exc:  # noqa: BLE001 - the outermost edge: there is always a last line
            code = runner.crashed(exc)

        # the last line is recorded; who is tired of waiting for its reader gets the same exit code
        def leave(*_: object) -> None:
            self._screen.give_back()
            os._exit(code)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, leave)
        return code

    def _world(self, settings: Settings) -> World:
        from executor.runtime.world import Choices, make_world

        args, place = self._args, self._place
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
            faults=_faults(args.fault),
            start_timeout_s=args.start_timeout / 1000,
            network_timeout_s=args.network_timeout / 1000,
            statement_timeout_s=-(-timeout_ms // 1000) if timeout_ms is not None else None,
            login=LoginChoices(
                timeout_s=args.login_timeout / 1000,
                cache=None if args.no_token_cache else _token_cache(),
            ),
        )
        return make_world(choices, place.target, place.credentials, place.notices, self._mask)

    def _hello(self, directory: rundir.RunDirectory | None) -> Hello:
        return hello_of(
            self._verb,
            self._argv,
            self._mask,
            run_dir=str(directory.path) if directory else None,
            view=self._view,
            settings=self._settings(),
            answer_with=self._commands(directory)("answer", "PROMPT", "CHOICE")
            if directory
            else None,
        )

    def _commands(self, directory: rundir.RunDirectory) -> Commands:
        return Commands(directory.path, self._args.run_root)

    def _settings(self) -> Settings:
        args, target = self._args, self._place.target
        auth = self._place.credentials.kind if self._place.credentials else None
        return Settings(
            directory=str(args.directory or ""),
            catalog=target.catalog if target else args.catalog,
            schema=target.schema if target else args.schema,
            host=target.host if target else None,
            http_path=target.http_path if target else None,
            auth="local" if args.local is not None else auth,
            max_iterations=args.max_iterations,
            prompt_timeout_ms=args.prompt_timeout,
            on_unanswered=args.on_unanswered,
            keep_session_ms=args.keep_session,
            skip_loop=args.skip_loop,
            convergence=args.convergence,
            optimize=args.optimize,
            optimize_min_files=args.optimize_min_files,
            dry_run=args.dry_run,
            preflight=args.preflight,
            checks=args.checks,
            cleanup=args.cleanup,
        )

    def _exists(self, path: Path) -> int:
        """A run with this key was started before: nothing is executed, and stdout says so."""
        from executor.core.inputs import Refused
        from executor.runtime import faults
        from executor.runtime.look import Look

        look = Look(path)
        look.refresh()
        record = Record(None, self._screen, self._view, self._mask)
        state = first(path.name, self._hello(rundir.RunDirectory(path.name, path)), record)
        error = faults.usage(
            "DWX_RUN_EXISTS",
            f"run {path.name} was started with this key; it is {look.state}",
            f"Look at it with dwx status {path.name}, or start another with another key.",
        )
        code = end(state, Refused(error, RUN_EXISTS), record, self._mask)
        record.finish()
        return code

    def _without_record(self, error: OSError) -> int:
        """There is nowhere to keep the record: nothing is executed, and stdout says why."""
        from executor.core.inputs import Broken
        from executor.runtime import faults

        record = Record(None, self._screen, self._view, self._mask)
        state = first(rundir.new_run_id(), self._hello(None), record)
        code = end(state, Broken("record", faults.record_broken(error)), record, self._mask)
        record.finish()
        return code


def _loaded_already(world: World, state: State) -> Callable[[], Workflow]:
    """Reads the workflow now, before anything is written, and hands it out later; from then on it
    is read anew. Errors: `CannotResume` if the files are not those the run began with.
    """
    from executor.workflow.model import WorkflowError

    read_anew = world.load
    try:
        kept = [read_anew()]
    except WorkflowError as exc:
        raise CannotResume(f"{exc} {exc.suggestion}") from exc
    now = {source.planned.path for source in kept[0].files}
    generated = {file.path for file in state.files if file.id.startswith(f"{file.loop}.")}
    then = {file.path for file in state.files} - generated
    if state.files and now != then:
        changes = [f"{path} is new" for path in sorted(now - then)]
        changes += [f"{path} is gone" for path in sorted(then - now)]
        raise CannotResume(
            f"the directory has other files than when the run began: {', '.join(changes)}. "
            "Put them back, or start a new run."
        )
    return lambda: kept.pop() if kept else read_anew()


def _policy(path: Path | None, segment: int) -> tuple[Input, ...]:
    """The policy given by a flag, as an input. Errors: `WorkflowError`."""
    if path is None:
        return ()
    from executor.runtime import policy_file  # only who gives a policy pays for it

    return (policy_file.given(path, segment),)


def _faults(given: Sequence[Fault]) -> Faults | None:
    """The faults given by flags. Each that strikes is told on stderr: stdout is for events."""
    if not given:
        return None
    from executor.local.faults import Faults, Fired  # only for those who rehearse
    from executor.local.faultspec import told

    def tell(fired: Fired) -> None:
        if sys.stderr is not None:  # closed by whoever started us
            print(f"dwx: {told(fired)}", file=sys.stderr, flush=True)

    return Faults(given, tell)


def _token_cache() -> Path | None:
    """Where logins are kept, by the XDG base directory specification."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if given.startswith("/") else Path.home() / ".cache"
    except RuntimeError:  # a user without a home, as in some containers
        return None
    return base / "dwx" / "oauth-tokens.json"


def hello_of(
    verb: str,
    argv: Sequence[str],
    mask: Masker,
    *,
    run_dir: str | None,
    view: View,
    settings: Settings | None,
    answer_with: str | None = None,
) -> Hello:
    hello = Hello(
        protocol=f"dwx/{VERSION}.{MINOR}",
        tool_version=__version__,
        run_dir=run_dir,
        pid=os.getpid(),
        view=view,
        argv=tuple(one[:ARGUMENT_SHOWN] for one in _without_secrets(("dwx", verb, *argv))),
        segment=1,
        answer_with=answer_with,
        settings=settings,
    )
    masked: Hello = mask.masked(hello)
    return masked


def _without_secrets(argv: Sequence[str]) -> list[str]:
    """The command line without the values of flags for secrets, also where it is mistyped."""
    shown = list(argv)
    for place, value in secret_values(argv):
        shown[place] = shown[place].removesuffix(value) + MASK
    return shown


# --- the machine, before the runner is there --------------------------------------------------


def first(run: str, hello: Hello, record: Record) -> State:
    """Emits `hello` where there is no run directory."""
    at = datetime.now(UTC)
    entry = Entry(v=VERSION, run=run, seq=1, ts=timestamp(at), event=hello)
    record.append(entry, durable=False)
    return begun(run, hello, at)


def begun(run: str, hello: Hello, at: datetime) -> State:
    """The state after `hello`, which has been emitted already, as the machine would have."""
    from executor.core.inputs import Begun
    from executor.core.machine import step
    from executor.core.state import State

    return step(State(run), Begun(hello), at)[0]


def end(state: State, last: Input, record: Record, mask: Masker) -> int:
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
