"""Which checks a workflow gets, and what they are about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from executor.workflow.model import Workflow, WorkflowError
from protocol.events import PlannedCheck
from tests.workflow.layouts import identity_unification, loaded

PLAIN = {
    "01_make.sql": "CREATE OR REPLACE TABLE one AS SELECT 1 AS n",
    "02_more.sql": "CREATE OR REPLACE TABLE two AS SELECT n FROM one",
}


def identity(tmp_path: Path, manifest: str = "", **more: str) -> Workflow:
    files = {**identity_unification(), "workflow.toml": manifest, **more}
    return loaded(tmp_path, files)


def named(workflow: Workflow, name: str) -> PlannedCheck:
    return next(check for check in workflow.checks if check.name == name)


def names(workflow: Workflow, source: str) -> list[str]:
    return [check.name for check in workflow.checks if check.source == source]


PROFILE = "profiles/identity_unification.toml"


# --- dwx's own --------------------------------------------------------------------------------


def test_every_table_that_is_left_behind_must_have_been_written_by_the_run(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, PLAIN)
    own = [check for check in workflow.checks if check.source == "dwx"]
    assert [check.table for check in own] == ["lake.crm.one", "lake.crm.two"]
    assert own[0].sql == "DESCRIBE HISTORY `lake`.`crm`.`one` LIMIT 10"
    assert (own[0].expect, own[0].severity, own[0].files) == (("fresh",), "critical", ("f1",))


def test_tables_that_pass_views_and_those_of_the_session_are_not_left_behind(
    tmp_path: Path,
) -> None:
    files = {
        "01_a.sql": "CREATE OR REPLACE TABLE a_tmp AS SELECT 1 AS n; DROP TABLE IF EXISTS a; "
        "ALTER TABLE a_tmp RENAME TO a",
        "02_b.sql": "CREATE TEMPORARY VIEW v AS SELECT 1 AS n; CREATE TABLE b AS SELECT * FROM v",
        "03_c.sql": "CREATE OR REPLACE VIEW c AS SELECT 1 AS n",
        "04_d.sql": "CREATE OR REPLACE TABLE d AS SELECT 1 AS n; DROP TABLE d",
    }
    workflow = loaded(tmp_path, files)
    assert [check.table for check in workflow.checks] == ["lake.crm.a", "lake.crm.b"]


def test_what_a_leaf_file_leaves_is_less_grave(tmp_path: Path) -> None:
    manifest = '[files."02_*.sql"]\ncritical = false'
    workflow = loaded(tmp_path, {**PLAIN, "workflow.toml": manifest})
    assert [check.severity for check in workflow.checks] == ["critical", "moderate"]


def test_the_tables_of_a_loop_are_not_left_behind_but_its_result_is(tmp_path: Path) -> None:
    left = [check.table for check in identity(tmp_path).checks if check.source == "dwx"]
    assert not any("loop" in str(table) for table in left)
    assert "lake.crm.golden_id_graph" in left


# --- the profile ------------------------------------------------------------------------------


def test_the_profile_brings_its_checks_with_names_and_ids_filled_in(tmp_path: Path) -> None:
    workflow = identity(tmp_path)
    assert workflow.profile == "identity_unification"
    found = names(workflow, PROFILE)
    assert "golden_id_lookup has one row per identifier" in found
    assert "enriched_shop has the rows of shop" in found
    assert "people has every person in use" in found
    fan_out = named(workflow, "enriched_app has the rows of app")
    assert "COUNT(`golden_id`) AS with_id" in fan_out.sql
    assert "FROM `raw`.`in`.`app`" in fan_out.sql
    assert fan_out.table == "lake.crm.enriched_app"
    assert (fan_out.share, fan_out.expect) == (("with_id", "rows"), ("rows = expected",))
    in_use = named(workflow, "people has every person in use")
    assert in_use.sql.count("UNION ALL") == 2
    (empty,) = [check for check in workflow.checks if check.name == "the graph is not empty"]
    assert (empty.phase, empty.loop) == ("publish", "loop1")
    assert "{result}" in named(workflow, "every follower stands in the result once").sql


def test_a_check_whose_tables_the_workflow_does_not_make_is_left_out(tmp_path: Path) -> None:
    files = identity_unification()
    del files["06_result_key_stats.sql"]
    found = names(loaded(tmp_path, files), PROFILE)
    assert not any("counts every canonical id" in name for name in found)


def test_a_check_of_which_it_cannot_be_told_what_it_is_about_is_planned_as_such(
    tmp_path: Path,
) -> None:
    files = identity_unification()
    files["10_enrich_shop.sql"] = files["10_enrich_shop.sql"].replace(
        "FROM raw.in.shop p", "FROM raw.in.buyers p JOIN raw.in.extra e ON e.email = p.email"
    )
    workflow = loaded(tmp_path, files)
    check = next(c for c in workflow.checks if c.name.startswith("enriched_shop has the rows"))
    assert check.sql == ""
    assert "10_enrich_shop.sql reads 2 tables" in str(check.problem)


def test_without_a_loop_that_fits_there_is_no_profile_and_the_plan_says_why(
    tmp_path: Path,
) -> None:
    workflow = loaded(tmp_path, PLAIN)
    assert (workflow.profile, workflow.profile_reason) == (None, "there is no loop")


def test_the_plan_says_why_a_profile_applies_and_what_is_changed_of_it(tmp_path: Path) -> None:
    manifest = """
