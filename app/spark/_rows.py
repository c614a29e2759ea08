"""The rows that cross between Spark's workers, as Arrow has them.

| column   | what                                                                                    |
|----------|-----------------------------------------------------------------------------------------|
| `key`    | the CallKey, 16 bytes; NULL in a row of figures                                         |
| `call`   | what a part of the input knows of that call, packed as `bytes(call)`                    |
| `report` | instead, in one row of each part of the input: its figures, packed as `bytes(report)`  |
"""

from __future__ import annotations

from functools import reduce
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from sipcdr.builder import Call, call_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ._report import Report

ROWS: Final = "key binary, call binary, report binary"
"""The columns, as Spark writes a schema."""
_SCHEMA: Final = pa.schema([(name, pa.binary()) for name in ("key", "call", "report")])
RESULT: Final = "report binary"
_RESULT: Final = pa.schema([("report", pa.binary())])


def rows_of(calls: Sequence[Call]) -> pa.RecordBatch:
    """Calls as rows."""
    keys = [call_key(call.call_id) for call in calls]
    return pa.RecordBatch.from_arrays(
        [pa.array(keys, pa.binary()), pa.array(map(bytes, calls), pa.binary()), pa.nulls(len(calls), pa.binary())],
        schema=_SCHEMA,
    )


def row_of(report: Report) -> pa.RecordBatch:
    """A report as a row among calls."""
    nothing = pa.nulls(1, pa.binary())
    return pa.RecordBatch.from_arrays([nothing, nothing, pa.array([bytes(report)], pa.binary())], schema=_SCHEMA)


def result_of(reports: Iterable[bytes]) -> pa.RecordBatch:
    """Reports, packed, that go to the driver."""
    return pa.RecordBatch.from_arrays([pa.array(reports, pa.binary())], schema=_RESULT)


def calls_of(batches: Iterable[pa.RecordBatch], reports: list[bytes]) -> Iterator[tuple[Call, int]]:
    """The calls of rows that stand together by key, each once, joined, and how many bytes they were packed.

    Reports among the rows go to `reports`.
    """

    def rows() -> Iterator[tuple[bytes, bytes]]:
        for batch in batches:
            keys, calls, told = (batch.column(name).to_pylist() for name in ("key", "call", "report"))
            reports.extend(report for report in told if report is not None)
            yield from ((key, call) for key, call in zip(keys, calls, strict=True) if key is not None)

    for _, parts in groupby(rows(), key=itemgetter(0)):
        packed = [part for _, part in parts]
        yield reduce(Call.join, map(Call.from_bytes, packed)), sum(map(len, packed))
