"""The scan of a message: lenient reading, refusals, limits (derivations.md 4.2, scenarios K)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.builder import HEADERS, Position, SipMessage
from sipcdr.builder._syntax import address, parameter, split_values
from sipcdr.ingest import Limits, Tally, scan
from sipcdr.ingest._sip import _elements, tag_of

from .reading import reasons

BASE = {
    "start": "INVITE sip:b@x SIP/2.0",
    "Via": "SIP/2.0/UDP h;branch=z9hG4bK1",
    "From": "<sip:a@x>;tag=a1",
    "To": "<sip:b@x>",
    "Call-ID": "c1@x",
    "CSeq": "7 INVITE",
    "Content-Length": "0",
}


def text(changes: dict[str, str | None] | None = None, body: str = "", end: str = "\r\n") -> bytes:
    """The base message with headers changed, added, or (None) left out."""
    fields = {**BASE, **(changes or {})}
    lines = [fields.pop("start") or ""]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return (end.join([*lines, "", ""]) + body).encode("utf-8", "surrogateescape")


def scanned(
    data: bytes, *, cut: bool = False, time: int = 0, limits: Limits | None = None
) -> tuple[SipMessage | str, Tally]:
    """What the scan makes of these bytes."""
    tally = Tally()
    return scan(data, time, Position("x", 1), tally, limits or Limits(), cut=cut), tally


def good(data: bytes, *, cut: bool = False, limits: Limits | None = None) -> SipMessage:
    """The message, which must be one."""
    message, _ = scanned(data, cut=cut, limits=limits)
    assert not isinstance(message, str), message
    return message


def test_plain() -> None:
    """A plain message has all its fields, and only the headers that rules read."""
    data = text({"Max-Forwards": "70", "Subject": "x"})
    message = good(data)
    assert (message.method, message.status, message.call_id, message.cseq) == ("INVITE", 0, b"c1@x", 7)
    assert (message.from_tag, message.to_tag, message.vias) == (b"a1", b"", 1)
    assert message.raw == data
    assert set(message.headers) == {b"via", b"from", b"to", b"call-id", b"cseq", b"content-length"}
    assert message.headers.keys() <= HEADERS
    assert message.header(b"max-forwards") == [b"70"]


SAME = {
    "compact names (S154)": text()
    .replace(b"Via:", b"v:")
    .replace(b"From:", b"f:")
    .replace(b"To:", b"t:")
    .replace(b"Call-ID:", b"i:")
    .replace(b"Content-Length:", b"l:"),
    "odd case, blanks before the colon (S157)": text()
    .replace(b"Via:", b"vIa :")
    .replace(b"From:", b"FROM\t :")
    .replace(b"Call-ID:", b"call-id:")
    .replace(b"CSeq:", b"cSEQ   :"),
    "no blank behind the colon": text().replace(b": ", b":"),
    "folded (S155)": text({"From": "\r\n <sip:a@x>\r\n\t;tag=a1", "Call-ID": "\r\n  c1@x", "CSeq": "7\r\n  INVITE"}),
    "bare LF (S158)": text(end="\n"),
    "mixed line ends (S158)": text().replace(b"\r\nTo", b"\nTo").replace(b"\r\n\r\n", b"\n\r\n"),
    "line ends before it": b"\r\n\r\n\n" + text(),
    "lower-case version (S177)": text({"start": "INVITE sip:b@x sip/2.0"}),
    "blanks behind the start line": text({"start": "INVITE sip:b@x SIP/2.0  "}),
    "no empty line at the end": text()[:-2],
    "lines that are no header": text().replace(b"\r\nTo", b"\r\nnonsense\r\n:x\r\nTo"),
    "other order": text({"Via": None, "CSeq": None, "Content-Length": None}).replace(
        b"\r\n\r\n", b"\r\nContent-Length: 0\r\nCSeq: 7 INVITE\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n"
    ),
    "blanks in CSeq (RFC 4475)": text({"CSeq": "7 \t INVITE"}),
    "CSeq without blank (S175)": text({"CSeq": "7INVITE"}),
    "CSeq with leading zeros (RFC 4475)": text({"CSeq": "0000007 INVITE"}),
    "CSeq of another method (S175)": text({"CSeq": "7 BYE"}),
    "CSeq without method": text({"CSeq": "7"}),
    "second header of a single kind": text().replace(b"\r\nContent-", b"\r\nf: <sip:z@x>;tag=zz\r\ni: zz\r\nContent-"),
}


@pytest.mark.parametrize("name", SAME)
def test_says_the_same(name: str) -> None:
    """Syntax that must not change a message doesn't."""
    plain, message = good(text()), good(SAME[name])
    for field in ("method", "status", "call_id", "from_tag", "to_tag", "cseq", "vias", "body"):
        assert getattr(message, field) == getattr(plain, field), field


