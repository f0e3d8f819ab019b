"""Giving a run a decision from another process, and hearing what became of it.

While a process runs the run, it alone judges: its verdict is an event with the decision's id. When
nobody does, the record judges: a prompt that is settled, or a run that is over, takes no decision;
anything else is kept in the inbox for the resume.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from executor.runtime.look import Look
from executor.views.status import Fold, choices_of, parsed, settled_with, text

FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.1
"""Seconds between two looks for a verdict; each pause is half as long again as the one before, so
that hundreds who wait leave the machine to the one who judges."""

Result = Literal["accepted", "rejected", "kept", "no_verdict"]
VERDICTS: Final = ("decision_accepted", "decision_rejected")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a decision. `code` and `detail` as in `decision_rejected`."""

    result: Result
    detail: str
    code: str | None = None
    seq: int | None = None
    """Of the event with the verdict; `None` where the record was judged from outside."""


def new_id() -> str:
    """An id for a decision that nobody has given."""
    return "a-" + os.urandom(6).hex()


def put(run_dir: Path, decision: dict[str, Any]) -> Path:
    """Leaves a decision in the inbox and returns its file. Errors: `OSError`."""
    inbox = run_dir / "inbox"
    inbox.mkdir(mode=0o700, exist_ok=True)
    # names sort as they were given; the rest keeps two of the same moment apart
    name = f"{time.time_ns():020}-{os.getpid()}-{os.urandom(3).hex()}"
    hidden, target = inbox / f".{name}", inbox / f"{name}.json"
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(decision).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(target)
    except OSError:
        hidden.unlink(missing_ok=True)
        raise
    _sync(inbox)
    return target


def ask(look: Look, decision: dict[str, Any], timeout_s: float) -> Verdict:
    """Gives a decision and waits for the verdict, at most `timeout_s`.

    `decision` has an `id`; the run it is for is added. `look` has not looked yet. Errors: `OSError`
    if the decision cannot be left, or the log cannot be read.
    """
    hearing = _Hearing(look, decision)
    verdict = hearing.listen()  # the same id may have been judged before
    if verdict is not None:
        return verdict
    if not look.alive or look.fold.last is not None:
        refusal = judged_by_record(look.fold, decision)
        if refusal is not None:
            return refusal
    earlier = look.kept()
    file = put(look.path, {**decision, "run": look.run})
    hearing.file = file.name
    deadline, pause = time.monotonic() + timeout_s, FIRST_PAUSE
    while True:
        verdict = hearing.listen() or hearing.after_the_end(file, earlier)
        left = deadline - time.monotonic()
        if verdict is not None:
            return verdict
        if left <= 0:
            return hearing.at_the_deadline(file)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def judged_by_record(fold: Fold, decision: dict[str, Any]) -> Verdict | None:
    """Why a run that nobody runs takes no such decision; `None` if it is to be kept."""
    prompt = decision.get("prompt")
    won = settled_with(fold, prompt) if prompt is not None else None
    if won is not None:
        return Verdict("rejected", won, "already_resolved")
    if fold.finished:
        detail = f"the run is over (exit code {fold.exit_code})"
        if prompt is not None:
            return Verdict("rejected", f"{detail} and {prompt} was never asked", "unknown_prompt")
        return Verdict("rejected", detail, "already_resolved")
    asked = fold.prompts.get(prompt) if prompt is not None else None
    if asked is None:
        return None
    offered = [text(one.get("choice")) for one in choices_of(asked)]
    if decision["choice"] not in offered:
        return Verdict("rejected", f"{prompt} offers {', '.join(offered)}", "not_offered")
    if decision.get("digest") not in (None, asked.get("digest")):
        digest = text(asked.get("digest"))
        return Verdict("rejected", f"the prompt's digest is {digest}: read it again", "stale")
    return None


class _Hearing:
    """Follows a log for the verdict on one decision."""

    def __init__(self, look: Look, decision: dict[str, Any]) -> None:
        self._look = look
        self._decision = decision
        self._id = decision["id"]
        self._needle = json.dumps(self._id).encode("ascii")
        self._found: dict[str, Any] | None = None
        self.file: str | None = None

    def listen(self) -> Verdict | None:
        """The verdict, if it is in the record and has had its effect."""
        self._look.refresh(self._hear)
        if self._found is None:
            return None
        event, seq = self._found, self._found["seq"]
        if event["type"] == "decision_rejected":
            return Verdict("rejected", text(event.get("detail"), 300), text(event.get("code")), seq)
        prompt = text(event.get("prompt"))
        if event.get("kind") == "decide" and prompt in self._look.fold.prompts:
            # its effect is to come: whoever looks next must not see the prompt as open
            return None
        if event.get("kept") and prompt not in self._look.fold.settled:
            return Verdict("accepted", f"kept until {prompt} is asked", None, seq)
        return Verdict("accepted", _effect(event), None, seq)

    def after_the_end(self, file: Path, earlier: list[dict[str, Any]]) -> Verdict | None:
        """What becomes of the decision if nobody is left to judge it.

        `earlier`: decisions that were kept before it.
        """
        look = self._look
        if look.alive and look.fold.last is None:
            return None
        refusal = judged_by_record(look.fold, self._decision)
        if refusal is not None:
            _put_away(file)
            return refusal
        over = "suspended" if look.fold.last is not None else "not running: it crashed"
        prompt = self._decision.get("prompt")
        first = next((one for one in earlier if prompt and one.get("prompt") == prompt), None)
        behind = (
            f", behind {prompt} {text(first.get('choice'))}, which counts first" if first else ""
        )
        return Verdict("kept", f"the run is {over}; the decision waits for its resume{behind}")

    def at_the_deadline(self, file: Path) -> Verdict:
        """What can be said when the time is up."""
        if self._found is not None:
            seq = self._found["seq"]
            return Verdict("accepted", "kept until the run comes to the prompt again", None, seq)
        return Verdict("no_verdict", f"waits in {file}")

    def _hear(self, line: bytes) -> None:
        mine = self._needle in line or (self.file is not None and self.file.encode() in line)
        if not mine:
            return
        event = parsed(line)
        if event.get("type") not in VERDICTS:
            return
        named = event.get("id") is None and f"inbox/{self.file}:" in text(event.get("detail"), 300)
        if event.get("id") == self._id or named:
            self._found = event


def _effect(event: dict[str, Any]) -> str:
    if event.get("kind") == "decide":
        return f"{text(event.get('prompt'))} is settled with {text(event.get('choice'))!r}"
    return f"the run takes it as {text(event.get('kind'))}"


def _put_away(file: Path) -> None:
    """Moves a decision that nobody will read to where the runner would have put it."""
    try:
        done = file.parent / "done"
        done.mkdir(mode=0o700, exist_ok=True)
        file.rename(done / file.name)
    except OSError:
        pass  # the runner was faster, or it stays where it is and does no harm


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
