"""Section C: forking (RFC 3261 sections 12.1 and 16.7)."""

from tests.scenarios.notation import row, scenario

FORKED = """
    0        a>-  INVITE 1
    0.01     a>-  INVITE 1  v=2  uri=sip:b@192.0.2.2:5060
    0.011    a>-  INVITE 1  v=2  uri=sip:b@192.0.2.2:5070
    0.1      a>b1 180 1  v=2
    0.101    a>b1 180 1
    0.11     a>b2 180 1  v=2
    0.111    a>b2 180 1
"""

SCENARIOS = [
    scenario(
        "S29",
        FORKED
        + """
        1        a>b1 200 1  v=2
        1.001    a>b1 200 1
        1.01     a>-  CANCEL 1
        1.02     a>b2 200/CANCEL 1
        1.03     a>b2 487 1  v=2
        1.04     a>b2 ACK 1
        1.05     a>b1 ACK 1
        60       a>b1 BYE 2
        60.1     a>b1 200/BYE 2
        """,
        row("0 1 200 60", tags="a>b1", pairs=["b2"], state="Morgue", closes=92),
    ),
    scenario(
        "S30",
        """
        0        a>-  INVITE 1
        1        a>b1 200 1
        1.05     a>b1 ACK 1
        1.2      a>b2 200 1
        1.25     a>b2 ACK 1
        1.3      a>b2 BYE 2
        1.4      a>b2 200/BYE 2
        60       a>b1 BYE 2
        60.1     a>b1 200/BYE 2
        """,
        row("0 1 200 60", tags="a>b1"),
        row("0 1.2 200 1.3", tags="a>b2", modified="1.4"),
    ),
    scenario(
        "S31",
        """
        0        a>-  INVITE 1
        1        a>b1 200 1
        1.05     a>b1 ACK 1
        1.2      a>b2 200 1
        60       a>b1 BYE 2
        60.1     a>b1 200/BYE 2
        """,
        row("0 1 200 60", tags="a>b1"),
        row("0 1.2 200 -", tags="a>b2", modified="1.2"),
    ),
    scenario(
        "S32",
        """
        0        a>-  INVITE 1
        0.01     a>-  INVITE 1  v=2  uri=sip:b@192.0.2.2:5060
        0.5      a>b1 486 1  v=2
        0.51     a>b1 ACK 1
        0.52     a>-  INVITE 1  v=2  uri=sip:b@192.0.2.2:5070
        1        a>b2 200 1  v=2
        1.05     a>b2 ACK 1  v=2
        60       a>b2 BYE 2
        60.1     a>b2 200/BYE 2
        """,
        row("0 1 200 60", tags="a>b2", pairs=["b1"]),
    ),
    scenario(
        "S33",
        """
        0        a>-  INVITE 1  v=2
        1        a>b1 486 1  v=2
        2        a>b2 404 1  v=2
        3        a>b3 603 1  v=2
        """,
        row("0 3 603 3", tags="a>b3", pairs=["b1", "b2"]),
    ),
    scenario(
        "S33 lowest class",
        """
        0        a>-  INVITE 1  v=2
        1        a>b1 503 1  v=2
        2        a>b2 486 1  v=2
        3        a>b3 404 1  v=2
        """,
        row("0 2 486 2", tags="a>b2", pairs=["b1", "b3"], modified=3),
    ),
    *[
        scenario(
            f"S33 prefers {code}",
            f"""
            0        a>-  INVITE 1  v=2
            1        a>b1 486 1  v=2
            2        a>b2 {code} 1  v=2
            3        a>b3 404 1  v=2
            """,
            row(f"0 2 {code} 2", tags="a>b2", pairs=["b1", "b3"], modified=3),
        )
        for code in (401, 407, 415, 420, 484)
    ],
    scenario(
        "S34",
        """
        0        a>-  INVITE 1
        0.01     a>-  INVITE 1  v=2
        1        a>b1 404 1  v=2
        2        a>b2 503 1  v=2
        2.01     a>p  500 1
        2.05     a>p  ACK 1
        """,
        row("0 2.01 500 2.01", tags="a>p", pairs=["b1", "b2"]),
    ),
    scenario(
        "S35",
        FORKED
        + """
        0.12     a>b3 180 1  v=2
        3        a>-  CANCEL 1
        3.01     a>p  200/CANCEL 1
        3.02     a>b1 487 1  v=2
        3.03     a>b2 487 1  v=2
        3.04     a>b3 487 1  v=2
        3.05     a>b2 487 1
        3.06     a>b2 ACK 1
        """,
        row("0 3.03 487 3.03", tags="a>b2", pairs=["b1", "b3", "p"]),
    ),
    scenario(
        "S36",
        FORKED
        + """
        1        a>-  CANCEL 1
        1.01     a>b2 200/CANCEL 1
        1.02     a>b2 487 1  v=2
        1.1      a>b1 200 1
        1.15     a>b1 ACK 1
        60       a>b1 BYE 2
        60.1     a>b1 200/BYE 2
        """,
        row("0 1.1 200 60", tags="a>b1", pairs=["b2"]),
    ),
    scenario(
        "S37",
        FORKED
        + """
        0.5      a>b2 199 1
        1        a>b1 200 1
        1.05     a>b1 ACK 1
        60       a>b1 BYE 2
        60.1     a>b1 200/BYE 2
        """,
        row("0 1 200 60", tags="a>b1", pairs=["b2"]),
    ),
    scenario(
        "S38",
        """
        0        a>-  INVITE 1
        0.01     a>-  INVITE 1  v=2  uri=sip:b@192.0.2.2
        0.02     a>-  INVITE 1  v=3  uri=sip:b@192.0.2.2
        0.03     a>b2 482 1  v=3
        1        a>b  200 1  v=2
        1.01     a>b  200 1
        1.05     a>b  ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0 1 200 60", pairs=["b2"]),
    ),
    scenario(
        "S39",
        FORKED
        + """
        1        a>b1 200 1
        1.05     a>b1 ACK 1
        21       a>b2 200 1
        21.05    a>b2 ACK 1
        21.06    a>b2 BYE 2
        21.1     a>b2 200/BYE 2
        60       a>b1 BYE 2
        60.1     a>b1 200/BYE 2
        """,
        row("0 1 200 60", tags="a>b1"),
        row("0 21 200 21.06", tags="a>b2", modified="21.1"),
    ),
    scenario(
        "S40",
        """
        0        a>-  INVITE 1
        0.1      a>-  180 1
        1        a>-  200 1
        1.05     a>-  ACK 1
        60       a>-  BYE 2
        60.1     a>-  200/BYE 2
        """,
        row("0 1 200 60", tags="a>-"),
    ),
]
