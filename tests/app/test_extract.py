"""The command `extract`: what it copies is what tshark and we find of the call in it, whole."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fixtures.calls import Sent, udp
from fixtures.writer import TcpStream, datagram, fragments, link, pcap
from sipcdr.app._extract import Wanted, _packets_of, packets_of
from sipcdr.app._records import text
from sipcdr.ingest import Inputs, LogOptions, Reader, Tally
from tests.app.capture import ANN, BEN, MORNING, SECOND, answered, busy, sipcdr, write
from tests.tools import program

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipcdr.builder import SipMessage

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"


def read(*paths: Path) -> list[SipMessage]:
    """The messages of captures."""
    return [message for batch in Inputs([str(path) for path in paths], tally=Tally()) for message in batch]


def raws(messages: Iterable[SipMessage], call_id: bytes) -> list[tuple[int, bytes]]:
    """Times and bytes of a call's messages, by time."""
    return sorted((message.time, message.raw) for message in messages if message.call_id == call_id)


def by_tshark(path: Path, call_id: str) -> int:
    """How many SIP messages of a call tshark finds; connections to 5061 are plain SIP in the fixtures."""
    shown = subprocess.run(
        [program("tshark"), "-r", str(path), "-d", "tcp.port==5061,sip", "-d", "tcp.port==5060,sip",
         "-Y", f'sip.Call-ID == "{call_id}"', "-T", "fields", "-e", "sip.CSeq"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return sum(len(line.split(",")) for line in shown.stdout.splitlines())


NAMES = [
    "demo",
    "answered",
    "answered-tcp",
    "answered-tcp-ipv6",
    "segments",
    "fragmented",
    "sctp",
    "vxlan",
    "websocket",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_comes_out_whole(tmp_path: Path, name: str) -> None:
    """Of each call of a capture we read the same messages, and tshark as many, from what was extracted of it."""
    path = FIXTURES / f"{name}.pcap"
    every = read(path)
    for call_id in sorted({message.call_id for message in every})[:4]:
        out = tmp_path / "out.pcapng"
        done = sipcdr("extract", str(path), "--call-id", call_id.decode(), "-o", str(out))
        assert done.status == 0, done.err
        wanted = raws(every, call_id)
        assert raws(read(out), call_id) == wanted
        assert by_tshark(out, call_id.decode()) == by_tshark(path, call_id.decode()) > 0


CAPTURES = sorted(path for path in FIXTURES.rglob("*.pcap*") if path.is_file())


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_frames_passed_over_are_none_of_the_call(path: Path) -> None:
    """By bytes alone the same packets are found as by taking every frame apart; and whoever read the messages."""
    ways: list[list[SipMessage]] = []
    readers: tuple[Reader, ...] = ("auto", "python")
    for reader in readers:
        inputs = Inputs([str(path)], tally=Tally(), reader=reader)
        ways.append([message for batch in inputs for message in batch])
    for call_id in sorted({message.call_id for message in ways[0]})[:20]:
        every, *found = (_wanted(call_id, messages) for messages in (ways[0], *ways))
        whole = {packet.position: packet for packet in _packets_of([str(path)], every, LogOptions(), None)}
        for wanted in found:
            packets = packets_of([str(path)], wanted)
            assert {packet.position: packet for packet in packets} == whole


def _wanted(call_id: bytes, messages: list[SipMessage]) -> Wanted:
    wanted = Wanted(text(call_id), media=True)
    wanted.add(messages)
    return wanted


def test_out_of_an_archive(tmp_path: Path) -> None:
    """A call is found in what is packed, too."""
    out = tmp_path / "out.pcapng"
    done = sipcdr("extract", str(FIXTURES / "packed" / "several.zip"), "--call-id", "ppp@corp.example", "-o", str(out))
    assert done.status == 0, done.err
    assert [m.raw for m in read(out)] == [m.raw for m in read(FIXTURES / "ppp.pcap")]


def test_other_calls_stay_out(tmp_path: Path) -> None:
    """A datagram of another call is not copied."""
    path = write(tmp_path / "a.pcap", [*answered("c1"), *busy("c2", start=MORNING + SECOND)])
    out = tmp_path / "out.pcapng"
    assert sipcdr("extract", str(path), "--call-id", "c2", "-o", str(out)).status == 0
    assert [message.call_id for message in read(out)] == [b"c2"] * 3


def shared() -> list[tuple[int, bytes]]:
    """Two calls over one connection: a segment ends one call's message and begins the other's; one is lost and sent
    again out of order; the sequence number starts again on the way."""
    one, other = (call[0].payload for call in (answered("c1"), answered("c2")))
    stream = TcpStream(ANN.at, BEN.at, sequence=0xFFFFFFFF - len(one))
    data = one + other + one.replace(b"c1", b"c3")
    cuts = [0, len(one) - 30, len(one) + 40, len(one) + 300, len(one) + len(other), len(data)]
    parts = [(at, data[at:end]) for at, end in pairwise(cuts)]
    order = [0, 1, 3, 2, 2, 4]
    packets = [stream.syn(), *(stream.segment(*parts[number]) for number in order), stream.fin()]
    return [(MORNING + number * 1000, link(packet)) for number, packet in enumerate(packets)]


@pytest.mark.parametrize("call_id", ["c1", "c2", "c3"])
def test_messages_that_share_segments(tmp_path: Path, call_id: str) -> None:
    """Also where a message begins in another's segment, lacks order and crosses the end of the numbers, it is whole."""
    path, out = tmp_path / "a.pcap", tmp_path / "out.pcapng"
    path.write_bytes(pcap(shared()))
    every = read(path)
    assert sipcdr("extract", str(path), "--call-id", call_id, "-o", str(out)).status == 0
    assert raws(read(out), call_id.encode()) == raws(every, call_id.encode())
    assert len(raws(every, call_id.encode())) == 1
    assert by_tshark(out, call_id) == by_tshark(path, call_id)


def media(begin: int, port: int, count: int = 5) -> list[tuple[int, bytes]]:
    """RTP to a port of 192.0.2.1, where the SDP of `fixtures.calls` wants it."""
    packet = datagram("192.0.2.99:40000", f"192.0.2.1:{port}", b"\x80\0" + bytes(30))
    return [(begin + number * 20_000, link(packet)) for number in range(count)]


def port_of(sent: list[Sent]) -> int:
    """The port of the audio in the INVITE."""
    return int(sent[0].payload.partition(b"m=audio ")[2].split()[0])


def test_media_on_demand(tmp_path: Path) -> None:
    """RTP and RTCP to where the SDP says come along if asked for; before the call and to other ports they don't."""
    sent = answered("c1", seconds=3)
    port = port_of(sent)
    frames = [
        *udp(sent),
        *media(MORNING + 2 * SECOND, port),
        *media(MORNING + 2 * SECOND, port + 1, 2),
        *media(MORNING + 2 * SECOND, port + 2),
        *media(MORNING - SECOND, port),
        *media(MORNING + 60 * SECOND, port),
    ]
    path, out = tmp_path / "a.pcap", tmp_path / "out.pcapng"
    path.write_bytes(pcap(sorted(frames)))
    for words, count in (((), 6), (("--with-rtp",), 6 + 5 + 2)):
        done = sipcdr("extract", str(path), "--call-id", "c1", "-o", str(out), *words)
        assert done.status == 0
        assert f"{count} packets with 6 messages" in done.err


def test_fragments_of_other_datagrams_stay_out(tmp_path: Path) -> None:
    """All fragments of a message are copied, in whichever order they came, and no others."""
    one, other = (datagram(s.source, s.destination, s.payload) for s in (busy("c1")[0], busy("c2")[0]))
    parts = [*zip(fragments(one, 200, identification=1), fragments(other, 200, identification=2), strict=True)]
    frames = [(MORNING + at * 10 + number, link(part)) for at, pair in enumerate(reversed(parts))
              for number, part in enumerate(pair)]  # fmt: skip
    path, out = tmp_path / "a.pcap", tmp_path / "out.pcapng"
    path.write_bytes(pcap(frames))
    done = sipcdr("extract", str(path), "--call-id", "c1", "-o", str(out))
    assert f"{len(parts)} packets with 1 messages" in done.err
    assert raws(read(out), b"c1") == raws(read(path), b"c1")


def test_a_call_that_spans_captures(tmp_path: Path) -> None:
    """The parts of a rotated capture give one, by time, also where a segment's message ends in the next part."""
    frames = shared()
    for number in range(4):
        (tmp_path / f"{number}.pcap").write_bytes(pcap(frames[2 * number : 2 * number + 2]))
    out = tmp_path / "out.pcapng"
    paths = sorted(tmp_path.glob("?.pcap"))
    assert sipcdr("extract", *map(str, paths), "--call-id", "c2", "-o", str(out)).status == 0
    assert raws(read(out), b"c2") == raws(read(*paths), b"c2") != []


def test_standard_input_and_output(tmp_path: Path) -> None:
    """Both may be a pipe."""
    path = write(tmp_path / "a.pcap", busy("c1"))
    ran = subprocess.run(
        [sys.executable, "-m", "sipcdr.app", "extract", "-", "--call-id", "c1", "-o", "-"],
        input=path.read_bytes(), capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    out = tmp_path / "out.pcapng"
    out.write_bytes(ran.stdout)
    assert raws(read(out), b"c1") == raws(read(path), b"c1")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("{path}", "--call-id", "c9", "-o", "{out}"), 1, "no such call"),
        (("{path}", "--call-id", "c1", "-o", "{path}"), 2, "is one of the captures"),
        (("{path}", "--call-id", "c1", "-o", "/nowhere/x"), 1, "can't write /nowhere/x: No such file"),
        (("{path}", "--call-id", "c1"), 2, "-o"),
    ],
)
def test_refusals(tmp_path: Path, words: tuple[str, ...], status: int, text: str) -> None:
    """What can't be done is one line on standard error; a capture is never written over."""
    path = write(tmp_path / "a.pcap", busy("c1"))
    before = path.read_bytes()
    done = sipcdr("extract", *(word.format(path=path, out=tmp_path / "out") for word in words))
    assert (done.status, text in done.err) == (status, True)
    assert path.read_bytes() == before
