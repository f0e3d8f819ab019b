USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- Who made the ids, from what, and when (seconds since 1970, UTC). Nothing depends on this table.

CREATE OR REPLACE TABLE ${catalog}.${schema}.unification_metadata (
  canonical_id_name STRING,
  canonical_id_method STRING,
  key_names ARRAY<STRING>,
  source_tables ARRAY<STRING>,
  created_at BIGINT
)
USING DELTA;

INSERT INTO ${catalog}.${schema}.unification_metadata
SELECT
  'unified_id' AS canonical_id_name,
  'first 12 bytes of SHA-256 of the leader; 60 bits mixed; base64 for URLs' AS canonical_id_method,
  ARRAY('customer_id', 'email', 'phone') AS key_names,
  ARRAY('crm_customers', 'web_orders', 'support_tickets') AS source_tables,
  UNIX_TIMESTAMP() AS created_at;
