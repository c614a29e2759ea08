"""`sipcdr spark run` beside a real Kafka: the rows are a replay's, whatever is killed and however topics are keyed."""

from __future__ import annotations

import random
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaAdminClient, TopicPartition

from sipcdr.app._dead_letters import letters_in_file
from tests.app.daemon import FIXTURES, capture, kafka_source, make_topic, messages_of, replayed, send, wait_for, written
from tests.app.spark import PATIENCE, SparkDaemon, ends, needed
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


def test_random_keys_and_a_driver_killed_twice(broker: Kafka, tmp_path: Path) -> None:
    """A call's messages on all partitions, kill -9 in the middle: a replay's rows; SIGTERM ends it.

    Of another topic, retention takes messages while nothing runs: that is told, and what stands behind them is read.
    """
    paths = [capture(tmp_path / "exchange.pcap", MESSAGES), *(FIXTURES / f"{name}.pcap" for name in SHIPPED)]
    messages = messages_of(paths)
    early, lost, late = (messages_of([FIXTURES / f"{name}.pcap"]) for name in ("answered", "cancelled", "busy"))
    make_topic(broker.bootstrap, "random", PARTITIONS)
    make_topic(broker.bootstrap, "lost", 1)
    send(broker.bootstrap, "lost", early)
    chance = random.Random(3)
    url = f"sqlite:///{tmp_path}/spark.db"
    source = kafka_source(broker.bootstrap, "random").replace('["random"]', '["random", "lost"]')
    # Batches so small that there are many.
    daemon = SparkDaemon(tmp_path / "d", url, source, records=1500)
    sender = threading.Thread(
        target=send,
        args=(broker.bootstrap, "random", messages),
        kwargs={"seconds": 10, "key": lambda _: chance.randbytes(8)},
        daemon=True,
    )
    sender.start()
    try:
        for killed_when in (
            lambda: daemon.figure("sipcdr_calls_total", "written") > 0,
            lambda: daemon.committed().get("lost/0") == len(early),
        ):
            daemon.start()
            wait_for(killed_when, "the time to kill it", [daemon], PATIENCE)
            daemon.kill()
        send(broker.bootstrap, "lost", lost)
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
            admin.delete_records({TopicPartition("lost", 0): len(early) + len(lost)})
        send(broker.bootstrap, "lost", late)
        daemon.start()
        sender.join(120)
        assert not sender.is_alive()
        wait_for(lambda: daemon.committed() == ends(broker, "random", "lost"), "the end", [daemon], PATIENCE)
        wait_for(lambda: daemon.figures().get('sipcdr_source_up{source="kafka-0"}') == 1, "the source", [daemon])
        assert daemon.get("/healthz") == (200, "ok\n")
        daemon.tells("sipcdr_lost_offsets_total", len(lost))
        wait_for(lambda: 'sipcdr_lag{partition="0",topic="lost"}' in daemon.figures(), "the lag", [daemon])
        daemon.tells("sipcdr_lag", 0)
        status, seconds = daemon.stop()
        assert (status, seconds < 30) == (0, True), daemon.tail()
    finally:
        daemon.kill()
    (letter,) = letters_in_file(daemon.letters, lambda *_: None)
    assert (letter.source, letter.partition, letter.offset) == ("lost", "0", len(early))
    gone = f"offsets {len(early)} to {len(early) + len(lost) - 1}"
    assert letter.reason == f"{gone} were lost to retention before they were read"
    assert f"lost/0: {letter.reason}" in daemon.tail()
    assert "Traceback" not in daemon.tail()
    expected = replayed(paths, tmp_path, messages)
    assert len(expected) > MESSAGES / 12
    assert written(url, messages) == expected
    others = [FIXTURES / "answered.pcap", FIXTURES / "busy.pcap"]
    assert written(url, [*early, *lost, *late]) == replayed(others, tmp_path, early + late)
