"""Functions over dates and timestamps. Every session is in UTC, as dwx opens them."""

from __future__ import annotations

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.arithmetic import arithmetic
from executor.local.errors import SqlError, mismatch, unsupported
from executor.local.expressions import Expressions
from executor.local.functions import Build, define, special
from executor.local.scope import Scope
from executor.local.values import Value, cast, implicit

_UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")


@special("current_timestamp", "now", "localtimestamp")
def _now(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    if str(node.this).lower() == "localtimestamp":
        return Value("CAST(now() AS TIMESTAMP)", t.TIMESTAMP_NTZ)
    return Value("now()", t.TIMESTAMP)


@special("current_date", "curdate")
def _today(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    return Value("CAST(now() AS DATE)", t.DATE)


@special("current_timezone")
def _zone(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    return Value("'Etc/UTC'", t.STRING)


def _moment(v: Value) -> Value:
    """A timestamp or date as is; a text becomes a timestamp."""
    if v.type is not None and v.type.name in ("date", "timestamp", "timestamp_ntz"):
        return v
    if v.type is not None and v.type.name not in ("string", "void"):
        raise mismatch(f'A date is needed but the type is "{t.spark_name(v.type)}".')
    return implicit(v, t.TIMESTAMP)


def _field(function: str) -> Build:
    return lambda v: Value(f"CAST({function}({_moment(v[0]).sql}) AS INTEGER)", t.INT)


for _name, _sql in (
    ("year", "year"), ("quarter", "quarter"), ("month", "month"), ("day", "day"),
    ("dayofmonth", "day"), ("dayofyear", "dayofyear"), ("weekofyear", "week"), ("hour", "hour"),
    ("minute", "minute"), ("second", "second"), ("week", "week"), ("doy", "dayofyear"),
):  # fmt: skip
    define(_name, 1, "a", _field(_sql))
define(
    "weekday", 1, "a", lambda v: Value(f"CAST(isodow({_moment(v[0]).sql}) - 1 AS INTEGER)", t.INT)
)


define(
    "dayofweek dow",
    1,
    "a",
    lambda v: Value(f"CAST(dayofweek({_moment(v[0]).sql}) + 1 AS INTEGER)", t.INT),
)
define(
    "weekday", 1, "a", lambda v: Value(f"CAST(isodow({_moment(v[0]).sql}) - 1 AS INTEGER)", t.INT)
)


def _unit(node: exp.Expr) -> str:
    name = node.name.lower().rstrip("s")
    if name not in _UNITS:
        raise unsupported("DATETIME_UNIT", f"the unit {node.name}")
    return name


@special("date_add", "dateadd", "timestampadd", "date_sub")
def _date_add(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    args, name = list(node.expressions), str(node.this).lower()
    if len(args) == 3:
        unit = _unit(args[0])
        count, base = implicit(ctx.value(args[1], scope), t.INT), _moment(ctx.value(args[2], scope))
        factor, duck = (3, "month") if unit == "quarter" else (1, unit)
        kind = base.type if base.type is not None and base.type != t.DATE else t.TIMESTAMP
        assert kind is not None
        return Value(
            f"CAST({base.sql} + to_{duck}s({count.sql} * {factor}) AS {t.duck_name(kind)})", kind
        )
    base, count = implicit(ctx.value(args[0], scope), t.DATE), ctx.value(args[1], scope)
    sign = "-" if name == "date_sub" else "+"
    return arithmetic(sign, base, implicit(count, t.INT))


@special("datediff", "date_diff", "timestampdiff")
def _date_diff(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    args = list(node.expressions)
    if len(args) == 2:
        a, b = (implicit(v, t.DATE) for v in ctx.values(args, scope))
        return Value(f"CAST({a.sql} - {b.sql} AS INTEGER)", t.INT)
    unit = _unit(args[0])
    start, end = (cast(v, t.TIMESTAMP) for v in ctx.values(args[1:], scope))
    # Whole units elapsed, not boundaries crossed: date_sub in DuckDB.
    return Value(f"CAST(date_sub('{unit}', {start.sql}, {end.sql}) AS BIGINT)", t.BIGINT)


define("add_months", 2, "Di", "CAST({0} + to_months({1}) AS DATE)", t.DATE)
define("last_day", 1, "D", "last_day({0})", t.DATE)
define(
    "months_between",
    (2, 3),
    "tta",
    lambda v: Value(f"spark_months_between({v[0].sql}, {v[1].sql})", t.DOUBLE),
)
define("make_date", 3, "i", "make_date({0}, {1}, {2})", t.DATE)
define("to_unix_timestamp", (1, 2), "as", lambda v: _unix(v))
define("unix_date", 1, "D", "CAST({0} - DATE '1970-01-01' AS INTEGER)", t.INT)
define("date_from_unix_date", 1, "i", "CAST(DATE '1970-01-01' + {0} AS DATE)", t.DATE)
define("unix_seconds", 1, "t", "CAST(floor(epoch_us({0}) / 1000000) AS BIGINT)", t.BIGINT)
define("unix_millis", 1, "t", "CAST(floor(epoch_us({0}) / 1000) AS BIGINT)", t.BIGINT)
define("unix_micros", 1, "t", "epoch_us({0})", t.BIGINT)
define("timestamp_seconds", 1, "n", lambda v: cast(v[0], t.TIMESTAMP))
define("timestamp_millis", 1, "l", "make_timestamptz({0} * 1000)", t.TIMESTAMP)
define("timestamp_micros", 1, "l", "make_timestamptz({0})", t.TIMESTAMP)

_DAYS = {"mo": 1, "tu": 2, "we": 3, "th": 4, "fr": 5, "sa": 6, "su": 7}


def _next_day(v: list[Value]) -> Value:
    if not v[1].const or str(v[1].const[0])[:2].lower() not in _DAYS:
        raise unsupported("NEXT_DAY", "next_day with a weekday that is not a literal")
    return Value(f"spark_next_day({v[0].sql}, {_DAYS[str(v[1].const[0])[:2].lower()]})", t.DATE)


define("next_day", 2, "Ds", _next_day)

_TRUNC = {
    "year": "year", "yyyy": "year", "yy": "year", "quarter": "quarter", "month": "month",
    "mon": "month", "mm": "month", "week": "week", "day": "day", "dd": "day", "hour": "hour",
    "minute": "minute", "second": "second",
}  # fmt: skip


def _truncated(v: Value, unit: Value, kind: t.SqlType) -> Value:
    if not unit.const:
        raise unsupported("TRUNC", "truncation to a unit that is not a literal")
    name, duck = _TRUNC.get(str(unit.const[0]).lower()), t.duck_name(kind)
    if name is None or (kind == t.DATE and name in ("day", "hour", "minute", "second")):
        return Value(f"CAST(NULL AS {duck})", kind)  # an unknown unit is no error in Spark
    return Value(f"CAST(date_trunc('{name}', {v.sql}) AS {duck})", kind)


define("trunc", 2, "Ds", lambda v: _truncated(v[0], v[1], t.DATE))
define("date_trunc", 2, "st", lambda v: _truncated(v[1], v[0], t.TIMESTAMP))
define("date_part datepart", 2, "sa", lambda v: _date_part(v))


def _date_part(v: list[Value]) -> Value:
    from executor.local.functions import TABLE  # the table is complete only once all are imported

    name = str(v[0].const[0]).lower() if v[0].const else ""
    if name not in (*_UNITS, "dayofweek", "dow", "doy", "dayofyear"):
        raise unsupported("DATE_PART", "this field of a date")
    return TABLE[name].build([v[1]])


# formats ------------------------------------------------------------------------------------

_FORMATS = {
    "yyyy": "%Y", "yy": "%y", "MM": "%m", "M": "%-m", "MMM": "%b", "MMMM": "%B", "dd": "%d",
    "d": "%-d", "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M", "m": "%-M",
    "ss": "%S", "s": "%-S", "SSS": "%g", "SSSSSS": "%f", "a": "%p", "E": "%a", "EE": "%a",
    "EEE": "%a", "EEEE": "%A", "DDD": "%j", "D": "%-j",
}  # fmt: skip


def _format(v: Value, *, parsing: bool = False) -> str:
    """A Java date pattern as DuckDB's strftime reads it; refuses letters it has no match for."""
    if not v.const:
        raise unsupported("DATETIME_PATTERN", "a date pattern that is not a literal")
    text, out, i = str(v.const[0]), "", 0
    while i < len(text):
        ch = text[i]
        if ch == "'":
            end = text.find("'", i + 1)
            if end < 0:
                raise unsupported("DATETIME_PATTERN", f"the date pattern {text}")
            out += (text[i + 1 : end] or "'").replace("%", "%%")
            i = end + 1
            continue
        if not ch.isalpha():
            out += "%%" if ch == "%" else ch
            i += 1
            continue
        run = ch
        while i + len(run) < len(text) and text[i + len(run)] == ch:
            run += ch
        if run not in _FORMATS or (parsing and run in ("DDD", "D", "E", "EE", "EEE", "EEEE", "yy")):
            raise unsupported("DATETIME_PATTERN", f"the letters {run} in the date pattern {text}")
        out += _FORMATS[run]
        i += len(run)
    return t.text(out)


define(
    "date_format",
    2,
    "ts",
    lambda v: Value(f"strftime(CAST({v[0].sql} AS TIMESTAMP), {_format(v[1])})", t.STRING),
)


def _from_unixtime(v: list[Value]) -> Value:
    moment = f"CAST(make_timestamptz({v[0].sql} * 1000000) AS TIMESTAMP)"
    pattern = _format(v[1]) if len(v) > 1 else "'%Y-%m-%d %H:%M:%S'"
    return Value(f"strftime({moment}, {pattern})", t.STRING)


define("from_unixtime", (1, 2), "ls", _from_unixtime)


def _parsed(v: Value, pattern: Value, *, attempt: bool = False) -> Value:
    function = "try_strptime" if attempt else "strptime"
    sql = f"{function}({v.sql}, {_format(pattern, parsing=True)})"
    return Value(f"CAST({sql} AS TIMESTAMPTZ)", t.TIMESTAMP)


def _unix(v: list[Value]) -> Value:
    moment = v[0]
    if moment.type == t.STRING:
        default = Value("", t.STRING, ("yyyy-MM-dd HH:mm:ss",))
        moment = _parsed(moment, v[1] if len(v) > 1 else default)
    elif moment.type is not None and moment.type.name not in ("date", "timestamp", "timestamp_ntz"):
        raise SqlError(
            "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
            f'unix_timestamp needs a date or a text but has "{t.spark_name(moment.type)}".',
        )
    return Value(
        f"CAST(floor(epoch_us({cast(moment, t.TIMESTAMP).sql}) / 1000000) AS BIGINT)", t.BIGINT
    )


@special("unix_timestamp")
def _unix_timestamp(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    values = ctx.values(list(node.expressions), scope)
    if not values:
        return Value("CAST(floor(epoch_us(now()) / 1000000) AS BIGINT)", t.BIGINT)
    return _unix(values)


define(
    "to_timestamp",
    (1, 2),
    "as",
    lambda v: (
        cast(v[0], t.TIMESTAMP)
        if len(v) == 1
        else (_parsed(v[0], v[1]) if v[0].type == t.STRING else cast(v[0], t.TIMESTAMP))
    ),
)
define(
    "try_to_timestamp",
    (1, 2),
    "as",
    lambda v: (
        Value(f"TRY({cast(v[0], t.TIMESTAMP).sql})", t.TIMESTAMP)
        if len(v) == 1
        else _parsed(v[0], v[1], attempt=True)
    ),
)
define(
    "to_date",
    (1, 2),
    "as",
    lambda v: (
        cast(v[0], t.DATE)
        if len(v) == 1
        else (cast(_parsed(v[0], v[1]), t.DATE) if v[0].type == t.STRING else cast(v[0], t.DATE))
    ),
)
define(
    "try_to_date",
    (1, 2),
    "as",
    lambda v: (
        Value(f"TRY({cast(v[0], t.DATE).sql})", t.DATE)
        if len(v) == 1
        else cast(_parsed(v[0], v[1], attempt=True), t.DATE)
    ),
)
