"""The state of a dialog as an observer sees it.

One machine a row (scenarios.md section M; the names are those of RFC 5407 section 2). It joins RFC 3261's INVITE
transaction (section 17.1.1, with RFC 6026's accepted state) and dialog (section 12) as far as both can be seen on the
wire. Only the row's last attempt moves it: INVITE with a higher CSeq begins anew (section 8.1.3.5), and what belongs to
a lower attempt comes too late to matter.

The state that counts is read off the set of messages by `Session.state`: sets know no order, and captures lose
and swap packets. `walk` goes the way there message by message, for people; both must end in the same state.
An event that the table doesn't list for a state is an anomaly: the state stays, and `walk` says so.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from ._facts import ACK, BYE, CANCEL, INVITE, UPDATE

if TYPE_CHECKING:
    from ._dialogs import Session
    from ._groups import Message
    from ._rules import Rules


class State(enum.Enum):
    """States of a row's dialog."""

    PREPARATIVE = "Preparative"
    EARLY = "Early"
    CANCELLED = "Cancelled"
    FAILED = "Terminated, failed"
    MORATORIUM = "Moratorium"
    ESTABLISHED = "Established"
    MORTAL = "Mortal"
    MORGUE = "Morgue"
    PAGE_MODE = "Page mode"


class Event(enum.Enum):
    """What moves a dialog."""

    INVITE = "INVITE of an attempt"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "final from 300 on"
    CANCEL = "CANCEL or its response"
    ACK = "ACK"
    BYE = "BYE"
    BYE_DONE = "final to BYE"
    INSIDE = "other message in the dialog"


_PREPARATIVE, _EARLY, _CANCELLED, _FAILED = State.PREPARATIVE, State.EARLY, State.CANCELLED, State.FAILED
_MORATORIUM, _ESTABLISHED, _MORTAL, _MORGUE = State.MORATORIUM, State.ESTABLISHED, State.MORTAL, State.MORGUE

# RFC 3261 15: either side may end a dialog at any time; the BYE ends it, whatever comes back (15.1.1).
_ENDING = {Event.BYE: _MORTAL, Event.BYE_DONE: _MORGUE}

TRANSITIONS: dict[State, dict[Event, State]] = {
    _PREPARATIVE: {
        Event.INVITE: _PREPARATIVE,
        Event.PROVISIONAL: _EARLY,
        Event.SUCCESS: _MORATORIUM,
        Event.FAILURE: _FAILED,
        Event.CANCEL: _CANCELLED,  # RFC 3261 9.1 forbids it before a 1xx; it occurs.
        Event.INSIDE: _PREPARATIVE,
        **_ENDING,
    },
    _EARLY: {
        Event.PROVISIONAL: _EARLY,
        Event.SUCCESS: _MORATORIUM,
        Event.FAILURE: _FAILED,
        Event.CANCEL: _CANCELLED,
        Event.INSIDE: _EARLY,  # PRACK (RFC 3262), UPDATE (RFC 3311), INFO
        **_ENDING,
    },
    _CANCELLED: {
        Event.PROVISIONAL: _CANCELLED,
        Event.SUCCESS: _MORATORIUM,  # RFC 5407 3.1.2: the CANCEL came too late.
        Event.FAILURE: _FAILED,
        Event.CANCEL: _CANCELLED,
        **_ENDING,
    },
    _FAILED: {
        Event.FAILURE: _FAILED,
        Event.ACK: _FAILED,
        Event.SUCCESS: _MORATORIUM,  # RFC 3261 16.7: a fork may answer after another has failed.
        Event.CANCEL: _FAILED,
        **_ENDING,
    },
    _MORATORIUM: {
        Event.SUCCESS: _MORATORIUM,  # 13.3.1.4: again and again until the ACK
        Event.ACK: _ESTABLISHED,
        Event.CANCEL: _MORATORIUM,  # 9.2: no effect after a final response
        Event.INSIDE: _MORATORIUM,
        **_ENDING,
    },
    _ESTABLISHED: {
        Event.SUCCESS: _ESTABLISHED,
        Event.ACK: _ESTABLISHED,
        Event.CANCEL: _ESTABLISHED,
        Event.INSIDE: _ESTABLISHED,
        **_ENDING,
    },
    _MORTAL: {
        Event.BYE: _MORTAL,  # RFC 5407 3.2.1: both sides at once
        Event.BYE_DONE: _MORGUE,
        Event.ACK: _MORTAL,  # 3.1.6: the BYE overtook it
        Event.SUCCESS: _MORTAL,
        Event.FAILURE: _MORTAL,  # RFC 3261 15: 487 to the INVITE that an early BYE ended
        Event.INSIDE: _MORTAL,
    },
    _MORGUE: {
        Event.BYE: _MORGUE,
        Event.BYE_DONE: _MORGUE,
        Event.ACK: _MORGUE,
        Event.SUCCESS: _MORGUE,
        Event.FAILURE: _MORGUE,
        Event.INSIDE: _MORGUE,
    },
    State.PAGE_MODE: {Event.INSIDE: State.PAGE_MODE},  # RFC 3428: no dialog
}


