"""All the ways by which a message may come into a capture, as tables: layers around a packet, and transports."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from fixtures import transports, tunnels
from fixtures.tunnels import OUTER6
from fixtures.writer import (
    LINK_ETHERNET,
    LINK_LOOP,
    LINK_NULL,
    LINK_RAW,
    LINK_SLL,
    LINK_SLL2,
    TcpStream,
    datagram,
    link,
    pcap,
)
from sipcdr.ingest import _hep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fixtures.calls import Frames, Sent

Kind = Literal["packet", "frame"]
"""An IP packet, or an Ethernet frame."""


class Layer(NamedTuple):
    """What stands around something: of which kind it must be, what comes out, and how that is made."""

    inside: Kind
    outside: Kind
    around: Callable[[bytes], bytes]


def _six(make: Callable[..., bytes]) -> Callable[[bytes], bytes]:
    """The same between two IPv6 addresses."""
    return partial(make, between=OUTER6)


LAYERS: dict[str, Layer] = {
    "Ethernet": Layer("packet", "frame", link),
    "802.1Q": Layer("packet", "frame", partial(link, vlans=(5,))),
    "QinQ": Layer("packet", "frame", partial(link, vlans=(5, 6, 7, 8))),
    "802.3 SNAP": Layer("packet", "frame", tunnels.snap),
    "PPPoE": Layer("packet", "frame", tunnels.pppoe),
    "PPPoE in QinQ": Layer("packet", "frame", partial(tunnels.pppoe, vlans=(5, 6))),
    "MPLS": Layer("packet", "frame", partial(tunnels.mpls, labels=(100, 200, 300))),
    "MPLS, a label": Layer("packet", "frame", partial(tunnels.mpls, labels=(100,))),
    "pseudowire": Layer("frame", "frame", tunnels.pseudowire),
    "pseudowire without a control word": Layer("frame", "frame", partial(tunnels.pseudowire, control_word=False)),
    "IP in IPv4": Layer("packet", "packet", tunnels.ip_in_ip),
    "IP in IPv6": Layer("packet", "packet", _six(tunnels.ip_in_ip)),
    "GRE": Layer("packet", "packet", tunnels.gre),
    "GRE over IPv6": Layer("packet", "packet", _six(tunnels.gre)),
    "GRE with all": Layer("packet", "packet", partial(tunnels.gre, key=5, sequence=6, summed=True)),
    "GRE, bridged": Layer("frame", "packet", tunnels.gre_bridged),
    "NVGRE": Layer("frame", "packet", partial(tunnels.gre_bridged, key=0x12345601)),
    "PPTP": Layer("packet", "packet", tunnels.pptp),
    "ERSPAN I": Layer("frame", "packet", partial(tunnels.erspan, kind=1)),
    "ERSPAN II": Layer("frame", "packet", partial(tunnels.erspan, kind=2)),
    "ERSPAN III": Layer("frame", "packet", partial(tunnels.erspan, kind=3)),
    "ERSPAN III with a sub-header": Layer("frame", "packet", partial(tunnels.erspan, kind=3, sub_header=True)),
    "VXLAN": Layer("frame", "packet", tunnels.vxlan),
    "VXLAN over IPv6": Layer("frame", "packet", _six(tunnels.vxlan)),
    "VXLAN on Linux's port": Layer("frame", "packet", partial(tunnels.vxlan, port=8472)),
    "VXLAN-GPE": Layer("packet", "packet", tunnels.vxlan_gpe),
    "Geneve": Layer("frame", "packet", tunnels.geneve),
    "Geneve with options": Layer("frame", "packet", partial(tunnels.geneve, options=b"\x01\x02\x80\x01data" * 3)),
    "GTP-U": Layer("packet", "packet", tunnels.gtp_user),
    "GTP-U with a number": Layer("packet", "packet", partial(tunnels.gtp_user, numbered=True)),
    "GTP-U with extensions": Layer(
        "packet", "packet", partial(tunnels.gtp_user, extensions=[(0x85, b"\x10\x09"), (0x40, bytes(6))])
    ),
    "L2TP": Layer("packet", "packet", tunnels.l2tp),
    "L2TP, plain": Layer("packet", "packet", partial(tunnels.l2tp, plain=True)),
    "L2TPv3": Layer("frame", "packet", tunnels.l2tp3),
    "L2TPv3 with a cookie": Layer("frame", "packet", partial(tunnels.l2tp3, between_headers=b"\xc0\x0c\x1e\x55" * 2)),
    "L2TPv3 over UDP": Layer("frame", "packet", partial(tunnels.l2tp3, udp=True, between_headers=bytes(4))),
    "L2TPv3 with PPP": Layer("packet", "packet", lambda packet: tunnels.l2tp3(tunnels.ppp(packet))),
    "ESP": Layer("packet", "packet", tunnels.esp_null),
    "ESP, SHA-256": Layer("packet", "packet", partial(tunnels.esp_null, check=16)),
    "ESP over UDP": Layer("packet", "packet", partial(tunnels.esp_null, udp=True)),
}

LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "raw IP": (LINK_RAW, lambda packet: packet),
    "BSD loopback": (LINK_NULL, partial(link, link_type=LINK_NULL)),
    "OpenBSD loopback": (LINK_LOOP, partial(link, link_type=LINK_LOOP)),
    "Linux cooked": (LINK_SLL, partial(link, link_type=LINK_SLL)),
    "Linux cooked v2": (LINK_SLL2, partial(link, link_type=LINK_SLL2)),
    "PPP": (tunnels.LINK_PPP, tunnels.ppp),
    "PPP without address": (tunnels.LINK_PPP, partial(tunnels.ppp, framed=False)),
    "PPP, short": (tunnels.LINK_PPP_HDLC, partial(tunnels.ppp, framed=False, short=True)),
    "PPP of pppd": (tunnels.LINK_PPP_PPPD, lambda packet: b"\x01" + tunnels.ppp(packet)[1:]),
    "PPP with direction": (tunnels.LINK_PPP_WITH_DIRECTION, lambda packet: b"\0" + tunnels.ppp(packet)),
    "PPP with direction, plain": (
        tunnels.LINK_PPP_WITH_DIRECTION, lambda packet: b"\0" + tunnels.ppp(packet, framed=False),
    ),
    "PPPoE": (tunnels.LINK_PPPOE, tunnels.pppoe_session),
    "Cisco HDLC": (tunnels.LINK_CISCO_HDLC, tunnels.cisco_hdlc),
    "HDLC in PPP's place": (tunnels.LINK_PPP_HDLC, tunnels.cisco_hdlc),
    "802.11": (tunnels.LINK_80211, partial(tunnels.wireless, qos=False)),
    "802.11 QoS": (tunnels.LINK_80211, tunnels.wireless),
    "802.11 between access points": (tunnels.LINK_80211, partial(tunnels.wireless, both_ways=True)),
    "802.11, padded": (tunnels.LINK_80211, partial(tunnels.wireless, pad=True)),
    "802.11, aggregated": (tunnels.LINK_80211, lambda packet: tunnels.aggregated([packet])),
    "radiotap": (tunnels.LINK_RADIOTAP, lambda packet: tunnels.radiotap(tunnels.wireless(packet))),
    "PPI": (tunnels.LINK_PPI, lambda packet: tunnels.ppi(tunnels.wireless(packet))),
    "PPI with Ethernet": (tunnels.LINK_PPI, lambda packet: tunnels.ppi(link(packet), LINK_ETHERNET)),
    "Prism": (tunnels.LINK_PRISM, lambda packet: tunnels.prism(tunnels.wireless(packet))),
    "AVS": (tunnels.LINK_AVS, lambda packet: tunnels.avs(tunnels.wireless(packet))),
}  # fmt: skip
"""Link types other than Ethernet, around an IP packet."""


def nested(packet: bytes, layers: Sequence[str]) -> bytes:
    """An Ethernet frame with the packet in these layers, the innermost first; plain Ethernet where one needs it."""
    kind: Kind = "packet"
    for name in layers:
        layer = LAYERS[name]
        if kind != layer.inside:
            # A packet becomes a frame; a frame becomes a packet only in a tunnel.
            packet = link(packet) if kind == "packet" else tunnels.vxlan(packet)
        packet, kind = layer.around(packet), layer.outside
    return packet if kind == "frame" else link(packet)


def _datagrams(sent: Sequence[Sent], layers: Sequence[str]) -> bytes:
    frames = [(one.time, nested(datagram(one.source, one.destination, one.payload), layers)) for one in sent]
    return pcap(frames)


def _linked(sent: Sequence[Sent], name: str) -> bytes:
    link_type, around = LINKS[name]
    return pcap([(one.time, around(datagram(one.source, one.destination, one.payload))) for one in sent], link_type)


# Transports: captures of a call's messages between its two endpoints.

_AGENT, _COLLECTOR = "198.51.100.7:40001", "198.51.100.9:9060"
_CUT = 41


def _in_streams(
    sent: Sequence[Sent], pieces: Callable[[bytes, bool], list[bytes]], *, hello: tuple[bytes, bytes] | None = None
) -> bytes:
    """TCP, a segment for each of the pieces that a message makes; these are told whether the caller sends them.

    hello: what both sides begin with. Without it the connection was there before the capture.
    """
    caller, callee = sent[0].source, sent[0].destination
    streams = {caller: TcpStream(caller, callee), callee: TcpStream(callee, caller)}
    frames: Frames = []
    if hello is not None:
        for stream, words in zip(streams.values(), hello, strict=True):
            frames.append((sent[0].time - 9, link(stream.syn())))
            frames += ((sent[0].time - 8, link(packet)) for packet in stream.split(words, 50))
    for one in sent:
        for piece in pieces(one.payload, one.source == caller):
            frames.append((one.time, link(streams[one.source].send(piece))))
    return pcap(frames)


def _framed(payload: bytes, masked: bool) -> list[bytes]:
    return [transports.frame(payload, masked=masked)]


def _in_frames(payload: bytes, masked: bool) -> list[bytes]:
    """A ping before, a message in three frames with a pong between, and all cut anew into segments."""
    first, *others = transports.frames(payload, 3, masked=masked)
    control = transports.frame(b"are you there?", masked=masked, opcode=transports.PING)
    stream = control + first + control + b"".join(others) + transports.frame(b"\r\n\r\n", masked=masked)
    return [stream[at : at + _CUT] for at in range(0, len(stream), _CUT)]


def _of_length(payload: bytes, masked: bool, *, size: int) -> list[bytes]:
    return [transports.frame(payload, masked=masked, length_bytes=size)]


_HELLO = (transports.upgrade("192.0.2.2"), transports.upgraded())


def _in_sctp(sent: Sequence[Sent], packets: Callable[[Sent, int], list[bytes]]) -> bytes:
    frames = [(one.time, link(packet)) for at, one in enumerate(sent) for packet in packets(one, 1000 + 20 * at)]
    return pcap(frames)


def _a_chunk(one: Sent, number: int) -> list[bytes]:
    return [transports.sctp(one.source, one.destination, [transports.data_chunk(one.payload, number)])]


def _bundled(one: Sent, number: int) -> list[bytes]:
    """Between a selective acknowledgement, another protocol's data, and the same chunk again."""
    chunks = [
        transports.other_chunk(3, bytes(12)),
        transports.data_chunk(b"\x01\x00\x0a\x01diameter", number, stream=1, protocol=46),
        transports.data_chunk(one.payload, number + 1, ordered=False),
        transports.data_chunk(one.payload, number + 1, ordered=False),
    ]
    return [transports.sctp(one.source, one.destination, chunks)] * 2


