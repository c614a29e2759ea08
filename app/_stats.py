"""Figures as text for people, as JSON, and as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len

from ._codes import NAMES
from ._mask import harmless
from ._records import csv_cell
from ._sentences import span
from ._statistics import PERCENTILES, diagnostic_of
from ._terminal import cut, filled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._statistics import Group
    from ._terminal import Paper

Of = str | int | None
_TITLES: Final = {"hour": "Hour (UTC)", "day": "Day (UTC)", "agent": "Caller's client", "server": "Server",
                  "code": "Response", "diagnostic": "Diagnostic"}  # fmt: skip
_FAILURES: Final = 20
"""Kinds of failures that the table shows."""


def table_of(groups: Sequence[tuple[Of, Group]], by: str | None, paper: Paper) -> Iterator[str]:
    """The figures for people: of all sessions at length, of groups a line each."""
    if by is None:
        yield from _whole(groups[0][1], paper)
    else:
        yield from _groups(groups, by, paper)


def _whole(group: Group, paper: Paper) -> Iterator[str]:
    rows = [
        ("Calls", f"{group.calls:,}", f"and {group.messages:,} sessions of messages" if group.messages else ""),
        ("ASR", _percent(group.asr), f"answer seizure ratio: {group.answered:,} answered"),
        ("NER", _percent(group.ner), f"network effectiveness ratio: {group.reached:,} reached the far end"),
        ("SER", _percent(group.ser), "session establishment ratio (RFC 6076)"),
        ("SEER", _percent(group.seer), "session establishment effectiveness ratio (RFC 6076)"),
        ("ACD", _span(group.acd), f"average duration of {group.ended:,} answered calls that ended"),
    ]
    for title, value, words in rows:
        yield f"{paper.paint(f'{title:<7}', 'bold')}{value:>12}   {words}".rstrip()
    for title, histogram, words in (
        ("PDD", group.delays, "post-dial delay"),
        ("Answer", group.answers, "from the INVITE to the 2xx"),
    ):
        known = {percent: value for percent, value in histogram.percentiles().items() if value is not None}
        shown = ", ".join(f"{percent} % {span(value)}" for percent, value in known.items() if percent != 50)
        yield f"{paper.paint(f'{title:<7}', 'bold')}{_span(known.get(50)):>12}   {words}, median" + (
            f"; {shown}; of {histogram.total:,} calls" if known else ""
        )
    failures = list(group.worst())
    if not failures:
        return
    yield ""
    yield paper.paint("Not answered", "bold")
    for code, diagnostic, count in failures[:_FAILURES]:
        raised = "" if diagnostic is None else _diagnostic(diagnostic)
        yield f"{count:>9,}   {_code(code):<36} {raised}".rstrip()
    rest = sum(count for _, _, count in failures[_FAILURES:])
    if rest:
        yield f"{rest:>9,}   of {len(failures) - _FAILURES:,} more kinds"


def _groups(groups: Sequence[tuple[Of, Group]], by: str, paper: Paper) -> Iterator[str]:
    heads = ("Calls", "Answered", "ASR", "NER", "ACD", "PDD 50 %", "95 %", "Answer 50 %")
    names = [_named(by, of) for of, _ in groups]
    figures = [
        (
            f"{group.calls:,}", f"{group.answered:,}", _percent(group.asr), _percent(group.ner), _span(group.acd),
            _span(group.delays.percentile(50)), _span(group.delays.percentile(95)), _span(group.answers.percentile(50)),
        )
        for _, group in groups
    ]  # fmt: skip
    widths = [max(len(head), *(len(row[at]) for row in figures)) for at, head in enumerate(heads)]
    if paper.width is not None:
        # The last ones go first, where there is no room.
        while widths and 14 + sum(widths) + 2 * len(widths) > paper.width:
            widths.pop()
    room = max(cell_len(name) for name in (_TITLES[by], *names))
    if paper.width is not None:
        room = min(room, max(paper.width - sum(widths) - 2 * len(widths), 8))
    yield paper.paint(
        filled(_TITLES[by], room) + "".join(f"  {head:>{width}}" for head, width in zip(heads, widths, strict=False)),
        "bold",
    )
    for name, row in zip(names, figures, strict=True):
        yield filled(cut(name, room), room) + "".join(
            f"  {value:>{width}}" for value, width in zip(row, widths, strict=False)
        )


def _named(by: str, of: Of) -> str:
    if by == "code":
        return _code(of if isinstance(of, int) else None)
    if by == "diagnostic":
        return _diagnostic(of) if isinstance(of, int) else "none"
    if of is None:
        return "unknown"
    return f"{of}:00" if by == "hour" else harmless(str(of))


def _code(code: int | None) -> str:
    return "no response" if code is None else f"{code} {NAMES.get(code, '')}".rstrip()


def _diagnostic(diagnostic: int) -> str:
    component = diagnostic_of(diagnostic)
    return f"{diagnostic}" + (f" ({component})" if component else "")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"


def _span(micros: int | None) -> str:
    return "-" if micros is None else span(micros)


def json_of(by: str | None, of: Of, group: Group) -> dict[str, Any]:
    """A group as one JSON object. Durations are seconds, ratios percent."""
    names: dict[str, Any] = {} if by is None else {"By": by, "Of": of, **_meaning(by, of)}
    failures = [
        {
            "ResponseCode": code,
            "Name": None if code is None else NAMES.get(code),
            "DiagnosticId": diagnostic,
            "RaisedBy": None if diagnostic is None else diagnostic_of(diagnostic) or None,
            "Calls": count,
        }
        for code, diagnostic, count in group.worst()
    ]
    return names | _flat(group) | {"Failures": failures}


def csv_of(groups: Sequence[tuple[Of, Group]], by: str | None) -> Iterator[str]:
    """A line of names, then one a group."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for number, (of, group) in enumerate(groups):
        names: dict[str, Any] = {} if by is None else {"By": by, "Of": of, "Meaning": None, **_meaning(by, of)}
        row = names | _flat(group)
        if number == 0:
            writer.writerow(row)
        writer.writerow([value if isinstance(value, float) else csv_cell(value) for value in row.values()])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _meaning(by: str, of: Of) -> dict[str, str | None]:
    if by == "code":
        return {"Meaning": NAMES.get(of) if isinstance(of, int) else None}
    if by == "diagnostic":
        return {"Meaning": diagnostic_of(of) or None if isinstance(of, int) else None}
    return {}


def _flat(group: Group) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "Calls": group.calls,
        "Answered": group.answered,
        "Reached": group.reached,
        "Messages": group.messages,
        "ASR": group.asr,
        "NER": group.ner,
        "SER": group.ser,
        "SEER": group.seer,
        "Ended": group.ended,
        "ACD": _seconds(group.acd),
    }
    for title, histogram in (("PDD", group.delays), ("Answer", group.answers)):
        figures[f"{title}Calls"] = histogram.total
        figures |= {f"{title}{percent}": _seconds(histogram.percentile(percent)) for percent in PERCENTILES}
    return figures


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / 1_000_000
