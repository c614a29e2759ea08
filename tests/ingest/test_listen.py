"""The HEP listener: real sockets on loopback."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from sipcdr.ingest import HepListener, Inputs, ListenSettings, Record, SourceRefused, SourceUnavailable, Tally, Values
from sipcdr.ingest._hep import encode
from tests.tools import program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIP = (
    b"BYE sip:ben@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:ann@example.com>;tag=a\r\nTo: <sip:ben@example.com>;tag=b\r\nCall-ID: %d@192.0.2.1\r\n"
    b"CSeq: 2 BYE\r\n\r\n"
)
TIME = 1_795_421_600_123_456


def packet(number: int, filler: int = 0) -> bytes:
    message = SIP % number + b"x" * filler
    return encode(message, time=TIME, source="192.0.2.1:5060", destination="192.0.2.2:5060")


@contextmanager
def listening(url: str, **more: Any) -> Iterator[tuple[HepListener, tuple[str, int]]]:
    listener = HepListener(ListenSettings(listen=[url], **more))
    try:
        parts = urlsplit(listener.addresses[0])
        assert parts.hostname is not None
        assert parts.port is not None
        yield listener, (parts.hostname, parts.port)
    finally:
        listener.close()


def take(listener: HepListener, count: int) -> list[Record]:
    """So many packets, and no more."""
    found: list[Record] = []
    end = time.monotonic() + 60
    while len(found) < count and time.monotonic() < end:
        found += listener.poll(0.2, 100)
    return found + listener.poll(0.05, 100)


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def calls(records: list[Record]) -> list[int]:
    """The numbers in the Call-IDs of what the records hold."""
    messages, poison = Values(Tally(), form="hep").messages(records, "hep")
    assert poison == []
    assert all(message.time == TIME for message in messages)
    return [int(message.call_id.partition(b"@")[0]) for message in messages]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_datagrams(host: str) -> None:
    """Packets by UDP come in order, numbered, with the time of receipt beside their own."""
    with listening(f"udp://{host}:0") as (listener, address):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            for number in range(200):
                sender.sendto(packet(number), address)
            found = take(listener, 200)
    assert calls(found) == list(range(200))
    assert [record.offset for record in found] == list(range(200))
    assert abs(found[0].time - time.time_ns() // 1000) < 60_000_000


@pytest.mark.parametrize("piece", [1, 7, 500, 100_000])
def test_streams_are_cut_into_packets(piece: int) -> None:
    """By TCP, in whatever pieces the packets come."""
    sent = b"".join(packet(number) for number in range(5))
    with listening("tcp://127.0.0.1:0") as (listener, address):
        with socket.create_connection(address) as sender:
            sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(sent), piece):
                sender.sendall(sent[at : at + piece])
            found = take(listener, 5)
        until(lambda: not listener._streams)
    assert calls(found) == [0, 1, 2, 3, 4]
    assert not listener.counts


def test_a_stream_that_lost_its_framing_goes_on_at_the_next_packet() -> None:
    """Junk between packets is counted; also a length that can't be; a packet cut by the end is counted."""
    sent = b"junk, HEP" + packet(0) + b"\r\n\r\n" + packet(1) + b"HEP3\0\0" + packet(2) + packet(3)[:-1]
    with listening("tcp://127.0.0.1:0") as (listener, address):
        with socket.create_connection(address) as sender:
            sender.sendall(sent)
            found = take(listener, 3)
        until(lambda: not listener._streams)
    assert calls(found) == [0, 1, 2]
    assert listener.counts == {"HEP connections: framing lost": 3, "HEP connections: cut in a packet": 1}


def test_streams_of_many_senders_do_not_mix() -> None:
    """Each connection has its own framing; the first of too many make room."""
    with listening("tcp://127.0.0.1:0") as (listener, address):
        senders = [socket.create_connection(address) for _ in range(300)]
        for half in (slice(None, 20), slice(20, None)):
            for number, sender in enumerate(senders[-40:]):
                sender.sendall(packet(number)[half])
        found = take(listener, 40)
        until(lambda: len(listener._streams) == 256)
        for sender in senders:
            sender.close()
    assert sorted(calls(found)) == list(range(40))
    assert listener.counts["HEP connections: ended for newer ones"] == 44


def test_a_full_buffer_drops_datagrams_and_counts_them() -> None:
    """What doesn't fit while nobody polls is counted; memory stays flat."""
    with listening("udp://127.0.0.1:0", buffer=20_000) as (listener, address):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(100):
                sender.sendto(packet(number, 1000), address)
        until(lambda: listener.counts["HEP datagrams dropped, as the buffer was full"] + len(listener._packets) == 100)
        found = take(listener, 1)
    assert calls(found) == list(range(len(found)))
    assert 5 < len(found) < 20


