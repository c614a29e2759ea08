"""The edges of WebSocket, SCTP and of telling a stream's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import transports
from fixtures.transports import PING, data_chunk, data_chunks, frame, i_data_chunk, sctp
from fixtures.writer import TcpStream, link, pcap
from sipcdr.ingest import Limits, _hep

from .reading import START, A, B, message, raws, read, reasons

if TYPE_CHECKING:
    from collections.abc import Callable

ONE, TWO, THREE = message(1), message(2, body=b"v=0\r\n" * 200), message(3)
UPGRADE = transports.upgrade("192.0.2.2")


def capture(packets: list[bytes]) -> bytes:
    """A pcap of these IP packets."""
    return pcap([(START + at, link(packet)) for at, packet in enumerate(packets)])


def opened(*pieces: bytes) -> bytes:
    """A capture of a connection from its beginning, a segment a piece."""
    stream = TcpStream(A, B)
    return capture([stream.syn(), *(stream.send(piece) for piece in pieces)])


STREAMS = {
    "WebSocket": UPGRADE + frame(ONE, masked=True) + b"".join(transports.frames(TWO, 4, masked=True)) + frame(THREE),
    "WebSocket joined late": frame(ONE, masked=True)
    + frame(TWO, masked=True)
    + frame(b"ping", opcode=PING)
    + frame(THREE),
    "HEP": b"".join(_hep.encode(one, time=START) for one in (ONE, TWO, THREE)),
    "SIP": ONE + b"\r\n\r\n" + TWO + THREE,
}


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(1, 200), max_size=60))
def test_streams_in_any_segments(name: str, sizes: list[int]) -> None:
    """However a stream is cut into segments, its protocol is known and its messages are found."""
    whole, pieces = STREAMS[name], []
    for size in sizes:
        pieces.append(whole[:size])
        whole = whole[size:]
    pieces.append(whole)
    assert raws(opened(*filter(None, pieces))) == [ONE, TWO, THREE]


@pytest.mark.parametrize("name", STREAMS)
def test_streams_byte_by_byte(name: str) -> None:
    """A byte a segment changes nothing."""
    assert raws(opened(*(bytes([byte]) for byte in STREAMS[name]))) == [ONE, TWO, THREE]


def test_websocket_joined_in_a_frame() -> None:
    """A connection joined in the middle of a server's frame is known by the next segment that begins with one."""
    stream = TcpStream(A, B)
    packets = [stream.send(frame(TWO)[300:]), stream.send(frame(ONE)), stream.send(frame(THREE))]
    found, _ = read(capture(packets))
    assert [(m.raw, m.transport) for m in found] == [(ONE, "WS"), (THREE, "WS")]


LATE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "WebSocket": (frame, "WS"),
    "WebSocket, masked": (lambda text: frame(text, masked=True), "WS"),
    "HEP": (lambda text: _hep.encode(text, time=START), "UDP"),
}


@pytest.mark.parametrize("name", LATE)
def test_protocol_behind_the_end_of_a_line(name: str) -> None:
    """What looked like the beginning of a line of SIP keeps no stream from showing its protocol."""
    wrap, transport = LATE[name]
    stream = TcpStream(A, B)
    found, _ = read(capture([stream.send(piece) for piece in (b"an end\nof something", wrap(ONE), wrap(THREE))]))
    assert [(m.raw, m.transport) for m in found] == [(ONE, transport), (THREE, transport)]


def test_websocket_behind_a_gap() -> None:
    """After a lost segment reading goes on at the next frame with SIP in it."""
    stream = TcpStream(A, B)
    first = stream.send(UPGRADE + frame(ONE, masked=True))
    stream.send(frame(TWO, masked=True)[:500])
    packets = [
        stream.syn(),
        first,
        stream.send(frame(TWO, masked=True)[500:] + frame(THREE, masked=True)),
        stream.fin(),
    ]
    found, tally = read(capture([packets[0], first, *packets[2:]]))
    assert [m.raw for m in found] == [ONE, THREE]
    assert tally.counts["TCP gap"] == 1


