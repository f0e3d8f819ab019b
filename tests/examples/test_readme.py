"""What the README shows of workflow.toml is what the program takes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from executor.workflow.load import load_workflow

ROOT = Path(__file__).parents[2]


def test_the_manifest_in_the_readme_is_that_of_the_example_and_is_taken(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (shown,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    shutil.copytree(ROOT / "examples" / "supplier_reach", tmp_path / "sql")
    given = load_workflow(tmp_path / "sql", vars={"catalog": "c", "schema": "s"})
    (tmp_path / "sql" / "workflow.toml").write_text(shown)
    told = load_workflow(tmp_path / "sql", vars={"catalog": "c", "schema": "s"})
    assert told.loops == given.loops
    assert told.vars == given.vars
    assert [file.planned for file in told.files] == [file.planned for file in given.files]
    theirs = {check.name: check for check in given.checks}
    mine = {check.name: check for check in told.checks if check.source == "workflow.toml"}
    assert set(mine) == {"nobody supplies itself"}
    assert mine["nobody supplies itself"].sql == theirs["nobody supplies itself"].sql


def test_the_examples_have_checks_of_their_own_that_pass() -> None:
    workflow = load_workflow(
        ROOT / "examples" / "supplier_reach", vars={"catalog": "c", "schema": "s"}
    )
    sources = {check.source for check in workflow.checks}
    assert sources == {"workflow.toml", "checks/every_supplier_is_a_company.sql", "dwx"}
