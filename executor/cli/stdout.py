"""What stdout is used as: JSON lines for a program, text or a drawing for a person."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass

from executor.cli.text_writer import TextWriter
from executor.runtime.stdio import LineWriter, Screen
from protocol.hello import View


@dataclass(frozen=True, slots=True)
class Stdout:
    """Which events stdout gets, and what becomes of them there."""

    view: View
    screen: Callable[[int, Callable[[], None]], Screen]
    """Given the descriptor, and what to call when whoever reads is gone."""


def stdout_of(verb: str, args: Namespace, *, to_person: bool) -> Stdout:
    """What `verb` uses stdout as. `to_person`: it is a terminal."""
    view: View = args.stdout
    if not to_person or args.json or view == "off":
        return Stdout(view, LineWriter)
    if verb == "check":
        return Stdout(view, TextWriter)
    from executor.cli.terminal_writer import TerminalWriter

    # what is under way is told by the events that only `full` has
    return Stdout("full", TerminalWriter)
