"""What examples/agents shows works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import yaml

from executor.cli.main import VERBS
from executor.core import policy as rules
from executor.core.state import Policy
from executor.runtime.policy_file import load
from protocol.events import ChoiceName
from protocol.exit_codes import MEANING
from tests.program.dwx import DWX, TIMEOUT_SECONDS, environment

AGENTS = Path(__file__).parents[2] / "examples" / "agents"
AGENT = (AGENTS / "claude-code-agent.md").read_text()
DEFINITION = AGENT.split("---\n", 2)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path


def test_decisions_piped_in_advance_settle_what_comes_and_become_a_policy(scratch: Path) -> None:
    ended = subprocess.run(
        ["sh", str(AGENTS / "decide_in_advance.sh")],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
        env=environment(DWX=DWX[0], TMPDIR=str(scratch / "tmp")),
        timeout=TIMEOUT_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    by_decision, by_policy = ended.stdout.split("== the same decision as a policy ==")
    assert "→ p1: skip (decision by nightly job)" in by_decision
    assert "files: 2 completed, 1 failed, 1 skipped, of 4" in by_decision
    assert "The policy settles 1 of 1 prompt." in by_policy
    assert '"how":"policy","choice":"skip","source":"policy","by":"rule 1"' in by_policy
    assert list((scratch / "tmp").iterdir()) == []  # it cleans up
    assert [path.name for path in scratch.iterdir()] == ["tmp"]


def test_the_script_fails_where_a_run_does_not_end_as_it_should(scratch: Path) -> None:
    other = scratch / "dwx"
    other.write_text("#!/bin/sh\necho an event\nexit 3\n")
    other.chmod(0o755)
    ended = subprocess.run(
        ["sh", str(AGENTS / "decide_in_advance.sh")],
        capture_output=True,
        text=True,
        check=False,
        env=environment(DWX=str(other), TMPDIR=str(scratch / "tmp")),
        timeout=TIMEOUT_SECONDS,
    )
    assert ended.returncode == 1
    assert "expected exit code 4, got 3" in ended.stderr


@pytest.mark.parametrize(
    ("category", "path", "offered", "choice"),
    [
        ("concurrency", "02_merge.sql", "retry skip abort", "retry"),
        ("throttled", "02_merge.sql", "retry skip abort", "retry"),
        ("missing_object", "10_enrich_orders.sql", "retry skip abort", "skip"),
        ("missing_object", "02_merge.sql", "retry skip abort", None),
        ("syntax", "03_source_key_stats.sql", "retry skip abort", "skip"),
        (None, None, "extend accept abort", "extend"),
        ("quality", None, "accept abort", None),
    ],
)
def test_the_policy_says_what_its_comments_say(
    category: str | None, path: str | None, offered: str, choice: str | None
) -> None:
    policy = load(AGENTS / "policy.yaml")
    assert policy.unmatched == "suspend"
    subject = rules.Subject(category, None, path, None, 1, frozenset(offered.split()))
    number = rules.choose(Policy(policy.rules, (0,) * len(policy.rules)), subject)
    assert (None if number is None else policy.rules[number].choose) == choice


def test_the_policy_can_be_given_to_a_run(scratch: Path) -> None:
    (scratch / "sql").mkdir()
    (scratch / "sql" / "01.sql").write_text("SELECT 1")
    command = [*DWX, "run", "sql", "--dry-run", "--policy", str(AGENTS / "policy.yaml")]
    ended = subprocess.run(
        command, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        env=environment(), timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    assert ended.returncode == 0
    assert b'"kind":"policy","source":"flag"' in ended.stdout


# --- the agent --------------------------------------------------------------------------------


def command_lines() -> list[list[str]]:
    """Every command line the agent is given, in blocks and in the text."""
    blocks = re.findall(r"```sh\n(.*?)```", AGENT, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [one for one in re.findall(r"`(dwx [^`]+)`", AGENT) if " -" in one]
    return [shlex.split(line.partition("<")[0]) for line in lines]


def test_the_definition_has_the_front_matter_that_makes_it_one() -> None:
    assert DEFINITION[0] == ""
    front = yaml.safe_load(DEFINITION[1])
    assert list(front) == ["name", "description", "tools"]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", front["name"])
    assert "Bash" in front["tools"].split(", ")
    assert front["description"].endswith(".")


def test_the_agent_is_given_verbs_that_exist_and_commands_that_can_be_understood(
    tmp_path: Path,
) -> None:
    """Each is understood as far as the run it names, of which there is none here."""
    named = set(re.findall(r"`dwx (\w+)", AGENT))
    assert named == {"run", "wait", "status", "answer", "events", "report", "resume"}
    assert named <= set(VERBS)
    lines = command_lines()
    assert {line[1] for line in lines} == {"run", "wait", "answer", "events"}
    for number, line in enumerate(lines):
        empty = tmp_path / str(number)
        empty.mkdir()
        assert line[0] == "dwx"
        ended = subprocess.run(
            [*DWX, *line[1:]], cwd=empty, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, env=environment(), timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
        assert ended.returncode == 2, line
        said = ended.stderr + ended.stdout
        assert "unrecognized arguments" not in said, line
        assert "invalid choice" not in said, line
        if line[1] != "run":
            assert "there is no run below" in said, line


def test_the_agent_is_told_of_choices_and_exit_codes_that_exist() -> None:
    first_words = set(re.findall(r"^(?:\| |- )`(\w+)`", AGENT, re.MULTILINE))
    assert first_words == set(get_args(ChoiceName))
    before = r"(?:^\| |exit code |Exit code |code: |; )"
    codes = {int(code) for code in re.findall(rf"{before}(\d+)\b", AGENT, re.MULTILINE)}
    assert codes == {0, 2, 4, 5, 7, 12, 20, 21, 22, 23, 75}
    assert codes <= set(MEANING)
