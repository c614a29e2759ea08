"""Consumers of a real broker, over both clients."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from sipcdr.ingest import KafkaSettings, Partition, SourceRefused, SourceUnavailable, open_consumer
from sipcdr.ingest._kafka_python import _remembering_range
from tests.servers import Kafka, ServerError, kafka
from tests.tools import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipcdr.ingest import Consumer, Polled, Record

PATIENCE = 90.0
QUICK = {
    "kafka-python": {"session_timeout_ms": 10_000, "heartbeat_interval_ms": 300, "metadata_max_age_ms": 500},
    "confluent": {
        "session.timeout.ms": 10_000, "heartbeat.interval.ms": 300, "topic.metadata.refresh.interval.ms": 500,
        "reconnect.backoff.max.ms": 500,
    },
}  # fmt: skip


# kafka-python leaves sockets of connections that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collects what a test left behind while warnings of it are ignored."""
    yield
    gc.collect()


@pytest.fixture
def topic(broker: Kafka, request: pytest.FixtureRequest) -> str:
    """A fresh topic of two partitions, named after the test."""
    name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name)
    make_topic(broker, name)
    return name


def make_topic(broker: Kafka, name: str, partitions: int = 2) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
        admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])


def send(broker: Kafka, topic: str, values: list[bytes | None], *, partition: int = 0, **options: Any) -> None:
    """Values with the times 1,000 ms, 2,000 ms, … in their order."""
    at = options.pop("at", 1)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", max_request_size=16_000_000, **options)
    sent = [
        producer.send(topic, value, key=b"k", partition=partition, timestamp_ms=1000 * (at + number))
        for number, value in enumerate(values)
    ]
    for each in sent:
        each.get(timeout=20)
    producer.close()


@contextmanager
def member(
    broker: Kafka, client: str, group: str, revoke: Callable[[set[Partition]], None] = lambda _: None, **changed: Any
) -> Iterator[Consumer]:
    settings = {"bootstrap": [broker.bootstrap], "group": group, "client": client, "options": QUICK[client]}
    consumer = open_consumer(KafkaSettings(**{**settings, **changed}), revoke)
    try:
        yield consumer
    finally:
        consumer.close()


def until(consumer: Consumer, done: Callable[[], bool]) -> list[Polled]:
    """Poll until it is done."""
    polled = []
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "the consumer is stuck"
        polled.append(consumer.poll(0.1, 500))
    return polled


@contextmanager
def beside(consumer: Consumer) -> Iterator[None]:
    """Poll a member in a thread of its own, as if it were another worker."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            consumer.poll(0.1, 500)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the other consumer is stuck"


def read(consumer: Consumer, count: int) -> dict[Partition, list[Record]]:
    """Poll until so many records are there, then once more, for those that there shouldn't be."""
    found: dict[Partition, list[Record]] = {}
    end = time.monotonic() + PATIENCE
    extra = 2
    while extra:
        assert time.monotonic() < end, f"{found} of {count} records came; {consumer.waiting} wait"
        for partition, records in consumer.poll(0.3, 500).records.items():
            found.setdefault(partition, []).extend(records)
        extra -= sum(map(len, found.values())) >= count
    assert sum(map(len, found.values())) == count
    return found


def see(consumer: Consumer) -> set[Partition]:
    """Read all that a member has, as the daemon does it: begin whatever waits, which may come more than once."""
    seen: set[Partition] = set()
    end = time.monotonic() + PATIENCE
    while seen != consumer.assigned:
        assert time.monotonic() < end, "the consumer is stuck"
        consumer.begin(dict.fromkeys(consumer.waiting, 0))
        seen |= consumer.poll(0.1, 500).records.keys()
    return seen


def begin(consumer: Consumer, offset: int = 0, partitions: int = 2) -> None:
    until(consumer, lambda: len(consumer.waiting) == partitions)
    consumer.begin(dict.fromkeys(consumer.waiting, offset))


