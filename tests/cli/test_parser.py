"""What the command line knows of secrets, however it is spelled."""

from __future__ import annotations

import pytest

from executor.cli.parser import secret_values


@pytest.mark.parametrize(
    ("argv", "secrets"),
    [
        (("run", "sql", "--access-token", "s3"), ["s3"]),
        (("--access-token=s3",), ["s3"]),
        (("--acc", "s3"), ["s3"]),
        (("--acess-token", "s3", "sql"), ["s3"]),
        (("--token", "s3"), ["s3"]),
        (("--token=s3",), ["s3"]),
        (("--client-secret=a=b",), ["a=b"]),
        (("--token-fd", "s3"), ["s3"]),
        (("--token-fd", "3"), []),
        (("--token-fd=3",), []),
        (("--no-token-cache", "sql"), []),
        (("--access-token", "--dry-run"), []),
        (("--catalog", "main"), []),
        (("--access-token=",), []),
    ],
)
def test_values_of_flags_for_secrets_are_found(argv: tuple[str, ...], secrets: list[str]) -> None:
    found = list(secret_values(argv))
    assert [value for _, value in found] == secrets
    for place, value in found:
        assert argv[place].endswith(value)
