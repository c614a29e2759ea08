"""The packets of one call, out of captures: what carries its messages, and its media."""

from __future__ import annotations

import ipaddress
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

from sipcdr.ingest import LogOptions, is_start_line, packets

from ._pcapng import PcapngWriter
from ._records import text
from ._sdp import streams_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import BinaryIO

    from sipcdr.builder import Position, SipMessage
    from sipcdr.ingest import Carried

_MARGIN: Final = 5_000_000
"""Microseconds before and after the call in which its connections' beginnings and ends, and late media, are taken."""
_STREAM: Final = 1 << 20
"""Bytes of a TCP direction that are kept to find a message in."""
_SEGMENTS: Final = 4096
_PATIENCE: Final = 64
"""Segments of a direction after the one in which a message ends: in one of these what lacked before it must be."""
_FRAGMENT_WAIT: Final = 60_000_000
_DATAGRAMS: Final = 4096
_LOGS: Final = LogOptions()

_Direction = tuple[str, str]


class Wanted:
    """Which packets a call needs, learnt from its messages.

    call_id: as the user wrote it. count: messages found. hosts: names in SDPs where there should be addresses, whose
    media can't be told.
    """

    def __init__(self, call_id: str, *, media: bool) -> None:
        self._call_id = call_id
        self._media = media
        self.count = 0
        self.first = self.last = 0
        self.hosts: set[str] = set()
        self._ended = False
        # Messages by the frame that completed them.
        self.messages: dict[Position, list[bytes]] = {}
        self.directions: set[_Direction] = set()
        self.connections: set[_Direction] = set()
        self.media: dict[str, int] = {}

    def add(self, messages: Iterable[SipMessage]) -> None:
        """Take in the messages that are the call's."""
        for message in messages:
            if text(message.call_id) != self._call_id:
                continue
            self.first = min(self.first, message.time) if self.count else message.time
            self.last = max(self.last, message.time)
            self.count += 1
            self._ended |= message.method in ("BYE", "CANCEL") or message.status >= 300
            self.messages.setdefault(message.position, []).append(message.raw)
            if message.transport != "UDP":
                direction = (message.source, message.destination)
                self.directions.add(direction)
                if message.transport != "TCP":  # encrypted or framed: the bytes can't be found in the stream
                    self.connections.update((direction, direction[::-1]))
            if self._media:
                self._add_media(message)

    @property
    def until(self) -> int | None:
        """After which time nothing is the call's; None if it goes on."""
        return self.last + _MARGIN if self._ended or not self._media else None

    def _add_media(self, message: SipMessage) -> None:
        for stream in streams_of(message.body):
            if not stream.port:
                continue
            try:
                host = ipaddress.ip_address(stream.host)
            except ValueError:
                self.hosts.add(stream.host)
                continue
            if host.is_unspecified:
                continue
            shown = f"[{host}]" if host.version == 6 else str(host)
            for port in (stream.port, stream.control or stream.port + 1):
                self.media.setdefault(f"{shown}:{port}", message.time)


def packets_of(files: Sequence[str], wanted: Wanted, logs: LogOptions = _LOGS) -> list[Carried]:
    """The packets, by time."""
    try:
        found = _packets_of(files, wanted, logs, _Asked(wanted))
    except ValueError:
        found = _packets_of(files, wanted, logs, None)
    return sorted(found, key=lambda packet: (packet.time, packet.position.source, packet.position.number))


