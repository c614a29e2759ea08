"""`BatchWriter`: the order in which a batch becomes safe, and what it waits for."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from sipcdr.app._batch_writer import Abandoned, BatchWriter
from sipcdr.app._dead_letters import Letter
from sipcdr.app._load import refused_calls
from sipcdr.app._metrics import Metrics
from sipcdr.app._unwritten import Batch
from sipcdr.app._write import Refusals
from sipcdr.builder import Call, Rules
from sipcdr.sinks import Sink, SinkFull, SinkUnusable, StoredPosition
from tests.scenarios.notation import messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

RULES = Rules()
ANSWERED = messages("0  a>- INVITE 1\n1  a>b 200 1\n1.1  a>b ACK 1\n9  a>b BYE 2\n9.1  a>b 200/BYE 2")
LETTER = Letter(source="t", partition="0", offset=3, time=0, reason="not SIP")


class Letters:
    """Dead letters of which the first flushes fail."""

    def __init__(self) -> None:
        self.written: list[Letter] = []
        self.flushed: list[Letter] = []
        self.failures = 0

    def write(self, letters: Iterable[Letter]) -> None:
        self.written += letters

    def flush(self) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        self.flushed = list(self.written)

    def close(self) -> None:
        pass


class Run:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "cdr.db"
        self.sink = Sink.open(f"sqlite:///{self.path}")
        self.letters = Letters()
        self.metrics = Metrics()
        self.refused = folder / "refused.jsonl"
        self.writer = BatchWriter(
            self.sink, RULES, letters=self.letters, refusals=Refusals(self.refused), metrics=self.metrics
        )

    def query(self, text: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(text).fetchall()

    def positions(self) -> list[tuple[object, ...]]:
        return self.query("SELECT Partition, Position, Epoch FROM sipcdr_positions WHERE Source <> '' ORDER BY 1")

    def write(self, batch: Batch) -> list[StoredPosition]:
        self.writer.begin(batch)
        assert self.writer.wait(30)
        settled = self.writer.settled()
        assert settled is not None
        return settled[1]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    made.writer.close(5)
    made.sink.close()


def call(*some: int) -> Call:
    made = Call(ANSWERED[0].call_id)
    for number in some:
        made.add(ANSWERED[number], RULES)
    return made


def position(offset: int, epoch: int = 1, partition: str = "0") -> StoredPosition:
    return StoredPosition("t", partition, offset, epoch)


def test_step_4_letters_come_before_positions(run: Run) -> None:
    """While dead letters can't be kept, no position passes them; reading them again isn't needed."""
    run.letters.failures = 2
    run.writer.begin(Batch([call(0, 1)], [position(4)], [LETTER]))
    while (seen := run.positions()) == [] and run.letters.failures:
        time.sleep(0.01)
    assert not (run.letters.failures and seen)
    assert run.writer.wait(30)
    assert run.writer.settled() is not None
    assert run.letters.flushed == [LETTER]
    assert run.positions() == [("0", 4, 1)]


def test_step_5_many_calls_are_several_transactions_and_the_last_has_the_positions(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transactions are bounded; positions are true whenever they are there."""
    monkeypatch.setattr("sipcdr.app._batch_writer.CALLS", 2)
    calls = []
    for number in range(5):
        made = Call(b"%d" % number)
        made.add(ANSWERED[0], RULES)
        calls.append(made)
    run.write(Batch(calls, [position(9)], []))
    assert len(run.query("SELECT DISTINCT Version FROM sipcdr_calls")) == 3
    assert run.positions() == [("0", 9, 1)]


def test_step_5_positions_of_old_epochs_are_left_out(run: Run) -> None:
    """Rows are written all the same; the metric counts."""
    first = run.writer.assign("t", {"0": 5, "1": 6}, anew=False).result(30)
    assert [each.epoch for each in first] == [1, 1]
    assert run.writer.assign("t", {"0": 0}, anew=False).result(30) == [position(5, 2)]
    assert run.write(Batch([call(0)], [position(50), position(60, partition="1")], [])) == [position(50)]
    assert run.positions() == [("0", 5, 2), ("1", 60, 1)]
    assert run.query("SELECT COUNT(*) FROM SessionDetails") == [(1,)]
    assert run.metrics.registry.get_sample_value("sipcdr_fenced_positions_total") == 1


def test_a_stored_call_that_can_not_be_used(run: Run) -> None:
    """What would have joined it is kept before its position passes, for `sipcdr db load`."""
    run.write(Batch([call(0, 1)], [], []))
    with closing(sqlite3.connect(run.path)) as connection, connection:
        connection.execute("UPDATE sipcdr_calls SET Facts = x'01ff'")
    run.write(Batch([call(2, 3, 4)], [position(9)], []))
    with run.refused.open("rb") as file:
        [kept] = refused_calls(file, "refused", run.refused.stat().st_size)
    assert isinstance(kept, Call)
    assert bytes(kept) == bytes(call(2, 3, 4))
    assert run.metrics.registry.get_sample_value("sipcdr_calls_total", {"outcome": "damaged"}) == 1


def test_a_full_disk_is_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator can mend it; what no one mends is raised."""
    begin = run.sink.begin
    errors = [SinkFull("no room"), SinkFull("no room")]

    def failing() -> object:
        if errors:
            raise errors.pop()
        return begin()

    monkeypatch.setattr(run.sink, "begin", failing)
    run.write(Batch([call(0)], [position(1)], []))
    assert run.positions() == [("0", 1, 1)]
    monkeypatch.setattr(run.sink, "begin", lambda: (_ for _ in ()).throw(SinkUnusable("dropped")))
    run.writer.begin(Batch([call(0, 1)], [], []))
    assert run.writer.wait(30)
    with pytest.raises(SinkUnusable):
        run.writer.settled()


def test_the_end_while_waiting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that waits for its database is given up when the time to end is over."""

    def full() -> object:
        raise SinkFull("no room")

    monkeypatch.setattr(run.sink, "begin", full)
    run.writer.begin(Batch([call(0)], [position(1)], []))
    assert not run.writer.wait(0.2)
    run.writer.close(10)
    assert run.writer.wait(10)
    with pytest.raises(Abandoned):
        run.writer.settled()
    assert run.positions() == []
