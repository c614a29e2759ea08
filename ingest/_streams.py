"""Which protocol a TCP stream carries: SIP, HEP, WebSocket, or TLS that hides what it carries."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Protocol

from . import _hep
from ._framing import Framer
from ._websocket import SHOWN, WebSocket, sip_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcdr.builder import Position

    from ._dissect import Dissector
    from ._limits import Limits

_MAY_BE_OTHER: Final = b"HEG\x14\x15\x16\x17\x81\x82\x01\x02"
"""First bytes that SIP rarely or never has, and another protocol does."""
_HANDSHAKES: Final = (b"GET /", b"HTTP/1.1 101")
_RECORDS: Final = b"\x14\x15\x16\x17"
_LARGEST_RECORD: Final = 16_384 + 2048
_NEEDED: Final = 5


class Framing(Protocol):
    """What cuts the bytes of one direction of a connection into messages, in their order."""

    @property
    def idle(self) -> int:
        """Bytes since the last message that belong to none."""

    def __len__(self) -> int:
        """Bytes held back."""

    def feed(self, data: bytes, time: int, position: Position) -> None:
        """Take the next bytes, from a packet of that time and position."""

    def gap(self) -> None:
        """Bytes are missing here."""

    def end(self) -> None:
        """The stream has ended."""


class Undecided:
    """A stream whose protocol isn't known yet: holds its first bytes until they show it.

    Bytes that show nothing go to SIP's framing, which looks for a start line; others may still show more.
    decided: who takes the stream from here on.
    """

    __slots__ = ("_between", "_dissector", "_held", "_limits", "_sip", "decided")

    def __init__(self, dissector: Dissector, limits: Limits, between: tuple[str, str]) -> None:
        self._dissector = dissector
        self._limits = limits
        self._between = between
        self._sip = Framer(limits, functools.partial(dissector.stream_message, *between))
        self._held: list[tuple[bytes, int, Position]] = []
        self.decided: Framing | None = None

    def __len__(self) -> int:
        """Bytes held back."""
        return sum(len(data) for data, _, _ in self._held) + len(self._sip)

    @property
    def idle(self) -> int:
        """Bytes that belong to no message."""
        return self._sip.idle

    def feed(self, data: bytes, time: int, position: Position) -> None:
        """Take the next bytes of the stream, from a packet of that time and position."""
        other = data[0] in _MAY_BE_OTHER
        if len(self._sip) and other and self._recognised(data) is not None:
            # What was held as the beginning of a start line was the end of something else.
            self._sip.gap()
        if not self._held and (len(self._sip) or not other):
            at = -1 if len(self._sip) else _hep_within(data)
            if at < 0:
                self._sip.feed(data, time, position)
                if not self._sip.idle:
                    self.decided = self._sip
                return
            data = data[at:]
        self._held.append((data, time, position))
        begun = b"".join(piece for piece, _, _ in self._held)
        framing = self._recognised(begun)
        if framing is None:
            if len(begun) < SHOWN and _may_go_on(begun):
                return
            framing = self._sip
        else:
            self.decided = framing
        held, self._held = self._held, []
        for piece in held:
            framing.feed(*piece)

    def gap(self) -> None:
        """Bytes are missing here."""
        for piece in self._held:
            self._sip.feed(*piece)
        self._held.clear()
        self._sip.gap()

    def end(self) -> None:
        """The stream has ended."""
        self.gap()

    def _recognised(self, begun: bytes) -> Framing | None:
        dissector = self._dissector
        if begun[:4] in _hep.MAGIC:
            return HepPackets(dissector)
        if begun.startswith(_HANDSHAKES) or sip_frame(begun[:SHOWN]) == 0:
            emit = functools.partial(dissector.stream_message, *self._between, transport="WS")
            return WebSocket(self._limits, emit, dissector.count)
        if _is_record(begun):
            return TlsRecords(dissector.count)
        return None


def _may_go_on(begun: bytes) -> bool:
    """Whether so few bytes may be the beginning of another protocol than SIP."""
    names = (*_hep.MAGIC, *_HANDSHAKES)
    return begun[0] in b"\x81\x82\x01\x02" or any(name.startswith(begun) for name in names) or begun[0] in _RECORDS


def _hep_within(data: bytes) -> int:
    """Where a HEP packet begins in a stream that was joined in its middle: its magic, and a first chunk; else -1."""
    at = max(data.find(magic) for magic in _hep.MAGIC)
    return at if at >= 0 and data[at + 6 : at + 8] == b"\0\0" else -1


def _is_record(data: bytes | bytearray, at: int = 0) -> bool:
    """Whether a TLS record's head stands there (RFC 8446 section 5.1)."""
    head = data[at : at + _NEEDED]
    return (
        len(head) == _NEEDED
        and head[0] in _RECORDS
        and head[1] == 3
        and head[2] <= 4
        and 0 < head[3] << 8 | head[4] <= _LARGEST_RECORD
    )


class HepPackets:
    """HEP over TCP: packets one behind the other; after lost bytes it goes on at the next one's magic."""

    __slots__ = ("_buffer", "_dissector", "idle")

    def __init__(self, dissector: Dissector) -> None:
        self._dissector = dissector
        self._buffer = bytearray()
        self.idle = 0

    def __len__(self) -> int:
        """Bytes held back."""
        return len(self._buffer)

    def feed(self, data: bytes, time: int, position: Position) -> None:
        """Take the next bytes of the stream, from a packet of that time and position."""
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 6:
            if bytes(buffer[at : at + 4]) not in _hep.MAGIC:
                found = [buffer.find(magic, at) for magic in _hep.MAGIC]
                begin = min((place for place in found if place >= 0), default=len(buffer) - 3)
                self._dissector.count("HEP stream out of step")
                at = begin
                continue
            end = at + max(int.from_bytes(buffer[at + 4 : at + 6]), 6)
            if end > len(buffer):
                break
            self._dissector.hep(bytes(buffer[at:end]), time, position)
            at = end
        del buffer[:at]

    def gap(self) -> None:
        """Bytes are missing here."""
        self._buffer.clear()

    def end(self) -> None:
        """The stream has ended."""
        self.gap()


class TlsRecords:
    """TLS, of which nothing but the number of records can be said without its secrets."""

    __slots__ = ("_count", "_head", "_skip", "idle")

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._head = b""
        self._skip = 0
        self.idle = 0

    def __len__(self) -> int:
        """Bytes held back."""
        return len(self._head)

    def feed(self, data: bytes, time: int, position: Position) -> None:
        """Take the next bytes of the stream."""
        del time, position
        data = self._head + data
        at = self._skip
        while len(data) - at >= _NEEDED:
            if not _is_record(data, at):
                # Joined behind lost bytes: the next segment may begin with a record.
                at = len(data)
                break
            self._count(TLS)
            at += _NEEDED + (data[at + 3] << 8 | data[at + 4])
        self._head = data[at:]
        self._skip = max(at - len(data), 0)

    def gap(self) -> None:
        """Bytes are missing here."""
        self._head = b""
        self._skip = 0

    def end(self) -> None:
        """The stream has ended."""
        self.gap()


TLS: Final = "TLS records"
