"""The consumer over confluent-kafka, which is librdkafka: several times as quick as kafka-python.

Its rebalance callbacks run inside `consume`, on the calling thread. An assignment that is empty to librdkafka still
holds the partitions in the group, so partitions wait without being read; `begin` assigns those that have an offset,
all of them each time, as the eager protocol has it.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from ._errors import SourceRefused, SourceUnavailable
from ._kafka import Lost, Partition, Polled, codec_error, own_options
from ._values import Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

    from confluent_kafka import Message

    from ._kafka import KafkaSettings, Revoke

_log = logging.getLogger(__name__)

_TIMEOUT: Final = 10.0
_LOST: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001
_HOPELESS: Final = (
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError._INVALID_ARG,  # noqa: SLF001
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
)


def _error(error: KafkaError) -> SourceRefused | SourceUnavailable:
    if error.code() in _HOPELESS:
        return SourceRefused(error.str())
    return SourceUnavailable(error.str())


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise _error(error.args[0]) from error


def _columns(messages: list[Message], now: int) -> Records:
    stamps = [each.timestamp() for each in messages]
    return Records(
        [each.offset() for each in messages],  # type: ignore[misc]
        [stamp * 1000 if kind != TIMESTAMP_NOT_AVAILABLE else now for kind, stamp in stamps],
        [each.key() for each in messages],
        [each.value() for each in messages],
        [each.headers() or () for each in messages],  # type: ignore[misc]
    )


class ConfluentConsumer:
    """`Consumer` over confluent-kafka."""

    def __init__(self, settings: KafkaSettings, revoke: Revoke) -> None:
        self.joined = False
        self.assigned: set[Partition] = set()
        self.waiting: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._revoke = revoke
        self._raised: Exception | None = None
        self._hopeless: KafkaError | None = None
        options = own_options(
            settings,
            {
                "client.id": "sipcdr",
                # For each partition; 64 MiB unless told otherwise.
                "queued.max.messages.kbytes": 8192,
            },
            {
                "bootstrap.servers": ",".join(settings.bootstrap),
                "group.id": settings.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": False,
                "allow.auto.create.topics": False,
                "error_cb": self._told,
                "logger": _log,
            },
        )
        try:
            self._client = Consumer(options)
            topics = [f"^({settings.pattern})$"] if settings.pattern else list(settings.topics)
            self._client.subscribe(topics, on_assign=self._given, on_revoke=self._revoked, on_lost=self._revoked)
        except (KafkaException, TypeError, ValueError) as error:
            known = error.args[0].str() if isinstance(error, KafkaException) else error
            raise SourceRefused(f"a Kafka setting is wrong: {known}") from error
        try:
            with _translated():
                self.cluster = str(self._client.list_topics(timeout=_TIMEOUT).cluster_id)
        except SourceUnavailable:
            self._client.close()
            if self._hopeless is not None:
                raise SourceRefused(self._hopeless.str()) from None
            raise

    def _told(self, error: KafkaError) -> None:
        """Called by the client on errors of no partition; only those that no retry mends are kept."""
        if error.fatal() or error.code() in _HOPELESS:
            self._hopeless = error

    def poll(self, timeout: float, most: int) -> Polled:
        with _translated():
            messages = self._client.consume(most, timeout)
        self._raise()
        if self._hopeless is not None:
            raise SourceRefused(self._hopeless.str())
        now = time.time_ns() // 1000
        runs: dict[Partition, list[Message]] = {}
        lost: list[Lost] = []
        errors: list[str] = []
        batch: list[Message] = []
        last: tuple[str | None, int | None] = (None, None)
        for message in messages:
            error = message.error()
            if error is not None:
                self._failed(message, error, lost, errors)
                continue
            here = (message.topic(), message.partition())
            if here != last:
                # Messages of a partition come in runs.
                last = here
                batch = runs.setdefault(Partition(*here), [])  # type: ignore[arg-type]
            batch.append(message)
        records = {partition: _columns(batch, now) for partition, batch in runs.items()}
        for partition, columns in records.items():
            self._next[partition] = columns.offsets[-1] + 1
        return Polled(records, lost, errors)

    def _failed(self, message: Message, error: KafkaError, lost: list[Lost], errors: list[str]) -> None:
        """An error in the place of a message."""
        partition = Partition(message.topic() or "", message.partition() or 0)
        if error.code() in _LOST and partition in self._next:
            offset = self._next.pop(partition)
            self.waiting.add(partition)
            lost.append(Lost(partition, offset, *self.bounds({partition})[partition]))
        elif error.code() == KafkaError._NOT_IMPLEMENTED:  # noqa: SLF001
            raise codec_error(error.str())
        elif error.fatal() or error.code() in _HOPELESS:
            raise SourceRefused(error.str())
        else:
            errors.append(f"{partition.topic}: {error.str()}")

    def _given(self, client: Consumer, assigned: list[TopicPartition]) -> None:
        partitions = {Partition(each.topic, each.partition) for each in assigned}
        self.joined = True
        self.assigned = partitions
        self.waiting = set(partitions)
        self._next.clear()
        self._paused.clear()
        client.assign([])

    def _revoked(self, client: Consumer, _: list[TopicPartition]) -> None:
        partitions = set(self.assigned)
        try:
            if partitions:
                self._revoke(partitions)
        except Exception as error:
            # Raised inside the client's callback it would be lost.
            self._raised = error
        self.joined = False
        self.assigned = set()
        self.waiting = set()
        self._next.clear()
        client.unassign()

    def begin(self, offsets: Mapping[Partition, int]) -> None:
        kept = {partition: offset for partition, offset in offsets.items() if partition in self.assigned}
        self._next.update(kept)
        self.waiting -= kept.keys()
        self._paused -= kept.keys()
        with _translated():
            self._client.assign([TopicPartition(*partition, offset) for partition, offset in self._next.items()])
            if self._paused:
                self._client.pause([TopicPartition(*partition) for partition in self._paused])

    def pause(self, partitions: Set[Partition]) -> None:
        read = partitions & self._next.keys()
        self._paused |= read
        with _translated():
            self._client.pause([TopicPartition(*partition) for partition in read])

    def resume(self, partitions: Set[Partition]) -> None:
        read = partitions & self._next.keys()
        self._paused -= read
        with _translated():
            self._client.resume([TopicPartition(*partition) for partition in read])

    def lag(self) -> dict[Partition, int]:
        lag: dict[Partition, int] = {}
        for partition, offset in self._next.items():
            with suppress(KafkaException):
                known = self._client.get_watermark_offsets(TopicPartition(*partition), cached=True)
                if known is not None and known[1] >= 0:
                    lag[partition] = max(known[1] - offset, 0)
        return lag

    def bounds(self, partitions: Set[Partition]) -> dict[Partition, tuple[int, int]]:
        first = self._listed(OFFSET_BEGINNING, partitions)
        end = self._listed(OFFSET_END, partitions)
        return {partition: (first[partition], end[partition]) for partition in partitions}

    def _listed(self, which: int, partitions: Set[Partition]) -> dict[Partition, int]:
        """Offsets by ListOffsets, whose special times are the logical offsets."""
        with _translated():
            answers = self._client.offsets_for_times(
                [TopicPartition(*partition, which) for partition in partitions], timeout=_TIMEOUT
            )
        for each in answers:
            if each.error is not None or each.offset < 0:
                raise SourceUnavailable(f"no answer about the offsets of {each.topic}: {each.error or each.offset}")
        return {Partition(each.topic, each.partition): each.offset for each in answers}

    def offsets_at(self, time: int, partitions: Set[Partition]) -> dict[Partition, int]:
        with _translated():
            asked = [TopicPartition(*partition, max(-(-time // 1000), 0)) for partition in partitions]
            answers = self._client.offsets_for_times(asked, timeout=_TIMEOUT)
        found: dict[Partition, int] = {}
        for each in answers:
            if each.error is not None:
                raise _error(each.error)
            partition = Partition(each.topic, each.partition)
            found[partition] = each.offset if each.offset >= 0 else self.bounds({partition})[partition][1]
        return found

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        kept = [
            TopicPartition(*partition, offset) for partition, offset in offsets.items() if partition in self.assigned
        ]
        if kept:
            with suppress(KafkaException):
                self._client.commit(offsets=kept, asynchronous=True)

    def close(self) -> None:
        with _translated():
            self._client.close()
        self._raise()

    def _raise(self) -> None:
        if self._raised is not None:
            raised, self._raised = self._raised, None
            raise raised
