"""OpenSIPS' tracer, in a file of its own or in syslog.

    in udp 2026-11-23 09:14:07 192.0.2.10:5060 -> 192.0.2.20:5060       in a file: local time, whole seconds
    INVITE sip:…

In syslog the time is syslog's, and line ends may be written `#012`. IPv6 has no brackets: the port is behind the last
colon.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._log_format import Block, Finder, Record, Taken, host_port, on_the_wire, unescaped, whole_line
from ._log_time import stamp_in

if TYPE_CHECKING:
    from ._log_time import Clock

_OPENING = re.compile(
    rb"(?:^|[ \]])(in|out) (udp|tcp|tls|ws|wss|sctp) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d )?([^ \r\n]{3,80}:\d{1,5}) -> "
    rb"([^ \r\n]{3,80}:\d{1,5})(?= *#01|\r?$)"
)
_CLOSING = re.compile(rb"[\r\n]|\Z")
_BOUNDARY = re.compile(
    rb"[^\r\n]{0,256}?(?:in|out) (?:udp|tcp|tls|ws|wss|sctp) [^\r\n]{3,120} -> [^ \r\n]{3,80}:\d{1,5}"
)
_SYSLOG: Final = re.compile(
    rb"(?:<\d{1,3}>)?(?:\d )?(?:[A-Z][a-z]{2} [ \d]\d \d\d:|\d{4}-\d\d-\d\dT)[^\r\n]{1,200}?\]: "
)


class OpenSips:
    """Reads both."""

    name = "opensips"
    windows = False
    joins = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = Finder(b" -> ")
        self._block = Block(_CLOSING, boundary=_BOUNDARY)

    def search(self, data: bytes, at: int) -> int:
        """Where the next mark of an opening line is."""
        return self._marks.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The message behind the opening line that `at` is in."""
        line = whole_line(data, low, at, ended)
        if line is None:
            return None
        begin, end, following = line
        found = _OPENING.search(data[begin : min(end, at + 256)])
        if found is None:
            return Taken(following, opened=False)
        behind = data[begin + found.end() : end]
        if behind.strip():
            raw, stop, whole = unescaped(behind).lstrip(b"\r\n "), following, True
        else:
            if following + 300 > len(data) and not ended:
                return None
            prefix = _SYSLOG if _SYSLOG.match(data, begin) and _SYSLOG.match(data, following) else None
            message = self._block.message(
                data, following, ended, mark=self._marks.search(data, following), prefix=prefix
            )
            if message is None:
                return None
            raw, stop, whole = message
        stamp = stamp_in(found[3] or data[begin : begin + found.start()])
        time = self._clock.moment(stamp) if stamp is not None else None
        if stamp is None or time is None:
            return Taken(stop, damage="a record without a time")
        record = Record(
            on_the_wire(raw),
            begin,
            time,
            stamp.tick,
            host_port(found[4]),
            host_port(found[5]),
            found[2].decode("ascii").upper(),
            cut=not whole,
        )
        return Taken(stop, (record,), damage="" if whole else "a record cut short")
