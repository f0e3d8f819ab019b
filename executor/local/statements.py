"""From the text of a statement to its result: which module does it."""

from __future__ import annotations

import duckdb
from sqlglot import exp

from executor.local import commands, ddl, dml, maintenance
from executor.local.dialect import parse, tokens
from executor.local.duckerrors import no_group_by, translate
from executor.local.errors import SqlError
from executor.local.execution import Execution
from executor.local.results import Result, run_query
from executor.local.words import Words


def execute(work: Execution, sql: str) -> Result:
    """Run one statement. Raises SqlError, Cancelled, or duckdb.Error for the caller to word."""
    found = tokens(sql)
    if not found:
        raise SqlError("PARSE_EMPTY_STATEMENT", "Syntax error, unexpected empty statement.")
    words = Words(found)
    command = commands.find(words)
    if command is not None:
        return command(work, words)
    if words.take("ALTER", "TABLE"):
        done = maintenance.alter_properties(work, words)
        if done is not None:
            return done
    tree = parse(sql)
    try:
        return _run(work, tree)
    except duckdb.BinderException as exc:
        fault = translate(exc)
        if isinstance(fault, SqlError) and fault.error_class == "MISSING_AGGREGATION":
            raise (fault if tree.find(exp.Group) else no_group_by(fault)) from exc
        raise


def _run(work: Execution, tree: exp.Expr) -> Result:
    match tree:
        case exp.Create():
            return ddl.create(work, tree)
        case exp.Drop():
            return ddl.drop(work, tree)
        case exp.Alter():
            return ddl.alter(work, tree)
        case exp.Insert():
            return dml.insert(work, tree)
        case exp.Update():
            return dml.update(work, tree)
        case exp.Delete():
            return dml.delete(work, tree)
        case exp.Merge():
            return dml.merge(work, tree)
        case exp.TruncateTable():
            return dml.truncate(work, tree)
    query, columns = work.query(tree)
    work.check()
    return run_query(work.con, query, columns, work.engine.spill, work.engine.connect)
