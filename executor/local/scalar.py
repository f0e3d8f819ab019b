"""Scalar functions over numbers and texts, and the ones that only tell where we are."""

from __future__ import annotations

import re

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.errors import SqlError, unsupported
from executor.local.expressions import Expressions, arithmetic, divide, modulo
from executor.local.functions import define, special
from executor.local.scope import Scope
from executor.local.sqltypes import SqlType
from executor.local.values import Value, cast, implicit, string_literal, unify

# numbers ------------------------------------------------------------------------------------


def _round(values: list[Value], *, mode: str) -> Value:
    x = values[0]
    places = 0
    if len(values) > 1:
        if not values[1].const or not isinstance(values[1].const[0], int):
            raise unsupported("ROUND", f"{mode} with a scale that is not a literal")
        places = values[1].const[0]
    kind = x.type
    if kind is None:
        raise unsupported("UNTYPED_EXPRESSION", f"{mode} of a value of unknown type")
    if kind.integral:
        return (
            x
            if places >= 0
            else Value(f"CAST(round({x.sql}, {places}) AS {t.duck_name(kind)})", kind)
        )
    if kind.name == "decimal":
        p, s = kind.args
        kept = max(min(s, places), 0)
        result = t.decimal(p - s + kept + 1, kept)
        return Value(f"CAST(round({x.sql}, {places}) AS {t.duck_name(result)})", result)
    if kind.name == "float":
        raise unsupported("ROUND", "rounding a FLOAT; cast it to DOUBLE")
    return Value(f"spark_round_double({x.sql}, {places})", t.DOUBLE)


define("round", (1, 2), "ni", lambda v: _round(v, mode="round"))


def _floor(values: list[Value], name: str) -> Value:
    x = values[0]
    if len(values) > 1:
        raise unsupported("ROUND", f"{name} with a scale")
    if x.type is not None and x.type.name == "decimal":
        p, s = x.type.args
        kind = t.decimal(p - s + 1, 0) if s else x.type
        return Value(f"CAST({name}({x.sql}) AS {t.duck_name(kind)})", kind)
    if x.type is not None and x.type.integral:
        return Value(f"CAST({x.sql} AS BIGINT)", t.BIGINT)
    return Value(f"CAST({name}({x.sql}) AS BIGINT)", t.BIGINT)


define("floor", (1, 2), "ni", lambda v: _floor(v, "floor"))
define("ceil ceiling", (1, 2), "ni", lambda v: _floor(v, "ceil"))
define("abs", 1, "n", "abs({0})")
define("negative", 1, "n", "(-{0})")
define("positive", 1, "n", "{0}")
define("sign signum", 1, "d", "CAST(sign({0}) AS DOUBLE)", t.DOUBLE)
define("sqrt", 1, "d", "CASE WHEN {0} < 0 THEN CAST('nan' AS DOUBLE) ELSE sqrt({0}) END", t.DOUBLE)
define("cbrt", 1, "d", "cbrt({0})", t.DOUBLE)
define("exp", 1, "d", "exp({0})", t.DOUBLE)
define("ln", 1, "d", "CASE WHEN {0} > 0 THEN ln({0}) END", t.DOUBLE)
define("log10", 1, "d", "CASE WHEN {0} > 0 THEN log10({0}) END", t.DOUBLE)
define("log2", 1, "d", "CASE WHEN {0} > 0 THEN log2({0}) END", t.DOUBLE)
define(
    "log",
    (1, 2),
    "d",
    lambda v: Value(
        f"CASE WHEN {v[0].sql} > 0 THEN ln({v[0].sql}) END"
        if len(v) == 1
        else f"CASE WHEN {v[0].sql} > 0 AND {v[1].sql} > 0 THEN ln({v[1].sql}) / ln({v[0].sql}) END",
        t.DOUBLE,
    ),
)
define("pow power", 2, "d", "pow({0}, {1})", t.DOUBLE)
for _name in ("sin", "cos", "tan", "atan", "degrees", "radians", "sinh", "cosh", "tanh"):
    define(_name, 1, "d", _name + "({0})", t.DOUBLE)
