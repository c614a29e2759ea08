"""`explain`: the provenance of each column, from the same tables of rules that `sessions` derives it by.

What competed is found by asking again: the rules behind the winner, and the whole column once more without the
messages that have won so far. No rule is written a second time here.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from ._anomalies import anomalies_of
from ._columns import (
    CALL_FLAG,
    CALL_PRIORITY,
    DIAGNOSTIC_ID,
    END_TIME,
    INVITE_TIME,
    LAST_MODIFIED_TIME,
    RESPONSE,
    USER1_FLAG,
    USER2_FLAG,
    Row,
    diagnostic_of,
    findings,
    texts_of,
)
from ._dialogs import chosen_final, rank
from ._ending import ending_of
from ._explained import Derived, Explained, Lost, Part, Seen
from ._facts import KEYS, METHODS, fields_of
from ._ignore import ignored
from ._labels import CONTENT_TYPE, CORRELATION_ID, REPLACES, SERVER, endpoints
from ._media import evidence_of, offered
from ._parties import (
    IS_USER1_INTERNAL,
    IS_USER2_INTERNAL,
    ON_BEHALF_OF,
    REFERRED_BY,
    STARTED_BY_CALLER,
    TARGET_USER,
    USER1,
    USER1_CLIENT,
    USER1_EDGE_SERVER,
    USER2,
    USER2_CLIENT,
    USER2_EDGE_SERVER,
)
from ._rules import Rules
from ._sessions import columns_of, is_conference, rows_of
from ._state import closing_time, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._call import Call
    from ._columns import Column, Finding
    from ._dialogs import Session
    from ._groups import Message
    from ._row import SessionDetails

LOST: Final = 4
"""Competitors of a column that are looked for."""

_RULES = Rules()


def explain(call: Call, rules: Rules = _RULES) -> list[Explained]:
    """The rows of a call as `sessions` derives them, and its conference legs, each with why it is so."""
    found = rows_of(call, rules, Counter())
    owned = {id(message) for row, _ in found for message in row.session.messages}
    explained: list[Explained] = []
    for row, external_id in found:
        row.counts = Counter()
        details = columns_of(call, row, external_id)
        session = row.session
        places = {id(message): number for number, message in enumerate(session.shape.generation.messages)}
        seen = _seen(session, owned)
        anomalies = anomalies_of(call, row, seen, places)
        columns = _columns(row, details, places)
        diagnostic = next(column.detail for column in columns if column.column == "DiagnosticId")
        explained.append(
            Explained(
                details=details,
                left_out=_left_out(row, details),
                ending=ending_of(session, details, places, diagnostic),
                state=session.state(),
                closes=closing_time(session, rules),
                messages=seen,
                columns=columns,
                anomalies=anomalies,
            )
        )
    return explained


def _left_out(row: Row, details: SessionDetails) -> str:
    if is_conference(row):
        return "a conference leg"
    why = ignored(row, details)
    return f"ignored by {why}" if why else ""


def _seen(session: Session, owned: set[int]) -> tuple[Seen, ...]:
    """All messages of the row's generation, in the order of facts. owned: those of all rows."""
    own = {id(message) for message in session.messages}
    steps = {id(step.message): step for step in walk(session)}
    seen: list[Seen] = []
    for message in session.shape.generation.messages:
        first = message.details[0]
        step = steps.get(id(message))
        places = Counter(
            (fact.vias, details.source, details.destination)
            for fact, details in zip(message.facts, message.details, strict=True)
        )
        sdp = next((details.sdp for details in message.details if details.sdp), ())
        seen.append(
            Seen(
                facts=tuple(message.facts),
                paths=tuple((details.source, details.destination) for details in message.details),
                time=message.time,
                method=METHODS[message.method],
                status=message.status,
                cseq=message.cseq,
                from_tag=message.from_tag,
                to_tag=message.to_tag,
                vias=message.vias,
                by_caller=message.by_caller,
                source=first.source,
                destination=first.destination,
                media=sdp,
                repeats=max(places.values()) - 1,
                places=len(places),
                state=None if step is None else step.state,
                expected=step is None or step.expected,
                belongs="here" if id(message) in own else "another row" if id(message) in owned else "no row",
            )
        )
    return tuple(seen)


