"""Is a text one query, so that running it changes nothing?

What users write as a test of a loop or as a check is run as often as it is needed, in any session.
So it must be a query, and that is decided here, before anything is sent. A text that the parser
does not know is believed to be one if it begins like a query and has no word in it that changes
tables.
"""

from __future__ import annotations

from executor.workflow.lineage import Names, lineage
from executor.workflow.pieces import pieces

_BEGINNINGS = ("SELECT", "WITH", "(", "VALUES", "TABLE")
_CHANGING = frozenset(
    ("INSERT", "MERGE", "UPDATE", "DELETE", "TRUNCATE", "CREATE", "DROP", "ALTER", "CALL")
)


def is_query(text: str, names: Names) -> bool:
    """True if `text`, one statement with comments blanked, changes nothing."""
    step = lineage(text, Names(names.catalog, names.schema))
    if step.kind == "select":
        return not step.writes
    if step.kind != "unknown":
        return False
    words = [piece.text.upper() for piece in pieces(text) if piece.kind in ("word", "symbol")]
    return bool(words) and words[0] in _BEGINNINGS and not _CHANGING.intersection(words)
