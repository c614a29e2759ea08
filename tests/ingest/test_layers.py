"""Layers around a payload, IP fragments, and the two roads."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.writer import (
    DESTINATION_OPTIONS,
    ETHERTYPE_IPV4,
    ETHERTYPE_VLAN,
    FRAGMENT,
    HOP_BY_HOP,
    LINK_ETHERNET,
    LINK_IPV4,
    LINK_IPV6,
    LINK_LOOP,
    LINK_NULL,
    LINK_RAW,
    LINK_SLL,
    LINK_SLL2,
    ROUTING,
    UDP,
    TcpStream,
    datagram,
    ethernet,
    fragments,
    ipv4,
    ipv6,
    link,
    pcap,
)
from sipcdr.ingest import Limits

from .reading import A6, B6, START, A, B, message, raws, read, reasons

if TYPE_CHECKING:
    from sipcdr.ingest import Tally

INVITE = message(body=b"v=0\r\n" * 300)
LINKS = [LINK_NULL, LINK_ETHERNET, 12, 14, LINK_RAW, LINK_LOOP, LINK_SLL, LINK_IPV4, LINK_IPV6, LINK_SLL2]


def capture(
    packets: list[bytes], link_type: int = LINK_ETHERNET, step: int = 1000, vlans: tuple[int, ...] = ()
) -> bytes:
    """A pcap of these IP packets."""
    frames = [link(packet, link_type, vlans=vlans) for packet in packets]
    return pcap([(START + at * step, frame) for at, frame in enumerate(frames)], link_type)


def udp_segment(payload: bytes) -> bytes:
    """The UDP datagram of A to B without its IP header."""
    return datagram(A, B, payload)[20:]


@pytest.mark.parametrize("link_type", LINKS)
@pytest.mark.parametrize(("source", "destination"), [(A, B), (A6, B6)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("fast", [True, False])
def test_link_types(link_type: int, source: str, destination: str, fast: bool) -> None:
    """A datagram and a stream are found behind every link type, over both IP versions, on both roads."""
    tcp = TcpStream(source, destination)
    packets = [datagram(source, destination, INVITE), tcp.syn(), tcp.send(message(2)), tcp.acknowledge()]
    found, tally = read(capture(packets, link_type), fast=fast)
    assert [(m.transport, m.raw) for m in found] == [("UDP", INVITE), ("TCP", message(2))]
    assert {(m.source, m.destination) for m in found} == {(source, destination)}
    assert tally.counts == {"TCP without data": 1}


@pytest.mark.parametrize("vlans", [(5,), (5, 6), (5, 6, 7), tuple(range(20))])
def test_vlans(vlans: tuple[int, ...]) -> None:
    """802.1Q tags are passed over, and 802.1ad around them."""
    assert raws(capture([datagram(A, B, INVITE)], vlans=vlans)) == [INVITE]


def test_layers_are_bounded() -> None:
    """Endless tags end at a limit that is named."""
    found, tally = read(capture([datagram(A, B, INVITE)], vlans=tuple(range(100))))
    assert found == []
    assert reasons(tally) == ["more than 32 layers"]


_PLAIN = datagram(A, B, INVITE)
PACKETS = {
    "IPv4 options": (ipv4("192.0.2.1", "192.0.2.2", UDP, udp_segment(INVITE), options=b"\x94\x04\0\0"), INVITE),
    "extension headers": (
        ipv6(
            "2001:db8::1",
            "2001:db8::2",
            UDP,
            datagram(A6, B6, INVITE)[40:],
            extensions=[(HOP_BY_HOP, bytes(6)), (ROUTING, bytes(14)), (DESTINATION_OPTIONS, bytes(6))],
        ),
        INVITE,
    ),
    "fragment header of a whole packet": (
        ipv6("2001:db8::1", "2001:db8::2", UDP, datagram(A6, B6, INVITE)[40:], extensions=[(FRAGMENT, bytes(6))]),
        INVITE,
    ),
    "authentication header": (
        ipv4("192.0.2.1", "192.0.2.2", 51, bytes([UDP, 4]) + bytes(22) + udp_segment(INVITE)),
        INVITE,
    ),
    "IP length left to the card": (_PLAIN[:2] + b"\0\0" + _PLAIN[4:], INVITE),
}


@pytest.mark.parametrize("name", PACKETS)
def test_ip(name: str) -> None:
    """What may stand between the IP header and the datagram is passed over."""
    packet, expected = PACKETS[name]
    assert raws(capture([packet])) == [expected]


def test_padding_is_no_content() -> None:
    """What a frame has behind the IP packet is not read."""
    frame = link(datagram(A, B, message())) + b"\r\n" + message(2)
    assert raws(pcap([(START, frame)])) == [message()]


def test_what_is_no_sip_is_counted() -> None:
    """Media, keep-alives, other protocols and other ethertypes make no message and no problem."""
    packets = [
        datagram(A, B, b"\x80\0" + bytes(20)),
        datagram(A, B, b""),
        datagram(A, B, b"\r\n\r\n"),
        datagram(A, B, b"M-SEARCH * HTTP/1.1\r\n\r\n"),
        datagram(A, B, b"HTTP about INVITE sip:x SIP/2.0\r\n\r\n"),
        ipv4("192.0.2.1", "192.0.2.2", 1, bytes(30)),
    ]
    frames = [(START, link(packet)) for packet in packets] + [(START, ethernet(bytes(40), 0x0806)), (START, b"short")]
    found, tally = read(pcap(frames))
    assert found == []
    assert tally.counts == {
        "UDP without SIP": 3,
        "refused: no Call-ID": 1,
        "keep-alives": 1,
        "neither UDP, TCP nor SCTP": 1,
        "not IP": 1,
        "frame too short for its headers": 1,
    }
    assert tally.problems == []


def test_several_messages_in_a_datagram() -> None:
    """What Content-Length leaves over may be another message; anything else is no body."""
    first, second = message(1, body=b"abc"), message(2)
    assert raws(capture([datagram(A, B, b"\r\n" + first + b"\r\n" + second + b"rest")])) == [first, second]


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(
    "order",
    [
        lambda parts: parts,
        lambda parts: parts[::-1],
        lambda parts: [part for part in parts for _ in range(2)],
        lambda parts: parts[1:] + parts[:1],
    ],
    ids=["in order", "backwards", "each twice", "first one last"],
)
def test_fragments(six: bool, order: object) -> None:
    """Fragments make their datagram in any order, at the time of the latest."""
    packet = datagram(A6, B6, INVITE) if six else datagram(A, B, INVITE)
    parts = list(enumerate(fragments(packet, 400)))
    arranged = order(parts)  # type: ignore[operator]
    found, tally = read(pcap([(START + at, link(part)) for at, part in arranged]))
    assert [(m.raw, m.time) for m in found] == [(INVITE, START + len(parts) - 1)]
    assert tally.problems == []


def test_fragments_overlap() -> None:
    """Overlapping fragments make one datagram, of which each byte is used once."""
    packet = datagram(A, B, INVITE)
    parts = fragments(packet, 400) + fragments(packet, 600)
    assert raws(capture(parts[:2] + parts[4:])) == [INVITE]


def test_interleaved_fragments() -> None:
    """Datagrams are told apart by identification and addresses."""
    one = fragments(datagram(A, B, message(1)), 104, identification=7)
    two = fragments(datagram(A, B, message(2)), 104, identification=8)
    three = fragments(datagram("192.0.2.3:5060", B, message(3)), 104, identification=7)
    mixed = [part for parts in zip(one, two, three, strict=True) for part in parts]
    assert [m.cseq for m in read(capture(mixed))[0]] == [1, 2, 3]


def test_lost_fragments() -> None:
    """With its first fragments a message is used as cut if its head is there; without them there is none."""
    parts = fragments(datagram(A, B, INVITE), 800)
    found, tally = read(capture(parts[:1]))
    assert [(m.cut, m.raw) for m in found] == [(True, INVITE[:792])]
    assert tally.counts == {"IP datagram with lost fragments": 1, "cut by a lost fragment": 1}
    found, tally = read(capture(parts[1:]))
    assert found == []
    assert tally.counts["IP datagram with lost fragments"] == 1
    assert tally.problems == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_fragment_sent_again(number: int) -> None:
    """A copy of a fragment behind its whole datagram is neither a message nor a loss; other content there is a loss."""
    parts = fragments(datagram(A, B, INVITE), 800)
    found, tally = read(capture([*parts, parts[number]]))
    assert [m.raw for m in found] == [INVITE]
    assert tally.counts == {"IP fragments sent again": 1}
    other = fragments(datagram(A, B, message(2, body=b"w=0\r\n" * 300)), 800)
    assert read(capture([*parts, other[number]]))[1].counts["IP datagram with lost fragments"] == 1


def test_fragments_wait_in_capture_time() -> None:
    """A fragment that comes after the time limit belongs to another datagram."""
    first, *others = fragments(datagram(A, B, INVITE), 800)
    times = [START, *(START + 40_000_000 for _ in others)]
    found, tally = read(pcap([(at, link(part)) for at, part in zip(times, (first, *others), strict=True)]))
    assert [m.cut for m in found] == [True]
    assert tally.counts["IP datagram with lost fragments"] == 2


def test_fragments_are_bounded() -> None:
    """Fragments that never complete are bounded in number, bytes and datagrams, and that is named."""

    def flood(limits: Limits, count: int = 300) -> Tally:
        parts = [
            ipv4("192.0.2.1", "192.0.2.2", UDP, bytes(8), identification=at // 40, offset=8 + at % 40 * 16, more=True)
            for at in range(count)
        ]
        return read(capture(parts), limits)[1]

    assert set(reasons(flood(Limits(parts=20)))) == {"more than 20 fragments of a datagram"}
    assert set(reasons(flood(Limits(fragmented=3)))) == {"fragments that wait for others"}
    assert set(reasons(flood(Limits(fragments=500)))) == {"fragments that wait for others"}


def _payloads() -> st.SearchStrategy[bytes]:
    return st.one_of(
        st.binary(max_size=30),
        st.sampled_from([message(), b"\r\n", INVITE, b"\x80\0\0\0" + bytes(20), b"INVITE sip:x SIP/2.0\r\n\r\n"]),
    )


@st.composite
def _frames(draw: st.DrawFn) -> tuple[int, list[bytes]]:
    """Frames of one link type: sound ones, and such with a few bytes changed, cut or added."""
    link_type = draw(st.sampled_from([LINK_ETHERNET, LINK_SLL, LINK_SLL2, LINK_RAW, LINK_NULL]))
    frames = []
    for _ in range(draw(st.integers(1, 6))):
        source, destination = draw(st.sampled_from([(A, B), (A6, B6)]))
        payload = draw(_payloads())
        tcp = TcpStream(source, destination)
        packet = draw(
            st.sampled_from([datagram(source, destination, payload), tcp.syn(), tcp.send(payload), tcp.acknowledge()])
        )
        frame = bytearray(link(packet, link_type, vlans=draw(st.sampled_from([(), (5,), (5, 6), (5, 6, 7)]))))
        for _ in range(draw(st.integers(0, 2))):
            frame[draw(st.integers(0, min(len(frame), 80) - 1))] = draw(st.integers(0, 255))
        length = draw(st.integers(0, 90))
        frames.append(bytes(frame)[:length] if draw(st.booleans()) else bytes(frame) + bytes(length))
    return link_type, frames


@given(_frames())
def test_both_roads_agree(taken: tuple[int, list[bytes]]) -> None:
    """The fast road and the general one give the same messages, counts and problems of any frames."""
    link_type, frames = taken
    data = pcap([(START, frame) for frame in frames], link_type)
    fast, general = read(data), read(data, fast=False)
    assert fast[0] == general[0]
    assert fast[1].counts == general[1].counts
    assert fast[1].problems == general[1].problems


def test_vlan_ethertype_in_a_length_field() -> None:
    """A tag whose inner type is a length (802.3) is no IP."""
    frame = ethernet(struct.pack(">HH", 5, 100) + bytes(100), ETHERTYPE_VLAN)
    assert read(pcap([(START, frame), (START, ethernet(b"", ETHERTYPE_IPV4))]))[1].counts["not IP"] == 1
