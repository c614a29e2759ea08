"""From a HEP listener into the database. What was sent can't be read again, so calls wait a checkpoint at most."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from sipcdr.ingest import HepListener, ListenSettings, SourceUnavailable, Values

from ._dead_letters import letters_of
from ._feed import Feed
from ._unwritten import Part

if TYPE_CHECKING:
    from sipcdr.ingest import Record

    from ._feed import Running
    from ._settings import HepSource

_POLL: Final = 0.2
_MOST: Final = 2000
_AGAIN: Final = 5.0
_NOWHERE: Final = Part("", "")
"""What has no position."""

_log = logging.getLogger(__name__)


class HepFeed:
    """One listener."""

    def __init__(self, source: HepSource, running: Running, *, key: bytes | None) -> None:
        hold = min(running.correlation.hold, running.correlation.checkpoint)
        self.feed = Feed(running, hold=hold, together=True)
        self._settings = ListenSettings(
            listen=source.listen,
            tls_cert=source.tls_cert,
            tls_key=source.tls_key,
            tls_ca=source.tls_ca,
            buffer=source.buffer,
        )
        self._values = Values(self.feed.tally, form="hep", key=key)
        self._metrics = running.metrics
        self._told: Counter[str] = Counter()

    def run(self) -> None:
        """Listen until `stop`. Raises SourceRefused, and what writing raises."""
        stop = self.feed.running.stop
        name = self.feed.name
        while not stop.is_set():
            self.feed.alive = time.monotonic()
            try:
                listener = HepListener(self._settings)
            except SourceUnavailable as error:
                _log.error("%s: %s", name, error)
                stop.wait(_AGAIN)
                continue
            _log.info("%s: listens at %s", name, ", ".join(listener.addresses))
            self.feed.unwritten.open(_NOWHERE, None, 0)
            self._set_open(True)
            try:
                while not stop.is_set():
                    records = [] if self.feed.choked and not stop.wait(_POLL) else listener.poll(_POLL, _MOST)
                    self._take_in(records, listener)
                    self.feed.go_round()
            finally:
                self._set_open(False)
                listener.close()
                while records := listener.poll(0, _MOST):
                    self._take_in(records, listener)
                self.feed.flush()

    def _take_in(self, records: list[Record], listener: HepListener) -> None:
        name = self.feed.name
        if records:
            messages, poison = self._values.messages(records, name)
            self.feed.unwritten.receive(_NOWHERE, messages, records[-1].offset + 1, self.feed.latest())
            self._metrics.records.labels(name).inc(len(records))
            self._metrics.received(name, messages)
            if poison:
                self.feed.unwritten.letters += letters_of(poison, name, "")
                self._metrics.dead_letters.labels(name).inc(len(poison))
        if listener.counts != self._told:
            now = Counter(listener.counts)
            self.feed.tally.counts.update(now - self._told)
            self._told = now

    def _set_open(self, is_open: bool) -> None:
        self.feed.open = is_open
        self._metrics.source_up.labels(self.feed.name).set(is_open)
