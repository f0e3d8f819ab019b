"""Directories of SQL to test with: written as strings, put on disk by `write`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from executor.workflow.load import load_workflow
from executor.workflow.model import Workflow

USE = "USE CATALOG lake;\nUSE SCHEMA crm;\n\n"


def write(directory: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = directory / name
        if isinstance(content, str):
            path.write_bytes(content.encode())
        else:
            path.write_bytes(content)
    return directory


def loaded(directory: Path, files: Mapping[str, str | bytes], **values: str) -> Workflow:
    """The workflow of these files in catalog `lake` and schema `crm`."""
    write(directory, files)
    return load_workflow(directory, vars={"catalog": "lake", "schema": "crm", **values})


def codes(workflow: Workflow) -> list[str]:
    return [warning.code for warning in workflow.warnings]


def iteration(number: int, prefix: str = "golden_id") -> str:
    """One step of a loop that gives each follower the smallest leader of its neighbours."""
    this, before = (f"lake.crm.{prefix}_graph_unify_loop_{n}" for n in (number, number - 1))
    return f"""{USE}CREATE OR REPLACE TABLE {this}
(follower_id STRING, leader_id STRING) USING DELTA;

INSERT INTO {this}
-- step {number}: isn't done; yet
WITH smallest AS (
  SELECT follower_id, MIN(STRUCT(leader_id)) AS best FROM {before} GROUP BY follower_id
)
SELECT edges.follower_id, COALESCE(smallest.best.leader_id, edges.leader_id) AS leader_id
FROM {before} AS edges LEFT JOIN smallest ON edges.leader_id = smallest.follower_id;
"""


def _swap(table: str) -> str:
    return (
        f"DROP TABLE IF EXISTS lake.crm.{table};\n"
        f"ALTER TABLE lake.crm.{table}_tmp RENAME TO {table};\n"
    )


def _filled(table: str, query: str) -> str:
    return (
        f"{USE}CREATE OR REPLACE TABLE lake.crm.{table} (name STRING, total BIGINT) USING DELTA;\n"
        f"INSERT INTO lake.crm.{table}\n{query};\n"
    )


def identity_unification(iterations: int = 6, prefix: str = "golden_id") -> dict[str, str]:
    """The files of an identity unification of three sources, 18 with six iterations less one."""
    loop = f"lake.crm.{prefix}_graph_unify_loop"
    sources = ("shop", "app", "calls")
    extract = "\nUNION ALL\n".join(
        f"SELECT email AS follower_id, email AS leader_id FROM raw.in.{source} "
        "WHERE email NOT IN ('a;b', 'it''s', '\\\\d+;') AND email RLIKE '^[^;]+$'"
        for source in sources
    )
    files = {
        "01_create_graph.sql": f"{USE}CREATE OR REPLACE TABLE {loop}_0 "
        "(follower_id STRING, leader_id STRING) USING DELTA;\n",
        "02_extract_merge.sql": f"{USE}INSERT INTO {loop}_0\n{extract};\n",
        "03_source_key_stats.sql": _filled(
            f"{prefix}_source_key_stats",
            f"SELECT follower_id, COUNT(*) FROM {loop}_0 GROUP BY GROUPING SETS ((), (1))",
        ),
        "05_canonicalize.sql": f"""{USE}
CREATE OR REPLACE TABLE lake.crm.{prefix}_keys_tmp USING DELTA AS SELECT 1 AS id;
CREATE OR REPLACE TABLE lake.crm.{prefix}_tables_tmp USING DELTA AS SELECT 1 AS id;
CREATE OR REPLACE TABLE lake.crm.{prefix}_lookup_tmp USING DELTA AS
SELECT graph.follower_id AS id, CASE WHEN keys.id > 0 THEN graph.leader_id END AS canonical_id
FROM {loop}_final graph CROSS JOIN lake.crm.{prefix}_keys_tmp keys;
"""
        + _swap(f"{prefix}_lookup")
        + _swap(f"{prefix}_keys")
        + _swap(f"{prefix}_tables")
        + f"DROP TABLE IF EXISTS lake.crm.{prefix}_graph;\n"
        f"ALTER TABLE {loop}_final RENAME TO {prefix}_graph;",
        "06_result_key_stats.sql": _filled(
            f"{prefix}_result_key_stats",
            f"SELECT 'all', COUNT(DISTINCT leader_id) FROM lake.crm.{prefix}_graph",
        ),
        "20_master_people.sql": f"{USE}CREATE OR REPLACE TABLE lake.crm.people_tmp USING DELTA AS\n"
        + "\nUNION ALL\n".join(f"SELECT * FROM lake.crm.enriched_{one}" for one in sources)
        + ";\n"
        + _swap("people"),
        "30_unification_metadata.sql": _filled("unification_metadata", "SELECT 'x', 1"),
        "31_filter_lookup.sql": _filled("filter_lookup", "SELECT 'x', 1"),
        "32_column_lookup.sql": _filled("column_lookup", "SELECT 'x', 1"),
    }
    for number in range(1, iterations + 1):
        files[f"04_unify_loop_iteration_{number:02}.sql"] = iteration(number, prefix)
    for source in sources:
        files[f"10_enrich_{source}.sql"] = (
            f"{USE}CREATE OR REPLACE TABLE lake.crm.enriched_{source}_tmp USING DELTA AS\n"
            f"SELECT p.*, k.canonical_id FROM raw.in.{source} p "
            f"LEFT JOIN lake.crm.{prefix}_lookup k ON p.email = k.id;\n"
            + _swap(f"enriched_{source}")
        )
    return files
