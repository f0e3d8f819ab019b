"""Tests, sentences about behaviour; the tree mirrors that of the sources."""