# Which column of the record, its field in SessionDetails, and the rules that derive it; several columns of one
# derivation stand together, in the order of its value's parts.
def _tabled(column: Column[Any]) -> Callable[[Row], Iterator[Finding[Any]]]:
    return lambda row: findings(row, column)


_COLUMNS: tuple[tuple[tuple[tuple[str, str], ...], Callable[[Row], Iterator[Finding[Any]]]], ...] = (
    ((("CorrelationId", "correlation_id"),), _tabled(CORRELATION_ID)),
    ((("ReplaceDialogId", "reference"),), _tabled(REPLACES)),
    ((("User1", "user1"),), _tabled(USER1)),
    ((("User2", "user2"),), _tabled(USER2)),
    ((("User1EndpointId", "user1_endpoint_id"),), lambda row: endpoints(row, True)),
    ((("User2EndpointId", "user2_endpoint_id"),), lambda row: endpoints(row, False)),
    ((("TargetUser", "target_user"),), _tabled(TARGET_USER)),
    ((("OnBehalfOf", "on_behalf_of"),), _tabled(ON_BEHALF_OF)),
    ((("ReferredBy", "referred_by"),), _tabled(REFERRED_BY)),
    ((("Server", "server"), ("Pool", "pool")), _tabled(SERVER)),
    ((("ContentType", "content_type"),), _tabled(CONTENT_TYPE)),
    ((("User1ClientVer", "user1_client"),), _tabled(USER1_CLIENT)),
    ((("User2ClientVer", "user2_client"),), _tabled(USER2_CLIENT)),
    ((("User1EdgeServer", "user1_edge_server"),), _tabled(USER1_EDGE_SERVER)),
    ((("User2EdgeServer", "user2_edge_server"),), _tabled(USER2_EDGE_SERVER)),
    ((("IsUser1Internal", "is_user1_internal"),), _tabled(IS_USER1_INTERNAL)),
    ((("IsUser2Internal", "is_user2_internal"),), _tabled(IS_USER2_INTERNAL)),
    ((("InviteTime", "invite_time"),), _tabled(INVITE_TIME)),
    ((("ResponseTime", "response_time"), ("ResponseCode", "response_code")), _tabled(RESPONSE)),
    ((("DiagnosticId", "diagnostic_id"),), _tabled(DIAGNOSTIC_ID)),
    ((("CallPriority", "call_priority"),), _tabled(CALL_PRIORITY)),
    ((("SessionEndTime", "session_end_time"),), _tabled(END_TIME)),
    ((("LastModifiedTime", "last_modified_time"),), _tabled(LAST_MODIFIED_TIME)),
)

_ORDER: Final = (
    *("CorrelationId", "ReplaceDialogId", "User1", "User2", "User1EndpointId", "User2EndpointId", "TargetUser"),
    *("SessionStartedBy", "OnBehalfOf", "ReferredBy", "Server", "Pool", "ContentType", "User1ClientVer"),
    *("User2ClientVer", "User1EdgeServer", "User2EdgeServer", "IsUser1Internal", "IsUser2Internal", "InviteTime"),
    *("ResponseTime", "ResponseCode", "DiagnosticId", "CallPriority", "User1MessageCount", "User2MessageCount"),
    *("SessionEndTime", "MediaTypes", "User1Flag", "User2Flag", "CallFlag", "LastModifiedTime"),
)
"""The schema's order."""


def _columns(row: Row, details: SessionDetails, places: dict[int, int]) -> tuple[Derived, ...]:
    row.counts = Counter()  # deriving again counts what is odd again
    found = [
        *(column for names, find in _COLUMNS for column in _column(row, details, names, find, places)),
        _started_by(row, details, places),
        *_message_counts(row, details, places),
        _media_types(row, details, places),
        _bits(row, "User1Flag", details.user1_flag, USER1_FLAG, places),
        _bits(row, "User2Flag", details.user2_flag, USER2_FLAG, places),
        _bits(row, "CallFlag", details.call_flag, CALL_FLAG, places),
    ]
    return tuple(sorted(found, key=lambda column: _ORDER.index(column.column)))


