"""`Stream`: a Kafka source, keyed by Call-ID or not, into the database, by Spark's micro-batches.

1. Workers make messages of a batch's records, and of these, for each of the topic's partitions by itself, calls.
2. Spark brings what there is of a Call-ID together; workers join it, and join it with what the database knows.
3. It is written, final or not, in one transaction for each of Spark's partitions, and the calls with it by
   compare-and-set. Nothing is kept in memory.
4. Dead letters and refused calls, which come to the driver with the figures, are flushed.
5. Spark notes in its checkpoint that the batch is done, and with it the offsets.

A crash between any two of these repeats the batch: what of it is in the database already changes nothing.

Offsets that retention has taken before they were read end the query, with an error. It is begun again without Spark's
watch until a batch is through, so that reading goes on behind the gap, which is told, and then with it.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sipcdr.ingest import Tally

from .._dead_letters import Letter
from .._figures import Figures
from .._settings import EARLIEST, LATEST
from .._status import NOT_ALL_READ, REFUSED
from ._engine import reason
from ._fold import gathered
from ._records import COLUMNS, Opener
from ._report import decoded, keep_refused
from ._rows import RESULT, ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from .._dead_letters import DeadLetters
    from .._metrics import Metrics
    from .._settings import KafkaSource, Settings
    from ._report import Report
    from ._writer import Writer

_LONGEST_WAIT: Final = 10.0
_STUCK_SECONDS: Final = 30.0
_LOST: Final = re.compile("KAFKA_DATA_LOSS|data may have been (?:lost|missed)|data was lost", re.IGNORECASE)
_AWAY: Final = re.compile(
    r"org\.apache\.kafka\.common\.errors\.(?!Sasl|Ssl|\w*Author|\w*Authentic|InvalidTopic)|TimeoutException"
)

_log = logging.getLogger(__name__)


class Abandoned(Exception):
    """The time to end has come while a batch waited for its database: it will be read again."""


class Refused(Exception):
    """The database refused a batch, and trying again is no use."""


class Stream:
    """One query, which is begun again where that helps. failed: the reason, if it has ended for good; status: with it.

    name: what metrics, logs and the checkpoint call it.
    open: whether records are read. watermark: the latest time in messages so far, in microseconds UTC, or None.
    """

    def __init__(
        self,
        spark: SparkSession,
        source: KafkaSource,
        name: str,
        settings: Settings,
        *,
        opener: Opener,
        writer: Writer,
        letters: DeadLetters,
        refused: Path,
        metrics: Metrics,
    ) -> None:
        self.failed = ""
        self.status = NOT_ALL_READ
        self.open = False
        self.watermark: int | None = None
        self._spark = spark
        self._source = source
        self.name = name
        self._settings = settings
        self._opener = opener
        self._writer = writer
        self._letters = letters
        self._refused = refused
        self._metrics = metrics
        self._counts: Counter[str] = Counter()
        metrics.note(name, self._counts)
        self._query: StreamingQuery | None = None
        self._busy = threading.Lock()
        self._since = 0.0
        self._stopping = threading.Event()
        self._strict = True
        self._passed: int | None = None
        self._wait = 0.5
        self._again_at = 0.0
        self._error = ""
        self._checkpoint = f"{settings.spark.checkpoint.rstrip('/')}/{name}"

    def look(self) -> None:
        """Begin the query, or begin it again, where it doesn't run; tell the lag. To be called every second or so."""
        query = self._query
        if self._stopping.is_set() or self.failed:
            return
        if query is None:
            if time.monotonic() >= self._again_at:
                self._begin()
            return
        if query.isActive:
            progress: Any = query.lastProgress
            if progress is None:
                return
            self._tell(progress)
            if not self._strict and self._passed is not None and progress["batchId"] >= self._passed:
                # The gap is behind, and the checkpoint knows it.
                with self._busy:
                    query.stop()
                self._strict = True
                self._begin()
            return
        self._ended(query)

    @property
    def stuck(self) -> bool:
        """Whether a batch has been under way for long."""
        return bool(self._since) and time.monotonic() - self._since > _STUCK_SECONDS

    def stop(self, seconds: float) -> None:
        """End, when the batch that is under way is written, or after so long."""
        self._stopping.set()
        if self._query is not None:
            taken = self._busy.acquire(timeout=max(seconds, 0.0))
            try:
                self._query.stop()
            except Exception as error:  # the JVM may have got the signal, too
                _log.debug("%s: %s", self.name, error)
            finally:
                if taken:
                    self._busy.release()
        self._set_open(False)

    def _begin(self) -> None:
        source, spark = self._source, self._settings.spark
        options = {
            "kafka.bootstrap.servers": ",".join(source.bootstrap),
            "includeHeaders": "true",
            "maxOffsetsPerTrigger": str(spark.records),
            **spark.options,
            "failOnDataLoss": str(self._strict).lower(),
        }
        if source.pattern:
            options["subscribePattern"] = source.pattern
        else:
            options["subscribe"] = ",".join(source.topics)
        if source.start in (EARLIEST, LATEST):
            options["startingOffsets"] = "earliest" if source.start == EARLIEST else "latest"
        else:
            options["startingTimestamp"] = str(source.start // 1000)
            options["startingOffsetsByTimestampStrategy"] = "latest"
        records = self._spark.readStream.format("kafka").options(**options).load().selectExpr(*COLUMNS)
        self._passed = None
        self._query = (
            records.writeStream.queryName(self.name)
            .foreachBatch(self._batch)
            .option("checkpointLocation", self._checkpoint)
            .trigger(processingTime=f"{self._settings.correlator.checkpoint // 1000} milliseconds")
            .start()
        )
        self._set_open(True)

    def _ended(self, query: StreamingQuery) -> None:
        """Say why a query has ended, and whether it is begun again."""
        self._query = None
        self._set_open(False)
        if self.failed or self._stopping.is_set():
            return
        text = self._error or str(query.exception() or "the query has ended")
        self._error = ""
        if _LOST.search(text) and self._strict:
            _log.error("%s: offsets are gone before they were read: %s", self.name, _told(text))
            self._strict = False
        elif _AWAY.search(text):
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
            self._again_at = time.monotonic() + self._wait
            _log.error("%s: the brokers are waited for: %s", self.name, _told(text))
        else:
            self.failed = f"{self.name}: {reason(text)}"

    def _batch(self, records: DataFrame, number: int) -> None:
        """One batch; runs on a thread of Spark's."""
        with self._busy:
            self._since = time.monotonic()
            try:
                self._write(records, number)
            except Exception as error:
                self._error = str(error)
                raise
            finally:
                self._since = 0.0

    def _write(self, records: DataFrame, number: int) -> None:
        wait = self._writer.retry.first
        while True:
            began = time.monotonic()
            # 1. to 3.
            calls = records.mapInArrow(self._opener, ROWS)
            rows = gathered(calls).mapInArrow(self._writer, RESULT).collect()
            reports = [decoded(row.report) for row in rows]
            failures = [report for report in reports if report.failure]
            if not failures:
                break
            self._metrics.database_up.set(0)
            final = next((report.failure for report in failures if not report.passing), None)
            if final is not None:
                self.failed, self.status = f"{self.name}: {final}", REFUSED
                raise Refused(final)
            _log.warning("%s: batch %d waits and is tried again: %s", self.name, number, failures[0].failure)
            if self._stopping.wait(wait):
                raise Abandoned
            wait = min(2 * wait, self._writer.retry.most)
        self._metrics.database_up.set(1)
        # 4.
        for report in reports:
            keep_refused(report, self._refused)
        letters = [letter for report in reports for letter in report.letters]
        self._metrics.dead_letters.labels(self.name).inc(len(letters))
        if not self._strict:
            letters += self._lost(reports, number)
        if letters:
            self._letters.write(letters)
            self._letters.flush()
        self._count(reports, time.monotonic() - began)
        self._passed = number
        self._wait = 0.5

    def _count(self, reports: list[Report], seconds: float) -> None:
        figures = Figures(Tally())
        metrics = self._metrics
        for report in reports:
            report.into(figures)
            metrics.records.labels(self.name).inc(report.records)
            for kind, methods in (("request", report.requests), ("response", report.responses)):
                for method, count in methods.items():
                    metrics.counted(self.name, kind, method, count)
            if report.watermark is not None:
                self.watermark = max(self.watermark or report.watermark, report.watermark)
        self._counts.update(figures.tally.counts)
        for damaged in figures.outcome.damaged.values():
            _log.error(
                "the stored call %s can't be used and is left alone; what came of it is kept as refused: %s",
                damaged.call_key, damaged.reason,
            )  # fmt: skip
        metrics.written(figures.outcome, seconds)
        metrics.checkpointed(self.name)

    def _lost(self, reports: list[Report], number: int) -> list[Letter]:
        """Tell the offsets that are missing where a batch begins; they go to the dead letters."""
        found: list[Letter] = []
        first: dict[tuple[str, str], int] = {}
        for report in reports:
            for part, offset in report.first.items():
                first[part] = min(first.get(part, offset), offset)
        ends = self._noted(number)
        for (topic, partition), start in self._noted(number - 1).items():
            end = ends.get((topic, partition), start)
            count = first.get((topic, partition), end) - start
            if not count:
                continue
            text = (
                f"offsets {start} to {start + count - 1} were lost to retention before they were read"
                if count > 0
                else f"offset {start} is behind the end {end}: the topic was cut or made anew"
            )
            _log.error("%s: %s/%s: %s", self.name, topic, partition, text)
            self._metrics.lost.labels(self.name).inc(max(count, 0))
            now = time.time_ns() // 1000
            found.append(Letter(source=topic, partition=partition, offset=start, time=now, reason=text))
        return found

    def _noted(self, number: int) -> dict[tuple[str, str], int]:
        """The offsets at a batch's end, as Spark's checkpoint has them; none before the first."""
        if number < 0:
            return {}
        lines = self._spark.read.text(f"{self._checkpoint}/offsets/{number}", wholetext=True).collect()
        return _offsets(lines[0].value.splitlines()[-1])

    def _tell(self, progress: Any) -> None:
        """The lag, as Spark had it at the end of its last batch."""
        for source in progress["sources"]:
            ends, latest = (_offsets(source[name]) for name in ("endOffset", "latestOffset"))
            for (topic, partition), offset in latest.items():
                self._metrics.lag.labels(topic, partition).set(max(offset - ends.get((topic, partition), 0), 0))

    def _set_open(self, is_open: bool) -> None:
        self.open = is_open
        self._metrics.source_up.labels(self.name).set(is_open)


def _offsets(told: Any) -> dict[tuple[str, str], int]:
    """Offsets by topic and partition; none where nothing is known yet, which is told as `null`."""
    known = (json.loads(told) if isinstance(told, str) else told) or {}
    return {(topic, number): offset for topic, parts in known.items() for number, offset in parts.items()}


def _told(text: str) -> str:
    """The line of an error that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wanted = (line for sign in ("Reason: ", "data may have been", "org.apache.kafka") for line in lines if sign in line)
    return next(wanted, lines[0] if lines else "")[:400]
