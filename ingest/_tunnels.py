"""Packets in packets: GRE, ERSPAN, VXLAN, Geneve, GTP-U, L2TP, and ESP without a cipher.

A tunnel over UDP is told by its port, and goes on as a plain datagram where its header can't be one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._ip import not_a_tunnel
from ._links import looks_like_ethernet, looks_like_ip
from ._packet import ETHERNET, ETHERTYPE, IPV4, IPV6, LINK, NOT_IP, NOT_OURS, PROTOCOL, RAW_IP, TOO_SHORT

if TYPE_CHECKING:
    from ._dissect import Dissector
    from ._packet import Packet, Step

_PPP: Final = (LINK, 9)
_PPP_FRAME: Final = 0x880B
_ERSPAN: Final = 0x88BE
_ERSPAN_3: Final = 0x22EB


def gre(dissector: Dissector, packet: Packet) -> Step:
    """RFC 2784 and 2890, PPTP's version 1 (RFC 2637), NVGRE (RFC 7637), and ERSPAN, a switch's mirrored frames."""
    data, at, end = packet.data, packet.at, packet.end
    if at + 4 > end:
        return dissector.skip(TOO_SHORT)
    flags = data[at] << 8 | data[at + 1]
    kind = data[at + 2] << 8 | data[at + 3]
    version = flags & 7
    if version > 1 or flags & 0x4000:
        return dissector.skip("GRE of another version or with a route")
    numbered = bool(flags & 0x1000)
    size = 4 + (4 if flags & 0x8000 else 0) + (4 if flags & 0x2000 else 0) + (4 if numbered else 0)
    if version == 1:
        size += 4 if flags & 0x80 else 0
        if kind != _PPP_FRAME or at + size > end:
            return dissector.skip(NOT_OURS)
        packet.ends_at(at + size + (data[at + 4] << 8 | data[at + 5]))
    packet.at = at + size
    if kind in (_ERSPAN, _ERSPAN_3):
        return _erspan(dissector, packet, numbered=numbered, third=kind == _ERSPAN_3)
    return ETHERTYPE, kind


def _erspan(dissector: Dissector, packet: Packet, *, numbered: bool, third: bool) -> Step:
    """draft-foschiano-erspan-03: 8 bytes of type II, 12 of type III and a sub-header; type I has none, nor a number."""
    data, at = packet.data, packet.at
    if third:
        if at + 12 > packet.end:
            return dissector.skip(TOO_SHORT)
        packet.at = at + (20 if data[at + 11] & 1 else 12)
        return RAW_IP if data[at + 10] >> 2 & 31 == 2 else ETHERNET
    if numbered:
        packet.at = at + 8
    return ETHERNET


def vxlan(dissector: Dissector, packet: Packet) -> Step:
    """RFC 7348: flags, of which one says that there is a network identifier, and that; group policy in spare bits."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end or not data[at] & 0x08 or data[at] & 0x74:
        return not_a_tunnel(dissector, packet)
    packet.at = at + 8
    return ETHERNET


def vxlan_gpe(dissector: Dissector, packet: Packet) -> Step:
    """draft-ietf-nvo3-vxlan-gpe: as VXLAN, with the protocol of what follows where its flag says so."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end or data[at] & 0xC0:
        return not_a_tunnel(dissector, packet)
    following = _GPE.get(data[at + 3]) if data[at] & 0x04 else ETHERNET
    if following is None:
        return dissector.skip(NOT_IP)
    packet.at = at + 8
    return following


def geneve(dissector: Dissector, packet: Packet) -> Step:
    """RFC 8926: version and length of the options, flags, ethertype, network identifier, options."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end or data[at] >> 6:
        return not_a_tunnel(dissector, packet)
    packet.at = at + 8 + (data[at] & 63) * 4
    return ETHERTYPE, data[at + 2] << 8 | data[at + 3]


def gtp_user(dissector: Dissector, packet: Packet) -> Step:
    """3GPP TS 29.281 section 5: a G-PDU of version 1; its header may have extensions."""
    data, at, end = packet.data, packet.at, packet.end
    if at + 8 > end or data[at] & 0xF0 != 0x30:
        return not_a_tunnel(dissector, packet)
    if data[at + 1] != 0xFF:
        return dissector.skip("GTP-U without user data")
    packet.ends_at(at + 8 + (data[at + 2] << 8 | data[at + 3]))
    end = packet.end
    following = at + 8
    if data[at] & 7:
        following = at + 12
        kind = data[at + 11] if data[at] & 4 and following <= end else 0
        while kind:
            # Length in units of four bytes, content, and the type of the next.
            size = data[following] * 4 if following < end else 0
            if not size or following + size > end:
                return dissector.skip(TOO_SHORT)
            following += size
            kind = data[following - 1]
    packet.at = following
    return RAW_IP


