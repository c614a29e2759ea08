"""How a column is derived: rules in order of priority, the first that yields a value wins (derivations.md section 3).

Here stand the rules for times, codes, counts and flags; `_parties.py` has those for users and their clients,
`_labels.py` those for ids, servers and content. A rule is named as in derivations.md and gives its value together with
the message that it read it from, which is what a row's provenance is made of.
"""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ._dialogs import chosen_final
from ._facts import BYE, CANCEL, INFO, INVITE, KEYS, MESSAGE, countable
from ._groups import OPENING
from ._media import embedded_counts, own_invites

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._dialogs import Session
    from ._groups import Message
    from ._rules import Rules

T = TypeVar("T")


class Row:
    """A session whose columns are being derived.

    initial: INVITE requests of all attempts. own: those of the row's own attempt. start: the message that gives
    InviteTime. keys: the packed names of all that its messages keep. All lists are in the order of facts.
    """

    __slots__ = ("counts", "initial", "keys", "own", "rules", "session", "start")

    def __init__(self, session: Session, rules: Rules, counts: Counter[str]) -> None:
        self.session = session
        self.rules = rules
        self.counts = counts
        self.initial = session.invites
        self.own = own_invites(session)
        self.start = _start(session)
        self.keys: set[str] = set()
        for message in session.messages:
            self.keys.update(message.fields)

    def has(self, name: str) -> bool:
        """Whether any message of the row has a kept header."""
        return KEYS[name] in self.keys

    def first(self, messages: Iterable[Message], name: str) -> tuple[str, Message] | None:
        """A kept header: of the first message that has it."""
        key = KEYS[name]
        if key in self.keys:
            for message in messages:
                value = message.fields.get(key)
                if value:
                    return value, message
        return None

    def sent(self, by_caller: bool) -> Iterator[Message]:
        """Messages of the row from one side."""
        return (message for message in self.session.messages if message.by_caller == by_caller)


Rule = tuple[str, str, Callable[[Row], tuple[T, "Message"] | None]]
"""Its name, the header that it can't do without (or empty), and what it makes of a row."""
Column = tuple[Rule[T], ...]
Finding = tuple[str, T, "Message"]
"""What a rule yielded: its name, the value, and the message that it read it from."""


def derive(row: Row, column: Column[T]) -> T | None:
    """The value of the first rule that yields one."""
    for _, needed, rule in column:
        if not needed or KEYS[needed] in row.keys:
            found = rule(row)
            if found is not None:
                return found[0]
    return None


def derive_bits(row: Row, column: Column[int]) -> int:
    """The bits of all rules that yield some."""
    bits = 0
    for _, needed, rule in column:
        if not needed or KEYS[needed] in row.keys:
            found = rule(row)
            if found is not None:
                bits |= found[0]
    return bits


def findings(row: Row, column: Column[T]) -> Iterator[Finding[T]]:
    """What each rule yields that yields a value, in order of priority."""
    for name, needed, rule in column:
        if not needed or KEYS[needed] in row.keys:
            found = rule(row)
            if found is not None:
                yield name, *found


def _start(session: Session) -> Message:
    if session.invites:
        return session.invites[0]
    if session.shape.mid_dialog:
        for message in session.messages:
            if message.method == INVITE and not message.status:
                return message
    for message in session.messages:
        if message.method in OPENING and (message.method != INVITE or message.status):
            return message
    return session.messages[0]


def _invite_first(row: Row) -> tuple[int, Message] | None:
    return (row.start.time, row.start) if row.initial else None


def _invite_reinvite(row: Row) -> tuple[int, Message] | None:
    return (row.start.time, row.start) if row.session.shape.mid_dialog else None


def _invite_first_relevant(row: Row) -> tuple[int, Message] | None:
    return row.start.time, row.start


INVITE_TIME: Column[int] = (
    ("invite.first", "", _invite_first),
    ("invite.reinvite", "", _invite_reinvite),
    ("invite.first_relevant", "", _invite_first_relevant),
)

Response = tuple[int | None, int | None]
"""ResponseTime and ResponseCode."""


def _response_final(row: Row) -> tuple[Response, Message] | None:
    session = row.session
    if not session.invites and not session.responses:
        return None
    final = session.final
    return ((None, None), row.start) if final is None else ((final.time, final.status), final)


def _response_reinvite(row: Row) -> tuple[Response, Message] | None:
    if not row.session.shape.mid_dialog:
        return None
    for message in row.session.messages:
        # A failure leaves the dialog standing (RFC 3261 12.2.1.2): it isn't the session's code.
        if message.method == INVITE and 200 <= message.status < 300:
            return (message.time, message.status), message
    return (None, None), row.start


def _response_first_relevant(row: Row) -> tuple[Response, Message] | None:
    start = row.start
    if start.method == CANCEL:
        # 200 to a CANCEL would read as an answered call.
        return (start.time, None), start
    final = final_of(row.session, start)
    if final is None:
        return (start.time, None), start
    return (start.time, final.status), final


