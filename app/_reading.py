"""From messages to calls that are due, and what was read on the way."""

from __future__ import annotations

import time
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from sipcdr.builder import Correlator, Rules, native

from ._spool import Overflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sipcdr.builder import Call, SipMessage
    from sipcdr.ingest import Tally

    from ._select import Selection

METHODS: Final = frozenset(
    {"INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "MESSAGE", "REGISTER", "OPTIONS"}
    | {"SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH", "SERVICE"}
)
"""Methods that are counted by name."""
HOLD: Final = 3_600_000_000
"""Event time after which a call is written though it goes on: an hour, in microseconds."""
HOLD_ALONE: Final = 24 * HOLD
"""The same without a database, where a call that has left memory can't be joined with what comes later."""
MEMORY: Final = 64 * 1024 * 1024
"""Bytes of facts in memory."""
BATCH_CALLS: Final = 1000
"""Calls of a transaction."""
BATCH_BYTES: Final = 16 * 1024 * 1024
"""Bytes of facts of a transaction."""


_method_and_status = attrgetter("method", "status")


class Reading:
    """Counts of what was read.

    tally: what the readers count. requests, responses: messages by method. odd: what was odd of calls.
    """

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.requests: Counter[str] = Counter()
        self.responses: Counter[str] = Counter()
        self.odd: Counter[str] = Counter()

    def messages(self, batch: list[SipMessage]) -> None:
        """Count messages by method."""
        kinds = Counter(map(_method_and_status, batch)) if native is None else native.kinds(batch)
        for (method, status), number in kinds.items():
            name = method if method in METHODS else "other methods"
            (self.responses if status > 0 else self.requests)[name] += number

    def due(self, calls: list[Call]) -> list[Call]:
        """Pass a batch of calls on, counting those with more facts than a call keeps."""
        self.odd["calls with more messages than are kept"] += sum([call.capped > 0 for call in calls])
        return calls


def due_calls(
    inputs: Iterable[list[SipMessage]],
    selection: Selection,
    reading: Reading,
    *,
    hold: int,
    tick: Callable[[], None],
    memory: int = MEMORY,
) -> Iterator[list[Call]]:
    """Read everything, and give the calls that are due in batches. A Call-ID may come again, also in one batch.

    What `memory` has no room for waits on disk until all is read, or for `hold`, or until nothing comes any more.
    """
    correlator = Correlator(Rules(), hold=hold, memory=memory)
    waiting: list[Call] = []
    size = 0

    def due(now: int) -> list[Call]:
        early: list[Call] = []
        calls = overflow.others(correlator.advance(now, early), now)
        if early:
            overflow.add(early, now)
        return calls

    with Overflow() as overflow:
        for batch in inputs:
            if not batch:
                # Nothing comes now from files that are followed: here time goes on by the clock.
                waiting += due(max(correlator.watermark, time.time_ns() // 1000))
                if waiting:
                    yield reading.due(waiting)
                    waiting, size = [], 0
                yield from map(reading.due, overflow.take(BATCH_CALLS, BATCH_BYTES))
                tick()
                continue
            chosen = selection.messages(batch)
            reading.messages(chosen)
            correlator.receive(chosen)
            deadline = correlator.next_deadline()
            if deadline is not None and deadline <= correlator.watermark:
                before = correlator.memory_used
                waiting += due(correlator.watermark)
                size += before - correlator.memory_used
                if len(waiting) >= BATCH_CALLS or size >= BATCH_BYTES:
                    yield reading.due(waiting)
                    waiting, size = [], 0
            if overflow.since is not None and overflow.since + hold <= correlator.watermark:
                yield from map(reading.due, overflow.take(BATCH_CALLS, BATCH_BYTES))
            tick()
        waiting += overflow.others(correlator.finish(), correlator.watermark)
        reading.odd["calls that waited on disk, as memory was full"] += correlator.counts["early"]
        for at in range(0, len(waiting), BATCH_CALLS):
            yield reading.due(waiting[at : at + BATCH_CALLS])
        waiting = []
        yield from map(reading.due, overflow.take(BATCH_CALLS, BATCH_BYTES))
