"""Apache Spark: the jars that it needs to read Kafka, and a standalone cluster on 127.0.0.1."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ._maven import fetch
from ._process import Process, ServerError, descendants, free_port, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_POM = Path(__file__).with_name("spark-pom.xml")
QUICK: Final = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Of a JVM: quicker to start, less memory."""


def connector_version() -> str:
    """The version of the connector, which has to be Spark's own."""
    found = re.search("<spark.version>(.*)</spark.version>", _POM.read_text())
    assert found is not None
    return found[1]


def connector() -> str:
    """The jars, as `spark.jars` takes them. Raises ServerError where they can't be had."""
    folder = fetch(_POM, Path(f"/var/tmp/spark-kafka-{connector_version()}"))
    return ",".join(str(path) for path in sorted(folder.glob("*.jar")))


def spark_program(name: str) -> str:
    """A program of Spark's. Raises ServerError without pyspark."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise ServerError("pyspark is not installed")
    return str(Path(spec.origin).parent / "bin" / name)


class Cluster:
    """A master and two workers of one core each, as an operator starts them. url: the master's."""

    def __init__(self) -> None:
        self.folder = make_folder("spark", "nobody")
        self.port = free_port()
        self.url = f"spark://127.0.0.1:{self.port}"
        self.workers: list[Process] = []
        self._master: Process | None = None

    def start(self) -> None:
        """Return when both workers have their master."""
        self._master = self._process("Master", "--port", str(self.port))
        self._master.wait_ready(partial(_says, self._master, "Starting Spark master"))
        for number in range(2):
            words = ("--port", "0", "--cores", "1", "--memory", "600m", "--work-dir", f"{self.folder}/work", self.url)
            self.workers.append(self._process("Worker", *words, log=f"Worker{number}"))
        for worker in self.workers:
            worker.wait_ready(partial(_says, worker, "registered with master"))

    def executors(self) -> list[int]:
        """The executors' JVMs that are there now."""
        return [pid for worker in self.workers for pid in descendants(worker.pid) if _runs(pid, b"java")]

    def pythons(self) -> list[int]:
        """The Python processes that do the work for the executors now."""
        return [pid for worker in self.workers for pid in descendants(worker.pid) if _runs(pid, b"python")]

    def kill(self) -> None:
        """kill -9 of all of it."""
        for process in (*self.workers, self._master):
            if process is not None:
                process.kill()

    def _process(self, kind: str, *words: str, log: str = "") -> Process:
        command = [spark_program("spark-class"), f"org.apache.spark.deploy.{kind.lower()}.{kind}"]
        command += ["--host", "127.0.0.1", "--webui-port", "0", *words]
        env = {
            "PATH": os.environ["PATH"],
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.folder),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
            "JDK_JAVA_OPTIONS": QUICK,
        }
        return Process(command, self.folder / (log or kind), cwd=self.folder, env=env)


def _says(process: Process, text: str) -> bool:
    return text in process.log.read_text(errors="replace")


def _runs(pid: int, name: bytes) -> bool:
    try:
        return name in Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
    except OSError:
        return False


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster without anything to do. Gone at the end."""
    server = Cluster()
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(server.folder)
