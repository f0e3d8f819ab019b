"""A directory becomes a workflow, and the workflow a plan."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import executor.workflow
from executor.workflow.load import load_workflow, reload_file
from executor.workflow.loops import generate_iteration
from executor.workflow.model import WorkflowError
from executor.workflow.plan import plan_event, plan_text
from tests.workflow.layouts import codes, identity_unification, loaded, write

PACKAGE = Path(executor.workflow.__file__).parent
EXAMPLES = PACKAGE.parent.parent / "examples"


def test_the_identity_layout_is_planned_as_the_design_says(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, identity_unification(iterations=6))
    plan = plan_event(workflow)
    assert (plan.total_files, plan.profile) == (18, "identity_unification")
    assert plan.total_statements == sum(len(file.texts) for file in workflow.files)
    files = {file.planned.path.removesuffix(".sql"): file.planned for file in workflow.files}
    assert [file.planned.id for file in workflow.files] == [f"f{n}" for n in range(1, 19)]
    leaves = [path for path, file in files.items() if not file.critical]
    assert [path[:2] for path in leaves] == ["03", "06", "30", "31", "32"]

    def after(path: str) -> list[str]:
        paths = {file.id: path for path, file in files.items()}
        return [paths[file_id] for file_id in files[path].depends_on]

    loop = [f"04_unify_loop_iteration_0{n}" for n in range(1, 7)]
    assert after("02_extract_merge") == ["01_create_graph"]
    assert after(loop[0]) == ["02_extract_merge"]
    assert after(loop[3]) == [loop[2]]
    assert after("05_canonicalize") == loop
    assert after("06_result_key_stats") == ["05_canonicalize"]
    assert after("10_enrich_app") == ["05_canonicalize"]
    assert after("20_master_people") == [f"10_enrich_{one}" for one in ("app", "calls", "shop")]
    assert after("31_filter_lookup") == []
    unsafe = {
        (path[:2], one.kind)
        for path, file in files.items()
        for one in file.statements
        if not one.idempotent
    }
    assert unsafe == {("02", "insert"), ("05", "rename"), ("10", "rename"), ("20", "rename")}
    renamed = files["05_canonicalize"].statements[-1]
    assert (renamed.target, renamed.renames) == (
        "lake.crm.golden_id_graph",
        "lake.crm.golden_id_graph_unify_loop_final",
    )
    assert codes(workflow) == ["SHARED_TABLE"] * 3


def test_statements_have_their_line_in_the_file_and_the_text_to_send(tmp_path: Path) -> None:
    sql = "-- a\r\nUSE SCHEMA ${schema};\r\n\r\n/* b */ SELECT '${day}';"
    workflow = loaded(tmp_path, {"1.sql": sql}, day="today")
    file = workflow.source("f1")
    assert file.texts == ("USE SCHEMA crm", "SELECT 'today'")
    assert [(one.id, one.line) for one in file.planned.statements] == [("f1.s1", 2), ("f1.s2", 4)]
    assert workflow.directory == tmp_path.absolute()


def test_the_fault_of_a_file_is_told_with_its_name_and_line(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match=r"2_b\.sql:3:8") as caught:
        loaded(tmp_path, {"1_a.sql": "SELECT 1", "2_b.sql": "SELECT 1;\n\nSELECT 'open"})
    assert caught.value.code == "UNTERMINATED_STRING"


@pytest.mark.parametrize(
    ("files", "code", "path", "line"),
    [
        ({"1.sql": "SELECT 1", "b.sql": "SELECT 2"}, "FILE_WITHOUT_NUMBER", "b.sql", None),
        ({"1.sql": "-- nothing;\n;"}, "FILE_EMPTY", "1.sql", None),
        ({"1.sql": "\nSELEC 1"}, "UNPARSED", "1.sql", 2),
        ({"1.sql": "CALL p()"}, "LINEAGE_INCOMPLETE", "1.sql", 1),
        ({"1.sql": "CREATE TEMP VIEW v AS SELECT 1"}, "SESSION_STATE", "1.sql", 1),
        ({"1.sql": "INSERT INTO t SELECT 1"}, "NOT_RECREATED", "1.sql", 1),
        (
            {"1.sql": "SELECT * FROM t", "2.sql": "CREATE OR REPLACE TABLE t AS SELECT 1"},
            "READ_BEFORE_WRITTEN",
            "1.sql",
            1,
        ),
    ],
)
def test_what_looks_wrong_is_a_warning_with_its_place(
    tmp_path: Path, files: dict[str, str], code: str, path: str, line: int | None
) -> None:
    (warning,) = loaded(tmp_path, files).warnings
    assert (warning.code, warning.path, warning.line) == (code, path, line)


@pytest.mark.parametrize(
    "files",
    [
        {
            "1.sql": "CREATE OR REPLACE TABLE t (a INT)",
            "2.sql": "INSERT INTO t SELECT * FROM source",
        },
        {"1.sql": "CREATE OR REPLACE TABLE t AS SELECT 1; SELECT * FROM t"},
        {"1.sql": "CREATE OR REPLACE TABLE t AS SELECT * FROM t"},
        {"1.sql": "DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT 1"},
    ],
)
def test_what_is_right_gives_no_warning(tmp_path: Path, files: dict[str, str]) -> None:
    assert loaded(tmp_path, files).warnings == ()


def test_a_table_several_files_add_to_names_them(tmp_path: Path) -> None:
    workflow = loaded(
        tmp_path, {"1.sql": "INSERT INTO t SELECT 1", "2.sql": "INSERT INTO t SELECT 2"}
    )
    (warning,) = workflow.warnings
    assert "1.sql and 2.sql" in warning.detail


def test_a_file_depends_on_the_last_earlier_writer_of_what_it_needs(tmp_path: Path) -> None:
    workflow = loaded(
        tmp_path,
        {
            "1.sql": "CREATE OR REPLACE TABLE t AS SELECT 1",
            "2.sql": "INSERT INTO t SELECT 2",
            "3.sql": "CREATE OR REPLACE TABLE u AS SELECT * FROM t",
            "4.sql": "CREATE OR REPLACE TABLE t AS SELECT 3",
            "5.sql": "SELECT * FROM t JOIN u",
            "6.sql": "DROP TABLE u",
        },
    )
    assert [file.planned.depends_on for file in workflow.files] == [
        (),
        ("f1",),
        ("f2",),
        (),
        ("f3", "f4"),
        ("f3",),
    ]


def test_a_file_is_read_again_as_it_is_now(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, identity_unification())
    planned = workflow.source("f6").planned
    assert reload_file(workflow, "f6", planned).planned == planned
    table = "golden_id_graph_unify_loop_3"
    write(tmp_path, {planned.path: f"USE CATALOG lake;\nINSERT INTO ${{schema}}.{table} SELECT 1"})
    again = reload_file(workflow, "f6", planned)
    assert again.texts == ("USE CATALOG lake", f"INSERT INTO crm.{table} SELECT 1")
    assert again.planned.sha256 != planned.sha256
    assert [one.id for one in again.planned.statements] == ["f6.s1", "f6.s2"]
    assert again.planned.writes == (f"lake.crm.{table}",)
    assert again.planned.reads == ()
    assert (again.planned.loop, again.planned.iteration) == (planned.loop, planned.iteration)


def test_reading_again_tells_faults_as_the_first_reading_does(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, {"1.sql": "SELECT 1"})
    planned = workflow.source("f1").planned
    write(tmp_path, {"1.sql": "SELECT '"})
    with pytest.raises(WorkflowError) as caught:
        reload_file(workflow, "f1", planned)
    assert (caught.value.code, caught.value.line) == ("UNTERMINATED_STRING", 1)
    (tmp_path / "1.sql").unlink()
    with pytest.raises(WorkflowError) as caught:
        reload_file(workflow, "f1", planned)
    assert caught.value.code == "FILE_UNREADABLE"


def test_a_loops_file_must_go_on_making_its_table(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, identity_unification())
    planned = workflow.source("f6").planned
    write(tmp_path, {planned.path: "CREATE OR REPLACE TABLE other AS SELECT 1"})
    with pytest.raises(WorkflowError, match="golden_id_graph_unify_loop_3") as caught:
        reload_file(workflow, "f6", planned)
    assert caught.value.code == "LOOP_TABLE_GONE"


def test_a_generated_iteration_cannot_be_read_again(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, identity_unification())
    loop = workflow.loops[0]
    made = generate_iteration(workflow, loop, 7, workflow.source(loop.files[-1])).planned
    with pytest.raises(WorkflowError) as caught:
        reload_file(workflow, made.id, made)
    assert caught.value.code == "FILE_GENERATED"


def test_the_text_of_a_plan_says_what_a_person_asks_first(tmp_path: Path) -> None:
    text = plan_text(loaded(tmp_path, identity_unification()))
    for expected in (
        "18 files, ",
        "Loop golden_id_graph_unify_loop: 6 files, at most 30 iterations",
        "leaves lake.crm.golden_id_graph_unify_loop_final",
        "[not safe to repeat]",
        "[repeat from f3.s3]",
        "leaf: its failure does not stop the run",
        "raw.in.shop",
        "SHARED_TABLE 31_filter_lookup.sql",
    ):
        assert expected in text
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ["identity_unification", "supplier_reach"])
def test_the_examples_have_one_loop_and_can_be_continued(name: str) -> None:
    workflow = load_workflow(EXAMPLES / name, vars={"catalog": "lake", "schema": "crm"})
    (loop,) = workflow.loops
    assert loop.alias is not None
    assert not {"UNPARSED", "LINEAGE_INCOMPLETE", "READ_BEFORE_WRITTEN"} & set(codes(workflow))
    before, last = (workflow.source(file_id) for file_id in loop.files[-2:])
    assert last.planned.iteration is not None
    assert generate_iteration(workflow, loop, last.planned.iteration, before).texts == last.texts


FORBIDDEN = frozenset(
    {"os", "sys", "time", "threading", "random", "subprocess", "socket", "anyio", "asyncio"}
)


def test_nothing_here_but_the_reader_of_directories_touches_the_world() -> None:
    for path in PACKAGE.glob("*.py"):
        imported: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
        assert not imported & FORBIDDEN, path.name
        if path.name != "discover.py":
            text = path.read_text()
            assert not any(call in text for call in ("read_text(", "read_bytes(", "open(")), (
                path.name
            )


def test_whoever_only_shows_a_plan_does_not_load_the_parser() -> None:
    code = (
        "import sys, executor.workflow.model, executor.workflow.plan;"
        "print([name for name in ('sqlglot', 'pydantic', 'tomllib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
