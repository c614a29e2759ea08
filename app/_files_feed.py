"""From files that grow into the database: a folder of rotating captures, or a log with its older parts.

1. Files are begun one after the other, in the order in which they were last written, and each is read as it grows. It
   has ended when there is a newer one and nothing was added to it for a while, or when it was begun anew. Where an
   older one goes on growing beside a newer one, both are read.
2. A file is known by its first bytes, of what it unpacks to. So it may be renamed, copied and cut (`copytruncate`) or
   packed; and a name that is used again, as in a ring of files, is another file. What is too short to be known has no
   position, and is read again after a start.
3. A file's position is the byte from which on it has to be read again: that of a record, before which all messages are
   in the database. For each call in memory the byte is known from which on its messages come.
4. TCP streams and fragments go on from a capture into the one that follows it. While the beginning of a message waits
   for its end, its file, and all that follow, are to be read again from there on.
5. Positions of files that weren't there for an hour are deleted.
6. A file that goes before it was read, as a ring was quicker, is an error, a figure and a dead letter. Not seen is what
   goes while nothing runs, unless its number is missing among dumpcap's names.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Final, TypeVar

from sipcdr.ingest import Dissector, Followed, Limits, NotACapture, begins, head_of, log_options

from ._dead_letters import Letter
from ._feed import Feed
from ._unread import HEAD, Unread, digest
from ._unwritten import Part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from os import stat_result
    from pathlib import Path

    from sipcdr.builder import SipMessage
    from sipcdr.ingest import Grows, LogOptions

    from ._feed import Running
    from ._unread import Lost

_T = TypeVar("_T")

_QUIET_SECONDS: Final = 2.0
_BESIDE_SECONDS: Final = 10.0
"""An older file that was written so long after a newer one came is no older one."""
_WAIT: Final = 0.2
_LISTED_SECONDS: Final = 0.5
_SETTLE_SECONDS: Final = 5.0
_KEPT_SECONDS: Final = 3600.0
_LOGS: Final = log_options()
_LIMITS: Final = Limits()
_FILES: Final = 100_000
"""Files of a folder that are looked at."""
_STRANDS: Final = 8
_ALL: Final = 1 << 62

_log = logging.getLogger(__name__)


class _BrokenOff(Exception):
    """The wish to end came while a reader waited, or the file was begun anew: what it holds has no end yet."""


class _File:
    """A file that is read, or was and isn't written yet.

    start: the byte from which on it is read. known: whether it has a position. packed: by what its packed form is
    known. size: how large it was before it was begun anew. waits: nothing more came the last time.
    """

    def __init__(self, path: Path, part: Part, start: int, followed: Followed, head: bytes, *, known: bool) -> None:
        self.path = path
        self.part = part
        self.start = start
        self.followed = followed
        self.head = head
        self.known = known
        self.status = followed.source.status()
        self.size = self.status.st_size
        self.waits = False
        self.packed = ""

    def is_anew(self) -> bool:
        """Whether it was cut, or cut and written again, since it was begun."""
        source = self.followed.source
        self.status = source.status()
        if self.status.st_size < source.taken or source.first(len(self.head)) != self.head:
            return True
        self.size = self.status.st_size
        return False


class _Strand:
    """Captures that continue each other. files: in their order, the last one of them being read unless `idle`."""

    def __init__(self, dissector: Dissector) -> None:
        self.dissector = dissector
        self.files: list[_File] = []
        self.idle = True
        self.moved = self.settled = time.monotonic()

    @property
    def holds(self) -> tuple[int, int] | None:
        """The oldest byte of what waits for more: the file's place in `files`, and the byte."""
        places = {str(file.path): place for place, file in reversed(list(enumerate(self.files)))}
        return min(((places.get(each.source, 0), each.number) for each in self.dissector.waits_for), default=None)

    def since(self, held: tuple[int, int] | None) -> dict[Part, int]:
        """From where on files have to be read again to have what was read last and what was held before."""
        file = self.files[-1]
        if held is None:
            return {file.part: file.followed.since}
        place, byte = held
        since = {each.part: each.start for each in self.files[place:]}
        since[self.files[place].part] = min(byte, file.followed.since) if place == len(self.files) - 1 else byte
        return since

    def reached(self, held: tuple[int, int] | None) -> dict[Part, int]:
        """From where on files have to be read again to have what comes next and what is held now."""
        if held is None:
            return {each.part: each.followed.reached for each in self.files}
        place, byte = held
        return {
            each.part: each.followed.reached if number < place else byte if number == place else each.start
            for number, each in enumerate(self.files)
        }


