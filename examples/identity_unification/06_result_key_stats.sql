USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- What came out: how many people there are, how many of them have each kind of identifier, and how
-- many identifiers one person has. A large largest_cluster means that an identifier which isn't
-- personal slipped through the rules of 02. Nothing depends on this table.

CREATE OR REPLACE TABLE ${catalog}.${schema}.unified_id_result_key_stats (
  from_table STRING,
  total_distinct BIGINT,
  distinct_with_customer_id BIGINT,
  distinct_with_email BIGINT,
  distinct_with_phone BIGINT,
  largest_cluster BIGINT,
  people_by_cluster_size MAP<BIGINT, BIGINT>
)
USING DELTA;

INSERT INTO ${catalog}.${schema}.unified_id_result_key_stats
WITH people AS (
  SELECT
    canonical_id,
    COUNT(*) AS identifiers,
    MAX(CASE WHEN id_key_type = 1 THEN 1 ELSE 0 END) AS with_customer_id,
    MAX(CASE WHEN id_key_type = 2 THEN 1 ELSE 0 END) AS with_email,
    MAX(CASE WHEN id_key_type = 3 THEN 1 ELSE 0 END) AS with_phone
  FROM ${catalog}.${schema}.unified_id_lookup
  GROUP BY canonical_id
),
sizes AS (
  SELECT
    identifiers,
    COUNT(*) AS total,
    SUM(with_customer_id) AS with_customer_id,
    SUM(with_email) AS with_email,
    SUM(with_phone) AS with_phone
  FROM people
  GROUP BY identifiers
),
gathered AS (
  SELECT
    SUM(total) AS total_distinct,
    SUM(with_customer_id) AS distinct_with_customer_id,
    SUM(with_email) AS distinct_with_email,
    SUM(with_phone) AS distinct_with_phone,
    MAX(identifiers) AS largest_cluster,
    COLLECT_LIST(STRUCT(identifiers, total)) AS histogram
  FROM sizes
)
SELECT
  '*' AS from_table,
  COALESCE(total_distinct, 0) AS total_distinct,
  COALESCE(distinct_with_customer_id, 0) AS distinct_with_customer_id,
  COALESCE(distinct_with_email, 0) AS distinct_with_email,
  COALESCE(distinct_with_phone, 0) AS distinct_with_phone,
  COALESCE(largest_cluster, 0) AS largest_cluster,
  MAP_FROM_ARRAYS(
    TRANSFORM(histogram, bar -> bar.identifiers),
    TRANSFORM(histogram, bar -> bar.total)
  ) AS people_by_cluster_size
FROM gathered;
