USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- Makes the three source tables of this example. Delete this file to run the rest on tables of
-- your own.
--
-- It makes ${customers} customers (1 to 9,999,999). Everything is computed from the customer's
-- number and its MD5 digest: the same size gives the same rows on every machine. Customers come in
-- blocks of 100, and what is interesting about one is decided by its place (0 to 99) in the block:
--   place 11 to 17   one trader with seven accounts, each linked to the next by an order or a
--                    ticket only: a chain, which is what makes the loop work hard
--   place 40 to 79   families of four, some of which share a landline
--   place 91 and 95  two customers who use one e-mail address
--   any place        typing variants, placeholders such as 'N/A', and the call centre's number
-- No link leaves its block, so no cluster can grow large.

CREATE OR REPLACE TABLE ${catalog}.${schema}.made_people
USING DELTA
AS
WITH numbered AS (
  SELECT CAST(number AS BIGINT) AS customer_no
  FROM (SELECT EXPLODE(SEQUENCE(1, ${customers})) AS number) AS numbers
),
hashed AS (
  SELECT
    customer_no,
    customer_no DIV 100 AS block,
    customer_no % 100 AS place,
    MD5(CONCAT('person ', CAST(customer_no AS STRING))) AS digest,
    MD5(CONCAT('family ', CAST(customer_no DIV 4 AS STRING))) AS family_digest
  FROM numbered
),
drawn AS (
  -- Four hexadecimal digits of a digest are a number from 0 to 65535.
  SELECT
    customer_no,
    block,
    place,
    CAST(CONV(SUBSTRING(digest, 1, 4), 16, 10) AS BIGINT) AS first_draw,
    CAST(CONV(SUBSTRING(digest, 5, 4), 16, 10) AS BIGINT) AS last_draw,
    CAST(CONV(SUBSTRING(digest, 9, 4), 16, 10) AS BIGINT) AS city_draw,
    CAST(CONV(SUBSTRING(digest, 13, 4), 16, 10) AS BIGINT) AS typing_draw,
    CAST(CONV(SUBSTRING(digest, 17, 4), 16, 10) AS BIGINT) AS activity_draw,
    CAST(CONV(SUBSTRING(family_digest, 1, 4), 16, 10) AS BIGINT) AS family_draw
  FROM hashed
),
named AS (
  SELECT
    *,
    ELEMENT_AT(
      ARRAY('Anna', 'Ben', 'Clara', 'David', 'Ewa', 'Felix', 'Grace', 'Hamid'),
      CAST(1 + first_draw % 8 AS INT)
    ) AS first_name,
    ELEMENT_AT(
      ARRAY('Berger', 'Costa', 'Dubois', 'Eriksen', 'Fischer', 'Garcia', 'Horvat', 'O\'Neill'),
      CAST(1 + last_draw % 8 AS INT)
    ) AS last_name,
    ELEMENT_AT(
      ARRAY('Berlin', 'Hamburg', 'Köln', 'Leipzig', 'Frankfurt; Oder', 'München'),
      CAST(1 + city_draw % 6 AS INT)
    ) AS city
  FROM drawn
),
reachable AS (
  SELECT
    *,
    CONCAT('C', LPAD(CAST(customer_no AS STRING), 7, '0')) AS customer_id,
    CASE
      WHEN place IN (91, 95) THEN CONCAT('family.', CAST(block AS STRING), '@example.org')
      ELSE LOWER(CONCAT(
        first_name, '.', REPLACE(last_name, '\'', ''), '.', CAST(customer_no AS STRING),
        '@example.com'
      ))
    END AS email,
    CASE
      WHEN place BETWEEN 40 AND 79 AND family_draw % 3 = 0
        THEN CONCAT('0341', CAST(20000000 + customer_no DIV 4 AS STRING))
      -- Multiplication modulo a prime scatters the numbers without ever giving one twice.
      ELSE CONCAT('0151', LPAD(CAST(customer_no * 7654321 % 99999989 AS STRING), 8, '0'))
    END AS phone
  FROM named
)
SELECT
  customer_no,
  place,
  typing_draw,
  activity_draw,
  CONCAT(first_name, ' ', last_name) AS full_name,
  city,
  customer_id,
  email,
  phone,
  LEAD(email) OVER (PARTITION BY block ORDER BY customer_no) AS next_email,
  LEAD(phone) OVER (PARTITION BY block ORDER BY customer_no) AS next_phone
