"""`dwx schema`: prints the JSON Schema of every event and decision of the installed version."""

from __future__ import annotations

import json
from collections.abc import Sequence

from executor.cli.parser import Parser
from protocol.exit_codes import SUCCEEDED


def main(argv: Sequence[str]) -> int:
    Parser(prog="dwx schema", description=__doc__).parse_args(argv)
    from protocol.schema import schema

    print(json.dumps(schema(), indent=2))
    return SUCCEEDED