def test_records_come_whole_and_in_order(broker: Kafka, client: str, topic: str) -> None:
    """Offsets, times, keys, values, tombstones and empty values; nothing is read before `begin`."""
    send(broker, topic, [b"one", None, b"", b"four"])
    send(broker, topic, [b"other"], partition=1)
    with member(broker, client, topic, topics=[topic]) as consumer:
        until(consumer, lambda: len(consumer.waiting) == 2)
        assert [consumer.poll(0.2, 500).records for _ in range(3)] == [{}, {}, {}]
        begin(consumer)
        found = read(consumer, 5)
        first = found[Partition(topic, 0)]
        assert [(r.offset, r.time, r.key, r.value) for r in first] == [
            (0, 1_000_000, b"k", b"one"), (1, 2_000_000, b"k", None),
            (2, 3_000_000, b"k", b""), (3, 4_000_000, b"k", b"four"),
        ]  # fmt: skip
        assert all(type(r.value) is bytes for r in first if r.value is not None)
        assert [r.value for r in found[Partition(topic, 1)]] == [b"other"]
        assert consumer.cluster
        assert consumer.lag() == {Partition(topic, 0): 0, Partition(topic, 1): 0}
        assert consumer.waiting == set()


def test_where_to_begin_is_ours_to_say(broker: Kafka, client: str, topic: str) -> None:
    """Any offset, again and again; what Kafka has as committed means nothing to us."""
    send(broker, topic, [b"%d" % number for number in range(10)])
    first = Partition(topic, 0)
    with member(broker, client, topic, topics=[topic]) as consumer:
        begin(consumer, 0)
        assert [r.offset for r in read(consumer, 10)[first]] == list(range(10))
        consumer.commit({first: 10})
        consumer.begin({first: 7})
        assert [r.offset for r in read(consumer, 3)[first]] == [7, 8, 9]
    with member(broker, client, topic, topics=[topic]) as consumer:
        begin(consumer, 4)
        assert [r.offset for r in read(consumer, 6)[first]] == [4, 5, 6, 7, 8, 9]


def test_offsets_are_committed_for_tools(broker: Kafka, client: str, topic: str) -> None:
    """What a tool asks the group for is what was committed last."""
    send(broker, topic, [b"1", b"2", b"3"])
    with member(broker, client, topic, topics=[topic]) as consumer:
        begin(consumer)
        read(consumer, 3)
        consumer.commit({Partition(topic, 0): 2})
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
            shown: dict[TopicPartition, Any] = {}
            until(consumer, lambda: bool(shown.update(admin.list_group_offsets({topic: None})[topic]) or shown))
        assert shown[TopicPartition(topic, 0)].offset == 2


def test_a_paused_partition_gives_nothing_and_stays_ours(broker: Kafka, client: str, topic: str) -> None:
    """Beyond the session timeout; other partitions go on, and after `resume` nothing is missing."""
    first, second = Partition(topic, 0), Partition(topic, 1)
    session = {"session_timeout_ms" if client == "kafka-python" else "session.timeout.ms": 6000}
    with member(broker, client, topic, topics=[topic], options={**QUICK[client], **session}) as consumer:
        begin(consumer)
        consumer.pause({first})
        send(broker, topic, [b"1", b"2"])
        send(broker, topic, [b"3"], partition=1)
        assert read(consumer, 1).keys() == {second}
        end = time.monotonic() + 8
        while time.monotonic() < end:
            assert consumer.poll(0.3, 500).records == {}
        assert consumer.assigned == {first, second}
        consumer.resume({first})
        assert [r.value for r in read(consumer, 2)[first]] == [b"1", b"2"]


def test_lag_counts_what_is_still_to_be_given(broker: Kafka, client: str, topic: str) -> None:
    """With a small batch taken, the rest is lag."""
    send(broker, topic, [b"%d" % number for number in range(100)])
    first = Partition(topic, 0)
    with member(broker, client, topic, topics=[topic]) as consumer:
        begin(consumer)
        taken = 0
        end = time.monotonic() + PATIENCE
        while not taken and time.monotonic() < end:
            taken = len(consumer.poll(0.3, 30).records.get(first, ()))
        assert 0 < taken <= 30
        consumer.pause({first})
        until(consumer, lambda: consumer.lag().get(first) == 100 - taken)


