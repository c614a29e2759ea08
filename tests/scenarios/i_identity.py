"""Section I: hops, B2BUAs and what makes a call one."""

import hashlib

from tests.scenarios.a_basic import ANSWERED
from tests.scenarios.b_attempts import CHALLENGED
from tests.scenarios.notation import Row, row, scenario

CORRELATION = "5c3e9a10-7d42-4b61-9f0e-2a8b71c4d9e3"


def two_legs(header: str) -> str:
    """A call that a B2BUA makes two of, with a header in both INVITEs."""
    return f"""
    0        a>-  INVITE 1  {header}
    0.05     s>-  INVITE 1  call=2  {header}
    1        s>b  200 1  call=2
    1.01     a>s2 200 1  to=b
    60       a>s2 BYE 2  to=b
    60.1     a>s2 200/BYE 2  to=b
    60.01    s>b  BYE 2  call=2
    60.2     s>b  200/BYE 2  call=2
    """


def legs(correlation_id: str | None) -> tuple[Row, ...]:
    """Their rows."""
    return (
        row("0 1.01 200 60", tags="a>s2", modified="60.1", correlation_id=correlation_id),
        row("0.05 1 200 60.01", call="2", tags="s>b", user1="S", started="S", correlation_id=correlation_id),
    )


LONG = "x" * 800
HASHED = LONG.encode()[:700] + b"~" + hashlib.sha256(f"{LONG};a;b".encode()).hexdigest().encode()

