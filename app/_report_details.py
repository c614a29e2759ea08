"""The details of a call for the report: its messages, and why its sessions are so. Every text may be shown as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sipcdr.builder import explain, fact_of
from sipcdr.sinks import session_of

from ._explanations import FLAGS, MEDIA, shown_value
from ._flow import Flow
from ._ladder import names_of
from ._mask import harmless
from ._message_text import shown_text
from ._records import record_of
from ._sentences import sentence
from ._sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from sipcdr.builder import Derived, Explained, Fact, SipMessage

    from ._records import Record

MESSAGES: Final = 400
"""Messages of a call that are embedded."""
_KEYS: Final = frozenset({"SessionIdTime", "SessionIdSeq", "ReplaceDialogIdTime", "ReplaceDialogIdSeq"})


def details_of(
    messages: list[SipMessage], more: int, wanted: dict[int, Record], base: int, logs: AbstractSet[str]
) -> dict[str, Any]:
    """A call as the page reads it. logs: the sources whose messages have lines, not frames.

    messages: time (microseconds since `base`), source and destination (numbers of hosts), label, SDP marks, status,
    whether it was seen before, text, file (a number), frame or line. sessions: those of `wanted` by their number in the
    report, as far as the messages make them.
    """
    messages = sorted(messages, key=lambda message: message.time)
    sightings = Sightings()
    sightings.add(messages)
    flow = Flow()
    flow.add(messages)
    hosts: dict[str, int] = {}
    files: dict[str, int] = {}
    places: dict[Fact, int] = {}
    shown = []
    for number, (message, arrow, ends) in enumerate(zip(messages, flow.arrows, names_of(flow.arrows, {}), strict=True)):
        fact = fact_of(message, sightings.rules.correlation_header)
        if fact is not None:
            places.setdefault(fact, number)
        source = message.position.source
        unit = "line" if source in logs else "frame"
        shown.append(
            (
                arrow.time - base,
                hosts.setdefault(ends[0], len(hosts)),
                hosts.setdefault(ends[1], len(hosts)),
                arrow.label,
                arrow.marks,
                arrow.status,
                int(arrow.again),
                shown_text(message.raw, message.body_at),
                files.setdefault(f"{harmless(source)}, {unit}", len(files)),
                message.position.number,
            )
        )
    sessions = {}
    for call in sightings.calls.values():
        for explained in explain(call, sightings.rules):
            own = record_of(session_of(explained.details))
            for number, record in wanted.items():
                if _same(own, record):
                    sessions[number] = _session(explained, sightings, places, own, record)
    return {"messages": shown, "hosts": list(hosts), "files": list(files), "more": more, "sessions": sessions}


def _same(one: Record, other: Record) -> bool:
    return all(one[name] == other[name] for name in ("FromTag", "ToTag", "InviteTime"))


def _session(
    explained: Explained, sightings: Sightings, places: dict[Fact, int], own: Record, record: Record
) -> dict[str, Any]:
    """Why a session is so. Messages are named by their numbers in the call."""
    numbers = [next((places[fact] for fact in seen.facts if fact in places), None) for seen in explained.messages]
    states: dict[int, str] = {}
    state = None
    for seen, number in zip(explained.messages, numbers, strict=True):
        if number is None:
            continue
        if seen.belongs != "here":
            states[number] = f"({seen.belongs})"
        elif not seen.expected:
            states[number] = "not expected here"
        elif seen.state is not None and seen.state is not state:
            state = seen.state
            states[number] = state.value
    odd = [
        (anomaly.text, [numbers[at] for at in anomaly.messages if numbers[at] is not None])
        for anomaly in explained.anomalies
    ]
    return {
        "sentence": sentence(explained, sightings),
        "odd": odd,
        "states": states,
        "columns": [_column(column, explained, numbers, places) for column in explained.columns],
        "differs": any(value != record[name] for name, value in own.items() if name not in _KEYS),
    }


def _column(column: Derived, explained: Explained, numbers: list[int | None], places: dict[Fact, int]) -> list[Any]:
    place = None
    if column.message is not None:
        fact = explained.messages[column.message].facts[column.sighting]
        place = places.get(fact, numbers[column.message])
    names = MEDIA if column.column == "MediaTypes" else FLAGS.get(column.column, {})
    return [
        column.column,
        None if column.value is None else shown_value(column.column, column.value),
        column.rule,
        place,
        harmless(column.detail),
        [(shown_value(column.column, lost.value), lost.rule, numbers[lost.message], lost.why) for lost in column.lost],
        [
            (f"{names[part.value]} by {part.rule}", None if part.message is None else numbers[part.message])
            for part in column.parts
            if isinstance(part.value, int) and part.value in names
        ],
    ]
