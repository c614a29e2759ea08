"""Spark for tests: a session in this process, and what every command is given so that a start is quick."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.app.daemon import Daemon
from tests.servers import connector
from tests.tools import missing, module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

CONF = {"spark.driver.memory": "512m", "spark.sql.shuffle.partitions": "2"}


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
        "JDK_JAVA_OPTIONS": f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.io.tmpdir={folder}",
    }


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

    def __init__(self, folder: Path, database: str, sources: str, more: str = "", records: int = 100_000) -> None:
        self.checkpoint = folder / "checkpoint"
        table = f'[spark]\ncheckpoint = "{self.checkpoint}"\nrecords = {records}\n'
        super().__init__(folder, database, sources, more + table)

    def start(self, *words: str) -> None:
        (self.folder / "tmp").mkdir(exist_ok=True)
        settings = CONF | {"spark.jars": connector()}
        command = [sys.executable, "-m", "sipcdr.app", "spark", "run", "--config", str(self.config)]
        command += ["--master", "local[2]", *(word for item in settings.items() for word in ("--conf", "=".join(item)))]
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

    def committed(self) -> dict[str, int]:
        """The offsets before which all is written, by `TOPIC/PARTITION`: what Spark's checkpoint says."""
        folder = self.checkpoint / "kafka-0"
        done = max((int(path.name) for path in (folder / "commits").glob("[0-9]*")), default=None)
        if done is None:
            return {}
        offsets: dict[str, dict[str, int]] = json.loads((folder / "offsets" / str(done)).read_text().splitlines()[-1])
        return {f"{topic}/{number}": end for topic, ends in offsets.items() for number, end in ends.items() if end}


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found
