"""The scenarios' notation: a message is a line, a row is the columns that differ from the usual ones.

A line of a scenario is `TIME FROM>TO WHAT CSEQ [word=value …] [| Header: value …]`::

    0        a>-  INVITE 1                    an INVITE of A to B, without To tag
    0.1      a>b  180 1  v=2                  a response to INVITE, seen with two Vias
    1,1.5    a>b  200 1  sdp=audio,video:0    seen twice; its answer refuses video by port 0
    60       b>a  BYE 1  | Reason: Q.850      B hangs up
    60.1     b>a  200/BYE 1                   a response to another method than INVITE

TIME: seconds after `START`, to the microsecond; several: copies of the message.
FROM>TO: the tags as in the headers (a response has its request's). A tag's first letter names its user and its
    address: `b2` is B. `-` is no tag (the user is then B, for FROM b: A), `-c` no tag and user C.
Words: `call=` the Call-ID (default 1), `v=` the number of Vias (1), `from=` and `to=` other users, `uri=` the
    Request-URI, `src=` and `dst=` addresses, `body=` a name in `BODIES`, `sdp=` m-lines by medium and port, joined by
    commas (`sdp=+`: an SDP without m-line; `sdp=-`: none). INVITEs and 2xx to INVITE have an SDP with audio unless
    told otherwise; MESSAGE has a text.
Header: replaces the one that the notation would write; twice the same name writes both.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

import msgspec

from sipcdr.builder import Media, Position, SessionDetails, SipMessage, TagPair, User
from sipcdr.ingest import Limits, Tally, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START: Final = 1_795_420_800_000_000
"""2026-11-23 08:00:00 UTC in microseconds."""

_TEXT = ("text/plain", "hello")
_RENDEZVOUS = "Application-Name: {}\r\nApplication-GUID: {{{}}}\r\nInvitation-Command: {}\r\n"
_SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

BODIES: Final[dict[str, tuple[str, str]]] = {
    "text": _TEXT,
    "typing": ("application/im-iscomposing+xml", "<isComposing><state>active</state></isComposing>"),
    "keyboard": (
        "application/xml",
        '<?xml version="1.0"?><KeyboardActivity><status status="type"/></KeyboardActivity>',
    ),
    "sendonly": ("application/sdp", _SDP + "m=audio 5004 RTP/AVP 0\r\na=sendonly\r\n"),
    "inactive": ("application/sdp", _SDP + "m=audio 5004 RTP/AVP 0\r\na=inactive\r\n"),
    "hold-2543": (
        "application/sdp",
        _SDP.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0") + "m=audio 5004 RTP/AVP 0\r\n",
    ),
    "receipt": ("message/imdn+xml", "<imdn/>"),
    "ms-receipt": ("application/ms-imdn+xml", "<imdn/>"),
    "dtmf": ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
    "file-info": ("application/ms-filetransfer+xml", "<response/>"),
    "video-or-not": (
        'multipart/alternative;boundary="part"',
        "--part\r\nContent-Type: application/sdp\r\n\r\n"
        + _SDP
        + "m=audio 5000 RTP/AVP 0\r\nm=video 5002 RTP/AVP 31\r\n\r\n--part\r\nContent-Type: application/sdp\r\n\r\n"
        + _SDP
        + "m=audio 5004 RTP/AVP 0\r\n\r\n--part--\r\n",
    ),
    "nested": (
        'multipart/mixed; boundary="=-=outer"',
        "a preamble\r\n--=-=outer\r\nContent-Type: multipart/related;boundary=inner\r\n\r\n--inner\r\n"
        "Content-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--inner\r\nc: application/sdp\r\n\r\n"
        + _SDP
        + "m=audio 5004 RTP/AVP 0\r\nm=video 5006 RTP/AVP 31\r\n",
    ),
    "conference": ("application/ms-conf-invite+xml", "<Conferencing/>"),
    "csta": ("application/csta+xml", "<MakeCall/>"),
    "file-offer": (
        "text/x-msmsgsinvite",
        _RENDEZVOUS.format("File Transfer", "5D3E02AB-6190-11d3-BBBB-00C04F795683", "INVITE"),
    ),
    "file-accept": ("text/x-msmsgsinvite", "Invitation-Command: ACCEPT\r\nInvitation-Cookie: 7\r\n"),
    "help-ask": (
        "text/x-msmsgsinvite",
        _RENDEZVOUS.format("Remote Assistance", "56b994a7-380f-410b-9985-c809d78c1bdc", "INVITE"),
    ),
    "help-offer": (
        "text/x-msmsgsinvite",
        _RENDEZVOUS.format("Remote Assistance", "703EA1A8-D73E-43e3-852C-EE85B5D872C2", "INVITE"),
    ),
    "app-invite": (
        "text/x-msmsgsinvite",
        _RENDEZVOUS.format("NetMeeting", "F1B1920C-6A3C-4ce7-B18C-AFAB305FD03D", "INVITE"),
    ),
    "file-lync": (
        'multipart/mixed;boundary="part"',
        "--part\r\nContent-Type: application/sdp\r\n\r\n" + _SDP + "m=data 6891 tcp/ms-filetransfer *\r\n\r\n"
        "--part\r\nContent-Type: application/ms-filetransfer+xml\r\n\r\n<request/>\r\n--part--\r\n",
    ),
    "twice": (
        'multipart/alternative;boundary="part"',
        "--part\r\nContent-Type: application/sdp\r\n"
        "Content-Disposition: session; handling=optional; ms-proxy-2007fallback\r\n\r\n"
        + _SDP
        + "m=audio 5000 RTP/AVP 0\r\n\r\n--part\r\nContent-Type: application/sdp\r\n\r\n"
        + _SDP
        + "m=audio 5004 RTP/AVP 0\r\n\r\n--part--\r\n",
    ),
}


def sdp(streams: str) -> str:
    """A session description: `audio,video:0` has a stream of audio and a refused one of video."""
    lines = []
    for stream in streams.strip("+").split(",") if streams.strip("+") else ():
        medium, _, port = stream.partition(":")
        selector = medium.endswith("/file")
        medium = medium.removesuffix("/file")
        protocol = "TCP/MSRP *" if medium == "message" else "RTP/AVP 0"
        lines.append(f"m={medium} {port or 5004} {protocol}\r\n")
        if selector:
            lines.append('a=file-selector:name:"a.txt" type:text/plain size:7\r\n')
    return _SDP + "".join(lines)


def call_id(name: str = "1") -> bytes:
    """The Call-ID of the call that the notation names so."""
    return f"{name}@x.example".encode()


def at(seconds: str | float) -> int:
    """Microseconds UTC of a time in the notation."""
    whole, _, fraction = str(seconds).partition(".")
    return START + int(whole) * 1_000_000 + int(fraction.ljust(6, "0"))


def messages(wire: str) -> list[SipMessage]:
    """The messages of a scenario's lines, in the order written."""
    found: list[SipMessage] = []
    for line in wire.strip().splitlines():
        text = line.strip()
        if text:
            found.extend(_sightings(text, len(found) + 1))
    return found


