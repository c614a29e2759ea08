r"""Logs of a record a line: Homer's JSON, and database tables of Kamailio's siptrace and OpenSIPS' tracer as text.

A table is what `mysql --batch` and PostgreSQL's COPY with a header print: names of columns in the first line, values
between tabs, and `\n`, `\t`, `\\` for what would be a line end, a tab or a backslash.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._envelope import Envelope, Names, envelopes
from ._log_format import NOT_SIP, Finder, Record, Taken, host_port, on_the_wire, whole_line
from ._log_time import stamp_in

if TYPE_CHECKING:
    from ._log_time import Clock

_NAMES: Final = Names()
_SHAPES: Final = (b'"rcinfo"', b'"protocol_header"', b'"tss"')
_LARGEST: Final = 1024 * 1024


class HomerLines:
    """Reads JSON lines in Homer's shapes."""

    name = "homer"
    windows = False
    joins = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = Finder(b'{"', b'{ "')

    def search(self, data: bytes, at: int) -> int:
        """Where the next object begins."""
        return self._marks.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The envelope that begins at `at`."""
        line = whole_line(data, low, at, ended)
        if line is None:
            return None
        begin, end, following = line
        text = data[at:end]
        if data[begin:at].strip() or not any(shape in text for shape in _SHAPES):
            return Taken(following, opened=False)
        found = envelopes(text, _NAMES)[0]
        if not isinstance(found, Envelope):
            return Taken(following, odd=NOT_SIP if "protocol" in found else "", damage=_damage(found))
        time = self._clock.guess() if found.time is None else found.time
        self._clock.last = time
        record = Record(found.message, begin, time, 1, found.source, found.destination, found.transport)
        return Taken(following, (record,))


def _damage(reason: str) -> str:
    return "" if "protocol" in reason else reason


_COLUMNS: Final = frozenset({b"time_stamp", b"callid", b"msg"})
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_SIGNS: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0"}


class Table:
    """Reads rows of `sip_trace`."""

    name = "sip-trace-table"
    windows = False
    joins = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = Finder(b"time_stamp")
        self._columns: dict[bytes, int] = {}
        self._width = 0

    def search(self, data: bytes, at: int) -> int:
        """Where the line with the names is, or the next row."""
        if not self._columns:
            return self._marks.search(data, at)
        return at if at < len(data) else -1

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The row that begins at `at`."""
        line = whole_line(data, low, at, ended)
        if line is None:
            return None
        begin, end, following = line
        values = data[begin:end].split(b"\t")
        if _COLUMNS.issubset(values) and len(values) < 64:
            self._columns = {name: number for number, name in enumerate(values)}
            self._width = len(values)
            return Taken(following)
        if not self._columns:
            return Taken(following, opened=False)
        if len(values) != self._width:
            return Taken(following, damage="a row with another number of columns" if data[begin:end].strip() else "")
        row = {name: values[number] for name, number in self._columns.items()}
        stamp = stamp_in(row[b"time_stamp"])
        time = self._clock.moment(stamp) if stamp is not None else None
        if stamp is None or time is None:
            return Taken(following, damage="a row without a time")
        tick = stamp.tick
        microseconds = row.get(b"time_us", b"")
        if microseconds.isdigit() and len(microseconds) <= 6:
            time, tick = time - time % 1_000_000 + int(microseconds), 1
        source, transport = _place(row, b"from")
        destination, _ = _place(row, b"to")
        raw = _ESCAPED.sub(lambda found: _SIGNS.get(found[1], found[1]), row[b"msg"])
        return Taken(following, (Record(on_the_wire(raw), begin, time, tick, source, destination, transport),))


def _place(row: dict[bytes, bytes], side: bytes) -> tuple[str, str]:
    """`host:port` and transport: `udp:192.0.2.1:5060` in one column, or each in its own."""
    whole = row.get(side + b"ip")
    if whole is not None:
        transport, _, place = whole.partition(b":")
        if transport == b"any" or not place:
            return "", ""
        return host_port(place), transport.decode("ascii", "replace").upper()
    host = row.get(side + b"_ip", b"")
    transport = row.get(side + b"_proto", b"")
    return host_port(host + b":" + row.get(side + b"_port", b"")) if host else "", transport.decode(
        "ascii", "replace"
    ).upper()
