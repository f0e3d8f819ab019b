USE CATALOG ${catalog};
USE SCHEMA ${schema};

-- Iteration 7 of the loop. Every leader looks at the leaders its followers also have and gives way
-- to the smallest of them. When an iteration changes nothing, every identifier has exactly one
-- leader, and the identifiers of one leader are one person.

CREATE OR REPLACE TABLE ${catalog}.${schema}.unified_id_graph_unify_loop_7 (
  follower_id STRING,
  follower_ns INT,
  leader_id STRING,
  leader_ns INT
)
USING DELTA;

INSERT INTO ${catalog}.${schema}.unified_id_graph_unify_loop_7
WITH best_of_follower AS (
  SELECT follower_ns, follower_id, MIN(STRUCT(leader_ns, leader_id)) AS best
  FROM ${catalog}.${schema}.unified_id_graph_unify_loop_6
  GROUP BY follower_ns, follower_id
),
best_of_leader AS (
  SELECT edges.leader_ns, edges.leader_id, MIN(best_of_follower.best) AS best
  FROM ${catalog}.${schema}.unified_id_graph_unify_loop_6 AS edges
  JOIN best_of_follower
    ON edges.follower_ns = best_of_follower.follower_ns
    AND edges.follower_id = best_of_follower.follower_id
  GROUP BY edges.leader_ns, edges.leader_id
)
SELECT DISTINCT
  edges.follower_id,
  edges.follower_ns,
  best_of_leader.best.leader_id AS leader_id,
  best_of_leader.best.leader_ns AS leader_ns
FROM ${catalog}.${schema}.unified_id_graph_unify_loop_6 AS edges
JOIN best_of_leader
  ON edges.leader_ns = best_of_leader.leader_ns
  AND edges.leader_id = best_of_leader.leader_id;
