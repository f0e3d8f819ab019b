"""The status of a run agrees with its log, whatever the log says, and stays short."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from executor.core.effects import Execute
from executor.core.inputs import DeadlinePassed, Failed
from executor.views.brief import line_of
from executor.views.status import Fold, RunState, head_of, state_of
from executor.views.summary import MAX_BYTES, next_command, one_line, summary, text_of
from protocol.codec import EVENT_TYPES, encode
from protocol.events import Plan
from tests.core.drive import Drive, failure, file, plan, success
from tests.core.test_laws import Drawn, plans


def command(verb: str, *arguments: str) -> str:
    return shlex.join(["dwx", verb, "r-test22", *arguments])


def folded(drive: Drive) -> Fold:
    fold = Fold()
    for entry in drive.entries:
        fold.take(encode(entry))
    return fold


def status(fold: Fold, state: RunState, kept: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return summary(fold, state, "runs/r-test22", command, kept)


# --- laws -------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(plans(), st.sampled_from(["suspend", "abort", "skip"]), st.data())
def test_the_status_counts_what_the_last_line_counts(
    planned: Plan, unanswered: str, data: st.DataObject
) -> None:
    world = Drawn(data)
    drive = Drive(planned, world.answer, on_unanswered=unanswered)
    decisions = 0
    while drive.exit_code is None:
        decisions += 1
        world.decide(drive, decisions)
    fold = folded(drive)
    last: Any = drive.events[-1]
    told = status(fold, state_of(fold, alive=False, silent_ms=0))
    assert fold.seq == last.events
    assert told["exit_code"] == drive.exit_code
    if last.type == "run_suspended":
        assert told["state"] == "suspended"
        assert tuple(prompt["prompt"] for prompt in told["prompts"]) == last.open_prompts
        return
    assert told["state"] == "finished"
    assert told["prompts"] == []
    files, statements = told["files"], told["statements"]
    for name in ("completed", "failed", "skipped", "not_needed", "total"):
        assert files[name] == getattr(last.files, name), name
    for name, count in statements.items():
        assert count == getattr(last.statements, name), name
    assert told["iterations"] == len(drive.of("iteration"))


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=3000) | st.floats(allow_nan=False)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=8), SCALARS)
FIELDS = sorted(
    {name for kind in EVENT_TYPES.values() for name in kind.__dataclass_fields__} - {"type"}
)
HOSTILE = st.fixed_dictionaries(
    {"type": st.sampled_from([*EVENT_TYPES, "of_tomorrow"]), "seq": st.integers()},
    optional={
        **dict.fromkeys([*FIELDS, "run", "ts", "class", "from"], VALUES),
        "critical": st.booleans(),
    },
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(HOSTILE.map(lambda event: json.dumps(event).encode()) | st.binary(), max_size=8),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_no_log_can_make_the_status_fail_or_say_anything_unprintable(
    lines: list[bytes], alive: bool, silent_ms: int
) -> None:
    fold = Fold()
    for line in lines:
        fold.take(line)
        head_of(line)
    state = state_of(fold, alive=alive, silent_ms=silent_ms)
    assert state in get_args(RunState)
    told = status(fold, state)
    json.dumps(told, allow_nan=False)
    short = text_of(told)
    assert all(line.isprintable() for line in short.split("\n"))
    assert one_line(told).isprintable()
    if len(next_command(fold, state, command)) < 200:
        assert len(short.encode()) < 2 * MAX_BYTES


@given(HOSTILE)
def test_no_event_can_make_its_line_fail_or_be_more_than_one(event: dict[str, Any]) -> None:
    line = line_of(event, command, live=True)
    assert line is None or line.isprintable()


# --- states -----------------------------------------------------------------------------------


def asked(**settings: Any) -> Drive:
    return Drive(plan(file(1), file(2)), failure, **settings)


def test_a_run_with_an_open_prompt_waits_and_says_how_to_answer() -> None:
    fold = folded(asked())
    assert state_of(fold, alive=True, silent_ms=0) == "waiting"
    told = status(fold, "waiting")
    (prompt,) = told["prompts"]
    assert prompt["answer_with"] == "dwx answer r-test22 p1 CHOICE"
    assert told["next"] == "dwx answer r-test22 p1 CHOICE"
    text = text_of(told)
    assert "retry, done, skip, continue, abort" in text
    assert "TABLE_OR_VIEW_NOT_FOUND" in text
    assert len(text.encode()) < MAX_BYTES


def test_a_run_whose_process_is_gone_without_a_last_line_has_crashed() -> None:
    fold = folded(asked())
    assert state_of(fold, alive=False, silent_ms=0) == "crashed"
    assert status(fold, "crashed")["next"] == "dwx resume r-test22"


def test_a_run_is_stalled_only_if_it_was_silent_for_longer_than_it_said() -> None:
    fold = Drive(plan(file(1)), lambda executed: None)  # type: ignore[arg-type,return-value]
    running = folded(fold)
    limit = running.next_by_ms
    assert state_of(running, alive=True, silent_ms=limit) == "running"
    assert state_of(running, alive=True, silent_ms=limit + 1) == "stalled"
    running.take(b'{"type":"heartbeat","v":1,"run":"r","seq":99,"ts":"","next_by_ms":500000}')
    assert state_of(running, alive=True, silent_ms=limit + 1) == "running"


def test_a_suspended_run_is_to_be_answered_and_then_resumed() -> None:
    drive = asked(on_unanswered="suspend")
    drive.feed(DeadlinePassed("p1"))
    fold = folded(drive)
    assert state_of(fold, alive=False, silent_ms=10**9) == "suspended"
    assert status(fold, "suspended")["next"] == "dwx answer r-test22 p1 CHOICE"
    told = status(fold, "suspended", kept=({"type": "decide", "prompt": "p1", "choice": "skip"},))
    assert told["next"] == "dwx resume r-test22"
    assert told["kept"] == ["p1 skip"]


def test_a_process_that_is_about_to_leave_has_finished_already() -> None:
    fold = folded(Drive(plan(file(1)), success))
    assert state_of(fold, alive=True, silent_ms=10**9) == "finished"
    assert fold.exit_code == 0


def test_an_event_of_tomorrow_is_ignored_unless_it_is_critical() -> None:
    fold = folded(Drive(plan(file(1)), lambda executed: None))  # type: ignore[arg-type,return-value]
    before = status(fold, "running")
    seq = fold.seq + 1
    fold.take(b'{"type":"tea","v":1,"run":"r-test22","seq":%d,"ts":""}' % seq)
    assert status(fold, "running") == before | {"seq": seq}
    fold.take(b'{"type":"tea","v":1,"run":"r-test22","seq":41,"ts":"","critical":true}')
    assert "do not go on by yourself" in text_of(status(fold, "running"))


def test_a_beginning_of_a_line_or_a_damaged_one_is_counted_and_passed_over() -> None:
    fold = folded(asked())
    fold.take(b'{"type":"run_fini')
    fold.take(b"")
    assert fold.damaged == 1
    assert state_of(fold, alive=True, silent_ms=0) == "waiting"


def test_the_cause_of_the_last_error_is_told_where_there_is_room() -> None:
    def fails(executed: Execute) -> Failed:
        told = replace(failure(executed).error, cause="a.B: disk full", stack="a.C: no\n\tat d.E")
        return replace(failure(executed), error=told)

    told = status(folded(Drive(plan(file(1)), fails)), "waiting")
    assert told["error"]["cause"] == "a.B: disk full"
    assert "caused by a.B: disk full" in text_of(told)
    told["next"] += "x" * (MAX_BYTES - len(text_of(told)))
    assert "caused by" not in text_of(told)
    assert "last error" in text_of(told)


def test_every_type_of_event_is_known_to_those_who_look() -> None:
    from executor.views import status

    assert set(EVENT_TYPES) == status.EVENT_TYPES
