"""`dwx wait`: waits until a run needs attention or is over; the exit code mirrors its state.

0 finished well, otherwise the code the finished run has; 5 an answer is needed; 23 crashed or
stalled; 75 still running when the time was up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from executor.cli.looking import Subject, flags, looking, print_json
from executor.cli.parser import duration_ms
from executor.runtime.look import POLL_SECONDS
from executor.views.summary import one_line

UNTIL = {
    "attention": ("waiting", "suspended", "finished", "crashed", "stalled"),
    "finished": ("suspended", "finished", "crashed"),
}
"""States that end the wait. A suspended or crashed run goes on only if somebody resumes it."""


def main(argv: Sequence[str]) -> int:
    parser = flags("wait", __doc__)
    parser.add_argument(
        "--until",
        choices=tuple(UNTIL),
        default="attention",
        help="attention: also when an answer is needed; finished: only when it is over",
    )
    parser.add_argument(
        "--timeout",
        type=duration_ms,
        metavar="TIME",
        help="seconds, or 15m; default: no limit",
    )
    args = parser.parse_args(argv)

    def act() -> int:
        subject = Subject(args, args.run, starting=True)
        limit = time.monotonic() + args.timeout / 1000 if args.timeout is not None else None
        subject.look.refresh()
        while subject.look.state not in UNTIL[args.until]:
            left = limit - time.monotonic() if limit is not None else POLL_SECONDS
            if left <= 0:
                break
            time.sleep(min(POLL_SECONDS, left))
            subject.look.refresh()
        status = subject.summary()
        if args.json:
            print_json(status)
        else:
            print(f"{one_line(status)}; next: {status['next']}")
        return subject.exit_code()

    return looking("wait", args, act)
