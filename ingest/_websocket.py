"""SIP over WebSocket (RFC 7118): one direction of a connection, from its upgrade on or joined in mid-stream.

A data message of WebSocket is one SIP message (RFC 7118 section 5). Frames: RFC 6455 section 5.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._sip import end_of_head, is_start_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcdr.builder import Position

    from ._framing import Emit
    from ._limits import Limits

_HANDSHAKE: Final = re.compile(rb"GET |HTTP/1\.1 101")
_UPGRADE: Final = re.compile(rb"\nupgrade[ \t]*:[ \t]*websocket[ \t]*\r?\n", re.IGNORECASE)
_DATA_FRAME: Final = re.compile(rb"[\x81\x82\x01\x02]")
_SIP: Final = re.compile(rb"(?:SIP/[0-9]\.|[A-Z]{3,16} [A-Za-z]{3,4}:)")
SHOWN: Final = 38
"""Bytes of a frame that show whether there is SIP in it: 14 of the largest head, 24 of content."""

_LAST, _COMPRESSED, _RESERVED = 0x80, 0x40, 0x30
_CONTROL: Final = 8


def sip_frame(data: bytes | bytearray, start: int = 0) -> int:
    """Where in `data`, from `start` on, a frame begins that holds the beginning of a SIP message; -1 if none does."""
    for found in _DATA_FRAME.finditer(data, start):
        at = found.start()
        head = _head(data, at)
        if head is not None:
            size, length, mask = head
            if length > SHOWN and _SIP.match(_unmasked(bytes(data[at + size : at + size + 24]), mask)):
                return at
    return -1


class WebSocket:
    """Cuts a stream into frames and puts messages together from them. emit: as for `Framer`.

    idle: bytes since the last SIP message that belong to none.
    """

    __slots__ = (
        "_buffer",
        "_count",
        "_emit",
        "_latest",
        "_limit",
        "_message",
        "_open",
        "_skip",
        "_synchronised",
        "idle",
    )

    def __init__(self, limits: Limits, emit: Emit, count: Callable[[str], None]) -> None:
        self._limit = limits.message
        self._emit = emit
        self._count = count
        self._buffer = bytearray()
        self._message = bytearray()
        self._open = False  # a message's first frame was seen, not its last
        self._skip = 0
        self._synchronised = False
        self._latest: tuple[int, Position] | None = None
        self.idle = 0

    def __len__(self) -> int:
        """Bytes held back."""
        return len(self._buffer) + len(self._message)

    def feed(self, data: bytes, time: int, position: Position) -> None:
        """Take the next bytes of the stream, from a packet of that time and position."""
        self._latest = time, position
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        buffer = self._buffer
        buffer += data
        at = 0
        while at < len(buffer):
            if not self._synchronised:
                at = self._begin(buffer, at)
                if not self._synchronised:
                    break
                continue
            head = _head(buffer, at)
            if head is None:
                break
            size, length, mask = head
            if not _is_frame(buffer[at], length):
                self._lose()
                continue
            start = at + size
            end = start + min(length, self._limit + 1)  # one more, and the scan notes the limit
            if end > len(buffer):
                break
            self._frame(buffer[at], _unmasked(bytes(buffer[start:end]), mask), time, position)
            at = start + length
        self._skip += max(at - len(buffer), 0)
        del buffer[:at]

    def gap(self) -> None:
        """Bytes are missing here: a message under way is given out with what there is of it."""
        if self._open and self._latest is not None:
            self._give(*self._latest, cut=True)
        self._buffer.clear()
        self._skip = 0
        self._lose()

    def end(self) -> None:
        """The stream has ended."""
        self.gap()

    def _lose(self) -> None:
        self._message.clear()
        self._open = False
        self._synchronised = False

    def _begin(self, buffer: bytearray, at: int) -> int:
        """Where frames begin, if `_synchronised` is set: behind the handshake, or where one has SIP in it.

        Else up to where there is nothing of ours.
        """
        if _HANDSHAKE.match(buffer, at):
            end = end_of_head(buffer, at)
            if end >= 0:
                self._synchronised = _UPGRADE.search(buffer, at, end) is not None
                self.idle += end - at
                return end
            if len(buffer) - at <= self._limit:
                return at
        found = sip_frame(buffer, at)
        if found >= 0:
            self._synchronised = True
            return found
        # The end may be the beginning of a frame.
        rest = max(len(buffer) - SHOWN, at)
        self.idle += rest - at
        return rest

    def _frame(self, first: int, payload: bytes, time: int, position: Position) -> None:
        kind = first & 15
        if kind >= _CONTROL:
            return
        if first & _COMPRESSED:
            self._count("WebSocket messages, compressed")
            self._open = False
            return
        if kind:
            self._message.clear()
            self._open = True
        elif not self._open:
            return
        self._message += payload
        if first & _LAST:
            self._give(time, position, cut=False)
        elif len(self._message) > self._limit:
            self._give(time, position, cut=True)

    def _give(self, time: int, position: Position, *, cut: bool) -> None:
        message = bytes(self._message).lstrip(b"\r\n")
        if is_start_line(message.partition(b"\n")[0]):
            self.idle = 0
            self._emit(message, time, position, cut)
        else:
            self.idle += len(self._message)
            self._count("WebSocket messages without SIP" if message else "keep-alives")
        self._message.clear()
        self._open = False


def _head(data: bytes | bytearray, at: int) -> tuple[int, int, bytes] | None:
    """Size of a frame's head, length of its payload, and its mask; None if the head isn't whole."""
    if at + 2 > len(data):
        return None
    length = data[at + 1] & 0x7F
    size = 2
    if length >= 126:
        size = 4 if length == 126 else 10
        length = int.from_bytes(data[at + 2 : at + size])
    mask = b""
    if data[at + 1] & 0x80:
        mask = bytes(data[at + size : at + size + 4])
        size += 4
    return (size, length, mask) if at + size <= len(data) else None


def _is_frame(first: int, length: int) -> bool:
    kind = first & 15
    return not first & _RESERVED and kind in (0, 1, 2, 8, 9, 10) and (kind < _CONTROL or length <= 125)


def _unmasked(data: bytes, mask: bytes) -> bytes:
    if not mask:
        return data
    size = len(data)
    pad = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(pad)).to_bytes(size)