def l2tp(dissector: Dissector, packet: Packet) -> Step:
    """L2TP over UDP: version 2 (RFC 2661 section 3.1) with PPP in it, or version 3 (RFC 3931 section 4.1.2.1)."""
    data, at, end = packet.data, packet.at, packet.end
    if at + 8 > end:
        return not_a_tunnel(dissector, packet)
    flags = data[at] << 8 | data[at + 1]
    if flags & 0x8000:
        return dissector.skip("L2TP control messages")
    if flags & 15 == 3:
        return _session(dissector, packet, at + 8)
    if flags & 15 != 2 or flags & 0x34F0:
        return not_a_tunnel(dissector, packet)
    if flags & 0x4000:
        packet.ends_at(at + max(data[at + 2] << 8 | data[at + 3], 8))
    size = 6 + (2 if flags & 0x4000 else 0) + (4 if flags & 0x0800 else 0)
    if flags & 0x0200:
        if at + size + 2 > end:
            return dissector.skip(TOO_SHORT)
        size += 2 + (data[at + size] << 8 | data[at + size + 1])
    packet.at = at + size
    return _PPP


def l2tp_over_ip(dissector: Dissector, packet: Packet) -> Step:
    """RFC 3931 section 4.1.1: session 0 is the control connection."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end or data[at : at + 4] == bytes(4):
        return dissector.skip("L2TP control messages")
    return _session(dissector, packet, at + 4)


def _session(dissector: Dissector, packet: Packet, at: int) -> Step:
    """What an L2TPv3 session carries: nothing says how long cookie and sub-layer are (0, 4 or 8; 0 or 4), nor what."""
    data = packet.data
    for size in (0, 4, 8, 12):
        start = packet.at = at + size
        if looks_like_ethernet(packet, start):
            return ETHERNET
        if data[start : start + 4] in (b"\xff\x03\0\x21", b"\xff\x03\0\x57") and looks_like_ip(packet, start + 4):
            return _PPP
        if looks_like_ip(packet, start):
            return RAW_IP
    return dissector.skip("L2TPv3 of a session that can't be told")


def esp(dissector: Dissector, packet: Packet) -> Step:
    """RFC 4303 with the NULL cipher, if it is asked for: told by what it ends with and begins with (RFC 5879).

    Behind the payload stand padding (1, 2, 3, …), its length, the next header, and a check value of a length that only
    the two ends know.
    """
    data, at, end = packet.data, packet.at + 8, packet.end
    if not dissector.esp_null or packet.whole > end:
        return dissector.skip("ESP")
    for check in _CHECK_VALUES:
        last = end - check
        if last - 2 < at:
            continue
        padding, following = data[last - 2], data[last - 1]
        stop = last - 2 - padding
        if (last - at) % 4 or stop < at or data[stop : last - 2] != _PADDING[:padding]:
            continue
        inner = packet.part(at, stop)
        if _fits(inner, following):
            packet.at = at
            packet.ends_at(stop)
            return PROTOCOL, following
    return dissector.skip("ESP")


def esp_over_udp(dissector: Dissector, packet: Packet) -> Step:
    """RFC 3948: ESP, but for keep-alives, and key exchange behind four zero bytes."""
    data, at = packet.data, packet.at
    if not dissector.esp_null or at + 8 > packet.end or data[at : at + 4] == bytes(4):
        return not_a_tunnel(dissector, packet)
    return esp(dissector, packet)


def _fits(inner: Packet, protocol: int) -> bool:
    """Whether the bytes are a packet of that protocol."""
    data, at, size = inner.data, inner.at, inner.end - inner.at
    if protocol in (4, 41):
        return looks_like_ip(inner, at)
    if protocol == 17:
        return size >= 8 and data[at + 4] << 8 | data[at + 5] == size
    if protocol == 6:
        return size >= 20 and 20 <= (data[at + 12] >> 4) * 4 <= size and not data[at + 12] & 14
    return protocol == 132 and size >= 16 and size % 4 == 0


_GPE: Final = {1: IPV4, 2: IPV6, 3: ETHERNET, 5: (ETHERTYPE, 0x8847)}
_CHECK_VALUES: Final = (12, 16, 24, 32, 0)
"""Bytes: HMAC-SHA1-96 and HMAC-MD5-96, HMAC-SHA-256-128, -384-192, -512-256, none."""
_PADDING: Final = bytes(range(1, 256))
