"""`sipcdr run` as an operator sees it: Kafka and HEP into SQLite, signals, health, metrics, gaps and poison."""

from __future__ import annotations

import json
import signal
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewPartitions

from sipcdr.app._dead_letters import Letter, letters_in_file
from sipcdr.app._publish import encoded
from sipcdr.ingest import encode_hep
from tests.app.capture import answered, busy, sipcdr, write
from tests.app.daemon import (
    Daemon,
    all_written,
    kafka_source,
    make_topic,
    messages_of,
    positions,
    replayed,
    send,
    told,
    wait_for,
    written,
)
from tests.servers import Kafka, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.builder import SipMessage

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Forty calls in a capture."""
    sent = [each for number in range(30) for each in answered(f"{number}@192.0.2.11")]
    sent += [each for number in range(30, 40) for each in busy(f"{number}@192.0.2.11")]
    return write(tmp_path / "calls.pcap", sorted(sent, key=lambda each: each.time))


class Run:
    """A daemon on a topic of three partitions and an SQLite database."""

    def __init__(self, broker: Kafka, topic: str, folder: Path, client: str = "confluent", more: str = "", **keys: Any):
        self.broker = broker
        self.topic = topic
        self.url = f"sqlite:///{folder}/cdr.db"
        self.daemon = Daemon(folder / "d", self.url, kafka_source(broker.bootstrap, topic, client, **keys), more)

    def __enter__(self) -> Run:
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.kill()

    def wait(self) -> None:
        """Return when all of the topic is written."""
        wait_for(lambda: all_written(self.url, self.broker.bootstrap, self.topic), "the end", [self.daemon])

    def stop(self) -> None:
        status, seconds = self.daemon.stop()
        assert (status, seconds < 10) == (0, True), self.daemon.tail()


@pytest.fixture
def topic(broker: Kafka, request: pytest.FixtureRequest) -> str:
    """A fresh topic of three partitions, named after the test."""
    name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name)
    make_topic(broker.bootstrap, name, 3)
    return name


def letters_of(daemon: Daemon) -> list[Letter]:
    return list(letters_in_file(daemon.letters, lambda number, why: pytest.fail(f"line {number}: {why}")))


def ready(run: Run) -> None:
    wait_for(lambda: run.daemon.get("/readyz")[0] == 200, "readiness", [run.daemon])


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_a_topic_becomes_rows(broker: Kafka, topic: str, tmp_path: Path, calls: Path, client: str) -> None:
    """The rows of a replay; metrics say what was read and written; SIGTERM ends it in good order."""
    messages = messages_of([calls])
    send(broker.bootstrap, topic, messages)
    with Run(broker, topic, tmp_path, client) as run:
        ready(run)
        run.wait()
        checkpoint = "sipcdr_checkpoint_time_seconds"
        wait_for(lambda: run.daemon.figure(checkpoint) == pytest.approx(time.time(), abs=60), checkpoint, [run.daemon])
        figures = run.daemon.figures()
        assert run.daemon.figure("sipcdr_records_total") == len(messages) == 210
        assert figures['sipcdr_messages_total{kind="request",method="INVITE",source="kafka-0"}'] == 40
        assert figures['sipcdr_messages_total{kind="response",method="BYE",source="kafka-0"}'] == 30
        assert run.daemon.figure("sipcdr_rows_total", "inserted") == 40
        run.daemon.tells("sipcdr_calls_in_memory", 0)
        assert run.daemon.get("/healthz") == (200, "ok\n")
        assert run.daemon.get("/else")[0] == 404
        run.stop()
        assert "example.com" not in run.daemon.tail(), "the log says what messages say"
    assert written(run.url, messages) == replayed([calls], tmp_path, messages)


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_what_is_in_memory_is_written_at_the_end(
    broker: Kafka, topic: str, tmp_path: Path, calls: Path, client: str
) -> None:
    """SIGTERM doesn't wait for calls to be due, and the next start reads nothing again; tools are told both times."""
    messages = messages_of([calls])
    send(broker.bootstrap, topic, messages)
    correlation = '[correlator]\nhold = "1h"\nlinger = "1h"\ncheckpoint = "1h"\n'
    with Run(broker, topic, tmp_path, client, correlation, group=f"{topic}-1") as run:
        wait_for(lambda: run.daemon.figure("sipcdr_records_total") == 210, "the records", [run.daemon])
        run.stop()
        assert all_written(run.url, broker.bootstrap, topic)
        assert told(broker.bootstrap, f"{topic}-1") == positions(run.url)
        # A group that Kafka knows nothing of, as after a worker that wrote and went without a word.
        run.daemon.config.write_text(run.daemon.config.read_text().replace(f"{topic}-1", f"{topic}-2"))
        run.daemon.start()
        wait_for(lambda: told(broker.bootstrap, f"{topic}-2") == positions(run.url), "the offsets", [run.daemon])
        ready(run)
        time.sleep(1)
        assert run.daemon.figure("sipcdr_records_total") == 0
        run.stop()
    assert written(run.url, messages) == replayed([calls], tmp_path, messages)


