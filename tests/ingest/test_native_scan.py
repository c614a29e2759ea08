"""The kernel's scan is the same as the Python one, and its messages are as good as a `SipMessage`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.seeds import seeds
from fuzz.twins import TWINS, compare, same_tally
from sipcdr.builder import HEADERS, Position, SipMessage, native
from sipcdr.ingest import Limits, Tally, _sip

from .torture import RFC_4475, RFC_5118

pytestmark = pytest.mark.skipif(
    native is None, reason="no native kernel is loaded: tests/test_kernel.py says whether it should be"
)

alike = TWINS["messages"]
PLACE = Position("x", 7, "3")

BLANKS = st.sampled_from([b"", b"", b"", b" ", b"\t", b"  ", b"\x0b", b"\r", b"\r\n ", b"\n\t\t"])
NAMES = st.sampled_from(
    [
        *sorted(HEADERS),
        b"Call-ID",
        b"CSEQ",
        b"From",
        b"tO",
        b"VIA",
        *(bytes([letter]) for letter in b"abcefiklmstuvxIFTVL"),
        b"Max-Forwards",
        b"x" * 70,
        b"",
    ]
)
TOKENS = st.sampled_from(
    [b"INVITE", b"ACK", b"BYE", b"invite", b"FOO", b"x" * 64, b"x" * 65, b"IN VITE", b"\xc3\xa9", b""]
)
VERSIONS = st.sampled_from(
    [b"SIP/2.0", b"SIP/2.0", b"SIP/2.0", b"sip/2.0", b"SIP/1.0", b"SIP/2.00", b"SIP/22", b"HTTP/1.1", b""]
)
_VALUES = (
    b"1 INVITE", b"2\tBYE", b"3ACK", b"007 \t FOO ", b"9" * 18 + b" ACK", b"9" * 19 + b" ACK", b"x", b"4", b"a@b",
    b"<sip:a@b>;tag=1", b'"A \\"<;tag=no\\" B" <sip:a;tag=no>;x="y;tag=no";tag="1"', b"sip:a;tag=2", b"<sip:a>;tag",
    b'a"b<sip:a>;tag=3', b'a, b;c="d,e" , <f,g>,, ', b'"', b'\\"', b"identity", b"gzip", b"0", b"10", b"99999999999",
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(_VALUES), st.binary(max_size=12), st.text('"\\<>;,= tag', max_size=24).map(str.encode)
)


@st.composite
def made(draw: st.DrawFn) -> bytes:
    """A message out of parts, sound and odd ones."""
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n", b"\r\r\n"]))
    blank = draw(st.sampled_from([b" ", b" ", b" ", b"  ", b"\t"]))
    if draw(st.booleans()):
        start = draw(TOKENS) + blank + draw(st.sampled_from([b"sip:a", b"sip:a b", b""])) + b" " + draw(VERSIONS)
    else:
        start = draw(VERSIONS) + blank + draw(st.sampled_from([b"200 OK", b"99 x", b"486", b"2000 x", b"700", b"x"]))
    lines = [start + draw(BLANKS)]
    if draw(st.integers(0, 5)):
        lines += [b"Call-ID: a@b", b"CSeq:" + draw(VALUES), b"f: " + draw(VALUES), b"To: " + draw(VALUES)]
    for _ in range(draw(st.integers(0, 8))):
        line = draw(NAMES) + draw(BLANKS) + draw(st.sampled_from([b":", b":", b":", b""])) + draw(BLANKS) + draw(VALUES)
        lines.insert(draw(st.integers(0, len(lines))), line + draw(BLANKS))
    return (
        end.join(lines)
        + draw(st.sampled_from([end * 2, end * 2, end, b"", end + b" " + end]))
        + draw(st.binary(max_size=20))
    )


def test_seeds() -> None:
    """The messages of the scenarios are scanned alike."""
    for data in seeds("messages"):
        alike(data)


@pytest.mark.parametrize("case", [*RFC_4475, *RFC_5118], ids=lambda case: case.section)
def test_torture(case: Any) -> None:
    """The torture messages are scanned alike."""
    alike(case.data)


@given(made())
@settings(max_examples=400)
def test_made_messages(data: bytes) -> None:
    """Messages put together at random are scanned alike."""
    alike(data)


def test_damaged_messages() -> None:
    """Damaged messages are scanned alike; `python -m fuzz.twins` runs a million."""
    assert compare("messages", 3000, seed=0) is None


def test_line_ends() -> None:
    """What logs have dropped of messages is put back alike."""
    assert compare("ends", 2000, seed=0) is None


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_any_bytes(data: bytes) -> None:
    """Bytes of no meaning are refused alike."""
    alike(data)


def test_long_messages() -> None:
    """A message of more bytes or lines than the limits allow is cut alike."""
    head = seeds("messages")[0].partition(b"\r\n\r\n")[0]
    for size in (65_535, 65_536, 65_537, 200_000):
        alike(head + b"\r\n\r\n" + b"x" * (size - len(head) - 4))
        alike(head + b"\r\nX: " + b"y" * size)
        alike(head[:30] + b"y" * size)
    for many in range(240, 260):
        alike(head + b"\r\nX: y" * many + b"\r\n\r\n")
        alike(head + b"\r\nX: y\r\n z" * many + b"\r\n\r\n")


@pytest.mark.parametrize("time", [_sip.EARLIEST, _sip.LATEST, _sip.EARLIEST - 1, _sip.LATEST + 1, 1 << 63, -(1 << 70)])
def test_times(time: int) -> None:
    """A time that no column takes is refused alike."""
    data = seeds("messages")[0]
    assert native is not None
    found = native.scan(data, time, PLACE, Tally(), Limits())
    assert found == _sip.scan(data, time, PLACE, Tally(), Limits())


def test_kinds() -> None:
    """Messages of either sort are counted by method and status, also those of methods that no rule reads."""
    assert native is not None
    foo = b"FOO sip:a SIP/2.0\r\nCall-ID: a\r\nCSeq: 1 FOO\r\nFrom: a\r\nTo: a\r\n\r\n"
    messages = [
        message
        for data in (*seeds("messages"), foo)
        for read in (native.scan, native.scan, _sip.scan)
        if not isinstance(message := read(data, 5, PLACE, Tally(), Limits()), str)
    ]
    kinds = native.kinds(messages)
    counted = Counter((message.method, message.status) for message in messages)
    assert list(kinds.items()) == list(counted.items())
    assert kinds["FOO", 0] >= 3


def both(data: bytes, **given: Any) -> tuple[Any, SipMessage]:
    """The kernel's message and the Python one."""
    assert native is not None
    ours, theirs = Tally(), Tally()
    found = native.scan(data, 5, PLACE, ours, Limits(), **given)
    wanted = _sip.scan(data, 5, PLACE, theirs, Limits(), **given)
    same_tally(ours, theirs)
    assert isinstance(wanted, SipMessage)
    return found, wanted


