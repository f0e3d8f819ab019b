"""Which built-in profile fits a workflow, and what of it the user's workflow.toml says otherwise.

A profile is knowledge about a layout, as data (`profiles/*.toml`). It applies if a loop's tables
are called as it says; `{id}` in its names is then known. workflow.toml may choose one, or none, and
whatever it says itself goes before: key by key for a loop, check by check, pattern by pattern.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath

from executor.workflow.discover import MANIFEST, built_in_profiles
from executor.workflow.files import ReadFile
from executor.workflow.loop_finding import FoundLoop
from executor.workflow.manifest import DeclaredLoop, Manifest, Match, read_manifest
from executor.workflow.model import WorkflowError
from executor.workflow.names import join_name, split_name, table_name
from protocol.events import PlanWarning


@dataclass(frozen=True, slots=True)
class Profile:
    """A built-in profile that fits."""

    name: str
    manifest: Manifest
    match: Match
    prefix: str
    """What `{id}` stands for."""
    loop: FoundLoop
    """The loop whose tables have told it."""

    def beside(self, last: str) -> str:
        """The full name of a table that lies where the loop's tables do; one of these has its
        number as they have it, with zeros before it perhaps.
        """
        before, after = self.match.loop_table.split("{iteration}")
        number = re.fullmatch(rf"{re.escape(before)}(\d+|{{iteration}}){re.escape(after)}", last)
        if number is not None:
            is_one = number[1].isdecimal()
            return table_name(self.loop.table, int(number[1])) if is_one else self.loop.table
        filled = last.replace("{id}", self.prefix)
        return join_name((*split_name(self.loop.table)[:-1], filled))


def choose(manifest: Manifest, loops: Sequence[FoundLoop]) -> tuple[tuple[Profile, ...], str]:
    """The profile that applies, once for each loop that fits, and why it or none.

    Raises WorkflowError MANIFEST_INVALID.
    """
    if manifest.profile is False:
        return (), f"{MANIFEST} says so"
    known = [_read(name, text) for name, text in built_in_profiles()]
    names = [name for name, _, _ in known]
    if manifest.profile is not None and manifest.profile not in names:
        raise _wrong(f"there is no profile called {manifest.profile!r}", names)
    tried = []
    for name, read, match in known:
        if manifest.profile not in (None, name):
            continue
        found = tuple(
            Profile(name, read, match, prefix, loop)
            for loop in loops
            if (prefix := _prefix(match, loop)) is not None
        )
        if found:
            said = " and ".join(
                f"the loop's tables are called {split_name(one.loop.table)[-1]}, "
                f"so the id is {one.prefix}"
                for one in found
            )
            chosen = f", and {MANIFEST} asks for it" if manifest.profile == name else ""
            return found, said + chosen
        tried.append(f"{match.loop_table} ({name})")
    if manifest.profile is not None:
        raise _wrong(f"no loop fits the profile {manifest.profile!r}: {tried[0]}", names)
    if not loops:
        return (), "there is no loop"
    return (), f"no loop's tables are called {' or '.join(tried)}"


def _read(name: str, text: str) -> tuple[str, Manifest, Match]:
    manifest = read_manifest(text, f"profiles/{name}.toml", profile=True)
    assert manifest.match is not None
    return name, manifest, manifest.match


def _wrong(message: str, names: Sequence[str]) -> WorkflowError:
    return WorkflowError(
        "MANIFEST_INVALID",
        message,
        path=MANIFEST,
        suggestion=f"Profiles: {', '.join(names)}; false for none.",
    )


def _prefix(match: Match, loop: FoundLoop) -> str | None:
    pattern = re.escape(match.loop_table)
    pattern = pattern.replace(re.escape("{id}"), "(?P<id>.+)")
    pattern = pattern.replace(re.escape("{iteration}"), r"\{iteration(?::\d+)?\}")
    found = re.fullmatch(pattern, split_name(loop.table)[-1])
    return found.groupdict().get("id", "") if found else None


# --- what it says of loops --------------------------------------------------------------------


def loop_settings(
    loop: FoundLoop,
    declared: DeclaredLoop | None,
    manifest: Manifest,
    profiles: Sequence[Profile],
) -> DeclaredLoop:
    """What is said of a loop: by workflow.toml, and where that is silent, by the profile.

    `declared`: the `[[loop]]` that has declared it, if one has.
    """
    own = declared or _about(loop, manifest)
    profile = next((one for one in profiles if one.loop.table == loop.table), None)
    if profile is None or not profile.manifest.loops:
        return own
    base = profile.manifest.loops[0]
    given = {
        one.name: value
        for one in fields(own)
        if one.name != "line" and (value := getattr(own, one.name)) is not None
    }
    if "probe" in given:
        base = replace(base, changed_columns=None)
    if base.intermediates is not None:
        base = replace(base, intermediates=tuple(map(profile.beside, base.intermediates)))
    return replace(base, **given)


def _about(loop: FoundLoop, manifest: Manifest) -> DeclaredLoop:
    """The `[[loop]]` that changes settings of a loop which was found, if there is one."""
    for one in manifest.loops:
        if one.files is None and one.name in (None, loop.name):
            return one
    return DeclaredLoop(line=None)


def require_loops(manifest: Manifest, loops: Sequence[FoundLoop]) -> None:
    """Raises WorkflowError MANIFEST_INVALID for settings of a loop that was not found, or of which
    it cannot be told which they mean.
    """
    names = [loop.name for loop in loops]
    for one in manifest.loops:
        if one.files is not None:
            continue
        if one.name is None and len(loops) != 1:
            problem = f"there are {len(loops)} loops, and this does not say which it means"
        elif one.name is not None and one.name not in names:
            problem = f"no loop called {one.name!r} was found in the SQL"
        else:
            continue
        raise WorkflowError(
            "MANIFEST_INVALID",
            problem,
            path=MANIFEST,
            line=one.line,
            suggestion=f"Loops that were found: {', '.join(names) or 'none'}. To declare another "
            "one, add files and table.",
        )


def overridden(manifest: Manifest, profiles: Sequence[Profile]) -> str:
    """What workflow.toml says otherwise than the profile, in words; empty for nothing."""
    if not profiles:
        return ""
    profile = profiles[0]
    said = []
    if any(loop.files is None for loop in manifest.loops):
        said.append("the loop")
    names = {check.name for check in profile.manifest.checks}
    said += [f"the check {check.name!r}" for check in manifest.checks if check.name in names]
    said += [f"the table {name!r}" for name in manifest.tables if name in profile.manifest.tables]
    return f"; {MANIFEST} changes {', '.join(said)}" if said else ""


def shared_tables(files: Sequence[ReadFile], profiles: Sequence[Profile]) -> list[PlanWarning]:
    """Tables that are not named after the id, so that two workflows in a schema overwrite them."""
    prefixes = tuple(f"{profile.prefix}_" for profile in profiles)
    unprefixed = {one for profile in profiles for one in profile.match.unprefixed}
    return [
        PlanWarning(
            code="SHARED_TABLE",
            detail=f"{name} is not named after {profiles[0].prefix}: another workflow in this "
            "schema writes the same table",
            path=file.path,
        )
        for file in files
        if any(PurePosixPath(file.path).match(one) for one in unprefixed)
        for name in file.writes
        if not split_name(name)[-1].startswith(prefixes)
    ]
