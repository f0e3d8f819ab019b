USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- The empty graph. One row says that an identifier (the follower) belongs to the same person as
-- another identifier (the leader). The namespace tells the kinds of identifier apart:
-- 1 = customer number, 2 = e-mail address, 3 = telephone number.

CREATE OR REPLACE TABLE ${catalog}.${schema}.unified_id_graph_unify_loop_0 (
  follower_id STRING COMMENT 'an identifier; every leader\'s own among them',
  follower_ns INT,
  leader_id STRING,
  leader_ns INT
)
USING DELTA;
