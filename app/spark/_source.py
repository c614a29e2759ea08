"""`Captures`: the data source `sipcdr`, which reads captures and logs with our readers, a file a partition.

Its rows are calls as the parts of the input know them; see `_rows`. Options, beside the paths:

| option                            | meaning                                                                       |
|-----------------------------------|-------------------------------------------------------------------------------|
| `logformat`, `timezone`, `logdate` | what a log doesn't say itself, as `replay` takes them                         |
| `split`                           | bytes above which a capture is divided, where its format allows it: 256 MiB   |
"""

from __future__ import annotations

import json
from contextlib import closing
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from sipcdr.ingest import Inputs, Problem, Tally, log_options

from .._collector import collect_seldom
from .._reading import HOLD, Reading, due_calls
from .._select import Selection
from ._paths import Fetched, Found, found, opened
from ._ranges import Range, cut, pieces, place, ranges
from ._report import Report
from ._rows import ROWS, row_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from pyspark.sql.types import StructType

    from sipcdr.builder import SipMessage
    from sipcdr.ingest import LogOptions

SPLIT: Final = 256 << 20


class Captures(DataSource):
    """Calls of captures and logs: `spark.read.format("sipcdr").load(PATH)`, for `sessions` to take."""

    @classmethod
    def name(cls) -> str:
        """What `format` calls it."""
        return "sipcdr"

    def schema(self) -> str:
        """The columns."""
        return ROWS

    def reader(self, schema: StructType) -> DataSourceReader:
        """Who reads. Raises ValueError where there is nothing to read."""
        del schema
        return _Reader(dict(self.options))


class Part(InputPartition):
    """A file, or a range of one."""

    def __init__(self, file: Found, part: Range) -> None:
        super().__init__(None)
        self.file = file
        self.part = part


class _Reader(DataSourceReader):
    def __init__(self, options: dict[str, str]) -> None:
        given = {name.lower(): value for name, value in options.items()}
        paths = json.loads(given["paths"]) if "paths" in given else [given["path"]] if "path" in given else []
        self._split = int(given.get("split", SPLIT))
        begins = given.get("logdate")
        # Texts, as an expression doesn't go to the workers.
        self._logs = (given.get("logformat", "auto"), given.get("timezone", "UTC"), begins)
        _options(*self._logs)
        tally = Tally()
        self._files = found(paths, tally)
        if tally.problems or not self._files:
            raise ValueError("; ".join(f"{each.source}: {each.reason}" for each in tally.problems) or "no path")

    def partitions(self) -> list[InputPartition]:
        """The files; large ones in parts."""
        parts: list[InputPartition] = []
        for file in self._files:
            if file.size > self._split:
                with closing(opened(file.name)) as content:
                    parts += [Part(file, part) for part in ranges(content, file.size, self._split)]
            else:
                parts.append(Part(file, Range(0, file.size)))
        return parts

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The calls of a part, and its reading."""
        if not isinstance(partition, Part):
            raise TypeError(type(partition).__name__)
        collect_seldom()
        logs = _options(*self._logs)
        if (partition.part.start, partition.part.end) == (0, partition.file.size):
            return _whole(partition.file.name, logs)
        return _range(partition.file, partition.part)


def _options(form: str, timezone: str, begins: str | None) -> LogOptions:
    return log_options(form, timezone, date.fromisoformat(begins) if begins else None)


def _whole(name: str, logs: LogOptions) -> Iterator[pa.RecordBatch]:
    report = Report()
    reading = Reading(Tally())
    with Fetched(name) as file:
        yield from _calls(Inputs([file.name], tally=reading.tally, logs=logs), reading)
        report.take(reading.tally, file.name, name)
    yield _told(report, reading)


def _range(file: Found, part: Range) -> Iterator[pa.RecordBatch]:
    report = Report()
    reading = Reading(Tally())
    with TemporaryDirectory(prefix="sipcdr-") as folder, closing(opened(file.name)) as content:
        some = cut(content, file.size, part)
        copy = Path(folder) / Path(file.name).name
        with copy.open("wb") as out:
            out.writelines(pieces(content, some))
        own = _Own(Inputs([str(copy)], tally=reading.tally), some.before)
        yield from _calls(own, reading)
        tally = reading.tally
        tally.packets -= some.before
        tally.messages -= own.others
        noted = [each for each in tally.problems if not 0 < each.frame <= some.before]
        tally.problem_count -= len(tally.problems) - len(noted)
        # Frames are counted from the part's beginning: what helps is the byte.
        tally.problems = [Problem(each.source, 0, place(some, each.offset), each.reason) for each in noted]
        report.take(tally, str(copy), file.name)
    yield _told(report, reading)


class _Own:
    """The messages of a range, without those of the frames before it. others: how many these were."""

    def __init__(self, inputs: Iterable[list[SipMessage]], before: int) -> None:
        self.others = 0
        self._inputs = inputs
        self._before = before

    def __iter__(self) -> Iterator[list[SipMessage]]:
        for batch in self._inputs:
            own = [message for message in batch if message.position.number > self._before]
            self.others += len(batch) - len(own)
            if own:  # an empty batch means that nothing comes now
                yield own


def _calls(inputs: Iterable[list[SipMessage]], reading: Reading) -> Iterator[pa.RecordBatch]:
    for calls in due_calls(inputs, Selection(), reading, hold=HOLD, tick=_nothing):
        yield rows_of(calls)


def _told(report: Report, reading: Reading) -> pa.RecordBatch:
    report.count(reading)
    return row_of(report)


def _nothing() -> Any:
    """Nobody looks at a worker's progress."""