def test_poison_goes_to_dead_letters(broker: Kafka, topic: str, tmp_path: Path, calls: Path) -> None:
    """What can't be used is kept with where from and why; codecs are undone; the daemon goes on."""
    messages = messages_of([calls])
    poison: list[bytes | None] = [
        b"no SIP", b"", None, b'{"half": ', b"HEP3\xff\xff", bytes(10 << 20), b'{"message": 7}', b"[7]",
    ]  # fmt: skip
    for number, codec in enumerate((None, "gzip", "snappy", "lz4", "zstd")):
        producer = KafkaProducer(
            bootstrap_servers=broker.bootstrap, compression_type=codec, max_request_size=16_000_000
        )
        for value in poison if codec is None else [b"compressed junk"]:
            producer.send(topic, value, key=b"poison", partition=0).get(30)
        for message in messages[number::5]:
            value, headers = encoded(message, "raw")
            producer.send(topic, value, key=message.call_id, headers=headers)
        producer.flush()
        producer.close()
    with Run(broker, topic, tmp_path) as run:
        run.wait()
        assert run.daemon.figure("sipcdr_dead_letters_total") == 11
        run.stop()
        assert "junk" not in run.daemon.tail()
    letters = letters_of(run.daemon)
    assert [letter.value for letter in letters if letter.offset < 9] == [value for value in poison if value is not None]
    assert {letter.source for letter in letters} == {topic}
    assert all(letter.reason for letter in letters)
    assert sum(letter.value == b"compressed junk" for letter in letters) == 4
    assert written(run.url, messages) == replayed([calls], tmp_path, messages)
    done = sipcdr("dead-letters", "list", "--config", str(run.daemon.config), "--format", "json")
    assert len(done.out.splitlines()) == 11


def test_a_topic_without_keys(broker: Kafka, topic: str, tmp_path: Path, calls: Path) -> None:
    """Calls over all partitions: noticed and said once, and the rows are right; with `correlate = "topic"`, too."""
    messages = messages_of([calls])
    number = iter(range(len(messages)))
    send(broker.bootstrap, topic, messages, key=lambda _: b"%d" % next(number))
    expected = replayed([calls], tmp_path, messages)
    for correlate, split in (("partition", True), ("topic", False)):
        folder = tmp_path / correlate
        with Run(broker, topic, folder, correlate=correlate, group=correlate) as run:
            run.wait()
            if split:
                wait_for(lambda: run.daemon.figure("sipcdr_split_calls_total"), "the notice", [run.daemon])
            assert (run.daemon.figure("sipcdr_split_calls_total") > 0) == split
            run.stop()
            assert run.daemon.log.read_text().count("keyed by Call-ID?") == split
        assert written(run.url, messages) == expected


