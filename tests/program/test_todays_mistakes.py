"""What the script that this program takes the place of gets wrong, one test or more for each.

The numbers in the docstrings are those of the list in WORKFLOWS, "What the script in use today gets
wrong". Each test fails for a program that makes the mistake.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from executor.local.faultspec import parse
from executor.local.service import LocalWarehouse
from executor.warehouse.databricks.query_history import QueryHistory
from tests.examples.tables import Tables
from tests.local.client import connect
from tests.program.dwx import Ended, Live, dwx, live, workflow
from tests.program.graphs import (
    CANONICALIZE,
    EXAMPLE,
    chain_of,
    entry_sql,
    iteration_sql,
    write_chain,
)

CHAIN = 5
"""Identifiers in the chain that most tests unify, in one iteration more than there are files."""
STOPS_WITHIN_S = 15
"""What a run is allowed between a signal and its end."""
INTERNAL = 'text="[INTERNAL_ERROR] Something went wrong inside. SQLSTATE: XX000"'
"""An error that nobody can do anything about but ask."""
FINAL = "golden_id_graph_unify_loop_final"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWarehouse]:
    with LocalWarehouse(tmp_path_factory.mktemp("mistakes") / "warehouse") as served:
        yield served


@dataclass(frozen=True)
class Place:
    """A directory and a schema for one test."""

    cwd: Path
    schema: str
    warehouse: LocalWarehouse
    found: Tables
    connection: Any

    def command(self, *flags: str) -> tuple[str, ...]:
        uri = self.warehouse.uri.removesuffix(self.warehouse.http_path)
        return (
            "run", "sql", "--server-hostname", uri, "--http-path", self.warehouse.http_path,
            "--catalog", "main", "--schema", self.schema, *flags,
        )  # fmt: skip

    def run(self, *flags: str, **more: Any) -> Ended:
        """Runs the workflow in `sql`; nobody answers."""
        command = self.command("--prompt-timeout", "0", *flags)
        return dwx(*command, cwd=self.cwd, DATABRICKS_TOKEN=self.warehouse.token, **more)

    def live(self, *flags: str) -> Any:
        return live(*self.command(*flags), cwd=self.cwd, DATABRICKS_TOKEN=self.warehouse.token)

    def dwx(self, *words: str, **more: Any) -> Ended:
        return dwx(*words, cwd=self.cwd, DATABRICKS_TOKEN=self.warehouse.token, **more)

    def fault(self, text: str) -> None:
        self.warehouse.faults.add(parse(text))

    def execute(self, sql: str) -> None:
        """As somebody else would, with another client."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"USE SCHEMA {self.schema}")
            cursor.execute(sql)


_numbers = itertools.count(1)


@pytest.fixture
def place(tmp_path: Path, warehouse: LocalWarehouse) -> Iterator[Place]:
    schema = f"mistake_{next(_numbers)}"
    warehouse.create_namespace("main", schema)
    with connect(warehouse) as connection:
        yield Place(tmp_path, schema, warehouse, Tables(connection, f"main.{schema}"), connection)
    warehouse.faults.clear()


@pytest.fixture
def published(place: Place) -> Place:
    """The results of an earlier run are in use, and what it looped over has changed since."""
    place.execute("CREATE TABLE golden_id_lookup AS SELECT 'earlier' AS canonical_id, 'x' AS id")
    write_chain(place.cwd / "sql", CHAIN)
    return place


def leave_stale(place: Place) -> None:
    """An earlier run stopped between its loop and the file that consumes the loop's result."""
    place.execute(
        f"CREATE TABLE {FINAL} AS SELECT 'y' AS follower_id, 1 AS follower_ns, "
        "'stale' AS leader_id, 1 AS leader_ns"
    )


def lookup(place: Place) -> set[tuple[Any, ...]]:
    return set(place.found.rows("golden_id_lookup", "canonical_id, id"))


EARLIER = {("earlier", "x")}
UNIFIED = {("000", f"{number:03}") for number in range(CHAIN)}


def paths(ended: Ended, status: str) -> list[str]:
    return [event.path for event in ended.of("file_finished") if event.status == status]


# --- 1 to 3: what is published --------------------------------------------------------------------


