"""Tests of the example workflows."""