define("atan2", 2, "d", "atan2({0}, {1})", t.DOUBLE)
define("pi", 0, "d", lambda v: Value("pi()", t.DOUBLE))
define("e", 0, "d", lambda v: Value("exp(1.0::DOUBLE)", t.DOUBLE))
define("isnan", 1, "d", "coalesce(isnan({0}), FALSE)", t.BOOLEAN)
define(
    "factorial",
    1,
    "i",
    "CASE WHEN {0} BETWEEN 0 AND 20 THEN CAST(factorial({0}) AS BIGINT) END",
    t.BIGINT,
)
define("mod", 2, "n", lambda v: modulo(v[0], v[1]))
define("rand random", 0, "d", lambda v: Value("random()", t.DOUBLE))
define("uuid", 0, "s", lambda v: Value("CAST(uuid() AS VARCHAR)", t.STRING))
define("bit_count", 1, "l", "CAST(bit_count({0}) AS INTEGER)", t.INT)


def _pmod(v: list[Value]) -> Value:
    (a, b), kind = unify(v)
    if kind is None or not kind.integral:
        raise unsupported("PMOD", "pmod on anything but integers")
    duck = t.duck_name(kind)
    return Value(f"spark_pmod(CAST({a.sql} AS {duck}), CAST({b.sql} AS {duck}))", kind)


define("pmod", 2, "n", _pmod)
define("div", 2, "l", "({0} // {1})", t.BIGINT)


def _tried(value: Value) -> Value:
    return Value(f"TRY({value.sql})", value.type)


define("try_add", 2, "a", lambda v: _tried(arithmetic("+", v[0], v[1])))
define("try_subtract", 2, "a", lambda v: _tried(arithmetic("-", v[0], v[1])))
define("try_multiply", 2, "a", lambda v: _tried(arithmetic("*", v[0], v[1])))
define("try_divide", 2, "a", lambda v: _tried(divide(v[0], v[1])))
define("try_mod", 2, "a", lambda v: _tried(modulo(v[0], v[1])))


def _left_shift(v: list[Value]) -> Value:
    kind = t.BIGINT if v[0].type == t.BIGINT else t.INT
    bits = 64 if kind == t.BIGINT else 32
    # Java keeps the low bits; multiply in 128 bits and fold back into the signed range.
    n = f"(CAST({v[0].sql} AS HUGEINT) * (CAST(1 AS HUGEINT) << ({v[1].sql} & {bits - 1})))"
    span, half = f"(CAST(1 AS HUGEINT) << {bits})", f"(CAST(1 AS HUGEINT) << {bits - 1})"
    folded = f"((({n} + {half}) % {span} + {span}) % {span} - {half})"
    return Value(f"CAST({folded} AS {t.duck_name(kind)})", kind)


def _right_shift(v: list[Value]) -> Value:
    kind = t.BIGINT if v[0].type == t.BIGINT else t.INT
    bits = 63 if kind == t.BIGINT else 31
    d = f"(CAST(1 AS HUGEINT) << ({v[1].sql} & {bits}))"
    n = f"CAST({v[0].sql} AS HUGEINT)"
    floored = f"(({n} - ((({n} % {d}) + {d}) % {d})) // {d})"
    return Value(f"CAST({floored} AS {t.duck_name(kind)})", kind)


define("shiftleft", 2, "ni", _left_shift)
define("shiftright", 2, "ni", _right_shift)


def _shift_unsigned(v: list[Value]) -> Value:
    kind = t.BIGINT if v[0].type == t.BIGINT else t.INT
    bits = 64 if kind == t.BIGINT else 32
    n = f"CAST({v[0].sql} AS HUGEINT)"
    span, half = f"(CAST(1 AS HUGEINT) << {bits})", f"(CAST(1 AS HUGEINT) << {bits - 1})"
    shifted = f"((({n} + {span}) % {span}) // (CAST(1 AS HUGEINT) << ({v[1].sql} & {bits - 1})))"
    folded = f"((({shifted} + {half}) % {span}) - {half})"
    return Value(f"CAST({folded} AS {t.duck_name(kind)})", kind)


define("shiftrightunsigned", 2, "ni", _shift_unsigned)


def _greatest(v: list[Value], name: str) -> Value:
    values, kind = unify(v)
    if kind is not None and kind.nested:
        raise unsupported("COMPARISON_OF_STRUCTS", f"{name} of arrays and structs")
    return Value(f"{name}({', '.join(x.sql for x in values)})", kind)


define("greatest", (2, 99), "a", lambda v: _greatest(v, "greatest"))
define("least", (2, 99), "a", lambda v: _greatest(v, "least"))


