"""What a Kafka value or a datagram holds: raw SIP, HEP, or SIP in a JSON envelope; told apart by its first bytes.

| first bytes                                      | taken for |
|--------------------------------------------------|-----------|
| `HEP3`, `EEP3`; 1 or 2 and a fitting head length | HEP       |
| `{` or `[`, behind a byte order mark or blanks   | JSON      |
| anything else                                    | raw SIP   |
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from sipcdr.builder import Position, SipMessage

from . import _hep
from ._envelope import Envelope, Names, address, envelopes, moment, transport
from ._limits import Limits
from ._scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._tally import Tally

Form = Literal["auto", "raw", "hep", "json"]

_LOOKED_AT: Final = bytes(byte in b"HE\x01\x02{[\xef \t\r\n" for byte in range(256))
"""1 for each first byte that may begin something else than raw SIP."""

_HEADER: Final = 256
"""Bytes of a record's header that are looked at."""
_NAMES: Final = Names()
_LIMITS: Final = Limits()


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record of a partition, or a packet of a listener.

    offset: in the partition, or the packet's number. time: microseconds UTC, the record's own or that of receipt.
    value: None is a tombstone. headers: those of the record.
    """

    offset: int
    time: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class HeaderNames(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of a record's headers that say of raw SIP what it doesn't say itself. Any may be absent from a record.

    time: a number of seconds to nanoseconds since 1970, by its size, or ISO 8601. source, destination: `host:port`.
    transport: as in a Via.
    """

    time: str = "ts"
    source: str = "src"
    destination: str = "dst"
    transport: str = "proto"


_HEADER_NAMES: Final = HeaderNames()


class Poison(msgspec.Struct, frozen=True):
    """A record that holds something which can't be used, and why."""

    record: Record
    reason: str


def form_of(value: bytes) -> Form:
    """What a value holds, by its first bytes; what is neither HEP nor JSON can only be raw SIP."""
    if _hep.is_hep(value):
        return "hep"
    return "json" if value[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[") else "raw"


class Values:
    """Makes SIP messages of records.

    form: what values are; `auto` looks at each. names: where a JSON envelope has what. headers: the same for a record's
    headers. key: the authentication key that HEP packets must have, if any.
    """

    def __init__(
        self,
        tally: Tally,
        *,
        limits: Limits = _LIMITS,
        form: Form = "auto",
        names: Names = _NAMES,
        headers: HeaderNames = _HEADER_NAMES,
        key: bytes | None = None,
    ) -> None:
        self._tally = tally
        self._limits = limits
        self._form: Form = form
        self._names = names
        self._headers = headers
        self._key = key

    def messages(
        self, records: Sequence[Record], source: str, partition: str = ""
    ) -> tuple[list[SipMessage], list[Poison]]:
        """The messages of records in their order, and the records that hold something else, each once.

        Tombstones are neither; they are counted. source: the topic or the listener.
        """
        found: list[SipMessage] = []
        poison: list[Poison] = []
        tally = self._tally
        limits = self._limits
        auto = self._form == "auto"
        form = self._form
        for record in records:
            value = record.value
            if not value:
                if value is None:
                    tally.counts["tombstones"] += 1
                else:
                    self._refuse(Poison(record, "empty value"), source, poison)
                continue
            tally.bytes += len(value)
            position = Position(source, record.offset, partition)
            if auto:
                form = form_of(value) if _LOOKED_AT[value[0]] else "raw"
            if form == "raw" and not record.headers:
                message = scan(value, record.time, position, tally, limits)
                if isinstance(message, str):
                    self._refuse(Poison(record, message), source, poison)
                else:
                    found.append(message)
                continue
            reasons = []
            for result in self._opened(form, value, record, position):
                if isinstance(result, str):
                    reasons.append(result)
                else:
                    found.append(result)
            if reasons:
                self._refuse(Poison(record, reasons[0]), source, poison)
        tally.packets += len(records)
        tally.messages += len(found)
        return found, poison

    def _refuse(self, refused: Poison, source: str, poison: list[Poison]) -> None:
        self._tally.refuse(source, refused.record.offset, refused.reason)
        poison.append(refused)

    def _opened(self, form: Form, value: bytes, record: Record, position: Position) -> Iterator[SipMessage | str]:
        """The messages in a value that says more than they do, or why one can't be used."""
        if form == "raw":
            yield self._with_headers(value, record, position)
        elif len(value) > self._limits.value:
            yield f"value longer than {self._limits.value} bytes"
        elif form == "hep":
            for packet in _hep.packets(value):
                found = _hep.decode(packet, key=self._key, largest=self._limits.message)
                yield found if isinstance(found, str) else self._scan(found.payload, found, record, position)
        else:
            for envelope in envelopes(value, self._names):
                yield (
                    envelope if isinstance(envelope, str) else self._scan(envelope.message, envelope, record, position)
                )

    def _scan(self, message: bytes, known: _hep.Hep | Envelope, record: Record, position: Position) -> SipMessage | str:
        time = known.time
        if time is None:
            self._tally.counts["time of receipt, as the envelope has none"] += 1
            time = record.time
        return scan(
            message, time, position, self._tally, self._limits, known.source, known.destination, known.transport
        )

    def _with_headers(self, value: bytes, record: Record, position: Position) -> SipMessage | str:
        names = self._headers
        known = {name: text[:_HEADER] for name, text in record.headers[:64] if text}
        time = _moment(known.get(names.time, b""))
        return scan(
            value,
            record.time if time is None else time,
            position,
            self._tally,
            self._limits,
            _address(known.get(names.source, b"")),
            _address(known.get(names.destination, b"")),
            _transport(known.get(names.transport, b"")),
        )


def _moment(value: bytes) -> int | None:
    if 15 <= len(value) <= 17 and value.isdigit() and value[:1] != b"0":
        return int(value)  # microseconds, as most will be
    return moment(value.decode("utf-8", "replace"))


@lru_cache(4096)
def _address(value: bytes) -> str:
    """Of few hosts there are many messages."""
    return address(value.decode("utf-8", "replace"))


@lru_cache(64)
def _transport(value: bytes) -> str:
    return transport(value.decode("utf-8", "replace"))
