"""The kernel's `Call` is its Python's twin: the same facts, the same bytes, the same bounds, the same refusals."""

from __future__ import annotations

import sys
import unicodedata
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipcdr.builder import HEADERS, CallDamaged, Position, Rules, SipMessage
from sipcdr.builder._call import FRAME, Call
from sipcdr.builder._facts import METHODS
from tests.scenarios.every import SCENARIOS
from tests.tools import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.scenarios.notation import Scenario

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


SEEDS = st.integers(0, 1 << 32)
RULES = [Rules(), *(Rules(correlation_header=name) for name in ("X-ID", "Session-ID", "content-length"))]


def both(messages: Iterable[SipMessage], rules: Rules | None = None) -> tuple[Call, Any]:
    """The messages in a call of either kind; a fact is one to both."""
    python, native = Call(b"1"), kernel().Call(b"1")
    for message in messages:
        size = python.add(message, rules or Rules())
        assert native.add(message, rules or Rules()) == (size - FRAME + 48 if size else 0)
        assert native.ended == python.ended
    return python, native


def assert_same(python: Call, native: Any) -> None:
    """Two calls are one to whoever looks."""
    assert bytes(native) == bytes(python)
    assert native.facts == python.facts
    assert native.slims == python.slims
    assert native.capped == python.capped
    assert native.call_id == python.call_id
    assert (native.first_time, native.last_time) == (python.first_time, python.last_time)


@settings(max_examples=100)
@given(SEEDS)
def test_any_message(seed: int) -> None:
    """Whatever a message holds, its fact is the same bytes."""
    random = Random(seed)
    for _ in range(50):
        python, native = both([any_message(random)], random.choice(RULES))
        assert native.facts == python.facts
        assert bytes(native) == bytes(python)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.number)
def test_scenarios(scenario: Scenario) -> None:
    """The messages of a scenario are the same call, and one from the bytes of the other."""
    messages = scenario.messages()
    for call_id in {message.call_id for message in messages}:
        python, native = both(message for message in messages if message.call_id == call_id)
        assert_same(python, native)
        assert_same(python, kernel().Call.from_bytes(bytes(python)).join(kernel().Call(b"1")))
        assert_same(Call.from_bytes(bytes(native)), native)


@given(SEEDS)
def test_joins(seed: int) -> None:
    """Parts of a call joined in any order are the same bytes, those of the whole call."""
    random = Random(seed)
    messages = [any_message(random) for _ in range(random.randint(0, 9))]
    whole, _ = both(messages)
    parts: list[tuple[Call, Any]] = [both(part) for part in (messages[::2], messages[1::2], messages[:3])]
    python, native = Call(b"1"), kernel().Call(b"1")
    for python_part, native_part in random.sample(parts, 3):
        python, native = python.join(python_part), native.join(native_part)
        assert_same(python, native)
    assert bytes(native) == bytes(whole)


