"""`dwx events`: the record from a cursor on: a header with the next cursor, then lines as recorded.

The header is a line of JSON like the others. `after` is the next cursor, `more` says that lines
were left out only because of --max-bytes, `next` is the command line that goes on from here.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Sequence

from executor.cli.looking import Subject, flags, looking
from executor.cli.parser import duration_ms, positive
from executor.runtime.look import POLL_SECONDS
from executor.views.status import EVENT_TYPES, head_of, parsed
from protocol.errors import shown
from protocol.exit_codes import SUCCEEDED

MAX_BYTES = 4_000
WAIT_SECONDS = "60"


def main(argv: Sequence[str]) -> int:
    parser = flags("events", __doc__)
    parser.add_argument(
        "--after", type=_cursor, default=0, metavar="SEQ", help="the last seq already read"
    )
    parser.add_argument(
        "--max-bytes",
        type=positive,
        default=MAX_BYTES,
        metavar="N",
        help="of lines, header not counted; at least one line is given, which may be 16 KiB",
    )
    parser.add_argument("--types", type=_types, metavar="A,B", help="only events of these types")
    parser.add_argument(
        "--wait", type=duration_ms, default=0, metavar="TIME", help="wait so long for a line"
    )
    args = parser.parse_args(argv)
    types = frozenset(args.types.split(",")) if args.types else None

    def act() -> int:
        subject = Subject(args, args.run)
        page = _Page(args.after, args.max_bytes, types)
        limit = time.monotonic() + args.wait / 1000
        subject.look.refresh(page.take)
        while not page.lines and subject.look.fold.last is None and subject.look.alive:
            left = limit - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(POLL_SECONDS, left))
            subject.look.refresh(page.take)
        following = ["--after", str(page.cursor), *(["--types", args.types] if types else [])]
        if args.max_bytes != MAX_BYTES:
            following += ["--max-bytes", str(args.max_bytes)]
        over = subject.look.fold.last is not None or not subject.look.alive
        if not page.more and not over:
            following += ["--wait", WAIT_SECONDS]
        done = over and not page.more
        header = {
            "run": subject.look.run,
            "state": subject.look.state,
            "lines": len(page.lines),
            "after": page.cursor,
            "more": page.more,
            "next": subject.summary()["next"] if done else subject.command("events", *following),
        }
        sys.stdout.write(json.dumps(header, separators=(",", ":")) + "\n")
        sys.stdout.writelines(line + "\n" for line in page.lines)
        return SUCCEEDED

    return looking("events", args, act)


class _Page:
    """Lines behind a cursor, as many as fit."""

    def __init__(self, after: int, max_bytes: int, types: frozenset[str] | None) -> None:
        self.cursor = after
        self.lines: list[str] = []
        self.more = False
        self._left = max_bytes
        self._types = types

    def take(self, line: bytes) -> None:
        """Takes the next line of the record in, if it belongs here and fits."""
        head = head_of(line) if not self.more else None
        if head is None or head[1] <= self.cursor:
            return
        kind, seq = head
        if self._types is None or kind in self._types:
            if self.lines and len(line) + 1 > self._left:
                self.more = True
                return
            self._left -= len(line) + 1
            self.lines.append(_printable(line))
        self.cursor = seq


def _printable(line: bytes) -> str:
    shown = line.decode("ascii", "replace")
    # the writer escapes everything else; whoever wrote this line did not
    return shown if shown.isascii() and shown.isprintable() else json.dumps(parsed(line))


def _types(text: str) -> str:
    unknown = [one for one in text.split(",") if one not in EVENT_TYPES]
    if unknown:
        known = ", ".join(sorted(EVENT_TYPES))
        raise ArgumentTypeError(f"{shown(unknown[0])} is no type of event; they are {known}")
    return text


def _cursor(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ArgumentTypeError(f"{text!r} is no seq; it is a whole number from 0 on")
    return int(text)
