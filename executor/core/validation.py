"""Checks of what a run has made: before a loop's result is published, and when all files are done.

    Validating: MakeChecks wanted -> Examined ... -> ChecksEnded -> on, or a prompt

They are queries that change nothing, so they are made side by side where sessions allow it, need no
place in the log before they are sent, and are simply made again by a run that is resumed. Each is
an input of its own (`judging` has judged it), so each `check` event stands for itself.

A grave one that fails before a result is published is a question: production tables are still as
they were. At the end there is nothing left to stop; what failed decides the exit code.
"""

from __future__ import annotations

from dataclasses import replace

from executor.core import findings, prompts
from executor.core.checks import counts
from executor.core.effects import MakeChecks
from executor.core.failures import readable
from executor.core.inputs import ChecksEnded, Examined
from executor.core.preflight import OBSERVED_BYTES
from executor.core.state import PublishQuestion, Ready, State, Validating
from executor.core.turn import Turn
from executor.workflow.expectations import FRESH
from executor.workflow.names import sql_name, table_name
from protocol.events import (
    Check,
    ChecksFinished,
    Choice,
    PlannedCheck,
    PlannedLoop,
)

RESULT = "{result}"
"""In a check before publishing: the table of the loop's last iteration."""

_CHOICES = (
    Choice(choice="retry", effect="make the checks again, once the tables are right", safe=True),
    Choice(choice="continue", effect="publish it all the same; the checks stay failed", safe=True),
    Choice(choice="abort", effect="stop the run; nothing is published", safe=True),
)


def before_publishing(turn: Turn, loop: PlannedLoop) -> None:
    """The loop is over: check its result, if there are checks of it."""
    iteration = turn.state.loop_progress[loop.id].iteration
    result = sql_name(table_name(loop.table, iteration))
    wanted = [
        replace(check, sql=check.sql.replace(RESULT, result))
        for check in turn.state.checks
        if check.phase == "publish" and check.loop == loop.id
    ]
    if not _begin(turn, Validating("publish", loop.id), wanted):
        turn.loop_progress(loop.id, stage="aliasing")


def at_the_end(turn: Turn) -> None:
    """All files are done: check what they have made."""
    wanted = [check for check in turn.state.checks if check.phase == "final"]
    if not _begin(turn, Validating("final"), wanted):
        turn.set(conclusion="optimizing")


def _begin(turn: Turn, phase: Validating, wanted: list[PlannedCheck]) -> bool:
    state = turn.state
    if not wanted or state.settings.checks == "off":
        return False
    assert state.began is not None
    left_out = {check.name: reason for check in wanted if (reason := _why_not(state, check))}
    turn.set(phase=phase)
    turn.want(
        MakeChecks(
            tuple(wanted), left_out, state.began, state.settings.catalog, state.settings.schema
        )
    )
    return True


def _why_not(state: State, check: PlannedCheck) -> str | None:
    """Why a check says nothing about this run: its tables are those of another."""
    if check.expect == (FRESH,):
        if state.settings.skip_loop and check.table in _left_by_loops(state):
            return "loops are left out: it is what an earlier run has left"
        return None  # an old table is what it is there to find
    for file in check.files:
        if state.progress[file].status in ("failed", "skipped"):
            return f"{state.file(file).path} did not run to its end"
    return None


def _left_by_loops(state: State) -> set[str]:
    """Results of loops, whatever they are called in the end."""
    found = {loop.alias for loop in state.loops if loop.alias is not None}
    for file in state.files:
        for statement in file.statements:
            if statement.renames in found and statement.target is not None:
                found.add(statement.target)
    return found


def examined(turn: Turn, given: Examined) -> None:
    """A check was made."""
    check = replace(given.check, observed=readable(given.check.observed or "", OBSERVED_BYTES))
    turn.set(validated={**turn.state.validated, check.name: check})
    turn.emit(check)


def ended(turn: Turn, given: ChecksEnded) -> None:
    """All checks have been made."""
    phase, state = turn.state.phase, turn.state
    assert isinstance(phase, Validating)
    names = {
        check.name
        for check in state.checks
        if check.phase == phase.what and phase.loop in (None, check.loop)
    }
    made = [check for name, check in state.validated.items() if name in names]
    turn.emit(
        ChecksFinished(
            phase=phase.what, loop=phase.loop, checks=counts(made), elapsed_ms=given.elapsed_ms
        )
    )
    turn.spent(checks_ms=given.elapsed_ms)
    turn.set(phase=Ready())
    if state.stop is not None:
        return
    if phase.loop is None:
        turn.set(conclusion="optimizing")
        return
    grave = findings.grave(made)
    asks = grave and state.settings.checks == "fail"
    if asks and not state.loop_progress[phase.loop].accepted:
        _ask(turn, state.loop(phase.loop), grave)
    else:
        turn.loop_progress(phase.loop, stage="aliasing")


def _ask(turn: Turn, loop: PlannedLoop, grave: list[Check]) -> None:
    more = f" and {len(grave) - 1} more" if len(grave) > 1 else ""
    error = findings.check_error(
        grave,
        "Look at the tables that the loop was made from, and at its last iteration.",
        f"publish:{loop.name}:{grave[0].name}",
    )
    wording = prompts.Wording(
        title=f"the result of {loop.name} is not fit to be published: {grave[0].name}{more}",
        evidence="the tables that others read are as they were",
        error=error,
        loop=loop.id,
    )
    prompts.ask(turn, PublishQuestion(loop.id), wording, _CHOICES)
