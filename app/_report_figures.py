"""The report's figures, as its page shows them: a title, a value, a second line, and what is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._sentences import span

if TYPE_CHECKING:
    from ._statistics import Group

Card = tuple[str, str, str, str]


def cards_of(group: Group) -> list[Card]:
    """The cards above the plots."""
    delays = {percent: _span(group.delays.percentile(percent)) for percent in (50, 95)}
    answers = {percent: _span(group.answers.percentile(percent)) for percent in (50, 95)}
    figures = [
        ("Calls", f"{group.calls:,}", f"{group.calls - group.answered:,} unanswered"),
        ("ASR", _percent(group.asr), f"{group.answered:,} answered"),
        ("NER", _percent(group.ner), f"{group.reached:,} reached"),
        ("SEER", _percent(group.seer), "RFC 6076"),
        ("Duration", _span(group.acd), f"mean of {group.ended:,}"),
        ("Delay", delays[50], f"95 %: {delays[95]}"),
        ("Answer", answers[50], f"95 %: {answers[95]}"),
    ]
    if group.messages:
        figures.append(("Messages", f"{group.messages:,}", "sessions"))
    return [(*figure, _MEANINGS[figure[0]]) for figure in figures]


_MEANINGS: Final = {
    "Calls": "Sessions with an invitation to more than messages",
    "ASR": "Answer seizure ratio: answered of all calls (ITU-T E.411, E.425)",
    "NER": "Network effectiveness ratio: answered, busy, unanswered, given up or turned down, of all (ITU-T E.425)",
    "SEER": "Session establishment effectiveness ratio (RFC 6076 section 4.7)",
    "Duration": "Average call duration (ACD): from the answer to the end",
    "Delay": "Post-dial delay: from the INVITE to the first sign of the far end (RFC 6076 section 4.3); median",
    "Answer": "From the INVITE to the 2xx; median",
    "Messages": "Sessions of instant messages only, which are no calls",
}


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} %"


def _span(micros: int | None) -> str:
    return "–" if micros is None else span(micros)
