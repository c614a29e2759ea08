"""Captures inside gzip, zstd, lz4 and zip, in any order around each other, from a file or a pipe.

Everything is unpacked piece by piece as it is read, so memory stays flat whatever it unpacks to; and how much that may
be is bounded by what it was unpacked from (`Limits.unpacked`, `Limits.ratio`). A zip is read by the headers in front of
its members, in their order.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from ._source import CHUNK, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._limits import Limits

_GZIP: Final = b"\x1f\x8b\x08"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_LZ4: Final = b"\x04\x22\x4d\x18"
_ZIP: Final = b"PK\x03\x04"
_ZIP_ENDS: Final = (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06")
_ZIP_SIZES: Final = b"PK\x07\x08"

_HEAD: Final = 16
_PIECE: Final = 1 << 18
_ZSTD_STEP: Final = 512
"""Bytes that a decompressor without a bound on its output is fed at a time: four bytes make 128 KiB at most."""
_ZSTD_WINDOW: Final = 1 << 27
_LONGEST_NAME: Final = 255

_ENCRYPTED, _SIZES_BEHIND = 1, 8
_STORED, _DEFLATED = 0, 8
_LOCAL: Final = struct.Struct("<4xHHHHHIIIHH")
_UNKNOWN: Final = 0xFFFFFFFF


class _Damage(Exception):
    """Why no more can be unpacked."""


class Stream:
    """Bytes of a file, or of something inside one, from front to back. damage: why they end, if not as they should."""

    __slots__ = ("_buffer", "_pieces", "damage", "name")

    def __init__(self, name: str, pieces: Iterator[bytes]) -> None:
        self.name = name
        self.damage = ""
        self._pieces = pieces
        self._buffer = b""

    grows = waits = False
    """Whether more may come where it ends now: never to what is packed."""

    def skip(self, to: int) -> None:
        """Go on at that byte, from the first."""
        while to > 0 and (data := self.read(min(to, CHUNK))):
            to -= len(data)

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay: so many, or all that are left."""
        while len(self._buffer) < size:
            piece = self._next()
            if not piece:
                break
            self._buffer += piece
        return self._buffer[:size]

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none where they end."""
        data = self._buffer or self._next()
        self._buffer = data[size:]
        return data[:size] if self._buffer else data

    def back(self, data: bytes) -> None:
        """Put back what was read too much."""
        self._buffer = data + self._buffer

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except _Damage as error:
            self.damage = str(error)
            return b""


class _Meter:
    """Sees that what a file unpacks to stays within bounds."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._unpacked = 0
        self.exceeded = False

    def passed(self, piece: bytes) -> bytes:
        """The same piece. Raises _Damage when the pieces before were more than the file may unpack to."""
        limits = self._limits
        if self._unpacked > limits.unpacked + limits.ratio * self._source.taken:
            self.exceeded = True
            raise _Damage(
                f"unpacks to more than {limits.unpacked >> 20} MiB and {limits.ratio} times its size: not read further"
            )
        self._unpacked += len(piece)
        return piece


def is_packed(head: bytes) -> bool:
    """Whether what begins so is compressed or an archive."""
    return head.startswith((_ZIP, *_UNPACK))


def captures(source: Source, limits: Limits) -> Iterator[Source | Stream]:
    """What in a source may be a capture: the source itself, or what is packed in it, one after the other."""
    if source.grows:
        yield source
        return
    whole = Stream(source.name, iter(lambda: source.read(CHUNK), b""))
    yield from _inside(whole, _Meter(source, limits), limits, 0)


def _inside(stream: Stream, meter: _Meter, limits: Limits, depth: int) -> Iterator[Stream]:
    head = stream.peek(_HEAD)
    packed = head.startswith(_ZIP) or any(head.startswith(magic) for magic in _UNPACK)
    if not packed:
        yield stream
    elif depth >= limits.containers:
        yield _refused(stream.name, f"packed more than {limits.containers} times")
    elif head.startswith(_ZIP):
        for member in _members(stream, meter):
            yield from _inside(member, meter, limits, depth + 1)
    else:
        unpack = next(unpack for magic, unpack in _UNPACK.items() if head.startswith(magic))
        yield from _inside(Stream(stream.name, unpack(stream, meter)), meter, limits, depth + 1)


def _refused(name: str, reason: str) -> Stream:
    stream = Stream(name, iter(()))
    stream.damage = reason
    return stream


def _ends_early(stream: Stream, what: str) -> _Damage:
    return _Damage(stream.damage or f"{'an' if what == 'lz4' else 'a'} {what} file that ends too early")


def _gunzip(stream: Stream, meter: _Meter) -> Iterator[bytes]:
    """RFC 1952: members one behind the other; what else stands behind the last is left out, as gzip does."""
    while stream.peek(3) == _GZIP:
        yield from _inflated(stream, meter, zlib.MAX_WBITS | 16, "gzip")


def _inflated(stream: Stream, meter: _Meter, bits: int, what: str) -> Iterator[bytes]:
    """One deflate stream; what follows it is put back."""
    unpacker = zlib.decompressobj(bits)
    data = stream.read(CHUNK)
    while True:
        try:
            piece = unpacker.decompress(data, _PIECE)
        except zlib.error as error:
            raise _Damage(f"a {what} file that is damaged ({error})") from None
        if piece:
            yield meter.passed(piece)
        if unpacker.eof:
            stream.back(unpacker.unused_data)
            return
        data = unpacker.unconsumed_tail or stream.read(CHUNK)
        if not data and not piece:
            raise _ends_early(stream, what)


