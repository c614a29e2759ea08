"""Section K: syntax that must not change a row. What the notation can't write goes through the scan as bytes."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

from sipcdr.builder import Client, User
from tests.scenarios.a_basic import ANSWERED, UP
from tests.scenarios.notation import BODIES, Raw, Row, Scenario, rewritten, row, scenario, sdp, user

if TYPE_CHECKING:
    from collections.abc import Callable

END = """
    60       a>b  BYE 2
    60.1     a>b  200/BYE 2
"""
SAME = row("0 1 200 60")
"""S1's row."""


def same(name: str, change: Callable[[bytes], bytes]) -> Scenario:
    """S1 in other bytes."""
    return scenario(name, rewritten(ANSWERED, change), SAME)


def headed(name: str, header: str, *rows: Row, counts: dict[str, int] | None = None) -> Scenario:
    """S1 with other headers in its INVITE."""
    return scenario(name, UP.replace("INVITE 1", f"INVITE 1  | {header}", 1) + END, *rows, counts=counts)


def bodied(
    name: str, kind: str, body: bytes, *rows: Row, more: str = "", counts: dict[str, int] | None = None
) -> Scenario:
    """An INVITE with that body, answered 486."""
    head = (
        "INVITE sip:b@x.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x.example>;tag=a\r\n"
        f"To: <sip:b@x.example>\r\nCall-ID: 1@x.example\r\nCSeq: 1 INVITE\r\nContent-Type: {kind}\r\n{more}\r\n"
    )
    busy = (
        b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x.example>;tag=a\r\n"
        b"To: <sip:b@x.example>;tag=b\r\nCall-ID: 1@x.example\r\nCSeq: 1 INVITE\r\n\r\n"
    )
    return scenario(name, (Raw(0, head.encode() + body), Raw(1, busy)), *rows, counts=counts)


def _compact(raw: bytes) -> bytes:
    for name, letter in {
        b"Via": b"v",
        b"From": b"f",
        b"To": b"t",
        b"Call-ID": b"i",
        b"Contact": b"m",
        b"Content-Type": b"c",
        b"Content-Length": b"l",
        b"Subject": b"s",
        b"Supported": b"k",
        b"Refer-To": b"r",
        b"Referred-By": b"b",
    }.items():
        raw = raw.replace(b"\r\n" + name + b":", b"\r\n" + letter + b":")
    return raw


def _folded(raw: bytes) -> bytes:
    return re.sub(rb"\r\nTo: (<.*?>)(.*?)\r\n", rb"\r\nTo:\r\n \1\r\n\t\2\r\n", raw)


def _odd_case(raw: bytes) -> bytes:
    head, _, body = raw.partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    odd = [name.swapcase() + b" \t:" + value for name, _, value in (line.partition(b":") for line in lines)]
    return b"\r\n".join([start, *odd]) + b"\r\n\r\n" + body


def _bare(raw: bytes) -> bytes:
    head, _, body = raw.partition(b"\r\n\r\n")
    return head.replace(b"\r\n", b"\n") + b"\n\n" + body


def _mixed(raw: bytes) -> bytes:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    return b"".join(line + (b"\n", b"\r\n")[at % 2] for at, line in enumerate(lines)) + b"\n" + body


def _bare_body(raw: bytes) -> bytes:
    head, _, body = raw.partition(b"\r\n\r\n")
    body = body.replace(b"\r\n", b"\n")
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body


