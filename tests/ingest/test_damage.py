"""Captures cut, with bits flipped, spliced, and with wrong lengths: what is wrong is named, and the rest is read."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fixtures import make
from fixtures.writer import datagram, link, pcap, pcapng
from sipcdr.ingest import IngestError, Limits, Tally
from sipcdr.ingest._formats import records

from .reading import START, A, B, message, read, window

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.builder import SipMessage

COUNT = 6
FRAMES = [(START + at * 1000, link(datagram(A, B, message(at + 1)))) for at in range(COUNT)]
LENGTHS = (0, 1, 7, 0x7FFF, 0xFFFF)


class Whole(NamedTuple):
    """A sound capture, and where its frames' records begin, and the last one ends."""

    data: bytes
    begins: list[int]


def _whole(data: bytes, head: int, around: int) -> Whole:
    begins = [head]
    for _, frame in FRAMES:
        begins.append(begins[-1] + around + len(frame) + (-len(frame) % 4 if around > 16 else 0))
    assert begins[-1] == len(data)
    return Whole(data, begins)


PCAP = _whole(pcap(FRAMES), 24, 16)
PCAPNG = _whole(pcapng(FRAMES), len(pcapng([])), 32)
both = pytest.mark.parametrize("whole", [PCAP, PCAPNG], ids=["pcap", "pcapng"])


def numbers(found: list[SipMessage]) -> list[int]:
    """The CSeq numbers: as many as the frames."""
    return [one.cseq for one in found]


@both
def test_cut_anywhere(whole: Whole) -> None:
    """A capture that ends anywhere gives what is whole, and names frame and byte of what isn't."""
    for end in range(whole.begins[0], len(whole.data)):
        found, tally = read(whole.data[:end])
        complete = sum(begin <= end for begin in whole.begins[1:])
        assert numbers(found) == list(range(1, complete + 1))
        at = whole.begins[complete]
        expected = [(complete + 1, at)] if end > at else []
        assert [(problem.frame, problem.offset) for problem in tally.problems] == expected


@both
def test_any_bit_flipped(whole: Whole) -> None:
    """A flipped bit costs its own message at most, and of a record's length the next one's."""
    sound = [message(at + 1) for at in range(COUNT)]
    for bit in range(whole.begins[0] * 8, len(whole.data) * 8, 5):
        data = bytearray(whole.data)
        data[bit // 8] ^= 1 << bit % 8
        hit = sum(begin * 8 <= bit for begin in whole.begins)
        found, _ = read(bytes(data))
        assert {*range(1, COUNT + 1)} - {hit, hit + 1} <= {*numbers(found)} | {COUNT}, bit
        assert len([one for one in found if one.raw not in sound]) <= 1


@both
def test_spliced(whole: Whole) -> None:
    """What was put together of two captures, header and all, is read to its end, and the seam named."""
    other = [(then, link(datagram(A, B, message(COUNT + at + 1)))) for at, (then, _) in enumerate(FRAMES)]
    data = whole.data[: whole.begins[3]] + (pcap(other) if whole is PCAP else pcapng(other))
    found, tally = read(data)
    assert numbers(found) == [1, 2, 3, *range(COUNT + 1, 2 * COUNT + 1)]
    seam = [(4, whole.begins[3])] if whole is PCAP else []  # a section may follow another
    assert [(problem.frame, problem.offset) for problem in tally.problems] == seam


@both
def test_any_piece_left_out(whole: Whole) -> None:
    """Bytes that are missing in the middle of a capture cost the messages that they belong to, and one more."""
    for begin in range(whole.begins[0], whole.begins[-2], 11):
        end = begin + 150
        found, tally = read(whole.data[:begin] + whole.data[end:])
        hit = {at + 1 for at in range(COUNT) if whole.begins[at] < end and whole.begins[at + 1] > begin}
        kept = {*range(1, COUNT + 1)} - hit - {max(hit) + 1}
        assert kept <= {*numbers(found)}
        assert tally.problem_count >= (begin not in whole.begins or end not in whole.begins)


@pytest.mark.parametrize("capture", sorted(make.FOLDER.glob("*.pcap*")), ids=lambda path: path.stem)
def test_wrong_lengths(capture: Path) -> None:
    """Whatever any 16 bits of a frame's headers say, nothing is raised, and a message in the next frame is found."""
    whole = records(window(capture.read_bytes()), Tally(), Limits())
    behind = link(datagram("203.0.113.9:5060", B, message(99)))
    kinds = {len(frame): (kind, frame) for _, _, kind, frame in whole if kind != 0}
    for kind, frame in list(kinds.values())[:4]:
        for at in range(0, min(len(frame) - 2, 120), 2):
            for length in LENGTHS:
                broken = frame[:at] + struct.pack(">H", length) + frame[at + 2 :]
                found, _ = read(pcap([(START, broken)], kind))
                assert len(found) <= 20
    broken = b"".join(frame for _, frame in kinds.values())[:1500]
    assert 99 in numbers(read(pcap([(START, broken), (START + 1, behind)]))[0])


@pytest.mark.parametrize("head", [PCAP.data[:24], PCAPNG.data[: PCAPNG.begins[0]]], ids=["pcap", "pcapng"])
def test_any_bit_of_a_file_s_head(head: bytes) -> None:
    """With a flipped bit in its head a file is a capture still, or named as what it isn't: no other error."""
    rest = (PCAP if len(head) == 24 else PCAPNG).data[len(head) :]
    for bit in range(len(head) * 8):
        data = bytearray(head + rest)
        data[bit // 8] ^= 1 << bit % 8
        try:
            found, tally = read(bytes(data))
        except IngestError:
            continue
        assert len(found) == COUNT or tally.problems or tally.counts, bit
