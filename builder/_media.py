"""MediaTypes and the Media rows (derivations.md section 3.30): what offers and answers negotiated (RFC 3264)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._facts import ACK, INFO, INVITE, KEYS, MESSAGE, PRACK, UPDATE, countable
from ._row import Media

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._dialogs import Session
    from ._groups import Message

IM, FILE_TRANSFER, REMOTE_ASSISTANCE, APP_SHARING, AUDIO, VIDEO, APP_INVITE = (1 << n for n in range(7))

_NAMES = {
    "audio": AUDIO,
    "video": VIDEO,
    "message": IM,
    "x-ms-message": IM,
    "applicationsharing": APP_SHARING,
    "applicationsharing-video": APP_SHARING,
    "data": FILE_TRANSFER,
    "x-data": FILE_TRANSFER,
}
# Rendezvous applications (tieto/sipe sip-ft.c; Windows Rendezvous documentation).
_FILE_TRANSFER_GUID = "5d3e02ab-6190-11d3-bbbb-00c04f795683"
_REMOTE_ASSISTANCE_GUIDS = ("56b994a7-380f-410b-9985-c809d78c1bdc", "703ea1a8-d73e-43e3-852c-ee85b5d872c2")


_Evidence = dict[int, tuple[str, "Message"]]
"""Of each bit the rule that sets it and the message that first asked for it."""


def media_of(session: Session) -> tuple[int, tuple[Media, ...]]:
    """The bit set of a row, and for each bit its MediaId and when it was first asked for (microseconds)."""
    found = evidence_of(session)
    return sum(found), tuple(Media(bit.bit_length(), found[bit][1].time) for bit in sorted(found))


def evidence_of(session: Session) -> _Evidence:
    """The bits of a row, each with what sets it."""
    found: _Evidence = {}
    own = _own_attempt(session, found)
    # What the INVITE of the attempt asks for beside its SDP.
    for message in own:
        _note(found, _body_bits(message), "stream.body", own[0])
    if own and embedded_counts(session, own):
        _note(found, IM, "messages.embedded", own[0])
    if session.inside:
        _inside(session, found)
    if session.shape.page_mode:
        for message in session.messages:
            _message_bits(message, found)
    return found


def offered(message: Message) -> set[int]:
    """The bits that a message's SDP asks for, whatever the answer says."""
    return _negotiated([message], [], [])


def embedded_counts(session: Session, own: Iterable[Message]) -> bool:
    """`messages.embedded`: the INVITE carried a text, and the 2xx says that it was taken."""
    if session.success is None or not any(
        message.header("embedded") and countable(message.header("embedded")) for message in own
    ):
        return False
    supported = session.success.header("supported")
    return "ms-text-format" in supported or "ms-embedded-first-message" in supported


def own_invites(session: Session) -> list[Message]:
    """The INVITE requests of the row's own attempt."""
    return [message for message in session.invites if message.cseq == session.attempt]


def _own_attempt(session: Session, found: _Evidence) -> list[Message]:
    """`stream.attempt`: of the attempts only the row's own counts."""
    invites = own_invites(session)
    replies = [message for message in session.responses if message.cseq == session.attempt]
    responses = [m for m in replies if m.status < 300 and m.to_tag == (session.tag or m.to_tag)]
    if invites or responses:
        acks = [m for m in session.inside if m.method == ACK and m.cseq == session.attempt]
        first = (invites or replies)[0]
        for bit in _negotiated(invites, responses, acks):
            _note(found, bit, "stream.attempt", first)
    return invites


