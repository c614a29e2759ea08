"""`sipcdr run` on files that grow: a folder of rotating captures, and a log that is rotated."""

from __future__ import annotations

import gzip
import os
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.calls import udp
from fixtures.writer import PcapngWriter, PcapWriter, TcpStream, link, pcap
from tests.app.capture import answered
from tests.app.daemon import ROOT, Daemon, messages_of, positions, replayed, wait_for, written

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.calls import Sent
    from sipcdr.builder import SipMessage

START = 1_795_420_800_000_000
CALLS = [each for number in range(40) for each in answered(f"{number}@192.0.2.11", start=START + number * 3_000_000)]


def is_odd(each: Sent) -> bool:
    return int(each.payload.partition(b"Call-ID: ")[2].partition(b"@")[0]) % 2 == 1


def segments(sent: list[Sent]) -> list[tuple[int, bytes]]:
    """Frames of TCP connections that last, in segments of 300 bytes: messages begin in one and end in another."""
    streams: dict[tuple[str, str], TcpStream] = {}
    frames = []
    for one in sorted(sent):
        stream = streams.setdefault((one.source, one.destination), TcpStream(one.source, one.destination))
        if not stream.sent:
            frames.append((one.time - 50, link(stream.syn())))
        frames += ((one.time + 20 * number, link(each)) for number, each in enumerate(stream.split(one.payload, 300)))
    return frames


FRAMES = sorted(udp([each for each in CALLS if not is_odd(each)]) + segments([each for each in CALLS if is_odd(each)]))