# conditions ---------------------------------------------------------------------------------


def _unified(template: str) -> object:
    def build(v: list[Value]) -> Value:
        values, kind = unify(v)
        return Value(template.format(all=", ".join(x.sql for x in values)), kind)

    return build


define("coalesce", (1, 99), "a", _unified("coalesce({all})"))  # type: ignore[arg-type]
define("nvl ifnull", 2, "a", _unified("coalesce({all})"))  # type: ignore[arg-type]


def _nullif(v: list[Value]) -> Value:
    (a, b), _ = unify(v)
    return Value(f"CASE WHEN {a.sql} = {b.sql} THEN NULL ELSE {v[0].sql} END", v[0].type)


define("nullif", 2, "a", _nullif)
define("nullifzero", 1, "n", "nullif({0}, 0)")


def _nvl2(v: list[Value]) -> Value:
    (a, b), kind = unify(v[1:])
    return Value(f"CASE WHEN {v[0].sql} IS NOT NULL THEN {a.sql} ELSE {b.sql} END", kind)


define("nvl2", 3, "a", _nvl2)


def _iff(v: list[Value]) -> Value:
    (a, b), kind = unify(v[1:])
    return Value(f"CASE WHEN {implicit(v[0], t.BOOLEAN).sql} THEN {a.sql} ELSE {b.sql} END", kind)


define("if iff", 3, "a", _iff)
define("isnull", 1, "a", "({0} IS NULL)", t.BOOLEAN)
define("isnotnull", 1, "a", "({0} IS NOT NULL)", t.BOOLEAN)
define("nanvl", 2, "d", "CASE WHEN isnan({0}) THEN {1} ELSE {0} END", t.DOUBLE)


def _equal_null(v: list[Value]) -> Value:
    (a, b), _ = unify(v)
    return Value(f"({a.sql} IS NOT DISTINCT FROM {b.sql})", t.BOOLEAN)


define("equal_null", 2, "a", _equal_null)


def _assert_true(v: list[Value]) -> Value:
    text = v[1].sql if len(v) > 1 else "'assertion failed'"
    return Value(
        f"CASE WHEN {v[0].sql} THEN NULL ELSE error('[USER_RAISED_EXCEPTION] ' || {text}) END",
        t.VOID,
    )


define("assert_true", (1, 2), "Bs", _assert_true)
define("raise_error", 1, "s", "error('[USER_RAISED_EXCEPTION] ' || {0})", t.VOID)

for _name, _kind in (
    ("string", t.STRING), ("int", t.INT), ("bigint", t.BIGINT), ("double", t.DOUBLE),
    ("float", t.FLOAT), ("boolean", t.BOOLEAN), ("date", t.DATE), ("timestamp", t.TIMESTAMP),
    ("smallint", t.SMALLINT), ("tinyint", t.TINYINT), ("binary", t.BINARY),
    ("decimal", SqlType("decimal", (10, 0))),
):  # fmt: skip
    define(_name, 1, "a", lambda v, k=_kind: cast(v[0], k))  # type: ignore[misc]


def _typeof(v: list[Value]) -> Value:
    if v[0].type is None:
        raise unsupported("UNTYPED_EXPRESSION", "typeof of a value of unknown type")
    name = t.spark_name(v[0].type).lower().replace(": ", ":").replace(", ", ",")
    return string_literal(name)


define("typeof", 1, "a", _typeof)

# where we are -------------------------------------------------------------------------------


