"""Tests of `executor.core`."""
