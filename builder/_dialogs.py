"""Steps 7 to 14 of derivations.md 2.1: a generation's attempts, its dialogs and the rows they make.

RFC 3261 sections 12 and 13.2.2.4: each 2xx with a To tag of its own is a dialog, and each dialog a row; without any,
the generation is one row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._facts import ACK, BYE, CANCEL, INVITE, MESSAGE
from ._groups import OPENING
from ._state import State, closing_time

if TYPE_CHECKING:
    from ._groups import Generation, Message
    from ._rules import Rules

_PREFERRED = frozenset({401, 407, 415, 420, 484})


class Session:
    """A row to be: its messages, and what the columns ask of them.

    tag: the dialog's To tag, None without a dialog. attempt: CSeq number of the row's own attempt (step 14), None
    without attempts. success: the dialog's 2xx. final: the chosen final response to the own attempt.
    invites: INVITE requests of all attempts. responses: INVITE responses of attempts that are the row's.
    cancels: CANCEL requests and their responses. inside: the row's in-dialog messages. All are in the order of facts.
    messages: all of them, in the order of facts.
    """

    __slots__ = (
        "_messages",
        "_responses",
        "attempt",
        "cancels",
        "final",
        "inside",
        "invites",
        "shape",
        "success",
        "tag",
    )

    def __init__(self, shape: Shape, tag: bytes | None) -> None:
        self.shape = shape
        self.tag = tag
        self.success: Message | None = None
        self.final: Message | None = None
        self.attempt: int | None = shape.attempts[-1] if shape.attempts else None
        self.invites = shape.invites
        self.cancels = shape.cancels
        self.inside: list[Message] = []
        # Found when they are asked for: step 7 looks at many rows, and needs neither.
        self._responses: list[Message] | None = None
        self._messages: list[Message] | None = None

    @property
    def responses(self) -> list[Message]:
        """INVITE responses of attempts that are the row's: of its own attempt not those of another dialog."""
        if self._responses is None:
            self._responses = [
                m
                for m in self.shape.responses
                if self.tag is None or m.cseq != self.attempt or m.to_tag in (self.tag, b"")
            ]
        return self._responses

    @responses.setter
    def responses(self, found: list[Message]) -> None:
        self._responses = found

    @property
    def messages(self) -> list[Message]:
        """All messages of the row, in the order of facts."""
        if self._messages is None:
            found = self.shape.generation.messages
            if self.tag is not None:
                own = {id(m) for some in (self.inside, self.responses, self.invites, self.cancels) for m in some}
                found = [m for m in found if id(m) in own]
            self._messages = found
        return self._messages

    @messages.setter
    def messages(self, found: list[Message]) -> None:
        self._messages = found

    @property
    def answered(self) -> bool:
        """A 2xx to an attempt was seen."""
        return self.success is not None

    @property
    def byes(self) -> list[Message]:
        """BYE requests, or where none was seen the responses to one."""
        byes = [message for message in self.inside if message.method == BYE]
        return [message for message in byes if not message.status] or byes

    def state(self) -> State:
        """The state of section M of scenarios.md, read off the set."""
        if self.shape.page_mode:
            return State.PAGE_MODE
        byes = [message for message in self.inside if message.method == BYE]
        if byes:
            return State.MORGUE if any(message.status >= 200 for message in byes) else State.MORTAL
        shape = self.shape
        if not shape.attempts:
            return State.ESTABLISHED
        if self.success is not None:
            acked = any(message.method == ACK and message.cseq == self.attempt for message in self.inside)
            return State.ESTABLISHED if acked else State.MORATORIUM
        if self.final is not None:
            return State.FAILED
        if any(message.cseq == self.attempt for message in self.cancels):
            return State.CANCELLED
        if any(message.cseq == self.attempt for message in self.responses):
            return State.EARLY
        return State.PREPARATIVE


