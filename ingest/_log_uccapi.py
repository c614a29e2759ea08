"""Logs of Lync and Skype for Business clients (`Lync-UccApi-0.UccApilog`).

    11/23/2026|09:14:07.482 1A2C:1B30 INFO  :: Sending Packet - 10.4.0.9:5061 (From Local Address: 10.4.0.21:50811) 1873 bytes:
    11/23/2026|09:14:07.482 1A2C:1B30 INFO  :: INVITE sip:ben@corp.example SIP/2.0
    Via: …
    11/23/2026|09:14:07.482 1A2C:1B30 INFO  :: End of Sending Packet - …

What comes in is announced by `Data Received -PEER (To Local Address: OWN) N bytes:`, with or without a blank. A block is what one read or write
of the connection had: several messages, or a part of one.
"""  # noqa: E501 (the lines are so long)

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._log_format import Finder, Record, Taken, host_port, line_around, measured, on_the_wire
from ._log_joined import as_long
from ._log_time import stamp_in

if TYPE_CHECKING:
    from ._log_time import Clock

_MARK: Final = b"Local Address: "
_OPENING = re.compile(
    rb"INFO {1,4}:: (Sending Packet|Data Received) - ?([^ \r\n]{1,128})"
    rb" \((?:From|To) Local Address: ([^ )\r\n]{1,128})\)"
    rb" (\d{1,7}) bytes:"
)
_PREFIX: Final = rb"\d\d/\d\d/\d{4}\|\d\d:\d\d:\d\d\.\d{1,6} [0-9A-Fa-f]{1,8}:[0-9A-Fa-f]{1,8} [A-Z]{3,8} {1,4}:: "
_FIRST = re.compile(_PREFIX)
_ENDS = re.compile(_PREFIX + rb"End of ")
_CLOSING = re.compile(rb"\r?\n" + _ENDS.pattern)
_AHEAD: Final = 96
"""Bytes of that."""
_FOREIGN = re.compile(rb"^" + _PREFIX + rb"[^\n]{0,8192}(?:\n|\Z)", re.MULTILINE)
_LARGEST: Final = 128 * 1024


class UccApi:
    """Reads such logs."""

    name = "uccapilog"
    windows = True
    joins = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = Finder(_MARK)
        self._bounds = Finder(b":: End of ", b":: Sending Packet -", b":: Data Received -")

    def search(self, data: bytes, at: int) -> int:
        """Where the next mark of an opening line is."""
        return self._marks.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The block behind the opening line that `at` is in."""
        line = line_around(data, low, at, ended)
        if line is None:
            return None
        begin, line_end, following = line
        found = _OPENING.search(data, begin, line_end)
        if found is None:
            return Taken(following, opened=False)
        if len(data) < following + _AHEAD and not ended:
            return None
        first = _FIRST.match(data, following)
        start = following if first is None else first.end()
        size = min(int(found[4]), _LARGEST)
        # As long as it says, if its end stands there; else, with lines of others in it, up to the next mark.
        end = measured(data, start, size, ended, _CLOSING, ahead=_AHEAD)
        if end is None:
            return None
        if end >= 0:
            text, whole = data[start:end], True
            mark = data.index(b"\n", end) + 1
            mark = data.find(b"\n", mark) + 1 or mark  # that line names the addresses again
        else:
            stop = self._bounds.search(data, following)
            if stop < 0 or stop > following + _LARGEST:
                if not ended and len(data) < following + _LARGEST:
                    return None
                stop = min(following + _LARGEST, len(data))
            mark = data.rfind(b"\n", following, stop) + 1 or following
            whole = _ENDS.match(data, mark) is not None
            text = data[start : mark if stop < len(data) else stop]
            if b"|" in text:
                text = _FOREIGN.sub(b"", text)
        text = as_long(text, size, on_the_wire)
        stamp = stamp_in(data[begin : found.start()])
        time = self._clock.moment(stamp) if stamp is not None else None
        if stamp is None or time is None:
            return Taken(mark, damage="a record without a time")
        peer, own = host_port(found[2]), host_port(found[3])
        source, destination = (own, peer) if found[1].startswith(b"Send") else (peer, own)
        piece = Record(text, begin, time, stamp.tick, source, destination, "TLS", cut=not whole)
        return Taken(max(mark, following), (piece,), damage="" if whole else "a record without its end")
