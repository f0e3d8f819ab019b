"""`dwx watch`: one short line per event that matters, each with its seq, until the run is over.

The exit code mirrors the run's state, as that of `dwx wait` does.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from executor.cli.looking import Subject, flags, looking
from executor.cli.parser import UsageError, duration_ms
from executor.runtime.look import POLL_SECONDS
from executor.views.brief import line_of
from executor.views.status import parsed

OVER = ("suspended", "finished", "crashed")


def main(argv: Sequence[str]) -> int:
    parser = flags("watch", __doc__)
    parser.add_argument("--after", default="0", metavar="SEQ", help="the last seq already seen")
    parser.add_argument(
        "--timeout", type=duration_ms, metavar="TIME", help="stop after so long; default: never"
    )
    args = parser.parse_args(argv)
    if not args.after.isdecimal():
        raise UsageError(f"{args.after!r} is no seq; it is a whole number from 0 on")
    after = int(args.after)

    def act() -> int:
        subject = Subject(args, args.run, starting=True)
        live = sys.stdout.isatty()

        def show(line: bytes) -> None:
            event = parsed(line)
            seq = event.get("seq")
            if not isinstance(seq, int) or seq <= after:
                return
            told = line_of(event, subject.command, live=live)
            if told is not None:
                shown = json.dumps(event, separators=(",", ":")) if args.json else f"{seq} {told}"
                print(shown, flush=True)

        limit = time.monotonic() + args.timeout / 1000 if args.timeout is not None else None
        stalled = False
        subject.look.refresh(show)
        while (state := subject.look.state) not in OVER:
            if (state == "stalled") != stalled:
                stalled = not stalled
                told = "silent for too long: stalled" if stalled else "goes on"
                if not args.json:
                    print(f"{subject.look.run} {told}", flush=True)
            if limit is not None and time.monotonic() >= limit:
                break
            time.sleep(POLL_SECONDS)
            subject.look.refresh(show)
        if state == "crashed" and not args.json:
            print(f"{subject.look.run} crashed: its process is gone, the last line missing")
        if not args.json:
            print(f"next: {subject.summary()['next']}")
        return subject.exit_code()

    return looking("watch", args, act)
