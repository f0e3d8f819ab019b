"""`dwx status`: how a run is doing and what to do next, in less than 1 KB."""

from __future__ import annotations

from collections.abc import Sequence

from executor.cli.looking import Subject, flags, looking, print_json
from executor.views.summary import text_of
from protocol.exit_codes import SUCCEEDED


def main(argv: Sequence[str]) -> int:
    args = flags("status", __doc__).parse_args(argv)

    def act() -> int:
        subject = Subject(args, args.run)
        subject.look.refresh()
        status = subject.summary()
        if args.json:
            print_json(status)
        else:
            print(text_of(status))
        return SUCCEEDED

    return looking("status", args, act)
