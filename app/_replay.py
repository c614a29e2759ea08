"""Replay: calls that are due into a database, or straight into records.

What is written is decided by what was read, never by when; so batches may be cut anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipcdr.builder import Rules, sessions
from sipcdr.sinks import session_of

from ._derived import call_of, rows_of
from ._reading import BATCH_BYTES, BATCH_CALLS
from ._records import record_of
from ._write import Refusals, write_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sipcdr.builder import Call
    from sipcdr.sinks import Sink

    from ._derived import Due
    from ._figures import Figures
    from ._records import Record
    from ._select import Selection
    from ._spool import Spool

REFUSED_CALLS: Final = "sipcdr-refused.jsonl"
"""The file, in the current folder, of calls that a database refused; made with the first."""


def replay_alone(due: Iterable[Sequence[Due]], selection: Selection, figures: Figures) -> Iterator[Record]:
    """Replay without a database: records of sessions as their calls leave memory."""
    rules = Rules()
    for calls in due:
        for call in calls:
            for session in rows_of(call, rules, figures.outcome.counts):
                record = record_of(session_of(session))
                if selection.session(record):
                    figures.outcome.inserted += 1
                    yield record


def replay_unseen(due: Iterable[Sequence[Due]], figures: Figures) -> None:
    """Replay without a database for nobody who wants to see sessions: derive and count them."""
    rules = Rules()
    outcome = figures.outcome
    for calls in due:
        codes = [row.response_code for call in calls for row in rows_of(call, rules, outcome.counts)]
        outcome.inserted += len(codes)
        figures.codes.update(codes)


def replay_into(
    sink: Sink,
    due: Iterable[Sequence[Due]],
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

    def write(calls: Sequence[Due]) -> None:
        write_calls(sink, calls, rules, outcome=figures.outcome, refusals=refusals)
        spool.note(call.call_id for call in calls)
        tick()

    for calls in due:
        if selection.asks_for_users:
            spool.keep(map(call_of, calls))
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
