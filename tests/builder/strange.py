"""Messages such as no telephone sends, and two calls of them: the kernel's and the Python's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipcdr.builder import HEADERS, CallDamaged, Position, Rules, SipMessage, native
from sipcdr.builder._call import FRAME, Call
from sipcdr.builder._facts import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

# What the rules look for in values, what parts them, and what Python's str and bytes treat in ways of their own.
PIECES = [
    *(b"<", b">", b",", b";", b":", b"=", b'"', b"\\", b"@", b"?", b"[", b"]", b"%41", b"%40", b"%", b"+", b"-", b"*"),
    *(b"sip:", b"tel:", b"user=phone", b"a", b"b", b"Z", b"0", b"5060", b" ", b"\t", b"\r\n", b"\n", b"\x00", b"\x0b"),
    *(sign.encode() for sign in ("İ", "Σ", "ΑΣ", "K", "ß", "\x1c", "\x85", "\xa0", "\u2028", "\u3000", "😀", "é")),
    *(b"\x7f", b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"MS-FE=", b"ms-", b"targetname"),
    *(b"ms-body=", b"TargetName=fe", b"text/x-msmsgsinvite", b"QXBwbGljYXRpb24=", b"x" * 30, b"y" * 600),
    *(b"boundary=b", b"application/sdp", b"multipart/mixed;boundary=b", b"identity", b"gzip"),
]
BODY = [
    *(b"m=audio 5004 RTP/AVP 0", b"m=", b"m=VIDEO\t0/2", b"m=a;b 123456", b"m=message x9", b"a=file-selector:x"),
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--b", b"--b--", b'--"b"', b"Content-Type: application/sdp", b" "),
    *(
        b"c: text/x-msmsgsinvite",
        b"Content-Type: application/ms-filetransfer+xml",
        b"Content-Type: multipart/x;boundary=b",
    ),
    *(b"Application-GUID: {1}", b"application-name:  ", b"Invitation-Command: INVITE\xff", b"x" * 90),
]
TYPES = [
    *(
        b"application/sdp",
        b"Application/SDP ; x",
        b"multipart/mixed;boundary=b",
        b'multipart/alternative; Boundary="b"',
    ),
    *(
        b"text/x-msmsgsinvite; charset=UTF-8",
        b"application/ms-filetransfer+xml",
        b"text/plain",
        b"",
        b"multipart/mixed",
    ),
]


NAMES = sorted(HEADERS)
SIGNS = "aZ09 <>;,\x1c\x85\xa0İΣßK😀\ufffe\U0010ffff"


def put_together(random: Random, pieces: list[bytes], most: int) -> bytes:
    """Such pieces one behind the other, with stray bytes between them."""
    parts = random.choices(pieces, k=random.randint(0, most))
    return b"".join(part if random.random() < 0.9 else random.randbytes(random.randint(0, 3)) for part in parts)


def text(random: Random) -> str:
    """A short text."""
    return "".join(random.choices(SIGNS, k=random.randint(0, 9)))


def tag(random: Random) -> bytes:
    """A tag, often one that others have."""
    if random.random() < 0.8:
        return random.choice([b"", b"a", b"b", b"t" * 128, b"t" * 129])
    return random.randbytes(random.randint(0, 140))


def any_message(random: Random) -> SipMessage:
    """A message that a scan might give, or one that none gives."""
    headers = {
        name: [put_together(random, PIECES, 12) for _ in range(random.choice((1, 1, 1, 2, 3)))]
        for name in random.sample(NAMES, random.choice((1, 4, 8, 35)))
    }
    if random.random() < 0.7:
        headers[b"content-type"] = [random.choice(TYPES)]
    if random.random() < 0.5:
        headers[b"content-length"] = [random.choice([b"0", b"5", b"x", b"00", b" 7 ", b""])]
    start = random.choice([b"INVITE sip:a;gruu;OPAQUE=app:conf:focus:id:1 SIP/2.0", b"SIP/2.0 200 OK", b""])
    more = put_together(random, PIECES, 4), put_together(random, PIECES, 4)
    head = b"\r\n".join([start, b"X-Id: " + more[0], b" " + more[1], b"x-id :2", b"l: 7", b"", b""])
    return SipMessage(
        time=random.choice([random.randint(0, 300), random.randint(-(1 << 63), (1 << 63) - 1), 1795420800000000]),
        method=random.choice([*METHODS, "INVITE", "INVITE", "INVITE", "MESSAGE", "REFER", "invite", "ΣTYPE"]),
        status=random.choice([0, 0, 0, 100, 180, 200, 202, 401, 407, 487, 600, random.randint(-1, 800)]),
        call_id=b"1",
        from_tag=tag(random),
        to_tag=tag(random),
        cseq=random.choice([1, random.randint(0, 300), random.randint(0, 10**18 - 1)]),
        vias=random.choice([1, 2, 200, 70_000]),
        headers=headers,
        raw=head + put_together(random, BODY, 16),
        body_at=len(head),
        position=Position("x", 1),
        source=text(random),
        destination=random.choice(["", "192.0.2.1:5060"]),
        cut=random.random() < 0.3,
        machine=random.choice(["", text(random)]),
        pool=text(random),
    )


RULES = [Rules(), *(Rules(correlation_header=name) for name in ("X-ID", "Session-ID", "content-length"))]


def both(messages: Iterable[SipMessage], rules: Rules | None = None) -> tuple[Call, Any]:
    """The messages in a call of either kind; a fact is one to both."""
    assert native is not None
    python, other = Call(b"1"), native.Call(b"1")
    for message in messages:
        size = python.add(message, rules or Rules())
        assert other.add(message, rules or Rules()) == (size - FRAME + 48 if size else 0)
        assert other.ended == python.ended
    return python, other


def assert_same(python: Call, other: Any) -> None:
    """Two calls are one to whoever looks."""
    assert bytes(other) == bytes(python)
    assert other.facts == python.facts
    assert other.slims == python.slims
    assert other.capped == python.capped
    assert other.call_id == python.call_id
    assert (other.first_time, other.last_time) == (python.first_time, python.last_time)


def outcome(of: Any, data: bytes) -> bytes | None:
    """The bytes of a call from these bytes, or None where there is none."""
    try:
        return bytes(of.from_bytes(data))
    except CallDamaged:
        return None


def damaged(packed: bytes, random: Random) -> bytes:
    """Bytes of a call, changed here and there and perhaps cut."""
    data = bytearray(packed)
    for _ in range(random.randint(0, 3)):
        data[random.randrange(len(data))] = random.choice([0, 1, 0x90, 0xC4, 0xDC, random.randint(0, 255)])
    return bytes(data[: random.choice([len(data), random.randint(0, len(data))])])
