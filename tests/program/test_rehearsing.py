"""Faults given by flags; the examples of the README are run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import urllib3
from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

from tests.program.dwx import DWX, Ended, dwx, environment, workflow

README = Path(__file__).parents[2] / "README.md"
ASK_NOBODY = ("--prompt-timeout", "10ms")


def examples(verb: str) -> list[list[str]]:
    """The command lines of the README that begin with `dwx` and `verb`."""
    (chapter,) = re.findall(
        r"^### Rehearse what can go wrong\n(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL
    )
    found = [shlex.split(text) for text in re.findall(r"^```sh\n(dwx .*)\n```$", chapter, re.M)]
    return [words[1:] for words in found if words[1:][: len(verb.split())] == verb.split()]


def sql(cwd: Path) -> None:
    workflow(
        cwd / "sql", f01_orders="CREATE TABLE orders (a INT);\nINSERT INTO orders VALUES (1);\n"
    )


def struck(ended: Ended) -> list[str]:
    return re.findall(r"^dwx: fault (\S+?)[, ].* has struck execute of (\S+)", ended.stderr, re.M)


@pytest.mark.parametrize(("number", "name"), [(0, "drop-after-execute"), (1, "error")])
def test_the_runs_in_the_readme_meet_their_faults(tmp_path: Path, number: int, name: str) -> None:
    sql(tmp_path)
    command = examples("run")[number]
    ended = dwx(*command, *ASK_NOBODY, cwd=tmp_path)
    assert struck(ended)[0][0] == name
    assert [entry.event.type for entry in ended.entries if "fault" in entry.event.type] == []
    assert len(examples("run")) == 2


def test_the_warehouse_in_the_readme_refuses_twice_and_says_so(tmp_path: Path) -> None:
    (command,) = examples("warehouse serve")
    sink = TMemoryBuffer()
    TCLIService.Client(TBinaryProtocol(sink)).send_OpenSession(ttypes.TOpenSessionReq())
    with subprocess.Popen(
        [*DWX, *command], stdout=subprocess.PIPE, env=environment(), cwd=tmp_path
    ) as server:
        assert server.stdout is not None
        where = json.loads(server.stdout.readline())
        token = (tmp_path / where["token_file"]).read_text().strip()
        answers = [
            urllib3.request(
                "POST",
                where["uri"] + where["http_path"],
                body=sink.getvalue(),
                headers={"Authorization": f"Bearer {token}"},
                retries=False,
            )
            for _ in range(3)
        ]
        told = [json.loads(server.stdout.readline()) for _ in range(2)]
        server.terminate()
        assert server.wait(30) == 0
    assert [(one.status, one.headers.get("Retry-After")) for one in answers] == [
        (429, "1"),
        (429, "1"),
        (200, None),
    ]
    assert [(one["fault"], one["time"], one["call"]) for one in told] == [
        ("http-429-open,retry-after=1,count=2", 1, "open"),
        ("http-429-open,retry-after=1,count=2", 2, "open"),
    ]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--fault", "hang"), "--fault is for the embedded warehouse"),
        (("--local", "--fault", "hanged"), "there is no fault 'hanged'"),
        (("--local", "--fault", "hang,for=3"), "its options are executed, statement"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_like_other_flags(
    tmp_path: Path, flags: tuple[str, ...], says: str
) -> None:
    sql(tmp_path)
    ended = dwx("run", "sql", *flags, cwd=tmp_path)
    assert ended.exit_code == ended.last.exit_code == 2
    assert [entry.event.type for entry in ended.entries] == ["hello", "run_finished"]
    assert says in ended.last.error.message


def test_serving_refuses_a_fault_that_cannot_be(tmp_path: Path) -> None:
    served = subprocess.run(
        [*DWX, "warehouse", "serve", "w", "--fault", "hanged"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert served.returncode == 2
    assert b"there is no fault 'hanged'" in served.stderr


def test_a_resumed_run_meets_only_the_faults_it_is_given_anew(tmp_path: Path) -> None:
    sql(tmp_path)
    fault = 'error,statement=f1.s2,text="[DIVIDE_BY_ZERO] No. SQLSTATE: 22012"'
    first = dwx("run", "sql", "--local", "--fault", fault, *ASK_NOBODY, cwd=tmp_path)
    assert (first.exit_code, len(struck(first))) == (5, 1)
    dwx_answer(tmp_path, "p1")
    second = dwx("resume", "--fault", fault, cwd=tmp_path)
    assert (second.exit_code, len(struck(second))) == (5, 1), second.stderr
    dwx_answer(tmp_path, "p2")
    third = dwx("resume", cwd=tmp_path)
    assert (third.exit_code, struck(third)) == (0, [])


def dwx_answer(cwd: Path, prompt: str) -> None:
    answered = subprocess.run(
        [*DWX, "answer", prompt, "retry"], cwd=cwd, capture_output=True, check=False
    )
    assert answered.returncode == 21, answered.stderr  # kept for whoever resumes
