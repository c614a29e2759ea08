"""`Derived`: a call on its way from one process to another, with what was derived of it there."""

from __future__ import annotations

from collections import Counter

import msgspec

from sipcdr.builder import Call, Rules, SessionDetails, sessions

from ._facts import compressed, decompressed


class Derived(msgspec.Struct, frozen=True, array_like=True):
    """A call, and its rows as long as nothing of it is stored yet.

    first_time, last_time: of its facts, in microseconds UTC. facts: its bytes, compressed. odd: what `sessions` counts.
    """

    call_id: bytes
    first_time: int
    last_time: int
    facts: bytes
    rows: list[SessionDetails]
    odd: dict[str, int]

    @classmethod
    def of(cls, call: Call, rules: Rules) -> Derived:
        """Derive the rows of a call."""
        odd: Counter[str] = Counter()
        rows = sessions(call, rules, odd)
        return cls(call.call_id, call.first_time or 0, call.last_time or 0, compressed(bytes(call)), rows, odd)


Due = Call | Derived
"""A call that is due."""


def call_of(due: Due) -> Call:
    """The call itself."""
    return Call.from_bytes(decompressed(due.facts)) if isinstance(due, Derived) else due


def rows_of(due: Due, rules: Rules, counts: Counter[str]) -> list[SessionDetails]:
    """Its sessions; `counts` gets what is odd."""
    if not isinstance(due, Derived):
        return sessions(due, rules, counts)
    counts.update(due.odd)
    return due.rows


pack = msgspec.msgpack.Encoder().encode
"""Calls as bytes."""
unpack = msgspec.msgpack.Decoder(list[Derived]).decode
