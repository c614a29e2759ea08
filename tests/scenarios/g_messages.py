"""Section G: instant messages, in page mode (RFC 3428) and in a session."""

from typing import Any

from tests.scenarios.a_basic import UP
from tests.scenarios.notation import row, scenario

PAGE: dict[str, Any] = {"tags": "a>-", "content": "text/plain", "pairs": ["b"]}
"""The columns that all page-mode rows of A have."""

CHAT = """
    0        a>-  INVITE 1  sdp=message
    1        a>b  200 1  sdp=message
    1.05     a>b  ACK 1
"""
END = """
    60       a>b  BYE 9
    60.1     a>b  200/BYE 9
"""
EMBEDDED = "Ms-Text-Format: text/plain; charset=UTF-8;msgr=WAAtAE0A;ms-body=aGVsbG8="

SCENARIOS = [
    *[
        scenario(
            name,
            f"""
            0        a>-  MESSAGE 1
            0.1      a>b  {code}/MESSAGE 1
            """,
            row(f"0 0 {code} 0.1", n="1/0", media=1, state="Page mode", closes="32.1", **PAGE),
        )
        for name, code in (("S88", 200), ("S89", 202), ("S90", 404))
    ],
    *[
        scenario(
            f"S91 first {code}",
            f"""
            0        a>-  MESSAGE 1
            0.1      a>b  {code}/MESSAGE 1
            3600     a>-  MESSAGE 2
            3600.1   a>b  200/MESSAGE 2
            9000     a>-  MESSAGE 3
            9000.1   a>b  404/MESSAGE 3
            """,
            row(f"0 0 {code} 9000.1", n="3/0", media=1, **PAGE),
        )
        for code in (200, 202)
    ],
    scenario(
        "S91 CSeq again",
        """
        0        a>-  MESSAGE 1
        0.1      a>b  200/MESSAGE 1
        33       a>-  MESSAGE 1
        33.1     a>b  202/MESSAGE 1
        """,
        row("0 0 200 0.1", n="1/0", media=1, modified="0.1", **PAGE),
        row("33 33 202 33.1", n="1/0", media=1, again=True, **PAGE),
    ),
    scenario(
        "S92",
        """
        0        a>-  MESSAGE 1  call=1
        0.1      a>b  200/MESSAGE 1  call=1
        5        a2>- MESSAGE 1  call=2
        5.1      a2>b2 200/MESSAGE 1  call=2
        9        a>-  MESSAGE 1  call=3
        9.1      a>b  200/MESSAGE 1  call=3
        """,
        row("0 0 200 0.1", n="1/0", media=1, **PAGE),
        row("5 5 200 5.1", n="1/0", media=1, call="2", **PAGE | {"tags": "a2>-", "pairs": ["b2"]}),
        row("9 9 200 9.1", n="1/0", media=1, call="3", **PAGE),
    ),
    scenario(
        "S93",
        """
        0        a>-  MESSAGE 1
        0.1      a>b  200/MESSAGE 1
        5        b>-  MESSAGE 1  call=2
        5.1      b>a  200/MESSAGE 1  call=2
        """,
        row("0 0 200 0.1", n="1/0", media=1, **PAGE),
        row(
            "5 5 200 5.1",
            call="2",
            tags="b>-",
            pairs=["a"],
            user1="B",
            user2="A",
            target="A",
            started="B",
            n="1/0",
            media=1,
            content="text/plain",
        ),
    ),
    scenario(
        "S94",
        """
        0        a>-  MESSAGE 1
        0.1      a>p  407/MESSAGE 1
        0.2      a>-  MESSAGE 2  | Proxy-Authorization: Digest username="a"
        0.3      a>b  200/MESSAGE 2
        """,
        row("0 0 200 0.3", n="1/0", media=1, **PAGE | {"pairs": ["b", "p"]}),
    ),
    scenario(
        "S95",
        """
        0,0.5,1.5  a>-  MESSAGE 1
        1.6,1.7    a>b  200/MESSAGE 1
        """,
        row("0 0 200 1.6", n="1/0", media=1, **PAGE),
    ),
    scenario(
        "S96",
        CHAT
        + """
        5        a>b  MESSAGE 2
        5.1      a>b  200/MESSAGE 2
        6        b>a  MESSAGE 1
        6.1      b>a  200/MESSAGE 1
        7        a>b  MESSAGE 3
        7.1      a>b  200/MESSAGE 3
        """
        + END,
        row("0 1 200 60", n="2/1", media=1),
    ),
    *[
        scenario(
            f"S97 {option}",
            f"""
            0        a>-  INVITE 1  sdp=message  | {EMBEDDED}
            1        a>b  200 1  sdp=message  | Supported: {option}
            1.05     a>b  ACK 1
            6        b>a  MESSAGE 1
            6.1      b>a  200/MESSAGE 1
            """
            + END,
            row("0 1 200 60", n="1/1", media=1),
        )
        for option in ("ms-dialog-route-set-update, ms-text-format", "ms-embedded-first-message")
    ],
    scenario(
        "S98",
        f"""
        0        a>-  INVITE 1  sdp=message  | {EMBEDDED}
        1        a>b  200 1  sdp=message  | Supported: ms-dialog-route-set-update
        1.05     a>b  ACK 1
        1.1      a>b  MESSAGE 2
        1.2      a>b  200/MESSAGE 2
        """
        + END,
        row("0 1 200 60", n="1/0", media=1),
    ),
    scenario(
        "S99",
        f"""
        0        a>-  INVITE 1  sdp=message  | {EMBEDDED}
        9        a>b  480 1
        9.05     a>b  ACK 1
        """,
        row("0 9 480 9", n="0/0", media=1),
    ),
    *[
        scenario(
            f"S100 {method} {body}",
            CHAT
            + f"""
            5        a>b  {method} 2  body={body}
            5.1      a>b  200/{method} 2
            6        b>a  {method} 1  body={body}
            6.1      b>a  200/{method} 1
            """
            + END,
            row("0 1 200 60", n="0/0", media=1),
        )
        for method, body in (
            ("INFO", "keyboard"),
            ("MESSAGE", "typing"),
            ("MESSAGE", "receipt"),
            ("MESSAGE", "ms-receipt"),
        )
    ],
    scenario(
        "S101",
        UP
        + """
        30       a>b  MESSAGE 2
        30.1     a>b  200/MESSAGE 2
        """
        + END,
        row("0 1 200 60", n="1/0", media={16: 0, 1: 30}),
    ),
    scenario(
        "S102",
        """
        30       b>a  MESSAGE 5
        30.1     b>a  200/MESSAGE 5
        31       a>b  MESSAGE 9
        31.1     a>b  200/MESSAGE 9
        32       b>a  MESSAGE 6
        32.1     b>a  200/MESSAGE 6
        """,
        row(
            "30 30 200 -",
            tags="b>a",
            user1="B",
            user2="A",
            target=None,
            started=None,
            n="2/1",
            media=1,
            content="text/plain",
            state="Established",
            closes=f"{24 * 3600 + 32}.1",
        ),
    ),
    scenario("S103", CHAT + END, row("0 1 200 60", n="0/0", media=1)),
    scenario(
        "S104",
        """
        0        a>-  INVITE 1  body=file-lync
        1        a>b  200 1  sdp=data
        1.05     a>b  ACK 1
        2        a>b  INFO 2  body=file-info
        2.1      a>b  200/INFO 2
        3        b>a  INFO 1  body=file-info
        3.1      b>a  200/INFO 1
        """
        + END,
        row("0 1 200 60", n="0/0", media=2, content="multipart/mixed"),
    ),
    scenario(
        "S105",
        CHAT
        + """
        5        a>b  MESSAGE 2  body=file-offer
        5.1      a>b  200/MESSAGE 2
        8        b>a  MESSAGE 1  body=file-accept
        8.1      b>a  200/MESSAGE 1
        """
        + END,
        row("0 1 200 60", n="0/0", media={1: 0, 2: 5}),
    ),
    *[
        scenario(
            f"S106 {body}",
            CHAT
            + f"""
            5        a>b  MESSAGE 2  body={body}
            5.1      a>b  200/MESSAGE 2
            """
            + END,
            row("0 1 200 60", n="0/0", media={1: 0, bit: 5}),
        )
        for body, bit in (("help-ask", 4), ("help-offer", 4), ("app-invite", 64))
    ],
    scenario(
        "S107",
        """
        0        a>-  INVITE 1  sdp=message  | Ms-Conversation-ID: AdAbCdEf
        1        a>b  200 1  sdp=message
        1.05     a>b  ACK 1
        9        a2>- INVITE 1  call=2  sdp=applicationsharing  | Ms-Conversation-ID: AdAbCdEf
        10       a2>b2 200 1  call=2  sdp=applicationsharing
        10.05    a2>b2 ACK 1  call=2
        50       a2>b2 BYE 2  call=2
        50.1     a2>b2 200/BYE 2  call=2
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0 1 200 60", media=1),
        row("9 10 200 50", call="2", tags="a2>b2", media=8),
    ),
]
