"""How a run ends: closing the session, the exit code, and the last line.

Several things may have gone wrong in one run; the exit code tells the one the caller must know
first. An unknown write comes before everything: whoever starts again blindly may write twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from executor.core import checks, findings
from executor.core.effects import CloseSession, Finish
from executor.core.state import Asking, Closing, Ended, State
from executor.core.turn import Turn
from protocol import exit_codes
from protocol.events import (
    ErrorRecord,
    FileCounts,
    LoopResult,
    PromptCounts,
    RunFinished,
    RunOutcome,
    RunSuspended,
    SlowStatement,
    StatementCounts,
    TableRows,
    TimeSpent,
)
from protocol.exit_codes import (
    CANCELLED,
    FAILED,
    INCOMPLETE,
    INTERNAL,
    NOT_CONVERGED,
    RECORD_BROKEN,
    SUCCEEDED,
    SUSPENDED,
    UNKNOWN_WRITE,
    URGENCY,
)

OUTCOMES: dict[int, RunOutcome] = {
    SUCCEEDED: "succeeded",
    INCOMPLETE: "incomplete",
    CANCELLED: "cancelled",
}
"""Every other code is a run that failed."""

NO_ANSWER = "no answer before the deadline"
"""Why a run is suspended if nothing else is said."""


def flaw(turn: Turn, **flaws: Any) -> None:
    """Notes what an untroubled run does not have."""
    turn.set(flaws=replace(turn.state.flaws, **flaws))


def close(
    turn: Turn,
    *,
    suspended: bool = False,
    error: ErrorRecord | None = None,
    reason: str = NO_ANSWER,
) -> None:
    """Ends the run, or this process's part of it, once the session is closed.

    `reason`: why it is suspended, if it is.
    """
    phase = turn.state.phase
    asking = phase if suspended and isinstance(phase, Asking) else None
    said = reason if suspended else ""
    turn.set(phase=Closing(suspended=suspended, error=error, reason=said, asking=asking))
    if turn.state.connected:
        turn.want(CloseSession())
    elif suspended:
        suspend_line(turn, reason, asking)
    else:
        finish(turn, exit_code(turn.state), error)


def suspend_line(turn: Turn, reason: str, asking: Asking | None) -> None:
    """Writes `run_suspended`: the open prompts stay open."""
    state = turn.state
    open_prompts = tuple(
        f"p{number}" for number in range(1, state.asked + 1) if f"p{number}" not in state.settled
    )
    turn.emit(
        RunSuspended(
            reason=reason,
            open_prompts=open_prompts,
            resume_with=state.command("resume"),
            events=state.seq + 1,
            digest=state.digest.hex(),
        ),
        durable=True,
    )
    turn.set(phase=Ended(SUSPENDED, asking))
    turn.want(Finish(SUSPENDED))


def finish(turn: Turn, code: int, error: ErrorRecord | None) -> None:
    """Writes `run_finished` and stops."""
    state = turn.state
    made = (*state.reached.values(), *state.checked.values(), *state.validated.values())
    turn.emit(
        RunFinished(
            outcome=OUTCOMES.get(code, "failed"),
            exit_code=code,
            error=error,
            files=file_counts(state),
            statements=StatementCounts(
                succeeded=state.counts.succeeded,
                failed=state.counts.failed,
                cancelled=state.counts.cancelled,
                unknown=state.counts.unknown,
            ),
            loops=loop_results(state),
            tables=tuple(TableRows(name=name, rows=rows) for name, rows in state.tables.items()),
            rows=rows_affected(state),
            coverage=findings.coverage(state),
            clusters=findings.clusters(state),
            checks=checks.counts(made) if made else None,
            failed_checks=tuple(one.name for one in findings.worth_naming(made)),
            prompts=PromptCounts(asked=state.asked, resolved=len(state.settled)),
            elapsed_ms=turn.since(state.began),
            times=TimeSpent(**state.spent),
            slowest=tuple(
                SlowStatement(statement=slow.statement, path=slow.path, elapsed_ms=slow.elapsed_ms)
                for slow in state.slowest
            ),
            next=advice(state, code),
            events=state.seq + 1,
            digest=state.digest.hex() or None,
        ),
        durable=True,
    )
    turn.set(phase=Ended(code))
    turn.want(Finish(code))


def exit_code(state: State) -> int:
    """The exit code of a run that has come this far."""
    flaws = state.flaws
    applying = {
        UNKNOWN_WRITE: flaws.unknown_write,
        RECORD_BROKEN: flaws.record_broken,
        INTERNAL: flaws.internal,
        CANCELLED: flaws.cancelled,
        FAILED: flaws.aborted,
        NOT_CONVERGED: flaws.loop_aborted,
        INCOMPLETE: flaws.unfinished or bool(findings.decisive(state)),
        SUCCEEDED: True,
    }
    return next(code for code in URGENCY if applying[code])


def file_counts(state: State) -> FileCounts:
    """How many files ended how; those the run never came to count only in `total`."""
    statuses = [progress.status for progress in state.progress.values()]
    return FileCounts(
        completed=statuses.count("completed"),
        failed=statuses.count("failed"),
        skipped=statuses.count("skipped"),
        not_needed=statuses.count("not_needed"),
        total=len(state.files),
    )


def rows_affected(state: State) -> int | None:
    """Rows affected by all statements of files that said so; `None` if none did."""
    known = [progress.rows for progress in state.progress.values() if progress.rows is not None]
    return sum(known) if known else None


def loop_results(state: State) -> tuple[LoopResult, ...]:
    """The results of settled loops, then those that were begun and not settled."""
    settled = {result.loop for result in state.loop_results}
    begun = tuple(
        LoopResult(
            loop=loop.id,
            iterations=state.loop_progress[loop.id].iteration,
            outcome="not_converged" if state.flaws.loop_aborted else "unfinished",
        )
        for loop in state.loops
        if loop.id in state.loop_progress
        and loop.id not in settled
        and state.loop_progress[loop.id].stage != "pending"
    )
    return state.loop_results + begun


def _only_accepted(state: State) -> bool:
    """Whether nothing else is amiss than that a loop was published as it was."""
    endings = {progress.status for progress in state.progress.values()}
    accepted = any(progress.accepted for progress in state.loop_progress.values())
    return accepted and not endings & {"failed", "skipped"}


def advice(state: State, code: int) -> tuple[str, ...]:
    """What to do next, most useful first."""
    settings = state.hello.settings if state.hello is not None else None
    only_checked = settings is not None and settings.preflight == "only"
    match code:
        case exit_codes.SUCCEEDED if only_checked:
            return ("Nothing stands in the way of dwx run with the same flags.",)
        case exit_codes.INCOMPLETE if only_checked:
            return ("Put right what the error names, then check again: nothing was executed.",)
        case exit_codes.SUCCEEDED:
            return (f"Nothing has to be done. {state.command('report')} tells all of it.",)
        case exit_codes.USAGE:
            return ("Correct what the error names, then run again: nothing was executed.",)
        case exit_codes.FAILED:
            return (
                "Repair the statement named in the error, then run again.",
                "Tables written before the failure are listed in `tables`.",
            )
        case exit_codes.INCOMPLETE if findings.decisive(state):
            return (
                "Look at the checks that did not pass before anybody uses the tables they are "
                f"about: {state.command('report')}",
            )
        case exit_codes.INCOMPLETE if _only_accepted(state):
            return (
                "A loop was published though it has not converged: look at what is left to merge, "
                f"in {state.command('report')}.",
            )
        case exit_codes.INCOMPLETE:
            return ("Look at the failed and skipped files; the tables they write are not current.",)
        case exit_codes.RUN_EXISTS:
            return (state.command("status"),)
        case exit_codes.CANCELLED:
            return ("Run again when ready: the files that completed are listed in the record.",)
        case exit_codes.NEVER_CONNECTED:
            return ("Correct what the error names, then run again: nothing was executed.",)
        case exit_codes.NOT_CONVERGED:
            return (
                "Look at the loop's last iterations, and why it did not converge "
                f"({state.command('report')}); a higher --max-iterations helps where the limit "
                "was the reason.",
            )
        case exit_codes.UNKNOWN_WRITE:
            return (
                "Do not run again blindly: find out whether the statement whose outcome is "
                "unknown has committed (DESCRIBE HISTORY of its target).",
            )
        case exit_codes.RECORD_BROKEN:
            return (
                "Do what the error suggests; the record is whole up to where it stopped: "
                f"{state.command('resume')} goes on from there.",
            )
        case _:
            return ("Report this with the run directory: it is a defect of dwx.",)
