"""Faults: what goes wrong between a client and its warehouse, as data.

Theory. Whatever a network, a gateway or a warehouse does to a statement happens at one of two
places. Either it happens to a *call* of the protocol on its way (a connection breaks, HTTP 503, no
reply), or to the *statement* while the server has it (it is slow, stopped, refused by the
engine). A ``Fault`` says what happens, to which call, to which statement, how often and when;
``Faults`` holds those that are armed, decides which one strikes, and remembers those that did.
``injection`` makes them happen; ``faultspec`` writes them as text.

Chance is seeded, each fault with a generator of its own, so that a long run can be repeated.

Only the standard library is imported here, because flags are read before the first event.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal, get_args

from executor.local.sent import Sent

# --- what happens ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection breaks: before the call is executed, as soon as it is accepted (the statement
    goes on), or once it has been executed to its end.
    """

    when: Literal["before", "during", "after"]


@dataclass(frozen=True, slots=True)
class Truncate:
    """The call is executed, half of the reply arrives, the connection breaks."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """The call is executed, and the answer is HTTP 200 with bytes that are no Thrift."""


@dataclass(frozen=True, slots=True)
class Status:
    """The answer is an HTTP status; whether the call is executed all the same is said here."""

    code: int
    retry_after: int | None = None
    executed: bool = False


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer until the client or the warehouse ends the connection."""

    executed: bool = False


@dataclass(frozen=True, slots=True)
class Delay:
    """The call is executed, and its answer comes so many seconds later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """The call is not executed; the answer is an error status with this text."""

    text: str


Spelling = Literal["handle", "closed", "not-found", "uninitialized"]


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The server no longer knows the session. What runs in it goes on, out of reach: that is the
    worst a client can meet, for it may still commit. A restart of the server cancels it instead.
    """

    spelling: Spelling = "handle"
    running: Literal["goes-on", "cancelled"] = "goes-on"


@dataclass(frozen=True, slots=True)
class HandleLost:
    """The server no longer knows the statement's handle (404); the statement goes on to its end."""


@dataclass(frozen=True, slots=True)
class SlowStart:
    """The statement begins so many seconds after it was accepted."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SlowEnd:
    """The statement's end, commit included, is reported so many seconds late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """The server stops the statement by itself; ``committed``: after its commit."""

    state: Literal["cancelled", "timed-out"]
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Error:
    """The statement is accepted, not executed, and fails with this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Starting:
    """The warehouse starts for so many seconds, from the first call on: until then it answers 503
    to OpenSession and ExecuteStatement; with ``opens`` to ExecuteStatement only.
    """

    seconds: float
    opens: bool = False
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """The warehouse speaks TLS with a certificate no client should take. Given before it starts."""

    certificate: Literal["self-signed", "wrong-host"] = "self-signed"


OnCall = Drop | Truncate | Garbage | Status | Hang | Delay | Refuse | SessionLost | HandleLost
OnStatement = SlowStart | SlowEnd | Stopped | Error
What = OnCall | OnStatement | Starting | Tls

# --- to which call --------------------------------------------------------------------------------

Call = Literal[
    "open", "execute", "poll", "fetch", "describe", "cancel", "close-statement", "close-session"
]

CALLS: dict[str, Call] = {
    "OpenSession": "open",
    "ExecuteStatement": "execute",
    "GetOperationStatus": "poll",
    "FetchResults": "fetch",
    "GetResultSetMetadata": "describe",
    "CancelOperation": "cancel",
    "CloseOperation": "close-statement",
    "CloseSession": "close-session",
}
"""The protocol's names and ours."""

_WITH_STATEMENT = ("execute", "poll", "fetch", "describe", "cancel", "close-statement")
STATUS_CODES = (400, 401, 403, 404, 429, 500, 502, 503, 504)


