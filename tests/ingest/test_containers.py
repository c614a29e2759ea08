"""Captures in gzip, zstd, lz4 and zip, whole, damaged and hostile; and Kuznetsov's pcap."""

from __future__ import annotations

import gzip
import io
import random
import struct
import sys
import zipfile
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fixtures.writer import datagram, link, pcap, pcapng
from sipcdr.ingest import Inputs, Limits, Tally

from .reading import START, A, B, message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def capture(*numbers: int) -> bytes:
    """A capture with a message a second, its CSeq the second."""
    return pcap([(START + n * 1_000_000, link(datagram(A, B, message(n)))) for n in numbers])


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of these."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


class _Pipe(io.RawIOBase):
    """Takes bytes and can't go back, as where `zip -` writes."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self.written += piece
        return len(piece)


def piped(data: bytes) -> bytes:
    """A zip of two members whose sizes stand behind them."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("empty.txt", b"")
        archive.writestr("a.pcap", data)
    return pipe.written


def read(data: bytes, folder: Path, limits: Limits | None = None) -> tuple[list[int], Tally, list[str]]:
    """The CSeq numbers in a file, what was counted, and the names of sources under the folder."""
    (folder / "x").write_bytes(data)
    tally = Tally()
    inputs = Inputs([str(folder / "x")], tally=tally, limits=limits or Limits(), reader="python")
    found = [m for batch in inputs for m in batch]
    return [m.cseq for m in found], tally, [m.position.source.removeprefix(str(folder)) for m in found]


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip of members": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]) + bytes(512),
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd of frames": lambda data: b"".join(zstandard.compress(part) for part in (data[:100], b"", data[100:])),
    "lz4": lz4.frame.compress,
    "lz4 of frames": lambda data: lz4.frame.compress(data[:100]) + lz4.frame.compress(data[100:]),
    "zip": lambda data: zipped(("folder/", b""), ("folder/a.pcap", data), ("__MACOSX/._a", b"x"), (".hidden", b"x")),
    "zip, stored": lambda data: zipped(("a.pcap", data), method=zipfile.ZIP_STORED),
    "zip through a pipe": piped,
}


@pytest.mark.parametrize("form", [pcap, pcapng])
@pytest.mark.parametrize("name", PACK)
def test_packed(name: str, form: Callable[..., bytes], tmp_path: Path) -> None:
    """A packed capture is read as the bare one, pcap and pcapng."""
    frames = [(START + n * 1_000_000, link(datagram(A, B, message(n)))) for n in range(1, 300)]
    found, tally, _ = read(PACK[name](form(frames)), tmp_path)
    assert found == list(range(1, 300))
    assert [p.reason for p in tally.problems] == (["empty file"] if "pipe" in name else [])
    assert tally.bytes == (tmp_path / "x").stat().st_size


@pytest.mark.parametrize("outer", PACK)
@pytest.mark.parametrize("inner", PACK)
def test_packed_twice(outer: str, inner: str, tmp_path: Path) -> None:
    """Each may stand around each other."""
    assert read(PACK[outer](PACK[inner](capture(1, 2))), tmp_path)[0] == [1, 2]


def test_depth_is_bounded(tmp_path: Path) -> None:
    """What is packed more often than the limit says is named."""
    data = capture(1)
    for _ in range(4):
        data = gzip.compress(data)
    assert read(data, tmp_path)[0] == [1]
    found, tally, _ = read(gzip.compress(data), tmp_path)
    assert found == []
    assert [problem.reason for problem in tally.problems] == ["packed more than 4 times"]


def test_members_are_named(tmp_path: Path) -> None:
    """Messages and problems say which file of a zip they are from; one that is no capture doesn't stop the others."""
    data = zipped(
        ("a.pcap", capture(1)), ("notes.txt", b"no capture, this\n" * 9), ("b/c.pcap.gz", gzip.compress(capture(2)))
    )
    found, tally, sources = read(data, tmp_path)
    assert found == [1, 2]
    assert sources == ["/x/a.pcap", "/x/b/c.pcap.gz"]
    assert [problem.source.removeprefix(str(tmp_path)) for problem in tally.problems] == ["/x/notes.txt"]
    first = zipped(("notes.txt", b"no capture, this\n" * 9), ("a.pcap", capture(1)))
    assert read(first, tmp_path)[0] == [1]


def test_folder_of_all(tmp_path: Path) -> None:
    """A folder of captures, packed in all ways or not at all, is one input, merged by time."""
    for number, pack in enumerate(PACK.values(), 1):
        (tmp_path / f"{9 - number}").write_bytes(pack(capture(number, number + 20)))
    (tmp_path / "plain").write_bytes(capture(30))
    tally = Tally()
    found = [m.cseq for batch in Inputs([str(tmp_path)], tally=tally) for m in batch]
    count = len(PACK)
    assert found == [*range(1, count + 1), *range(21, 21 + count), 30]