class FilesFeed:
    """The files of a folder whose names fit a glob. logs: what logs among them don't say themselves."""

    def __init__(self, folder: Path, glob: str, running: Running, *, logs: LogOptions = _LOGS) -> None:
        self.feed = Feed(running, hold=running.correlation.hold, together=True)
        self._folder = folder
        self._glob = glob
        self._logs = logs
        self._metrics = running.metrics
        self._writer = running.writer
        self._stop = running.stop
        self._source = f"files {folder}/{glob}"
        if len(self._source) > 255:
            self._source = f"files {hashlib.sha256(self._source.encode()).hexdigest()}"
        self._strands: list[_Strand] = []
        self._peers: list[Dissector] = []
        self._over: dict[Path, tuple[int, int, int, int]] = {}
        self._came: dict[Path, float] = {}
        self._stored: dict[str, int] = {}
        self._unread = Unread(self._stored)
        self._present: set[str] = set()
        self._listed: tuple[float, list[tuple[Path, stat_result]]] = (-_LISTED_SECONDS, [])
        self._looked = time.monotonic()

    def run(self) -> None:
        """Read until `stop`. Raises what writing raises."""
        stored = self._waited_for(self._writer.positions(self._source))
        self._stored.update((each.partition, each.position) for each in stored or ())
        try:
            while not self._stop.is_set():
                files = self._files()
                # Every strand is asked, and then for a new file.
                moved = [self._read(strand) for strand in list(self._strands)]
                if not any([*moved, self._begin(files)]):
                    self._stop.wait(_WAIT)
                self._retire()
                self._forget_gone(files)
                self.feed.go_round()
                while self.feed.choked and not self._stop.wait(_WAIT):
                    self.feed.go_round()
        finally:
            self._set_open(False)
            for file in self._busy():
                status = file.followed.source.status()
                if not status.st_nlink:
                    self._unread.broken_off(file.path.name, "", file.followed.source.taken, status.st_size)
            self._tell_lost(self._unread.rest())
            for strand in self._strands:
                for file in strand.files:
                    file.followed.close()
            self.feed.flush()

    def _busy(self) -> list[_File]:
        return [strand.files[-1] for strand in self._strands if not strand.idle]

    def _files(self) -> list[tuple[Path, stat_result]]:
        """The files, the oldest first; none where there is no such folder."""
        now = time.monotonic()
        if now - self._listed[0] < _LISTED_SECONDS:
            return self._listed[1]
        found: list[tuple[Path, stat_result]] = []
        is_there = self._folder.is_dir()
        self._set_open(is_there)
        if not is_there:
            _log.error("%s: there is no folder %s", self.feed.name, self._folder)
        for path in self._folder.glob(self._glob) if is_there else ():
            try:
                if path.is_file() and not path.name.startswith("."):
                    found.append((path, path.stat()))
            except OSError:  # it was deleted
                continue
            if len(found) >= _FILES:
                _log.error("%s: only %d files of %s are looked at", self.feed.name, _FILES, self._folder)
                break
        found.sort(key=lambda item: (item[1].st_mtime_ns, item[0]))
        if is_there:
            self._notice(found)
        names = {path for path, _ in found}
        for gone in self._over.keys() - names:
            del self._over[gone]
        self._came = {path: self._came.get(path, time.time()) for path in names}
        self._listed = (now, found)
        return found

    def _notice(self, files: list[tuple[Path, stat_result]]) -> None:
        """Step 6."""
        done = {(device, inode): size for device, inode, size, _ in self._over.values()}
        for file in self._busy():
            done[file.status.st_dev, file.status.st_ino] = _ALL
        reading = {file.part.partition for strand in self._strands for file in strand.files}
        self._tell_lost(self._unread.look(files, done, reading))

    def _tell_lost(self, lost: list[Lost]) -> None:
        for each in lost:
            _log.error("%s: %s: %s", self.feed.name, each.name, each.reason)
            self._metrics.lost_files.labels(self.feed.name).inc(each.files)
            self.feed.unwritten.letters.append(
                Letter(
                    source=str(self._folder),
                    partition=each.name,
                    offset=each.offset,
                    time=time.time_ns() // 1000,
                    reason=each.reason,
                )
            )

    def _begin(self, files: list[tuple[Path, stat_result]]) -> bool:
        """Step 1: open the next file, if it is time for it."""
        busy = [file.followed.source.status() for file in self._busy()]
        own = {(status.st_dev, status.st_ino): status.st_mtime for status in busy}
        # Of those that are being read: when the older ones were written, also where they were deleted since.
        there = {(status.st_dev, status.st_ino) for _, status in files}
        older = [written for inode, written in own.items() if inode not in there]
        for path, status in files:
            inode = (status.st_dev, status.st_ino)
            if inode in own:
                older.append(own[inode])
            if inode in own or self._over.get(path) == _signature(status):
                continue
            beside = self._came[path] + _BESIDE_SECONDS
            if len(busy) >= _STRANDS or any(written < beside for written in older):
                return False
            try:
                opened = self._open(path, status)
            except (NotACapture, OSError) as error:
                _log.warning("%s: %s: %s", self.feed.name, path.name, getattr(error, "strerror", None) or error)
                self._over[path] = _signature(status)
            else:
                if opened is not None:
                    return opened
            if self._stop.is_set():
                return False
        return False

    def _open(self, path: Path, status: stat_result) -> bool | None:
        """Step 2: know a file, and go on with it; False if it has to wait, None if there is nothing to read."""
        head = head_of(str(path), HEAD)
        begun = _first(path)
        packed = ""
        if head.packed:
            if time.time() - status.st_mtime < _QUIET_SECONDS:
                return False  # it is being packed
            packed = digest(begun)
            if self._stored.get(packed) == status.st_size:
                self._is_known(packed, path, status)
                return None
        known = len(head.data) >= HEAD
        identity = digest(head.data) if known else f"{status.st_dev}:{status.st_ino}"
        part = Part(self._source, identity)
        if part in self.feed.unwritten:
            return None  # the same by another name, which is looked at again once all of this one is written
        epoch, position = None, 0
        if known:
            self._present.add(identity)
            if not packed and self._stored.get(identity) == status.st_size:
                self._is_known(identity, path, status)
                return None
            taken = self._taken(identity)
            if taken is None:
                return False
            epoch, position = taken
            if not packed and position >= status.st_size:
                self._is_known(identity, path, status)
                return None
        strand = self._strand(begins(head_of(str(path)).data))
        grows = self._grows(strand)
        followed = Followed(
            str(path), position, strand.dissector, self.feed.tally, grows, limits=_LIMITS, logs=self._logs
        )
        if followed.source.first(len(begun)) != begun:
            followed.close()
            return False  # another has come to be called so
        self._unread.begun((status.st_dev, status.st_ino))
        self.feed.unwritten.open(part, epoch, position)
        file = _File(path, part, position, followed, begun, known=known)
        file.packed = packed
        strand.files.append(file)
        strand.idle = False
        _log.info("%s: reads %s from byte %d", self.feed.name, path.name, position)
        return True

    def _is_known(self, identity: str, path: Path, status: stat_result) -> None:
        self._present.add(identity)
        self._over[path] = _signature(status)

    def _strand(self, start: int | None) -> _Strand:
        """Step 4: what a capture with that first time continues, or a new one."""
        idle = [strand for strand in self._strands if strand.idle]
        fitting = [strand for strand in idle if start is not None and strand.dissector.last_time <= start]
        if fitting:
            return max(fitting, key=lambda strand: strand.dissector.last_time)
        for strand in idle:
            if not strand.files and strand.holds is None:
                strand.dissector.finish()
                self._strands.remove(strand)
        strand = _Strand(Dissector("", self.feed.tally, _LIMITS, peers=self._peers))
        self._strands.append(strand)
        return strand

    def _grows(self, strand: _Strand) -> Grows:
        def grows(*_: object) -> bool:
            # The reader may wait in here for the rest of something.
            self.feed.go_round()
            file = strand.files[-1]
            file.waits = True
            if self._stop.is_set() or file.is_anew():
                raise _BrokenOff
            return not self._will_be_over(file)

        return grows

    def _will_be_over(self, file: _File) -> bool:
        """Whether there is a newer file, or this one is gone, and it has been quiet for a while."""
        if time.time() - file.status.st_mtime < _QUIET_SECONDS:
            return False
        files = self._files()
        own = (file.status.st_dev, file.status.st_ino)
        return not files or own != (files[-1][1].st_dev, files[-1][1].st_ino)

    def _read(self, strand: _Strand) -> bool:
        """Step 3: take the next piece of a file; False if there is none now."""
        if strand.idle:
            self._settle(strand)
            return False
        file = strand.files[-1]
        held = strand.holds
        waited, file.waits = file.waits, False
        messages: list[SipMessage] | None = None
        try:
            # What was written anew since is another file's.
            if not waited or not file.is_anew():
                messages = file.followed.read()
        except OSError as error:
            _log.warning("%s: %s: %s", self.feed.name, file.path.name, error.strerror)
        except _BrokenOff:
            if self._stop.is_set():
                return False
        # What was found before it broke off is still there.
        found = strand.dissector.take() if messages is None else messages
        if found:
            self._take_in(found, strand.since(held))
        if not file.known and (messages is None or file.followed.source.taken >= HEAD):
            self._know(file)
        if messages is None:
            strand.idle = True
            if not file.is_anew():
                self._over[file.path] = _signature(file.status)
            elif file.known:
                self._unread.broken_off(file.path.name, file.part.partition, file.followed.source.taken, file.size)
            file.followed.close()
            for problem in self.feed.tally.problems:
                _log.warning("%s: %s: byte %d: %s", self.feed.name, problem.source, problem.offset, problem.reason)
            self.feed.tally.problems.clear()
        if not file.waits:
            strand.moved = time.monotonic()
        self._settle(strand)
        for part, byte in strand.reached(strand.holds).items():
            self.feed.unwritten.reach(part, byte)
        return not file.waits

    def _take_in(self, messages: list[SipMessage], since: Mapping[Part, int]) -> None:
        self.feed.unwritten.collect(messages, since, self.feed.latest())
        self._metrics.records.labels(self.feed.name).inc(len(messages))
        self._metrics.received(self.feed.name, messages)

    def _settle(self, strand: _Strand) -> None:
        """Let nothing wait in the dissector for ever when nothing comes."""
        now = time.monotonic()
        if now - strand.settled < _SETTLE_SECONDS or not strand.files:
            return
        strand.settled = now
        held = strand.holds
        if held is not None:
            messages = strand.dissector.wait_until(strand.dissector.last_time + int((now - strand.moved) * 1_000_000))
            if messages:
                self._take_in(messages, strand.since(held))
            for part, byte in strand.reached(strand.holds).items():
                self.feed.unwritten.reach(part, byte)

    def _know(self, file: _File) -> None:
        """Give a file a position that was too short for one when it was begun."""
        content = file.followed.source.first(HEAD) if not file.packed else head_of(str(file.path)).data[:HEAD]
        file.head = file.followed.source.first(HEAD)
        part = Part(self._source, digest(content))
        if part in self.feed.unwritten:
            return  # a copy
        taken = self._taken(part.partition)
        if taken is not None:
            self._present.add(part.partition)
            self.feed.unwritten.rename(file.part, part, taken[0])
            file.part = part
            file.known = True

    def _retire(self) -> None:
        """Forget files of which all is written."""
        for strand in self._strands:
            held = strand.holds
            ended = strand.files if strand.idle else strand.files[:-1]
            ended = ended if held is None else ended[: held[0]]
            done = set(self.feed.unwritten.retire([file.part for file in ended]))
            for file in [file for file in ended if file.part in done]:
                strand.files.remove(file)
                if file.packed:
                    self._present.add(file.packed)
                    self._writer.assign(self._source, {file.packed: file.status.st_size}, anew=True)

    def _forget_gone(self, files: list[tuple[Path, stat_result]]) -> None:
        """Step 5."""
        if time.monotonic() - self._looked < _KEPT_SECONDS:
            return
        self._looked = time.monotonic()
        present, self._present = self._present, set()
        if not files:
            return  # perhaps the folder isn't mounted
        for path, _ in files:
            try:
                head = head_of(str(path), HEAD).data
                present |= {digest(head), digest(_first(path))}
            except (NotACapture, OSError):
                continue
            self.feed.go_round()
        present |= {file.part.partition for strand in self._strands for file in strand.files}
        stored = self._waited_for(self._writer.positions(self._source))
        gone = [each for each in stored or () if each.partition not in present]
        if gone:
            self._waited_for(self._writer.forget(gone))
            _log.info("%s: forgot the positions of %d files that are gone", self.feed.name, len(gone))

    def _taken(self, identity: str) -> tuple[int, int] | None:
        """Epoch and position of a file, as soon as the database tells them; None at the end."""
        taken = self._waited_for(self._writer.assign(self._source, {identity: 0}, anew=False))
        return (taken[0].epoch, taken[0].position) if taken else None

    def _waited_for(self, future: Future[_T]) -> _T | None:
        while not future.done():
            self.feed.go_round()
            if self._stop.wait(0.01):
                return None
        return future.result()

    def _set_open(self, is_open: bool) -> None:
        self.feed.open = is_open
        self._metrics.source_up.labels(self.feed.name).set(is_open)


def _signature(status: stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _first(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)