def _column(
    row: Row,
    details: SessionDetails,
    names: tuple[tuple[str, str], ...],
    find: Callable[[Row], Iterator[Finding[Any]]],
    places: dict[int, int],
) -> Iterator[Derived]:
    """One derivation: the column that it sets, or several at once."""
    winner = next(find(row), None)
    lost: list[_Competitor] = []
    if winner is not None:
        if names[-1][0] == "ResponseCode":
            lost = _lost_finals(row, winner)
        elif names[0][0] != "LastModifiedTime":  # the latest of all has no rival
            lost = _lost(row, find, winner)
    for part, (name, field) in enumerate(names):
        value = getattr(details, field)
        if winner is None or value is None:
            yield Derived(name, value)
            continue
        rule, _, message = winner
        yield Derived(
            name,
            value,
            rule,
            places.get(id(message)),
            _sighting(message, rule),
            _diagnostic_text(message) if name == "DiagnosticId" else "",
            tuple(
                Lost(other, by, places[id(source)], why)
                for by, values, source, why in lost
                if (other := values[part] if len(names) > 1 else values) not in (None, value)
            ),
        )


_Competitor = tuple[str, Any, "Message", str]


def _lost(row: Row, find: Callable[[Row], Iterator[Finding[Any]]], winner: Finding[Any]) -> list[_Competitor]:
    """What the column would be by another rule, or if its messages hadn't been there, one after the other."""
    rule, value, message = winner
    taken = [value]
    lost: list[_Competitor] = []

    def note(by: str, other: Any, source: Message) -> None:
        if other not in taken and not _stands_in(source, message):
            taken.append(other)
            lost.append((by, other, source, _why(row.session, rule, message, by, source)))

    for by, other, source in find(row):
        note(by, other, source)
    hidden = [message]
    while len(lost) < LOST:
        fewer = _without(row, hidden)
        found = None if fewer is None else next(find(fewer), None)
        if found is None or any(found[2] is one for one in hidden):
            break
        note(*found)
        if found[0] != rule:
            break  # what stands in for messages that are there is no rival
        hidden.append(found[2])
    return lost[:LOST]


def _stands_in(response: Message, request: Message) -> bool:
    """Whether a response would only have taken its request's place."""
    return (
        bool(response.status)
        and not request.status
        and (response.method, response.cseq, response.from_tag) == (request.method, request.cseq, request.from_tag)
    )


def _why(session: Session, rule: str, winner: Message, by: str, loser: Message) -> str:
    if rule == by == "end.final":
        return _why_not(session, winner, loser)
    if by != rule:
        return f"{rule} comes before {by}"
    if loser.time >= winner.time:
        return "the earlier one counts"
    return f"{rule} looks elsewhere first"


def _without(row: Row, hidden: list[Message]) -> Row | None:
    """The row as it would be without some of its messages; None if it would be of another kind."""
    gone = {id(message) for message in hidden}

    def left(messages: list[Message]) -> list[Message]:
        return [message for message in messages if id(message) not in gone]

    session = copy.copy(row.session)
    session.messages = left(session.messages)
    session.invites = left(session.invites)
    if not session.messages or (row.initial and not session.invites):
        return None
    session.responses = left(session.responses)
    session.cancels = left(session.cancels)
    session.inside = left(session.inside)
    if session.success is not None and id(session.success) in gone:
        session.success = None
    if session.final is not None and id(session.final) in gone:
        session.final = chosen_final(session.responses, session.attempt)
    return Row(session, row.rules, Counter())


def _lost_finals(row: Row, winner: Finding[Any]) -> list[_Competitor]:
    """The other final responses to the call's attempts, and why each isn't the session's."""
    rule, _, chosen = winner
    session = row.session
    return [
        (rule, (message.time, message.status), message, _why_not(session, chosen, message))
        for message in session.shape.responses
        if message.status >= 200 and message is not chosen
    ]


def _why_not(session: Session, chosen: Message, other: Message) -> str:
    if other.status < 300 and other.to_tag != session.tag:
        return "another phone's answer: a dialog and a row of its own"
    if other.cseq != session.attempt:
        if session.answered:
            return "another attempt: this row's is the one that was answered"
        return "an earlier attempt: the last one decides"
    if chosen.status < 200:
        return "no final response to the last attempt"
    if chosen.status < 300:
        return "a 2xx beats any failure"
    reasons = (
        "a 2xx beats any failure",
        f"it had {other.vias} Vias, the chosen one {chosen.vias}: what the caller got counts",
        "a forking proxy sends up 6xx first, then the lowest class (RFC 3261 16.7)",
        "a forking proxy prefers 401, 407, 415, 420 and 484 (RFC 3261 16.7)",
    )
    for mine, theirs, reason in zip(rank(chosen), rank(other), reasons, strict=True):
        if mine != theirs:
            return reason
    return "the earlier one counts"


