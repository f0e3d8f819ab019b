"""Giving a run a decision, for the verbs that do: print the verdict and what to do next."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import Any, Final

from executor.cli.looking import Subject, looking, print_json
from executor.runtime.ask import ask, new_id
from executor.runtime.secrets import Masker, secrets_in
from protocol.exit_codes import KEPT, NO_VERDICT, REJECTED, SUCCEEDED

CODES: Final = {
    "accepted": SUCCEEDED,
    "rejected": REJECTED,
    "kept": KEPT,
    "no_verdict": NO_VERDICT,
}


def give(verb: str, args: Namespace, wanted: str | None, decision: dict[str, Any]) -> int:
    """Gives `decision`, waits `args.timeout` ms for the verdict, prints it."""

    def act() -> int:
        subject = Subject(args, wanted)
        # a reason quotes errors; what the inbox keeps is masked like everything in a run directory
        mask = Masker(secrets_in(os.environ))
        given = {name: mask.masked(value) for name, value in decision.items() if value is not None}
        said = {"id": new_id(), **given}
        verdict = ask(subject.look, said, args.timeout / 1000)
        if verdict.result == "no_verdict":
            following = subject.command("status")
        else:
            following = subject.summary()["next"]
        if args.json:
            print_json(
                {
                    "run": subject.look.run,
                    "id": said["id"],
                    "result": verdict.result,
                    "code": verdict.code,
                    "detail": verdict.detail,
                    "seq": verdict.seq,
                    "next": following,
                }
            )
        else:
            code = f" ({verdict.code})" if verdict.code else ""
            word = verdict.result.replace("_", " ")
            print(f"{subject.look.run} {word}{code}: {verdict.detail}; next: {following}")
        return CODES[verdict.result]

    return looking(verb, args, act)
