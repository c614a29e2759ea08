"""How a session ended and who ended it, in one sentence of plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._codes import NAMES
from ._mask import harmless

if TYPE_CHECKING:
    from sipcdr.builder import Explained, Seen

    from ._sightings import Sightings


def sentence(explained: Explained, sightings: Sightings) -> str:
    """The sentence. Nothing in it needs escaping."""
    ending = explained.ending
    code = code_of(explained, ending.message, sightings)
    text = _TEXTS[ending.how](explained, code)
    text = text[0].upper() + text[1:]
    if ending.diagnostic:
        text += f" Diagnostic {ending.diagnostic}" + (f": {harmless(ending.reason)}." if ending.reason else ".")
    if ending.message is not None:
        for fact in explained.messages[ending.message].facts:
            sighting = sightings.of(fact)
            if sighting is not None and sighting.notes:
                return f"{text} {'; '.join(sighting.notes)}."
    return text


def span(micros: int) -> str:
    """A duration: `0.05 s`, `4.9 s`, `2:07 min`, `1:03:07 h`."""
    seconds = max(micros, 0) / 1_000_000
    if seconds < 1:
        return f"{seconds:.3f} s"
    if seconds < 60:
        return f"{int(seconds * 10) / 10:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def code_of(explained: Explained, number: int | None, sightings: Sightings) -> str:
    """A response in words, with its own reason phrase where it is known."""
    if number is None:
        return ""
    message = explained.messages[number]
    return f"{message.status} {phrase(message, sightings)}".rstrip()


def phrase(message: Seen, sightings: Sightings) -> str:
    """The reason phrase of a response, else the name of its code."""
    sighting = sightings.of(message.facts[0])
    if sighting is not None:
        return sighting.start_line.partition(" ")[2].partition(" ")[2] or NAMES.get(message.status, "")
    return NAMES.get(message.status, "")


def _party(explained: Explained, side: str) -> str:
    user = explained.details.user1 if side == "caller" else explained.details.user2
    return f"the {side}" if user is None else f"the {side} ({harmless(user.uri)})"


def _hung_up(explained: Explained, _: str) -> str:
    ending = explained.ending
    party = _party(explained, ending.by)
    if ending.talked is not None:
        return f"answered after {span(ending.waited or 0)}; {party} hung up after {span(ending.talked)} of talk."
    if ending.waited is None:
        return f"a call that was up before the first message seen; {party} hung up."
    return f"{party} sent a BYE before the call was answered."


def _refused(explained: Explained, code: str) -> str:
    ending = explained.ending
    number = ending.message
    waited = span(ending.waited or 0)
    if number is None:
        return f"not answered: {code} after {waited}."
    source = explained.messages[number].source
    if ending.by == "callee":
        return f"not answered: {_party(explained, 'callee')} said {code} after {waited}."
    return f"not answered: {code} after {waited}" + (f", from {harmless(source)}." if source else ".")


def _redirected(explained: Explained, code: str) -> str:
    ending = explained.ending
    return f"sent elsewhere by {code} after {span(ending.waited or 0)}; no further attempt was seen."


def _challenged(explained: Explained, code: str) -> str:
    ending = explained.ending
    return f"asked for credentials by {code} after {span(ending.waited or 0)}; no further attempt was seen."


def _cancelled(explained: Explained, _: str) -> str:
    number = explained.ending.message
    waited = 0 if number is None else explained.messages[number].time - explained.details.invite_time
    rang = any(m.method == "INVITE" and 100 < m.status < 200 for m in explained.messages)
    how = "while it rang" if rang else "before it rang"
    by = "" if number is None or explained.messages[number].method == "CANCEL" else ", as the 487 says"
    final = ""
    if explained.ending.code not in (None, 487):
        final = f" The answer was {explained.ending.code} {NAMES.get(explained.ending.code or 0, '')}".rstrip() + "."
    return f"{_party(explained, 'caller')} gave up after {span(waited)}, {how}{by}.{final}"


def _up(explained: Explained, _: str) -> str:
    ending = explained.ending
    if ending.talked is None:
        return "a call that was up before the first message seen; no end was seen."
    return f"answered after {span(ending.waited or 0)}; no end was seen in the {span(ending.talked)} that followed."


def _ringing(explained: Explained, _: str) -> str:
    last = span(explained.ending.waited or 0)
    return f"it rang; neither an answer nor an end was seen, and the last message came {last} after the INVITE."


def _no_answer(explained: Explained, _: str) -> str:
    own = [m for m in explained.messages if m.belongs == "here"]
    sent = sum(m.repeats + 1 for m in own if m.method == "INVITE" and not m.status)
    times = "the INVITE" if sent == 1 else f"the INVITE, sent {sent} times in {span(_reach(own))},"
    if any(m.status == 100 for m in own):
        return f"no answer: {times} got only a 100 Trying."
    return f"no answer: {times} got no response at all."


def _reach(messages: list[Seen]) -> int:
    invites = [fact.time for m in messages if m.method == "INVITE" and not m.status for fact in m.facts]
    return max(invites, default=0) - min(invites, default=0)


def _message(explained: Explained, _: str) -> str:
    count = explained.details.user1_message_count
    texts = "a message" if count == 1 else f"{count} messages" if count else "a notice"
    code = explained.details.response_code
    answer = "no answer was seen" if code is None else f"the answer was {code} {NAMES.get(code, '')}".rstrip()
    return f"{texts} outside of any session from {_party(explained, 'caller')}; {answer}."


_TEXTS = {
    "hung up": _hung_up,
    "refused": _refused,
    "redirected": _redirected,
    "challenged": _challenged,
    "cancelled": _cancelled,
    "up": _up,
    "ringing": _ringing,
    "no answer": _no_answer,
    "message": _message,
}
