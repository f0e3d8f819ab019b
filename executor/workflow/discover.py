"""Reads a workflow's directory: the one module of this package that touches the file system.

Order of files: by the number before the first underscore (9 before 10 before 100), then by name,
numbers in it compared as numbers (`round_2` before `round_10`); files without a number come last.
Only `*.sql` directly in the directory counts, in any case of the letters; hidden files do not. The
folder `checks` holds queries that are no part of the run's order.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from executor.workflow.model import WorkflowError

MANIFEST = "workflow.toml"
CHECKS = "checks"

_ORDER_NUMBER = re.compile(r"(\d+)(?:_|(?=\.[^.]*$))")


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file as it was read: its name, its text without a byte order mark, and its hash."""

    path: str
    text: str
    sha256: str
    """Of the bytes on disk."""


@dataclass(frozen=True, slots=True)
class RawDirectory:
    directory: Path
    """Absolute."""
    files: tuple[RawFile, ...]
    """In the order in which they run."""
    manifest: str | None
    """Text of workflow.toml."""
    checks: tuple[RawFile, ...] = ()
    """The SQL files of the folder `checks`, as `checks/name.sql`, by name."""


def order_number(name: str) -> int | None:
    """The number that begins a file's name, if one does."""
    found = _ORDER_NUMBER.match(name)
    return int(found[1]) if found else None


def order_key(name: str) -> tuple[object, ...]:
    """Sorts file names in the order in which they run."""
    number = order_number(name)
    # odd places of the split are the digits; text and numbers never meet at the same place
    natural = [
        int(part) if place % 2 else part.casefold()
        for place, part in enumerate(re.split(r"(\d+)", name))
    ]
    return (number is None, number or 0, natural, name)


def read_directory(directory: Path) -> RawDirectory:
    """Every SQL file of `directory`, in order, and its manifest.

    Raises WorkflowError: DIRECTORY_MISSING, NOT_A_DIRECTORY, DIRECTORY_UNREADABLE,
    DIRECTORY_EMPTY, NO_SQL_FILES, FILE_UNREADABLE, FILE_NOT_UTF8.
    """
    shown = str(directory)
    if not directory.exists():
        raise WorkflowError(
            "DIRECTORY_MISSING",
            "there is no such directory",
            path=shown,
            suggestion="Check the path; it is taken relative to the current directory.",
        )
    if not directory.is_dir():
        raise WorkflowError(
            "NOT_A_DIRECTORY",
            "this is a file; a workflow is the directory that holds the SQL files",
            path=shown,
            suggestion=f"Pass the directory it is in: {directory.parent}",
        )
    try:
        entries = [entry for entry in directory.iterdir() if not entry.name.startswith(".")]
    except OSError as exc:
        raise WorkflowError(
            "DIRECTORY_UNREADABLE",
            f"the directory cannot be read: {exc.strerror}",
            path=shown,
            suggestion="Check its permissions.",
        ) from exc
    if not entries:
        raise WorkflowError(
            "DIRECTORY_EMPTY",
            "the directory is empty",
            path=shown,
            suggestion="Put the workflow's SQL files into it, or pass another directory.",
        )
    names = sorted(
        (entry.name for entry in entries if entry.suffix.lower() == ".sql" and not entry.is_dir()),
        key=order_key,
    )
    if not names:
        raise WorkflowError(
            "NO_SQL_FILES",
            "the directory holds no file whose name ends in .sql",
            path=shown,
            suggestion="Pass the directory that holds the SQL files directly; "
            "folders below it are not searched.",
        )
    manifest = read_file(directory, MANIFEST).text if (directory / MANIFEST).exists() else None
    return RawDirectory(
        directory.absolute(),
        tuple(read_file(directory, name) for name in names),
        manifest,
        tuple(read_file(directory, name) for name in _checks(directory)),
    )


def _checks(directory: Path) -> list[str]:
    folder = directory / CHECKS
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir() if entry.suffix.lower() == ".sql"]
    return [f"{CHECKS}/{name}" for name in sorted(names) if not name.startswith(".")]


def read_file(directory: Path, name: str) -> RawFile:
    """One file of the directory. Raises WorkflowError FILE_UNREADABLE or FILE_NOT_UTF8."""
    file = directory / name
    if file.exists() and not file.is_file():
        raise WorkflowError(
            "FILE_UNREADABLE",
            "this is no regular file, and reading it might never end",
            path=name,
            suggestion="Put a file with SQL in its place, or give it another name.",
        )
    try:
        data = file.read_bytes()
    except OSError as exc:
        raise WorkflowError(
            "FILE_UNREADABLE",
            f"the file cannot be read: {exc.strerror}",
            path=name,
            suggestion="Check that it exists and its permissions, and, for a link, "
            "what it points to.",
        ) from exc
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        # the decoder counts from behind a byte order mark
        start = exc.start + (len(data) - len(exc.object))
        line = data.count(b"\n", 0, start) + 1
        raise WorkflowError(
            "FILE_NOT_UTF8",
            f"the file is not UTF-8: byte {start} (0x{data[start]:02x}) does not fit",
            path=name,
            line=line,
            suggestion="Save it as UTF-8.",
        ) from exc
    return RawFile(name, text, hashlib.sha256(data).hexdigest())


def built_in_profiles() -> tuple[tuple[str, str], ...]:
    """(name, text) of the profiles that come with the program, by name."""
    folder = package_files("executor.workflow").joinpath("profiles")
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return tuple(
        (entry.name.removesuffix(".toml"), entry.read_text(encoding="utf-8"))
        for entry in sorted(found, key=lambda entry: entry.name)
    )
