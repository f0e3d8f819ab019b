"""The embedded warehouse, asked by the real connector."""
