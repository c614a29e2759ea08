"""Link layers: Ethernet and its tags, 802.2, cooked captures, loopback, PPP, and MPLS between link and network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._packet import ETHERNET, ETHERTYPE, IPV4, IPV6, NOT_IP, PPP, RAW_IP, TOO_SHORT

if TYPE_CHECKING:
    from ._dissect import Dissector
    from ._packet import Packet, Step

_LONGEST_802_3: Final = 1500
LLC: Final = 4
"""802.2 where an ethertype stands: cooked captures write it so (Linux: ETH_P_802_2), and no ethertype is so small."""


def ethernet(dissector: Dissector, packet: Packet) -> Step:
    """IEEE 802.3: two addresses, and an ethertype or a length."""
    return _typed(dissector, packet, 14)


def vlan(dissector: Dissector, packet: Packet) -> Step:
    """IEEE 802.1Q and 802.1ad: two bytes of tag, then the next ethertype or a length."""
    return _typed(dissector, packet, 4)


def _typed(dissector: Dissector, packet: Packet, size: int) -> Step:
    at = packet.at + size
    if at > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at
    kind = packet.data[at - 2] << 8 | packet.data[at - 1]
    if kind <= _LONGEST_802_3:
        packet.ends_at(at + kind)
        return ETHERTYPE, LLC
    return ETHERTYPE, kind


def llc(dissector: Dissector, packet: Packet) -> Step:
    """IEEE 802.2: SNAP with an ethertype (RFC 1042, or IEEE 802.1H), or IP by its own number (RFC 948)."""
    data, at = packet.data, packet.at
    head = data[at : min(at + 8, packet.end)]
    if head[:3] == b"\xaa\xaa\x03" and head[3:6] in (b"\0\0\0", b"\0\0\xf8") and len(head) == 8:
        packet.at = at + 8
        return ETHERTYPE, head[6] << 8 | head[7]
    if head[:3] == b"\x06\x06\x03":
        packet.at = at + 3
        return IPV4
    return dissector.skip(NOT_IP)


def linux_cooked(dissector: Dissector, packet: Packet) -> Step:
    """LINKTYPE_LINUX_SLL: 16 bytes, the last two an ethertype."""
    at = packet.at + 16
    if at > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at
    return ETHERTYPE, packet.data[at - 2] << 8 | packet.data[at - 1]


def linux_cooked_2(dissector: Dissector, packet: Packet) -> Step:
    """LINKTYPE_LINUX_SLL2: 20 bytes, the first two an ethertype."""
    at = packet.at
    if at + 20 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + 20
    return ETHERTYPE, packet.data[at] << 8 | packet.data[at + 1]


def raw_ip(dissector: Dissector, packet: Packet) -> Step:
    """An IP header at once: its first four bits say which."""
    if packet.at >= packet.end:
        return dissector.skip(TOO_SHORT)
    return _IP_VERSIONS.get(packet.data[packet.at] >> 4) or dissector.skip(NOT_IP)


def loopback(dissector: Dissector, packet: Packet) -> Step:
    """BSD loopback: four bytes of address family, in the byte order of the machine that captured."""
    at = packet.at + 4
    if at > packet.end:
        return dissector.skip(TOO_SHORT)
    family = packet.data[at - 4 : at]
    packet.at = at
    number = max(family[0], family[3]) if not family[1] | family[2] else 0
    return _FAMILIES.get(number) or dissector.skip(NOT_IP)


def ppp(dissector: Dissector, packet: Packet) -> Step:
    """RFC 1661, in HDLC-like framing (RFC 1662) or without; Cisco's HDLC in its place is told by its address."""
    data, at, end = packet.data, packet.at, packet.end
    if data[at : at + 2] == b"\xff\x03":
        at += 2
    elif data[at : at + 2] in (b"\x0f\0", b"\x8f\0"):
        return cisco_hdlc(dissector, packet)
    # A protocol's last byte is odd, others are even; a leading zero may be left out (RFC 1661 sections 2, 6.5).
    size = 1 if at < end and data[at] & 1 else 2
    if at + size > end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + size
    return PPP, int.from_bytes(data[at : at + size])


def ppp_with_direction(dissector: Dissector, packet: Packet) -> Step:
    """LINKTYPE_PPP_PPPD and LINKTYPE_PPP_WITH_DIR: the direction in a byte in front, or in place of the address."""
    if packet.at + 2 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at += 2 if packet.data[packet.at + 1] == 0x03 else 1
    return ppp(dissector, packet)


def cisco_hdlc(dissector: Dissector, packet: Packet) -> Step:
    """Address, control, ethertype."""
    return _typed(dissector, packet, 4)


def pppoe(dissector: Dissector, packet: Packet) -> Step:
    """RFC 2516, a session's frame: version and type, code, session, length."""
    data, at = packet.data, packet.at
    if at + 6 > packet.end:
        return dissector.skip(TOO_SHORT)
    if data[at] != 0x11 or data[at + 1]:
        return dissector.skip(NOT_IP)
    packet.at = at + 6
    packet.ends_at(packet.at + (data[at + 4] << 8 | data[at + 5]))
    return ppp(dissector, packet)


def mpls(dissector: Dissector, packet: Packet) -> Step:
    """RFC 3032: one label. What is under the last isn't named, so its first bytes must tell (RFC 4928).

    IP, or Ethernet behind a control word (RFC 4448), or Ethernet without one, whose address may look like IP.
    """
    data, at = packet.data, packet.at
    if at + 4 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + 4
    if not data[at + 2] & 1:
        return ETHERTYPE, 0x8847
    if at + 8 > packet.end:
        return dissector.skip(TOO_SHORT)
    if looks_like_ip(packet, at + 4):
        return RAW_IP
    if not data[at + 4] >> 4 and not looks_like_ethernet(packet, at + 4):
        packet.at = at + 8
    return ETHERNET


def looks_like_ip(packet: Packet, at: int) -> bool:
    """Whether an IP header stands there: its version, and lengths that fit into what was sent."""
    data, rest = packet.data, packet.whole - at
    if at + 20 > packet.end:
        return False
    length = data[at + 2] << 8 | data[at + 3]
    if data[at] >> 4 == 4:
        return 20 <= (data[at] & 15) * 4 <= length <= rest
    payload = data[at + 4] << 8 | data[at + 5]
    return data[at] >> 4 == 6 and at + 40 <= packet.end and 0 < payload + 40 <= rest


def looks_like_ethernet(packet: Packet, at: int) -> bool:
    """Whether a frame with IP in it stands there, straight or in VLAN tags, MPLS, PPPoE or SNAP."""
    data = packet.data
    at += 12
    while data[at : at + 2] in (b"\x81\0", b"\x88\xa8"):
        at += 4
    kind = data[at : at + 2]
    if kind in (b"\x08\0", b"\x86\xdd"):
        return looks_like_ip(packet, at + 2)
    return kind == b"\x88\x47" or data[at : at + 4] == b"\x88\x64\x11\0" or data[at + 2 : at + 5] == b"\xaa\xaa\x03"


_IP_VERSIONS: Final = {4: IPV4, 6: IPV6}
_FAMILIES: Final = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}
"""AF_INET, and AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, Darwin."""