TAGS = {
    '"A <b>;tag=zz \\"q\\"" <sip:b@x>;tag=real': b"real",  # S159
    "Ann Lee <sip:ann@x>;tag=1": b"1",  # S160
    "sip:ann@x;tag=1": b"1",
    "<sip:a@x>;tag=1;tag=2": b"1",  # S161
    "<sip:a@x>;x=y; TAG = 1": b"1",
    '\\"ann\\" <sip:ann@x>;tag=a': b"a",  # S204
    "<sip:a@x;tag=uri>": b"",
    "<sip:a@x;tag=uri>;tag=own": b"own",
    '"never ends <sip:a@x>;tag=a': b"a",
    "<sip:a@x>": b"",
    "<sip:a@x>;tag": b"",
    "<sip:a@x>;tag=": b"",
    '<sip:a@x>;x=";tag=no";tag=yes': b"yes",
    "<sip:a@x;tag=no": b"",
    "sip:a@x": b"",
    "<sip:[2001:db8::1]:5060>;tag=6": b"6",
    "<sip:a@x>;tag=a%20b~!": b"a%20b~!",
}


@pytest.mark.parametrize("value", TAGS)
def test_tags(value: str) -> None:
    """The tag of a From or To value, however it is written."""
    assert good(text({"From": value})).from_tag == TAGS[value]
    assert good(text({"To": value})).to_tag == TAGS[value]


_PIECES = st.sampled_from(['"', "\\", "<", ">", ";", "tag=", "Tag =", "a", " ", ",", "sip:x", "=", "\t"])


@given(st.lists(_PIECES, max_size=16).map("".join))
def test_tags_as_the_builder_reads(value: str) -> None:
    """The tag is the one that the derivation's own reading of addresses and parameters finds."""
    assert tag_of(value.encode()) == (parameter(address(value)[1], "tag") or "").encode()


@given(st.lists(_PIECES, max_size=16).map("".join))
def test_vias_as_the_builder_splits(value: str) -> None:
    """Elements of a list are counted as the derivation splits them."""
    if "," in value:
        assert _elements(value.encode()) == len(split_values(value))


def test_several_vias() -> None:
    """Via lines and the elements of one count together; empty elements don't (S156)."""
    data = text({"Via": 'SIP/2.0/UDP a;x="p,q",, SIP/2.0/TCP b'}).replace(b"\r\nTo", b"\r\nv: SIP/2.0/UDP c\r\nTo")
    assert good(data).vias == 3


STATUS = {
    "SIP/2.0 200 OK": 200,
    "SIP/2.0 200": 200,  # S176
    "SIP/2.0 200 ": 200,
    "SIP/2.0 183 Sitzung läuft": 183,
    "sip/2.0 486 Busy": 486,
    "SIP/2.0  404 Not Found": 404,
    "SIP/2.0 699 x SIP/2.0": 699,
}


@pytest.mark.parametrize("line", STATUS)
def test_status_lines(line: str) -> None:
    """A status line with or without a reason; the method is that of CSeq."""
    message = good(text({"start": line}))
    assert (message.status, message.method) == (STATUS[line], "INVITE")


