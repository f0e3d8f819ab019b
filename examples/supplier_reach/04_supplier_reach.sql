USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- The result: every supplier that a company reaches, with names and the number of hops. Reads
-- reach_final, which the executor makes from the last round of the loop.

CREATE OR REPLACE TABLE ${catalog}.${schema}.supplier_reach
USING DELTA
AS
SELECT
  reach.company,
  buyers.company_name,
  reach.supplier,
  sellers.company_name AS supplier_name,
  sellers.country AS supplier_country,
  reach.hops,
  reach.hops = 1 AS is_direct
FROM ${catalog}.${schema}.reach_final AS reach
JOIN ${catalog}.${schema}.companies AS buyers
  ON reach.company = buyers.company
JOIN ${catalog}.${schema}.companies AS sellers
  ON reach.supplier = sellers.company;
