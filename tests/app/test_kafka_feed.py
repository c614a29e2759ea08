"""`KafkaFeed` with a scripted consumer: what a real group does seldom, or only when something is wrong."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from sipcdr.app._batch_writer import BatchWriter
from sipcdr.app._dead_letters import LetterFile, letters_in_file
from sipcdr.app._feed import Running
from sipcdr.app._kafka_feed import KafkaFeed
from sipcdr.app._metrics import Metrics
from sipcdr.app._settings import Correlation, Duration, KafkaSource
from sipcdr.app._write import Refusals
from sipcdr.builder import Rules
from sipcdr.ingest import Lost, Partition, Polled, Record, Records, SourceUnavailable
from sipcdr.sinks import Sink, SinkUnavailable
from tests.app.daemon import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Set
    from pathlib import Path

P0, P1 = Partition("sip", 0), Partition("sip", 1)
INVITE = (
    b"INVITE sip:ben@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:ann@example.com>;tag=a\r\nTo: <sip:ben@example.com>\r\nCall-ID: c%d@192.0.2.1\r\n"
    b"CSeq: 1 INVITE\r\n\r\n"
)
START = 1_795_000_000_000_000


class Scripted:
    """A consumer of a topic that holds records in a list for each partition."""

    def __init__(self, script: Script, revoke: Callable[[set[Partition]], None]) -> None:
        self.cluster = "cluster"
        self.assigned: set[Partition] = set()
        self.waiting: set[Partition] = set()
        self.paused: set[Partition] = set()
        self.offsets: dict[Partition, int] = {}
        self.closed = False
        self._script = script
        self._revoke = revoke

    def give(self, *partitions: Partition) -> None:
        """A rebalance, as the eager protocol has it."""
        if self.assigned:
            self._revoke(set(self.assigned))
        self.joined = True
        self.assigned = set(partitions)
        self.waiting = set(partitions)
        self.offsets.clear()
        self.paused.clear()

    def poll(self, timeout: float, most: int) -> Polled:
        time.sleep(0.01)
        lost: list[Lost] = []
        if self._script.steps:
            lost = self._script.steps.pop(0)(self) or []
        found = {}
        for partition, offset in self.offsets.items():
            if partition not in self.paused and not self._script.stuck:
                records = self._script.topic.get(partition, [])[offset:]
                if records:
                    found[partition] = Records.of(records)
                    self.offsets[partition] = records[-1].offset + 1
        return Polled(found, lost)

    def begin(self, offsets: Mapping[Partition, int]) -> None:
        self._script.begun.append(dict(offsets))
        self.offsets.update(offsets)
        self.waiting -= offsets.keys()

    def pause(self, partitions: Set[Partition]) -> None:
        self.paused |= partitions

    def resume(self, partitions: Set[Partition]) -> None:
        self.paused -= partitions

    def lag(self) -> dict[Partition, int]:
        return {each: self.bounds({each})[each][1] - offset for each, offset in self.offsets.items()}

    def bounds(self, partitions: Set[Partition]) -> dict[Partition, tuple[int, int]]:
        return {each: (0, len(self._script.topic.get(each, []))) for each in partitions}

    def offsets_at(self, time: int, partitions: Set[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 0)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        self._script.committed.update(offsets)

    def close(self) -> None:
        self.closed = True
        self.give()


class Script:
    """What consumers do, poll by poll, and what was done to them. stuck: no poll brings a record."""

    def __init__(self) -> None:
        self.topic: dict[Partition, list[Record]] = {}
        self.steps: list[Callable[[Scripted], list[Lost] | None]] = []
        self.begun: list[dict[Partition, int]] = []
        self.committed: dict[Partition, int] = {}
        self.opened: list[Scripted] = []
        self.stuck = False
        self.first = {P0}

    def put(self, partition: Partition, count: int) -> None:
        """Calls of an INVITE each."""
        records = self.topic.setdefault(partition, [])
        for _ in range(count):
            offset = len(records)
            records.append(Record(offset, START + offset, None, INVITE % (offset + 1000 * partition.number)))

    def open(self, _: object, revoke: Callable[[set[Partition]], None]) -> Scripted:
        made = Scripted(self, revoke)
        made.give(*self.first)
        self.opened.append(made)
        return made


class Run:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.script = Script()
        monkeypatch.setattr("sipcdr.app._kafka_feed.open_consumer", self.script.open)
        monkeypatch.setattr("sipcdr.app._kafka_feed._LOOK_SECONDS", 0.02)
        self.sink = Sink.open(f"sqlite:///{folder}/cdr.db")
        self.metrics = Metrics()
        self.letters = folder / "dead.jsonl"
        self.stop = threading.Event()
        self.writer = BatchWriter(
            self.sink, Rules(), letters=LetterFile(self.letters), refusals=Refusals(folder / "refused"),
            metrics=self.metrics,
        )  # fmt: skip
        correlation = Correlation(hold=Duration(50_000), checkpoint=Duration(20_000))
        running = Running("kafka-0", correlation, Rules(), self.writer, self.metrics, self.stop)
        self.feed = KafkaFeed(KafkaSource(topics=("sip",)), running, key=None, back=None)
        self.failed: BaseException | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.feed.run()
        except BaseException as error:
            self.failed = error

    def start(self) -> None:
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()
        assert self.failed is None, repr(self.failed)

    def close(self) -> None:
        self.stop.set()
        if self.thread.is_alive():
            self.thread.join(30)
        self.writer.close(5)
        self.sink.close()

    def figure(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0

    def epochs(self) -> dict[str, tuple[int, int]]:
        with self.sink.begin() as transaction:
            rows = transaction.connection.exec_driver_sql(
                "SELECT Source, Partition, Position, Epoch FROM sipcdr_positions"
            )
            return {partition: (position, epoch) for source, partition, position, epoch in rows.fetchall() if source}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    made = Run(tmp_path, monkeypatch)
    yield made
    made.close()


def test_steps_1_to_6(run: Run) -> None:
    """Partitions are begun at the stored positions, read, written, and told to Kafka."""
    run.script.put(P0, 20)
    run.script.put(P1, 5)
    run.script.first = {P0, P1}
    run.start()
    wait_for(lambda: run.script.committed == {P0: 20, P1: 5}, "the offsets")
    assert run.script.begun == [{P0: 0, P1: 0}]
    run.end()
    assert run.epochs() == {"0": (20, 1), "1": (5, 1)}
    assert run.figure("sipcdr_calls_total", outcome="written") == 25


@pytest.mark.parametrize("told", [True, False])
def test_lag_without_progress(run: Run, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """It is an error and a metric, and the source is opened anew; also where the client knows of no lag."""
    monkeypatch.setattr("sipcdr.app._kafka_feed._STALL_SECONDS", 0.2)
    monkeypatch.setattr("sipcdr.app._kafka_feed._DOUBT_SECONDS", 0.1)
    if not told:
        monkeypatch.setattr(Scripted, "lag", lambda _: {})
    run.script.put(P0, 5)
    run.script.stuck = True
    run.start()
    wait_for(lambda: len(run.script.opened) > 1, "the second consumer")
    assert run.script.opened[0].closed
    assert run.figure("sipcdr_stalls_total", source="kafka-0") >= 1
    run.script.stuck = False
    wait_for(lambda: run.script.committed == {P0: 5}, "the end")
    run.end()


def test_a_partition_that_stays_behind_is_begun_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, where it had got to, before the source is opened anew."""
    monkeypatch.setattr("sipcdr.app._kafka_feed._DOUBT_SECONDS", 2.0)
    run.script.put(P0, 5)
    run.start()
    wait_for(lambda: run.script.committed == {P0: 5}, "the end")
    run.script.stuck = True
    run.script.put(P0, 3)
    wait_for(lambda: run.script.begun[-1] == {P0: 5}, "the second beginning")
    run.script.stuck = False
    wait_for(lambda: run.script.committed == {P0: 8}, "the end")
    run.end()
    assert run.script.begun == [{P0: 0}, {P0: 5}]
    assert len(run.script.opened) == 1


