"""`dwx replay`: shows a recorded run as text, or verifies its log against the machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from executor.cli.parser import Parser
from protocol.exit_codes import MISMATCH, SUCCEEDED, USAGE
from protocol.hello import Entry


def main(argv: Sequence[str]) -> int:
    flags = Parser(prog="dwx replay", description=__doc__)
    flags.add_argument("log", metavar="LOG", type=Path, help="events.jsonl, or its run directory")
    flags.add_argument(
        "--verify",
        action="store_true",
        help=f"run the machine against the log: silence and exit 0, or where they differ and exit "
        f"{MISMATCH}",
    )
    args = flags.parse_args(argv)
    from protocol.log import ArtifactDamaged, LogDamaged

    log: Path = args.log / "events.jsonl" if args.log.is_dir() else args.log
    try:
        return _verify(log) if args.verify else _show(log)
    except (LogDamaged, ArtifactDamaged) as exc:
        print(f"dwx replay: {exc}", file=sys.stderr)
        return MISMATCH
    except BrokenPipeError:
        raise  # whoever reads has seen enough
    except OSError as exc:
        print(f"dwx replay: {log} cannot be read: {exc.strerror or exc}", file=sys.stderr)
        return USAGE


def _show(log: Path) -> int:
    from executor.views.text import lines_of
    from protocol.log import classify, read_entries

    for entry in read_entries(log):
        for line in lines_of(entry):
            print(line)
    verdict = classify(log, alive=None)
    if verdict.state not in ("complete", "suspended"):
        print(f"! The log is {verdict.state}: {verdict.detail}")
        for name in (*verdict.open_files, *verdict.open_statements, *verdict.open_prompts):
            print(f"! Open when it ended: {name}")
    return SUCCEEDED


def _verify(log: Path) -> int:
    from executor.replay.verify import verify
    from protocol.log import classify

    for mismatch in verify(_whole(log)):
        print(f"file:     {log}")
        print(f"seq:      {mismatch.seq}")
        if mismatch.field is not None:
            print(f"field:    {mismatch.field}")
        print(f"expected: {json.dumps(mismatch.expected, sort_keys=True)}")
        print(f"actual:   {json.dumps(mismatch.actual, sort_keys=True)}")
        return MISMATCH
    verdict = classify(log, alive=None)
    if verdict.state not in ("complete", "suspended"):
        print(f"dwx replay: right as far as it goes; {verdict.detail}", file=sys.stderr)
    return SUCCEEDED


def _whole(log: Path) -> Iterator[Entry]:
    from protocol.log import read_entries, resolve

    for entry in read_entries(log):
        yield resolve(entry, log.parent)
