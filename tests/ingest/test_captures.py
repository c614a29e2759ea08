"""Capture formats, and captures that are damaged."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.writer import (
    LINK_ETHERNET,
    LINK_RAW,
    LINK_SLL,
    PcapngWriter,
    PcapWriter,
    datagram,
    link,
    pcap,
    pcapng,
)
from sipcdr.ingest import IngestError, Inputs, Limits, Tally

from .reading import START, A, B, message, read, reasons

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = link(datagram(A, B, message()))


def of_pcapng(write: Callable[[PcapngWriter], None], order: str = "<") -> bytes:
    """A pcapng file as `write` fills it."""
    file = io.BytesIO()
    write(PcapngWriter(file, order=order))  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
@pytest.mark.parametrize("piece", [0, 1, 7])
def test_pcap_variants(order: str, nanoseconds: bool, piece: int) -> None:
    """Both byte orders and both resolutions give the same message and time, however the bytes come."""
    data = pcap([(START + 123, FRAME)] * 3, order=order, nanoseconds=nanoseconds)  # type: ignore[arg-type]
    found, tally = read(data, piece=piece)
    assert [(m.time, m.raw, m.position.number) for m in found] == [
        (START + 123, message(), number) for number in (1, 2, 3)
    ]
    assert (tally.packets, tally.problems) == (3, [])


def _interfaces(writer: PcapngWriter) -> None:
    writer.interface()
    writer.interface(LINK_SLL, resolution=9, offset=1000)
    writer.interface(LINK_RAW, resolution=0x80 | 20)
    writer.interface(resolution=3, options=[(2, b"eth0")])
    writer.block(0x0BAD, b"unknown to us")
    writer.packet(START, FRAME, 0, options=[(1, b"a comment")])
    writer.packet(START, link(datagram(A, B, message()), LINK_SLL), 1)
    writer.packet(START, datagram(A, B, message()), 2)
    writer.packet(START, FRAME, 3)
    writer.old_packet(START, FRAME)
    writer.simple_packet(FRAME)
    writer.section(order=">")
    writer.interface(LINK_RAW)
    writer.packet(START, datagram(A, B, message()))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("piece", [0, 1])
def test_pcapng(order: str, piece: int) -> None:
    """Sections, interfaces each with its clock, and all packet blocks give the same message at the same time."""
    found, tally = read(of_pcapng(_interfaces, order), piece=piece)
    assert [m.raw for m in found] == [message()] * 7
    assert [m.time for m in found] == [START] * 7
    assert tally.problems == []


def test_negative_offset() -> None:
    """if_tsoffset counts seconds in either direction, and a time before 1753 makes no message."""

    def write(writer: PcapngWriter) -> None:
        writer.interface(offset=-10_000_000_000)
        writer.packet(START, FRAME)
        writer.block(6, struct.pack("<IIIII", 0, 0, 0, len(FRAME), len(FRAME)) + FRAME)

    found, tally = read(of_pcapng(write))
    assert [m.time for m in found] == [START]
    assert tally.counts["refused: time outside the years 1753 to 9999"] == 1
    assert tally.refused[0].frame == 2


def _frames(count: int) -> list[tuple[int, bytes]]:
    return [(START + at * 1000, link(datagram(A, B, message(at + 1)))) for at in range(count)]


def _record(at: int) -> int:
    """Where record `at` of `pcap(_frames(…))` begins."""
    return 24 + sum(16 + len(frame) for _, frame in _frames(at))


def _patched(data: bytes, at: int, patch: bytes) -> bytes:
    return data[:at] + patch + data[at + len(patch) :]


DAMAGED = {
    "ends in a record header": (pcap(_frames(3))[: -len(FRAME) - 3], [1, 2], 3, _record(2)),
    "ends in a record": (pcap(_frames(3))[:-5], [1, 2], 3, _record(2)),
    "length beyond all bounds": (
        _patched(pcap(_frames(5)), _record(2) + 8, b"\xff\xff\xff\x7f"),
        [1, 2, 4, 5],
        3,
        _record(2),
    ),
    "length beyond the end": (
        _patched(pcap(_frames(5)), _record(2) + 8, b"\x00\x00\x01\x00"),
        [1, 2, 4, 5],
        3,
        _record(2),
    ),
    "length that swallows the next two": (
        _patched(pcap(_frames(6)), _record(2) + 8, struct.pack("<I", 3 * len(FRAME))),
        [1, 2, 4, 5, 6],
        3,
        _record(2),
    ),
    "length a little too small": (
        _patched(pcap(_frames(5)), _record(2) + 8, struct.pack("<I", len(FRAME) - 9)),
        [1, 2, 4, 5],
        4,
        _record(3) - 9,
    ),
    "garbage between records": (
        pcap(_frames(5))[: _record(2)] + b"garbage!" * 999 + pcap(_frames(5))[_record(2) :],
        [1, 2, 3, 4, 5],
        3,
        _record(2),
    ),
    "zeros at the end": (pcap(_frames(2)) + bytes(5000), [1, 2], 3, _record(2)),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("piece", [0, 1000])
def test_damaged_pcap(name: str, piece: int) -> None:
    """What precedes damage is used, frame and byte are named, and reading goes on behind it."""
    data, expected, frame, offset = DAMAGED[name]
    found, tally = read(data, piece=piece)
    assert [m.cseq for m in found] == expected
    assert [(p.frame, p.offset) for p in tally.problems] == [(frame, offset)]


def test_sent_length_too_small() -> None:
    """A writer that says too little of what was sent is read all the same."""
    file = io.BytesIO()
    writer = PcapWriter(file)
    for time, frame in _frames(4):
        writer.packet(time, frame, original=len(frame) - 4)
    found, tally = read(file.getvalue())
    assert [m.cseq for m in found] == [1, 2, 3, 4]
    assert tally.problems == []


def _ng(count: int) -> bytes:
    return pcapng(_frames(count))


def _block(at: int) -> int:
    return len(_ng(at))


DAMAGED_NG = {
    "ends in a block header": (_ng(3)[: _block(2) + 5], [1, 2]),
    "ends in a block": (_ng(3)[:-5], [1, 2]),
    "huge block": (_patched(_ng(5), _block(2) + 4, b"\xfc\xff\xff\x7f"), [1, 2, 4, 5]),
    "odd block length": (_patched(_ng(5), _block(2) + 4, b"\x21"), [1, 2, 4, 5]),
    "block of no length": (_patched(_ng(5), _block(2) + 4, bytes(4)), [1, 2, 4, 5]),
    "lengths that differ": (_patched(_ng(5), _block(3) - 4, b"\x01"), [1, 2, 4, 5]),
    "packet longer than its block": (_patched(_ng(5), _block(2) + 20, b"\xff\xff"), [1, 2, 4, 5]),
    "interface that isn't described": (_patched(_ng(5), _block(2) + 8, b"\x07"), [1, 2, 4, 5]),
    "garbage between blocks": (_ng(5)[: _block(2)] + b"garbage!" * 999 + _ng(5)[_block(2) :], [1, 2, 3, 4, 5]),
}


@pytest.mark.parametrize("name", DAMAGED_NG)
@pytest.mark.parametrize("piece", [0, 1000])
def test_damaged_pcapng(name: str, piece: int) -> None:
    """What precedes a damaged block is used, frame and byte are named, and reading goes on behind it."""
    data, expected = DAMAGED_NG[name]
    found, tally = read(data, piece=piece)
    assert [m.cseq for m in found] == expected
    assert [(p.frame, p.offset) for p in tally.problems] == [(3, _block(2))]


def test_resynchronised_across_pieces() -> None:
    """A record is found again behind more garbage than is read at a time."""
    frames = _frames(4)
    data = pcap(frames)
    damaged = data[: _record(2)] + b"\xee" * 3_000_000 + data[_record(2) :]
    found, tally = read(damaged)
    assert [m.cseq for m in found] == [1, 2, 3, 4]
    assert len(tally.problems) == 1


NOT_CAPTURES = {
    "empty": (b"", "empty file"),
    "text": (b"this is a log\n" * 9, "text"),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(30), "a gzip file"),
    "binary": (b"\x00\x01\x02\x03" * 9, "begins with 00 01 02 03"),
    "pcap header cut": (pcap([])[:20], "ends inside its header"),
    "pcapng without order": (_patched(_ng(1), 8, b"\0\0\0\0"), "byte order mark"),
}


@pytest.mark.parametrize("name", NOT_CAPTURES)
def test_not_a_capture(name: str, tmp_path: Path) -> None:
    """A file that is no capture is named, with what it is, and the others are read."""
    data, reason = NOT_CAPTURES[name]
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(pcap(_frames(1)))
    tally = Tally()
    found = [m for batch in Inputs([str(tmp_path)], tally=tally, reader="python") for m in batch]
    assert [m.cseq for m in found] == [1]
    assert [problem.source for problem in tally.problems] == [str(tmp_path / "a")]
    assert reason in tally.problems[0].reason


@pytest.mark.parametrize(("number", "name"), [(147, "USER0"), (107, "Frame Relay"), (4711, "without a name")])
def test_unknown_link_type(number: int, name: str) -> None:
    """An unknown link type is a problem that names it, once a file; its frames are counted."""
    found, tally = read(pcap(_frames(3), number))
    assert found == []
    assert len(tally.problems) == 1
    assert f"link type {number} ({name}" in tally.problems[0].reason
    assert tally.counts[f"link type {number}"] == 3


def test_unknown_interface_beside_known_one() -> None:
    """An interface of an unknown link type doesn't hinder the others of its file."""

    def write(writer: PcapngWriter) -> None:
        writer.interface(147)
        writer.interface()
        writer.packet(START, b"\1\2\3", 0)
        writer.packet(START, FRAME, 1)

    found, tally = read(of_pcapng(write))
    assert len(found) == 1
    assert len(reasons(tally)) == 1


