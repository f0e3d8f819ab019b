"""The version of dwx; also read by the build."""

__version__ = "0.1.0"
