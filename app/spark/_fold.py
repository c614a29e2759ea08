"""Bringing the facts of each Call-ID together, and what comes of them: sessions as a DataFrame, or reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from sipcdr.builder import Rules
from sipcdr.builder import sessions as sessions_of
from sipcdr.sinks import NUMBER_COLUMNS, SESSION_COLUMNS, TIME_COLUMNS, session_of

from .._collector import collect_seldom
from .._records import text
from ._rows import calls_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

    from sipcdr.sinks import Session, Value

SESSIONS: Final = ", ".join(
    f"{name} {'timestamp' if name in TIME_COLUMNS else 'int' if name in NUMBER_COLUMNS else 'string'}"
    for name in SESSION_COLUMNS[:-1]
) + ", Media array<string>"  # fmt: skip
"""The columns of sessions, as Spark writes a schema."""
_ARROW: Final = pa.schema(
    [
        (
            name,
            pa.timestamp("us", "UTC")
            if name in TIME_COLUMNS
            else pa.int32()
            if name in NUMBER_COLUMNS
            else pa.list_(pa.string())
            if name == "Media"
            else pa.string(),
        )
        for name in SESSION_COLUMNS
    ]
)
_BATCH: Final = 4000
_RULES: Final = Rules()


def gathered(calls: DataFrame, partitions: int | None = None) -> DataFrame:
    """Rows of calls, with those of one Call-ID in one partition and one behind the other.

    partitions: how many; as many as tasks can run at a time unless told otherwise.
    """
    number = partitions or calls.sparkSession.sparkContext.defaultParallelism
    return calls.repartition(number, "key").sortWithinPartitions("key")


def sessions(calls: DataFrame, rules: Rules = _RULES, partitions: int | None = None) -> DataFrame:
    """The sessions of calls that the data source `sipcdr` gives, with the columns of `replay --format json`.

    As with `replay --to none`, a session's key is what an empty database would have given it, and replaced dialogs are
    unknown. rules: see `sipcdr.builder.Rules`. partitions: as `gathered` takes them.
    """

    def derive(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        collect_seldom()
        waiting: list[Session] = []
        for call, _ in calls_of(batches, []):
            waiting += map(session_of, sessions_of(call, rules))
            if len(waiting) >= _BATCH:
                yield _batch(waiting)
                waiting = []
        yield _batch(waiting)

    return gathered(calls.where("key IS NOT NULL"), partitions).mapInArrow(derive, SESSIONS)


def _batch(some: list[Session]) -> pa.RecordBatch:
    columns = ([_shown(session[name]) for session in some] for name in SESSION_COLUMNS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _ARROW, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_ARROW)


def _shown(value: Value) -> Value:
    return text(value) if isinstance(value, bytes) else value
