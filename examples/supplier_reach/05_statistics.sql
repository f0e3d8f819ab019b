USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- How far the reach goes, by country of the supplier; '*' is all countries together. Nothing
-- depends on this table, so a failure here doesn't stop the run (see workflow.toml).

CREATE OR REPLACE TABLE ${catalog}.${schema}.supplier_reach_statistics (
  supplier_country STRING,
  pairs BIGINT,
  direct_pairs BIGINT,
  companies BIGINT,
  suppliers BIGINT,
  most_hops INT
)
USING DELTA;

INSERT INTO ${catalog}.${schema}.supplier_reach_statistics
SELECT
  CASE WHEN GROUPING(supplier_country) = 1 THEN '*' ELSE supplier_country END AS supplier_country,
  COUNT(*) AS pairs,
  SUM(CASE WHEN is_direct THEN 1 ELSE 0 END) AS direct_pairs,
  COUNT(DISTINCT company) AS companies,
  COUNT(DISTINCT supplier) AS suppliers,
  MAX(hops) AS most_hops
FROM ${catalog}.${schema}.supplier_reach
GROUP BY GROUPING SETS ((supplier_country), ());
