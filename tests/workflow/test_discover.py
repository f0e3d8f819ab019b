"""Which files a workflow has, in which order, and what is said when they cannot be read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.workflow.discover import order_key, read_directory
from executor.workflow.model import WorkflowError
from tests.workflow.layouts import write


def order(*names: str) -> list[str]:
    return sorted(names, key=order_key)


@pytest.mark.parametrize(
    "names",
    [
        ["9_a.sql", "10_a.sql", "100_a.sql"],
        ["01_b.sql", "2_a.sql", "003_a.sql"],
        ["04_loop_1.sql", "04_loop_2.sql", "04_loop_10.sql", "05_a.sql"],
        ["99_z.sql", "a.sql", "b_1.sql", "b_2.sql", "b_10.sql"],
        ["1.sql", "2.sql", "10.sql", "notes.sql"],
        ["01_a.sql", "01_B.sql", "01_c.sql"],
        ["01_a.sql", "2026-plan.sql", "a.sql"],
    ],
)
def test_files_run_by_their_number_then_by_name_and_without_a_number_last(
    names: list[str],
) -> None:
    shuffled = list(names)
    random.Random(7).shuffle(shuffled)
    assert order(*shuffled) == names


@given(st.lists(st.text(st.sampled_from("0129_ab.Z-²٣é"), min_size=1), unique=True), st.randoms())
def test_the_order_is_total_and_does_not_depend_on_how_the_directory_lists_them(
    names: list[str], shuffle: random.Random
) -> None:
    shuffled = list(names)
    shuffle.shuffle(shuffled)
    assert order(*shuffled) == order(*names)


def test_only_sql_files_directly_in_the_directory_count(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "2_b.SQL": "SELECT 2",
            "1_a.sql": "SELECT 1",
            ".3_c.sql": "",
            "notes.txt": "",
            "x.sql~": "",
        },
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "4_d.sql").write_text("SELECT 4")
    (tmp_path / "folder.sql").mkdir()
    (tmp_path / "5_link.sql").symlink_to(tmp_path / "sub" / "4_d.sql")
    raw = read_directory(tmp_path)
    assert [file.path for file in raw.files] == ["1_a.sql", "2_b.SQL", "5_link.sql"]
    assert raw.files[2].text == "SELECT 4"
    assert raw.manifest is None


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    write(tmp_path, {"1.sql": b"\xef\xbb\xbfSELECT 1\r\n"})
    assert read_directory(tmp_path).files[0].text == "SELECT 1\r\n"


def caught(directory: Path) -> WorkflowError:
    with pytest.raises(WorkflowError) as raised:
        read_directory(directory)
    assert raised.value.suggestion
    return raised.value


def test_each_thing_that_is_wrong_with_the_directory_has_its_own_error(tmp_path: Path) -> None:
    assert caught(tmp_path / "nowhere").code == "DIRECTORY_MISSING"
    assert caught(tmp_path).code == "DIRECTORY_EMPTY"
    write(tmp_path, {"readme.md": ""})
    assert caught(tmp_path).code == "NO_SQL_FILES"
    write(tmp_path, {"1.sql": "SELECT 1"})
    error = caught(tmp_path / "1.sql")
    assert error.code == "NOT_A_DIRECTORY"
    assert str(tmp_path) in error.suggestion


def test_a_link_to_nothing_is_unreadable_and_named(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").symlink_to(tmp_path / "gone")
    error = caught(tmp_path)
    assert (error.code, error.path) == ("FILE_UNREADABLE", "1_a.sql")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_that_is_not_utf8_is_named_with_byte_and_line(tmp_path: Path, mark: bytes) -> None:
    write(tmp_path, {"1_a.sql": mark + b"SELECT 1;\nSELECT 'M\xfcnchen';"})
    error = caught(tmp_path)
    assert (error.code, error.path, error.line) == ("FILE_NOT_UTF8", "1_a.sql", 2)
    assert f"byte {len(mark) + 19} (0xfc)" in error.message
