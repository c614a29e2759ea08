"""Hostile messages: whatever stands in them, rows come out that fit their columns, and nothing is raised."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from sipcdr.builder import HEADERS, Call, Position, Rules, SessionDetails, SipMessage, User, sessions
from sipcdr.builder._state import walk
from sipcdr.ingest import Limits, Tally, scan
from tests.scenarios.derivation import states_of
from tests.scenarios.every import SCENARIOS

RULES = Rules(networks=("192.0.2.0/24",), hosts={"x": ("y", "z")}, correlation_header="Call-ID")
WIRE = [message.raw for scenario in SCENARIOS for message in scenario.messages()]
TAGS = [b"", b"a", b"b", b"\xff\x00", b"t" * 300]
METHODS = ["INVITE", "ACK", "PRACK", "UPDATE", "INFO", "MESSAGE", "CANCEL", "BYE"]
PIECES = [
    *(
        b"<",
        b">",
        b'"',
        b"\\",
        b";",
        b",",
        b"=",
        b":",
        b"@",
        b"%",
        b"%41",
        b"\0",
        b"\r\n",
        b"\xff",
        b" ",
        b"\t",
        b"sip:",
    ),
    *(b"tel:", b";tag=", b"epid=", b"opaque=user:epid:", b"gruu", b"ms-fe=", b"urn:uuid:", b"9" * 40, b"x" * 2000),
    *(
        b"multipart/mixed;boundary=",
        b"--",
        b"m=audio 1",
        b"application/sdp",
        b"ms-body=",
        b"====",
        "\U0001f600".encode(),
    ),
]

often = settings(max_examples=200, derandomize=True, database=None)
values = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=12)), max_size=12).map(b"".join)


@st.composite
def hostile(draw: st.DrawFn) -> SipMessage:
    """A message of random header values and body, such as a scan might give."""
    names = draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=8, unique=True))
    headers = {name: draw(st.lists(values, min_size=1, max_size=3)) for name in names}
    head = draw(values)
    return SipMessage(
        time=draw(st.sampled_from([0, 1, 500_000, 40_000_000, 2 * 10**11, -(6 * 10**15), 2 * 10**17])),
        method=draw(st.sampled_from(METHODS)),
        status=draw(st.sampled_from([0, 0, 100, 180, 200, 202, 302, 401, 407, 486, 487, 603])),
        call_id=b"1",
        from_tag=draw(st.sampled_from(TAGS)),
        to_tag=draw(st.sampled_from(TAGS)),
        cseq=draw(st.sampled_from([0, 1, 2, 10**18])),
        vias=draw(st.integers(0, 3)),
        headers=headers,
        raw=head + draw(values),
        body_at=len(head),
        position=Position("x", 1),
        source=draw(st.sampled_from(["", "192.0.2.1:5060", "[2001:db8::1]:5060", "nonsense", "[::"])),
        cut=draw(st.booleans()),
        machine=draw(st.sampled_from(["", "fe", "x" * 600])),
    )


@often
@given(st.lists(hostile(), max_size=9))
def test_headers(found: list[SipMessage]) -> None:
    """Any values of any headers, in any messages of one call."""
    call = Call(b"1")
    for message in found:
        assert call.add(message, RULES) <= 4096 + 300
    _check(call)
    for session in states_of(found):
        assert walk(session)[-1].state is session.state()


@often
@given(st.integers(0, 1 << 32))
def test_damaged_wire(seed: int) -> None:
    """Messages of the scenarios with bytes changed, dropped, doubled and put in, through the scan."""
    chance = random.Random(seed)
    calls: dict[bytes, Call] = {}
    for number in range(20):
        raw = bytearray(chance.choice(WIRE))
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(raw) + 1)
            end = place + chance.choice([0, 1, 1, 8, 60])
            raw[place:end] = chance.choice([b"", chance.choice(PIECES), raw[place:end] * 2, chance.randbytes(4)])
        message = scan(bytes(raw), number * 10**6, Position("x", number), Tally(), Limits(), cut=chance.random() < 0.2)
        if not isinstance(message, str):
            calls.setdefault(message.call_id, Call(message.call_id)).add(message, RULES)
    for call in calls.values():
        _check(call)


def _check(call: Call) -> None:
    counts: Counter[str] = Counter()
    rows = sessions(call, RULES, counts)
    assert rows == sessions(Call.from_bytes(bytes(call)), RULES)
    assert len({row.external_id for row in rows}) == len(rows)
    for row in rows:
        _fits(row)


def _fits(row: SessionDetails) -> None:
    """Every value is one that its column takes on every database."""
    assert len(row.external_id) <= 775
    people = (row.user1, row.user2, row.target_user, row.session_started_by, row.on_behalf_of, row.referred_by)
    clients = (row.user1_client, row.user2_client)
    texts = [
        *((person.uri, 450) for person in people if person is not None),
        *((client.version, 256) for client in clients if client is not None),
        *(
            (text, 256)
            for text in (row.server, row.pool, row.content_type, row.user1_edge_server, row.user2_edge_server)
            if text is not None
        ),
    ]
    for text, length in texts:
        assert 0 < len(text.encode("utf-16-le")) // 2 <= length
        assert text == text.strip()
        assert text.isprintable() or not any(sign < " " or "\x7f" <= sign < "\xa0" for sign in text)
    assert all(isinstance(person, User | None) and (person is None or person.uri_type in (0, 1)) for person in people)
    for guid in (row.correlation_id, row.user1_endpoint_id, row.user2_endpoint_id):
        assert guid is None or (len(guid) == 36 and guid == guid.lower())
    assert row.response_code is None or 200 <= row.response_code <= 699
    assert row.diagnostic_id is None or 0 <= row.diagnostic_id < 1 << 31
    assert 0 <= row.call_priority <= 4
    assert 0 <= row.media_types < 128
    assert [1 << (item.media_id - 1) for item in row.media] == [
        1 << bit for bit in range(7) if row.media_types >> bit & 1
    ]
    assert all(flag in (0, 1) for flag in (row.user1_flag, row.user2_flag))
    assert 0 <= row.call_flag <= 3
    assert all(bit in (0, 1, None) for bit in (row.is_user1_internal, row.is_user2_internal))