def test_cut_by_the_snap_length() -> None:
    """A packet cut in its body is used and marked; one cut in its headers is refused."""
    file = io.BytesIO()
    writer = PcapWriter(file)
    frame = link(datagram(A, B, message(body=b"v=0\r\n" * 40)))
    writer.packet(START, frame[:-100], original=len(frame))
    writer.packet(START, frame[:150], original=len(frame))
    writer.packet(START, frame)
    found, tally = read(file.getvalue())
    assert [(m.cut, len(m.body), m.position.number) for m in found] == [(True, 100, 1), (False, 200, 3)]
    assert tally.counts["cut by the snap length"] == 1
    assert tally.counts["refused: headers cut short"] == 1
    assert tally.problems == []


@given(st.data())
def test_damage_raises_nothing(data: st.DataObject) -> None:
    """Whatever is overwritten, cut or put into a capture, reading it raises nothing but our own errors."""
    whole = data.draw(st.sampled_from([pcap(_frames(6)), _ng(6), of_pcapng(_interfaces), of_pcapng(_interfaces, ">")]))
    at = data.draw(st.integers(0, len(whole)))
    patch = data.draw(st.binary(max_size=40))
    dropped = data.draw(st.integers(0, 200))
    piece = data.draw(st.sampled_from([0, 100]))
    with contextlib.suppress(IngestError):
        read(whole[:at] + patch + whole[at + dropped :], piece=piece)


