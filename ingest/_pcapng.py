"""Reads pcapng files (https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/).

Sections and interfaces, enhanced, simple and old packet blocks; other blocks are passed over.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from ._errors import NotACapture
from ._pcap import NOTHING_YET
from ._source import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._containers import Stream
    from ._limits import Limits
    from ._pcap import Record
    from ._source import Source, Window
    from ._tally import Tally

MAGIC: Final = b"\x0a\x0d\x0d\x0a"

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_PACKET: Final = 6

_ORDERS: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_RESOLUTION: Final = 9
_OFFSET: Final = 14


class _Interface:
    """What a packet block needs of its interface. time = ticks * multiply // divide + offset, in microseconds."""

    __slots__ = ("divide", "link_type", "multiply", "offset", "snap_length")

    def __init__(self, link_type: int, snap_length: int) -> None:
        self.link_type = link_type
        self.snap_length = snap_length
        self.multiply = self.divide = 1
        self.offset = 0


class _Section:
    """A section's byte order, and its interfaces so far."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.head = struct.Struct(order + "II").unpack_from
        self.packet = struct.Struct(order + "IIIII").unpack_from
        self.old_packet = struct.Struct(order + "HHIIII").unpack_from
        self.length = struct.Struct(order + "I").unpack_from
        self.interfaces: list[_Interface] = []


class _Damage(Exception):
    """A block that can't be what it says."""


def records(window: Window, tally: Tally, limits: Limits) -> Iterator[Record]:
    """The frames of a pcapng file that stands at the beginning of `window`.

    Damage is noted as a problem, and reading goes on at the next block that can be made out. A simple packet block
    has no time; the one before it lends its own. Raises NotACapture, OSError.
    """
    window.fill(0, 28)
    data = window.data
    if data[8:12] not in _ORDERS:
        raise NotACapture(window.source.damage or "a pcapng file whose byte order mark is damaged")
    by_byte = window.by_byte
    section = _Section(_ORDERS[data[8:12]])
    name = window.source.name
    number = counted = time = at = 0
    size = len(data)
    while True:
        damage = ""
        if at + 12 <= size:
            kind, length = section.head(data, at)
            if kind == _SECTION:
                # The length is in the byte order of the section that begins here.
                order = _ORDERS.get(data[at + 8 : at + 12])
                if order is None:
                    damage = "a section whose byte order mark is damaged"
                else:
                    section = _Section(order)
                    _, length = section.head(data, at)
            end = at + length
            if not damage and (length < 12 or length % 4 or length > limits.block):
                damage = f"a block of {length} bytes"
            if not damage and end <= size:
                if data[end - 4 : end] != data[at + 4 : at + 8]:
                    damage = "a block whose two lengths differ"
                else:
                    try:
                        if kind in (_PACKET, _OLD_PACKET):
                            link, time, start, stop = _packet(section, data, at, end, kind)
                        elif kind == _SIMPLE_PACKET:
                            link, start, stop = _simple_packet(section, data, at, end)
                            tally.counts["frame without a time, taken to be that of the one before"] += 1
                        else:
                            if kind == _INTERFACE:
                                section.interfaces.append(_interface(section, data, at, end, limits))
                            at = end
                            continue
                    except _Damage as error:
                        # The block's frame is right: go on behind it.
                        tally.problem(name, number + 1, window.base + at, str(error))
                        at = end
                        continue
                    number += 1
                    yield window.base + at if by_byte else number, time, link, data[start:stop]
                    at = end
                    continue
        tally.packets += number - counted
        counted = number
        if not damage:
            if not window.ended:
                data = window.move(at)
                at = 0
                size = len(data)
                if window.waits or by_byte:
                    yield 0, time, NOTHING_YET, b""
                continue
            damage = window.source.damage
            # What is cut off a file that was followed is still being written.
            if (at == size and not damage) or window.source.grows:
                window.drop(at)
                return
            damage = damage or "the file ends inside a block"
        tally.problem(name, number + 1, window.base + at, damage)
        at = _next_block(window, at, section.order, limits)
        if at < 0:
            window.tell_damage(damage, name, number + 1, tally)
            return
        data = window.data
        size = len(data)


def described(stream: Source | Stream, to: int, limits: Limits) -> bytes:
    """Read up to a byte; gives what is needed from there on: the section's header, and its descriptions of interfaces.

    Behind damage nothing is looked for.
    """
    found = data = b""
    order: str | None = "<"
    while to and (piece := stream.read(min(to, CHUNK))):
        to -= len(piece)
        data += piece
        at = 0
        while order and at + 12 <= len(data):
            kind = data[at : at + 4]
            if kind == MAGIC:
                order = _ORDERS.get(data[at + 8 : at + 12])
                if order is None:
                    break
            (length,) = struct.unpack_from(order + "I", data, at + 4)
            if length < 12 or length > limits.block:
                order = None
                break
            end = at + length
            if end > len(data):
                break
            if kind == MAGIC:
                found = data[at:end]
            elif int.from_bytes(kind, "little" if order == "<" else "big") == _INTERFACE:
                found += data[at : min(end, at + limits.block - len(found))]
            at = end
        data = data[at:] if order else b""
    return found


