"""Java stacks, as a warehouse sends them with a failed statement.

Clients read three things in them: the text of the error, once more and with the service's words
before it; the exceptions that caused it, each behind `Caused by:`; and frames, which they must not
mistake for text. So those are here, a few frames instead of hundreds. The cause is what the engine
beneath said, which a client learns from nowhere else.
"""

from __future__ import annotations

from executor.local.errors import SqlError
from executor.local.values import REFUSED

_OUTER = (
    "org.apache.spark.sql.hive.thriftserver.SparkExecuteStatementOperation.execute(Embedded:1)",
    "org.apache.spark.sql.hive.thriftserver.SparkExecuteStatementOperation.run(Embedded:1)",
    "java.lang.Thread.run(Thread.java:1)",
)
_INNER = ("org.apache.spark.sql.SparkSession.sql(Embedded:1)",)


def stack_of(error: SqlError, raised: BaseException) -> str:
    """The stack of `error`, which is what `raised` is to a client."""
    beneath = raised.__cause__ if raised is error else raised
    if beneath is None:
        cause = f"org.apache.spark.sql.AnalysisException: {error.text}"
    else:
        kind = type(beneath)
        # without the piece of our translation of the statement, cut off at both ends
        said = str(beneath).split("\n\nLINE ")[0].replace(REFUSED, "").strip()
        cause = f"{kind.__module__.lstrip('_')}.{kind.__qualname__}: {said}"
    return "\n".join(
        (
            f"org.apache.hive.service.cli.HiveSQLException: Error running query: {error.text}",
            *(f"\tat {frame}" for frame in _OUTER),
            f"Caused by: {cause}",
            *(f"\tat {frame}" for frame in _INNER),
            f"\t... {len(_OUTER)} more",
        )
    )
