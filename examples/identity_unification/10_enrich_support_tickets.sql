USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- Adds to each row of support_tickets the canonical id of its person. The rules are those of
-- 02_extract_merge. All identifiers of one row belong to one person, so the first that is usable
-- finds that person. A row without a usable identifier keeps its place and gets no id.

CREATE OR REPLACE TABLE ${catalog}.${schema}.enriched_support_tickets_tmp
USING DELTA
AS
WITH normalised AS (
  SELECT
    *,
    UPPER(REGEXP_REPLACE(customer_id, '[^0-9A-Za-z]', '')) AS clean_customer_id,
    LOWER(REGEXP_REPLACE(reply_email, '\\s+', '')) AS clean_email,
    REGEXP_REPLACE(
      REGEXP_REPLACE(caller_phone, r'[^\d+]', ''), '^(\\+49|0049|0)', '+49'
    ) AS clean_phone
  FROM ${catalog}.${schema}.support_tickets
),
identified AS (
  SELECT
    *,
    COALESCE(
      CASE
        WHEN clean_customer_id RLIKE '^C[0-9]{7}$' AND clean_customer_id <> 'C0000000'
          THEN NAMED_STRUCT('ns', 1, 'id', clean_customer_id)
      END,
      CASE
        WHEN clean_email RLIKE '^[^@;\\s]+@[^@;\\s]+\\.[a-z]{2,}$'
          AND clean_email <> 'test@test.com'
          THEN NAMED_STRUCT('ns', 2, 'id', clean_email)
      END,
      CASE
        WHEN clean_phone RLIKE '^\\+49[1-9][0-9]{6,12}$' AND clean_phone <> '+49305550100'
          THEN NAMED_STRUCT('ns', 3, 'id', clean_phone)
      END
    ) AS key
  FROM normalised
)
SELECT
  identified.ticket_id,
  identified.customer_id,
  identified.caller_phone,
  identified.reply_email,
  identified.subject,
  identified.opened_on,
  lookup.canonical_id AS unified_id
FROM identified
LEFT JOIN ${catalog}.${schema}.unified_id_lookup AS lookup
  ON identified.key.id = lookup.id
  AND identified.key.ns = lookup.id_key_type;

DROP TABLE IF EXISTS ${catalog}.${schema}.enriched_support_tickets;
ALTER TABLE ${catalog}.${schema}.enriched_support_tickets_tmp
  RENAME TO ${catalog}.${schema}.enriched_support_tickets;
