"""Tests of `executor.runtime`."""
