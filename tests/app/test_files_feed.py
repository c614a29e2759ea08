"""`FilesFeed`: which files are known, and for how long."""

from __future__ import annotations

import gzip
import threading
import time
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest

from fixtures.calls import udp
from fixtures.writer import pcap
from sipcdr.app import _files_feed
from sipcdr.app._batch_writer import BatchWriter
from sipcdr.app._dead_letters import LetterFile, letters_in_file
from sipcdr.app._feed import Running
from sipcdr.app._files_feed import FilesFeed
from sipcdr.app._metrics import Metrics
from sipcdr.app._settings import Correlation, Duration
from sipcdr.app._write import Refusals
from sipcdr.builder import Rules
from sipcdr.ingest import Followed
from sipcdr.sinks import Sink
from tests.app.capture import answered
from tests.app.daemon import positions, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipcdr.app._dead_letters import Letter

FRAMES = [udp(answered(f"{number}@192.0.2.11")) for number in range(4)]


class Reading:
    """A feed over a folder, on a thread of its own."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        self.metrics = Metrics()
        self.stop = threading.Event()
        writer = BatchWriter(
            sink,
            Rules(),
            letters=LetterFile(folder / "letters"),
            refusals=Refusals(folder / "refused"),
            metrics=self.metrics,
        )
        correlation = Correlation(linger=Duration(200_000), hold=Duration(400_000), checkpoint=Duration(100_000))
        running = Running("captures-0", correlation, Rules(), writer, self.metrics, self.stop)
        self.feed = FilesFeed(folder / "spool", "*.pcap*", running)
        self.thread = threading.Thread(target=self.feed.run)
        self.thread.start()

    @property
    def read(self) -> float:
        return self._figure("sipcdr_records_total")

    @property
    def lost(self) -> float:
        return self._figure("sipcdr_lost_files_total")

    @property
    def seen(self) -> int:
        """Files that were noticed."""
        return len(self.feed._unread._seen)

    def _figure(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"source": "captures-0"}) or 0


@contextmanager
def reading(folder: Path) -> Iterator[Reading]:
    (folder / "spool").mkdir(exist_ok=True)
    with Sink.open(f"sqlite:///{folder}/cdr.db") as sink:
        feed = Reading(folder, sink)
        try:
            yield feed
        finally:
            feed.stop.set()
            feed.thread.join()


def stored(folder: Path) -> list[int]:
    return sorted(positions(f"sqlite:///{folder}/cdr.db").values())


def letters(folder: Path) -> list[Letter]:
    path = folder / "letters"
    return list(letters_in_file(path, lambda line, why: pytest.fail(f"{line}: {why}"))) if path.exists() else []


@pytest.mark.parametrize("way", ["deleted", "overwritten", "renamed", "packed"])
def test_a_ring_that_laps_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """What goes before it was read is a figure and a dead letter; what only has another name or form is read."""
    first, second = tmp_path / "spool" / "a.pcap", tmp_path / "spool" / "b.pcap"
    monkeypatch.setattr(_files_feed, "_QUIET_SECONDS", 3600.0)  # the first isn't over, and the second waits
    with reading(tmp_path) as feed:
        first.write_bytes(pcap(FRAMES[0]))
        wait_for(lambda: feed.read == len(FRAMES[0]), "the first")
        second.write_bytes(pcap(FRAMES[1]))
        wait_for(lambda: feed.seen == 2, "the second")
        if way == "overwritten":
            second.write_bytes(pcap(FRAMES[2]))
        elif way == "renamed":
            second.rename(second.with_name("c.pcap"))
        else:
            if way == "packed":
                second.with_name("b.pcap.gz").write_bytes(gzip.compress(second.read_bytes()))
            second.unlink()
        is_lost = way in ("deleted", "overwritten")
        if is_lost:
            wait_for(lambda: feed.lost == 1, "the loss")
        monkeypatch.setattr(_files_feed, "_QUIET_SECONDS", 0.0)
        monkeypatch.setattr(_files_feed, "_BESIDE_SECONDS", 0.0)
        if way != "deleted":
            wait_for(lambda: feed.read == 2 * len(FRAMES[0]), "what is there")
    assert feed.lost == is_lost
    assert [(each.source, each.partition) for each in letters(tmp_path)] == [(str(second.parent), "b.pcap")] * is_lost
    if is_lost:
        assert (
            letters(tmp_path)[0].reason == f"the file was gone, with {len(pcap(FRAMES[1]))} bytes, before it was read"
        )


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of it is told as lost, from the byte on that was to be read next."""
    read, pieces = Followed.read, threading.Semaphore(1)
    monkeypatch.setattr(Followed, "read", lambda self: read(self) if pieces.acquire(timeout=0.01) else [])
    path = tmp_path / "spool" / "a.pcap"
    with reading(tmp_path) as feed:
        frames = [frame for number in range(1000) for frame in udp(answered(f"{number}@192.0.2.11"))]
        long = pcap(frames)
        assert len(long) > 2 << 20
        (tmp_path / "long").write_bytes(long)
        (tmp_path / "long").rename(path)
        wait_for(lambda: feed.read > 0, "its first piece")
        path.write_bytes(pcap(FRAMES[1]))
        pieces.release(1000)
        wait_for(lambda: letters(tmp_path), "the loss")
        [letter] = letters(tmp_path)
        ends = accumulate((16 + len(frame) for _, frame in frames), initial=24)
        whole = sum(end <= letter.offset for end in ends) - 1
        wait_for(lambda: feed.read == whole + len(FRAMES[0]), "all before it, and the new one")
        assert feed.lost == 1
    assert 0 < letter.offset < len(long)
    assert letter.reason == f"bytes {letter.offset} to {len(long) - 1} were gone before they were read"


