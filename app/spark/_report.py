"""`Report`: the figures of a part of the work, which come back to the driver among the rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from sipcdr.ingest import Problem, Refused  # noqa: TC001 (msgspec reads annotations)

from .._dead_letters import Letter  # noqa: TC001
from .._write import Damaged, Refusals

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.ingest import Tally

    from .._figures import Figures
    from .._reading import Reading
    from .._write import Outcome

_SAMPLE: Final = 20
"""Problems that are told of a part, as there may be a great many parts."""


class Report(msgspec.Struct):
    """What a part of the input held, or what came of writing a part of the calls.

    records: of topics. first: the least offset of each partition of a topic.
    watermark: the latest time in messages that isn't absurd, None without one.
    failure: why the writing ended before its end; passing: whether it is worth another try.
    refusals: lines of the calls that the database refused. letters: records that held nothing of use.
    """

    packets: int = 0
    read_bytes: int = 0
    messages: int = 0
    logs: list[str] = []
    counts: dict[str, int] = {}
    problems: list[Problem] = []
    problem_count: int = 0
    refused: list[Refused] = []
    requests: dict[str, int] = {}
    responses: dict[str, int] = {}
    calls: int = 0
    unchanged: int = 0
    frozen: int = 0
    refused_calls: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    damaged: list[Damaged] = []
    odd: dict[str, int] = {}
    records: int = 0
    first: dict[tuple[str, str], int] = {}
    watermark: int | None = None
    failure: str = ""
    passing: bool = False
    refusals: list[bytes] = []
    letters: list[Letter] = []

    def __bytes__(self) -> bytes:
        return msgspec.msgpack.encode(self)

    def take(self, tally: Tally, source: str = "", name: str = "") -> None:
        """Take what was read. source: how the tally calls what is called `name` elsewhere."""

        def named(known: str) -> str:
            return name + known.removeprefix(source) if source and known.startswith(source) else known

        self.packets, self.read_bytes, self.messages = tally.packets, tally.bytes, tally.messages
        self.logs = [named(each) for each in tally.logs]
        self.counts = dict(tally.counts)
        self.problems = [msgspec.structs.replace(each, source=named(each.source)) for each in tally.problems[:_SAMPLE]]
        self.problem_count = tally.problem_count
        self.refused = [msgspec.structs.replace(each, source=named(each.source)) for each in tally.refused[:_SAMPLE]]

    def count(self, reading: Reading) -> None:
        """Take how many messages there were of each method, and what was odd of calls."""
        self.requests, self.responses, self.odd = map(dict, (reading.requests, reading.responses, reading.odd))

    def outcome(self, outcome: Outcome) -> None:
        """Take what was written."""
        self.calls, self.unchanged, self.frozen = outcome.calls, outcome.unchanged, outcome.frozen
        self.refused_calls = outcome.refused
        self.inserted, self.updated, self.deleted = outcome.inserted, outcome.updated, outcome.deleted
        self.damaged = list(outcome.damaged.values())
        self.odd = dict(outcome.counts)

    def into(self, figures: Figures) -> None:
        """Add all of it to a run's figures."""
        tally, outcome = figures.tally, figures.outcome
        tally.packets += self.packets
        tally.bytes += self.read_bytes
        tally.messages += self.messages
        tally.logs.update(self.logs)
        tally.counts.update(self.counts)
        for problem in self.problems:
            tally.problem(problem.source, problem.frame, problem.offset, problem.reason)
        tally.problem_count += self.problem_count - len(self.problems)
        tally.refused += self.refused
        figures.requests.update(self.requests)
        figures.responses.update(self.responses)
        outcome.calls += self.calls
        outcome.unchanged += self.unchanged
        outcome.frozen += self.frozen
        outcome.refused += self.refused_calls
        outcome.inserted += self.inserted
        outcome.updated += self.updated
        outcome.deleted += self.deleted
        outcome.damaged |= {bytes.fromhex(each.call_key): each for each in self.damaged}
        outcome.counts.update(Counter(self.odd))


decoded = msgspec.msgpack.Decoder(Report).decode
"""A report of its bytes."""


class Kept(Refusals):
    """Lines of refused calls that go to the driver with the report, as a worker's disk may be gone after it."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def append(self, line: bytes) -> None:
        """Keep a line."""
        self.lines.append(line)


def keep_refused(report: Report, path: Path) -> None:
    """Append a report's refused calls to the file of them."""
    if report.refusals:
        Refusals(path).append(b"".join(report.refusals))
