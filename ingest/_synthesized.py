"""Packets made up for messages that were read in a log, so that other programs can show them."""

from __future__ import annotations

import ipaddress
import struct
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipcdr.builder import Position, SipMessage

RAW_IP: Final = 101
"""The link type of what is made here."""
_UDP: Final = 17
_LARGEST: Final = 65_535

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def packets_of_log(messages: Iterable[SipMessage]) -> Iterator[tuple[Position, int, bytes]]:
    """Position, time and packet of each record of a log: over UDP, whatever it came by.

    An address that the log doesn't have, or has as a name, is `0.0.0.0` or `::`, its port 0.
    """
    for position, group in groupby(messages, key=lambda message: message.position):
        record = list(group)
        first = record[0]
        payload = b"".join(message.raw for message in record)
        yield position, first.time, _datagram(_endpoint(first.source), _endpoint(first.destination), payload)


def _endpoint(text: str) -> tuple[_Address | None, int]:
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None, 0
    return address, min(int(port), _LARGEST) if port.isdecimal() and port.isascii() and len(port) < 9 else 0


def _datagram(source: tuple[_Address | None, int], destination: tuple[_Address | None, int], payload: bytes) -> bytes:
    addresses = [address for address, _ in (source, destination) if address is not None]
    if any(address.version == 6 for address in addresses):
        packed = [_packed6(source[0]), _packed6(destination[0])]
        payload = payload[: _LARGEST - 8]
        length = 8 + len(payload)
        udp = struct.pack(">HHHH", source[1], destination[1], length, 0) + payload
        check = _checksum(b"".join(packed) + struct.pack(">II", length, _UDP) + udp) or 0xFFFF
        udp = udp[:6] + struct.pack(">H", check) + udp[8:]
        return struct.pack(">IHBB", 6 << 28, length, _UDP, 64) + b"".join(packed) + udp
    packed = [b"\0\0\0\0" if address is None else address.packed for address, _ in (source, destination)]
    payload = payload[: _LARGEST - 28]
    length = 8 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, _UDP, 0) + b"".join(packed)
    head = head[:10] + struct.pack(">H", _checksum(head)) + head[12:]
    # RFC 768: a checksum of 0 is none.
    return head + struct.pack(">HHHH", source[1], destination[1], length, 0) + payload


def _packed6(address: _Address | None) -> bytes:
    if address is None:
        return bytes(16)
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
