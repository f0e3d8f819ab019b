"""The SQL the executor writes itself: for a loop, for OPTIMIZE, and to undo a write.

The set difference of an iteration's table and the one before it, looked for both ways, is an exact
fixpoint test: it is empty exactly if another iteration would change nothing. Where a loop gives
every follower another leader, and so loses no row without getting another, one way says the same.
"""

from __future__ import annotations

from executor.workflow.names import quote, sql_name, table_name
from protocol.events import PlannedLoop


def changed_rows_sql(loop: PlannedLoop, iteration: int) -> str:
    """One number: rows of this iteration's table that the previous one does not have, or the other
    way round, whichever are more; `one_way`: the former.
    """
    table = sql_name(table_name(loop.table, iteration))
    previous = sql_name(table_name(loop.table, iteration - 1))
    if loop.probe is not None:
        return loop.probe.replace("{table}", table).replace("{previous}", previous)
    columns = "*"
    if loop.changed_columns is not None:
        columns = ", ".join(quote(column) for column in loop.changed_columns)
    came = f"SELECT {columns} FROM {table} EXCEPT SELECT {columns} FROM {previous}"
    if loop.one_way:
        return f"SELECT COUNT(*) AS updated FROM ({came}) AS changed"
    went = f"SELECT {columns} FROM {previous} EXCEPT SELECT {columns} FROM {table}"
    return (
        f"SELECT GREATEST((SELECT COUNT(*) FROM ({came}) AS came), "
        f"(SELECT COUNT(*) FROM ({went}) AS went)) AS updated"
    )


def residual_sql(loop: PlannedLoop, iteration: int) -> str:
    """One number: what is left to merge after this iteration."""
    if loop.residual is None:
        raise ValueError(f"loop {loop.id} has no residual")
    return loop.residual.replace("{table}", sql_name(table_name(loop.table, iteration)))


def alias_sql(loop: PlannedLoop, iteration: int) -> str:
    """Makes the loop's alias from the table of its last iteration."""
    if loop.alias is None:
        raise ValueError(f"loop {loop.id} has no alias")
    table = sql_name(table_name(loop.table, iteration))
    return f"CREATE OR REPLACE TABLE {sql_name(loop.alias)} AS SELECT * FROM {table}"


def optimize_sql(table: str) -> str:
    return f"OPTIMIZE {sql_name(table)}"


def drop_sql(table: str) -> str:
    return f"DROP TABLE IF EXISTS {sql_name(table)}"


def restore_sql(table: str, version: int) -> str:
    """Gives a table the content it had at a version of its history."""
    return f"RESTORE TABLE {sql_name(table)} TO VERSION AS OF {version}"
