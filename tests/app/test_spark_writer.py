"""What comes of a batch whose database doesn't take it: tried again, given up, or given to who asks."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sipcdr.app._config import parse
from sipcdr.app._dead_letters import LetterFile
from sipcdr.app._metrics import Metrics
from sipcdr.app._settings import KafkaSource
from sipcdr.app._write import Retry
from sipcdr.builder import Call, Rules
from sipcdr.sinks import Sink, SinkFull, SinkRefused, SinkUnusable
from sipcdr.sinks._transaction import Transaction
from tests import road
from tests.app.daemon import FIXTURES
from tests.app.spark import needed

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.app.spark._report import Report
    from sipcdr.app.spark._stream import Stream
    from sipcdr.sinks import SinkError


@pytest.fixture(autouse=True)
def _spark_is_there() -> None:
    needed()


def write(url: str, calls: list[Call]) -> list[Report]:
    """What a worker says of these calls."""
    from sipcdr.app.spark._report import decoded
    from sipcdr.app.spark._rows import rows_of
    from sipcdr.app.spark._writer import Writer

    writer = Writer(url, Rules(), Retry(first=0.01, patience=0.1), whole=True)
    return [decoded(told) for batch in writer([rows_of(calls)]) for told in batch.column("report").to_pylist()]


@pytest.mark.parametrize(("error", "passing"), [(SinkFull("no room"), True), (SinkUnusable("not ours"), False)])
def test_a_worker_says_why_it_ended(
    error: SinkError, passing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason, and whether it may pass, go to the driver; nothing is raised, as Spark would only do it again."""
    url = f"sqlite:///{tmp_path}/cdr.db"
    Sink.open(url).close()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Transaction, "write", fail)
    (report,) = write(url, road.calls(road.messages(FIXTURES / "demo.pcap")))
    assert (report.failure, report.passing, report.calls) == (str(error), passing, 0)


def test_refused_calls_go_to_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that the database refuses is a line of the report; the others are written."""
    from sipcdr.app.spark._report import keep_refused

    url = f"sqlite:///{tmp_path}/cdr.db"
    Sink.open(url).close()
    inside = Transaction.write

    def refuse(self: Transaction, changes: Any, positions: Any) -> None:
        if any(each.rows and each.rows[0][0].response_code == 486 for each in changes):
            raise SinkRefused("486 isn't wanted")
        inside(self, changes, positions)

    monkeypatch.setattr(Transaction, "write", refuse)
    (report,) = write(url, road.calls(road.messages(FIXTURES / "demo.pcap")))
    assert (report.failure, report.refused_calls, report.inserted) == ("", 1, 12)
    keep_refused(report, tmp_path / "refused.jsonl")
    (line,) = (tmp_path / "refused.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(line)["reason"] == "486 isn't wanted"


class Frame:
    """Stands for Spark: each attempt at a batch gives the next of these reports."""

    def __init__(self, *attempts: Report) -> None:
        self._attempts = iter(attempts)
        self.sparkSession = SimpleNamespace(sparkContext=SimpleNamespace(defaultParallelism=2))
        self.mapInArrow = self.repartition = self.sortWithinPartitions = lambda *_: self

    def collect(self) -> list[Any]:
        return [SimpleNamespace(report=bytes(next(self._attempts)))]


def stream(folder: Path, metrics: Metrics) -> Stream:
    from sipcdr.app.spark._records import Opener
    from sipcdr.app.spark._stream import Stream
    from sipcdr.app.spark._writer import Writer

    settings = parse('[database]\nurl = "sqlite://"\n[[source]]\ntype = "kafka"\ntopics = ["sip"]\n', "x", {})
    source = settings.source[0]
    assert isinstance(source, KafkaSource)
    spark: Any = None
    return Stream(
        spark, source, "kafka-0", settings,
        opener=Opener("auto", source.json, source.headers, None, Rules()),
        writer=Writer("", Rules(), Retry(first=0.01)),
        letters=LetterFile(folder / "dead.jsonl"), refused=folder / "refused.jsonl", metrics=metrics,
    )  # fmt: skip


def test_a_batch_is_tried_again(tmp_path: Path) -> None:
    """While the database is away the batch waits, and the metric says so; then it counts once."""
    from sipcdr.app.spark._report import Report

    metrics = Metrics()
    frame: Any = Frame(*[Report(failure="away", passing=True, records=5)] * 3, Report(calls=2, records=5, inserted=2))
    stream(tmp_path, metrics)._batch(frame, 0)
    sample = metrics.registry.get_sample_value
    assert sample("sipcdr_database_up") == 1
    assert sample("sipcdr_records_total", {"source": "kafka-0"}) == 5
    assert sample("sipcdr_rows_total", {"change": "inserted"}) == 2


def test_a_batch_that_no_time_mends_ends_it(tmp_path: Path) -> None:
    """The reason is kept, with the exit status 3."""
    from sipcdr.app.spark._report import Report
    from sipcdr.app.spark._stream import Refused

    frame: Any = Frame(Report(failure="not ours"))
    one = stream(tmp_path, Metrics())
    with pytest.raises(Refused):
        one._batch(frame, 0)
    assert (one.failed, one.status) == ("kafka-0: not ours", 3)


def test_the_end_does_not_wait_for_the_database(tmp_path: Path) -> None:
    """A batch that waits is left, to be read again."""
    from sipcdr.app.spark._report import Report
    from sipcdr.app.spark._stream import Abandoned

    frame: Any = Frame(*[Report(failure="away", passing=True)] * 10_000)
    one = stream(tmp_path, Metrics())
    timer = threading.Timer(0.2, one.stop, (0,))
    timer.start()
    with pytest.raises(Abandoned):
        one._batch(frame, 0)
    timer.join()


@pytest.mark.parametrize("told", [None, "null", "{}", {}])
def test_the_lag_before_anything_is_read(told: object, tmp_path: Path) -> None:
    """Spark tells of an idle query that it has no offsets."""
    metrics = Metrics()
    one = stream(tmp_path, metrics)
    one._tell({"sources": [{"endOffset": told, "latestOffset": told}]})
    one._tell({"sources": [{"endOffset": told, "latestOffset": '{"sip": {"0": 7, "1": 0}}'}]})
    assert metrics.registry.get_sample_value("sipcdr_lag", {"topic": "sip", "partition": "0"}) == 7