def test_retention_was_quicker(broker: Kafka, topic: str, tmp_path: Path, calls: Path) -> None:
    """Offsets that are gone are an error, a metric and a letter; reading goes on behind them."""
    messages = messages_of([calls])
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    for _ in range(20):
        producer.send(topic, b"OPTIONS", partition=1)
    producer.flush()
    with Run(broker, topic, tmp_path) as run:
        run.wait()
        run.stop()
        for _ in range(15):
            producer.send(topic, b"lost", partition=1)
        producer.flush()
        producer.close()
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
            admin.delete_records({TopicPartition(topic, 1): 35})
        send(broker.bootstrap, topic, messages)
        run.daemon.start()
        run.wait()
        assert run.daemon.figure("sipcdr_lost_offsets_total") == 15
        run.stop()
        assert "offsets 20 to 34 were lost to retention" in run.daemon.tail()
    assert [letter.offset for letter in letters_of(run.daemon) if "retention" in letter.reason] == [20]
    assert written(run.url, messages) == replayed([calls], tmp_path, messages)


def test_start_and_from(broker: Kafka, topic: str, tmp_path: Path, calls: Path) -> None:
    """`start = "latest"` passes over what was there; `--from` sets back once, and adds what was missed."""
    messages = messages_of([calls])
    send(broker.bootstrap, topic, messages)
    with Run(broker, topic, tmp_path, start="latest") as run:
        run.wait()
        assert run.daemon.figure("sipcdr_records_total") == 0
        run.stop()
        run.daemon.start("--from", "2026-11-23T08:00:00Z")
        wait_for(lambda: run.daemon.figure("sipcdr_records_total") == 210, "the records", [run.daemon])
        run.wait()
        run.stop()
        run.daemon.start()
        ready(run)
        time.sleep(1)
        assert run.daemon.figure("sipcdr_records_total") == 0
        run.stop()
    assert written(run.url, messages) == replayed([calls], tmp_path, messages)


def test_partitions_are_added(broker: Kafka, topic: str, tmp_path: Path, calls: Path) -> None:
    """Call-IDs move to other partitions in the middle of their calls, and nothing is lost."""
    messages = messages_of([calls])
    send(broker.bootstrap, topic, messages[:100])
    with Run(broker, topic, tmp_path, "kafka-python") as run:
        wait_for(lambda: run.daemon.figure("sipcdr_records_total") == 100, "the first half", [run.daemon])
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
            admin.create_partitions({topic: NewPartitions(7)})
        send(broker.bootstrap, topic, messages[100:])
        wait_for(lambda: len(positions(run.url)) == 7, "the new partitions", [run.daemon])
        run.wait()
        run.stop()
    assert written(run.url, messages) == replayed([calls], tmp_path, messages)


def test_two_groups_fence_each_other(broker: Kafka, topic: str, tmp_path: Path, calls: Path) -> None:
    """A worker whose partitions another took says so, and takes nothing more of them; no row is there twice."""
    messages = messages_of([calls])
    with Run(broker, topic, tmp_path, group="one") as run:
        ready(run)
        wait_for(lambda: len(positions(run.url)) == 3, "the partitions", [run.daemon])
        other = Daemon(tmp_path / "other", run.url, kafka_source(broker.bootstrap, topic, group="two"))
        other.start()
        try:
            wait_for(lambda: "reads" in other.tail(), "the other", [other])
            send(broker.bootstrap, topic, messages)
            run.wait()
            wait_for(lambda: run.daemon.figure("sipcdr_fenced_positions_total") > 0, "the fence", [run.daemon])
            assert other.stop()[0] == 0
            run.stop()
        finally:
            other.kill()
        assert "was taken by another worker" in run.daemon.tail()
    assert written(run.url, messages) == replayed([calls], tmp_path, messages)


