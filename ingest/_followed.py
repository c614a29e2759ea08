"""`Followed`: a capture or a log that may still grow, read from any byte on."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, Final

import msgspec

from . import _pcap, _pcapng
from ._containers import captures, is_packed
from ._errors import NotACapture
from ._formats import READERS, Text, records
from ._limits import Limits
from ._logs import LogOptions, LogReader, read_log, written
from ._source import Source, Window, open_source
from ._tally import Tally

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sipcdr.builder import SipMessage

    from ._containers import Stream
    from ._dissect import Dissector
    from ._source import Grows

_LIMITS: Final = Limits()
_LOGS: Final = LogOptions()
_HEAD: Final = 1 << 16
"""Bytes by which a log's format is known, and the time of a capture's first packet."""
_NOT_BY_COUNT: Final = 1 << 62
_BYTE_ORDER_MARKS: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class Head(msgspec.Struct, frozen=True):
    """The first bytes of a file, or of what it unpacks to. packed: whether it is."""

    data: bytes
    packed: bool


def head_of(path: str, size: int = _HEAD) -> Head:
    """How a file begins. Raises NotACapture for what can't be followed, and OSError."""
    source, content = _opened(path, None)
    try:
        data = b""
        while len(data) < size and (more := content.read(size - len(data))):
            data += more
        return Head(data, content is not source)
    finally:
        source.close()


def begins(head: bytes) -> int | None:
    """The time of the first packet, in microseconds UTC; None where no whole one is there, or it is no capture."""
    try:
        window = Window(Source("", io.BytesIO(head)))  # type: ignore[arg-type]
        return next((time for _, time, _, _ in records(window, Tally(), _LIMITS)), None)
    except NotACapture:
        return None


class Followed:
    """Gives the messages of a file from a byte on, where a record has to begin, and tells from which bytes they come.

    dissector: takes a capture's frames; it may have taken those of others before, which this one continues. Each frame
    is numbered by the byte at which it begins.
    grows: asked whether more may come where the file ends now; what is packed doesn't grow.

    since: from this byte on the file has to be read again to have what `read` gave last. reached: from here on, to have
    all that comes next; what waits in the dissector is to be asked there. content: the bytes. taken: how many of the
    file were read.

    Raises NotACapture where it is known at once that it is none, and OSError, as `read` does.
    """

    def __init__(
        self,
        path: str,
        offset: int,
        dissector: Dissector,
        tally: Tally,
        grows: Grows,
        *,
        limits: Limits = _LIMITS,
        logs: LogOptions = _LOGS,
    ) -> None:
        self.path = path
        self.since = self.reached = offset
        self._tally = tally
        self._limits = limits
        self._logs = logs
        self._dissector = dissector
        head = head_of(path)
        self.source, self._content = _opened(path, None if head.packed else grows)
        self._batches = self._read(head.data, offset)

    def read(self) -> list[SipMessage] | None:
        """The messages of the next piece; none if nothing is there now; None when the file has ended."""
        return next(self._batches, None)

    def close(self) -> None:
        """Close the file; what waits in the dissector stays."""
        self.source.close()

    def _read(self, head: bytes, offset: int) -> Generator[list[SipMessage]]:
        name = self.path
        self._dissector.source = name
        self._dissector.batch = _NOT_BY_COUNT
        try:
            is_log = bool(offset) and head[:4] not in READERS
            before = b"" if is_log else self._before(head, offset)
            window = Window(self._content, by_byte=True, base=offset - len(before), data=before)
            frames = None if is_log else self._frames(window)
            if frames is None:
                yield from self._log(window, head, offset)
            else:
                yield from self._capture(window, frames)
            if self._content.damage:
                self._tally.problem(name, 0, self.reached, self._content.damage)
        except NotACapture as error:
            self._tally.problem(name, 0, 0, str(error))
            self.reached = max(self.source.taken, offset)

    def _frames(self, window: Window) -> Iterator[_pcap.Record] | None:
        """The frames of a capture; None for what may be a log."""
        try:
            return records(window, self._tally, self._limits)
        except Text:
            return None

    def _capture(self, window: Window, frames: Iterator[_pcap.Record]) -> Generator[list[SipMessage]]:
        for batch in self._dissector.feed(frames):
            self.since, self.reached = self.reached, max(window.base, self.reached)
            yield batch
        self.since, self.reached = self.reached, max(window.base, self.reached)
        yield self._dissector.take()

    def _log(self, window: Window, head: bytes, offset: int) -> Generator[list[SipMessage]]:
        reader = self._reader(head, offset)
        again = offset
        for found in read_log(reader, window):
            fresh = [each for each in found if each.offset >= offset]
            if fresh:
                again = fresh[-1].offset
            self.since = min([self.reached, *(each.offset for each in fresh)])
            # Messages of the same time, where times are coarse, have to be read again together.
            self.reached = window.base + len(window.data) if window.ended else max(min(reader.offset, again), offset)
            yield [each.message for each in fresh]
        if not offset:
            reader.check()

    def _before(self, head: bytes, offset: int) -> bytes:
        """Go to the byte; gives what a reader of captures has to know of what stands before."""
        if not offset:
            return b""
        if head.startswith(_pcapng.MAGIC):
            return _pcapng.described(self._content, offset, self._limits)
        self._content.skip(offset)
        return head[: _pcap.FILE_HEADER]

    def _reader(self, head: bytes, offset: int) -> LogReader:
        """Takes a log from a byte on, by what stands before: the format, names of columns, and the time."""
        when = written(self.path)
        if not offset:
            return LogReader(self.path, self._tally, self._limits, self._logs, written=when)
        encoding = _BYTE_ORDER_MARKS.get(head[:2], "")
        first = LogReader(self.path, Tally(), self._limits, self._logs, written=when)
        first.feed(head)
        options = self._logs
        if first.form and options.pattern is None:
            options = msgspec.structs.replace(options, form=first.form)
        columns = head[: head.find(b"\n") + 1] if first.form == "sip-trace-table" else b""

        # Records shortly before say what day it is.
        begin = max(offset - _HEAD, 0)
        self._content.skip(begin)
        columns = columns if begin else b""
        start = max(begin - len(columns), 0)
        reader = LogReader(self.path, self._tally, self._limits, options, written=when, offset=start, encoding=encoding)
        reader.pass_over(columns)
        while begin < offset and (data := self._content.read(offset - begin)):
            begin += len(data)
            reader.pass_over(data)
        return reader


def _opened(path: str, grows: Grows | None) -> tuple[Source, Source | Stream]:
    """A file and what it holds, unpacked."""
    source = open_source(path, grows)
    try:
        if not is_packed(source.first(16)):
            return source, source
        content = next(captures(source, _LIMITS))
    except BaseException:
        source.close()
        raise
    if content.name != path:
        source.close()
        raise NotACapture("an archive, which isn't followed")
    return source, content
