"""The least a program can do: connect, execute the given statements in order, close.

Arguments: the warehouse's connection URI, a file with its token, a JSON file with the statements.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from databricks import sql


def main(uri: str, token_file: str, statements_file: str) -> None:
    parts = urlsplit(uri)
    with (
        sql.connect(
            server_hostname=parts.hostname,
            http_path=parts.path,
            access_token=Path(token_file).read_text().strip(),
            _connection_uri=uri,
            enable_telemetry=False,
            use_cloud_fetch=False,
        ) as connection,
        connection.cursor() as cursor,
    ):
        for statement in json.loads(Path(statements_file).read_text()):
            cursor.execute(statement)
            if cursor.description:
                cursor.fetchone()


if __name__ == "__main__":
    main(*sys.argv[1:])
