"""`Figures`: what a run has read, written and skipped, and the summary of it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from ._codes import NAMES
from ._reading import Reading
from ._records import visible
from ._write import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sipcdr.builder import Call
    from sipcdr.ingest import Tally

    from ._records import Record

_SAMPLE: Final = 20
_REFUSED: Final = 5


class Figures(Reading):
    """Counts of one run.

    outcome: what was written, or shown where there is no database, and what the derivation found odd. codes: sessions
    by response code, and `where` they are. on_due: gets each batch of calls, too.
    """

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally)
        self.codes: Counter[int | None] = Counter()
        self.outcome = Outcome()
        self.where = "shown"
        self.on_due: Callable[[list[Call]], None] | None = None
        self._began = time.monotonic()

    def due(self, calls: list[Call]) -> list[Call]:
        """Pass a batch of calls on, counted."""
        super().due(calls)
        if self.on_due is not None:
            self.on_due(calls)
        return calls

    def shown(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass records on, counting them by response code."""
        for record in records:
            code = record["ResponseCode"]
            self.codes[code if isinstance(code, int) else None] += 1
            yield record

    @property
    def sessions(self) -> int:
        """Sessions written, or shown where there is no database."""
        return self.outcome.inserted + self.outcome.updated

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self._began

    def summary(self) -> Iterator[str]:
        """The lines of the summary, without line ends."""
        tally = self.tally
        seconds = self.seconds
        yield (
            f"read      {tally.packets:,} packets, {tally.messages:,} SIP messages in {seconds:.1f} s"
            f" ({tally.messages / max(seconds, 0.001):,.0f} messages/s)"
        )
        for title, counts in (("requests", self.requests), ("responses", self.responses)):
            if counts:
                yield f"{title:9} " + _listed(counts)
        outcome = self.outcome
        if outcome.calls or outcome.unchanged:
            yield (
                f"written   {outcome.calls:,} calls, {outcome.unchanged:,} more had nothing new;"
                f" sessions {outcome.inserted:,} new, {outcome.updated:,} updated, {outcome.deleted:,} deleted"
            )
        if self.codes or not (outcome.calls or outcome.unchanged):
            codes = sorted(self.codes.items(), key=lambda item: item[0] or 0)
            yield f"sessions  {self.codes.total():,} {self.where}" + "".join(
                f"{', ' if at else ': '}{_code(code)} {count:,}" for at, (code, count) in enumerate(codes)
            )
        for note in self.notes():
            yield f"noted     {note}"
        for refused in tally.refused[:_REFUSED]:
            unit = self._unit(refused.source)
            yield f"refused   {visible(refused.source)}, {unit} {refused.frame}: {visible(refused.reason)}"

    def notes(self) -> Iterator[str]:
        """What was skipped or odd, a line a reason."""
        odd = self.tally.counts + self.odd + self.outcome.counts
        if self.outcome.frozen:
            odd["calls whose stored facts were purged, left as they are"] = self.outcome.frozen
        for reason, count in sorted(odd.items()):
            yield f"{visible(reason)}: {count:,}{_HINTS.get(reason, '')}"

    def problems(self) -> Iterator[str]:
        """What could not be read, a line each, without line ends; files named with frame and byte."""
        for problem in self.tally.problems[:_SAMPLE]:
            place = visible(problem.source)
            if problem.frame > 0:
                place += f", {self._unit(problem.source)} {problem.frame}"
            if problem.offset > 0:
                place += f", byte {problem.offset}"
            yield f"{place}: {visible(problem.reason)}"
        more = self.tally.problem_count - _SAMPLE
        if more > 0:
            yield f"and {more:,} more problems"

    def _unit(self, source: str) -> str:
        return "line" if source in self.tally.logs else "frame"


_HINTS: Final = {"TLS records": " (to be read with their secrets: --keylog FILE)"}


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def _code(code: int | None) -> str:
    return "no response" if code is None else f"{code} {NAMES.get(code, '')}".rstrip()