@given(st.sampled_from([pcap([]), pcap([], LINK_RAW, order=">"), _ng(0), b""]), st.binary(max_size=400))
def test_random_bytes_raise_nothing(head: bytes, rest: bytes) -> None:
    """Random bytes, also behind a right header, raise nothing but our own errors."""
    with contextlib.suppress(IngestError):
        read(head + rest)


@given(st.lists(st.binary(max_size=80)), st.sampled_from([0, 1, 12, 101, 108, 113, 276]))
def test_random_frames_raise_nothing(frames: list[bytes], link_type: int) -> None:
    """Random frames of any link type raise nothing."""
    read(pcap([(START, frame) for frame in frames], link_type))


def test_memory_is_bounded_by_limits_not_by_the_file() -> None:
    """A record may not claim more than the limit, so that it is never waited for."""
    data = pcap([(START, bytes(5000)), *_frames(1)])
    found, tally = read(data, Limits(packet=4000))
    assert len(found) == 1
    assert reasons(tally) == ["a record of 5000 bytes"]


CAPTURES = os.environ.get("SIPCDR_CAPTURES", "")


@pytest.mark.skipif(not CAPTURES, reason="SIPCDR_CAPTURES names no folder with the real captures")
def test_real_captures() -> None:
    """Each real capture gives the messages, methods, statuses and Call-IDs that tshark sees in it."""
    lines = (Path(CAPTURES) / "MANIFEST.tsv").read_text().splitlines()
    names = lines[0].split("\t")
    assert len(lines) > 1
    for line in lines[1:]:
        row = dict(zip(names, line.split("\t"), strict=False))
        tally = Tally()
        found = [m for batch in Inputs([str(Path(CAPTURES) / row["file"])], tally=tally) for m in batch]
        methods = Counter(m.method for m in found if not m.status)
        statuses = Counter(str(m.status) for m in found if m.status)
        assert tally.packets == int(row["packets"]), row["file"]
        assert methods == _counted(row["methods"]), row["file"]
        assert statuses == _counted(row["statuses"]), row["file"]
        assert len({m.call_id for m in found}) == int(row["call_ids"]), row["file"]
        assert set(reasons(tally)) <= {"message longer than 65536 bytes"}, row["file"]


def _counted(text: str) -> Counter[str]:
    return Counter({name: int(count) for name, _, count in (part.partition(":") for part in text.split())})


def test_link_type_above_16_bits() -> None:
    """What the upper half of a pcap header's link type says of the frame check sequence is left out."""
    data = _patched(pcap(_frames(1)), 20, struct.pack("<I", 0x44000000 | LINK_ETHERNET))
    assert len(read(data)[0]) == 1
