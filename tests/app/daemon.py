"""Daemons as child processes, and what is sent to them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from benchmarks.generate import Exchange
from fixtures.writer import PcapWriter
from sipcdr.app._producer import open_producer
from sipcdr.app._publish import encoded
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import Sink
from tests.app.capture import sipcdr
from tests.app.writer import meaning
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipcdr.builder import SipMessage

ROOT = Path(__file__).parent.parent.parent
FIXTURES = ROOT / "fixtures"
QUICK = {
    "kafka-python": {"session_timeout_ms": 3000, "heartbeat_interval_ms": 300, "metadata_max_age_ms": 1000},
    "confluent": {
        "session.timeout.ms": 3000, "heartbeat.interval.ms": 300, "topic.metadata.refresh.interval.ms": 1000,
        "reconnect.backoff.max.ms": 500,
    },
}  # fmt: skip
"""So that a dead worker's partitions are given to others soon."""
SOAK = bool(os.environ.get("SIPCDR_SOAK"))
PATIENCE = 900.0 if SOAK else 90.0


class Daemon:
    """`sipcdr run` with a configuration in a folder of its own."""

    def __init__(self, folder: Path, database: str, sources: str, more: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.config = folder / "sipcdr.toml"
        self.letters = folder / "dead.jsonl"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.config.write_text(
            f'[database]\nurl = "{database}"\n[dead_letters]\nfile = "{self.letters}"\n'
            f'[metrics]\nlisten = "127.0.0.1:{self.port}"\n'
            + ("" if "[correlator]" in more else '[correlator]\nlinger = "1s"\nhold = "2s"\ncheckpoint = "500ms"\n')
            + more
            + sources
        )

    def start(self, *words: str) -> None:
        """Begin; it isn't waited for."""
        command = [sys.executable, "-m", "sipcdr.app", "run", "--config", str(self.config), *words]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> tuple[int, float]:
        """SIGTERM; gives the exit status and the seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        try:
            return self.process.wait(30), time.monotonic() - began
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it outlived SIGTERM:\n{self.tail()}") from None

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an answer; 0 where there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def figures(self) -> dict[str, float]:
        """The metrics, by name and labels as Prometheus reads them."""
        lines = self.get("/metrics")[1].splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}

    def figure(self, name: str, *labels: str) -> float:
        """The sum of a metric over all its labels with these texts in them."""
        return sum(
            value
            for key, value in self.figures().items()
            if re.match(rf"{name}(\{{|$)", key) and all(label in key for label in labels)
        )

    def tells(self, name: str, figure: float, *labels: str) -> None:
        """Wait for a figure: metrics follow what they tell by a moment."""
        wait_for(lambda: self.figure(name, *labels) == figure, f"{name} {figure:g}", [self])


def kafka_source(bootstrap: str, topic: str, client: str = "confluent", **keys: Any) -> str:
    """A source's table."""
    options = ", ".join(f'"{name}" = {json.dumps(value)}' for name, value in QUICK[client].items())
    written = "".join(f"{name} = {json.dumps(value)}\n" for name, value in keys.items())
    return (
        f'[[source]]\ntype = "kafka"\nbootstrap = ["{bootstrap}"]\ntopics = ["{topic}"]\nclient = "{client}"\n'
        f"options = {{ {options} }}\n{written}"
    )


def make_topic(bootstrap: str, name: str, partitions: int) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])


def capture(path: Path, packets: int, seed: int = 1) -> Path:
    """An exchange's calls, in so many packets of a message each."""
    exchange = Exchange(seed=seed, concurrent=300, tcp=0, rtp=0)
    with path.open("wb") as file:
        writer = PcapWriter(file)
        for time_, frame in islice(exchange.packets(), packets):
            writer.packet(time_, frame)
    return path


def messages_of(paths: Iterable[Path]) -> list[SipMessage]:
    """The messages of captures, by time."""
    return [message for batch in Inputs([str(path) for path in paths], tally=Tally()) for message in batch]


def send(
    bootstrap: str,
    topic: str,
    messages: Iterable[SipMessage],
    *,
    seconds: float = 0,
    key: Callable[[SipMessage], bytes | None] = lambda message: message.call_id,
) -> None:
    """Into a topic as raw SIP, evenly over so many seconds."""
    sent = list(messages)
    with closing(open_producer("confluent", [bootstrap], {"message.timeout.ms": 60_000})) as producer:
        began = time.monotonic()
        for number, message in enumerate(sent):
            value, headers = encoded(message, "raw")
            producer.send(topic, key(message), value, headers, message.time)
            if number % 500 == 499:
                producer.flush()
                time.sleep(max(began + seconds * number / len(sent) - time.monotonic(), 0))
        producer.flush()


def replayed(paths: Iterable[Path], folder: Path, messages: list[SipMessage], status: int = 0) -> list[dict[str, Any]]:
    """The rows of a replay of the same captures from files, which ends with that status."""
    url = f"sqlite:///{folder}/replayed.db"
    done = sipcdr("replay", *map(str, paths), "--to", url, "--format", "json", "--quiet")
    assert done.status == status, done.err
    with Sink.open(url) as sink:
        return meaning(sink, messages)


def written(url: str, messages: Iterable[SipMessage]) -> list[dict[str, Any]]:
    """The rows that daemons wrote."""
    with Sink.open(url) as sink:
        return meaning(sink, messages)


def positions(url: str) -> dict[tuple[str, str], int]:
    """The stored positions by source and partition."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        rows = connection.exec_driver_sql("SELECT Source, Partition, Position FROM sipcdr_positions").fetchall()
        return {(source, partition): position for source, partition, position in rows if source}


def told(bootstrap: str, group: str) -> dict[tuple[str, str], int]:
    """What Kafka tells a tool of a group's offsets, by the names that the database has for topic and partition."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        cluster = admin.describe_cluster()["cluster_id"]
        offsets = admin.list_group_offsets({group: None})[group]
    return {(f"{cluster} {each.topic}", str(each.partition)): known.offset for each, known in offsets.items()}


def all_written(url: str, bootstrap: str, topic: str) -> bool:
    """Whether each position of a topic is its partition's end."""
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, metrics_enabled=False)) as consumer:
        numbers = consumer.partitions_for_topic(topic) or ()
        ends = consumer.end_offsets([TopicPartition(topic, number) for number in numbers])
    wanted = {str(partition.partition): end for partition, end in ends.items() if end}
    found = {each: end for (source, each), end in positions(url).items() if source.endswith(f" {topic}") and end}
    assert wanted == found, f"of {wanted} there is {found}"
    return bool(wanted)


def wait_for(
    condition: Callable[[], object], what: str, daemons: Iterable[Daemon] = (), patience: float = PATIENCE
) -> None:
    """Return when a condition holds; where it never does, say what it was last, with the ends of logs."""
    end = time.monotonic() + patience
    last: object = None
    while True:
        try:
            last = condition()
        except Exception as error:  # a server that is on its way
            last = error
        else:
            if last:
                return
        if time.monotonic() > end:
            told = "\n\n".join(daemon.tail() + daemon.get("/metrics")[1] for daemon in daemons)
            raise AssertionError(f"{what} never came, but {last!r}\n{told}")
        time.sleep(0.25)
