"""`dwx resume`: goes on with a run that was suspended, or whose process died.

The flags of the run are those it was started with; whatever is given here is added to them, except
for --fault: only what is given here goes wrong. The token comes from where it came then, because no
record holds it.
"""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from executor.cli.parser import Parser, UsageError
from executor.cli.process import (
    ARGUMENT_SHOWN,
    CannotResume,
    Interrupted,
    Process,
    detach,
    keep_signals,
    take_secrets,
)
from executor.cli.run import add_flags
from executor.cli.run import parser as run_parser
from executor.cli.stdout import stdout_of
from executor.runtime.find import RunNotFound, find, run_root
from executor.runtime.rundir import RunDirectory, is_alive
from executor.runtime.stdio import STDIN, STDOUT, fill_closed_descriptors, own_stdout
from protocol.exit_codes import USAGE


def main(argv: Sequence[str]) -> int:
    """Runs the verb. Ends the process itself, as `dwx run` does."""
    given = parser().parse_args(argv)
    early_signals = keep_signals()
    try:
        path = find(run_root(getattr(given, "run_root", None)), given.run)
        log, begun_with = _read(path)
    except (RunNotFound, CannotResume) as exc:
        raise UsageError(str(exc)) from exc
    args = _merged(run_parser().parse_args(begun_with), given)
    token, detached = take_secrets(args, argv)
    closed = fill_closed_descriptors()
    to_person = STDOUT not in closed and os.isatty(STDOUT)
    wire = own_stdout()
    if detached:
        os._exit(detach("resume", argv, wire, args))
    stdout = stdout_of("resume", args, to_person=to_person)
    process = Process(
        args, argv, wire, token, shown=STDOUT not in closed, verb="resume", stdout=stdout
    )
    directory = RunDirectory(log.folding.state.run, path)
    try:
        code = process.resume(directory, log, early_signals, read_stdin=STDIN not in closed)
    except (CannotResume, OSError) as exc:
        process.close()
        print(f"dwx resume: {exc}", file=sys.stderr)
        code = USAGE
    if sys.stderr is not None:  # closed by whoever started us
        sys.stderr.flush()
    os._exit(code)


def parser() -> Parser:
    """The flags of `dwx resume`: those of `dwx run`, and what is not given is not there."""
    flags = Parser(prog="dwx resume", description=__doc__)
    flags.add_argument("run", metavar="RUN", nargs="?", help="id, prefix or directory of the run")
    add_flags(flags)
    for action in flags._actions:
        if action.dest not in ("run", "help"):
            action.default = SUPPRESS
    return flags


def _merged(begun: Namespace, given: Namespace) -> Namespace:
    """The flags the run was started with, and over them what is given now."""
    # a policy given before is in the record; what went wrong before has gone wrong; and whether a
    # process is detached, or speaks JSON to a terminal, is said of each anew
    afresh: dict[str, Any] = {"policy": None, "fault": [], "detach": False, "json": False}
    merged = Namespace(**{**vars(begun), **afresh, **vars(given)})
    merged.var = [*begun.var, *getattr(given, "var", [])]
    return merged


def _read(path: Path) -> tuple[Interrupted, list[str]]:
    """The log, folded, and the flags the run was started with. Errors: `CannotResume`."""
    if is_alive(path):
        raise CannotResume(f"{path.name} is still running")
    from executor.core.state import Ended
    from executor.replay.verify import Folding
    from protocol.base import Cut
    from protocol.hello import Hello
    from protocol.log import ArtifactDamaged, LogDamaged, LogReader, resolve

    reader = LogReader(path / "events.jsonl")
    folding: Folding | None = None
    segments = 0
    begun_with: list[str] = []
    try:
        for entry in reader:
            folding = folding or Folding(entry.run)
            whole = resolve(entry, path)
            mismatch = folding.take(whole)
            if mismatch is not None:
                raise CannotResume(
                    f"the log is not what the machine would have written (entry {mismatch.seq}): "
                    f"see dwx replay --verify {path}"
                )
            if isinstance(whole.event, Hello):
                segments += 1
                argv = () if isinstance(whole.event.argv, Cut) else whole.event.argv
                begun_with = _without_masked(argv[2:]) if segments == 1 else begun_with
    except (LogDamaged, ArtifactDamaged) as exc:
        raise CannotResume(str(exc)) from exc
    if folding is None:
        raise CannotResume(f"{path} has no complete line: start the run anew")
    hello = folding.state.hello
    if hello is not None and hello.settings is not None and hello.settings.preflight == "only":
        raise CannotResume(f"{path.name} was a check, which writes nothing: make it anew")
    phase = folding.state.phase
    if isinstance(phase, Ended) and phase.asking is None:
        raise CannotResume(f"{path.name} is finished: dwx replay {path} shows it")
    return Interrupted(folding, segments, reader.sound_bytes), begun_with


def _is_token(argument: str) -> bool:
    name, equals, value = argument.partition("=")
    return bool(equals) and value == "***" and "--access-token".startswith(name)


def _without_masked(argv: Sequence[str]) -> list[str]:
    """The flags without those whose value was masked: the token has to come from elsewhere."""
    kept: list[str] = []
    for one in argv:
        if len(one) >= ARGUMENT_SHOWN or ("***" in one and one != "***" and not _is_token(one)):
            name = one.partition("=")[0][:80]
            raise CannotResume(
                f"the record does not hold the whole of {name!r} (masked, or too long), and "
                "without it other SQL would run: start the run anew"
            )
        if one == "***" and kept:
            kept.pop()
        elif not one.endswith("=***"):
            kept.append(one)
    return _without_descriptor(kept)


def _without_descriptor(argv: Sequence[str]) -> list[str]:
    """The flags without --token-fd: what that process was given is not open in this one."""
    kept: list[str] = []
    flag = False
    for one in argv:
        name, equals, _ = one.partition("=")
        is_number, flag = flag, False
        if len(name) > len("--t") and "--token-fd".startswith(name):
            flag = not equals
        elif not is_number:
            kept.append(one)
    return kept
