"""Files that grow while they are read."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from fixtures.writer import datagram, link, pcap, pcapng
from sipcdr.ingest import Inputs, Limits, Tally

from .reading import START, A, B, message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 20


def capture(*numbers: int, form: Callable[..., bytes] = pcap) -> bytes:
    """A capture with a message each, its CSeq the number."""
    return form([(START + n, link(datagram(A, B, message(n)))) for n in numbers])


class Follower:
    """Follows files in this thread, and remembers what came."""

    def __init__(self, *paths: Path, limits: Limits | None = None) -> None:
        self.tally = Tally()
        self.inputs = Inputs([str(path) for path in paths], tally=self.tally, limits=limits or Limits(), follow=True)
        self._batches = iter(self.inputs)
        self.found: list[int] = []

    def until(self, count: int) -> list[int]:
        """The CSeq numbers once there are so many."""
        end = time.monotonic() + SECONDS
        while len(self.found) < count:
            self.found += [m.cseq for m in next(self._batches)]
            assert time.monotonic() < end
        return self.found

    def rest(self) -> list[int]:
        """All of them once the iteration has ended."""
        for batch in self._batches:
            self.found += [m.cseq for m in batch]
        return self.found


@pytest.mark.parametrize("form", [pcap, pcapng])
def test_a_file_that_grows(form: Callable[..., bytes], tmp_path: Path) -> None:
    """What is appended is read, wherever it is cut; a record that isn't whole at the end is no problem."""
    data = capture(*range(1, 41), form=form)
    file = tmp_path / "x"
    file.write_bytes(data[:10])
    follower = Follower(file)

    def write() -> None:
        with file.open("ab", buffering=0) as out:
            for at in range(10, len(data), 1700):
                out.write(data[at : at + 1700])
                time.sleep(0.02)
            out.write(data[-300:-150])

    writer = threading.Thread(target=write)
    writer.start()
    assert follower.until(40) == list(range(1, 41))
    writer.join()
    follower.inputs.stop()
    follower.rest()
    assert follower.tally.problems == []
    assert follower.tally.messages == 40


def test_ends_when_the_file_is_gone(tmp_path: Path) -> None:
    """A file that was removed, or stands there anew, is read to its end, and that ends it."""
    ends: list[Callable[[Path], object]] = [
        lambda file: file.unlink(),
        lambda file: file.rename(tmp_path / "y"),
        lambda file: file.write_bytes(b""),
    ]
    for end in ends:
        file = tmp_path / "x"
        file.write_bytes(capture(1, 2))
        follower = Follower(file)
        follower.until(2)
        end(file)
        assert follower.rest() == [1, 2]
        assert follower.tally.problems == []


def test_several(tmp_path: Path) -> None:
    """Several files are followed at a time: one that says nothing holds up none."""
    quiet, busy = tmp_path / "quiet", tmp_path / "busy"
    quiet.write_bytes(capture(1))
    busy.write_bytes(capture(2, 3))
    follower = Follower(quiet, busy)
    assert sorted(follower.until(3)) == [1, 2, 3]
    with busy.open("ab") as out:
        out.write(capture(4, 5)[24:])
    assert follower.until(5)[3:] == [4, 5]
    busy.unlink()
    with quiet.open("ab") as out:
        out.write(capture(6)[24:])
    assert follower.until(6)[5:] == [6]
    follower.inputs.stop()
    follower.rest()


def test_no_more_than_may_be_open(tmp_path: Path) -> None:
    """Files beyond the limit are named."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(capture(1))
    follower = Follower(tmp_path, limits=Limits(files=2))
    follower.inputs.stop()
    follower.rest()
    assert [problem.reason for problem in follower.tally.problems] == ["more than 2 files can't be followed"]
