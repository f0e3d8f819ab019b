"""The pre-flight: checks before anything is executed, and what follows from them.

    SessionOpened -> Preflight wanted -> Examined ... -> PreflightEnded -> work, or a prompt

Each check is an input of its own, so each `check` event stands for itself in the log. Those of the
way to the warehouse come earlier, while the session is being opened. A check that failed and is
grave opens a prompt, and nothing is executed until it is settled; `retry` reads the files again and
makes all checks anew. A resume finds the prompt open and, if it has no answer, does the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from executor.core import answers, ending, prompts
from executor.core.checks import STOPPING, counts, in_words
from executor.core.effects import Preflight
from executor.core.failures import readable
from executor.core.inputs import Examined, PreflightEnded, Refused
from executor.core.state import Asking, Preflighting, PreflightQuestion, Ready
from executor.core.turn import Turn
from protocol.events import Check, CheckStatus, Choice, ErrorRecord, PreflightFinished

_RETRY = Choice(choice="retry", effect="read the files again and make the checks again", safe=True)
_SKIP = Choice(
    choice="skip",
    effect="mark the files of these checks failed, skip the files that need them, run the rest",
    safe=True,
)
_CONTINUE = Choice(choice="continue", effect="run all the same", safe=True)
_ABORT = Choice(choice="abort", effect="stop the run", safe=True)

OBSERVED_BYTES = 2_000
"""Longest observation that is told, in bytes of UTF-8."""


def begin(turn: Turn) -> None:
    """There is a session and nothing has been executed: make the checks, if they are wanted."""
    turn.set(phase=Ready(), checked={})
    if turn.state.stop is None and turn.state.settings.preflight != "off":
        turn.set(phase=Preflighting())
        turn.want(Preflight())


def examined(turn: Turn, given: Examined) -> None:
    """A check was made: of the pre-flight, or of the way to the warehouse."""
    # shortened only now that it has been masked: who masks half a secret?
    check = replace(given.check, observed=readable(given.check.observed or "", OBSERVED_BYTES))
    found = {check.name: check}
    if isinstance(turn.state.phase, Preflighting):
        turn.set(checked={**turn.state.checked, **found})
    else:
        turn.set(reached={**turn.state.reached, **found})
    turn.emit(check)


def ended(turn: Turn, given: PreflightEnded) -> None:
    """All checks have been made."""
    checks = (*turn.state.reached.values(), *turn.state.checked.values())
    turn.emit(PreflightFinished(checks=counts(checks), elapsed_ms=given.elapsed_ms))
    turn.spent(checks_ms=given.elapsed_ms)
    turn.set(phase=Ready())
    if turn.state.stop is not None:
        return
    if turn.state.settings.preflight == "only":
        grave = _grave(checks, ("failed", "unknown"))
        ending.flaw(turn, unfinished=bool(grave))
        ending.close(turn, error=_error(grave) if grave else None)
    elif grave := _grave(checks, ("failed",)):
        more = f" and {len(grave) - 1} more" if len(grave) > 1 else ""
        title = f"checks before the run failed: {grave[0].name}{more}"
        files = tuple(dict.fromkeys(file for one in grave for file in one.files))
        error = _error(grave)
        if len(files) == 1:
            error = replace(error, file=turn.state.file(files[0]).path)
        _ask(turn, title, error, (_RETRY, _SKIP, _CONTINUE, _ABORT), files)


def unreadable(turn: Turn, given: Refused) -> None:
    """The files could not be read again."""
    if turn.state.stop is None:
        _ask(turn, "the files cannot be read again", given.error, (_RETRY, _ABORT))
    else:
        turn.set(phase=Ready())


def go_on(turn: Turn, asking: Asking) -> None:
    """The run is resumed while it asks: an answer that waits settles it, else look again."""
    prompts.wait(turn, asking)
    if turn.state.phase == asking:
        prompts.supersede(turn, asking)
        begin(turn)


def _grave(checks: Sequence[Check], statuses: Sequence[CheckStatus]) -> list[Check]:
    return [one for one in checks if one.severity in STOPPING and one.status in statuses]


def _error(grave: Sequence[Check]) -> ErrorRecord:
    return ErrorRecord(
        class_="DWX_PREFLIGHT_FAILED",
        category="preflight",
        severity="critical",
        retryable=True,
        message=in_words(f"{one.name}: {one.observed}" for one in grave),
        suggestion="Make what is missing, or correct the files, then check again.",
        fingerprint=f"preflight:{grave[0].name}",
    )


def _ask(
    turn: Turn,
    title: str,
    error: ErrorRecord,
    choices: tuple[Choice, ...],
    files: tuple[str, ...] = (),
) -> None:
    """`files`: those that the checks which failed are about."""
    wording = prompts.Wording(
        title=title,
        evidence="nothing has been executed",
        error=error,
        file=files[0] if len(files) == 1 else None,
        dependents=answers.dependents(turn.state, files),
    )
    prompts.ask(turn, PreflightQuestion(error, files), wording, choices)
