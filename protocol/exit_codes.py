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

URGENCY: Final = (
    UNKNOWN_WRITE, RECORD_BROKEN, INTERNAL, CANCELLED, FAILED, NOT_CONVERGED, INCOMPLETE, SUCCEEDED,
)  # fmt: skip

MEANING: Final = {
    SUCCEEDED: "succeeded",
    INTERNAL: "internal error: a defect of dwx",
    USAGE: "usage or configuration is wrong; nothing was executed",
    FAILED: "failed, or aborted after an error",
    INCOMPLETE: "finished, but with failed or skipped files, failed checks, or a loop published "
    "without convergence",
    SUSPENDED: "suspended: an answer is required",
    CANCELLED: "cancelled",
    NEVER_CONNECTED: "never connected",
    NOT_CONVERGED: "a loop did not converge",
    UNKNOWN_WRITE: "the outcome of a write is unknown: do not blindly run again",
    MISMATCH: "replay or diff found a mismatch",
    RECORD_BROKEN: "the run's record could not be written",
    RUN_EXISTS: "a run with this key exists",
}