def _sightings(line: str, number: int) -> Iterator[SipMessage]:
    head, *headers = line.split(" | ")
    times, tags, what, cseq, *options = head.split()
    words = dict(option.split("=", 1) for option in options)
    from_tag, to_tag = tags.split(">")
    sender = words.get("from", _user(from_tag, "a"))
    receiver = words.get("to", _user(to_tag, "a" if sender == "b" else "b"))
    status, _, method = what.partition("/") if what[0].isdigit() else ("", "", what)
    method = method or "INVITE"
    kind, body = _body(words, method, status)
    wanted = [("Via", f"SIP/2.0/UDP hop{hop}.example;branch=z9hG4bK{hop}") for hop in range(int(words.get("v", 1)))]
    wanted += [
        ("From", f"<sip:{sender}@x.example>" + _tag(from_tag)),
        ("To", f"<sip:{receiver}@x.example>" + _tag(to_tag)),
        ("Call-ID", call_id(words.get("call", "1")).decode()),
        ("CSeq", f"{cseq} {method}"),
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
    ]
    given = {header.partition(":")[0].strip().lower() for header in headers}
    lines = [f"{name}: {value}" for name, value in wanted if value and name.lower() not in given] + headers
    uri = words.get("uri", f"sip:{receiver}@x.example")
    start = f"SIP/2.0 {status} Reason" if status else f"{method} {uri} SIP/2.0"
    raw = "\r\n".join([start, *lines, "", body]).encode()
    source, destination = (receiver, sender) if status else (sender, receiver)
    for time in times.split(","):
        yield scanned(at(time), raw, words.get("src", address(source)), words.get("dst", address(destination)), number)


def scanned(time: int, raw: bytes, source: str, destination: str, number: int) -> SipMessage:
    """The message that `ingest` finds in `raw`."""
    found = scan(raw, time, Position("scenario", number), Tally(), Limits(), source, destination, "UDP")
    assert not isinstance(found, str), f"refused: {found}: {raw!r}"
    return found


def rewritten(wire: str, change: Callable[[bytes], bytes], transport: str = "UDP") -> tuple[Raw, ...]:
    """A scenario's lines as messages of other bytes."""
    return tuple(
        Raw(f"{(message.time - START) / 1_000_000:.6f}", change(message.raw), transport=transport)
        for message in messages(wire)
    )


def _user(tag: str, default: str) -> str:
    name = tag.removeprefix("-")
    return name[0] if name else default


def _tag(tag: str) -> str:
    return "" if tag.startswith("-") else f";tag={tag}"


def address(user: str) -> str:
    """Where a user of the notation sends from."""
    return f"192.0.2.{ord(user[0])}:5060"


def _body(words: dict[str, str], method: str, status: str) -> tuple[str, str]:
    if "body" in words:
        return BODIES[words["body"]]
    streams = words.get("sdp", "audio" if method == "INVITE" and status[:1] in ("", "2") else "-")
    if streams != "-":
        return "application/sdp", sdp(streams)
    return _TEXT if method == "MESSAGE" and not status else ("", "")


