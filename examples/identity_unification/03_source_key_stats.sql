USE CATALOG ${catalog};
USE SCHEMA ${schema};

/* How well are the sources filled? One row per source table, and the row '*' for all together.
   Counted before normalisation, so "filled" includes placeholders; compare it with the result
   statistics (06) to see what the rules threw away. Nothing depends on this table. */

CREATE OR REPLACE TABLE ${catalog}.${schema}.unified_id_source_key_stats (
  from_table STRING,
  total_rows BIGINT,
  filled_customer_id BIGINT,
  filled_email BIGINT,
  filled_phone BIGINT,
  distinct_customer_id BIGINT,
  distinct_email BIGINT,
  distinct_phone BIGINT
)
USING DELTA;

INSERT INTO ${catalog}.${schema}.unified_id_source_key_stats
WITH collected AS (
  SELECT 'crm_customers' AS from_table, customer_id, email, phone
  FROM ${catalog}.${schema}.crm_customers
  UNION ALL
  SELECT 'web_orders' AS from_table, customer_id, email, phone
  FROM ${catalog}.${schema}.web_orders
  UNION ALL
  SELECT 'support_tickets' AS from_table, customer_id, reply_email AS email, caller_phone AS phone
  FROM ${catalog}.${schema}.support_tickets
),
trimmed AS (
  SELECT
    from_table,
    NULLIF(TRIM(customer_id), '') AS customer_id,
    NULLIF(TRIM(email), '') AS email,
    NULLIF(TRIM(phone), '') AS phone
  FROM collected
)
SELECT
  CASE WHEN GROUPING(from_table) = 1 THEN '*' ELSE from_table END AS from_table,
  COUNT(*) AS total_rows,
  COUNT(customer_id) AS filled_customer_id,
  COUNT(email) AS filled_email,
  COUNT(phone) AS filled_phone,
  COUNT(DISTINCT customer_id) AS distinct_customer_id,
  COUNT(DISTINCT email) AS distinct_email,
  COUNT(DISTINCT phone) AS distinct_phone
FROM trimmed
GROUP BY GROUPING SETS ((from_table), ());
