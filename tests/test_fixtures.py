"""Every capture of fixtures/ gives exactly the rows beside it, however it is fed."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fixtures import make, rows
from fixtures.writer import TcpStream, link, pcap
from sipcdr.builder import Call
from sipcdr.ingest import Tally
from tests.road import calls, messages, replayed, write
from tests.road import rows as rows_of

if TYPE_CHECKING:
    from fixtures.rows import Row
    from sipcdr.builder import SipMessage

FIXTURES = Path(make.__file__).parent
CAPTURES = sorted(FIXTURES.glob("*.pcap*"))
every = pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
every_pcap = pytest.mark.parametrize(
    "capture", [capture for capture in CAPTURES if capture.suffix == ".pcap"], ids=lambda path: path.stem
)


class Packets(NamedTuple):
    """A pcap file taken apart: its header, and its records with theirs."""

    header: bytes
    records: list[bytes]

    def written(self, file: Path) -> Path:
        """The file put together again."""
        file.write_bytes(self.header + b"".join(self.records))
        return file


def packets(capture: Path) -> Packets:
    """Take a pcap file apart."""
    data = capture.read_bytes()
    length = struct.Struct(("<" if data[0] in (0xD4, 0x4D) else ">") + "8xI4x")
    records = []
    at = 24
    while at < len(data):
        end = at + 16 + length.unpack_from(data, at)[0]
        records.append(data[at:end])
        at = end
    return Packets(data[:24], records)


def expected(capture: Path) -> list[Row]:
    """The rows beside a capture."""
    return rows.read(capture.with_suffix(".json"))


@every
def test_whole(capture: Path, tmp_path: Path) -> None:
    """A replay gives the rows beside the capture, and reads it without a problem."""
    tally = Tally()
    assert expected(capture) == replayed(tmp_path / "cdr.db", messages(capture, tally=tally))
    assert tally.problems == []
    assert tally.refused == []


@every_pcap
def test_every_packet_twice(capture: Path, tmp_path: Path) -> None:
    """A capture in which each packet stands twice gives the same rows: a retransmission or a second tap."""
    header, records = packets(capture)
    twice = Packets(header, [record for record in records for _ in range(2)]).written(tmp_path / "twice.pcap")
    assert expected(capture) == replayed(tmp_path / "cdr.db", messages(twice))


@every_pcap
@pytest.mark.parametrize("first", [0, 1], ids=["even", "odd"])
def test_neighbours_swapped(capture: Path, first: int, tmp_path: Path) -> None:
    """A capture in which each packet has changed places with the next gives the same rows."""
    header, records = packets(capture)
    for at in range(first, len(records) - 1, 2):
        records[at], records[at + 1] = records[at + 1], records[at]
    swapped = Packets(header, records).written(tmp_path / "swapped.pcap")
    assert expected(capture) == replayed(tmp_path / "cdr.db", messages(swapped))


@every
def test_byte_by_byte(capture: Path, tmp_path: Path) -> None:
    """The same messages over TCP, each byte in a segment of its own, give the same rows."""
    whole = messages(capture)
    bytewise = tmp_path / "bytewise.pcap"
    bytewise.write_bytes(pcap(_one_byte_a_segment(whole)))
    parted = messages(bytewise)
    assert sorted((one.time, one.raw) for one in whole) == sorted((one.time, one.raw) for one in parted)
    assert expected(capture) == replayed(tmp_path / "cdr.db", parted)


def _one_byte_a_segment(whole: list[SipMessage]) -> list[tuple[int, bytes]]:
    streams: dict[tuple[str, str], TcpStream] = {}
    frames = []
    for message in whole:
        key = (message.source, message.destination)
        stream = streams.setdefault(key, TcpStream(*key))
        frames += [(message.time, link(packet)) for packet in stream.split(message.raw, 1)]
    return frames


@every
def test_stopped_halfway(capture: Path, tmp_path: Path) -> None:
    """Calls that are packed in the middle of the capture and go on from their bytes give the same rows."""
    some = messages(capture)
    for cut in (len(some) // 3, len(some) // 2, len(some) - 1):
        first = {call.call_id: Call.from_bytes(bytes(call)) for call in calls(some[:cut])}
        for message in some[cut:]:
            first.setdefault(message.call_id, Call(message.call_id)).add(message)
        database = tmp_path / f"{cut}.db"
        write(database, list(first.values()))
        assert expected(capture) == rows_of(database, first)


@every
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "second first"])
def test_two_runs(capture: Path, order: tuple[int, int], tmp_path: Path) -> None:
    """Two halves written by two runs, whichever comes first, leave the same rows, and a third run changes nothing."""
    some = messages(capture)
    halves = (some[: len(some) // 2], some[len(some) // 2 :])
    database = tmp_path / "cdr.db"
    for half in order:
        write(database, calls(halves[half]))
    call_ids = {message.call_id for message in some}
    assert expected(capture) == rows_of(database, call_ids)
    write(database, calls(some))
    assert expected(capture) == rows_of(database, call_ids)


@pytest.mark.parametrize("name", make.BUILT)
def test_built_again(name: str) -> None:
    """A capture that our own writer builds comes out the same to the byte."""
    assert (FIXTURES / name).read_bytes() == make.BUILT[name]()


def test_all_listed() -> None:
    """Every capture can be made again, has its rows, and stands in the list."""
    table = re.findall(r"^\| (`[^|]+`) \|", (FIXTURES / "README.md").read_text(), re.MULTILINE)
    listed = [name for cell in table for name in re.findall("`([^`]+)`", cell) if "/" not in name]
    names = [capture.stem for capture in CAPTURES]
    assert sorted(names) == sorted(listed)
    assert sorted(names) == sorted(Path(name).stem for name in (*make.BUILT, *make.RECORDED))
    assert sorted(names) == sorted(beside.stem for beside in FIXTURES.glob("*.json"))
