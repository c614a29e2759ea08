"""`Tally`: what a run has read, skipped and refused, and why."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

_PROBLEMS: Final = 1000
_REFUSED: Final = 100


class Problem(msgspec.Struct, frozen=True):
    """Input that could not be read, was damaged, or met a limit.

    source: the path. frame: its number, from 1; 0 where no frame is meant. offset: the byte in the file (of what it
    unpacks to), -1 where the frame says it all.
    """

    source: str
    frame: int
    offset: int
    reason: str


class Refused(msgspec.Struct, frozen=True):
    """A message that could not be used, by the path and frame (or topic and offset) where it ended."""

    source: str
    frame: int
    reason: str


class Tally:
    """One a run, shared by all readers.

    packets, bytes: frames read, and their bytes as captured. messages: SIP messages given out.
    counts: what was skipped or odd, by reason in plain words; `refused: …` and `limit: …` among them.
    problems: the first 1,000; problem_count: of all. refused: the first 100.
    logs: the sources that are logs, where a frame's number is a line's.
    """

    __slots__ = ("bytes", "counts", "logs", "messages", "packets", "problem_count", "problems", "refused")

    def __init__(self) -> None:
        self.packets = 0
        self.bytes = 0
        self.messages = 0
        self.logs: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.problem_count = 0
        self.refused: list[Refused] = []

    def problem(self, source: str, frame: int, offset: int, reason: str) -> None:
        """Note input that could not be read as it should."""
        self.problem_count += 1
        if len(self.problems) < _PROBLEMS:
            self.problems.append(Problem(source, frame, offset, reason))

    def limit(self, source: str, frame: int, reason: str) -> None:
        """Count input that met a limit and was cut, and note it as a problem."""
        self.counts["limit: " + reason] += 1
        self.problem(source, frame, -1, reason)

    def refuse(self, source: str, frame: int, reason: str) -> None:
        """Count a message that could not be used."""
        self.counts["refused: " + reason] += 1
        if len(self.refused) < _REFUSED:
            self.refused.append(Refused(source, frame, reason))

    def add(
        self,
        packets: int,
        size: int,
        messages: int,
        counts: dict[str, int],
        problems: list[tuple[str, int, int, str]],
        problem_count: int,
        refused: list[tuple[str, int, str]],
    ) -> None:
        """Take in what the native kernel noted: what `counts` has is counted, of the rest the first are kept."""
        self.packets += packets
        self.bytes += size
        self.messages += messages
        for reason, many in counts.items():
            self.counts[reason] += many
        self.problem_count += problem_count
        self.problems += [Problem(*problem) for problem in problems[: _PROBLEMS - len(self.problems)]]
        self.refused += [Refused(*one) for one in refused[: _REFUSED - len(self.refused)]]
