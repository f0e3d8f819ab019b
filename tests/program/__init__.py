"""The real program, driven as a subprocess."""
