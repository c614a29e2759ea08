"""From Kafka into the database: nothing lost, nothing twice.

1. A partition that is assigned waits. In one transaction it takes its next Epoch, which fences the worker that had it,
   and its position is read; one that the database doesn't know begins as `start` says, and has that stored. Kafka is
   told the position, as it may have been written by one that went without telling it.
2. Records from there on become messages, which go to the partition's correlator, or dead letters. For each call in
   memory the first offset that isn't written is known.
3. At the checkpoint the calls that are due leave memory, and their offsets are forgotten. A partition's position is
   then the least offset that is left, or the next to be read: every message before it is in calls that are written, or
   are about to be.
4. Dead letters are flushed, before a position passes them.
5. The calls are written (the steps of `write_calls`), and in the last of their transactions the positions; one whose
   Epoch is old is left out. Reading goes on meanwhile, but the next batch begins when this one is committed. A database
   that is away, or slow, lets the partitions pause; the membership in the group stays.
6. Kafka is told the positions, for tools that show lag. A partition whose position was left out is read no further.
7. Before partitions go to others, or at the end: what is in memory is written like that, the oldest first, as far as
   time goes, and what is left is forgotten. Whoever has them next reads it again. Kafka is told by whoever begins with
   them (step 1); only at the end, when there may be nobody, at once.

A crash between any two of these leaves positions whose messages are all in the database; what is read again is joined
with what is there, which changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipcdr.ingest import IngestError, KafkaSettings, Partition, SourceUnavailable, Values, open_consumer

from ._dead_letters import Letter, letters_of
from ._feed import Feed
from ._settings import EARLIEST, LATEST
from ._unwritten import Part

if TYPE_CHECKING:
    from concurrent.futures import Future

    from sipcdr.ingest import Consumer, Lost, Records
    from sipcdr.sinks import StoredPosition

    from ._feed import Running
    from ._settings import KafkaSource

_POLL: Final = 0.2
_MOST: Final = 2000
"""Records of a poll."""
_STALL_SECONDS: Final = 30.0
"""Lag without progress for so long is an error."""
_DOUBT_SECONDS: Final = 8.0
"""A client that gives nothing for so long, and says that there is nothing, isn't believed any more; with lag it is told
again where to read. librdkafka is known to leave a partition unread, seldom, after a broker came back (#5153) and when
it is paused in the moment in which it is assigned (#2190, #5591); 2.16.0 did neither in a hundred kills of a broker."""
_LOOK_SECONDS: Final = 2.0
_BACK_OFF: Final = 30.0
_SOURCE: Final = 255
"""Characters of a source's name in the database."""

_log = logging.getLogger(__name__)


class KafkaFeed:
    """One Kafka source.

    back: the time, in microseconds UTC, to which each partition is set back when it first comes; None for none.
    """

    def __init__(self, source: KafkaSource, running: Running, *, key: bytes | None, back: int | None) -> None:
        self.feed = Feed(running, hold=running.correlation.hold, together=source.correlate == "topic")
        self._source = source
        self._settings = KafkaSettings(
            bootstrap=source.bootstrap,
            group=source.group,
            topics=source.topics,
            pattern=source.pattern,
            client=source.client,
            options=source.options,
        )
        self._values = Values(self.feed.tally, form=source.value, names=source.json, headers=source.headers, key=key)
        self._metrics = running.metrics
        self._writer = running.writer
        self._back = back
        self._set_back: set[Partition] = set()
        self._cluster = ""
        self._topics: dict[str, str] = {}
        self._assigning: dict[str, Future[list[StoredPosition]]] | None = None
        self._paused = False
        self._looked = 0.0
        self._progress: dict[Partition, tuple[int, float]] = {}
        self._told_again: set[Partition] = set()

    def run(self) -> None:
        """Read until `stop`. Raises SourceRefused, and what writing raises."""
        wait = 1.0
        stop = self.feed.running.stop
        while not stop.is_set():
            began = time.monotonic()
            try:
                self._read(open_consumer(self._settings, self._revoked))
            except SourceUnavailable as error:
                _log.error("%s: %s", self.feed.name, error)
                wait = 1.0 if time.monotonic() - began > 2 * _BACK_OFF else min(2 * wait, _BACK_OFF)
                self.feed.alive = time.monotonic()
                stop.wait(wait)

    def _read(self, consumer: Consumer) -> None:
        self._cluster = consumer.cluster
        self._paused = False
        self._assigning = None
        self._set_open(True)
        try:
            while not self.feed.running.stop.is_set():
                self._go_round(consumer)
            # 7.
            consumer.commit({self._partition(each): each.position for each in self.feed.flush()})
        finally:
            self._set_open(False)
            try:
                consumer.close()
            except IngestError as error:
                _log.warning("%s: %s", self.feed.name, error)
            finally:
                self._revoked(set())

    def _go_round(self, consumer: Consumer) -> None:
        polled = consumer.poll(_POLL, _MOST)
        for error in polled.errors:
            _log.warning("%s: %s", self.feed.name, error)
        for lost in polled.lost:
            self._lost(consumer, lost)
        for partition, records in polled.records.items():
            self._take_in(partition, records)
        self._assign(consumer)
        settled = self.feed.go_round()
        if settled is not None:
            # 6.
            batch, fenced = settled
            known = {self._partition(each): each for each in batch.positions}
            late = {self._partition(each): each for each in fenced}
            consumer.commit({key: each.position for key, each in known.items() if key not in late})
            gone = {
                key for key, each in late.items()
                if self._part(key) in self.feed.unwritten and self.feed.unwritten.epoch(self._part(key)) == each.epoch
            }  # fmt: skip
            if gone:
                consumer.pause(gone)
                self.feed.unwritten.close(map(self._part, gone))
        has_begun = consumer.joined and not consumer.waiting and self._assigning is None
        self.feed.waits_for = "" if has_begun else "its partitions"
        self._flow(consumer)
        self._look(consumer)

    def _take_in(self, partition: Partition, records: Records) -> None:
        # 2.
        part = self._part(partition)
        if part not in self.feed.unwritten:
            return  # it was fenced
        messages, poison = self._values.messages(records, partition.topic, str(partition.number))
        self.feed.unwritten.receive(part, messages, records.offsets[-1] + 1, self.feed.latest())
        self._metrics.records.labels(self.feed.name).inc(len(records))
        self._metrics.received(self.feed.name, messages)
        if poison:
            self.feed.unwritten.letters += letters_of(poison, partition.topic, str(partition.number))
            self._metrics.dead_letters.labels(self.feed.name).inc(len(poison))

    def _assign(self, consumer: Consumer) -> None:
        """Step 1, in two halves: ask the database, and begin when it has answered."""
        waiting = consumer.waiting
        if self._assigning is None:
            new = {partition for partition in waiting if self._part(partition) not in self.feed.unwritten}
            if new:
                self._assigning = {}
                for back in (False, True):
                    some = {each for each in new if (self._back is not None and each not in self._set_back) == back}
                    starts = self._starts(consumer, some, back=back)
                    for topic in {each.topic for each in some}:
                        of_topic = {str(each.number): start for each, start in starts.items() if each.topic == topic}
                        self._assigning[f"{topic} {back}"] = self._writer.assign(
                            self._source_of(topic), of_topic, anew=back
                        )
            return
        if not all(future.done() for future in self._assigning.values()):
            return
        taken = [each for future in self._assigning.values() for each in future.result()]
        self._assigning = None
        now = time.monotonic()
        offsets = {}
        for each in taken:
            partition = self._partition(each)
            if partition in waiting:
                self.feed.unwritten.open(
                    Part(each.source, each.partition), each.epoch, each.position, parts=len(consumer.assigned)
                )
                offsets[partition] = each.position
                self._set_back.add(partition)
                self._progress[partition] = (each.position, now)
        _log.info(
            "%s: reads %s", self.feed.name,
            ", ".join(f"{topic}/{number} from {offset}" for (topic, number), offset in sorted(offsets.items())),
        )  # fmt: skip
        consumer.begin(offsets)
        consumer.commit(offsets)
        self._paused = False

    def _starts(self, consumer: Consumer, partitions: set[Partition], *, back: bool) -> dict[Partition, int]:
        """Where partitions begin that the database doesn't know, or that are set back."""
        if not partitions:
            return {}
        start = self._back if back and self._back is not None else int(self._source.start)
        if start in (EARLIEST, LATEST):
            return {each: bounds[start == LATEST] for each, bounds in consumer.bounds(partitions).items()}
        return consumer.offsets_at(start, partitions)

    def _lost(self, consumer: Consumer, lost: Lost) -> None:
        """Go on behind a gap, which is kept with the dead letters."""
        part = self._part(lost.partition)
        topic, number = lost.partition
        if part not in self.feed.unwritten:
            return
        count = lost.first - lost.offset
        reason = (
            f"offsets {lost.offset} to {lost.first - 1} were lost to retention before they were read"
            if count > 0
            else f"offset {lost.offset} is behind the end {lost.next}: the topic was cut or made anew"
        )
        _log.error("%s: %s/%d: %s", self.feed.name, topic, number, reason)
        self._metrics.lost.labels(self.feed.name).inc(max(count, 0))
        self.feed.unwritten.letters.append(
            Letter(source=topic, partition=str(number), offset=lost.offset, time=time.time_ns() // 1000, reason=reason)
        )
        self.feed.unwritten.skip(part, lost.first)
        consumer.begin({lost.partition: lost.first})

    def _revoked(self, partitions: set[Partition]) -> None:
        """Step 7; with kafka-python on another thread, while `poll` or `close` waits for it. Clients revoke all."""
        self._assigning = None
        self._progress.clear()
        if self.feed.unwritten.parts:
            self.feed.flush()
        if partitions:
            _log.info("%s: gave up %d partitions", self.feed.name, len(partitions))

    def _flow(self, consumer: Consumer) -> None:
        """Let partitions wait for the database, or go on."""
        choked = self.feed.choked
        if choked != self._paused:
            self._paused = choked
            read = {each for each in consumer.assigned if self._part(each) in self.feed.unwritten}
            (consumer.pause if choked else consumer.resume)(read)
            self._metrics.paused.labels(self.feed.name).set(choked)

    def _look(self, consumer: Consumer) -> None:
        """Tell the lag, and notice when there is no progress."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        read = {each for each in consumer.assigned if self._part(each) in self.feed.unwritten}
        offsets = {each: self.feed.unwritten.next(self._part(each)) for each in read}
        lags = consumer.lag()
        doubted = set(read) if self._paused else set()
        for partition, offset in offsets.items():
            before, since = self._progress.get(partition, (-1, now))
            if offset != before or self._paused:
                self._progress[partition] = (offset, now)
                self._told_again.discard(partition)
            elif now - since > _DOUBT_SECONDS and not lags.get(partition):
                doubted.add(partition)
        if doubted:
            # What isn't fetched, for whatever reason, has no news of the end: the brokers are asked.
            with suppress(SourceUnavailable):
                for partition, (_, end) in consumer.bounds(doubted).items():
                    lags[partition] = max(end - offsets[partition], 0)
                    if not lags[partition]:
                        self._progress[partition] = (offsets[partition], now)
        self._metrics.lag.clear()
        for partition, lag in lags.items():
            self._metrics.lag.labels(partition.topic, partition.number).set(lag)
            since = self._progress.get(partition, (-1, now))[1]
            if lag and now - since > _DOUBT_SECONDS and partition not in self._told_again and partition in offsets:
                _log.warning("%s: %s/%d gives nothing and is begun again", self.feed.name, *partition)
                self._told_again.add(partition)
                consumer.begin({partition: offsets[partition]})
            if lag and now - since > _STALL_SECONDS:
                self._metrics.stalls.labels(self.feed.name).inc()
                self._progress.clear()
                raise SourceUnavailable(
                    f"{partition.topic}/{partition.number} has {lag} records and gave none for {now - since:.0f} s;"
                    " beginning anew"
                )

    def _set_open(self, is_open: bool) -> None:
        self.feed.open = is_open
        self.feed.waits_for = "its partitions"
        self._metrics.source_up.labels(self.feed.name).set(is_open)

    def _source_of(self, topic: str) -> str:
        """What the database calls a topic: topics of two clusters are two."""
        source = f"{self._cluster} {topic}"
        if len(source) > _SOURCE:
            source = f"{self._cluster} {hashlib.sha256(topic.encode()).hexdigest()}"
        self._topics[source] = topic
        return source

    def _part(self, partition: Partition) -> Part:
        return Part(self._source_of(partition.topic), str(partition.number))

    def _partition(self, position: StoredPosition) -> Partition:
        return Partition(self._topics[position.source], int(position.partition))
