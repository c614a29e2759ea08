"""Section A: basic calls (RFC 3261, 3665, 3666)."""

from tests.scenarios.notation import row, scenario

ANSWERED = """
    0        a>-  INVITE 1
    0.01     a>-  100 1
    0.1      a>b  180 1
    1        a>b  200 1
    1.05     a>b  ACK 1
    60       a>b  BYE 2
    60.1     a>b  200/BYE 2
"""
"""S1, which others vary."""

UP = "\n".join(ANSWERED.splitlines()[:6])
"""S1 up to the ACK."""

SCENARIOS = [
    scenario("S1", ANSWERED, row("0 1 200 60", state="Morgue", closes=92)),
    scenario(
        "S2",
        UP
        + """
        60       b>a  BYE 1
        60.1     b>a  200/BYE 1
        """,
        row("0 1 200 60", state="Morgue", closes=92),
    ),
    scenario(
        "S3",
        """
        0        a>-  INVITE 1
        0.1      a>b  180 1
        2        a>b  486 1
        2.05     a>b  ACK 1
        """,
        row("0 2 486 2", state="Terminated, failed", closes=34),
    ),
    scenario(
        "S4",
        """
        0        a>-  INVITE 1
        0.1      a>b  180 1
        5        a>-  CANCEL 1
        5.02     a>b  200/CANCEL 1
        5.03     a>b  487 1
        5.05     a>b  ACK 1
        """,
        row("0 5.03 487 5.03", state="Terminated, failed", closes="37.03"),
    ),
    scenario(
        "S5",
        """
        0        a>-  INVITE 1
        0.01     a>-  100 1
        2        a>b  603 1
        """,
        row("0 2 603 2"),
    ),
    scenario(
        "S6",
        "0,0.5,1.5,3.5,7.5,15.5,31.5  a>-  INVITE 1",
        row("0 - - -", tags="a>-", state="Preparative", closes="63.5"),
    ),
    scenario(
        "S7",
        """
        0        a>-  INVITE 1
        0.01     a>-  100 1
        0.1      a>b  180 1
        """,
        row("0 - - -", state="Early", closes="180.1"),
    ),
    scenario(
        "S7 only 100",
        """
        0        a>-  INVITE 1
        0.01,60  a>-  100 1
        """,
        row("0 - - -", tags="a>-", state="Early", closes=240),
    ),
    scenario(
        "S8",
        """
        0        a>-  INVITE 1
        0.01     a>-  100 1
        32       a>p  408 1
        32.02    a>p  ACK 1
        """,
        row("0 32 408 32", tags="a>p"),
    ),
    scenario(
        "S9",
        """
        0        a>-  INVITE 1  sdp=-
        1        a>b  200 1  sdp=audio,video
        1.05     a>b  ACK 1  sdp=audio,video:0
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0 1 200 60"),
    ),
    scenario(
        "S9 all accepted",
        """
        0        a>-  INVITE 1  sdp=-
        1        a>b  200 1  sdp=audio,video
        1.05     a>b  ACK 1  sdp=audio,video
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0 1 200 60", media=16 + 32),
    ),
    scenario(
        "S10",
        """
        0        a>-  INVITE 1  sdp=audio,video
        0.5      a>b  183 1  sdp=audio,video:0
        2        a>b  200 1  sdp=-
        2.05     a>b  ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0 2 200 60"),
    ),
    scenario(
        "S11",
        """
        0        a>-  INVITE 1
        1        a>b  200 1
        1        b>a  BYE 1
        1.01     a>b  ACK 1
        1.02     b>a  200/BYE 1
        """,
        row("0 1 200 1"),
    ),
    scenario(
        "S12",
        UP
        + """
        90000    a>b  BYE 2
        90000.1  a>b  200/BYE 2
        """,
        row("0 1 200 90000"),
    ),
    scenario(
        "S12 refreshed",
        """
        0        a>-  INVITE 1
        1        a>b  200 1  | Session-Expires: 50000;refresher=uac
        1.05     a>b  ACK 1
        45000    a>b  UPDATE 2
        45000.1  a>b  200/UPDATE 2  | Session-Expires: 50000;refresher=uac
        88000    a>b  UPDATE 3
        88000.1  a>b  200/UPDATE 3  | x: 50000;refresher=uac
        """,
        row("0 1 200 -", state="Established", closes="138032.1"),
    ),
]
