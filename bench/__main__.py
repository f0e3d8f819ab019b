"""Prints every ratio, with the machine and the versions it was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

from bench import convergence, first_event, overhead, protocol, waiting

PACKAGES = ("databricks-sql-connector", "pydantic", "anyio", "sqlglot", "duckdb")


def main() -> None:
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"Python {platform.python_version()}, {versions}\n")
    print("| what | measured | aim |\n|---|---|---|")
    for part in (first_event, overhead, convergence, waiting, protocol):
        for what, measured, aim in part.report():
            print(f"| {what} | {measured} | {aim} |", flush=True)


main()