@special(
    "current_catalog",
    "current_schema",
    "current_database",
    "current_user",
    "session_user",
    "user",
    "current_version",
    "version",
)
def _fact(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    name = str(node.this).lower()
    key = {
        "current_database": "current_schema",
        "user": "current_user",
        "session_user": "current_user",
        "current_version": "version",
    }.get(name, name)
    return string_literal(ctx.facts[key])


# texts --------------------------------------------------------------------------------------

define("upper ucase", 1, "s", "spark_upper({0})", t.STRING)
define("lower lcase", 1, "s", "spark_lower({0})", t.STRING)
define("length len char_length character_length", 1, "a", lambda v: _length(v[0]))
define(
    "octet_length",
    1,
    "a",
    lambda v: Value(
        f"octet_length({v[0].sql if v[0].type == t.BINARY else f'encode({implicit(v[0], t.STRING).sql})'})",
        t.INT,
    ),
)
define("bit_length", 1, "s", "CAST(bit_length({0}) AS INTEGER)", t.INT)


def _length(v: Value) -> Value:
    if v.type == t.BINARY:
        return Value(f"CAST(octet_length({v.sql}) AS INTEGER)", t.INT)
    return Value(f"CAST(length({implicit(v, t.STRING).sql}) AS INTEGER)", t.INT)


def _trim_two(name: str) -> object:
    def build(v: list[Value]) -> Value:
        # trim(chars, text) in Spark has the characters first.
        if len(v) == 1:
            return Value(f"{name}({v[0].sql}, ' ')", t.STRING)
        text, chars = (v[0], v[1]) if name == "btrim" else (v[1], v[0])
        return Value(f"{'trim' if name == 'btrim' else name}({text.sql}, {chars.sql})", t.STRING)

    return build


define("ltrim", (1, 2), "s", _trim_two("ltrim"))  # type: ignore[arg-type]
define("rtrim", (1, 2), "s", _trim_two("rtrim"))  # type: ignore[arg-type]
define(
    "btrim",
    (1, 2),
    "s",
    lambda v: Value(
        f"trim({v[0].sql}, {v[1].sql if len(v) > 1 else chr(39) + ' ' + chr(39)})", t.STRING
    ),
)
define(
    "substring substr",
    (2, 3),
    "sii",
    lambda v: Value(
        f"spark_substring({v[0].sql}, {v[1].sql}, {v[2].sql if len(v) > 2 else '2147483647'})",
        t.STRING,
    ),
)
define("left", 2, "si", "CASE WHEN {1} <= 0 THEN '' ELSE left({0}, {1}) END", t.STRING)
define("right", 2, "si", "CASE WHEN {1} <= 0 THEN '' ELSE right({0}, {1}) END", t.STRING)
define("instr", 2, "s", "spark_instr({0}, {1})", t.INT)
define(
    "locate charindex position",
    (2, 3),
    "ssi",
    lambda v: Value(
        f"spark_locate({v[0].sql}, {v[1].sql}, {v[2].sql if len(v) > 2 else '1'})", t.INT
    ),
)
define(
    "lpad",
    (2, 3),
    "sis",
    lambda v: Value(
        f"spark_pad_left({v[0].sql}, {v[1].sql}, {v[2].sql if len(v) > 2 else chr(39) + ' ' + chr(39)})",
        t.STRING,
    ),
)
define(
    "rpad",
    (2, 3),
    "sis",
    lambda v: Value(
        f"spark_pad_right({v[0].sql}, {v[1].sql}, {v[2].sql if len(v) > 2 else chr(39) + ' ' + chr(39)})",
        t.STRING,
    ),
)
define("repeat", 2, "si", "repeat({0}, greatest({1}, 0))", t.STRING)
define("space", 1, "i", "repeat(' ', greatest({0}, 0))", t.STRING)
define(
    "replace",
    (2, 3),
    "s",
    lambda v: Value(
        f"CASE WHEN {v[1].sql} = '' THEN {v[0].sql} ELSE replace({v[0].sql}, {v[1].sql}, "
        f"{v[2].sql if len(v) > 2 else chr(39) * 2}) END",
        t.STRING,
    ),
)
define("initcap", 1, "s", "spark_initcap({0})", t.STRING)
define("ascii", 1, "s", "CASE WHEN {0} = '' THEN 0 ELSE ascii({0}) END", t.INT)
define(
    "chr char",
    1,
    "l",
    "CASE WHEN {0} < 0 THEN '' ELSE chr(CAST({0} % 256 AS INTEGER)) END",
    t.STRING,
)
define("contains", 2, "s", "contains({0}, {1})", t.BOOLEAN)
define("startswith", 2, "s", "starts_with({0}, {1})", t.BOOLEAN)
define("endswith", 2, "s", "ends_with({0}, {1})", t.BOOLEAN)
define("translate", 3, "s", "translate({0}, {1}, {2})", t.STRING)
define("substring_index", 3, "ssi", "spark_substring_index({0}, {1}, {2})", t.STRING)
define("split_part", 3, "ssi", "split_part({0}, {1}, {2})", t.STRING)
define("levenshtein", 2, "s", "CAST(levenshtein({0}, {1}) AS INTEGER)", t.INT)
define("concat_ws", (1, 99), "a", lambda v: _concat_ws(v))
define("md5", 1, "a", lambda v: Value(f"md5({_bytes(v[0])})", t.STRING))
define("sha sha1", 1, "a", lambda v: Value(f"sha1({_bytes(v[0])})", t.STRING))
define("hex", 1, "a", lambda v: _hex(v[0]))
define("unhex", 1, "s", "spark_unhex({0})", t.BINARY)
define("base64", 1, "a", lambda v: Value(f"base64({_bytes(v[0])})", t.STRING))
define("unbase64", 1, "s", "from_base64({0})", t.BINARY)
define(
    "bin",
    1,
    "l",
    "ltrim(CAST(CAST({0} AS BIT) AS VARCHAR), '0') || CASE WHEN {0} = 0 THEN '0' ELSE '' END",
    t.STRING,
)


def _concat_ws(v: list[Value]) -> Value:
    parts: list[str] = []
    for x in v[1:]:
        if x.type is not None and x.type.name == "array":
            inner = x if x.type.args[0] == t.STRING else cast(x, t.array(t.STRING))
            parts.append(inner.sql)
        else:
            parts.append(f"[{implicit(x, t.STRING).sql}]")
    separator = implicit(v[0], t.STRING).sql
    if not parts:
        return Value(f"CASE WHEN {separator} IS NOT NULL THEN '' END", t.STRING)
    # array_to_string skips NULL, as concat_ws does; a NULL array counts as empty.
    joined = " || ".join(f"coalesce({p}, [])" for p in parts)
    return Value(
        f"CASE WHEN {separator} IS NULL THEN NULL "
        f"ELSE coalesce(array_to_string({joined}, {separator}), '') END",
        t.STRING,
    )


def _bytes(v: Value) -> str:
    return v.sql if v.type == t.BINARY else f"encode({implicit(v, t.STRING).sql})"


def _hex(v: Value) -> Value:
    if v.type is not None and (v.type.integral or v.type.name in ("decimal", "double", "float")):
        return Value(
            f"hex({implicit(v, t.BIGINT).sql if not v.type.integral else f'CAST({v.sql} AS BIGINT)'})",
            t.STRING,
        )
    return Value(f"hex({_bytes(v)})", t.STRING)


@special("sha2")
def _sha2(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    text, bits = ctx.values(list(node.expressions), scope)
    if not bits.const or bits.const[0] not in (0, 256):
        raise unsupported("SHA2", "sha2 with any bit length but 0 and 256")
    return Value(f"sha256({_bytes(text)})", t.STRING)


@special("conv")
def _conv(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    number, source, target = ctx.values(list(node.expressions), scope)
    if not (source.const and target.const):
        raise unsupported("CONV", "conv with bases that are not literals")
    f, to = int(source.const[0]), int(target.const[0])
    if not (2 <= f <= 36 and 2 <= abs(to) <= 36):
        return Value("CAST(NULL AS VARCHAR)", t.STRING)
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:f]
    return Value(f"spark_conv({implicit(number, t.STRING).sql}, {f}, '[{digits}]', {to})", t.STRING)


@special("concat")
def _concat(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    values = ctx.values(list(node.expressions), scope)
    if any(v.type is not None and v.type.name == "array" for v in values):
        values, kind = unify(values)
        return Value("(" + " || ".join(v.sql for v in values) + ")", kind)
    if values and all(v.type == t.BINARY for v in values):
        return Value("(" + " || ".join(v.sql for v in values) + ")", t.BINARY)
    texts = [implicit(v, t.STRING).sql for v in values]
    return Value("(" + " || ".join(texts or ["''"]) + ")", t.STRING)


# regular expressions ------------------------------------------------------------------------


def _pattern(v: Value) -> str:
    """A Java pattern as RE2 reads it. Refuses what the two read differently."""
    if not v.const:
        raise unsupported("REGEX", "a regular expression that is not a literal")
    text = str(v.const[0])
    if re.search(r"\(\?<?[=!]|\(\?>|[*+?}]\+|\\[1-9]|\\[GXRZ]", text):
        raise unsupported("REGEX", f"lookaround, backreferences or possessive quantifiers: {text}")
    inside = False
    for i, ch in enumerate(text):
        if i and text[i - 1] == "\\" and not (i > 1 and text[i - 2] == "\\"):
            continue
        if ch == "[":
            if inside:
                raise unsupported("REGEX", f"nested character classes: {text}")
            inside = True
        elif ch == "]":
            inside = False
        elif inside and text[i : i + 2] == "&&":
            raise unsupported("REGEX", f"intersections of character classes: {text}")
    return t.text(re.sub(r"\(\?<([A-Za-z])", r"(?P<\1", text))


def _replacement(v: Value) -> str:
    """Java's $1 and \\$ as RE2's \\1 and $."""
    if not v.const:
        raise unsupported("REGEX", "a replacement text that is not a literal")
    out, text, i = "", str(v.const[0]), 0
    while i < len(text):
        ch = text[i]
        if ch == "\\" and i + 1 < len(text):
            i += 1
            out += "\\\\" if text[i] == "\\" else text[i]
        elif ch == "$" and i + 1 < len(text) and text[i + 1].isdigit():
            i += 1
            out += "\\" + text[i]
        elif ch in "$\\":
            raise SqlError(
                "INVALID_PARAMETER_VALUE.REGEX_REPLACEMENT", f"Illegal group reference: {text}."
            )
        else:
            out += ch
        i += 1
    return t.text(out)


define(
    "regexp_like rlike regexp",
    2,
    "s",
    lambda v: Value(f"regexp_matches({v[0].sql}, {_pattern(v[1])})", t.BOOLEAN),
)


def _regexp_replace(v: list[Value]) -> Value:
    if len(v) > 3 and v[3].const != (1,):
        raise unsupported("REGEX", "regexp_replace with a start position")
    return Value(
        f"regexp_replace({v[0].sql}, {_pattern(v[1])}, {_replacement(v[2])}, 'g')", t.STRING
    )


define("regexp_replace", (3, 4), "sssi", _regexp_replace)


def _group(v: list[Value]) -> int:
    if len(v) < 3:
        return 1
    if not v[2].const:
        raise unsupported("REGEX", "a group number that is not a literal")
    return int(v[2].const[0])


def _regexp_extract(v: list[Value], name: str, kind: SqlType) -> Value:
    group, pattern = _group(v), _pattern(v[1])
    groups = re.compile(str(v[1].const[0] if v[1].const else "")).groups
    if not 0 <= group <= groups:
        raise SqlError(
            "INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX",
            f"The value of parameter(s) `idx` in `{name}` is invalid: Expects group index between "
            f"0 and {groups}, but got {group}.",
        )
    return Value(f"{name}({v[0].sql}, {pattern}, {group})", kind)


define("regexp_extract", (2, 3), "ssi", lambda v: _regexp_extract(v, "regexp_extract", t.STRING))
define(
    "regexp_extract_all",
    (2, 3),
    "ssi",
    lambda v: _regexp_extract(v, "regexp_extract_all", t.array(t.STRING)),
)
define(
    "regexp_count",
    2,
    "s",
    lambda v: Value(
        f"CAST(len(regexp_extract_all({v[0].sql}, {_pattern(v[1])})) AS INTEGER)", t.INT
    ),
)
define(
    "regexp_substr",
    2,
    "s",
    lambda v: Value(
        f"CASE WHEN regexp_matches({v[0].sql}, {_pattern(v[1])}) "
        f"THEN regexp_extract({v[0].sql}, {_pattern(v[1])}) END",
        t.STRING,
    ),
)


def _split(v: list[Value]) -> Value:
    if len(v) > 2 and (not v[2].const or v[2].const[0] > 0):
        raise unsupported("SPLIT", "split with a limit")
    if not v[1].const:
        raise unsupported("REGEX", "a regular expression that is not a literal")
    text = str(v[1].const[0])
    if text == "":
        raise unsupported("SPLIT", "split on the empty pattern")
    plain = re.fullmatch(r"(?:[^\\.\[\]{}()*+?^$|]|\\[^A-Za-z0-9])+", text)
    if plain:
        literal = re.sub(r"\\(.)", r"\1", text)
        return Value(f"string_split({v[0].sql}, {t.text(literal)})", t.array(t.STRING))
    return Value(f"regexp_split_to_array({v[0].sql}, {_pattern(v[1])})", t.array(t.STRING))


define("split", (2, 3), "ssi", _split)
