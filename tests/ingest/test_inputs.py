"""Files, folders, globs and standard input, merged by time."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fixtures.writer import TcpStream, datagram, fragments, link, pcap, pcapng
from sipcdr.ingest import Inputs, Limits, Tally
from sipcdr.ingest import _inputs as module
from sipcdr.ingest._source import Source

from .reading import START, A, B, message

SECOND = 1_000_000


def capture(*numbers: int, start: int = 0) -> bytes:
    """A pcap with a message at each of these seconds, its CSeq the second."""
    return pcap([(START + (start + n) * SECOND, link(datagram(A, B, message(start + n)))) for n in numbers])


def read(paths: list[Path | str], limits: Limits | None = None) -> tuple[list[int], Tally]:
    """The CSeq numbers in the order given out."""
    tally = Tally()
    inputs = Inputs([str(path) for path in paths], tally=tally, limits=limits or Limits())
    return [found.cseq for batch in inputs for found in batch], tally


def test_files_are_merged_by_time(tmp_path: Path) -> None:
    """Messages of overlapping files come in the order of time, whatever the order of the files."""
    (tmp_path / "b.pcap").write_bytes(capture(1, 3, 5, 7))
    (tmp_path / "a.pcapng").write_bytes(
        pcapng([(START + n * SECOND, link(datagram(A, B, message(n)))) for n in (2, 4, 9)])
    )
    (tmp_path / "c.pcap").write_bytes(capture(6, 8))
    found, tally = read([tmp_path])
    assert found == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert (tally.messages, tally.packets, tally.problems) == (9, 9, [])
    assert tally.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_paths(tmp_path: Path) -> None:
    """Folders are read with those below them, globs too; a file named twice is read once; hidden files are left out."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for number, name in enumerate(("deep/er/1.pcap", "deep/2.pcap", "3.pcap", ".hidden", "[4].pcap"), 1):
        (tmp_path / name).write_bytes(capture(number))
    assert read([tmp_path])[0] == [1, 2, 3, 5]
    assert read([tmp_path / "*.pcap", tmp_path / "3.pcap"])[0] == [3, 5]
    assert read([tmp_path / "**" / "*.pcap"])[0] == [1, 2, 3, 5]
    assert read([tmp_path / "[4].pcap"])[0] == [5]


def test_what_cant_be_read_is_named(tmp_path: Path) -> None:
    """A path that is missing, an empty folder and a file that is no capture are problems; the others are read."""
    (tmp_path / "good.pcap").write_bytes(capture(1))
    (tmp_path / "empty").mkdir()
    (tmp_path / "log.txt").write_text("this is a log\n" * 5)
    found, tally = read(
        [tmp_path / "none.pcap", tmp_path / "*.zip", tmp_path / "empty", tmp_path / "log.txt", tmp_path / "good.pcap"]
    )
    assert found == [1]
    assert [(Path(p.source).name, p.reason.split(",")[0]) for p in tally.problems] == [
        ("none.pcap", "no such file or folder"),
        ("*.zip", "no such file or folder"),
        ("empty", "no file in this folder"),
        ("log.txt", "text"),
    ]


def test_progress(tmp_path: Path) -> None:
    """The bytes of all files are known beforehand, and at the end all are done."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(capture(1, 2))
    inputs = Inputs([str(tmp_path)], tally=Tally())
    assert inputs.total_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert inputs.bytes_done == 0
    list(inputs)
    assert inputs.bytes_done == inputs.total_bytes


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """ "-" is standard input, beside files."""
    (tmp_path / "a").write_bytes(capture(2))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(capture(1, 3)))))
    tally = Tally()
    inputs = Inputs(["-", str(tmp_path / "a")], tally=tally)
    assert inputs.total_bytes is None
    found = [m for batch in inputs for m in batch]
    assert [(m.cseq, Path(m.position.source).name, m.position.number) for m in found] == [
        (1, "-", 1),
        (2, "a", 1),
        (3, "-", 2),
    ]


def test_pipe_of_a_running_capture() -> None:
    """What a pipe holds so far is read without waiting for more."""
    reading, writing = os.pipe()
    data = capture(*range(600))
    os.write(writing, data[:40_000])
    with os.fdopen(reading, "rb") as pipe:
        source = Source("-", pipe)
        assert len(source.read(1 << 20)) == 40_000
    os.close(writing)


@pytest.mark.parametrize("limits", [Limits(), Limits(files=2)])
def test_many_files(tmp_path: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more files are open at a time than the limit, and all are read."""
    for number in range(1, 41):
        (tmp_path / f"{number:02}").write_bytes(capture(number, 50))
    opened: list[int] = []
    start = module.Inputs._start

    def counting(self: Inputs, one: module._Capture) -> None:
        start(self, one)
        opened.append(len(self._open))

    monkeypatch.setattr(module.Inputs, "_start", counting)
    found, tally = read([tmp_path], limits)
    assert sorted(found) == [*range(1, 41), *[50] * 40]
    assert max(opened) <= limits.files
    assert tally.problems == []


def test_rotated_capture(tmp_path: Path) -> None:
    """Where a capture goes on in the next file, its streams and fragments do too."""
    tcp = TcpStream(A, B)
    first, second = message(1, body=b"x" * 500), message(2)
    parts = fragments(datagram(A, B, message(3, body=b"y" * 500)), 400)
    packets = [tcp.syn(), tcp.send(first[:200]), parts[0], tcp.send(first[200:] + second), *parts[1:]]
    frames = [(START + at * SECOND, link(packet)) for at, packet in enumerate(packets)]
    (tmp_path / "cap.1").write_bytes(pcap(frames[:3]))
    (tmp_path / "cap.2").write_bytes(pcap(frames[3:]))
    tally = Tally()
    found = [m for batch in Inputs([str(tmp_path)], tally=tally) for m in batch]
    assert [(m.raw, Path(m.position.source).name) for m in found] == [
        (first, "cap.2"),
        (second, "cap.2"),
        (message(3, body=b"y" * 500), "cap.2"),
    ]
    assert tally.counts == {}


def test_refusals_are_counted_and_sampled(tmp_path: Path) -> None:
    """Refused messages are all counted, the first hundred with their frames; they are no problem."""
    bad = message().replace(b"Call-ID", b"Call-XX")
    (tmp_path / "a").write_bytes(pcap([(START, link(datagram(A, B, bad)))] * 150))
    found, tally = read([tmp_path])
    assert found == []
    assert tally.counts["refused: no Call-ID"] == 150
    assert [refused.frame for refused in tally.refused] == list(range(1, 101))
    assert tally.problem_count == 0


def test_time_that_jumps_back(tmp_path: Path) -> None:
    """A file whose time stamps jump is read to its end."""
    (tmp_path / "a").write_bytes(capture(5, 1, 9, 2))
    (tmp_path / "b").write_bytes(capture(3, 4))
    assert sorted(read([tmp_path])[0]) == [1, 2, 3, 4, 5, 9]
