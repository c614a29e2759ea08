"""Runs the daemon at a steady rate between a real Kafka and a real PostgreSQL, and prints its memory every minute.

python -m benchmarks.soak --minutes 20 --rate 500
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.daemon import CONFIG, fill, records
from benchmarks.generate import Exchange
from fixtures.writer import PcapWriter
from sipcdr.app._producer import open_producer
from sipcdr.app._publish import encoded
from sipcdr.ingest import Inputs, Tally
from tests.servers import free_port, kafka, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipcdr.builder import SipMessage


def messages(folder: Path) -> Iterator[SipMessage]:
    """An exchange's messages, without end, a file of 20,000 at a time."""
    packets = Exchange(seed=3, concurrent=1000, tcp=0, rtp=0).packets()
    path = folder / "part.pcap"
    while True:
        with path.open("wb") as file:
            writer = PcapWriter(file)
            for _ in range(20_000):
                writer.packet(*next(packets))
        for batch in Inputs([str(path)], tally=Tally()):
            yield from batch


def send(bootstrap: str, topic: str, rate: int, folder: Path, stop: threading.Event) -> None:
    """So many messages a second, with the times at which they are sent."""
    with closing(open_producer("confluent", [bootstrap], {})) as producer:
        began = time.monotonic()
        for number, message in enumerate(messages(folder)):
            if stop.is_set():
                return
            value, headers = encoded(msgspec.structs.replace(message.plain(), time=time.time_ns() // 1000), "raw")
            producer.send(topic, message.call_id, value, headers, None)
            if number % 100 == 0:
                producer.flush()
                time.sleep(max(began + number / rate - time.monotonic(), 0))


def memory(pid: int) -> float:
    """MiB that a process has in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main() -> None:
    """Run, and print a line a minute."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--client", choices=["kafka-python", "confluent"], default="kafka-python")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, kafka() as broker, postgres() as database:
        folder = Path(name)
        fill(broker.bootstrap, "sip", 0, 4, folder)
        port = free_port()
        config = folder / "sipcdr.toml"
        config.write_text(
            CONFIG.format(
                url=database.url,
                bootstrap=broker.bootstrap,
                topic="sip",
                client=chosen.client,
                folder=folder,
                port=port,
            )
        )
        command = [sys.executable, "-m", "sipcdr.app", "run", "--config", str(config)]
        daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        stop = threading.Event()
        sender = threading.Thread(target=send, args=(broker.bootstrap, "sip", chosen.rate, folder, stop), daemon=True)
        sender.start()
        try:
            for minute in range(1, chosen.minutes + 1):
                time.sleep(60)
                print(f"{minute:3} min {records(port):12,.0f} records {memory(daemon.pid):8,.1f} MiB", flush=True)
        finally:
            stop.set()
            sender.join(10)
            daemon.terminate()
            daemon.wait(30)


if __name__ == "__main__":
    main()
