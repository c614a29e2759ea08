"""Writes pcapng files (https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/), times in microseconds."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import BinaryIO

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 6
_USER_APPLICATION: Final = 4


class PcapngWriter:
    """A section with an interface for each link type that occurs."""

    def __init__(self, file: BinaryIO, application: str) -> None:
        self._file = file
        self._interfaces: dict[int, int] = {}
        name = application.encode()
        option = struct.pack("<HH", _USER_APPLICATION, len(name)) + _padded(name) + bytes(4)
        self._block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option)

    def packet(self, time: int, link: int, data: bytes, length: int) -> None:
        """Write a frame; `length` is that on the wire."""
        number = self._interfaces.get(link)
        if number is None:
            number = self._interfaces[link] = len(self._interfaces)
            self._block(_INTERFACE, struct.pack("<HHI", link, 0, 0))
        high, low = divmod(time, 1 << 32)
        self._block(_PACKET, struct.pack("<IIIII", number, high, low, len(data), length) + _padded(data))

    def _block(self, kind: int, body: bytes) -> None:
        length = struct.pack("<I", len(body) + 12)
        self._file.write(struct.pack("<I", kind) + length + body + length)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
