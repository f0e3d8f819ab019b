USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- The entry table of the loop: who buys from whom directly, one hop away, each pair once.

CREATE OR REPLACE TABLE ${catalog}.${schema}.reach_0
USING DELTA
AS
WITH normalised AS (
  SELECT UPPER(TRIM(buyer)) AS company, UPPER(TRIM(seller)) AS supplier
  FROM ${catalog}.${schema}.supply_contracts
)
SELECT DISTINCT company, supplier, 1 AS hops
FROM normalised
WHERE company <> supplier
  AND supplier <> '';