class Rotating:
    """A capture that goes over into a new file every so many packets, in one of the ways in which programs do that.

    dumpcap: numbered names. ring: the same, of which the latest three are kept. reused: three names in turn (tcpdump -C
    -W). packed: what is full is compressed (tcpdump -z gzip).
    """

    def __init__(self, folder: Path, each: int, way: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.written = 0
        self._way = way
        self._each = each
        self._files: list[Path] = []

    def write(self, packets: int) -> None:
        for time_, frame in FRAMES[self.written : self.written + packets]:
            if self.written % self._each == 0:
                self._next()
            if isinstance(self._writer, PcapngWriter):
                self._writer.packet(time_, frame, 0)
            else:
                self._writer.packet(time_, frame)
            self._file.flush()
            self.written += 1

    def close(self) -> None:
        if self._files:
            self._file.close()

    def _next(self) -> None:
        self.close()
        number = len(self._files)
        if self._way == "packed" and self._files:
            last = self._files[-1]
            status = last.stat()
            packed = last.with_suffix(".pcap.gz")
            packed.write_bytes(gzip.compress(last.read_bytes()))
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            last.unlink()
        if self._way == "ring" and number >= 3:
            self._files[-3].unlink()
        name = f"sip{number % 3}.pcap" if self._way == "reused" else f"sip_{number:05}.pcap"
        self._files.append(self.folder / name)
        self._file = self._files[-1].open("wb")
        if self._way == "dumpcap":
            self._writer: PcapWriter | PcapngWriter = PcapngWriter(self._file)
            self._writer.interface()
        else:
            self._writer = PcapWriter(self._file)


@pytest.mark.parametrize("way", ["dumpcap", "ring", "reused", "packed"])
def test_a_folder_of_rotating_captures(tmp_path: Path, way: str) -> None:
    """Files are taken in order, as they grow, however they rotate; rows are a replay's, and nothing is read twice."""
    writer = Rotating(tmp_path / "spool", 150, way)
    url = f"sqlite:///{tmp_path}/cdr.db"
    daemon = Daemon(tmp_path / "d", url, source(writer.folder))
    writer.write(100)
    daemon.start()
    try:
        while writer.written < len(FRAMES):
            count = len(messages_in(tmp_path, writer.written))
            wait_for(lambda: daemon.figure("sipcdr_records_total") == count, "packets as they come", [daemon])  # noqa: B023
            writer.write(140)
        (writer.folder / "notes.pcap").write_text("no capture at all\n" * 100)
        wait_for(lambda: ended(url) == 40, "all calls", [daemon])
        wait_for(lambda: daemon.figure("sipcdr_records_total") == len(MESSAGES), "each message once", [daemon])
        assert daemon.figure("sipcdr_lost_files_total") == 0
        assert daemon.stop()[0] == 0
        rows = written(url, MESSAGES)
        daemon.start()
        wait_for(lambda: daemon.get("/readyz")[0] == 200, "readiness", [daemon])
        time.sleep(3)
        assert daemon.figure("sipcdr_records_total") < 10, "what is over was read again"
        assert daemon.figure("sipcdr_calls_total", "written") == 0
        assert daemon.stop()[0] == 0
    finally:
        daemon.kill()
        writer.close()
    assert rows == EXPECTED


@pytest.mark.parametrize("way", ["dumpcap", "packed"])
def test_kill_9_while_captures_rotate(tmp_path: Path, way: str) -> None:
    """After a crash files are read on from where they are written, also those that were renamed or packed since."""
    chance = random.Random(way)
    writer = Rotating(tmp_path / "spool", 150, way)
    url = f"sqlite:///{tmp_path}/cdr.db"
    daemon = Daemon(tmp_path / "d", url, source(writer.folder))
    writer.write(100)
    try:
        while writer.written < len(FRAMES):
            daemon.start()
            wait_for(lambda: daemon.figure("sipcdr_records_total") > 0, "packets", [daemon])
            for _ in range(chance.randrange(2, 6)):
                writer.write(chance.randrange(30, 60))
                time.sleep(chance.random())
            daemon.kill()
            writer.write(chance.randrange(60))
        daemon.start()
        wait_for(lambda: ended(url) == 40, "all calls", [daemon])
        assert daemon.stop()[0] == 0
        assert any(position > 1000 for position in positions(url).values())
    finally:
        daemon.kill()
        writer.close()
    assert written(url, MESSAGES) == EXPECTED


def test_two_captures_side_by_side(tmp_path: Path) -> None:
    """Two that grow at the same time in one folder are both read, as they come."""
    folder = tmp_path / "spool"
    folder.mkdir()
    url = f"sqlite:///{tmp_path}/cdr.db"
    daemon = Daemon(tmp_path / "d", url, source(folder))
    parts = FRAMES[::2], FRAMES[1::2]
    with (folder / "eth0.pcap").open("wb") as first, (folder / "eth1.pcap").open("wb") as second:
        writers = PcapWriter(first), PcapWriter(second)
        daemon.start()
        try:
            udp_only = [[each for each in part if each[1][23] == 17] for part in parts]
            for at in range(0, max(map(len, udp_only)), 10):
                for writer, part in zip(writers, udp_only, strict=True):
                    for time_, frame in part[at : at + 10]:
                        writer.packet(time_, frame)
                first.flush()
                second.flush()
                time.sleep(1.2)
            count = sum(map(len, udp_only))
            wait_for(lambda: daemon.figure("sipcdr_records_total") == count, "all messages", [daemon])
            assert daemon.stop()[0] == 0
        finally:
            daemon.kill()


def source(folder: Path) -> str:
    return f'[[source]]\ntype = "captures"\nfolder = "{folder}"\n'


def ended(url: str) -> int:
    return sum(1 for row in written(url, MESSAGES) if row["SessionEndTime"])


def messages_in(folder: Path, packets: int) -> list[SipMessage]:
    """The messages of so many packets, which then stand in `whole.pcap`."""
    path = folder / "whole.pcap"
    path.write_bytes(pcap(FRAMES[:packets]))
    return messages_of([path])


MESSAGES: list[SipMessage] = []
EXPECTED: list[dict[str, Any]] = []


@pytest.fixture(autouse=True, scope="module")
def _replayed(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("whole")
    MESSAGES[:] = messages_in(folder, len(FRAMES))
    EXPECTED[:] = replayed([folder / "whole.pcap"], folder, MESSAGES)


def test_no_folder(tmp_path: Path) -> None:
    """It is said, and waited for."""
    daemon = Daemon(
        tmp_path / "d", f"sqlite:///{tmp_path}/x.db", '[[source]]\ntype = "captures"\nfolder = "/nowhere"\n'
    )
    daemon.start()
    try:
        wait_for(lambda: "there is no folder /nowhere" in daemon.tail(), "the error", [daemon])
        assert daemon.get("/readyz")[0] == 503
        assert daemon.stop()[0] == 0
    finally:
        daemon.kill()


@pytest.mark.parametrize("way", ["rename", "copytruncate", "gzip"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_log_that_is_rotated(tmp_path: Path, way: str, killed: bool) -> None:
    """A log is followed as it grows, to its end after it was rotated, and on in the new one; also after a crash."""
    text = (ROOT / "fixtures" / "logs" / "pjsip.log").read_bytes()
    other = text.replace(b"logged@", b"rotated@").replace(b" 09:", b" 10:")
    log = tmp_path / "logs" / "sip.log"
    log.parent.mkdir()
    log.write_bytes(text[:1500])
    url = f"sqlite:///{tmp_path}/cdr.db"
    daemon = Daemon(tmp_path / "d", url, f'[[source]]\ntype = "logs"\npath = "{log}"\n')
    daemon.start()
    try:
        wait_for(lambda: daemon.figure("sipcdr_records_total") > 0, "the first messages", [daemon])
        wait_for(lambda: any(positions(url).values()), "a position", [daemon])
        if killed:
            daemon.kill()
        old = tmp_path / "logs" / "sip.log.1"
        with log.open("ab") as file:
            file.write(text[1500:2000])
            file.flush()
            if way == "copytruncate":
                file.write(text[2000:])
                file.flush()
                old.write_bytes(log.read_bytes())
                file.truncate(0)
            else:
                log.rename(old)
                time.sleep(0.5)
                file.write(text[2000:])
        if way == "gzip":
            old.with_suffix(".1.gz").write_bytes(gzip.compress(old.read_bytes()))
            time.sleep(0.1)
            old.unlink()
        log.write_bytes(other[:900])
        if killed:
            daemon.start()
        time.sleep(3)
        with log.open("ab") as file:
            file.write(other[900:])
        messages = messages_of([write_whole(tmp_path, text + other)])
        expected = replayed([tmp_path / "whole.log"], tmp_path, messages)
        assert len(expected) == 2
        wait_for(lambda: written(url, messages) == expected, "the rows", [daemon])
        assert daemon.stop()[0] == 0
    finally:
        daemon.kill()


def write_whole(folder: Path, text: bytes) -> Path:
    path = folder / "whole.log"
    path.write_bytes(text)
    return path


def test_a_log_format_that_is_none(tmp_path: Path) -> None:
    """One line and status 2, as no retry mends it."""
    sources = '[[source]]\ntype = "logs"\npath = "/var/log/sip.log"\nformat = "fax"\n'
    daemon = Daemon(tmp_path / "d", f"sqlite:///{tmp_path}/x.db", sources)
    daemon.start()
    assert daemon.process is not None
    assert daemon.process.wait(60) == 2
    assert "fax is no log format" in daemon.tail()
    assert "Traceback" not in daemon.tail()
