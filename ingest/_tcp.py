# TCP streams put together by sequence number, one direction each: what one side sent is read without the other.
#
# Positions in a stream are unwrapped: integers that go on counting where the 32-bit sequence number starts again. A
# stream whose SYN was captured knows where it begins. One joined in the middle doesn't: its first segments wait, like
# those behind a hole, for others that may be out of order, and then it begins with the lowest. A hole is given up when
# it has been open for `stream_wait` of capture time, or when too much waits behind it, or at the end of the input.
#
# The first copy of a byte wins. A message's time is that of the packet with its last byte, so order doesn't matter.
"""TCP reassembly."""

from __future__ import annotations

import bisect
import operator
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from sipcdr.builder import Position

from ._packet import SNAP_LENGTH
from ._sip import FIRST_BYTE, is_start_line
from ._streams import Undecided
from ._websocket import WebSocket

if TYPE_CHECKING:
    from ._dissect import Dissector
    from ._limits import Limits
    from ._packet import Packet
    from ._streams import Framing
    from ._tally import Tally

_FIN, _SYN, _RST = 1, 2, 4
_OVERHEAD: Final = 128
_FAR: Final = 1 << 24  # no window is so wide: another connection between the same ports

_Segment = tuple[int, int, bytes, int, Position, Position]
"""Offset, end when it was sent, bytes captured, time, position, and that of the first frame that it came in."""
_offset = operator.itemgetter(0)
_held = operator.attrgetter("held")