def test_a_convergence_test_that_fails_publishes_nothing(published: Place) -> None:
    """Mistake 1: a failed check counts as converged, and the run exits 0."""
    published.fault(f'error,sql="EXCEPT",{INTERNAL}')
    ended = published.run()
    assert ended.exit_code == ended.last.exit_code == 5
    (event,) = ended.of("not_converged")
    assert (event.reason, event.iteration) == ("unknown", 1)
    assert ended.of("converged", "alias_created") == []
    assert FINAL not in published.found.names()
    assert lookup(published) == EARLIER
    assert published.dwx("answer", "p1", "retry").exit_code == 21
    assert published.dwx("resume").exit_code == 0
    assert lookup(published) == UNIFIED


def test_a_convergence_test_that_fails_and_is_given_up_exits_with_a_code_of_its_own(
    published: Place,
) -> None:
    """Mistake 1."""
    published.fault(f'error,sql="EXCEPT",count=always,{INTERNAL}')
    ended = published.run("--on-unanswered", "abort")
    assert (ended.exit_code, ended.last.outcome) == (8, "failed")
    assert lookup(published) == EARLIER


@pytest.mark.parametrize(("choice", "code"), [("skip", 4), ("abort", 3)])
def test_an_iteration_that_fails_asks_and_a_result_left_over_is_not_published_in_its_place(
    published: Place, choice: str, code: int
) -> None:
    """Mistake 2: the loop ends without a word, and 05 publishes what an earlier run left."""
    leave_stale(published)
    published.fault(f'error,sql="^INSERT",file=04_unify_loop_iteration_02.sql,{INTERNAL}')
    with published.live() as program:
        prompt = program.until("error_prompt")
        assert (prompt.error.file, prompt.loop) == ("04_unify_loop_iteration_02.sql", "loop1")
        assert "continue" not in [one.choice for one in prompt.choices]
        program.decide(prompt="p1", choice=choice)
        ended = program.end()
    assert ended.exit_code == code
    assert "05_canonicalize.sql" not in paths(ended, "completed")
    assert lookup(published) == EARLIER


def test_a_result_left_over_from_an_earlier_run_is_told_and_replaced(published: Place) -> None:
    """Mistake 2."""
    leave_stale(published)
    ended = published.run()
    assert ended.exit_code == 0, ended.last
    (told,) = [event for event in ended.of("check") if event.name.startswith("loop result")]
    assert told.status == "failed"
    assert lookup(published) == UNIFIED


def test_at_the_limit_nothing_is_published_and_the_exit_code_says_so(published: Place) -> None:
    """Mistake 3: the last iteration is published whatever it is, exit 0."""
    ended = published.run("--max-iterations", "2", "--on-unanswered", "abort")
    assert (ended.exit_code, ended.last.outcome) == (8, "failed")
    assert [event.reason for event in ended.of("not_converged")] == ["limit"]
    assert FINAL not in published.found.names()
    assert lookup(published) == EARLIER


# --- 4 to 6: what runs ----------------------------------------------------------------------------


def test_the_name_of_the_id_is_read_from_the_sql_without_any_configuration(place: Place) -> None:
    """Mistake 4: the id is taken to be td_id, no table is found, and the loop "converges"."""
    write_chain(place.cwd / "sql", CHAIN)
    ended = place.run()
    assert ended.exit_code == 0, ended.last
    (plan,) = ended.of("plan")
    assert [loop.table for loop in plan.loops] == [
        f"main.{place.schema}.golden_id_graph_unify_loop_{{iteration}}"
    ]
    assert len(ended.of("iteration")) > 2
    assert lookup(place) == UNIFIED


OUTCOMES = {"succeeded": 0, "failed": 3, "incomplete": 4, "suspended": 5, "cancelled": 6}


def outcome(place: Place, wanted: str) -> Ended:
    """A run that ends like that."""
    failing = {"f02": "SELECT * FROM nowhere;\nCREATE TABLE never AS SELECT 1 AS a"}
    files = {"f01": "SELECT 1", **({} if wanted == "succeeded" else failing)}
    workflow(place.cwd / "sql", **files)
    if wanted in ("succeeded", "suspended"):
        return place.run("--preflight", "off")
    with place.live("--preflight", "off") as program:
        program.until("error_prompt")
        if wanted == "cancelled":
            program.process.send_signal(signal.SIGINT)
        else:
            choice = "abort" if wanted == "failed" else "skip"
            program.decide(prompt="p1", choice=choice)
        ended: Ended = program.end()
    return ended