class FaultError(ValueError):
    """This fault cannot be; the message says why and what can."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, to which call of which statement, how often and when.

    ``statement`` and ``file`` are compared with the query tags of these names, ``sql`` is a regular
    expression looked for in the text (case does not matter), ``table`` the table that is written,
    with as many parts of its name as are given. Of the calls that match, the first ``skip`` are
    left alone, then every ``every``-th is struck, with probability ``chance``, ``count`` times in
    all (None: always). Raises FaultError for what cannot happen.
    """

    what: What
    call: Call = "execute"
    statement: str | None = None
    file: str | None = None
    sql: str | None = None
    table: str | None = None
    skip: int = 0
    every: int = 1
    count: int | None = 1
    chance: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_what()
        if self.call not in get_args(Call):
            raise FaultError(
                f"there is no call {self.call!r}; calls are {', '.join(CALLS.values())}"
            )
        if not isinstance(self.what, OnCall) and self.call != "execute":
            raise FaultError("this happens to a statement or to the whole warehouse, not to a call")
        if self.names_a_statement and self.call not in _WITH_STATEMENT:
            raise FaultError(
                f"{self.call} is about no statement; it cannot be chosen by statement, file, sql "
                "or table"
            )
        if self.names_a_statement and isinstance(self.what, (Starting, Tls)):
            raise FaultError("this concerns the whole warehouse; it is about no statement")
        if self.skip < 0 or self.every < 1 or (self.count is not None and self.count < 1):
            raise FaultError("skip counts from 0, every and count from 1")
        if not 0 < self.chance <= 1:
            raise FaultError(f"chance is more than 0 and at most 1, not {self.chance}")
        if self.sql is not None:
            try:
                re.compile(self.sql)
            except re.error as exc:
                raise FaultError(f"sql={self.sql!r} is no regular expression: {exc}") from exc

    def _check_what(self) -> None:
        what = self.what
        seconds = getattr(what, "seconds", 0.0)
        if not 0 <= seconds <= 86_400:
            raise FaultError(f"seconds are from 0 to 86400, not {seconds}")
        retry_after = getattr(what, "retry_after", None)
        if retry_after is not None and not 0 <= retry_after <= 86_400:
            raise FaultError(f"retry-after is from 0 to 86400 seconds, not {retry_after}")
        match what:
            case Status(code=code) if code not in STATUS_CODES:
                known = ", ".join(map(str, STATUS_CODES))
                raise FaultError(
                    f"HTTP status {code} is not among those a warehouse gives: {known}"
                )
            case Drop(when="during") if self.call != "execute":
                raise FaultError("only execute goes on after its connection is gone")
            case HandleLost() if self.call in ("open", "execute", "close-session"):
                raise FaultError(f"{self.call} has no handle of a statement that could be lost")
            case SessionLost() if self.call == "open":
                raise FaultError("open has no session yet that could be lost")

    @property
    def names_a_statement(self) -> bool:
        return any(x is not None for x in (self.statement, self.file, self.sql, self.table))

    def concerns(self, call: Call, sent: Sent | None) -> bool:
        """Whether this call, of this statement, is one of those meant."""
        if isinstance(self.what, Starting):
            return call == "execute" or (call == "open" and not self.what.opens)
        if call != self.call:
            return False
        if not self.names_a_statement:
            return True
        return sent is not None and self._chooses(sent)

    def _chooses(self, sent: Sent) -> bool:
        if self.statement is not None and sent.tags.get("statement") != self.statement:
            return False
        if self.file is not None and sent.tags.get("file") != self.file:
            return False
        if self.sql is not None and not re.search(self.sql, sent.sql, re.IGNORECASE):
            return False
        return self.table is None or _writes(sent.sql, self.table)


def _writes(sql: str, table: str) -> bool:
    # sqlglot loads here, for those who choose by table
    from executor.workflow.lineage import Names, lineage
    from executor.workflow.names import split_name

    wanted = [part.lower() for part in split_name(table)]
    for name in lineage(sql, Names(None, None)).writes:
        parts = [part.lower() for part in split_name(name)]
        shared = min(len(parts), len(wanted))
        if parts[-shared:] == wanted[-shared:]:
            return True
    return False