def _in_chunks(one: Sent, number: int) -> list[bytes]:
    """In four chunks, the last of which comes first; two in a packet."""
    *others, last = transports.data_chunks(one.payload, number, (99, 100, 101), message=number)
    return [transports.sctp(one.source, one.destination, chunks) for chunks in ([last], others[:2], others[2:])]


def _in_i_chunks(one: Sent, number: int) -> list[bytes]:
    """Two messages' chunks in turn."""
    half = len(one.payload) // 2
    chunks = [
        transports.i_data_chunk(one.payload[:half], number, ends=False, message=number),
        transports.i_data_chunk(b"another", number + 1, stream=2, ends=False),
        transports.i_data_chunk(one.payload[half:], number + 2, message=number, fragment=1),
        transports.i_data_chunk(b"message", number + 3, stream=2, fragment=1),
    ]
    return [transports.sctp(one.source, one.destination, [chunk]) for chunk in chunks]


def _collected(sent: Sequence[Sent], packet: Callable[[Sent], bytes], *, late: int = 3000) -> bytes:
    """HEP over UDP, captured `late` microseconds after."""
    return pcap([(one.time + late, link(datagram(_AGENT, _COLLECTOR, packet(one)))) for one in sent])


def _hep3(one: Sent) -> bytes:
    return _hep.encode(one.payload, time=one.time, source=one.source, destination=one.destination)


