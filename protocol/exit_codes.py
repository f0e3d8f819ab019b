"""The exit codes of `dwx`: part of the contract, and the only table of them.

When several apply, `URGENCY` says which one is told: what the caller must know first.
"""

from __future__ import annotations

from typing import Final

SUCCEEDED: Final = 0
INTERNAL: Final = 1
USAGE: Final = 2
FAILED: Final = 3
INCOMPLETE: Final = 4
SUSPENDED: Final = 5
CANCELLED: Final = 6
NEVER_CONNECTED: Final = 7
NOT_CONVERGED: Final = 8
UNKNOWN_WRITE: Final = 9
MISMATCH: Final = 10
RECORD_BROKEN: Final = 11
RUN_EXISTS: Final = 12

# of the verbs that look at a run or answer it; no run ends with them
REJECTED: Final = 20
KEPT: Final = 21
NO_VERDICT: Final = 22
LOST: Final = 23
STILL_RUNNING: Final = 75

URGENCY: Final = (
    UNKNOWN_WRITE, RECORD_BROKEN, INTERNAL, CANCELLED, FAILED, NOT_CONVERGED, INCOMPLETE, SUCCEEDED,
)  # fmt: skip

MEANING: Final = {
    SUCCEEDED: "succeeded",
    INTERNAL: "internal error: a defect of dwx",
    USAGE: "usage or configuration is wrong; nothing was executed",
    FAILED: "failed, or aborted after an error",
    INCOMPLETE: "finished, but with failed or skipped files, a loop published without "
    "convergence, or checks that did not pass; dwx check: a grave check failed or could not be "
    "made",
    SUSPENDED: "suspended: an answer is required",
    CANCELLED: "cancelled",
    NEVER_CONNECTED: "never connected",
    NOT_CONVERGED: "a loop did not converge",
    UNKNOWN_WRITE: "the outcome of a write is unknown: do not blindly run again",
    MISMATCH: "replay or diff found a mismatch",
    RECORD_BROKEN: "the run's record could not be written",
    RUN_EXISTS: "a run with this key exists",
    REJECTED: "the decision was rejected: it had no effect",
    KEPT: "nobody runs the run now: the decision is kept for its resume",
    NO_VERDICT: "no verdict yet: the decision waits in the inbox",
    LOST: "the run ended without a last line, or fell silent: crashed or stalled",
    STILL_RUNNING: "still running when the time was up",
}
