"""A loop that needs more iterations than it has files, or than it may: nothing is assumed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from executor.local.service import LocalWarehouse
from tests.examples.reference import identity_iterations
from tests.examples.tables import Tables, tables
from tests.local.client import connect
from tests.program.dwx import Ended, dwx, live
from tests.program.graphs import LOOP, chain_of, verdict_faults, write_chain

LONG, SHORT = 60, 5
"""Identifiers in a chain, each joined to the next larger one only: one iteration for each link."""
LIMIT = 30
"""Iterations, unless somebody says otherwise."""
LOCAL = ("run", "sql", "--local", "warehouse", "--prompt-timeout", "0")


def in_production(found: Tables) -> set[tuple[Any, ...]]:
    """What readers of the results see."""
    return set(found.rows("golden_id_lookup", "canonical_id, id"))


def everybody_is_the_first(length: int) -> set[tuple[Any, ...]]:
    return {("000", f"{number:03}") for number in range(length)}


def check_nothing_is_published(found: Tables) -> None:
    """The results are those of the run before, and no file could take the table for converged."""
    assert in_production(found) == everybody_is_the_first(SHORT)
    assert len(found.rows("golden_id_graph")) == SHORT
    assert f"{LOOP}{LIMIT}" in found.names()
    assert f"{LOOP}final" not in found.names()


@pytest.fixture(scope="module")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("published")
    write_chain(place / "sql", SHORT)
    assert dwx(*LOCAL, cwd=place).exit_code == 0
    write_chain(place / "sql", LONG)
    return place


@pytest.fixture(scope="module")
def undecided_once(published_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    place = tmp_path_factory.mktemp("undecided") / "place"
    shutil.copytree(published_once, place)
    return dwx(*LOCAL, cwd=place)


@pytest.fixture
def published(published_once: Path, tmp_path: Path) -> Path:
    """A short chain is published; a long one is to come."""
    return Path(shutil.copytree(published_once, tmp_path / "place"))


@pytest.fixture
def undecided(undecided_once: Ended, tmp_path: Path) -> Ended:
    """The run with the long chain, suspended at its limit."""
    return replace(undecided_once, cwd=shutil.copytree(undecided_once.cwd, tmp_path / "place"))


def test_iterations_are_generated_until_a_long_chain_has_converged(tmp_path: Path) -> None:
    write_chain(tmp_path / "sql", LONG)
    ended = dwx(*LOCAL, "--max-iterations", str(LONG), cwd=tmp_path)
    assert ended.exit_code == 0, ended.last
    told = ended.of("iteration")
    assert len(told) > LIMIT
    assert verdict_faults(told, chain_of(LONG)) == []
    assert [event.source for event in told] == ["file"] * 3 + ["generated"] * (len(told) - 3)
    assert ended.of("not_converged", "error_prompt") == []
    (alias,) = ended.of("alias_created")
    assert alias.from_.endswith(f"{LOOP}{len(told)}")
    with tables(tmp_path / "warehouse") as found:
        assert in_production(found) == everybody_is_the_first(LONG)


def test_a_loop_at_its_limit_suspends_the_run_and_publishes_nothing(undecided: Ended) -> None:
    assert undecided.exit_code == undecided.last.exit_code == 5
    assert undecided.last.open_prompts == ("p1",)
    (event,) = undecided.of("not_converged")
    assert (event.reason, event.iteration) == ("limit", LIMIT)
    updated = identity_iterations(chain_of(LONG))[LIMIT - 1].updated
    told = undecided.of("iteration")[-1]
    assert (told.iteration, told.max_iterations, told.updated) == (LIMIT, LIMIT, updated)
    (prompt,) = undecided.of("error_prompt")
    assert [choice.choice for choice in prompt.choices] == ["extend", "accept", "abort"]
    assert undecided.of("converged", "alias_created") == []
    with tables(undecided.cwd / "warehouse") as found:
        check_nothing_is_published(found)


def test_more_iterations_may_be_allowed_from_elsewhere_and_the_loop_converges(
    undecided: Ended,
) -> None:
    extend = ("answer", "p1", "extend", "--iterations", str(LONG - LIMIT))
    assert dwx(*extend, cwd=undecided.cwd).exit_code == 21
    ended = dwx("resume", cwd=undecided.cwd)
    assert ended.exit_code == 0, ended.stderr
    assert verdict_faults(ended.of("iteration"), chain_of(LONG)) == []
    assert [loop.outcome for loop in ended.last.loops] == ["converged"]
    with tables(undecided.cwd / "warehouse") as found:
        assert in_production(found) == everybody_is_the_first(LONG)
    assert dwx("replay", "--verify", str(ended.run_dir), cwd=undecided.cwd).exit_code == 0


def test_the_last_iteration_is_published_as_it_is_only_where_somebody_accepts_it(
    undecided: Ended,
) -> None:
    assert dwx("answer", "p1", "accept", "--by", "ana", cwd=undecided.cwd).exit_code == 21
    ended = dwx("resume", cwd=undecided.cwd)
    assert ended.exit_code == ended.last.exit_code == 4
    assert ended.of("converged") == []
    assert [loop.outcome for loop in ended.last.loops] == ["accepted"]
    (resolved,) = ended.of("prompt_resolved")
    assert (resolved.choice, resolved.by) == ("accept", "ana")
    with tables(undecided.cwd / "warehouse") as found:
        assert in_production(found) > everybody_is_the_first(LIMIT)


def test_an_abort_at_the_limit_leaves_what_was_published_before(undecided: Ended) -> None:
    assert dwx("answer", "p1", "abort", cwd=undecided.cwd).exit_code == 21
    ended = dwx("resume", cwd=undecided.cwd)
    assert ended.exit_code == ended.last.exit_code == 8
    assert ended.of("alias_created") == []
    with tables(undecided.cwd / "warehouse") as found:
        check_nothing_is_published(found)


# --- while it runs --------------------------------------------------------------------------------


@pytest.fixture
def warehouse(published: Path) -> Iterator[LocalWarehouse]:
    """The warehouse, open to whoever wants to look while a run waits."""
    with LocalWarehouse(published / "warehouse") as served:
        yield served


def run(warehouse: LocalWarehouse) -> tuple[str, ...]:
    uri = warehouse.uri.removesuffix(warehouse.http_path)
    return (
        "run", "sql", "--server-hostname", uri, "--http-path", warehouse.http_path,
        "--catalog", "main", "--schema", "default",
    )  # fmt: skip


def test_a_live_run_asks_at_each_limit_and_publishes_once_it_has_converged(
    published: Path, warehouse: LocalWarehouse
) -> None:
    """The last time nobody says how far it is to go: the residuals do."""
    with (
        live(*run(warehouse), cwd=published, DATABRICKS_TOKEN=warehouse.token) as program,
        connect(warehouse) as connection,
    ):
        found = Tables(connection, "main.default")
        limits = (LIMIT, LIMIT + 10, LIMIT + 15)
        extensions: tuple[dict[str, Any], ...] = (
            {"params": {"iterations": 10}}, {"params": {"iterations": 5}}, {},
        )  # fmt: skip
        for number, (limit, params) in enumerate(zip(limits, extensions, strict=True), 1):
            event = program.until("not_converged")
            assert (event.reason, event.iteration) == ("limit", limit)
            assert program.until("error_prompt").prompt == f"p{number}"
            check_nothing_is_published(found)
            program.decide(prompt=f"p{number}", choice="extend", **params)
        ended = program.end()
        assert in_production(found) == everybody_is_the_first(LONG)
    assert ended.exit_code == 0, ended.last
    assert verdict_faults(ended.of("iteration"), chain_of(LONG)) == []


def test_a_live_run_publishes_an_unfinished_loop_only_on_a_decision(
    published: Path, warehouse: LocalWarehouse
) -> None:
    with (
        live(*run(warehouse), cwd=published, DATABRICKS_TOKEN=warehouse.token) as program,
        connect(warehouse) as connection,
    ):
        found = Tables(connection, "main.default")
        program.until("error_prompt")
        program.decide(prompt="p1", choice="yes")
        assert program.until("decision_rejected").code == "not_offered"
        check_nothing_is_published(found)
        program.decide(prompt="p1", choice="accept")
        ended = program.end()
        assert in_production(found) > everybody_is_the_first(LIMIT)
    assert ended.exit_code == 4
    assert [loop.outcome for loop in ended.last.loops] == ["accepted"]
