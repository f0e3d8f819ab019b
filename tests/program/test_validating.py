"""What is broken on purpose is found by a check, with the right severity and exit code.

Each breaks the identity example in one place, and runs it on the embedded warehouse.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.examples.tables import tables
from tests.program.dwx import Ended, dwx, live, workflow

EXAMPLE = Path(__file__).parents[2] / "examples" / "identity_unification"
CUSTOMERS = 40


def copy_of(example: Path, place: Path) -> Path:
    shutil.copytree(example, place)
    return place


def changed(directory: Path, name: str, change: Callable[[str], str]) -> None:
    file = directory / name
    text = file.read_text()
    assert change(text) != text, f"{name} does not have what is to be changed"
    file.write_text(change(text))


def run(directory: Path, cwd: Path, *flags: str, stdin: bytes = b"") -> Ended:
    return dwx(
        "run", str(directory), "--local", "warehouse", "--var", f"customers={CUSTOMERS}",
        "--prompt-timeout", "0", *flags, cwd=cwd, stdin=stdin,
    )  # fmt: skip


def resume(cwd: Path, choice: str) -> Ended:
    answer = f'{{"type":"decide","prompt":"p1","choice":"{choice}"}}\n'
    return dwx("resume", cwd=cwd, stdin=answer.encode())


def failed(ended: Ended) -> dict[str, str]:
    """The checks after the work that failed, each with its severity."""
    return {
        event.name: event.severity
        for event in ended.of("check")
        if event.status == "failed" and event.phase in ("publish", "final")
    }


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    return copy_of(EXAMPLE, tmp_path / "sql")


def doubled_insert(text: str) -> str:
    """The file with its last statement written twice, as a retry that was not safe leaves it."""
    insert = text[text.index("INSERT INTO") :]
    return f"{text}\n{insert}"


def test_an_untouched_run_passes_every_check_and_tells_coverage_and_sizes(
    sql: Path, tmp_path: Path
) -> None:
    ended = run(sql, tmp_path)
    assert (ended.exit_code, ended.last.failed_checks) == (0, ())
    told = [event for event in ended.of("check") if event.phase in ("publish", "final")]
    assert {event.status for event in told} == {"passed"}
    assert [event.phase for event in ended.of("checks_finished")] == ["publish", "final"]
    shares = ended.last.coverage
    assert set(shares) == {
        f"main.default.enriched_{name}"
        for name in ("crm_customers", "web_orders", "support_tickets")
    }
    with tables(tmp_path / "warehouse") as found:
        for table, share in shares.items():
            ids = [row[0] for row in found.rows(table.rpartition(".")[2], "unified_id")]
            assert share == pytest.approx(sum(one is not None for one in ids) / len(ids), abs=1e-6)
        lookup = found.rows("unified_id_lookup", "canonical_id")
    sizes = ended.last.clusters
    assert sizes["identifiers"] == len(lookup)
    assert sizes["clusters"] == len(set(lookup))
    assert sizes["largest"] == max(lookup.count(one) for one in set(lookup))


def test_a_doubled_insert_in_the_last_iteration_is_found_before_it_is_published(
    sql: Path, tmp_path: Path
) -> None:
    before = run(sql, tmp_path)
    # in every file, so that they stay a loop: only in the last iteration does it make a difference
    for file in sql.glob("04_*.sql"):
        changed(sql, file.name, doubled_insert)
    ended = run(sql, tmp_path)
    assert ended.exit_code == 5
    # the set difference cannot see it: there is no row that the iteration before has not
    assert [event.updated for event in ended.of("iteration")][-1] == 0
    assert failed(ended) == {"every follower stands in the result once": "critical"}
    (prompt,) = ended.of("error_prompt")
    assert prompt.error.class_ == "DWX_CHECK_FAILED"
    with tables(tmp_path / "warehouse") as found:
        rows = {table.name: table.rows for table in before.last.tables}
        lookup = found.rows("unified_id_lookup")
        assert len(lookup) == rows["main.default.unified_id_lookup"]

    # published all the same, it multiplies rows, and that is found too
    ended = resume(tmp_path, "continue")
    assert (ended.exit_code, ended.last.outcome) == (4, "incomplete")
    found_now = failed(ended)
    assert found_now["unified_id_lookup has one row per identifier"] == "critical"
    assert found_now["enriched_web_orders has the rows of web_orders"] == "critical"
    assert ended.last.error.class_ == "DWX_CHECK_FAILED"
    assert "every follower stands in the result once" in ended.last.failed_checks


def test_empty_sources_are_found_before_empty_tables_take_the_place_of_full_ones(
    sql: Path, tmp_path: Path
) -> None:
    run(sql, tmp_path)
    changed(sql, "02_extract_merge.sql", lambda text: text.replace(
        "WHERE SIZE(keys) > 0", "WHERE SIZE(keys) > 100"))  # fmt: skip
    ended = run(sql, tmp_path)
    assert [event.updated for event in ended.of("iteration")] == [0]
    assert failed(ended) == {"the graph is not empty": "critical"}
    assert (ended.exit_code, ended.of("alias_created")) == (5, [])
    with tables(tmp_path / "warehouse") as found:
        assert found.rows("unified_id_lookup")
    aborted = resume(tmp_path, "abort")
    assert (aborted.exit_code, aborted.last.outcome) == (3, "failed")


def test_an_identifier_that_is_null_is_found_before_it_is_published(
    sql: Path, tmp_path: Path
) -> None:
    changed(sql, "02_extract_merge.sql", lambda text: text.replace(
        "key.id AS follower_id", "NULLIF(key.id, leader.id) AS follower_id"))  # fmt: skip
    ended = run(sql, tmp_path, "--convergence", "updated")
    assert ended.exit_code == 5
    assert failed(ended)["every follower and leader is known"] == "critical"


def test_a_canonical_id_that_is_null_is_found_in_the_lookup(sql: Path, tmp_path: Path) -> None:
    changed(sql, "05_canonicalize.sql", lambda text: text.replace(
        "SELECT\n  canonical.canonical_id,",
        "SELECT\n  CASE WHEN edges.follower_id NOT LIKE '%9' THEN canonical.canonical_id END "
        "AS canonical_id,",
    ))  # fmt: skip
    ended = run(sql, tmp_path)
    assert ended.exit_code == 4
    assert failed(ended)["unified_id_lookup has a canonical id in every row"] == "critical"


def test_fan_out_in_an_enriched_table_is_found(sql: Path, tmp_path: Path) -> None:
    changed(sql, "10_enrich_web_orders.sql", lambda text: text.replace(
        "AND identified.key.ns = lookup.id_key_type", "OR lookup.id LIKE '%1'"))  # fmt: skip
    ended = run(sql, tmp_path)
    assert ended.exit_code == 4
    assert failed(ended)["enriched_web_orders has the rows of web_orders"] == "critical"


def test_a_stale_output_of_an_earlier_run_is_found(sql: Path, tmp_path: Path) -> None:
    assert run(sql, tmp_path).exit_code == 0
    a_day_later(tmp_path / "warehouse")
    changed(sql, "20_master_customers.sql", lambda text: text.replace("people.canonical_id AS", ""))
    assert run(sql, tmp_path).exit_code == 5
    ended = resume(tmp_path, "skip")
    assert failed(ended) == {"main.default.master_customers was written by this run": "critical"}
    told = {event.name: event.status for event in ended.of("check") if event.phase == "final"}
    # what would be said of it would be said of the old one
    assert told["master_customers has one row per person"] == "skipped"
    assert ended.exit_code == 4


def test_a_table_that_is_only_made_if_it_is_missing_is_that_of_an_earlier_run(
    tmp_path: Path,
) -> None:
    workflow(
        tmp_path / "sql",
        f01_new="CREATE OR REPLACE TABLE new AS SELECT 1 AS n",
        f02_old="CREATE TABLE IF NOT EXISTS old AS SELECT 1 AS n",
    )
    assert dwx("run", "sql", "--local", "warehouse", cwd=tmp_path).exit_code == 0
    a_day_later(tmp_path / "warehouse")
    later = dwx("run", "sql", "--local", "warehouse", cwd=tmp_path)
    assert failed(later) == {"main.default.old was written by this run": "warning"}
    assert later.exit_code == 0


def a_day_later(warehouse: Path) -> None:
    """Makes everything in the warehouse a day older, as its own clock tells it."""
    for file in (warehouse / "catalogs").glob("*.duckdb"):
        with duckdb.connect(str(file)) as connection:
            (schema,) = connection.execute(
                "SELECT schema_name FROM duckdb_tables() WHERE table_name = 'history'"
            ).fetchone() or ("",)
            connection.execute(
                f'UPDATE "{schema}".history SET committed = committed - INTERVAL 1 DAY'
            )


def test_one_cluster_that_swallows_a_fifth_of_all_ids_is_found(sql: Path, tmp_path: Path) -> None:
    # the call centre's number counts as a person's: everybody who called is one
    for file in sql.glob("*.sql"):
        text = file.read_text()
        file.write_text(text.replace(" AND phone <> '+49305550100'", "").replace(
            " AND clean_phone <> '+49305550100'", ""))  # fmt: skip
    changed(sql, "00_make_sources.sql", lambda text: text.replace(
        "WHEN phone_draw % 50 = 21 THEN '030 5550100'",
        "WHEN phone_draw % 50 >= 21 THEN '030 5550100'"))  # fmt: skip
    many = ("--var", "customers=300")
    ended = run(sql, tmp_path, *many)
    sizes = ended.last.clusters
    assert sizes["largest"] * 5 >= sizes["identifiers"]
    assert failed(ended) == {"no cluster of unified_id_lookup is too large": "moderate"}
    assert ended.exit_code == 4
    assert run(sql, tmp_path, *many, "--checks", "warn").exit_code == 0


def test_checks_may_be_left_out(sql: Path, tmp_path: Path) -> None:
    ended = run(sql, tmp_path, "--checks", "off")
    assert ended.exit_code == 0
    assert [event for event in ended.of("check") if event.phase != "preflight"] == []
    assert ended.last.coverage is None


# --- the user's own ---------------------------------------------------------------------------


def test_the_user_s_own_checks_count_like_any_other(tmp_path: Path) -> None:
    sql = workflow(tmp_path / "sql", f01_t="CREATE OR REPLACE TABLE t AS SELECT 7 AS n")
    (sql / "checks").mkdir()
    (sql / "checks" / "small.sql").write_text("SELECT n FROM t WHERE n > 5")
    (sql / "workflow.toml").write_text(
        '[[check]]\nname = "few"\nsql = "SELECT COUNT(*) AS rows FROM t"\nexpect = "rows < 2"\n'
        '[[check]]\nname = "broken"\nseverity = "warning"\nsql = "SELECT x FROM t"\n'
    )
    ended = dwx("run", "sql", "--local", "--prompt-timeout", "0", cwd=tmp_path)
    told = {event.name: event.status for event in ended.of("check") if event.phase == "final"}
    assert told == {
        "checks/small.sql": "failed",
        "few": "passed",
        "broken": "unknown",
        "main.default.t was written by this run": "passed",
    }
    assert (ended.exit_code, ended.last.failed_checks) == (4, ("checks/small.sql", "broken"))


def test_a_prompt_about_a_result_is_answered_while_the_run_lives(sql: Path, tmp_path: Path) -> None:
    (sql / "workflow.toml").write_text(
        "[vars]\ncustomers = 20\n"
        '[[check]]\nname = "never"\nwhen = "publish"\nsql = "SELECT 1 AS one"\nexpect = "one = 2"\n'
    )
    with live("run", "sql", "--local", cwd=tmp_path) as program:
        prompt: Any = program.until("error_prompt")
        assert "never" in str(prompt.title)
        program.decide(prompt="p1", choice="continue")
        ended = program.end()
    assert (ended.exit_code, ended.last.failed_checks) == (4, ("never",))


# --- sessions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "session-lost-poll,sql=COUNT",
        "drop-after-execute,sql=COUNT,count=3",
        "http-503-execute,sql=identifiers",
        "handle-lost-fetch,sql=COUNT",
    ],
)
def test_a_check_whose_query_was_lost_is_made_again(sql: Path, tmp_path: Path, fault: str) -> None:
    ended = run(sql, tmp_path, "--fault", fault, "--convergence", "updated")
    assert "dwx: " in ended.stderr
    assert ended.exit_code == 0, (ended.last.failed_checks, ended.stderr)


def test_where_no_further_session_can_be_had_one_makes_all_checks(
    sql: Path, tmp_path: Path
) -> None:
    ended = run(sql, tmp_path, "--fault", "http-403-open,skip=1,count=always")
    assert ended.exit_code == 0
    assert ended.last.checks.unknown == 0


def test_checks_do_not_wait_for_sessions_that_they_do_not_need(sql: Path, tmp_path: Path) -> None:
    faults = "http-429-open,skip=2,count=always,retry-after=1"
    ended = run(sql, tmp_path, "--start-timeout", "10m", "--fault", faults)
    assert ended.exit_code == 0
    assert ended.last.checks.unknown == 0


def test_what_the_files_have_set_in_their_session_does_not_decide_what_a_check_means(
    tmp_path: Path,
) -> None:
    workflow(
        tmp_path / "sql",
        f00_schema="CREATE SCHEMA IF NOT EXISTS main.other",
        f01_q="CREATE OR REPLACE TABLE main.default.q AS SELECT 1 AS n;\n"
        "USE SCHEMA other;\nCREATE OR REPLACE TABLE q AS SELECT -1 AS n",
    )
    (tmp_path / "sql" / "checks").mkdir()
    for number in range(8):
        (tmp_path / "sql" / "checks" / f"k{number}.sql").write_text("SELECT n FROM q WHERE n < 0")
    for more in ((), ("--fault", "http-403-open,skip=1,count=always")):
        ended = dwx("run", "sql", "--local", "warehouse", *more, cwd=tmp_path)
        assert ended.exit_code == 0, ended.last.failed_checks


def test_the_record_of_checks_replays_and_has_the_same_order_every_time(
    sql: Path, tmp_path: Path
) -> None:
    first, second = run(sql, tmp_path), run(sql, tmp_path)
    names = [[event.name for event in one.of("check")] for one in (first, second)]
    assert names[0] == names[1]
    for one in (first, second):
        assert dwx("replay", "--verify", str(one.run_dir), cwd=tmp_path).exit_code == 0
