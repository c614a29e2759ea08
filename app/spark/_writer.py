"""`Writer`: what a worker does to a partition of calls: write them to the database, through the daemon's functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from sipcdr.builder import Rules  # noqa: TC001 (msgspec reads annotations)
from sipcdr.sinks import Sink, SinkConflict, SinkError, SinkFull, SinkReadOnly, SinkUnavailable

from .._collector import collect_seldom
from .._reading import BATCH_BYTES, BATCH_CALLS
from .._write import Outcome, Retry, write_calls
from ._report import Kept, Report
from ._rows import calls_of, result_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from sipcdr.builder import Call

_PASSING: Final = (SinkUnavailable, SinkConflict, SinkFull, SinkReadOnly)
"""Errors that time, or an operator's hand, may mend."""
_open: Final[dict[str, Sink]] = {}
"""Databases that this process has open, by URL: one worker does many tasks."""


class Writer(msgspec.Struct, frozen=True):
    """Writes the calls of a partition, joined with what the database knows of them; gives reports.

    whole: in one transaction. Otherwise in several, so that memory stays flat however large the partition is.
    keep_damaged: see `write_calls`.
    Anything may be done twice: what is known already changes nothing.
    """

    url: str
    rules: Rules
    retry: Retry
    whole: bool = False
    keep_damaged: bool = False

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        collect_seldom()
        reports: list[bytes] = []
        outcome = Outcome()
        kept = Kept()
        report = Report()
        try:
            sink = _sink(self.url)
            for calls in self._parts(calls_of(batches, reports)):
                write_calls(
                    sink,
                    calls,
                    self.rules,
                    outcome=outcome,
                    refusals=kept,
                    retry=self.retry,
                    keep_damaged=self.keep_damaged,
                )
        except SinkError as error:
            report.failure = str(error)
            report.passing = isinstance(error, _PASSING)
            _close(self.url)
        report.outcome(outcome)
        report.refusals = kept.lines
        yield result_of([*reports, bytes(report)])

    def _parts(self, calls: Iterable[tuple[Call, int]]) -> Iterator[list[Call]]:
        part: list[Call] = []
        size = 0
        for call, packed in calls:
            part.append(call)
            size += packed
            if not self.whole and (len(part) >= BATCH_CALLS or size >= BATCH_BYTES):
                yield part
                part, size = [], 0
        if part:
            yield part


def _sink(url: str) -> Sink:
    if url not in _open:
        _open[url] = Sink.open(url, ddl=False)
    return _open[url]


def _close(url: str) -> None:
    sink = _open.pop(url, None)
    if sink is not None:
        sink.close()
