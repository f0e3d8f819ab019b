"""Finding the loop, and making iterations beyond its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.workflow.loops import generate_iteration, table_name
from executor.workflow.model import SourceFile, Workflow, WorkflowError
from executor.workflow.plan import plan_text
from executor.workflow.requirements import requirements
from executor.workflow.statements import scan
from tests.workflow.layouts import codes, identity_unification, iteration, loaded

STEP = "CREATE OR REPLACE TABLE reach_{this} AS SELECT a, 1 AS n FROM reach_{before};"
ENTRY = {"01_start.sql": "CREATE OR REPLACE TABLE reach_0 AS SELECT 1 AS a;"}


def steps(*numbers: int, sql: str = STEP, name: str = "02_round_{}.sql") -> dict[str, str]:
    return {name.format(n): sql.format(this=n, before=n - 1) for n in numbers}


def refused(directory: Path, files: dict[str, str]) -> WorkflowError:
    with pytest.raises(WorkflowError) as caught:
        loaded(directory, files)
    return caught.value


def test_a_pattern_gives_the_table_of_an_iteration() -> None:
    assert table_name("a.b.t_{iteration}", 12) == "a.b.t_12"
    assert table_name("a.b.t_{iteration:02}_x", 3) == "a.b.t_03_x"


# --- finding ----------------------------------------------------------------------------------


def test_the_loop_of_an_identity_unification_is_found_whatever_the_id_is_called(
    tmp_path: Path,
) -> None:
    workflow = loaded(tmp_path, identity_unification(prefix="kunde_x2"))
    (loop,) = workflow.loops
    assert loop.table == "lake.crm.kunde_x2_graph_unify_loop_{iteration}"
    assert loop.alias == "lake.crm.kunde_x2_graph_unify_loop_final"
    assert loop.changed_columns == ("leader_ns", "leader_id", "follower_ns", "follower_id")
    assert loop.residual is not None
    assert (loop.max_iterations, loop.generate) == (30, True)
    files = [workflow.source(file_id).planned for file_id in loop.files]
    assert [(file.kind, file.loop, file.iteration) for file in files] == [
        ("loop", "loop1", number) for number in range(1, 7)
    ]
    assert workflow.profile == "identity_unification"


def test_a_loop_needs_no_names_known_before(tmp_path: Path) -> None:
    files = {
        **ENTRY,
        **steps(1, 2, 10, 3, 4, 5, 6, 7, 8, 9),
        "03_end.sql": "SELECT * FROM reach_10",
    }
    workflow = loaded(tmp_path, files)
    (loop,) = workflow.loops
    assert loop.name == "reach"
    assert [workflow.source(one).planned.iteration for one in loop.files] == list(range(1, 11))
    assert (loop.alias, loop.changed_columns, workflow.profile) == (None, None, None)
    assert codes(workflow) == ["LOOP_MEMBER_READ"]


def test_the_number_in_the_table_counts_not_the_one_in_the_name(tmp_path: Path) -> None:
    one, two = steps(1, 2).values()
    files = {**ENTRY, "02_round_2.sql": one, "02_round_1.sql": two}
    workflow = loaded(tmp_path, files)
    assert [workflow.source(one).planned.path for one in workflow.loops[0].files] == [
        "02_round_2.sql",
        "02_round_1.sql",
    ]
    assert codes(workflow).count("LOOP_NUMBER") == 2


def test_numbers_padded_with_zeros_are_understood(tmp_path: Path) -> None:
    sql = "CREATE OR REPLACE TABLE reach_{this:02} AS SELECT 1 FROM reach_{before:02}"
    workflow = loaded(
        tmp_path,
        {"01_s.sql": "CREATE OR REPLACE TABLE reach_00 AS SELECT 1", **steps(1, 2, sql=sql)},
    )
    (loop,) = workflow.loops
    assert loop.table == "lake.crm.reach_{iteration:02}"
    made = generate_iteration(workflow, loop, 10, workflow.source(loop.files[-1]))
    assert made.texts == ("CREATE OR REPLACE TABLE reach_10 AS SELECT 1 FROM reach_09",)


@pytest.mark.parametrize("name", ["04_unify_loop_iteration_01.sql", "04_round_1.sql"])
def test_one_file_alone_is_a_loop_if_its_name_says_so(tmp_path: Path, name: str) -> None:
    workflow = loaded(tmp_path, {**ENTRY, **steps(1, name=name)})
    assert [loop.files for loop in workflow.loops] == [("f2",)]


def test_one_file_alone_is_a_loop_if_its_result_is_read_under_another_name(tmp_path: Path) -> None:
    files = {**ENTRY, **steps(1, name="02_x_{}.sql"), "03_end.sql": "SELECT * FROM reach_final"}
    assert loaded(tmp_path, files).loops[0].alias == "lake.crm.reach_final"


def test_one_file_alone_is_otherwise_no_loop(tmp_path: Path) -> None:
    assert loaded(tmp_path, {**ENTRY, **steps(1, name="02_x_{}.sql")}).loops == ()


def test_stages_that_are_numbered_but_do_different_things_are_no_loop(tmp_path: Path) -> None:
    files = {
        **ENTRY,
        **steps(1),
        "02_round_2.sql": "CREATE OR REPLACE TABLE reach_2 AS SELECT a, MAX(n) AS n FROM reach_1;",
    }
    workflow = loaded(tmp_path, files)
    assert workflow.loops == ()
    assert codes(workflow) == ["LOOP_SHAPE"]
    assert {file.planned.kind for file in workflow.files} == {"plain"}


def test_comments_and_blanks_do_not_make_files_different(tmp_path: Path) -> None:
    files = {**ENTRY, **steps(1), "02_round_2.sql": "-- the 2nd\n" + steps(2)["02_round_2.sql"]}
    assert len(loaded(tmp_path, files).loops) == 1


def test_files_that_differ_in_a_literal_are_a_loop_that_cannot_be_continued(tmp_path: Path) -> None:
    sql = "CREATE OR REPLACE TABLE reach_{this} AS SELECT a, '{this}' AS step FROM reach_{before}"
    workflow = loaded(tmp_path, {**ENTRY, **steps(1, 2, sql=sql)})
    assert workflow.loops[0].generate is False
    assert "LOOP_NOT_GENERATED" in codes(workflow)


def test_a_missing_iteration_is_generated_since_a_table_left_over_would_be_read(
    tmp_path: Path,
) -> None:
    workflow = loaded(tmp_path, {**ENTRY, **steps(1, 2, 5)})
    gaps = [one for one in workflow.warnings if one.code == "LOOP_GAP"]
    assert [one.path for one in gaps] == ["02_round_5.sql"] * 2
    assert ["reach_3" in one.detail for one in gaps] == [True, False]
    assert "from 02_round_2.sql" in gaps[1].detail
    assert {one.table for one in requirements(workflow).sources} == set()
    assert "Sources" not in plan_text(workflow)


def test_a_missing_iteration_that_cannot_be_generated_is_an_error(tmp_path: Path) -> None:
    sql = "CREATE OR REPLACE TABLE reach_{this} AS SELECT a, '{this}' AS step FROM reach_{before}"
    error = refused(tmp_path, {**ENTRY, **steps(1, 2, 4, sql=sql)})
    assert (error.code, error.path) == ("LOOP_GAP", "02_round_4.sql")
    assert "lake.crm.reach_3" in error.message


def test_missing_first_iterations_are_an_error_too(tmp_path: Path) -> None:
    error = refused(tmp_path, {**ENTRY, **steps(3, 4)})
    assert error.code == "LOOP_GAP"
    assert "lake.crm.reach_2" in error.message


def test_a_loop_may_start_from_a_table_that_is_there_already(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, steps(1, 2))
    assert len(workflow.loops) == 1
    assert codes(workflow) == ["LOOP_ENTRY"]


def test_a_table_of_the_users_is_not_taken_for_the_alias(tmp_path: Path) -> None:
    files = {**ENTRY, **steps(1, 2), "03_end.sql": "SELECT * FROM reach_settings"}
    workflow = loaded(tmp_path, files)
    assert workflow.loops[0].alias is None
    assert codes(workflow) == ["LOOP_ALIAS_UNCLEAR"]


def test_a_table_that_a_file_makes_is_no_alias(tmp_path: Path) -> None:
    files = {
        **ENTRY,
        **steps(1, 2),
        "03_end.sql": "CREATE OR REPLACE TABLE reach_final AS SELECT * FROM reach_2",
        "04_show.sql": "SELECT * FROM reach_final",
    }
    assert loaded(tmp_path, files).loops[0].alias is None


def test_dropping_a_stale_alias_first_does_not_hide_it(tmp_path: Path) -> None:
    files = {
        **ENTRY,
        **steps(1, 2),
        "00_clean.sql": "DROP TABLE IF EXISTS reach_final",
        "03_end.sql": "SELECT * FROM reach_final",
    }
    assert loaded(tmp_path, files).loops[0].alias == "lake.crm.reach_final"


def test_two_loops_are_told_apart(tmp_path: Path) -> None:
    other = {
        name.replace("02", "04"): sql.replace("reach", "far") for name, sql in steps(1, 2).items()
    }
    workflow = loaded(tmp_path, {**ENTRY, **steps(1, 2), **other})
    assert [(loop.id, loop.name) for loop in workflow.loops] == [
        ("loop1", "reach"),
        ("loop2", "far"),
    ]


# --- generating -------------------------------------------------------------------------------


def last_of(workflow: Workflow) -> SourceFile:
    return workflow.source(workflow.loops[0].files[-1])


@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_generated_iteration_is_the_one_the_user_would_have_written(
    tmp_path: Path, count: int
) -> None:
    workflow = loaded(tmp_path, identity_unification(iterations=count))
    last = last_of(workflow)
    for number in (count + 1, count + 2, count + 4):
        made = generate_iteration(workflow, workflow.loops[0], number, last)
        written = iteration(number)
        for text in made.texts:
            comment = f"-- step {number}"
            assert text.replace(f"-- step {count}", comment) in written
        last = made


def test_a_generated_iteration_is_planned_like_a_file(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, identity_unification(iterations=6))
    loop = workflow.loops[0]
    made = generate_iteration(workflow, loop, 8, last_of(workflow)).planned
    assert (made.id, made.path) == ("loop1.i8", "04_unify_loop_iteration_08.sql")
    assert (made.kind, made.loop, made.iteration) == ("loop", "loop1", 8)
    assert [one.id for one in made.statements] == [f"loop1.i8.s{n}" for n in (1, 2, 3, 4)]
    assert [one.unit for one in made.statements][2:] == ["loop1.i8.s3", "loop1.i8.s3"]
    assert all(one.idempotent for one in made.statements)
    assert made.reads == ("lake.crm.golden_id_graph_unify_loop_7",)
    assert made.writes == ("lake.crm.golden_id_graph_unify_loop_8",)
    assert made.depends_on == loop.files[-1:]


def test_making_eight_from_six_is_making_seven_and_then_eight(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, identity_unification(iterations=6))
    loop, last = workflow.loops[0], last_of(workflow)
    seven = generate_iteration(workflow, loop, 7, last)
    assert (
        generate_iteration(workflow, loop, 8, seven).texts
        == generate_iteration(workflow, loop, 8, last).texts
    )


def continued(directory: Path, sql: str) -> tuple[str, ...]:
    """Iteration 4 of a loop whose files 1 to 3 are made from `sql`."""
    workflow = loaded(directory, {**ENTRY, **steps(1, 2, 3, sql=sql)})
    return generate_iteration(workflow, workflow.loops[0], 4, last_of(workflow)).texts


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE OR REPLACE TABLE `reach_{this}` AS SELECT  reach_{before}.a  "
        "FROM `lake`.crm.reach_{before}",
        "CREATE OR REPLACE TABLE reach_{this} AS SELECT reach_{before}.* FROM REACH_{before} -- x",
        "CREATE OR REPLACE TABLE reach_{this} AS SELECT a FROM reach_{before} "
        "JOIN reach_0 USING (a)",
        "CREATE OR REPLACE TABLE reach_{this} AS SELECT '^\\\\d;' AS x, a ^ 3 "
        "FROM reach_{before} x3",
        "CREATE OR REPLACE TABLE reach_{this} AS "
        "WITH c AS (SELECT * FROM reach_{before}) SELECT * FROM c",
        "CREATE OR REPLACE TABLE reach_{this} (a INT)\n; OPTIMIZE reach_{this} ZORDER BY (a);"
        "INSERT INTO reach_{this} SELECT * FROM reach_{before}",
        "CREATE OR REPLACE TABLE near_{this} AS SELECT * FROM reach_{before};"
        "CREATE OR REPLACE TABLE reach_{this} AS SELECT * FROM near_{this}; DROP TABLE near_{this}",
        "MERGE INTO reach_{this} USING reach_{before} ON reach_{this}.a = reach_{before}.a "
        "WHEN NOT MATCHED THEN INSERT *",
        "CREATE OR REPLACE TABLE reach_{this} AS SELECT TRANSFORM(xs, reach -> reach + 3) "
        "FROM reach_{before} LATERAL VIEW EXPLODE(ys) e AS z",
    ],
)  # fmt: skip
def test_only_the_tables_of_the_loop_change_and_the_rest_stays_as_written(
    tmp_path: Path, sql: str
) -> None:
    expected = scan(sql.format(this=4, before=3))
    assert continued(tmp_path, sql) == tuple(statement.text for statement in expected)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE OR REPLACE TABLE reach_{this} AS SELECT *, 'x' FROM reach_{before} JOIN reach_7",
        "CREATE OR REPLACE TABLE reach_{this} AS SELECT * FROM reach_{before} AS reach_{this}",
        "BEGIN INSERT INTO reach_{this} SELECT * FROM reach_{before}; END",
    ],
)
def test_what_cannot_be_decided_is_an_error_with_its_line(tmp_path: Path, sql: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        continued(tmp_path, "USE SCHEMA crm;\n" + sql)
    assert caught.value.code == "LOOP_NOT_GENERATED"
    assert (caught.value.path, caught.value.line) == ("02_round_3.sql", 2)


def test_a_name_inside_a_string_is_not_guessed_at(tmp_path: Path) -> None:
    sql = (
        "CREATE OR REPLACE TABLE reach_{this} AS "
        "SELECT 'from reach_{before}' AS a FROM reach_{before}"
    )
    workflow = loaded(tmp_path, {**ENTRY, **steps(1, 2, 3, sql=sql)})
    assert workflow.loops[0].generate is False
    with pytest.raises(WorkflowError, match="string"):
        generate_iteration(workflow, workflow.loops[0], 4, last_of(workflow))
