"""IPv4, IPv6 and its extension headers, UDP and TCP."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from ._packet import NOT_IP, PORT, PROTOCOL, TOO_SHORT
from ._sip import FIRST_BYTE, is_start_line

if TYPE_CHECKING:
    from ._dissect import Dissector
    from ._packet import Packet, Step


def ipv4(dissector: Dissector, packet: Packet) -> Step:
    """RFC 791. A fragment goes to the dissector, which gives back the whole once it is there."""
    data, at = packet.data, packet.at
    if at + 20 > packet.end:
        return dissector.skip(TOO_SHORT)
    length, identification, flags = _IPV4.unpack_from(data, at)
    header = (data[at] & 15) * 4
    if data[at] >> 4 != 4 or header < 20 or at + header > packet.end:
        return dissector.skip(NOT_IP)
    # A length of 0: segmentation was left to the card.
    packet.ends_at(at + max(length, header) if length else packet.end)
    protocol = data[at + 9]
    packet.source = data[at + 12 : at + 16]
    packet.destination = data[at + 16 : at + 20]
    packet.at = at + header
    if flags & 0x3FFF and not dissector.joined(
        packet, protocol, identification, (flags & 0x1FFF) * 8, bool(flags & 0x2000)
    ):
        return None
    return PROTOCOL, protocol


def ipv6(dissector: Dissector, packet: Packet) -> Step:
    """RFC 8200, the fixed header."""
    data, at = packet.data, packet.at
    if at + 40 > packet.end:
        return dissector.skip(TOO_SHORT)
    if data[at] >> 4 != 6:
        return dissector.skip(NOT_IP)
    length = data[at + 4] << 8 | data[at + 5]
    packet.ends_at(at + 40 + length if length else packet.end)  # 0: a jumbogram, or left to the card
    packet.source = data[at + 8 : at + 24]
    packet.destination = data[at + 24 : at + 40]
    packet.at = at + 40
    return PROTOCOL, data[at + 6]


def ipv6_extension(dissector: Dissector, packet: Packet) -> Step:
    """RFC 8200 section 4: the next header, and this one's length in units of 8 bytes without the first 8."""
    data, at = packet.data, packet.at
    if at + 2 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + (data[at + 1] + 1) * 8
    return PROTOCOL, data[at]


def authentication(dissector: Dissector, packet: Packet) -> Step:
    """RFC 4302: as an IPv6 extension, but counted in units of 4 bytes without the first 8."""
    data, at = packet.data, packet.at
    if at + 2 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + (data[at + 1] + 2) * 4
    return PROTOCOL, data[at]


def ipv6_fragment(dissector: Dissector, packet: Packet) -> Step:
    """RFC 8200 section 4.5."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end:
        return dissector.skip(TOO_SHORT)
    place, identification = _IPV6_FRAGMENT.unpack_from(data, at)
    packet.at = at + 8
    if place & 0xFFF9 and not dissector.joined(packet, data[at], identification, place & 0xFFF8, bool(place & 1)):
        return None
    return PROTOCOL, data[at]


def udp(dissector: Dissector, packet: Packet) -> Step:
    """RFC 768. A tunnel on a known port goes on; anything else is a datagram that may be SIP."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end:
        return dissector.skip(TOO_SHORT)
    source_port, destination_port, length = _UDP.unpack_from(data, at)
    if length:  # 0: a jumbogram
        packet.ends_at(at + max(length, 8))
    packet.at = at + 8
    port = 0
    if destination_port in dissector.tunnels:
        port = destination_port
    elif source_port == GTP_USER and packet.at < packet.end and data[at + 8] & 0xF8 == 0x30:
        port = source_port
    # A phone behind a translator of addresses may be given a tunnel's port.
    if port and not _is_sip(packet):
        return PORT, port
    dissector.datagram(packet, source_port, destination_port)
    return None


def not_a_tunnel(dissector: Dissector, packet: Packet) -> Step:
    """What came to a tunnel's port and isn't one is a datagram like others; it begins at `packet.at`."""
    source_port, destination_port = _PORTS.unpack_from(packet.data, packet.at - 8)
    dissector.datagram(packet, source_port, destination_port)
    return None


def tcp(dissector: Dissector, packet: Packet) -> Step:
    """RFC 9293."""
    data, at = packet.data, packet.at
    if at + 20 > packet.end:
        return dissector.skip(TOO_SHORT)
    header = (data[at + 12] >> 4) * 4
    if header < 20 or at + header > packet.end:
        return dissector.skip(TOO_SHORT)
    dissector.segment(packet, header)
    return None


def _is_sip(packet: Packet) -> bool:
    data, at = packet.data, packet.at
    if at >= packet.end or not FIRST_BYTE[data[at]]:
        return False
    return is_start_line(data[at : min(at + _LINE, packet.end)].lstrip(b"\r\n").partition(b"\n")[0])


GTP_USER: Final = 2152

_LINE: Final = 2048
_IPV4: Final = struct.Struct(">2xHHH")
_IPV6_FRAGMENT: Final = struct.Struct(">2xHI")
_UDP: Final = struct.Struct(">HHH")
_PORTS: Final = struct.Struct(">HH")
