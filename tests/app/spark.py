"""Spark for tests: a session in this process, and what every command is given so that a start is quick."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kafka import KafkaConsumer, TopicPartition

from tests.app.daemon import Daemon
from tests.servers import QUICK, connector
from tests.tools import missing, module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from tests.servers import Kafka

CONF = {"spark.driver.memory": "512m", "spark.sql.shuffle.partitions": "2"}


PATIENCE = 240.0
"""Seconds: Spark takes some ten to start, and many more on a machine that has other work."""


def needed() -> None:
    """Skip, or fail with CI=true, where Spark can't be used."""
    for name in ("pyspark", "pyarrow", "pandas", "fsspec"):
        module(name)
    if shutil.which("java") is None:
        missing("Java is not installed")


def environment(folder: Path) -> dict[str, str]:
    """A process's environment: temporary files in a folder of the test's, a JVM that starts quickly."""
    return {
        **os.environ,
        "TMPDIR": str(folder),
        "SPARK_LOCAL_DIRS": str(folder),
        "JDK_JAVA_OPTIONS": f"{QUICK} -Djava.io.tmpdir={folder}",
    }


def configured(settings: dict[str, str]) -> list[str]:
    """Settings of Spark's as words of a command."""
    return [word for item in settings.items() for word in ("--conf", "=".join(item))]


@contextmanager
def local(folder: Path) -> Iterator[SparkSession]:
    """Spark on two cores, in this process and a JVM beside it."""
    from sipcdr.app.spark._engine import session

    before = dict(os.environ)
    os.environ.update(environment(folder))
    spark = session("tests", "local[2]", CONF | {"spark.sql.warehouse.dir": str(folder / "warehouse")})
    try:
        yield spark
    finally:
        gateway = spark.sparkContext._gateway
        spark.stop()
        os.environ.clear()
        os.environ.update(before)
        if gateway is not None:
            gateway.shutdown()
            gateway.proc.stdin.close()
            gateway.proc.wait(30)


class SparkDaemon(Daemon):
    """`sipcdr spark run` with a configuration in a folder of its own."""

    def __init__(self, folder: Path, database: str, sources: str, *, records: int, master: str = "local[2]") -> None:
        self.master = master
        self.conf = CONF
        self.checkpoint = folder / "checkpoint"
        table = f'[spark]\ncheckpoint = "{self.checkpoint}"\nrecords = {records}\n'
        super().__init__(folder, database, sources, table)

    def start(self, *words: str) -> None:
        (self.folder / "tmp").mkdir(exist_ok=True)
        settings = self.conf | {"spark.jars": connector()}
        command = [sys.executable, "-m", "sipcdr.app", "spark", "run", "--config", str(self.config)]
        command += ["--master", self.master, *configured(settings)]
        command += words
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env=environment(self.folder / "tmp")
            )

    def kill(self) -> None:
        """kill -9 of the driver's two processes, Python and the JVM."""
        if self.process is not None:
            jvm = children(self.process.pid)
            super().kill()
            for pid in jvm:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def forget(self) -> None:
        """As if it had been killed before it noted the last batch that the database has."""
        commits = self.checkpoint / "kafka-0" / "commits"
        last = max(int(path.name) for path in commits.glob("[0-9]*"))
        for name in (f"{last}", f".{last}.crc"):
            (commits / name).unlink(missing_ok=True)

    def committed(self) -> dict[str, int]:
        """The offsets before which all is written, by `TOPIC/PARTITION`: what Spark's checkpoint says."""
        folder = self.checkpoint / "kafka-0"
        done = max((int(path.name) for path in (folder / "commits").glob("[0-9]*")), default=None)
        if done is None:
            return {}
        offsets: dict[str, dict[str, int]] = json.loads((folder / "offsets" / str(done)).read_text().splitlines()[-1])
        return {f"{topic}/{number}": end for topic, ends in offsets.items() for number, end in ends.items() if end}


def ends(broker: Kafka, *topics: str) -> dict[str, int]:
    """Where the partitions of topics end, by `TOPIC/PARTITION`; none of those without a record."""
    with closing(KafkaConsumer(bootstrap_servers=broker.bootstrap, metrics_enabled=False)) as consumer:
        partitions = [
            TopicPartition(topic, number) for topic in topics for number in consumer.partitions_for_topic(topic) or ()
        ]
        return {f"{each.topic}/{each.partition}": end for each, end in consumer.end_offsets(partitions).items() if end}


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found
