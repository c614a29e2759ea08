"""TCP streams: whatever the order of segments, the same messages."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.writer import TcpStream, link, pcap
from sipcdr.ingest import Limits

from .reading import A6, B6, START, A, B, message, raws, read, reasons

if TYPE_CHECKING:
    from collections.abc import Callable

ONE, TWO, THREE = message(1), message(2, body=b"line\r\n\r\nline"), message(3, "BYE")
ALL = ONE + TWO + THREE
SECOND = 1_000_000


def capture(packets: list[bytes], step: int = 1000) -> bytes:
    """A pcap of these IP packets, `step` microseconds apart."""
    return pcap([(START + at * step, link(packet)) for at, packet in enumerate(packets)])


def stream(sequence: int = 1000) -> TcpStream:
    """A stream from A to B."""
    return TcpStream(A, B, sequence=sequence)


def _segments(tcp: TcpStream, size: int) -> list[bytes]:
    return [tcp.segment(at, ALL[at : at + size]) for at in range(0, len(ALL), size)]


def _in_order(tcp: TcpStream) -> list[bytes]:
    return [tcp.syn(), *_segments(tcp, 200), tcp.fin()]


def _overlapping(tcp: TcpStream) -> list[bytes]:
    return [tcp.syn(), *(tcp.segment(at, ALL[at : at + 300]) for at in range(0, len(ALL), 200))]


def _swapped(tcp: TcpStream) -> list[bytes]:
    packets = [tcp.syn(), *_segments(tcp, 97)]
    for at in range(0, len(packets) - 1, 2):
        packets[at : at + 2] = packets[at + 1], packets[at]
    return packets


SCHEDULES: dict[str, Callable[[TcpStream], list[bytes]]] = {
    "in order": _in_order,
    "all in one": lambda tcp: [tcp.syn(), tcp.send(ALL)],
    "one byte a segment": lambda tcp: [tcp.syn(), *_segments(tcp, 1)],
    "without SYN": lambda tcp: _segments(tcp, 200),
    "without SYN, one byte a segment": lambda tcp: _segments(tcp, 1),
    "backwards": lambda tcp: [tcp.syn(), *_segments(tcp, 200)[::-1]],
    "backwards without SYN": lambda tcp: _segments(tcp, 200)[::-1],
    "SYN last": lambda tcp: [*_segments(tcp, 200), tcp.syn()],
    "each twice": lambda tcp: [packet for packet in _in_order(tcp) for _ in range(2)],
    "all again": lambda tcp: _in_order(tcp) * 2,
    "neighbours swapped": _swapped,
    "overlapping": _overlapping,
    "overlapping, backwards": lambda tcp: _overlapping(tcp)[::-1],
    "keep-alives between": lambda tcp: [
        tcp.syn(),
        tcp.send(ONE),
        tcp.keep_alive(),
        tcp.send(b"\r\n\r\n"),
        tcp.send(TWO),
        tcp.keep_alive(),
        tcp.send(b"\r\n"),
        tcp.send(THREE),
    ],
    "line ends and NUL before a start line": lambda tcp: [
        tcp.syn(),
        tcp.send(b"\r\n\0\0" + ONE),
        tcp.send(TWO + THREE),
    ],
    "reset at the end": lambda tcp: [tcp.syn(), tcp.send(ALL), tcp.reset()],
    "acknowledgements between": lambda tcp: [tcp.syn(), tcp.send(ONE), tcp.acknowledge(), tcp.send(TWO + THREE)],
}


@pytest.mark.parametrize("sequence", [1000, 0xFFFFFF00, 0xFFFFFFFF], ids=["plain", "wraps around", "wraps at once"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str, sequence: int) -> None:
    """However the segments of three messages come, there are those three messages, each once."""
    found, tally = read(capture(SCHEDULES[name](stream(sequence))))
    assert [m.raw for m in found] == [ONE, TWO, THREE]
    assert {(m.source, m.destination, m.transport, m.cut) for m in found} == {(A, B, "TCP", False)}
    assert tally.problems == []
    assert tally.counts["TCP gap"] == 0


def test_ipv6() -> None:
    """A stream over IPv6 has its addresses in brackets."""
    tcp = TcpStream(A6, B6)
    found, _ = read(capture([tcp.syn(), *tcp.split(ALL, 100)]))
    assert [m.raw for m in found] == [ONE, TWO, THREE]
    assert (found[0].source, found[0].destination) == (A6, B6)


def test_both_directions() -> None:
    """Each direction of a connection is read by itself."""
    there, back = stream(), TcpStream(B, A)
    found = raws(capture([there.syn(), back.syn(), there.send(ONE[:90]), back.send(TWO), there.send(ONE[90:])]))
    assert sorted(found) == sorted([ONE, TWO])


def test_time_is_that_of_the_last_byte() -> None:
    """A message has the time and frame of the packet with its last byte, also where that came too early."""
    tcp = stream()
    packets = [
        (START, link(tcp.syn())),
        (START + 3, link(tcp.segment(50, ONE[50:]))),
        (START + 2, link(tcp.segment(0, ONE[:50]))),
    ]
    found, _ = read(pcap(packets))
    assert [(m.time, m.position.number) for m in found] == [(START + 3, 2)]


LOST = {
    "in a body": ([ONE, TWO[:-8], None, THREE], [(ONE, False), (TWO[:-8], True), (THREE, False)]),
    "in a head": ([ONE, TWO[:50], None, THREE], [(ONE, False), (THREE, False)]),
    "between messages": ([ONE, None, THREE], [(ONE, False), (THREE, False)]),
    "into the next message": ([ONE[:100], None, TWO[70:] + THREE], [(THREE, False)]),
    "at the beginning": ([None, ONE[70:] + TWO, THREE], [(TWO, False), (THREE, False)]),
}


@pytest.mark.parametrize("name", LOST)
def test_gap(name: str) -> None:
    """Behind a lost segment the next start line is found; a message whose head is there is used."""
    parts, expected = LOST[name]
    tcp = stream()
    packets = [tcp.syn()]
    for part in parts:
        if part is None:
            tcp.sent += 8
        else:
            packets.append(tcp.send(part))
    found, tally = read(capture(packets))
    assert [(m.raw, m.cut) for m in found] == expected
    assert tally.counts["TCP gap"] == 1
    assert tally.problems == []


def test_gap_is_given_up_in_capture_time() -> None:
    """A hole is waited for no longer than the limit, so what stands behind it comes while the capture runs."""
    tcp, other = stream(), TcpStream(B, A)
    packets = [(START, tcp.syn()), (START, tcp.send(ONE))]
    tcp.sent += 10
    packets += [(START + SECOND, tcp.send(TWO)), (START + 5 * SECOND, other.syn())]
    late = tcp.segment(len(ONE), b"0123456789")
    packets += [(START + 6 * SECOND, late), (START + 6 * SECOND, tcp.send(THREE))]
    found, tally = read(pcap([(time, link(packet)) for time, packet in packets]))
    assert [m.raw for m in found] == [ONE, TWO, THREE]
    assert tally.counts["TCP gap"] == 1


def test_segment_cut_by_the_snap_length() -> None:
    """What a cut segment lacks is a gap: its message is used if its head is whole, and the next one is found."""
    tcp = stream()
    frames = [link(packet) for packet in (tcp.syn(), tcp.send(TWO), tcp.send(THREE))]
    found, tally = read(pcap([(START, frames[0]), (START, frames[1][:-5]), (START, frames[2])]))
    assert [(m.raw, m.cut) for m in found] == [(TWO[:-5], True), (THREE, False)]
    assert tally.counts["cut by the snap length"] == 1


def test_same_ports_again() -> None:
    """A new connection between the same ports begins anew, with SYN or far away."""
    first, second, third = stream(1000), stream(500), stream(0x70000000)
    packets = [first.syn(), first.send(ONE), second.syn(), second.send(TWO), third.send(THREE)]
    assert raws(capture(packets)) == [ONE, TWO, THREE]


def test_content_length() -> None:
    """Without Content-Length, or with one that is no number, a message has no body; what is no SIP is skipped."""
    without = THREE.replace(b"Content-Length: 0\r\n", b"")
    odd = THREE.replace(b"Content-Length: 0", b"Content-Length: -4")
    folded = TWO.replace(b"Content-Length: 12", b"l :\r\n  12")
    tcp = stream()
    data = without + b"not a body\r\n" + odd + b"abc\r\n" + folded + ONE
    assert raws(capture([tcp.syn(), tcp.send(data)])) == [without, odd, folded, ONE]


def test_bare_line_ends() -> None:
    """Lines may end in LF alone; Content-Length still counts bytes."""
    bare = TWO.replace(b"\r\n", b"\n").replace(b": 12", b": 10")
    tcp = stream()
    assert raws(capture([tcp.syn(), tcp.send(bare + ONE)])) == [bare, ONE]


def test_other_protocols_cost_nothing() -> None:
    """TLS and other protocols are counted, hold no memory, and SIP that comes after all is found."""
    tls, http = stream(), TcpStream(B, A)
    records = b"\x16\x03\x01\x02\x00" + bytes(512) + (b"\x17\x03\x03\x07\xd0" + bytes(2000)) * 5
    packets = [tls.syn(), *tls.split(records, 1000), http.syn()]
    packets += http.split(b"HTTP/1.1 200 OK\r\n\r\n" + b"SIP/2.0 is a protocol\r\n" * 8000, 1400)
    packets += [http.send(ONE)]
    found, tally = read(capture(packets))
    assert [m.raw for m in found] == [ONE]
    assert tally.counts["TLS records"] == 6
    assert tally.counts["TCP without SIP"] > 0
    assert tally.refused == []


def test_message_beyond_the_limit() -> None:
    """A message longer than the limit is cut, named, and the next one found behind it."""
    long = message(7, body=b"x" * 70_000)
    tcp = stream()
    found, tally = read(capture([tcp.syn(), *tcp.split(ONE + long + TWO, 1400)]))
    assert [(m.cseq, m.cut, len(m.raw)) for m in found] == [
        (1, False, len(ONE)),
        (7, True, 65_536),
        (2, False, len(TWO)),
    ]
    assert reasons(tally) == ["message longer than 65536 bytes"]


def test_head_that_never_ends() -> None:
    """Endless headers are cut at the limit, and memory is given back."""
    tcp = stream()
    endless = ONE[:-2] + b"X: y\r\n" * 50_000
    found, tally = read(capture([tcp.syn(), *tcp.split(endless, 1400), tcp.send(b"\r\n" + TWO)]))
    assert [m.cseq for m in found] == [1, 2]
    assert "more than 256 headers" in reasons(tally)


def test_stream_that_never_completes() -> None:
    """What waits behind a hole is bounded for one stream and for all, and what goes beyond is named."""
    tcp = stream()
    packets = [tcp.syn()]
    tcp.sent = 10
    packets += tcp.split(b"y" * 50_000, 500)
    _, tally = read(capture(packets), Limits(stream=10_000))
    assert "TCP segments that wait for others" in reasons(tally)
    many = [TcpStream(f"192.0.2.1:{port}", B) for port in range(1000, 1100)]
    _, tally = read(capture([one.segment(0, b"z" * 500) for one in many]), Limits(streams_held=20_000))
    assert "TCP streams that wait for segments" in reasons(tally)
    _, tally = read(capture([one.segment(0, ONE) for one in many]), Limits(streams=50))
    assert "more than 50 TCP streams" in reasons(tally)


def test_more_connections_than_are_known() -> None:
    """Those used longest ago are forgotten; what they carry later is read all the same."""
    many = [TcpStream(f"192.0.2.1:{port}", B) for port in range(1000, 1100)]
    packets = [packet for one in many for packet in (one.syn(), one.send(ONE))]
    packets += [packet for one in many for packet in one.split(TWO + THREE, 150)]
    found, tally = read(capture(packets, step=SECOND // 10), Limits(streams=50))
    assert sorted((m.source, m.cseq) for m in found) == sorted((one.source, cseq) for one in many for cseq in (1, 2, 3))
    assert reasons(tally) == []
    assert tally.counts["TCP streams forgotten"] == 150


def test_idle_stream_is_forgotten() -> None:
    """After the idle time a stream gives out what it holds and is joined again in its middle."""
    tcp, other = stream(), TcpStream(B, A)
    packets = [(START, tcp.syn()), (START, tcp.send(ONE + TWO[:-3])), (START + 400 * SECOND, other.syn())]
    tcp.sent += 3
    packets += [(START + 401 * SECOND, tcp.send(THREE))]
    found, _ = read(pcap([(time, link(packet)) for time, packet in packets]))
    assert [(m.cseq, m.cut) for m in found] == [(1, False), (2, True), (3, False)]


@given(st.data())
def test_any_cut_in_any_order(data: st.DataObject) -> None:
    """Messages cut into segments anywhere, in any order, doubled and overlapping, are the same messages."""
    texts = data.draw(
        st.lists(
            st.sampled_from([ONE, TWO, THREE, b"\r\n\r\n", message(4, body=b"INVITE sip:x SIP/2.0\r\n")]), max_size=6
        )
    )
    whole = b"".join(texts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=30)) | {0, len(whole)})
    tcp = stream(data.draw(st.sampled_from([1000, 0xFFFFFFFE, 0x7FFFFFF0])))
    overlap = data.draw(st.integers(0, 40))
    segments = [tcp.segment(a, whole[a : b + overlap]) for a, b in itertools.pairwise(cuts)]
    segments += data.draw(st.lists(st.sampled_from(segments), max_size=5)) if segments else []
    packets = data.draw(st.permutations([tcp.syn(), *segments]))
    expected = [text for text in texts if text.strip()]
    assert raws(pcap([(START, link(packet)) for packet in packets])) == expected


@given(st.data())
def test_random_segments_raise_nothing(data: st.DataObject) -> None:
    """Segments of anything at any sequence number raise nothing, and their roads agree."""
    tcp = stream()
    parts = st.one_of(st.binary(max_size=60), st.sampled_from([ONE, ALL[100:400], b"\r\n", b"SIP/2.0 ", ONE[:-2]]))
    packets = [tcp.syn()] if data.draw(st.booleans()) else []
    for _ in range(data.draw(st.integers(1, 12))):
        packets.append(tcp.segment(data.draw(st.integers(-500, 70_000)), data.draw(parts)))
        if data.draw(st.integers(0, 9)) == 0:
            packets.append(data.draw(st.sampled_from([tcp.syn(), tcp.fin(), tcp.reset(), tcp.keep_alive()])))
    taken = capture(packets, step=data.draw(st.sampled_from([0, 1000, 2 * SECOND])))
    limits = Limits(stream=data.draw(st.sampled_from([300, 5000, 1 << 20])))
    fast, general = read(taken, limits), read(taken, limits, fast=False)
    assert fast[0] == general[0]
    assert fast[1].counts == general[1].counts
