"""Measures the daemon between a real Kafka and a real PostgreSQL, beside the client alone reading the same topic.

    python -m benchmarks.daemon --messages 200000                     # kafka-python, one worker
    python -m benchmarks.daemon --messages 200000 --client confluent --workers 2

Both servers run on this machine, and take processor time from what is measured; so CPU time a message is printed, too.
That of the daemon's start is measured with an empty topic and taken off.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from benchmarks.generate import Exchange
from fixtures.writer import PcapWriter
from sipcdr.app._producer import open_producer
from sipcdr.app._publish import publish
from sipcdr.ingest import Inputs, KafkaSettings, Tally, open_consumer
from sipcdr.sinks import Sink
from tests.servers import free_port, kafka, postgres

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG = """\
[database]
url = "{url}"
[[source]]
type = "kafka"
bootstrap = ["{bootstrap}"]
topics = ["{topic}"]
group = "{topic}"
client = "{client}"
[dead_letters]
file = "{folder}/dead.jsonl"
[metrics]
listen = "127.0.0.1:{port}"
"""


def fill(bootstrap: str, topic: str, count: int, partitions: int, folder: Path) -> None:
    """A topic of so many messages of an exchange, keyed by Call-ID."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    path = folder / "exchange.pcap"
    exchange = Exchange(seed=1, concurrent=2000, tcp=0, rtp=0)
    with path.open("wb") as file:
        writer = PcapWriter(file)
        for at, frame in islice(exchange.packets(), count):
            writer.packet(at, frame)
    with closing(open_producer("confluent", [bootstrap], {})) as producer:
        publish(Inputs([str(path)], tally=Tally()), producer, topic, "raw", Tally(), tick=lambda: None)


def bare(bootstrap: str, topic: str, client: str, count: int) -> tuple[float, float]:
    """The client alone: seconds from the first record on, and CPU seconds."""
    settings = KafkaSettings(bootstrap=[bootstrap], group=f"bare-{client}", topics=[topic], client=client)  # type: ignore[arg-type]
    with closing(open_consumer(settings, lambda _: None)) as consumer:
        left = count
        began = cpu = 0.0
        while left:
            consumer.begin(dict.fromkeys(consumer.waiting, 0))
            for records in consumer.poll(0.2, 2000).records.values():
                if not began:
                    began, cpu = time.monotonic(), time.process_time()
                left -= len(records)
        return time.monotonic() - began, time.process_time() - cpu


def records(port: int) -> float:
    """How many records a daemon has read."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("sipcdr_records_total{"))


def run(configs: Sequence[tuple[Path, int]], count: int) -> tuple[float, float]:
    """Daemons until all is read, and written as they end: seconds from the first record on, and CPU seconds of all."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "sipcdr.app", "run", "--config"]
    daemons = [subprocess.Popen([*command, str(config)], stderr=subprocess.DEVNULL) for config, _ in configs]
    try:
        began = 0.0
        read = 0.0
        while read < count:
            time.sleep(0.5)
            read = sum(records(port) for _, port in configs)
            began = began or (time.monotonic() if read else 0.0)
        if not count:
            time.sleep(8)
    finally:
        for daemon in daemons:
            daemon.send_signal(signal.SIGTERM)
        for daemon in daemons:
            daemon.wait(30)
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--client", choices=["kafka-python", "confluent"], default="kafka-python")
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, kafka() as broker, postgres() as database:
        folder = Path(name)
        fill(broker.bootstrap, "sip", chosen.messages, 4, folder)
        fill(broker.bootstrap, "none", 0, 4, folder)
        alone = bare(broker.bootstrap, "sip", chosen.client, chosen.messages)

        def configs(topic: str) -> list[tuple[Path, int]]:
            made = []
            for worker in range(chosen.workers):
                path, port = folder / f"{topic}{worker}.toml", free_port()
                text = CONFIG.format(
                    url=database.url, bootstrap=broker.bootstrap, topic=topic, client=chosen.client, folder=folder,
                    port=port,
                )  # fmt: skip
                path.write_text(text)
                made.append((path, port))
            return made

        Sink.open(database.url).close()
        idle = run(configs("none"), 0)
        ours = run(configs("sip"), chosen.messages)
        print(f"{chosen.messages:,} messages, {chosen.client}, {chosen.workers} workers, load {os.getloadavg()[0]:.1f}")
        for what, (seconds, cpu), off in (("client alone", alone, 0.0), ("daemon", ours, idle[1])):
            print(
                f"{what:14} {chosen.messages / seconds:9,.0f} messages/s"
                f" {(cpu - off) / chosen.messages * 1e6:7.1f} us CPU a message"
            )


if __name__ == "__main__":
    main()