REFUSED = {
    "not SIP": [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"INVITE SIP/2.0\r\n\r\n",
        text({"start": "INV:TE sip:b@x SIP/2.0"}),
        text({"start": "SIP/2.0/UDP host"}),
    ],
    "SIP version other than 2.0": [text({"start": "INVITE sip:b@x SIP/3.0"}), text({"start": "SIP/7.0 200 OK"})],
    "status outside 100 to 699": [
        text({"start": "SIP/2.0 99 x"}),
        text({"start": "SIP/2.0 700 x"}),
        text({"start": "SIP/2.0 4294967301 x"}),
        text({"start": "SIP/2.0 2000 x"}),
    ],
    "no Call-ID": [text({"Call-ID": None}), text({"Call-ID": ""})],
    "no CSeq": [text({"CSeq": None}), text({"CSeq": " "})],
    "no From": [text({"From": None}), text({"From": ""})],
    "no To": [text({"To": None})],
    "CSeq isn't a number": [
        text({"CSeq": "INVITE"}),
        text({"CSeq": "-1 INVITE"}),
    ],
    "CSeq number longer than 18 digits": [text({"CSeq": "36893488147419103232 INVITE"})],
    "no method in CSeq": [
        text({"start": "SIP/2.0 200 OK", "CSeq": "7"}),
        text({"start": "SIP/2.0 200 OK", "CSeq": "7 <>"}),
    ],
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refused(reason: str) -> None:
    """What lacks something that makes a message one is refused, and the reason named."""
    for data in REFUSED[reason]:
        assert scanned(data)[0] == reason


def test_cut_in_its_headers() -> None:
    """A message cut before its headers end is refused; cut behind them it is used and marked."""
    data = text({"Content-Length": "10"}, "0123456789")
    assert scanned(data[:60], cut=True)[0] == "headers cut short"
    assert scanned(b"\x41\x42", cut=True)[0] == "not SIP"
    message = good(data[:-4], cut=True)
    assert (message.cut, message.body) == (True, b"012345")


@pytest.mark.parametrize("time", [-6_847_804_800_000_001, 253_402_300_800_000_000, 1 << 70])
def test_times_that_no_column_takes(time: int) -> None:
    """A time outside 1753 to 9999 refuses the message."""
    assert scanned(text(), time=time)[0] == "time outside the years 1753 to 9999"


LENGTHS = [
    ("4", "abcd", b"abcd", ""),
    ("2", "abcd", b"ab", ""),
    ("9", "abcd", b"abcd", "Content-Length larger than the message"),
    ("99999999999999999999", "abcd", b"abcd", "Content-Length larger than the message"),
    ("-1", "abcd", b"abcd", "Content-Length isn't a number"),
    ("four", "abcd", b"abcd", "Content-Length isn't a number"),
    ("", "abcd", b"abcd", "Content-Length isn't a number"),
    (None, "abcd", b"abcd", ""),
    ("2\r\nl: 4", "abcd", b"ab", "header given twice, the copies differ"),
]


@pytest.mark.parametrize(("value", "body", "expected", "count"), LENGTHS)
def test_content_length(value: str | None, body: str, expected: bytes, count: str) -> None:
    """Content-Length too big, too small, negative, twice, absent (S173): a datagram has what it has."""
    message, tally = scanned(text({"Content-Length": value}, body))
    assert not isinstance(message, str)
    assert message.body == expected
    assert tally.counts == ({count: 1} if count else {})


def test_differing_copies_are_counted() -> None:
    """The first of two From headers counts; two that are equal are no oddity."""
    _, tally = scanned(SAME["second header of a single kind"])
    assert tally.counts["header given twice, the copies differ"] == 2
    _, tally = scanned(text().replace(b"\r\nTo", b"\r\ni: c1@x\r\nTo"))
    assert tally.counts == {}
    _, tally = scanned(text({"CSeq": "7 BYE"}))
    assert tally.counts == {"CSeq method other than the request's": 1}


def test_large_cseq_is_kept() -> None:
    """CSeq numbers beyond 31 bits are kept (S175)."""
    assert good(text({"CSeq": "2147483648 INVITE"})).cseq == 2147483648


def test_odd_bytes_are_kept() -> None:
    """NUL, control bytes and invalid UTF-8 stand in values as received (S178)."""
    assert good(text({"Call-ID": "a\0\x01\udcff\udcf8b"})).call_id == b"a\0\x01\xff\xf8b"


def test_limits() -> None:
    """What goes beyond a limit is cut and named, and the rest is kept."""
    message, tally = scanned(text(dict.fromkeys(map(str, range(100_000)), "y")), limits=Limits(message=1 << 30))
    assert not isinstance(message, str)
    assert reasons(tally) == ["more than 256 headers"]

    message, tally = scanned(text({"User-Agent": "u" * 9000, "Supported": "s" * 8192}))
    assert not isinstance(message, str)
    assert [len(message.headers[name][0]) for name in (b"user-agent", b"supported")] == [8192, 8192]
    assert reasons(tally) == ["header value longer than 8192 bytes"]

    message, tally = scanned(text({"Content-Length": None}, "x" * 70_000))
    assert not isinstance(message, str)
    assert (len(message.raw), message.cut) == (65_536, True)
    assert reasons(tally) == ["message longer than 65536 bytes"]

    message, tally = scanned(text({"Subject": "x\r\n " * 40_000}))
    assert not isinstance(message, str)
    assert (len(message.raw) <= 65_536, message.cut, message.body) == (True, True, b"")
    assert tally.counts["limit: message longer than 65536 bytes"] == 1


@pytest.mark.parametrize(
    "value", ['"\\' * 4000, ';x="' + '\\"' * 4000, '"' * 8000, ";" * 8000, "<" * 8000, "\\" * 8000, ',"' * 4000]
)
def test_hostile_values(value: str) -> None:
    """Values made to be slow are read in one pass: the test would take minutes otherwise."""
    for _ in range(20):
        good(text({"From": f"<sip:a@x>{value}", "Via": value + ",", "To": value}))


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing(data: bytes) -> None:
    """Random bytes are refused."""
    assert isinstance(scanned(data)[0], str)


@given(st.data())
def test_damage_raises_nothing(data: st.DataObject) -> None:
    """A message with anything put in, cut or overwritten is a message or refused."""
    whole = text({"Content-Length": "4", "Via": "a, b", "To": '"x" <sip:b@x>;tag="t"'}, "abcd")
    at = data.draw(st.integers(0, len(whole)))
    piece = data.draw(st.one_of(st.binary(max_size=20), st.sampled_from([b"\n", b"\n ", b"\r\n\r\n", b'"', b": "])))
    dropped = data.draw(st.integers(0, 30))
    cut = data.draw(st.booleans())
    message, _ = scanned(whole[:at] + piece + whole[at + dropped :], cut=cut)
    if not isinstance(message, str):
        assert 0 <= message.body_at <= len(message.raw)
        assert message.header(b"from") == message.headers[b"from"]