def test_what_a_message_is_asked_for() -> None:
    """A kernel's message has the attributes of a SipMessage, of the same types, and can be had as one."""
    given_ = {
        "source": "192.0.2.1:5060",
        "destination": "[2001:db8::1]:5060",
        "transport": "TLS",
        "cut": True,
        "machine": "FE1",
        "pool": "Pool",
    }
    for data in seeds("messages"):
        found, wanted = both(data, **given_)
        for name in SipMessage.__struct_fields__:
            assert getattr(found, name) == getattr(wanted, name), name
            assert type(getattr(found, name)) is type(getattr(wanted, name)), name
        assert list(found.headers) == list(wanted.headers)
        assert type(found.plain()) is SipMessage
        assert repr(found) == repr(wanted)


def test_messages_are_equal_by_what_they_say() -> None:
    """Equal are messages of the same fields, the kernel's and Python's; others aren't."""
    data = seeds("messages")[0]
    found, wanted = both(data)
    other = both(data, source="192.0.2.1:5060")[0]
    assert found == wanted
    assert wanted == found
    assert found == both(data)[0]
    assert found != other
    assert other != wanted
    assert found != "a message"
    with pytest.raises(TypeError):
        hash(found)
    with pytest.raises(AttributeError):
        found.time = 6


def test_a_method_of_no_standard() -> None:
    """A method that has no number is kept by its name."""
    data = b"FOO sip:a SIP/2.0\r\nCall-ID: a\r\nCSeq: 1 FOO\r\nFrom: <sip:a>\r\nTo: <sip:b>\r\n\r\n"
    found, wanted = both(data)
    assert found.method == wanted.method == "FOO"


def test_a_message_can_be_packed_and_replaced() -> None:
    """A kernel's message goes where a struct is needed, by `plain`."""
    found, wanted = both(seeds("messages")[0])
    packed = msgspec.msgpack.encode(found, enc_hook=lambda message: message.plain())
    assert packed == msgspec.msgpack.encode(wanted)
    assert msgspec.structs.replace(found.plain(), time=6).time == 6
