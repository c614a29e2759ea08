"""Section E: inside the dialog, where nothing makes a row."""

from tests.scenarios.a_basic import UP
from tests.scenarios.d_races import RINGING
from tests.scenarios.notation import row, scenario

END = """
    60       a>b  BYE 9
    60.1     a>b  200/BYE 9
"""

SCENARIOS = [
    *[
        scenario(
            f"S60 {body}",
            UP
            + f"""
            20       a>b  INVITE 2  body={body}
            20.1     a>b  200 2  body={body}
            20.15    a>b  ACK 2
            30       a>b  INVITE 3
            30.1     a>b  200 3
            30.15    a>b  ACK 3
            """
            + END,
            row("0 1 200 60"),
        )
        for body in ("sendonly", "inactive", "hold-2543")
    ],
    scenario(
        "S61",
        UP
        + """
        30       a>b  INVITE 2  sdp=audio,video
        30.1     a>b  200 2  sdp=audio,video
        30.15    a>b  ACK 2
        """
        + END,
        row("0 1 200 60", media={16: 0, 32: 30}),
    ),
    scenario(
        "S62 port 0",
        UP
        + """
        30       a>b  INVITE 2  sdp=audio,video
        30.1     a>b  200 2  sdp=audio,video:0
        30.15    a>b  ACK 2
        """
        + END,
        row("0 1 200 60"),
    ),
    scenario(
        "S62 488",
        UP
        + """
        30       a>b  INVITE 2  sdp=audio,video
        30.1     a>b  488 2
        30.15    a>b  ACK 2
        """
        + END,
        row("0 1 200 60"),
    ),
    scenario(
        "S63",
        UP
        + """
        30       a>b  INVITE 2
        30.01    b>a  INVITE 1
        30.02    a>b  491 2
        30.03    b>a  491 1
        30.04    a>b  ACK 2
        30.05    b>a  ACK 1
        32       a>b  INVITE 3
        32.1     a>b  200 3
        32.15    a>b  ACK 3
        """
        + END,
        row("0 1 200 60"),
    ),
    *[
        scenario(
            f"S64 {code}",
            UP
            + f"""
            30       a>b  INVITE 2
            50       a>b  {code} 2
            50.1     a>b  ACK 2
            """
            + END,
            row("0 1 200 60"),
        )
        for code in (408, 481)
    ],
    scenario(
        "S65",
        UP
        + """
        60       b>a  INVITE 1
        60.01    a>b  BYE 2
        60.02    b>a  487 1
        60.03    b>a  ACK 1
        60.04    a>b  200/BYE 2
        """,
        row("0 1 200 60.01"),
    ),
    scenario(
        "S66",
        RINGING
        + """
        0.5      a>b  UPDATE 2  sdp=audio,video
        0.6      a>b  200/UPDATE 2  sdp=audio,video
        1        a>b  200 1
        1.05     a>b  ACK 1
        """
        + END,
        row("0 1 200 60", media={16: 0, 32: "0.5"}),
    ),
    *[
        scenario(
            f"S66 {code}",
            UP
            + f"""
            30       a>b  UPDATE 2  sdp=audio,video
            30.01    b>a  INVITE 1  sdp=audio,data
            30.02    b>a  {code} 1
            30.03    a>b  {code}/UPDATE 2
            30.04    b>a  ACK 1
            """
            + END,
            row("0 1 200 60"),
        )
        for code in (491, 500)
    ],
    scenario(
        "S67",
        """
        0        a>-  INVITE 1  | Supported: 100rel
        0.3      a>b  183 1  sdp=audio  | Require: 100rel | RSeq: 1
        0.35     a>b  PRACK 2  | RAck: 1 1 INVITE
        0.4      a>b  200/PRACK 2
        1        a>b  200 1  sdp=-
        1.05     a>b  ACK 1
        """
        + END,
        row("0 1 200 60"),
    ),
    *[
        scenario(
            f"S68 {method}",
            f"""
            0        a>-  INVITE 1  | Session-Expires: 1800
            1        a>b  200 1  | Session-Expires: 1800;refresher=uac
            1.05     a>b  ACK 1
            900      a>b  {method} 2  sdp=audio  | Session-Expires: 1800;refresher=uac
            900.1    a>b  200/{method} 2  sdp=audio  | Session-Expires: 1800;refresher=uac
            """,
            row("0 1 200 -", state="Established", closes="2732.1"),
        )
        for method in ("INVITE", "UPDATE")
    ],
    scenario(
        "S69",
        """
        0        a>-  INVITE 1  | Session-Expires: 1800
        1        a>b  200 1  | Session-Expires: 1800;refresher=uac
        1.05     a>b  ACK 1
        """,
        row("0 1 200 -", state="Established", closes=1833),
    ),
    *[
        scenario(
            f"S70 {body}",
            UP
            + f"""
            30       a>b  INFO 2  body={body}
            30.1     a>b  200/INFO 2
            40       b>a  INFO 1  body={body}
            40.1     b>a  200/INFO 1
            """
            + END,
            row("0 1 200 60"),
        )
        for body in ("dtmf", "keyboard")
    ],
    scenario(
        "S71",
        UP
        + """
        10       a>b  OPTIONS 2
        10.1     a>b  200/OPTIONS 2
        11       a>b  SUBSCRIBE 3
        11.1     a>b  202/SUBSCRIBE 3
        12       b>a  NOTIFY 1
        12.1     b>a  200/NOTIFY 1
        13       a>b  REFER 4
        13.1     a>b  202/REFER 4
        14       a>b  MESSAGE 5
        14.1     a>b  200/MESSAGE 5
        60       a>b  BYE 6
        60.1     a>b  200/BYE 6
        61       b>a  NOTIFY 2
        61.1     b>a  481/NOTIFY 2
        """,
        row("0 1 200 60", n="1/0", media={16: 0, 1: 14}, modified="60.1"),
    ),
    scenario(
        "S72",
        UP
        + """
        30       a>b  INVITE 2  sdp=-
        30.1     a>b  200 2  sdp=audio,video
        30.15    a>b  ACK 2  sdp=audio,video
        """
        + END,
        row("0 1 200 60", media={16: 0, 32: 30}),
    ),
    scenario(
        "S72 refused",
        UP
        + """
        30       a>b  INVITE 2  sdp=-
        30.1     a>b  200 2  sdp=audio,video
        30.15    a>b  ACK 2  sdp=audio,video:0
        """
        + END,
        row("0 1 200 60"),
    ),
    scenario(
        "S73",
        UP
        + """
        30       b>a  INVITE 1  sdp=audio:0,image
        30.1     b>a  200 1  sdp=audio:0,image
        30.15    b>a  ACK 1
        """
        + END,
        row("0 1 200 60"),
    ),
    scenario(
        "S74",
        UP
        + """
        30       a>b  INVITE 7  | Contact: <sip:a@192.0.2.77:5070>
        30.1     a>b  200 7
        30.15    a>b  ACK 7
        60       a>b  BYE 20
        60.1     a>b  200/BYE 20
        """,
        row("0 1 200 60"),
    ),
    scenario(
        "S75",
        """
        0        a>b  ACK 1
        1        a>b  PRACK 2
        1.1      a>b  200/PRACK 2
        2        a>b  UPDATE 3
        2.1      a>b  200/UPDATE 3
        3        a>b  REFER 4
        3.1      a>b  202/REFER 4
        4        b>a  NOTIFY 1
        4.1      b>a  200/NOTIFY 1
        """,
        counts={"group without an opening message": 1},
    ),
]