# Of rules that read one header the field of a fact which holds it.
_FIELDS: Final = {
    name: needed
    for column in (
        *(CORRELATION_ID, REPLACES, USER1, USER2, TARGET_USER, ON_BEHALF_OF, REFERRED_BY, SERVER, CONTENT_TYPE),
        *(USER1_CLIENT, USER2_CLIENT, USER1_EDGE_SERVER, USER2_EDGE_SERVER, IS_USER1_INTERNAL, IS_USER2_INTERNAL),
    )
    for name, needed, _ in column
    if needed
}


def _sighting(message: Message, rule: str) -> int:
    """Which of a message's facts a rule read: the earliest that has its header."""
    key = KEYS.get(_FIELDS.get(rule, ""))
    if key is not None and len(message.facts) > 1:
        for number, fact in enumerate(message.facts):
            if fields_of(fact).get(key):
                return number
    return 0


def _diagnostic_text(message: Message) -> str:
    found = diagnostic_of(message, Counter())
    return "" if found is None else found[1]


def _started_by(row: Row, details: SessionDetails, places: dict[int, int]) -> Derived:
    for rule, _, message in findings(row, STARTED_BY_CALLER):
        return Derived("SessionStartedBy", details.session_started_by, rule, places.get(id(message)))
    return Derived("SessionStartedBy", None)


def _message_counts(row: Row, details: SessionDetails, places: dict[int, int]) -> Iterator[Derived]:
    texts = texts_of(row)
    reasons = {
        "messages.not_im": "a typing notice or a receipt: nobody wrote it",
        "messages.challenged": "challenged, and sent again with credentials",
    }
    for name, from_caller, value in (
        ("User1MessageCount", True, details.user1_message_count),
        ("User2MessageCount", False, details.user2_message_count),
    ):
        own = [text for text in texts if text.from_caller == from_caller]
        parts = [
            Part(1, text.rule, places.get(id(text.message)) if text.message is not None else None)
            for text in own
            if text.counts and value
        ]
        lost = [
            Lost(1, text.rule, places[id(text.message)], reasons[text.rule])
            for text in own
            if text.message is not None and not text.counts
        ]
        first = parts[0].message if parts else None
        yield Derived(name, value, "messages.count" if own else "", first, lost=tuple(lost), parts=tuple(parts))


def _media_types(row: Row, details: SessionDetails, places: dict[int, int]) -> Derived:
    found = evidence_of(row.session)
    parts = tuple(Part(bit, rule, places[id(message)]) for bit, (rule, message) in sorted(found.items()))
    refused: dict[int, Message] = {}
    for message in row.session.messages:
        for bit in offered(message):
            if bit not in found:
                refused.setdefault(bit, message)
    lost = tuple(
        Lost(bit, rule, places[id(message)], why)
        for bit, message in sorted(refused.items())
        for rule, why in (_why_no_stream(row.session, message),)
    )
    first = min(found.values(), key=lambda item: item[1].time, default=None)
    rule = " ".join(dict.fromkeys(part.rule for part in parts))
    place = None if first is None else places[id(first[1])]
    return Derived("MediaTypes", details.media_types, rule, place, lost=lost, parts=parts)


def _why_no_stream(session: Session, message: Message) -> tuple[str, str]:
    if any(message is invite for invite in session.invites) and message.cseq != session.attempt:
        return "stream.attempt", "offered by an attempt that isn't the row's"
    if any(message is one for one in session.inside) and not any(
        one.method == message.method and one.cseq == message.cseq and 200 <= one.status < 300 for one in session.inside
    ):
        return "stream.attempt", "offered in the dialog, but the offer got no 2xx"
    return "stream.accepted", "refused by port 0 in the answer"


def _bits(row: Row, name: str, value: int, column: Column[int], places: dict[int, int]) -> Derived:
    parts = tuple(Part(bits, rule, places[id(message)]) for rule, bits, message in findings(row, column))
    rule = " ".join(dict.fromkeys(part.rule for part in parts))
    return Derived(name, value, rule, parts[0].message if parts else None, parts=parts)
