"""What is known of tables, and whether new ones may be made: from statements to facts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

import pytest

from executor.core.facts import FailureFacts, TableFacts
from executor.local.service import LocalWarehouse
from executor.warehouse.databricks.auth import Credentials, Target
from executor.warehouse.databricks.results import Row
from executor.warehouse.databricks.session import DatabricksSession
from executor.warehouse.databricks.tables import may_create, table_facts
from executor.warehouse.databricks.warehouse import DatabricksWarehouse
from executor.warehouse.port import StatementError


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabricksSession]:
    logging.disable(logging.ERROR)
    path: Path = tmp_path_factory.mktemp("warehouse")
    with LocalWarehouse(path) as warehouse:
        warehouse.create_namespace("shop", "data")
        target = Target("127.0.0.1", "/sql/1.0/warehouses/local", "shop", "data")
        credentials = Credentials("pat", warehouse.token)
        opened = DatabricksWarehouse(target, credentials, uri=warehouse.uri).open(Event())
        for sql in (
            "CREATE TABLE Customers (Id INT, E_Mail STRING)",
            "CREATE VIEW seen AS SELECT id AS who FROM customers",
        ):
            opened._rows(sql, 1, Event())
        yield opened
        opened.close()
    logging.disable(logging.NOTSET)


def test_tables_and_views_are_described_in_lower_case(session: DatabricksSession) -> None:
    wanted = dict.fromkeys(("shop.data.customers", "shop.data.seen"), frozenset[str]())
    assert session.table_facts(wanted, Event()) == {
        "shop.data.customers": TableFacts(True, ("id", "e_mail")),
        "shop.data.seen": TableFacts(True, ("who",)),
    }


@pytest.mark.parametrize("name", ["shop.data.gone", "shop.gone.t", "gone.data.t"])
def test_a_table_that_is_not_there_is_known_not_to_be(
    session: DatabricksSession, name: str
) -> None:
    assert session.table_facts({name: ()}, Event()) == {name: TableFacts(False)}


def test_what_is_cancelled_is_not_known(session: DatabricksSession) -> None:
    cancel = Event()
    cancel.set()
    (found,) = session.table_facts({"shop.data.customers": ()}, cancel).values()
    assert found.exists is None
    assert "cannot be described" in found.detail


def test_grants_that_cannot_be_read_are_no_grants(session: DatabricksSession) -> None:
    status, observed = session.may_create("shop.data", Event())
    assert status == "unknown"
    assert "grants cannot be read" in observed


# --- statements the embedded warehouse does not know ------------------------------------------

Answer = Sequence[Row] | str
"""Rows, or the error class of a failure."""


class Warehouse:
    """Answers by the beginning of a statement, and keeps what it was asked."""

    def __init__(self, **answers: Answer) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def __call__(self, sql: str, limit: int) -> Sequence[Row]:
        self.asked.append(sql)
        answer = self._answers[sql.split(" ", 1)[0]]
        if isinstance(answer, str):
            facts = FailureFacts(answer, "as it is")
            raise StatementError(facts, outcome="not_committed", evidence="it writes nothing")
        return answer[:limit]


def listed(*names: str) -> list[Row]:
    """What `information_schema.columns` says of tables with one column `a`."""
    return [{"table_schema": "s", "table_name": name, "column_name": "A"} for name in names]


FOUR = {f"c.s.t{number}": frozenset({"a"}) for number in range(1, 5)}


def test_many_tables_are_asked_for_at_once() -> None:
    warehouse = Warehouse(SELECT=listed("t1", "t2", "t3", "t4"))
    assert set(table_facts(warehouse, FOUR).values()) == {TableFacts(True, ("a",))}
    (asked,) = warehouse.asked
    assert "`c`.information_schema.columns" in asked
    assert "('s', 't4')" in asked


def test_what_is_not_listed_is_missing_only_if_describe_says_so() -> None:
    warehouse = Warehouse(SELECT=listed("t1", "t2", "t3"), DESCRIBE="TABLE_OR_VIEW_NOT_FOUND")
    assert table_facts(warehouse, FOUR)["c.s.t4"] == TableFacts(False)
    assert warehouse.asked[1:] == ["DESCRIBE TABLE `c`.`s`.`t4`"]


def test_a_column_that_is_not_listed_is_looked_for_in_the_table_itself() -> None:
    described: list[Row] = [
        {"col_name": "a"}, {"col_name": "B"}, {"col_name": ""}, {"col_name": "# Detailed"},
    ]  # fmt: skip
    warehouse = Warehouse(SELECT=listed("t1", "t2", "t3", "t4"), DESCRIBE=described)
    found = table_facts(warehouse, {**FOUR, "c.s.t4": frozenset({"a", "b"})})
    assert found["c.s.t4"] == TableFacts(True, ("a", "b"))
    assert len(warehouse.asked) == 2


def test_without_an_information_schema_every_table_is_described() -> None:
    warehouse = Warehouse(SELECT="TABLE_OR_VIEW_NOT_FOUND", DESCRIBE=[{"col_name": "a"}])
    assert set(table_facts(warehouse, FOUR).values()) == {TableFacts(True, ("a",))}
    assert len(warehouse.asked) == 5


@pytest.mark.parametrize("failure", ["INSUFFICIENT_PERMISSIONS", "DWX_CONNECTION_LOST"])
def test_a_table_that_may_not_be_looked_at_is_not_missing(failure: str) -> None:
    (found,) = table_facts(Warehouse(DESCRIBE=failure), {"c.s.t": ()}).values()
    assert found.exists is None


def test_a_grant_is_proof_and_none_to_be_seen_is_not() -> None:
    granted = Warehouse(SELECT=[{"privilege_type": "CREATE_TABLE"}])
    assert may_create(granted, "c.o'brien")[0] == "passed"
    assert "schema_name = 'o\\'brien'" in granted.asked[0]
    assert may_create(Warehouse(SELECT=[]), "c.s")[0] == "unknown"