def test_numbers_of_a_ring_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that came and went between two looks, or while nothing ran, are known by dumpcap's numbers."""
    spool = tmp_path / "spool"

    def put(number: int, frames: list[tuple[int, bytes]]) -> None:
        (spool / f"sip_{number:05}_20261125080000.pcap").write_bytes(pcap(frames))

    monkeypatch.setattr(_files_feed, "_QUIET_SECONDS", 0.0)
    with reading(tmp_path) as feed:
        put(7, FRAMES[0])
        wait_for(lambda: stored(tmp_path) == [len(pcap(FRAMES[0]))], "the first")
        assert feed.lost == 0
    put(9, FRAMES[1])
    with reading(tmp_path) as feed:
        wait_for(lambda: feed.lost == 1, "one while nothing ran")
        put(12, FRAMES[2])
        wait_for(lambda: feed.lost == 3, "two")
        put(1, FRAMES[3])
        wait_for(lambda: feed.read == 3 * len(FRAMES[0]), "a ring that begins anew")
        assert feed.lost == 3
    assert [letter.reason[:16] for letter in letters(tmp_path)] == ["numbers 8 to 8 b", "numbers 10 to 11"]


def test_positions_of_deleted_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a file hasn't been there for long, its position is deleted; those of others stay, also of idle ones."""
    monkeypatch.setattr(_files_feed, "_KEPT_SECONDS", 3.0)
    sizes = []
    with reading(tmp_path):
        for number, frames in enumerate(FRAMES[:3]):
            content = pcap(frames)
            sizes.append(len(content))
            (tmp_path / "spool" / f"{number}.pcap").write_bytes(content)
        wait_for(lambda: stored(tmp_path) == sorted(sizes), "positions of all")
        (tmp_path / "spool" / "1.pcap").unlink()
        wait_for(lambda: stored(tmp_path) == sorted([sizes[0], sizes[2]]), "one less")
        time.sleep(4)
        assert stored(tmp_path) == sorted([sizes[0], sizes[2]])
        for path in (tmp_path / "spool").iterdir():
            path.unlink()
        time.sleep(4)
        assert len(stored(tmp_path)) == 2, "a folder without files may be one that isn't mounted"


def test_what_is_short_is_read_at_once(tmp_path: Path) -> None:
    """A file too short to be known is read as it comes, and has a position as soon as it is longer."""
    path = tmp_path / "spool" / "short.pcap"
    content = pcap(FRAMES[0])
    with reading(tmp_path) as feed:
        path.write_bytes(content[:20])
        time.sleep(0.5)
        path.write_bytes(content[: 24 + 16 + len(FRAMES[0][0][1])])
        wait_for(lambda: feed.read == 1, "its first message")
        assert stored(tmp_path) == []
        with path.open("ab") as file:
            file.write(content[24 + 16 + len(FRAMES[0][0][1]) :])
        wait_for(lambda: feed.read == len(FRAMES[0]), "the others")
        wait_for(lambda: stored(tmp_path) == [len(content)], "its position")
    with reading(tmp_path) as feed:
        time.sleep(1)
        assert feed.read == 0


def test_what_goes_on_after_its_end(tmp_path: Path) -> None:
    """A file that was taken for finished, as a newer one was there, is read on when it grows again."""
    first, second = tmp_path / "spool" / "a.pcap", tmp_path / "spool" / "b.pcap"
    with reading(tmp_path) as feed:
        first.write_bytes(pcap(FRAMES[0]))
        wait_for(lambda: feed.read == len(FRAMES[0]), "the first")
        second.write_bytes(pcap(FRAMES[1]))
        wait_for(lambda: feed.read == 2 * len(FRAMES[0]), "the second")
        with first.open("ab") as file:
            file.write(pcap(FRAMES[2])[24:])
        time.sleep(3)
        second.write_bytes(pcap(FRAMES[1] + FRAMES[3]))
        wait_for(lambda: feed.read == 4 * len(FRAMES[0]), "all")


def test_a_copy_is_the_same_file(tmp_path: Path) -> None:
    """A second file with the same content is known, and not read."""
    with reading(tmp_path) as feed:
        (tmp_path / "spool" / "a.pcap").write_bytes(pcap(FRAMES[0]))
        wait_for(lambda: feed.read == len(FRAMES[0]), "the first")
        (tmp_path / "spool" / "b.pcap").write_bytes(pcap(FRAMES[0]))
        (tmp_path / "spool" / "c.pcap").write_bytes(pcap(FRAMES[1]))
        wait_for(lambda: feed.read == 2 * len(FRAMES[0]), "the third")
        wait_for(lambda: len(stored(tmp_path)) == 2, "positions")
        assert feed.read == 2 * len(FRAMES[0])
