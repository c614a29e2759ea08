"""`Inputs`: files, folders, globs and standard input, merged by time."""

from __future__ import annotations

import glob
import heapq
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sipcdr.builder import native

from ._containers import captures
from ._dissect import BATCH, Dissector
from ._errors import NotACapture, ReaderUnavailable
from ._formats import Text, is_wiresharks, records
from ._layers import LINK_TYPES, link_type_named
from ._limits import Limits
from ._logs import LogOptions, log_messages, written
from ._native import NativePeers
from ._pyshark import Shark, SharkOptions
from ._source import CHUNK, PAUSE, STANDARD_INPUT, Window, open_source
from ._tally import Tally

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from sipcdr.builder import SipMessage

    from ._native import NativeDissector
    from ._share import Share
    from ._source import Grows, Source

Reader = Literal["auto", "native", "python", "pyshark"]

_LIMITS: Final = Limits()
_NOTHING: Final = SharkOptions()
_LOGS: Final = LogOptions()
_SHARKS: Final = 4
"""As many tsharks run at a time: each takes some hundred MB."""
_LEAST_CHUNK: Final = 1 << 16
_LEAST_BATCH: Final = 8
_AT_ONCE: Final = -(1 << 62)
_NEVER: Final = 1 << 62


class Inputs:
    """The messages of all captures that `paths` name, merged by time.

    A path is a file, a folder (all files below it but hidden ones), a glob, or "-" for standard input. What can't be
    read, or not all of it, becomes a problem in `tally`, and the others go on. Files are opened when their time has
    come. Where one continues another, as the parts of a rotated capture do, fragments and TCP streams go on across
    them.

    reader: `native` is the own reader in the kernel, `python` the one that defines it, `pyshark` Wireshark's. `auto`
    takes the kernel's where it is (Python's where a name isn't UTF-8, which the kernel would not give back as it is),
    but Wireshark's for all files where `shark` says anything, else for those of a format or, in their first frame, of a
    link type that only Wireshark knows.
    esp_null: look into ESP for packets without a cipher.
    follow: read on as files grow, until each is gone or `stop` is called, with empty batches while nothing comes. They
    are then read by the own reader, side by side without regard to time, and not if they are packed.
    logs: what text logs, which are found by their content, don't say themselves.
    share: which messages are given out; all are read and counted.
    files: the files that the paths name, in their order.
    total_bytes: their sizes together, None with standard input.

    Raises ReaderUnavailable where the kernel or Wireshark is asked for and isn't there, or can't do what `shark` says.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        tally: Tally,
        limits: Limits = _LIMITS,
        reader: Reader = "auto",
        shark: SharkOptions = _NOTHING,
        esp_null: bool = False,
        follow: bool = False,
        logs: LogOptions = _LOGS,
        share: Share | None = None,
    ) -> None:
        if reader in ("native", "python") and shark:
            raise ReaderUnavailable("key logs, decode-as rules and display filters are for the reader pyshark")
        self._shark = Shark(shark) if reader == "pyshark" or shark else None
        self._may_ask = reader == "auto"
        self._asked: Shark | None = None
        self._tally = tally
        self._logs = logs
        self._share = share
        self._limits = limits
        self._esp_null = esp_null
        self.follow = follow
        self._stopped = False
        self._done = 0
        self._open: list[_Capture] = []
        self._idle: list[Dissector | NativeDissector] = []
        self._dissectors: list[Dissector] = []
        self.files = _expand(paths, tally)
        use_kernel = reader == "native" or (reader == "auto" and native is not None and all(map(_is_utf_8, self.files)))
        self._native = NativePeers(limits) if use_kernel else None
        self.total_bytes = _total(self.files)

    @property
    def bytes_done(self) -> int:
        """Bytes read so far."""
        return self._done + sum(capture.taken for capture in self._open)

    def __iter__(self) -> Iterator[list[SipMessage]]:
        """The messages in batches, roughly in the order of time. Files and programs are closed with the iteration."""
        try:
            batches = self._followed() if self.follow else self._merged()
            yield from batches if self._share is None else filter(None, map(self._share.messages, batches))
        finally:
            for capture in self._open:
                capture.close()

    def stop(self) -> None:
        """Follow files no longer: what they hold now is the end."""
        self._stopped = True

    def _followed(self) -> Iterator[list[SipMessage]]:
        for name in self.files[self._limits.files :]:
            self._tally.problem(name, 0, 0, f"more than {self._limits.files} files can't be followed")
        for name in self.files[: self._limits.files]:
            self._start(_Capture(name, _AT_ONCE, None, logs=self._logs))
        while self._open:
            quiet = True
            for capture in list(self._open):
                batch = capture.following()
                if capture.ended:
                    batch = self._close(capture)
                if batch:
                    quiet = False
                    yield batch
            if quiet and self._open:
                yield []
                time.sleep(PAUSE)
        yield [message for dissector in self._idle for message in dissector.finish()]
        self._idle.clear()

    def _grows(self, name: str, source: Source) -> bool:
        """Whether a followed file may still grow: it is where it was, and wasn't written anew."""
        if self._stopped:
            return False
        try:
            status = Path(name).stat()
        except OSError:
            return False
        return source.is_same(status)

    def _merged(self) -> Iterator[list[SipMessage]]:
        # By the time of the next message, of an unopened file by that of its first frame.
        heap: list[tuple[int, int, _Capture]] = []
        for order, name in enumerate(self.files):
            capture = self._look(name)
            if capture is not None:
                heap.append((capture.start, order, capture))
        heapq.heapify(heap)
        shut: list[tuple[int, int, _Capture]] = []
        batch: list[SipMessage] = []
        while heap:
            start, order, capture = heapq.heappop(heap)
            if not capture.opened:
                if len(self._open) >= self._limits.files or self._too_many(capture):
                    shut.append((start, order, capture))
                    continue
                self._start(capture)
            following = heap[0][0] if heap else _NEVER
            while capture.next_time() <= following and not capture.ended:
                batch += capture.take(following)
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
            if not capture.ended:
                heapq.heappush(heap, (capture.next_time(), order, capture))
            else:
                batch += self._close(capture)
                for other in shut[:1]:
                    heapq.heappush(heap, other)
                del shut[:1]
        for dissector in self._idle:
            batch += dissector.finish()
        self._idle.clear()
        if batch:
            yield batch

    def _look(self, name: str) -> _Capture | None:
        """A capture, when it begins, and who reads it; None if nobody can, which is noted."""
        if name == STANDARD_INPUT or not Path(name).is_file():  # what is read of a pipe is gone
            return _Capture(name, _AT_ONCE, self._shark, logs=self._logs)
        window = None
        try:
            source = open_source(name)
            try:
                for stream in captures(source, self._limits):
                    window = Window(stream, most=self._limits.block + CHUNK)
                    # What is odd there is noted when the file is read.
                    try:
                        first = next(records(window, Tally(), self._limits), None)
                    except Text:
                        batches = log_messages(window, Tally(), self._limits, self._logs, written(name))
                        start = next((batch[0].time for batch in batches if batch), _AT_ONCE)
                        return _Capture(name, start, self._shark, logs=self._logs)
                    break
                else:
                    raise NotACapture("no file in this archive")
            finally:
                source.close()
        except (NotACapture, OSError) as error:
            if window is not None and window.source.name != name:  # of several in an archive
                return _Capture(name, _AT_ONCE, self._shark, logs=self._logs)
            head = window.data[:16] if window is not None else b""
            shark = self._shark or self._ask(is_wiresharks(name, head))
            if shark is not None:
                return _Capture(name, _AT_ONCE, shark)
            self._tally.problem(name, 0, 0, _reason(error))
            return None
        if first is None:
            return _Capture(name, _AT_ONCE, self._shark, logs=self._logs)
        _, start, link_type, _ = first
        if self._shark is not None or link_type in LINK_TYPES:
            return _Capture(name, start, self._shark, logs=self._logs)
        return _Capture(name, start, self._ask(True), doubted=link_type)

    def _ask(self, wiresharks: bool) -> Shark | None:
        """Wireshark for a file that only it can read; that it isn't there is counted."""
        if not wiresharks or not self._may_ask:
            return None
        try:
            self._asked = self._asked or Shark()
        except ReaderUnavailable as error:
            # What the capture is becomes a problem anyway.
            self._tally.counts[f"captures for Wireshark: {error}"] += 1
        return self._asked

    def _too_many(self, capture: _Capture) -> bool:
        return capture.shark is not None and sum(one.shark is not None for one in self._open) >= _SHARKS

    def _start(self, capture: _Capture) -> None:
        """Open a capture; one that begins where another has ended continues that one's streams."""
        self._open.append(capture)
        self._divide()
        if capture.shark is not None:
            capture.open_by(capture.shark, self._tally, self._limits)
            return
        before = [dissector for dissector in self._idle if dissector.last_time <= capture.start]
        if before:
            dissector = max(before, key=lambda one: one.last_time)
            self._idle.remove(dissector)
            dissector.source = capture.name
        else:
            dissector = self._dissector(capture.name)
        follows = self.follow and Path(capture.name).is_file()
        capture.open(dissector, self._tally, self._limits, self._grows if follows else None)

    def _dissector(self, name: str) -> Dissector | NativeDissector:
        if self._native is not None:
            return self._native.dissector(name, self._tally, esp_null=self._esp_null)
        return Dissector(name, self._tally, self._limits, esp_null=self._esp_null, peers=self._dissectors)

    def _close(self, capture: _Capture) -> list[SipMessage]:
        """Close a capture; gives the messages of one that ended so long ago that none continues it any more."""
        self._open.remove(capture)
        self._divide()
        self._done += capture.taken
        if capture.dissector is not None:
            self._idle.append(capture.dissector)
        if len(self._idle) <= self._limits.files:
            return []
        oldest = min(self._idle, key=lambda one: one.last_time)
        self._idle.remove(oldest)
        return oldest.finish()

    def _divide(self) -> None:
        """Let the open captures have as much at hand together as one would have."""
        for capture in self._open:
            capture.share(len(self._open))


