"""What the builder makes of messages, for the tests of this folder."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sipcdr.builder import Call, Rules, SessionDetails, SipMessage, sessions
from sipcdr.builder._dialogs import Session, Shape, over
from sipcdr.builder._groups import generations

if TYPE_CHECKING:
    from collections.abc import Iterable

RULES = Rules()


def calls_of(messages: Iterable[SipMessage]) -> list[Call]:
    """Calls in the order in which their first message stands."""
    calls: dict[bytes, Call] = {}
    for message in messages:
        calls.setdefault(message.call_id, Call(message.call_id)).add(message)
    return list(calls.values())


def rows_of(messages: Iterable[SipMessage], counts: Counter[str] | None = None) -> list[SessionDetails]:
    """The rows of all calls, by call."""
    return [row for call in calls_of(messages) for row in sessions(call, RULES, counts)]


def states_of(messages: Iterable[SipMessage]) -> list[Session]:
    """The sessions of all calls before their columns are derived."""
    return [
        session
        for call in calls_of(messages)
        for generation in generations(call, RULES, lambda current, time: over(current, time, RULES), Counter())
        for session in Shape(generation).rows
    ]