def test_bounds_and_times_give_offsets(broker: Kafka, client: str, topic: str) -> None:
    """The first record at or after a time, to the microsecond; the end for a time behind all."""
    send(broker, topic, [b"1", b"2", b"3"])
    first, second = Partition(topic, 0), Partition(topic, 1)
    with member(broker, client, topic, topics=[topic]) as consumer:
        until(consumer, lambda: len(consumer.waiting) == 2)
        assert consumer.bounds({first, second}) == {first: (0, 3), second: (0, 0)}
        assert consumer.offsets_at(2_000_000, {first, second}) == {first: 1, second: 0}
        assert consumer.offsets_at(2_000_001, {first}) == {first: 2}
        assert consumer.offsets_at(9_000_000, {first}) == {first: 3}
        assert consumer.offsets_at(-5, {first}) == {first: 0}


def test_an_offset_lost_to_retention_is_told(broker: Kafka, client: str, topic: str) -> None:
    """Never skipped: the partition waits, with what was lost and what is there; the other one goes on."""
    first, second = Partition(topic, 0), Partition(topic, 1)
    send(broker, topic, [b"%d" % number for number in range(10)])
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
        admin.delete_records({TopicPartition(topic, 0): 6})
    with member(broker, client, topic, topics=[topic]) as consumer:
        until(consumer, lambda: len(consumer.waiting) == 2)
        consumer.begin({first: 2, second: 0})
        lost = [each for polled in until(consumer, lambda: first in consumer.waiting) for each in polled.lost]
        assert [(each.partition, each.offset, each.first, each.next) for each in lost] == [(first, 2, 6, 10)]
        send(broker, topic, [b"other"], partition=1)
        assert read(consumer, 1).keys() == {second}
        consumer.begin({first: 6})
        assert [r.offset for r in read(consumer, 4)[first]] == [6, 7, 8, 9]


def test_an_offset_beyond_the_end_is_told(broker: Kafka, client: str, topic: str) -> None:
    """A topic that was made anew has fewer records than were read of the old one."""
    first = Partition(topic, 0)
    send(broker, topic, [b"1", b"2"])
    with member(broker, client, topic, topics=[topic]) as consumer:
        until(consumer, lambda: len(consumer.waiting) == 2)
        consumer.begin({first: 50, Partition(topic, 1): 0})
        lost = [each for polled in until(consumer, lambda: first in consumer.waiting) for each in polled.lost]
        assert [(each.offset, each.first, each.next) for each in lost] == [(50, 0, 2)]
        consumer.begin({first: 2})
        send(broker, topic, [b"3"], at=3)
        assert [r.value for r in read(consumer, 1)[first]] == [b"3"]


@pytest.mark.parametrize("second", ["kafka-python", "confluent"])
def test_a_group_shares_and_hands_over(broker: Kafka, client: str, topic: str, second: str) -> None:
    """A second worker of either client takes a partition, once the first has written; it goes, and gives it back."""
    revoked: list[set[Partition]] = []
    both = {Partition(topic, 0), Partition(topic, 1)}
    send(broker, topic, [b"0"])
    send(broker, topic, [b"1"], partition=1)
    with member(broker, client, topic, lambda partitions: revoked.append(set(partitions)), topics=[topic]) as one:
        begin(one)
        with member(broker, second, topic, topics=[topic]) as other:
            with beside(other):
                until(one, lambda: len(one.assigned) == 1 and len(other.assigned) == 1)
            assert revoked[0] == both
            assert see(one) | see(other) == both
            assert one.assigned | other.assigned == both
        until(one, lambda: one.assigned == both)
        assert see(one) == both
    assert revoked[-1] == both


def test_partitions_that_the_client_forgets_for_a_moment_stay_assigned() -> None:
    """A leader of kafka-python that reads its metadata anew in a rebalance hands out the partitions it knew."""

    class Cluster:
        partitions: set[int] | None = None

        def partitions_for_topic(self, topic: str) -> set[int] | None:
            return self.partitions

    members = [
        SimpleNamespace(member_id=member, group_instance_id=None, metadata=SimpleNamespace(topics=["t"]))
        for member in ("a", "b")
    ]
    assignor = _remembering_range()
    for partitions in ({0, 1}, None):
        Cluster.partitions = partitions
        handed_out = assignor.assign(Cluster(), members)
        assert handed_out["a"].assigned_partitions == [("t", [0])]
        assert handed_out["b"].assigned_partitions == [("t", [1])]


