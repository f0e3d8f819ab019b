"""Spark's functions that DuckDB lacks or answers differently, as DuckDB SQL macros.

Macros, not functions registered from Python: those run per row under the interpreter lock and
print leak warnings when the process ends. All live in the in-memory database that a warehouse
opens its catalogs from, so nothing of them is stored in a catalog's file.
"""

from __future__ import annotations

from executor.local.values import REFUSED

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# Letters whose upper case is more than one letter (ß is SS): DuckDB maps one to one.
_LETTERS = [chr(c) for c in range(0x80, 0x10000) if len(chr(c).upper()) > 1]
_DOTTED, _DOT, _SIGMA, _FINAL = "\u0130", "\u0307", "\u03a3", "\u03c2"
_WIDE = "".join(_LETTERS)
_WIDENED = "MAP {" + ", ".join(f"'{c}': '{c.upper()}'" for c in _LETTERS) + "}"

MACROS = rf"""
CREATE MACRO spark_trim(x) AS
  regexp_replace(regexp_replace(x, '^[\x00-\x20]+', ''), '[\x00-\x20]+$', '');
CREATE MACRO spark_integer_text(x) AS
  CASE WHEN regexp_full_match(spark_trim(x), '[+-]?[0-9]+') THEN spark_trim(x)
       ELSE x || '{REFUSED}' END;
CREATE MACRO spark_number_text(x) AS
  CASE WHEN regexp_full_match(spark_trim(x),
         '[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(?i:infinity|inf)|(?i:nan)')
       THEN spark_trim(x) ELSE x || '{REFUSED}' END;
CREATE MACRO spark_boolean(x) AS
  CASE WHEN lower(spark_trim(x)) IN ('t', 'true', 'y', 'yes', '1') THEN TRUE
       WHEN lower(spark_trim(x)) IN ('f', 'false', 'n', 'no', '0') THEN FALSE
       ELSE CAST(x || '{REFUSED}' AS BOOLEAN) END;
CREATE MACRO spark_date(x) AS
  CAST(CASE WHEN regexp_full_match(spark_trim(x), '[0-9]{{4}}') THEN spark_trim(x) || '-01-01'
       WHEN regexp_full_match(spark_trim(x), '[0-9]{{4}}-[0-9]{{1,2}}') THEN spark_trim(x) || '-01'
       WHEN regexp_full_match(spark_trim(x), '[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}([ T](?s:.*))?')
       THEN regexp_extract(spark_trim(x), '^[0-9]+-[0-9]+-[0-9]+')
       ELSE x || '{REFUSED}' END AS DATE);
CREATE MACRO spark_timestamp_text(x) AS
  CASE WHEN regexp_full_match(spark_trim(x), '[0-9]{{4}}') THEN spark_trim(x) || '-01-01'
       WHEN regexp_full_match(spark_trim(x), '[0-9]{{4}}-[0-9]{{1,2}}') THEN spark_trim(x) || '-01'
       WHEN regexp_full_match(spark_trim(x),
         '[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}'
         '([ T][0-9]{{1,2}}:[0-9]{{1,2}}(:[0-9]{{1,2}}(\.[0-9]{{1,9}})?)?'
         '( ?(Z|UTC|[+-][0-9]{{1,2}}(:[0-9]{{2}})?))?)?')
       THEN regexp_replace(spark_trim(x),
         '([ T][0-9]{{1,2}}:[0-9]{{1,2}})( ?(Z|UTC|[+-].*)?)$', '\1:00\2')
       ELSE x || '{REFUSED}' END;

CREATE MACRO spark_scientific(digits, exponent) AS
  digits[1] || '.' || CASE WHEN len(digits) > 1 THEN digits[2:] ELSE '0' END || 'E' || exponent;
CREATE MACRO spark_shortest_text(m, e) AS
  CASE WHEN m[1] = '0' THEN spark_scientific(
         CASE WHEN trim(m, '0.') = '' THEN '0' ELSE trim(replace(m, '.', ''), '0') END,
         e - 1 - (len(regexp_extract(m, '^0\.(0*)', 1))))
       ELSE spark_scientific(
         m[1] || rtrim(replace(m[2:], '.', ''), '0'), e + strpos(m || '.', '.') - 2) END;
CREATE MACRO spark_java_text(x, s) AS
  CASE WHEN x IS NULL THEN NULL
       WHEN isnan(x) THEN 'NaN'
       WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END
       WHEN x = 0 OR (abs(x) >= 0.001 AND abs(x) < 10000000) THEN s
       ELSE CASE WHEN x < 0 THEN '-' ELSE '' END || spark_shortest_text(
         split_part(ltrim(s, '-'), 'e', 1),
         CASE WHEN contains(s, 'e') THEN CAST(split_part(s, 'e', 2) AS INTEGER) ELSE 0 END) END;
CREATE MACRO spark_double_text(x) AS
  list_transform([CAST(x AS DOUBLE)], lambda v: spark_java_text(v, CAST(v AS VARCHAR)))[1];
CREATE MACRO spark_float_text(x) AS
  list_transform([CAST(x AS FLOAT)], lambda v: spark_java_text(v, CAST(v AS VARCHAR)))[1];

CREATE MACRO spark_float(x) AS
  CAST(CASE WHEN x >= 3.4028235677973366e38 THEN CAST('inf' AS DOUBLE)
            WHEN x <= -3.4028235677973366e38 THEN CAST('-inf' AS DOUBLE) ELSE x END AS FLOAT);
CREATE MACRO spark_upper(x) AS
  CASE WHEN regexp_matches(x, '[{_WIDE}]') THEN array_to_string(list_transform(
         string_split(x, ''), lambda c: coalesce({_WIDENED}[c], upper(c))), '')
       ELSE upper(x) END;
CREATE MACRO spark_lower(x) AS
  CASE WHEN regexp_matches(x, '[{_DOTTED}{_SIGMA}]')
       THEN lower(regexp_replace(replace(x, '{_DOTTED}', 'i{_DOT}'),
         '(\pL){_SIGMA}(\PL|$)', '\1{_FINAL}\2', 'g'))
       ELSE lower(x) END;
CREATE MACRO spark_divide(a, b) AS
  CASE WHEN b = 0 THEN CAST(CAST(a AS BIGINT) // CAST(b AS BIGINT) AS DOUBLE)
       ELSE CAST(a AS DOUBLE) / CAST(b AS DOUBLE) END;
CREATE MACRO spark_half_up(n, d) AS
  CASE WHEN d = 0 THEN n // d
       ELSE (n + CASE WHEN (n < 0) = (d < 0) THEN d // 2 ELSE -(d // 2) END) // d END;
CREATE MACRO spark_modulo(a, b) AS
  CASE WHEN b = 0 THEN CAST(CAST(a AS BIGINT) % CAST(b AS BIGINT) AS DOUBLE) ELSE a % b END;
CREATE MACRO spark_pmod(a, b) AS CASE WHEN (a % b) < 0 THEN ((a % b) + b) % b ELSE a % b END;
CREATE MACRO spark_round_double(x, n) AS
  list_transform([CAST(x AS DOUBLE)], lambda v:
    CASE WHEN v IS NULL OR isnan(v) OR isinf(v) OR abs(v) >= 1e15 THEN v
         ELSE CAST(round(CAST(CAST(v AS VARCHAR) AS DECIMAL(38, 18)), n) AS DOUBLE) END)[1];
CREATE MACRO spark_bround_even(x, n) AS round_even(x, n);

CREATE MACRO spark_substring(s, p, n) AS
  CASE WHEN n <= 0 THEN '' WHEN p > 0 THEN substr(s, p, n) WHEN p = 0 THEN substr(s, 1, n)
       WHEN len(s) + p >= 0 THEN substr(s, len(s) + p + 1, n)
       WHEN n + len(s) + p <= 0 THEN '' ELSE substr(s, 1, n + len(s) + p) END;
CREATE MACRO spark_instr(s, x) AS CAST(strpos(s, x) AS INTEGER);
CREATE MACRO spark_locate(x, s, p) AS
  CASE WHEN s IS NULL OR x IS NULL THEN NULL WHEN p IS NULL OR p < 1 THEN 0
       WHEN strpos(substr(s, p), x) = 0 THEN 0
       ELSE CAST(strpos(substr(s, p), x) + p - 1 AS INTEGER) END;
CREATE MACRO spark_pad_left(s, n, p) AS
  CASE WHEN n <= 0 THEN '' WHEN len(s) >= n THEN left(s, n) WHEN p = '' THEN s
       ELSE lpad(s, n, p) END;
CREATE MACRO spark_pad_right(s, n, p) AS
  CASE WHEN n <= 0 THEN '' WHEN len(s) >= n THEN left(s, n) WHEN p = '' THEN s
       ELSE rpad(s, n, p) END;
CREATE MACRO spark_initcap(s) AS
  array_to_string(list_transform(string_split(spark_lower(s), ' '),
    lambda w: upper(w[1]) || w[2:]), ' ');
CREATE MACRO spark_substring_index(s, d, n) AS
  CASE WHEN d = '' OR n = 0 THEN ''
       WHEN n > 0 THEN array_to_string(string_split(s, d)[1:n], d)
       ELSE array_to_string(string_split(s, d)[greatest(len(string_split(s, d)) + n + 1, 1):], d)
       END;
CREATE MACRO spark_unhex(s) AS
  TRY(unhex(CASE WHEN len(s) % 2 = 1 THEN '0' || s ELSE s END));
CREATE MACRO spark_base_digits(v, b) AS
  CASE WHEN v > 9223372036854775807
       THEN to_base(CAST(v // b AS BIGINT), b) || to_base(CAST(v % b AS BIGINT), b)
       ELSE to_base(CAST(v AS BIGINT), b) END;
CREATE MACRO spark_conv_value(digits, f) AS
  list_reduce(list_transform(string_split('0' || digits, ''),
    lambda c: CAST(strpos('{_DIGITS}', c) - 1 AS HUGEINT)), lambda a, c: a * f + c);
CREATE MACRO spark_conv_bits(v, negative) AS
  CASE WHEN v > 18446744073709551615 THEN CAST('{REFUSED}conv' AS HUGEINT)
       WHEN negative AND v > 0 THEN CAST(18446744073709551616 AS HUGEINT) - v ELSE v END;
CREATE MACRO spark_conv_text(v, t) AS
  CASE WHEN v IS NULL THEN NULL WHEN t > 0 THEN spark_base_digits(v, t)
       WHEN v >= 9223372036854775808
       THEN '-' || spark_base_digits(CAST(18446744073709551616 AS HUGEINT) - v, -t)
       ELSE spark_base_digits(v, -t) END;
CREATE MACRO spark_conv(s, f, allowed, t) AS
  list_transform([nullif(trim(s), '')], lambda x: list_transform([list_transform(
      [spark_conv_value(regexp_extract(upper(x), '^-?(' || allowed || '*)', 1), f)],
      lambda v: spark_conv_bits(v, starts_with(x, '-')))[1]],
    lambda v: CASE WHEN x IS NOT NULL THEN spark_conv_text(v, t) END)[1])[1];

CREATE MACRO spark_item(a, i) AS
  CASE WHEN i >= 0 AND i < len(a) THEN a[i + 1]
       WHEN a IS NULL OR i IS NULL THEN NULL
       ELSE a[CAST('{REFUSED}index ' || i || ' of ' || len(a) AS BIGINT)] END;
CREATE MACRO spark_element_at(a, i) AS
  CASE WHEN i <> 0 AND abs(i) <= len(a) THEN a[i]
       WHEN a IS NULL OR i IS NULL THEN NULL
       ELSE a[CAST('{REFUSED}element ' || i || ' of ' || len(a) AS BIGINT)] END;
CREATE MACRO spark_any(l) AS
  CASE WHEN l IS NULL THEN NULL WHEN list_contains(l, TRUE) THEN TRUE
       WHEN len(list_filter(l, lambda x: x IS NULL)) > 0 THEN NULL ELSE FALSE END;
CREATE MACRO spark_all(l) AS
  CASE WHEN l IS NULL THEN NULL WHEN list_contains(l, FALSE) THEN FALSE
       WHEN len(list_filter(l, lambda x: x IS NULL)) > 0 THEN NULL ELSE TRUE END;
CREATE MACRO spark_array_contains(l, v) AS
  CASE WHEN l IS NULL OR v IS NULL THEN NULL WHEN list_contains(l, v) THEN TRUE
       WHEN len(list_filter(l, lambda x: x IS NULL)) > 0 THEN NULL ELSE FALSE END;
CREATE MACRO spark_distinct(l) AS
  list_filter(l, lambda x, i: len(list_filter(l[1:i - 1], lambda y: y IS NOT DISTINCT FROM x)) = 0);
CREATE MACRO spark_intersect(a, b) AS
  spark_distinct(list_filter(a, lambda x:
    len(list_filter(b, lambda y: y IS NOT DISTINCT FROM x)) > 0));
CREATE MACRO spark_except(a, b) AS
  CASE WHEN b IS NULL THEN NULL ELSE spark_distinct(list_filter(a, lambda x:
    len(list_filter(b, lambda y: y IS NOT DISTINCT FROM x)) = 0)) END;
CREATE MACRO spark_overlap(a, b) AS
  CASE WHEN a IS NULL OR b IS NULL THEN NULL
       WHEN len(list_filter(a, lambda x: x IS NOT NULL AND list_contains(b, x))) > 0 THEN TRUE
       WHEN len(a) > 0 AND len(b) > 0 AND
         (len(list_filter(a, lambda x: x IS NULL)) > 0
          OR len(list_filter(b, lambda x: x IS NULL)) > 0)
       THEN NULL ELSE FALSE END;
CREATE MACRO spark_slice(a, s, n) AS
  CASE WHEN a IS NULL OR s IS NULL OR n IS NULL THEN NULL
       WHEN s = 0 OR n < 0 THEN a[CAST('{REFUSED}slice' AS BIGINT):1]
       WHEN s > 0 THEN a[s:s + n - 1]
       WHEN len(a) + s < 0 THEN a[1:0]
       ELSE a[len(a) + s + 1:len(a) + s + n] END;
CREATE MACRO spark_sequence(a, b, s) AS
  CASE WHEN a IS NULL OR b IS NULL OR s IS NULL THEN NULL
       WHEN a = b THEN [a]
       WHEN s = 0 OR (s > 0) <> (b > a) THEN [CAST('{REFUSED}sequence' AS BIGINT)]
       ELSE generate_series(a, b, s) END;
CREATE MACRO spark_interval_text(x, months) AS
  CASE WHEN months
       THEN CASE WHEN datepart('year', x) * 12 + datepart('month', x) < 0 THEN '-' ELSE '' END
         || abs(datepart('year', x)) || '-' || abs(datepart('month', x))
       ELSE list_transform([datepart('day', x) * 86400000000 + datepart('hour', x) * 3600000000
         + datepart('minute', x) * 60000000 + datepart('microsecond', x)], lambda v:
         CASE WHEN v < 0 THEN '-' ELSE '' END || (abs(v) // 86400000000) || ' '
         || lpad(CAST(abs(v) // 3600000000 % 24 AS VARCHAR), 2, '0') || ':'
         || lpad(CAST(abs(v) // 60000000 % 60 AS VARCHAR), 2, '0') || ':'
         || lpad(CAST(abs(v) // 1000000 % 60 AS VARCHAR), 2, '0') || '.'
         || lpad(CAST(abs(v) % 1000000 AS VARCHAR), 6, '0') || '000')[1] END;
CREATE MACRO spark_next_day(d, n) AS
  CAST(d + CAST(((n - isodow(d) + 6) % 7) + 1 AS INTEGER) AS DATE);
CREATE MACRO spark_months_between(a, b) AS
  CASE WHEN (day(a) = day(b)) OR (last_day(a) = CAST(a AS DATE) AND last_day(b) = CAST(b AS DATE))
       THEN CAST((year(a) - year(b)) * 12 + month(a) - month(b) AS DOUBLE)
       ELSE spark_round_double((year(a) - year(b)) * 12 + month(a) - month(b)
         + ((day(a) - day(b)) * 86400 + (epoch(a) - epoch(date_trunc('day', a)))
            - (epoch(b) - epoch(date_trunc('day', b)))) / (31.0::DOUBLE * 86400), 8) END;
"""


def statements() -> list[str]:
    """One CREATE MACRO each."""
    return [s.strip() for s in MACROS.split(";\n") if s.strip()]
