"""The edges of tunnels, link layers and HEP: what isn't one, what is cut, and what can't be read."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import tunnels
from fixtures.writer import TcpStream, datagram, ethernet, ip, link, pcap
from sipcdr.ingest import _hep
from sipcdr.ingest._layers import UDP_PORTS
from tests import ways

from .reading import START, A, B, message, read

PACKET = datagram(A, B, message())


def found(frame: bytes, link_type: int = 1) -> tuple[list[bytes], dict[str, int]]:
    """The messages in a frame, and what was counted; there must be no problem."""
    messages, tally = read(pcap([(START, frame)], link_type))
    assert tally.problems == []
    return [one.raw for one in messages], dict(tally.counts)


@pytest.mark.parametrize("port", UDP_PORTS)
def test_sip_at_a_tunnels_port(port: int) -> None:
    """A phone may be given a tunnel's port by a translator of addresses: what is SIP there is read."""
    assert found(link(datagram(A, f"192.0.2.2:{port}", b"\r\n" + message()))) == ([message()], {})


@pytest.mark.parametrize("port", UDP_PORTS)
@pytest.mark.parametrize(
    "payload", [b"\x80\0" + bytes(30), b"\xff", b"\0" * 40, b"\r\n\r\n", b"\x01\x01\0\0" + bytes(16)]
)
def test_what_is_no_tunnel(port: int, payload: bytes) -> None:
    """Media, keep-alives and other things at a tunnel's port are counted, whichever road they take."""
    data = pcap([(START, link(datagram(A, f"192.0.2.2:{port}", payload)))])
    (fast, counted), (general, counted_too) = read(data), read(data, fast=False)
    assert fast == general == []
    assert counted.counts == counted_too.counts
    assert counted.counts.total() == 1


def test_gtp_by_its_source_port() -> None:
    """GTP-U may go to another port than its own, from its own."""
    packet = tunnels.gtp_user(PACKET)
    changed = packet[:22] + struct.pack(">H", 40_000) + packet[24:]
    assert found(link(changed))[0] == [message()]


def test_esp_only_on_demand() -> None:
    """ESP isn't looked into unless that is asked for."""
    assert found(link(tunnels.esp_null(PACKET))) == ([], {"ESP": 1})
    assert found(link(tunnels.esp_null(PACKET, udp=True))) == ([], {"UDP without SIP": 1})


