"""From where a statement has to be run again, and whether that is safe."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.workflow.lineage import Lineage, Names, lineage
from executor.workflow.statements import scan
from executor.workflow.units import units

SAFE, UNSAFE = True, False


def steps(sql: str) -> list[Lineage]:
    names = Names("lake", "crm")
    return [lineage(one.text, names) for one in scan(sql)]


def told(sql: str) -> list[tuple[int, bool]]:
    return [(unit.start + 1, unit.idempotent) for unit in units(steps(sql))]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("USE CATALOG x", SAFE),
        ("SET a = 1", SAFE),
        ("SELECT 1", SAFE),
        ("OPTIMIZE t", SAFE),
        ("TRUNCATE TABLE t", SAFE),
        ("CREATE OR REPLACE TABLE t (a INT)", SAFE),
        ("CREATE OR REPLACE TABLE t AS SELECT * FROM u", SAFE),
        ("CREATE OR REPLACE TABLE t AS SELECT * FROM t", UNSAFE),
        ("CREATE TABLE t (a INT)", UNSAFE),
        ("CREATE TABLE IF NOT EXISTS t (a INT)", SAFE),
        ("DROP TABLE IF EXISTS t", SAFE),
        ("DROP TABLE t", UNSAFE),
        ("INSERT INTO t SELECT 1", UNSAFE),
        ("INSERT OVERWRITE t SELECT * FROM u", SAFE),
        ("INSERT OVERWRITE t SELECT * FROM t", UNSAFE),
        ("DELETE FROM t WHERE a = 1", SAFE),
        ("DELETE FROM t WHERE a < (SELECT AVG(a) FROM t)", UNSAFE),
        ("UPDATE t SET a = a + 1", UNSAFE),
        ("MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED THEN INSERT *", UNSAFE),
        ("ALTER TABLE t RENAME TO u", UNSAFE),
        ("ALTER TABLE t ADD COLUMN a INT", UNSAFE),
        ("ALTER TABLE t SET TBLPROPERTIES ('a' = 'b')", SAFE),
        ("CREATE OR REPLACE FUNCTION f() RETURNS INT RETURN 1", SAFE),
        ("CALL p(1)", UNSAFE),
        ("BEGIN SELECT 1; END", UNSAFE),
        ("BEGIN TRANSACTION", UNSAFE),
        ("SELEC 1", UNSAFE),
    ],
)
def test_a_statement_alone_is_safe_to_repeat_or_not(sql: str, expected: bool) -> None:
    assert told(sql) == [(1, expected)]


def test_an_insert_is_safe_together_with_the_replacement_of_its_table() -> None:
    assert told("CREATE OR REPLACE TABLE t (a INT); INSERT INTO t SELECT * FROM u") == [
        (1, SAFE),
        (1, SAFE),
    ]


def test_the_unit_begins_at_the_last_replacement_and_holds_every_insert_since() -> None:
    sql = (
        "TRUNCATE TABLE t; CREATE OR REPLACE TABLE t (a INT);"
        "INSERT INTO t SELECT 1; UPDATE t SET a = 2"
    )
    assert told(sql) == [(1, SAFE), (2, SAFE), (2, SAFE), (2, SAFE)]


def test_a_table_dropped_if_it_exists_and_made_again_is_as_good_as_replaced() -> None:
    sql = "DROP TABLE IF EXISTS t; CREATE TABLE t (a INT); INSERT INTO t SELECT 1"
    assert told(sql) == [(1, SAFE), (1, SAFE), (1, SAFE)]


@pytest.mark.parametrize(
    "between",
    [
        "INSERT INTO other SELECT 1",
        "INSERT INTO other SELECT * FROM t",
        "CREATE OR REPLACE TABLE u AS SELECT * FROM u",
        "ALTER TABLE other RENAME TO another",
        "ALTER TABLE t RENAME TO another",
        "CALL p(1)",
        "SELEC 1",
        "BEGIN INSERT INTO other SELECT 1; END",
    ],
)
def test_what_cannot_be_repeated_between_the_two_breaks_the_unit(between: str) -> None:
    sql = f"CREATE OR REPLACE TABLE t (a INT); {between}; INSERT INTO t SELECT * FROM u"
    assert told(sql)[2] == (3, UNSAFE)


@pytest.mark.parametrize(
    "between",
    [
        "USE SCHEMA crm",
        "OPTIMIZE other",
        "CREATE OR REPLACE TABLE other AS SELECT * FROM u",
        "CREATE OR REPLACE TABLE other (a INT); INSERT INTO other SELECT 1",
        "ALTER TABLE t ADD COLUMN b INT",
    ],
)
def test_what_can_be_repeated_between_the_two_is_part_of_the_unit(between: str) -> None:
    sql = f"CREATE OR REPLACE TABLE t (a INT); {between}; INSERT INTO t SELECT * FROM u"
    assert told(sql)[-1] == (1, SAFE)


def test_a_unit_that_would_read_what_it_changed_is_not_safe() -> None:
    sql = (
        "CREATE OR REPLACE TABLE t AS SELECT * FROM u; CREATE OR REPLACE TABLE u AS SELECT 1;"
        "INSERT INTO t SELECT 2"
    )
    assert told(sql)[2] == (3, UNSAFE)


def test_a_rename_is_never_safe_and_its_retry_never_starts_at_the_drop() -> None:
    sql = (
        "CREATE OR REPLACE TABLE t_tmp AS SELECT 1; DROP TABLE IF EXISTS t;"
        "ALTER TABLE t_tmp RENAME TO t; INSERT INTO t SELECT 2"
    )
    assert told(sql) == [(1, SAFE), (2, SAFE), (3, UNSAFE), (4, UNSAFE)]


# --- the law: what is called safe is safe -----------------------------------------------------

TABLES = st.sampled_from(["t", "u", "v"])


@st.composite
def files(draw: st.DrawFn) -> list[str]:
    return [
        draw(
            st.sampled_from(
                [
                    f"CREATE OR REPLACE TABLE {(a := draw(TABLES))} (n INT)",
                    f"CREATE OR REPLACE TABLE {a} AS SELECT * FROM {(b := draw(TABLES))}",
                    f"INSERT INTO {a} SELECT * FROM {b}",
                    f"INSERT OVERWRITE {a} SELECT * FROM {b}",
                    f"INSERT INTO {a} VALUES (7)",
                    f"TRUNCATE TABLE {a}",
                    f"DELETE FROM {a} WHERE n > 3",
                    f"UPDATE {a} SET n = n + 1",
                ]
            )
        )
        for _ in range(draw(st.integers(1, 6)))
    ]


State = dict[str, tuple[int, ...]]


def run(state: State, sql: str) -> State:
    """What the statements above do to tables of numbers."""
    words = sql.split()
    source = state[words[-1]] if "FROM" in words and "DELETE" not in words else ()
    match words:
        case ["CREATE", "OR", "REPLACE", "TABLE", name, "(n", _]:
            return {**state, name: ()}
        case ["CREATE", "OR", "REPLACE", "TABLE", name, *_] | ["INSERT", "OVERWRITE", name, *_]:
            return {**state, name: source}
        case ["INSERT", "INTO", name, "VALUES", _]:
            return {**state, name: (*state[name], 7)}
        case ["INSERT", "INTO", name, *_]:
            return {**state, name: (*state[name], *source)}
        case ["TRUNCATE", "TABLE", name]:
            return {**state, name: ()}
        case ["DELETE", "FROM", name, *_]:
            return {**state, name: tuple(n for n in state[name] if n <= 3)}
        case ["UPDATE", name, *_]:
            return {**state, name: tuple(n + 1 for n in state[name])}
        case _:
            raise AssertionError(sql)


@settings(deadline=None, max_examples=300)
@given(files())
def test_running_a_safe_unit_again_changes_nothing_whether_its_statement_ran_or_not(
    statements: list[str],
) -> None:
    state: State = {"t": (1, 5), "u": (2,), "v": (3, 9)}
    for at, (statement, unit) in enumerate(
        zip(statements, units(steps(";".join(statements))), strict=True)
    ):
        done = run(state, statement)
        if unit.idempotent:
            for again in (state, done):
                for repeated in statements[unit.start : at + 1]:
                    again = run(again, repeated)
                assert again == done
        state = done
