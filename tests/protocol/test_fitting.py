"""Cutting what is too long for a line."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.base import MAX_LINE_BYTES, MAX_TEXT_BYTES, Cut
from protocol.codec import artifact_ref, decode, encode, encode_fitting
from protocol.errors import LineTooLong
from protocol.events import (
    AliasCreated,
    FilePlanned,
    Plan,
    PlannedFile,
    PlanWarning,
    RunFinished,
    StatementFinished,
    TableRows,
    Warned,
)
from protocol.hello import Entry
from protocol.log import ArtifactDamaged, resolve
from tests.protocol.strategies import ANY_ENTRY, TEXTS
from tests.protocol.test_codec import ERROR, entry_of, finished

SECRET = "dapi-0123456789"


class Artifacts:
    """Keeps what is stored in memory, as a run directory would."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def __call__(self, data: bytes, suffix: str) -> str:
        ref = artifact_ref(data, suffix)
        assert ref not in self.kept, "the same place was stored twice"
        self.kept[ref] = data
        return ref

    def write(self, run_dir: Path) -> None:
        (run_dir / "artifacts").mkdir(exist_ok=True)
        for ref, data in self.kept.items():
            (run_dir / ref).write_bytes(data)


def masked(text: str) -> str:
    return text.replace(SECRET, "***")


def planned_file(number: int) -> PlannedFile:
    return PlannedFile(
        id=f"f{number}",
        path=f"{number}.sql",
        sha256="0" * 64,
        kind="plain",
        statements=(),
        reads=(),
        writes=(),
        depends_on=(),
    )


def plan_of(files: int) -> Plan:
    return Plan(
        directory="sql",
        profile=None,
        files=tuple(map(planned_file, range(files))),
        loops=(),
        total_files=files,
        total_statements=0,
        warnings=(PlanWarning(code="c", detail="d"),),
    )


def test_what_fits_is_written_as_it_is_and_nothing_is_stored() -> None:
    entry = entry_of(plan_of(3))
    artifacts = Artifacts()
    assert encode_fitting(entry, artifacts) == encode(entry)
    assert artifacts.kept == {}


