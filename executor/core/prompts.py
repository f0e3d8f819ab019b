"""Asking, and taking answers: from decisions given in advance, policies, memory, or live.

A prompt is durable state with an id (`p1`, `p2`, ... never reused), settled exactly once. Answers
are tried in this order: a decision that was waiting for it, a policy rule, an answer the caller
asked to be remembered, a live decision, the deadline. An answer that does not fit is rejected with
an event and the prompt stays open. A policy may also suspend the run at once instead of waiting.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, assert_never, cast

from executor.core import answers, ending, policy
from executor.core.effects import CancelRunning, ClearTimer, CloseSession, SetTimer
from executor.core.inputs import DeadlinePassed, Decided, Undecidable
from executor.core.state import (
    Asking,
    Checking,
    Closing,
    Connecting,
    ErrorQuestion,
    Executing,
    FileStatement,
    Inspecting,
    KeptDecision,
    LoopStatement,
    Pausing,
    Planning,
    Policy,
    Preflighting,
    Question,
    Ready,
    RestoreTarget,
    Resuming,
    Settled,
    State,
    Task,
    Validating,
    Weighing,
)
from executor.core.statements import planned_statement
from executor.core.turn import Turn
from executor.workflow.names import table_name
from protocol.base import timestamp
from protocol.decisions import Cancel, Decide, Ping, SetPolicy
from protocol.events import (
    CancelMode,
    CancelRequested,
    Choice,
    ChoiceName,
    DecisionAccepted,
    DecisionRejected,
    Disconnected,
    ErrorPrompt,
    ErrorRecord,
    Outcome,
    PromptResolved,
    RejectionCode,
    Warned,
)

KEEPING = "session kept for an answer"
"""The timer that lets go of the session when an answer takes long."""

SUSPENDING = "SUSPENDING"
"""Code of the warning that says that nobody answered in time."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What a prompt tells, beside its choices."""

    title: str
    evidence: str
    outcome: Outcome = "not_committed"
    error: ErrorRecord | None = None
    file: str | None = None
    statement: str | None = None
    loop: str | None = None
    attempt: int = 1
    already_done: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()


# --- asking -----------------------------------------------------------------------------------


def ask_about_statement(
    turn: Turn,
    task: Task,
    error: ErrorRecord,
    outcome: Outcome,
    evidence: str,
    executing: Executing | None = None,
) -> None:
    """Asks what to do about a statement that did not finish well.

    `executing`: what is known of its sending, where looking again may tell more.
    """
    state = turn.state
    planned, _ = planned_statement(state, task)
    question = ErrorQuestion(task, error, executing)
    choices = answers.error_choices(state, question, outcome, idempotent=planned.idempotent)
    what = "has an unknown outcome" if outcome == "unknown" else "failed"
    where = planned.id
    wording = Wording(
        title="",
        evidence=evidence,
        outcome=outcome,
        error=error,
        statement=planned.id,
        attempt=state.attempts.get(planned.id, 1),
    )
    match task:
        case FileStatement(file_id, index):
            file = state.file(file_id)
            where = f"{planned.id} in {file.path}, line {error.line or planned.line},"
            needing = {file_id}
            if file.loop is not None:
                needing = {one.id for one in state.files if one.loop == file.loop}
            wording = replace(
                wording,
                file=file_id,
                loop=file.loop,
                already_done=tuple(done.id for done in file.statements[:index]),
                dependents=answers.dependents(state, needing),
            )
        case RestoreTarget(FileStatement(file_id, index)):
            file = state.file(file_id)
            wording = replace(
                wording,
                file=file_id,
                already_done=tuple(done.id for done in file.statements[:index]),
                dependents=answers.dependents(state, {file_id}),
            )
        case LoopStatement(loop_id, iteration, _):
            loop = state.loop(loop_id)
            where = f"{planned.id} ({table_name(loop.table, iteration)})"
            files = {one.id for one in state.files if one.loop == loop_id}
            wording = replace(wording, loop=loop_id, dependents=answers.dependents(state, files))
        case _:
            pass
    wording = replace(wording, title=f"{where} {what}: {error.class_}")
    ask(turn, question, wording, choices)


