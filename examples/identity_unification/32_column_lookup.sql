USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- Which column of which source holds which kind of identifier. Nothing depends on this table.

CREATE OR REPLACE TABLE ${catalog}.${schema}.column_lookup (
  table_name STRING,
  column_name STRING,
  key_name STRING
)
USING DELTA;

INSERT INTO ${catalog}.${schema}.column_lookup (table_name, column_name, key_name)
VALUES
  ('crm_customers', 'customer_id', 'customer_id'),
  ('crm_customers', 'email', 'email'),
  ('crm_customers', 'phone', 'phone'),
  ('web_orders', 'customer_id', 'customer_id'),
  ('web_orders', 'email', 'email'),
  ('web_orders', 'phone', 'phone'),
  ('support_tickets', 'customer_id', 'customer_id'),
  ('support_tickets', 'reply_email', 'email'),
  ('support_tickets', 'caller_phone', 'phone');