def test_a_long_text_keeps_its_beginning_and_the_whole_is_stored() -> None:
    text = "é" * 100_000
    artifacts = Artifacts()
    line = encode_fitting(entry_of(Warned(code="c", detail=text)), artifacts)
    ((ref, whole),) = artifacts.kept.items()
    assert whole == text.encode()
    assert ref == f"artifacts/{hashlib.sha256(whole).hexdigest()}.txt"
    event = decode(line).event
    assert event == Warned(
        code="c", detail=Cut(text="é" * (MAX_TEXT_BYTES // 6), bytes=len(whole), ref=ref)
    )


def test_a_long_list_is_stored_as_json_and_short_ones_stay() -> None:
    plan = plan_of(500)
    artifacts = Artifacts()
    event = decode(encode_fitting(entry_of(plan), artifacts)).event
    ((ref, whole),) = artifacts.kept.items()
    assert ref.endswith(".json")
    assert len(json.loads(whole)) == 500
    assert event == replace(plan, files=Cut(text="", bytes=len(whole), ref=ref))


def test_a_long_record_is_stored_as_json(tmp_path: Path) -> None:
    artifacts = Artifacts()
    long = replace(planned_file(1), reads=tuple(f"main.crm.table_{n}" for n in range(2000)))
    entry = entry_of(FilePlanned(reason="reread", changed=True, file=long))
    line = encode_fitting(entry, artifacts)
    artifacts.write(tmp_path)
    assert resolve(decode(line), tmp_path) == entry


def test_the_longest_is_cut_first() -> None:
    error = replace(ERROR, message="m" * 9_000)
    tables = tuple(TableRows(name=f"main.crm.t{n}", rows=n) for n in range(300))
    event = finished(error=error, tables=tables)
    assert len(encode(entry_of(replace(event, tables=())))) < MAX_LINE_BYTES
    found = decode(encode_fitting(entry_of(event), Artifacts())).event
    assert isinstance(found, RunFinished)
    assert isinstance(found.tables, Cut)
    assert found.error == error


def test_a_secret_across_the_cut_does_not_survive_by_half() -> None:
    for before in range(MAX_TEXT_BYTES - len(SECRET) - 2, MAX_TEXT_BYTES + 2):
        text = "x" * before + SECRET + "y" * 20_000
        artifacts = Artifacts()
        line = encode_fitting(entry_of(Warned(code="c", detail=text)), artifacts, masked)
        assert b"dapi" not in line
        (whole,) = artifacts.kept.values()
        assert whole == masked(text).encode()


def test_what_cannot_be_cut_is_refused() -> None:
    event = AliasCreated(table="t" * 20_000, from_="u")
    with pytest.raises(LineTooLong):
        encode_fitting(entry_of(event), Artifacts())


def test_texts_are_cut_shorter_where_their_line_needs_it() -> None:
    event = Warned(code="c" * 14_000, detail="d" * 14_000)
    line = encode_fitting(entry_of(event), Artifacts())
    found = decode(line).event
    assert isinstance(found, Warned)
    assert isinstance(found.detail, Cut)
    assert 0 < len(found.detail.text) < MAX_TEXT_BYTES
    assert len(line) <= MAX_LINE_BYTES


def test_half_a_surrogate_pair_is_replaced_in_the_whole_too() -> None:
    artifacts = Artifacts()
    encode_fitting(entry_of(Warned(code="c", detail="\udce9" * 20_000)), artifacts)
    assert list(artifacts.kept.values()) == [("�" * 20_000).encode()]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(TEXTS, st.integers(1, 3_000)), max_size=3),
    st.integers(0, 400),
)
def test_whatever_was_cut_comes_back_whole(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[str, int]], tables: int
) -> None:
    message = "".join(text * times for text, times in parts)
    event = finished(
        error=replace(ERROR, message=message),
        tables=tuple(TableRows(name=f"main.crm.t{n}", rows=None) for n in range(tables)),
    )
    artifacts = Artifacts()
    line = encode_fitting(entry_of(event), artifacts)
    assert len(line) <= MAX_LINE_BYTES
    run_dir = tmp_path_factory.mktemp("run")
    artifacts.write(run_dir)
    assert resolve(decode(line), run_dir) == entry_of(event)


# --- what is kept apart -----------------------------------------------------------------------


def failed(stack: str) -> StatementFinished:
    """A `statement_finished` whose error has a stack."""
    return StatementFinished(
        statement="f1.s1",
        status="failed",
        elapsed_ms=1,
        query_id=None,
        rows=None,
        value=None,
        metrics=None,
        error=replace(ERROR, stack=stack),
        outcome="not_committed",
        evidence="",
    )


def stack_in(line: bytes) -> Any:
    """The stack as it stands on the line."""
    return json.loads(line)["error"]["stack"]


@pytest.mark.parametrize("stack", ["", "X", "a.B: é\n\tat c.D(E.java:1)", "s" * 200_000])
def test_a_stack_is_kept_apart_whatever_its_length(stack: str, tmp_path: Path) -> None:
    artifacts = Artifacts()
    line = encode_fitting(entry_of(failed(stack)), artifacts)
    ((ref, whole),) = artifacts.kept.items()
    assert whole == stack.encode()
    assert stack_in(line) == {"text": "", "truncated": True, "bytes": len(whole), "ref": ref}
    artifacts.write(tmp_path)
    assert resolve(decode(line), tmp_path) == entry_of(failed(stack))


@settings(max_examples=200, deadline=None)
@given(ANY_ENTRY)
def test_no_event_has_a_stack_on_its_line(entry: Entry) -> None:
    line = json.loads(encode_fitting(entry, artifact_ref))
    error = line.get("error") or {}
    assert not isinstance(error.get("stack"), str)