def test_step_1_an_assignment_that_is_over_before_it_began(run: Run) -> None:
    """Epochs that were asked for before a rebalance aren't begun with after it: another may have had the partition."""

    def again(consumer: Scripted) -> None:
        consumer.give(P0)
        # Meanwhile another worker had it, and wrote.
        run.writer.assign("cluster sip", {"0": 0}, anew=False).result(10)

    run.script.put(P0, 5)
    run.script.steps = [lambda _: None, again]
    run.start()
    wait_for(lambda: run.script.committed == {P0: 5}, "the end")
    run.end()
    position, epoch = run.epochs()["0"]
    assert (position, epoch >= 3) == (5, True)
    assert run.figure("sipcdr_fenced_positions_total") == 0


def test_step_6_a_fenced_partition_is_read_no_further(run: Run) -> None:
    """The others go on; given again, it is begun again."""
    run.script.first = {P0, P1}
    run.start()
    wait_for(lambda: run.script.begun, "the beginning")
    run.writer.assign("cluster sip", {"0": 0}, anew=False).result(10)
    run.script.put(P0, 3)
    wait_for(lambda: run.figure("sipcdr_fenced_positions_total") == 1, "the fence")
    wait_for(lambda: P0 in run.script.opened[0].paused, "the pause")
    run.script.put(P0, 3)
    run.script.put(P1, 4)
    wait_for(lambda: run.script.committed == {P0: 0, P1: 4}, "the other")
    assert run.epochs()["0"] == (0, 2)
    run.script.steps = [lambda consumer: consumer.give(P0, P1)]
    wait_for(lambda: run.script.committed == {P0: 6, P1: 4}, "the end")
    run.end()


