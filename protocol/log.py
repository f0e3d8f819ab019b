"""Reading a recorded log: its entries, what state it is in, and what was cut out of it.

Theory. One process writes a log and may die at any byte. What it wrote before is sound, because a
line is written at once and never touched again; so damage and an early end are different things.
An early end is normal and gets a verdict (`classify`). Damage is a line that no writer of this
protocol leaves behind: `LogDamaged` says where, and nothing after it is believed.

Everything up to the last LF counts; what follows it is the beginning of a line whose end never
came (`torn_bytes`). Memory does not grow with the length of the log, nor with that of a line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, Any, Final, Literal, NoReturn, get_type_hints

from protocol.base import MAX_LINE_BYTES, Cut, Message
from protocol.codec import decode, validator
from protocol.errors import LineTooLong, ProtocolFault, shown
from protocol.events import (
    ErrorPrompt,
    FileFinished,
    FileStarted,
    PromptResolved,
    RunFinished,
    RunSuspended,
    StatementFinished,
    StatementStarted,
)
from protocol.hello import Entry, Hello
from protocol.shapes import members

State = Literal["complete", "live", "suspended", "crashed", "truncated"]

LAST: Final = (RunFinished, RunSuspended)
"""Events after which a process writes nothing more."""


class LogDamaged(ValueError):  # noqa: N818 - named after what happened to the log
    """A log that no writer of this protocol can have left.

    `line` counts from 1, blank lines included; `seq` is the last sound entry's, 0 if there is none.
    """

    def __init__(self, path: Path, line: int, seq: int, detail: str) -> None:
        super().__init__(
            f"{path}, line {line}: {detail}. Entries up to seq {seq} are sound; "
            "the log was changed or its disk is at fault, so go back to an untouched copy"
        )
        self.path = path
        self.line = line
        self.seq = seq
        self.detail = detail


class ArtifactDamaged(ValueError):  # noqa: N818 - as above
    """The file that holds the whole of something cut is missing or is not that whole."""

    def __init__(self, ref: str, run_dir: Path, detail: str) -> None:
        super().__init__(
            f"{shown(ref, 120)} below {run_dir}: {detail}; "
            "the run directory is incomplete, copy it with its artifacts"
        )
        self.ref = ref
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a log says about its run.

    `complete` and `suspended`: the last line is there. `live`: it is not, and the runner lives.
    `crashed`: it is not, and the log ends with a line. `truncated`: it ends inside a line, or has
    none. What is open was started and not ended, oldest first.
    """

    state: State
    entries: int
    last_seq: int
    """0 where there is no entry."""
    open_files: tuple[str, ...]
    open_statements: tuple[str, ...]
    """Statements that may have been in flight: whether they committed is not known."""
    open_prompts: tuple[str, ...]
    torn_bytes: int
    """Bytes after the last line feed: of a line whose end never came."""
    detail: str


# --- entries ----------------------------------------------------------------------------------


class LogReader:
    """Reads one log from its beginning, entry by entry; iterate over it once.

    After the last entry (and between entries) `entries`, `last_seq`, `last`, `sound_bytes` and
    `torn_bytes` describe what has been read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = 0
        self.last_seq = 0
        self.last: Entry | None = None
        self.sound_bytes = 0
        """Length up to the last LF: a writer that goes on with the log cuts it to this length."""
        self.torn_bytes = 0
        self._line = 0
        self._segment = 0

    def __iter__(self) -> Iterator[Entry]:
        """The entries, in order.

        Raises:
            LogDamaged: a line that is not an entry, a hole in `seq`, another run's entry, a last
                line that miscounts, or anything but the `hello` of the next segment after one.
            OSError: the log cannot be read.
        """
        with self.path.open("rb") as file:
            for line in self._lines(file):
                entry = self._entry(line)
                self.entries += 1
                self.last_seq = entry.seq
                self.last = entry
                if isinstance(entry.event, Hello):
                    self._segment = entry.event.segment
                yield entry

    def _lines(self, file: IO[bytes]) -> Iterator[bytes]:
        """Lines with something in them, up to the last LF."""
        while line := file.readline(MAX_LINE_BYTES):
            size, more = len(line), line
            while not more.endswith(b"\n"):
                more = file.readline(MAX_LINE_BYTES)
                if not more:
                    self.torn_bytes = size if line.strip() else 0
                    return
                size += len(more)
                if size <= MAX_LINE_BYTES:
                    line += more  # the writer was in the middle of it
            self._line += 1
            if size > MAX_LINE_BYTES:
                self._damaged(str(LineTooLong(size, MAX_LINE_BYTES)))
            self.sound_bytes += size
            if line.strip():
                yield line

    def _entry(self, line: bytes) -> Entry:
        try:
            entry = decode(line)
        except ProtocolFault as fault:
            self._damaged(str(fault))
        if self.last is not None and entry.run != self.last.run:
            self._damaged(f"the entry is of run {shown(entry.run)}, not of {shown(self.last.run)}")
        if entry.seq != self.last_seq + 1:
            self._damaged(f"seq is {entry.seq} where {self.last_seq + 1} is due")
        event = entry.event
        if self.last is not None and isinstance(self.last.event, LAST):
            due = self._segment + 1
            if not (isinstance(event, Hello) and event.segment == due):
                self._damaged(
                    f"{shown(event.type)} follows the last line of a process, "
                    f"after which only the hello of segment {due} may come"
                )
        if isinstance(event, LAST) and event.events != entry.seq:
            self._damaged(f"the last line counts {event.events} events but its seq is {entry.seq}")
        return entry

    def _damaged(self, detail: str) -> NoReturn:
        raise LogDamaged(self.path, self._line, self.last_seq, detail)


def read_entries(path: Path) -> Iterator[Entry]:
    """The entries of the log at `path`, in order, up to the last LF; errors as `LogReader`'s."""
    return iter(LogReader(path))


