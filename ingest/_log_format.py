"""What a reader of a log format is made of, and what all of them need.

A format finds its marker in the bytes at hand and takes the record that is there, with nothing but these bytes to go
by. Where they may not be enough it says so, and is asked again with more; so how a log was cut into pieces changes
nothing.
"""

from __future__ import annotations

import functools
import re
from typing import Final, Protocol

import msgspec

from sipcdr.builder import native

from . import _log_ends, _sip
from ._limits import LOG_DOUBT, LOG_LINE, LOG_MESSAGE, LOG_WHOLE_LINE

is_start_line = _sip.is_start_line
content_length = _log_ends.content_length
on_the_wire = _log_ends.on_the_wire
with_bare_ends = _log_ends.with_bare_ends
if native is not None:
    is_start_line = native.is_start_line
    content_length = native.content_length
    on_the_wire = native.on_the_wire
    with_bare_ends = native.with_bare_ends

NOT_SIP: Final = "log records without SIP"
_AHEAD: Final = 16
"""Bytes behind a message by which a closing is told."""
_AHEAD_OF_PREFIX: Final = 512
"""The same, with what may stand before each line of a log."""
_NEVER: Final = 1 << 62

_ESCAPED: Final = ((b" #012", b"\n"), (b"#012", b"\n"), (b" #015", b"\r"), (b"#015", b"\r"))
_ESCAPES = re.compile(rb"\x1b\[[0-9;]{0,16}[mK]")


class Record(msgspec.Struct, frozen=True, gc=False):
    """A SIP message as a log has it.

    raw: its bytes, as near to the wire's as can be. at: where its record begins, in the bytes that were given.
    time: microseconds UTC; tick: microseconds of the time's last digit. cut: the log has less than was sent.
    """

    raw: bytes
    at: int
    time: int
    tick: int = 1
    source: str = ""
    destination: str = ""
    transport: str = ""
    machine: str = ""
    pool: str = ""
    cut: bool = False


class Taken(msgspec.Struct, frozen=True, gc=False):
    """What stands at a marker. end: where to read on.

    opened: whether it was a record of the format. damage: what is wrong with it; odd: what is just to be counted.
    """

    end: int
    records: tuple[Record, ...] = ()
    opened: bool = True
    damage: str = ""
    odd: str = ""


class Format(Protocol):
    """A log format.

    name: as `--log-format` has it. windows: its bytes, where not UTF-8, are of a Windows code page. joins: what it has
    of connections is what was read and written at a time, so messages begin in one record and end in another.
    """

    @property
    def name(self) -> str: ...

    @property
    def windows(self) -> bool: ...

    @property
    def joins(self) -> bool: ...

    def search(self, data: bytes, at: int) -> int:
        """Where the next marker begins, at or after `at`; -1 without one."""

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The record of the marker at `at`, or None if more bytes are needed, which are there unless `ended`.

        Before `low` nothing is to be looked at.
        """


class Finder:
    """Finds the next of some literals in bytes, without going over the same bytes for each mark again."""

    def __init__(self, *literals: bytes) -> None:
        self._literals = literals
        self._data: bytes | None = None
        # Of each literal: from where on it was looked for, and where it was found.
        self._known: list[tuple[int, int]] = []

    def search(self, data: bytes, at: int) -> int:
        """Where the next one begins; -1 if there is none."""
        if data is not self._data:
            self._data = data
            self._known = [(1, 0)] * len(self._literals)
        nearest = _NEVER
        for number, (begun, place) in enumerate(self._known):
            if not begun <= at <= place:
                found = data.find(self._literals[number], at)
                place = found if found >= 0 else _NEVER  # noqa: PLW2901
                self._known[number] = (at, place)
            nearest = min(nearest, place)
        return -1 if nearest == _NEVER else nearest


def line_around(data: bytes, low: int, at: int, ended: bool) -> tuple[int, int, int] | None:
    """Of the line with `at` in it: where it begins, ends, and the next one begins.

    None if it may go on. A line longer than LOG_LINE behind `at` ends there.
    """
    begin = data.rfind(b"\n", low, at) + 1 or low
    end = data.find(b"\n", at, at + LOG_LINE)
    if end < 0:
        if len(data) - at < LOG_LINE and not ended:
            return None
        end = min(at + LOG_LINE, len(data))
        return begin, end, end
    return begin, end - (data[end - 1 : end] == b"\r"), end + 1


def whole_line(data: bytes, low: int, at: int, ended: bool) -> tuple[int, int, int] | None:
    """As `line_around`, of a line that may hold a message."""
    begin = data.rfind(b"\n", low, at) + 1 or low
    end = data.find(b"\n", at, at + LOG_WHOLE_LINE)
    if end < 0:
        if len(data) - at < LOG_WHOLE_LINE and not ended:
            return None
        end = min(at + LOG_WHOLE_LINE, len(data))
        return begin, end, end
    return begin, end - (data[end - 1 : end] == b"\r"), end + 1


def unescaped(text: bytes) -> bytes:
    """A text with the line ends that syslog has written as `#012` and `#015`."""
    for escaped, end in _ESCAPED:
        text = text.replace(escaped, end)
    return text


def plain(text: bytes) -> bytes:
    """A text without a terminal's colours."""
    return _ESCAPES.sub(b"", text) if b"\x1b" in text else text


