"""What is odd about a session, for `explain`. It sets no column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._explained import Anomaly
from ._facts import ACK, CANCEL, INVITE, METHODS
from ._state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._call import Call
    from ._columns import Row
    from ._dialogs import Session
    from ._explained import Seen
    from ._groups import Message

_Transaction = tuple[int, int, bool]
"""Method, CSeq number, and whether the caller is in From."""


def anomalies_of(call: Call, row: Row, seen: tuple[Seen, ...], places: dict[int, int]) -> tuple[Anomaly, ...]:
    """Everything odd, in a fixed order: what the state machine met first."""
    session = row.session
    return (
        *_unexpected(session, seen),
        *_unacknowledged(session, places),
        *_unanswered(session, places),
        *_strays(seen),
        *_repeated(seen),
        *(Anomaly("value", f"{reason}: {count}") for reason, count in sorted(row.counts.items())),
        *(
            [Anomaly("bound", "the call has more messages than are kept; the later ones are left out")]
            * bool(call.capped)
        ),
    )


def name_of(method: str, status: int) -> str:
    """A message in words: `INVITE`, `486`, `200 to BYE`."""
    return method if not status else str(status) if method == "INVITE" else f"{status} to {method}"


def _unexpected(session: Session, seen: tuple[Seen, ...]) -> Iterator[Anomaly]:
    shape = session.shape
    state = State.PAGE_MODE if shape.page_mode else State.PREPARATIVE if shape.attempts else State.ESTABLISHED
    for number, message in enumerate(seen):
        if not message.expected:
            yield Anomaly("unexpected", f"{name_of(message.method, message.status)} in state {state.value}", (number,))
        state = message.state or state


def _unacknowledged(session: Session, places: dict[int, int]) -> Iterator[Anomaly]:
    """RFC 3261 13.2.2.4 and 17.1.1.3: every final response to an INVITE gets an ACK."""
    acknowledged = {(m.cseq, m.from_caller) for m in session.messages if m.method == ACK}
    for message in session.messages:
        if (
            message.method == INVITE
            and message.status >= 200
            and (message.cseq, message.from_caller) not in acknowledged
        ):
            acknowledged.add((message.cseq, message.from_caller))
            yield Anomaly("no ACK", f"no ACK to the {message.status} was seen", (places[id(message)],))


def _unanswered(session: Session, places: dict[int, int]) -> Iterator[Anomaly]:
    """Requests without a final response, and responses without their request."""
    requests: dict[_Transaction, Message] = {}
    responses: dict[_Transaction, Message] = {}
    final: set[_Transaction] = set()
    for message in session.messages:
        key = (message.method, message.cseq, message.from_caller)
        if message.method == ACK:
            continue
        (responses if message.status else requests).setdefault(key, message)
        if message.status >= 200:
            final.add(key)
    for key, message in requests.items():
        if key not in final:
            what = "final response" if key in responses else "response"
            yield Anomaly("no response", f"no {what} to the {METHODS[message.method]} was seen", (places[id(message)],))
    for key, message in responses.items():
        if key not in requests:
            text = f"the {METHODS[message.method]} that the {message.status} answers was not seen"
            yield Anomaly("no request", text, (places[id(message)],))


def _strays(seen: tuple[Seen, ...]) -> Iterator[Anomaly]:
    for number, message in enumerate(seen):
        # The ACK to the failure of a fork is one of the INVITE's transaction, not of a dialog.
        if (
            message.belongs == "no row"
            and message.method not in ("ACK", METHODS[CANCEL])
            and message.method != "INVITE"
        ):
            text = f"{name_of(message.method, message.status)} is of a dialog that is no row's: it sets no column"
            yield Anomaly("stray", text, (number,))


def _repeated(seen: tuple[Seen, ...]) -> Iterator[Anomaly]:
    for number, message in enumerate(seen):
        if message.repeats:
            seconds = (message.facts[-1].time - message.time) / 1_000_000
            what = name_of(message.method, message.status)
            yield Anomaly("retransmitted", f"{what} was sent {message.repeats + 1} times in {seconds:.1f} s", (number,))
