"""What `explain` gives: a row with all that made it. Plain values; messages are named by their index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ._row import Client, Reference, SessionDetails, User

if TYPE_CHECKING:
    from ._facts import Fact
    from ._state import State

Value = int | str | User | Client | Reference | None
"""What a column holds; times are microseconds UTC."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a session, or of the same attempts: all sightings of it as one.

    facts: its sightings in their order; the first gives time, addresses and header values. paths: source and
    destination of each. status: 0 for a request. media: the m-lines of each part of its SDP, as facts keep them.
    by_caller: sent by the caller's side. repeats: how often one place saw it again: retransmissions. places: at how
    many (addresses and Vias) it was seen. state: that of the dialog after it, None where it moved nothing. expected:
    whether the state before knows such a message. belongs: `here`, `another row` (a fork's), or `no row` (a stray).
    """

    facts: tuple[Fact, ...]
    paths: tuple[tuple[str, str], ...]
    time: int
    method: str
    status: int
    cseq: int
    from_tag: bytes
    to_tag: bytes
    vias: int
    by_caller: bool
    source: str
    destination: str
    media: tuple[str, ...]
    repeats: int
    places: int
    state: State | None
    expected: bool
    belongs: str


class Lost(msgspec.Struct, frozen=True):
    """A value that a column might have had: by which rule, from which message, and why it doesn't."""

    value: Value
    rule: str
    message: int
    why: str


class Part(msgspec.Struct, frozen=True):
    """A bit or a count that a column's value is made of. message: None where only a slim fact of it is kept."""

    value: Value
    rule: str
    message: int | None


class Derived(msgspec.Struct, frozen=True):
    """A column with its provenance.

    column: its name in SessionDetails, look-ups without `Id`. rule: empty where none yields a value. message: the one
    that set it, None without one; sighting: which of its facts. detail: more of what stood there (the reason of a
    diagnostic id). lost: what competed, best first. parts: what a sum or bit set is made of.
    """

    column: str
    value: Value
    rule: str = ""
    message: int | None = None
    sighting: int = 0
    detail: str = ""
    lost: tuple[Lost, ...] = ()
    parts: tuple[Part, ...] = ()


class Anomaly(msgspec.Struct, frozen=True):
    """Something that a session without trouble doesn't have.

    kind: `unexpected`, `retransmitted`, `no ACK`, `no response`, `no request`, `stray`, `value` or `bound`.
    """

    kind: str
    text: str
    messages: tuple[int, ...] = ()


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a session ended.

    how: `hung up`, `refused`, `redirected`, `challenged` (and not tried again), `cancelled`, `up` (answered, no end
    seen), `ringing` or `no answer` (neither a final response nor an end seen), `message` (page mode), `unknown`.
    by: `caller`, `callee`, `callee side` (the callee or a server before it), or empty. message: the one that ended it.
    code: ResponseCode. diagnostic: DiagnosticId, and reason: what stands beside it. waited: from the INVITE to the
    final response, or to the last message without one; talked: from the answer to the end; microseconds.
    """

    how: str
    by: str
    message: int | None
    code: int | None
    diagnostic: int | None
    reason: str
    waited: int | None
    talked: int | None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A session and why it is so.

    left_out: why it is no row (a conference leg), or empty. closes: when it counts as over, if no BYE says so.
    """

    details: SessionDetails
    left_out: str
    ending: Ending
    state: State
    closes: int
    messages: tuple[Seen, ...]
    columns: tuple[Derived, ...]
    anomalies: tuple[Anomaly, ...]