def ask(
    turn: Turn,
    question: Question,
    wording: Wording,
    choices: tuple[Choice, ...],
    *,
    at_once: bool = False,
) -> None:
    """Opens the next prompt; answers that are already there settle it at once.

    `at_once`: its deadline is now, because waiting for an answer would change nothing.
    """
    settings = turn.state.settings
    number = turn.state.asked + 1
    prompt_id = f"p{number}"
    timeout_ms = 0 if at_once else settings.prompt_timeout_ms
    deadline = turn.at + timedelta(milliseconds=timeout_ms)
    prompt = ErrorPrompt(
        prompt=prompt_id,
        digest="",
        title=wording.title,
        file=wording.file,
        statement=wording.statement,
        loop=wording.loop,
        error=wording.error,
        attempt=wording.attempt,
        outcome=wording.outcome,
        evidence=wording.evidence,
        already_done=wording.already_done,
        dependents=wording.dependents,
        choices=choices,
        unanswered=settings.on_unanswered,
        deadline=timestamp(deadline),
        answer_with=turn.state.command("answer", prompt_id, "CHOICE"),
    )
    prompt = replace(prompt, digest=digest_of(prompt))
    asking = Asking(prompt=prompt, question=question)
    turn.set(asked=number, asked_at=turn.at)
    turn.emit(prompt, durable=True)
    wait(turn, asking, deadline)


def wait(turn: Turn, asking: Asking, deadline: datetime | None = None) -> None:
    """Waits for an answer to an open prompt, unless one is already there.

    `deadline`: until when; if it is not given, the time allowed begins anew.
    """
    settings = turn.state.settings
    turn.set(phase=asking)
    _answer_in_advance(turn, asking)
    if turn.state.phase == asking:
        _answer_by_rule(turn, asking)
    if turn.state.phase == asking:
        timeout = timedelta(milliseconds=settings.prompt_timeout_ms)
        turn.want(SetTimer(asking.prompt.prompt, deadline or turn.at + timeout))
        if turn.state.connected:
            keep = timedelta(milliseconds=settings.keep_session_ms)
            turn.want(SetTimer(KEEPING, turn.at + keep))


def digest_of(prompt: ErrorPrompt) -> str:
    """Twelve hexadecimal digits that change when what is asked does, and not with its wording."""
    asked = {
        "about": [prompt.file, prompt.statement, prompt.loop, prompt.attempt],
        "error": prompt.error.fingerprint if prompt.error is not None else None,
        "outcome": prompt.outcome,
        "choices": [choice.choice for choice in prompt.choices],
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]


def _answer_in_advance(turn: Turn, asking: Asking) -> None:
    prompt_id = asking.prompt.prompt
    waiting = [kept for kept in turn.state.kept if kept.decision.prompt == prompt_id]
    turn.set(kept=tuple(kept for kept in turn.state.kept if kept not in waiting))
    for kept in waiting:
        refusal = _refusal(turn.state, kept.decision)
        if refusal is None:
            _settle(turn, kept)
        else:
            _reject(turn, *refusal, kept)


def _answer_by_rule(turn: Turn, asking: Asking) -> None:
    """Tries the policy, then what the caller asked to be remembered, then what no rule matches."""
    state, prompt = turn.state, asking.prompt
    path, kind = _place(state, asking)
    retried = state.automatic.get(policy.about(prompt), 0)
    subject = policy.subject_of(prompt, path, kind, retried)
    number = policy.choose(state.policy, subject)
    if number is not None:
        choice = cast(ChoiceName, state.policy.rules[number].choose)
        turn.set(policy=policy.used(state.policy, number))
        _resolve_alone(turn, asking, choice, by=f"rule {number + 1}")
        return
    remembered = state.remembered.get(prompt.error.fingerprint) if prompt.error else None
    if remembered is not None and remembered[0] in subject.offered:
        choice, by = remembered
        _resolve_alone(turn, asking, choice, by=by, reason="remembered for this error")
        return
    match state.policy.unmatched:
        case "ask":
            pass
        case "abort":
            _resolve_alone(turn, asking, "abort", by="unmatched")
        case "suspend":
            turn.want(ClearTimer(prompt.prompt))
            reason = f"no rule of the policy answers {prompt.prompt}"
            ending.close(turn, suspended=True, reason=reason)
        case _ as unreachable:
            assert_never(unreachable)


def _resolve_alone(
    turn: Turn, asking: Asking, choice: ChoiceName, *, by: str | None, reason: str | None = None
) -> None:
    """Settles a prompt without anybody looking; retries are counted."""
    if choice == "retry":
        key, automatic = policy.about(asking.prompt), turn.state.automatic
        turn.set(automatic={**automatic, key: automatic.get(key, 0) + 1})
    resolve(turn, asking, choice, how="policy", source="policy", by=by, reason=reason)


def _place(state: State, asking: Asking) -> tuple[str | None, str | None]:
    """Path of the file and kind of the statement a prompt is about."""
    path = state.file(asking.prompt.file).path if asking.prompt.file is not None else None
    if isinstance(asking.question, ErrorQuestion):
        return path, planned_statement(state, asking.question.task)[0].kind
    return path, None


# --- settling ---------------------------------------------------------------------------------


