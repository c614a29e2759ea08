"""The headers around a payload, as a table of decoders: the general road of a frame.

A decoder reads one header at `packet.at`, moves `packet.at` behind it and names the table and the number of what
follows, or None where it ends: nothing of ours, or handed over to the dissector. A new link type, ethertype, IP
protocol or a tunnel on a UDP port is one function here (or in a module beside it) and one line in a table.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipcdr.builder import Position

    from ._dissect import Dissector


class Packet:
    """A frame on its way through the layers.

    data, at, end: the bytes, where the next header begins, and where what was captured of this layer ends.
    whole: where it ended when it was sent, behind `end` if it is cut. cut_by: why, then.
    source, destination: the innermost IP addresses, packed.
    """

    __slots__ = ("at", "cut_by", "data", "destination", "end", "position", "source", "time", "whole")

    def __init__(self, position: Position, time: int, data: bytes) -> None:
        self.position = position
        self.time = time
        self.data = data
        self.at = 0
        self.end = self.whole = len(data)
        self.cut_by = SNAP_LENGTH
        self.source = b""
        self.destination = b""


SNAP_LENGTH: Final = "cut by the snap length"

Step = tuple[dict[int, "Decoder"], int] | None
Decoder = Callable[["Dissector", Packet], Step]

TOO_SHORT: Final = "frame too short for its headers"
NOT_IP: Final = "not IP"
NOT_OURS: Final = "neither UDP nor TCP"


def ethernet(dissector: Dissector, packet: Packet) -> Step:
    """IEEE 802.3: two addresses and an ethertype. A length in its place is no IP."""
    at = packet.at + 14
    if at > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at
    return ETHERTYPES, packet.data[at - 2] << 8 | packet.data[at - 1]


def vlan(dissector: Dissector, packet: Packet) -> Step:
    """IEEE 802.1Q and 802.1ad: two bytes of tag, then the next ethertype."""
    at = packet.at + 4
    if at > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at
    return ETHERTYPES, packet.data[at - 2] << 8 | packet.data[at - 1]


def linux_cooked(dissector: Dissector, packet: Packet) -> Step:
    """LINKTYPE_LINUX_SLL: 16 bytes, the last two an ethertype."""
    at = packet.at + 16
    if at > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at
    return ETHERTYPES, packet.data[at - 2] << 8 | packet.data[at - 1]


def linux_cooked_2(dissector: Dissector, packet: Packet) -> Step:
    """LINKTYPE_LINUX_SLL2: 20 bytes, the first two an ethertype."""
    at = packet.at
    if at + 20 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + 20
    return ETHERTYPES, packet.data[at] << 8 | packet.data[at + 1]


def raw_ip(dissector: Dissector, packet: Packet) -> Step:
    """An IP header at once: its first four bits say which."""
    if packet.at >= packet.end:
        return dissector.skip(TOO_SHORT)
    version = packet.data[packet.at] >> 4
    return ETHERTYPES, _IP_VERSIONS.get(version, 0)


def loopback(dissector: Dissector, packet: Packet) -> Step:
    """BSD loopback: four bytes of address family, in the byte order of the machine that captured."""
    at = packet.at + 4
    if at > packet.end:
        return dissector.skip(TOO_SHORT)
    family = packet.data[at - 4 : at]
    packet.at = at
    return ETHERTYPES, _FAMILIES.get(max(family[0], family[3]) if not family[1] | family[2] else 0, 0)


def ipv4(dissector: Dissector, packet: Packet) -> Step:
    """RFC 791. A fragment goes to the dissector, which gives back the whole once it is there."""
    data, at = packet.data, packet.at
    if at + 20 > packet.end:
        return dissector.skip(TOO_SHORT)
    length, identification, flags = _IPV4.unpack_from(data, at)
    header = (data[at] & 15) * 4
    if data[at] >> 4 != 4 or header < 20 or at + header > packet.end:
        return dissector.skip(NOT_IP)
    _content(packet, at + max(length, header) if length else packet.end)  # 0: segmentation was left to the card
    protocol = data[at + 9]
    packet.source = data[at + 12 : at + 16]
    packet.destination = data[at + 16 : at + 20]
    packet.at = at + header
    if flags & 0x3FFF and not dissector.joined(
        packet, protocol, identification, (flags & 0x1FFF) * 8, bool(flags & 0x2000)
    ):
        return None
    return IP_PROTOCOLS, protocol


def ipv6(dissector: Dissector, packet: Packet) -> Step:
    """RFC 8200, the fixed header."""
    data, at = packet.data, packet.at
    if at + 40 > packet.end:
        return dissector.skip(TOO_SHORT)
    if data[at] >> 4 != 6:
        return dissector.skip(NOT_IP)
    length = data[at + 4] << 8 | data[at + 5]
    _content(packet, at + 40 + length if length else packet.end)  # 0: a jumbogram, or left to the card
    packet.source = data[at + 8 : at + 24]
    packet.destination = data[at + 24 : at + 40]
    packet.at = at + 40
    return IP_PROTOCOLS, data[at + 6]


def ipv6_extension(dissector: Dissector, packet: Packet) -> Step:
    """RFC 8200 section 4: the next header, and this one's length in units of 8 bytes without the first 8."""
    data, at = packet.data, packet.at
    if at + 2 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + (data[at + 1] + 1) * 8
    return IP_PROTOCOLS, data[at]


