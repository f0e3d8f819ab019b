"""`--policy FILE`: reads a policy, strictly.

Over a pipe, a rule that says something unknown is passed over, and whoever sent it sees what
happens. A file is read once and trusted for a whole run, perhaps at night: what it cannot mean is
an error before anything is executed. So every key is known, given once and has a value; choices,
categories and kinds of statement are those of this version; and a rule says what it matches, if
need be `match: {}`, because the most dangerous rule must not come about by leaving lines out.

YAML is read as nodes rather than values: a node knows its line, is never an object that YAML made
up (dates, `yes` for true), and keys given twice are still there. JSON is YAML, apart from tabs.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NoReturn, cast, get_args

from executor.core.inputs import Decided
from executor.core.taxonomy import BY_SQLSTATE, RULES, UNKNOWN
from executor.workflow.model import WorkflowError
from protocol.codec import MAX_ECHO_BYTES, MAX_NAME_BYTES, decision_id
from protocol.cutting import dumps
from protocol.decisions import SetPolicy
from protocol.events import ChoiceName, StatementKind
from protocol.policy import Match, Rule, Unmatched
from protocol.shapes import fields_of

MAX_FILE_BYTES: Final = 1_000_000

POLICY_KEYS: Final = ("rules", "unmatched")
RULE_KEYS: Final = ("match", "choose", "max_uses")
MATCH_KEYS: Final = ("category", "class", "path", "kind", "attempt")

CHOICES: Final[tuple[str, ...]] = get_args(ChoiceName)
KINDS: Final[tuple[str, ...]] = get_args(StatementKind)
UNMATCHED: Final[tuple[str, ...]] = get_args(Unmatched)
CATEGORIES: Final = tuple(
    sorted(
        {row.category for row in (*RULES, *BY_SQLSTATE.values(), UNKNOWN)}
        # of errors that are not the warehouse's
        | {"changed_file", "workflow"}
    )
)


def given(path: Path, segment: int) -> Decided:
    """The policy in `path` as the decision it is; `segment` is the number of the run's process.

    Given to a later process, the same policy counts again, whatever was decided in between.
    Errors: as `load`.
    """
    policy = load(path)
    return Decided(policy, f"{decision_id(policy)}-{segment}", "flag")


def load(path: Path) -> SetPolicy:
    """Reads and validates; `by` is the name of the file, as far as a line has room for it.

    Errors: `WorkflowError` POLICY_INVALID, with the line where there is one.
    """
    return parse(_read(path), str(path))


def parse(text: str, name: str) -> SetPolicy:
    """The policy that `text` says; `name` is the file's. Errors: as `load`."""
    reader = _Reader(name)
    fields = reader.mapping(reader.document(text), "the policy", POLICY_KEYS, needed=("rules",))
    unmatched = "ask"
    if "unmatched" in fields:
        unmatched = reader.word(fields["unmatched"], "`unmatched`", UNMATCHED)
    rules = tuple(
        _rule(reader, node, f"rule {number}")
        for number, node in enumerate(reader.sequence(fields["rules"], "`rules`"), 1)
    )
    short = Path(name).name
    policy = SetPolicy(
        rules=rules,
        unmatched=cast(Unmatched, unmatched),
        by=short if len(dumps(short)) <= MAX_NAME_BYTES else None,
    )
    size = len(dumps(fields_of(policy)["rules"]))
    if size > MAX_ECHO_BYTES["rules"]:
        reader.fail(
            f"its {len(rules)} rules take {size} bytes in the record, where "
            f"{MAX_ECHO_BYTES['rules']} is the most",
            fields["rules"],
            "Say more with fewer rules: a pattern in `path`, or `category` in place of `class`.",
        )
    return policy


def _rule(reader: _Reader, node: Any, where: str) -> Rule:
    fields = reader.mapping(node, where, RULE_KEYS, needed=("choose",))
    if "match" not in fields:
        reader.fail(f"{where} has no `match`", node, _EVERYTHING)
    choose = reader.word(fields["choose"], f"`choose` of {where}", CHOICES)
    max_uses = None
    if "max_uses" in fields:
        max_uses = reader.count(fields["max_uses"], f"`max_uses` of {where}")
    elif choose == "extend":
        reader.fail(
            f"{where} chooses `extend` without `max_uses`: it would extend a loop that never "
            "converges for ever",
            fields["choose"],
            "Add max_uses: 1 (each use adds 10 iterations).",
        )
    return Rule(match=_match(reader, fields["match"], where), choose=choose, max_uses=max_uses)


def _match(reader: _Reader, node: Any, where: str) -> Match:
    if reader.is_null(node):
        reader.fail(f"`match` of {where} is left without a value", node, _EVERYTHING)
    fields = reader.mapping(node, f"`match` of {where}", MATCH_KEYS)
    said: dict[str, Any] = {}
    for key, value in fields.items():
        what = f"`{key}` of {where}"
        match key:
            case "category":
                said["category"] = reader.word(value, what, CATEGORIES)
            case "kind":
                said["kind"] = reader.word(value, what, KINDS)
            case "attempt":
                said["attempt"] = reader.count(value, what)
            case "class":
                said["class_"] = reader.text(value, what)
            case _:
                said["path"] = reader.text(value, what)
    return Match(**said)


