"""What the checks of a run add up to: whether it has succeeded, coverage, sizes of clusters.

Severity decides. What is `fatal` or `critical` counts if it failed, and also if it could not be
evaluated: nobody can say then that all is well. What is `moderate` counts if it failed. A `warning`
never counts. With `--checks warn` nothing does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from executor.core.checks import STOPPING, in_words
from executor.core.state import State
from protocol.events import Check, ErrorRecord, PlannedCheck


def grave(checks: Iterable[Check]) -> list[Check]:
    """Those because of which nothing should go on as if all were well, the gravest first."""
    return [one for one in not_passed(checks) if one.severity in STOPPING]


def decisive(state: State) -> list[Check]:
    """The checks because of which a run has not simply succeeded, the gravest first."""
    if state.settings.checks != "fail":
        return []
    return [
        one
        for one in not_passed(state.validated.values())
        if one.severity in STOPPING or (one.severity == "moderate" and one.status == "failed")
    ]


def not_passed(checks: Iterable[Check]) -> list[Check]:
    """Those that failed or could not be evaluated, the gravest first."""
    order = ("fatal", "critical", "moderate", "warning")
    found = [one for one in checks if one.status in ("failed", "unknown")]
    return sorted(found, key=lambda one: (order.index(one.severity), one.status == "unknown"))


def worth_naming(checks: Iterable[Check]) -> list[Check]:
    """Those that did not pass, but for what a pre-flight could not find out and need not know."""
    return [
        one
        for one in not_passed(checks)
        if (one.phase, one.status, one.severity) != ("preflight", "unknown", "warning")
    ]


def coverage(state: State) -> dict[str, float] | None:
    """By table, the share that its check has measured, from 0 to 1."""
    shares: dict[str, float] = {}
    for check, measured in _measured(state):
        if check.share and check.table is not None:
            part, whole = (measured.get(name) for name in check.share)
            if part is not None and whole:
                shares[check.table] = round(part / whole, 6)
    return shares or None


def clusters(state: State) -> dict[str, int] | None:
    """How large clusters are, as the check that tells has measured."""
    for check, measured in _measured(state):
        if check.sizes:
            return measured
    return None


def _measured(state: State) -> Iterable[tuple[PlannedCheck, dict[str, int]]]:
    for check in state.checks:
        made = state.validated.get(check.name)
        if made is not None and made.measured:
            yield check, dict(made.measured)


def error_of(state: State) -> ErrorRecord | None:
    """Why a run that has come to its end has not succeeded, where checks say so."""
    found = decisive(state)
    if not found:
        return None
    suggestion = "Look at the tables that these checks are about before anybody uses them."
    return check_error(found, suggestion, f"checks:{found[0].name}")


def check_error(found: Sequence[Check], suggestion: str, fingerprint: str) -> ErrorRecord:
    """The error of checks that did not pass, the gravest first."""
    return ErrorRecord(
        class_="DWX_CHECK_FAILED",
        category="quality",
        severity=found[0].severity,
        retryable=True,
        message=in_words(f"{one.name}: {one.observed}, expected {one.expected}" for one in found),
        suggestion=suggestion,
        fingerprint=fingerprint,
    )
