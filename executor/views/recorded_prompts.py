"""The prompts of a log, each with what policies go by and how it was settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from protocol.events import (
    ErrorPrompt,
    FilePlanned,
    FileStarted,
    PromptResolved,
    StatementFinished,
    StatementStarted,
)
from protocol.hello import Entry


@dataclass(frozen=True, slots=True)
class RecordedPrompt:
    """A prompt of a log; artifacts are not needed to know it."""

    asked: ErrorPrompt
    path: str | None
    """Of the file it is about."""
    kind: str | None
    """Of the statement that failed; `None` where no statement did."""
    resolved: PromptResolved | None = None
    """`None`: it is still open."""
    edited: bool = False
    """True if the file had been edited when it was read again for the `retry` chosen."""

    @property
    def class_(self) -> str | None:
        """Class of the error it is about."""
        return self.asked.error.class_ if self.asked.error else None


def recorded_prompts(entries: Iterable[Entry]) -> tuple[RecordedPrompt, ...]:
    """The prompts of a log, in the order in which they came."""
    found: dict[str, RecordedPrompt] = {}
    paths: dict[str | None, str] = {}
    kinds: dict[str | None, str] = {}
    ended: str | None = None
    retried: str | None = None
    for entry in entries:
        match entry.event:
            case FileStarted(file=file, path=path):
                paths[file] = path
            case StatementStarted(statement=statement, kind=kind):
                kinds[statement] = kind
            case StatementFinished(statement=statement):
                ended = statement
            case ErrorPrompt() as asked if asked.prompt not in found:
                # about a file that cannot be read again, if it does not name what ended last
                is_about_it = ended is not None and asked.statement == ended
                found[asked.prompt] = RecordedPrompt(
                    asked, paths.get(asked.file), kinds.get(ended) if is_about_it else None
                )
            case PromptResolved() as resolved if resolved.prompt in found:
                found[resolved.prompt] = replace(found[resolved.prompt], resolved=resolved)
                retried = resolved.prompt if resolved.choice == "retry" else None
                ended = None
            case FilePlanned(reason="reread", changed=changed) if retried is not None:
                found[retried] = replace(found[retried], edited=changed)
                retried = None
            case _:
                pass
    return tuple(found.values())
