"""`sipcdr run` and `sipcdr publish` with brokers that want a login, TLS, or both."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.app.capture import answered, sipcdr, write
from tests.app.daemon import Daemon, make_topic, messages_of, replayed, wait_for, written
from tests.servers import Kafka, Login, ServerError, kafka
from tests.tools import missing, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
CLIENTS = ("kafka-python", "confluent")
WAYS = ("sasl", "ssl", "both")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate in one file, and beside it the certificate alone (`.crt`)."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.fixture(scope="module")
def broker(certificate: Path) -> Iterator[Kafka]:
    try:
        with kafka(Login("ann", "secret", certificate)) as server:
            yield server
    except ServerError as error:
        missing(str(error))


def options(client: str, way: str, certificate: Path, password: str = "secret") -> dict[str, Any]:
    """What the client needs, in its own spelling."""
    protocol = {"sasl": "SASL_PLAINTEXT", "ssl": "SSL", "both": "SASL_SSL"}[way]
    login = {"sasl_mechanism": "PLAIN", "sasl_plain_username": "ann", "sasl_plain_password": password}
    trust = {"ssl_cafile": str(certificate.with_suffix(".crt"))}
    if client == "confluent":
        login = {"sasl.mechanisms": "PLAIN", "sasl.username": "ann", "sasl.password": password}
        trust = {"ssl.ca.location": str(certificate.with_suffix(".crt"))}
    name = "security.protocol" if client == "confluent" else "security_protocol"
    return {name: protocol, **(login if way != "ssl" else {}), **(trust if way != "sasl" else {})}


def source(bootstrap: str, topic: str, client: str, given: dict[str, Any]) -> str:
    words = ", ".join(f'"{name}" = {json.dumps(value)}' for name, value in given.items())
    return (
        f'[[source]]\ntype = "kafka"\nbootstrap = ["{bootstrap}"]\ntopics = ["{topic}"]\nclient = "{client}"\n'
        f"options = {{ {words} }}\n"
    )


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("way", WAYS)
def test_from_publish_to_rows(broker: Kafka, certificate: Path, tmp_path: Path, client: str, way: str) -> None:
    """A capture that `publish` sends is read by the daemon, with dead letters into a topic over the same road."""
    topic = f"{client}-{way}"
    for name in (topic, f"{topic}-dead"):
        make_topic(broker.bootstrap, name, 1)
    given = options(client, way, certificate)
    capture = write(tmp_path / "calls.pcap", answered("1@192.0.2.11"))
    bootstrap = getattr(broker, way)
    words = [word for name, value in given.items() for word in ("--option", f"{name}={value}")]
    done = sipcdr("publish", str(capture), "--topic", topic, "--bootstrap", bootstrap, "--client", client, *words)
    assert done.status == 0, done.err
    messages = messages_of([capture])
    url = f"sqlite:///{tmp_path}/cdr.db"
    daemon = Daemon(tmp_path / "d", url, source(bootstrap, topic, client, given))
    daemon.config.write_text(
        daemon.config.read_text().replace(f'file = "{daemon.letters}"', f'file = ""\ntopic = "{topic}-dead"')
    )
    daemon.start()
    try:
        wait_for(lambda: daemon.get("/readyz")[0] == 200, "readiness", [daemon])
        expected = replayed([capture], tmp_path, messages)
        wait_for(lambda: written(url, messages) == expected, "the rows", [daemon])
        assert daemon.stop()[0] == 0
        assert "secret" not in daemon.log.read_text()
    finally:
        daemon.kill()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_password(broker: Kafka, certificate: Path, tmp_path: Path, client: str) -> None:
    """confluent-kafka: status 2 and one line. kafka-python can't tell it from brokers that are away, and says so."""
    given = options(client, "sasl", certificate, password="wrong-one")
    daemon = Daemon(tmp_path / "d", f"sqlite:///{tmp_path}/x.db", source(broker.sasl, "t", client, given))
    daemon.start()
    try:
        assert daemon.process is not None
        if client == "confluent":
            assert daemon.process.wait(60) == 2, daemon.tail()
            assert "uthenticat" in daemon.tail()
        else:
            wait_for(lambda: "or refuse the login" in daemon.tail(), "the error", [daemon])
            assert daemon.stop()[0] == 0
        assert "wrong-one" not in daemon.tail()
    finally:
        daemon.kill()