def _to(value: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: raw.replace(b"To: <sip:b@x.example>", b"To: " + value)


def _from(value: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: raw.replace(b"From: <sip:a@x.example>", b"From: " + value)


def _start(pattern: bytes, replacement: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: re.sub(pattern, replacement, raw, count=1)


def _over(transport: str) -> Callable[[bytes], bytes]:
    return lambda raw: raw.replace(b"SIP/2.0/UDP", b"SIP/2.0/" + transport.encode())


def caller(name: str, value: str, stored: str, uri_type: int = 1) -> Scenario:
    """S1 with such a From: what is stored of it."""
    return scenario(name, rewritten(ANSWERED, _from(value.encode())), by(User(stored, uri_type)))


def by(caller: str | User) -> Row:
    """S1's row with another caller."""
    return row("0 1 200 60", user1=caller, started=caller)


_SDP_LINES = sdp("+").encode()
_TORTURE_HEAD = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x.example>;tag=a\r\n"


def torture(name: str, text: str, *rows: Row, refused: tuple[str, ...] = ()) -> Scenario:
    """A message in the manner of RFC 4475, by itself."""
    return scenario(f"S180 {name}", (Raw(0, text.replace("\n", "\r\n").encode()),), *rows, refused=refused)


UNANSWERED = row("0 - - -", tags="a>-", content=None, media=0, modified=0)

SCENARIOS = [
    scenario(
        "S154",
        rewritten(
            ANSWERED.replace(
                "INVITE 1",
                "INVITE 1  | Subject: x | Supported: timer | Referred-By: <sip:c@x.example>"
                " | Contact: <sip:a@x.example;opaque=user:epid:HLURU6k5h1iyLNo-r1bkrAAA;gruu>"
                " | Refer-To: <sip:d@x.example>",
                1,
            ),
            _compact,
        ),
        row(
            "0 1 200 60",
            referred_by=user("C"),
            user1_endpoint_id="5311b51c-39a9-5887-b22c-da3eaf56e4ac",
        ),
    ),
    same("S155", _folded),
    scenario(
        "S156",
        """
        0        a>-  INVITE 1  | Via: SIP/2.0/UDP h1;branch=z9hG4bK1,, SIP/2.0/UDP h2;received="a,b"
        1        a>c  404 1  | Via: SIP/2.0/UDP h1;branch=z9hG4bK1 , SIP/2.0/UDP h2;received="a,b"
        2        a>b  486 1  | Via: SIP/2.0/UDP h1;branch=z9hG4bK1;received="a,b,c",
        """,
        row("0 2 486 2", pairs=["c"]),
    ),
    scenario(
        "S156 other lists",
        UP.replace(
            "200 1",
            '200 1  | P-Asserted-Identity: , "C, D" <sip:c@x.example>,, <tel:+4930551>'
            " | Record-Route: <sip:p3.x.example;lr>,, <sip:p2.x.example;lr;x=a,b>,"
            " | Record-Route: <sip:p1.x.example:5061;lr>,"
            ' | Contact: "x, y" <sip:b@x.example;opaque=user:epid:HLURU6k5h1iyLNo-r1bkrAAA;gruu>,, <sip:z@x.example>',
        )
        + END,
        row(
            "0 1 200 60",
            user2="C",
            server="p1.x.example",
            pool="p1.x.example",
            user2_endpoint_id="5311b51c-39a9-5887-b22c-da3eaf56e4ac",
        ),
    ),
    same("S157", _odd_case),
    same("S158 bare", _bare),
    same("S158 mixed", _mixed),
    same("S158 bare body", _bare_body),
    same("S159", _to(b'"A <z>;tag=zz \\"q\\"" <sip:b@x.example>')),
    same("S160 words", _from(b"Ann Lee <sip:a@x.example>")),
    same("S160 addr-spec", _from(b"sip:a@x.example")),
    same("S161 twice", lambda raw: raw.replace(b";tag=a\r\n", b";tag=a;tag=zz\r\n")),
    same("S161 capitals", lambda raw: raw.replace(b";tag=", b" ; TAG = ")),
    caller("S162", "<sip:u@[2001:DB8::1]:5060>", "u@[2001:db8::1]"),
    scenario(
        "S162 Via",
        """
        0        a>-  INVITE 1  | Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1;received=[2001:db8::2]
        1        a>b  486 1
        """,
        row("0 1 486 1"),
    ),
    caller("S163", "<tel:+1-(212)-555.0123;phone-context=x.example>", "+12125550123", 0),
    caller("S163 local", "<tel:555-0123;phone-context=X.example>", "5550123;phone-context=x.example", 0),
    caller("S163 extension", "<tel:+49-30-1234;ext=7>", "+49301234;ext=7", 0),
    caller("S164", "<sip:+49301234@gw;user=phone>", "+49301234@gw;user=phone", 0),
    caller("S165", "<sip:%41nn@x.example>", "ann@x.example"),
    caller("S165 capital", "<sip:Ann@X.example>", "ann@x.example"),
    caller("S166", "<sip:a%40b@x.example>", "a%40b@x.example"),
    caller("S167", "<sip:a;x?y#z$w@x.example>", "a;x?y#z$w@x.example"),
    *[
        headed(
            f"S168 {name}",
            f"From: {value};tag=a | Privacy: id | P-Asserted-Identity: <tel:+4930551>, <sip:ann@x.example>",
            by("ann@x.example"),
        )
        for name, value in (
            ("host", '"Anonymous" <sip:xyz@anonymous.invalid>'),
            ("user", "<sip:anonymous@x.example>"),
            ("no user", "<sip:x.example>"),
        )
    ],
    headed(
        "S168 only tel",
        "From: <sip:anonymous@anonymous.invalid>;tag=a | Privacy: id | P-Asserted-Identity: <tel:+49-30-551>",
        by("+4930551"),
    ),
    *[
        bodied(
            f"S169 {subtype}",
            f"multipart/{subtype};boundary=part",
            b"--part\r\nContent-Type: text/plain\r\n\r\nm=data 1 x\r\n--part\r\nContent-Type: application/sdp\r\n\r\n"
            + sdp("audio").encode()
            + b"\r\n--part--\r\nan epilogue\r\nm=video 1 x\r\n",
            row("0 1 486 1", content=f"multipart/{subtype}"),
        )
        for subtype in ("mixed", "related", "alternative")
    ],
    bodied(
        "S169 nested, quoted, no end, preamble",
        *(BODIES["nested"][0], BODIES["nested"][1].encode()),
        row("0 1 486 1", content="multipart/mixed", media=16 + 32),
    ),
    bodied("S170", "Application/SDP;charset=utf-8", sdp("audio").encode(), row("0 1 486 1", content="application/sdp")),
    *[
        bodied(f"S171 {line!r}", "application/sdp", _SDP_LINES + line + b"\r\n", row("0 1 486 1", media=bits))
        for line, bits in (
            (b"m=audio 0 RTP/AVP 0", 0),
            (b"m=audio 00 RTP/AVP 0", 0),
            (b"m=audio 5004/2 RTP/AVP 0", 16),
            (b"m=audio\t5004\tRTP/AVP 0", 16),
            (b"m=AUDIO 5004 RTP/AVP 0", 16),
            (b"m=audio5004 RTP/AVP 0", 0),
            (b"M=audio 5004 RTP/AVP 0", 0),
            (b"m=audio 0 RTP/AVP 0\r\nm=video 5006 RTP/AVP 31", 32),
        )
    ],
    bodied(
        "S172",
        "application/sdp",
        gzip.compress(sdp("audio").encode(), mtime=0),
        row("0 1 486 1", media=0),
        more="Content-Encoding: gzip\r\n",
        counts={"body encoded": 1},
    ),
    *[
        bodied(f"S173 {name}", "application/sdp", sdp("audio").encode(), row("0 1 486 1", media=media), more=more)
        for name, more, media in (
            ("too big", "Content-Length: 5000\r\n", 16),
            ("too small", "Content-Length: 20\r\n", 0),
            ("negative", "Content-Length: -1\r\n", 16),
            ("twice", "Content-Length: 20\r\nContent-Length: 5000\r\n", 0),
            ("absent", "", 16),
        )
    ],
    scenario(
        "S174",
        (
            *rewritten(ANSWERED, lambda raw: raw + b"INVITE sip:d@x.example SIP/2.0\r\nCall-ID: other\r\n\r\n"),
            Raw("60.1", b"\r\n\r\n"),
        ),
        SAME,
        refused=("not SIP",),
    ),
    scenario(
        "S175",
        """
        0        a>-  INVITE 2147483648
        1        a>b  486 2147483648
        """,
        row("0 1 486 1"),
    ),
    same("S175 no blank", lambda raw: raw.replace(b"CSeq: 1 ", b"CSeq: 1")),
    same("S175 blanks", lambda raw: re.sub(rb"CSeq: (\d) ", rb"CSeq:\t\1 \t ", raw)),
    same(
        "S175 method mismatch",
        lambda raw: raw.replace(b"CSeq: 1 INVITE", b"CSeq: 1 ACK") if raw[:6] == b"INVITE" else raw,
    ),
    same("S176 no reason", _start(rb"^SIP/2.0 (\d+) Reason", rb"SIP/2.0 \1")),
    same("S176 empty reason", _start(rb"^SIP/2.0 (\d+) Reason", rb"SIP/2.0 \1 ")),
    same("S176 UTF-8 reason", _start(rb"^SIP/2.0 (\d+) Reason", b"SIP/2.0 \\1 h\xc3\xb6rt \xff auf")),
    same("S177", _start(rb"SIP/2.0", b"sip/2.0")),
    scenario(
        "S177 other versions",
        rewritten(UP, _start(rb"SIP/2.0", b"SIP/3.0")),
        refused=("SIP version other than 2.0",) * 5,
    ),
    scenario(
        "S178",
        rewritten(
            UP.replace("INVITE 1", "INVITE 1  | User-Agent: <UA>", 1) + END,
            lambda raw: (
                raw.replace(b"<UA>", b"X\x00\x07\xf8\x88\x80\x80\x80\xc3\xa9\xff y")
                .replace(b"sip:b@x", b"sip:b\x00\xed\xa0\x80@x")
                .replace(b"a@x.example", b"a\x1b[2J\xff@x.example")
            ),
        ),
        row(
            "0 1 200 60",
            user1="a\ufffd[2j\ufffd@x.example",
            started="a\ufffd[2j\ufffd@x.example",
            user2="b\ufffd\ufffd\ufffd\ufffd@x.example",
            target="b\ufffd\ufffd\ufffd\ufffd@x.example",
            user1_client=Client("X" + "\ufffd" * 7 + "\xe9\ufffd y"),
        ),
    ),
    headed(
        "S179 User-Agent",
        "User-Agent: " + "u" * 300,
        row("0 1 200 60", user1_client=Client("u" * 256)),
        counts={"truncated ClientVersions.Version": 1},
    ),
    headed(
        "S179 URI",
        f"Referred-By: <sip:{'v' * 600}@x.example>",
        row("0 1 200 60", referred_by=User("v" * 450, 1)),
        counts={"truncated Users.UserUri": 1},
    ),
    headed(
        "S179 UTF-16",
        "User-Agent: " + "u" * 255 + "\U0001f600",
        row("0 1 200 60", user1_client=Client("u" * 255)),
    ),
    torture(
        "odd but valid",
        "INVITE sip:b@x.example;strange;x=1 SIP/2.0\nTO :\n sip:b@x.example ;   tag    = b\n"
        'from   : "A \\\\\\""       <sip:a@x.example>\n  ;\n  tag = a\nMax-Forwards: 0068\n'
        "Call-ID: 1@x.example\nContent-Length   : 0\ncseq: 0009\n  INVITE\n"
        "Via  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=z9\ns :\nNobody-Knows:   a value\n that goes on\n"
        "Nobody-Knows-Either: ;;,,;;,;\nRoute:\n <sip:p.x.example;lr;x=y;z>\n"
        "v:  SIP  / 2.0  / TCP     p.x.example   ;\n  branch  =   z8  ,\n SIP  /    2.0   / UDP  h   ; branch=\n z7\n"
        'm:"Quoted \\"\\"" <sip:a@x.example> ; x =\n      y ;\n  z ; q = 0.33\n\n',
        row("0 - - -", target=None, started=None, content=None, media=0, modified=0),
    ),
    torture(
        "method of odd signs",
        "!An-Odd.Method_1*+`%25'~ sip:b@x.example SIP/2.0\n"
        + _TORTURE_HEAD
        + "To: <sip:b@x.example>\nCall-ID: 1@x.example\nCSeq: 7 !An-Odd.Method_1*+`%25'~\n\n",
    ),
    torture(
        "no tags (RFC 2543)",
        "INVITE sip:b@x.example SIP/2.0\nVia: SIP/2.0/UDP h\nFrom: <sip:a@x.example>\nTo: <sip:b@x.example>\n"
        "Call-ID: 1@x.example\nCSeq: 1 INVITE\n\n",
        row("0 - - -", tags="->-", content=None, media=0, modified=0),
    ),
    torture(
        "CSeq beyond 2^31",
        "INVITE sip:b@x.example SIP/2.0\n"
        + _TORTURE_HEAD
        + "To: <sip:b@x.example>\nCall-ID: 1@x.example\nCSeq: 36893488147419103232 INVITE\n\n",
        refused=("CSeq number longer than 18 digits",),
    ),
    torture(
        "status of ten digits",
        "SIP/2.0 4294967301 Too big\n"
        + _TORTURE_HEAD
        + "To: <sip:b@x.example>;tag=b\nCall-ID: 1@x.example\nCSeq: 1 INVITE\n\n",
        refused=("status outside 100 to 699",),
    ),
    torture(
        "insufficient headers",
        "INVITE sip:b@x.example SIP/2.0\nCSeq: 193942 INVITE\nVia: SIP/2.0/UDP h\nContent-Type: application/sdp\n\n",
        refused=("no Call-ID",),
    ),
    torture(
        "quote without end",
        "INVITE sip:b@x.example SIP/2.0\n"
        + _TORTURE_HEAD
        + 'To: "Mr. J. User <sip:b@x.example>\nCall-ID: 1@x.example\nCSeq: 1 INVITE\n\n',
        UNANSWERED,
    ),
    torture(
        "method other than CSeq's",
        "OPTIONS sip:b@x.example SIP/2.0\n"
        + _TORTURE_HEAD
        + "To: <sip:b@x.example>\nCall-ID: 1@x.example\nCSeq: 8 INVITE\n\n",
    ),
    torture(
        "blanks around the start line",
        "INVITE  sip:b@x.example  SIP/2.0\n"
        + _TORTURE_HEAD
        + "To: <sip:b@x.example>\nCall-ID: 1@x.example\nCSeq: 1 INVITE\n\n",
        UNANSWERED,
    ),
    *[
        scenario(f"S181 {transport}", rewritten(ANSWERED, _over(transport), transport), SAME)
        for transport in ("WS", "WSS", "SCTP", "TLS", "TCP")
    ],
    headed("S182", "Date: Sat, 13 Nov 2010 23:29:00 GMT", SAME),
]