def _unzstd(stream: Stream, meter: _Meter) -> Iterator[bytes]:
    """RFC 8878: frames one behind the other."""
    import zstandard

    while data := stream.read(_ZSTD_STEP):
        unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        while True:
            try:
                piece = unpacker.decompress(data)
            except zstandard.ZstdError as error:
                raise _Damage(f"a zstd file that is damaged ({error})") from None
            if piece:
                yield meter.passed(piece)
            if unpacker.eof:
                stream.back(unpacker.unused_data)
                break
            data = stream.read(_ZSTD_STEP)
            if not data:
                raise _ends_early(stream, "zstd")


def _unlz4(stream: Stream, meter: _Meter) -> Iterator[bytes]:
    """LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md) one behind the other."""
    try:
        import lz4.frame
    except ImportError:
        raise _Damage("an lz4 file: for these the extra lz4 is missing: pip install 'sipcdr[lz4]'") from None
    while data := stream.read(CHUNK):
        unpacker = lz4.frame.LZ4FrameDecompressor()
        while True:
            try:
                piece = unpacker.decompress(data, max_length=_PIECE)
            except RuntimeError as error:
                raise _Damage(f"an lz4 file that is damaged ({error})") from None
            if piece:
                yield meter.passed(piece)
            if unpacker.eof:
                stream.back(unpacker.unused_data or b"")
                break
            data = stream.read(CHUNK) if unpacker.needs_input else b""
            if not data and not piece:
                raise _ends_early(stream, "lz4")


_UNPACK: Final[dict[bytes, Callable[[Stream, _Meter], Iterator[bytes]]]] = {
    _GZIP: _gunzip,
    _ZSTD: _unzstd,
    _LZ4: _unlz4,
}


def _members(stream: Stream, meter: _Meter) -> Iterator[Stream]:
    """The files in a zip (APPNOTE.TXT, section 4.3), hidden ones left out; each is read before the next."""
    while not meter.exceeded:
        magic = stream.peek(4)
        if magic in _ZIP_ENDS:
            return
        head = stream.peek(_LOCAL.size)
        if magic != _ZIP or len(head) < _LOCAL.size:
            yield _refused(stream.name, stream.damage or "a zip file that is damaged or ends too early")
            return
        _, flags, method, _, _, checked, packed, size, name_length, extra_length = _LOCAL.unpack(head)
        head = _exactly(stream, _LOCAL.size + name_length + extra_length)
        label = head[_LOCAL.size : _LOCAL.size + name_length].decode("utf-8", "replace")
        extra = head[_LOCAL.size + name_length :]
        if _UNKNOWN in (packed, size):
            packed = _packed_size(extra, size) or 0
        known = not flags & _SIZES_BEHIND
        name = f"{stream.name}/{label[:_LONGEST_NAME]}"
        reason = ""
        if flags & _ENCRYPTED:
            reason = "encrypted in its zip file"
        elif method not in (_STORED, _DEFLATED) or (method == _STORED and not known):
            reason = f"packed into its zip file by method {method}, which isn't read"
        content = Stream(name, _part(stream, packed)) if known else stream
        if reason:
            member = _refused(name, reason)
        elif method == _STORED:
            member = content
        else:
            member = Stream(name, _checked(content, meter, checked if known else None))
        if not _is_hidden(label):
            yield member
        while member.read(CHUNK):
            pass
        if known:
            while content.read(CHUNK):
                pass
            if content.damage:
                return
        elif reason or member.damage:
            # Nothing says where the next one begins.
            return
        else:
            _pass_sizes(stream)


def _exactly(stream: Stream, size: int) -> bytes:
    data = stream.peek(size)
    for _ in _part(stream, len(data)):
        pass
    return data


def _part(stream: Stream, size: int) -> Iterator[bytes]:
    """The next `size` bytes. Raises _Damage if there are fewer."""
    while size:
        data = stream.read(min(size, CHUNK))
        if not data:
            raise _ends_early(stream, "zip")
        size -= len(data)
        yield data


def _checked(content: Stream, meter: _Meter, expected: int | None) -> Iterator[bytes]:
    """A deflated member; its checksum stands in front, or behind it, where it isn't looked at."""
    found = 0
    for piece in _inflated(content, meter, -zlib.MAX_WBITS, "zip"):
        found = zlib.crc32(piece, found)
        yield piece
    if expected is not None and found != expected:
        raise _Damage("a zip file whose content doesn't have its checksum")


def _packed_size(extra: bytes, size: int) -> int | None:
    """The packed size in a zip64 extra field: behind the size, if that is there."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        place = at + 4 + (8 if size == _UNKNOWN else 0)
        if kind == 1 and place + 8 <= len(extra):
            return int.from_bytes(extra[place : place + 8], "little")
        at += 4 + length
    return None


def _pass_sizes(stream: Stream) -> None:
    """Pass over checksum and sizes behind a member: of 4 or 8 bytes, with a signature or without."""
    data = stream.peek(28)
    signed = 4 if data.startswith(_ZIP_SIZES) else 0
    following = (_ZIP, *_ZIP_ENDS)
    size = next((size for size in (12, 20) if data[signed + size : signed + size + 4] in following), 12)
    _exactly(stream, signed + size)


def _is_hidden(label: str) -> bool:
    parts = label.split("/")
    return label.endswith("/") or "__MACOSX" in parts or any(part.startswith(".") for part in parts)
