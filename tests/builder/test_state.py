"""The states of a dialog (scenarios.md section M): every state meets every event, on real messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipcdr.builder._state import TRANSITIONS, Event, State, walk
from tests.scenarios.derivation import states_of
from tests.scenarios.notation import messages

if TYPE_CHECKING:
    from sipcdr.builder._dialogs import Session

RINGING = ["0  a>-  INVITE 1", "1  a>b  180 1"]
UP = [*RINGING, "2  a>b  200 1", "3  a>b  ACK 1"]

IN_STATE: dict[State, list[str]] = {
    State.PREPARATIVE: ["0  a>-  INVITE 1"],
    State.EARLY: RINGING,
    State.CANCELLED: [*RINGING, "2  a>-  CANCEL 1"],
    State.FAILED: [*RINGING, "2  a>b  486 1"],
    State.MORATORIUM: [*RINGING, "2  a>b  200 1"],
    State.ESTABLISHED: UP,
    State.MORTAL: [*UP, "4  a>b  BYE 2"],
    State.MORGUE: [*UP, "4  a>b  BYE 2", "5  a>b  200/BYE 2"],
    State.PAGE_MODE: ["0  a>-  MESSAGE 1"],
}
"""Messages that bring a dialog into a state."""

EVENTS: dict[Event, str] = {
    Event.PROVISIONAL: "9  a>b  183 1",
    Event.SUCCESS: "9  a>b  202 1",
    Event.FAILURE: "9  a>b  603 1",
    Event.CANCEL: "9  a>b  200/CANCEL 1",
    Event.ACK: "9  a>b  ACK 1  v=2",
    Event.BYE: "9  b>a  BYE 7",
    Event.BYE_DONE: "9  b>a  200/BYE 7",
    Event.INSIDE: "9  a>b  INFO 9  body=dtmf",
}
"""A further message; what a further INVITE does, see test_further_attempt."""

EARLY, CANCELLED, FAILED = State.EARLY, State.CANCELLED, State.FAILED
MORATORIUM, ESTABLISHED, MORTAL, MORGUE = State.MORATORIUM, State.ESTABLISHED, State.MORTAL, State.MORGUE

EXPECTED: dict[State, dict[Event, State]] = {
    State.PREPARATIVE: {
        Event.PROVISIONAL: EARLY,
        Event.SUCCESS: MORATORIUM,
        Event.FAILURE: FAILED,
        Event.CANCEL: CANCELLED,
        Event.BYE: MORTAL,
        Event.BYE_DONE: MORGUE,
    },
    EARLY: {
        Event.SUCCESS: MORATORIUM,
        Event.FAILURE: FAILED,
        Event.CANCEL: CANCELLED,
        Event.BYE: MORTAL,
        Event.BYE_DONE: MORGUE,
    },
    CANCELLED: {Event.SUCCESS: MORATORIUM, Event.FAILURE: FAILED, Event.BYE: MORTAL, Event.BYE_DONE: MORGUE},
    FAILED: {Event.SUCCESS: MORATORIUM, Event.BYE: MORTAL, Event.BYE_DONE: MORGUE},
    MORATORIUM: {Event.ACK: ESTABLISHED, Event.BYE: MORTAL, Event.BYE_DONE: MORGUE},
    ESTABLISHED: {Event.BYE: MORTAL, Event.BYE_DONE: MORGUE},
    MORTAL: {Event.BYE_DONE: MORGUE},
    MORGUE: {},
}
"""Where a further message leads; elsewhere the state stays."""


def only(lines: list[str]) -> Session:
    """The only session of these messages."""
    (session,) = states_of(messages("\n".join(lines)))
    return session


@pytest.mark.parametrize("state", State)
def test_reached(state: State) -> None:
    """Each state is reached by messages, and shown by its name."""
    session = only(IN_STATE[state])
    assert session.state() is state
    assert walk(session)[-1].state is state


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", EXPECTED)
def test_event(state: State, event: Event) -> None:
    """In every state every message leads where RFC 3261 and RFC 5407 say, and the walk and the set agree."""
    session = only([*IN_STATE[state], EVENTS[event]])
    assert session.state() is EXPECTED[state].get(event, state)
    assert walk(session)[-1].state is session.state()


@pytest.mark.parametrize("state", EXPECTED)
def test_table(state: State) -> None:
    """The table moves a state by the same events."""
    moves = {event: after for event, after in TRANSITIONS[state].items() if after is not state}
    assert moves == EXPECTED[state]


@pytest.mark.parametrize(
    ("lines", "event"),
    [
        ([*UP, "4  a>b  183 1"], Event.PROVISIONAL),
        ([*UP, "4  a>b  603 1"], Event.FAILURE),
        ([*IN_STATE[State.CANCELLED], "3  a>b  INFO 5"], Event.INSIDE),
    ],
)
def test_anomaly(lines: list[str], event: Event) -> None:
    """A message that the table doesn't expect changes no state, and the walk says so."""
    before, last = walk(only(lines))[-2:]
    assert (last.event, last.state, last.expected) == (event, before.state, False)
    assert all(step.expected for step in walk(only(lines))[:-1])


@pytest.mark.parametrize(
    ("state", "after"),
    [
        (State.PREPARATIVE, State.PREPARATIVE),
        (EARLY, State.PREPARATIVE),
        (CANCELLED, State.PREPARATIVE),
        (FAILED, State.PREPARATIVE),
        (MORATORIUM, MORATORIUM),
        (ESTABLISHED, ESTABLISHED),
    ],
)
def test_further_attempt(state: State, after: State) -> None:
    """An INVITE of a higher CSeq begins anew, unless a 2xx has answered one before."""
    session = only([*IN_STATE[state], "9  a>-  INVITE 2"])
    assert session.state() is after
    assert walk(session)[-1].state is after


def test_attempts() -> None:
    """A further attempt begins anew, and what belongs to an earlier one comes too late to matter."""
    lines = [*RINGING, "2  a>b  407 1", "3  a>-  INVITE 2", "4  a>b  407 1  v=2", "5  a>b  180 2"]
    assert [step.state for step in walk(only(lines))] == [
        State.PREPARATIVE,
        State.EARLY,
        State.FAILED,
        State.PREPARATIVE,
        State.EARLY,
    ]