def _packet(section: _Section, data: bytes, at: int, end: int, kind: int) -> tuple[int, int, int, int]:
    """Link type, time, and where the frame begins and ends, of an enhanced or an old packet block."""
    start = at + 28
    if start > end - 4:
        raise _Damage("a packet block without room for its fields")
    if kind == _PACKET:
        number, high, low, captured, _ = section.packet(data, at + 8)
    else:
        number, _, high, low, captured, _ = section.old_packet(data, at + 8)
    stop = start + captured
    if stop > end - 4:
        raise _Damage(f"a packet of {captured} bytes in a block of {end - at}")
    try:
        interface = section.interfaces[number]
    except IndexError:
        raise _Damage(f"a packet of interface {number}, which isn't described") from None
    ticks = high << 32 | low
    return (
        interface.link_type,
        ticks * interface.multiply // interface.divide + interface.offset,
        start,
        stop,
    )


def _simple_packet(section: _Section, data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Link type and where the frame begins and ends: as long as sent, or as the snap length and the block allow."""
    if end - at < 16:
        raise _Damage("a simple packet block without room for its fields")
    if not section.interfaces:
        raise _Damage("a packet of interface 0, which isn't described")
    interface = section.interfaces[0]
    (length,) = section.length(data, at + 8)
    length = min(length, interface.snap_length or length, end - 4 - (at + 12))
    return interface.link_type, at + 12, at + 12 + length


def _interface(section: _Section, data: bytes, at: int, end: int, limits: Limits) -> _Interface:
    """What an interface description block says. Its options begin behind link type, two bytes and snap length."""
    if end - at < 20:
        raise _Damage("an interface block without room for its fields")
    if len(section.interfaces) >= limits.interfaces:
        raise _Damage(f"more than {limits.interfaces} interfaces of a section")
    link_type, snap_length = struct.unpack_from(section.order + "H2xI", data, at + 8)
    interface = _Interface(link_type, snap_length)
    resolution = 6
    option = at + 16
    while option + 4 <= end - 4:
        code, length = struct.unpack_from(section.order + "HH", data, option)
        value = data[option + 4 : min(option + 4 + length, end - 4)]
        if code == 0:
            break
        if code == _RESOLUTION and value:
            resolution = value[0]
        elif code == _OFFSET and len(value) == 8:
            interface.offset = struct.unpack(section.order + "q", value)[0] * 1_000_000
        option += 4 + length + -length % 4
    # Ticks a second: a power of two with the upper bit set, else of ten.
    ticks = 1 << (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    if ticks <= 1_000_000 and 1_000_000 % ticks == 0:
        interface.multiply = 1_000_000 // ticks
    elif ticks % 1_000_000 == 0:
        interface.divide = ticks // 1_000_000
    else:
        interface.multiply, interface.divide = 1_000_000, ticks
    return interface


def _next_block(window: Window, at: int, order: str, limits: Limits) -> int:
    """Where in `window` the next block begins that looks like one, or -1.

    One of a known type does, with two equal lengths that are no more than those of a packet.
    """
    # Of types 1 to 6, none of which can begin inside another; or a section.
    kinds = rb"[\x01-\x06]\0\0\0" if order == "<" else rb"\0\0\0[\x01-\x06]"
    candidates = re.compile(b"(?=" + kinds + b"|" + re.escape(MAGIC) + b")")  # a section's may overlap its like
    while True:
        at = window.fill(at, CHUNK)
        data = window.data
        size = len(data)
        # A candidate can be judged if all of it is there.
        last = size - 12 if window.ended else size - limits.packet
        for found in candidates.finditer(data, at + 1):
            begin = found.start()
            if begin > last:
                break
            here = order
            if data.startswith(MAGIC, begin):
                here = _ORDERS.get(data[begin + 8 : begin + 12], "")
                if not here:
                    continue
            (length,) = struct.unpack_from(here + "I", data, begin + 4)
            end = begin + length
            fits = 12 <= length <= limits.packet and length % 4 == 0 and end <= size
            if fits and data[end - 4 : end] == data[begin + 4 : begin + 8]:
                return begin
        if window.ended:
            return -1
        at = max(last, at + 1)
