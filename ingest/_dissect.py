"""`Dissector`: frames in, SIP messages out.

Two roads give the same. The general one, `walk`, goes from header to header through the tables of `_layers`. The fast
one, inside `feed`, looks at fixed offsets of the most usual frames, to drop what can't be SIP for the cost of one
`unpack`: a capture holds some forty packets of media to one of signalling.
"""

from __future__ import annotations

import functools
import re
import socket
import struct
from typing import TYPE_CHECKING, Final

from sipcdr.builder import Position, SipMessage

from . import _hep
from ._formats import records
from ._fragments import Fragments
from ._layers import LINK_TYPES, TABLES, UDP_PORTS, link_type_named
from ._packet import LINK, NOT_IP, NOT_OURS, PROTOCOL, Packet
from ._sctp import Associations
from ._sip import FIRST_BYTE, is_start_line, scan
from ._tcp import Streams

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._limits import Limits
    from ._packet import Step
    from ._pcap import Record
    from ._source import Window
    from ._tally import Tally

BATCH: Final = 512

_VLANS: Final = (0x8100, 0x88A8)
_NO_SIP_UDP: Final = "UDP without SIP"
_MAY_BE_HEP: Final = b"HE\x01\x02"
_MAY_BEGIN: Final = bytes(FIRST_BYTE[byte] or byte in _MAY_BE_HEP for byte in range(256))
"""1 for each byte that SIP or HEP may begin with."""
_NO_DATA_TCP: Final = "TCP without data"
_FLAGS_OR_NOTHING: Final = 7  # FIN, SYN, RST

_MAY_BE_SIP = re.compile(rb"[!%'*+\-.0-9A-Z_`a-z~]{1,64}[ /]").match

# Fields of Ethernet or a like header and of IPv4 without options behind it: ethertype, version and header length, total
# length, flags and fragment offset, protocol, the UDP destination port, the first byte behind the UDP header. Raw
# IP has no ethertype; an empty string stands for it.
_IPV4_BEHIND = "BxHxxHxB12xH4xB"


class _Offsets:
    """What the fast road knows of a link type: where its fields are, and the ethertypes of IP."""

    __slots__ = ("ip", "ipv4", "ipv6", "shortest", "unpack")

    def __init__(self, link: str, ip: int, ethertypes: tuple[object, object] = (0x0800, 0x86DD)) -> None:
        fields = struct.Struct(">" + link + _IPV4_BEHIND)
        self.unpack = fields.unpack_from
        self.shortest = fields.size + 16  # two VLAN tags more, and all of a TCP header
        self.ip = ip
        self.ipv4, self.ipv6 = ethertypes


_RAW = _Offsets("0s", 0, (b"", b""))
_FAST: Final = {
    1: _Offsets("12xH", 14),
    101: _RAW,
    113: _Offsets("14xH", 16),
    228: _RAW,
    229: _RAW,
    276: _Offsets("H18x", 20),
}