def final_of(session: Session, start: Message) -> Message | None:
    """The chosen final response to a request's own transaction; if it was challenged, to its retry."""
    number: int | None = start.cseq
    final: Message | None = None
    same = [m for m in session.messages if m.method == start.method and m.from_caller == start.from_caller]
    while number is not None:
        final = chosen_final([m for m in same if m.status], number)
        if final is None or final.status not in (401, 407):
            break
        number = min((m.cseq for m in same if not m.status and m.cseq > number), default=None)
    return final


RESPONSE: Column[Response] = (
    ("response.final", "", _response_final),
    ("response.reinvite", "", _response_reinvite),
    ("response.first_relevant", "", _response_first_relevant),
)


def inside_only(session: Session) -> bool:
    """No attempt was seen, but messages of a dialog: it began before what we saw."""
    return not session.shape.attempts and not session.shape.page_mode


def _end_bye(row: Row) -> tuple[int, Message] | None:
    session = row.session
    byes = session.byes
    # RFC 3261 15.1.1: over as soon as the BYE is sent, whatever comes back.
    return (byes[0].time, byes[0]) if byes and (session.answered or inside_only(session)) else None


def _end_final(row: Row) -> tuple[int, Message] | None:
    session = row.session
    if session.answered or session.final is None:
        return None
    return session.final.time, session.final


def _end_cancel(row: Row) -> tuple[int, Message] | None:
    session = row.session
    if session.final is not None or not session.shape.attempts:
        return None
    cancels = [message for message in session.cancels if not message.status]
    ends = sorted([*cancels, *session.byes], key=lambda message: message.time) or session.cancels
    return (ends[0].time, ends[0]) if ends else None


def _end_page(row: Row) -> tuple[int, Message] | None:
    session = row.session
    if not session.shape.page_mode:
        return None
    last = max((m for m in session.messages if not m.status or m.status >= 200), key=lambda message: message.time)
    first_seen: dict[tuple[int, int, bytes, bytes], int] = {}
    for slim in session.shape.generation.slims:
        first_seen.setdefault((slim.status, slim.cseq, slim.from_tag, slim.to_tag), slim.time)
    return max(last.time, *first_seen.values(), last.time), last


END_TIME: Column[int] = (
    ("end.bye", "", _end_bye),
    ("end.final", "", _end_final),
    ("end.cancel", "", _end_cancel),
    ("end.page", "", _end_page),
)

_PRIORITIES = {"non-urgent": 1, "normal": 2, "urgent": 3, "emergency": 4}


def _priority_header(row: Row) -> tuple[int, Message] | None:
    requests = row.initial or [m for m in row.session.messages if not m.status and m.method in OPENING][:1]
    if not requests:
        return 0, row.start
    found = row.first(requests, "priority")
    # RFC 3261 20.26: to be treated as if "normal" had been given.
    return (2, requests[0]) if found is None else (_PRIORITIES.get(found[0].strip().lower(), 0), found[1])


CALL_PRIORITY: Column[int] = (("priority.header", "", _priority_header),)

_DIAGNOSTICS = ("diagnostics", "diagnostics_public", "diagnostics_client")


def _diagnostics(row: Row) -> tuple[int, Message] | None:
    session = row.session
    if not any(row.has(name) for name in _DIAGNOSTICS):
        return None
    byes = [m for m in session.inside if m.method == BYE and not m.status]
    if session.answered or inside_only(session):
        candidates = [*byes, *([session.success] if session.success is not None else [])]
    else:
        final = session.final
        if session.shape.page_mode:
            final = final_of(session, row.start)
        cancels = [m for m in session.cancels if not m.status]
        candidates = [*([final] if final is not None else []), *cancels, *byes]
    for message in candidates:
        found = diagnostic_of(message, row.counts)
        if found is not None:
            return found[0], message
    return None


def diagnostic_of(message: Message, counts: Counter[str]) -> tuple[int, str] | None:
    """The number in a message's diagnostics headers, and that header: header by header, the earliest fact's first.

    MS-OCER section 2.2.1: ErrorId, an unsigned integer; OCS 2007 wrote `ErrorId.sub`.
    """
    for name in _DIAGNOSTICS:
        for details in message.details:
            value: str = getattr(details, name)
            if value:
                number = _leading_number(value)
                if number is not None:
                    return number, value
                counts["malformed " + name] += 1
    return None


def _leading_number(value: str) -> int | None:
    value = value.lstrip(" \t")
    end = 0
    while end < len(value) and value[end] in "0123456789":
        end += 1
    if not end or end > 32:
        return None
    number = int(value[:end])
    return number if number <= 2147483647 else None


DIAGNOSTIC_ID: Column[int] = (("diagnostics", "", _diagnostics),)


