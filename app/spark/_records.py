"""`Opener`: what a worker does to records of Kafka: make messages of them, and of these calls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pyarrow import compute

from sipcdr.builder import Correlator, Rules
from sipcdr.ingest import Form, HeaderNames, Names, Records, Tally, Values

from .._collector import collect_seldom
from .._dead_letters import letters_of
from .._reading import HOLD, MEMORY, Reading
from ._report import Report
from ._rows import row_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from sipcdr.builder import Call

COLUMNS: Final = (
    "topic",
    "partition",
    "offset",
    "unix_micros(timestamp) AS time",
    "key",
    "value",
    "headers",
)
"""What is taken of Spark's Kafka source, as expressions."""
_CALLS: Final = 4000
_DAY: Final = 86_400_000_000

_Headers = Sequence[tuple[str, bytes | None]]


class Opener(msgspec.Struct, frozen=True):
    """Makes rows of calls of records, and a row of figures behind them, with the records that hold nothing of use.

    form, names, headers, key: see `sipcdr.ingest.Values`.
    """

    form: Form
    names: Names
    headers: HeaderNames
    key: bytes | None
    rules: Rules

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        collect_seldom()
        reading = Reading(Tally())
        values = Values(reading.tally, form=self.form, names=self.names, headers=self.headers, key=self.key)
        correlator = Correlator(self.rules, hold=HOLD, memory=MEMORY)
        report = Report()
        latest = time.time_ns() // 1000 + _DAY
        for topic, partition, records in _runs(batches):
            messages, poison = values.messages(records, topic, partition)
            reading.messages(messages)
            report.records += len(records)
            report.first.setdefault((topic, partition), records.offsets[0])
            report.letters += letters_of(poison, topic, partition)
            correlator.receive(messages, latest)
            deadline = correlator.next_deadline()
            if deadline is not None and deadline <= correlator.watermark:
                yield from _parts(correlator.advance(correlator.watermark))
        watermark = correlator.watermark
        yield from _parts(correlator.finish())
        report.take(reading.tally)
        report.count(reading)
        report.watermark = watermark if watermark > 0 else None
        yield row_of(report)


def _parts(calls: list[Call]) -> Iterator[pa.RecordBatch]:
    for at in range(0, len(calls), _CALLS):
        yield rows_of(calls[at : at + _CALLS])


def _runs(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, str, Records]]:
    """The records of batches, those of a partition together as far as they stand together."""
    for batch in batches:
        offsets, keys, values = (batch.column(name).to_pylist() for name in ("offset", "key", "value"))
        times = batch.column("time").fill_null(0).to_pylist()
        records = Records(offsets, times, keys, values, list(_headers(batch.column("headers"))))
        topics, partitions = batch.column("topic"), batch.column("partition")
        at = 0
        for end in sorted({*_ends(topics), *_ends(partitions)}):
            yield topics[at].as_py(), str(partitions[at]), records[at:end]
            at = end


def _ends(column: pa.Array) -> list[int]:
    """Where runs of a value end."""
    encoded: Any = compute.run_end_encode(column)
    ends: list[int] = encoded.run_ends.to_pylist()
    return ends


def _headers(column: pa.ListArray) -> Iterator[_Headers]:
    """Each record's headers, without making an object of each first: most topics have none.

    Lists of tuples, as the kernel takes them.
    """
    inside: Any = column.flatten()
    pairs = list(zip(inside.field("key").to_pylist(), inside.field("value").to_pylist(), strict=True))
    at = 0
    for length in column.value_lengths().to_pylist():
        if length:
            yield pairs[at : at + length]
            at += length
        else:
            yield ()
