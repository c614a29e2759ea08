"""Section J: what is never a row."""

from sipcdr.builder import Client
from tests.scenarios.notation import Raw, row, scenario

_HEAD = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
_FOUR = {
    "Call-ID": "Call-ID: 1@x.example\r\n",
    "CSeq": "CSeq: 1 INVITE\r\n",
    "From": "From: <sip:a@x.example>;tag=a\r\n",
    "To": "To: <sip:b@x.example>\r\n",
}
_STUN = bytes.fromhex("000100002112a442") + b"x" * 12

FOCUS = "<sip:b@x.example;gruu;opaque=app:conf:focus:id:7Y0KD2>"


def answered_by(to: str, uri: str) -> str:
    """A call to such a To and Request-URI."""
    return f"""
    0        a>-  INVITE 1  uri={uri}  | To: {to}
    1        a>b  200 1  | To: {to};tag=b
    1.05     a>b  ACK 1  uri={uri}  | To: {to};tag=b
    60       a>b  BYE 2  uri={uri}  | To: {to};tag=b
    60.1     a>b  200/BYE 2  | To: {to};tag=b
    """


SCENARIOS = [
    scenario(
        "S144",
        """
        0        a>-a REGISTER 1
        0.1      a>p  401/REGISTER 1
        0.2      a>-a REGISTER 2
        0.3      a>p  200/REGISTER 2
        600      a>-a REGISTER 3
        600.1    a>p  200/REGISTER 3
        900      a>-a REGISTER 4  | Contact: * | Expires: 0
        900.1    a>p  200/REGISTER 4
        """,
        counts={"method REGISTER": 8},
    ),
    scenario(
        "S145",
        """
        0        a>-  OPTIONS 1
        0.1      a>b  200/OPTIONS 1
        1        a>-  OPTIONS 2
        1.1      a>b  404/OPTIONS 2
        2        a>-  OPTIONS 3
        2.1      a>b  405/OPTIONS 3
        """,
        counts={"method OPTIONS": 6},
    ),
    scenario(
        "S146",
        """
        0        a>-  SUBSCRIBE 1
        0.1      a>b  202/SUBSCRIBE 1
        0.2      b>a  NOTIFY 1
        0.3      b>a  200/NOTIFY 1
        0.4      b>a  BENOTIFY 2
        1        a>-  PUBLISH 1  call=2
        1.1      a>b  200/PUBLISH 1  call=2
        2        a>-  SERVICE 1  call=3
        2.1      a>b  200/SERVICE 1  call=3
        """,
        counts={
            "method SUBSCRIBE": 2,
            "method NOTIFY": 2,
            "method BENOTIFY": 1,
            "method PUBLISH": 2,
            "method SERVICE": 2,
        },
    ),
    scenario(
        "S147",
        """
        0        a>-  INVITE 1
        1        a>b  200 1
        1.05     a>b  ACK 1
        60       a>b  BYE 2
        60.1     a>b  200/BYE 2
        61       b>a  NOTIFY 5
        61.1     b>a  481/NOTIFY 5
        """,
        row("0 1 200 60", modified="60.1"),
        counts={"method NOTIFY": 2},
    ),
    scenario(
        "S148",
        (Raw(0, b"\r\n\r\n"), Raw(1, b"\r\n"), Raw(2, b"jaK"), Raw(3, _STUN)),
        refused=("not SIP",) * 4,
    ),
    scenario("S149", "0  a>b  200/OPTIONS 7", counts={"method OPTIONS": 1}),
    *[
        scenario(f"S150 {name}", answered_by(to, uri), counts={"conference legs": 1})
        for name, to, uri in (
            ("To", FOCUS, "sip:x@x.example"),
            ("Request-URI", "<sip:b@x.example>", FOCUS.strip("<>")),
            ("chat", FOCUS.replace("focus", "chat"), "sip:x@x.example"),
            ("audio-video", FOCUS.replace("focus", "audio-video"), "sip:x@x.example"),
        )
    ],
    scenario(
        "S150 its response only",
        f"1  a>b  200 1  | To: {FOCUS};tag=b",
        counts={"conference legs": 1},
    ),
    scenario(
        "S150 a user who is asked to a conference",
        """
        0        a>-  INVITE 1  body=conference
        1        a>b  486 1
        """,
        row("0 1 486 1", media=0, content="application/ms-conf-invite+xml"),
    ),
    scenario(
        "S151",
        """
        0        a>-  FOO 1
        0.1      a>b  501/FOO 1
        """,
        counts={"method FOO": 2},
    ),
    scenario(
        "S152",
        (
            Raw(0, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nINVITE sip:b@x.example SIP/2.0\r\n\r\n"),
            Raw(1, b"GET /?q=INVITE%20sip:b@x.example SIP/2.0\r\nHost: x.example\r\n\r\n"),
            *(
                Raw(
                    number,
                    (
                        "INVITE sip:b@x.example SIP/2.0\r\n"
                        + _HEAD
                        + "".join(line for name, line in _FOUR.items() if name != missing)
                        + "\r\n"
                    ).encode(),
                )
                for number, missing in enumerate(_FOUR, 2)
            ),
        ),
        refused=("not SIP", "no Call-ID", "no Call-ID", "no CSeq", "no From", "no To"),
    ),
    scenario(
        "S153",
        """
        0        a>-  INVITE 1  call=s1 to=100 | User-Agent: friendly-scanner
        0.1      a>b  404 1  call=s1 to=100
        0.2      a2>- INVITE 1  call=s2 to=101 | User-Agent: friendly-scanner
        """,
        row(
            "0 0.1 404 0.1",
            call="s1",
            user2="100@x.example",
            target="100@x.example",
            user1_client=Client("friendly-scanner"),
        ),
        row(
            "0.2 - - -",
            call="s2",
            tags="a2>-",
            user2="101@x.example",
            target="101@x.example",
            user1_client=Client("friendly-scanner"),
        ),
    ),
]
