"""Call flows: arrows between hosts, from a capture's messages or from stored facts; and which calls belong together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec

from ._codes import NAMES
from ._mask import decoded, harmless
from ._records import text
from ._sdp import streams_of
from ._select import address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipcdr.builder import Explained, Seen, SipMessage

TOGETHER: Final = 16
"""Calls of one flow."""
MESSAGES: Final = 20_000
"""Messages of one flow that are kept."""


class Arrow(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a flow; texts may be shown as they are.

    time: microseconds UTC. call_id: as received. source, destination: `host:port`. label: the method, or the code and
    its reason; short: the same where there is little room. marks: what its SDP says. status: 0 for a request. again:
    this place has shown the same before.
    """

    time: int
    call_id: bytes
    source: str
    destination: str
    label: str
    short: str
    marks: str
    status: int
    again: bool


class Flow:
    """The arrows of some calls, in the order of time.

    calls: Call-IDs in the order of their first message, each with a text that says who calls whom.
    """

    def __init__(self) -> None:
        self.arrows: list[Arrow] = []
        self.calls: dict[bytes, str] = {}
        self.left_out = 0
        self._seen: set[tuple[object, ...]] = set()

    def add(self, messages: Iterable[SipMessage]) -> None:
        """Take messages of a capture in."""
        for message in messages:
            if len(self.arrows) >= MESSAGES:
                self.left_out += 1
                continue
            if message.call_id not in self.calls:
                self.calls[message.call_id] = _who(message)
            line = message.start_line
            status = message.status
            reason = line.split(None, 2)[2] if status and len(line.split(None, 2)) > 2 else b""
            label, short = _label(harmless(message.method), status, decoded(reason, 60))
            # A copy of the packet at the same place is one too.
            key = (message.call_id, message.method, status, message.cseq, message.from_tag, message.to_tag,
                   message.source, message.destination, message.vias)  # fmt: skip
            self.arrows.append(
                Arrow(
                    time=message.time,
                    call_id=message.call_id,
                    source=harmless(message.source),
                    destination=harmless(message.destination),
                    label=label,
                    short=short,
                    marks=", ".join(stream.mark for stream in streams_of(message.body)),
                    status=status,
                    again=key in self._seen,
                )
            )
            self._seen.add(key)

    def add_explained(self, call_id: bytes, found: Iterable[Explained]) -> None:
        """Take the stored facts of a call in."""
        shown: set[int] = set()
        for explained in found:
            details = explained.details
            users = [harmless(user.uri) if user else "unknown" for user in (details.user1, details.user2)]
            self.calls.setdefault(call_id, " calls ".join(users))
            for message in explained.messages:
                if id(message.facts[0]) in shown:  # several rows of a fork hold it
                    continue
                shown.add(id(message.facts[0]))
                self.arrows.extend(_of_facts(call_id, message))

    def sorted(self) -> list[Arrow]:
        """The arrows by time."""
        return sorted(self.arrows, key=lambda arrow: arrow.time)


def _label(method: str, status: int, reason: str) -> tuple[str, str]:
    if not status:
        return method, method
    label = f"{status} {reason or NAMES.get(status, '')}".rstrip()
    if method in ("INVITE", "MESSAGE"):
        return label, label
    return f"{label} ({method})", f"{status} ({method})"


def _of_facts(call_id: bytes, message: Seen) -> Iterator[Arrow]:
    status = message.status
    label, short = _label(message.method, status, "")
    marks = []
    for line in message.media[-1].split(";") if message.media and message.media[-1] else ():
        medium, port, *_ = (*line.split(" "), "")
        marks.append(medium if port.strip("0") else f"{medium} refused")
    places: set[tuple[str, str, int]] = set()
    for fact, (source, destination) in zip(message.facts, message.paths, strict=True):
        place = (source, destination, fact.vias)
        yield Arrow(
            time=fact.time,
            call_id=call_id,
            source=harmless(source),
            destination=harmless(destination),
            label=label,
            short=short,
            marks=harmless(", ".join(marks)),
            status=status,
            again=place in places,
        )
        places.add(place)


