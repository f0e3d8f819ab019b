"""dwx: runs an ordered directory of Databricks SQL and tells every step as a JSON line."""
