"""Faults as text: short to write, the same when read again, and clear about mistakes."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.local.faults import (
    STATUS_CODES,
    Call,
    Delay,
    Drop,
    Error,
    Fault,
    FaultError,
    Garbage,
    HandleLost,
    Hang,
    Refuse,
    SessionLost,
    SlowEnd,
    SlowStart,
    Spelling,
    Starting,
    Status,
    Stopped,
    Tls,
    Truncate,
    What,
)
from executor.local.faultspec import parse, render

SECONDS = st.floats(0, 86_400, allow_nan=False).map(abs)
RETRY = st.none() | st.integers(0, 86_400)
WHATS: dict[Any, st.SearchStrategy[Any]] = {
    Drop: st.builds(Drop, st.sampled_from(["before", "during", "after"])),
    Truncate: st.builds(Truncate),
    Garbage: st.builds(Garbage),
    Status: st.builds(Status, st.sampled_from(STATUS_CODES), RETRY, st.booleans()),
    Hang: st.builds(Hang, st.booleans()),
    Delay: st.builds(Delay, SECONDS),
    Refuse: st.builds(Refuse, st.text()),
    SessionLost: st.builds(
        SessionLost,
        st.sampled_from(get_args(Spelling)),
        st.sampled_from(["goes-on", "cancelled"]),
    ),
    HandleLost: st.builds(HandleLost),
    SlowStart: st.builds(SlowStart, SECONDS),
    SlowEnd: st.builds(SlowEnd, SECONDS),
    Stopped: st.builds(Stopped, st.sampled_from(["cancelled", "timed-out"]), st.booleans()),
    Error: st.builds(Error, st.text()),
    Starting: st.builds(Starting, SECONDS, st.booleans(), RETRY),
    Tls: st.builds(Tls, st.sampled_from(["self-signed", "wrong-host"])),
}


def test_every_kind_is_tried_here() -> None:
    assert set(WHATS) == set(get_args(What))


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    """Any fault that can be."""
    values: dict[str, Any] = {
        "what": draw(st.one_of(*WHATS.values())),
        "call": draw(st.sampled_from(get_args(Call))),
        "skip": draw(st.integers(0, 9)),
        "every": draw(st.integers(1, 9)),
        "count": draw(st.none() | st.integers(1, 9)),
        "chance": draw(st.floats(0, 1, exclude_min=True)),
        "seed": draw(st.integers(0, 999)),
        "sql": draw(st.none() | st.sampled_from(["INSERT", "", 'a,b"c\\\\=', r"\bt\b"])),
    }
    for name in ("statement", "file", "table"):
        values[name] = draw(st.none() | st.text())
    while True:
        try:
            return Fault(**values)
        except FaultError as exc:
            # what the message is about is made harmless, until the fault can be
            if "no statement" in str(exc):
                values |= dict.fromkeys(("statement", "file", "table", "sql"))
            else:
                values["call"] = "poll" if isinstance(values["what"], HandleLost) else "execute"


@given(faults())
def test_a_fault_that_was_written_is_read_as_itself(fault: Fault) -> None:
    assert parse(render(fault)) == fault


@given(st.text(alphabet='drop-beforehttp503,="\\executcount1always '))
def test_any_text_is_a_fault_or_an_error_of_its_own(text: str) -> None:
    with suppress(FaultError):  # nothing else is raised
        fault = parse(text)
        assert parse(render(fault)) == fault


def test_a_spec_reads_as_it_is_said() -> None:
    assert parse("drop-after-execute,statement=f2.s1,count=1") == Fault(
        Drop("after"), statement="f2.s1"
    )
    assert parse("http-503-open,retry-after=2,count=always") == Fault(
        Status(503, 2), "open", count=None
    )
    assert parse("handle-lost").call == "poll"
    assert parse(r'error,text="a, \"b\""').what == Error('a, "b"')


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "there is no fault ''; to a call happen drop-before"),
        ("drop", "drop-before, drop-during, drop-after"),
        ("http-418", "http-429"),
        ("drop-after-lunch", "there is no call 'lunch'; calls are open, execute"),
        ("drop-during-poll", "only execute"),
        ("handle-lost-open", "no handle"),
        ("slow-start", "needs seconds=2.5"),
        ("slow-start,seconds=soon", "is no number such as 2.5"),
        ("hang,seconds=1", "hang has no option 'seconds'; its options are executed, statement"),
        ("hang,executed", "executed needs a value: executed=yes"),
        ("hang,executed=maybe", "is none of yes, no"),
        ("hang,count=0", "count from 1"),
        ("hang,count=often", "no whole number, nor always"),
        ("hang,count=1,count=2", "given twice"),
        ("hang,chance=2", "at most 1"),
        ("hang,sql=(", "no regular expression"),
        ("hang-open,table=t", "open is about no statement"),
        ("starting,seconds=3,file=a", "whole warehouse"),
        ('error,text="a', "a quote is not closed"),
    ],
)
def test_a_bad_spec_is_told_what_is_wrong_and_what_is_allowed(spec: str, says: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse(spec)
    assert says in str(caught.value)


def test_reading_a_spec_loads_nothing_heavy() -> None:
    program = (
        "import sys; from executor.local.faultspec import parse; parse('drop-after,table=t');"
        "print([m for m in ('duckdb', 'databricks', 'sqlglot', 'thrift') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_every_field_of_a_fault_can_be_said() -> None:
    names = {field.name for field in fields(Fault)} - {"what", "call"}
    with pytest.raises(FaultError) as caught:
        parse("hang,x=1")
    assert names <= set(str(caught.value).rsplit("options are ", 1)[1].split(", "))
