"""Section F: Replaces, REFER and forwarding."""

from sipcdr.builder import Reference
from tests.scenarios.a_basic import UP
from tests.scenarios.notation import call_id, row, scenario, user

END = """
    60       a>b  BYE 9
    60.1     a>b  200/BYE 9
"""

GRUU = "<sip:b@x.example;opaque=user:epid:HLURU6k5h1iyLNo-r1bkrAAA;gruu>"
"""A Contact whose endpoint id is derivations.md section 6's invented pair."""
GRUU_GUID = "5311b51c-39a9-5887-b22c-da3eaf56e4ac"

FIRST = """
    0        a>-  INVITE 1
    1        a>b  200 1
    1.05     a>b  ACK 1
"""
CONSULTATION = """
    20       b2>-c INVITE 1  call=2
    22       b2>c 200 1  call=2
    22.05    b2>c ACK 1  call=2
"""


def attended(replaces: str) -> str:
    """A's call to C that takes the place of B's (call 2), and the end of all three."""
    return f"""
    30       b>a  REFER 2  | Refer-To: <sip:c@x.example?Replaces=2%40x.example%3Bto-tag%3Dc%3Bfrom-tag%3Db2>
    30.1     b>a  202/REFER 2
    30.2     a2>-c INVITE 1  call=3  | Replaces: {replaces} | Referred-By: <sip:b@x.example>
    30.5     a2>c2 200 1  call=3
    30.55    a2>c2 ACK 1  call=3
    30.6     b2>c BYE 2  call=2
    30.7     b2>c 200/BYE 2  call=2
    31       b>a  BYE 3
    31.1     b>a  200/BYE 3
    90       a2>c2 BYE 2  call=3
    90.1     a2>c2 200/BYE 2  call=3
    """


REPLACED = Reference(call_id("2"), (b"b2", b"c"))

TRANSFERRED = (
    row("0 1 200 31"),
    row("20 22 200 30.6", call="2", tags="b2>c", user1="B", user2="C", target="C", started="B"),
    row(
        "30.2 30.5 200 90",
        call="3",
        tags="a2>c2",
        user2="C",
        target="C",
        reference=REPLACED,
        referred_by=user("B"),
    ),
)

