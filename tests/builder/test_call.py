"""`Call`: the set of facts of one Call-ID, its bounds, its bytes."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipcdr.builder import Call, CallDamaged, Position, SipMessage, call_key, sessions
from tests.builder.rows import invite
from tests.scenarios.a_basic import ANSWERED
from tests.scenarios.notation import at, call_id, messages


def call_of(*found: SipMessage) -> Call:
    """A call of these messages."""
    call = Call(call_id())
    for message in found:
        call.add(message)
    return call


def test_equal_facts() -> None:
    """The same sighting twice, or read from another file, is one fact; another hop is another one."""
    message = messages("0  a>-  INVITE 1")[0]
    elsewhere = msgspec.structs.replace(message.plain(), position=Position("copy.pcap", 7), transport="TCP")
    assert len(call_of(message, message, elsewhere).facts) == 1
    assert len(call_of(message, msgspec.structs.replace(message.plain(), vias=2)).facts) == 2


def test_order_of_facts() -> None:
    """Facts stand by time, CSeq, method, status and tags (derivations.md section 2)."""
    wire = """
    0  a>b  BYE 1
    0  a>b  INVITE 1
    0  a>b  200 1
    0  a>b  100 1
    0  a>b  ACK 1
    0  a>b  INVITE 0
    0  a>a  INVITE 1
    0  z>b  MESSAGE 1
    """
    order = [(fact.cseq, fact.method, fact.status, fact.to_tag) for fact in call_of(*messages(wire)).facts]
    assert order == [
        (0, 0, 0, b"b"),
        (1, 0, 0, b"a"),
        (1, 0, 0, b"b"),
        (1, 0, 100, b"b"),
        (1, 0, 200, b"b"),
        (1, 1, 0, b"b"),
        (1, 5, 0, b"b"),
        (1, 7, 0, b"b"),
    ]


@pytest.mark.parametrize(
    ("method", "status", "is_fact"),
    [
        ("INVITE", 0, True),
        ("PRACK", 200, True),
        ("REFER", 0, False),
        ("invite", 0, False),
        ("BYE", 699, True),
        ("BYE", 700, False),
        ("BYE", 99, False),
    ],
)
def test_what_is_a_fact(method: str, status: int, is_fact: bool) -> None:
    """Eight methods and statuses from 100 to 699 are facts, nothing else is."""
    message = msgspec.structs.replace(messages("0  a>-  INVITE 1")[0].plain(), method=method, status=status)
    call = Call(call_id())
    assert (call.add(message) > 0) is is_fact
    assert len(call.facts) == is_fact


def test_times() -> None:
    """A call knows when it began and when it was last heard of."""
    call = call_of(*messages(ANSWERED))
    assert (call.first_time, call.last_time) == (at(0), at("60.1"))
    assert (Call(b"x").first_time, Call(b"x").last_time) == (None, None)


def test_nothing_secret() -> None:
    """Credentials and texts are never kept."""
    wire = invite('Proxy-Authorization: Digest username="a", response="s3cret"') + (
        "70  a>b  MESSAGE 3  | Authorization: Basic s3cret\n"
        "71  a>b  MESSAGE 4  | ms-text-format: text/plain;ms-body=aGVsbG8=\n"
        '72  a>b  200/MESSAGE 4  | Authentication-Info: NTLM rspauth="s3cret", targetname="fe"\n'
    )
    data = bytes(call_of(*messages(wire)))
    for secret in (b"s3cret", b"hello", b"aGVsbG8"):
        assert secret not in data


def test_size_of_a_fact() -> None:
    """A fact is at most 4 KiB: of what doesn't fit, the fields first in order stay."""
    long = "x" * 2000
    wire = invite(f"User-Agent: {long}", f"Server: {long}", f"Contact: <sip:{long}>", f"Referred-By: <sip:{long}@x>")
    call = call_of(*messages(wire))
    assert len(msgspec.msgpack.encode(call.facts[0])) <= 4096
    (row,) = sessions(call)
    assert row.user1_client is not None
    assert row.referred_by is None


def test_long_tags() -> None:
    """A tag longer than 128 bytes is kept short and stays unique."""
    tags = ["t" * 129, "t" * 130]
    (one,), (two,) = (
        sessions(call_of(*messages(f"0  {tag}>-  INVITE 1  from=a\n1  {tag}>b  486 1  from=a"))) for tag in tags
    )
    assert one.caller_tag == b"t" * 63 + b"~" + hashlib.sha256(tags[0].encode()).hexdigest().encode()
    assert one.caller_tag != two.caller_tag
    (exact,) = sessions(call_of(*messages(f"0  {'t' * 128}>-  INVITE 1  from=a")))
    assert exact.caller_tag == b"t" * 128


def test_flood() -> None:
    """A million INFOs would leave the BYE: each class of facts has its own bound."""
    flood = messages("5  a>b  INFO 7  body=dtmf")[0]
    floods = [msgspec.structs.replace(flood.plain(), time=flood.time + number, cseq=number) for number in range(2000)]
    call = call_of(*floods, *messages(ANSWERED))
    assert call.capped
    assert len(call.facts) == 256 + 7
    (row,) = sessions(call)
    assert (row.response_code, row.session_end_time) == (200, at(60))


def test_capped_stays() -> None:
    """That something was dropped is known after a join, and in the bytes."""
    flood = messages("5  a>b  INFO 7  body=dtmf")[0]
    full = call_of(*(msgspec.structs.replace(flood.plain(), cseq=number) for number in range(300)))
    assert full.capped == Call.from_bytes(bytes(full)).capped == call_of(flood).join(full).capped != 0


def test_other_call() -> None:
    """Only calls of one Call-ID can be joined."""
    with pytest.raises(ValueError, match="one Call-ID"):
        Call(b"1").join(Call(b"2"))


def test_call_key() -> None:
    """A stored call is found by the first 16 bytes of its Call-ID's SHA-256."""
    assert call_key(b"1") == hashlib.sha256(b"1").digest()[:16]


@given(st.binary(max_size=300))
def test_no_call(data: bytes) -> None:
    """Bytes that are no call are an error of ours."""
    with pytest.raises(CallDamaged):
        Call.from_bytes(data)


@settings(max_examples=500)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_damaged_call(place: int, damage: bytes) -> None:
    """A damaged call is an error of ours when it is read, or it is another call, of which rows are derived."""
    data = bytearray(bytes(call_of(*messages(ANSWERED))))
    place %= len(data)
    data[place : place + len(damage)] = damage
    try:
        call = Call.from_bytes(bytes(data))
    except CallDamaged:
        return
    sessions(call)


def test_newer_format() -> None:
    """A call of a newer version is an error that says so."""
    data = msgspec.msgpack.encode([2, b"1", 0, [], []])
    with pytest.raises(CallDamaged, match="format 2"):
        Call.from_bytes(data)