class Dissector:
    """Takes the frames of a capture, or of several that continue each other, and finds SIP in them.

    Fragments and TCP streams that aren't complete wait inside, within `limits`; `finish` gives out what they hold.

    peers: all dissectors, itself too, that share the bounds on what waits. batch: messages given out at a time, at
    least, while there are more.
    """

    def __init__(
        self,
        source: str,
        tally: Tally,
        limits: Limits,
        *,
        esp_null: bool = False,
        peers: list[Dissector] | None = None,
    ) -> None:
        self.peers = peers if peers is not None else []
        self.peers.append(self)
        self.batch = BATCH
        self.source = source
        self.last_time = -1
        self.messages: list[SipMessage] = []
        self._tally = tally
        self._limits = limits
        self.esp_null = esp_null
        self.tunnels = UDP_PORTS
        self.associations = Associations(self, tally, limits)
        self._pending: list[tuple[Step, Packet]] = []
        self.fragments = Fragments(self, tally, limits)
        self.streams = Streams(self, tally, limits)
        self._unknown_links: set[tuple[str, int]] = set()

    def read(self, window: Window) -> Iterator[list[SipMessage]]:
        """The messages of the capture that stands at the beginning of `window`, in batches. Raises as `records`."""
        return self.feed(records(window, self._tally, self._limits))

    def feed(self, records: Iterable[Record]) -> Iterator[list[SipMessage]]:
        """The messages of these frames, in batches."""
        link_type = -2
        offsets = _FAST[1]
        shortest = ip = 0
        tunnels = UDP_PORTS
        may_begin = _MAY_BEGIN
        media = acknowledgements = 0
        time = self.last_time
        for number, time, link, frame in records:
            if link != link_type:
                if link < 0:  # nothing yet
                    self.last_time = time or self.last_time
                    yield self.take()
                    continue
                link_type = link
                offsets = _FAST.get(link, _RAW)
                unpack, ip = offsets.unpack, offsets.ip
                ethertype_ipv4, ethertype_ipv6 = offsets.ipv4, offsets.ipv6
                shortest = offsets.shortest if link in _FAST else 1 << 62
            if len(frame) >= shortest:
                at = ip
                ethertype, version, length, flags, protocol, port, first = unpack(frame)
                if ethertype in _VLANS:
                    ethertype, version, length, flags, protocol, port, first = unpack(frame, 4)
                    at += 4
                    if ethertype == 0x8100:
                        ethertype, version, length, flags, protocol, port, first = unpack(frame, 8)
                        at += 4
                if version == 0x45 and ethertype == ethertype_ipv4:
                    if protocol == 17:
                        if not may_begin[first] and not flags & 0x3FFF and length > 28 and port not in tunnels:
                            media += 1
                            continue
                    elif (
                        protocol == 6
                        and not flags & 0x3FFF
                        and not frame[at + 33] & _FLAGS_OR_NOTHING
                        and length == 20 + (frame[at + 32] >> 4) * 4 >= 40
                        and at + length <= len(frame)
                    ):
                        acknowledgements += 1
                        continue
                elif (
                    ethertype == ethertype_ipv6
                    and version >> 4 == 6
                    and len(frame) > at + 48
                    and frame[at + 6] == 17
                    and not may_begin[frame[at + 48]]
                    and (frame[at + 4] or frame[at + 5] > 8)
                    and (frame[at + 42] << 8 | frame[at + 43]) not in tunnels
                ):
                    media += 1
                    continue
            self.walk(number, time, link, frame)
            if len(self.messages) >= self.batch:
                yield self.take()
        self.last_time = time or self.last_time
        counts = self._tally.counts
        if media:
            counts[_NO_SIP_UDP] += media
        if acknowledgements:
            counts[_NO_DATA_TCP] += acknowledgements

    def finish(self) -> list[SipMessage]:
        """The messages that still waited for fragments or segments."""
        self.fragments.flush()
        while self.fragments.lost:
            self._go_on()
            self.fragments.flush()
        self.associations.flush()
        self.streams.flush()
        self.peers.remove(self)
        return self.take()

    def wait_until(self, time: int) -> list[SipMessage]:
        """The messages of which no more comes, as no frame has come up to that time."""
        self.fragments.expire(time)
        self._go_on()
        self.associations.expire(time)
        self.streams.expire(time)
        self.streams.forget(time)
        return self.take()

    @property
    def waits_for(self) -> list[Position]:
        """The oldest packets of all that waits: from these on a capture must be read again to have it."""
        return [
            *self.fragments.oldest(),
            *self.associations.oldest(),
            *self.streams.oldest(),
        ]

    def take(self) -> list[SipMessage]:
        """The messages found since the last time, which are then no longer held."""
        messages = self.messages
        self.messages = []
        self._tally.messages += len(messages)
        return messages

    def walk(self, number: int, time: int, link: int, frame: bytes) -> None:
        """The general road: decode one frame; what it completes stands in `messages`."""
        if link not in LINK_TYPES:
            self._unknown_link(number, link)
            return
        self._steps((LINK, link), Packet(Position(self.source, number), time, frame))
        if self._pending or self.fragments.lost:
            self._go_on()

    def _go_on(self) -> None:
        """Decode what was found beside the frames: parts of aggregated ones, and what there is of lost datagrams."""
        lost, pending = self.fragments.lost, self._pending
        while lost or pending:
            pending += (((PROTOCOL, protocol), packet) for protocol, packet in lost)
            lost.clear()
            self._steps(*pending.pop())

    def _steps(self, step: Step, packet: Packet) -> None:
        for _ in range(self._limits.layers):
            if step is None:
                return
            table, key = step
            decoder = TABLES[table].get(key)
            if decoder is None:
                self.skip(NOT_OURS if table == PROTOCOL else NOT_IP)
                return
            step = decoder(self, packet)
        if step is not None:
            where = packet.position
            self._tally.limit(where.source, where.number, f"more than {self._limits.layers} layers")

    def _unknown_link(self, number: int, link: int) -> None:
        self._tally.counts[f"link type {link}"] += 1
        if (self.source, link) not in self._unknown_links:
            self._unknown_links.add((self.source, link))
            self._tally.problem(self.source, number, -1, f"{link_type_named(link)} can't be read")

    # What the decoders of `_layers` hand over.

    def skip(self, reason: str) -> Step:
        """Count a frame that holds nothing of ours: no step follows."""
        self._tally.counts[reason] += 1
        return None

    def joined(self, packet: Packet, protocol: int, identification: int, offset: int, more: bool) -> bool:
        """Take in an IP fragment; True when the packet has become the whole datagram."""
        return self.fragments.join(packet, protocol, identification, offset, more)

    def also(self, step: Step, packet: Packet) -> None:
        """Decode a packet that stands beside others in a frame, after them."""
        self._pending.append((step, packet))

    def count(self, reason: str) -> None:
        """Count something that is no message."""
        self._tally.counts[reason] += 1

    def datagram(self, packet: Packet, source_port: int, destination_port: int, transport: str = "UDP") -> None:
        """Look for SIP in a datagram: of UDP, or of another transport that keeps messages apart."""
        at, end = packet.at, packet.end
        data = packet.data
        if at >= end or not _MAY_BEGIN[data[at]]:
            self.count(f"{transport} without SIP")
            return
        if data[at] in _MAY_BE_HEP and _hep.is_hep(data[at : min(at + _hep.LARGEST, end)]):
            for one in _hep.packets(data[at:end]):
                self.hep(one, packet.time, packet.position)
            return
        payload = data[at:end]
        if payload[0] in b"\r\n":
            payload = payload.lstrip(b"\r\n")
            if not payload:
                self._tally.counts["keep-alives"] += 1
                return
        if not _MAY_BE_SIP(payload):
            self.count(f"{transport} without SIP")
            return
        source = self.endpoint(packet.source, source_port)
        destination = self.endpoint(packet.destination, destination_port)
        cut = packet.whole > end
        position = packet.position
        while True:
            message = scan(
                payload, packet.time, position, self._tally, self._limits, source, destination, transport, cut
            )
            if isinstance(message, str):
                if message == "not SIP":
                    self.count(f"{transport} without SIP")
                else:
                    self._tally.refuse(position.source, position.number, message)
                return
            self.messages.append(message)
            if cut:
                self._tally.counts[packet.cut_by] += 1
            rest = len(message.raw)
            if rest == len(payload):
                return
            # What Content-Length leaves over is no body; it may be another message.
            payload = payload[rest:].lstrip(b"\r\n")
            if not is_start_line(payload.partition(b"\n")[0]):
                return

    def hep(self, data: bytes, time: int, position: Position) -> None:
        """Take a HEP packet on its way to a collector: what it says of time and addresses counts."""
        found = _hep.decode(data, largest=self._limits.message)
        if isinstance(found, str):
            if found.startswith(_hep.NOT_SIP):
                self.count("HEP without SIP")
            else:
                self._tally.refuse(position.source, position.number, found)
            return
        if found.time is None:
            self.count("time of the frame, as its HEP header has none")
        then = time if found.time is None else found.time
        self.stream_message(found.source, found.destination, found.payload, then, position, False, found.transport)

    def segment(self, packet: Packet, header: int) -> None:
        """Take in a TCP segment whose header has that length."""
        self.streams.segment(packet, header)

    def chunks(self, packet: Packet) -> Step:
        """Take in a packet of SCTP."""
        return self.associations.take(packet)

    def stream_message(
        self,
        source: str,
        destination: str,
        data: bytes,
        time: int,
        position: Position,
        cut: bool,
        transport: str = "TCP",
    ) -> None:
        """Take a message that was framed in a stream."""
        message = scan(
            data,
            time,
            position,
            self._tally,
            self._limits,
            source,
            destination,
            transport,
            cut,
        )
        if isinstance(message, str):
            self._tally.refuse(position.source, position.number, message)
        else:
            self.messages.append(message)

    def endpoint(self, address: bytes, port: int) -> str:
        """`host:port` of a packed address, IPv6 in brackets; empty without one."""
        return _endpoint(address, port)


@functools.lru_cache(maxsize=65_536)
def _endpoint(address: bytes, port: int) -> str:
    if not address:
        return ""
    if len(address) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, address)}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, address)}]:{port}"
