"""Functions over texts and bytes: cutting, padding, searching, hashing, encoding."""

from __future__ import annotations

from sqlglot import exp

from executor.local import sqltypes as t
from executor.local.errors import unsupported
from executor.local.expressions import Expressions
from executor.local.functions import Build, define, special
from executor.local.scope import Scope
from executor.local.values import Value, cast, implicit, once, unify

_BLANK = Value("' '", t.STRING, (" ",))

define("length len char_length character_length", 1, "a", lambda v: _length(v[0]))
define(
    "octet_length",
    1,
    "a",
    lambda v: Value(
        f"CAST(octet_length({_bytes(v[0])}) AS INTEGER)",
        t.INT,
    ),
)
define("bit_length", 1, "s", "CAST(bit_length({0}) AS INTEGER)", t.INT)


def _length(v: Value) -> Value:
    if v.type == t.BINARY:
        return Value(f"CAST(octet_length({v.sql}) AS INTEGER)", t.INT)
    return Value(f"CAST(length({implicit(v, t.STRING).sql}) AS INTEGER)", t.INT)


def _trim_two(name: str) -> Build:
    def build(v: list[Value]) -> Value:
        # trim(chars, text) in Spark has the characters first.
        if len(v) == 1:
            return Value(f"{name}({v[0].sql}, ' ')", t.STRING)
        text, chars = (v[0], v[1]) if name == "btrim" else (v[1], v[0])
        return Value(f"{'trim' if name == 'btrim' else name}({text.sql}, {chars.sql})", t.STRING)

    return build


define("ltrim", (1, 2), "s", _trim_two("ltrim"))
define("rtrim", (1, 2), "s", _trim_two("rtrim"))
define(
    "btrim",
    (1, 2),
    "s",
    lambda v: Value(
        f"trim({v[0].sql}, {v[1].sql if len(v) > 1 else chr(39) + ' ' + chr(39)})", t.STRING
    ),
)


def _case(name: str) -> Build:
    def build(v: list[Value]) -> Value:
        plain = v[0].shape in ("ascii", "digits")
        return Value(f"{'' if plain else 'spark_'}{name}({v[0].sql})", t.STRING, shape=v[0].shape)

    return build


define("upper ucase", 1, "s", _case("upper"))
define("lower lcase", 1, "s", _case("lower"))


def _positive(v: Value) -> bool:
    return bool(v.const) and isinstance(v.const[0], int) and v.const[0] > 0  # type: ignore[index]


def _substring(v: list[Value]) -> Value:
    args = ", ".join(x.sql for x in v)
    if all(_positive(x) for x in v[1:]):  # where the two agree
        return Value(f"substr({args})", t.STRING, shape="ascii" if v[0].shape else "")
    return Value(f"spark_substring({args}{'' if len(v) > 2 else ', 2147483647'})", t.STRING)


define("substring substr", (2, 3), "sii", _substring)


def _pad(side: str) -> Build:
    def build(v: list[Value]) -> Value:
        text, width, fill = [*v, _BLANK][:3]
        args = f"{text.sql}, {width.sql}, {fill.sql}"
        if _positive(width) and fill.const and fill.const[0]:
            return Value(f"{side[0]}pad({args})", t.STRING)
        return Value(f"spark_pad_{side}({args})", t.STRING)

    return build


define("lpad", (2, 3), "sis", _pad("left"))
define("rpad", (2, 3), "sis", _pad("right"))


def _replace(v: list[Value]) -> Value:
    text, old, new = [*v, Value("''", t.STRING)][:3]
    plain = f"replace({text.sql}, {old.sql}, {new.sql})"
    if old.const and old.const[0]:
        return Value(plain, t.STRING)
    return Value(f"CASE WHEN {old.sql} = '' THEN {text.sql} ELSE {plain} END", t.STRING)


define("replace", (2, 3), "s", _replace)
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
define("repeat", 2, "si", "repeat({0}, greatest({1}, 0))", t.STRING)
define("space", 1, "i", "repeat(' ', greatest({0}, 0))", t.STRING)
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
define("md5", 1, "a", lambda v: _ascii(f"md5({_bytes(v[0])})"))
define("sha sha1", 1, "a", lambda v: _ascii(f"sha1({_bytes(v[0])})"))
define("hex", 1, "a", lambda v: _hex(v[0]))
define("unhex", 1, "s", "spark_unhex({0})", t.BINARY)
define("base64", 1, "a", lambda v: _ascii(f"base64({_bytes(v[0])})"))
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
        return _ascii(
            f"hex({f'CAST({v.sql} AS BIGINT)' if v.type.integral else cast(v, t.BIGINT).sql})"
        )
    return _ascii(f"hex({_bytes(v)})")


def _ascii(sql: str) -> Value:
    return Value(sql, t.STRING, shape="ascii")


@special("sha2")
def _sha2(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    text, bits = ctx.values(list(node.expressions), scope)
    if not bits.const or bits.const[0] not in (0, 256):
        raise unsupported("SHA2", "sha2 with any bit length but 0 and 256")
    return _ascii(f"sha256({_bytes(text)})")


@special("conv")
def _conv(ctx: Expressions, node: exp.Expr, scope: Scope) -> Value:
    number, source, target = ctx.values(list(node.expressions), scope)
    if not (source.const and target.const):
        raise unsupported("CONV", "conv with bases that are not literals")
    f, to = int(source.const[0]), int(target.const[0])
    if not (2 <= f <= 36 and 2 <= abs(to) <= 36):
        return Value("CAST(NULL AS VARCHAR)", t.STRING)
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:f]
    sql = once(
        [implicit(number, t.STRING).sql], lambda x: f"spark_conv({x[0]}, {f}, '[{digits}]', {to})"
    )
    return Value(sql, t.STRING, shape="digits" if to == 10 else "ascii")


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
