"""Result rows and history entries, read by column name whatever type carries the value."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.warehouse.databricks.history import (
    HistoryEntry,
    commit_of,
    entry,
    history_query,
    rows_committed,
    table_size,
)
from executor.warehouse.databricks.results import optimize_metrics, row_counts, whole_number
from protocol.events import OptimizeMetrics, RowCounts


def commit(statement_id: str | None, **metrics: str) -> HistoryEntry:
    return HistoryEntry(1, None, "WRITE", statement_id, metrics)


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3), (Decimal("3"), 3), (Decimal("3.5"), None), (Decimal("NaN"), None), (3.0, 3),
     (3.5, None), (float("nan"), None), ("12", 12), ("-1", -1), ("1.0", None), ("²", None),
     (True, None), (None, None), ([], None)],
)  # fmt: skip
def test_a_whole_number_is_one_whatever_its_type(value: object, number: int | None) -> None:
    assert whole_number(value) == number


@given(st.integers())
def test_every_integer_survives_as_text_and_as_decimal(number: int) -> None:
    assert whole_number(str(number)) == whole_number(Decimal(number)) == number


def test_a_row_without_counts_is_unknown() -> None:
    assert row_counts({}, "insert") is None
    assert row_counts({"num_affected_rows": None}, "insert") is None


def test_a_total_that_is_not_given_is_the_sum_of_its_parts() -> None:
    row = {"num_inserted_rows": 2, "num_updated_rows": 3}
    assert row_counts(row, "merge") == RowCounts(total=5, inserted=2, updated=3, source="result")


def test_the_total_of_update_and_delete_is_their_own_count() -> None:
    row = {"num_affected_rows": 4}
    assert row_counts(row, "update") == RowCounts(total=4, updated=4, source="result")
    assert row_counts(row, "delete") == RowCounts(total=4, deleted=4, source="result")


@pytest.mark.parametrize(
    "metrics",
    [
        '{"numFilesAdded": 1, "filesAdded": {"totalSize": 10}}',
        {"numFilesAdded": 1, "filesAdded": {"totalSize": 10}},
        [("numFilesAdded", "1"), ("filesAdded", '{"totalSize": "10"}')],
    ],
)
def test_a_struct_is_read_as_json_as_dict_and_as_pairs(metrics: object) -> None:
    found = optimize_metrics({"path": "p", "metrics": metrics})
    assert found == OptimizeMetrics(files_added=1, bytes_added=10)


def test_metrics_that_cannot_be_read_are_unknown() -> None:
    assert optimize_metrics({"metrics": "not json"}) is None
    assert optimize_metrics({}) is None


def test_a_history_entry_is_read_by_name_with_what_is_there() -> None:
    row = {"version": 3, "operation": "MERGE", "operationmetrics": [("numOutputRows", "1")]}
    assert entry(row) == HistoryEntry(3, None, "MERGE", None, {"numOutputRows": "1"})
    assert entry({}) == HistoryEntry(None, None, None, None, {})


def test_a_commit_is_found_by_its_statement_with_or_without_hyphens() -> None:
    ours = commit("01EF-02")
    assert commit_of([commit("0000"), ours], "01ef02") is ours


def test_no_statement_is_no_proof() -> None:
    assert commit_of([commit(None)], None) is None
    assert commit_of([commit(None)], "01ef02") is None


def test_rows_of_merge_are_those_it_changed_not_those_it_copied() -> None:
    found = commit("1", numTargetRowsInserted="2", numTargetRowsUpdated="3", numOutputRows="900")
    assert rows_committed(found) == RowCounts(total=5, inserted=2, updated=3, source="history")


def test_rows_of_a_write_are_those_it_put_out() -> None:
    expected = RowCounts(total=7, inserted=7, source="history")
    assert rows_committed(commit("1", numOutputRows="7")) == expected
    assert rows_committed(commit("1")) is None


def test_names_are_quoted_part_by_part() -> None:
    assert history_query("c.s.t", 1) == "DESCRIBE HISTORY `c`.`s`.`t` LIMIT 1"
    assert history_query("`a.b`.t", 1) == "DESCRIBE HISTORY `a.b`.`t` LIMIT 1"


def test_a_table_s_detail_is_read_by_name() -> None:
    found = table_size({"numfiles": 2, "sizeinbytes": "10", "id": "x"})
    assert (found.files, found.bytes, found.format) == (2, 10, None)
