"""Statements that are words, not queries: USE, SHOW, DESCRIBE, OPTIMIZE, SET, CREATE SCHEMA, ...

sqlglot reads most of these as opaque commands or not at all, so they are read from tokens.
``find`` looks at the first words and gives the function that does the rest, or None for what is a
query, DML or DDL of tables.
"""

from __future__ import annotations

from collections.abc import Callable

from executor.local import maintenance, namespaces
from executor.local.errors import unsupported
from executor.local.execution import Execution
from executor.local.restore import restore
from executor.local.results import Result
from executor.local.words import Words

Command = Callable[[Execution, Words], Result]


def find(words: Words) -> Command | None:
    for heads, command in _COMMANDS:
        for head in heads:
            if words.take(*head.split()):
                return command
    return None


def _refused(feature: str, sentence: str) -> Command:
    def refuse(work: Execution, words: Words) -> Result:
        raise unsupported(feature, sentence)

    return refuse


_COMMANDS: tuple[tuple[tuple[str, ...], Command], ...] = (
    (("USE CATALOG", "SET CATALOG"), namespaces.use_catalog),
    (("USE SCHEMA", "USE DATABASE", "USE NAMESPACE", "USE"), namespaces.use_schema),
    (("CREATE CATALOG",), namespaces.create_catalog),
    (("DROP CATALOG",), namespaces.drop_catalog),
    (("CREATE SCHEMA", "CREATE DATABASE"), namespaces.create_schema),
    (("DROP SCHEMA", "DROP DATABASE"), namespaces.drop_schema),
    (("SHOW CATALOGS",), namespaces.show_catalogs),
    (("SHOW SCHEMAS", "SHOW DATABASES"), namespaces.show_schemas),
    (("SHOW TABLES",), namespaces.show_tables),
    (("SHOW VIEWS",), namespaces.show_views),
    (("SHOW COLUMNS",), namespaces.show_columns),
    (("SHOW TBLPROPERTIES",), namespaces.show_properties),
    (("SHOW CURRENT",), namespaces.show_current),
    (("SHOW CREATE TABLE",), maintenance.show_create_table),
    (("SHOW",), _refused("SHOW", "this SHOW statement")),
    (("DESCRIBE", "DESC"), maintenance.describe),
    (("OPTIMIZE",), maintenance.optimize),
    (("VACUUM",), maintenance.vacuum),
    (("ANALYZE TABLE",), maintenance.analyze),
    (("REFRESH TABLE", "REFRESH"), maintenance.refresh),
    (("COMMENT ON",), maintenance.comment_on),
    (("SET",), namespaces.set_config),
    (("RESET",), namespaces.reset),
    (("RESTORE",), restore),
    (("COPY INTO",), _refused("COPY_INTO", "COPY INTO")),
    (("GRANT", "REVOKE"), _refused("GRANT", "privileges")),
    (("EXPLAIN",), _refused("EXPLAIN", "EXPLAIN")),
    (("CACHE", "UNCACHE", "CLEAR"), _refused("CACHE", "CACHE and UNCACHE")),
    (("MSCK",), _refused("MSCK", "MSCK REPAIR TABLE")),
    (("BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK"),
     _refused("TRANSACTIONS", "transactions of more than one statement")),
    (("DECLARE", "EXECUTE IMMEDIATE", "CALL"), _refused("SCRIPTING", "SQL scripting")),
)  # fmt: skip
