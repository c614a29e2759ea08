"""The command `explain`: from options to an exit status."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

import msgspec

from sipcdr.builder import BuilderError, Call, Explained, call_key, explain, grid
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import SessionKey, Sink, SinkAddress, SinkError, session_of

from ._explanations import json_of, lines_of, overview
from ._figures import Figures
from ._mask import harmless
from ._records import json_lines, record_of, text
from ._select import as_received
from ._sightings import Sightings
from ._status import ALL_READ, NOT_ALL_READ, REFUSED, USAGE, say
from ._terminal import Paper, show, write
from ._write import stored_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipcdr.ingest import LogOptions
    from sipcdr.sinks import StoredCall

    from ._records import Record
    from ._select import Selection

Found = list[tuple[Explained, Sightings]]


class Chosen(msgspec.Struct, frozen=True):
    """Which sessions are asked for: by users or Call-ID, or by the key of one."""

    selection: Selection
    key: SessionKey | None = None

    @property
    def some(self) -> bool:
        """Whether anything was chosen."""
        return self.key is not None or self.selection.call_id is not None or self.selection.asks_for_users


def session_key(value: str) -> SessionKey:
    """The key that `2026-11-23 08:00:12.407/1` names. Raises ValueError."""
    time, _, seq = value.rpartition("/")
    try:
        moment = datetime.fromisoformat(time)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return SessionKey(grid((moment - _EPOCH) // timedelta(microseconds=1)), int(seq))
    except ValueError as error:
        raise ValueError(f"{value!r} is no key: write TIME/SEQ, such as 2026-11-23T08:00:12.407/1") from error


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def explain_captures(paths: Sequence[str], chosen: Chosen, form: str, logs: LogOptions) -> int:
    """Explain the chosen sessions of captures; returns the exit status."""
    tally = Tally()
    sightings = Sightings(logs=tally.logs)
    for batch in Inputs(paths, tally=tally, logs=logs):
        sightings.add(chosen.selection.messages(batch))
    status = _print(_explained(sightings, chosen), chosen, form)
    noted = [f"{reason} ({count})" for reason, count in sorted(tally.counts.items()) if reason.startswith(_GAPS)]
    if noted:
        say("in the captures as a whole: " + ", ".join(noted))
    for line in Figures(tally).problems():
        say(line)
    return NOT_ALL_READ if status == ALL_READ and tally.problem_count else status


_GAPS: Final = ("TCP gap", "cut by", "IP datagram with lost", "refused:")
"""Counts of a run that may be why something lacks."""


def explain_stored(url: str, chosen: Chosen, form: str) -> int:
    """Explain the chosen sessions of a database from their stored facts; returns the exit status."""
    try:
        with closing(Sink.open(url, ddl=False)) as sink:
            selection = chosen.selection
            if selection.call_id is not None:
                wanted = [as_received(selection.call_id)]
            else:
                wanted = sink.find(caller=selection.caller, callee=selection.callee, key=chosen.key)
            sightings = Sightings(kept=False)
            status = ALL_READ
            for call_id in wanted:
                stored = sink.read([call_key(call_id)]).get(call_key(call_id))
                if stored is None:
                    continue
                try:
                    sightings.calls[call_id] = call_of(stored)
                except ValueError as error:
                    say(f"call {harmless(text(call_id))}: {error}")
                    status = REFUSED
    except SinkError as error:
        say(str(error))
        return USAGE if isinstance(error, SinkAddress) else REFUSED
    return _print(_explained(sightings, chosen), chosen, form) if sightings.calls or status == ALL_READ else status


def call_of(stored: StoredCall) -> Call:
    """The call whose facts are stored. Raises ValueError if they were purged, or are damaged."""
    if not stored.facts:
        raise ValueError("its facts were purged: only its row is left")
    try:
        return Call.from_bytes(stored_bytes(stored))
    except BuilderError as error:
        raise ValueError(str(error)) from error


def _explained(sightings: Sightings, chosen: Chosen) -> Found:
    """The chosen sessions of all calls, by time."""
    found: Found = []
    sequence: Counter[int] = Counter()
    every = [(each, sightings) for call in sightings.calls.values() for each in explain(call, sightings.rules)]
    every.sort(key=lambda item: (item[0].details.invite_time, item[0].details.external_id))
    for explained, by in every:
        tick = grid(explained.details.invite_time)
        sequence[tick] += not explained.left_out
        # The key that a first write would give, where a database doesn't say which it gave.
        same = chosen.key is None or not sightings.kept or chosen.key == SessionKey(tick, sequence[tick])
        if same and chosen.selection.session(record_of(session_of(explained.details))):
            found.append((explained, by))
    return found


def _print(found: Found, chosen: Chosen, form: str) -> int:
    """Print explanations: JSON, a session whole, or, where several weren't chosen, a few lines of each."""
    if not found:
        say("no such session")
        return NOT_ALL_READ
    if form == "json":
        return write(json_lines(cast("Record", json_of(*each)) for each in found))
    paper = Paper.of_stdout()
    return show(_whole(found, paper) if chosen.some or len(found) == 1 else overview(found, paper))


def _whole(found: Found, paper: Paper) -> Iterator[str]:
    for number, each in enumerate(found):
        if number:
            yield ""
            yield paper.paint(("─" if paper.lines else "-") * min(paper.width or 80, 100), "dim")
        yield from lines_of(*each, paper)
