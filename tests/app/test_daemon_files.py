"""`sipcdr run` on files that grow: a folder of rotating captures, and a log that is rotated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from fixtures.calls import udp
from fixtures.writer import PcapWriter, pcap
from tests.app.capture import answered
from tests.app.daemon import ROOT, Daemon, messages_of, replayed, wait_for, written

if TYPE_CHECKING:
    from pathlib import Path

CALLS = [
    each
    for number in range(40)
    for each in answered(f"{number}@192.0.2.11", start=1_795_420_800_000_000 + number * 3_000_000)
]
FRAMES = sorted(udp(sorted(CALLS, key=lambda each: each.time)))


class Rotating:
    """A capture that goes over into a new file every so many packets, as dumpcap writes it."""

    def __init__(self, folder: Path, each: int) -> None:
        folder.mkdir()
        self.folder = folder
        self._each = each
        self._number = 0
        self._count = each
        self.write(0)

    def write(self, packets: int) -> None:
        for time_, frame in FRAMES[self._written() : self._written() + packets]:
            if self._count >= self._each:
                self.close()
                self._number += 1
                self._count = 0
                self._file = (self.folder / f"sip_{self._number:05}.pcap").open("wb")
                self._writer = PcapWriter(self._file)
            self._writer.packet(time_, frame)
            self._file.flush()
            self._count += 1

    def close(self) -> None:
        if self._number:
            self._file.close()

    def _written(self) -> int:
        return max(self._number - 1, 0) * self._each + (self._count if self._number else 0)


@pytest.mark.parametrize("killed", [False, True])
def test_a_folder_of_rotating_captures(tmp_path: Path, killed: bool) -> None:
    """Files are taken in order, as they grow, and after a crash from where they are written; rows are a replay's."""
    writer = Rotating(tmp_path / "spool", 70)
    url = f"sqlite:///{tmp_path}/cdr.db"
    daemon = Daemon(tmp_path / "d", url, f'[[source]]\ntype = "captures"\nfolder = "{writer.folder}"\n')
    writer.write(100)
    daemon.start()
    try:
        wait_for(lambda: daemon.figure("sipcdr_records_total") == 100, "the packets that were there", [daemon])
        writer.write(60)
        wait_for(lambda: daemon.figure("sipcdr_records_total") == 160, "packets as they come", [daemon])
        if killed:
            daemon.kill()
            writer.write(30)
            daemon.start()
        writer.write(1000)
        (writer.folder / "notes.pcap").write_text("no capture at all\n" * 100)
        wait_for(lambda: sum(1 for row in written(url, MESSAGES) if row["SessionEndTime"]) == 40, "all calls", [daemon])
        if not killed:
            assert daemon.figure("sipcdr_records_total") == len(FRAMES)
        assert daemon.stop()[0] == 0
        rows = written(url, MESSAGES)
        daemon.start()
        wait_for(lambda: daemon.get("/readyz")[0] == 200, "readiness", [daemon])
        time.sleep(4)
        assert daemon.figure("sipcdr_calls_total", "written") == 0, "what is over was read again and changed something"
        assert daemon.stop()[0] == 0
    finally:
        daemon.kill()
        writer.close()
    whole = tmp_path / "whole.pcap"
    whole.write_bytes(pcap(FRAMES))
    assert rows == replayed([whole], tmp_path, messages_of([whole]))


MESSAGES = messages_of([])


@pytest.fixture(autouse=True, scope="module")
def _messages(tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = tmp_path_factory.mktemp("whole") / "whole.pcap"
    whole.write_bytes(pcap(FRAMES))
    MESSAGES[:] = messages_of([whole])


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


def test_a_log_that_is_rotated(tmp_path: Path) -> None:
    """A log is followed as it grows, to its end after it was renamed, and on in the new one."""
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
        with log.open("ab") as file:
            file.write(text[1500:2000])
            file.flush()
            log.rename(tmp_path / "logs" / "sip.log.1")
            time.sleep(0.5)
            file.write(text[2000:])
        log.write_bytes(other)
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
