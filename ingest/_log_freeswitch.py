"""FreeSWITCH's `sofia global siptrace on`.

    recv 1141 bytes from udp/[192.0.2.10]:5060 at 09:14:07.482113:
    ------------------------------------------------------------------------
    INVITE sip:…

CRs are dropped, N counts them. Versions before sofia-sip 1.13 indent what is below the first line by three blanks, end
it with dashes, and cut it before a line of more than 2047 bytes. Lines of other threads may stand between. The date is
that of the nearest line before which has one, else of the file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._limits import LOG_MESSAGE
from ._log_format import Block, Finder, Record, Taken, line_around, on_the_wire, plain
from ._log_joined import as_long
from ._log_time import clock_in, day_in

if TYPE_CHECKING:
    from ._log_time import Clock

_OPENING = re.compile(
    rb"(recv|send) (\d{1,7}) bytes (?:from|to) ([a-z]{2,5})/\[([0-9A-Za-z.:%_-]{1,64})\](?::(\d{1,5}))?[^ \r\n]{0,64}"
    rb" at (\d\d:\d\d:\d\d(?:\.\d{1,6})?):?\r?$"
)
_DASHES = re.compile(rb"[ \t]*-{60,80}[ \t]*\r?\n?\Z")
_EXACT = re.compile(rb"\r?\n(?:(?:recv|send) \d|\d{4}-\d\d-|[0-9a-f]{8}-|\Z)")
_CLOSING = re.compile(rb"\r?\n|\Z")
_BOUNDARY = re.compile(rb"-{60,80}[ \t]*\r?\n|(?:recv|send) \d{1,7} bytes (?:from|to) ")
_FOREIGN = re.compile(rb"(?:[0-9a-f]{8}-[0-9a-f-]{27} )?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,9} ")
_FOREIGN_LINE = re.compile(rb"\n" + _FOREIGN.pattern)
_INDENTED = re.compile(rb"(?:(?:   [^\n]*|[ \t\r]*|" + _FOREIGN.pattern + rb"[^\n]*)\n)*")
_END_OF_INDENTED = re.compile(rb"-{60,80}[ \t]*\r?\n(?:\*\*\* message truncated[^\n]*\n)?[ \t\r\n]*\Z")
_DAYS: Final = 4096


class FreeSwitch:
    """Reads such traces."""

    name = "freeswitch"
    windows = False
    joins = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = Finder(b" bytes from ", b" bytes to ")
        self._block = Block(_CLOSING, boundary=_BOUNDARY, begins=b"-rs")
        self._mixed = Block(_CLOSING, boundary=_BOUNDARY, foreign=_FOREIGN, begins=b"-rs")

    def search(self, data: bytes, at: int) -> int:
        """Where the next mark of an opening line is."""
        return self._marks.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The block behind the opening line that `at` is in."""
        line = line_around(data, low, at, ended)
        if line is None:
            return None
        begin, end, following = line
        text = plain(data[begin:end])
        found = _OPENING.search(text)
        if found is None:
            return Taken(following, opened=False)
        dashes_end = data.find(b"\n", following, following + 256) + 1
        if not dashes_end:
            if len(data) < following + 256 and not ended:
                return None
            return Taken(following, damage="a record without its message")
        if not _DASHES.match(data[following:dashes_end]):
            return Taken(following, damage="a record without its message")
        size = int(found[2])
        if data.startswith(b"   ", following):
            message = _indented(data, dashes_end, ended, size)
        else:
            mark = self._marks.search(data, dashes_end)
            message = self._block.message(data, dashes_end, ended, mark=mark, size=size)
            # What looks like a line of another thread is of the body, if that has its length with it.
            if (
                message is not None
                and _FOREIGN_LINE.search(data, dashes_end - 1, message[1])
                and (len(on_the_wire(message[0])) != size or not _EXACT.match(data, message[1]))
            ):
                message = self._mixed.message(data, dashes_end, ended, size=size)
        if message is None:
            return None
        raw, stop, whole = message
        raw = on_the_wire(plain(raw))
        day = day_in(data[max(low, begin - _DAYS) : begin])
        if day is not None:
            self._clock.saw_day(day)
        stamp = clock_in(found[6])
        time = self._clock.moment(stamp) if stamp is not None else None
        if time is None or stamp is None:
            return Taken(stop, damage="a record without a time")
        host = found[4].decode("ascii")
        peer = f"[{host}]" if ":" in host else host
        peer += f":{found[5].decode('ascii')}" if found[5] else ":5060"
        received = found[1] == b"recv"
        transport = found[3].decode("ascii").upper()
        record = Record(
            raw,
            begin,
            time,
            stamp.tick,
            source=peer if received else "",
            destination="" if received else peer,
            transport=transport,
            cut=not whole,
        )
        if not raw.strip():
            return Taken(stop, odd="keep-alives")
        return Taken(stop, (record,), damage="" if whole else "a record cut short")


def _indented(data: bytes, at: int, ended: bool, size: int) -> tuple[bytes, int, bool] | None:
    """The message of an indented block, where that ends, and whether it is whole; None if more bytes are needed."""
    limit = at + 2 * LOG_MESSAGE
    found = _INDENTED.match(data, at, limit)
    stop = found.end() if found is not None else at
    if data.find(b"\n", stop) < 0 and len(data) < limit and not ended:
        return None  # the line at its end may turn out to be one of it
    lines = data[at:stop].splitlines(keepends=True)
    text = b"".join(line.removeprefix(b"   ") for line in lines if not _FOREIGN.match(line))
    close = _END_OF_INDENTED.search(text)
    text = as_long(text[: close.start()] if close is not None else text, size, on_the_wire)
    return text, stop, len(text) >= size
