"""SIP over SCTP (RFC 4168): the messages in DATA and I-DATA chunks (RFC 9260 section 3.3.1, RFC 8260 section 2.1).

A message is a chunk, or several: of DATA with transmission sequence numbers that follow each other, of I-DATA with
fragment numbers from 0. What other protocols bundle with SIP is told by its content, as SIP has no payload protocol
identifier of its own.
"""

from __future__ import annotations

import operator
import struct
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final

from ._packet import TOO_SHORT, Packet

if TYPE_CHECKING:
    from sipcdr.builder import Position

    from ._dissect import Dissector
    from ._limits import Limits
    from ._packet import Step
    from ._tally import Tally

_DATA: Final = 0
_I_DATA: Final = 64
_END, _BEGIN, _UNORDERED = 1, 2, 4
_SEEN: Final = 16_384
_OVERHEAD: Final = 512
"""What a part takes beside its bytes."""
_held = operator.attrgetter("held")

_HEAD: Final = struct.Struct(">HHI")
_CHUNK: Final = struct.Struct(">BBHI")
_I_CHUNK: Final = struct.Struct(">H2xII")

_Direction = tuple[bytes, bytes, int, int, int]
"""Source, destination, ports, verification tag: one side of an association."""
_Key = tuple[_Direction, int, int, int]
"""Side, and of I-DATA stream, unordered and message; of DATA stream, 2 or 3 and sequence number of the message."""


class _Parts:
    """Fragments of a message by their numbers: bytes, and whether it is cut. last: of the one that ends it."""

    __slots__ = ("began", "first", "held", "last", "oldest", "packet", "parts")

    def __init__(self, packet: Packet) -> None:
        self.parts: dict[int, tuple[bytes, bool]] = {}
        self.first = self.last = -1
        self.held = 0
        self.began = packet.time
        self.oldest = packet.first
        self.packet = packet

    def content(self) -> tuple[bytes, bool]:
        """What there is from the beginning without a hole, and whether that is all."""
        found = []
        number = self.first
        while number in self.parts:
            data, cut = self.parts[number]
            found.append(data)
            if number == self.last or cut:
                return b"".join(found), not cut
            number = number + 1 & 0xFFFFFFFF
        return b"".join(found), False


def sctp(dissector: Dissector, packet: Packet) -> Step:
    """RFC 9260."""
    return dissector.chunks(packet)


