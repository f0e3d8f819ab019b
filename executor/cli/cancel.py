"""`dwx cancel`: stops a run in good order and waits for its verdict.

Exits 0 if the run stops, 20 if it is over already, 21 if nobody runs it now and it will stop as
soon as it is resumed, 22 if there was no verdict in time.
"""

from __future__ import annotations

from collections.abc import Sequence

from executor.cli.giving import give
from executor.cli.looking import flags
from executor.cli.parser import duration_ms


def main(argv: Sequence[str]) -> int:
    parser = flags("cancel", __doc__)
    parser.add_argument(
        "--mode",
        choices=("after_statement", "now"),
        default="now",
        help="let the statement under way finish, or cancel it on the server (default)",
    )
    parser.add_argument("--reason", metavar="TEXT", help="why")
    parser.add_argument("--by", metavar="NAME", help="who cancels")
    parser.add_argument("--id", metavar="ID", help="makes giving the same order again harmless")
    parser.add_argument(
        "--timeout", type=duration_ms, default=30_000, metavar="TIME", help="default: 30s"
    )
    args = parser.parse_args(argv)
    decision = {"type": "cancel", "mode": args.mode, "id": args.id}
    decision |= {"by": args.by, "reason": args.reason}
    return give("cancel", args, args.run, decision)