class _Capture:
    """A file on its way through: not opened, open with messages at hand, or used up.

    shark: who reads it instead of us. doubted: its link type, where it isn't sure that Wireshark knows it better.
    """

    def __init__(
        self,
        name: str,
        start: int,
        shark: Shark | None,
        *,
        doubted: int | None = None,
        logs: LogOptions = _LOGS,
    ) -> None:
        self.name = name
        self.start = start
        self.shark = shark
        self.doubted = doubted
        self._logs = logs
        self.opened = self.ended = False
        self.dissector: Dissector | NativeDissector | None = None
        self.taken = 0
        self._parts = 1
        self._source: Source | None = None
        self._batches: Generator[list[SipMessage]] | None = None
        self._messages: list[SipMessage] = []
        self._at = 0

    def open(self, dissector: Dissector | NativeDissector, tally: Tally, limits: Limits, grows: Grows | None) -> None:
        """Begin to read, into that dissector."""
        self.opened = True
        self.dissector = dissector
        self._batches = self._read(dissector, tally, limits, grows)

    def open_by(self, shark: Shark, tally: Tally, limits: Limits) -> None:
        """Begin to let Wireshark read."""
        self.opened = True
        self._batches = self._read_by(shark, tally, limits)

    def share(self, parts: int) -> None:
        """Have so small a part of what may be at hand."""
        self._parts = parts
        if self.dissector is not None:
            self.dissector.batch = max(BATCH // parts, _LEAST_BATCH)
        if self._source is not None:
            self._source.chunk = max(CHUNK // parts, _LEAST_CHUNK)

    def close(self) -> None:
        """Read no more."""
        if self._batches:
            self._batches.close()

    def following(self) -> list[SipMessage]:
        """The messages that come next in a file that is followed; none if there are none now."""
        batch = next(self._batches, None) if self._batches else None
        self.ended = batch is None
        return batch or []

    def next_time(self) -> int:
        """The time of the next message; later than any when there is none."""
        while self._at >= len(self._messages):
            following = next(self._batches, None) if self._batches else None
            if following is None:
                self.ended = True
                return _NEVER
            self._messages = following
            self._at = 0
        return self._messages[self._at].time

    def take(self, until: int) -> list[SipMessage]:
        """The messages at hand from the next one on, up to the first that is later than `until`."""
        messages = self._messages
        start = at = self._at
        if until == _NEVER:
            at = len(messages)
        while at < len(messages) and messages[at].time <= until:
            at += 1
        self._at = at
        return messages[start:at] if start or at < len(messages) else messages

    def _read(
        self, dissector: Dissector | NativeDissector, tally: Tally, limits: Limits, grows: Grows | None
    ) -> Generator[list[SipMessage]]:
        source: Source | None = None
        try:
            source = self._source = open_source(self.name, grows)
            self.share(self._parts)
            for stream in captures(source, limits):
                dissector.source = stream.name
                window = Window(stream)
                try:
                    batches = dissector.read(window)
                except Text:
                    batches = log_messages(window, tally, limits, self._logs, written(self.name))
                except NotACapture as error:
                    tally.problem(stream.name, 0, 0, str(error))
                    continue
                try:
                    for batch in batches:
                        self._count(source, tally)
                        yield batch
                except NotACapture as error:
                    tally.problem(stream.name, 0, 0, str(error))
                yield dissector.take()
        except OSError as error:
            tally.problem(self.name, 0, 0 if source is None else source.taken, _reason(error))
            yield dissector.take()
        finally:
            if source is not None:
                self._count(source, tally)
                source.close()

    def _read_by(self, shark: Shark, tally: Tally, limits: Limits) -> Generator[list[SipMessage]]:
        found = 0
        try:
            for batch in shark.messages(self.name, tally, limits):
                found += len(batch)
                yield batch
        except (NotACapture, OSError) as error:
            tally.problem(self.name, 0, 0, _reason(error))
        if self.doubted is not None and not found:
            tally.problem(
                self.name, 1, -1, f"{link_type_named(self.doubted)} can't be read; Wireshark finds no SIP in it"
            )
        if self.name != STANDARD_INPUT and Path(self.name).is_file():
            # tshark doesn't say how far it is.
            self.taken = Path(self.name).stat().st_size
            tally.bytes += self.taken

    def _count(self, source: Source, tally: Tally) -> None:
        tally.bytes += source.taken - self.taken
        self.taken = source.taken


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _is_utf_8(name: str) -> bool:
    """Whether a path's bytes are, as a text of the kernel must be."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _expand(paths: Sequence[str], tally: Tally) -> list[str]:
    files: dict[str, None] = {}
    for path in paths:
        if path == STANDARD_INPUT or Path(path).is_file():
            files[path] = None
            continue
        found = [path] if Path(path).exists() else sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        if not found:
            tally.problem(path, 0, 0, "no such file or folder")
        for one in found:
            if Path(one).is_dir():
                inside = dict.fromkeys(_below(Path(one)))
                if not inside:
                    tally.problem(one, 0, 0, "no file in this folder")
                files.update(inside)
            else:
                files[one] = None
    return list(files)


def _below(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield str(path)


def _total(files: list[str]) -> int | None:
    total = 0
    for name in files:
        if name == STANDARD_INPUT:
            return None
        try:
            total += Path(name).stat().st_size
        except OSError:  # noted when the file is opened
            continue
    return total
