"""Reads pcap files (https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/): both byte orders, µs and ns.

Kuznetsov's modified form has 8 bytes more in front of each frame: interface, protocol, packet type.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from ._errors import NotACapture
from ._source import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._limits import Limits
    from ._source import Window
    from ._tally import Tally

Record = tuple[int, int, int, bytes]
"""A frame of a capture: its number from 1, time in microseconds UTC, link type, and bytes as captured."""

NOTHING_YET: Final = -1
"""The link type of what is no frame, but a sign that there is none now in a file that grows: with the number 0, and the
time of the frame before."""

FILE_HEADER: Final = 24

MAGIC: Final[dict[bytes, tuple[str, int, int]]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1000, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1, 24),
    b"\xa1\xb2\xcd\x34": (">", 1, 24),
}
"""First four bytes: byte order, what divides the fraction of a second to make microseconds, bytes before a frame."""


def records(window: Window, tally: Tally, limits: Limits) -> Iterator[Record]:
    """The frames of a pcap file that stands at the beginning of `window`.

    Damage is noted as a problem, and reading goes on at the next record that can be made out. Raises NotACapture,
    OSError.
    """
    by_byte = window.by_byte
    window.fill(0, FILE_HEADER)
    data = window.data
    if len(data) < FILE_HEADER:
        raise NotACapture(window.source.damage or "a pcap file that ends inside its header")
    order, divisor, header = MAGIC[data[:4]]
    (link_type,) = struct.unpack_from(order + "I", data, 20)
    # The upper half of the field says how long the frame check sequence is; IP's own length leaves it out.
    link_type &= 0xFFFF
    unpack = struct.Struct(order + "IIII").unpack_from
    name = window.source.name
    longest = limits.packet
    number = counted = previous = time = 0
    at = FILE_HEADER
    size = len(data)
    while True:
        damage = ""
        start = at + header
        if start <= size:
            seconds, fraction, captured, wire = unpack(data, at)
            end = start + captured
            if captured > longest:
                damage = f"a record of {captured} bytes"
            elif captured > wire and end + header > size and not window.ended:
                pass  # what stands behind it must tell
            elif captured > wire and not _goes_on(data, end, unpack, seconds, longest):
                damage = f"a record of {captured} bytes of a frame that had {wire}"
            elif end <= size and (captured or wire):
                number += 1
                time = seconds * 1_000_000 + fraction // divisor
                yield window.base + at if by_byte else number, time, link_type, data[start:end]
                previous = seconds
                at = end
                continue
            elif not captured and not wire:
                damage = "a record without content"
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
            damage = damage or "the file ends inside a record"
        tally.problem(name, number + 1, window.base + at, damage)
        at = _next_record(window, at, order, divisor, header, previous, longest)
        if at < 0:
            window.tell_damage(damage, name, number + 1, tally)
            return
        data = window.data
        size = len(data)


def _goes_on(data: bytes, at: int, unpack: Callable[[bytes, int], tuple[int, ...]], seconds: int, longest: int) -> bool:
    """Whether the end of the data, or what may be a record within a day of `seconds`, stands at `at`."""
    if at + 16 > len(data):
        return at == len(data)
    then, _, captured, _ = unpack(data, at)
    return captured <= longest and abs(then - seconds) < 86_400


def _next_record(window: Window, at: int, order: str, divisor: int, header: int, seconds: int, longest: int) -> int:
    """Where in `window` the next record begins that looks like one, or -1.

    A record does if its lengths and time fit and another such one, or the end of the file, stands behind it.
    seconds: the time stamp of the last good record, 0 if there was none.
    """
    unpack = struct.Struct(order + "IIII").unpack_from

    def fits(at: int) -> int:
        """Where the record at `at` ends, 0 if it can't be one."""
        then, fraction, captured, wire = unpack(data, at)
        good = 0 < captured <= longest and captured <= wire <= _LONGEST and fraction < 1_000_000 * divisor
        return at + header + captured if good and (not seconds or abs(then - seconds) < 86_400) else 0

    behind = longest + 2 * header
    while True:
        at = window.fill(at, CHUNK)
        data = window.data
        size = len(data)
        # Without a good record before, what the file begins with must do.
        beginning = not seconds and size - at >= CHUNK
        # A candidate can be judged if all of it and the header behind it are there.
        last = size - header if window.ended else size - behind
        if beginning:
            last = at + CHUNK - behind
        for candidate in _candidates(data, at + 1, last, order, seconds):
            end = fits(candidate)
            if end and ((end == size and window.ended) or (end + header <= size and fits(end))):
                return candidate
        if window.ended or beginning:
            return -1
        at = max(last, at + 1)


_LONGEST: Final = 1 << 24


def _candidates(data: bytes, start: int, last: int, order: str, seconds: int) -> Iterator[int]:
    """Offsets from `start` to `last` at which a time within a day of `seconds` may begin, if that is known."""
    if not seconds:
        yield from range(start, last + 1)
        return
    high = seconds >> 16
    shift = 2 if order == "<" else 0
    patterns = (
        re.escape(struct.pack(order + "H", part & 0xFFFF)) for part in (high - 2, high - 1, high, high + 1, high + 2)
    )
    for found in re.compile(b"(?=" + b"|".join(patterns) + b")").finditer(data, start + shift):
        if found.start() - shift > last:
            return
        yield found.start() - shift