def test_long_websocket_message() -> None:
    """A message longer than the limit is cut and named, as one frame or many; the next one is found."""
    long = message(2, body=b"x" * 5000)
    limits = Limits(message=2000)
    for pieces in ([frame(long)], transports.frames(long, 9)):
        found, tally = read(opened(UPGRADE, *pieces, frame(ONE)), limits)
        assert [m.cut for m in found] == [True, False]
        assert reasons(tally) == ["message longer than 2000 bytes"]


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([frame(b'{"chat": "hello"}' * 9), frame(b"x" * 50)], "WebSocket messages without SIP"),
        (
            [frame(b"\xaa\x56" * 30)[:1].replace(b"\x81", b"\xc1") + frame(b"\xaa\x56" * 30)[1:]],
            "WebSocket messages, compressed",
        ),
        ([frame(b"\r\n\r\n")], "keep-alives"),
    ],
    ids=["chat", "compressed", "keep-alive"],
)
def test_websocket_without_sip(pieces: list[bytes], reason: str) -> None:
    """What else WebSockets carry is counted, and SIP behind it is read."""
    found, tally = read(opened(UPGRADE, *pieces, frame(ONE)))
    assert [m.raw for m in found] == [ONE]
    assert tally.counts == {reason: len(pieces)}


def test_http_that_becomes_nothing() -> None:
    """A connection of HTTP holds no memory for long and makes no message."""
    request = b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"
    found, tally = read(opened(*[request + b"body " * 250] * 100))
    assert found == []
    assert tally.counts["TCP without SIP"] > 0
    assert tally.problems == []


def test_tls_records_are_counted() -> None:
    """Each record counts once, in however many segments it is; after a gap the count goes on."""
    records = [b"\x16\x03\x01\x01\x00" + bytes(256), *[b"\x17\x03\x03\x10\x00" + bytes(4096)] * 3]
    whole = b"".join(records)
    assert read(opened(*(whole[at : at + 1000] for at in range(0, len(whole), 1000))))[1].counts == {"TLS records": 4}
    assert read(opened(*(whole[at : at + 3] for at in range(0, len(whole), 3))))[1].counts == {"TLS records": 4}


def test_sctp_with_lost_chunks() -> None:
    """A message that lost a chunk is given out as cut if its head is whole."""
    chunks = data_chunks(TWO, 10, (600, 300))
    found, tally = read(capture([sctp(A, B, [chunks[0]]), sctp(A, B, [chunks[2]])]))
    assert [(m.cut, m.raw) for m in found] == [(True, TWO[:600])]
    assert tally.counts == {"SCTP message with lost chunks": 1, "cut by a lost fragment": 1}
    found, tally = read(capture([sctp(A, B, chunks[1:])]))
    assert found == []
    assert tally.counts["SCTP message with lost chunks"] == 1


def test_sctp_of_two_sides() -> None:
    """Associations and directions are told apart, though their numbers are the same."""
    packets = [
        sctp(A, B, [data_chunk(ONE, 7)]),
        sctp(B, A, [data_chunk(TWO, 7)]),
        sctp(A, B, [data_chunk(THREE, 7)], tag=2),
        sctp(A, B, [data_chunk(ONE, 7)]),
    ]
    found, tally = read(capture(packets))
    assert [(m.raw, m.source) for m in found] == [(ONE, A), (TWO, B), (THREE, A)]
    assert tally.counts == {"SCTP chunks sent again": 1}


def test_sctp_is_bounded() -> None:
    """Chunks that never make a message are bounded, and that is named."""
    flood = [sctp(A, B, [i_data_chunk(b"x" * 200, at, message=at, ends=False)]) for at in range(200)]
    assert "SCTP chunks that wait for others" in reasons(read(capture(flood), Limits(fragments=10_000))[1])
    assert "SCTP chunks that wait for others" in reasons(read(capture(flood), Limits(fragmented=20))[1])
    long = [sctp(A, B, [chunk]) for chunk in data_chunks(bytes(90_000), 1, (1000,) * 80)]
    assert any("SCTP" in reason for reason in reasons(read(capture(long))[1]))


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_random_chunks_raise_nothing(chunks: list[bytes]) -> None:
    """Random chunks raise nothing."""
    read(capture([sctp(A, B, chunks)]))


@given(st.sampled_from(sorted(STREAMS)), st.data())
def test_damaged_streams_raise_nothing(name: str, data: st.DataObject) -> None:
    """Whatever is changed in a stream, nothing is raised."""
    whole = bytearray(STREAMS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    read(opened(*(bytes(whole[at : at + 300]) for at in range(0, len(whole), 300))))
