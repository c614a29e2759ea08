"""Parts of a large capture by ranges of bytes, each readable by itself.

Of the formats only pcap allows it: a record can be told by itself, anywhere in the file. A pcapng needs the blocks that
describe its interfaces, what is packed has to be unpacked from its beginning, and a log's lines get their day from
those before them.

A range is read from a while before its beginning, so that TCP streams and fragments that go on there are known; only
messages whose last frame is its own count. As a set has each fact once, nothing would come of reading one twice.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from sipcdr.ingest import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

WARM_UP: Final = 8 << 20
"""Bytes that are read before a range."""
_FILE_HEADER: Final = 24
_WINDOW: Final = 1 << 20
_DAY: Final = 86_400
_FORMATS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000, 16),
}
"""The first four bytes: byte order, parts of a second, bytes of a record before its frame."""
_LONGEST: Final = Limits().packet


class Range(NamedTuple):
    """A part of a file: bytes from `start` on and before `end`."""

    start: int
    end: int


class Cut(NamedTuple):
    """What is read for a range.

    begin, end: the bytes. own: where its own records begin. before: how many records stand before those.
    """

    begin: int
    own: int
    end: int
    before: int


def ranges(file: BinaryIO, size: int, most: int) -> list[Range]:
    """The parts of a file, none much larger than `most` bytes; one if it can't be divided."""
    if size <= most or file.read(4) not in _FORMATS:
        return [Range(0, size)]
    return [Range(start, min(start + most, size)) for start in range(0, size, most)]


def cut(file: BinaryIO, size: int, part: Range) -> Cut:
    """Where the records of a range begin and end in the file; those of its neighbours begin and end there too."""
    begin = _record(file, size, max(part.start - WARM_UP, _FILE_HEADER)) if part.start else _FILE_HEADER
    own = _record(file, size, part.start) if part.start else _FILE_HEADER
    end = _record(file, size, part.end) if part.end < size else size
    return Cut(begin, own, end, sum(1 for _ in _walk(file, begin, own)))


def pieces(file: BinaryIO, some: Cut) -> Iterator[bytes]:
    """A pcap file of what is read for a range."""
    file.seek(0)
    yield file.read(_FILE_HEADER)
    file.seek(some.begin)
    left = some.end - some.begin
    while left and (piece := file.read(min(left, _WINDOW))):
        left -= len(piece)
        yield piece


def place(some: Cut, offset: int) -> int:
    """The byte in the file that stands at `offset` in what `pieces` gives."""
    return max(offset - _FILE_HEADER, 0) + some.begin


def _record(file: BinaryIO, size: int, at: int) -> int:
    """The first byte from `at` on where a record begins; the file's size if there is none.

    One does where records follow each other to the window's end: what looks like a record inside of a frame, such as
    a capture that was sent over the network, doesn't go on like that.
    """
    order, parts, header = _format(file)
    unpack = struct.Struct(order + "IIII").unpack_from
    while at < size:
        file.seek(at)
        data = file.read(_WINDOW)
        last = at + len(data) >= size
        for start in range(len(data) - 15):
            here = start
            before = 0
            while here + 16 <= len(data):
                seconds, fraction, captured, wire = unpack(data, here)
                if not 0 < captured <= wire or captured > _LONGEST or fraction >= parts:
                    break
                if before and abs(seconds - before) > _DAY:
                    break
                before = seconds
                here += header + captured
            else:
                if here > len(data) - 16 and (here - start >= _WINDOW // 2 or (last and here == len(data))):
                    return at + start
        if last:
            break
        at += _WINDOW // 2
    return size


def _walk(file: BinaryIO, begin: int, end: int) -> Iterator[int]:
    """Where the records from `begin` on and before `end` stand."""
    order, _, header = _format(file)
    unpack = struct.Struct(order + "I").unpack_from
    data = b""
    base = at = begin
    while at < end:
        if at + 16 > base + len(data):
            file.seek(at)
            data, base = file.read(_WINDOW), at
            if len(data) < 16:
                return
        yield at
        at += header + unpack(data, at - base + 8)[0]


def _format(file: BinaryIO) -> tuple[str, int, int]:
    file.seek(0)
    return _FORMATS[file.read(4)]