class Step(msgspec.Struct, frozen=True, gc=False):
    """One message of a walk: when, what it was, the state after it, and whether the table knows it there.

    time: its own, but an ACK that overtook its 2xx stands behind that.
    """

    message: Message
    time: int
    event: Event
    state: State
    expected: bool


def walk(session: Session) -> list[Step]:
    """The states of a row over time; the last one is that of `Session.state`."""
    shape = session.shape
    state = State.PAGE_MODE if shape.page_mode else State.PREPARATIVE if shape.attempts else State.ESTABLISHED
    inside = {id(message) for message in session.inside}
    attempt = min(shape.attempts, default=0)
    steps: list[Step] = []
    for time, message in _in_causal_order(session, inside):
        event = _event(message, id(message) in inside, attempt)
        if event in _OF_AN_ATTEMPT and id(message) not in inside:
            if shape.attempts and message.cseq not in shape.attempts:
                continue  # a response to a CANCEL that was not seen, of an INVITE that wasn't either
            if message.cseq > attempt:
                attempt = message.cseq
                if state in (_EARLY, _CANCELLED, _FAILED):
                    state = _PREPARATIVE
            elif message.cseq < attempt:
                continue
        following = TRANSITIONS[state].get(event)
        steps.append(Step(message, time, event, following or state, following is not None))
        state = following or state
    return steps


_OF_AN_ATTEMPT = frozenset({Event.INVITE, Event.PROVISIONAL, Event.SUCCESS, Event.FAILURE, Event.CANCEL})


def _in_causal_order(session: Session, inside: set[int]) -> list[tuple[int, Message]]:
    """The row's messages with their times; an ACK that overtook its 2xx stands behind it."""
    success = session.success
    timed: list[tuple[int, Message]] = []
    for message in session.messages:
        if success is not None and message.cseq > success.cseq and id(message) not in inside:
            continue  # a further attempt of a session that this row's attempt has won (S201)
        time = message.time
        if success is not None and message.method == ACK and message.cseq == success.cseq:
            time = max(time, success.time)
        timed.append((time, message))
    timed.sort(key=lambda item: item[0])
    return timed


def _event(message: Message, inside: bool, attempt: int) -> Event:
    method, status = message.method, message.status
    if method == BYE and inside:
        return Event.BYE_DONE if status >= 200 else Event.BYE
    if method == ACK and message.cseq == attempt:  # of a re-INVITE it moves nothing
        return Event.ACK
    if inside:
        return Event.INSIDE
    if method == CANCEL:
        return Event.CANCEL
    if not status:
        return Event.INVITE
    return Event.PROVISIONAL if status < 200 else Event.SUCCESS if status < 300 else Event.FAILURE


def closing_time(session: Session, rules: Rules) -> int:
    """When a row that no BYE ended counts as over, in microseconds (scenarios.md section M). It sets no column."""
    shape = session.shape
    state = session.state()
    timeout = 64 * rules.t1
    attempt = [message for message in session.responses if message.cseq == session.attempt]
    if state is State.PREPARATIVE:
        return max(message.last for message in session.invites) + timeout  # Timer B
    if state is State.EARLY:
        return max(message.last for message in attempt) + 180_000_000  # Timer C, RFC 3261 16.6 step 11
    if state is State.CANCELLED:
        cancels = [m for m in session.cancels if m.cseq == session.attempt]
        requests = [m for m in cancels if not m.status]
        return max(m.time for m in requests or cancels) + timeout  # 9.1
    if state is State.FAILED:
        last = max(message.time for message in attempt if message.status >= 300)
        challenged = session.final is not None and session.final.status in (401, 407)
        # A user who is asked for a password needs longer than the transaction does.
        return last + (180_000_000 if challenged else timeout)
    if state is State.PAGE_MODE:
        return max(message.time for message in shape.generation.messages) + timeout  # Timer F
    if state in (State.MORTAL, State.MORGUE):
        return session.byes[0].time + timeout
    return _established_until(session, rules)


def _established_until(session: Session, rules: Rules) -> int:
    """RFC 4028 section 10: a session with a timer lasts as long as its last refresh says."""
    answers = [message for message in session.responses if message.to_tag == session.tag]
    refreshes = [
        message
        for message in (*answers, *session.inside)
        if message.method in (INVITE, UPDATE) and 200 <= message.status < 300
    ]
    latest = max(refreshes, key=lambda message: message.time, default=None)
    seconds = latest.header("session_expires").partition(";")[0].strip() if latest is not None else ""
    if latest is not None and seconds.isdecimal() and seconds.isascii():
        return latest.time + min(int(seconds[:12]) * 1_000_000, rules.maximum_age) + 64 * rules.t1
    return max(message.time for message in session.messages) + rules.maximum_age
