"""What a Kafka value or a datagram holds: raw SIP, HEP, or SIP in a JSON envelope; told apart by its first bytes.

| first bytes                                      | taken for |
|--------------------------------------------------|-----------|
| `HEP3`, `EEP3`; 1 or 2 and a fitting head length | HEP       |
| `{` or `[`, behind a byte order mark or blanks   | JSON      |
| anything else                                    | raw SIP   |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, overload

import msgspec

from sipcdr.builder import Position, SipMessage, native

from . import _hep
from ._envelope import Envelope, Names, address, envelopes, moment, transport
from ._limits import Limits
from ._scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from ._tally import Tally

Form = Literal["auto", "raw", "hep", "json"]

_LOOKED_AT: Final = bytes(byte in b"HE\x01\x02{[\xef \t\r\n" for byte in range(256))
"""1 for each first byte that may begin something else than raw SIP."""

_HEADER: Final = 256
"""Bytes of a record's header that are looked at."""
_REMEMBERED: Final = 4096
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


class Records(Sequence[Record]):
    """Records by column: nothing is made of one before it is asked for."""

    __slots__ = ("headers", "keys", "offsets", "times", "values")

    def __init__(
        self,
        offsets: list[int],
        times: list[int],
        keys: list[bytes | None],
        values: list[bytes | None],
        headers: list[Sequence[tuple[str, bytes | None]]],
    ) -> None:
        self.offsets = offsets
        self.times = times
        self.keys = keys
        self.values = values
        self.headers = headers

    @classmethod
    def of(cls, records: Sequence[Record]) -> Records:
        """The same records by column."""
        if isinstance(records, Records):
            return records
        return cls(
            [each.offset for each in records],
            [each.time for each in records],
            [each.key for each in records],
            [each.value for each in records],
            [each.headers for each in records],
        )

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> Records: ...
    def __getitem__(self, at: int | slice) -> Record | Records:
        kind = Record if isinstance(at, int) else Records
        return kind(self.offsets[at], self.times[at], self.keys[at], self.values[at], self.headers[at])  # type: ignore[arg-type]


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
        self._names_of_headers = (headers.time, headers.source, headers.destination, headers.transport)
        # Of few hosts there are many messages.
        self._addresses: dict[bytes, str] = {}
        # The kernel leaves to the Python what isn't known yet: of a task of few records that would be most.
        self._transports = {name.encode(): name for name in ("UDP", "TCP", "TLS", "SCTP", "WS", "WSS")}

    def messages(
        self, records: Sequence[Record], source: str, partition: str = ""
    ) -> tuple[list[SipMessage], list[Poison]]:
        """The messages of records in their order, and the records that hold something else, each once.

        Tombstones are neither; they are counted. source: the topic or the listener.
        """
        if native is None or self._form not in ("auto", "raw"):
            found, poison = self._by_python(records, source, partition)
        else:
            found, poison = self._by_kernel(native, Records.of(records), source, partition)
        self._tally.packets += len(records)
        self._tally.messages += len(found)
        return found, poison

    def _by_kernel(
        self, kernel: ModuleType, records: Records, source: str, partition: str
    ) -> tuple[list[SipMessage], list[Poison]]:
        """What is usual by the kernel, and the rest as without it."""
        messages, odd, size = kernel.values(
            records.offsets,
            records.times,
            records.values,
            records.headers,
            source,
            partition,
            self._tally,
            self._limits,
            self._names_of_headers,
            self._addresses,
            self._transports,
            _LOOKED_AT if self._form == "auto" else b"",
        )
        self._tally.bytes += size
        if not odd:
            return messages, []
        found: list[SipMessage] = []
        poison: list[Poison] = []
        at = 0
        for place, reason in odd:
            found += messages[at:place]
            at = place + 1
            if reason is None:
                more, refused = self._by_python([records[place]], source, partition)
                found += more
                poison += refused
            else:
                self._refuse(Poison(records[place], reason), source, poison)
        return found + messages[at:], poison

    def _by_python(
        self, records: Sequence[Record], source: str, partition: str
    ) -> tuple[list[SipMessage], list[Poison]]:
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
            _known(self._addresses, known.get(names.source, b""), address),
            _known(self._addresses, known.get(names.destination, b""), address),
            _known(self._transports, known.get(names.transport, b""), transport),
        )


def _moment(value: bytes) -> int | None:
    if 15 <= len(value) <= 17 and value.isdigit() and value[:1] != b"0":
        return int(value)  # microseconds, as most will be
    return moment(value.decode("utf-8", "replace"))


def _known(cache: dict[bytes, str], value: bytes, read: Callable[[str], str]) -> str:
    """What a header's value means, looked at once."""
    known = cache.get(value)
    if known is None:
        if len(cache) >= _REMEMBERED:
            cache.clear()
        known = cache[value] = read(value.decode("utf-8", "replace"))
    return known