_EVERYTHING = "Say what it matches, or write match: {} if it is meant for every prompt."


def _read(path: Path) -> str:
    """The text of the file; tabs of JSON as spaces, which they stand for."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        why = f"it cannot be read: {exc.strerror or exc}"
        raise _error(str(path), why, "Name a policy file that is there.") from exc
    if len(data) > MAX_FILE_BYTES:
        raise _error(str(path), "it is too long for a policy", "Was another file meant?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _error(str(path), f"it is not UTF-8: {exc}", "Save it as UTF-8.") from exc
    return text.replace("\t", " ") if text.lstrip().startswith("{") else text


def _error(name: str, message: str, suggestion: str, line: int | None = None) -> WorkflowError:
    return WorkflowError("POLICY_INVALID", message, path=name, line=line, suggestion=suggestion)


class _Reader:
    """Takes YAML nodes apart; whatever does not fit is an error with its place."""

    def __init__(self, name: str) -> None:
        self._name = name

    def document(self, text: str) -> Any:
        """The root node."""
        import yaml  # only who gives a policy pays for it

        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as exc:
            mark = exc.problem_mark or exc.context_mark
            line = mark.line + 1 if mark is not None else None
            why = f"this is neither YAML nor JSON: {exc.problem or exc.context}"
            raise _error(self._name, why, _SYNTAX, line) from exc
        except (yaml.YAMLError, RecursionError) as exc:
            why = " ".join(str(exc).split())
            raise _error(self._name, f"this is neither YAML nor JSON: {why}", _SYNTAX) from exc
        if root is None:
            raise _error(self._name, "it is empty", "Write `rules:` and the rules below it.")
        return root

    def mapping(
        self, node: Any, what: str, known: tuple[str, ...], needed: Iterable[str] = ()
    ) -> dict[str, Any]:
        """The values of a mapping whose keys are all known, and each there once."""
        if node.id != "mapping":
            self.fail(
                f"{what} has to be a mapping of {_listed(known)}",
                node,
                "Write each as `key: value` on a line of its own.",
            )
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if key.id == "scalar" else "?"
            if name not in known:
                self.fail(f"there is no key {_quoted(name)} in {what}", key, _meant(name, known))
            if name in values:
                self.fail(f"`{name}` is given twice in {what}", key, "Keep one of them.")
            values[name] = value
        for name in needed:
            if name not in values:
                self.fail(f"`{name}` is missing in {what}", node, f"Add `{name}: ...`.")
        return values

    def sequence(self, node: Any, what: str) -> list[Any]:
        """The items of a list."""
        if node.id != "sequence":
            self.fail(f"{what} has to be a list", node, "Begin each rule with `- match:`.")
        return cast(list[Any], node.value)

    def text(self, node: Any, what: str) -> str:
        """A text that is not empty."""
        if self.is_null(node):
            self.fail(f"{what} is left without a value", node, "Give it one, or leave the key out.")
        if node.id != "scalar" or not node.tag.endswith(":str") or not node.value:
            self.fail(f"{what} has to be a text", node, "Put it in quotes.")
        # the two escapes of JSON for one character beyond U+FFFF are two characters in YAML
        halves = node.value.encode("utf-16-le", "surrogatepass")
        try:
            return cast(str, halves.decode("utf-16-le"))
        except UnicodeDecodeError:
            self.fail(f"{what} has half a character in it", node, "Correct its \\u escapes.")

    def word(self, node: Any, what: str, known: tuple[str, ...]) -> str:
        """One of the words known."""
        word = self.text(node, what)
        if word not in known:
            self.fail(f"{what} cannot be {_quoted(word)}", node, _meant(word, known))
        return word

    def count(self, node: Any, what: str) -> int:
        """A whole number from 1 on."""
        if (
            node.id != "scalar"
            or not node.tag.endswith(":int")
            or not re.fullmatch(r"[1-9]\d{0,8}", node.value)
        ):
            self.fail(f"{what} has to be a whole number from 1 on", node, "Write it in digits.")
        return int(node.value)

    def is_null(self, node: Any) -> bool:
        """True for a key without a value, and for `null`."""
        return bool(node.tag.endswith(":null"))

    def fail(self, message: str, node: Any, suggestion: str) -> NoReturn:
        """Raises the error at `node`."""
        raise _error(self._name, message, suggestion, node.start_mark.line + 1)


_SYNTAX = "Correct it there; PROTOCOL.md shows a policy under Policies."


def _quoted(text: str) -> str:
    return json.dumps(text if len(text) <= 60 else text[:59] + "…", ensure_ascii=True)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _meant(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean `{near[0]}`?" if near else f"Known here: {_listed(known)}."