FROM reachable;

-- One row per account, and a second one for a few customers who were entered twice.
CREATE OR REPLACE TABLE ${catalog}.${schema}.crm_customers
USING DELTA
AS
WITH entered AS (
  SELECT
    *,
    MD5(CONCAT('crm ', CAST(customer_no AS STRING), ' ', CAST(entry AS STRING))) AS digest
  FROM (
    SELECT
      *,
      EXPLODE(SEQUENCE(1, CASE WHEN activity_draw % 25 = 0 THEN 2 ELSE 1 END)) AS entry
    FROM ${catalog}.${schema}.made_people
  ) AS entries
),
drawn AS (
  SELECT
    *,
    CAST(CONV(SUBSTRING(digest, 1, 4), 16, 10) AS BIGINT) AS email_draw,
    CAST(CONV(SUBSTRING(digest, 5, 4), 16, 10) AS BIGINT) AS phone_draw,
    CAST(CONV(SUBSTRING(digest, 9, 4), 16, 10) AS BIGINT) AS day_draw
  FROM entered
)
SELECT
  customer_no * 10 + entry AS record_no,
  CASE WHEN entry = 2 THEN 'N/A' ELSE customer_id END AS customer_id,
  full_name,
  city,
  CASE
    WHEN place BETWEEN 11 AND 17 THEN email
    WHEN email_draw % 40 = 0 THEN ''
    WHEN email_draw % 40 = 1 THEN 'test@test.com'
    WHEN email_draw % 40 < 8 THEN UPPER(email)
    WHEN email_draw % 40 < 12 THEN CONCAT(' ', email, '\t')
    ELSE email
  END AS email,
  CASE
    WHEN place BETWEEN 11 AND 17 THEN phone
    WHEN phone_draw % 40 = 0 THEN '0000000000'
    WHEN phone_draw % 40 = 1 THEN 'null'
    WHEN phone_draw % 40 < 12 THEN CONCAT('+49 ', SUBSTRING(phone, 2, 3), ' ', SUBSTRING(phone, 5))
    ELSE phone
  END AS phone,
  CASE WHEN typing_draw % 2 = 0 THEN 'newsletter;post' ELSE 'post' END AS consents,
  CAST(DATE_ADD(DATE'2022-01-01', CAST(day_draw % 1000 AS INT)) AS DATE) AS updated_on
FROM drawn;

