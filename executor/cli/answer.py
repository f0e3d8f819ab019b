"""`dwx answer`: answers a prompt of a run and waits for the verdict.

Exits 0 if the run took the answer, 20 if it was rejected, 21 if nobody runs the run now and the
answer is kept for its resume, 22 if there was no verdict in time (the answer stays in the inbox).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from executor.cli.giving import give
from executor.cli.looking import flags
from executor.cli.parser import UsageError, duration_ms, positive


def main(argv: Sequence[str]) -> int:
    parser = flags("answer", __doc__, run=False)
    parser.usage = "dwx answer [RUN] PROMPT CHOICE [OPTIONS]"
    parser.add_argument(
        "words", nargs="+", metavar="[RUN] PROMPT CHOICE", help="such as: r-7k2m9q p1 retry"
    )
    parser.add_argument("--reason", metavar="TEXT", help="why; kept in the record")
    parser.add_argument("--by", metavar="NAME", help="who decides")
    parser.add_argument("--iterations", type=positive, metavar="N", help="with extend")
    parser.add_argument(
        "--remember",
        action="store_true",
        help="the same answer to the same error for the rest of the run",
    )
    parser.add_argument(
        "--digest", metavar="D", help="the prompt's digest: refuses a question that has changed"
    )
    parser.add_argument("--id", metavar="ID", help="makes giving the same answer again harmless")
    parser.add_argument(
        "--timeout", type=duration_ms, default=30_000, metavar="TIME", help="default: 30s"
    )
    args = parser.parse_args(argv)
    if len(args.words) not in (2, 3):
        raise UsageError("give PROMPT CHOICE, or RUN PROMPT CHOICE")
    wanted = args.words[0] if len(args.words) == 3 else None
    prompt, choice = args.words[-2:]
    decision: dict[str, Any] = {"type": "decide", "prompt": prompt, "choice": choice, "id": args.id}
    decision |= {"by": args.by, "reason": args.reason, "digest": args.digest}
    if args.iterations is not None:
        decision["params"] = {"iterations": args.iterations}
    if args.remember:
        decision["remember"] = "fingerprint"
    return give("answer", args, wanted, decision)
