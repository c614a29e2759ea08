"""`LogReader`: a log's bytes in, SIP messages out, whatever the log's format."""

from __future__ import annotations

import codecs
import time
import zlib
from datetime import UTC, date, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from sipcdr.builder import Position

from ._errors import NotACapture, ReaderUnavailable
from ._limits import LOG_PREFIX, LOG_QUIET, LOG_RECORD, LOG_TICK, Limits
from ._log_asterisk import Asterisk
from ._log_audiocodes import AudioCodes
from ._log_avaya import Avaya
from ._log_format import NOT_SIP, Record, Taken
from ._log_freeswitch import FreeSwitch
from ._log_joined import Joined
from ._log_kamailio import META, SipDump, SipTrace
from ._log_opensips import OpenSips
from ._log_pattern import ByPattern, checked
from ._log_rows import HomerLines, Table
from ._log_sipstack import SipStack
from ._log_time import Clock
from ._log_uccapi import UccApi
from ._scan import scan
from ._source import STANDARD_INPUT
from ._tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from re import Pattern

    from sipcdr.builder import SipMessage

    from ._log_format import Format
    from ._source import Window

FORMATS: Final[dict[str, Callable[[Clock], Format]]] = {
    kind.name: kind
    for kind in (
        SipStack,
        Avaya,
        UccApi,
        Asterisk,
        SipDump,
        SipTrace,
        FreeSwitch,
        OpenSips,
        AudioCodes,
        HomerLines,
        Table,
    )
}
"""The formats that are found by their content, by name."""

_LIMITS: Final = Limits()
_MARK: Final = 64
"""Bytes of the longest mark."""
_PIECE: Final = 1 << 18
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, ""),
)
_TEXT: Final = bytes(byte for byte in range(256) if byte in b"\t\n\f\r\x1b" or (byte >= 32 and byte != 127))


class LogOptions(msgspec.Struct, frozen=True):
    """What a log doesn't say itself.

    form: a name of FORMATS, or `auto`: by its content. pattern: instead, an expression for the lines that announce a
    message (see `_log_pattern`). zone: of times without one. begins: the day on which the log begins, for times without
    year or day.
    """

    form: str = "auto"
    pattern: Pattern[bytes] | None = None
    zone: tzinfo = UTC
    begins: date | None = None


_OPTIONS: Final = LogOptions()


def log_options(form: str = "auto", timezone: str = "UTC", begins: date | None = None) -> LogOptions:
    """Options from texts: a format's name or `/EXPRESSION/`, and a zone's name (`Europe/Berlin`).

    Raises ReaderUnavailable, which says what is wrong.
    """
    pattern = None
    if len(form) > 2 and form.startswith("/") and form.endswith("/"):
        pattern, form = checked(form[1:-1]), "pattern"
    elif form != "auto" and form not in FORMATS:
        raise ReaderUnavailable(f"{form} is no log format: auto, {', '.join(FORMATS)}, or /EXPRESSION/")
    try:
        zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
    except (ValueError, OSError, KeyError) as error:
        raise ReaderUnavailable(f"{timezone} is no time zone that is known here") from error
    return LogOptions(form, pattern, zone, begins)


class LogMessage(msgspec.Struct, frozen=True, gc=False):
    """A message of a log. offset: the byte from which on a log must be read to have this message and those behind it.

    A log with times in whole seconds or milliseconds is to be read from the first message of that time on, so that all
    get the same times again.
    """

    message: SipMessage
    offset: int


