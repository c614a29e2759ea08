"""IP fragments put together (RFC 791 section 3.2, RFC 8200 section 4.5): in any order, doubled, overlapping."""

from __future__ import annotations

import operator
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final

from ._packet import Packet

if TYPE_CHECKING:
    from sipcdr.builder import Position

    from ._dissect import Dissector
    from ._limits import Limits
    from ._tally import Tally

Key = tuple[bytes, bytes, int, int]
"""Source, destination, protocol, identification."""
_OVERHEAD: Final = 512
"""What a part takes beside its bytes."""
_held = operator.attrgetter("held")


class _Datagram:
    """What is there of a datagram: bytes by offset, each with where its fragment ended when it was sent."""

    __slots__ = ("began", "first", "held", "length", "parts", "position", "time")

    def __init__(self, began: int, position: Position, first: Position) -> None:
        self.parts: dict[int, tuple[bytes, int]] = {}
        self.began = began
        self.held = 0
        self.length = -1
        self.time = began
        self.first = first
        self.position = position

    def content(self) -> tuple[bytes, bool]:
        """What there is from the beginning without a hole, and whether that is all."""
        found: list[bytes] = []
        reached = 0
        for offset, (data, end) in sorted(self.parts.items()):
            if offset > reached:
                break
            if end > reached:
                found.append(data[reached - offset :])
                reached = offset + len(data)
                if reached < end:  # cut by the snap length
                    break
        return b"".join(found), reached == self.length

    def hashes(self) -> frozenset[int]:
        """What tells copies of its parts."""
        return frozenset(hash((offset, data)) for offset, (data, _) in self.parts.items())


class Fragments:
    """Holds fragments until their datagram is whole, by capture time not for ever, and within bounds.

    lost: protocols and packets of datagrams that were given up of which the beginning is there, to be taken from here.
    """

    def __init__(self, dissector: Dissector, tally: Tally, limits: Limits) -> None:
        self._dissector = dissector
        self._tally = tally
        self._limits = limits
        self.lost: list[tuple[int, Packet]] = []
        self.held = 0
        self._datagrams: OrderedDict[Key, _Datagram] = OrderedDict()
        # Those that became whole, the oldest first: hashes of their parts.
        self._joined: OrderedDict[Key, frozenset[int]] = OrderedDict()
        self._joined_parts = 0

    def join(self, packet: Packet, protocol: int, identification: int, offset: int, more: bool) -> bool:
        """Take in a fragment; when it was the last one missing, the packet becomes the whole datagram.

        Time and position are those of the latest fragment, in whichever order they came.
        """
        now = packet.time
        limits = self._limits
        self.expire(now)
        key = (packet.source, packet.destination, protocol, identification)
        datagram = self._datagrams.get(key)
        if datagram is None:
            datagram = self._datagrams[key] = _Datagram(now, packet.position, packet.first)
        data = packet.data[packet.at : packet.end]
        end = offset + packet.whole - packet.at
        if now >= datagram.time:
            datagram.time, datagram.position = now, packet.position
        if not more:
            datagram.length = end
        known = datagram.parts.get(offset)
        if known is None or len(known[0]) < len(data):
            datagram.parts[offset] = (data, end)
            added = len(data) - (len(known[0]) if known else 0)
            datagram.held += added
            self.held += added + (0 if known else _OVERHEAD)
        if datagram.length >= 0 and datagram.held >= datagram.length:
            content, whole = datagram.content()
            if whole:
                self._forget(key)
                self._remember(key, datagram)
                _become(packet, datagram, content, len(content))
                return True
        where = (packet.position.source, packet.position.number)
        if len(datagram.parts) > limits.parts:
            self._tally.limit(*where, f"more than {limits.parts} fragments of a datagram")
            self._give_up(key)
        peers = self._dissector.peers
        while sum(one.fragments.held for one in peers) > limits.fragments or len(self._datagrams) > limits.fragmented:
            self._tally.limit(*where, "fragments that wait for others")
            max((one.fragments for one in peers), key=_held).give_up_oldest()
        return False

    def give_up_oldest(self) -> None:
        """Give up the datagram that has waited longest."""
        self._give_up(next(iter(self._datagrams)))

    def flush(self) -> None:
        """Give up what still waits: the input has ended."""
        while self._datagrams:
            self.give_up_oldest()

    def oldest(self) -> list[Position]:
        """The packet with the first fragment of all that waits."""
        return [datagram.first for datagram in islice(self._datagrams.values(), 1)]

    def expire(self, time: int) -> None:
        """Give up what has waited for too long by that time."""
        before = time - self._limits.fragment_wait
        while self._datagrams:
            key, oldest = next(iter(self._datagrams.items()))
            if oldest.began >= before:
                return
            self._give_up(key)

    def _forget(self, key: Key) -> _Datagram:
        datagram = self._datagrams.pop(key)
        self.held -= datagram.held + len(datagram.parts) * _OVERHEAD
        return datagram

    def _remember(self, key: Key, datagram: _Datagram) -> None:
        joined = self._joined
        hashes = datagram.hashes()
        self._joined_parts += len(hashes) - len(joined.pop(key, ()))
        joined[key] = hashes
        while self._joined_parts > self._limits.fragmented:
            self._joined_parts -= len(joined.pop(next(iter(joined))))

    def _give_up(self, key: Key) -> None:
        datagram = self._forget(key)
        if datagram.hashes() <= self._joined.get(key, frozenset()):
            self._tally.counts["IP fragments sent again"] += len(datagram.parts)
            return
        content, _ = datagram.content()
        ends = max(end for _, end in datagram.parts.values())
        self._tally.counts["IP datagram with lost fragments"] += 1
        if content:
            packet = Packet(datagram.position, datagram.time, content)
            packet.source, packet.destination, protocol, _ = key
            packet.cut_by = "cut by a lost fragment"
            _become(packet, datagram, content, max(ends, datagram.length, len(content) + 1))
            self.lost.append((protocol, packet))


def _become(packet: Packet, datagram: _Datagram, content: bytes, whole: int) -> None:
    packet.data = content
    packet.at = 0
    packet.end = len(content)
    packet.whole = whole
    packet.first = datagram.first
    packet.time = datagram.time
    packet.position = datagram.position
