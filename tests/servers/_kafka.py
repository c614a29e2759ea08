"""Apache Kafka, one node in KRaft mode, on 127.0.0.1. Topics are made by clients that ask for them, not by themselves.

The jars come by Maven, once, into a folder that other users can read; a machine that has them needs no network.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ._maven import fetch
from ._process import Process, ServerError, as_user, free_port, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_USER = "nobody"
_POM = Path(__file__).with_name("kafka-pom.xml")
_LOGGING = """\
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=OUT
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
logger.start.name=kafka.server.KafkaRaftServer
logger.start.level=INFO
"""
# Small and quick: groups form at once; after kill -9 the controller takes a broker for alive until
# broker.session.timeout.ms is over (by default 9 s), and a new start waits for that; the cleaner's table would take
# 128 MB of the heap.
_SERVER = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{listeners}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,SSL:SSL,BOTH:SASL_SSL
log.dirs={folder}/data
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=200
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=4194304
log.segment.bytes=16777216
log.retention.ms=-1
message.max.bytes=16777216
"""


_LOGIN: Final = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";'
_SECURE: Final = """\
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config={login}
listener.name.both.plain.sasl.jaas.config={login}
ssl.keystore.type=PEM
ssl.keystore.location={pem}
"""


class Login(NamedTuple):
    """Who may come in by SASL, with PLAIN; and a PEM file with the broker's key and certificate for TLS."""

    user: str
    password: str
    pem: Path


def _jars() -> Path:
    """The folder of the broker's jars, fetched where there is none; KAFKA_LIBS may name another."""
    found = re.search("<kafka.version>(.*)</kafka.version>", _POM.read_text())
    assert found is not None
    folder = Path(os.environ.get("KAFKA_LIBS") or f"/var/tmp/kafka-libs-{found[1]}")
    return fetch(_POM, folder)


class Kafka:
    """A broker that can be killed as by a crash and started again on its data.

    bootstrap: `host:port` for clients, the same for its whole life; no TLS, no login. login: it listens with SASL, with
    TLS, and with both, too, at the addresses `sasl`, `ssl` and `both`.
    """

    def __init__(self, login: Login | None = None) -> None:
        java = shutil.which("java")
        if java is None:
            raise ServerError("no Java for Kafka: apt-get install default-jre-headless")
        jars = _jars()
        self.folder = make_folder("kafka", _USER)
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.log = self.folder / "log"
        self._process: Process | None = None
        controller = free_port()
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        listeners, secure = "", ""
        if login is not None:
            ports = {name: free_port() for name in ("SASL", "SSL", "BOTH")}
            self.sasl, self.ssl, self.both = (f"127.0.0.1:{port}" for port in ports.values())
            listeners = "".join(f",{name}://127.0.0.1:{port}" for name, port in ports.items())
            pem = self.folder / "both.pem"
            pem.write_bytes(login.pem.read_bytes())  # its own user reads it
            words = _LOGIN.format(user=login.user, password=login.password)
            secure = _SECURE.format(login=words, pem=pem)
        settings = secure + _SERVER.format(
            port=self.port, controller=controller, folder=self.folder, listeners=listeners
        )
        (self.folder / "server.properties").write_text(settings)
        for name in ("data", "tmp"):
            (self.folder / name).mkdir()
            if os.geteuid() == 0:
                shutil.chown(self.folder / name, _USER)
        # Serial collector and first compiler only: quicker to start, less memory.
        self._java = [*as_user(_USER), java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
        self._java += [f"-Djava.io.tmpdir={self.folder}/tmp"]
        self._java += [f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties", "-cp", f"{jars}/*"]

    @property
    def pid(self) -> int:
        """The broker's process."""
        if self._process is None:
            raise ServerError("kafka was not started")
        return self._process.pid

    def start(self) -> None:
        """Return when it answers: the first time without topics, later with what is there."""
        settings = str(self.folder / "server.properties")
        if not any((self.folder / "data").iterdir()):
            cluster = base64.urlsafe_b64encode(os.urandom(16)).decode().strip("=").replace("-", "A")
            command = [*self._java, "-Xmx128m", "kafka.tools.StorageTool", "format", "-c", settings, "-t", cluster]
            done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ServerError(f"kafka: {done.stdout}{done.stderr}")
        before = self.log.stat().st_size if self.log.exists() else 0
        self._process = Process([*self._java, "-Xmx384m", "kafka.Kafka", settings], self.log, cwd=self.folder)
        self._process.wait_ready(lambda: self._answers(before))

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None:
            self._process.stop(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9 of the broker."""
        if self._process is not None:
            self._process.kill()

    def _answers(self, before: int) -> bool:
        """Whether it has its partitions, which its log says, and answers an ApiVersions request."""
        with self.log.open("rb") as log:
            log.seek(before)
            if b"Kafka Server started" not in log.read():
                return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff")
                return bool(connection.recv(1))
        except OSError:
            return False


@contextmanager
def kafka(login: Login | None = None) -> Iterator[Kafka]:
    """A Kafka broker without topics. Gone at the end."""
    server = Kafka(login)
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.kill()
        shutil.rmtree(server.folder)