def test_reload(broker: Kafka, topic: str, tmp_path: Path, calls: Path) -> None:
    """SIGHUP takes a new configuration; with one that is wrong sources aren't even closed."""
    messages = messages_of([calls])
    with Run(broker, topic, tmp_path) as run:
        ready(run)
        good = run.daemon.config.read_text()
        run.daemon.config.write_text("nonsense = 1\n" + good)
        run.daemon.signal(signal.SIGHUP)
        wait_for(lambda: "line 1: nonsense: unknown key" in run.daemon.tail(), "the error", [run.daemon])
        run.daemon.config.write_text(good + '[rules.ignore]\nusers = ["ann@example.com"]\n[log]\nformat = "json"\n')
        run.daemon.signal(signal.SIGHUP)
        wait_for(lambda: '"message": "the configuration was read again"' in run.daemon.tail(), "it", [run.daemon])
        assert run.daemon.log.read_text().count("sources were closed") == 1
        ready(run)
        send(broker.bootstrap, topic, messages)
        run.wait()
        run.stop()
    assert written(run.url, messages) == []


def test_a_broker_and_a_database_that_come_later(tmp_path: Path) -> None:
    """Both are waited for: alive, but not ready; and SIGTERM ends the waiting."""
    sources = kafka_source(f"127.0.0.1:{free_port()}", "sip", "kafka-python")
    url = f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/sipcdr"
    daemon = Daemon(tmp_path, url, sources)
    daemon.start()
    try:
        wait_for(lambda: "the database is waited for" in daemon.tail(), "the log", [daemon])
        assert daemon.get("/healthz")[0] == 200
        assert daemon.get("/readyz") == (503, "kafka-0: waits for the database\n")
        status, seconds = daemon.stop()
        assert (status, seconds < 10) == (0, True)
    finally:
        daemon.kill()


def test_settings_that_can_not_work(broker: Kafka, tmp_path: Path) -> None:
    """One line and status 2: no retry mends a wrong option."""
    source = kafka_source(broker.bootstrap, "sip").replace("options = { ", 'options = { "no.such.option" = 1, ')
    daemon = Daemon(tmp_path, f"sqlite:///{tmp_path}/x.db", source)
    daemon.start()
    assert daemon.process is not None
    assert daemon.process.wait(90) == 2
    assert "a Kafka setting is wrong" in daemon.tail()


def hep(messages: list[SipMessage]) -> list[bytes]:
    return [
        encode_hep(each.raw, time=each.time, source=each.source, destination=each.destination, transport=each.transport)
        for each in messages
    ]


def test_hep(tmp_path: Path, calls: Path) -> None:
    """Over UDP and TCP, with junk between: the rows of a replay, and no position."""
    messages = messages_of([calls])
    port = free_port()
    source = f'[[source]]\ntype = "hep"\nlisten = ["udp://127.0.0.1:{port}", "tcp://127.0.0.1:{port}"]\n'
    url = f"sqlite:///{tmp_path}/cdr.db"
    daemon = Daemon(tmp_path / "d", url, source)
    daemon.start()
    try:
        wait_for(lambda: daemon.get("/readyz")[0] == 200, "readiness", [daemon])
        packets = hep(messages)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for packet in [b"junk", *packets[::2]]:
                udp.sendto(packet, ("127.0.0.1", port))
                time.sleep(0.001)
        with socket.create_connection(("127.0.0.1", port)) as tcp:
            tcp.sendall(b"".join(packets[1::2]))
        wait_for(lambda: daemon.figure("sipcdr_rows_total", "inserted") == 40, "the rows", [daemon])
        wait_for(lambda: daemon.figure("sipcdr_calls_in_memory") == 0, "the end", [daemon])
        assert daemon.figure("sipcdr_dead_letters_total") == 1
        assert daemon.stop()[0] == 0
    finally:
        daemon.kill()
    assert positions(url) == {}
    assert written(url, messages) == replayed([calls], tmp_path, messages)


def test_logs_are_bounded(broker: Kafka, topic: str, tmp_path: Path) -> None:
    """An error that comes all the time doesn't fill the disk with its lines, also as JSON."""
    with Run(broker, topic, tmp_path, more='[log]\nformat = "json"\n') as run:
        ready(run)
        run.stop()
        for line in run.daemon.log.read_text().splitlines():
            assert json.loads(line).keys() == {"time", "level", "logger", "message"}
