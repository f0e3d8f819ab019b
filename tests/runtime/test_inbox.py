"""The runner's side of the inbox: nothing in it is lost, and nothing in it can hurt."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from executor.core.inputs import Decided, Input, Undecidable
from executor.runtime.inbox import Inbox
from protocol.base import MAX_LINE_BYTES
from protocol.decisions import Cancel, Decide, Ping


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    directory = tmp_path / "inbox"
    (directory / "done").mkdir(parents=True)
    return directory


def drained(inbox: Path) -> list[Input]:
    fed: list[Input] = []
    Inbox(inbox).drain(fed.append)
    return fed


def left(inbox: Path) -> list[str]:
    return sorted(path.name for path in inbox.iterdir() if path.name != "done")


def done(inbox: Path) -> list[str]:
    return sorted(path.name for path in (inbox / "done").iterdir())


def test_files_are_taken_in_the_order_of_their_names(inbox: Path) -> None:
    for name in ("3", "1", "2"):
        (inbox / f"{name}.json").write_text(f'{{"type":"ping","nonce":"{name}"}}')
    taken = [given.decision for given in drained(inbox) if isinstance(given, Decided)]
    assert taken == [Ping(nonce="1"), Ping(nonce="2"), Ping(nonce="3")]
    assert (left(inbox), done(inbox)) == ([], ["1.json", "2.json", "3.json"])


def test_a_file_is_moved_only_after_the_machine_has_taken_it(inbox: Path) -> None:
    (inbox / "a.json").write_text('{"type":"cancel"}')
    there: list[list[str]] = []
    Inbox(inbox).drain(lambda given: there.append(left(inbox)))
    assert there == [["a.json"]]
    assert left(inbox) == []


def test_a_file_that_was_not_taken_is_there_for_the_next_process(inbox: Path) -> None:
    (inbox / "a.json").write_text('{"type":"cancel","id":"mine"}')

    def die(given: Input) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        Inbox(inbox).drain(die)
    assert drained(inbox) == [Decided(Cancel(id="mine"), "mine", "inbox")]


def test_what_is_still_being_written_is_left_alone(inbox: Path) -> None:
    (inbox / ".half.json").write_text('{"type":"decide","pro')
    (inbox / "notes.txt").write_text("not a decision")
    assert drained(inbox) == []
    assert left(inbox) == [".half.json", "notes.txt"]


def test_an_editor_may_write_a_decision_on_several_lines(inbox: Path) -> None:
    (inbox / "a.json").write_bytes(
        b'\xef\xbb\xbf{\r\n  "type": "decide",\r\n  "prompt": "p1",\r\n  "choice": "skip"\r\n}\r\n'
    )
    (given,) = drained(inbox)
    assert isinstance(given, Decided)
    assert given.decision == Decide(prompt="p1", choice="skip")


BAD = {
    "empty": (b"", "malformed"),
    "text": (b"skip it, please", "malformed"),
    "list": (b"[]", "malformed"),
    "unknown": (b'{"type":"approve"}', "unknown_type"),
    "binary": (bytes(range(256)), "malformed"),
    "huge": (b'{"type":"ping","nonce":"' + b"x" * 2_000_000 + b'"}', "too_long"),
    "just too long": (b" " * (MAX_LINE_BYTES + 1), "too_long"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_decision_is_told_about_once_and_put_away(inbox: Path, name: str) -> None:
    content, code = BAD[name]
    (inbox / f"{name}.json").write_bytes(content)
    (given,) = drained(inbox)
    assert isinstance(given, Undecidable)
    assert given.code == code
    assert f"inbox/{name}.json" in given.detail
    assert drained(inbox) == []
    assert done(inbox) == [f"{name}.json"]


def test_a_link_a_directory_and_a_pipe_are_not_decisions(inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"type":"cancel"}')
    (inbox / "link.json").symlink_to(tmp_path / "secret")
    (inbox / "directory.json").mkdir()
    os.mkfifo(inbox / "pipe.json")
    given = drained(inbox)
    assert [type(one) for one in given] == [Undecidable] * 3
    assert done(inbox) == ["directory.json", "link.json", "pipe.json"]
    assert (tmp_path / "secret").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_told_about(inbox: Path) -> None:
    (inbox / "a.json").write_text('{"type":"cancel"}')
    (inbox / "a.json").chmod(0)
    (given,) = drained(inbox)
    assert isinstance(given, Undecidable)
    assert done(inbox) == ["a.json"]


def test_a_file_that_vanishes_is_no_news(inbox: Path) -> None:
    (inbox / "a.json").write_text('{"type":"ping","nonce":"a"}')
    (inbox / "b.json").write_text('{"type":"ping","nonce":"b"}')
    fed: list[Input] = []

    def take(given: Input) -> None:
        fed.append(given)
        (inbox / "b.json").unlink(missing_ok=True)

    Inbox(inbox).drain(take)
    assert [given.decision for given in fed if isinstance(given, Decided)] == [Ping(nonce="a")]


def test_a_file_that_cannot_be_moved_is_told_about_once(inbox: Path) -> None:
    (inbox / "a.json").mkdir()
    (inbox / "done" / "a.json").write_text("in the way")
    fed: list[Input] = []
    reader = Inbox(inbox)
    reader.drain(fed.append)
    reader.drain(fed.append)
    assert len(fed) == 1


@pytest.mark.parametrize("directory", [None, Path("/no/such/inbox")])
def test_without_an_inbox_nothing_comes_from_it(directory: Path | None) -> None:
    fed: list[Input] = []
    Inbox(directory).drain(fed.append)
    assert fed == []


def test_what_comes_while_the_run_lives_is_taken_one_by_one(inbox: Path) -> None:
    """The next file is not read before the machine has taken the one before."""

    async def main() -> None:
        reader = Inbox(inbox)
        send, receive = anyio.create_memory_object_stream[Input](float("inf"))
        with send, receive:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reader.serve, send.send_nowait)
                names = ["a", "b", "c"]
                for name in names:
                    hidden = inbox / f".{name}"
                    hidden.write_text(f'{{"type":"ping","nonce":"{name}"}}')
                    hidden.rename(inbox / f"{name}.json")
                for count, name in enumerate(names):
                    given = await receive.receive()
                    assert isinstance(given, Decided)
                    assert given.decision == Ping(nonce=name)
                    assert done(inbox) == [f"{one}.json" for one in names[:count]]
                    if name != "c":
                        reader.taken(given)
                tasks.cancel_scope.cancel()

    anyio.run(main)
    assert left(inbox) == ["c.json"]
