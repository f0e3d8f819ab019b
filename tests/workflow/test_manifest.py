"""workflow.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.workflow.discover import built_in_profiles
from executor.workflow.manifest import read_manifest
from executor.workflow.model import WorkflowError
from tests.workflow.layouts import codes, identity_unification, loaded

STEP = (
    "CREATE OR REPLACE TABLE ${schema}.near_{n}_all AS SELECT * FROM near_{b}_all WHERE n < ${top}"
)
FILES = {
    "01_start.sql": "CREATE OR REPLACE TABLE near_0_all AS SELECT 1 AS n",
    "03_round_1.sql": STEP.replace("{n}", "1").replace("{b}", "0"),
    "03_round_2.sql": STEP.replace("{n}", "2").replace("{b}", "1"),
    "04_end.sql": "SELECT * FROM near_out",
}
MANIFEST = """
name = "nearness"

[vars]
top = 20

[[loop]]
name = "near"
files = "03_round_*.sql"
table = "${catalog}.${schema}.Near_{iteration}_all"
changed_columns = ["n", "Other Column"]
residual = "SELECT COUNT(*) FROM {table} WHERE n > ${top}"
alias = "`near_out`"
max_iterations = 7
generate = false

[files."04_*.sql"]
critical = false
"""


def wrong(text: str) -> WorkflowError:
    with pytest.raises(WorkflowError) as caught:
        read_manifest(text, "workflow.toml")
    assert caught.value.code == "MANIFEST_INVALID"
    assert caught.value.path == "workflow.toml"
    return caught.value


def test_what_is_declared_is_what_is_planned(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, {**FILES, "workflow.toml": MANIFEST})
    (loop,) = workflow.loops
    assert (loop.name, loop.files) == ("near", ("f2", "f3"))
    assert loop.table == "lake.crm.near_{iteration}_all"
    assert loop.alias == "lake.crm.near_out"
    assert loop.changed_columns == ("n", "Other Column")
    assert loop.residual == "SELECT COUNT(*) FROM {table} WHERE n > 20"
    assert (loop.max_iterations, loop.generate) == (7, False)
    assert [file.planned.critical for file in workflow.files] == [True, True, True, False]
    assert workflow.source("f2").texts[0].endswith("WHERE n < 20")
    assert workflow.source("f4").planned.depends_on == ("f2", "f3")
    assert codes(workflow) == []


def test_the_command_line_wins_over_the_defaults(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, {**FILES, "workflow.toml": MANIFEST}, top="3")
    assert workflow.vars["top"] == "3"
    assert workflow.source("f2").texts[0].endswith("WHERE n < 3")


def test_a_declared_loop_wins_over_the_one_that_would_be_found(tmp_path: Path) -> None:
    manifest = """
[[loop]]
files = "04_unify_*.sql"
table = "golden_id_graph_unify_loop_{iteration}"
max_iterations = 50
[files."01_*.sql"]
critical = false
[files."03_*.sql"]
critical = true
"""
    workflow = loaded(tmp_path, {**identity_unification(), "workflow.toml": manifest})
    (loop,) = workflow.loops
    assert (loop.max_iterations, loop.alias) == (50, None)
    # of what it does not say, the profile is asked
    assert loop.changed_columns == ("leader_ns", "leader_id", "follower_ns", "follower_id")
    criticality = {file.planned.path[:2]: file.planned.critical for file in workflow.files}
    assert (criticality["01"], criticality["03"], criticality["06"]) == (False, True, False)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("name = ", 1, "TOML"),
        ('nam = "x"', 1, "name"),
        ("[vars]\na = 1\nb = [1]", 3, "placeholder"),
        ('[vars]\n"a-b" = 1', 2, "letters"),
        ("[loop]\nfiles = 'a'", 1, "[[loop]]"),
        ("\n[[loop]]\ntable = 'x_{iteration}'", 2, "files is missing"),
        ("[[loop]]\nfiles = 'a'\ntable = 'x'", 3, "{iteration}"),
        ("[[loop]]\nfiles = 'a'\ntable = 'x_{iteration}'\nmax_iteration = 3", 4, "max_iterations"),
        (
            "[[loop]]\nfiles = 'a'\ntable = 'x_{iteration}'\nmax_iterations = true",
            4,
            "whole number",
        ),
        ("[[loop]]\nfiles = 'a'\ntable = 'x_{iteration}'\nmax_iterations = 0", 4, "at least 1"),
        ("[[loop]]\nfiles = 'a'\ntable = 'x_{iteration}'\nchanged_columns = []", 4, "at least one"),
        (
            "[[loop]]\nfiles = 'a'\ntable = 'x_{iteration}'\nchanged_columns = [1]",
            4,
            "list of texts",
        ),
        ("[[loop]]\nfiles = 'a'\ntable = 'x_{iteration}'\nprobe = 'SELECT 1'", 4, "{table}"),
        ("[[loop]]\nfiles='a'\ntable='x_{iteration}'\n[[loop]]\nfiles='b'\ntable=1", 6, "table"),
        ('[files."1.sql"]\ncritical = "no"', 2, "true or false"),
        ('[files."1.sql"]\ncritcal = false', 2, "critical"),
        ("[match]\nloop_table = 'x'", 1, "match"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_would_be_right(
    text: str, line: int, says: str
) -> None:
    error = wrong(text)
    assert error.line == line
    assert says in error.message + error.suggestion


@pytest.mark.parametrize(
    ("manifest", "line", "says"),
    [
        ('[files."9.sql"]\ncritical = false', 1, "no file matches '9.sql'"),
        ('[[loop]]\nfiles = "09_*"\ntable = "near_{iteration}"', 1, "no file matches"),
        ('[[loop]]\nfiles = "03_*"\ntable = "far_{iteration}"', 1, "makes no table"),
        ('[[loop]]\nfiles = "0[13]_*"\ntable = "near_{iteration}_alll"', 1, "makes no table"),
    ],
)
def test_what_does_not_fit_the_files_is_an_error(
    tmp_path: Path, manifest: str, line: int, says: str
) -> None:
    with pytest.raises(WorkflowError, match=r"table|matches") as caught:
        loaded(tmp_path, {**FILES, "workflow.toml": manifest}, top="1")
    assert (caught.value.code, caught.value.line) == ("MANIFEST_INVALID", line)
    assert says in caught.value.message


def test_an_undefined_placeholder_in_the_manifest_names_it(tmp_path: Path) -> None:
    manifest = '[[loop]]\nfiles = "03_*"\ntable = "${schemma}.near_{iteration}_all"'
    with pytest.raises(WorkflowError) as caught:
        loaded(tmp_path, {**FILES, "workflow.toml": manifest}, top="1")
    assert (caught.value.code, caught.value.path) == ("UNDEFINED_PLACEHOLDER", "workflow.toml")


def test_the_built_in_profiles_are_valid() -> None:
    names = []
    for name, text in built_in_profiles():
        assert read_manifest(text, name, profile=True).match is not None
        names.append(name)
    assert names == ["identity_unification"]
