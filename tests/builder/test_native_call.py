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

from sipcdr.builder import CallDamaged, Position, SipMessage
from sipcdr.builder._call import Call
from tests.builder.strange import RULES, any_message, assert_same, both, damaged, outcome
from tests.scenarios.every import SCENARIOS
from tests.tools import kernel

if TYPE_CHECKING:
    from tests.scenarios.notation import Scenario

SEEDS = st.integers(0, 1 << 32)


@pytest.fixture(autouse=True)
def _kernel() -> None:
    """There is a kernel to be held to its Python."""
    kernel()


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
        data = damaged(packed, random)
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
