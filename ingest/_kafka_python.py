"""The consumer over kafka-python, from 3.0.12 on: earlier ones of version 3 stall on rebalance listeners.

kafka-python 3 runs its network on a thread of its own and calls rebalance listeners there, while `poll` waits. So the
listener only notes what is assigned, at a place to begin that is never read: paused, at offset 0. That also keeps
`poll` from asking the group for a committed offset.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.net.compat import KafkaNetClient
from kafka.structs import OffsetAndMetadata

from ._errors import IngestError, SourceRefused, SourceUnavailable
from ._kafka import Lost, Partition, Polled, codec_error, own_options
from ._values import Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

    from ._kafka import KafkaSettings, Revoke

_HOPELESS: Final = (
    kafka_errors.AuthorizationError,
    kafka_errors.KafkaConfigurationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.UnsupportedVersionError,
)

_REBALANCE_MS: Final = 5_000
"""How long one poll waits for a rebalance; the next goes on with it."""

_log = logging.getLogger(__name__)


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the client as ours. Others than its own come from records that can't be unpacked."""
    try:
        yield
    except IngestError:
        raise
    except kafka_errors.UnsupportedCodecError as error:
        words = str(error).split()
        codec = words[words.index("for") + 1] if "for" in words[:-1] else "a codec that is unknown"
        raise codec_error(codec) from error
    except _HOPELESS as error:
        raise SourceRefused(str(error)) from error
    except kafka_errors.KafkaError as error:
        raise SourceUnavailable(str(error)) from error
    except Exception as error:
        raise SourceUnavailable(f"records that can't be unpacked: {error!r}") from error


def _remembering_range() -> type[Any]:
    """The range assignor, except that a topic keeps the partitions it had while the client knows none of it.

    With 3.0.12 a leader that reads its metadata anew in a rebalance may know no partition, hand out none, and see no
    change afterwards: then all members stay without partitions.
    """
    known: dict[str, set[int]] = {}

    class Remembering:
        def __init__(self, cluster: Any) -> None:
            self._cluster = cluster

        def partitions_for_topic(self, topic: str) -> set[int] | None:
            partitions: set[int] | None = self._cluster.partitions_for_topic(topic)
            if partitions:
                known[topic] = partitions
            return partitions or known.get(topic)

    class RememberingRange(RangePartitionAssignor):  # type: ignore[misc]
        @classmethod
        def assign(cls, cluster: Any, members: Any) -> Any:
            return super().assign(Remembering(cluster), members)

    return RememberingRange


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes rebalances on, from the client's network thread."""

    def __init__(self, consumer: KafkaPythonConsumer) -> None:
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._consumer.revoked(revoked)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.given(assigned)