@overload
def user(name: str | User) -> User: ...
@overload
def user(name: str | User | None) -> User | None: ...
def user(name: str | User | None) -> User | None:
    """The stored user that a letter names; a longer text is the stored address itself."""
    if name is None or isinstance(name, User):
        return name
    if len(name) == 1:
        return User(f"{name.lower()}@x.example", 1)
    return User(name, 0 if ";" in name or name.startswith("+") else 1)


class Row(NamedTuple):
    """What must come out: every column of a row, the state in which it stands, and when that closes."""

    columns: dict[str, Any]
    state: str | None
    closes: str | float | None


def row(
    times: str,
    *,
    call: str = "1",
    tags: str = "a>b",
    user1: str | User | None = "A",
    user2: str | User | None = "B",
    target: str | User | None = "B",
    started: str | User | None = "A",
    n: str = "0/0",
    media: int | dict[int, str | float] = 16,
    content: str | None = "application/sdp",
    priority: int = 2,
    modified: str | float | None = None,
    pairs: Sequence[str] | None = None,
    again: bool = False,
    state: str | None = None,
    closes: str | float | None = None,
    **columns: object,
) -> Row:
    """The columns of a row. `times`: InviteTime, ResponseTime, ResponseCode, SessionEndTime; `-` is NULL.

    tags: the caller's and the callee's. media: the bits, all from InviteTime on, or each bit with its StartTime.
    modified: LastModifiedTime, where it isn't the time of the scenario's last line. pairs: the tag pairs that the row
    answers to beside its own. again: the ExternalId of an earlier generation is taken. `columns`: any other.
    """
    invite, response, code, end = times.split()
    caller, callee = (b"" if tag == "-" else tag.encode() for tag in tags.split(">"))
    starts = dict.fromkeys(_bits(media), invite) if isinstance(media, int) else media
    external = b";".join((call_id(call), caller, callee))
    expected: dict[str, Any] = {
        "call_id": call_id(call),
        "caller_tag": caller,
        "callee_tag": callee,
        "external_id": external + b";%d" % at(invite) if again else external,
        "pairs": _pairs(caller, callee, pairs or ()),
        "user1": user(user1),
        "user2": user(user2),
        "target_user": user(target),
        "session_started_by": user(started),
        "content_type": content,
        "invite_time": at(invite),
        "response_time": None if response == "-" else at(response),
        "response_code": None if code == "-" else int(code),
        "session_end_time": None if end == "-" else at(end),
        "call_priority": priority,
        "user1_message_count": int(n.partition("/")[0]),
        "user2_message_count": int(n.partition("/")[2]),
        "media_types": sum(starts),
        "media": tuple(Media(bit.bit_length(), at(starts[bit])) for bit in sorted(starts)),
        "last_modified_time": modified if modified is None else at(modified),
    }
    for field in msgspec.structs.fields(SessionDetails):
        expected.setdefault(field.name, field.default)
    unknown = columns.keys() - expected.keys()
    assert not unknown, f"no such columns: {unknown}"
    return Row(expected | columns, state, closes)


def _bits(mask: int) -> list[int]:
    return [1 << bit for bit in range(7) if mask >> bit & 1]


def _pairs(caller: bytes, callee: bytes, others: Sequence[str]) -> tuple[TagPair, ...]:
    tags = {callee, *(other.encode() for other in others)}
    return tuple(sorted({(min(caller, tag), max(caller, tag)) for tag in tags}))


class Raw(NamedTuple):
    """A message as bytes, seen `seconds` after START; `cut` by the capture."""

    seconds: str | float
    data: bytes
    cut: bool = False
    transport: str = "UDP"


class Scenario(NamedTuple):
    """A numbered scenario (`S22`, or one of its variants: `S22 305`), its messages and the rows that must come out.

    wire: lines in the notation, or bytes. counts: what the derivation must count. refused: the reasons of the messages
    that the scan must refuse, in their order.
    """

    name: str
    wire: str | tuple[Raw, ...]
    rows: tuple[Row, ...]
    counts: dict[str, int]
    refused: tuple[str, ...]

    @property
    def number(self) -> str:
        """S1 to S207 and S54b."""
        return self.name.partition(" ")[0]

    def scanned(self, counts: Counter[str]) -> list[SipMessage | str]:
        """What the scan makes of the messages, in the order written: itself or why it is refused."""
        if isinstance(self.wire, str):
            return list(messages(self.wire))
        tally = Tally()
        found = [
            scan(
                raw.data,
                at(raw.seconds),
                Position("scenario", number),
                tally,
                Limits(),
                transport=raw.transport,
                cut=raw.cut,
            )
            for number, raw in enumerate(self.wire, 1)
        ]
        counts.update(tally.counts)
        return found

    def messages(self) -> list[SipMessage]:
        """The messages that aren't refused, in the order written."""
        return [found for found in self.scanned(Counter()) if not isinstance(found, str)]


def scenario(
    name: str,
    wire: str | tuple[Raw, ...],
    *rows: Row,
    counts: dict[str, int] | None = None,
    refused: tuple[str, ...] = (),
) -> Scenario:
    """A scenario of rows, call by call, each call's in the order that the derivation gives them."""
    return Scenario(name, wire, rows, counts or {}, refused)