-- One or two orders per customer, most of them placed as a guest.
CREATE OR REPLACE TABLE ${catalog}.${schema}.web_orders
USING DELTA
AS
WITH ordered AS (
  SELECT
    *,
    MD5(CONCAT('order ', CAST(customer_no AS STRING), ' ', CAST(order_no AS STRING))) AS digest
  FROM (
    SELECT
      *,
      EXPLODE(SEQUENCE(1, CAST(1 + activity_draw % 2 AS INT))) AS order_no
    FROM ${catalog}.${schema}.made_people
  ) AS orders
),
drawn AS (
  SELECT
    *,
    CAST(CONV(SUBSTRING(digest, 1, 4), 16, 10) AS BIGINT) AS id_draw,
    CAST(CONV(SUBSTRING(digest, 5, 4), 16, 10) AS BIGINT) AS email_draw,
    CAST(CONV(SUBSTRING(digest, 9, 4), 16, 10) AS BIGINT) AS phone_draw,
    CAST(CONV(SUBSTRING(digest, 13, 4), 16, 10) AS BIGINT) AS amount_draw
  FROM ordered
)
SELECT
  CONCAT('W', LPAD(CAST(customer_no AS STRING), 7, '0'), '-', CAST(order_no AS STRING)) AS order_id,
  CASE
    WHEN place BETWEEN 11 AND 17 THEN NULL
    WHEN id_draw % 10 < 2 THEN customer_id
    WHEN id_draw % 10 = 2 THEN LOWER(CONCAT('C-', SUBSTRING(customer_id, 2)))
    WHEN id_draw % 10 = 3 THEN ''
    WHEN id_draw % 10 = 4 THEN 'C0000000'
  END AS customer_id,
  CASE
    WHEN place BETWEEN 11 AND 17 THEN email
    WHEN email_draw % 50 = 0 THEN 'N/A'
    WHEN email_draw % 50 = 1 THEN 'Test@Test.com '
    WHEN email_draw % 50 = 2 THEN 'a;b@example.com'
    WHEN email_draw % 50 = 3 THEN NULL
    WHEN email_draw % 50 < 10 THEN CONCAT('  ', UPPER(email))
    ELSE email
  END AS email,
  CASE
    -- The chain: an odd account orders with the telephone number of the next account.
    WHEN place IN (11, 13, 15) THEN next_phone
    WHEN place BETWEEN 11 AND 17 THEN NULL
    WHEN phone_draw % 50 < 20 THEN NULL
    WHEN phone_draw % 50 = 20 THEN '0000000000'
    WHEN phone_draw % 50 = 21 THEN '030 5550100'
    WHEN phone_draw % 50 < 32 THEN CONCAT(SUBSTRING(phone, 1, 4), '/', SUBSTRING(phone, 5))
    ELSE CONCAT('0049-', SUBSTRING(phone, 2))
  END AS phone,
  500 + amount_draw % 20000 AS amount_cents,
  CAST(DATE_ADD(DATE'2023-01-01', CAST(amount_draw % 700 AS INT)) AS DATE) AS ordered_on
FROM drawn;

-- Every other customer has asked for help once, by telephone or by e-mail or both.
CREATE OR REPLACE TABLE ${catalog}.${schema}.support_tickets
USING DELTA
AS
WITH asked AS (
  SELECT *, MD5(CONCAT('ticket ', CAST(customer_no AS STRING))) AS digest
  FROM ${catalog}.${schema}.made_people
  WHERE activity_draw % 4 < 2 OR place IN (12, 14, 16)
),
drawn AS (
  SELECT
    *,
    CAST(CONV(SUBSTRING(digest, 1, 4), 16, 10) AS BIGINT) AS id_draw,
    CAST(CONV(SUBSTRING(digest, 5, 4), 16, 10) AS BIGINT) AS email_draw,
    CAST(CONV(SUBSTRING(digest, 9, 4), 16, 10) AS BIGINT) AS phone_draw
  FROM asked
)
SELECT
  CONCAT('T', LPAD(CAST(customer_no AS STRING), 7, '0')) AS ticket_id,
  CASE
    WHEN place BETWEEN 11 AND 17 THEN NULL
    WHEN id_draw % 10 = 0 THEN CONCAT(' ', customer_id)
    WHEN id_draw % 10 = 1 THEN 'unknown'
  END AS customer_id,
  CASE
    WHEN place BETWEEN 11 AND 17 THEN phone
    WHEN phone_draw % 20 < 2 THEN '030 5550100'
    WHEN phone_draw % 20 < 4 THEN 'withheld'
    WHEN phone_draw % 20 < 12 THEN CONCAT('+49', SUBSTRING(phone, 2))
    ELSE phone
  END AS caller_phone,
  CASE
    -- The chain: an even account asks for the answer at the address of the next account.
    WHEN place IN (12, 14, 16) THEN next_email
    WHEN place BETWEEN 11 AND 17 THEN NULL
    WHEN email_draw % 20 < 6 THEN NULL
    WHEN email_draw % 20 = 6 THEN 'null'
    ELSE email
  END AS reply_email,
  'It\'s late; where is my order?' AS subject,
  CAST(DATE_ADD(DATE'2023-06-01', CAST(id_draw % 500 AS INT)) AS DATE) AS opened_on
FROM drawn;

DROP TABLE IF EXISTS ${catalog}.${schema}.made_people;
