"""Ask Apache Spark for the answers that the embedded warehouse must give.

Reads ``expressions.txt`` (one query a line) and writes ``spark_reference.json``: per query the
column names, their types and the rows as Spark shows them, or the class of the error. Needs
pyspark 4.0 and Java; nothing else in this project does:

    python make_spark_reference.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> None:
    from pyspark.sql import SparkSession  # type: ignore[import-not-found]

    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.ansi.enabled", "true")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    answers: list[dict[str, Any]] = []
    for line in (HERE / "expressions.txt").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            answers.append({"sql": line, **answer(spark, line)})
    text = ",\n".join(json.dumps(a, ensure_ascii=False) for a in answers)
    (HERE / "spark_reference.json").write_text(f"[\n{text}\n]\n", "utf-8")


def answer(spark: Any, sql: str) -> dict[str, Any]:
    """Columns, types and rows of one query, or the class of its error."""
    try:
        frame = spark.sql(sql)
        rows = [[plain(v) for v in row] for row in frame.collect()]
    except Exception as exc:  # noqa: BLE001 -- any failure is an answer
        text = str(exc)
        found = re.search(r"\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]", text)
        return {"error": found.group(1) if found else text[:200]}
    types = [f.dataType.simpleString() for f in frame.schema.fields]
    return {"columns": frame.columns, "types": types, "rows": rows}


def plain(value: Any) -> Any:
    """A value as JSON can hold it: nested ones by structure, the rest as text or number."""
    from pyspark.sql import Row

    if isinstance(value, Row):
        return {k: plain(v) for k, v in zip(value.__fields__, value, strict=True)}
    if isinstance(value, dict):
        return {"__map__": [[plain(k), plain(v)] for k, v in value.items()]}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, (bytes, bytearray)):
        return {"__bytes__": bytes(value).hex()}
    if isinstance(value, float) and value != value:
        return "NaN"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


if __name__ == "__main__":
    main()
