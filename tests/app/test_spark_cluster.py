"""`sipcdr spark` on a cluster of a master and two workers: what it is told travels, and all of it may be killed.

Executors are processes that the workers start, in folders of their own: nothing of the driver's is in them.
"""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import zstandard

from tests.app.capture import sipcdr
from tests.app.daemon import FIXTURES, capture, kafka_source, make_topic, messages_of, replayed, send, wait_for, written
from tests.app.spark import CONF, PATIENCE, SparkDaemon, configured, ends, environment, needed
from tests.places import fresh
from tests.servers import ServerError, bucket, cluster, connector, kafka, postgres
from tests.tools import missing, module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Cluster, Database, Kafka

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

MESSAGES = 3_000
PARTITIONS = 3
ON = CONF | {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.executor.memory": "512m",
}


@pytest.fixture(scope="module")
def there() -> Iterator[Cluster]:
    needed()
    try:
        with cluster() as server:
            yield server
    except ServerError as error:
        missing(str(error))


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    try:
        with postgres() as server:
            yield server
    except ServerError as error:
        missing(str(error))


@pytest.fixture
def broker() -> Iterator[Kafka]:
    try:
        connector()
        with kafka() as server:
            yield server
    except ServerError as error:
        missing(str(error))


def kill(pids: list[int]) -> None:
    """kill -9."""
    assert pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_captures_in_an_object_store(there: Cluster, database: Database, tmp_path: Path) -> None:
    """Packed and plain captures and a log at s3:// URLs; their readers are killed, and done again: a replay's rows."""
    for name in ("s3fs", "moto", "flask"):
        module(name)
    names = ("demo.pcap", "chat.pcap", "answered-tcp.pcap", "interfaces.pcapng", "logs/freeswitch.log")
    contents = {name: (FIXTURES / name).read_bytes() for name in names}
    contents["packed/demo.pcap.gz"] = gzip.compress(contents.pop("demo.pcap"))
    contents["packed/chat.pcap.zst"] = zstandard.compress(contents.pop("chat.pcap"))
    contents["many.pcap"] = capture(tmp_path / "many.pcap", 10_000).read_bytes()
    here = tmp_path / "here"
    for name, content in contents.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)
    url = fresh(database, "captures").url
    words = ["s3://traffic/*", "--to", url, "--master", there.url, "--timezone", "Europe/Berlin"]
    with bucket("traffic", contents) as access:
        told = ON | {f"spark.executorEnv.{name}": value for name, value in access.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "sipcdr.app", "spark", "replay", *words, *configured(told)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path,
            env=environment(tmp_path) | access,
        )  # fmt: skip
        try:
            wait_for(there.pythons, "an executor's Python", patience=PATIENCE)
            kill(there.pythons())
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, said
    replay = f"sqlite:///{tmp_path}/replay.db"
    done = sipcdr("replay", str(here), "--to", replay, "--timezone", "Europe/Berlin", "--quiet")
    assert done.status == 0
    ids = messages_of(here / name for name in contents)
    expected = written(replay, ids)
    assert len(expected) > 1000
    assert written(url, ids) == expected


def test_everything_is_killed(there: Cluster, database: Database, broker: Kafka, tmp_path: Path) -> None:
    """An executor's Python, an executor, the broker, the database, the driver: each is killed; the rows are a replay's.

    The driver also as if between the database's commit and its own.
    """
    path = capture(tmp_path / "exchange.pcap", MESSAGES)
    messages = messages_of([path])
    make_topic(broker.bootstrap, "random", PARTITIONS)
    chance = random.Random(7)
    url = fresh(database, "stream").url
    daemon = SparkDaemon(tmp_path / "d", url, kafka_source(broker.bootstrap, "random"), records=250, master=there.url)
    daemon.conf = ON
    parts = iter([messages[number::6] for number in range(6)])

    def sent() -> None:
        send(broker.bootstrap, "random", next(parts), key=lambda _: chance.randbytes(8))

    def through() -> None:
        wait_for(lambda: daemon.committed() == ends(broker, "random"), "the end", [daemon], PATIENCE)

    try:
        sent()
        daemon.start()
        wait_for(there.pythons, "the work", [daemon], PATIENCE)
        kill(there.pythons())
        through()

        sent()
        kill(there.executors()[:1])
        through()

        sent()
        broker.kill()
        broker.start()
        through()

        database.kill()
        sent()
        wait_for(lambda: daemon.figures()["sipcdr_database_up"] == 0, "an error", [daemon], PATIENCE)
        database.start()
        through()

        sent()
        through()
        daemon.kill()
        daemon.forget()
        daemon.start()
        sent()
        through()
        status, _ = daemon.stop()
        assert status == 0, daemon.tail()
    finally:
        daemon.kill()
    assert "Traceback" not in daemon.tail()
    expected = replayed([path], tmp_path, messages)
    assert len(expected) > MESSAGES / 12
    assert written(url, messages) == expected