class LogReader:
    """Takes the bytes of a log, however they are cut, and gives out its messages.

    tally: records of the log are its packets. written: microseconds UTC when the log was last written, for times
    without year or day. Where reading goes on in the middle of a log: offset, line: where the bytes begin in it;
    encoding: what `encoding` was then; last: the time of the message before.

    A message's position is the line on which its record begins.
    """

    def __init__(
        self,
        source: str,
        tally: Tally,
        limits: Limits = _LIMITS,
        options: LogOptions = _OPTIONS,
        *,
        written: int = 0,
        offset: int = 0,
        line: int = 1,
        encoding: str = "",
        last: int | None = None,
    ) -> None:
        clock = Clock(options.zone, begins=options.begins, written=written, last=last)
        self._formats: list[Format] = (
            [make(clock) for name, make in FORMATS.items() if options.form in ("auto", name)]
            if options.pattern is None
            else [ByPattern(clock, options.pattern)]
        )
        self.opened = False
        self._asked = options.form
        self._besides = False
        self._source = source
        self._tally = tally
        self._limits = limits
        self._joined = Joined()
        self._ticks = _Ticks()
        self._head: bytes | None = b"" if not offset else None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._encode(encoding)
        # The bytes at hand. Before `_at` no mark is, before `_passed` none of that format; before `_low` is another
        # record; up to `_place` lines and bytes are counted.
        self._data = b""
        self._at = self._low = self._place = 0
        self._passed: dict[str, int] = {}
        self._line = line
        self._offset = offset
        self._held: int | None = None

    @property
    def form(self) -> str:
        """The format's name; empty while it isn't known."""
        return self._formats[0].name if len(self._formats) == 1 else ""

    @property
    def offset(self) -> int:
        """Where reading would have to begin to have all that wasn't given out yet: a byte of the log."""
        self._count_to(self._kept())
        return self._offset if self._held is None else self._held

    @property
    def line(self) -> int:
        """The line of the byte `offset`."""
        self._count_to(self._kept())
        return self._line

    def feed(self, data: bytes) -> list[LogMessage]:
        """The messages that are complete with these bytes."""
        found: list[LogMessage] = []
        for at in range(0, len(data), _PIECE):
            self._take_in(data[at : at + _PIECE], found, ended=False)
        return found

    def pass_over(self, data: bytes) -> None:
        """Take bytes that were read before: what they say of days and formats counts, and nothing else."""
        tally, self._tally = self._tally, Tally()
        self.feed(data)
        self._tally = tally

    def finish(self) -> list[LogMessage]:
        """The messages that are left when the log has ended."""
        found: list[LogMessage] = []
        self._take_in(b"", found, ended=True)
        return found

    def settle(self) -> list[LogMessage]:
        """The messages at the end that are whole as far as can be seen, for where nothing has come for a while."""
        found: list[LogMessage] = []
        while self.opened and self._data.endswith(b"\n") and self._step(found, ended=True, settles=True):
            pass
        return found

    def check(self) -> None:
        """At the end of a log: raises NotACapture where it held no record and isn't a file that has none."""
        if self.opened or self._besides:
            return
        known = "a format that is known" if self._asked == "auto" else f"the format {self._asked}"
        raise NotACapture(f"text, not a capture (pcap or pcapng), nor a log of {known}")

    def _take_in(self, piece: bytes, found: list[LogMessage], *, ended: bool) -> None:
        text = self._text(piece, ended)
        if text:
            keep = self._kept()
            self._count_to(keep)
            self._data = self._data[keep:] + text
            self._at -= keep
            self._low = self._place = 0
            self._passed = {name: place - keep for name, place in self._passed.items() if place > keep}
        while self._step(found, ended):
            pass

    def _kept(self) -> int:
        return max(self._low, self._at - LOG_PREFIX)

    def _text(self, piece: bytes, ended: bool) -> bytes:
        """A piece in the form that the formats know: UTF-16 becomes UTF-8."""
        if self._head is not None:
            piece = self._head + piece
            if len(piece) < len(META) and not ended:
                self._head = piece
                return b""
            self._head = None
            self._besides = piece.startswith(META)
            for mark, name in _BYTE_ORDER_MARKS:
                if piece.startswith(mark):
                    self._encode(name)
                    piece = piece[len(mark) :]
                    self._offset += len(mark)
        if self._decoder is None:
            return piece
        return self._decoder.decode(piece, ended).encode()

    def _encode(self, encoding: str) -> None:
        self.encoding = encoding
        if encoding:
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")

    def _count_to(self, at: int) -> None:
        """Count lines and bytes up to a place."""
        if at <= self._place:
            return
        data = self._data
        self._line += data.count(b"\n", self._place, at)
        if self.encoding:
            self._offset += len(data[self._place : at].decode("utf-8", "replace").encode(self.encoding))
        else:
            self._offset += at - self._place
        self._place = at

    def _step(self, found: list[LogMessage], ended: bool, *, settles: bool = False) -> bool:
        """Take the record at the next mark; False if there is none, or if it needs more bytes.

        settles: not if anything is wrong with it or missing, as more bytes may yet mend that.
        """
        data = self._data
        nearest, mark = None, -1
        for form in self._formats:
            place = form.search(data, max(self._at, self._passed.get(form.name, 0)))
            if place >= 0 and (mark < 0 or place < mark):
                nearest, mark = form, place
        if nearest is None:
            # A mark may be unfinished.
            self._at = max(self._at, len(data) if ended and not settles else len(data) - _MARK)
            return False
        taken = nearest.take(data, max(self._low, mark - LOG_PREFIX), mark, ended)
        if settles and (taken is None or taken.damage or not taken.records or any(one.cut for one in taken.records)):
            return False
        if taken is None:
            if not ended and len(data) - mark < LOG_RECORD:
                self._at = mark
                return False
            # So much is no record: what there is of it by then is all, however the log was cut.
            low = max(self._low, mark - LOG_PREFIX)
            taken = nearest.take(data[: mark + LOG_RECORD], low, mark, True) or Taken(mark + 1)
        if taken.opened:
            if not self.opened:
                self.opened = True
                self._tally.logs.add(self._source)
            self._formats = [nearest]
            self._passed.clear()
            self._use(nearest, taken, mark, found)
            self._at = self._low = max(taken.end, mark + 1)
        else:
            # The others may find something in what this one has passed.
            self._passed[nearest.name] = max(taken.end, mark + 1)
            self._at = mark + 1 if len(self._formats) > 1 else self._passed[nearest.name]
        self._at = min(self._at, len(data))
        self._low = min(self._low, len(data))
        return True

    def _use(self, form: Format, taken: Taken, mark: int, found: list[LogMessage]) -> None:
        tally = self._tally
        tally.packets += 1
        self._count_to(taken.records[0].at if taken.records else max(self._low, self._data.rfind(b"\n", 0, mark) + 1))
        if taken.odd:
            tally.counts[taken.odd] += 1
        if taken.damage:
            tally.counts[f"damaged log: {taken.damage}"] += 1
            tally.problem(self._source, self._line, self._offset, taken.damage)
        for record in taken.records:
            for message in self._joined.feed(record) if form.joins else (record,):
                self._scan(form, message, found)
        if not self._joined.waiting:
            self._held = None
        elif self._held is None:
            self._held = self._offset

    def _scan(self, form: Format, record: Record, found: list[LogMessage]) -> None:
        tally = self._tally
        raw = record.raw
        if form.windows and not raw.isascii():
            raw = self._from_windows(raw)
        then, offset = self._ticks.place(record, self._offset if self._held is None else self._held)
        position = Position(self._source, self._line)
        message = scan(
            raw,
            then,
            position,
            tally,
            self._limits,
            record.source,
            record.destination,
            record.transport,
            record.cut,
            record.machine,
            record.pool if record.machine else "",
        )
        if isinstance(message, str):
            if message == "not SIP":
                tally.counts[NOT_SIP] += 1
            else:
                tally.refuse(self._source, self._line, message)
            return
        tally.messages += 1
        found.append(LogMessage(message, offset))

    def _from_windows(self, raw: bytes) -> bytes:
        try:
            raw.decode()
        except UnicodeDecodeError:
            self._tally.counts["log records in a Windows code page, taken for 1252"] += 1
            return raw.decode("cp1252", "replace").encode()
        return raw


