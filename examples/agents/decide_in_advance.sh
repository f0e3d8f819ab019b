#!/bin/sh
# Decides before anything has happened: what is piped in waits for its prompt.
#
#     sh examples/agents/decide_in_advance.sh
#
# In a directory of its own it makes a workflow that is known to fail in one place, runs it on the
# embedded warehouse with the decision piped in, and then again with the same decision as a policy.
# Exit code 0 if both runs ended as they should. `DWX` names the program if it is not on the path.
set -eu
dwx=${DWX:-dwx}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir sql
cat > sql/01_orders.sql <<'SQL'
CREATE OR REPLACE TABLE orders AS SELECT id, id * 10 AS amount FROM range(1, 6);
SQL
cat > sql/02_returns.sql <<'SQL'
-- returns_raw is delivered by others, and today it is not there
CREATE OR REPLACE TABLE returns AS SELECT order_id FROM returns_raw;
SQL
cat > sql/03_refunds.sql <<'SQL'
CREATE OR REPLACE TABLE refunds AS
SELECT orders.id, orders.amount FROM orders JOIN returns ON orders.id = returns.order_id;
SQL
cat > sql/04_revenue.sql <<'SQL'
CREATE OR REPLACE TABLE revenue AS SELECT SUM(amount) AS total FROM orders;
SQL

# One line, one decision. The first prompt is the missing table, and the answer is known. A second
# one would be a surprise: better stop. If it never comes, its decision has no effect.
cat > decisions.jsonl <<'JSON'
{"type":"decide","prompt":"p1","choice":"skip","by":"nightly job","reason":"no returns today"}
{"type":"decide","prompt":"p2","choice":"abort","by":"nightly job","reason":"not foreseen"}
JSON

# Runs dwx and puts its exit code into `code`: 4 says that files were skipped, which is no failure
# of this script.
run() {
    code=0
    "$dwx" run sql --local --stdout attention "$@" > events.jsonl || code=$?
}

expect() {
    if [ "$code" -ne "$1" ]; then
        echo "expected exit code $1, got $code; the last line was:" >&2
        tail -n 1 events.jsonl >&2
        exit 1
    fi
}

echo "== decided in advance =="
run < decisions.jsonl
expect 4
first=.dwx/runs/$(ls .dwx/runs)
"$dwx" replay "$first"

echo
echo "== the same decision as a policy =="
"$dwx" policy suggest "$first" > policy.yaml
cat policy.yaml
"$dwx" policy check --policy policy.yaml --against "$first"
run --policy policy.yaml < /dev/null
expect 4
grep '"type":"prompt_resolved"' events.jsonl
