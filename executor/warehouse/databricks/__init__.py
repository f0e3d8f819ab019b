"""The Databricks SQL warehouse: the one package that knows the connector."""
