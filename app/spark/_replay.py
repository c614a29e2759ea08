"""The command `spark replay`: captures and logs on many machines, into a database or Parquet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from py4j.protocol import Py4JError
from pyspark import StorageLevel
from pyspark.errors import PySparkException

from sipcdr.builder import Rules
from sipcdr.ingest import Tally
from sipcdr.sinks import Sink, SinkAddress, SinkError, without_secrets

from .._command import concluded
from .._figures import Figures
from .._replay import REFUSED_CALLS
from .._status import ALL_READ, INTERRUPTED, NOT_ALL_READ, REFUSED, USAGE, say
from .._write import REPLAY
from ._engine import is_local, is_one_machines, reason, session
from ._fold import gathered, sessions
from ._paths import Found, found
from ._report import decoded, keep_refused
from ._rows import RESULT
from ._source import Captures
from ._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame, SparkSession

PARQUET: Final = "parquet:"
_PARTITION: Final = 512 << 20
"""Bytes of input for which there is a partition of calls."""
_ONE_MACHINE: Final = f"SQLite is a file of one machine; name a database server, or {PARQUET}DIR"
_GOES_ON: Final = "what is committed stays; the same command again adds the rest and doubles nothing"


def run_replay(
    paths: Sequence[str],
    *,
    to: str,
    master: str | None,
    conf: Mapping[str, str],
    options: Mapping[str, str],
    ddl: bool,
    quiet: bool,
) -> int:
    """Replay captures and logs. options: of the data source. Returns the exit status. Raises SparkUnavailable."""
    figures = Figures(Tally())
    if is_one_machines(to) and is_local(master) is False:
        say(f"{to}: {_ONE_MACHINE}")
        return USAGE
    try:
        files = found(paths, figures.tally)
        if not to.startswith(PARQUET):
            Sink.open(to, ddl=ddl).close()
    except (ImportError, ValueError) as error:
        say(f"fsspec can't open this: {error}")
        return USAGE
    except OSError as error:
        say(str(error))
        return NOT_ALL_READ
    except SinkAddress as error:
        say(f"{without_secrets(to)}: {error}")
        return USAGE
    except SinkError as error:
        say(f"{without_secrets(to)}: {error}")
        return REFUSED
    status = _replay(files, figures, to, master, conf, options) if files else ALL_READ
    return concluded(figures, status, quiet=quiet)


def _replay(
    files: Sequence[Found],
    figures: Figures,
    to: str,
    master: str | None,
    conf: Mapping[str, str],
    options: Mapping[str, str],
) -> int:
    spark = session("sipcdr spark replay", master, conf)
    try:
        if is_one_machines(to) and not is_local(spark.sparkContext.master):
            say(f"{to}: {_ONE_MACHINE}")
            return USAGE
        spark.dataSource.register(Captures)
        calls = spark.read.format("sipcdr").options(**options).load([file.name for file in files])
        partitions = max(sum(file.size for file in files) // _PARTITION, spark.sparkContext.defaultParallelism)
        if to.startswith(PARQUET):
            return into_parquet(calls, figures, to.removeprefix(PARQUET), partitions)
        return into_database(calls, figures, to, partitions)
    except KeyboardInterrupt:
        say(f"interrupted; {_GOES_ON}")
        return INTERRUPTED
    except (PySparkException, Py4JError) as error:
        say(f"Spark: {reason(str(error))}")
        return NOT_ALL_READ
    finally:
        spark.stop()


def into_database(calls: DataFrame, figures: Figures, url: str, partitions: int | None = None) -> int:
    """Write calls; returns the exit status."""
    writer = Writer(url, Rules(), REPLAY)
    reports = [decoded(row.report) for row in gathered(calls, partitions).mapInArrow(writer, RESULT).collect()]
    for report in reports:
        report.into(figures)
        keep_refused(report, Path(REFUSED_CALLS))
    failures = {report.failure for report in reports if report.failure}
    for failure in failures:
        say(f"{without_secrets(url)}: {failure}; {_GOES_ON}")
    return REFUSED if failures else ALL_READ


def into_parquet(calls: DataFrame, figures: Figures, folder: str, partitions: int | None = None) -> int:
    """Write the sessions to Parquet files, in the place of those that an earlier run left; returns the exit status."""
    others = _others(calls.sparkSession, folder)
    if others:
        say(f"{folder}: {others[0]} is there, which isn't overwritten")
        return USAGE
    # Read once, for the sessions and for the figures.
    kept = calls.persist(StorageLevel.DISK_ONLY)
    try:
        sessions(kept, partitions=partitions).write.mode("overwrite").parquet(folder)
        for row in kept.where("report IS NOT NULL").select("report").collect():
            decoded(row.report).into(figures)
        figures.where = "in Parquet"
        for row in calls.sparkSession.read.parquet(folder).groupBy("ResponseCode").count().collect():
            figures.codes[row.ResponseCode] = row["count"]
    finally:
        kept.unpersist()
    return ALL_READ


def _others(spark: SparkSession, folder: str) -> list[str]:
    """What is in a folder that no writer of Parquet put there; its name if it is no folder."""
    jvm: Any = spark._jvm  # noqa: SLF001 (Spark's own way to a file system of Hadoop's)
    path = jvm.org.apache.hadoop.fs.Path(folder)
    system = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())  # noqa: SLF001
    if not system.exists(path):
        return []
    names = [status.getPath().getName() for status in system.listStatus(path)]
    return [name for name in names if not re.fullmatch(r"\.?(part-.*|_SUCCESS(\.crc)?)|_temporary", name)]