@pytest.mark.skipif("sys.platform != 'linux'", reason="only Linux tells what the kernel dropped")
def test_what_the_kernel_dropped_is_counted() -> None:
    """Datagrams that came while the thread was held up, beyond what the kernel keeps."""
    with listening("udp://127.0.0.1:0") as (listener, address):
        count = 20_000
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            with listener._lock:
                for number in range(count):
                    sender.sendto(packet(number, 1000), address)
            found = take(listener, 1)
            while more := listener.poll(1, 1000):
                found += more
            # The kernel tells with the next datagram.
            sender.sendto(packet(count), address)
            found += take(listener, 1)
    dropped = listener.counts["HEP datagrams dropped by the kernel"]
    buffered = listener.counts["HEP datagrams dropped, as the buffer was full"]
    assert dropped > 0
    assert len(found) + dropped + buffered == count + 1


def test_a_full_buffer_makes_streams_wait() -> None:
    """By TCP nothing is dropped: the sender is held up until there is room."""
    with listening("tcp://127.0.0.1:0", buffer=20_000) as (listener, address):  # noqa: SIM117
        with socket.create_connection(address) as sender:
            sender.setblocking(False)
            sent = b"".join(packet(number, 10_000) for number in range(1000))
            at = 0
            found: list[Record] = []
            end = time.monotonic() + 90
            held = 0
            while at < len(sent) and time.monotonic() < end:
                try:
                    at += sender.send(sent[at : at + 65_536])
                except BlockingIOError:
                    held += 1
                    assert listener._size < 200_000
                    found += listener.poll(0.1, 10)
            found += take(listener, 1000 - len(found))
    assert held
    assert calls(found) == list(range(1000))


def test_what_sngrep_sends_is_what_it_read() -> None:
    """Times, addresses and bytes of a capture that sngrep reads and sends as HEP3."""
    capture = str(Path(__file__).parents[2] / "fixtures" / "answered.pcap")
    expected = [message for batch in Inputs([capture], tally=Tally()) for message in batch]
    with listening("udp://127.0.0.1:0") as (listener, (host, port)):
        command = [program("sngrep"), "-N", "-q", "-I", capture, "-H", f"udp:{host}:{port}"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        found, poison = Values(Tally()).messages(take(listener, len(expected)), "hep")
    assert poison == []
    assert [(m.time, m.source, m.destination, m.transport, m.raw) for m in found] == [
        (m.time, m.source, m.destination, m.transport, m.raw) for m in expected
    ]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate and its key in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [
        program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(path), "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_name("both.pem.crt").read_text())
    return path


def test_tls(certificate: Path) -> None:
    """Packets over TLS; a sender without TLS is ended and counted."""
    with listening("tls://127.0.0.1:0", tls_cert=str(certificate)) as (listener, address):
        context = ssl.create_default_context(cafile=str(certificate))
        with context.wrap_socket(socket.create_connection(address), server_hostname="127.0.0.1") as sender:
            for number in range(50):
                sender.sendall(packet(number, 5000))
            found = take(listener, 50)
        with socket.create_connection(address) as plain:
            plain.sendall(packet(0))
            until(lambda: bool(listener.counts["HEP connections: TLS failed"]))
    assert calls(found) == list(range(50))


def test_tls_with_certificates_of_senders(certificate: Path) -> None:
    """With tls_ca a sender needs a certificate."""
    with listening("tls://127.0.0.1:0", tls_cert=str(certificate), tls_ca=str(certificate)) as (listener, address):
        context = ssl.create_default_context(cafile=str(certificate))
        with (
            suppress(OSError),
            context.wrap_socket(socket.create_connection(address), server_hostname="127.0.0.1") as bare,
        ):
            bare.sendall(packet(0))
            assert bare.recv(1) == b""
        until(lambda: bool(listener.counts["HEP connections: TLS failed"]))
        context.load_cert_chain(str(certificate))
        with context.wrap_socket(socket.create_connection(address), server_hostname="127.0.0.1") as sender:
            sender.sendall(packet(7))
            assert calls(take(listener, 1)) == [7]


@pytest.mark.parametrize(
    "settings",
    [
        {"listen": ["127.0.0.1:9060"]},
        {"listen": ["http://127.0.0.1:9060"]},
        {"listen": ["udp://:9060"]},
        {"listen": ["udp://127.0.0.1:99999"]},
        {"listen": ["tls://127.0.0.1:0"]},
        {"listen": ["tls://127.0.0.1:0"], "tls_cert": "no-such-file"},
    ],
)
def test_addresses_and_certificates_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    """With what to write instead, and no socket left open."""
    with pytest.raises(SourceRefused):
        HepListener(ListenSettings(**settings))


def test_an_address_in_use_is_unavailable() -> None:
    """Another may let it go."""
    with listening("tcp://127.0.0.1:0") as (listener, _), pytest.raises(SourceUnavailable, match="in use"):
        HepListener(ListenSettings(listen=["udp://127.0.0.1:0", listener.addresses[0]]))


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    """The default addresses."""
    assert all("//127.0.0.1:" in url for url in ListenSettings().listen)
