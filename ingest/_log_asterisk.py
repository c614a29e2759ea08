"""Asterisk's SIP logs: `pjsip set logger on`, and `sip set debug on` of the older channel driver.

    <--- Received SIP request (455 bytes) from UDP:192.0.2.10:5060 --->         a message of that length follows
    <--- SIP read from UDP:192.0.2.10:5060 --->                                 … up to <------------->
    <--- Reliably Transmitting (NAT) to 192.0.2.10:5060 --->                    … up to <------------>
    Retransmitting #2 (no NAT) to 192.0.2.10:5060:                              … up to ---

Before that stands what the logger is set to write: nothing, a time on each line, or a time and where it comes from on
the first one, which of the older driver's lines is often one of its own, as its texts begin with a line end. Only the
other side's address is written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._log_format import NOT_SIP, Block, Finder, Record, Taken, host_port, line_around, on_the_wire, plain
from ._log_time import stamp_in

if TYPE_CHECKING:
    from ._log_time import Clock

_OPENING = re.compile(
    rb"<--- (?:(?P<received>Received)|Transmitting) SIP (?:request|response) \((?P<size>\d{1,7}) bytes\) "
    rb"(?:from|to) (?P<pjsip>[A-Za-z]{2,5}:[^ \r\n]{1,128}) --->"
    rb"|<--- SIP read from (?P<read>[^ \r\n]{1,128}) --->"
    rb"|(?:Reliably |Re)?[Tt]ransmitting (?:#\d{1,4} )?\((?:no )?NAT\) to (?P<sent>[^ \r\n]{1,128}?)(?: --->|:)\r?$"
)
_PREFIX = re.compile(rb"(?:\x1b\[[0-9;]{0,16}m){0,4}\[[^\]\r\n]{1,64}\] ?")
_EXACT = re.compile(rb"\r?\n(?:<-{9}|---[ \r\n])")
_CLOSING = re.compile(rb"[\r\n]*(?:<-{12,13}>|---[ \r\n]|---$|\Z)|\r?\n")
_BOUNDARY = re.compile(
    rb"<-{12,13}>|---[ \r\n]|<--- |(?:\x1b\[[0-9;]{0,16}m){0,4}\[[A-Z0-9][^\]\r\n]{4,64}\] |"
    rb"(?:Reliably |Re)?[Tt]ransmitting (?:#\d{1,4} )?\((?:no )?NAT\) to "
)
_TRANSPORTS: Final = frozenset({"UDP", "TCP", "TLS", "WS", "WSS"})


class Asterisk:
    """Reads both."""

    name = "asterisk"
    windows = False
    joins = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = Finder(b"<--- ", b"ransmitting ")
        self._block = Block(_EXACT, _CLOSING, boundary=_BOUNDARY, begins=b"<-\x1b[RTt")

    def search(self, data: bytes, at: int) -> int:
        """Where the next mark of an opening line is."""
        return self._marks.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The message behind the opening line that `at` is in."""
        line = line_around(data, low, at, ended)
        if line is None:
            return None
        begin, end, following = line
        text = data[begin:end]
        if b"\x1b" in text:
            text = plain(text)
            found = _OPENING.search(text)
        else:
            found = _OPENING.search(text, max(at - begin - len(b"Reliably T"), 0))
        if found is None:
            return Taken(following, opened=False)
        prefix = _PREFIX.match(data, begin, end)
        if following + 64 > len(data) and not ended:
            return None
        each = _PREFIX if prefix is not None and _PREFIX.match(data, following) else None
        size = int(found["size"]) if found["size"] else -1
        message = self._block.message(
            data, following, ended, mark=self._marks.search(data, following), size=size, prefix=each
        )
        if message is None:
            return None
        raw, stop, whole = message
        raw = on_the_wire(plain(raw))
        stamp = stamp_in(text[: found.start()])
        if stamp is None and begin > low:
            before = data.rfind(b"\n", low, begin - 1) + 1 or low
            above = _PREFIX.match(data, before, begin)
            if above is not None:
                begin, stamp = before, stamp_in(above[0])
        time = self._clock.moment(stamp) if stamp is not None else None
        odd = ""
        if time is None or stamp is None:
            time, tick, odd = self._clock.guess(), 1_000_000, "times guessed, as the log has none"
        else:
            tick = stamp.tick
        if not raw.strip() or not raw[:1].isalpha():
            return Taken(max(stop, following), odd=NOT_SIP)
        place = found["pjsip"] or found["read"] or found["sent"]
        transport, colon, peer = place.decode("ascii", "replace").partition(":")
        if not colon or transport.upper() not in _TRANSPORTS:
            transport, peer = "", place.decode("ascii", "replace")
        peer = host_port(peer.encode())
        received = bool(found["received"] or found["read"])
        record = Record(
            raw,
            begin,
            time,
            tick,
            source=peer if received else "",
            destination="" if received else peer,
            transport=transport.upper(),
            cut=not whole,
        )
        return Taken(stop, (record,), odd=odd)
