"""`dwx run --policy` and `dwx policy`, as anybody would start them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.program.conftest import Served
from tests.program.dwx import Ended, dwx, workflow

SKIPS = """\
rules:
  - match: {category: missing_object, path: "02_*"}
    choose: skip
unmatched: suspend
"""
SAYS_OTHER_FILES = SKIPS.replace("02_", "03_")


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """A workflow whose second file names a table nobody makes."""
    workflow(
        tmp_path / "sql",
        f01_make="CREATE OR REPLACE TABLE policed AS SELECT 1 AS a",
        f02_fill="INSERT INTO policed SELECT a FROM polliced",
        f03_read="SELECT * FROM policed",
    )
    return tmp_path


def run(cwd: Path, served: Served, policy: str, *more: str, stdin: bytes = b"") -> Ended:
    (cwd / "policy.yaml").write_text(policy)
    return dwx(
        "run", "sql", *served.flags, "--policy", "policy.yaml", *more,
        cwd=cwd, stdin=stdin, DATABRICKS_TOKEN=served.token,
    )  # fmt: skip


def test_a_policy_answers_for_a_run_that_nobody_watches(failing: Path, served: Served) -> None:
    ended = run(failing, served, SKIPS)
    assert ended.exit_code == 4
    (accepted,) = ended.of("decision_accepted")
    assert (accepted.kind, accepted.source, accepted.by) == ("policy", "flag", "policy.yaml")
    assert ended.record[1].event == accepted
    (resolved,) = ended.of("prompt_resolved")
    assert (resolved.how, resolved.choice, resolved.by) == ("policy", "skip", "rule 1")
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=failing).exit_code == 0


def test_what_no_rule_answers_suspends_at_once_if_the_policy_says_so(
    failing: Path, served: Served
) -> None:
    ended = run(failing, served, SAYS_OTHER_FILES)
    assert ended.exit_code == ended.last.exit_code == 5
    assert ended.last.reason == "no rule of the policy answers p1"
    assert ended.last.open_prompts == ("p1",)
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=failing).exit_code == 0


def test_a_resumed_run_knows_its_policy_and_takes_another_if_it_is_given_one(
    failing: Path, served: Served
) -> None:
    ended = run(failing, served, SAYS_OTHER_FILES)
    (failing / "policy.yaml").unlink()  # the record has it
    resume = ("resume", ended.run_dir.name)
    again = dwx(*resume, cwd=failing, DATABRICKS_TOKEN=served.token)
    assert again.exit_code == 5
    assert again.last.reason == "no rule of the policy answers p1"
    (failing / "bad.yaml").write_text("rules")
    bad = dwx(*resume, "--policy", "bad.yaml", cwd=failing, DATABRICKS_TOKEN=served.token)
    assert bad.exit_code == 2
    assert "bad.yaml:1: the policy has to be a mapping" in bad.stderr
    (failing / "better.yaml").write_text(SKIPS)
    better = dwx(*resume, "--policy", "better.yaml", cwd=failing, DATABRICKS_TOKEN=served.token)
    assert better.exit_code == 4
    assert [one.by for one in better.of("prompt_resolved")] == ["rule 1"]
    assert [one.by for one in better.of("decision_accepted")] == ["policy.yaml", "better.yaml"]
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=failing).exit_code == 0


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_a_policy_that_is_not_in_order_ends_the_run_before_anything_is_executed(
    failing: Path, served: Served, flags: tuple[str, ...]
) -> None:
    ended = run(failing, served, SKIPS.replace("choose", "chose"), *flags)
    assert ended.exit_code == ended.last.exit_code == 2
    assert [entry.event.type for entry in ended.record] == ["hello", "run_finished"]
    error = ended.last.error
    assert error.class_ == "DWX_POLICY_INVALID"
    assert (error.file, error.line) == ("policy.yaml", 3)
    assert error.message == 'there is no key "chose" in rule 1'
    assert error.suggestion == "Did you mean `choose`?"
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=failing).exit_code == 0


def test_a_policy_file_that_is_not_there_is_named(failing: Path, served: Served) -> None:
    ended = dwx(
        "run", "sql", *served.flags, "--policy", "nowhere.yaml",
        cwd=failing, DATABRICKS_TOKEN=served.token,
    )  # fmt: skip
    assert ended.exit_code == 2
    assert ended.last.error.class_ == "DWX_POLICY_INVALID"
    assert ended.last.error.file == "nowhere.yaml"


def test_decisions_once_taken_become_a_policy_that_takes_them_again(
    failing: Path, served: Served
) -> None:
    decision = b'{"type":"decide","prompt":"p1","choice":"continue","by":"ana"}\n'
    decided = run(failing, served, "rules: []", stdin=decision)
    assert decided.exit_code == 4
    suggested = dwx("policy", "suggest", decided.run_dir.name, cwd=failing)
    assert suggested.exit_code == 0
    assert b"by ana" in suggested.stdout
    (failing / "suggested.yaml").write_bytes(suggested.stdout)
    checked = dwx(
        "policy", "check", "--policy", "suggested.yaml", "--against", str(decided.run_dir),
        cwd=failing,
    )  # fmt: skip
    assert checked.exit_code == 0
    assert b"The policy settles 1 of 1 prompt." in checked.stdout
    again = run(failing, served, suggested.stdout.decode())
    assert again.exit_code == 4
    assert [one.choice for one in again.of("prompt_resolved")] == ["continue"]
    assert [one.source for one in again.of("prompt_resolved")] == ["policy"]


def test_a_suggestion_that_is_only_a_comment_says_how_to_make_a_rule_of_it(
    failing: Path, served: Served
) -> None:
    decision = b'{"type":"decide","prompt":"p1","choice":"done"}\n'
    decided = run(failing, served, "rules: []", stdin=decision)
    suggested = dwx("policy", "suggest", decided.run_dir.name, cwd=failing).stdout.decode()
    assert "rules: []  # without the [], once a rule below is no comment" in suggested
    uncommented = re.sub(r"^  # (?=- |  )", "  ", suggested, flags=re.M).replace(
        "rules: []", "rules:"
    )
    again = run(failing, served, uncommented)
    assert [one.choice for one in again.of("prompt_resolved")] == ["done"]


def test_a_check_of_a_policy_that_leaves_something_open_exits_with_4(
    failing: Path, served: Served
) -> None:
    ended = run(failing, served, SKIPS)
    (failing / "other.yaml").write_text(SAYS_OTHER_FILES)
    log = ended.run_dir / "events.jsonl"
    checked = dwx(
        "policy", "check", "--policy", "other.yaml", "--against", str(log), "--json", cwd=failing
    )
    assert checked.exit_code == 4
    told = json.loads(checked.stdout)
    assert (told["asked"], told["settled"], told["unused_rules"]) == (1, 0, [1])
    assert told["prompts"][0]["recorded"] == {"choice": "skip", "how": "policy", "by": "rule 1"}


def test_a_check_says_what_is_wrong_with_policy_run_or_log(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(SKIPS)
    (tmp_path / "bad.yaml").write_text(SKIPS.replace("skip", "skp"))
    (tmp_path / "log").write_text("this is no event\n")
    for policy, against, words in (
        ("bad.yaml", "log", 'bad.yaml:3: `choose` of rule 1 cannot be "skp"'),
        ("good.yaml", "log", "line 1"),
        ("good.yaml", "r-nobody", "r-nobody"),
    ):
        checked = dwx("policy", "check", "--policy", policy, "--against", against, cwd=tmp_path)
        assert checked.exit_code == 2
        assert checked.stdout == b""
        assert words in checked.stderr
    assert dwx("policy", "suggest", "r-nobody", cwd=tmp_path).exit_code == 2
    assert dwx("policy", cwd=tmp_path).exit_code == 2
