"""Captures and logs on Spark: the rows are a replay's, however the input is divided."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sipcdr.app._figures import Figures
from sipcdr.app._records import Record, iso
from sipcdr.ingest import Tally
from sipcdr.sinks import TIME_COLUMNS, Sink
from tests.app.capture import sipcdr
from tests.app.daemon import FIXTURES, messages_of, replayed, written
from tests.app.spark import local, needed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.filterwarnings("ignore")

CAPTURES = sorted(FIXTURES.glob("*.pcap*"))


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    needed()
    with local(tmp_path_factory.mktemp("spark")) as session:
        yield session


def calls(spark: SparkSession, *paths: Path, **options: Any) -> DataFrame:
    from sipcdr.app.spark import Captures

    spark.dataSource.register(Captures)
    return spark.read.format("sipcdr").options(**options).load([str(path) for path in paths])


def into(folder: Path, frame: DataFrame) -> str:
    """The database that the rows of calls are written into."""
    from sipcdr.app.spark._replay import into_database

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
    into(tmp_path, frame)
    assert written(url, messages) == expected


def test_sessions_are_a_data_frame(spark: SparkSession) -> None:
    """`sessions` gives the columns and values of `replay --format json`."""
    from sipcdr.app.spark import sessions

    frame = sessions(calls(spark, *CAPTURES))
    done = sipcdr("replay", *map(str, CAPTURES), "--to", "none", "--format", "json", "--quiet")
    expected = sorted(map(json.loads, done.out.splitlines()), key=order)
    assert frame.columns == list(expected[0])
    assert records(frame) == expected
