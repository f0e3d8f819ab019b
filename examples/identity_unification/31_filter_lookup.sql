USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- The rules of 02_extract_merge as data, for whoever asks why a value wasn't used: the pattern
-- that a value must match after normalisation, and the values that are refused all the same.
-- Nothing depends on this table.

CREATE OR REPLACE TABLE ${catalog}.${schema}.filter_lookup (
  key_name STRING,
  valid_regexp STRING,
  invalid_texts ARRAY<STRING>,
  example_of_refused STRING
)
USING DELTA;

INSERT INTO ${catalog}.${schema}.filter_lookup
SELECT
  'customer_id' AS key_name,
  '^C[0-9]{7}$' AS valid_regexp,
  ARRAY('C0000000') AS invalid_texts,
  'N/A' AS example_of_refused
UNION ALL
SELECT
  'email' AS key_name,
  '^[^@;\\s]+@[^@;\\s]+\\.[a-z]{2,}$' AS valid_regexp,
  ARRAY('test@test.com') AS invalid_texts,
  'a;b' AS example_of_refused
UNION ALL
SELECT
  'phone' AS key_name,
  '^\\+49[1-9][0-9]{6,12}$' AS valid_regexp,
  ARRAY('+49305550100') AS invalid_texts,
  '0000000000' AS example_of_refused;
