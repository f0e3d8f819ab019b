USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- Turns the converged graph into the tables that people use: a lookup from every identifier to its
-- canonical id, and the names behind the numbers in it. Each table is made under a temporary name
-- and renamed at the end. The last rename consumes unified_id_graph_unify_loop_final, which the
-- executor makes from the last iteration of the loop.

-- The canonical id is a pure function of the leader: 12 bytes of its SHA-256, the first 60 bits of
-- them mixed with a constant of ours, written in the 64 characters that are safe in URLs. So it
-- doesn't change from run to run as long as the leader stays the same.
CREATE OR REPLACE TABLE ${catalog}.${schema}.unified_id_lookup_tmp
USING DELTA
AS
WITH leaders AS (
  SELECT
    leader_ns,
    leader_id,
    SHA2(CONCAT(CAST(leader_ns AS STRING), ':', leader_id), 256) AS digest
  FROM ${catalog}.${schema}.unified_id_graph_unify_loop_final
  GROUP BY leader_ns, leader_id
),
mixed AS (
  SELECT
    leader_ns,
    leader_id,
    CAST(CONV(SUBSTRING(digest, 1, 15), 16, 10) AS BIGINT)
      ^ CAST(811573429674613 AS BIGINT) AS head,
    SUBSTRING(digest, 16, 9) AS tail
  FROM leaders
),
canonical AS (
  SELECT
    leader_ns,
    leader_id,
    TRANSLATE(
      BASE64(UNHEX(CONCAT(LPAD(CONV(CAST(head AS STRING), 10, 16), 15, '0'), tail))),
      '+/',
      '-_'
    ) AS canonical_id
  FROM mixed
)
SELECT
  canonical.canonical_id,
  edges.follower_id AS id,
  edges.follower_ns AS id_key_type
FROM ${catalog}.${schema}.unified_id_graph_unify_loop_final AS edges
JOIN canonical
  ON edges.leader_ns = canonical.leader_ns
  AND edges.leader_id = canonical.leader_id;

CREATE OR REPLACE TABLE ${catalog}.${schema}.unified_id_keys_tmp
USING DELTA
AS
SELECT 1 AS key_type, 'customer_id' AS key_name
UNION ALL
SELECT 2 AS key_type, 'email' AS key_name
UNION ALL
SELECT 3 AS key_type, 'phone' AS key_name;

CREATE OR REPLACE TABLE ${catalog}.${schema}.unified_id_tables_tmp
USING DELTA
AS
SELECT 1 AS table_id, 'crm_customers' AS table_name
UNION ALL
SELECT 2 AS table_id, 'web_orders' AS table_name
UNION ALL
SELECT 3 AS table_id, 'support_tickets' AS table_name;

DROP TABLE IF EXISTS ${catalog}.${schema}.unified_id_lookup;
ALTER TABLE ${catalog}.${schema}.unified_id_lookup_tmp
  RENAME TO ${catalog}.${schema}.unified_id_lookup;

DROP TABLE IF EXISTS ${catalog}.${schema}.unified_id_keys;
ALTER TABLE ${catalog}.${schema}.unified_id_keys_tmp
  RENAME TO ${catalog}.${schema}.unified_id_keys;

DROP TABLE IF EXISTS ${catalog}.${schema}.unified_id_tables;
ALTER TABLE ${catalog}.${schema}.unified_id_tables_tmp
  RENAME TO ${catalog}.${schema}.unified_id_tables;

DROP TABLE IF EXISTS ${catalog}.${schema}.unified_id_graph;
ALTER TABLE ${catalog}.${schema}.unified_id_graph_unify_loop_final
  RENAME TO ${catalog}.${schema}.unified_id_graph;
