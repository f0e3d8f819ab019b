"""A policy file says what it means, or why it means nothing; nothing is guessed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.runtime.policy_file import CATEGORIES, CHOICES, KINDS, load, parse
from executor.runtime.policy_file import given as given_by
from executor.workflow.model import WorkflowError
from protocol.decisions import SetPolicy
from protocol.policy import Match, Rule
from protocol.shapes import fields_of

WHOLE = """\
# who is called at night, and for what
rules:
  - match: {class: DELTA_CONCURRENT_APPEND, attempt: 1}
    choose: retry
    max_uses: 3
  - match:
      category: missing_object
      path: "10_enrich_*"
      kind: merge
    choose: skip
  - match: {}
    choose: abort
unmatched: suspend
"""

MEANS = SetPolicy(
    rules=(
        Rule(match=Match(class_="DELTA_CONCURRENT_APPEND", attempt=1), choose="retry", max_uses=3),
        Rule(
            match=Match(category="missing_object", path="10_enrich_*", kind="merge"), choose="skip"
        ),
        Rule(match=Match(), choose="abort"),
    ),
    unmatched="suspend",
    by="night.yaml",
)


def test_a_file_becomes_a_decision_that_comes_from_a_flag(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    path.write_text(WHOLE)
    arrived = given_by(path, 1)
    assert arrived.decision == MEANS
    assert arrived.source == "flag"
    assert given_by(path, 1).id == arrived.id
    assert given_by(path, 2).id != arrived.id  # it is given again, and counts again


def test_a_byte_order_mark_and_carriage_returns_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode())
    assert load(path) == MEANS


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_says_the_same(tmp_path: Path, indent: int | str | None) -> None:
    path = tmp_path / "night.yaml"
    said = {
        "rules": [
            {
                "match": {"class": "DELTA_CONCURRENT_APPEND", "attempt": 1},
                "choose": "retry",
                "max_uses": 3,
            },
            {
                "match": {"category": "missing_object", "path": "10_enrich_*", "kind": "merge"},
                "choose": "skip",
            },
            {"match": {}, "choose": "abort"},
        ],
        "unmatched": "suspend",
    }
    path.write_text(json.dumps(said, indent=indent))
    assert load(path) == MEANS


def test_a_policy_may_have_no_rules_and_asks_if_it_does_not_say_otherwise() -> None:
    assert parse("rules: []", "p.yaml") == SetPolicy(rules=(), unmatched="ask", by="p.yaml")


def one_rule(text: str) -> str:
    return f"rules:\n  - {text}\n"


WRONG = [
    # text, line, part of the message, part of the suggestion
    ("", None, "it is empty", "rules:"),
    ("# only a comment\n", None, "it is empty", "rules:"),
    ("- match: {}\n", 1, "has to be a mapping", "key: value"),
    ("unmatched: ask\n", 1, "`rules` is missing", "Add `rules"),
    ("rules: []\nunmached: ask\n", 2, 'no key "unmached"', "Did you mean `unmatched`?"),
    ("rules: []\nunmatched: retry\n", 2, 'cannot be "retry"', "`suspend`"),
    ("rules: []\nunmatched:\n", 2, "`unmatched` is left without a value", "leave the key out"),
    ("rules: []\nrules: []\n", 2, "`rules` is given twice", "Keep one"),
    ("rules:\n", 1, "`rules` has to be a list", "- match:"),
    ("rules: {match: {}, choose: skip}\n", 1, "`rules` has to be a list", "- match:"),
    ("rules:\n  - skip\n", 2, "rule 1 has to be a mapping", "key: value"),
    ("rules: [\n", 2, "neither YAML nor JSON", "PROTOCOL.md"),
    ("rules: []\n---\nrules: []\n", 2, "neither YAML nor JSON", "PROTOCOL.md"),
    ("rules: \x07\n", None, "neither YAML nor JSON", "PROTOCOL.md"),
    ("[" * 100_000, None, "neither YAML nor JSON", "PROTOCOL.md"),
    (one_rule("choose: skip"), 2, "rule 1 has no `match`", "match: {}"),
    (one_rule("match:\n    choose: skip"), 2, "`match` of rule 1 is left without", "match: {}"),
    (one_rule("match: {}"), 2, "`choose` is missing in rule 1", "Add `choose"),
    (one_rule("match: {}\n    chose: skip"), 3, 'no key "chose"', "Did you mean `choose`?"),
    (one_rule("match: {}\n    choose: skp"), 3, 'cannot be "skp"', "Did you mean `skip`?"),
    (one_rule("match: {}\n    choose: yes"), 3, "has to be a text", "quotes"),
    (one_rule("match: {}\n    choose: skip\n    max_uses: 0"), 4, "from 1 on", "digits"),
    (one_rule("match: {}\n    choose: skip\n    max_uses: true"), 4, "from 1 on", "digits"),
    (one_rule("match: {}\n    choose: skip\n    max_uses: '3'"), 4, "from 1 on", "digits"),
    (one_rule("match: {}\n    choose: extend"), 3, "without `max_uses`", "max_uses: 1"),
    (one_rule("match: {clas: X}\n    choose: skip"), 2, 'no key "clas"', "`class`"),
    (one_rule("match: {class: X, class: Y}\n    choose: skip"), 2, "given twice", "Keep one"),
    (one_rule("match: {class: }\n    choose: skip"), 2, "left without a value", "leave the key"),
    (one_rule("match: {class: 42}\n    choose: skip"), 2, "has to be a text", "quotes"),
    (one_rule("match: {path: ''}\n    choose: skip"), 2, "has to be a text", "quotes"),
    (one_rule("match: {path: [a, b]}\n    choose: skip"), 2, "has to be a text", "quotes"),
    (one_rule("match: {category: sintax}\n    choose: skip"), 2, "sintax", "`syntax`"),
    (one_rule("match: {kind: insret}\n    choose: skip"), 2, "insret", "`insert`"),
    (one_rule("match: {attempt: 1.5}\n    choose: skip"), 2, "from 1 on", "digits"),
    (one_rule("match: {attempt: 010}\n    choose: skip"), 2, "from 1 on", "digits"),
    (one_rule("{match: {}, choose: skip, ? [a] : b}"), 2, "there is no key", "Known here"),
    (one_rule("&r {match: {}, choose: skip, <<: *r}"), 2, "there is no key", "Known here"),
    (one_rule("!!python/object/apply:os.getcwd []"), 2, "rule 1 has to be a mapping", "key"),
    (one_rule('{match: {path: "\\ud83d"}, choose: skip}'), 2, "half a character", "escapes"),
]


@pytest.mark.parametrize(("text", "line", "message", "suggestion"), WRONG)
def test_what_it_cannot_mean_is_an_error_with_its_place(
    text: str, line: int | None, message: str, suggestion: str
) -> None:
    with pytest.raises(WorkflowError) as caught:
        parse(text, "dir/policy.yaml")
    error = caught.value
    assert (error.code, error.path, error.line) == ("POLICY_INVALID", "dir/policy.yaml", line)
    assert message in error.message
    assert suggestion in error.suggestion
    assert len(error.message) < 300


def test_the_rule_at_fault_is_named_by_its_number_and_line() -> None:
    with pytest.raises(WorkflowError) as caught:
        parse(WHOLE.replace("choose: abort", "choose: abrot"), "p.yaml")
    assert str(caught.value) == 'p.yaml:12: `choose` of rule 3 cannot be "abrot"'
    assert caught.value.suggestion == "Did you mean `abort`?"


def test_a_character_that_json_escapes_in_two_halves_is_one() -> None:
    text = json.dumps({"rules": [{"match": {"path": "\N{BEAR FACE}*"}, "choose": "skip"}]})
    assert parse(text, "p.json").rules[0].match.path == "\N{BEAR FACE}*"


def test_a_policy_that_is_too_long_for_the_record_is_refused() -> None:
    rules = "".join("  - {match: {}, choose: skip}\n" for _ in range(200))
    with pytest.raises(WorkflowError, match="200 rules take"):
        parse(f"rules:\n{rules}", "p.yaml")


def test_a_name_too_long_for_the_record_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / ("\N{BEAR FACE}" * 60)
    path.write_text("rules: []")
    assert load(path).by is None


def test_a_file_that_is_not_there_or_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"rules: [] # caf\xe9")
    (tmp_path / "long").write_bytes(b"#" * 2_000_000)
    for name, message in (
        ("missing", "No such file"), ("latin", "not UTF-8"), ("long", "too long"), (".", "read"),
    ):  # fmt: skip
        with pytest.raises(WorkflowError, match=message) as caught:
            load(tmp_path / name)
        assert caught.value.code == "POLICY_INVALID"


RULES = st.builds(
    Rule,
    match=st.builds(
        Match,
        category=st.none() | st.sampled_from(CATEGORIES),
        class_=st.none() | st.from_regex(r"[A-Z_]{1,20}(\.[A-Z_]{1,9})?", fullmatch=True),
        path=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
        kind=st.none() | st.sampled_from(KINDS),
        attempt=st.none() | st.integers(1, 99),
    ),
    choose=st.sampled_from(CHOICES),
    max_uses=st.integers(1, 99),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(RULES, max_size=5), st.sampled_from(["ask", "suspend", "abort"]))
def test_every_policy_that_a_decision_can_say_can_be_written_to_a_file(
    rules: list[Rule], unmatched: str
) -> None:
    policy = SetPolicy(rules=tuple(rules), unmatched=unmatched, by="p.json")  # type: ignore[arg-type]
    fields = fields_of(policy)
    said = {
        "rules": [
            {**rule, "match": {key: one for key, one in rule["match"].items() if one is not None}}
            for rule in fields["rules"]
        ],
        "unmatched": unmatched,
    }
    assert parse(json.dumps(said), "p.json") == policy


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_no_text_does_anything_but_parse_or_say_why_not(text: str) -> None:
    with suppress(WorkflowError):
        parse(text, "p.yaml")
