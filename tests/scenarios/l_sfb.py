"""Section L: Skype for Business in particular."""

from tests.scenarios.a_basic import ANSWERED, UP
from tests.scenarios.i_identity import CORRELATION, legs, two_legs
from tests.scenarios.notation import rewritten, row, scenario

GUID = "5311b51c-39a9-5887-b22c-da3eaf56e4ac"
GRUU = "Contact: <sip:a@x.example;opaque=user:epid:HLURU6k5h1iyLNo-r1bkrAAA;gruu>"
EPID = "From: <sip:a@x.example>;tag=a;epid=7c41d09ae2"

END = """
    60       a>b  BYE 2
    60.1     a>b  200/BYE 2
"""


def trust(edge: str) -> str:
    """What an edge proxy adds to a message from outside."""
    return (
        f"ms-edge-proxy-message-trust: ms-source-type=InternetUser;ms-ep-fqdn={edge};ms-source-verified-user=verified"
    )


def failed(*headers: str) -> str:
    """A call that gets a 404 with these headers."""
    return f"""
    0        a>-  INVITE 1
    0.2      a>b  404 1  {" ".join("| " + header for header in headers)}
    0.25     a>b  ACK 1
    """


def shuffled(raw: bytes) -> bytes:
    """Headers in upper case and another order, as an OCS log has them."""
    head, _, body = raw.partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    loud = [name.upper() + b":" + value for name, _, value in (line.partition(b":") for line in lines)]
    return b"\r\n".join([start, *loud[3:], *loud[2::-1]]) + b"\r\n\r\n" + body


SCENARIOS = [
    scenario(
        "S183",
        failed(
            'ms-diagnostics: 1034;reason="Previous hop";source="fe.x.example"',
            'ms-diagnostics: 10003;reason="Gateway";source="ms.x.example"',
            'ms-diagnostics-public: 5;reason="Hidden"',
        ),
        row("0 0.2 404 0.2", diagnostic_id=10003),
    ),
    scenario(
        "S184",
        failed('ms-diagnostics-public: 1003;reason="User does not exist"'),
        row("0 0.2 404 0.2", diagnostic_id=1003),
    ),
    scenario(
        "S185",
        """
        0        a>-  INVITE 1
        0.1      a>b  101 1  | ms-diagnostics: 13004;reason="Request was proxied";source="fe.x.example"
        1        a>b  200 1
        1.05     a>b  ACK 1
        """
        + END,
        row("0 1 200 60", diagnostic_id=None),
    ),
    scenario(
        "S186",
        """
        0        a>-  INVITE 1
        1        a>b  200 1  | ms-client-diagnostics: 51007;reason="Callee media connectivity diagnosis info"
        1.05     a>b  ACK 1
        60       a>b  BYE 2  | ms-client-diagnostics: 23;reason="Call failed to establish"
        60.1     a>b  200/BYE 2
        """,
        row("0 1 200 60", diagnostic_id=23),
    ),
    scenario(
        "S186 without the BYE's",
        """
        0        a>-  INVITE 1
        1        a>b  200 1  | ms-client-diagnostics: 51007;reason="Callee media connectivity diagnosis info"
        1.05     a>b  ACK 1
        """
        + END,
        row("0 1 200 60", diagnostic_id=51007),
    ),
    *[
        scenario(
            f"S187 {value!r}",
            failed(f"ms-diagnostics: {value}"),
            row("0 0.2 404 0.2", diagnostic_id=number),
            counts={"malformed diagnostics": malformed},
        )
        for value, number, malformed in (
            ("1003.4;reason=x", 1003, 0),
            ("0", 0, 0),
            ("2147483647", 2147483647, 0),
            ("abc", None, 1),
            ("-7;reason=x", None, 1),
            ("4294967296", None, 1),
            ("9" * 500, None, 1),
            ('x;reason="error 7"', None, 1),
            ("", None, 0),
        )
    ],
    scenario(
        "S187 next header",
        failed("ms-diagnostics: abc", "ms-diagnostics-public: 77"),
        row("0 0.2 404 0.2", diagnostic_id=77),
    ),
    scenario(
        "S188",
        f"""
        0        a>-  INVITE 1  | {trust("Edge1.x.example")}
        1        a>b  200 1  | {trust("edge2.x.example")}
        1.05     a>b  ACK 1
        """
        + END,
        row(
            "0 1 200 60",
            user1_edge_server="edge1.x.example",
            user2_edge_server="edge2.x.example",
            is_user1_internal=0,
            is_user2_internal=0,
        ),
    ),
    scenario(
        "S189",
        UP.replace("180 1", "180 1  | ms-user-logon-data: RemoteUser", 1) + END,
        row("0 1 200 60", is_user1_internal=0, is_user2_internal=None),
    ),
    scenario("S190", two_legs(f"| Ms-Correlation-Id: {CORRELATION}"), *legs(CORRELATION)),
    *[
        scenario(
            f"S191 {value}",
            UP.replace("INVITE 1", f"INVITE 1  | Priority: {value}", 1) + END,
            row("0 1 200 60", priority=priority),
        )
        for value, priority in (
            ("emergency", 4),
            ("Emergency", 4),
            ("5", 0),
            ("urgent", 3),
            ("normal", 2),
            ("non-urgent", 1),
            ("psap-callback", 0),
        )
    ],
    *[
        scenario(
            f"S192 {name}",
            UP.replace("INVITE 1", f"INVITE 1  {headers}", 1) + END,
            row("0 1 200 60", user1_endpoint_id=GUID),
        )
        for name, headers in (
            ("GRUU", f"| {GRUU}"),
            ("epid", f"| {EPID}"),
            ("both", f"| {EPID} | {GRUU}"),
            ("instance", f'| Contact: <sip:a@192.0.2.1>;+sip.instance="<urn:uuid:{GUID.upper()}>"'),
        )
    ],
    scenario(
        "S193",
        """
        0        a>-  INVITE 1  body=twice
        1        a>b  200 1
        1.05     a>b  ACK 1
        """
        + END,
        row("0 1 200 60", content="multipart/alternative", media=16),
    ),
    scenario("S194", rewritten(ANSWERED, shuffled), row("0 1 200 60")),
    scenario(
        "S195",
        """
        0        a>-a REGISTER 1
        0.1      a>p  301/REGISTER 1  | Contact: <sip:home.x.example>
        """,
        counts={"method REGISTER": 2},
    ),
    scenario(
        "S196",
        """
        0        a>-  INVITE 1  body=twice
        0.2      a>b  415 1
        0.25     a>b  ACK 1
        0.3      a>-  INVITE 2
        1        a>b  200 2
        1.05     a>b  ACK 2
        60       a>b  BYE 3
        60.1     a>b  200/BYE 3
        """,
        row("0 1 200 60", call_flag=1, content="application/sdp", media={16: "0.3"}),
    ),
]
