"""What is done to tables for their own sake: OPTIMIZE, and dropping what nobody needs any more.

Theory. Neither changes what a table says, and neither may stop a run: what fails here is told and
left. OPTIMIZE rewrites a table's files into fewer, so it is worth its time only where there are
several small ones, which the table itself knows (DESCRIBE DETAIL), and only on a table that is read
again before it is replaced or dropped: the table of an iteration that another one follows, and what
the run leaves behind. Intermediate tables are dropped at the very end, and only if all is well:
they are what somebody looks at who wants to know what went wrong.
"""

from __future__ import annotations

from executor.core import answers
from executor.core.effects import Weigh
from executor.core.inputs import Succeeded, TableWeighed
from executor.core.state import (
    CleanUp,
    LoopStatement,
    OutputOptimize,
    Ready,
    State,
    Task,
    Weighing,
)
from executor.core.statements import planned_statement, start
from executor.core.turn import Turn
from executor.workflow.names import table_name
from protocol.events import CleanedUp, Optimized, Warned, Weighed

LARGE_BYTES = 128 * 1024**2
"""Files of this size on average are not worth being rewritten."""


def wants_loops(state: State) -> bool:
    """Whether the tables of iterations are to be optimized."""
    return state.settings.optimize in ("loop", "all")


def begin(turn: Turn, task: LoopStatement | OutputOptimize) -> None:
    """Starts an OPTIMIZE, after a look at the table if it may not be worth it."""
    if turn.state.settings.optimize_min_files <= 1:
        start(turn, task)
        return
    planned, _ = planned_statement(turn.state, task)
    assert planned.target is not None
    turn.set(phase=Weighing(task, planned.id))
    turn.want(Weigh(planned.id, planned.target))


def weighed(turn: Turn, given: TableWeighed, weighing: Weighing) -> None:
    """The table was looked at: optimize it, or leave it as it is."""
    task = weighing.task
    planned, _ = planned_statement(turn.state, task)
    worth, reason = _worth(given, turn.state.settings.optimize_min_files)
    turn.emit(
        Weighed(
            table=planned.target or "",
            statement=planned.id,
            files=given.files,
            bytes=given.bytes,
            format=given.format,
            worth=worth,
            reason=reason,
        )
    )
    turn.set(phase=Ready())
    if turn.state.stop is not None:
        return
    if worth:
        start(turn, task)
    elif isinstance(task, LoopStatement):
        answers.next_iteration(turn, task.loop)


def _worth(given: TableWeighed, min_files: int) -> tuple[bool, str]:
    if given.format is not None and given.format.lower() != "delta":
        return False, f"it is no Delta table but {given.format}"
    if given.files is None:
        return True, "how many files it has cannot be told"
    if given.files < min_files:
        return False, f"it has {given.files} file{'' if given.files == 1 else 's'}"
    if given.bytes is not None and given.bytes >= LARGE_BYTES * given.files:
        return False, "its files are large already"
    return True, f"it has {given.files} files"


def optimized(turn: Turn, table: str, ended: Succeeded) -> None:
    """Records what OPTIMIZE did."""
    metrics = ended.metrics
    turn.emit(
        Optimized(
            table=table,
            files_added=metrics.files_added if metrics else None,
            files_removed=metrics.files_removed if metrics else None,
            bytes_added=metrics.bytes_added if metrics else None,
            bytes_removed=metrics.bytes_removed if metrics else None,
            elapsed_ms=ended.elapsed_ms,
        )
    )


def next_output(turn: Turn) -> bool:
    """Begins with an output that OPTIMIZE has not been tried on yet; false if there is none."""
    state = turn.state
    if state.settings.optimize not in ("final", "all"):
        return False
    passing = intermediates(state) | {loop.alias for loop in state.loops}
    for loop in state.loops:
        passing |= {table_name(loop.table, number) for number in _all(state, loop.id)}
    passing -= _results(state)
    for table in state.tables:
        if table not in state.optimized and table not in passing:
            turn.set(optimized=state.optimized | {table})
            begin(turn, OutputOptimize(table, len(turn.state.optimized)))
            return True
    return False


def intermediates(state: State) -> set[str]:
    """Tables that nobody needs when all is done, whether they are there or not."""
    unneeded = {
        table_name(pattern, iteration) if "{iteration" in pattern else pattern
        for loop in state.loops
        for pattern in loop.intermediates
        for iteration in _all(state, loop.id)[1:]
    }
    return unneeded - _results(state)


def _results(state: State) -> set[str]:
    """The last tables of loops that give their result no other name."""
    return {
        table_name(loop.table, state.loop_progress[loop.id].iteration)
        for loop in state.loops
        if loop.alias is None
    }


def _all(state: State, loop_id: str) -> range:
    """The numbers of a loop's iterations, its entry included."""
    return range(state.loop_progress[loop_id].iteration + 1)


# --- dropping ---------------------------------------------------------------------------------


def clean_next(turn: Turn, *, well: bool) -> bool:
    """Begins to drop an intermediate table that this run has made; false if there is none left.

    `well`: false if something went wrong, and the tables are kept for whoever looks for the cause.
    """
    state = turn.state
    if not state.settings.cleanup:
        return False
    unneeded = intermediates(state)
    left = [table for table in state.tables if table in unneeded and table not in state.cleaned]
    if left and not well:
        detail = f"{len(left)} intermediate tables are kept, because not all is well"
        turn.emit(Warned(code="CLEANUP_LEFT", detail=detail))
        return False
    if not left:
        return False
    turn.set(cleaned=(*state.cleaned, left[0]))
    start(turn, CleanUp(left[0], len(turn.state.cleaned)))
    return True


def again(turn: Turn, task: Task) -> None:
    """What was tried is to be tried once more."""
    match task:
        case OutputOptimize(table):
            turn.set(optimized=turn.state.optimized - {table})
        case CleanUp(table):
            turn.set(cleaned=tuple(one for one in turn.state.cleaned if one != table))
        case _:
            pass


def cleaned(turn: Turn, task: CleanUp) -> None:
    """An intermediate table is gone."""
    turn.emit(CleanedUp(tables=(task.table,)))
