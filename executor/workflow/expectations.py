"""What a check expects of the one row that its query gives: `rows = expected`, `nulls = 0`.

An expectation compares a column with another one or with a number, perhaps a multiple of a column:

    rows = expected        largest <= 0.1 * ids        share >= 0.5

That is all there is to it on purpose: whatever needs more belongs into the query, where the
warehouse computes it and a reader can run it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

FRESH = "fresh"
"""Instead of a comparison: the query is DESCRIBE HISTORY, and tells of a write of this run."""

_COMPARES = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_NUMBER = r"-?\d+(?:\.\d+)?"
_EXPECTATION = re.compile(
    rf"\s*(?P<left>[A-Za-z_]\w*)\s*(?P<compare><=|>=|!=|=|<|>)\s*"
    rf"(?:(?P<number>{_NUMBER})|(?:(?P<factor>{_NUMBER})\s*\*\s*)?(?P<right>[A-Za-z_]\w*))\s*"
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """A comparison; columns are in lower case. `right` is `None` for a number alone (`factor`)."""

    left: str
    compare: str
    factor: Decimal
    right: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.left,) if self.right is None else (self.left, self.right)

    def holds(self, row: Mapping[str, Decimal | None]) -> bool | None:
        """Whether it holds of a row; `None` where a column is missing, NULL or no number."""
        left = row.get(self.left)
        other = row.get(self.right) if self.right is not None else Decimal(1)
        if left is None or other is None:
            return None
        right = Fraction(self.factor) * Fraction(other)  # decimals would be rounded
        return bool(_COMPARES[self.compare](Fraction(left), right))


def parse_expectation(text: str) -> Expectation:
    """Reads an expectation. Errors: `ValueError`, with what would be right."""
    found = _EXPECTATION.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no expectation: compare a column with a number or another column, as in "
            "'rows = expected', 'nulls = 0' or 'largest <= 0.1 * ids'"
        )
    number = found["number"]
    return Expectation(
        left=found["left"].lower(),
        compare=found["compare"],
        factor=Decimal(number or found["factor"] or 1),
        right=None if number is not None else found["right"].lower(),
    )
