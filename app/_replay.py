"""Replay: captures through the correlator into a database, or straight into records.

What is written is decided by what was read, never by when; so batches may be cut anywhere.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipcdr.builder import Call, Correlator, Rules, sessions
from sipcdr.sinks import session_of

from ._records import record_of
from ._write import Refusals, write_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sipcdr.builder import SipMessage
    from sipcdr.sinks import Sink

    from ._figures import Figures
    from ._records import Record
    from ._select import Selection
    from ._spool import Spool

HOLD: Final = 3_600_000_000
"""Event time after which a call is written though it goes on: an hour, in microseconds."""
HOLD_ALONE: Final = 24 * HOLD
"""The same without a database, where a call that has left memory can't be joined with what comes later."""
MEMORY: Final = 64 * 1024 * 1024
"""Bytes of facts in memory."""
REFUSED_CALLS: Final = "sipcdr-refused.jsonl"
"""The file, in the current folder, of calls that a database refused; made with the first."""
BATCH_CALLS: Final = 4000
"""Calls of a transaction."""
BATCH_BYTES: Final = 16 * 1024 * 1024
"""Bytes of facts of a transaction."""


def due_calls(
    inputs: Iterable[list[SipMessage]],
    selection: Selection,
    figures: Figures,
    *,
    hold: int,
    tick: Callable[[], None],
) -> Iterator[list[Call]]:
    """Read everything, and give the calls that are due in batches. A Call-ID may come again, also in one batch."""
    correlator = Correlator(Rules(), hold=hold, memory=MEMORY)
    waiting: list[Call] = []
    size = 0
    for batch in inputs:
        if not batch:
            # Nothing comes now from files that are followed: here time goes on by the clock.
            waiting += correlator.advance(max(correlator.watermark, time.time_ns() // 1000))
            if waiting:
                yield figures.due(waiting)
                waiting, size = [], 0
            tick()
            continue
        chosen = selection.messages(batch)
        figures.messages(chosen)
        correlator.receive(chosen)
        deadline = correlator.next_deadline()
        if deadline is not None and deadline <= correlator.watermark:
            before = correlator.memory_used
            waiting += correlator.advance(correlator.watermark)
            size += before - correlator.memory_used
            if len(waiting) >= BATCH_CALLS or size >= BATCH_BYTES:
                yield figures.due(waiting)
                waiting, size = [], 0
        tick()
    waiting += correlator.finish()
    counts = figures.outcome.counts
    counts["calls written early, as memory was full"] += correlator.counts["early"]
    counts["responses with a status outside 100 to 699"] += correlator.counts["status"]
    for at in range(0, len(waiting), BATCH_CALLS):
        yield figures.due(waiting[at : at + BATCH_CALLS])


def replay_alone(
    inputs: Iterable[list[SipMessage]], selection: Selection, figures: Figures, *, tick: Callable[[], None]
) -> Iterator[Record]:
    """Replay without a database: records of sessions as their calls leave memory."""
    rules = Rules()
    for calls in due_calls(inputs, selection, figures, hold=HOLD_ALONE, tick=tick):
        for call in calls:
            for session in sessions(call, rules, figures.outcome.counts):
                record = record_of(session_of(session))
                if selection.session(record):
                    figures.outcome.inserted += 1
                    yield record


def replay_into(
    sink: Sink,
    inputs: Iterable[list[SipMessage]],
    selection: Selection,
    figures: Figures,
    spool: Spool,
    *,
    tick: Callable[[], None],
) -> None:
    """Replay into a database; the Call-IDs written are noted in `spool`.

    Who called whom is known when a call is whole: asked for by users, calls wait on disk until all is read.
    """
    rules = Rules()
    refusals = Refusals(Path(REFUSED_CALLS))

    def write(calls: list[Call]) -> None:
        write_calls(sink, calls, rules, outcome=figures.outcome, refusals=refusals)
        spool.note(call.call_id for call in calls)
        tick()

    for calls in due_calls(inputs, selection, figures, hold=HOLD, tick=tick):
        if selection.asks_for_users:
            spool.keep(calls)
        else:
            write(calls)
    for calls in spool.calls(BATCH_CALLS, BATCH_BYTES):
        write(_chosen(calls, sink, selection, rules))


def _chosen(calls: list[Call], sink: Sink, selection: Selection, rules: Rules) -> list[Call]:
    """The calls with a session that is chosen, as they are here or as the database has them from another capture."""
    chosen = {
        call.call_id
        for call in calls
        if any(selection.session(record_of(session_of(session))) for session in sessions(call, rules))
    }
    others = (call.call_id for call in calls if call.call_id not in chosen)
    known = {session["CallId"] for session in sink.sessions(others) if selection.session(record_of(session))}
    return [call for call in calls if call.call_id in chosen or call.call_id in known]


def stored(sink: Sink, selection: Selection, spool: Spool) -> Iterator[Record]:
    """The sessions of the Call-IDs noted in `spool`, as the database has them, by InviteTime, Call-ID and tags."""
    return filter(selection.session, map(record_of, sink.sessions(spool.call_ids())))
