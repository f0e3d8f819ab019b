"""Tests of `executor.workflow`."""