class _Asked:
    """Tells by its bytes whether a frame may be the call's: most aren't, and need not be taken apart.

    Raises ValueError where the call has an endpoint that is none.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._numbers: defaultdict[str, set[int]] = defaultdict(set)
        for position in wanted.messages:
            self._numbers[position.source].add(position.number)
        self._directions = [[*_packed(source), *_packed(to)] for source, to in wanted.directions]
        self._media: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for endpoint in wanted.media:
            host, port = _packed(endpoint)
            self._media[host].append(port)

    def __call__(self, source: str, number: int, data: bytes) -> bool:
        """Whether it holds a message of the call, or the addresses and ports of its connections or media."""
        if number in self._numbers[source]:
            return True
        for one, its_port, other, other_port in self._directions:
            if one in data and other in data and its_port in data and other_port in data:
                return True
        return any(host in data and any(port in data for port in ports) for host, ports in self._media.items())


def _packed(endpoint: str) -> tuple[bytes, bytes]:
    """Address and port as they stand in headers. Raises ValueError."""
    host, _, port = endpoint.rpartition(":")
    number = int(port)
    if not 0 <= number < 65_536:
        raise ValueError(f"no port: {port}")
    return ipaddress.ip_address(host.strip("[]")).packed, number.to_bytes(2, "big")


def _packets_of(files: Sequence[str], wanted: Wanted, logs: LogOptions, asked: _Asked | None) -> Iterable[Carried]:
    """The packets. With `asked`, raises ValueError where all have to be taken apart, as a message is in fragments."""
    chosen: dict[Position, Carried] = {}
    fragments = _Fragments()
    streams: dict[_Direction, _Segments] = {}
    begin = wanted.first - _MARGIN
    for packet in packets(files, wanted.until, logs, asked):
        taken: Iterable[Carried] = ()
        raws = wanted.messages.get(packet.position)
        if packet.fragment is not None:
            if raws is not None and asked is not None:
                raise ValueError("a message in fragments, whose addresses may be a tunnel's")
            taken = fragments.add(packet, raws is not None)
        elif packet.sequence >= 0:
            taken = _of_stream(packet, raws, wanted, streams, begin)
        elif raws is not None or _is_media(packet, wanted):
            taken = (packet,)
        for one in taken:
            chosen[one.position] = one
    for segments in streams.values():
        for one in segments.rest():
            chosen[one.position] = one
    return chosen.values()


def _is_media(packet: Carried, wanted: Wanted) -> bool:
    for endpoint in (packet.source, packet.destination):
        since = wanted.media.get(endpoint)
        if since is not None and packet.time >= since:
            return True
    return False


def _of_stream(
    packet: Carried,
    raws: list[bytes] | None,
    wanted: Wanted,
    streams: dict[_Direction, _Segments],
    begin: int,
) -> Iterable[Carried]:
    direction = (packet.source, packet.destination)
    if direction in wanted.connections:
        return (packet,) if packet.time >= begin else ()
    known = direction in wanted.directions
    if not known and direction[::-1] not in wanted.directions:
        return ()
    taken: list[Carried] = [packet] if packet.flags and packet.time >= begin else []
    if known and packet.payload:
        segments = streams.setdefault(direction, _Segments())
        segments.add(packet, raws or ())
        taken += segments.found()
    return taken


class _Fragments:
    """Fragments of late, by datagram."""

    def __init__(self) -> None:
        self._datagrams: dict[tuple[bytes, bytes, int, int], list[Carried]] = {}

    def add(self, packet: Carried, wanted: bool) -> list[Carried]:
        """Take in a fragment; if it completes something wanted, all of its datagram."""
        key = packet.fragment
        if key is None:
            return []
        known = self._datagrams.pop(key, [])
        if known and packet.time - known[0].time > _FRAGMENT_WAIT:
            known = []
        self._datagrams[key] = [*known, packet]
        if len(self._datagrams) > _DATAGRAMS:
            del self._datagrams[next(iter(self._datagrams))]
        return self._datagrams[key] if wanted else []


class _Segments:
    """The last segments of a TCP direction, and messages that are looked for in them.

    What ends in a segment may begin in one that comes later: then it waits.
    """

    def __init__(self) -> None:
        self._segments: deque[Carried] = deque()
        self._size = 0
        self._waiting: list[tuple[bytes, int]] = []

    def add(self, packet: Carried, raws: Iterable[bytes]) -> None:
        """Take in a segment with payload, and messages that end in it."""
        self._segments.append(packet)
        self._size += len(packet.payload)
        while self._size > _STREAM or len(self._segments) > _SEGMENTS:
            self._size -= len(self._segments.popleft().payload)
        self._waiting += [(raw, _PATIENCE) for raw in raws]

    def found(self) -> list[Carried]:
        """The segments that hold those messages which are whole by now."""
        taken: list[Carried] = []
        waiting, self._waiting = self._waiting, []
        for raw, patience in waiting:
            holding = self._holding(raw)
            if holding:
                taken += holding
            elif patience:
                self._waiting.append((raw, patience - 1))
            else:
                taken += self._segments
        return taken

    def rest(self) -> list[Carried]:
        """All that is kept, if a message wasn't found in it."""
        return list(self._segments) if self._waiting else []

    def _holding(self, raw: bytes) -> list[Carried]:
        """The segments, copies too, in which the bytes of a message stand; none if they don't.

        What stands before it in its first segment belongs to another message: that one's segments are taken too, as no
        reader finds a message's beginning in the middle of a segment otherwise.
        """
        stream, places = self._joined()
        at = stream.rfind(raw)
        if at < 0:
            return []
        begin, end = at, at + len(raw)
        starts = [offset for offset, packet in places if offset <= begin and _begins(packet)]
        begin = max(starts, default=0)
        return [packet for offset, packet in places if offset < end and offset + len(packet.payload) > begin]

    def _joined(self) -> tuple[bytes, list[tuple[int, Carried]]]:
        """The stream as far as it is kept, holes closed, and each segment's offset in it."""
        middle = self._segments[-1].sequence - 0x80000000
        ordered = sorted(
            (((packet.sequence - middle) & 0xFFFFFFFF, packet) for packet in self._segments), key=lambda item: item[0]
        )
        stream = bytearray()
        places: list[tuple[int, Carried]] = []
        begin = reached = ordered[0][0]
        for sequence, packet in ordered:
            if sequence > reached:  # a hole: what stands behind it follows at once
                begin += sequence - reached
                reached = sequence
            places.append((sequence - begin, packet))
            if sequence + len(packet.payload) > reached:
                stream += packet.payload[reached - sequence :]
                reached = sequence + len(packet.payload)
        return bytes(stream), places


def _begins(packet: Carried) -> bool:
    return is_start_line(packet.payload.lstrip(b"\r\n")[:8192].partition(b"\n")[0])


def write_capture(file: BinaryIO, found: Iterable[Carried], application: str) -> None:
    """Write packets as pcapng."""
    writer = PcapngWriter(file, application)
    for packet in found:
        writer.packet(packet.time, packet.link, packet.data, len(packet.data) + packet.missing)
