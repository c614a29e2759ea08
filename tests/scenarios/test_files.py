"""Scenarios about captures, through the reader: S121 to S124, S148, S152, S173, S174."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from fixtures.writer import PcapWriter, TcpStream, datagram, fragments, link, pcap
from sipcdr.ingest import Inputs, Tally
from tests.scenarios.a_basic import ANSWERED
from tests.scenarios.derivation import rows_of
from tests.scenarios.every import SCENARIOS
from tests.scenarios.notation import START, address, messages

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.builder import SessionDetails, SipMessage

A, B = address("a"), address("b")
SECOND = 1_000_000
CALL = messages(ANSWERED)
HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\nINVITE sip:b@x.example SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n"


def read(folder: Path, *captures: bytes) -> tuple[list[SessionDetails], Tally]:
    """The rows of capture files, and what was counted."""
    tally = Tally()
    for number, data in enumerate(captures):
        (folder / f"{number}.pcap").write_bytes(data)
    found = [message for batch in Inputs([str(folder)], tally=tally) for message in batch]
    return rows_of(found), tally


def expected(name: str) -> list[SessionDetails]:
    """The rows of a scenario's messages, which its own test holds to the table."""
    return rows_of(next(scenario for scenario in SCENARIOS if scenario.name == name).messages())


def udp(message: SipMessage) -> tuple[int, bytes]:
    """A message as a frame."""
    return message.time, link(datagram(message.source, message.destination, message.raw))


def test_udp(tmp_path: Path) -> None:
    """S1 through a capture."""
    rows, tally = read(tmp_path, pcap(map(udp, CALL)))
    assert rows == expected("S1")
    assert not tally.problems


def test_cut_by_the_snap_length(tmp_path: Path) -> None:
    """S121: m-lines that are whole count, the one that is cut doesn't."""
    file = io.BytesIO()
    writer = PcapWriter(file)
    invite, answer = messages("0  a>-  INVITE 1  sdp=audio,video\n1  a>b  486 1")
    time, frame = udp(invite)
    writer.packet(time, frame[: frame.index(b"m=video 50") + 9], original=len(frame))
    writer.packet(*udp(answer))
    rows, tally = read(tmp_path, file.getvalue())
    assert [(row.media_types, row.response_code) for row in rows] == [(16, 486)]
    assert tally.counts["cut by the snap length"] == 1


def test_fragment_lost(tmp_path: Path) -> None:
    """S122: a call whose INVITE lost a fragment is as without the INVITE, and the loss is counted."""
    invite, *others = (message for message in CALL if message.status != 100)
    first, *rest = (link(part) for part in fragments(datagram(A, B, invite.raw), 160))
    for name, parts, scenario, lost in (("lost", rest, "S122", 1), ("whole", [first, *rest], "S1", 0)):
        (tmp_path / name).mkdir()
        frames = [(invite.time, part) for part in parts]
        rows, tally = read(tmp_path / name, pcap([*frames, *map(udp, others)]))
        assert rows == expected(scenario)
        assert tally.counts["IP datagram with lost fragments"] == lost


def tcp(*sent: tuple[float, bytes], lost: int = -1) -> bytes:
    """A capture of A's side of a TCP connection, without the segment `lost`."""
    stream = TcpStream(A, B)
    frames = [(START - SECOND, link(stream.syn()))]
    for number, (seconds, payload) in enumerate(sent):
        packet = stream.send(payload)
        if number != lost:
            frames.append((START + int(seconds * SECOND), link(packet)))
    return pcap(frames)


def test_segment_lost(tmp_path: Path) -> None:
    """S123: after a segment lost inside a message the stream goes on at the next start line."""
    invite, update, bye = messages("0  a>-  INVITE 1\n30  a>b  UPDATE 2  sdp=audio,video\n60  a>b  BYE 3")
    half = len(update.raw) // 2
    parts = ((0, invite.raw), (30, update.raw[:half]), (30.001, update.raw[half:]), (60, bye.raw))
    for lost in (1, 2):
        folder = tmp_path / str(lost)
        folder.mkdir()
        rows, tally = read(folder, tcp(*parts, lost=lost))
        assert [(row.invite_time, row.session_end_time) for row in rows] == [(START, START + 60 * SECOND)]
        assert tally.counts["TCP gap"] == 1
        assert tally.messages == 2


def test_two_captures(tmp_path: Path) -> None:
    """S124: captures that overlap give each session once."""
    frames = list(map(udp, CALL))
    rows, _ = read(tmp_path, pcap(frames[:5]), pcap(frames[2:]))
    assert rows == expected("S1")


KEEP_ALIVES = [b"\r\n\r\n", b"\r\n"]
STUN = bytes.fromhex("000100002112a442") + b"x" * 12


@pytest.mark.parametrize("payload", [*KEEP_ALIVES, b"jaK", STUN, HTTP])
def test_no_sip(tmp_path: Path, payload: bytes) -> None:
    """S148, S152: keep-alives, STUN and pages about SIP are no messages."""
    frames = [*map(udp, CALL), (START + 30 * SECOND, link(datagram(A, B, payload)))]
    rows, tally = read(tmp_path, pcap(sorted(frames)))
    assert rows == expected("S1")
    assert tally.messages == len(CALL)


@pytest.mark.parametrize("payload", [*KEEP_ALIVES, HTTP])
def test_no_sip_in_a_stream(tmp_path: Path, payload: bytes) -> None:
    """S148, S152: nor are they between two messages of a TCP stream."""
    invite, bye = messages("0  a>-  INVITE 1\n60  a>b  BYE 3")
    rows, tally = read(tmp_path, tcp((0, invite.raw), (30, payload), (60, bye.raw)))
    assert [row.session_end_time for row in rows] == [START + 60 * SECOND]
    assert tally.messages == 2


def test_absent_content_length(tmp_path: Path) -> None:
    """S173: without Content-Length a message in a TCP stream has no body (RFC 3261 section 18.3)."""
    invite, bye = messages("0  a>-  INVITE 1  sdp=-  | Content-Length: 0\n60  a>b  BYE 3")
    bare = invite.raw.replace(b"Content-Length: 0\r\n", b"")
    rows, _ = read(tmp_path, tcp((0, bare + bye.raw)))
    assert [(row.media_types, row.session_end_time) for row in rows] == [(0, START)]


def test_two_messages_in_one(tmp_path: Path) -> None:
    """S174: a segment or datagram may hold two messages, and a message may come in three segments."""
    invite, bye = messages("0  a>-  INVITE 1\n0  a>b  BYE 3")
    size = len(invite.raw) // 3 + 1
    thirds = [(at / 1000, invite.raw[at * size : (at + 1) * size]) for at in range(3)]
    for name, capture in (
        ("segment", tcp((0, invite.raw + bye.raw))),
        ("segments", tcp(*thirds, (1, bye.raw))),
        ("datagram", pcap([(START, link(datagram(A, B, invite.raw + bye.raw)))])),
    ):
        folder = tmp_path / name
        folder.mkdir()
        rows, tally = read(folder, capture)
        assert tally.messages == 2, name
        assert [row.media_types for row in rows] == [16], name
        assert rows[0].session_end_time is not None, name