SCENARIOS = [
    scenario(
        "S125",
        """
        0        a>-  INVITE 1
        0.001    a>-  INVITE 1  v=2
        0.002    a>-  INVITE 1  v=3
        1        a>b  200 1  v=3
        1.001    a>b  200 1  v=2
        1.002    a>b  200 1  v=1
        1.05     a>b  ACK 1
        1.051    a>b  ACK 1  v=2
        60       b>a  BYE 1
        60.001   b>a  BYE 1  v=2
        60.1     b>a  200/BYE 1
        """,
        row("0 1 200 60"),
    ),
    scenario(
        "S125 ms-headers",
        """
        0        a>-  INVITE 1
        0.001    a>-  INVITE 1  v=2
        1        a>b  404 1  v=2  | ms-client-diagnostics: 52001;reason="x"
        1.001    a>b  404 1  v=2  | ms-diagnostics-public: 1003;reason="x"
        1.002    a>b  404 1  v=1  | ms-diagnostics: 1034;reason="x";source="s"
        1.003    a>b  404 1  v=1  | ms-diagnostics: 1035;reason="x";source="s"
        """,
        row("0 1 404 1", diagnostic_id=1034),
    ),
    scenario(
        "S126",
        """
        0,0.003        a>-  INVITE 1
        0.1,0.103      a>b  180 1
        1,1.003        a>b  200 1
        1.05,1.053     a>b  ACK 1
        60,60.003      a>b  BYE 2
        60.1,60.103    a>b  200/BYE 2
        """,
        row("0 1 200 60"),
    ),
    *[
        scenario(
            f"S126 zero length, {late} s",
            f"""
            0,{late}       a>-  INVITE 1
            0.001          a>b  200 1
            {late}1        a>b  200 1
            0.002,{late}2  a>b  BYE 2
            0.003,{late}3  a>b  200/BYE 2
            """,
            row("0 0.001 200 0.002"),
        )
        for late in ("0.003", "0.1", "0.5")
    ],
    scenario("S127", two_legs(""), *legs(None)),
    scenario("S127 Ms-Correlation-Id", two_legs(f"| Ms-Correlation-Id: {CORRELATION}"), *legs(CORRELATION)),
    scenario(
        "S127 Session-ID",
        two_legs("| Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000"),
        *legs("ab30317f-1a78-4dc4-8ff8-24d0d3715d86"),
    ),
    scenario(
        "S127 Cisco-Guid",
        two_legs("| Cisco-Guid: 1234567890-0000000001-3456789012-4294967295"),
        *legs("499602d2-0000-0001-ce0a-6a14ffffffff"),
    ),
    scenario(
        "S128",
        """
        0        a>-  INVITE 1
        0.01     a2>- INVITE 1
        1        a2>b2 200 1
        1.01     a>b  200 1
        1.05     a>b  ACK 1
        1.06     a2>b2 ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        60.01    a2>b2 BYE 2
        60.2     a2>b2 200/BYE 2
        """,
        row("0 1.01 200 60", modified="60.1"),
        row("0.01 1 200 60.01", tags="a2>b2"),
    ),
    scenario(
        "S129",
        """
        0        a>-  INVITE 1
        0.01     a>-  INVITE 101
        1        a>b  200 101
        1.01     a>b  200 1
        1.05     a>b  ACK 1
        1.06     a>b  ACK 101
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        60.01    a>b  BYE 102
        60.2     a>b  200/BYE 102
        """,
        row("0 1 200 60", media={16: "0.01"}, call_flag=0),
    ),
    scenario(
        "S130",
        """
        0        a>-  INVITE 1  | Contact: <sip:a@192.0.2.1> | Record-Route: <sip:inside.example;lr>
        0.01     a>-  INVITE 1  | Contact: <sip:a@198.51.100.1> | Record-Route: <sip:outside.example;lr>
        1        a>b  200 1  | Contact: <sip:b@198.51.100.2>
        1.01     a>b  200 1  | Contact: <sip:b@192.0.2.2>
        1.05     a>b  ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0 1 200 60", server="inside.example", pool="inside.example"),
    ),
    scenario(
        "S131",
        """
        0        a>-  INVITE 1  v=1
        0.01     a>-  INVITE 1  v=2  uri=sip:c@x.example
        0.02     a>-  INVITE 1  v=3  uri=sip:d@x.example
        1        a>b  200 1  v=3
        1.01     a>b  200 1  v=1
        1.05     a>b  ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0 1 200 60"),
    ),
    *[
        scenario(
            f"S132 {code}",
            f"""
            0        a>-  INVITE 1  v=1
            0.01     a>-  INVITE 1  v=2
            0.02     a>-  INVITE 1  v=3
            0.03     a>p3 {inner} 1  v=3
            0.04     a>p1 {code} 1  v=1
            0.05     a>p1 ACK 1
            """,
            row(f"0 0.04 {code} 0.04", tags="a>p1", pairs=["p3"]),
        )
        for inner, code in ((483, 482), (482, 483))
    ],
    scenario(
        "S133",
        """
        0        a>-  INVITE 1  v=20  """
        + " ".join(f"| Record-Route: <sip:P{hop}.x.example:5061;lr>" for hop in range(20, 0, -1))
        + """
        1        a>b  200 1
        1.05     a>b  ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0 1 200 60", server="p1.x.example", pool="p1.x.example"),
    ),
    scenario(
        "S134",
        ANSWERED
        + """
        30       a2>-c INVITE 1
        31       a2>c 200 1
        31.05    a2>c ACK 1
        90       a2>c BYE 2
        90.1     a2>c 200/BYE 2
        """,
        row("0 1 200 60", modified="60.1"),
        row("30 31 200 90", tags="a2>c", user2="C", target="C"),
    ),
    scenario(
        "S135",
        "".join(
            f"""
            {start}        a>-  INVITE 1
            {start}.001    a>-  INVITE 1  v=2
            {start}.1      a>b  200 1  v=2
            {start}.101    a>b  200 1
            {start}.15     a>b  ACK 1
            {start}.151    a>b  ACK 1  v=2
            {start + 2}        a>b  BYE 2
            {start + 2}.001    a>b  BYE 2  v=2
            {start + 2}.1      a>b  200/BYE 2  v=2
            {start + 2}.101    a>b  200/BYE 2
            """
            for start in (0, 3, 60)
        ),
        row("0 0.1 200 2", modified="2.1"),
        row("3 3.1 200 5", again=True, modified="5.1"),
        row("60 60.1 200 62", again=True, modified="62.1"),
    ),
    scenario(
        "S136 refused",
        """
        0        a>-  INVITE 1
        1        a>b  200 1
        1.05     a>b  ACK 1
        20       a>-  INVITE 2
        20.1     a>b2 486 2
        20.15    a>b2 ACK 2
        60       a>b  BYE 3
        60.1     a>b  200/BYE 3
        """,
        row("0 1 200 60", pairs=["b2"], call_flag=0),
    ),
    scenario(
        "S136 answered",
        """
        0        a>-  INVITE 1
        1        a>b  200 1
        1.05     a>b  ACK 1
        20       a>-  INVITE 2
        21       a>b2 200 2
        21.05    a>b2 ACK 2
        60       a>b  BYE 3
        60.1     a>b  200/BYE 3
        70       a>b2 BYE 4
        70.1     a>b2 200/BYE 4
        """,
        row("0 1 200 60", modified="60.1"),
        row("0 21 200 70", tags="a>b2", media={16: 20}, call_flag=0),
    ),
    scenario(
        "S136 same CSeq",
        """
        0        a>-  INVITE 1
        1        a>b  200 1
        1.05     a>b  ACK 1
        40       a>-  INVITE 1
        41       a>b2 200 1
        41.05    a>b2 ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        70       a>b2 BYE 2
        70.1     a>b2 200/BYE 2
        """,
        row("0 1 200 60", modified="60.1"),
        row("40 41 200 70", tags="a>b2"),
    ),
    scenario(
        "S137",
        """
        0        a>-  INVITE 1
        1        a>a  200 1  to=b
        1.05     a>a  ACK 1  to=b
        10       a>a  MESSAGE 2  to=b
        10.1     a>a  200/MESSAGE 2  to=b
        11       a>a  MESSAGE 2  from=b to=a
        11.1     a>a  200/MESSAGE 2  from=b to=a
        12       a>a  MESSAGE 3  from=b to=a
        12.1     a>a  200/MESSAGE 3  from=b to=a
        60       a>a  BYE 4  from=b to=a
        60.1     a>a  200/BYE 4  from=b to=a
        """,
        row("0 1 200 60", tags="a>a", n="1/2", media={16: 0, 1: 10}, modified="60.1"),
    ),
    scenario(
        "S138",
        """
        0        ->-  INVITE 1
        1        ->b  200 1
        1.05     ->b  ACK 1
        60       b>-  BYE 1
        60.1     b>-  200/BYE 1
        """,
        row("0 1 200 60", tags="->b"),
    ),
    *[
        scenario(
            f"S139 {name}",
            f"""
            0        a>-  INVITE 1  | Call-ID: {text}
            1        a>b  486 1  | Call-ID: {text}
            """,
            row(
                "0 1 486 1",
                call_id=text.strip().encode(),
                external_id=external or f"{text.strip()};a;b".encode(),
                modified=1,
            ),
        )
        for name, text, external in (
            ("semicolon", "7;x=y@x.example", None),
            ("300 bytes", "y" * 300, None),
            ("800 bytes", LONG, HASHED),
            ("blanks", "  \t 7@x.example \t ", None),
        )
    ],
    scenario(
        "S140",
        """
        0        a>-  INVITE 1  call=x
        0.1      a>-  INVITE 1  call=X
        1        a>b  486 1  call=x
        2        a>b  603 1  call=X
        """,
        row("0 1 486 1", call="x"),
        row("0.1 2 603 2", call="X"),
    ),
    scenario(
        "S141",
        CHALLENGED
        + """
        0.05     a>p  INVITE 2
        1        a>p  200 2
        1.05     a>p  ACK 2
        60       a>p  BYE 3
        60.1     a>p  200/BYE 3
        """,
        row("0 1 200 60", tags="a>p", media={16: "0.05"}, call_flag=0),
    ),
    scenario(
        "S141 answered by another",
        CHALLENGED
        + """
        0.05     a>p  INVITE 2
        1        a>b  200 2
        1.05     a>b  ACK 2
        60       b>a  BYE 3
        60.1     b>a  200/BYE 3
        """,
        row("0 1 200 60", pairs=["p"], media={16: "0.05"}, call_flag=0),
    ),
    scenario(
        "S142",
        """
        0        a>-  INVITE 1  call=2
        0        a>-  INVITE 1  call=1
        1        a>b  486 1  call=2
        1        a>b  486 1  call=1
        """,
        row("0 1 486 1", call="2"),
        row("0 1 486 1", call="1"),
    ),
    scenario(
        "S143",
        """
        0.001    a>-  INVITE 1  call=1
        0        a>-  INVITE 1  call=2
        1        a>b  486 1  call=1
        1        a>b  486 1  call=2
        """,
        row("0.001 1 486 1", call="1"),
        row("0 1 486 1", call="2"),
    ),
]
