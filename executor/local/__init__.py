"""The embedded warehouse: Databricks SQL over Thrift on loopback, executed by DuckDB."""