def test_what_revoke_raises_comes_out_of_poll(broker: Kafka, client: str, topic: str) -> None:
    """It isn't lost in the client's own threads, and the group isn't stuck on it."""

    def revoke(_: set[Partition]) -> None:
        raise RuntimeError("can't write")

    consumer = open_consumer(
        KafkaSettings(bootstrap=[broker.bootstrap], group=topic, client=client, topics=[topic]), revoke  # type: ignore[arg-type]
    )  # fmt: skip
    begin(consumer)
    with pytest.raises(RuntimeError, match="can't write"):
        consumer.close()


def test_topics_by_pattern(broker: Kafka, client: str, topic: str) -> None:
    """A pattern fits whole names, and a topic that is made later is found."""
    make_topic(broker, f"{topic}.1", partitions=1)
    with member(broker, client, topic, pattern=rf"{topic}\.[0-9]+") as consumer:
        begin(consumer, partitions=1)
        make_topic(broker, f"{topic}.2", partitions=1)
        wanted = {Partition(f"{topic}.1", 0), Partition(f"{topic}.2", 0)}
        until(consumer, lambda: consumer.waiting == wanted)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_values(broker: Kafka, client: str, topic: str, codec: str) -> None:
    """Each codec that producers use, with values of 10 MB among them."""
    values: list[bytes | None] = [b"short", bytes(10_000_000), b"short again"]
    send(broker, topic, values, compression_type=codec)
    with member(broker, client, topic, topics=[topic]) as consumer:
        begin(consumer)
        assert [r.value for r in read(consumer, 3)[Partition(topic, 0)]] == values


@pytest.mark.parametrize("codec", ["snappy", "lz4"])
def test_a_codec_without_its_package_is_named(
    broker: Kafka, topic: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which extra to install."""
    send(broker, topic, [b"x" * 1000] * 3, compression_type=codec)
    monkeypatch.setattr(f"kafka.codec.{codec}", None)
    with member(broker, "kafka-python", topic, topics=[topic]) as consumer:
        begin(consumer)
        with pytest.raises(SourceRefused, match=rf"compressed with {codec}.*sipcdr\[codecs\]"):
            until(consumer, lambda: False)


def test_a_broker_that_is_away(client: str) -> None:
    """Nobody at the address: unavailable, which may end; what was tried leaves no thread and no socket behind."""
    options = {"bootstrap_timeout_ms": 500} if client == "kafka-python" else {}
    settings = KafkaSettings(bootstrap=["127.0.0.1:1"], group="g", topics=["t"], client=client, options=options)  # type: ignore[arg-type]
    threads = threading.active_count()
    with pytest.raises(SourceUnavailable):
        open_consumer(settings, lambda _: None)
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("client", "options"),
    [
        ("kafka-python", {"no_such_option": 1}),
        ("kafka-python", {"enable_auto_commit": True}),
        ("kafka-python", {"security_protocol": "SSL", "ssl_cafile": "no-such-file"}),
        ("confluent", {"no.such.option": 1}),
        ("confluent", {"auto.offset.reset": "latest"}),
        ("confluent", {"security.protocol": "SSL", "ssl.ca.location": "no-such-file"}),
    ],
)
def test_wrong_options_are_refused(broker: Kafka, client: str, options: dict[str, Any]) -> None:
    """An option that the client doesn't know, or that would lose records, says so at once."""
    settings = KafkaSettings(bootstrap=[broker.bootstrap], group="g", topics=["t"], client=client, options=options)  # type: ignore[arg-type]
    with pytest.raises(SourceRefused):
        open_consumer(settings, lambda _: None)


def test_a_broker_that_comes_back(client: str) -> None:
    """Killed and started again: the consumer goes on where it was, and misses nothing."""
    try:
        with kafka() as server:
            make_topic(server, "t", 1)
            send(server, "t", [b"1"])
            with member(server, client, "g", topics=["t"]) as consumer:
                begin(consumer, partitions=1)
                read(consumer, 1)
                server.kill()
                for _ in range(5):
                    assert consumer.poll(0.1, 500).records == {}
                server.start()
                send(server, "t", [b"2"], at=2)
                found: list[bytes | None] = []
                end = time.monotonic() + PATIENCE
                while found != [b"2"]:
                    assert time.monotonic() < end
                    if consumer.waiting:
                        consumer.begin(dict.fromkeys(consumer.waiting, 1))
                    for records in consumer.poll(0.2, 500).records.values():
                        found += [r.value for r in records]
    except ServerError as error:
        missing(str(error))
