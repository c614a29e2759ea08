"""IEEE 802.11 without encryption, bare or behind what a capture says of the radio: radiotap, PPI, AVS, Prism."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._links import LLC
from ._packet import ETHERTYPE, LINK, NOT_IP, TOO_SHORT

if TYPE_CHECKING:
    from ._dissect import Dissector
    from ._packet import Packet, Step

_DATA: Final = 2
_QOS, _NO_DATA = 8, 4
_BOTH_WAYS, _MORE_FRAGMENTS, _PROTECTED, _ORDER = 3, 4, 0x40, 0x80
_AGGREGATED: Final = 0x80

_STEP_80211: Final = (LINK, 105)
_STEP_LLC: Final = (ETHERTYPE, LLC)


def radiotap(dissector: Dissector, packet: Packet) -> Step:
    """LINKTYPE_IEEE802_11_RADIOTAP (https://www.radiotap.org/): its length stands behind version and padding."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + max(int.from_bytes(data[at + 2 : at + 4], "little"), 8)
    return _STEP_80211


def ppi(dissector: Dissector, packet: Packet) -> Step:
    """LINKTYPE_PPI: version, flags, length, and the link type of what follows."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end:
        return dissector.skip(TOO_SHORT)
    packet.at = at + max(int.from_bytes(data[at + 2 : at + 4], "little"), 8)
    return LINK, int.from_bytes(data[at + 4 : at + 8], "little")


def prism(dissector: Dissector, packet: Packet) -> Step:
    """LINKTYPE_IEEE802_11_PRISM and _AVS: a message code and a length, in either byte order; AVS's always big."""
    data, at = packet.data, packet.at
    if at + 8 > packet.end:
        return dissector.skip(TOO_SHORT)
    code, length = data[at : at + 4], data[at + 4 : at + 8]
    # A small number in the last byte, or AVS's 0x80211000 and a version.
    size = int.from_bytes(length, "big" if code[:3] in (b"\0\0\0", b"\x80\x21\x10") else "little")
    packet.at = at + max(size, 8)
    return _STEP_80211


def ieee_802_11(dissector: Dissector, packet: Packet) -> Step:
    """IEEE 802.11-2020 section 9.2: a data frame's header, then 802.2; aggregated ones each in their own header."""
    data, at = packet.data, packet.at
    if at + 24 > packet.end:
        return dissector.skip(TOO_SHORT)
    control, flags = data[at], data[at + 1]
    subtype = control >> 4
    if control & 3 or control >> 2 & 3 != _DATA or subtype & _NO_DATA:
        return dissector.skip("802.11 without data")
    if flags & _PROTECTED:
        return dissector.skip("802.11, encrypted")
    if flags & _MORE_FRAGMENTS or data[at + 22] & 15:
        return dissector.skip("802.11 fragments")
    size = 30 if flags & _BOTH_WAYS == _BOTH_WAYS else 24
    aggregated = False
    if subtype & _QOS:
        aggregated = bool(data[at + size] & _AGGREGATED) if at + size < packet.end else False
        size += 6 if flags & _ORDER else 2
    if aggregated:
        return _aggregated(dissector, packet, at + size)
    # Some cards pad the header to four bytes.
    if size % 4 and data[at + size : at + size + 3] != _SNAP and data[at + size + 2 : at + size + 5] == _SNAP:
        size += 2
    packet.at = at + size
    return _STEP_LLC


def _aggregated(dissector: Dissector, packet: Packet, at: int) -> Step:
    """An A-MSDU (section 9.3.2.2): two addresses, a length and 802.2 each, padded to four bytes."""
    data = packet.data
    found = False
    while at + 14 <= packet.end:
        length = data[at + 12] << 8 | data[at + 13]
        at += 14
        if not length or at + length > packet.whole:
            break
        found = True
        dissector.also(_STEP_LLC, packet.part(at, at + length))
        at += length + -(14 + length) % 4
    return None if found else dissector.skip(NOT_IP)


_SNAP: Final = b"\xaa\xaa\x03"
