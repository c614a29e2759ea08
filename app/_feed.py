"""`Feed`: what all live sources have in common, between their messages and the database."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import msgspec

from sipcdr.ingest import Tally

from ._unwritten import Holding, Unwritten

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from sipcdr.builder import Rules
    from sipcdr.sinks import StoredPosition

    from ._batch_writer import BatchWriter
    from ._metrics import Metrics
    from ._settings import Correlation
    from ._unwritten import Batch, Part

DAY: Final = 86_400_000_000
FLUSH_SECONDS: Final = 7.0
"""How long writing what is left may take when a source is given up."""
FLUSH_CALLS: Final = 500
"""Calls of a batch then: what is written of them when the time is over counts."""
RECEIVED: Final = 20_000
"""Messages after which calls are written before the checkpoint."""
SLOW_SECONDS: Final = 2.0
"""A batch under way for longer lets reading wait."""

_log = logging.getLogger(__name__)


class Running(msgspec.Struct, frozen=True):
    """What a feed is given.

    name: what metrics and logs call the source. stop: set when it is to end in good order.
    """

    name: str
    correlation: Correlation
    rules: Rules
    writer: BatchWriter
    metrics: Metrics
    stop: threading.Event


class Feed:
    """The calls of one source on their way into the database.

    hold: how long a call may go on before it is written, in microseconds. together: one correlator for all parts.
    alive: when it last went round, on the monotonic clock. open: whether the source is. waits_for: what it needs before
    it gives anything; empty when it has begun.
    """

    def __init__(self, running: Running, *, hold: int, together: bool) -> None:
        self.running = running
        self.name = running.name
        self.alive = time.monotonic()
        self.open = False
        self.waits_for = ""
        self.tally = Tally()
        holding = Holding(running.correlation.linger, hold, running.correlation.memory)
        self.unwritten = Unwritten(running.rules, holding, together=together)
        self._taken = time.monotonic()
        self._told = (0, 0, 0, 0)
        running.metrics.note(self.name, self.tally.counts)

    def latest(self) -> int:
        """The last time that a time stamp may have, in microseconds UTC, unless it is absurd."""
        return time.time_ns() // 1000 + DAY

    def go_round(self) -> tuple[Batch, list[StoredPosition]] | None:
        """Write what is due, if it is time to; gives the batch that was written, once, and its fenced positions."""
        self.alive = time.monotonic()
        writer = self.running.writer
        settled = writer.settled()
        if settled is not None:
            self._fenced(settled[1])
        if not writer.busy:
            now = time.monotonic()
            elapsed = now - self._taken
            if self._is_time(elapsed):
                self._taken = now
                batch = self.unwritten.take(int(elapsed * 1_000_000))
                if batch:
                    writer.begin(batch)
                else:
                    self.running.metrics.checkpointed(self.name)
                self._tell()
        if settled is not None:
            self.running.metrics.checkpointed(self.name)
        return settled

    def _is_time(self, elapsed: float) -> bool:
        unwritten = self.unwritten
        return (
            elapsed * 1_000_000 >= self.running.correlation.checkpoint
            or unwritten.received >= RECEIVED
            or unwritten.memory_used > self.running.correlation.memory
        )

    @property
    def choked(self) -> bool:
        """Whether reading has to wait for the database."""
        writer = self.running.writer
        full = self.unwritten.memory_used > self.running.correlation.memory
        return writer.busy and (full or writer.busy_seconds > SLOW_SECONDS)

    def flush(self, parts: Iterable[Part] | None = None) -> list[StoredPosition]:
        """Step 7: write all that is in memory, the oldest first, as far as the time goes, and forget the parts.

        Gives the positions that were written.
        """
        end = time.monotonic() + FLUSH_SECONDS
        writer = self.running.writer
        parts = list(self.unwritten.parts if parts is None else parts)
        batches = None
        written: list[StoredPosition] = []
        while True:
            if not writer.wait(end - time.monotonic()):
                _log.warning(
                    "%s: no time is left to write %d calls; they will be read again", self.name, len(self.unwritten)
                )
                break
            settled = writer.settled()
            if settled is not None:
                self._fenced(settled[1])
                written += [each for each in settled[0].positions if each not in settled[1]]
            if batches is None:
                batches = self.unwritten.rest(FLUSH_CALLS, parts)
            batch = next(batches, None)
            if batch is None:
                break
            writer.begin(batch)
        self.unwritten.close(parts)
        self._tell()
        return written

    def _fenced(self, fenced: list[StoredPosition]) -> None:
        for each in fenced:
            _log.error(
                "%s: %s/%s was taken by another worker: its position %d of epoch %d is left out",
                self.name, each.source, each.partition, each.position, each.epoch,
            )  # fmt: skip

    def _tell(self) -> None:
        """Bring the metrics up to date."""
        metrics = self.running.metrics
        unwritten = self.unwritten
        metrics.open_calls.labels(self.name, "open").set(len(unwritten) - unwritten.ended)
        metrics.open_calls.labels(self.name, "ended").set(unwritten.ended)
        metrics.memory.labels(self.name).set(unwritten.memory_used)
        if unwritten.split and not self._told[0]:
            _log.warning(
                "%s: a Call-ID was met on two partitions: is the topic keyed by Call-ID? If not, set correlate ="
                ' "topic"; if partitions were added, it passes',
                self.name,
            )
        now = (unwritten.split, unwritten.late, unwritten.ahead, unwritten.early)
        counters = (metrics.split, metrics.late, metrics.ahead, metrics.early)
        for counter, count, before in zip(counters, now, self._told, strict=True):
            counter.labels(self.name).inc(count - before)
        self._told = now