NOTHING: dict[str, tuple[bytes, int, str]] = {
    "PPPoE discovery": (ethernet(b"\x11\x09\0\0\0\0", 0x8863), 1, "not IP"),
    "PPP control": (tunnels.ppp(PACKET)[:2] + b"\xc0\x21" + bytes(8), tunnels.LINK_PPP, "not IP"),
    "spanning tree": (ethernet(b"\x42\x42\x03" + bytes(35), 38), 1, "not IP"),
    "GTP-U echo": (
        link(tunnels.over_udp(b"\x32\x01\0\x04" + bytes(8), 2152)), 1, "GTP-U without user data",
    ),
    "L2TP control": (
        link(tunnels.over_udp(b"\xc8\x02\0\x0c" + bytes(8), 1701)), 1, "L2TP control messages",
    ),
    "L2TPv3 control": (link(ip(*tunnels.OUTER, 115, bytes(16))), 1, "L2TP control messages"),
    "L2TPv3 of noise": (link(tunnels.l2tp3(b"\xee" * 60)), 1, "L2TPv3 of a session that can't be told"),
    "GRE with a route": (link(ip(*tunnels.OUTER, 47, b"\x40\0\x08\0" + bytes(30))), 1,
                         "GRE of another version or with a route"),
    "GRE keep-alive": (link(tunnels.gre(b"", 0)), 1, "not IP"),
    "beacon": (b"\x80\0" + bytes(40), tunnels.LINK_80211, "802.11 without data"),
    "802.11, encrypted": (
        b"\x88\x41" + tunnels.wireless(PACKET)[2:], tunnels.LINK_80211, "802.11, encrypted",
    ),
    "802.11 fragments": (
        b"\x88\x05" + tunnels.wireless(PACKET)[2:], tunnels.LINK_80211, "802.11 fragments",
    ),
    "RTCP in HEP": (
        link(datagram(A, B, _hep.encode(b"{}", time=START).replace(b"\0\x0b\0\x07\x01", b"\0\x0b\0\x07\x05"))),
        1, "HEP without SIP",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_what_carries_nothing(name: str) -> None:
    """Control messages and what can't be read are counted by name."""
    frame, link_type, reason = NOTHING[name]
    assert found(frame, link_type) == ([], {reason: 1})


def test_several_in_an_aggregated_frame() -> None:
    """Each packet of an A-MSDU is read."""
    packets = [datagram(A, B, message(number)) for number in (1, 2, 3)]
    messages, _ = read(pcap([(START, tunnels.aggregated(packets))], tunnels.LINK_80211))
    assert sorted(m.cseq for m in messages) == [1, 2, 3]


def test_cut_in_a_tunnel() -> None:
    """A snap length that cuts the packet in a tunnel cuts the message, and that is counted."""
    frame = link(tunnels.vxlan(link(datagram(A, B, message(body=b"v=0\r\n" * 40)))))
    messages, tally = read(pcap([(START, frame[:-50])]))
    assert [m.cut for m in messages] == [True]
    assert tally.counts == {"cut by the snap length": 1}


def test_stream_in_a_tunnel() -> None:
    """TCP in a tunnel is put together by the inner addresses, also where a tap sees it outside of the tunnel too."""
    tcp = TcpStream(A, B)
    packets = [tcp.syn(), *tcp.split(message(1) + message(2), 100)]
    frames = [link(packet) if at % 3 else link(tunnels.vxlan(link(packet))) for at, packet in enumerate(packets)]
    frames += [link(tunnels.gre(packet)) for packet in packets[2:4]]
    messages, tally = read(pcap([(START + at, frame) for at, frame in enumerate(frames)]))
    assert [(m.raw, m.source, m.destination) for m in messages] == [(message(1), A, B), (message(2), A, B)]
    assert tally.counts == {"TCP segments sent again": 2}


def test_hep_says_more_than_its_packet() -> None:
    """Transport, time and addresses are those of the HEP header; without a time the packet's own counts."""
    one = _hep.encode(message(), time=START - 5, source="192.0.2.7:1", destination="[2001:db8::7]:2", transport="TLS")
    none = _hep.encode(message(), time=0)
    messages, tally = read(pcap([(START, link(datagram(A, B, one + none)))]))
    assert [(m.time, m.source, m.destination, m.transport) for m in messages] == [
        (START - 5, "192.0.2.7:1", "[2001:db8::7]:2", "TLS"),
        (START, "", "", "UDP"),
    ]
    assert tally.counts == {"time of the frame, as its HEP header has none": 1}


def test_damaged_hep() -> None:
    """A HEP packet that isn't as it says is refused with the reason; over TCP the next one is found."""
    whole = _hep.encode(message(), time=START, source=A, destination=B)
    _, tally = read(pcap([(START, link(datagram(A, B, whole[:-9])))]))
    assert tally.counts == {"refused: HEP packet of another length than it says": 1}
    stream = TcpStream(A, B)
    packets = [stream.syn(), stream.send(whole[:50]), stream.send(b"garbage"), stream.send(whole * 2)]
    messages, tally = read(pcap([(START, link(packet)) for packet in (packets[0], packets[2], packets[3])]))
    assert len(messages) == 2


@given(st.sampled_from(sorted(ways.LAYERS)), st.sampled_from(sorted(ways.LAYERS)), st.data())
def test_damaged_tunnels(outer: str, inner: str, data: st.DataObject) -> None:
    """Whatever is changed or cut in a tunnel, nothing is raised, and both roads agree."""
    frame = bytearray(ways.nested(PACKET, [inner, outer]))
    for _ in range(data.draw(st.integers(0, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    capture = pcap([(START, bytes(frame)), (START, cut)])
    fast, general = read(capture), read(capture, fast=False)
    assert fast[0] == general[0]
    assert (fast[1].counts, fast[1].problems) == (general[1].counts, general[1].problems)


@given(st.sampled_from(sorted(ways.LINKS)), st.data())
def test_damaged_link_layers(name: str, data: st.DataObject) -> None:
    """Whatever is changed or cut in a link layer, nothing is raised."""
    link_type, around = ways.LINKS[name]
    frame = bytearray(around(PACKET))
    for _ in range(data.draw(st.integers(0, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    read(pcap([(START, bytes(frame[: data.draw(st.integers(0, len(frame)))]))], link_type))
