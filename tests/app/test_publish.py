"""`sipcdr publish` and `sipcdr dead-letters`, with a real broker."""

from __future__ import annotations

import base64
import gc
import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from fixtures import logs
from sipcdr.app._dead_letters import Letter, LetterTopic
from sipcdr.app._producer import open_producer
from sipcdr.ingest import Inputs, KafkaSettings, Partition, Tally, Values, open_consumer
from tests.app.capture import answered, sipcdr, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipcdr.builder import SipMessage
    from sipcdr.ingest import Record
    from tests.servers import Kafka

# kafka-python leaves sockets of connections that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

SIP = (
    b"BYE sip:ben@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:ann@example.com>;tag=a\r\nTo: <sip:ben@example.com>;tag=b\r\nCall-ID: late@192.0.2.1\r\n"
    b"CSeq: 2 BYE\r\n\r\n"
)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collects what a test left behind while warnings of it are ignored."""
    yield
    gc.collect()


@pytest.fixture
def topic(broker: Kafka, request: pytest.FixtureRequest) -> str:
    """A fresh topic of three partitions, named after the test."""
    name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name)
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
        admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=1)])
    return name


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Ten calls of six messages, in a file."""
    calls = [answered(f"{number}@192.0.2.11") for number in range(10)]
    return write(tmp_path / "calls.pcap", sorted((sent for call in calls for sent in call), key=lambda sent: sent.time))


def read(broker: Kafka, topic: str, count: int) -> dict[Partition, list[Record]]:
    found: dict[Partition, list[Record]] = {}
    settings = KafkaSettings(bootstrap=[broker.bootstrap], group=f"test-{time.time_ns()}", topics=[topic])
    with closing(open_consumer(settings, lambda _: None)) as consumer:
        end = time.monotonic() + 30
        while sum(map(len, found.values())) < count:
            assert time.monotonic() < end
            consumer.begin(dict.fromkeys(consumer.waiting, 0))
            for partition, records in consumer.poll(0.2, 500).records.items():
                found.setdefault(partition, []).extend(records)
    return found


def known(message: SipMessage) -> tuple[Any, ...]:
    return message.time, message.source, message.destination, message.transport, message.raw


@pytest.mark.parametrize("form", ["raw", "hep", "json"])
def test_what_is_published_is_what_was_captured(
    broker: Kafka, topic: str, capture: Path, client: str, form: str
) -> None:
    """Each form keeps time, addresses and bytes; a call's messages are in one partition, in their order."""
    command = ["publish", str(capture), "--topic", topic, "--bootstrap", broker.bootstrap, "--value", form]
    done = sipcdr(*command, "--client", client)
    assert (done.status, done.err) == (0, f"published 60 messages to {topic}\n")
    found = read(broker, topic, 60)
    messages: list[SipMessage] = []
    places: dict[bytes, set[str]] = {}
    for partition, records in found.items():
        here, poison = Values(Tally()).messages(records, topic, str(partition.number))
        assert poison == []
        assert [record.key for record in records] == [message.call_id for message in here]
        for message in here:
            places.setdefault(message.call_id, set()).add(message.position.partition)
        messages += here
    assert all(len(partitions) == 1 for partitions in places.values())
    captured = [known(message) for batch in Inputs([str(capture)], tally=Tally()) for message in batch]
    assert sorted(map(known, messages)) == sorted(captured)


