"""Ids, servers, content and what was replaced (derivations.md 3.3, 3.4, 3.7, 3.8, 3.13 to 3.15)."""

from __future__ import annotations

import base64
import uuid
from collections import Counter

import msgspec
import pytest

from sipcdr.builder import Call, Reference, Rules, sessions
from tests.builder.rows import Case, answer, case, check, invite, rows, wire
from tests.scenarios.a_basic import ANSWERED
from tests.scenarios.notation import address, call_id, messages

GUID = "5c3e9a10-7d42-4b61-9f0e-2a8b71c4d9e3"
OTHER_GUID = "7901b724-cbf3-5299-bfd0-041827e50488"
HEX = GUID.replace("-", "")
SERVER_GRUU = base64.urlsafe_b64encode(uuid.UUID(GUID).bytes + b"\0\0").decode()
ROUTES = "Record-Route: <sip:p2.x.example;lr>, <sip:P1.x.example:5061;lr>"
HOSTS = Rules(
    hosts={
        "p1.x.example": ("fe1.x.example", "pool1"),
        address("b").partition(":")[0]: ("b-server", None),
        address("a").partition(":")[0]: ("a-server", "a-pool"),
    }
)
X = Rules(correlation_header="X-Call")

CASES = [
    case("corr.configured", invite(f"X-Call: {{{GUID.upper()}}}"), rules=X, correlation_id=GUID),
    case(
        "corr.configured text",
        invite("x-call: 4711"),
        rules=X,
        correlation_id=str(uuid.uuid5(uuid.NAMESPACE_URL, "4711")),
    ),
    case(
        "corr.configured wins",
        invite(f"Ms-Correlation-Id: {OTHER_GUID}", f"X-Call: {GUID}"),
        rules=X,
        correlation_id=GUID,
    ),
    case("corr.configured absent", invite(f"Ms-Correlation-Id: {GUID}"), rules=X, correlation_id=GUID),
    case("corr.ms braces", invite(f"Ms-Correlation-Id: {{{GUID}}}"), correlation_id=GUID),
    case("corr.ms elsewhere", answer(f"Ms-Correlation-Id: {GUID}"), correlation_id=GUID),
    case(
        "corr.ms of an INVITE first",
        wire(
            "0  a>-  INVITE 1",
            f"1  a>b  407 1  | Ms-Correlation-Id: {OTHER_GUID}",
            f"2  a>-  INVITE 2  | Ms-Correlation-Id: {GUID}",
        ),
        correlation_id=GUID,
    ),
    case("corr.ms malformed", invite("Ms-Correlation-Id: 4711", f"Session-ID: {HEX}"), correlation_id=GUID),
    case("corr.session_id zero", invite(f"Session-ID: {'0' * 32}"), correlation_id=None),
    case("corr.cisco malformed", invite("Cisco-Guid: 1-2-3-4294967296"), correlation_id=None),
    case("corr.cisco short", invite("Cisco-Guid: 1-2-3"), correlation_id=None),
    case(
        "replaces.header",
        invite("Replaces: 7@x ; from-tag=f;to-tag = t ;early-only"),
        reference=Reference(b"7@x", (b"f", b"t")),
    ),
    case("replaces.header zero", invite("Replaces: 7@x;from-tag=f;to-tag=0"), reference=Reference(b"7@x", (b"", b"f"))),
    case(
        "replaces.header twice",
        invite("Replaces: 7@x;from-tag=f;to-tag=t", "Replaces: 8@x;from-tag=f;to-tag=t"),
        reference=None,
    ),
    case(
        "replaces.header one line", invite("Replaces: 7@x;from-tag=f;to-tag=t, 8@x;from-tag=f;to-tag=t"), reference=None
    ),
    case("replaces.header no tag", invite("Replaces: 7@x;from-tag=f"), reference=None),
    case("replaces.header two tags", invite("Replaces: 7@x;from-tag=f;from-tag=g;to-tag=t"), reference=None),
    case("replaces.header not answered with it", answer("Replaces: 7@x;from-tag=f;to-tag=t"), reference=None),
    case(
        "endpoint.server_gruu",
        answer(f"Contact: <sip:s@x.example;gruu;opaque=srvr:MediationServer:{SERVER_GRUU}>"),
        user2_endpoint_id=GUID,
    ),
    case(
        "endpoint.instance",
        answer(f'Contact: <sip:b@192.0.2.2>;+sip.instance="<urn:uuid:{HEX}>"'),
        user2_endpoint_id=GUID,
    ),
    case("endpoint.instance gr", answer(f"Contact: <sip:b@x.example;gr=urn:uuid:{GUID}>"), user2_endpoint_id=GUID),
    case(
        "endpoint.gruu malformed",
        invite(f'Contact: <sip:a@x.example;gruu;opaque=user:epid:%%%>;+sip.instance="<urn:uuid:{GUID}>"'),
        user1_endpoint_id=GUID,
    ),
    case(
        "endpoint.gruu short",
        invite("Contact: <sip:a@x.example;gruu;opaque=user:epid:HLURU6k5>"),
        user1_endpoint_id=None,
    ),
    case(
        "endpoint.gruu without gruu",
        invite("Contact: <sip:a@x.example;opaque=user:epid:HLURU6k5h1iyLNo-r1bkrAAA>"),
        user1_endpoint_id=None,
    ),
    case(
        "endpoint of a 1xx",
        wire("0  a>-  INVITE 1", "1  a>b  180 1  | To: <sip:b@x.example>;tag=b;epid=d2ff665153"),
        user2_endpoint_id=OTHER_GUID,
    ),
    case("endpoint of the INVITE's To", invite("To: <sip:b@x.example>;epid=d2ff665153"), user2_endpoint_id=OTHER_GUID),
    case("endpoint none", invite("Contact: <sip:a@192.0.2.1:5060>"), user1_endpoint_id=None),
    case(
        "server.ms_fe",
        invite("Record-Route: <sip:pool3.x.example:5061;transport=tls;ms-fe=FE2.x.example;opaque=state:F;lr>"),
        server="fe2.x.example",
        pool="pool3.x.example",
    ),
    case("server.configured route", invite(ROUTES), rules=HOSTS, server="fe1.x.example", pool="pool1"),
    case(
        "server.configured destination",
        invite("Record-Route: <sip:other.example;lr>"),
        rules=HOSTS,
        server="b-server",
        pool=None,
    ),
    case(
        "server.configured source",
        ANSWERED.replace("INVITE 1", "INVITE 1  dst=198.51.100.1:5060", 1),
        rules=HOSTS,
        server="a-server",
        pool="a-pool",
    ),
    case(
        "server.record_route IPv6",
        invite("Record-Route: <sip:[2001:DB8::1]:5060;lr>"),
        server="[2001:db8::1]",
        pool="[2001:db8::1]",
    ),
    case(
        "server.auth_target",
        answer('Proxy-Authentication-Info: NTLM rspauth="01", targetname="FE3.x.example", qop="auth"'),
        server="fe3.x.example",
        pool=None,
    ),
    case("server none", ANSWERED, server=None, pool=None),
    case(
        "content.invite call-type",
        invite("Content-Type: application/SDP; call-type=AudioVideo; charset=x"),
        content_type="application/sdp;call-type=audiovideo",
    ),
    case("content.invite malformed", invite("Content-Type: sdp"), content_type=None),
    case("content.answer", ANSWERED.replace("INVITE 1", "INVITE 1  sdp=-", 1), content_type="application/sdp"),
    case(
        "content.answer ACK",
        wire("0  a>-  INVITE 1  sdp=-", "1  a>b  200 1  sdp=-", "2  a>b  ACK 1  body=csta"),
        content_type="application/csta+xml",
    ),
]


@pytest.mark.parametrize("tried", CASES, ids=[tried.name for tried in CASES])
def test_column(tried: Case) -> None:
    """The rule that the case is named after gives the columns."""
    check(tried)


def test_server_trace() -> None:
    """`server.trace`: the machine that a trace names wins over everything on the wire."""
    call = Call(call_id())
    first, *others = messages(invite(ROUTES))
    call.add(msgspec.structs.replace(first.plain(), machine="FE9.x.example", pool="Pool9.x.example"))
    for message in others:
        call.add(message)
    (row,) = sessions(call)
    assert (row.server, row.pool) == ("fe9.x.example", "pool9.x.example")


def test_malformed_ids() -> None:
    """Ids that are none are counted, each once."""
    counts: Counter[str] = Counter()
    rows(invite("Ms-Correlation-Id: x", "Cisco-Guid: y", "Session-ID: z"), counts=counts)
    assert counts["malformed Ms-Correlation-Id"] == 1
    assert counts["malformed Session-ID"] == 1
    assert counts["malformed Cisco-Guid"] == 1