def _inside(session: Session, found: _Evidence) -> None:
    """In-dialog offers count when their transaction got a 2xx."""
    transactions: dict[tuple[bytes, bool, int, int], list[Message]] = {}
    acks: dict[tuple[bool, int], list[Message]] = {}
    for message in session.inside:
        if message.method in (INVITE, UPDATE, PRACK):
            key = (message.from_tag, message.from_caller, message.method, message.cseq)
            transactions.setdefault(key, []).append(message)
        elif message.method == ACK:
            acks.setdefault((message.from_caller, message.cseq), []).append(message)
        elif message.method == MESSAGE:
            _message_bits(message, found)
        elif message.method == INFO and not message.status:
            _note(found, _body_bits(message), "stream.body", message)
    for (_, from_caller, method, cseq), messages in transactions.items():
        requests = [message for message in messages if not message.status]
        responses = [message for message in messages if 0 < message.status < 300]
        if any(message.status >= 200 for message in responses):
            first = (requests or responses)[0]
            answers = acks.get((from_caller, cseq), []) if method == INVITE else []
            for bit in _negotiated(requests, responses, answers):
                _note(found, bit, "stream.accepted", first)
            for message in requests:
                _note(found, _body_bits(message), "stream.body", first)


def _negotiated(requests: list[Message], responses: list[Message], acks: list[Message]) -> set[int]:
    """`stream.accepted`: the bits of a transaction's offer, less the streams that every answer rejects by port 0."""
    offer = _sdp_of(requests)
    answers = responses
    if not offer:
        # RFC 3261 13.2.1: no offer in the INVITE, so the response brings it and the ACK answers.
        for response in responses:
            offer = _sdp(response)
            if offer:
                break
        answers = acks
    answered = [lines for message in answers for lines in _sdp(message)]
    # SfB offers the same call twice in a multipart/alternative: an answer is to the part with as many m-lines.
    sizes = {len(lines) for lines in answered}
    matching = [lines for lines in offer if len(lines) in sizes] or offer
    bits: set[int] = set()
    for lines in matching:
        fitting = [answer for answer in answered if len(answer) == len(lines)] or answered
        for number, (name, port, selector) in enumerate(lines):
            bit = _NAMES.get(name, 0)
            if name == "message" and selector:
                bit = FILE_TRANSFER
            rejected = fitting and all(len(answer) > number and _zero(answer[number][1]) for answer in fitting)
            if bit and not _zero(port) and not rejected:
                bits.add(bit)
    return bits


_MLine = tuple[str, str, bool]


def _sdp_of(messages: list[Message]) -> list[list[_MLine]]:
    for message in messages:
        lines = _sdp(message)
        if lines:
            return lines
    return []


def _sdp(message: Message) -> list[list[_MLine]]:
    """The SDP parts of a message (of its earliest fact that has any), each as (name, port, file selector) lines."""
    parts: tuple[str, ...] = message.fields.get(KEYS["sdp"], ())
    return [[_m_line(line) for line in part.split(";")] if part else [] for part in parts]


def _m_line(line: str) -> _MLine:
    name, _, rest = line.partition(" ")
    port, _, flag = rest.partition(" ")
    return name, port, flag == "f"


def _zero(port: str) -> bool:
    return bool(port) and not port.strip("0")


def _message_bits(message: Message, found: _Evidence) -> None:
    if message.status == 0:
        _note(found, _body_bits(message), "stream.body", message)
        if countable(message.header("content_type")):
            _note(found, IM, "messages.count", message)


def _body_bits(message: Message) -> int:
    """Bits of bodies that are no SDP."""
    bits = FILE_TRANSFER if message.fields.get(KEYS["file_transfer"]) else 0
    invitation: tuple[str, str, str] | None = message.fields.get(KEYS["invitation"])
    if invitation is not None:
        guid, name, command = invitation
        guid = guid.strip("{} ")
        if guid == _FILE_TRANSFER_GUID or name == "file transfer":
            bits |= FILE_TRANSFER
        elif guid in _REMOTE_ASSISTANCE_GUIDS:
            bits |= REMOTE_ASSISTANCE
        elif guid and command == "invite":
            bits |= APP_INVITE
    return bits


def _note(found: _Evidence, bits: int, rule: str, message: Message) -> None:
    while bits:
        bit = bits & -bits
        bits ^= bit
        known = found.get(bit)
        if known is None or known[1].time > message.time:
            found[bit] = rule, message