class Associations:
    """All that SCTP sends in a capture, within the bounds for fragments."""

    def __init__(self, dissector: Dissector, tally: Tally, limits: Limits) -> None:
        self._dissector = dissector
        self._tally = tally
        self._limits = limits
        self._waiting: OrderedDict[_Key, _Parts] = OrderedDict()
        self.held = 0
        # Hashes of the chunks seen last, so that one sent again makes no second message.
        self._seen: OrderedDict[int, None] = OrderedDict()

    def take(self, packet: Packet) -> Step:
        """Take in the packet at `packet.at`, chunk by chunk."""
        data, at, end = packet.data, packet.at, packet.end
        if at + 12 > end:
            return self._dissector.skip(TOO_SHORT)
        self.expire(packet.time)
        source_port, destination_port, tag = _HEAD.unpack_from(data, at)
        side = (packet.source, packet.destination, source_port, destination_port, tag)
        at += 12
        empty = True
        while at + 4 <= end:
            kind, flags, length = data[at], data[at + 1], data[at + 2] << 8 | data[at + 3]
            if length < 4:
                return self._dissector.skip("SCTP chunk of a length that can't be")
            if kind in (_DATA, _I_DATA):
                empty = False
                self._chunk(packet, side, at, length, flags)
            at += length + -length % 4
        if empty:
            self._tally.counts["SCTP without data"] += 1
        return None

    def flush(self) -> None:
        """Give up what still waits: the input has ended."""
        while self._waiting:
            self.give_up_oldest()

    def _chunk(self, packet: Packet, side: _Direction, at: int, length: int, flags: int) -> None:
        data = packet.data
        interleaved = data[at] == _I_DATA
        start = at + (20 if interleaved else 16)
        if start > packet.end or start > at + length:
            self._dissector.skip(TOO_SHORT)
            return
        _, _, _, number = _CHUNK.unpack_from(data, at)
        seen = hash((side, number))
        if seen in self._seen:
            self._tally.counts["SCTP chunks sent again"] += 1
            return
        part = packet.part(start, at + length)
        if part.end == part.whole:
            self._seen[seen] = None
            if len(self._seen) > _SEEN:
                del self._seen[next(iter(self._seen))]
        if flags & (_BEGIN | _END) == _BEGIN | _END:
            self._dissector.datagram(part, side[2], side[3], "SCTP")
            return
        stream = int.from_bytes(data[at + 8 : at + 10])
        if interleaved:
            _, message, fragment = _I_CHUNK.unpack_from(data, at + 8)
            # Where the number of the first fragment would stand is the protocol's identifier.
            number = 0 if flags & _BEGIN else fragment
            self._join(part, (side, stream, flags & _UNORDERED, message), number, flags)
            return
        # Unordered messages have no number; but the fragments of one follow each other.
        message = -1 if flags & _UNORDERED else int.from_bytes(data[at + 10 : at + 12])
        self._join(part, (side, stream, flags & _UNORDERED | 2, message), number, flags)

    def _join(self, part: Packet, key: _Key, number: int, flags: int) -> None:
        limits = self._limits
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = _Parts(part)
        elif part.time >= waiting.packet.time:
            waiting.packet = part
        content = part.data[part.at : part.end]
        waiting.parts[number] = (content, part.end < part.whole)
        waiting.held += len(content) + _OVERHEAD
        self.held += len(content) + _OVERHEAD
        if flags & _BEGIN:
            waiting.first = number
        if flags & _END:
            waiting.last = number
        if waiting.first >= 0 and waiting.last >= 0:
            whole, complete = waiting.content()
            if complete:
                self._forget(key)
                self._give(waiting.packet, key[0], whole, cut=False)
                return
        where = part.position
        if waiting.held > limits.message + len(waiting.parts) * _OVERHEAD or len(waiting.parts) > limits.parts:
            self._tally.limit(where.source, where.number, f"SCTP message longer than {limits.message} bytes")
            self._give_up(key)
        peers = self._dissector.peers
        while sum(one.associations.held for one in peers) > limits.fragments or len(self._waiting) > limits.fragmented:
            self._tally.limit(where.source, where.number, "SCTP chunks that wait for others")
            max((one.associations for one in peers), key=_held).give_up_oldest()

    def give_up_oldest(self) -> None:
        """Give up the message that has waited longest."""
        self._give_up(next(iter(self._waiting)))

    def oldest(self) -> list[Position]:
        """The packet with the first chunk of all that waits."""
        return [waiting.oldest for waiting in islice(self._waiting.values(), 1)]

    def expire(self, time: int) -> None:
        """Give up what has waited for too long by that time."""
        before = time - self._limits.fragment_wait
        while self._waiting:
            key, oldest = next(iter(self._waiting.items()))
            if oldest.began >= before:
                return
            self._give_up(key)

    def _forget(self, key: _Key) -> _Parts:
        waiting = self._waiting.pop(key)
        self.held -= waiting.held
        return waiting

    def _give_up(self, key: _Key) -> None:
        waiting = self._forget(key)
        self._tally.counts["SCTP message with lost chunks"] += 1
        content, _ = waiting.content()
        if content:
            self._give(waiting.packet, key[0], content, cut=True)

    def _give(self, last: Packet, side: _Direction, content: bytes, *, cut: bool) -> None:
        packet = Packet(last.position, last.time, content)
        packet.source, packet.destination = side[:2]
        if cut:
            packet.whole += 1
            packet.cut_by = "cut by a lost fragment"
        self._dissector.datagram(packet, side[2], side[3], "SCTP")
