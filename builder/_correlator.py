"""`Correlator`: which calls are in memory, and which are due to be written.

When a row is written is no part of what it says, so nothing here can change a row: being early costs a second write,
being late costs memory. Time is an argument; the correlator reads no clock.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from ._calls import Call
from ._kernel import native
from ._rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._message import SipMessage

_CALL_SIZE: Final = 600 if native is None else 400
"""Bytes that an open call costs beside its facts, measured."""
_GONE: Final = 1000
"""Entries of calls that have left memory that may wait for those before them, at the least."""

_RULES = Rules()
_NO_CALL: Final = Call(b"")


class _Open:
    """A call in memory and when it becomes due. quiet_until: None before its end. gone: the call has left memory."""

    __slots__ = ("call", "gone", "hold_until", "quiet_until")

    def __init__(self, call: Call, hold_until: int) -> None:
        self.call = call
        self.hold_until = hold_until
        self.quiet_until: int | None = None
        self.gone = False


class Correlator:
    """Brings the messages of each Call-ID together, and says when a call is due.

    A call is due when it has been quiet for `linger` after a message that ends a session, or when its oldest fact has
    waited for `hold`, or when the facts in memory are over `memory` and it is the oldest. All three count event time:
    from the greatest time stamp seen when a fact arrived. What is due leaves memory; a later message starts a new
    `Call`, which its writer joins with the stored one.

    hold, linger: microseconds; linger is 64·T1 unless told otherwise. memory: bytes.
    counts: `method NAME` for messages that are no facts, `early` for calls made due by the memory cap, `ahead` for time
        stamps that were beyond `latest`, `late` for those more than `hold` before the watermark.
    ended: calls in memory that wait for nothing but `linger`.
    """

    def __init__(self, rules: Rules = _RULES, *, hold: int, memory: int, linger: int | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.watermark = -(1 << 62)
        self.memory_used = 0
        self.ended = 0
        self._rules = rules
        self._hold = hold
        self._linger = 64 * rules.t1 if linger is None else linger
        self._memory = memory
        self._open: dict[bytes, _Open] = {}
        # In order of arrival, which is the order of hold_until too, as the watermark never falls.
        self._held: deque[_Open] = deque()
        self._quiet: list[tuple[int, int, _Open]] = []
        self._pushed = 0
        # Of the held ones and of the quiet ones, those whose call has left memory.
        self._gone = 0
        self._gone_quiet = 0

    def __len__(self) -> int:
        """Calls in memory."""
        return len(self._open)

    def __contains__(self, call_id: bytes) -> bool:
        """Whether the call is in memory."""
        return call_id in self._open

    def receive(self, messages: Iterable[SipMessage], latest: int = 1 << 62) -> list[SipMessage]:
        """Take messages in, in any order; gives those that each began a call in memory.

        A time stamp beyond `latest` is absurd: it doesn't move the watermark.
        """
        calls = self._open
        rules = self._rules
        watermark = self.watermark
        early = watermark - self._hold
        opened: list[SipMessage] = []
        used = self.memory_used
        for message in messages:
            time = message.time
            if time > watermark:
                if time <= latest:
                    watermark = time
                else:
                    self.counts["ahead"] += 1
            elif time < early:
                self.counts["late"] += 1
            call_id = message.call_id
            entry = calls.get(call_id)
            call = Call(call_id) if entry is None else entry.call
            size = call.add(message, rules)
            if not size:
                self.counts["method " + message.method if len(message.method) <= 32 else "method other"] += 1
                continue
            used += size
            if entry is None:
                used += _CALL_SIZE
                calls[call_id] = entry = _Open(call, watermark + self._hold)
                self._held.append(entry)
                opened.append(message)
            if call.ended:
                if entry.quiet_until is None:
                    self.ended += 1
                    self._pushed += 1
                    # The second item keeps the heap from comparing entries.
                    heapq.heappush(self._quiet, (watermark + self._linger, self._pushed, entry))
                entry.quiet_until = watermark + self._linger
        self.watermark = watermark
        self.memory_used = used
        return opened

    def next_deadline(self) -> int | None:
        """When `advance` will next have something to give: event time in microseconds, or None with no call open."""
        if self.memory_used > self._memory:
            return self.watermark
        held = self._held
        while held and held[0].gone:
            held.popleft()
            self._gone -= 1
        deadlines = [held[0].hold_until] if held else []
        if self._quiet and deadlines:
            deadlines.append(self._quiet[0][0])
        return min(deadlines, default=None)

    def advance(self, now: int, early: list[Call] | None = None) -> list[Call]:
        """Move the watermark to `now` if it is behind, and take the calls that are due out of memory.

        Those that are due by the memory cap alone go to `early` instead, if that is given.
        """
        self.watermark = now = max(now, self.watermark)
        due: list[Call] = []
        quiet = self._quiet
        while quiet and quiet[0][0] <= now:
            _, pushed, entry = quiet[0]
            if entry.quiet_until is not None and entry.quiet_until > now:
                heapq.heapreplace(quiet, (entry.quiet_until, pushed, entry))
                continue
            heapq.heappop(quiet)
            if entry.gone:
                self._gone_quiet -= 1
            else:
                due.append(self._take(entry))
        held = self._held
        while held:
            entry = held[0]
            if not entry.gone:
                taken = due
                if entry.hold_until > now:
                    if self.memory_used <= self._memory:
                        break
                    self.counts["early"] += 1
                    taken = due if early is None else early
                self._gone_quiet += entry.quiet_until is not None
                taken.append(self._take(entry))
            held.popleft()
            self._gone -= 1
        most = max(_GONE, len(self._open) // 4)
        if self._gone > most:
            # An old call that goes on holds up the entries of all that came and went since.
            self._held = deque(entry for entry in held if not entry.gone)
            self._gone = 0
        if self._gone_quiet > most:
            self._quiet = [item for item in quiet if not item[2].gone]
            heapq.heapify(self._quiet)
            self._gone_quiet = 0
        return due

    def finish(self) -> list[Call]:
        """Take all calls out of memory: the input has ended."""
        due = [self._take(entry) for entry in self._held if not entry.gone]
        self._held.clear()
        self._quiet.clear()
        self._gone = self._gone_quiet = 0
        return due

    def _take(self, entry: _Open) -> Call:
        call = entry.call
        self.memory_used -= call.size + _CALL_SIZE
        self.ended -= call.ended
        self._gone += 1
        entry.gone = True
        entry.call = _NO_CALL
        del self._open[call.call_id]
        return call
