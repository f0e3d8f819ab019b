"""`dwx report`: all that is to be told about a run, as text, JSON, Markdown or one HTML file."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from executor.cli.looking import Subject, flags, looking
from executor.views.summary import next_command
from protocol.exit_codes import MISMATCH, SUCCEEDED

if TYPE_CHECKING:
    from executor.views.report_model import Report
    from executor.views.status import RunState
    from protocol.hello import Entry
    from protocol.log import LogReader

FORMATS: Final = ("text", "json", "markdown", "html")


def main(argv: Sequence[str]) -> int:
    parser = flags("report", __doc__, log=True)
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    args = parser.parse_args(argv)
    if args.json:
        args.format = "json"
    return looking("report", args, lambda: _report(args))


def _report(args: Namespace) -> int:
    from protocol.log import LogDamaged

    try:
        text = _formatted(_fold(args), args.format)
    except LogDamaged as exc:
        print(f"dwx report: {exc}", file=sys.stderr)
        return MISMATCH
    if args.output is not None:
        args.output.write_text(text, encoding="utf-8")
    elif args.format == "text":
        sys.stdout.write(text)
    else:
        # a file in the making says itself how it is encoded, whatever the terminal's encoding
        sys.stdout.buffer.write(text.encode())
    return SUCCEEDED


def _fold(args: Namespace) -> Report:
    """The run's report. Errors: `RunNotFound`, `LogDamaged`, `OSError`."""
    named = Path(args.run) if args.run is not None else None
    if named is not None and named.is_file() and named.name != "events.jsonl":
        return _read(named, "crashed")  # a copy: nobody can tell whether its writer lives
    if named is not None and named.is_file():
        named = named.parent
    subject = Subject(args, str(named) if named is not None else None)
    look = subject.look
    look.refresh()  # whether it lives is asked before its log is read to the end
    report = _read(look.path / "events.jsonl", look.state)
    if report.state == "finished":
        return report
    following = next_command(look.fold, look.state, subject.command, any_kept=bool(look.kept()))
    return replace(report, next=tuple(dict.fromkeys((following, *report.next))))


def _read(log: Path, state: RunState) -> Report:
    from executor.views.report import report_of
    from protocol.log import LogReader

    reader = LogReader(log)
    missing: list[str] = []
    report = report_of(_whole(reader, missing), state)
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    remarks = [f"What was kept apart is not all there: {one}{more}" for one in missing[:1]]
    if reader.torn_bytes:
        remarks.append(f"The log ends {reader.torn_bytes} bytes into a line.")
    return replace(report, remarks=(*report.remarks, *remarks))


def _whole(reader: LogReader, missing: list[str]) -> Iterator[Entry]:
    """The entries, with what was cut out of them where that is there."""
    from protocol.log import ArtifactDamaged, resolve

    for entry in reader:
        entry = _without_stack(entry)
        try:
            yield resolve(entry, reader.path.parent)
        except (ArtifactDamaged, OSError) as exc:
            missing.append(str(exc))
            yield entry


def _without_stack(entry: Entry) -> Entry:
    """A stack is long, and no report shows it, so none is read or missed."""
    from protocol.events import ErrorPrompt, RunFinished, StatementFinished

    match entry.event:
        case StatementFinished() | ErrorPrompt() | RunFinished() as event if event.error:
            return replace(entry, event=replace(event, error=replace(event.error, stack=None)))
        case _:
            return entry


def _formatted(report: Report, wanted: str) -> str:
    """The report in one format; only that one is imported."""
    if wanted == "json":
        from executor.views.report_model import as_json

        return json.dumps(as_json(report), indent=2) + "\n"
    if wanted == "markdown":
        from executor.views.report_markdown import as_markdown

        return as_markdown(report)
    if wanted == "html":
        from executor.views.report_html import as_html

        return as_html(report)
    from executor.views.report_text import as_text

    return as_text(report)
