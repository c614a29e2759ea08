"""SIP messages out of a byte stream (RFC 3261 section 18.3).

`Framer` is fed the bytes of one direction of a connection in their order. Another protocol that carries SIP over TCP
(WebSocket, say) is another object with `feed`, `gap` and `end`.
"""

from __future__ import annotations

import bisect
import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from sipcdr.builder import Position

from ._sip import FIRST_BYTE, end_of_head, is_start_line, start_within

if TYPE_CHECKING:
    from ._limits import Limits

Emit = Callable[[bytes, int, Position, bool], None]
"""Takes a message's bytes, the time and position of the packet with its last byte, and whether it was cut."""

# The first one wins; its value may be folded.
_CONTENT_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:[ \t]*(?:\r?\n[ \t]+)?([^\r\n]*)", re.IGNORECASE)
_VERSION = re.compile(rb"[Ss][Ii][Pp]/")


class Framer:
    """Cuts a stream into messages by their Content-Length, and finds the next start line where that fails.

    After lost bytes, and after such as belong to no message, a start line is looked for inside lines too: the end of
    a body may stand before it. idle: bytes since the last message that belong to none.
    """

    __slots__ = ("_begun", "_buffer", "_emit", "_limits", "_lost", "_marks", "_need", "_scanned", "_skip", "idle")

    def __init__(self, limits: Limits, emit: Emit) -> None:
        self._limits = limits
        self._emit = emit
        self._buffer = bytearray()
        self._marks: list[tuple[int, int, Position]] = []
        self._need = 0
        self._scanned = 0
        self._skip = 0
        self._begun = False
        self._lost = False
        self.idle = 0

    def __len__(self) -> int:
        """Bytes held back."""
        return len(self._buffer)

    def feed(self, data: bytes, time: int, position: Position) -> None:
        """Take the next bytes of the stream, from a packet of that time and position."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if not data:
            return
        buffer = self._buffer
        if buffer:
            buffer += data
            self._marks.append((len(buffer), time, position))
            if len(buffer) >= self._need:
                self._take(buffer, time, position)
        else:
            self._take(data, time, position)

    def passes(self, data: bytes) -> bool:
        """Whether the next bytes are one whole message and nothing else; if so it counts as given out."""
        if self._buffer or self._skip or self._lost or len(data) > self._limits.message:
            return False
        line_end = data.find(b"\n")
        if line_end < 0 or not is_start_line(data[:line_end]):
            return False
        body_at = end_of_head(data)
        if body_at < 0 or body_at + _content_length(data, 0, body_at) != len(data):
            return False
        self._begun = True
        self.idle = 0
        return True

    def gap(self) -> None:
        """Bytes are missing here: what there is of a message is given out if its head is whole."""
        buffer = self._buffer
        body_at = end_of_head(buffer)
        if body_at >= 0:
            _, time, position = self._marks[-1]
            self._emit(bytes(buffer), time, position, True)
        self._drop()
        self._skip = 0
        self._lost = self._begun = True

    def end(self) -> None:
        """The stream has ended."""
        self.gap()

    def _take(self, data: bytes | bytearray, time: int, position: Position) -> None:
        """Give out the whole messages that `data` begins with and keep the rest."""
        at = 0
        scanned = self._scanned
        limit = self._limits.message
        size = len(data)
        need = 0
        while at < size:
            if not scanned:
                start = self._start(data, at)
                self.idle += max(start, at) - at if start >= 0 else size - at
                if start < 0:
                    at = size
                    break
                at = start
                if data.find(b"\n", at) < 0:
                    break
            body_at = end_of_head(data, max(at, scanned))
            if body_at < 0 and size - at <= limit:
                scanned = max(size - 3, at + 1)
                break
            length = _content_length(data, at, body_at) if body_at >= 0 else 0
            end = body_at + length if body_at >= 0 else size
            wanted = min(end, at + limit + 1)  # one more, and the scan notes the limit
            if wanted > size:
                need = wanted - at
                scanned = body_at - 3
                break
            self._give_out(data, at, wanted, end > wanted or body_at < 0, time, position)
            self.idle = scanned = 0
            self._lost = False
            self._begun = True
            if end > size:
                self._skip = end - size
            at = min(end, size)
        self._keep(data, at, time, position)
        self._need = need
        self._scanned = max(scanned - at, 0)

    def _start(self, data: bytes | bytearray, at: int) -> int:
        """Where the next start line begins, whole or as yet unfinished; -1 if all can be dropped."""
        size = len(data)
        while True:
            while at < size and data[at] in b"\r\n\0":  # keep-alives: RFC 5626 section 3.5.1; NUL was seen
                at += 1
            if at >= size:
                return -1
            line_end = data.find(b"\n", at)
            if line_end < 0:
                # What may have a start line in it may go on, if it isn't too long for one. A stream that begins with a
                # byte that no start line begins with is of another protocol, and holds nothing.
                begins = self._begun or FIRST_BYTE[data[at]]
                return at if begins and size - at <= self._limits.line else -1
            line = bytes(data[at:line_end])
            if not self._lost and is_start_line(line):
                return at
            self._lost = self._begun = True
            within = start_within(line)
            if within >= 0:
                return at + within
            at = _line_with_version(data, line_end + 1)

    def _give_out(self, data: bytes | bytearray, at: int, end: int, cut: bool, time: int, position: Position) -> None:
        marks = self._marks
        if marks:
            _, time, position = marks[min(bisect.bisect_left(marks, end, key=_end), len(marks) - 1)]
        self._emit(bytes(data[at:end]), time, position, cut)

    def _keep(self, data: bytes | bytearray, at: int, time: int, position: Position) -> None:
        marks = self._marks
        size = len(data)
        if at >= size:
            self._drop()
        elif data is self._buffer:
            if at:
                del self._buffer[:at]
                self._marks = [(end - at, then, there) for end, then, there in marks if end > at]
        else:
            self._buffer = bytearray(data[at:])
            self._marks = [(size - at, time, position)]

    def _drop(self) -> None:
        if self._buffer:
            self._buffer = bytearray()
            self._marks = []
        self._need = self._scanned = 0


_end = operator.itemgetter(0)


def _line_with_version(data: bytes | bytearray, at: int) -> int:
    """Where the next line begins that has `SIP/` in it, or the last line if that is unfinished."""
    version = _VERSION.search(data, at)
    return max(data.rfind(b"\n", at, version.start() if version else len(data)) + 1, at)


def _content_length(data: bytes | bytearray, at: int, body_at: int) -> int:
    """RFC 3261 section 20.14: a stream's message without one, or with one that is no number, has no body."""
    found = _CONTENT_LENGTH.search(data, at, body_at)
    if found is None:
        return 0
    value = found[1].strip()
    return int(value[:10]) if value.isdigit() else 0