def test_the_rest_of_a_line_with_a_stack_stays_as_it_is() -> None:
    event = finished(error=replace(ERROR, stack="s" * 50_000))
    found = decode(encode_fitting(entry_of(event), Artifacts())).event
    assert isinstance(found, RunFinished)
    assert found.error is not None
    assert isinstance(found.error.stack, Cut)
    assert replace(found, error=replace(found.error, stack=None)) == finished(error=ERROR)


def test_a_line_that_is_too_long_beside_its_stack_is_cut_too() -> None:
    event = finished(error=replace(ERROR, message="m" * 20_000, stack="s" * 20_000))
    artifacts = Artifacts()
    found = decode(encode_fitting(entry_of(event), artifacts)).event
    assert isinstance(found, RunFinished)
    assert found.error is not None
    assert isinstance(found.error.message, Cut)
    assert len(found.error.message.text) == MAX_TEXT_BYTES
    assert len(artifacts.kept) == 2


def test_secrets_are_taken_out_of_a_stack_before_it_is_kept() -> None:
    artifacts = Artifacts()
    line = encode_fitting(entry_of(failed(f"Caused by: {SECRET}\udce9")), artifacts, masked)
    assert list(artifacts.kept.values()) == ["Caused by: ***�".encode()]
    assert stack_in(line)["bytes"] == len("Caused by: ***�".encode())


def test_where_nothing_can_be_kept_a_stack_is_left_out() -> None:
    line = encode_fitting(entry_of(failed("s" * 200_000)), lambda data, suffix: "")
    assert stack_in(line) == {"text": "", "truncated": True, "bytes": 200_000, "ref": ""}


def test_a_stack_that_is_missing_is_named(tmp_path: Path) -> None:
    line = encode_fitting(entry_of(failed("X")), Artifacts())
    with pytest.raises(ArtifactDamaged, match="is missing") as caught:
        resolve(decode(line), tmp_path)
    assert caught.value.ref == stack_in(line)["ref"]


# --- reading back -----------------------------------------------------------------------------


def cut_warning() -> tuple[Any, Artifacts, Cut]:
    artifacts = Artifacts()
    entry = decode(encode_fitting(entry_of(Warned(code="c", detail="d" * 20_000)), artifacts))
    assert isinstance(entry.event, Warned)
    assert isinstance(entry.event.detail, Cut)
    return entry, artifacts, entry.event.detail


def test_an_entry_without_cuts_is_given_back_itself(tmp_path: Path) -> None:
    entry = entry_of(plan_of(3))
    assert resolve(entry, tmp_path) is entry


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    entry, _, cut = cut_warning()
    with pytest.raises(ArtifactDamaged, match="is missing") as caught:
        resolve(entry, tmp_path)
    assert caught.value.ref == cut.ref


def test_a_changed_artifact_is_not_believed(tmp_path: Path) -> None:
    entry, artifacts, cut = cut_warning()
    artifacts.write(tmp_path)
    (tmp_path / cut.ref).write_bytes(b"e" * cut.bytes)
    with pytest.raises(ArtifactDamaged, match="not what was put there"):
        resolve(entry, tmp_path)


def test_a_ref_does_not_lead_out_of_the_run_directory(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("d")
    for ref in ("../outside", "/etc/hostname", "artifacts/../../outside", "artifacts/x.txt"):
        event = Warned(code="c", detail=Cut(text="", bytes=1, ref=ref))
        with pytest.raises(ArtifactDamaged, match="not the name of an artifact"):
            resolve(entry_of(event), tmp_path / "run")


def test_an_artifact_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    artifacts = Artifacts()
    data = b'[{"name":3}]'
    cut = Cut(text="", bytes=len(data), ref=artifacts(data, ".json"))
    artifacts.write(tmp_path)
    with pytest.raises(ArtifactDamaged, match="does not hold"):
        resolve(entry_of(finished(tables=cut)), tmp_path)