def resolve(
    turn: Turn,
    asking: Asking,
    choice: ChoiceName,
    *,
    how: Any,
    source: Any,
    by: str | None = None,
    reason: str | None = None,
    iterations: int | None = None,
) -> None:
    """Settles the open prompt with a choice it offers, and carries the choice out."""
    _close_prompt(turn, asking, choice, how=how, source=source, by=by, reason=reason)
    given_up = asking.unknown_write and choice in ("skip", "continue")
    if given_up or (asking.prompt.outcome == "unknown" and choice == "abort"):
        ending.flaw(turn, unknown_write=True)
    answers.take(turn, asking, choice, iterations)


def _close_prompt(
    turn: Turn,
    asking: Asking,
    choice: ChoiceName | None,
    *,
    how: Any,
    source: Any,
    by: str | None,
    reason: str | None,
) -> None:
    prompt_id = asking.prompt.prompt
    turn.emit(
        PromptResolved(
            prompt=prompt_id, how=how, choice=choice, source=source, by=by, reason=reason
        ),
        durable=True,
    )
    turn.set(settled={**turn.state.settled, prompt_id: Settled(choice=choice, how=how, by=by)})
    turn.spent(asking_ms=turn.since(turn.state.asked_at))
    turn.want(ClearTimer(prompt_id))
    turn.want(ClearTimer(KEEPING))


def withdraw(turn: Turn, asking: Asking, by: str | None) -> None:
    """Settles the open prompt without an answer, because the run is to stop."""
    _close_prompt(turn, asking, None, how="cancelled", source=None, by=by, reason=None)
    if asking.prompt.outcome == "unknown":
        ending.flaw(turn, unknown_write=True)


def kept_long_enough(turn: Turn) -> None:
    """An answer has been awaited for so long that the warehouse is let go meanwhile."""
    state = turn.state
    if isinstance(state.phase, Asking) and state.connected:
        turn.emit(Disconnected(session_id=state.session_id, reason="idle", elapsed_ms=0))
        turn.set(connected=False, session_id=None)
        turn.want(CloseSession())


def supersede(turn: Turn, asking: Asking) -> None:
    """Settles a prompt without an answer: events have answered it, or what it asks is found out
    anew.
    """
    _close_prompt(turn, asking, None, how="superseded", source=None, by=None, reason=None)


def deadline_passed(turn: Turn, passed: DeadlinePassed) -> None:
    """Nobody answered in time."""
    asking = turn.state.phase
    if not isinstance(asking, Asking) or asking.prompt.prompt != passed.timer:
        return  # the answer was faster than the timer
    wanted = turn.state.settings.on_unanswered
    if wanted == "suspend":
        # said at once: whatever arrives while the session is closed comes after it in the log
        detail = f"{passed.timer} was not answered before its deadline: the run is suspended"
        turn.emit(Warned(code=SUSPENDING, detail=detail), durable=True)
        ending.close(turn, suspended=True)
        return
    offered = any(wanted == choice.choice for choice in asking.prompt.choices)
    resolve(turn, asking, wanted if offered else "abort", how="timeout", source=None)


def request_stop(turn: Turn, by: Any, mode: CancelMode) -> None:
    """Stops the run: at once, or after the statement that executes."""
    phase = turn.state.phase
    if turn.state.stop == "now" or isinstance(phase, Closing):
        return  # it is stopping already
    turn.emit(CancelRequested(by=by, mode=mode), durable=True)
    turn.set(stop=mode)
    if isinstance(phase, Asking):
        withdraw(turn, phase, by)
        turn.set(phase=Ready())
    elif isinstance(phase, Planning):
        turn.set(phase=Ready())
    elif isinstance(phase, Pausing):
        turn.want(ClearTimer(phase.timer))
        turn.set(phase=Ready())
    elif isinstance(phase, Connecting | Preflighting | Validating | Resuming) or (
        isinstance(phase, Executing | Inspecting | Weighing | Checking) and mode == "now"
    ):
        turn.want(CancelRunning())


# --- decisions --------------------------------------------------------------------------------


