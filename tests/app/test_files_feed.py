"""`FilesFeed`: which files are known, and for how long."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fixtures.calls import udp
from fixtures.writer import pcap
from sipcdr.app import _files_feed
from sipcdr.app._batch_writer import BatchWriter
from sipcdr.app._dead_letters import LetterFile
from sipcdr.app._feed import Running
from sipcdr.app._files_feed import FilesFeed
from sipcdr.app._metrics import Metrics
from sipcdr.app._settings import Correlation, Duration
from sipcdr.app._write import Refusals
from sipcdr.builder import Rules
from sipcdr.sinks import Sink
from tests.app.capture import answered
from tests.app.daemon import positions, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

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
        return self.metrics.registry.get_sample_value("sipcdr_records_total", {"source": "captures-0"}) or 0


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
