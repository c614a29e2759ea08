"""Measures Spark, batch and stream, beside `sipcdr replay`; and computes from it what a cluster carries.

    python -m benchmarks.spark --messages 200000 --page benchmarks/cluster.md

PostgreSQL and Kafka run on this machine, too. What a start takes isn't counted: it is measured with next to nothing to
do, and taken off, or goes before. CPU seconds are those of all processes but the servers'.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from benchmarks.generate import Exchange
from fixtures.writer import PcapWriter
from sipcdr.app._figures import Figures
from sipcdr.app._producer import open_producer
from sipcdr.app._publish import encoded
from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.builder import Correlator, Rules
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import Sink
from tests.places import fresh
from tests.servers import connector, kafka, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import DataFrame

    from tests.servers import Database

FILES = 4
CORES = (1, 2)
CLUSTER = (1, 2, 4, 8, 16, 32, 64, 128)
LARGEST = 1000
"""Records of a capture that stands for nothing to do."""


class Took(NamedTuple):
    """What a process took: seconds by the clock, CPU seconds of it and all that it started."""

    seconds: float
    cpu: float

    def less(self, other: Took) -> Took:
        """The rest without another."""
        return Took(max(self.seconds - other.seconds, 0.001), max(self.cpu - other.cpu, 0.001))


def captures(folder: Path, messages: int) -> list[Path]:
    """So many messages of an exchange in files of the same size, one behind the other."""
    folder.mkdir()
    packets = Exchange(seed=1, concurrent=2000, tcp=0, rtp=0).packets()
    paths = []
    for number in range(FILES):
        paths.append(folder / f"{number}.pcap")
        with paths[-1].open("wb") as file:
            writer = PcapWriter(file)
            for at, frame in islice(packets, messages // FILES):
                writer.packet(at, frame)
    return paths


def spent(pid: int) -> float:
    """CPU seconds of a process and its descendants, as far as they live or were waited for."""
    ticks = os.sysconf("SC_CLK_TCK")
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / ticks + sum(map(spent, children))


def run(command: list[str], folder: Path) -> Took:
    """Run a command to its end."""
    began = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    cpu = 0.0
    while process.poll() is None:
        cpu = max(cpu, spent(process.pid))
        time.sleep(0.05)
    if process.returncode:
        sys.exit((folder / "log").read_text())
    return Took(time.monotonic() - began, cpu)


def sipcdr(*words: object) -> list[str]:
    """The command of this environment."""
    return [sys.executable, "-m", "sipcdr.app", *map(str, words)]


def replay(paths: list[Path], url: str, folder: Path, jobs: int) -> Took:
    """`sipcdr replay`."""
    return run(sipcdr("replay", *paths, "--to", url, "--quiet", "--jobs", jobs), folder)


def batches(
    paths: list[Path], little: list[Path], urls: Iterator[str], folder: Path, cores: int
) -> tuple[list[Took], list[tuple[str, float]]]:
    """Into PostgreSQL, and into Parquet; and with one core CPU seconds by step, each with those before it.

    All in one session of Spark's, after the same with next to nothing to do, which is taken off.
    """
    from sipcdr.app.spark import Captures, sessions
    from sipcdr.app.spark._engine import session
    from sipcdr.app.spark._fold import gathered
    from sipcdr.app.spark._replay import into_database, into_parquet

    spark = session("benchmark", f"local[{cores}]", {"spark.local.dir": str(folder)})
    try:
        gateway: Any = spark.sparkContext._gateway  # noqa: SLF001
        spark.dataSource.register(Captures)
        names = iter(range(100))

        def calls(some: list[Path]) -> DataFrame:
            return spark.read.format("sipcdr").load([str(path) for path in some])

        def timed(job: Callable[[], object]) -> Took:
            before = spent(gateway.proc.pid)
            began = time.monotonic()
            job()
            return Took(time.monotonic() - began, spent(gateway.proc.pid) - before)

        def both(some: list[Path]) -> list[Took]:
            url, to = next(urls), f"{folder}/parquet-{cores}-{next(names)}"
            Sink.open(url).close()
            return [
                timed(lambda: into_database(calls(some), Figures(Tally()), url)),
                timed(lambda: into_parquet(calls(some), Figures(Tally()), to)),
            ]

        both(little)
        start = both(little)
        took = [each.less(least) for each, least in zip(both(paths), start, strict=True)]
        if cores > 1:
            return took, []
        steps = (
            ("starting workers", calls(little)),
            ("reading, scanning, collecting facts", calls(paths)),
            ("bringing Call-IDs together", gathered(calls(paths))),
            ("deriving sessions", sessions(calls(paths))),
        )
        found = []
        for name, frame in steps:
            writer = frame.write.format("noop").mode("overwrite")
            found.append((name, timed(writer.save).cpu))
        return took, found
    finally:
        spark.stop()


def stream(bootstrap: str, topic: str, count: int, url: str, folder: Path, cores: int) -> Took:
    """`spark run` from the beginning of a topic until so many records are written, between its first and last batch."""
    name = f"{topic}-{cores}"
    config = folder / f"{name}.toml"
    config.write_text(
        f'[database]\nurl = "{url}"\n[[source]]\ntype = "kafka"\nbootstrap = ["{bootstrap}"]\ntopics = ["{topic}"]\n'
        f'[metrics]\nlisten = ""\n[correlator]\ncheckpoint = "100ms"\n'
        f'[spark]\ncheckpoint = "{folder}/{name}"\nrecords = {count // 4}\n'
    )
    command = sipcdr("spark", "run", "--config", config, "--master", f"local[{cores}]")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--conf", f"spark.jars={connector()}"], stdout=log, stderr=log, cwd=folder
        )
    commits = folder / name / "kafka-0" / "commits"
    # The first of the batches is the start's: what is measured are the other three quarters.
    try:
        begun = _when(commits / "0", process)
        before = spent(process.pid)
        ended = _when(commits / "3", process)
        return Took(ended - begun, spent(process.pid) - before)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _when(path: Path, process: subprocess.Popen[bytes]) -> float:
    while not path.exists():
        if process.poll() is not None:
            sys.exit(f"spark run ended with {process.returncode}")
        time.sleep(0.02)
    return time.monotonic()


def fill(bootstrap: str, topic: str, paths: list[Path]) -> None:
    """The messages of captures in a topic of four partitions, without keys."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics([NewTopic(topic, num_partitions=4, replication_factor=1)])
    with closing(open_producer("confluent", [bootstrap], {})) as producer:
        for batch_ in Inputs([str(path) for path in paths], tally=Tally()):
            for number, message in enumerate(batch_):
                value, headers = encoded(message, "raw")
                producer.send(topic, b"%d" % number, value, headers, message.time)
        producer.flush()


