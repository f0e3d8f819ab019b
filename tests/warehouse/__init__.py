"""Tests of `executor.warehouse`."""
