"""The command `explain`: from options to an exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sipcdr.builder import Explained, explain
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import session_of

from ._explanations import json_of, lines_of, overview
from ._figures import Figures
from ._records import json_lines, record_of
from ._sightings import Sightings
from ._status import ALL_READ, NOT_ALL_READ, say
from ._terminal import Paper, show, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._records import Record
    from ._select import Selection

Found = list[tuple[Explained, Sightings]]


def explain_captures(paths: Sequence[str], selection: Selection, form: str) -> int:
    """Explain the chosen sessions of captures; returns the exit status."""
    tally = Tally()
    sightings = Sightings()
    for batch in Inputs(paths, tally=tally):
        sightings.add(selection.messages(batch))
    status = print_found(explained(sightings, selection), selection, form)
    noted = [f"{reason} ({count})" for reason, count in sorted(tally.counts.items()) if reason.startswith(_GAPS)]
    if noted:
        say("in the captures as a whole: " + ", ".join(noted))
    for line in Figures(tally).problems():
        say(line)
    return NOT_ALL_READ if status == ALL_READ and tally.problem_count else status


_GAPS = ("TCP gap", "cut by", "IP datagram with lost", "refused:")
"""Counts of a run that may be why something lacks."""


def explained(sightings: Sightings, selection: Selection) -> Found:
    """The chosen sessions of all calls, explained, by time."""
    found = [
        (each, sightings)
        for call in sightings.calls.values()
        for each in explain(call, sightings.rules)
        if selection.session(record_of(session_of(each.details)))
    ]
    return sorted(found, key=lambda item: item[0].details.invite_time)


def print_found(found: Found, selection: Selection, form: str) -> int:
    """Print explanations: JSON, a session whole, or, where several weren't chosen, a few lines of each."""
    if not found:
        say("no such session")
        return NOT_ALL_READ
    if form == "json":
        records = (cast("Record", json_of(*each)) for each in found)
        return write(json_lines(records))
    paper = Paper.of_stdout()
    chosen = selection.call_id is not None or selection.asks_for_users
    return show(_whole(found, paper) if chosen or len(found) == 1 else overview(found, paper))


def _whole(found: Found, paper: Paper) -> Iterator[str]:
    for number, each in enumerate(found):
        if number:
            yield ""
            yield paper.paint("─" * min(paper.width or 80, 100) if paper.lines else "-" * 80, "dim")
        yield from lines_of(*each, paper)