def _who(message: SipMessage) -> str:
    users = []
    for name in (b"from", b"to"):
        values = message.headers.get(name, [b""])
        users.append(decoded(uri_of(values[0]), 80) or "unknown")
    return " calls ".join(users)


def uri_of(value: bytes) -> bytes:
    """The `user@host` of a From, To, Refer-To or like value, as it is written, without a password."""
    if b"<" in value:
        value = value.partition(b"<")[2].partition(b">")[0]
    value = value.strip().partition(b";")[0].partition(b"?")[0]
    scheme, colon, rest = value.partition(b":")
    if not colon or scheme.lower() not in (b"sip", b"sips", b"tel"):
        return value
    user, at, host = rest.rpartition(b"@")
    return user.partition(b":")[0] + at + host


class Related:
    """Which calls belong to one: by Replaces, Referred-By and Refer-To, Session-ID (RFC 7989), and a header."""

    def __init__(self, header: str = "") -> None:
        self._header = header.lower().encode()
        self._calls: dict[tuple[str, object], set[bytes]] = defaultdict(set)
        self._signs: dict[bytes, set[tuple[str, object]]] = defaultdict(set)

    def add(self, messages: Iterable[SipMessage]) -> None:
        """Note what messages name beside their own Call-ID."""
        for message in messages:
            for sign in self._named(message):
                if message.call_id not in self._calls[sign]:
                    self._calls[sign].add(message.call_id)
                    self._signs[message.call_id].add(sign)

    def of(self, call_id: bytes) -> list[bytes]:
        """The call and those that belong to it, nearest first, at most TOGETHER."""
        found = [call_id]
        for one in found:
            signs = {*self._signs.get(one, ()), ("call", one)}
            near = {other for sign in signs for other in self._calls.get(sign, ())}
            near.update(other for kind, other in signs if kind == "call" and isinstance(other, bytes))
            found.extend(sorted(near - set(found)))
            if len(found) >= TOGETHER:
                break
        return found[:TOGETHER]

    def _named(self, message: SipMessage) -> Iterator[tuple[str, object]]:
        headers = message.headers
        if message.method == "INVITE" and not message.status:
            for value in headers.get(b"replaces", ())[:2]:
                yield "call", value.partition(b";")[0].strip()
            for value in headers.get(b"referred-by", ())[:1]:
                yield "refer", (_user(value), _user(headers.get(b"to", [b""])[0]))
        elif message.method == "REFER" and not message.status:
            yield from _of_refer(message)
        for value in headers.get(b"session-id", ())[:1]:
            # RFC 7989 section 5: `local;remote=UUID`; all zeros is nobody's.
            for identifier in (value.partition(b";")[0], value.partition(b"remote=")[2].partition(b";")[0]):
                if identifier.strip().strip(b"0"):
                    yield "session", identifier.strip().lower()
        if self._header:
            for value in message.header(self._header)[:1]:
                if value:
                    yield "header", value


def _of_refer(message: SipMessage) -> Iterator[tuple[str, object]]:
    for value in message.header(b"refer-to")[:1]:
        target = _user(value)
        for referrer in (message.headers.get(b"referred-by", [b""])[0], message.headers[b"from"][0]):
            if referrer:
                yield "refer", (_user(referrer), target)
        # RFC 3891 section 4: the Replaces that the new INVITE is to have stands in the URI, escaped.
        _, found, replaces = value.partition(b"Replaces=")
        if found:
            call_id = unquote(replaces.partition(b"&")[0].partition(b">")[0].decode("utf-8", "replace"))
            yield "call", call_id.partition(";")[0].encode()


def _user(value: bytes) -> str:
    return address(text(uri_of(value))).partition("@")[0]