@pytest.mark.parametrize("wanted", OUTCOMES)
def test_every_outcome_has_its_exit_code_and_only_success_is_called_success(
    place: Place, wanted: str
) -> None:
    """Mistake 5: everything but a failed connect exits 0; after "n" it says "complete"."""
    ended = outcome(place, wanted)
    assert ended.exit_code == ended.last.exit_code == OUTCOMES[wanted]
    status = place.dwx("status").stdout.decode()
    text = place.dwx("replay", str(ended.run_dir)).stdout.decode()
    assert wanted in status.splitlines()[0]
    is_success = wanted == "succeeded"
    assert ("succeeded" in status.splitlines()[0]) is is_success
    assert ("✓ Succeeded" in text) is is_success
    assert "execution complete" not in (status + text + ended.stderr).lower()


def test_leaving_out_the_loop_leaves_out_its_files_and_names_the_table_that_is_missing_then(
    published: Place,
) -> None:
    """Mistake 6: the loop's files run once each, without a result, and 05 fails on its own."""
    ended = published.run("--skip-loop")
    assert ended.exit_code == 5
    (prompt,) = ended.of("error_prompt")
    assert FINAL in prompt.error.message
    assert "05_canonicalize.sql" in prompt.error.message
    assert published.dwx("answer", "p1", "skip").exit_code == 21
    resumed = published.dwx("resume")
    assert resumed.exit_code == 4
    begun = [event.path for event in resumed.of("file_started")]
    assert begun == ["01_create_graph.sql"]
    assert len(paths(resumed, "not_needed")) == 3
    assert lookup(published) == EARLIER


# --- 7 to 9: statements ---------------------------------------------------------------------------


