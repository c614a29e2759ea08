"""Section N: scenarios added later, most of them seen in real captures."""

from sipcdr.builder import Client, User
from tests.scenarios.a_basic import ANSWERED, UP
from tests.scenarios.b_attempts import CHALLENGED
from tests.scenarios.notation import rewritten, row, scenario

ROUTES = "| Record-Route: <sip:p2.x.example;lr>, <sip:p1.x.example;lr>"
OLD_PHONE = User("192.0.2.7", 1)
VOLTE = User("0398;phone-context=ims.x@ims.x;user=phone", 0)

SCENARIOS = [
    scenario(
        "S197",
        """
        0        a>-  INVITE 1
        0.1      a>b1 180 1
        0.2      a>b2 180 1
        5        a>b2 BYE 2
        5.1      a>b2 200/BYE 2
        8        a>b1 200 1
        8.05     a>b1 ACK 1
        60       a>b1 BYE 2
        60.1     a>b1 200/BYE 2
        """,
        row("0 8 200 60", tags="a>b1", pairs=["b2"]),
        counts={"stray in-dialog messages": 2},
    ),
    scenario(
        "S198",
        CHALLENGED
        + """
        34.02    a>-  INVITE 2
        34.1     a>b  403 2
        34.15    a>b  ACK 2
        """,
        row("0 34.1 403 34.1", pairs=["p"], media={16: "34.02"}, call_flag=0),
    ),
    scenario(
        "S198 at 180 s",
        CHALLENGED
        + """
        180.02   a>-  INVITE 2
        180.1    a>b  403 2
        """,
        row("0 180.1 403 180.1", pairs=["p"], media={16: "180.02"}, call_flag=0),
    ),
    scenario(
        "S198 later than 180 s",
        CHALLENGED
        + """
        180.020001  a>-  INVITE 2
        181         a>b  403 2
        181.05      a>b  ACK 2
        """,
        row("0 0.02 407 0.02", tags="a>p", modified="0.03"),
        row("180.020001 181 403 181"),
    ),
    scenario(
        "S199",
        ANSWERED.replace("180 1", f"180 1  {ROUTES}", 1).replace("200 1", f"200 1  {ROUTES}", 1),
        row("0 1 200 60", server="p1.x.example", pool="p1.x.example"),
    ),
    scenario(
        "S200",
        """
        0        a>-  INVITE 1
        0.1      a>b  180 1
        2        a>b  403 1
        5        a>b  BYE 2
        5.1      a>b  200/BYE 2
        """,
        row("0 2 403 2"),
    ),
    scenario(
        "S201",
        """
        0        a>-  INVITE 1  src=192.0.2.1:5060
        0.05     a>-  INVITE 2  src=192.0.2.1:5062
        0.13     a>-  INVITE 3  src=192.0.2.1:5064
        0.2      a>-  CANCEL 2
        0.21     a>-  CANCEL 3
        0.22     a>b  200/CANCEL 2
        0.23     a>b  200/CANCEL 3
        1        a>b  200 1
        1.01     a>b  200 2
        1.02     a>b  200 3
        1.05     a>b  ACK 1
        60       a>b  BYE 4
        60.1     a>b  200/BYE 4
        """,
        row("0 1 200 60", call_flag=0, state="Morgue"),
    ),
    scenario(
        "S202",
        UP.replace("200 1", "200 1  | P-Asserted-Identity: <sip:a@x.example>", 1)
        + """
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0 1 200 60", user2="B"),
    ),
    scenario(
        "S203",
        """
        0        a>-  MESSAGE 1  body=typing
        0.1      a>b  200/MESSAGE 1
        """,
        row(
            "0 0 200 0.1",
            tags="a>-",
            pairs=["b"],
            n="0/0",
            media=0,
            content="application/im-iscomposing+xml",
        ),
    ),
    scenario(
        "S204",
        rewritten(ANSWERED, lambda raw: raw.replace(b"From: <sip:a@x.example>", b'From: \\"ann\\" <sip:ann@x>')),
        row("0 1 200 60", user1="ann@x", started="ann@x"),
    ),
    scenario(
        "S205",
        rewritten(
            ANSWERED,
            lambda raw: raw.replace(b"<sip:a@x.example>", b"<sip:192.0.2.7:5062;user=phone>").replace(
                b"<sip:b@x.example>", b"<sip:0398;phone-context=ims.x@ims.x;user=phone>"
            ),
        ),
        row("0 1 200 60", user1=OLD_PHONE, started=OLD_PHONE, user2=VOLTE, target=VOLTE),
    ),
    scenario(
        "S206",
        """
        0        a>-  INVITE 1
        0.02     a>p  407 1  | Server: P/1.0
        0.03     a>p  ACK 1
        0.05     a>-  INVITE 2
        0.5      a>b  180 2  | User-Agent: B/2.0
        3        a>-  CANCEL 2
        3.01     a>b  200/CANCEL 2  | Server: P/1.0
        3.02     a>b  487 2
        """,
        row(
            "0 3.02 487 3.02",
            pairs=["p"],
            media={16: "0.05"},
            user2_client=Client("B/2.0"),
        ),
    ),
    scenario(
        "S207",
        UP
        + """
        30       b>a  INVITE 1  sdp=audio,video
        30.01    b>a  100 1
        60       b>a  BYE 2
        60.1     b>a  200/BYE 2
        """,
        row("0 1 200 60", media=16),
    ),
]
