"""Captures and logs on Spark: the rows are a replay's, however the input is divided."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import sqlite3
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.generate import Exchange
from fixtures.writer import PcapWriter
from sipcdr.app._config import parse
from sipcdr.app._dead_letters import LetterFile, letters_in_file
from sipcdr.app._figures import Figures
from sipcdr.app._metrics import Metrics
from sipcdr.app._publish import encoded
from sipcdr.app._records import Record, iso
from sipcdr.app._settings import KafkaSource
from sipcdr.app._write import Outcome, Refusals, Retry, write_calls
from sipcdr.builder import Rules
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import TIME_COLUMNS, Sink
from tests import road
from tests.app.capture import sipcdr
from tests.app.daemon import FIXTURES, messages_of, replayed, written
from tests.app.spark import local, needed
from tests.app.writer import meaning
from tests.scenarios.every import SCENARIOS
from tests.scenarios.notation import scanned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from sipcdr.builder import SipMessage

pytestmark = pytest.mark.filterwarnings("ignore")

CAPTURES = sorted(FIXTURES.glob("*.pcap*"))


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    needed()
    with local(tmp_path_factory.mktemp("spark")) as session:
        yield session


def calls(spark: SparkSession, *paths: Path | str, **options: Any) -> DataFrame:
    from sipcdr.app.spark import Captures

    spark.dataSource.register(Captures)
    return spark.read.format("sipcdr").options(**options).load([str(path) for path in paths])


def into_database(frame: DataFrame, figures: Figures, url: str) -> int:
    from sipcdr.app.spark import _replay

    return _replay.into_database(frame, figures, url)


def into(folder: Path, frame: DataFrame) -> str:
    """The database that the rows of calls are written into."""
    url = f"sqlite:///{folder}/spark.db"
    Sink.open(url).close()
    assert into_database(frame, Figures(Tally()), url) == 0
    return url


def records(frame: DataFrame) -> list[Record]:
    """Sessions as `--format json` has them, in its order."""
    found = [row.asDict() for row in frame.collect()]
    for row in found:
        for name in TIME_COLUMNS:
            row[name] = row[name] and iso(int(row[name].timestamp()) * 1_000_000 + row[name].microsecond)
    return sorted(found, key=order)


def order(record: Record) -> tuple[str, ...]:
    return tuple(str(record[name]) for name in ("InviteTime", "CallId", "FromTag", "ToTag"))


def test_the_database_holds_what_a_replay_writes(spark: SparkSession, tmp_path: Path) -> None:
    """All shipped captures, a file a task, give the rows of a replay; a second time they change nothing."""
    frame = calls(spark, *CAPTURES)
    assert frame.rdd.getNumPartitions() == len(CAPTURES)
    url = into(tmp_path, frame)
    messages = messages_of(CAPTURES)
    expected = replayed(CAPTURES, tmp_path, messages)
    assert len(expected) > 60
    assert written(url, messages) == expected
    into(tmp_path, calls(spark, *CAPTURES[:8]))
    assert written(url, messages) == expected


def test_sessions_are_a_data_frame(spark: SparkSession) -> None:
    """`sessions` gives the columns and values of `replay --format json`."""
    from sipcdr.app.spark import sessions

    frame = sessions(calls(spark, *CAPTURES))
    done = sipcdr("replay", *map(str, CAPTURES), "--to", "none", "--format", "json", "--quiet")
    expected = sorted(map(json.loads, done.out.splitlines()), key=order)
    assert frame.columns == list(expected[0])
    assert records(frame) == expected


def test_logs_and_urls_into_parquet(spark: SparkSession, tmp_path: Path) -> None:
    """A log, a packed capture and a folder, by path and by URL; a second run replaces the first, and nothing else."""
    from sipcdr.app.spark._replay import into_parquet

    log, folder = FIXTURES / "logs" / "freeswitch.log", tmp_path / "captures"
    folder.mkdir()
    for name in ("chat", "busy"):
        shutil.copy(FIXTURES / f"{name}.pcap", folder)
    (folder / "demo.pcap.gz").write_bytes(gzip.compress((FIXTURES / "demo.pcap").read_bytes()))
    zone = ("--timezone", "Europe/Berlin")
    done = sipcdr("replay", str(log), str(folder), "--to", "none", "--format", "json", "--quiet", *zone)
    expected = sorted(map(json.loads, done.out.splitlines()), key=order)
    parquet = tmp_path / "sessions"
    for paths in ((str(log), str(folder)), (log.as_uri(), folder.as_uri())):
        figures = Figures(Tally())
        assert into_parquet(calls(spark, *paths, timezone="Europe/Berlin"), figures, str(parquet)) == 0
        assert records(spark.read.parquet(str(parquet))) == expected
        assert figures.tally.problem_count == 0
        assert any(f"{len(expected)} in Parquet: 200 OK" in line for line in figures.summary())
        assert figures.tally.messages == sum((*figures.requests.values(), *figures.responses.values())) > 100
    (parquet / "notes.txt").write_text("mine")
    assert into_parquet(calls(spark, log), Figures(Tally()), str(parquet)) == 2
    assert (parquet / "notes.txt").exists()


def test_three_batches_each_repeated(spark: SparkSession, tmp_path: Path) -> None:
    """All scenarios, challenged calls and chats among them, out of order over three batches: the rows of one run."""
    from sipcdr.app.spark._records import Opener
    from sipcdr.app.spark._stream import Stream
    from sipcdr.app.spark._writer import Writer

    database = tmp_path / "stream.db"
    url = f"sqlite:///{database}"
    Sink.open(url).close()
    settings = parse(f'[database]\nurl = "{url}"\n[[source]]\ntype = "kafka"\ntopics = ["sip"]\n', "x", {})
    source = settings.source[0]
    assert isinstance(source, KafkaSource)
    letters = LetterFile(tmp_path / "dead.jsonl")
    metrics = Metrics()
    stream = Stream(
        spark,
        source,
        "kafka-0",
        settings,
        opener=Opener("auto", source.json, source.headers, None, Rules()),
        writer=Writer(url, Rules(), Retry(), whole=True),
        letters=letters,
        refused=tmp_path / "refused.jsonl",
        metrics=metrics,
    )
    messages = scenario_messages()
    random.Random(5).shuffle(messages)
    for number in range(3):
        batch = records_of(spark, messages[number::3], junk=number == 1)
        stream._batch(batch, number)
        before = rows_in(database)
        stream._batch(batch, number)
        assert rows_in(database) == before
    with Sink.open(f"sqlite:///{tmp_path}/one.db") as sink:
        write_calls(sink, road.calls(messages), Rules(), outcome=Outcome(), refusals=Refusals(tmp_path / "none"))
        expected = meaning(sink, messages)
    assert len(expected) > 100
    assert written(url, messages) == expected
    (letter, again) = letters_in_file(tmp_path / "dead.jsonl", lambda *_: None)
    assert (letter.source, letter.partition, letter.value) == ("sip", "0", b"junk")
    assert letter == again
    sample = metrics.registry.get_sample_value
    assert sample("sipcdr_records_total", {"source": "kafka-0"}) == 2 * (len(messages) + 1)
    assert sample("sipcdr_dead_letters_total", {"source": "kafka-0"}) == 2
    assert sample("sipcdr_database_up") == 1
    assert stream.watermark == max(message.time for message in messages)


def scenario_messages() -> list[SipMessage]:
    """The messages of all scenarios, each scenario with Call-IDs of its own."""
    found: list[SipMessage] = []
    for number, scenario in enumerate(SCENARIOS):
        prefix = rb"\g<1>%d-" % number
        for message in scenario.messages():
            raw = re.sub(rb"(?im)^((?:Call-ID|i|Replaces)[ \t]*:[ \t]*)", prefix, message.raw)
            found.append(scanned(message.time, raw, message.source, message.destination, len(found)))
    return found


def records_of(spark: SparkSession, messages: list[SipMessage], *, junk: bool) -> DataFrame:
    """A batch as Spark has it from Kafka, the messages of a call on three partitions."""
    rows: list[tuple[Any, ...]] = [
        ("sip", number % 3, number, message.time, None, *encoded(message, "raw"))
        for number, message in enumerate(messages)
    ]
    if junk:
        rows.append(("sip", 0, len(messages), 0, b"key", b"junk", []))
    return spark.createDataFrame(
        rows,
        "topic string, partition int, offset long, time long, key binary, value binary,"
        " headers array<struct<key: string, value: binary>>",
    )


def rows_in(database: Path) -> list[str]:
    """All that a database holds but for the writers' counter."""
    with closing(sqlite3.connect(database)) as connection:
        return [line for line in connection.iterdump() if '"sipcdr_positions"' not in line]


def test_a_large_capture_is_read_in_parts(spark: SparkSession, tmp_path: Path) -> None:
    """By ranges of bytes, with TCP streams that go on from one into the next: the rows of a replay, and its counts."""
    path = tmp_path / "exchange.pcap"
    exchange = Exchange(seed=4, concurrent=200, tcp=0.5, rtp=2)
    with path.open("wb") as file:
        writer = PcapWriter(file)
        for time, packet in islice(exchange.packets(), 12_000):
            writer.packet(time, packet)
    frame = calls(spark, path, split=400_000)
    assert frame.rdd.getNumPartitions() == -(-path.stat().st_size // 400_000) > 4
    figures = Figures(Tally())
    url = f"sqlite:///{tmp_path}/parts.db"
    Sink.open(url).close()
    assert into_database(frame, figures, url) == 0
    tally = Tally()
    messages = [message for batch in Inputs([str(path)], tally=tally) for message in batch]
    assert written(url, messages) == replayed([path], tmp_path, messages)
    assert (figures.tally.packets, figures.tally.messages) == (tally.packets, tally.messages)
    assert figures.tally.problem_count == 0