def test_after_a_failure_within_a_file_the_rest_runs_and_nothing_runs_twice(place: Place) -> None:
    """Mistake 7: nobody knows which statements committed, and running again doubles rows."""
    text = (
        "INSERT INTO counted VALUES (1);\nINSERT INTO counted VALUES (2);\n"
        "INSERT INTO counted SELECT {};\nINSERT INTO counted VALUES (4);\n"
    )
    workflow(
        place.cwd / "sql",
        f01="CREATE OR REPLACE TABLE counted (n INT)",
        f02=text.format("n FROM counted_elsewhere"),
        f03="CREATE OR REPLACE TABLE summed AS SELECT SUM(n) AS total FROM counted",
    )
    ended = place.run("--preflight", "off")
    assert ended.exit_code == 5
    (prompt,) = ended.of("error_prompt")
    assert (prompt.statement, prompt.outcome) == ("f2.s3", "not_committed")
    assert prompt.already_done == ("f2.s1", "f2.s2")
    assert (prompt.error.line, prompt.dependents) == (3, ("f3",))
    (place.cwd / "sql" / "02.sql").write_text(text.format("3"))
    assert place.dwx("answer", "p1", "retry").exit_code == 21
    resumed = place.dwx("resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert sorted(place.found.rows("counted")) == [(1,), (2,), (3,), (4,)]
    assert place.found.rows("summed") == [(10,)]


MARKUP = "[/Volumes/main/raw] is [bold]not[/bold] there [link=x]"


def test_a_question_without_a_stdin_is_no_traceback_and_brackets_in_an_error_are_text(
    place: Place,
) -> None:
    """Mistake 8: input() without stdin, and error text that is parsed as markup."""
    workflow(place.cwd / "sql", f01="SELECT 1")
    place.fault(f'error,sql="SELECT 1",text="[INTERNAL_ERROR] {MARKUP}. SQLSTATE: XX000"')
    ended = place.run("--preflight", "off", stdin=subprocess.DEVNULL)
    assert ended.exit_code == ended.last.exit_code == 5
    assert "Traceback" not in ended.stderr
    (prompt,) = ended.of("error_prompt")
    assert MARKUP in prompt.error.message
    for verb in (("status",), ("replay", str(ended.run_dir))):
        shown = place.dwx(*verb)
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert MARKUP in shown.stdout.decode()


def test_a_missing_token_is_named_and_not_waited_for(place: Place) -> None:
    """Mistake 8: getpass without a terminal hangs."""
    workflow(place.cwd / "sql", f01="SELECT 1")
    ended = dwx(*place.command(), cwd=place.cwd, stdin=subprocess.DEVNULL)
    assert ended.exit_code == ended.last.exit_code == 2
    assert "DATABRICKS_TOKEN" in ended.last.error.suggestion
    assert "Traceback" not in ended.stderr


def test_a_semicolon_ends_a_statement_only_where_sql_says_so(place: Place) -> None:
    """Mistake 9: text is split at every semicolon."""
    workflow(
        place.cwd / "sql",
        f01="""
-- don't stop here; this is a comment
CREATE OR REPLACE TABLE kept /* nor; here */ AS
SELECT 'a;b' AS one, 'two;\nlines' AS two, 'it\\'s; too' AS three, r'\\d;' AS four,
  'x;y' RLIKE '^[^;]+;[^;]+$' AS five, "c;d" AS six, `o;k`.n AS seven
FROM (SELECT 1 AS n) AS `o;k`; -- the first; and only one
INSERT INTO kept VALUES ('b', '', '', '', FALSE, '', 2);
""",
    )
    ended = place.run()
    assert ended.exit_code == 0, ended.last
    (plan,) = ended.of("plan")
    assert plan.total_statements == 2
    assert sorted(place.found.rows("kept")) == [
        ("a;b", "two;\nlines", "it's; too", "\\d;", True, "c;d", 1),
        ("b", "", "", "", False, "", 2),
    ]


# --- 10 and 11: numbers and maintenance -----------------------------------------------------------


def test_rows_affected_are_those_that_were_affected(place: Place) -> None:
    """Mistake 10: the rows of the result are counted, which is always one."""
    workflow(
        place.cwd / "sql",
        f01="CREATE OR REPLACE TABLE affected AS SELECT id FROM range(7)",
        f02="INSERT INTO affected SELECT id + 7 FROM range(5)",
        f03="UPDATE affected SET id = id + 100 WHERE id >= 9",
        f04="DELETE FROM affected WHERE id < 4",
        f05="MERGE INTO affected USING (SELECT id FROM range(6)) AS new ON affected.id = new.id "
        "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (new.id)",
    )
    ended = place.run()
    assert ended.exit_code == 0, ended.last
    told = [
        (event.file, event.total, event.inserted, event.updated, event.deleted)
        for event in ended.of("rows_affected")
    ]
    assert [(file, total) for file, total, *_ in told] == [
        ("f1", 7), ("f2", 5), ("f3", 3), ("f4", 4), ("f5", 6),
    ]  # fmt: skip
    assert told[4] == ("f5", 6, 4, 0, 2)
    assert [event.rows for event in ended.of("file_finished")] == [7, 5, 3, 4, 6]


def optimized(place: Place, ended: Ended) -> list[str]:
    return [
        event.table.removeprefix(f"main.{place.schema}.")
        for event in ended.of("optimized")
        if event.files_removed
    ]


MANY_FILES = {
    "f01": "CREATE OR REPLACE TABLE many (n INT);\n"
    + "".join(f"INSERT INTO many VALUES ({number});\n" for number in range(4)),
    "f02": "CREATE OR REPLACE TABLE empty (n INT)",
}


def test_tables_are_optimized_only_where_that_is_asked_for(place: Place) -> None:
    """Mistake 11: OPTIMIZE after every iteration, asked or not."""
    write_chain(place.cwd / "sql", CHAIN)
    ended = place.run()
    assert ended.exit_code == 0, ended.last
    assert ended.of("optimized") == []
    assert [one for one in sent(place) if "OPTIMIZE" in one.upper()] == []


def test_what_is_asked_for_is_optimized_once_it_is_filled_and_the_numbers_have_names(
    place: Place,
) -> None:
    """Mistakes 10 and 11: the flag optimizes an empty table; details are read by position."""
    workflow(place.cwd / "sql", **MANY_FILES)
    ended = place.run("--optimize-tables", "--optimize-min-files", "0")
    assert ended.exit_code == 0, ended.last
    assert optimized(place, ended) == ["many"]
    (many,) = [event for event in ended.of("optimized") if event.files_removed]
    assert (many.files_removed, many.files_added) == (4, 1)
    order = [event.type for event in ended.of("optimized", "file_finished")]
    assert order[0] == "file_finished"  # of the file that fills it
    assert sorted(place.found.rows("many")) == [(0,), (1,), (2,), (3,)]


# --- 12: order ------------------------------------------------------------------------------------


def test_files_run_in_the_order_of_their_numbers(place: Place) -> None:
    """Mistake 12: the order is that of texts, 100 before 99."""
    for number in (100, 9, 10, 99, 1):
        workflow(place.cwd / "sql", **{f"f{number}_step": "SELECT 1"})
    ended = place.run()
    assert ended.exit_code == 0, ended.last
    assert paths(ended, "completed") == [f"{n}_step.sql" for n in (1, 9, 10, 99, 100)]


def test_iterations_run_in_the_order_of_their_numbers_padded_or_not(place: Place) -> None:
    """Mistake 12: files are chosen by place in a list, in which 10 comes before 2."""
    first = iteration_sql("golden_id")
    sources = {
        f"f04_unify_loop_iteration_{number}": first.replace("loop_1", f"loop_{number}").replace(
            "loop_0", f"loop_{number - 1}"
        )
        for number in range(1, 12)
    }
    workflow(
        place.cwd / "sql",
        f01_create_graph=entry_sql("golden_id", chain_of(13)),
        f05_canonicalize=CANONICALIZE,
        **sources,
    )
    ended = place.run()
    assert ended.exit_code == 0, ended.last
    told = ended.of("iteration")
    assert [event.iteration for event in told] == list(range(1, len(told) + 1))
    assert len(told) > 11
    began = [event.path for event in ended.of("file_started") if "iteration" in event.path]
    assert began[:11] == [f"04_unify_loop_iteration_{number}.sql" for number in range(1, 12)]


def test_a_name_with_canonicalize_in_it_triggers_nothing(place: Place) -> None:
    """Mistake 12: such a file starts the loop, wherever it stands."""
    write_chain(place.cwd / "sql", CHAIN)
    workflow(place.cwd / "sql", f02_canonicalize_addresses="SELECT 1")
    ended = place.run()
    assert ended.exit_code == 0, ended.last
    order = [event.type for event in ended.of("file_started", "loop_started")]
    assert order[:3] == ["file_started", "file_started", "loop_started"]
    assert lookup(place) == UNIFIED


# --- 13: sessions and signals ---------------------------------------------------------------------


def history(place: Place) -> QueryHistory:
    def authorize(headers: dict[str, str]) -> None:
        headers["Authorization"] = f"Bearer {place.warehouse.token}"

    where = f"http://{place.warehouse.host}:{place.warehouse.port}"
    return QueryHistory(where, "local", authorize)


def sent(place: Place) -> list[str]:
    """Texts of the statements that the warehouse got last, where they name the schema."""
    answer = requests.get(
        f"http://{place.warehouse.host}:{place.warehouse.port}/api/2.0/sql/history/queries",
        headers={"Authorization": f"Bearer {place.warehouse.token}"},
        timeout=60,
    )
    texts = [entry["query_text"] for entry in answer.json()["res"]]
    return [text for text in texts if place.schema in text]


def test_a_session_that_is_lost_is_opened_again_and_nothing_is_lost_with_it(place: Place) -> None:
    """Mistake 13: one session, never reopened."""
    workflow(
        place.cwd / "sql",
        f01="CREATE OR REPLACE TABLE sessions (n INT);\nINSERT INTO sessions VALUES (1)",
        f02="INSERT INTO sessions VALUES (2)",
    )
    place.fault("session-lost-execute,statement=f1.s2")
    place.fault("session-lost-poll,statement=f2.s1")
    ended = place.run()
    assert ended.exit_code == 0, ended.last
    assert len(ended.of("reconnected")) == 2
    assert ended.of("error_prompt") == []
    assert sorted(place.found.rows("sessions")) == [(1,), (2,)]


def test_sigterm_cancels_the_statement_at_the_warehouse_and_ends_the_run_in_time(
    place: Place,
) -> None:
    """Mistake 13: the statement goes on, billed; closing can hang."""
    workflow(place.cwd / "sql", f01="CREATE OR REPLACE TABLE never AS SELECT 1 AS n")
    place.fault("slow-start,seconds=600,statement=f1.s1")
    with place.live("--stdout", "full") as program:
        submitted = program.until("statement_submitted")
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(STOPS_WITHIN_S) == 6
        ended = program.end()
    assert ended.last.exit_code == 6
    (event,) = ended.of("statement_finished")
    assert event.status == "cancelled"
    found = history(place).by_id(submitted.query_id)
    assert found is not None
    assert found.course == "cancelled"


@pytest.mark.skipif(sys.platform != "linux", reason="reads the command line from /proc")
@pytest.mark.parametrize("on_the_command_line", [False, True])
def test_the_token_is_not_among_what_ps_shows(place: Place, on_the_command_line: bool) -> None:
    """Mistake 13: --access-token in argv."""
    workflow(place.cwd / "sql", f01="SELECT * FROM nowhere")
    token = place.warehouse.token
    flags = ("--access-token", token) if on_the_command_line else ()
    given = {} if on_the_command_line else {"DATABRICKS_TOKEN": token}
    with live(*place.command(*flags), cwd=place.cwd, **given) as program:
        program.until("error_prompt")
        assert token not in in_ps(program)
        program.decide(prompt="p1", choice="abort")
        ended = program.end()
    (plan,) = ended.of("plan")
    warned = "TOKEN_IN_ARGV" in [warning.code for warning in plan.warnings]
    assert warned is on_the_command_line


def in_ps(program: Live) -> str:
    shown = Path(f"/proc/{program.process.pid}/cmdline").read_bytes()
    assert b"run" in shown
    return shown.decode()


# --- 14: documented but absent --------------------------------------------------------------------


def test_what_passes_by_itself_is_tried_again_and_told(place: Place) -> None:
    """Mistake 14: retry and reconnect."""
    workflow(place.cwd / "sql", f01="CREATE OR REPLACE TABLE again AS SELECT 1 AS n")
    place.fault(
        'error,statement=f1.s1,text="[DELTA_CONCURRENT_APPEND] Another writer. SQLSTATE: 2D521"'
    )
    ended = place.run()
    assert ended.exit_code == 0, ended.last
    (event,) = ended.of("retrying")
    assert event.statement == "f1.s1"
    assert place.found.rows("again") == [(1,)]


def test_a_run_is_cancelled_from_elsewhere(place: Place) -> None:
    """Mistake 14: cancel."""
    workflow(place.cwd / "sql", f01="CREATE OR REPLACE TABLE never AS SELECT 1 AS n")
    place.fault("slow-start,seconds=600,statement=f1.s1")
    with place.live("--stdout", "full") as program:
        program.until("statement_submitted")
        assert place.dwx("cancel").exit_code == 0
        assert program.end().exit_code == 6


def test_a_run_leaves_a_log_with_the_time_of_each_file_and_the_severity_of_each_error(
    place: Place,
) -> None:
    """Mistake 14: timings per file, severity, a log file."""
    workflow(place.cwd / "sql", f01="SELECT 1", f02="SELECT * FROM nowhere", f03="SELECT 2")
    ended = place.run("--preflight", "off", "--on-unanswered", "skip")
    assert ended.exit_code == 4
    assert (ended.run_dir / "events.jsonl").is_file()
    finished = ended.of("file_finished")
    assert [(event.path, event.status) for event in finished] == [
        ("01.sql", "completed"), ("02.sql", "failed"), ("03.sql", "completed"),
    ]  # fmt: skip
    assert all(isinstance(event.elapsed_ms, int) for event in finished)
    assert {one.statement for one in ended.last.slowest} <= {"f1.s1", "f2.s1", "f3.s1"}
    (prompt,) = ended.of("error_prompt")
    assert prompt.error.severity == "critical"
    shown = place.dwx("replay", str(ended.run_dir)).stdout.decode()
    assert "✓ 01.sql" in shown
    assert "✗ 02.sql" in shown


def test_what_a_run_has_made_is_checked_and_its_coverage_told(place: Place) -> None:
    """Mistake 14: coverage and validation."""
    (place.cwd / "sql").symlink_to(EXAMPLE)
    ended = place.run("--checks", "fail", "--var", "customers=60")
    assert ended.exit_code == 0, ended.last
    checks = [event for event in ended.of("check") if event.phase == "final"]
    assert {event.status for event in checks} == {"passed"}
    assert ended.last.coverage
    assert all(0 < share <= 1 for share in ended.last.coverage.values())