def authentication(dissector: Dissector, packet: Packet) -> Step:
    """RFC 4302: as an IPv6 extension, but counted in units of 4 bytes without the first 8."""
    data, at = packet.data, packet.at
    if at + 2 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + (data[at + 1] + 2) * 4
    return IP_PROTOCOLS, data[at]


def ipv6_fragment(dissector: Dissector, packet: Packet) -> Step:
    """RFC 8200 section 4.5."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end:
        return dissector.skip(TOO_SHORT)
    place, identification = _IPV6_FRAGMENT.unpack_from(data, at)
    packet.at = at + 8
    if place & 0xFFF9 and not dissector.joined(packet, data[at], identification, place & 0xFFF8, bool(place & 1)):
        return None
    return IP_PROTOCOLS, data[at]


def udp(dissector: Dissector, packet: Packet) -> Step:
    """RFC 768. A tunnel on a known port goes on; anything else is a datagram that may be SIP."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end:
        return dissector.skip(TOO_SHORT)
    source_port, destination_port, length = _UDP.unpack_from(data, at)
    if length:  # 0: a jumbogram
        _content(packet, at + max(length, 8))
    packet.at = at + 8
    if destination_port in UDP_PORTS:
        return UDP_PORTS, destination_port
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


def _content(packet: Packet, end: int) -> None:
    """Let the packet end where a header says: link padding goes, and bytes that the capture lacks are noted."""
    packet.whole = end
    packet.end = min(packet.end, end)


_IPV4: Final = struct.Struct(">2xHHH")
_IPV6_FRAGMENT: Final = struct.Struct(">2xHI")
_UDP: Final = struct.Struct(">HHH")

_IP_VERSIONS: Final = {4: 0x0800, 6: 0x86DD}
_FAMILIES: Final = {2: 0x0800, 10: 0x86DD, 24: 0x86DD, 28: 0x86DD, 30: 0x86DD}
"""AF_INET, and AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, Darwin."""

LINK_TYPES: Final[dict[int, Decoder]] = {
    0: loopback,
    1: ethernet,
    12: raw_ip,  # DLT_RAW as some systems write it into files
    14: raw_ip,  # the same of OpenBSD
    101: raw_ip,
    108: loopback,
    113: linux_cooked,
    228: raw_ip,
    229: raw_ip,
    276: linux_cooked_2,
}
"""https://www.tcpdump.org/linktypes.html"""

ETHERTYPES: Final[dict[int, Decoder]] = {
    0x0800: ipv4,
    0x8100: vlan,
    0x86DD: ipv6,
    0x88A8: vlan,
    0x9100: vlan,  # QinQ before 802.1ad
}

IP_PROTOCOLS: Final[dict[int, Decoder]] = {
    0: ipv6_extension,  # hop-by-hop options
    6: tcp,
    17: udp,
    43: ipv6_extension,  # routing
    44: ipv6_fragment,
    51: authentication,
    60: ipv6_extension,  # destination options
    135: ipv6_extension,  # mobility
    139: ipv6_extension,  # HIP
    140: ipv6_extension,  # shim6
}

UDP_PORTS: Final[dict[int, Decoder]] = {}
"""Tunnels, by destination port."""

_LINK_TYPE_NAMES: Final[dict[int, str]] = {
    3: "AX.25",
    6: "Token Ring",
    7: "ARCNET",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    50: "PPP in HDLC framing",
    51: "PPPoE",
    100: "ATM",
    104: "Cisco HDLC",
    105: "IEEE 802.11",
    107: "Frame Relay",
    109: "OpenBSD encapsulation",
    114: "LocalTalk",
    117: "OpenBSD pflog",
    119: "Prism",
    127: "IEEE 802.11 with radiotap",
    140: "MTP2",
    141: "MTP3",
    142: "SCCP",
    143: "DOCSIS",
    144: "IrDA",
    147: "USER0",
    148: "USER1",
    149: "USER2",
    150: "USER3",
    162: "USER15",
    163: "IEEE 802.11 with AVS",
    166: "PPP with direction",
    177: "LAPD",
    187: "Bluetooth HCI",
    189: "Linux USB",
    192: "PPI",
    195: "IEEE 802.15.4",
    197: "ERF",
    201: "Bluetooth HCI with direction",
    203: "LAPD",
    204: "PPP with direction",
    209: "I2C",
    220: "Linux USB, padded",
    227: "SocketCAN",
    239: "NFLOG",
    240: "netANALYZER",
    243: "MPEG-2 TS",
    247: "Infiniband",
    248: "SCTP",
    249: "USBPcap",
    251: "Bluetooth LE",
    252: "Wireshark exported PDU",
    253: "netlink",
    254: "Bluetooth Linux monitor",
    258: "Apple PKTAP",
    259: "EPON",
    265: "IEEE 802.15.4",
    272: "nordic BLE",
    275: "DOCSIS 3.1",
    280: "NetBSD",
    289: "Linux VSOCK",
}


def link_type_named(number: int) -> str:
    """A link type by number and name."""
    return f"link type {number} ({_LINK_TYPE_NAMES.get(number, 'without a name that we know')})"