[[loop]]
max_iterations = 50
[[check]]
name = "no cluster of {lookup} is too large"
severity = "warning"
"""
    workflow = identity(tmp_path, manifest)
    reason = workflow.profile_reason
    assert "golden_id_graph_unify_loop_{iteration}, so the id is golden_id" in reason
    assert "workflow.toml changes the loop, the check 'no cluster of {lookup} is" in reason
    (loop,) = workflow.loops
    assert (loop.max_iterations, loop.stall_after) == (50, 3)
    assert loop.changed_columns is not None
    assert named(workflow, "no cluster of golden_id_lookup is too large").severity == "warning"


def test_two_ids_have_the_profile_and_its_checks_each(tmp_path: Path) -> None:
    files = identity_unification(3, "golden")
    for name in [name for name in files if name.startswith("10_")]:
        files[name] = files[name].replace("k.canonical_id", "k.canonical_id AS golden")
    for name, text in identity_unification(3, "golden_id").items():
        number, rest = name.split("_", 1)
        if number in ("01", "02", "04", "05"):
            files[f"{number}_b_{rest}"] = text
    workflow = loaded(tmp_path, files)
    assert [loop.residual is not None for loop in workflow.loops] == [True, True]
    assert "the id is golden" in workflow.profile_reason
    assert "the id is golden_id" in workflow.profile_reason
    found = names(workflow, PROFILE)
    assert "golden_lookup has one row per identifier (golden)" in found
    assert "golden_id_lookup has one row per identifier (golden_id)" in found
    # the enriched tables of this workflow know one of the two only
    enriched = [name for name in found if name.startswith("enriched_shop has the rows")]
    assert enriched == ["enriched_shop has the rows of shop (golden)"]
    publish = [check for check in workflow.checks if check.phase == "publish"]
    assert {check.loop for check in publish} == {"loop1", "loop2"}


def test_a_profile_may_be_refused_or_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    without = identity(tmp_path / "a", "profile = false")
    assert (without.profile, names(without, PROFILE)) == (None, [])
    assert without.profile_reason == "workflow.toml says so"
    asked = identity(tmp_path / "b", 'profile = "identity_unification"')
    assert asked.profile_reason.endswith("and workflow.toml asks for it")


def test_a_check_of_the_profile_may_be_taken_out(tmp_path: Path) -> None:
    manifest = '[[check]]\nname = "the graph is not empty"\nenabled = false'
    assert "the graph is not empty" not in names(identity(tmp_path, manifest), PROFILE)


def test_what_cleanup_drops_is_the_profile_s_or_the_loop_s_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    stem = "lake.crm.golden_id_graph_unify_loop_"
    (loop,) = identity(tmp_path / "a").loops
    assert loop.intermediates == (f"{stem}0", f"{stem}{{iteration}}")
    (loop,) = identity(tmp_path / "b", "profile = false").loops
    assert loop.intermediates == (f"{stem}{{iteration}}",)


# --- the user's own ---------------------------------------------------------------------------


def test_a_query_in_checks_must_give_no_rows(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "no_gaps.sql").write_text(
        "-- gaps; in the numbers\nSELECT n FROM ${schema}.one WHERE n < 1;\n"
    )
    (tmp_path / "checks" / "notes.txt").write_text("nothing")
    check = named(loaded(tmp_path, PLAIN), "checks/no_gaps.sql")
    assert (check.phase, check.severity, check.expect) == ("final", "critical", ())
    assert check.sql.endswith("SELECT n FROM crm.one WHERE n < 1")


def test_workflow_toml_may_say_more_about_such_a_file_and_hold_checks_of_its_own(
    tmp_path: Path,
) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "rows.sql").write_text("SELECT COUNT(*) AS rows FROM one")
    manifest = """
