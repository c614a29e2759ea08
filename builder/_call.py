"""`Call`: all that is known of one Call-ID, a grow-only set of facts (derivations.md section 2).

`join` is set union: commutative, associative, idempotent. The bounds of section 2.2 keep the first facts of each class,
and the first n of a union is itself such a join, so nothing here depends on the order of arrival.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from ._errors import CallDamaged
from ._facts import ACK, BYE, INVITE, MESSAGE, UNREADABLE, Fact, Number, Status, Time, countable, details_of, fact_of
from ._rules import Rules
from ._users import stored_uri_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._message import SipMessage

CLASS_SIZE: Final = 256
"""Facts of a class that are kept: the first ones in the order of facts."""
FRAME: Final = 248
"""Bytes that a fact costs beside its texts, measured."""
SLIM_SIZE: Final = 50_000
"""Slim facts that are kept."""
_CLASSES: Final = 18
FORMAT: Final = 1
"""Of packed calls. A greater number is a newer version's."""

_RULES = Rules()


class Slim(msgspec.Struct, frozen=True, order=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What is kept of a MESSAGE request, or of a 401 or 407 to one, beyond its class's bound: enough to count it.

    from_uri: the stored form of the From URI where both tags are equal, else empty. countable: derivations.md 3.27.
    """

    time: Time
    from_tag: bytes
    to_tag: bytes
    cseq: Number
    status: Status
    countable: bool
    from_uri: str


class _Packed(msgspec.Struct, array_like=True, gc=False):
    format: Time
    call_id: bytes
    capped: Annotated[int, Meta(ge=0, lt=2 << _CLASSES)]
    facts: list[Fact]
    slims: list[Slim]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def call_key(call_id: bytes) -> bytes:
    """The first 16 bytes of the SHA-256 of a Call-ID: what a stored call is found by."""
    return hashlib.sha256(call_id).digest()[:16]


class Call:
    """The facts of one Call-ID.

    call_id: the bytes received. Of the messages that were added to this object alone: ended: one ends a session. size:
    bytes of memory that their facts take.
    """

    __slots__ = ("_bound", "_capped", "_facts", "_normal", "_slims", "call_id", "ended", "size")

    def __init__(self, call_id: bytes) -> None:
        self.call_id = call_id
        self.ended = False
        self.size = 0
        self._facts: list[Fact] = []
        self._slims: list[Slim] = []
        self._capped = 0
        self._normal = True
        self._bound = 2 * CLASS_SIZE

    def add(self, message: SipMessage, rules: Rules = _RULES) -> int:
        """Put a message's fact in, and return the bytes of memory that it takes; 0 if it is none that a rule reads."""
        fact = fact_of(message, rules.correlation_header)
        if fact is None:
            return 0
        self._facts.append(fact)
        self._normal = False
        self.ended = self.ended or _ends(fact)
        if len(self._facts) > self._bound:
            self._normalise()
            # Sorting many slim facts for a few new ones would cost more than keeping these for a while.
            self._bound = max(2 * CLASS_SIZE, 2 * len(self._facts), len(self._facts) + len(self._slims) // 16)
        size = len(fact.details) + len(fact.from_tag) + len(fact.to_tag) + FRAME
        self.size += size
        return size

    def join(self, other: Call) -> Call:
        """The union of two sets of one Call-ID, as a new call."""
        if other.call_id != self.call_id:
            raise ValueError("only calls of one Call-ID can be joined")
        joined = Call(self.call_id)
        joined._facts = self._facts + other._facts
        joined._slims = self._slims + other._slims
        joined._capped = self._capped | other._capped
        joined._normalise()
        return joined

    @property
    def facts(self) -> list[Fact]:
        """The facts in their order, each once, within the bounds."""
        if not self._normal:
            self._normalise()
        return self._facts

    @property
    def slims(self) -> list[Slim]:
        """The slim facts in their order, without those whose full fact is kept."""
        if not self._normal:
            self._normalise()
        return self._slims

    @property
    def capped(self) -> int:
        """One bit a class of facts that has lost some, in the order of classes; the last bit is the slim facts'."""
        if not self._normal:
            self._normalise()
        return self._capped

    @property
    def first_time(self) -> int | None:
        """Time of the earliest fact, in microseconds."""
        facts = self.facts
        return facts[0].time if facts else None

    @property
    def last_time(self) -> int | None:
        """Time of the latest fact, in microseconds."""
        facts = self.facts
        if not facts:
            return None
        return max(facts[-1].time, self._slims[-1].time) if self._slims else facts[-1].time

    def __bytes__(self) -> bytes:
        facts = self.facts
        return _encode(_Packed(FORMAT, self.call_id, self._capped, facts, self._slims))

    @classmethod
    def from_bytes(cls, data: bytes) -> Call:
        """The call that `bytes` packed. Raises CallDamaged."""
        try:
            packed = _decode(data)
        except UNREADABLE as error:
            raise CallDamaged(f"stored facts don't decode: {error}") from error
        if packed.format != FORMAT:
            raise CallDamaged(f"stored facts are of format {packed.format}, this version reads {FORMAT}")
        for fact in packed.facts:
            details_of(fact)  # what is damaged shows here, not when rows are derived
        call = cls(packed.call_id)
        call._facts = packed.facts
        call._slims = packed.slims
        call._capped = packed.capped
        call._normal = False
        return call

    def _normalise(self) -> None:
        """Sort, drop equals, and apply the bounds."""
        facts = sorted(set(self._facts)) if len(self._facts) > 1 else self._facts
        slims = self._slims
        if len(facts) > CLASS_SIZE:
            facts, dropped = self._first_of_each_class(facts)
            slims = [*slims, *dropped]
        if slims:
            slims = self._first_slims(slims, facts)
        self._facts = facts
        self._slims = slims
        self._normal = True

    def _first_of_each_class(self, facts: list[Fact]) -> tuple[list[Fact], list[Slim]]:
        kept: list[Fact] = []
        dropped: list[Slim] = []
        sizes = [0] * _CLASSES
        for fact in facts:
            number = _class_of(fact)
            if sizes[number] < CLASS_SIZE:
                sizes[number] += 1
                kept.append(fact)
            else:
                self._capped |= 1 << number
                if fact.method == MESSAGE:
                    dropped.extend(_slims_of((fact,)))
        return kept, dropped

    def _first_slims(self, slims: list[Slim], facts: list[Fact]) -> list[Slim]:
        whole = set(_slims_of(facts))
        union = sorted(whole.union(slims))
        if len(union) > SLIM_SIZE:
            self._capped |= 1 << _CLASSES
        return [slim for slim in union[:SLIM_SIZE] if slim not in whole]


def _ends(fact: Fact) -> bool:
    """Whether a message ends a session: BYE, a final response from 300 on but 401 and 407, a final one to a MESSAGE.

    A MESSAGE in a call that has an INVITE ends nothing; taking its response for an end only writes the call early.
    """
    status = fact.status
    if fact.method == BYE:
        return True
    if fact.method == MESSAGE:
        return status >= 200
    return status >= 300 and status not in (401, 407)


def _class_of(fact: Fact) -> int:
    """The class of a fact for the bounds: 5 of INVITE, ACK, and two of each other method (derivations.md 2.2)."""
    if fact.method == INVITE:
        if fact.status == 0:
            return 1 if fact.to_tag else 0
        return 2 if fact.status < 200 else 3 if fact.status < 300 else 4
    if fact.method == ACK:
        return 5
    return 2 * (fact.method + 1) + (1 if fact.status else 0)


def _slims_of(facts: Iterable[Fact]) -> list[Slim]:
    slims: list[Slim] = []
    for fact in facts:
        if fact.method == MESSAGE and fact.status in (0, 401, 407):
            details = details_of(fact)
            same = fact.from_tag == fact.to_tag
            slims.append(
                Slim(
                    fact.time,
                    fact.from_tag,
                    fact.to_tag,
                    fact.cseq,
                    fact.status,
                    fact.status == 0 and countable(details.content_type),
                    stored_uri_of(details.from_) if same else "",
                )
            )
    return slims
