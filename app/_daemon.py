"""`run_daemon`: the sources, each on a thread of its own, and around them signals, health, metrics and upkeep."""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from sipcdr.ingest import IngestError, ReaderUnavailable, SourceRefused, log_options
from sipcdr.sinks import SinkAddress, SinkError

from ._batch_writer import Abandoned, BatchWriter
from ._collector import collect_seldom
from ._config import ConfigError, rules_of, secret
from ._feed import Running
from ._http import served
from ._logging import configure
from ._metrics import Metrics
from ._notify import notify, watchdog_seconds
from ._replay import REFUSED_CALLS
from ._settings import CapturesSource, HepSource, KafkaSource
from ._status import ALL_READ, NOT_ALL_READ, REFUSED, USAGE
from ._upkeep import keep_up, patient_letters, patiently_opened
from ._write import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._feed import Feed
    from ._settings import Settings, Source

_DEAD_SECONDS: Final = 60.0
"""A source that hasn't gone round for so long is dead; all that it waits for is bounded by less."""
_STUCK_SECONDS: Final = 30.0
_END_SECONDS: Final = 8.5
_TICK: Final = 1.0

_log = logging.getLogger(__name__)


class State(msgspec.Struct, frozen=True):
    """How the daemon is: what of it doesn't work any more, and what isn't ready; a line each."""

    dead: list[str]
    unready: list[str]


class _Runs(Protocol):
    feed: Feed

    def run(self) -> None: ...