class Text(NamedTuple):
    """A text that was sent in a session.

    from_caller: by the caller. cseq: of its request. rule: `messages.count` or `messages.embedded` where it counts,
    else `messages.not_im` or `messages.challenged`, which say why it doesn't. message: None for a slim fact.
    """

    from_caller: bool
    cseq: int
    rule: str
    message: Message | None

    @property
    def counts(self) -> bool:
        """Whether it is one of those counted."""
        return self.rule in ("messages.count", "messages.embedded")


def texts_of(row: Row) -> list[Text]:
    """`messages.*`: the texts of a session."""
    session = row.session
    if not row.own and not any(message.method == MESSAGE for message in session.messages):
        return []
    generation = session.shape.generation
    texts: dict[tuple[bytes, bytes, int, str], tuple[bool, bool, Message | None]] = {}
    challenged: set[tuple[bool, int]] = set()
    for identity, message in generation.by_identity.items():
        if message.method == MESSAGE and session.shape.home(message.other) is session:
            if not message.status:
                key = (message.from_tag, message.to_tag, message.cseq, identity[5])
                texts[key] = (message.from_caller, countable(message.header("content_type")), message)
            elif message.status in (401, 407):
                challenged.add((message.from_caller, message.cseq))
    for slim in generation.slims:
        from_caller = generation.is_caller(slim.from_tag, slim.to_tag, slim.from_uri)
        other = slim.to_tag if slim.from_tag == generation.caller else slim.from_tag
        if session.shape.home(other) is session:
            if slim.status:
                challenged.add((from_caller, slim.cseq))
            else:
                key = (slim.from_tag, slim.to_tag, slim.cseq, slim.from_uri)
                texts.setdefault(key, (from_caller, slim.countable, None))
    highest = {True: -1, False: -1}
    for (_, _, cseq, _), (from_caller, _, _) in texts.items():
        highest[from_caller] = max(highest[from_caller], cseq)
    found: list[Text] = []
    for (_, _, cseq, _), (from_caller, written, request) in texts.items():
        rule = "messages.count" if written else "messages.not_im"
        if written and (from_caller, cseq) in challenged and cseq < highest[from_caller]:
            rule = "messages.challenged"
        found.append(Text(from_caller, cseq, rule, request))
    if embedded_counts(session, row.own):
        found.append(Text(True, row.own[0].cseq, "messages.embedded", row.own[0]))
    return found


def message_counts(row: Row) -> tuple[int, int]:
    """User1MessageCount and User2MessageCount. Page mode never counts for User2."""
    counted = Counter(text.from_caller for text in texts_of(row) if text.counts)
    return counted[True], 0 if row.session.shape.page_mode else counted[False]


def _retried(row: Row) -> tuple[int, Message] | None:
    """An attempt before the row's own failed."""
    session = row.session
    own = session.attempt
    if own is not None:
        for number in session.shape.attempts:
            if number < own:
                final = chosen_final(session.shape.responses, number)
                if final is not None and final.status >= 300 and final.status not in (401, 407):
                    return 1, final
    return None


def _agent(row: Row) -> tuple[int, Message] | None:
    found = row.first(row.initial, "agent_on_behalf")
    return None if found is None else (2, found[1])


def _agent_anonymous(row: Row) -> tuple[int, Message] | None:
    success = row.session.success
    return (2, success) if success is not None and "rgs.anonymization" in success.header("call_info").lower() else None


CALL_FLAG: Column[int] = (
    ("flag.retried", "", _retried),
    ("flag.agent", "agent_on_behalf", _agent),
    ("flag.agent", "call_info", _agent_anonymous),
)
"""Bits: 0x01 an attempt before the row's own failed, 0x02 placed by an agent of a response group."""


def _desk_phone(row: Row, caller: bool) -> tuple[int, Message] | None:
    for message in row.session.messages:
        content_type = message.fields.get(_CONTENT_TYPE)
        if content_type and message.by_caller == caller and _is_csta(content_type):
            return 1, message
    return None


@functools.lru_cache(maxsize=256)
def _is_csta(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/csta+xml"


_CONTENT_TYPE = KEYS["content_type"]


def sided(name: str, needed: str, rule: Callable[[Row, bool], tuple[T, Message] | None], caller: bool) -> Rule[T]:
    """A rule of the caller's or the callee's column."""
    return name, needed, lambda row: rule(row, caller)


USER1_FLAG: Column[int] = (sided("flag.desk_phone", "content_type", _desk_phone, True),)
USER2_FLAG: Column[int] = (sided("flag.desk_phone", "content_type", _desk_phone, False),)
"""Bit 0x01: that side controls a desk phone by CSTA."""


def _modified_latest(row: Row) -> tuple[int, Message] | None:
    latest = max(row.session.messages, key=_TIME)
    return latest.time, latest


_TIME = operator.attrgetter("time")
LAST_MODIFIED_TIME: Column[int] = (("modified.latest", "", _modified_latest),)


def texts_begin(session: Session) -> Iterator[Message]:
    """MESSAGE and INFO requests of the row."""
    return (m for m in session.messages if m.method in (MESSAGE, INFO) and not m.status)