class Shape:
    """What steps 8 to 13 make of a generation.

    attempts: CSeq numbers in ascending order. mid_dialog: step 9. page_mode: step 10. rows: step 13. strays: in-dialog
    messages that belong to no row, ACKs left out.
    """

    __slots__ = (
        "_early",
        "_homes",
        "attempts",
        "cancels",
        "generation",
        "invites",
        "mid_dialog",
        "page_mode",
        "responses",
        "rows",
        "strays",
    )

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        messages = generation.messages
        caller = generation.caller
        requests = [m for m in messages if m.method == INVITE and not m.status]
        replies = [m for m in messages if m.method == INVITE and m.status and m.from_caller and m.from_tag == caller]
        self.cancels = [m for m in messages if m.method == CANCEL and (m.status or not m.to_tag)]
        self._find_attempts(requests, replies)
        numbers = set(self.attempts)
        retagged = self._retagged(requests, replies, numbers)
        self.invites = [
            m for m in requests if m.from_caller and m.cseq in numbers and (not m.to_tag or id(m) in retagged)
        ]
        self.responses = [m for m in replies if m.cseq in numbers]
        self.page_mode = (
            not numbers
            and not self.mid_dialog
            and bool(generation.initial)
            and all(m.method == MESSAGE for m in messages)
        )
        self.strays = 0
        self.rows: list[Session] = []
        self._early: set[bytes] = set()
        self._homes: dict[bytes, Session] = {}
        self._make_rows(messages)

    def release(self) -> None:
        """Let go of the rows: they refer back to their shape, and such a cycle would wait for the collector."""
        self.rows = []
        self._homes = {}

    def home(self, other: bytes) -> Session | None:
        """Step 12: the row of an in-dialog message whose other tag is this one; None: it is a stray."""
        home = self._homes.get(other)
        if home is None and len(self.rows) == 1 and (not self._homes or other not in self._early):
            return self.rows[0]
        return home

    def _find_attempts(self, requests: list[Message], replies: list[Message]) -> None:
        """Steps 8 and 9."""
        begun = {m.cseq for m in requests if m.from_caller and not m.to_tag}
        begun.update(m.cseq for m in self.cancels if not m.status)
        tagged = {m.cseq for m in requests if m.to_tag and m.from_caller}
        # (iv): an INVITE response stands in for a request that was not captured.
        standing_in = {m.cseq for m in replies if m.cseq not in tagged}
        retried = [m for m in requests if m.to_tag and m.from_caller and m.cseq not in begun]
        for request in sorted(retried, key=lambda m: m.cseq) if replies else ():
            if _follows_a_failure(request, replies, begun | standing_in):
                begun.add(request.cseq)
        self.mid_dialog = False
        if not begun:
            self.mid_dialog = _starts_inside(requests, self.generation)
        self.attempts = sorted(begun if self.mid_dialog else begun | standing_in)

    def _retagged(self, requests: list[Message], replies: list[Message], numbers: set[int]) -> set[int]:
        """The requests of (ii): INVITEs with a To tag that are attempts all the same (S141)."""
        return {
            id(m)
            for m in requests
            if m.to_tag and m.from_caller and m.cseq in numbers and _follows_a_failure(m, replies, numbers)
        }

    def _make_rows(self, messages: list[Message]) -> None:
        """Steps 11 to 14."""
        dialogs: dict[bytes, Message] = {}
        early = self._early
        for response in self.responses:
            if 200 <= response.status < 300:
                dialogs.setdefault(response.to_tag, response)
            elif response.status > 100 and response.to_tag:
                early.add(response.to_tag)
        if not dialogs and not any(m.method in OPENING for m in messages):
            return
        shared = {id(m) for m in self.invites}
        shared.update(id(m) for m in self.responses)
        shared.update(id(m) for m in self.cancels)
        inside = [m for m in messages if id(m) not in shared]
        if not dialogs:
            session = Session(self, None)
            session.inside = inside
            session.final = chosen_final(self.responses, session.attempt)
            self.rows.append(session)
            return
        for tag, success in dialogs.items():
            session = Session(self, tag)
            session.success = session.final = success
            session.attempt = success.cseq
            self.rows.append(session)
            self._homes[tag] = session
        for message in inside:
            home = self.home(message.other)
            if home is None:
                self.strays += message.method != ACK
            else:
                home.inside.append(message)


def _follows_a_failure(request: Message, replies: list[Message], attempts: set[int]) -> bool:
    """Step 8 (ii): a failure of a lower attempt bears the request's To tag, and no earlier 2xx does."""
    failed = False
    for reply in replies:
        if reply.to_tag == request.to_tag:
            if 200 <= reply.status < 300 and reply.time <= request.time:
                return False
            if reply.status >= 300 and reply.cseq < request.cseq and reply.cseq in attempts:
                failed = True
    return failed


def _starts_inside(requests: list[Message], generation: Generation) -> bool:
    """Step 9: the earliest INVITE message is a re-INVITE, or the response to one that was seen."""
    for message in generation.messages:
        if message.method == INVITE:
            if not message.status:
                return bool(message.to_tag)
            return any(
                request.to_tag and request.cseq == message.cseq and request.from_tag == message.from_tag
                for request in requests
            )
    return False


def chosen_final(responses: list[Message], attempt: int | None) -> Message | None:
    """The final response of an attempt: any 2xx; else what the caller got (RFC 3261 section 16.7 step 6)."""
    best: Message | None = None
    for response in responses:
        if response.cseq == attempt and response.status >= 200 and (best is None or rank(response) < rank(best)):
            best = response
    return best


def rank(response: Message) -> tuple[bool, int, int, bool]:
    """What the chosen one of final responses has the least of."""
    status = response.status
    if status < 300:
        return False, 0, 0, False
    return True, response.vias, 0 if status >= 600 else status // 100, status not in _PREFERRED


def over(generation: Generation, time: int, rules: Rules) -> bool:
    """Step 7: whether all sessions of a generation were over before a time; page mode never is."""
    shape = Shape(generation)
    if shape.page_mode or not shape.rows:
        return False
    waiting: list[Session] = []
    for session in shape.rows:
        byes = session.byes
        if not byes:
            waiting.append(session)
        elif byes[0].time >= time:
            return False
    return all(closing_time(session, rules) < time for session in waiting)