SCENARIOS = [
    scenario(
        "S76",
        FIRST
        + """
        20       b>a  REFER 1  | Refer-To: <sip:c@x.example>
        20.1     b>a  202/REFER 1
        20.2     a>b  NOTIFY 2
        20.3     a>b  200/NOTIFY 2
        20.4     a2>-c INVITE 1  call=2  | Referred-By: "B" <sip:b@x.example>;cid="7@x.example"
        21       a2>c 200 1  call=2
        21.05    a2>c ACK 1  call=2
        22       a>b  BYE 3
        22.1     a>b  200/BYE 3
        80       a2>c BYE 2  call=2
        80.1     a2>c 200/BYE 2  call=2
        """,
        row("0 1 200 22"),
        row("20.4 21 200 80", call="2", tags="a2>c", user2="C", target="C", referred_by=user("B")),
    ),
    scenario("S77", FIRST + CONSULTATION + attended("2@x.example;to-tag=c;from-tag=b2"), *TRANSFERRED),
    scenario(
        "S78",
        FIRST
        + """
        30.2     a2>-c INVITE 1  call=3  | Replaces: 2@x.example;to-tag=c;from-tag=b2
        30.5     a2>c2 200 1  call=3
        30.55    a2>c2 ACK 1  call=3
        31       b>a  BYE 3
        31.1     b>a  200/BYE 3
        90       a2>c2 BYE 2  call=3
        90.1     a2>c2 200/BYE 2  call=3
        95       b2>c BYE 2  call=2
        95.1     b2>c 200/BYE 2  call=2
        """,
        row("0 1 200 31"),
        row("30.2 30.5 200 90", call="3", tags="a2>c2", user2="C", target="C", reference=REPLACED),
        row(
            "95 95 200 95",
            call="2",
            tags="b2>c",
            user1="B",
            user2="C",
            target=None,
            started=None,
            content=None,
            media=0,
        ),
    ),
    scenario("S79", FIRST + CONSULTATION + attended("2@x.example;to-tag=b2;from-tag=c"), *TRANSFERRED),
    scenario(
        "S80",
        """
        0        a>-  INVITE 1  | Replaces: nowhere@x.example;to-tag=x;from-tag=y
        0.1      a>b  481 1
        0.15     a>b  ACK 1
        """,
        row("0 0.1 481 0.1", reference=None),
    ),
    scenario(
        "S81",
        """
        0        a>-  INVITE 1
        0.1      a>b1 180 1
        0.2      a>b2 180 1
        5        c>-a INVITE 1  call=2  | Replaces: 1@x.example;to-tag=b1;from-tag=a;early-only
        5.1      c>a2 200 1  call=2
        5.15     c>a2 ACK 1  call=2
        5.2      a>-  CANCEL 1
        5.21     a>b2 200/CANCEL 1
        5.22     a>b2 487 1
        5.25     a>b2 ACK 1
        60       c>a2 BYE 2  call=2
        60.1     c>a2 200/BYE 2  call=2
        """,
        row("0 5.22 487 5.22", tags="a>b2", pairs=["b1"]),
        row(
            "5 5.1 200 60",
            call="2",
            tags="c>a2",
            user1="C",
            user2="A",
            target="A",
            started="C",
            reference=Reference(call_id(), (b"a", b"b1")),
        ),
    ),
    scenario(
        "S82",
        """
        0        a>-  INVITE 1  | Replaces: 2@x.example;to-tag=c;from-tag=b2
        0.1      a>b  486 1
        0.15     a>b  ACK 1
        """,
        row("0 0.1 486 0.1", reference=None),
    ),
    scenario(
        "S83",
        FIRST
        + """
        20       b>a  REFER 1  | Refer-To: <sip:c@x.example>
        20.1     b>a  202/REFER 1
        20.2     a>b  NOTIFY 2
        20.3     a>b  200/NOTIFY 2
        60       b>a  BYE 2
        60.1     b>a  200/BYE 2
        """,
        row("0 1 200 60", referred_by=None),
    ),
    *[
        scenario(
            f"S84 {name}",
            UP.replace("INVITE 1", f"INVITE 1  | {header}", 1) + END,
            row("0 1 200 60", on_behalf_of=user("M")),
        )
        for name, header in (
            ("name-addr", "P-Session-On-Behalf-Of: <sip:m@x.example>"),
            ("bare", "p-session-on-behalf-of: sip:m@x.example"),
        )
    ],
    scenario(
        "S85",
        """
        0        a>-  INVITE 1
        1        a>c  200 1  to=b  | P-Asserted-Identity: "C"<sip:c@x.example>,<tel:+4930551>
        1.05     a>c  ACK 1  to=b
        60       a>c  BYE 2  to=b
        60.1     a>c  200/BYE 2  to=b
        """,
        row("0 1 200 60", tags="a>c", user2="C", target="B"),
    ),
    scenario(
        "S86",
        f"""
        0        a>-  INVITE 1
        0.1      a>b1 180 1  | Contact: <sip:b@x.example;opaque=user:epid:Jxn-TiLtxVi7tU0PNEFI6wAA;gruu>
        0.2      a>b2 180 1  | Contact: {GRUU}
        1        a>b2 200 1  | Contact: {GRUU}
        1.05     a>b2 ACK 1
        60       a>b2 BYE 2
        60.1     a>b2 200/BYE 2
        """,
        row("0 1 200 60", tags="a>b2", pairs=["b1"], user2_endpoint_id=GRUU_GUID),
    ),
    scenario(
        "S86 epid",
        """
        0        a>-  INVITE 1  | From: <sip:a@x.example>;tag=a;epid=0b93f5e611
        0.1      a>b1 180 1  | To: <sip:b@x.example>;tag=b1;epid=d2ff665153
        1        a>b2 200 1  | To: <sip:b@x.example>;tag=b2;epid=7c41d09ae2
        1.05     a>b2 ACK 1
        60       a>b2 BYE 2
        60.1     a>b2 200/BYE 2
        """,
        row(
            "0 1 200 60",
            tags="a>b2",
            pairs=["b1"],
            user1_endpoint_id="4efe1927-ed22-58c5-bbb5-4d0f344148eb",
            user2_endpoint_id=GRUU_GUID,
        ),
    ),
    scenario(
        "S87",
        UP.replace("INVITE 1", "INVITE 1  | P-Agent-On-Behalf-Of: <sip:g@x.example>", 1) + END,
        row("0 1 200 60", call_flag=2, on_behalf_of=user("G")),
    ),
]
