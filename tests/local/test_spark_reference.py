"""The embedded warehouse answers as Apache Spark does, or refuses: it never answers differently."""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest

REFERENCE = json.loads((Path(__file__).parent / "spark_reference.json").read_text("utf-8"))
ANSWERED = [c for c in REFERENCE if "error" not in c]
REFUSED = [c for c in REFERENCE if "error" in c]

# DATE'2024-02-30' reads as a cast here, so it fails as one.
RENAMED = {"INVALID_TYPED_LITERAL": ("CAST_INVALID_INPUT",)}


def _same_leaf(expected: Any, actual: Any) -> bool:
    if isinstance(expected, bool) or isinstance(actual, bool) or expected is None or actual is None:
        return expected is actual
    if expected == "NaN":
        return actual in ("NaN", None) or (isinstance(actual, float) and math.isnan(actual))
    if isinstance(expected, float) and isinstance(actual, (int, float)):
        return math.isclose(expected, float(actual), rel_tol=1e-13)
    if isinstance(expected, str) and isinstance(actual, (int, float)):
        try:
            return Decimal(expected) == Decimal(str(actual))
        except InvalidOperation:
            return False
    return bool(expected == actual)


def _same_nested(expected: Any, actual: Any) -> bool:
    if isinstance(expected, dict) and "__map__" in expected:
        pairs = {str(k): v for k, v in expected["__map__"]}
        return isinstance(actual, dict) and _same_nested(pairs, actual)
    if isinstance(expected, dict):
        return (
            isinstance(actual, dict)
            and list(expected) == list(actual)
            and all(_same_nested(v, actual[k]) for k, v in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(expected) == len(actual)
            and all(_same_nested(e, a) for e, a in zip(expected, actual, strict=True))
        )
    return _same_leaf(expected, actual)


def same(expected: Any, actual: Any) -> bool:
    """Whether a value from the wire is the value Spark gave."""
    if isinstance(expected, dict) and "__bytes__" in expected:
        return bool(bytes.fromhex(expected["__bytes__"]) == actual)
    if isinstance(expected, (dict, list)) and isinstance(actual, str):
        return _same_nested(expected, json.loads(actual))
    if isinstance(actual, Decimal):
        return bool(expected == f"{actual:f}")  # scale and all
    if actual is None or isinstance(actual, (bool, int, float, str)):
        if isinstance(expected, str) and isinstance(actual, (int, float)) and expected != "NaN":
            return False
        return _same_leaf(expected, actual)
    return bool(expected == str(actual).removesuffix("+00:00"))


def differences(case: dict[str, Any], cursor: Any, rows: list[Any]) -> list[str]:
    """What differs between Spark's answer and ours; empty when nothing does."""
    out = []
    types = [_type(d) for d in cursor.description]
    wanted = [_plain_type(t) for t in case["types"]]
    for name, one, other in zip(case["columns"], wanted, types, strict=False):
        if one != other and one != "void":
            out.append(f"type of {name}: Spark {one}, here {other}")
    if len(case["types"]) != len(types):
        out.append(f"{len(case['types'])} columns in Spark, {len(types)} here")
    if len(rows) != len(case["rows"]):
        out.append(f"{len(case['rows'])} rows in Spark, {len(rows)} here: {rows}")
    for expected, actual in zip(case["rows"], rows, strict=False):
        for name, one, other in zip(case["columns"], expected, actual, strict=False):
            if not same(one, other):
                out.append(f"{name}: Spark {one!r}, here {other!r}")
    return out


def _type(column: tuple[Any, ...]) -> str:
    if column[1] == "decimal":
        return f"decimal({column[4]},{column[5]})"
    return str(column[1])


def _plain_type(name: str) -> str:
    if name.startswith("interval"):
        return "string"
    return name.split("<")[0].replace("timestamp_ntz", "timestamp")


@pytest.mark.parametrize("case", ANSWERED, ids=[c["sql"] for c in ANSWERED])
def test_a_query_gives_the_rows_and_types_that_spark_gives(case: Any, connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(case["sql"])
        assert differences(case, cursor, cursor.fetchall()) == []


@pytest.mark.parametrize("case", REFUSED, ids=[c["sql"] for c in REFUSED])
def test_a_query_that_spark_refuses_is_refused_with_the_same_class(
    case: Any, connection: Any
) -> None:
    from databricks.sql.exc import ServerOperationError

    with connection.cursor() as cursor, pytest.raises(ServerOperationError) as caught:
        cursor.execute(case["sql"])
    found = str(caught.value).split("]")[0].lstrip("[")
    if not case["error"].isupper():
        return  # Spark itself has no class for this one
    assert found in (case["error"], *RENAMED.get(case["error"], ()))
