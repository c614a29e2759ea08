"""How a session ended and who ended it, read off its messages for `explain`. It sets no column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._columns import inside_only
from ._explained import Ending
from ._syntax import parameter

if TYPE_CHECKING:
    from ._dialogs import Session
    from ._groups import Message
    from ._row import SessionDetails

# RFC 3261 21.4.19, 21.6.1, 21.6.2 and RFC 8197: what only the called user or phone says; other failures may be a
# server's.
_OF_THE_CALLEE: Final = frozenset({486, 600, 603, 607})


def ending_of(session: Session, details: SessionDetails, places: dict[int, int], diagnostic: str) -> Ending:
    """How a session ended. places: the index of each message; diagnostic: the header that gave DiagnosticId."""
    how, by, message = _ended(session)
    answered = session.answered
    begin, answer, end = details.invite_time, details.response_time, details.session_end_time
    last = max(message.time for message in session.messages)
    return Ending(
        how=how,
        by=by,
        message=None if message is None else places[id(message)],
        code=details.response_code,
        diagnostic=details.diagnostic_id,
        reason=parameter(";" + diagnostic.partition(";")[2], "reason") or "",
        waited=None if inside_only(session) else (last if answer is None else answer) - begin,
        talked=(last if end is None else end) - answer if answered and answer is not None else None,
    )


def _ended(session: Session) -> tuple[str, str, Message | None]:
    if session.shape.page_mode:
        return "message", "caller", max(session.messages, key=lambda message: message.time)
    byes = session.byes
    if session.answered or inside_only(session):
        # From names the side that sent the BYE, also in a response to one.
        return ("hung up", _side(byes[0].from_caller), byes[0]) if byes else ("up", "", None)
    final = session.final
    cancels = [message for message in session.cancels if message.cseq == session.attempt]
    if final is not None:
        return _failed(final, cancels)
    if cancels or byes:
        first = min((*cancels, *byes), key=lambda message: message.time)
        return ("cancelled", "caller", first) if first in cancels else ("hung up", _side(first.from_caller), first)
    ringing = any(message.cseq == session.attempt and message.status > 100 for message in session.responses)
    return "ringing" if ringing else "no answer", "", None


def _failed(final: Message, cancels: list[Message]) -> tuple[str, str, Message]:
    if final.status == 487:
        requests = [message for message in cancels if not message.status]
        return "cancelled", "caller", requests[0] if requests else final
    if any(not message.status and message.time < final.time for message in cancels):
        return "cancelled", "caller", next(message for message in cancels if not message.status)
    if final.status in (401, 407):
        return "challenged", "callee side", final
    if final.status < 400:
        return "redirected", "callee side", final
    return "refused", "callee" if final.status in _OF_THE_CALLEE else "callee side", final


def _side(caller: bool) -> str:
    return "caller" if caller else "callee"