[tables]
two = "${catalog}.${schema}.two"
[[check]]
file = "checks/rows.sql"
severity = "warning"
expect = ["rows > 0", "rows < 10"]
[[check]]
name = "two is as long as one"
table = "{two}"
sql = "SELECT (SELECT COUNT(*) FROM {two}) AS a, (SELECT COUNT(*) FROM one) AS b"
expect = "a = b"
"""
    workflow = loaded(tmp_path, {**PLAIN, "workflow.toml": manifest})
    rows = named(workflow, "checks/rows.sql")
    assert (rows.severity, rows.expect) == ("warning", ("rows > 0", "rows < 10"))
    two = named(workflow, "two is as long as one")
    assert (two.table, two.files) == ("lake.crm.two", ("f2",))
    assert "FROM `lake`.`crm`.`two`" in two.sql


def test_a_check_before_publishing_is_about_the_loop_it_names(tmp_path: Path) -> None:
    manifest = """
profile = false
[[check]]
name = "few edges"
when = "publish"
sql = "SELECT COUNT(*) AS edges FROM {result}"
expect = "edges < 1000"
"""
    check = named(identity(tmp_path, manifest), "few edges")
    assert (check.phase, check.loop) == ("publish", "loop1")


@pytest.mark.parametrize(
    ("manifest", "line", "says"),
    [
        ('[[check]]\nsql = "SELECT 1"', 1, "name is missing"),
        ('[[check]]\nname = "x"', 1, "no sql of its own"),
        ('[[check]]\nname = "x"\nsql = "DELETE FROM one"', 1, "not one query"),
        ('[[check]]\nname = "x"\nsql = "SELECT 1; SELECT 2"', 1, "not one query"),
        ('[[check]]\nname = "x"\nsql = "FROM one INSERT INTO two SELECT n"', 1, "not one query"),
        ('[[check]]\nname = "x"\nsql = "WITH a AS (b) MERGE !"', 1, "not one query"),
        ('[[check]]\nname = "x"\nsql = "SELECT 1 FROM {result}"', 1, 'when = "publish"'),
        ('[[check]]\nname = "x"\nsql = "SELECT 1 FROM {output}"', 1, "say each"),
        ('[[check]]\nname = "x"\nsql = "SELECT {id} FROM one"', 1, "a profile applies"),
        ('[[check]]\nname = "x"\nsql = "SELECT 1 FROM {tow}"', 1, "{tow}"),
        ('[[check]]\nname = "x"\nsql = "SELECT 1"\nexpect = "n == 1"', 4, "no expectation"),
        ('[[check]]\nname = "x"\nsql = "SELECT 1"\nseverity = "bad"', 4, "fatal, critical"),
        ('[[check]]\nname = "x"\nsql = "SELECT 1"\nwhen = "now"', 4, "publish, end"),
        ('[[check]]\nname = "x"\nsql = "SELECT 1"\nexpects = "n = 1"', 4, "expect"),
        ('[[check]]\nname = "x"\nsql = "SELECT 1"\nshare = ["a"]', 4, "two columns"),
        ('[[check]]\nname = "x"\nsql = "SELECT 1"\nwhen = "publish"', 1, "which loop"),
        ('[[check]]\nfile = "checks/x.sql"', 1, "no file checks/x.sql"),
        ('[check]\nname = "x"', 1, "[[check]]"),
        ('[tables]\nid = "x"', 2, "not one of id"),
        ("[tables]\na = 1", 2, "name of a table"),
        ("profile = 3", 1, "name of one"),
        ('profile = "other"', None, "no profile called"),
        ('profile = "identity_unification"', None, "no loop fits"),
        ("[[loop]]\nmax_iterations = 3", 1, "0 loops"),
        ("[[loop]]\nstall_after = 0", 2, "at least 1"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_what_would_be_right(
    tmp_path: Path, manifest: str, line: int | None, says: str
) -> None:
    with pytest.raises(WorkflowError) as caught:
        loaded(tmp_path, {**PLAIN, "workflow.toml": manifest})
    error = caught.value
    assert (error.path, error.line) == ("workflow.toml", line)
    assert says in error.message + error.suggestion


def test_two_checks_of_one_name_are_refused(tmp_path: Path) -> None:
    one = '[[check]]\nname = "x"\nsql = "SELECT 1 WHERE false"\n'
    with pytest.raises(WorkflowError, match="two checks called 'x'"):
        loaded(tmp_path, {**PLAIN, "workflow.toml": one * 2})


def test_a_test_of_a_loop_that_is_no_query_is_refused(tmp_path: Path) -> None:
    manifest = '[[loop]]\nresidual = "DELETE FROM {table}"'
    with pytest.raises(WorkflowError, match="not a query"):
        identity(tmp_path, manifest)


def test_a_check_of_the_user_s_is_never_left_out_in_silence(tmp_path: Path) -> None:
    files = identity_unification()
    del files["06_result_key_stats.sql"]
    files["workflow.toml"] = (
        '[[check]]\nname = "mine"\nsql = "SELECT COUNT(*) AS n FROM {statistics}"\nexpect = "n > 0"'
    )
    assert "makes no statistics" in str(named(loaded(tmp_path, files), "mine").problem)


def test_tables_that_are_kept_from_run_to_run_need_not_be_written_by_each(tmp_path: Path) -> None:
    files = {
        "01_kept.sql": "CREATE TABLE IF NOT EXISTS kept (n INT); "
        "MERGE INTO kept USING one ON kept.n = one.n WHEN NOT MATCHED THEN INSERT *",
        "02_grown.sql": "CREATE TABLE IF NOT EXISTS grown AS SELECT 1 AS n; "
        "INSERT INTO grown SELECT 2",
        "03_added.sql": "INSERT INTO added SELECT 1",
        "04_once.sql": "CREATE TABLE IF NOT EXISTS once AS SELECT 1 AS n",
        "05_anew.sql": "CREATE OR REPLACE TABLE anew (n INT); INSERT INTO anew SELECT 1",
        "06_over.sql": "INSERT OVERWRITE over SELECT 1",
    }
    severities = {check.table: check.severity for check in loaded(tmp_path, files).checks}
    assert severities == {
        "lake.crm.kept": "warning",
        "lake.crm.grown": "warning",
        "lake.crm.added": "warning",
        "lake.crm.once": "warning",
        "lake.crm.anew": "critical",
        "lake.crm.over": "critical",
    }


def test_a_source_is_told_from_what_is_joined_to_it_by_its_name(tmp_path: Path) -> None:
    files = identity_unification()
    files["10_enrich_shop.sql"] = files["10_enrich_shop.sql"].replace(
        "FROM raw.in.shop p", "FROM raw.in.shop p JOIN raw.in.extra e ON e.email = p.email"
    )
    found = names(loaded(tmp_path, files), PROFILE)
    assert "enriched_shop has the rows of shop" in found


def test_a_view_that_a_file_makes_on_its_way_is_no_table_that_it_leaves(tmp_path: Path) -> None:
    files = identity_unification()
    for kind in ("TEMPORARY VIEW", "VIEW"):
        files["10_enrich_shop.sql"] = files["10_enrich_shop.sql"].replace(
            "CREATE OR REPLACE TABLE",
            f"CREATE OR REPLACE {kind} of_{kind[0].lower()} AS SELECT 1 AS n;\n"
            "CREATE OR REPLACE TABLE",
            1,
        )
    workflow = loaded(tmp_path, files)
    assert named(workflow, "enriched_shop has the rows of shop").problem is None


def test_a_loop_numbered_with_zeros_has_the_same_checks(tmp_path: Path) -> None:
    files = {
        name: re.sub(r"unify_loop_(\d)\b", r"unify_loop_0\1", text)
        for name, text in identity_unification().items()
    }
    workflow = loaded(tmp_path, files)
    assert (
        named(workflow, "the graph is not empty").table == "lake.crm.golden_id_graph_unify_loop_00"
    )
    (loop,) = workflow.loops
    assert loop.intermediates[0] == "lake.crm.golden_id_graph_unify_loop_00"
    assert loop.intermediates[1] == loop.table


def test_what_a_profile_cannot_check_here_is_said(tmp_path: Path) -> None:
    files = identity_unification()
    del files["06_result_key_stats.sql"]
    warnings = [
        one.detail for one in loaded(tmp_path, files).warnings if one.code == "CHECK_LEFT_OUT"
    ]
    assert len(warnings) == 1
    assert "statistics" in warnings[0]


def test_braces_in_literals_and_comments_are_the_user_s(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    text = "-- counts {things}\nSELECT n FROM one WHERE CAST(n AS STRING) RLIKE '^x{n}$' /* {id} */"
    (tmp_path / "checks" / "x.sql").write_text(text)
    assert "RLIKE '^x{n}$'" in named(loaded(tmp_path, PLAIN), "checks/x.sql").sql


def test_loops_whose_tables_have_the_same_name_are_told_apart(tmp_path: Path) -> None:
    step = "CREATE OR REPLACE TABLE {s}.t_1 AS SELECT n FROM {s}.t_0"
    files = {
        "01_a.sql": "CREATE OR REPLACE TABLE a.t_0 AS SELECT 1 AS n",
        "02_round_1.sql": step.format(s="a"),
        "03_b.sql": "CREATE OR REPLACE TABLE b.t_0 AS SELECT 1 AS n",
        "04_round_1.sql": step.format(s="b"),
    }
    assert [loop.name for loop in loaded(tmp_path, files).loops] == ["lake.a.t", "lake.b.t"]
    files["workflow.toml"] = (
        '[[check]]\nname = "x"\nwhen = "publish"\nsql = "SELECT 1 FROM {result}"'
    )
    with pytest.raises(WorkflowError, match="which loop"):
        loaded(tmp_path, files)


@pytest.mark.parametrize(
    "manifest",
    [
        '[[check]]\nname = ""\nsql = "SELECT 1"',
        '[[check]]\nname = "a\\nb"\nsql = "SELECT 1"',
        '[[check]]\nname = "a\\u202eb"\nsql = "SELECT 1"',
        f'[[check]]\nname = "{"x" * 300}"\nsql = "SELECT 1"',
        '[[check]]\nname = "x"\nsql = "SELECT 1"\nexpect = []',
        '[[check]]\nname = "x"\nsql = "SELECT 1"\neach = ""',
        '[[check]]\nname = "x"\nsql = "SELECT 1"\neach = "."',
        '[files.""]\ncritical = false',
        '[[loop]]\nfiles = ""\ntable = "t_{iteration}"',
        '[[check]]\nname="x"\nsql="SELECT 1"\neach="*"\ngather={files="",sql="SELECT 1"}',
    ],
)
def test_names_and_patterns_that_say_nothing_are_refused(tmp_path: Path, manifest: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        loaded(tmp_path, {**PLAIN, "workflow.toml": manifest})
    assert caught.value.code == "MANIFEST_INVALID"
    assert caught.value.line is not None