# --- the verdict ------------------------------------------------------------------------------


def classify(path: Path, alive: bool | None) -> Verdict:
    """What state the log at `path` is in.

    `alive`: whether the process that writes it lives; `None` if nobody can tell (a copied log),
    which counts as not.

    Raises:
        LogDamaged, OSError: as `LogReader`.
    """
    reader = LogReader(path)
    # dicts, for their order
    files: dict[str, None] = {}
    statements: dict[str, None] = {}
    prompts: dict[str, None] = {}
    for entry in reader:
        match entry.event:
            case FileStarted(file=file):
                files[file] = None
            case FileFinished(file=file):
                files.pop(file, None)  # a file that is skipped was never started
            case StatementStarted(statement=statement):
                statements[statement] = None
            case StatementFinished(statement=statement):
                statements.pop(statement, None)
            case ErrorPrompt(prompt=prompt):
                prompts[prompt] = None
            case PromptResolved(prompt=prompt):
                prompts.pop(prompt, None)
            case _:
                pass
    state, detail = _state(reader, alive)
    return Verdict(
        state=state,
        entries=reader.entries,
        last_seq=reader.last_seq,
        open_files=tuple(files),
        open_statements=tuple(statements),
        open_prompts=tuple(prompts),
        torn_bytes=reader.torn_bytes,
        detail=detail,
    )


def _state(reader: LogReader, alive: bool | None) -> tuple[State, str]:
    event = reader.last.event if reader.last is not None else None
    if reader.torn_bytes == 0 and isinstance(event, RunFinished):
        return "complete", f"finished ({event.outcome}) after {reader.entries} events"
    if reader.torn_bytes == 0 and isinstance(event, RunSuspended):
        return "suspended", f"suspended after {reader.entries} events: {shown(event.reason)}"
    if alive:
        return "live", f"{reader.entries} events so far"
    doubt = "" if alive is False else ", unless the process that writes it still lives"
    if reader.torn_bytes > 0:
        return "truncated", (
            f"ends {reader.torn_bytes} bytes into a line, after {reader.entries} events{doubt}"
        )
    if reader.entries == 0:
        return "truncated", f"holds no event{doubt}"
    return "crashed", f"ends after {reader.entries} events without a last line{doubt}"


# --- what was cut -----------------------------------------------------------------------------

REF: Final = re.compile(r"artifacts/([0-9a-f]{64})\.(?:txt|json)")
"""What a `ref` must look like: it comes from a log, and must not lead out of the run directory."""


def resolve(entry: Entry, run_dir: Path) -> Entry:
    """`entry` with everything that was cut out of it read back from `run_dir`.

    Raises:
        ArtifactDamaged: an artifact is missing, or is not what was put there.
        OSError: an artifact cannot be read.
    """
    event = _resolved(entry.event, run_dir)
    return entry if event is entry.event else replace(entry, event=event)


def _resolved(message: Any, run_dir: Path) -> Any:
    """`message` itself where nothing in it was cut."""
    changed: dict[str, Any] = {}
    hints: dict[str, Any] | None = None
    for field in fields(message):
        value = getattr(message, field.name)
        if isinstance(value, Cut):
            hints = hints or get_type_hints(type(message))
            changed[field.name] = _whole(value, hints[field.name], run_dir)
        elif isinstance(value, Message):
            inner = _resolved(value, run_dir)
            if inner is not value:
                changed[field.name] = inner
        elif isinstance(value, tuple) and any(isinstance(item, Message) for item in value):
            items = tuple(
                _resolved(item, run_dir) if isinstance(item, Message) else item for item in value
            )
            if any(new is not old for new, old in zip(items, value, strict=True)):
                changed[field.name] = items
    return replace(message, **changed) if changed else message


def _whole(cut: Cut, hint: Any, run_dir: Path) -> Any:
    found = REF.fullmatch(cut.ref)
    if found is None:
        raise ArtifactDamaged(cut.ref, run_dir, "is not the name of an artifact")
    try:
        data = (run_dir / cut.ref).read_bytes()
    except FileNotFoundError:
        raise ArtifactDamaged(cut.ref, run_dir, "is missing") from None
    if len(data) != cut.bytes or hashlib.sha256(data).hexdigest() != found.group(1):
        raise ArtifactDamaged(cut.ref, run_dir, "is not what was put there")
    try:
        parts = members(hint)
        if str in parts:
            return data.decode()
        kind = next(part for part in parts if part not in (Cut, type(None)))
        return validator(kind)(data)
    except ValueError:
        raise ArtifactDamaged(cut.ref, run_dir, "does not hold what its field needs") from None