class _Ticks:
    """Gives messages of the same time, where a log's times are coarse, microseconds of their own, in their order.

    The same message again has the same.
    """

    def __init__(self) -> None:
        self._time = -1
        self._offset = 0
        self._places: dict[int, int] = {}

    def place(self, record: Record, offset: int) -> tuple[int, int]:
        """The message's time, and from which byte on reading gives it that again."""
        if record.tick == 1:
            return record.time, offset
        if record.time != self._time:
            self._time, self._offset = record.time, offset
            self._places.clear()
        key = zlib.crc32(record.raw)
        if len(self._places) >= LOG_TICK:
            return record.time + min(LOG_TICK, record.tick - 1), self._offset
        place = self._places.setdefault(key, len(self._places))
        return record.time + min(place, record.tick - 1), self._offset


def log_messages(
    window: Window, tally: Tally, limits: Limits, options: LogOptions, written: int
) -> Iterator[list[SipMessage]]:
    """The messages of a log, in batches. Raises NotACapture where it holds no record of a known format, and OSError."""
    reader = LogReader(window.source.name, tally, limits, options, written=written)
    for found in read_log(reader, window):
        yield [each.message for each in found]
    if window.source.damage:
        tally.problem(window.source.name, 0, window.base, window.source.damage)
    reader.check()


def read_log(reader: LogReader, window: Window) -> Iterator[list[LogMessage]]:
    """What a reader finds in a source, piece by piece, to its end; of one that grows, often nothing."""
    quiet = time.monotonic()
    while True:
        found = reader.feed(window.data)
        if window.ended:
            found += reader.finish()
        elif window.data:
            quiet = time.monotonic()
        elif time.monotonic() - quiet >= LOG_QUIET:
            quiet = time.monotonic()
            found += reader.settle()
        yield found
        if window.ended:
            return
        window.move(len(window.data))


def written(name: str) -> int:
    """When a file was last written, microseconds UTC; of standard input now."""
    if name == STANDARD_INPUT:
        return time.time_ns() // 1000
    return Path(name).stat().st_mtime_ns // 1000


def is_text(head: bytes) -> bool:
    """Whether what begins so can be a log."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    return bool(head) and not head.translate(None, _TEXT)