@pytest.mark.parametrize(
    ("method", "statuses", "many"),
    [
        ("INFO", (0, 200), 1100),
        ("MESSAGE", (0, 401, 202), 2500),
        ("INVITE", (0, 100, 200, 486), 1500),
        ("ACK", (0,), 300),
    ],
)
@pytest.mark.parametrize("equal_tags", [False, True])
def test_bounds(method: str, statuses: tuple[int, ...], many: int, *, equal_tags: bool) -> None:
    """A flood keeps the same facts and the same slim facts, in whatever order it came, also in parts."""
    flood = []
    for number in range(many):
        user = b"<sip:U%d@x>" % (number % 3)
        headers = {b"from": [user], b"content-type": [(b"text/plain", b"message/imdn+xml")[number % 2]]}
        tag = b"a" if equal_tags else b"b"
        status = statuses[number % len(statuses)]
        time = number * 7919 % 1009
        flood.append(
            SipMessage(time, method, status, b"1", b"a", tag, number, 1, headers, b"x", 1, Position("x", number))
        )
    python, native = both(flood)
    assert_same(python, native)
    assert native.capped
    halves = both(flood[: many // 2]), both(flood[many // 2 :])
    assert_same(halves[0][0].join(halves[1][0]), halves[1][1].join(halves[0][1]))
    assert bytes(halves[1][1].join(halves[0][1])) == bytes(native)
    python.add(flood[5])
    native.add(flood[5])
    assert_same(python, native)
    assert_same(Call.from_bytes(bytes(python)), kernel().Call.from_bytes(bytes(python)))


def outcome(of: Any, data: bytes) -> bytes | None:
    """The bytes of a call from these bytes, or None where there is none."""
    try:
        return bytes(of.from_bytes(data))
    except CallDamaged:
        return None


PACKED = st.recursive(
    st.one_of(
        st.integers(-(1 << 63), (1 << 64) - 1), st.binary(max_size=4), st.text(max_size=4), st.booleans(), st.none()
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=9), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=12,
)
FACTS = st.tuples(
    *(st.integers(-2, 9), st.integers(-1, 1 << 40), st.integers(-1, 8), st.integers(-1, 701), st.binary(max_size=300)),
    *(st.binary(max_size=3), st.integers(-1, 1 << 32)),
    st.one_of(st.sampled_from([b"\x80", b"\x81\xa1b\xc3", b"\xde\x00\x01\xa1v\xc0"]), st.binary(max_size=3)),
)
SLIMS = st.tuples(
    *(st.integers(-2, 9), st.binary(max_size=3), st.binary(max_size=3), st.integers(-1, 1 << 40), st.integers(-1, 701)),
    *(st.booleans(), st.text(max_size=40)),
)


@settings(max_examples=1000)
@given(
    st.one_of(
        PACKED,
        st.tuples(
            st.integers(0, 2),
            st.binary(max_size=300),
            st.integers(-1, 1 << 20),
            st.lists(st.one_of(FACTS, FACTS, PACKED), max_size=20),
            st.lists(st.one_of(SLIMS, SLIMS, PACKED), max_size=3),
        ),
        st.lists(PACKED, max_size=7).map(lambda more: [1, b"1", 0, [], [], *more]),
    ),
    st.binary(max_size=1),
)
def test_bytes_that_nobody_packed(value: Any, more: bytes) -> None:
    """What one refuses the other refuses, and what one reads the other reads as the same."""
    data = msgspec.msgpack.encode(value) + more
    assert outcome(kernel().Call, data) == outcome(Call, data)


@settings(max_examples=100)
@given(SEEDS)
def test_damaged_bytes(seed: int) -> None:
    """Bytes that were changed or cut are refused by both or by none."""
    random = Random(seed)
    packed = bytes(both(any_message(random) for _ in range(3))[0])
    for _ in range(50):
        damaged = bytearray(packed)
        for _ in range(random.randint(0, 3)):
            damaged[random.randrange(len(damaged))] = random.choice([0, 1, 0x90, 0xC4, 0xDC, random.randint(0, 255)])
        data = bytes(damaged[: random.choice([len(damaged), random.randint(0, len(damaged))])])
        assert outcome(kernel().Call, data) == outcome(Call, data)


def test_reasons() -> None:
    """Damaged bytes are refused in the same words where they are the same."""
    for data in (b"", b"\xc1", b"\x80", b"\x95\x02\xc4\x01x\x00\x90\x90", b"\x95\x01\xc4\x01x\x00\x90\x90\x90"):
        reasons = []
        for of in (Call, kernel().Call):
            with pytest.raises(CallDamaged) as refused:
                of.from_bytes(data)
            reasons.append(str(refused.value).partition(" (byte")[0])
        assert reasons[0] == reasons[1]


def test_other_call() -> None:
    """Only calls of one Call-ID can be joined."""
    with pytest.raises(ValueError, match="one Call-ID"):
        kernel().Call(b"1").join(kernel().Call(b"2"))


def one(**fields: Any) -> SipMessage:
    """An INVITE with these."""
    headers = fields.pop("headers", {})
    body = fields.pop("body", b"")
    return SipMessage(0, "INVITE", 0, b"1", b"a", b"", 1, 1, headers, b"\n\n" + body, 2, Position("x", 1), **fields)


def test_lower_case() -> None:
    """All letters that this Python knows have the same lower case."""
    letters = [
        sign for sign in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(sign) not in ("Cn", "Cs", "Cc")
    ]
    for at in range(0, len(letters), 16):
        body = b"Application-Name: " + "".join(letters[at : at + 16]).encode()
        message = one(headers={b"content-type": [b"text/x-msmsgsinvite"]}, body=body)
        python, native = both([message])
        assert bytes(native) == bytes(python)


def test_blanks() -> None:
    """What is a blank around a value is one to both."""
    signs = [
        sign
        for sign in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(sign)[0] in "ZC" and sign.isprintable() < 1
    ]
    for sign in (sign for sign in signs if unicodedata.category(sign) in ("Cc", "Cf", "Zs", "Zl", "Zp")):
        python, native = both([one(headers={b"contact": [f"{sign}a{sign}b{sign}".encode()]})])
        assert bytes(native) == bytes(python)
