"""Measures Spark, batch and stream, beside `sipcdr replay`; and computes from it what a cluster carries.

    python -m benchmarks.spark --messages 200000 --page benchmarks/cluster.md

PostgreSQL and Kafka run on this machine, too. What a start takes isn't counted: it is measured with next to nothing to
do, and taken off, or goes before. Machines are noisy: what counts is how many times the rate of `sipcdr replay` it is.
"""

from __future__ import annotations

import argparse
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from benchmarks.generate import Exchange
from fixtures.writer import PcapWriter
from sipcdr.app._figures import Figures
from sipcdr.app._producer import open_producer
from sipcdr.app._publish import encoded
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
"""Messages that stand for nothing to do."""
CALL = 6.9
"""Messages of a call, of those that are generated."""


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


def replay(paths: list[Path], url: str, folder: Path, jobs: int) -> tuple[float, float]:
    """`sipcdr replay`: seconds by the clock, and CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    subprocess.run(sipcdr("replay", *paths, "--to", url, "--quiet", "--jobs", jobs), cwd=folder, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def sipcdr(*words: object) -> list[str]:
    """The command of this environment."""
    return [sys.executable, "-m", "sipcdr.app", *map(str, words)]


def batches(
    paths: list[Path], little: list[Path], urls: Iterator[str], folder: Path, cores: int
) -> tuple[list[float], list[tuple[str, float]]]:
    """Seconds into PostgreSQL, and into Parquet; and with one core by step, each with those before it.

    All in one session of Spark's, after the same with next to nothing to do, which is taken off.
    """
    from sipcdr.app.spark import Captures, sessions
    from sipcdr.app.spark._engine import session
    from sipcdr.app.spark._fold import gathered
    from sipcdr.app.spark._replay import into_database, into_parquet

    spark = session("benchmark", f"local[{cores}]", {"spark.local.dir": str(folder)})
    try:
        spark.dataSource.register(Captures)
        names = iter(range(100))

        def calls(some: list[Path]) -> DataFrame:
            return spark.read.format("sipcdr").load([str(path) for path in some])

        def timed(job: Callable[[], object]) -> float:
            began = time.monotonic()
            job()
            return time.monotonic() - began

        def both(some: list[Path]) -> list[float]:
            url, to = next(urls), f"{folder}/parquet-{cores}-{next(names)}"
            Sink.open(url).close()
            return [
                timed(lambda: into_database(calls(some), Figures(Tally()), url)),
                timed(lambda: into_parquet(calls(some), Figures(Tally()), to)),
            ]

        both(little)
        start = both(little)
        took = [each - least for each, least in zip(both(paths), start, strict=True)]
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
            found.append((name, timed(writer.save)))
        return took, found
    finally:
        spark.stop()


def stream(bootstrap: str, topic: str, count: int, url: str, folder: Path, cores: int) -> float:
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
        return (_when(commits / "3", process) - begun) / 0.75
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


def main() -> None:
    """Measure as the options say, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--page", type=Path, help="where the page on clusters is written")
    parser.add_argument(
        "--sink", type=float, default=12_482, help="calls a second that PostgreSQL takes, by databases.py"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, postgres() as database:
        cores, cpu = measure(Path(name), database, given.messages)
    if given.page is not None:
        given.page.write_text(page(cores, cpu, given.sink), encoding="utf-8")


def measure(folder: Path, database: Database, messages: int) -> tuple[dict[str, float], float]:
    """Measure all, one after the other; gives how many times a replay's rate, and its CPU seconds a message."""
    paths, little = captures(folder / "much", messages), captures(folder / "little", LARGEST)
    urls = (fresh(database, f"spark{number}").url for number in range(100))
    rates: dict[str, float] = {}
    print("| | messages/s | times replay's |\n|---|---:|---:|")

    def told(name: str, seconds: float) -> None:
        rates[name] = messages / max(seconds, 0.001)
        print(f"| {name} | {rates[name]:,.0f} | {rates[name] / next(iter(rates.values())):.2f} |", flush=True)

    cpu = 0.0
    for jobs in CORES:
        start, start_cpu = replay(little, next(urls), folder, jobs)
        seconds, spent = replay(paths, next(urls), folder, jobs)
        cpu = cpu or (spent - start_cpu) / messages
        told(f"`sipcdr replay --jobs {jobs}` to PostgreSQL", seconds - start)
    steps: list[tuple[str, float]] = []
    for cores in CORES:
        (into_database, into_parquet), found = batches(paths, little, urls, folder, cores)
        told(f"batch, `local[{cores}]`, to PostgreSQL", into_database)
        told(f"batch, `local[{cores}]`, to Parquet", into_parquet)
        steps += found
    with kafka() as broker:
        fill(broker.bootstrap, "much", paths)
        for cores in CORES:
            took = stream(broker.bootstrap, "much", messages, next(urls), folder, cores)
            told(f"stream, `local[{cores}]`, to PostgreSQL", took)
    print("\n| step of a batch, `local[1]` | µs a message by the clock |\n|---|---:|")
    before = steps[0][1]
    for name, seconds in steps[1:]:
        print(f"| {name} | {(seconds - before) / messages * 1e6:.1f} |")
        before = seconds
    first = next(iter(rates.values()))
    return {kind: rates[f"{kind}, `local[1]`, to PostgreSQL"] / first for kind in ("batch", "stream")}, cpu


def page(times: dict[str, float], cpu: float, sink: float) -> str:
    """What N cores and one PostgreSQL carry. times: replay's rate; cpu: its seconds a message; sink: calls a second."""
    limit = sink * CALL
    core = {kind: cpu / each for kind, each in times.items()}
    lines = [
        "# What a cluster carries",
        "",
        "Computed by `python -m benchmarks.spark --page benchmarks/cluster.md`, not measured on a cluster, from:",
        "",
        f"- {cpu * 1e6:.1f} µs of a core a message in `sipcdr replay` to PostgreSQL;",
        *(
            f"- {kind}: {each:.2f} times its rate in the same run, so {core[kind] * 1e6:.1f} µs of a core;"
            for kind, each in times.items()
        ),
        f"- {sink:,.0f} calls a second, of {CALL} messages each, that writers taking turns bring into one PostgreSQL",
        "  (`python -m benchmarks.databases`, *sink*).",
        "",
        "N cores carry N times what one does until they meet the database, where only one writes at a time. Facts of a",
        "few hundred bytes a message cross the network once, which isn't counted; nor are the brokers and the archive.",
        "",
        f"| cores | {' | '.join(f'{kind}, messages/s' for kind in core)} |",
        "|---:|" + "---:|" * len(core),
    ]
    for number in CLUSTER:
        rates = (min(number / each, limit) for each in core.values())
        lines.append(
            f"| {number} | {' | '.join(f'{each:,.0f}' + (' (database)' if each == limit else '') for each in rates)} |"
        )
    lines += [
        "",
        f"*database*: more cores add nothing, as one PostgreSQL takes {limit:,.0f} messages a second whatever stands",
        "before it. Beyond that the work goes to several databases, each with writers of its own: by tenant (a topic",
        "or a folder each, so that a call is whole in one), or by time (a database a month; the captures around the",
        "midnight between are read into both, and a month's reports are made from its own). Parquet has no such limit.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