def patient(run: Run) -> None:
    """Let no checkpoint come."""
    run.feed.feed.running = msgspec.structs.replace(
        run.feed.feed.running, correlation=Correlation(checkpoint=Duration(3_600_000_000))
    )


def test_step_7_what_is_in_memory_is_written_before_it_goes(run: Run) -> None:
    """A partition that goes has all that was read of it in the database, with its position."""
    patient(run)
    run.script.put(P0, 7)
    run.start()
    wait_for(lambda: len(run.feed.feed.unwritten) == 7, "the calls")
    run.script.steps = [lambda consumer: consumer.give()]
    wait_for(lambda: run.epochs() == {"0": (7, 1)}, "the position")
    run.end()


def test_kafka_is_told_what_was_written_at_the_end(run: Run) -> None:
    """Step 7: nobody may come after the last worker, so it tells what it writes at the end."""
    patient(run)
    run.script.put(P0, 7)
    run.start()
    wait_for(lambda: len(run.feed.feed.unwritten) == 7, "the calls")
    run.end()
    assert run.epochs() == {"0": (7, 1)}
    assert run.script.committed == {P0: 7}


def test_kafka_is_told_a_position_that_was_written_before(run: Run) -> None:
    """Step 1: whoever had the partition before may have gone after writing it, and before telling it."""
    [taken] = run.writer.assign("cluster sip", {"0": 5}, anew=True).result(10)
    assert taken.position == 5
    run.script.put(P0, 5)
    run.start()
    wait_for(lambda: run.script.committed == {P0: 5}, "the position")
    assert run.script.begun == [{P0: 5}]
    run.end()


def test_step_7_no_time_is_left(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the database away a partition goes in time; whoever has it next reads it again; a position never lies."""
    monkeypatch.setattr("sipcdr.app._feed.FLUSH_SECONDS", 0.3)
    run.script.put(P0, 4)
    run.start()
    wait_for(lambda: run.script.committed == {P0: 4}, "the first calls")
    begin = run.sink.begin
    away = True

    def begun() -> object:
        if away:
            raise SinkUnavailable("away")
        return begin()

    monkeypatch.setattr(run.sink, "begin", begun)
    run.script.put(P0, 4)
    wait_for(lambda: run.writer.busy, "a batch")
    rebalanced = threading.Event()

    def rebalance(consumer: Scripted) -> None:
        consumer.give(P0)
        rebalanced.set()

    run.script.steps = [rebalance]
    assert rebalanced.wait(20)
    assert not len(run.feed.feed.unwritten)
    away = False
    wait_for(lambda: run.script.committed == {P0: 8}, "the end")
    run.end()
    assert run.epochs()["0"][0] == 8


def test_step_7_the_end_while_the_database_is_away(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is waited for once, not again when the group is left; Kafka isn't told what isn't written."""
    monkeypatch.setattr("sipcdr.app._feed.FLUSH_SECONDS", 0.3)
    run.script.put(P0, 4)
    run.start()
    wait_for(lambda: run.script.committed == {P0: 4}, "the first calls")
    monkeypatch.setattr(run.sink, "begin", lambda: (_ for _ in ()).throw(SinkUnavailable("away")))
    run.script.put(P0, 4)
    wait_for(lambda: run.writer.busy, "a batch")
    run.end()
    assert caplog.text.count("no time is left") == 1
    assert run.script.opened[0].closed
    assert run.script.committed == {P0: 4}


def test_a_gap(run: Run) -> None:
    """Lost offsets are a letter, and reading goes on behind them."""
    run.script.put(P0, 10)
    run.script.steps = [lambda _: None] * 30

    def lose(consumer: Scripted) -> list[Lost]:
        consumer.offsets.pop(P0)
        consumer.waiting.add(P0)
        return [Lost(P0, 10, 15, 20)]

    run.start()
    wait_for(lambda: run.script.committed == {P0: 10}, "the first")
    run.script.put(P0, 10)
    run.script.stuck = True
    run.script.steps = [lose]
    wait_for(lambda: run.script.begun[-1] == {P0: 15}, "the rest")
    run.script.stuck = False
    wait_for(lambda: run.script.committed == {P0: 20}, "the end")
    run.end()
    assert run.figure("sipcdr_lost_offsets_total", source="kafka-0") == 5
    [letter] = letters_in_file(run.letters, lambda number, why: pytest.fail(f"{number}: {why}"))
    assert letter.reason == "offsets 10 to 14 were lost to retention before they were read"


def test_a_client_that_fails(run: Run) -> None:
    """The source is opened anew, and what was in memory was written."""

    def fail(_: Scripted) -> None:
        raise SourceUnavailable("the connection is gone")

    run.script.put(P0, 5)
    run.script.steps = [*([lambda _: None] * 20), fail]
    run.start()
    wait_for(lambda: len(run.script.opened) > 1, "the second consumer")
    wait_for(lambda: run.epochs().get("0", (0, 0))[0] == 5, "the end")
    run.end()
