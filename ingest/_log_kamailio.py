"""Logs of Kamailio: files of sipdump, and messages that siptrace copies with `xheaders_write`.

sipdump::

    ====================
    tag: rcv
    time: 1795511647.482113
    proto: udp ipv4
    srcip: 192.0.2.10
    …
    ~~~~~~~~~~~~~~~~~~~~
    INVITE sip:…
    ||||||||||||||||||||

The bars follow the message's last byte; a message longer than the module's buffer has none. siptrace's copies say all
in five headers before the empty line: `X-Siptrace-Fromip: udp:192.0.2.10:5060`, `-Toip`, `-Time: SECONDS MICROSECONDS`,
`-Method` and `-Dir`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._limits import LOG_MESSAGE
from ._log_format import (
    Finder,
    Record,
    Taken,
    behind_head,
    content_length,
    host_port,
    line_around,
    measured,
    on_the_wire,
    with_bare_ends,
)
from ._sip import is_start_line

if TYPE_CHECKING:
    from ._log_time import Clock

_OPEN: Final = b"=" * 20 + b"\ntag: "
_OPEN_CRLF: Final = b"=" * 20 + b"\r\ntag: "
_TEXT = re.compile(rb"~{20}\r?\n")
_CLOSE: Final = b"|" * 20
_CLOSING = re.compile(rb"\|{20}")
META: Final = b"v: 1.0\nversion: "
"""How the file begins that sipdump puts beside each of its files: about the program, without messages."""
_FIELDS: Final = 2048
_FIELD = re.compile(rb"^(time|proto|srcip|srcport|dstip|dstport): *([^\r\n]{0,64})", re.MULTILINE)
_NUMBERS = re.compile(rb"(\d{1,11})[. ](\d{1,6})")
_TRANSPORTS: Final = frozenset({"UDP", "TCP", "TLS", "WS", "WSS", "SCTP"})


class SipDump:
    """Reads sipdump's files."""

    name = "sipdump"
    windows = False
    joins = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = Finder(_OPEN, _OPEN_CRLF)

    def search(self, data: bytes, at: int) -> int:
        """Where the next record begins."""
        return self._marks.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:  # noqa: ARG002
        """The record at `at`."""
        known = len(data)
        text = _TEXT.search(data, at, at + _FIELDS)
        if text is None:
            if known < at + _FIELDS and not ended:
                return None
            return Taken(at + len(_OPEN), damage="a record without its message")
        fields = {found[1]: found[2].strip() for found in _FIELD.finditer(data, at, text.start())}
        begin = text.end()
        end, whole = self._end(data, begin, ended)
        if end < 0:
            return None
        time = _time(fields.get(b"time", b""))
        if time is None:
            return Taken(end, damage="a record without a time")
        transport = fields.get(b"proto", b"").split(b" ")[0].decode("ascii", "replace").upper()
        record = Record(
            on_the_wire(data[begin:end]),
            at,
            time,
            source=_address(fields, b"srcip", b"srcport"),
            destination=_address(fields, b"dstip", b"dstport"),
            transport=transport if transport in _TRANSPORTS else "",
            cut=not whole,
        )
        return Taken(end, (record,), damage="" if whole else "a record without its end")

    def _end(self, data: bytes, begin: int, ended: bool) -> tuple[int, bool]:
        """Where a record's message ends and whether it is whole; -1 if more bytes are needed."""
        known = len(data)
        limit = begin + LOG_MESSAGE
        close = data.find(_CLOSE, begin, limit + len(_CLOSE))
        following = self._marks.search(data, begin)
        if following > (close if close >= 0 else limit):
            following = -1
        bound = following if following >= 0 else close
        # A head holds neither. A body may: by its length first.
        body_at = behind_head(data, begin, limit if bound < 0 else bound)
        size = max(content_length(data, begin, body_at), 0) if body_at >= 0 else -1
        if 0 <= size <= limit - body_at:
            end = measured(data, body_at, size, ended, _CLOSING, ahead=len(_CLOSE))
            if end != -1:
                return (-1, False) if end is None else (end, True)
        if bound >= 0:
            return bound, following < 0
        if known < limit + len(_OPEN_CRLF) and not ended:
            return -1, False
        return min(known, limit), False


def _address(fields: dict[bytes, bytes], host: bytes, port: bytes) -> str:
    found = fields.get(host, b"")
    return host_port(found + b":" + fields.get(port, b"0")) if found else ""


def _time(text: bytes) -> int | None:
    found = _NUMBERS.fullmatch(text)
    return int(found[1]) * 1_000_000 + int(found[2].ljust(6, b"0")) if found else None


_MARK: Final = b"\nX-Siptrace-Fromip:"
_HEADER = re.compile(rb"^X-Siptrace-(Fromip|Toip|Time|Method|Dir):[ \t]*([^\r\n]{0,128})\r?\n", re.MULTILINE)


class SipTrace:
    """Reads messages that siptrace has copied, one behind the other."""

    name = "siptrace"
    windows = False
    joins = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = Finder(_MARK)

    def search(self, data: bytes, at: int) -> int:
        """Where the first of the next message's own headers is."""
        return self._marks.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The message that has the header at `at`."""
        line = line_around(data, low, at + 1, ended)
        if line is None:
            return None
        # What stands before another such header is another message.
        begin = _start(data, max(low, data.rfind(_MARK, low, at) + 1), at)
        if begin < 0:
            return Taken(line[2], opened=False)
        known = len(data)
        following = self._marks.search(data, at + 1)
        limit = at + LOG_MESSAGE if following < 0 else min(at + LOG_MESSAGE, following)
        body_at = behind_head(data, at, limit)
        if body_at < 0:
            if known < at + LOG_MESSAGE and following < 0 and not ended:
                return None
            return Taken(line[2], damage="headers without an end")
        size = content_length(data, begin, body_at)
        end = body_at + (size if 0 <= size <= 2 * LOG_MESSAGE else 0)
        if end > known and not ended:
            return None
        if data[line[1] : line[2]] == b"\n":
            end = with_bare_ends(data, body_at, end - body_at, True) or end
        head = data[begin:body_at]
        fields = {found[1]: found[2].strip() for found in _HEADER.finditer(head)}
        numbers = _NUMBERS.fullmatch(fields.get(b"Time", b""))
        if numbers is None:
            return Taken(min(end, known), damage="a message without a time")
        transport = fields.get(b"Fromip", b"").partition(b":")[0].decode("ascii", "replace").upper()
        record = Record(
            on_the_wire(_HEADER.sub(b"", head) + data[body_at:end]),
            begin,
            int(numbers[1]) * 1_000_000 + int(numbers[2]),
            source=_place(fields.get(b"Fromip", b"")),
            destination=_place(fields.get(b"Toip", b"")),
            transport=transport if transport in _TRANSPORTS else "",
            cut=end > known,
        )
        return Taken(min(end, known), (record,), damage="a message without its end" if end > known else "")


def _start(data: bytes, low: int, at: int) -> int:
    """Where the message begins in whose head `at` is, -1 if no start line stands before it."""
    end = at
    while True:
        begin = data.rfind(b"\n", low, end) + 1 or low
        line = data[begin:end].rstrip(b"\r")
        if is_start_line(line):
            return begin
        if not line or begin == low:
            return -1
        end = begin - 1


def _place(text: bytes) -> str:
    """`proto:ip:port`, of which `any:255.255.255.255` is not known."""
    place = text.partition(b":")[2]
    return "" if place.startswith(b"255.255.255.255") else host_port(place)
