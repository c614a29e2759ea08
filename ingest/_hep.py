"""HEP: Homer's encapsulation of captured messages, versions 1, 2 and 3 (also called EEP), read and written.

HEP3 specification revision 37: `HEP3`, the packet's length (16 bits), then chunks of vendor, type and length (16 bits
each, the length with these 6 bytes) and payload; all numbers big-endian. Versions 1 and 2 have a fixed head; of
version 2 the time's byte order is the sender's.
"""

from __future__ import annotations

import functools
import hmac
import socket
import struct
import zlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = (b"HEP3", b"EEP3")
LARGEST: Final = 65_535
"""Bytes of a HEP3 packet: its length has 16 bits."""
NOT_SIP: Final = "HEP of protocol type "
SIP: Final = 1
"""Protocol type (chunk 0x000b) of SIP."""

# Of the IP protocol numbers 22 and 50 have no such meaning elsewhere: Kamailio writes them for TLS and WebSocket.
_TRANSPORTS: Final = {6: "TCP", 17: "UDP", 22: "TLS", 50: "WS", 132: "SCTP"}
_PROTOCOLS: Final = {"TCP": 6, "UDP": 17, "TLS": 22, "WS": 50, "WSS": 50, "SCTP": 132}

_CHUNK: Final = struct.Struct(">HHH")
_YEAR_2000: Final = 946_684_800
_YEAR_2100: Final = 4_102_444_800


class Hep(msgspec.Struct, frozen=True, gc=False):
    """A captured message.

    time: microseconds UTC, or None where the packet has none. source, destination: `host:port`, IPv6 in brackets, or
    empty. transport: `UDP`, `TCP`, `TLS`, `WS`, `SCTP`, or empty. payload: the message's bytes.
    """

    time: int | None
    source: str
    destination: str
    transport: str
    payload: bytes


def is_hep(data: bytes) -> bool:
    """Whether data looks like a HEP packet of any version, by its first bytes."""
    return data[:4] in MAGIC or (len(data) >= 16 and data[0] in (1, 2) and 0 <= _old_length(data) - data[1] <= 2)


def packets(data: bytes) -> Iterator[bytes]:
    """The packets of a datagram, which is usually one; HEP3 packets may follow each other."""
    at = 0
    while data[at : at + 4] in MAGIC and len(data) - at >= 6:
        length = max(int.from_bytes(data[at + 4 : at + 6]), 6)
        yield data[at : at + length]
        at += length
    if at == 0:
        yield data


def decode(data: bytes, *, key: bytes | None = None, largest: int = 65_536) -> Hep | str:
    """A packet's message, or why there is none to use.

    key: what the packet's authentication key must be, if any is asked for; versions 1 and 2 can't have one. largest:
    bytes to which a compressed payload may grow; more is cut.
    """
    if data[:4] in MAGIC:
        return _decode3(data, key, largest)
    if data[:1] in (b"\x01", b"\x02"):
        return "HEP without the authentication key" if key is not None else _decode_old(data)
    return "not HEP"


def _decode3(data: bytes, key: bytes | None, largest: int) -> Hep | str:
    if len(data) < 6 or int.from_bytes(data[4:6]) != len(data):
        return "HEP packet of another length than it says"
    chunks: dict[int, bytes] = {}
    at = 6
    while at + 6 <= len(data):
        vendor, kind, length = _CHUNK.unpack_from(data, at)
        if length < 6 or at + length > len(data):
            return "HEP chunk of a length that can't be"
        # Other vendors number their chunks as they like. Of several payloads the first counts.
        if vendor == 0 and kind not in chunks:
            chunks[kind] = data[at + 6 : at + length]
        at += length
    if key is not None and not hmac.compare_digest(chunks.get(0x0E, b""), key):
        return "HEP with another authentication key" if 0x0E in chunks else "HEP without the authentication key"
    protocol = chunks.get(0x0B, b"")
    if protocol and protocol[-1] != SIP:
        return f"{NOT_SIP}{protocol[-1]}, not SIP"
    payload = chunks.get(0x0F)
    if payload is None:
        payload = _inflate(chunks.get(0x10, b""), largest)
    if not payload:
        return "HEP without a payload"
    seconds = int.from_bytes(chunks.get(0x09, b"")[-8:])
    micros = int.from_bytes(chunks.get(0x0A, b"")[-8:])
    return Hep(
        seconds * 1_000_000 + micros if seconds or micros else None,
        _host(chunks.get(0x03) or chunks.get(0x05, b""), chunks.get(0x07, b"")),
        _host(chunks.get(0x04) or chunks.get(0x06, b""), chunks.get(0x08, b"")),
        _TRANSPORTS.get(int.from_bytes(chunks.get(0x02, b"")[-1:]), ""),
        payload,
    )