# --- those that are armed, and those that struck --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault that struck: the how-manieth time, on which call, of which statement."""

    fault: Fault
    time: int
    call: Call
    sent: Sent | None


@dataclass(slots=True)
class _Armed:
    fault: Fault
    dice: random.Random
    matched: int = 0
    fired: int = 0
    since: float | None = None  # the first call that matched

    def due(self) -> bool:
        """Counts one more match, and tells whether it is to be struck."""
        fault = self.fault
        now = monotonic()
        self.since = now if self.since is None else self.since
        if isinstance(fault.what, Starting) and now - self.since >= fault.what.seconds:
            return False
        self.matched += 1
        number = self.matched - fault.skip
        if number < 1 or (number - 1) % fault.every:
            return False
        if fault.count is not None and self.fired >= fault.count:
            return False
        return fault.chance >= 1 or self.dice.random() < fault.chance


@dataclass(slots=True)
class Faults:
    """The faults armed on a warehouse. Every method may be called from any thread.

    The counts outlive a warehouse: give the same object to the next one and they go on.
    ``on_fired`` is called, on the thread of the request, for each fault that strikes.
    """

    faults: Iterable[Fault] = ()
    on_fired: Callable[[Fired], None] | None = None
    _armed: list[_Armed] = field(default_factory=list)
    _fired: list[Fired] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        for fault in self.faults:
            self._armed.append(_Armed(fault, random.Random(fault.seed)))  # noqa: S311 - no secret

    def add(self, fault: Fault) -> None:
        """Arm one more. Raises FaultError for ``Tls``: a warehouse that runs cannot change it."""
        if isinstance(fault.what, Tls):
            raise FaultError(
                "a warehouse speaks TLS from its start or never: give this at its start"
            )
        with self._changed:
            self._armed.append(_Armed(fault, random.Random(fault.seed)))  # noqa: S311

    def remove(self, fault: Fault) -> None:
        """Disarm it, wherever it was added; what it did stays done."""
        with self._changed:
            self._armed = [one for one in self._armed if one.fault != fault]

    def clear(self) -> None:
        """Disarm all."""
        with self._changed:
            self._armed = []

    @property
    def armed(self) -> list[Fault]:
        with self._changed:
            return [one.fault for one in self._armed]

    @property
    def fired(self) -> list[Fired]:
        """Those that struck, in order."""
        with self._changed:
            return list(self._fired)

    def times(self, fault: Fault) -> int:
        """How often it has struck."""
        return sum(one.fault == fault for one in self.fired)

    def wait(self, fault: Fault, times: int = 1, seconds: float = 60.0) -> bool:
        """Waits until it has struck so often; False if it did not within ``seconds``."""
        with self._changed:
            return self._changed.wait_for(lambda: self.times(fault) >= times, seconds)

    def certificate(self) -> str | None:
        """What is wrong with the certificate to be shown, if TLS is to be spoken."""
        return next((one.what.certificate for one in self.armed if isinstance(one.what, Tls)), None)

    def strike(self, kinds: Any, call: Call, sent: Sent | None) -> Fault | None:
        """The fault of these kinds that strikes this call. Every fault that matches counts the
        call; of those that are due, the first one armed strikes.
        """
        with self._changed:
            due = [
                one
                for one in self._armed
                if isinstance(one.fault.what, kinds)
                and one.fault.concerns(call, sent)
                and one.due()
            ]
            if not due:
                return None
            struck = due[0]
            struck.fired += 1
            fired = Fired(struck.fault, struck.fired, call, sent)
            self._fired.append(fired)
            self._changed.notify_all()
        if self.on_fired is not None:
            self.on_fired(fired)
        return struck.fault
