USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- Makes the source tables of this example: ${companies} companies and the contracts between them.
-- Everything is computed from the company's number and its MD5 digest, so the same size gives the
-- same rows on every machine.
--
-- A hundred companies are one industry. Each buys from the next one and often from the second and
-- the third after it, so goods pass through dozens of hands. In every other industry the last
-- company buys from one in the middle: such a cycle must not make the loop run for ever.

CREATE OR REPLACE TABLE ${catalog}.${schema}.companies
USING DELTA
AS
WITH numbered AS (
  SELECT CAST(number AS BIGINT) - 1 AS company_no
  FROM (SELECT EXPLODE(SEQUENCE(1, ${companies})) AS number) AS numbers
),
hashed AS (
  SELECT company_no, MD5(CONCAT('company ', CAST(company_no AS STRING))) AS digest
  FROM numbered
),
drawn AS (
  -- Four hexadecimal digits of a digest are a number from 0 to 65535.
  SELECT
    company_no,
    CAST(CONV(SUBSTRING(digest, 1, 4), 16, 10) AS BIGINT) AS name_draw,
    CAST(CONV(SUBSTRING(digest, 5, 4), 16, 10) AS BIGINT) AS country_draw,
    CAST(CONV(SUBSTRING(digest, 9, 4), 16, 10) AS BIGINT) AS second_draw,
    CAST(CONV(SUBSTRING(digest, 13, 4), 16, 10) AS BIGINT) AS third_draw
  FROM hashed
)
SELECT
  company_no,
  CONCAT('CO', LPAD(CAST(company_no AS STRING), 7, '0')) AS company,
  CONCAT(
    ELEMENT_AT(
      ARRAY('Nordwind', 'O\'Neill; Sons', 'Rossi', 'Van den Berg', 'Zieliński'),
      CAST(1 + name_draw % 5 AS INT)
    ),
    ' ',
    CAST(company_no AS STRING)
  ) AS company_name,
  ELEMENT_AT(ARRAY('DE', 'FR', 'IE', 'IT', 'PL'), CAST(1 + country_draw % 5 AS INT)) AS country,
  company_no DIV 100 AS industry,
  second_draw % 10 < 5 AS buys_from_second,
  third_draw % 10 < 2 AS buys_from_third
FROM drawn;

-- Contracts as people type them: some twice, in small letters, with a company as its own supplier,
-- or with no supplier at all.
CREATE OR REPLACE TABLE ${catalog}.${schema}.supply_contracts
USING DELTA
AS
SELECT buyers.company AS buyer, sellers.company AS seller, 'goods' AS subject
FROM ${catalog}.${schema}.companies AS buyers
JOIN ${catalog}.${schema}.companies AS sellers
  ON buyers.industry = sellers.industry
WHERE sellers.company_no = buyers.company_no + 1
  OR (sellers.company_no = buyers.company_no + 2 AND buyers.buys_from_second)
  OR (sellers.company_no = buyers.company_no + 3 AND buyers.buys_from_third)
UNION ALL
SELECT buyers.company AS buyer, sellers.company AS seller, 'scrap, sold back' AS subject
FROM ${catalog}.${schema}.companies AS buyers
JOIN ${catalog}.${schema}.companies AS sellers
  ON buyers.industry = sellers.industry
WHERE buyers.industry % 2 = 0
  AND buyers.company_no % 100 = 99
  AND sellers.company_no % 100 = 60
UNION ALL
SELECT LOWER(buyers.company) AS buyer, CONCAT(' ', sellers.company) AS seller, 'renewal' AS subject
FROM ${catalog}.${schema}.companies AS buyers
JOIN ${catalog}.${schema}.companies AS sellers
  ON buyers.company_no + 1 = sellers.company_no
  AND buyers.industry = sellers.industry
WHERE buyers.company_no % 7 = 0
UNION ALL
SELECT company AS buyer, company AS seller, 'internal; not a supply' AS subject
FROM ${catalog}.${schema}.companies
WHERE company_no % 11 = 0
UNION ALL
SELECT company AS buyer, '' AS seller, 'draft' AS subject
FROM ${catalog}.${schema}.companies
WHERE company_no % 13 = 0;
