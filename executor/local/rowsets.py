"""Results in Thrift's column-based sets, the one form every connector accepts.

A column is a list of values and a bitmap of the NULL ones; under a NULL stands any value of the
right type. The connector reads these with and without pyarrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from databricks.sql.thrift_api.TCLIService import ttypes

from executor.local import sqltypes as t
from executor.local.scope import Column
from executor.local.sqltypes import SqlType

_IDS = {
    "boolean": ttypes.TTypeId.BOOLEAN_TYPE,
    "tinyint": ttypes.TTypeId.TINYINT_TYPE,
    "smallint": ttypes.TTypeId.SMALLINT_TYPE,
    "int": ttypes.TTypeId.INT_TYPE,
    "bigint": ttypes.TTypeId.BIGINT_TYPE,
    "float": ttypes.TTypeId.FLOAT_TYPE,
    "double": ttypes.TTypeId.DOUBLE_TYPE,
    "string": ttypes.TTypeId.STRING_TYPE,
    "binary": ttypes.TTypeId.BINARY_TYPE,
    "date": ttypes.TTypeId.DATE_TYPE,
    "timestamp": ttypes.TTypeId.TIMESTAMP_TYPE,
    "timestamp_ntz": ttypes.TTypeId.TIMESTAMP_TYPE,
    "decimal": ttypes.TTypeId.DECIMAL_TYPE,
    "array": ttypes.TTypeId.ARRAY_TYPE,
    "map": ttypes.TTypeId.MAP_TYPE,
    "struct": ttypes.TTypeId.STRUCT_TYPE,
    "void": ttypes.TTypeId.STRING_TYPE,
    "interval day": ttypes.TTypeId.STRING_TYPE,
    "interval month": ttypes.TTypeId.STRING_TYPE,
}
# Spark type -> (field of TColumn, class of the list, value that stands under a NULL)
_CARRIERS: dict[str, tuple[str, Any, Any]] = {
    "boolean": ("boolVal", ttypes.TBoolColumn, False),
    "tinyint": ("byteVal", ttypes.TByteColumn, 0),
    "smallint": ("i16Val", ttypes.TI16Column, 0),
    "int": ("i32Val", ttypes.TI32Column, 0),
    "bigint": ("i64Val", ttypes.TI64Column, 0),
    "float": ("doubleVal", ttypes.TDoubleColumn, 0.0),
    "double": ("doubleVal", ttypes.TDoubleColumn, 0.0),
    "binary": ("binaryVal", ttypes.TBinaryColumn, b""),
}
_TEXT: tuple[str, Any, Any] = ("stringVal", ttypes.TStringColumn, "")


def schema(columns: Sequence[Column]) -> ttypes.TTableSchema:
    return ttypes.TTableSchema(
        columns=[
            ttypes.TColumnDesc(
                columnName=c.name, typeDesc=_type(c.type or t.STRING), position=i + 1
            )
            for i, c in enumerate(columns)
        ]
    )


def _type(kind: SqlType) -> ttypes.TTypeDesc:
    qualifiers = None
    if kind.name == "decimal":
        qualifiers = ttypes.TTypeQualifiers(
            qualifiers={
                "precision": ttypes.TTypeQualifierValue(i32Value=kind.args[0]),
                "scale": ttypes.TTypeQualifierValue(i32Value=kind.args[1]),
            }
        )
    entry = ttypes.TPrimitiveTypeEntry(type=_IDS[kind.name], typeQualifiers=qualifiers)
    return ttypes.TTypeDesc(types=[ttypes.TTypeEntry(primitiveEntry=entry)])


def row_set(
    columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], offset: int
) -> ttypes.TRowSet:
    """``rows`` as columns; ``offset`` is the number of the first one, from 0."""
    lists = zip(*rows, strict=True) if rows else ([] for _ in columns)
    out = [_column(c.type, list(values)) for c, values in zip(columns, lists, strict=True)]
    return ttypes.TRowSet(startRowOffset=offset, rows=[], columns=out)


def _column(kind: SqlType | None, values: list[Any]) -> ttypes.TColumn:
    name, carrier, blank = _CARRIERS.get(kind.name if kind else "", _TEXT)
    nulls = b""
    if None in values:
        bits = bytearray((len(values) + 7) // 8)
        for i, value in enumerate(values):
            if value is None:
                bits[i >> 3] |= 1 << (i & 7)
                values[i] = blank
        nulls = bytes(bits)
    return ttypes.TColumn(**{name: carrier(values=values, nulls=nulls)})
