"""Section D: races of CANCEL and BYE (RFC 5407)."""

from tests.scenarios.a_basic import UP
from tests.scenarios.notation import row, scenario

RINGING = """
    0        a>-  INVITE 1
    0.1      a>b  180 1
"""
DAY = 24 * 3600

SCENARIOS = [
    scenario(
        "S41",
        RINGING
        + """
        2        a>-  CANCEL 1
        2.01     a>b  200 1
        2.02     a>b  200/CANCEL 1
        2.05     a>b  ACK 1
        2.1      a>b  BYE 2
        2.2      a>b  200/BYE 2
        """,
        row("0 2.01 200 2.1"),
    ),
    scenario(
        "S42",
        RINGING
        + """
        2        a>-  CANCEL 1
        2.01     a>b  200/CANCEL 1
        2.02     a>b  200 1
        2.05     a>b  ACK 1
        """,
        row("0 2.02 200 -", state="Established", closes=f"{DAY + 2}.05"),
    ),
    scenario(
        "S43",
        RINGING
        + """
        2        a>-  CANCEL 1
        2.01     a>b  481/CANCEL 1
        2.02     a>b  486 1
        2.05     a>b  ACK 1
        """,
        row("0 2.02 486 2.02"),
    ),
    scenario(
        "S44",
        RINGING
        + """
        2        a>-  CANCEL 1
        2.01     a>b  200/CANCEL 1
        """,
        row("0 - - 2", state="Cancelled", closes=34),
    ),
    scenario(
        "S45",
        """
        0        a>-  INVITE 1
        0.01     a>-  CANCEL 1
        0.02     a>b  200/CANCEL 1
        0.03     a>b  487 1
        0.04     a>b  ACK 1
        """,
        row("0 0.03 487 0.03"),
    ),
    scenario(
        "S46",
        RINGING
        + """
        2        a>-  CANCEL 1  | Reason: SIP;cause=200;text="Call completed elsewhere"
        2.01     a>b  200/CANCEL 1
        2.02     a>b  487 1
        2.03     a>b  ACK 1
        """,
        row("0 2.02 487 2.02"),
    ),
    scenario(
        "S47",
        RINGING
        + """
        5,5.5,6.5 a>-  CANCEL 1
        5.02,5.52 a>b  200/CANCEL 1
        5.03     a>b  487 1
        5.05     a>b  ACK 1
        """,
        row("0 5.03 487 5.03", state="Terminated, failed", closes="37.03"),
    ),
    scenario(
        "S48",
        RINGING
        + """
        2        a>b  BYE 2
        2.01     a>b  200/BYE 2
        2.02     a>b  487 1
        2.03     a>b  ACK 1
        """,
        row("0 2.02 487 2.02", state="Morgue", closes=34),
    ),
    scenario(
        "S49",
        RINGING
        + """
        2        a>b  BYE 2
        2.01     a>b  200/BYE 2
        """,
        row("0 - - 2", state="Morgue", closes=34),
    ),
    scenario(
        "S49 not answered",
        RINGING + "2  a>b  BYE 2",
        row("0 - - 2", state="Mortal", closes=34),
    ),
    *[
        scenario(
            f"S50 {code}",
            UP
            + f"""
            60       b>a  BYE 1
            60.01    a>b  BYE 2
            60.02    a>b  {code}/BYE 2
            60.03    b>a  {code}/BYE 1
            """,
            row("0 1 200 60", state="Morgue", closes=92),
        )
        for code in (200, 481)
    ],
    scenario(
        "S51",
        UP
        + """
        60       a>b  BYE 2
        60.1     a>b  481/BYE 2
        """,
        row("0 1 200 60", state="Morgue", closes=92),
    ),
    scenario(
        "S52",
        UP
        + """
        60,60.5,61.5,63.5,67.5,71.5,75.5  a>b  BYE 2
        92       a>b  408/BYE 2
        """,
        row("0 1 200 60", state="Morgue", closes=92),
    ),
    scenario(
        "S53",
        UP
        + """
        60       a>b  BYE 2
        60.01    a>b  407/BYE 2
        60.02    a>b  BYE 3
        60.03    a>b  200/BYE 3
        """,
        row("0 1 200 60"),
    ),
    scenario(
        "S54",
        RINGING
        + """
        1        a>b  200 1
        1.02     b>a  BYE 1
        1.05     a>b  ACK 1
        1.06     b>a  200/BYE 1
        """,
        row("0 1 200 1.02", state="Morgue", closes="33.02"),
    ),
    scenario(
        "S54b",
        RINGING
        + """
        1        a>b  200 1
        1.02     a>b  BYE 2
        1.05     a>b  ACK 1
        1.06     a>b  200/BYE 2
        """,
        row("0 1 200 1.02", state="Morgue", closes="33.02"),
    ),
    scenario(
        "S55",
        RINGING
        + """
        1,1.5,2.5,4.5,8.5,12.5,16.5,20.5,24.5,28.5,32.5  a>b  200 1
        33       b>a  BYE 1
        33.1     b>a  200/BYE 1
        """,
        row("0 1 200 33"),
    ),
    scenario(
        "S56",
        RINGING + "1,1.5,2.5,4.5,8.5  a>b  200 1",
        row("0 1 200 -", state="Moratorium", closes=DAY + 1),
    ),
    scenario(
        "S57",
        RINGING
        + """
        0.9      b>a  BYE 1
        1        a>b  200 1
        1.05     b>a  200/BYE 1
        """,
        row("0 1 200 0.9"),
        counts={"end before its response": 1},
    ),
    scenario(
        "S58",
        UP
        + """
        60       a>z  BYE 2
        60.1     a>z  481/BYE 2
        """,
        row("0 1 200 60", pairs=["z"]),
    ),
    scenario(
        "S59",
        """
        60       a>b  BYE 2
        60.1     a>b  481/BYE 2
        """,
        row("60 60 481 60", started=None, target=None, content=None, media=0),
    ),
]
