"""Profiles of the vendor's tools: sections of `~/.databrickscfg`, an INI file.

The rules are those of the vendor's SDK: the section `DEFAULT` is a profile like any other and lends
nothing to them; `default_profile` in the section `__settings__` names the profile that is taken
when none is; nothing is interpolated.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

SETTINGS, DEFAULT = "__settings__", "DEFAULT"


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    values: dict[str, str] = field(repr=False)
    exposed: bool
    """Whether others than its owner can read the file."""


class ProfileError(Exception):
    """The profile that was asked for cannot be read; `remedy` says what to do."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.remedy = remedy


def read(path: Path, name: str | None) -> Profile | None:
    """The profile of this name; without a name the default one, or `None` if there is none.

    Errors: `ProfileError`. None of its texts repeats what the file holds, except names of profiles.
    """
    from configparser import ConfigParser, Error  # only who has such a file

    parser = ConfigParser(interpolation=None, default_section="\0")
    try:
        text = path.read_text(encoding="utf-8-sig")
        exposed = bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
        parser.read_string(text)
    except FileNotFoundError as exc:
        if name is None:
            return None
        raise ProfileError(
            f"There is no file {path} to read the profile {name!r} from.",
            "Say where it is with DATABRICKS_CONFIG_FILE, or make it with databricks configure.",
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ProfileError(f"{path} cannot be read: {reason}.", "Repair the file.") from None
    except Error as exc:
        # configparser quotes the line it does not understand, and there may be a token in it
        lines = [line for line, _ in getattr(exc, "errors", ())]
        where = lines[0] if lines else getattr(exc, "lineno", None)
        raise ProfileError(
            f"{path} is no INI file: line {where or '?'} cannot be understood.", "Repair the file."
        ) from None
    wanted = name
    if wanted is None:
        wanted = parser.get(SETTINGS, "default_profile", fallback="").strip() or DEFAULT
    if wanted == SETTINGS or not parser.has_section(wanted):
        if name is None:
            return None
        known = ", ".join(one for one in parser.sections() if one != SETTINGS) or "none"
        raise ProfileError(
            f"{path} has no profile {wanted!r}.", f"Give one of its profiles: {known}."
        )
    values = {key: value.strip() for key, value in parser.items(wanted) if value.strip()}
    return Profile(wanted, values, exposed)