class _Stream:
    """One direction of a connection.

    begin, next: the offset behind the SYN, and the one that comes next; None while not known. kept: the packet with the
    first of the bytes that `framer` holds back.
    """

    __slots__ = (
        "anchor",
        "begin",
        "between",
        "end",
        "foreign",
        "framer",
        "held",
        "kept",
        "last",
        "next",
        "pending",
        "pending_size",
        "since",
        "undecided",
    )

    def __init__(self, between: tuple[str, str]) -> None:
        self.between = between
        self.framer: Framing
        self.undecided: Undecided | None = None
        self.kept: Position | None = None
        self.anchor = 0
        self.begin: int | None = None
        self.next: int | None = None
        self.end: int | None = None
        self.foreign = ""
        self.pending: list[_Segment] = []
        self.pending_size = 0
        self.held = 0
        self.last = 0
        self.since = 0

    def offset(self, sequence: int) -> int:
        """A sequence number as a position: the one nearest to where the stream is."""
        return self.anchor + ((sequence - self.anchor + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Streams:
    """All directions of TCP connections of a capture, within bounds shared with its peers. held: bytes held back."""

    def __init__(self, dissector: Dissector, tally: Tally, limits: Limits) -> None:
        self._dissector = dissector
        self._tally = tally
        self._limits = limits
        self.held = 0
        # Both in the order of use: the first is the oldest, and found at once, as in a plain dict it is not.
        self._streams: OrderedDict[bytes, _Stream] = OrderedDict()
        self._waiting: OrderedDict[bytes, _Stream] = OrderedDict()
        self._holding: dict[bytes, _Stream] = {}

    def segment(self, packet: Packet, header: int) -> None:
        """Take in the TCP segment at `packet.at` whose header is that long."""
        data, at, time = packet.data, packet.at, packet.time
        flags = data[at + 13]
        if self._waiting:
            self.expire(time)
        start = at + header
        length = packet.whole - start
        if length <= 0 and not flags & (_FIN | _SYN | _RST):
            self._tally.counts["TCP without data"] += 1
            return
        key = packet.source + packet.destination + data[at : at + 4]
        stream = self._streams.pop(key, None)
        sequence = int.from_bytes(data[at + 4 : at + 8], "big")
        if stream is None:
            if length <= 0 and not flags & _SYN:
                return
            stream = self._new(packet, time)
            stream.anchor = sequence
        self._streams[key] = stream
        stream.last = time
        if flags & _SYN:
            sequence = sequence + 1 & 0xFFFFFFFF
        offset = stream.offset(sequence)
        if flags & _SYN and stream.begin != offset:
            # Where the stream begins; if one is under way, another connection does.
            if stream.next is not None:
                self._finish(key, stream)
                self._renew(stream)
            stream.begin = stream.next = stream.anchor = offset
        elif stream.next is not None and abs(offset - stream.next) > _FAR:
            self._finish(key, stream)
            self._renew(stream)
            stream.begin = stream.next = None
            stream.anchor = offset
        if stream.foreign and not self._ours_after_all(stream, data, start, packet.end, offset):
            return
        if length > 0:
            self._data(stream, offset, length, data[start : packet.end], packet)
        if flags & (_FIN | _RST):
            stream.end = offset + max(length, 0)
        if stream.pending or stream.end is not None or stream.held or stream.framer:
            self._advance(key, stream, packet)

    def __len__(self) -> int:
        """Directions of connections that are known."""
        return len(self._streams)

    def give_up_oldest(self) -> bool:
        """Give out what the stream holds that was used longest ago, and forget it. Whether it held anything."""
        key, oldest = next(iter(self._streams.items()))
        held = oldest.held
        self._finish(key, oldest)
        del self._streams[key]
        return held > 0

    def forget(self, time: int) -> None:
        """Forget streams that have been idle for too long by that time."""
        streams = self._streams
        while streams and next(iter(streams.values())).last < time - self._limits.stream_idle:
            self.give_up_oldest()

    def flush(self) -> None:
        """Give out what all streams hold: the input has ended."""
        for key, stream in self._streams.items():
            self._finish(key, stream)
        self._streams.clear()

    def _new(self, packet: Packet, time: int) -> _Stream:
        dissector = self._dissector
        self.forget(time)
        all_streams = [one.streams for one in dissector.peers]
        while sum(map(len, all_streams)) >= self._limits.streams:
            # One that holds nothing loses nothing: it is joined again in its middle.
            if max(all_streams, key=len).give_up_oldest():
                self._limit(packet, f"more than {self._limits.streams} TCP streams")
            else:
                self._tally.counts["TCP streams forgotten"] += 1
        ports = packet.data[packet.at : packet.at + 4]
        source = dissector.endpoint(packet.source, int.from_bytes(ports[:2], "big"))
        destination = dissector.endpoint(packet.destination, int.from_bytes(ports[2:], "big"))
        stream = _Stream((source, destination))
        self._renew(stream)
        return stream

    def _renew(self, stream: _Stream) -> None:
        """Begin anew: another connection between the same ports, or another protocol in it."""
        stream.foreign = ""
        stream.framer = stream.undecided = Undecided(self._dissector, self._limits, stream.between)

    def _ours_after_all(self, stream: _Stream, data: bytes, start: int, end: int, offset: int) -> bool:
        """Whether a stream that was taken for something else goes on with a start line of SIP."""
        if start < end and FIRST_BYTE[data[start]]:
            line, ended, _ = data[start : min(start + self._limits.line, end)].lstrip(b"\r\n").partition(b"\n")
            if ended and is_start_line(line):
                self._renew(stream)
                stream.next = stream.anchor = offset
                return True
        self._tally.counts[stream.foreign] += 1
        return False

    def _data(self, stream: _Stream, offset: int, length: int, data: bytes, packet: Packet) -> None:
        end = offset + length
        expected = stream.next
        if expected is not None:
            if end <= expected:
                self._tally.counts["TCP segments sent again"] += 1
                return
            if offset <= expected and not stream.pending:
                self._deliver(stream, expected, (offset, end, data, packet.time, packet.position, packet.first))
                return
        if not stream.pending:
            stream.since = packet.time
        bisect.insort(stream.pending, (offset, end, data, packet.time, packet.position, packet.first), key=_offset)
        stream.pending_size += len(data) + _OVERHEAD

    def _deliver(self, stream: _Stream, expected: int, segment: _Segment) -> None:
        """Hand the framer what is new of a segment that holds the expected offset."""
        offset, end, data, time, position, first = segment
        fresh = data[expected - offset :] if expected > offset else data
        if fresh:
            held = len(stream.framer)
            stream.framer.feed(fresh, time, position)
            if stream.undecided is not None and stream.undecided.decided is not None:
                stream.framer = stream.undecided.decided
                stream.undecided = None
            # What is held back are the last bytes; but of WebSocket, some that were unmasked and stripped of heads.
            if not held or (len(stream.framer) <= len(fresh) and not isinstance(stream.framer, WebSocket)):
                stream.kept = first
            if stream.framer.idle > self._limits.foreign:
                stream.foreign = _FOREIGN
                stream.framer.end()
        if offset + len(data) < end:
            self._tally.counts[SNAP_LENGTH] += 1
            stream.framer.gap()
        stream.next = stream.anchor = end

    def _advance(self, key: bytes, stream: _Stream, packet: Packet) -> None:
        """Deliver what is no longer waiting, and see that what still is stays within bounds."""
        self._drain(stream, packet.time)
        while stream.pending and stream.pending_size > self._limits.stream:
            self._limit(packet, "TCP segments that wait for others")
            self._give_up(stream, packet.time)
        self._account(key, stream)
        peers = self._dissector.peers
        while sum(one.streams.held for one in peers) > self._limits.streams_held:
            self._limit(packet, "TCP streams that wait for segments")
            max((one.streams for one in peers), key=_held).give_up_oldest()

    def _drain(self, stream: _Stream, time: int) -> None:
        pending = stream.pending
        if stream.next is not None and pending:
            taken = 0
            for segment in pending:
                if segment[0] > stream.next:
                    break
                taken += 1
                stream.pending_size -= len(segment[2]) + _OVERHEAD
                if segment[1] > stream.next:
                    self._deliver(stream, stream.next, segment)
            if taken:
                del pending[:taken]
                stream.since = time
        if stream.end is not None and stream.next is not None and stream.next >= stream.end:
            stream.framer.end()
            stream.end = None

    def _give_up(self, stream: _Stream, time: int) -> None:
        """Go on behind a hole."""
        if stream.next is not None:
            self._tally.counts["TCP gap"] += 1
        stream.framer.gap()
        stream.next = stream.anchor = stream.pending[0][0]
        self._drain(stream, time)

    def _finish(self, key: bytes, stream: _Stream) -> None:
        """Give out what a stream holds."""
        while stream.pending:
            self._give_up(stream, stream.last)
        stream.framer.end()
        stream.end = None
        self._account(key, stream)

    def _account(self, key: bytes, stream: _Stream) -> None:
        held = stream.pending_size + len(stream.framer)
        self.held += held - stream.held
        stream.held = held
        if held:
            self._holding[key] = stream
        else:
            self._holding.pop(key, None)
        if self._waiting:
            self._waiting.pop(key, None)
        if stream.pending:
            self._waiting[key] = stream

    def oldest(self) -> list[Position]:
        """Of each stream that holds something back the packets with it, or with the first of it."""
        found = [first for stream in self._holding.values() for *_, first in stream.pending]
        return found + [stream.kept for stream in self._holding.values() if stream.kept and stream.framer]

    def expire(self, time: int) -> None:
        """Go on behind holes that have been open for too long by that time."""
        before = time - self._limits.stream_wait
        while self._waiting:
            key, stream = next(iter(self._waiting.items()))
            if stream.since >= before:
                return
            self._give_up(stream, time)
            self._account(key, stream)

    def _limit(self, packet: Packet, reason: str) -> None:
        self._tally.limit(packet.position.source, packet.position.number, reason)


_FOREIGN: Final = "TCP without SIP"