def _collected_by_stream(sent: Sequence[Sent], *, from_the_start: bool) -> bytes:
    """HEP over TCP, cut into segments without regard to its packets."""
    stream = TcpStream(_AGENT, _COLLECTOR)
    whole = (b"" if from_the_start else _hep3(sent[0])[-150:]) + b"".join(_hep3(one) for one in sent)
    packets = [stream.syn()] if from_the_start else []
    packets += stream.split(whole, 700)
    return pcap([(sent[-1].time + at, link(packet)) for at, packet in enumerate(packets)])


def _together(sent: Sequence[Sent]) -> bytes:
    """Each message behind a keep-alive, and a stray response behind it in the same datagram."""
    stray = b"SIP/2.0 481 Gone\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n"
    return pcap(
        [(one.time, link(datagram(one.source, one.destination, b"\r\n" + one.payload + stray))) for one in sent]
    )


TRANSPORTS: dict[str, tuple[str, Callable[[Sequence[Sent]], bytes]]] = {
    "TCP": ("TCP", partial(_in_streams, pieces=lambda payload, _: [payload], hello=(b"\r\n", b"\r\n"))),
    "TCP in mid-stream": ("TCP", partial(_in_streams, pieces=lambda payload, _: [payload])),
    "WebSocket": ("WS", partial(_in_streams, pieces=_framed, hello=_HELLO)),
    "WebSocket in mid-stream": ("WS", partial(_in_streams, pieces=_framed)),
    "WebSocket, fragmented": ("WS", partial(_in_streams, pieces=_in_frames, hello=_HELLO)),
    "WebSocket, 64-bit lengths": ("WS", partial(_in_streams, pieces=partial(_of_length, size=8), hello=_HELLO)),
    "WebSocket, 16-bit lengths": ("WS", partial(_in_streams, pieces=partial(_of_length, size=2))),
    "SCTP": ("SCTP", partial(_in_sctp, packets=_a_chunk)),
    "SCTP, bundled": ("SCTP", partial(_in_sctp, packets=_bundled)),
    "SCTP, fragmented": ("SCTP", partial(_in_sctp, packets=_in_chunks)),
    "SCTP, interleaved": ("SCTP", partial(_in_sctp, packets=_in_i_chunks)),
    "HEP3": ("UDP", partial(_collected, packet=_hep3)),
    "HEP2": (
        "UDP", partial(_collected, packet=lambda one: tunnels.hep2(one.source, one.destination, one.payload, one.time)),
    ),
    "HEP1": (
        "UDP", partial(_collected, packet=lambda one: tunnels.hep1(one.source, one.destination, one.payload), late=0),
    ),
    "HEP over TCP": ("UDP", partial(_collected_by_stream, from_the_start=True)),
    "HEP over TCP in mid-stream": ("UDP", partial(_collected_by_stream, from_the_start=False)),
    "several a datagram": ("UDP", _together),
}  # fmt: skip
"""Transport as messages name it, and what makes a capture."""

WAYS: dict[str, tuple[str, Callable[[Sequence[Sent]], bytes]]] = {
    **{f"layer {name}": ("UDP", partial(_datagrams, layers=(name,))) for name in LAYERS},
    **{f"link {name}": ("UDP", partial(_linked, name=name)) for name in LINKS},
    **{f"transport {name}": made for name, made in TRANSPORTS.items()},
}