class _Timed(Sink):
    """A sink that knows how long it held the writers' lock."""

    held = 0.0

    @contextmanager
    def begin(self) -> Iterator[Any]:
        began = time.monotonic()
        with super().begin() as transaction:
            yield transaction
        self.held += time.monotonic() - began


def locked(paths: list[Path], url: str, folder: Path) -> float:
    """Seconds that one writer holds the lock for all of the captures, in transactions as a stream's."""
    correlator = Correlator(Rules(), hold=1 << 60, memory=1 << 40)
    for messages in Inputs([str(path) for path in paths], tally=Tally()):
        correlator.receive(messages)
    calls = correlator.finish()
    with closing(_Timed.open(url)) as sink:
        for at in range(0, len(calls), 4000):
            write_calls(sink, calls[at : at + 4000], Rules(), outcome=Outcome(), refusals=Refusals(folder / "refused"))
        return sink.held


def main() -> None:
    """Measure as the options say, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--page", type=Path, help="where the page on clusters is written")
    parser.add_argument("--no-stream", action="store_true", help="leave Kafka out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, postgres() as database:
        measure(Path(name), database, given.messages, given.page, stream_too=not given.no_stream)


def measure(folder: Path, database: Database, messages: int, page: Path | None, *, stream_too: bool) -> None:
    """Measure all, one after the other."""
    paths, little = captures(folder / "much", messages), captures(folder / "little", LARGEST)
    urls = (fresh(database, f"spark{number}").url for number in range(100))
    rows: list[tuple[str, Took]] = []
    print("| | messages/s | CPU µs a message |\n|---|---:|---:|")

    def told(name: str, took: Took) -> None:
        rows.append((name, took))
        print(f"| {name} | {messages / took.seconds:,.0f} | {took.cpu / messages * 1e6:.1f} |", flush=True)

    for jobs in CORES:
        start = replay(little, next(urls), folder, jobs)
        told(f"`sipcdr replay --jobs {jobs}` to PostgreSQL", replay(paths, next(urls), folder, jobs).less(start))
    steps: list[tuple[str, float]] = []
    for cores in CORES:
        (database_took, parquet_took), found = batches(paths, little, urls, folder, cores)
        told(f"batch, `local[{cores}]`, to PostgreSQL", database_took)
        told(f"batch, `local[{cores}]`, to Parquet", parquet_took)
        steps += found
    if stream_too:
        with kafka() as broker:
            fill(broker.bootstrap, "much", paths)
            for cores in CORES:
                took = stream(broker.bootstrap, "much", messages, next(urls), folder, cores)
                told(f"stream, `local[{cores}]`, to PostgreSQL", Took(took.seconds / 0.75, took.cpu / 0.75))
    print("\n| step of a batch | CPU µs a message |\n|---|---:|")
    before = steps[0][1]
    for name, cpu in steps[1:]:
        print(f"| {name} | {(cpu - before) / messages * 1e6:.1f} |")
        before = cpu
    held = locked(paths, next(urls), folder) / messages
    print(f"| writing, holding the writers' lock | {held * 1e6:.1f} |")
    if page is not None:
        core = {
            name.split(",")[0]: took.cpu / messages
            for name, took in rows
            if "PostgreSQL" in name and "local[1]" in name
        }
        page.write_text(cluster(core, held), encoding="utf-8")


def cluster(core: dict[str, float], held: float) -> str:
    """The page: what N cores and one PostgreSQL carry."""
    lines = [
        "# What a cluster carries",
        "",
        "Computed by `python -m benchmarks.spark --page benchmarks/cluster.md` from what it measured on one machine:",
        "",
        *(
            f"- {kind}: {seconds * 1e6:.1f} µs of a core a message, the database's own work not counted"
            for kind, seconds in core.items()
        ),
        f"- {held * 1e6:.1f} µs a message in which one writer holds the database's lock, and all others wait",
        "",
        "N cores carry N times what one does, until the database is the limit: as writers take turns, one PostgreSQL",
        f"takes {1 / held:,.0f} messages a second, whatever stands before it. The network isn't counted: facts are a",
        "few hundred bytes a message, and cross it once.",
        "",
        f"| cores | {' | '.join(f'{kind}, messages/s' for kind in core)} | limit |",
        "|---:|" + "---:|" * len(core) + "---|",
    ]
    for number in CLUSTER:
        rates = [min(number / seconds, 1 / held) for seconds in core.values()]
        limits = {"database" if number / seconds > 1 / held else "cores" for seconds in core.values()}
        lines.append(f"| {number} | {' | '.join(f'{rate:,.0f}' for rate in rates)} | {', '.join(sorted(limits))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
