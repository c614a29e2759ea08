"""Section B: several attempts of one session."""

from tests.scenarios.notation import row, scenario

CHALLENGED = """
    0        a>-  INVITE 1
    0.02     a>p  407 1
    0.03     a>p  ACK 1
"""

CALL_2 = """
    1        a>b  200 2
    1.05     a>b  ACK 2
    60       a>b  BYE 3
    60.1     a>b  200/BYE 3
"""
"""The second attempt is answered."""

SCENARIOS = [
    scenario(
        "S13",
        CHALLENGED
        + """
        0.05     a>-  INVITE 2  | Proxy-Authorization: Digest username="a"
        0.06     a>-  100 2
        0.1      a>b  180 2
        """
        + CALL_2,
        row("0 1 200 60", pairs=["p"], media={16: "0.05"}, call_flag=0, state="Morgue", closes=92),
    ),
    scenario(
        "S14",
        """
        0        a>-  INVITE 1
        0.02     a>b  401 1
        0.03     a>b  ACK 1
        0.05     a>-  INVITE 2  | Authorization: Digest username="a"
        """
        + CALL_2,
        row("0 1 200 60", media={16: "0.05"}, call_flag=0),
    ),
    scenario(
        "S15",
        CHALLENGED,
        row("0 0.02 407 0.02", tags="a>p", state="Terminated, failed", closes="180.02"),
    ),
    scenario(
        "S16",
        CHALLENGED + "0.05  a>-  INVITE 2",
        row("0 - - -", tags="a>p", media={16: "0.05"}, state="Preparative", closes="32.05"),
    ),
    scenario(
        "S17",
        CHALLENGED
        + """
        0.05     a>-  INVITE 2
        0.07     a>p2 407 2
        0.08     a>p2 ACK 2
        0.1      a>-  INVITE 3
        1        a>b  200 3
        1.05     a>b  ACK 3
        60       a>b  BYE 4
        60.1     a>b  200/BYE 4
        """,
        row("0 1 200 60", pairs=["p", "p2"], media={16: "0.1"}, call_flag=0),
    ),
    scenario(
        "S18",
        CHALLENGED
        + """
        0.05     a>-  INVITE 2
        0.5      a>b  180 2
        3        a>-  CANCEL 2
        3.01     a>b  200/CANCEL 2
        3.02     a>b  487 2
        3.03     a>b  ACK 2
        """,
        row("0 3.02 487 3.02", pairs=["p"], media={16: "0.05"}),
    ),
    scenario(
        "S19",
        """
        0        a>-  INVITE 1
        0.2      a>b  302 1  | Contact: <sip:c@x.example>
        0.25     a>b  ACK 1
        0.3      a>-  INVITE 2  uri=sip:c@x.example
        1        a>c  200 2  to=b
        1.05     a>c  ACK 2  to=b
        60       a>c  BYE 3  to=b
        60.1     a>c  200/BYE 3  to=b
        """,
        row("0 1 200 60", tags="a>c", pairs=["b"], target="B", media={16: "0.3"}, call_flag=1),
    ),
    scenario(
        "S19 with a new To",
        """
        0        a>-  INVITE 1
        0.2      a>b  302 1  | Contact: <sip:c@x.example>
        0.25     a>b  ACK 1
        0.3      a>-c INVITE 2
        1        a>c  200 2
        1.05     a>c  ACK 2
        60       a>c  BYE 3
        60.1     a>c  200/BYE 3
        """,
        row("0 1 200 60", tags="a>c", pairs=["b"], target="B", media={16: "0.3"}, call_flag=1),
    ),
    scenario(
        "S20",
        """
        0        a>-  INVITE 1
        0.2      a>b  302 1  | Contact: <sip:c@x.example>
        0.25     a>b  ACK 1
        0.3      a>-c INVITE 1  call=2
        1        a>c  200 1  call=2
        1.05     a>c  ACK 1  call=2
        60       a>c  BYE 2  call=2
        60.1     a>c  200/BYE 2  call=2
        """,
        row("0 0.2 302 0.2"),
        row("0.3 1 200 60", call="2", tags="a>c", user2="C", target="C"),
    ),
    scenario(
        "S21",
        """
        0        a>-  INVITE 1
        0.01     a>-  INVITE 1  v=2  uri=sip:b@192.0.2.2
        0.2      a>b  302 1  v=2  | Contact: <sip:c@x.example>
        0.21     a>b  ACK 1
        0.22     a>-  INVITE 1  v=2  uri=sip:c@192.0.2.3
        1        a>c  200 1  v=2  to=b
        1.01     a>c  200 1  to=b
        1.05     a>c  ACK 1  to=b
        60       a>c  BYE 2  to=b
        60.1     a>c  200/BYE 2  to=b
        """,
        row("0 1 200 60", tags="a>c", pairs=["b"], call_flag=0),
    ),
    *[
        scenario(
            f"S22 {code}",
            f"""
            0        a>-  INVITE 1
            0.2      a>b  {code} 1  | {contact}
            0.25     a>b  ACK 1
            """,
            row(f"0 0.2 {code} 0.2"),
        )
        for code, contact in (
            (305, "Contact: <sip:p@x.example>"),
            (380, "Content-Disposition: render"),
            (300, "Contact: <sip:c@x.example>, <sip:d@x.example>"),
        )
    ],
    *[
        scenario(
            f"S23 {code}",
            f"""
            0        a>-  INVITE 1  sdp=audio,video
            0.2      a>b  {code} 1
            0.25     a>b  ACK 1
            0.3      a>-  INVITE 2
            """
            + CALL_2,
            row("0 1 200 60", media={16: "0.3"}, call_flag=1),
        )
        for code in (413, 415, 416, 420, 488)
    ],
    scenario(
        "S24",
        """
        0        a>-  INVITE 1  | Session-Expires: 60
        0.2      a>b  422 1  | Min-SE: 1800
        0.25     a>b  ACK 1
        0.3      a>-  INVITE 2  | Session-Expires: 1800
        """
        + CALL_2,
        row("0 1 200 60", media={16: "0.3"}, call_flag=1),
    ),
    scenario(
        "S25",
        """
        0        a>-  INVITE 1  to=12
        0.2      a>b  484 1  to=12
        0.25     a>b  ACK 1  to=12
        0.3      a>-  INVITE 2  to=123
        0.5      a>b  484 2  to=123
        0.55     a>b  ACK 2  to=123
        0.6      a>-  INVITE 3  to=1234
        1        a>b  200 3  to=1234
        1.05     a>b  ACK 3  to=1234
        60       a>b  BYE 4  to=1234
        60.1     a>b  200/BYE 4  to=1234
        """,
        row("0 1 200 60", user2="12@x.example", target="12@x.example", media={16: "0.6"}, call_flag=1),
    ),
    scenario(
        "S26",
        """
        0        a>-  INVITE 1
        0.2      a>p  503 1  | Retry-After: 5
        0.25     a>p  ACK 1
        5.2      a>-  INVITE 2
        6        a>b  200 2
        6.05     a>b  ACK 2
        60       a>b  BYE 3
        60.1     a>b  200/BYE 3
        """,
        row("0 6 200 60", pairs=["p"], media={16: "5.2"}, call_flag=1),
    ),
    *[
        scenario(
            f"S27 {name}",
            f"""
            0        a>-  INVITE 1
            1        a>b  486 1
            1.05     a>b  ACK 1
            90       a>-  INVITE {cseq}
            91       a>b  486 {cseq}
            91.05    a>b  ACK {cseq}
            """,
            row("0 1 486 1", modified="1.05"),
            row("90 91 486 91", again=True, modified="91.05"),
        )
        for name, cseq in (("same CSeq", 1), ("higher CSeq", 2))
    ],
    scenario(
        "S27 answered",
        """
        0        a>-  INVITE 1
        1        a>b  486 1
        1.05     a>b  ACK 1
        90       a>-  INVITE 2
        91       a>b2 200 2
        91.05    a>b2 ACK 2
        150      a>b2 BYE 3
        150.1    a>b2 200/BYE 3
        """,
        row("0 1 486 1", modified="1.05"),
        row("90 91 200 150", tags="a>b2"),
    ),
    scenario(
        "S28",
        """
        0        a>-  INVITE 1
        0.2      a>p  503 1
        0.25     a>p  ACK 1
        0.3      a>-  INVITE 2  dst=192.0.2.99:5060
        """
        + CALL_2,
        row("0 1 200 60", pairs=["p"], media={16: "0.3"}, call_flag=1),
    ),
    scenario(
        "S28 after a timeout",
        """
        0,0.5,1.5,3.5  a>-  INVITE 1
        4        a>-  INVITE 2  dst=192.0.2.99:5060
        5        a>b  486 2
        5.05     a>b  ACK 2
        """,
        row("0 5 486 5", media={16: 4}, call_flag=0),
    ),
]
