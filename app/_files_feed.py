"""From files that grow into the database: a folder of rotating captures, or a log with its older parts.

Files are read one after the other, the oldest first, each as it grows; one is over when there is a newer one and
nothing was added to it for a while. A file's position is the number of its first message that isn't written. A file
that was read in part is read again from its beginning after a start, as its streams began there, but only what comes
from its position on is taken. It is known by its first bytes, so it may be renamed; a name that is used
again, as in a ring of files, is another file.
"""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipcdr.ingest import Inputs, log_options

from ._feed import Feed
from ._unwritten import Part

if TYPE_CHECKING:
    from os import stat_result
    from pathlib import Path

    from sipcdr.ingest import LogOptions

    from ._feed import Running

OVER: Final = 1 << 62
"""The position of a file of which all is written, and nothing more will come."""
_HEAD: Final = 1024
"""Bytes by which a file is known; a capture's hold the time of its first packets."""
_QUIET_SECONDS: Final = 2.0
_WAIT: Final = 0.2
_LOGS: Final = log_options()
_FILES: Final = 100_000
"""Files of a folder that are looked at."""

_log = logging.getLogger(__name__)


class FilesFeed:
    """The files of a folder whose names fit a glob. logs: what logs among them don't say themselves."""

    def __init__(self, folder: Path, glob: str, running: Running, *, logs: LogOptions = _LOGS) -> None:
        self.feed = Feed(running, hold=running.correlation.hold, together=True)
        self._folder = folder
        self._glob = glob
        self._logs = logs
        self._metrics = running.metrics
        self._stop = running.stop
        self._source = f"files {folder}/{glob}"
        if len(self._source) > 255:
            self._source = f"files {hashlib.sha256(self._source.encode()).hexdigest()}"
        self._over: dict[Path, tuple[int, int, int]] = {}

    def run(self) -> None:
        """Read until `stop`. Raises what writing raises."""
        try:
            while not self._stop.is_set():
                files = self._files()
                self.feed.open = files is not None
                self._metrics.source_up.labels(self.feed.name).set(self.feed.open)
                path = next((path for path, status in files or () if self._over.get(path) != _signature(status)), None)
                if path is None or not self._read(path):
                    self.feed.go_round()
                    self._stop.wait(_WAIT)
        finally:
            self.feed.open = False
            self._metrics.source_up.labels(self.feed.name).set(0)
            self.feed.flush()

    def _files(self) -> list[tuple[Path, stat_result]] | None:
        """The files, the oldest first; None where there is no such folder."""
        found: list[tuple[Path, stat_result]] = []
        if not self._folder.is_dir():
            _log.error("%s: there is no folder %s", self.feed.name, self._folder)
            return None
        for path in self._folder.glob(self._glob):
            try:
                if path.is_file() and not path.name.startswith("."):
                    found.append((path, path.stat()))
            except OSError:  # it was deleted
                continue
            if len(found) >= _FILES:
                _log.error("%s: only %d files of %s are looked at", self.feed.name, _FILES, self._folder)
                break
        gone = self._over.keys() - {path for path, _ in found}
        for path in gone:
            del self._over[path]
        return sorted(found, key=lambda item: (item[1].st_mtime_ns, item[0]))

    def _read(self, path: Path) -> bool:
        """Read a file until it is over, or isn't there any more; False if it can't be begun yet."""
        identity = self._identity(path)
        if identity is None:
            return False
        part = Part(self._source, identity)
        if part not in self.feed.unwritten:
            stored = self._taken(identity)
            if stored is None:
                return False
            if stored[1] >= OVER:
                return self._is_over(path)
            self.feed.unwritten.open(part, *stored)
            _log.info("%s: reads %s from message %d", self.feed.name, path.name, stored[1])
        start = self.feed.unwritten.next(part)
        inputs = Inputs([str(path)], tally=self.feed.tally, reader="python", follow=True, logs=self._logs)
        for batch in inputs:
            messages = [message for message in batch if message.position.number >= start]
            if messages:
                following = max(self.feed.unwritten.next(part), max(each.position.number for each in messages) + 1)
                self.feed.unwritten.receive(part, messages, following, self.feed.latest())
                self._metrics.records.labels(self.feed.name).inc(len(batch))
                self._metrics.received(self.feed.name, messages)
            self.feed.go_round()
            while self.feed.choked and not self._stop.wait(_WAIT):
                self.feed.go_round()
            if self._stop.is_set():
                return True
            if not batch and self._will_be_over(path):
                inputs.stop()
        for problem in self.feed.tally.problems:
            _log.warning("%s: %s: %s", self.feed.name, problem.source, problem.reason)
        self.feed.tally.problems.clear()
        if self._will_be_over(path):
            self.feed.unwritten.receive(part, [], OVER)
            self.feed.unwritten.retire(OVER)
            self._is_over(path)
        return True

    def _identity(self, path: Path) -> str | None:
        """What a file is known by; None while it has too little for that."""
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
        except OSError as error:
            _log.warning("%s: %s: %s", self.feed.name, path.name, error.strerror)
            return None
        if len(head) < _HEAD and not self._will_be_over(path):
            return None
        return hashlib.sha256(head).hexdigest()

    def _taken(self, identity: str) -> tuple[int, int] | None:
        """Epoch and position of a file, as soon as the database tells them; None at the end."""
        future = self.feed.running.writer.assign(self._source, {identity: 0}, anew=False)
        while not future.done():
            self.feed.go_round()
            if self._stop.wait(0.01):
                return None
        [stored] = future.result()
        return stored.epoch, stored.position

    def _will_be_over(self, path: Path) -> bool:
        """Whether there is a newer file, and this one has been quiet for a while."""
        files = self._files() or []
        status = next((status for each, status in files if each == path), None)
        if status is None:
            return False
        quiet = time.time() - status.st_mtime > _QUIET_SECONDS
        return quiet and files[-1][0] != path

    def _is_over(self, path: Path) -> bool:
        with suppress(OSError):
            self._over[path] = _signature(path.stat())
        return True


def _signature(status: stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