def _inflate(data: bytes, largest: int) -> bytes:
    """What a compressed payload holds, or as much of it as can be had: zlib, gzip or plain deflate."""
    for bits in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            # One more than allowed, so that what is beyond is seen to be.
            return zlib.decompressobj(bits).decompress(data, largest + 1)
        except zlib.error:
            continue
    return b""


def _old_length(data: bytes) -> int:
    """What the head of version 1 or 2 says as its length; some don't count two bytes of padding."""
    addresses = 32 if data[2] in _IPV6_FAMILIES else 8
    return 8 + addresses + (12 if data[0] == 2 else 0)


_IPV6_FAMILIES: Final = (10, 28, 30)
"""AF_INET6 of Linux, of the BSDs, of macOS."""


def _decode_old(data: bytes) -> Hep | str:
    if len(data) < 16 or not 16 <= data[1] <= len(data):
        return "HEP packet of another length than it says"
    version, length, family, protocol = data[:4]
    size = 16 if family in _IPV6_FAMILIES else 4
    if length < 8 + 2 * size:
        return "HEP packet of another length than it says"
    at = 8 + 2 * size
    time = None
    # Some count 2 bytes fewer for what stands behind the addresses, so only the time is taken from there.
    if version == 2 and length >= at + 8:
        time = _time2(data[at : at + 8])
    # What follows the head may still be padding.
    payload = data[length:].lstrip(b"\0")
    if not payload:
        return "HEP without a payload"
    return Hep(
        time,
        _host(data[8 : 8 + size], data[4:6]),
        _host(data[8 + size : at], data[6:8]),
        _TRANSPORTS.get(protocol, ""),
        payload,
    )


def _time2(data: bytes) -> int | None:
    """Version 2's time: little-endian as Kamailio and captagent write it, or big-endian where only that makes sense."""
    seconds, micros = struct.unpack("<II", data)
    if not _makes_sense(seconds, micros) and _makes_sense(*struct.unpack(">II", data)):
        seconds, micros = struct.unpack(">II", data)
    return seconds * 1_000_000 + micros if seconds or micros else None


def _makes_sense(seconds: int, micros: int) -> bool:
    return _YEAR_2000 <= seconds < _YEAR_2100 and micros < 1_000_000


@functools.lru_cache(maxsize=4096)
def _host(address: bytes, port: bytes) -> str:
    if len(address) == 4:
        text = socket.inet_ntop(socket.AF_INET, address)
    elif len(address) == 16:
        text = f"[{socket.inet_ntop(socket.AF_INET6, address)}]"
    else:
        return ""
    return f"{text}:{int.from_bytes(port[-2:])}"


def encode(
    payload: bytes,
    *,
    time: int,
    source: str = "",
    destination: str = "",
    transport: str = "UDP",
    key: bytes | None = None,
    agent: int = 1,
) -> bytes:
    """A HEP3 packet of a SIP message.

    time: microseconds UTC. source, destination: `host:port`, IPv6 in brackets, or empty: then their chunks are left
    out. agent: the capture agent's id. Raises ValueError for addresses that are none, and for a payload that doesn't
    fit into a packet.
    """
    chunks: list[tuple[int, bytes]] = []
    family = 2
    for text, kinds in ((source, (0x03, 0x05, 0x07)), (destination, (0x04, 0x06, 0x08))):
        if not text:
            continue
        host, _, port = text.rpartition(":")
        if host.startswith("["):
            family = 10
            chunks.append((kinds[1], _packed(socket.AF_INET6, host.strip("[]"))))
        else:
            chunks.append((kinds[0], _packed(socket.AF_INET, host)))
        chunks.append((kinds[2], int(port).to_bytes(2)))
    seconds, micros = divmod(time, 1_000_000)
    chunks += [
        (0x01, bytes([family])),
        (0x02, bytes([_PROTOCOLS.get(transport, 17)])),
        (0x09, (seconds & 0xFFFFFFFF).to_bytes(4)),
        (0x0A, micros.to_bytes(4)),
        (0x0B, bytes([SIP])),
        (0x0C, agent.to_bytes(4)),
    ]
    if key is not None:
        chunks.append((0x0E, key))
    chunks.append((0x0F, payload))
    length = 6 + sum(6 + len(value) for _, value in chunks)
    if length > LARGEST:
        raise ValueError(f"a message of {len(payload)} bytes doesn't fit into a HEP packet")
    body = b"".join(_CHUNK.pack(0, kind, 6 + len(value)) + value for kind, value in sorted(chunks, key=lambda c: c[0]))
    return MAGIC[0] + length.to_bytes(2) + body


def _packed(family: socket.AddressFamily, host: str) -> bytes:
    try:
        return socket.inet_pton(family, host)
    except OSError:
        raise ValueError(f"{host!r} is no address") from None
