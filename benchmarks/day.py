"""Takes a day of a call centre through a real Kafka into a real PostgreSQL, and compares the rows with a file replay's.

    python -m benchmarks.day --messages 1000000

The day's capture (some 0.8 GB) is written to a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from benchmarks.daemon import CONFIG, records
from benchmarks.generate import Exchange
from fixtures.writer import PcapWriter
from sipcdr.app._producer import open_producer
from sipcdr.app._publish import publish
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import Sink
from tests.servers import free_port, kafka, postgres

COMMAND = [sys.executable, "-m", "sipcdr.app"]


def written(path: Path, count: int) -> None:
    """A capture of so many messages, without media."""
    packets = Exchange(seed=11, concurrent=2000, tcp=0, rtp=0).packets()
    with path.open("wb") as file:
        writer = PcapWriter(file)
        for at, frame in islice(packets, count):
            writer.packet(at, frame)


def main() -> None:
    """Run it, print what each step took, and end with status 1 where rows differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--client", choices=["kafka-python", "confluent"], default="kafka-python")
    chosen = parser.parse_args()
    began = time.monotonic()

    def told(what: str) -> None:
        nonlocal began
        now = time.monotonic()
        print(f"{what:40} {now - began:8.1f} s   load {os.getloadavg()[0]:.1f}", flush=True)
        began = now

    with tempfile.TemporaryDirectory() as name, kafka() as broker, postgres() as database:
        folder = Path(name)
        capture = folder / "day.pcap"
        written(capture, chosen.messages)
        told("capture written")
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
            admin.create_topics([NewTopic("day", num_partitions=4, replication_factor=1)])
        with closing(open_producer("confluent", [broker.bootstrap], {})) as producer:
            sent = publish(Inputs([str(capture)], tally=Tally()), producer, "day", "raw", Tally(), tick=lambda: None)
        told(f"{sent:,} messages published")
        Sink.open(database.url).close()
        port, config = free_port(), folder / "day.toml"
        config.write_text(
            CONFIG.format(
                url=database.url,
                bootstrap=broker.bootstrap,
                topic="day",
                client=chosen.client,
                folder=folder,
                port=port,
            )
        )
        daemon = subprocess.Popen([*COMMAND, "run", "--config", str(config)], stderr=subprocess.DEVNULL)
        try:
            while records(port) < sent:
                time.sleep(1)
                if daemon.poll() is not None:
                    sys.exit("the daemon has ended")
            status = Path(f"/proc/{daemon.pid}/status").read_text()
            peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(60)
        told(f"read and written, at most {peak / 1024:.0f} MiB")
        replay = f"sqlite:///{folder}/replayed.db"
        subprocess.run([*COMMAND, "replay", str(capture), "--to", replay, "--quiet"], check=True, stdout=sys.stderr)
        told("replayed from the file")
        done = subprocess.run([*COMMAND, "diff", database.url, replay], capture_output=True, text=True, check=False)
        told("compared")
        print(done.stdout[:2000] + done.stderr)
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