def test_logs_are_published(broker: Kafka, topic: str) -> None:
    """A log is published as a capture is; what it doesn't say itself is said by the same options as for `replay`."""
    log = str(logs.FOLDER / "pjsip.log")
    options = ["--log-format", "asterisk", "--timezone", "Europe/Berlin", "--bootstrap", broker.bootstrap]
    done = sipcdr("publish", log, "--topic", topic, *options, "--quiet")
    assert (done.status, done.err) == (0, "")
    [records] = read(broker, topic, 7).values()
    found, poison = Values(Tally()).messages(records, topic)
    assert poison == []
    sent = logs.the_call()
    assert [one.raw for one in found] == [one.payload for one in sent]
    assert [one.time // 1_000_000 for one in found] == [one.time // 1_000_000 for one in sent]


def test_a_topic_that_is_not_there(broker: Kafka, capture: Path, client: str) -> None:
    """Topics aren't made by sending to them; the broker's refusal is told in a line."""
    option = "max_block_ms=1000" if client == "kafka-python" else "topic.metadata.propagation.max.ms=100"
    command = ["publish", str(capture), "--topic", "nowhere", "--bootstrap", broker.bootstrap, "--client", client]
    done = sipcdr(*command, "--option", option)
    assert done.status == 3
    assert done.err.count("\n") == 1


def test_a_broker_that_is_not_there(capture: Path) -> None:
    """One line, and status 3."""
    command = ["publish", str(capture), "--topic", "t", "--bootstrap", "127.0.0.1:1"]
    done = sipcdr(*command, "--option", "bootstrap_timeout_ms=500")
    assert done.status == 3
    assert done.err.startswith("sipcdr: 127.0.0.1:1: ")
    assert done.err.count("\n") == 1


def test_wrong_options_of_publish(capture: Path) -> None:
    """An option without a value is a mistake in the command."""
    assert sipcdr("publish", str(capture), "--topic", "t", "--option", "acks").status == 2


def configured(tmp_path: Path, broker: Kafka, client: str, **letters: str) -> list[str]:
    """A configuration's option, for letters in a file or a topic."""
    where = "\n".join(f"{name} = {json.dumps(value)}" for name, value in letters.items())
    path = tmp_path / "sipcdr.toml"
    path.write_text(
        f'[database]\nurl = "sqlite:///{tmp_path}/x.db"\n[[source]]\ntype = "kafka"\ntopics = ["sip"]\n'
        f'bootstrap = ["{broker.bootstrap}"]\nclient = "{client}"\n[dead_letters]\n{where}\n'
    )
    return ["--config", str(path)]


def test_letters_in_a_topic_are_listed_and_replayed(broker: Kafka, topic: str, tmp_path: Path, client: str) -> None:
    """As they were, with where from and why; what is understood now gets its row. Too large a value is cut."""
    letters = [
        Letter(source="sip", partition="2", offset=7, time=1_795_421_600_000_000, reason="not SIP", value=b"\x1b[2Jx"),
        Letter(source="sip", partition="0", offset=8, time=1_795_421_601_000_000, reason="old", key=b"k", value=SIP),
        Letter(source="sip", partition="0", offset=9, time=1_795_421_602_000_000, reason="big", value=bytes(17 << 20)),
    ]
    writer = LetterTopic(open_producer(client, [broker.bootstrap], {}), topic)
    writer.write(letters)
    writer.close()
    options = configured(tmp_path, broker, client, topic=topic)
    done = sipcdr("dead-letters", "list", *options, "--format", "json")
    assert done.status == 0
    found = {(row["offset"], row["reason"]): row for row in map(json.loads, done.out.splitlines())}
    assert found.keys() == {(7, "not SIP"), (8, "old"), (9, "big")}
    assert base64.b64decode(found[8, "old"]["value"]) == SIP
    assert (found[7, "not SIP"]["partition"], found[7, "not SIP"]["time"]) == ("2", 1_795_421_600_000_000)
    assert (found[9, "big"]["cut"], len(base64.b64decode(found[9, "big"]["value"]))) == (17 << 20, 256 << 10)
    done = sipcdr("dead-letters", "list", *options)
    assert "sip/2:7  not SIP  5 bytes: \\x1b[2Jx\n" in done.out
    done = sipcdr("dead-letters", "replay", *options)
    assert done.status == 0
    assert "messages of 1 calls, of which 1 brought something new" in done.err
