"""Folds of the log into something to read."""
