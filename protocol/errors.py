"""What can be wrong with a line, one class per fault.

Theory. A fault is a value before it is an exception: the framer puts a `LineTooLong` into its list
of lines and goes on, the runner turns any fault into a `decision_rejected` event and goes on
waiting. So each carries the `code` of that event and a `detail` fit to be shown: it says whose
fault it is, where, and what to do next. Words taken from the faulty line are data from outside:
they are shortened and their control characters escaped (`shown`), and no value is ever quoted,
since a value in the wrong place may be a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.events import RejectionCode


EXAMPLE = '{"type":"decide","prompt":"p1","choice":"skip"}'


def shown(text: str, limit: int = 80) -> str:
    """`text` made safe to show: at most `limit` characters, everything unprintable escaped.

    Unprintable are control characters, lone surrogates and the marks that turn the direction of
    writing; `…` at the end says that something was left out.
    """
    escaped = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text[: limit + 1]
    )
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


class ProtocolFault(ValueError):  # noqa: N818 - a fault is a value before it is an exception
    """A line that cannot be taken in: `code` is that of `decision_rejected`, `detail` says why."""

    code: RejectionCode = "malformed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class LineTooLong(ProtocolFault):
    """A line of `bytes` bytes where `limit` is the most, line feed included in both."""

    code: RejectionCode = "too_long"

    def __init__(self, bytes: int, limit: int) -> None:  # noqa: A002 - the word of the protocol
        super().__init__(
            f"the line is {bytes} bytes long and {limit} is the most, line feed included; "
            "its sender must send a shorter one"
        )
        self.bytes = bytes
        self.limit = limit


class NotJson(ProtocolFault):
    """Not one JSON value in UTF-8. `why` is the parser's reason, with the place in the line."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the line is not JSON ({shown(why, 160)}); "
            f"its sender must send one JSON object per line, such as {EXAMPLE}"
        )


class UnknownType(ProtocolFault):
    """A `type` that names no decision."""

    code: RejectionCode = "unknown_type"

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        expected = f"; its sender must send one of {', '.join(known)}" if known else ""
        super().__init__(f'the type "{shown(name)}" is not known{expected}')
        self.name = name


class BadFields(ProtocolFault):
    """JSON, but not the fields its type needs. `field` is the first at fault, dotted, if one is."""

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.field = field
