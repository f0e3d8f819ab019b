"""Errors of the executor's own, as error records: whose fault, where, what to do next."""

from __future__ import annotations

import hashlib
import traceback

from executor.workflow.model import WorkflowError
from protocol.events import ErrorRecord


def usage(code: str, message: str, suggestion: str) -> ErrorRecord:
    """The command line or the configuration is wrong."""
    return _record(code, "usage", message, suggestion)


def workflow_error(error: WorkflowError) -> ErrorRecord:
    """The workflow's directory or a file in it cannot be read as it is."""
    return ErrorRecord(
        class_=f"DWX_{error.code}",
        category="workflow",
        severity="fatal",
        retryable=True,
        message=error.message,
        file=error.path,
        line=error.line,
        position=error.position,
        suggestion=error.suggestion,
        fingerprint=_fingerprint(error.code, error.path or ""),
    )


def record_broken(error: OSError) -> ErrorRecord:
    """The run directory cannot be written."""
    return _record(
        "DWX_RECORD_NOT_WRITABLE",
        "record",
        f"the run's record cannot be written: {error}",
        "Leave run directories alone while their runs live, and run again."
        if isinstance(error, FileNotFoundError)
        else "Make the run directory writable (is its disk full?), or choose another with "
        "--run-root.",
    )


def internal(error: BaseException) -> ErrorRecord:
    """A defect of dwx itself; the traceback goes to stderr."""
    traceback.print_exception(error)
    return _record(
        "DWX_INTERNAL_ERROR",
        "internal",
        f"{type(error).__name__}: {error}",
        "Report this with the run directory: it is a defect of dwx.",
    )


def _record(class_: str, category: str, message: str, suggestion: str) -> ErrorRecord:
    return ErrorRecord(
        class_=class_,
        category=category,
        severity="fatal",
        retryable=False,
        message=message,
        suggestion=suggestion,
        fingerprint=_fingerprint(class_, category),
    )


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
