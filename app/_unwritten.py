"""`Unwritten`: what was read of a source and isn't in the database yet, and from where to read it after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from sipcdr.builder import Correlator
from sipcdr.sinks import StoredPosition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sipcdr.builder import Call, Rules, SipMessage

    from ._dead_letters import Letter

_NEVER: Final = 1 << 62


class Part(NamedTuple):
    """A part of a source with a position of its own, by what the database calls it."""

    source: str
    partition: str


class Batch(msgspec.Struct, frozen=True):
    """Calls that are due, positions that hold once they are written, and dead letters that have to be safe before."""

    calls: list[Call]
    positions: list[StoredPosition]
    letters: list[Letter]

    def __bool__(self) -> bool:
        return bool(self.calls or self.positions or self.letters)


class Holding(msgspec.Struct, frozen=True):
    """How long calls stay in memory, in microseconds, and how many bytes of them. linger: None for 64 times T1."""

    linger: int | None
    hold: int
    memory: int


class _Group:
    """A correlator, and the parts whose messages it brings together. mark: its watermark when calls were last taken."""

    __slots__ = ("correlator", "mark", "parts")

    def __init__(self, correlator: Correlator) -> None:
        self.correlator = correlator
        self.mark = correlator.watermark
        self.parts: dict[Part, _Reading] = {}


class _Reading:
    """A part that is being read.

    next: the offset after the last that was read. first: for each call in memory the first offset that isn't written.
    told: the position that the last batch carried.
    """

    __slots__ = ("epoch", "first", "group", "next", "told")

    def __init__(self, group: _Group, epoch: int | None, start: int) -> None:
        self.group = group
        self.epoch = epoch
        self.next = start
        self.told = start
        self.first: dict[bytes, int] = {}

    @property
    def position(self) -> int:
        return min(self.first.values(), default=self.next)


class Unwritten:
    """The calls in memory of one source, by its parts.

    together: one correlator for all parts, else one for each. split: calls that were met in two parts at a time, which
    with a correlator each are written in halves and joined in the database.
    """

    def __init__(self, rules: Rules, holding: Holding, *, together: bool = False) -> None:
        self.split = 0
        self.received = 0
        self.letters: list[Letter] = []
        self._rules = rules
        self._holding = holding
        self._together = together
        self._groups: list[_Group] = []
        self._readings: dict[Part, _Reading] = {}
        self._homes: dict[bytes, Part] = {}
        self._early = self._ahead = self._late = 0

    def __len__(self) -> int:
        """Calls in memory."""
        return sum(len(group.correlator) for group in self._groups)

    def __contains__(self, part: Part) -> bool:
        return part in self._readings

    @property
    def memory_used(self) -> int:
        """Bytes of calls in memory."""
        return sum(group.correlator.memory_used for group in self._groups)

    @property
    def ended(self) -> int:
        """Calls in memory whose session has ended, and that wait for nothing but `linger`."""
        return sum(group.correlator.ended for group in self._groups)

    @property
    def parts(self) -> list[Part]:
        """The parts that are being read."""
        return list(self._readings)

    @property
    def watermark(self) -> int | None:
        """The least watermark, in microseconds UTC; None where there is none, or a part has given nothing yet."""
        marks = [group.correlator.watermark for group in self._groups]
        least = min(marks, default=-1)
        return least if least >= 0 else None

    @property
    def early(self) -> int:
        """Calls that were due early, as memory was full."""
        return self._early + sum(group.correlator.counts["early"] for group in self._groups)

    @property
    def ahead(self) -> int:
        """Time stamps too far in the future to be true."""
        return self._ahead + sum(group.correlator.counts["ahead"] for group in self._groups)

    @property
    def late(self) -> int:
        """Messages more than `hold` older than the watermark."""
        return self._late + sum(group.correlator.counts["late"] for group in self._groups)

    def next(self, part: Part) -> int:
        """The offset after the last that was read."""
        return self._readings[part].next

    def epoch(self, part: Part) -> int | None:
        """The Epoch under which a part is read."""
        return self._readings[part].epoch

    def open(self, part: Part, epoch: int | None, start: int, *, parts: int = 1) -> None:
        """Begin with a part at an offset. parts: how many there will be, which share the memory.

        epoch: None for what can't be read again, and so has no position.
        """
        if self._together and self._groups:
            group = self._groups[0]
        else:
            share = self._holding.memory // (1 if self._together else max(parts, 1))
            group = _Group(Correlator(self._rules, hold=self._holding.hold, linger=self._holding.linger, memory=share))
            self._groups.append(group)
        reading = _Reading(group, epoch, start)
        self._readings[part] = group.parts[part] = reading

    def receive(self, part: Part, messages: Sequence[SipMessage], following: int, latest: int = _NEVER) -> None:
        """Take in messages in the order of their offsets; `following` is the offset after the last record.

        latest: time stamps beyond it are absurd.
        """
        reading = self._readings[part]
        correlator = reading.group.correlator
        opened = correlator.receive(messages, latest)
        first = reading.first
        if self._together:
            for message in messages:
                call_id = message.call_id
                if call_id not in first and call_id in correlator:
                    first[call_id] = message.position.number
        else:
            # All that is in this correlator came from this part.
            homes = self._homes
            for message in opened:
                call_id = message.call_id
                first[call_id] = message.position.number
                if homes.setdefault(call_id, part) != part:
                    self.split += 1
        reading.next = following
        self.received += len(messages)

    def collect(self, messages: Sequence[SipMessage], since: Mapping[Part, int], latest: int = _NEVER) -> None:
        """Take in messages that come together out of several parts, to be read again from these offsets on."""
        readings = [(self._readings[part], offset) for part, offset in since.items()]
        correlator = readings[0][0].group.correlator
        correlator.receive(messages, latest)
        for call_id in {message.call_id for message in messages}:
            if call_id in correlator:
                for reading, offset in readings:
                    reading.first.setdefault(call_id, offset)
        self.received += len(messages)

    def reach(self, part: Part, offset: int) -> None:
        """What is read next of a part, where nothing else is left, stands at that offset."""
        self._readings[part].next = offset

    def skip(self, part: Part, offset: int) -> None:
        """Go on at another offset, as what was to come is gone; with one that is lower the offsets began anew."""
        reading = self._readings[part]
        if offset < reading.next:
            reading.first = dict.fromkeys(reading.first, offset)
        reading.next = offset

    def take(self, elapsed: int) -> Batch:
        """What is due, out of memory.

        elapsed: microseconds by the clock since calls were last taken; no watermark moves by less.
        """
        calls: list[Call] = []
        for group in self._groups:
            due = group.correlator.advance(max(group.correlator.watermark, group.mark + elapsed))
            group.mark = group.correlator.watermark
            self._forget(due, group)
            calls += due
        self.received = 0
        return self._batch(calls)

    def rest(self, most: int, parts: Iterable[Part] | None = None) -> Iterator[Batch]:
        """All that is in memory of some parts, or of all, the oldest first, in batches of at most so many calls."""
        wanted = self._readings.keys() if parts is None else set(parts)
        groups = [group for group in self._groups if group.parts.keys() & wanted]
        for group in groups:
            calls = group.correlator.finish()
            for at in range(0, len(calls), most):
                some = calls[at : at + most]
                self._forget(some, group)
                yield self._batch(some)
        if batch := self._batch([]):
            yield batch

    def close(self, parts: Iterable[Part] | None = None) -> None:
        """Forget parts, or all, with what is in memory of them alone."""
        for part in self.parts if parts is None else list(parts):
            reading = self._readings.pop(part, None)
            if reading is not None:
                group = reading.group
                del group.parts[part]
                if not group.parts:
                    self._groups.remove(group)
                    self._early += group.correlator.counts["early"]
                    self._late += group.correlator.counts["late"]
                    self._ahead += group.correlator.counts["ahead"]
        if not self._readings:
            self._homes.clear()

    def rename(self, part: Part, new: Part, epoch: int) -> None:
        """Let a part that had no position have one, by its name and Epoch."""
        reading = self._readings.pop(part)
        del reading.group.parts[part]
        reading.epoch = epoch
        reading.told = -1
        self._readings[new] = reading.group.parts[new] = reading

    def retire(self, parts: Iterable[Part]) -> list[Part]:
        """Forget those of some parts of which nothing is left to be written; what is in memory of others stays."""
        done = []
        for part in parts:
            reading = self._readings[part]
            if not reading.first and (reading.epoch is None or reading.told == reading.next):
                del self._readings[part], reading.group.parts[part]
                done.append(part)
        return done

    def _forget(self, calls: list[Call], group: _Group) -> None:
        for reading in group.parts.values():
            first = reading.first
            for call in calls:
                first.pop(call.call_id, None)
        for call in calls:
            self._homes.pop(call.call_id, None)

    def _batch(self, calls: list[Call]) -> Batch:
        """A batch with the positions that hold when these calls, which are forgotten already, are written."""
        positions = []
        for part, reading in self._readings.items():
            position = reading.position
            if position != reading.told and reading.epoch is not None:
                reading.told = position
                positions.append(StoredPosition(part.source, part.partition, position, reading.epoch))
        letters, self.letters = self.letters, []
        return Batch(calls, positions, letters)