@pytest.mark.parametrize("name", PACK)
def test_standard_input(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input may be packed too."""
    data = PACK[name](capture(1, 2))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(data))))
    assert [m.cseq for batch in Inputs(["-"], tally=Tally()) for m in batch] == [1, 2]


@pytest.mark.parametrize("name", PACK)
def test_truncated(name: str, tmp_path: Path) -> None:
    """Of a packed file that ends too early what precedes is used, and that is said once."""
    noise = random.Random(1)  # so that it can't be packed into nothing
    frames = [(START + n, link(datagram(A, B, message(n, body=noise.randbytes(900))))) for n in range(1, 500)]
    data = PACK[name](pcap(frames))
    found, tally, _ = read(data[: len(data) * 2 // 3], tmp_path)
    assert found[:200] == list(range(1, 201))
    reasons = [p.reason for p in tally.problems if p.reason != "empty file"]
    assert len(reasons) == 1
    assert "ends too early" in reasons[0]
    assert tally.problems[-1].frame == len(found) + 1


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "gzip": (lambda data: b"\x1f\x8b\x08" + data, "a gzip file that is damaged"),
    "gzip checksum": (lambda data: gzip.compress(data)[:-8] + bytes(8), "a gzip file that is damaged"),
    "zstd": (lambda data: b"\x28\xb5\x2f\xfd" + b"\xff" * 100 + data, "a zstd file that is damaged"),
    "lz4": (lambda data: b"\x04\x22\x4d\x18" + data, "an lz4 file that is damaged"),
    "zip": (lambda data: zipped(("a", data)).replace(b"PK\x01\x02", b"PK??"), "a zip file that is damaged"),
    "zip checksum": (
        lambda data: zipped(("a", data)).replace(struct.pack("<I", zlib.crc32(data)), b"\0\0\0\0", 1),
        "a zip file whose content doesn't have its checksum",
    ),
    "encrypted": (lambda data: b"PK\x03\x04\x14\0\x01" + zipped(("a", data))[7:], "encrypted"),
    "another method": (
        lambda data: zipped(("a", data), method=zipfile.ZIP_LZMA), "packed into its zip file by method 14",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(name: str, tmp_path: Path) -> None:
    """What is wrong with a packed file is named, without a traceback."""
    make, reason = DAMAGED[name]
    _, tally, _ = read(make(capture(1)), tmp_path)
    assert len(tally.problems) == 1
    assert reason in tally.problems[0].reason


def test_bomb(tmp_path: Path) -> None:
    """A file that unpacks to far more than itself is read up to a bound, in flat memory, and that is named."""
    bomb = capture(1) + bytes(20_000_000)
    limits = Limits(unpacked=1_000_000)
    for pack in (gzip.compress, zstandard.compress, lambda data: zipped(("a", data), ("b", data), ("c", data))):
        found, tally, _ = read(pack(bomb), tmp_path, limits)
        assert found == [1]
        assert "unpacks to more than" in tally.problems[-1].reason
    packets = pcap([(START, link(datagram(A, B, bytes(1000))))] * 40_000)
    _, tally, _ = read(gzip.compress(gzip.compress(packets)), tmp_path, limits)
    assert "unpacks to more than" in tally.problems[-1].reason
    assert tally.packets < 10_000


def test_without_lz4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, an lz4 file is a problem that names it."""
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    _, tally, _ = read(lz4.frame.compress(capture(1)), tmp_path)
    assert [problem.reason for problem in tally.problems] == [
        "an lz4 file: for these the extra lz4 is missing: pip install 'sipcdr[lz4]'"
    ]


@given(st.sampled_from(sorted(PACK)), st.data())
def test_damage_raises_nothing(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    """Whatever is overwritten, cut or put into a packed capture, reading it raises nothing."""
    whole = PACK[name](capture(1, 2, 3))
    at = data.draw(st.integers(0, len(whole)))
    patch = data.draw(st.binary(max_size=8))
    dropped = data.draw(st.integers(0, 20))
    read(whole[:at] + patch + whole[at + dropped :], tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("order", ["<", ">"])
def test_kuznetsov(order: str, tmp_path: Path) -> None:
    """Kuznetsov's pcap has eight bytes more in front of each frame; damage in it is passed over too."""
    frame = link(datagram(A, B, message()))
    records = [
        struct.pack(order + "IIIIIHBx", 1_795_000_000 + at, 5, len(frame), len(frame), 2, 0, 0) + frame
        for at in range(5)
    ]
    head = struct.pack(order + "IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    found, tally, _ = read(head + b"".join(records), tmp_path)
    assert (len(found), tally.problems) == (5, [])
    found, tally, _ = read(head + b"".join(records[:2]) + b"\xff" * 30 + b"".join(records[2:]), tmp_path)
    assert len(found) == 5
    assert len(tally.problems) == 1


@pytest.mark.parametrize(("name", "data"), [("a", b"snoop\0\0\0"), ("a.erf", bytes(60)), ("a", b"GMBU" + bytes(60))])
def test_wiresharks_formats(name: str, data: bytes, tmp_path: Path) -> None:
    """Formats that only Wireshark reads are named with the reader to ask for."""
    (tmp_path / name).write_bytes(data)
    tally = Tally()
    assert list(Inputs([str(tmp_path / name)], tally=tally, reader="python")) == []
    assert "--reader pyshark" in tally.problems[0].reason
