"""`sipcdr spark run` beside a real Kafka: the rows are a replay's, whatever is killed and however topics are keyed."""

from __future__ import annotations

import random
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.app.daemon import FIXTURES, capture, kafka_source, make_topic, messages_of, replayed, send, wait_for, written
from tests.app.spark import SparkDaemon, needed
from tests.servers import ServerError, connector, kafka
from tests.tools import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Kafka

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

MESSAGES = 6_000
PARTITIONS = 3
SHIPPED = ("demo", "transferred", "forked", "redirected", "proxied", "skype", "chat", "adds-video")


@pytest.fixture(scope="module")
def broker() -> Iterator[Kafka]:
    needed()
    try:
        connector()
        with kafka() as server:
            yield server
    except ServerError as error:
        missing(str(error))


def ends(broker: Kafka, topic: str) -> dict[str, int]:
    """Where each partition of a topic ends."""
    with closing(KafkaConsumer(bootstrap_servers=broker.bootstrap, metrics_enabled=False)) as consumer:
        found = consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
    return {str(partition.partition): end for partition, end in found.items() if end}


def test_random_keys_and_a_driver_killed_twice(broker: Kafka, tmp_path: Path) -> None:
    """A call's messages on all partitions, kill -9 in the middle: a replay's rows; SIGTERM ends it."""
    paths = [capture(tmp_path / "exchange.pcap", MESSAGES), *(FIXTURES / f"{name}.pcap" for name in SHIPPED)]
    messages = messages_of(paths)
    make_topic(broker.bootstrap, "random", PARTITIONS)
    chance = random.Random(3)
    url = f"sqlite:///{tmp_path}/spark.db"
    # Batches so small that there are many.
    daemon = SparkDaemon(tmp_path / "d", url, kafka_source(broker.bootstrap, "random"), records=1500)
    sender = threading.Thread(
        target=send,
        args=(broker.bootstrap, "random", messages),
        kwargs={"seconds": 20, "key": lambda _: chance.randbytes(8)},
        daemon=True,
    )
    sender.start()
    try:
        for _ in range(2):
            daemon.start()
            wait_for(lambda: daemon.figure("sipcdr_calls_total", "written") > 0, "calls", [daemon])
            daemon.kill()
        daemon.start()
        sender.join(60)
        assert not sender.is_alive()
        wait_for(lambda: daemon.committed() == ends(broker, "random"), "the end", [daemon])
        wait_for(lambda: daemon.figures().get('sipcdr_source_up{source="kafka-0"}') == 1, "the source", [daemon])
        assert daemon.get("/healthz") == (200, "ok\n")
        status, seconds = daemon.stop()
        assert (status, seconds < 30) == (0, True), daemon.tail()
    finally:
        daemon.kill()
    expected = replayed(paths, tmp_path, messages)
    assert len(expected) > MESSAGES / 12
    assert written(url, messages) == expected