class KafkaPythonConsumer:
    """`Consumer` over kafka-python."""

    def __init__(self, settings: KafkaSettings, revoke: Revoke) -> None:
        self.joined = False
        self.assigned: set[Partition] = set()
        self.waiting: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        self._revoke = revoke
        self._raised: Exception | None = None
        options = own_options(
            settings,
            {
                "client_id": "sipcdr",
                "bootstrap_timeout_ms": 10_000,
                "metrics_enabled": False,
                # In Python a check costs ten times all else. librdkafka doesn't check either; TCP and brokers do.
                "check_crcs": False,
                "partition_assignment_strategy": [_remembering_range(), RoundRobinPartitionAssignor],
            },
            {
                "bootstrap_servers": list(settings.bootstrap),
                "group_id": settings.group,
                "enable_auto_commit": False,
                "auto_offset_reset": "none",
                "allow_auto_create_topics": False,
                "key_deserializer": None,
                "value_deserializer": None,
            },
        )
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile"):
            # The client would try again for ever, and say that no broker answers.
            if options.get(name) and not Path(options[name]).is_file():
                raise SourceRefused(f"the Kafka option {name} names no file: {options[name]}")
        with _opened(options.get("security_protocol", "PLAINTEXT") != "PLAINTEXT"):
            self.cluster = _cluster(options)
            self._client = _made(KafkaConsumer, options)
            listener = _Listener(self)
            if settings.pattern:
                self._client.subscribe(pattern=f"^({settings.pattern})$", listener=listener)
            else:
                self._client.subscribe(list(settings.topics), listener=listener)

    def poll(self, timeout: float, most: int) -> Polled:
        lost: list[Lost] = []
        found: dict[TopicPartition, list[Any]] = {}
        with _translated():
            self._finish_rebalance()
            try:
                found = self._client.poll(timeout_ms=int(timeout * 1000), max_records=most)
            except kafka_errors.OffsetOutOfRangeError as error:
                lost = self._lost(error.args[0])
            except kafka_errors.LogTruncationError as error:
                lost = self._lost(error.divergent_offsets)
        self._raise()
        if not found:
            return Polled({}, lost)
        now = time.time_ns() // 1000
        records: dict[Partition, Records] = {}
        for theirs, batch in found.items():
            partition = Partition(theirs.topic, theirs.partition)
            if partition not in self.waiting:
                # Records without a time have -1.
                records[partition] = Records(
                    [r.offset for r in batch],
                    [r.timestamp * 1000 if r.timestamp >= 0 else now for r in batch],
                    [r.key for r in batch],
                    [r.value for r in batch],
                    [r.headers for r in batch],
                )
                self._next[partition] = batch[-1].offset + 1
        return Polled(records, lost)

    def _finish_rebalance(self) -> None:
        """Wait until a rebalance that has begun is over.

        With 3.0.12 one whose end comes between two polls is begun anew, so that workers which are busy between polls
        never come to an end; and one that the group's leader began because partitions were added is forgotten when a
        poll's time ends in the middle of it, with heartbeats off. So it is asked for, and waited for, as a whole.
        """
        coordinator: Any = self._client._coordinator  # noqa: SLF001
        if coordinator.rejoining:
            coordinator.request_rejoin()
        if coordinator.need_rejoin():
            coordinator.poll(timeout_ms=_REBALANCE_MS)

    def _lost(self, offsets: Iterable[TopicPartition]) -> list[Lost]:
        partitions = {Partition(*theirs) for theirs in offsets} & self._next.keys()
        bounds = self.bounds(partitions)
        self._hold(partitions)
        return [Lost(partition, self._next.pop(partition), *bounds[partition]) for partition in sorted(partitions)]

    def _hold(self, partitions: Set[Partition]) -> None:
        for partition in partitions:
            self._client.pause(TopicPartition(*partition))
            self._client.seek(TopicPartition(*partition), 0)
            self.waiting.add(partition)

    def revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called by the listener."""
        partitions = {Partition(*theirs) for theirs in revoked} & self.assigned
        try:
            if partitions:
                self._revoke(partitions)
        except Exception as error:
            # Raised here, it would reach the client's network thread.
            self._raised = error
        self.joined = False
        for partition in partitions:
            self.assigned.discard(partition)
            self.waiting.discard(partition)
            self._next.pop(partition, None)

    def given(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by the listener."""
        partitions = {Partition(*theirs) for theirs in assigned}
        self.joined = True
        self.assigned |= partitions
        self._hold(partitions)

    def begin(self, offsets: Mapping[Partition, int]) -> None:
        with _translated():
            for partition, offset in offsets.items():
                # Between two polls the network thread assigns nothing.
                if partition in self.assigned:
                    self._client.seek(TopicPartition(*partition), offset)
                    self._client.resume(TopicPartition(*partition))
                    self._next[partition] = offset
                    self.waiting.discard(partition)

    def pause(self, partitions: Set[Partition]) -> None:
        self._client.pause(*(TopicPartition(*partition) for partition in partitions & self.assigned))

    def resume(self, partitions: Set[Partition]) -> None:
        ready = (partitions & self.assigned) - self.waiting
        self._client.resume(*(TopicPartition(*partition) for partition in ready))

    def lag(self) -> dict[Partition, int]:
        lag: dict[Partition, int] = {}
        for partition, offset in self._next.items():
            end = self._client.highwater(TopicPartition(*partition))
            if end is not None:
                lag[partition] = max(end - offset, 0)
        return lag

    def bounds(self, partitions: Set[Partition]) -> dict[Partition, tuple[int, int]]:
        theirs = [TopicPartition(*partition) for partition in partitions]
        with _translated():
            first, end = self._client.beginning_offsets(theirs), self._client.end_offsets(theirs)
            return {Partition(*each): (first[each], end[each]) for each in theirs}

    def offsets_at(self, time: int, partitions: Set[Partition]) -> dict[Partition, int]:
        with _translated():
            # The broker's times are milliseconds: the first that isn't before `time` is wanted.
            asked = {TopicPartition(*partition): max(-(-time // 1000), 0) for partition in partitions}
            found = self._client.offsets_for_times(asked)
            end = self._client.end_offsets([each for each in asked if found.get(each) is None])
            return {Partition(*each): found[each].offset if found.get(each) else end[each] for each in asked}

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        kept = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
            if partition in self.assigned
        }
        if kept:
            with suppress(kafka_errors.KafkaError):
                self._client.commit_async(kept, callback=_committed)

    def close(self) -> None:
        with _translated():
            self._client.close(autocommit=False, timeout_ms=5_000)
        self._raise()

    def _raise(self) -> None:
        if self._raised is not None:
            raised, self._raised = self._raised, None
            raise raised


def _committed(_: object, outcome: object) -> None:
    if isinstance(outcome, Exception):
        _log.debug("offsets were not committed to Kafka: %s", outcome)


@contextmanager
def _opened(is_secure: bool) -> Iterator[None]:
    """Errors while opening: what isn't the client's own there is a wrong setting, such as a file that isn't there.

    A broker that refuses a login ends the connection, and the client doesn't say why.
    """
    try:
        with _translated():
            yield
    except SourceUnavailable as error:
        if is_secure and isinstance(error.__cause__, kafka_errors.KafkaTimeoutError):
            raise SourceUnavailable(f"{error}: they are away, or refuse the login or the certificate") from error
        if isinstance(error.__cause__, kafka_errors.KafkaError):
            raise
        raise SourceRefused(f"a Kafka setting is wrong: {error.__cause__}") from error.__cause__


def _made(kind: type[Any], options: Mapping[str, Any]) -> Any:
    """A consumer or an administration client; one that can't begin is closed, which it doesn't do by itself."""
    networks: list[KafkaNetClient] = []

    def network(**settings: Any) -> KafkaNetClient:
        networks.append(KafkaNetClient(**settings))
        return networks[-1]

    try:
        return kind(**options, kafka_client=network)
    except BaseException:
        for each in networks:
            each.close()
        raise


def _cluster(options: Mapping[str, Any]) -> str:
    """The cluster's id, which only an administration client tells."""
    known = {name: value for name, value in options.items() if name in KafkaAdminClient.DEFAULT_CONFIG}
    admin = _made(KafkaAdminClient, known)
    try:
        return str(admin.describe_cluster()["cluster_id"])
    finally:
        admin.close()
