"""Section H: captures that have a part of the call only."""

from typing import Any

from tests.scenarios.a_basic import ANSWERED, UP
from tests.scenarios.notation import Raw, row, scenario, sdp

MID_DIALOG: dict[str, Any] = {"target": None, "started": None}
NO_BODY: dict[str, Any] = {"content": None, "media": 0}

_CUT = (
    "INVITE sip:b@x.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x.example>;tag=a\r\n"
    "To: <sip:b@x.example>\r\nCall-ID: 1@x.example\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n"
    "Content-Length: 600\r\n\r\n"
)
_ANSWER = (
    "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x.example>;tag=a\r\n"
    "To: <sip:b@x.example>;tag=b\r\nCall-ID: 1@x.example\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)

SCENARIOS = [
    scenario(
        "S108",
        """
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("60 60 200 60", **MID_DIALOG, **NO_BODY, priority=2),
    ),
    scenario(
        "S108 its response",
        "60.1  a>b  200/BYE 2",
        row("60.1 60.1 200 60.1", **MID_DIALOG, **NO_BODY, priority=0),
    ),
    scenario(
        "S109",
        """
        1        a>b  200 1
        1.05     a>b  ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("1 1 200 60"),
    ),
    *[
        scenario(
            f"S109 re-INVITE {tags} {cseq}",
            f"""
            1        a>b  200 1
            1.05     a>b  ACK 1
            30       {tags}  INVITE {cseq}
            30.1     {tags}  200 {cseq}
            30.15    {tags}  ACK {cseq}
            60       a>b  BYE 3
            60.1     a>b  200/BYE 3
            """,
            row("1 1 200 60"),
        )
        for tags, cseq in (("a>b", 2), ("b>a", 7), ("b>a", 1))
    ],
    scenario(
        "S110",
        """
        30       a>b  INVITE 5
        30.1     a>b  200 5
        30.15    a>b  ACK 5
        60       b>a  BYE 3
        60.1     b>a  200/BYE 3
        """,
        row("30 30.1 200 60", **MID_DIALOG, content=None),
    ),
    scenario(
        "S110 by the other side",
        """
        30       b>a  INVITE 5
        30.1     b>a  200 5
        30.15    b>a  ACK 5
        60       a>b  BYE 3
        60.1     a>b  200/BYE 3
        """,
        row("30 30.1 200 60", tags="b>a", user1="B", user2="A", **MID_DIALOG, content=None),
    ),
    scenario(
        "S111",
        """
        30       a>b  INVITE 5
        30.1     a>b  491 5
        30.15    a>b  ACK 5
        60       a>b  BYE 6
        60.1     a>b  200/BYE 6
        """,
        row("30 - - 60", **MID_DIALOG, **NO_BODY),
    ),
    scenario(
        "S112",
        """
        5        a>-  CANCEL 1
        5.02     a>b  200/CANCEL 1
        5.03     a>b  487 1
        """,
        row("5 5.03 487 5.03", **NO_BODY),
    ),
    scenario(
        "S113",
        """
        5        a>-  CANCEL 1
        5.02     a>b  200/CANCEL 1
        """,
        row("5 5 - 5", tags="a>-", pairs=["b"], **NO_BODY),
    ),
    scenario(
        "S114",
        """
        30       a>b  INFO 5  body=dtmf
        30.1     a>b  200/INFO 5
        """,
        row("30 30 200 -", **MID_DIALOG, media=0, content="application/dtmf-relay"),
    ),
    scenario(
        "S115",
        """
        30       a>b  INFO 5  body=dtmf
        30.1     a>b  415/INFO 5
        60       b>a  BYE 1
        60.1     b>a  200/BYE 1
        """,
        row("30 30 415 60", **MID_DIALOG, media=0, content="application/dtmf-relay"),
    ),
    scenario("S116", UP, row("0 1 200 -")),
    scenario(
        "S117",
        """
        0.05     a>-  100 1
        0.1      a>b  180 1
        1        a>b  200 1
        60.1     a>b  200/BYE 2
        """,
        row("0.05 1 200 60.1", priority=0),
    ),
    scenario(
        "S118",
        """
        0        a>-  INVITE 1
        1.05     a>b  ACK 1
        60       a>b  BYE 2
        """,
        row("0 - - 60", state="Mortal", closes=92),
    ),
    scenario(
        "S119",
        "\n".join(reversed(ANSWERED.splitlines())),
        row("0 1 200 60", state="Morgue", closes=92),
    ),
    scenario(
        "S120",
        """
        60       b>a  BYE 1
        60.1     b>a  200/BYE 1
        0        a>-  INVITE 1
        1        a>b  200 1
        """,
        row("0 1 200 60"),
    ),
    *[
        scenario(
            f"S121 without {lost!r}",
            (Raw(0, (_CUT + sdp("audio,video")).encode()[: -len(lost)], cut=True), Raw(1, _ANSWER.encode())),
            row("0 1 486 1"),
        )
        for lost in ("o 5004 RTP/AVP 0\r\n", "04 RTP/AVP 0\r\n")
    ],
    scenario(
        "S121 whole lines",
        (
            Raw(0, (_CUT + sdp("audio,video")).encode(), cut=True),
            Raw(1, _ANSWER.encode()),
        ),
        row("0 1 486 1", media=16 + 32),
    ),
    scenario(
        "S122",
        """
        0.1      a>b  180 1
        1        a>b  200 1
        1.05     a>b  ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        """,
        row("0.1 1 200 60"),
    ),
    scenario(
        "S123",
        """
        0        a>-  INVITE 1
        1        a>b  200 1
        60       a>b  BYE 2
        """,
        row("0 1 200 60"),
    ),
    scenario("S124", UP + "\n" + "\n".join(ANSWERED.splitlines()[3:]), row("0 1 200 60")),
]
