"""The two sides of a session and who else has to do with it (derivations.md 3.5, 3.6, 3.9 to 3.12, 3.16 to 3.21)."""

from __future__ import annotations

import pytest

from sipcdr.builder import Client, Rules, User
from tests.builder.rows import Case, answer, case, check, invite, wire
from tests.scenarios.a_basic import ANSWERED
from tests.scenarios.notation import user

NETWORKS = Rules(networks=("192.0.2.0/24", "2001:db8::/32"))


def edge(name: str) -> str:
    """What an edge proxy adds, in another order than usual."""
    return f"ms-edge-proxy-message-trust: ms-ep-fqdn={name} ; ms-source-type=EdgeProxyGenerated"


CASES = [
    case("user1.pai only if anonymous", invite("P-Asserted-Identity: <sip:c@x.example>"), user1=user("A")),
    case(
        "user1.pai none",
        invite("From: <sip:anonymous@anonymous.invalid>;tag=a"),
        user1=User("anonymous@anonymous.invalid", 1),
    ),
    case("user2.answered_as tel", answer("P-Asserted-Identity: <tel:+49-30-551>"), user2=User("+4930551", 0)),
    case("user2.answered_as same user part", answer("P-Asserted-Identity: <sip:b@elsewhere.example>"), user2=user("B")),
    case(
        "user2.answered_as not by failures",
        wire("0  a>-  INVITE 1", "1  a>b  486 1  | P-Asserted-Identity: <sip:c@x.example>"),
        user2=user("B"),
    ),
    case("target.to without URI", invite("To: <>", "History-Info: <sip:c@x.example>;index=1"), target_user=user("C")),
    case("user raw", invite("From: <Odd Thing>;tag=a"), user1=User("odd thing", 1)),
    case("user raw token", invite("From: odd-thing;tag=a"), user1=User("odd-thing", 1)),
    case("behalf.session malformed", invite("P-Session-On-Behalf-Of: <>"), on_behalf_of=None),
    case(
        "behalf.session first",
        invite("P-Agent-On-Behalf-Of: <sip:g@x.example>", "P-Session-On-Behalf-Of: <sip:m@x.example>"),
        on_behalf_of=user("M"),
        call_flag=2,
    ),
    case("referred.header bare", invite("b: sip:c@x.example;cid=7"), referred_by=user("C")),
    case(
        "referred.header twice",
        invite("Referred-By: <sip:c@x.example>", "Referred-By: <sip:d@x.example>"),
        referred_by=user("C"),
    ),
    case(
        "client.user_agent",
        invite("User-Agent: UCCAPI/16.0.5100.1000 OC/16.0.5100.1000 (Skype for Business)"),
        user1_client=Client("UCCAPI/16.0.5100.1000 OC/16.0.5100.1000 (Skype for Business)", 4),
    ),
    case(
        "client.user_agent of a BYE",
        ANSWERED.replace("BYE 2", "BYE 2  | User-Agent: A/1", 1),
        user1_client=Client("A/1"),
        user2_client=None,
    ),
    case("client.server", answer("Server: B/1"), user2_client=Client("B/1"), user1_client=None),
    case(
        "client.user_agent before Server",
        answer("Server: S/1", to="180 1").replace("200 1", "200 1  | User-Agent: B/1", 1),
        user2_client=Client("B/1"),
    ),
    case(
        "client.user_agent of the 2xx first",
        answer("User-Agent: B/1", to="180 1").replace("200 1", "200 1  | User-Agent: B/2", 1),
        user2_client=Client("B/2"),
    ),
    case(
        "client of B's request",
        ANSWERED.replace("a>b  BYE 2", "b>a  BYE 2  | User-Agent: B/3", 1),
        user2_client=Client("B/3"),
    ),
    case("client not of a 100", answer("Server: P/1", to="100 1"), user2_client=None),
    case("client empty", invite("User-Agent:"), user1_client=None),
    case(
        "edge.trust",
        invite(edge("Edge1.x.example")),
        user1_edge_server="edge1.x.example",
        user2_edge_server=None,
        is_user1_internal=0,
        is_user2_internal=None,
    ),
    case(
        "edge.trust B's request",
        ANSWERED.replace("a>b  BYE 2", f"b>a  BYE 2  | {edge('e2')}", 1),
        user1_edge_server=None,
        user2_edge_server="e2",
    ),
    case(
        "edge.trust without name",
        invite("ms-edge-proxy-message-trust: ms-source-type=AutoFederation"),
        user1_edge_server=None,
        is_user1_internal=0,
    ),
    case("internal.logon B", invite("ms-user-logon-data: RemoteUser"), is_user1_internal=None, is_user2_internal=0),
    case(
        "internal.media_location",
        invite("ms-endpoint-location-data: NetworkScope;ms-media-location-type=Intranet").replace(
            "200 1", "200 1  | ms-endpoint-location-data: NetworkScope;ms-media-location-type=Internet", 1
        ),
        is_user1_internal=1,
        is_user2_internal=0,
    ),
    case("internal.networks", ANSWERED, rules=NETWORKS, is_user1_internal=1, is_user2_internal=1),
    case(
        "internal.networks nearest",
        wire(
            "0  a>-  INVITE 1  v=2 src=198.51.100.9:5060",
            "0.01  a>-  INVITE 1  src=192.0.2.9:5060",
            "1  a>b  200 1  src=192.0.2.8:5060",
            "1.01  a>b  200 1  v=2 src=198.51.100.8:5060",
        ),
        rules=NETWORKS,
        is_user1_internal=1,
        is_user2_internal=0,
    ),
    case(
        "internal.networks IPv6",
        wire("0  a>-  INVITE 1  src=[2001:db8::7]:5060", "1  a>b  486 1  src=[2001:db9::7]:5060"),
        rules=NETWORKS,
        is_user1_internal=1,
        is_user2_internal=0,
    ),
    case("internal.networks unseen", "0  a>-  INVITE 1", rules=NETWORKS, is_user1_internal=1, is_user2_internal=None),
    case("internal.networks after edge", invite(edge("e1")), rules=NETWORKS, is_user1_internal=0, is_user2_internal=1),
    case("internal.sfb_default agent", invite("User-Agent: UCCAPI/16 OC/16"), is_user1_internal=1, is_user2_internal=1),
    case(
        "internal.sfb_default route",
        invite("Record-Route: <sip:pool.x.example;ms-fe=fe;lr>"),
        is_user1_internal=1,
        is_user2_internal=1,
    ),
    case(
        "internal.sfb_default unseen",
        "0  a>-  INVITE 1  | User-Agent: UCCAPI/16 OC/16",
        is_user1_internal=1,
        is_user2_internal=None,
    ),
]


@pytest.mark.parametrize("tried", CASES, ids=[tried.name for tried in CASES])
def test_column(tried: Case) -> None:
    """The rule that the case is named after gives the columns."""
    check(tried)
