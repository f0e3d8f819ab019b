USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- Fills the graph from the three sources. Each source row gives up to three identifiers; they are
-- brought to one spelling, placeholders are thrown away, and the smallest of the row becomes the
-- leader of all of them (of itself too). A row without a usable identifier gives nothing.
--
-- This file appends: to run it again, run 01_create_graph first, or rows that were extracted by
-- an earlier run stay in the graph.

INSERT INTO ${catalog}.${schema}.unified_id_graph_unify_loop_0
WITH collected AS (
  SELECT customer_id, email, phone FROM ${catalog}.${schema}.crm_customers
  UNION ALL
  SELECT customer_id, email, phone FROM ${catalog}.${schema}.web_orders
  UNION ALL
  SELECT customer_id, reply_email AS email, caller_phone AS phone
  FROM ${catalog}.${schema}.support_tickets
),
normalised AS (
  SELECT
    UPPER(REGEXP_REPLACE(customer_id, '[^0-9A-Za-z]', '')) AS customer_id,
    LOWER(REGEXP_REPLACE(email, '\\s+', '')) AS email,
    REGEXP_REPLACE(REGEXP_REPLACE(phone, r'[^\d+]', ''), '^(\\+49|0049|0)', '+49') AS phone
  FROM collected
),
identified AS (
  SELECT
    FILTER(
      ARRAY(
        NAMED_STRUCT('ns', 1, 'id', CASE
          WHEN customer_id RLIKE '^C[0-9]{7}$' AND customer_id <> 'C0000000' THEN customer_id
        END),
        NAMED_STRUCT('ns', 2, 'id', CASE
          WHEN email RLIKE '^[^@;\\s]+@[^@;\\s]+\\.[a-z]{2,}$' AND email <> 'test@test.com'
            THEN email
        END),
        NAMED_STRUCT('ns', 3, 'id', CASE
          -- The second number is the call centre's own; it would make one person of all callers.
          WHEN phone RLIKE '^\\+49[1-9][0-9]{6,12}$' AND phone <> '+49305550100' THEN phone
        END)
      ),
      key -> key.id IS NOT NULL
    ) AS keys
  FROM normalised
)
SELECT DISTINCT
  key.id AS follower_id,
  key.ns AS follower_ns,
  leader.id AS leader_id,
  leader.ns AS leader_ns
FROM (
  -- The array lists the namespaces in ascending order, so its first key is the smallest.
  SELECT keys, keys[0] AS leader
  FROM identified
  WHERE SIZE(keys) > 0
) AS led
LATERAL VIEW EXPLODE(keys) exploded AS key;
