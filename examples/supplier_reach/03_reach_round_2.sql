USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- One round of the loop. The longest ways known so far are continued by every known way, so the
-- reach doubles with each round: 1, 2, 4, 8 hops, and forty hops take six rounds, not forty. That
-- misses nothing: a way of up to twice the longest length begins with one of exactly that length.
-- Of several ways between two companies the shortest is kept. When a round changes nothing, every
-- supplier that can be reached is there.

CREATE OR REPLACE TABLE ${catalog}.${schema}.reach_2
USING DELTA
AS
WITH longest AS (
  SELECT company, supplier, hops
  FROM ${catalog}.${schema}.reach_1
  WHERE hops = (SELECT MAX(hops) FROM ${catalog}.${schema}.reach_1)
),
known AS (
  SELECT company, supplier, hops
  FROM ${catalog}.${schema}.reach_1
  UNION ALL
  SELECT longest.company, onward.supplier, longest.hops + onward.hops AS hops
  FROM longest
  JOIN ${catalog}.${schema}.reach_1 AS onward
    ON longest.supplier = onward.company
  WHERE longest.company <> onward.supplier
)
SELECT company, supplier, MIN(hops) AS hops
FROM known
GROUP BY company, supplier;
