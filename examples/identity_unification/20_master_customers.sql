USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- One row per person: the newest name and city, all consents ever given, every identifier, and
-- what the person did. Whoever has no CRM account at all is here too, without a name.

CREATE OR REPLACE TABLE ${catalog}.${schema}.master_customers_tmp
USING DELTA
AS
WITH accounts AS (
  SELECT
    unified_id,
    COUNT(*) AS crm_records,
    -- The largest structure is the newest record; record_no decides between two of one day.
    MAX(STRUCT(updated_on, record_no, full_name, city)) AS newest
  FROM ${catalog}.${schema}.enriched_crm_customers
  WHERE unified_id IS NOT NULL
  GROUP BY unified_id
),
consents AS (
  SELECT unified_id, SORT_ARRAY(COLLECT_SET(consent)) AS consents
  FROM (
    SELECT unified_id, SPLIT(consents, ';') AS given
    FROM ${catalog}.${schema}.enriched_crm_customers
    WHERE unified_id IS NOT NULL
  ) AS records
  LATERAL VIEW EXPLODE(given) exploded AS consent
  GROUP BY unified_id
),
purchases AS (
  SELECT
    unified_id,
    COUNT(*) AS orders,
    SUM(amount_cents) AS spent_cents,
    MIN(ordered_on) AS first_order_on,
    MAX(ordered_on) AS last_order_on
  FROM ${catalog}.${schema}.enriched_web_orders
  WHERE unified_id IS NOT NULL
  GROUP BY unified_id
),
requests AS (
  SELECT unified_id, COUNT(*) AS tickets
  FROM ${catalog}.${schema}.enriched_support_tickets
  WHERE unified_id IS NOT NULL
  GROUP BY unified_id
),
people AS (
  SELECT
    canonical_id,
    COLLECT_LIST(STRUCT(id_key_type, id)) AS identifiers
  FROM ${catalog}.${schema}.unified_id_lookup
  GROUP BY canonical_id
)
SELECT
  people.canonical_id AS unified_id,
  accounts.newest.full_name AS full_name,
  accounts.newest.city AS city,
  consents.consents,
  SORT_ARRAY(
    TRANSFORM(FILTER(people.identifiers, key -> key.id_key_type = 1), key -> key.id)
  ) AS customer_ids,
  SORT_ARRAY(
    TRANSFORM(FILTER(people.identifiers, key -> key.id_key_type = 2), key -> key.id)
  ) AS emails,
  SORT_ARRAY(
    TRANSFORM(FILTER(people.identifiers, key -> key.id_key_type = 3), key -> key.id)
  ) AS phones,
  COALESCE(accounts.crm_records, 0) AS crm_records,
  COALESCE(purchases.orders, 0) AS orders,
  COALESCE(purchases.spent_cents, 0) AS spent_cents,
  purchases.first_order_on,
  purchases.last_order_on,
  COALESCE(requests.tickets, 0) AS tickets
FROM people
LEFT JOIN accounts ON people.canonical_id = accounts.unified_id
LEFT JOIN consents ON people.canonical_id = consents.unified_id
LEFT JOIN purchases ON people.canonical_id = purchases.unified_id
LEFT JOIN requests ON people.canonical_id = requests.unified_id;

DROP TABLE IF EXISTS ${catalog}.${schema}.master_customers;
ALTER TABLE ${catalog}.${schema}.master_customers_tmp
  RENAME TO ${catalog}.${schema}.master_customers;
