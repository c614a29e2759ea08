"""The properties that the torture tests of RFC 4475 and RFC 5118 are about, in messages of our own.

The reader is an observer: it takes part in no transaction and answers nothing, so what an element would refuse with
400 is a call that someone tried all the same. It uses whatever can be told apart (derivations.md section 4.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PARTS: Final = (
    b"--7a9\r\nContent-Type: text/plain\r\n\r\nHi\r\n"
    b"--7a9\r\nContent-Type: x/y\r\n\r\n\0\r\n\r\n\xff\n\n\x80--7a9--\r\n"
)
_BASE: Final = {
    "Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKt1",
    "From": "<sip:ann@torture.example>;tag=f1",
    "To": "<sip:bob@torture.example>",
    "Call-ID": "t1@torture.example",
    "CSeq": "7 INVITE",
    "Max-Forwards": "70",
    "Contact": "<sip:ann@192.0.2.1>",
}
_SDP: Final = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n"
_SDP6: Final = _SDP.replace("IP4 192.0.2.1", "IP6 2001:db8::9")


def said(start: str, changes: Mapping[str, str | None] | None = None, body: bytes | str = b"") -> bytes:
    """A message of that start line; headers changed, added or (None) left out; the method in CSeq unless given."""
    if isinstance(body, str):
        body = body.encode()
    method = start.split(" ", 1)[0] if not start.startswith("SIP/") else "INVITE"
    fields = {**_BASE, "CSeq": f"7 {method}", "Content-Length": str(len(body)), **(changes or {})}
    lines = [start, *(f"{name}: {value}" for name, value in fields.items() if value is not None), "", ""]
    return "\r\n".join(lines).encode() + body


class Tshark(NamedTuple):
    """How tshark sees a message otherwise: fields, or None where it sees no SIP. right: who is; and why."""

    shows: Mapping[str, object] | None
    right: str
    why: str


class Case(NamedTuple):
    """A message and what must come out.

    expected: fields of the message, or the reason for which it is refused. users, media: those of the call's row.
    behind: the Call-IDs of messages behind it in its datagram. odd: what is counted beside it.
    tshark: what tshark shows otherwise.
    """

    section: str
    point: str
    data: bytes
    expected: Mapping[str, object] | str
    odd: Sequence[str] = ()
    tshark: Tshark | None = None


_OPTIONS: Final = "OPTIONS sip:bob@torture.example SIP/2.0"
_REGISTER: Final = "REGISTER sip:torture.example SIP/2.0"
_INVITE: Final = "INVITE sip:bob@torture.example SIP/2.0"
_BOTH: Final = ("ann@torture.example", "bob@torture.example")
_FULL: Final = "tshark shows the largest number it has; we name the reason for which it is of no use"
_STRICT: Final = Tshark(
    None, "we", "RFC 4475 lets a receiver read on, as the meaning is clear; tshark takes it for no SIP"
)
_SECOND: Final = said(_INVITE, {"Call-ID": "t2@torture.example"})

RFC_4475: Final = [
    Case(
        "3.1.1.1",
        "folding, odd case, compact names, blanks around every separator, escaped quotes, values of no known syntax",
        b"INVITE sip:bob@torture.example;lost SIP/2.0\r\n"
        b"tO :\r\n sip:bob@torture.example ;\r\n  tag   =  t-1\r\n"
        b'F\t: "Ann \\\\\\"<x>;tag=no" <sip:ann@torture.example>\r\n  ;\r\n\ttag = f-1 ; alone\r\n'
        b"mAX-fORWARDS: 0070\r\nCALL-id: t1@torture.example\r\nCseq: 0009\r\n  INVITE\r\n"
        b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.1;branch=z9hG4bK1;flag ,\r\n SIP/2.0/TCP a;branch=z9hG4bK2\r\n"
        b"s :\r\nX-Thing: ;;,,;;,;\r\nv:  SIP/2.0/ TLS b.example;branch=z9hG4bK3\r\n"
        b'm:"Q" <sip:ann@192.0.2.1;p;q=1>;x=y;expires = 0060\r\nl :  0\r\n\r\n',
        {"method": "INVITE", "cseq": 9, "from_tag": b"f-1", "to_tag": b"t-1", "vias": 3, "users": _BOTH},
        tshark=Tshark(
            {"from_tag": b"", "to_tag": b""}, "we", "RFC 3261 25.1: blanks may stand around `=`; tshark finds no tag"
        ),
    ),
    Case(
        "3.1.1.2",
        "every sign that a method, a Call-ID, a tag and a display name may have",
        said(
            "!Odd-Method_07+`.%*'~ sip:1_u:;&=+$,pw@torture.example;x_~=%C3%A9 SIP/2.0",
            {
                "From": 'w0rd-.!%*_+`\'~ "q\\"\\\\ ж" <sip:ann@torture.example>;tag=t0ken-.!%*_+`\'~',
                "Call-ID": "a%Z-.!%*_+`'~()<>:\\/\"[]?{}@b",
                "X-\u00e9-.!%*_+`'~": "\u6f22\u5b57",
            },
        ),
        {
            "method": "!Odd-Method_07+`.%*'~",
            "call_id": b"a%Z-.!%*_+`'~()<>:\\/\"[]?{}@b",
            "from_tag": b"t0ken-.!%*_+`'~",
        },
        tshark=Tshark(
            {"cseq_method": ""}, "we", "RFC 3261 25.1: a method is a token; tshark takes the CSeq's for none"
        ),
    ),
    Case(
        "3.1.1.3",
        "escapes in URIs: a user part that holds a URI, letters escaped without need",
        said(
            "INVITE sip:sip%3Aann%40torture.example@torture.example SIP/2.0",
            {"To": "<sip:%62ob@torture.example>", "From": "<sip:a%20b%40c@torture.example>;tag=f1"},
        ),
        {"users": ("a%20b%40c@torture.example", "bob@torture.example")},
    ),
    Case(
        "3.1.1.4",
        "an escaped NUL in a user part",
        said(_REGISTER, {"To": "<sip:b%00b@torture.example>", "From": "<sip:b%00b@torture.example>;tag=f1"}),
        {"method": "REGISTER", "from_tag": b"f1"},
    ),
    Case(
        "3.1.1.5",
        "% in a method is a sign like any other, so this is no REGISTER",
        said("R%45GISTER sip:torture.example SIP/2.0"),
        {"method": "R%45GISTER"},
    ),
    Case(
        "3.1.1.6",
        "no blank between display name and <",
        said(_INVITE, {"From": "ann<sip:ann@torture.example>;tag=f1", "To": '"Bob"<sip:bob@torture.example>'}),
        {"from_tag": b"f1", "users": _BOTH},
    ),
    Case(
        "3.1.1.7",
        "long values: names, parameters, tags, a Call-ID, many Vias",
        said(
            _INVITE,
            {
                "From": f'"{"Ann " * 60}" <sip:ann@torture.example;{"p" * 200}={"v" * 99}>;{"q" * 90};tag={"f" * 250}',
                "To": f'"{"Bob" * 99}" <sip:{"bob" * 66}@torture.example>',
                "Call-ID": "c" * 500,
                "X-" + "Long-" * 40 + "Name": "v" * 2000,
                "Via": ", ".join(f"SIP/2.0/TCP h{at}.example;branch=z9hG4bK{'b' * 99}" for at in range(34)),
            },
        ),
        {
            "from_tag": b"f" * 250,
            "call_id": b"c" * 500,
            "vias": 34,
            "users": (_BOTH[0], "bob" * 66 + "@torture.example"),
        },
    ),
    Case(
        "3.1.1.8",
        "octets behind the body of a datagram",
        said(_REGISTER) + b"\r\nnot a message\r\n\r\n",
        {"method": "REGISTER", "body": b""},
    ),
    Case(
        "3.1.1.8",
        "octets behind the body of a datagram that are a whole message: no element may act on it, but it was sent",
        said(_REGISTER) + _SECOND,
        {"method": "REGISTER", "body": b"", "behind": [b"t2@torture.example"]},
        tshark=Tshark({}, "both", "RFC 3261 18.3: an element drops them, as tshark does; we note what was on the wire"),
    ),
    Case(
        "3.1.1.9",
        "a semicolon in a user part begins no parameter of the URI",
        said(_INVITE, {"To": "<sip:bob;x=y%40z@torture.example>"}),
        {"users": (_BOTH[0], "bob;x=y%40z@torture.example")},
    ),
    Case(
        "3.1.1.10",
        "transports known and unknown in Via",
        said(
            _OPTIONS,
            {
                "Via": ", ".join(
                    f"SIP/2.0/{name} h.example;branch=z9hG4bK1" for name in ("UDP", "SCTP", "TLS", "X-Y", "TCP")
                )
            },
        ),
        {"vias": 5},
    ),
    Case(
        "3.1.1.11",
        "a multipart body with binary parts and empty lines in it",
        said(
            "MESSAGE sip:bob@torture.example SIP/2.0",
            {"Content-Type": 'multipart/mixed;boundary="7a9"'},
            _PARTS,
        ),
        {
            "method": "MESSAGE",
            "body": _PARTS,
        },
    ),
    Case(
        "3.1.1.12",
        "a reason phrase of operators and of letters beyond ASCII",
        said("SIP/2.0 200 = 3**4 + 7*17 вот так", {"To": "<sip:bob@torture.example>;tag=t1"}),
        {"status": 200, "method": "INVITE", "to_tag": b"t1"},
    ),
    Case("3.1.1.13", "an empty reason phrase", said("SIP/2.0 100 "), {"status": 100, "method": "INVITE"}),
    Case(
        "3.1.2.1",
        "separators with nothing between them: an element that is only semicolons is still one",
        said(
            _INVITE,
            {"Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;;,;,,", "Contact": "<sip:ann@192.0.2.1>;;;;,,,,"},
        ),
        {"vias": 2, "users": _BOTH},
    ),
    Case(
        "3.1.2.2",
        "Content-Length larger than the datagram",
        said(_INVITE, {"Content-Length": "9999", "Content-Type": "application/sdp"}, _SDP),
        {"body": _SDP.encode()},
        ["Content-Length larger than the message"],
    ),
    Case(
        "3.1.2.3",
        "a negative Content-Length",
        said(_INVITE, {"Content-Length": "-999", "Content-Type": "application/sdp"}, _SDP),
        {"body": _SDP.encode()},
        ["Content-Length isn't a number"],
    ),
    Case(
        "3.1.2.4",
        "numbers of a request beyond their types",
        said(
            _REGISTER,
            {
                "CSeq": "36893488147419103232 REGISTER",
                "Max-Forwards": "300",
                "Expires": "10000000000000000000000",
                "Contact": "<sip:ann@192.0.2.1>;expires=280297596632815",
            },
        ),
        "CSeq number longer than 18 digits",
        tshark=Tshark({"method": "REGISTER", "cseq": 4294967295}, "both", _FULL),
    ),
    Case(
        "3.1.2.4",
        "a CSeq beyond 32 bits that can still be told from others",
        said(_REGISTER, {"CSeq": "4294967296 REGISTER", "Max-Forwards": "300"}),
        {"cseq": 4294967296},
        tshark=Tshark({"cseq": 0}, "we", "tshark keeps the lower 32 bits; another request may have that number"),
    ),
    Case(
        "3.1.2.5",
        "numbers of a response beyond their types",
        said(
            "SIP/2.0 503 Service Unavailable",
            {
                "CSeq": "9292394834772304023312 OPTIONS",
                "Retry-After": "949302838503028349304023988",
                "Warning": "1812 x",
            },
        ),
        "CSeq number longer than 18 digits",
        tshark=Tshark({"status": 503, "method": "OPTIONS", "cseq": 4294967295}, "both", _FULL),
    ),
    Case(
        "3.1.2.6",
        "a quoted display name that never ends: then the first < counts",
        said(_INVITE, {"To": '"Mr. Bob <sip:bob@torture.example>'}),
        {"users": _BOTH},
    ),
    Case("3.1.2.7", "a Request-URI in <>", said("INVITE <sip:bob@torture.example> SIP/2.0"), {"method": "INVITE"}),
    Case(
        "3.1.2.8",
        "blanks within a Request-URI",
        said("INVITE sip:bob@torture.example; lr SIP/2.0"),
        {"method": "INVITE", "users": _BOTH},
        tshark=_STRICT,
    ),
    Case(
        "3.1.2.9",
        "several blanks between the parts of a request line",
        said("INVITE  sip:bob@torture.example  SIP/2.0"),
        {"method": "INVITE", "users": _BOTH},
        tshark=_STRICT,
    ),
    Case(
        "3.1.2.10",
        "blanks at the end of a request line",
        said(_OPTIONS + "  "),
        {"method": "OPTIONS"},
        tshark=_STRICT,
    ),
    Case(
        "3.1.2.11",
        "escaped headers in a Request-URI",
        said("INVITE sip:bob@torture.example?Route=%3Csip:x.example%3E SIP/2.0"),
        {"method": "INVITE", "users": _BOTH},
    ),
    Case(
        "3.1.2.12",
        "a Date of another time zone than GMT",
        said(_INVITE, {"Date": "Mon, 23 Nov 2026 08:00:00 CET"}),
        {"method": "INVITE", "users": _BOTH},
    ),
    Case(
        "3.1.2.13",
        "a URI with headers that isn't in <>",
        said(_REGISTER, {"Contact": "sip:ann@192.0.2.1?Route=%3Csip:x.example%3E"}),
        {"method": "REGISTER"},
    ),
    Case(
        "3.1.2.14",
        "blanks within <>",
        said(_INVITE, {"To": '"Lee, Bob" < sip:bob@torture.example >'}),
        {"users": _BOTH},
    ),
    Case(
        "3.1.2.15",
        "a comma in a display name without quotes",
        said(_INVITE, {"From": "Lee, Ann <sip:ann@torture.example>;tag=f1"}),
        {"from_tag": b"f1", "users": _BOTH},
    ),
    Case("3.1.2.16", "a version of SIP yet to come", said("OPTIONS sip:bob@x SIP/7.0"), "SIP version other than 2.0"),
    Case(
        "3.1.2.17",
        "a method other than that of CSeq: the start line is trusted",
        said(_OPTIONS, {"CSeq": "8 INVITE"}),
        {"method": "OPTIONS", "cseq": 8},
        ["CSeq method other than the request's"],
    ),
    Case(
        "3.1.2.18",
        "an unknown method other than that of CSeq",
        said("NOVEL sip:bob@torture.example SIP/2.0", {"CSeq": "8 INVITE"}),
        {"method": "NOVEL", "cseq": 8},
        ["CSeq method other than the request's"],
    ),
    Case("3.1.2.19", "a status beyond three digits", said("SIP/2.0 4294967301 x"), "status outside 100 to 699"),
    Case(
        "3.2.1",
        "a branch of the magic cookie alone: no branch is used as an identity",
        said(_OPTIONS, {"Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"}),
        {"method": "OPTIONS", "vias": 1},
    ),
    Case(
        "3.3.1",
        "no Call-ID, From and To",
        said(_INVITE, {"Call-ID": None, "From": None, "To": None}),
        "no Call-ID",
        tshark=Tshark({"method": "INVITE", "cseq": 7}, "both", "tshark shows what is there; for us it is of no call"),
    ),
    Case(
        "3.3.2",
        "a Request-URI of an unknown scheme",
        said("OPTIONS nobodyknows:all(of)it SIP/2.0", {"To": "<nobodyknows:all(of)it>"}),
        {"method": "OPTIONS"},
    ),
    Case(
        "3.3.3", "a Request-URI of an uncommon scheme", said("OPTIONS soap.beep://h:1 SIP/2.0"), {"method": "OPTIONS"}
    ),
    Case(
        "3.3.4",
        "schemes other than SIP's in headers",
        said(
            _INVITE, {"From": "<http://torture.example/Ann>;tag=f1", "To": "isbn:2983792873", "Contact": "<name:Ann>"}
        ),
        {"from_tag": b"f1", "users": ("http://torture.example/ann", "isbn:2983792873")},
    ),
    Case(
        "3.3.5",
        "extensions required that nobody knows",
        said(_OPTIONS, {"Require": "unheardof", "Proxy-Require": "unheardof, nor-that"}),
        {"method": "OPTIONS"},
    ),
    Case(
        "3.3.6",
        "a body of an unknown type",
        said(_INVITE, {"Content-Type": "application/unheardof"}, "<audio>\r\n <pcmu port='443'/>\r\n</audio>\r\n"),
        {"body": b"<audio>\r\n <pcmu port='443'/>\r\n</audio>\r\n", "users": _BOTH},
    ),
    Case(
        "3.3.7",
        "an unknown scheme of authorization",
        said(_REGISTER, {"Authorization": "Unheardof opaque=here"}),
        {"method": "REGISTER"},
    ),
    Case(
        "3.3.8",
        "several values where there may be one: the first counts",
        said(_INVITE).replace(
            b"\r\nMax-",
            b"\r\nCSeq: 8 BYE\r\nCall-ID: t9@torture.example\r\nTo: <sip:z@torture.example>;tag=z"
            b"\r\nFrom: <sip:y@torture.example>;tag=y\r\nMax-Forwards: 5\r\nMax-",
        ),
        {
            "method": "INVITE",
            "cseq": 7,
            "call_id": b"t1@torture.example",
            "from_tag": b"f1",
            "to_tag": b"",
            "users": _BOTH,
        },
        ["header given twice, the copies differ"] * 4,
        tshark=Tshark(
            {"second": "BYE", "to_tag": b"z"}, "both", "tshark lists all copies, the one that counts for us first"
        ),
    ),
    Case(
        "3.3.9",
        "two Content-Lengths: the first counts",
        said(_OPTIONS, {"l": "5"}, "12345") + b"6789",
        {"body": b"12345"},
    ),
    Case(
        "3.3.9",
        "two Content-Lengths that differ: the first counts",
        said(_OPTIONS, {"l": "2"}, "12345"),
        {"body": b"12345"},
        ["header given twice, the copies differ"],
    ),
    Case(
        "3.3.10",
        "a 200 whose second Via is a broadcast address",
        said(
            "SIP/2.0 200 OK",
            {"Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1, SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK2"},
        ),
        {"status": 200, "vias": 2},
    ),
    Case("3.3.11", "Max-Forwards of zero", said(_OPTIONS, {"Max-Forwards": "0"}), {"method": "OPTIONS"}),
    Case(
        "3.3.12",
        "a parameter of the Contact header behind a URI without <>",
        said(_REGISTER, {"Contact": "sip:ann@192.0.2.1;unheardof"}),
        {"method": "REGISTER"},
    ),
    Case(
        "3.3.13",
        "a parameter of the URI within <>",
        said(_REGISTER, {"Contact": "<sip:ann@192.0.2.1;unheardof>"}),
        {"method": "REGISTER"},
    ),
    Case(
        "3.3.14",
        "an escaped header in the URI within <>",
        said(_REGISTER, {"Contact": "<sip:ann@192.0.2.1?Route=%3Csip:x.example%3E>"}),
        {"method": "REGISTER"},
    ),
    Case(
        "3.3.15",
        "only types accepted that nobody offers",
        said(_INVITE, {"Accept": "text/unheardof", "Content-Type": "application/sdp"}, _SDP),
        {"body": _SDP.encode(), "users": _BOTH},
    ),
    Case(
        "3.4.1",
        "a request of RFC 2543: no tag, no branch, no Max-Forwards, addresses without <>",
        said(
            _INVITE,
            {
                "Via": "SIP/2.0/UDP 192.0.2.1",
                "From": "sip:ann@torture.example",
                "To": "sip:bob@torture.example",
                "Max-Forwards": None,
                "Contact": None,
            },
            _SDP,
        ),
        {"from_tag": b"", "vias": 1, "users": _BOTH},
    ),
]

RFC_5118: Final = [
    Case(
        "4.1",
        "references to IPv6 addresses",
        said(
            "REGISTER sip:[2001:db8::10] SIP/2.0",
            {"Via": "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK1", "Contact": "<sip:ann@[2001:db8::1]>"},
        ),
        {"method": "REGISTER", "vias": 1},
    ),
    Case(
        "4.2",
        "an IPv6 address without brackets in a Request-URI",
        said("REGISTER sip:2001:db8::10 SIP/2.0"),
        {"method": "REGISTER"},
    ),
    Case(
        "4.3",
        "within the brackets, what looks like a port is of the address",
        said(
            "INVITE sip:[2001:db8::10:5070] SIP/2.0",
            {"To": "<sip:bob@[2001:db8::10:5070]>"},
        ),
        {"users": (_BOTH[0], "bob@[2001:db8::10:5070]")},
    ),
    Case(
        "4.4",
        "behind the brackets it is a port",
        said("INVITE sip:[2001:db8::10]:5070 SIP/2.0", {"To": "<sip:bob@[2001:db8::10]:5070>"}),
        {"users": (_BOTH[0], "bob@[2001:db8::10]")},
    ),
    Case(
        "4.5",
        "a received address in brackets",
        said(_OPTIONS, {"Via": "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bK1"}),
        {"method": "OPTIONS", "vias": 1},
    ),
    Case(
        "4.5",
        "a received address without brackets",
        said(_OPTIONS, {"Via": "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bK1"}),
        {"method": "OPTIONS", "vias": 1},
    ),
    Case(
        "4.6",
        "IPv6 addresses in SDP",
        said(_INVITE, {"Content-Type": "application/sdp"}, _SDP6),
        {"body": _SDP6.encode(), "users": _BOTH, "media": [5]},
    ),
    Case(
        "4.7",
        "addresses of both kinds in the headers of one message",
        said(
            "BYE sip:bob@[2001:db8::2] SIP/2.0",
            {
                "Via": "SIP/2.0/UDP [2001:db8::9]:6050;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2,"
                " SIP/2.0/TCP [2001:db8::9:255]:5061;branch=z9hG4bK3",
                "From": "<sip:ann@[2001:db8::1]>;tag=f1",
                "To": "<sip:bob@192.0.2.2>;tag=t1",
            },
        ),
        {"method": "BYE", "vias": 3, "from_tag": b"f1", "to_tag": b"t1"},
    ),
    Case(
        "4.8",
        "addresses of both kinds in SDP",
        said(
            _INVITE,
            {"Content-Type": "application/sdp"},
            _SDP + "m=video 6000 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\n",
        ),
        {"users": _BOTH, "media": [5, 6]},
    ),
    Case(
        "4.9",
        "IPv4 addresses mapped to IPv6",
        said(
            _INVITE,
            {
                "Via": "SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bK1",
                "From": "<sip:ann@[::ffff:192.0.2.10]>;tag=f1",
                "Content-Type": "application/sdp",
            },
            _SDP6.replace("2001:db8::9", "::ffff:192.0.2.10"),
        ),
        {"vias": 1, "users": ("ann@[::ffff:192.0.2.10]", _BOTH[1]), "media": [5]},
    ),
    Case(
        "4.10",
        "a third colon that the grammar of RFC 3261 let through before an IPv4 address",
        said("INVITE sip:bob@[2001:db8:::192.0.2.1] SIP/2.0", {"To": "<sip:bob@[2001:db8:::192.0.2.1]>"}),
        {"users": (_BOTH[0], "bob@[2001:db8:::192.0.2.1]")},
    ),
    Case(
        "4.10",
        "the same without it",
        said("INVITE sip:bob@[2001:db8::192.0.2.1] SIP/2.0", {"To": "<sip:bob@[2001:db8::192.0.2.1]>"}),
        {"users": (_BOTH[0], "bob@[2001:db8::192.0.2.1]")},
    ),
]

CASES: Final = [*(("RFC 4475", case) for case in RFC_4475), *(("RFC 5118", case) for case in RFC_5118)]
