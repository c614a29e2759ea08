"""Daemons that are killed, join and leave, with brokers and databases that go away: the rows are a replay's."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from sipcdr.sinks import Sink
from tests.app.daemon import (
    FIXTURES,
    SOAK,
    Daemon,
    all_written,
    capture,
    kafka_source,
    make_topic,
    messages_of,
    replayed,
    send,
    wait_for,
    written,
)
from tests.servers import ServerError, postgres
from tests.tools import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Database, Kafka

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

MESSAGES, KILLS, SECONDS = (200_000, 20, 240) if SOAK else (20_000, 5, 45)
SHIPPED = ("demo", "transferred", "forked", "redirected", "proxied", "skype", "chat", "adds-video")


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    try:
        with postgres() as server:
            yield server
    except ServerError as error:
        missing(str(error))


def test_nothing_lost_nothing_twice(broker: Kafka, database: Database, tmp_path: Path) -> None:
    """Two daemons in a group, killed at random; a third comes and goes; broker and database are away for a while."""
    paths = [capture(tmp_path / "exchange.pcap", MESSAGES), *(FIXTURES / f"{name}.pcap" for name in SHIPPED)]
    messages = messages_of(paths)
    make_topic(broker.bootstrap, "crash", 5)
    Sink.open(database.url).close()
    daemons = [
        Daemon(tmp_path / name, database.url, kafka_source(broker.bootstrap, "crash", client))
        for name, client in (("a", "kafka-python"), ("b", "confluent"), ("c", "kafka-python"))
    ]
    first, second, third = daemons
    chance = random.Random(7)
    sender = threading.Thread(
        target=send, args=(broker.bootstrap, "crash", messages), kwargs={"seconds": SECONDS}, daemon=True
    )
    sender.start()
    try:
        first.start()
        second.start()
        time.sleep(3)
        for number in range(KILLS):
            time.sleep(chance.uniform(0.5, 0.25 * SECONDS / KILLS + 3))
            victim = chance.choice((first, second))
            victim.kill()
            if number == 1:
                third.start()
            victim.start()
            if number == 2:
                database.stop()
                time.sleep(10)
                database.start()
            if number == 3:
                broker.kill()
                time.sleep(1)
                broker.start()
            if number == KILLS - 1:
                status, seconds = third.stop()
                assert (status, seconds < 10) == (0, True), third.tail()
        sender.join(PATIENCE_TO_SEND)
        assert not sender.is_alive(), "the messages could not be sent"
        wait_for(lambda: all_written(database.url, broker.bootstrap, "crash"), "the end", daemons)
        ends = [daemon.stop() for daemon in (first, second)]
        assert [status for status, _ in ends] == [0, 0], first.tail() + second.tail()
        assert max(seconds for _, seconds in ends) < 10
    finally:
        for daemon in daemons:
            daemon.kill()
    expected = replayed(paths, tmp_path, messages)
    assert len(expected) > MESSAGES / 12
    assert written(database.url, messages) == expected
    assert not any(daemon.letters.exists() for daemon in daemons)


PATIENCE_TO_SEND = 4 * SECONDS + 60


def test_the_database_is_away_at_full_input(broker: Kafka, database: Database, tmp_path: Path) -> None:
    """Partitions wait, in the group, and memory stays flat; what came meanwhile is written afterwards."""
    away = 60 if SOAK else 10
    paths = [capture(tmp_path / "exchange.pcap", MESSAGES, seed=2)]
    messages = messages_of(paths)
    make_topic(broker.bootstrap, "away", 3)
    with closing(Sink.open(database.url)):
        pass
    # So little memory that it is full before all is read, however quick the machine.
    more = '[correlator]\nlinger = "1s"\nhold = "2s"\ncheckpoint = "500ms"\nmemory = "1MiB"\n'
    # It is held to its membership, so it gets more time than others to show itself on a busy machine.
    source = kafka_source(broker.bootstrap, "away", "kafka-python").replace("= 3000", "= 20000")
    daemon = Daemon(tmp_path / "d", database.url, source, more)
    daemon.start()
    try:
        wait_for(lambda: daemon.figure("sipcdr_source_up") == 1, "the source", [daemon])
        send(broker.bootstrap, "away", messages[: MESSAGES // 10])
        wait_for(lambda: daemon.figure("sipcdr_calls_total", "written") > 0, "the first calls", [daemon])
        database.stop()
        stopped = time.monotonic()
        sender = threading.Thread(target=send, args=(broker.bootstrap, "away", messages[MESSAGES // 10 :]), daemon=True)
        sender.start()
        wait_for(lambda: daemon.figure("sipcdr_paused") == 1, "the pause", [daemon])
        read = daemon.figure("sipcdr_records_total")
        time.sleep(max(stopped + away - time.monotonic(), 1))
        figures = [daemon.figure(f"sipcdr_{name}") for name in ("records_total", "database_up", "lag")]
        health = daemon.get("/healthz")
        database.start()
        assert figures[0] == read, "it reads on"
        assert figures[1] == 0
        assert figures[2] > 0
        assert health == (200, "ok\n")
        sender.join(PATIENCE_TO_SEND)
        assert not sender.is_alive(), "the messages could not be sent"
        wait_for(
            lambda: all_written(database.url, broker.bootstrap, "away"),
            "the end",
            [daemon],
        )
        daemon.tells("sipcdr_paused", 0)
        assert "gave up" not in daemon.tail(), "it lost its membership"
        assert daemon.stop()[0] == 0
    finally:
        daemon.kill()
    assert written(database.url, messages) == replayed(paths, tmp_path, messages)


def test_the_end_while_the_database_is_away(broker: Kafka, database: Database, tmp_path: Path) -> None:
    """SIGTERM is obeyed in ten seconds; what couldn't be written is read again by the next start."""
    paths = [capture(tmp_path / "exchange.pcap", 2000, seed=4)]
    messages = messages_of(paths)
    make_topic(broker.bootstrap, "end", 3)
    with closing(Sink.open(database.url)):
        pass
    daemon = Daemon(tmp_path / "d", database.url, kafka_source(broker.bootstrap, "end", "kafka-python"))
    daemon.start()
    try:
        wait_for(lambda: "reads end/" in daemon.tail(), "the partitions", [daemon])
        database.stop()
        send(broker.bootstrap, "end", messages)
        wait_for(lambda: daemon.figure("sipcdr_paused") == 1, "the pause", [daemon])
        status, seconds = daemon.stop()
        assert (status, seconds < 10) == (0, True), daemon.tail()
        assert "they will be read again" in daemon.tail()
        database.start()
        daemon.start()
        wait_for(lambda: all_written(database.url, broker.bootstrap, "end"), "the end", [daemon])
        assert daemon.stop()[0] == 0
    finally:
        daemon.kill()
    assert written(database.url, messages) == replayed(paths, tmp_path, messages)