@functools.lru_cache(4096)
def host_port(text: bytes) -> str:
    """`host:port` out of a log, IPv6 in brackets; the port is behind the last colon."""
    text = text.strip()[:300]
    host, colon, port = text.rpartition(b":")
    if colon and port.isdigit() and b":" in host and not host.startswith(b"["):
        text = b"[" + host + b"]:" + port
    return text.decode("utf-8", "replace")


def measured(
    data: bytes, at: int, size: int, ended: bool, *closings: re.Pattern[bytes], bare: bool = True, ahead: int = _AHEAD
) -> int | None:
    """Where `size` bytes of the wire end that begin at `at`: as they stand, or, if `bare`, without their CRs.

    One of the closings has to stand there, the surest first and each covered by the last, and to be told by `ahead`
    bytes. -1 if none does; None if more bytes are needed.
    """
    known = len(data)
    end = at + size
    if end + ahead > known and not ended:
        return None
    if end > known:
        end = known + 1
    elif closings[0 if bare else -1].match(data, end):
        return end
    if not bare:
        return -1
    short = with_bare_ends(data, at, size, True)
    for closing in closings:
        for place in (end, short):
            if place is not None and place <= known and closing.match(data, place):
                return place
    return -1


class Block:
    """How a format lays out a message behind its opening line.

    closings: match what stands right behind a message, within 16 bytes, the surest first. boundary: matches the
    beginning of a line that is no more of the message, which begins with one of `begins`, any if empty. foreign: the
    same of a line that is left out. largest: bytes of a message.
    """

    def __init__(
        self,
        *closings: re.Pattern[bytes],
        boundary: re.Pattern[bytes],
        foreign: re.Pattern[bytes] | None = None,
        largest: int = LOG_MESSAGE,
        begins: bytes = b"",
    ) -> None:
        self._closings = closings
        self._boundary = boundary
        self._foreign = foreign
        self._largest = largest
        self._begins = frozenset(begins or range(256))

    def message(
        self,
        data: bytes,
        at: int,
        ended: bool,
        *,
        mark: int = -1,
        size: int = -1,
        prefix: re.Pattern[bytes] | None = None,
    ) -> tuple[bytes, int, bool] | None:
        """The message that begins at `at`, where it ends, and whether it is whole; None if more bytes are needed.

        mark: where the next mark is in the bytes at hand, if there is one: a head doesn't go on behind it. size: the
        message's bytes on the wire, if the log says. prefix: what stands before each of its lines in the log.
        """
        if prefix is None and self._foreign is None:
            found = self._by_length(data, at, ended, mark, size)
            if found is None or found[0]:
                return found
        return self._by_lines(data, at, ended, size, prefix)

    def _by_length(self, data: bytes, at: int, ended: bool, mark: int, size: int) -> tuple[bytes, int, bool] | None:
        """By what it says itself, if the log's closing stands there; an empty message if it doesn't."""
        nothing = (b"", at, False)
        known = len(data)
        limit = at + self._largest
        line_end = data.find(b"\n", at, at + LOG_LINE)
        if line_end < 0:
            return None if not ended and known < at + LOG_LINE else nothing
        if not is_start_line(data[at:line_end]):
            return nothing
        bare = data[line_end - 1] != 0x0D
        if 0 <= size <= self._largest:
            end = measured(data, at, size, ended, *self._closings, bare=bare)
            if end != -1:
                return None if end is None else (data[at:end], end, True)
        start = behind_head(data, at, limit if mark < 0 else min(limit, mark))
        if start < 0:
            return None if not ended and known < limit and mark < 0 else nothing
        length = content_length(data, at, start)
        if not 0 <= length <= self._largest:
            return nothing
        end = measured(data, start, length, ended, *self._closings, bare=bare)
        if end is None:
            return None
        return (data[at:end], end, True) if end >= 0 else nothing

    def _by_lines(
        self, data: bytes, at: int, ended: bool, size: int, prefix: re.Pattern[bytes] | None
    ) -> tuple[bytes, int, bool] | None:
        """Line by line up to a boundary, or to where it has its length; lines of others left out.

        A body may hold a boundary, where other things than the message stand between its lines (else its length was
        of no use): it does where it has its length right before the log's closing.
        """
        lines: list[bytes] = []
        wire = length = 0
        body = None if size < 0 else size
        largest = self._largest
        longest = largest + LOG_LINE
        known = len(data)
        in_head = size < 0
        mixed = prefix is not None or self._foreign is not None
        limit = at + longest
        bare = data[data.find(b"\n", at, limit) - 1] != 0x0D
        boundary, begins, foreign = self._boundary.match, self._begins, self._foreign
        strip = None if prefix is None else prefix.match
        same, skipped = b"", 0
        told = size >= 0
        short: tuple[bytes, int, bool] | None = None
        while True:
            end = data.find(b"\n", at, limit)
            if end < 0:
                if not ended and known < limit:
                    return None
                end = min(known, limit)
                if end > at:
                    lines.append(data[at:end])
                unmeasured = not in_head and body is None
                return short or (_joined(lines, unmeasured), end, unmeasured and end == known)
            start = at
            if strip is not None:
                # Most lines have the same as the line before.
                if same and data.startswith(same, at):
                    start += skipped
                else:
                    found = strip(data, at, end + 1)
                    if found is not None:
                        start = found.end()
                        same = data[at:start] if data[start - 1] == 0x20 else b""
                        skipped = len(same)
            line = data[start : end + 1]
            if data[start] in begins and lines and short is None and boundary(line):
                short = _joined(lines, not in_head and body is None), at, body is None
                if body is None or not mixed:
                    return short
                largest = min(largest, length + LOG_DOUBT)
            at = end + 1
            if foreign is not None and foreign.match(line):
                continue
            lines.append(line)
            wide = at - start
            length += wide
            if in_head:
                if len(line) <= 2 and line in (b"\n", b"\r\n") and len(lines) > 1:
                    in_head = False
                    head = b"".join(lines)
                    body = content_length(head, 0, len(head))
                    wire = 0
                    if body <= 0:
                        if body == 0:
                            return head, at, True
                        body = None
                continue
            wire += wide + (bare and line[-2:-1] != b"\r")
            if body is not None and wire >= body:
                if short is not None:
                    if at + _AHEAD_OF_PREFIX > known and not ended:
                        return None
                    found = strip(data, at) if strip is not None else None
                    rest = data[at if found is None else found.end() : at + _AHEAD_OF_PREFIX]
                    closed = told or any(closing.match(rest) for closing in self._closings)
                    if wire > body + 2 or not closed:
                        return short
                return _shortened(b"".join(lines), wire - body), at, True
            if length > largest:
                return short or (b"".join(lines), at, False)


def _joined(lines: list[bytes], unmeasured: bool) -> bytes:
    """A message of these lines. unmeasured: it doesn't say its length, so the log's own line ends are behind it."""
    text = b"".join(lines)
    while unmeasured and text.endswith((b"\n\n", b"\n\r\n")) and len(text) > behind_head(text, 0, len(text)):
        text = text.removesuffix(b"\n").removesuffix(b"\r")
    return text


def _shortened(text: bytes, over: int) -> bytes:
    """A text without the bytes that it has over, of which its last line end stands for two: that is the log's."""
    if over > 0:
        text = text.removesuffix(b"\n").removesuffix(b"\r")
        text = text[: len(text) - max(over - 2, 0)]
    return text


def behind_head(data: bytes, at: int, limit: int) -> int:
    """Where a message's head that begins at `at` ends, with its empty line; -1 if it doesn't before `limit`."""
    crlf = data.find(b"\n\r\n", at, limit)
    bare = data.find(b"\n\n", at, limit if crlf < 0 else crlf + 1)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else -1