class _Worker(threading.Thread):
    """A source's thread. failed: what ended it, if not the wish to end."""

    def __init__(
        self, source: Source, name: str, settings: Settings, metrics: Metrics, stop: threading.Event, back: int | None
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.failed: BaseException | None = None
        self.feed: Feed | None = None
        self.writer: BatchWriter | None = None
        self._source = source
        self._settings = settings
        self._metrics = metrics
        self._stop_event = stop
        self._back = back
        self.began = time.monotonic()

    def run(self) -> None:
        try:
            self._work()
        except Abandoned:
            pass
        except BaseException as error:  # the main thread says what to do
            self.failed = error

    def _work(self) -> None:
        settings = self._settings
        sink = patiently_opened(settings, self._metrics, self._stop_event)
        if sink is None:
            return
        with closing(sink):
            letters = patient_letters(settings, self.name, self._stop_event)
            if letters is None:
                return
            refusals = Refusals(Path(settings.dead_letters.file or ".").parent / REFUSED_CALLS)
            rules = rules_of(settings)
            writer = BatchWriter(sink, rules, letters=letters, refusals=refusals, metrics=self._metrics)
            self.writer = writer
            running = Running(self.name, settings.correlator, rules, writer, self._metrics, self._stop_event)
            try:
                source = feed_of(self._source, running, self._back)
                self.feed = source.feed
                source.run()
            finally:
                writer.close(1.0)

    def problems(self) -> tuple[list[str], list[str]]:
        """What doesn't work any more, and what isn't ready."""
        if self.failed is not None:
            return [f"{self.name}: {self.failed}"], []
        feed, writer = self.feed, self.writer
        if feed is None or writer is None:
            return [], [f"{self.name}: waits for the database"]
        if time.monotonic() - feed.alive > _DEAD_SECONDS:
            return [f"{self.name}: hangs"], []
        unready = [] if feed.open else [f"{self.name}: is not open"]
        if feed.open and feed.waits_for:
            unready.append(f"{self.name}: waits for {feed.waits_for}")
        if writer.busy_seconds > _STUCK_SECONDS:
            unready.append(f"{self.name}: waits for the database")
        return [], unready


def feed_of(source: Source, running: Running, back: int | None) -> _Runs:
    """What reads a source. Raises ConfigError, and ReaderUnavailable for a log format that there isn't."""
    if isinstance(source, KafkaSource):
        from ._kafka_feed import KafkaFeed

        return KafkaFeed(source, running, key=_key(source), back=back)
    if isinstance(source, HepSource):
        from ._hep_feed import HepFeed

        return HepFeed(source, running, key=_key(source))
    from ._files_feed import FilesFeed

    if isinstance(source, CapturesSource):
        return FilesFeed(Path(source.folder), source.glob, running)
    path = Path(source.path)
    return FilesFeed(path.parent, f"{path.name}*", running, logs=log_options(source.format, source.timezone))


def _key(source: KafkaSource | HepSource) -> bytes | None:
    return secret(source.auth_key_file).encode() if source.auth_key_file else None


class Daemon:
    """One run of a process, over any number of configurations.

    load: reads the configuration; raises ConfigError. back: the time to which Kafka sources are set back, once.
    """

    def __init__(self, load: Callable[[], Settings], *, back: int | None) -> None:
        self._load = load
        self._back = back
        self._metrics = Metrics()
        self._workers: list[_Worker] = []
        self._ending = False
        self._reload = False
        self._next: Settings | None = None
        self._woken = threading.Event()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; returns the exit status. Raises ConfigError before anything has begun."""
        settings = self._load()
        configure(settings.log)
        collect_seldom()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._signal)
        server = served(settings.metrics.listen, self._metrics.registry, self.state)
        try:
            while True:
                status = self._run(settings)
                if self._next is None:
                    return status
                settings, self._next = self._next, None
                configure(settings.log)
                _log.info("the configuration was read again")
        finally:
            notify(STOPPING="1")
            if server is not None:
                server.close()

    def state(self) -> State:
        """How it is, for whoever asks."""
        dead: list[str] = []
        unready: list[str] = [] if self._workers else ["nothing runs"]
        for worker in self._workers:
            of_worker = worker.problems()
            dead += of_worker[0]
            unready += of_worker[1]
        return State(dead, unready)

    def _signal(self, number: int, _: Any) -> None:
        if number == signal.SIGHUP:
            self._reload = True
        else:
            self._ending = True
        self._woken.set()

    def _reloaded(self, before: Settings) -> Settings | None:
        """The configuration as it is now; None if it is wrong, so that all goes on."""
        self._reload = False
        try:
            settings = self._load()
        except ConfigError as error:
            for problem in error.problems:
                _log.error("the configuration is not taken: %s", problem)
            return None
        if settings.metrics.listen != before.metrics.listen:
            _log.warning("metrics.listen is taken at the next start only")
        return settings

    def _run(self, settings: Settings) -> int:
        """Run all sources until a signal comes, or one of them fails."""
        stop = threading.Event()
        self._workers = [
            _Worker(source, _name(number, source), settings, self._metrics, stop, self._back)
            for number, source in enumerate(settings.source)
        ]
        for worker in self._workers:
            worker.start()
        upkeep = threading.Thread(
            target=keep_up, args=(settings, self._metrics, stop, self._marks), name="upkeep", daemon=True
        )
        upkeep.start()
        notify(READY="1", STATUS=f"{len(self._workers)} sources")
        failed = self._watch(settings)
        if self._next is None:
            notify(STOPPING="1")
        else:
            notify(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))
        stop.set()
        end = time.monotonic() + _END_SECONDS
        for worker in self._workers:
            worker.join(max(end - time.monotonic(), 0.1))
            failed = failed or worker.failed
        self._back = None
        if self._ending or failed is not None:
            self._next = None
        if failed is None:
            _log.info("ended in good order" if self._ending else "sources were closed")
            return ALL_READ
        _log.error("%s", failed, exc_info=None if isinstance(failed, _KNOWN) else failed)
        return _status_of(failed)

    def _marks(self) -> list[int | None]:
        return [None if worker.feed is None else worker.feed.unwritten.watermark for worker in self._workers]

    def _watch(self, settings: Settings) -> BaseException | None:
        """Wait for the wish to end, or for other settings; gives the reason if it is a source that ended."""
        seconds = watchdog_seconds()
        told = 0.0
        while not self._ending and self._next is None:
            self._woken.wait(_TICK)
            self._woken.clear()
            if self._reload:
                self._next = self._reloaded(settings)
            for worker in self._workers:
                if not worker.is_alive():
                    return worker.failed or RuntimeError(f"{worker.name} has ended")
            if seconds is not None and time.monotonic() - told >= min(seconds, 5.0) and not self.state().dead:
                notify(WATCHDOG="1")
                told = time.monotonic()
        return None


_KNOWN: Final = (SinkError, IngestError, ConfigError, OSError)


def _status_of(error: BaseException) -> int:
    if isinstance(error, (SourceRefused, ReaderUnavailable, ConfigError, SinkAddress)):
        return USAGE
    return REFUSED if isinstance(error, SinkError) else NOT_ALL_READ


def _name(number: int, source: Source) -> str:
    """What metrics and logs call a source."""
    return f"{source.__struct_config__.tag}-{number}"