def decided(turn: Turn, arrived: Decided) -> None:
    """Takes in a decision from stdin, the inbox or the command line."""
    if arrived.id in turn.state.seen:
        return  # the same decision again has no effect
    turn.set(seen=turn.state.seen | {arrived.id})
    decision = arrived.decision
    if decision.run is not None and decision.run != turn.state.run:
        detail = f"the decision is for run {decision.run}, this is {turn.state.run}"
        _reject_decision(turn, "wrong_run", detail, arrived)
        return
    # it is for this run: from here on it says nothing that the log does not say anyway
    decision = replace(decision, run=None)
    arrived = replace(arrived, decision=decision)
    match decision:
        case Decide():
            _decide(turn, KeptDecision(decision, arrived.id, arrived.source), arrived)
        case Cancel():
            _accepted(turn, arrived, "cancel", by=decision.by, mode=decision.mode)
            request_stop(turn, "decision", decision.mode)
        case SetPolicy():
            _accepted(
                turn,
                arrived,
                "policy",
                by=decision.by,
                rules=decision.rules,
                unmatched=decision.unmatched,
            )
            uses = (0,) * len(decision.rules)
            turn.set(policy=Policy(decision.rules, uses, decision.unmatched))
            if isinstance(turn.state.phase, Asking):
                _answer_by_rule(turn, turn.state.phase)
        case Ping():
            _accepted(turn, arrived, "ping", nonce=decision.nonce)
        case _ as unreachable:
            assert_never(unreachable)


def _decide(turn: Turn, kept: KeptDecision, arrived: Decided) -> None:
    phase = turn.state.phase
    is_open = isinstance(phase, Asking) and phase.prompt.prompt == kept.decision.prompt
    refusal = _refusal(turn.state, kept.decision)
    if refusal is not None:
        _reject(turn, *refusal, kept)
        return
    decision = kept.decision
    _accepted(
        turn,
        arrived,
        "decide",
        kept=not is_open,
        prompt=decision.prompt,
        choice=decision.choice,
        digest=decision.digest,
        by=decision.by,
        reason=decision.reason,
        params=decision.params,
        remember=decision.remember,
    )
    if is_open:
        _settle(turn, kept)
    else:
        turn.set(kept=(*turn.state.kept, kept))


def _refusal(state: State, decision: Decide) -> tuple[RejectionCode, str] | None:
    """Why a decision cannot be taken for its prompt now; `None` if it can, or can be kept."""
    if not re.fullmatch(r"p[1-9][0-9]{0,8}", decision.prompt):
        return "unknown_prompt", f"{decision.prompt!r} is no prompt's id; they are p1, p2, ..."
    settled = state.settled.get(decision.prompt)
    if settled is not None:
        by = f" by {settled.by}" if settled.by else ""
        return (
            "already_resolved",
            f"{decision.prompt} was settled with {settled.choice!r} ({settled.how}{by})",
        )
    asking = state.phase
    if not isinstance(asking, Asking) or asking.prompt.prompt != decision.prompt:
        return None
    if decision.digest is not None and decision.digest != asking.prompt.digest:
        return "stale", f"the prompt's digest is {asking.prompt.digest}: read it again"
    offered = [choice.choice for choice in asking.prompt.choices]
    if decision.choice not in offered:
        return "not_offered", f"{decision.prompt} offers {', '.join(offered)}"
    iterations = (decision.params or {}).get("iterations", 1)
    if iterations < 1:
        return "malformed", "params.iterations must be 1 or more"
    return None


def _settle(turn: Turn, kept: KeptDecision) -> None:
    asking, decision = turn.state.phase, kept.decision
    if not isinstance(asking, Asking):
        raise ValueError(f"{decision.prompt} is not open")
    choice = cast(ChoiceName, decision.choice)
    if decision.remember is not None and asking.prompt.error is not None:
        fingerprint = asking.prompt.error.fingerprint
        turn.set(remembered={**turn.state.remembered, fingerprint: (choice, decision.by)})
    resolve(
        turn,
        asking,
        choice,
        how="decision",
        source=kept.source,
        by=decision.by,
        reason=decision.reason,
        iterations=(decision.params or {}).get("iterations"),
    )


def _accepted(turn: Turn, arrived: Decided, kind: Any, *, kept: bool = False, **facts: Any) -> None:
    turn.emit(
        DecisionAccepted(id=arrived.id, kind=kind, source=arrived.source, kept=kept, **facts),
        durable=True,
    )


def _reject(turn: Turn, code: RejectionCode, detail: str, kept: KeptDecision) -> None:
    _reject_decision(turn, code, detail, Decided(kept.decision, kept.id, kept.source))


def _reject_decision(turn: Turn, code: RejectionCode, detail: str, arrived: Decided) -> None:
    decision = arrived.decision
    asked = decision if isinstance(decision, Decide) else None
    turn.emit(
        DecisionRejected(
            id=arrived.id,
            code=code,
            detail=detail,
            source=arrived.source,
            prompt=asked.prompt if asked else None,
            choice=asked.choice if asked else None,
            digest=asked.digest if asked else None,
            run_named=decision.run,
        )
    )


def undecidable(turn: Turn, arrived: Undecidable) -> None:
    """Something on a channel for decisions that is none."""
    turn.emit(
        DecisionRejected(id=None, code=arrived.code, detail=arrived.detail, source=arrived.source)
    )
