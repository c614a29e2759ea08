"""Messages under other names: nobody is to be recognised, and every row is to be made as before."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.app._anonymize import Anonymizer
from sipcdr.app._pseudonyms import Pseudonyms
from sipcdr.app._records import record_of
from sipcdr.builder import Call, Position, SipMessage, sessions
from sipcdr.ingest import Inputs, Limits, Tally, scan
from sipcdr.sinks import session_of
from tests.app.capture import ANN, CLEO, answered, sipcdr, write
from tests.app.hostile import hostile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIXTURES = Path(__file__).parents[2] / "fixtures"
REAL = Path(os.environ.get("SIPCDR_CAPTURES", "/nowhere"))
CAPTURES = sorted(
    path for folder in (FIXTURES, REAL) for kind in ("pcap", "pcapng") for path in folder.glob(f"*.{kind}")
)
KEY = b"k" * 32
# What a row holds that names nobody.
PLAIN = (
    "InviteTime", "ResponseTime", "ResponseCode", "SessionEndTime", "DiagnosticId", "MediaTypes", "ContentType",
    "CallPriority", "CallFlag", "User1MessageCount", "User2MessageCount", "IsUser1Internal", "IsUser2Internal",
)  # fmt: skip


def messages(path: Path) -> Iterator[SipMessage]:
    """The messages of a capture."""
    for batch in Inputs([str(path)], tally=Tally()):
        yield from batch


def rows(found: Iterable[SipMessage]) -> list[dict[str, Any]]:
    """The rows that messages make, by time."""
    calls: dict[bytes, Call] = {}
    for message in found:
        calls.setdefault(message.call_id, Call(message.call_id)).add(message)
    records = [record_of(session_of(row)) for call in calls.values() for row in sessions(call)]
    return sorted(records, key=lambda record: (str(record["InviteTime"]), str(record["ResponseCode"])))


def names(records: Iterable[dict[str, Any]]) -> set[str]:
    """Users, numbers, hosts and Call-IDs of rows, that nobody may find again."""
    found: set[str] = set()
    for record in records:
        for column in ("User1", "User2", "TargetUser", "SessionStartedBy", "OnBehalfOf", "ReferredBy"):
            if record[column]:
                user, _, host = record[column].removesuffix(";user=phone").partition("@")
                found |= {user, host, user.lstrip("+")}
        found |= {record[column] for column in ("Server", "Pool", "CallId") if record[column]}
    # Some are a status, too.
    short = {name for name in found if len(name) < 4 and name.isdigit()}
    return {name for name in found - short if len(name) > 2 and not name.startswith("127.")} | {
        f"{name}@" for name in short
    }


def found_in(name: str, text: str) -> bool:
    """Whether a name stands in a text as a word."""
    end = "" if name.endswith("@") else "(?![0-9A-Za-z])"
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(name)}{end}", text, re.IGNORECASE) is not None


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_the_rows_are_the_same_but_for_names(path: Path) -> None:
    """What happened is told as before; who it was, and where, is nowhere in the messages."""
    other = Anonymizer(KEY)
    before = list(messages(path))
    after = other.messages(before)
    plain, anonymous = rows(before), rows(after)
    assert [{name: row[name] for name in PLAIN} for row in anonymous] == [
        {name: row[name] for name in PLAIN} for row in plain
    ]
    assert [[name for name in row if row[name] is None] for row in anonymous] == [
        [name for name in row if row[name] is None] for row in plain
    ]
    # Without the names of headers, of which one is Ms-Edge-Proxy-Message-Trust.
    lines = [line for message in after for line in message.raw.decode("latin-1").splitlines()]
    text = "\n".join([line.partition(":")[2] or line for line in lines] + [message.source for message in after])
    assert [name for name in names(plain) if found_in(name, text)] == []
    for address in {message.source.rpartition(":")[0].strip("[]") for message in before} - {""}:
        assert address == "::1" or address.startswith("127.") or not found_in(address, text), address


INVITE = """INVITE sip:+49-30-5550114;phone-context=corp.test@gw1.corp.test;user=phone SIP/2.0
v: SIP/2.0/UDP 10.20.0.40:5060;branch=z9hG4bK-ann.lee-10.20.0.40;received=203.0.113.9;rport=5060
Via: SIP/2.0/TLS pbx;branch=z9hG4bKx, SIP/2.0/UDP [2001:db8:5::1]:5060;branch=z9hG4bKy
Record-Route: <sip:fe1.corp.test;lr;ftag=ann.lee-1>
f: "Lee, Ann" <sip:ann.lee:secret@corp.test:5060>;tag=ann.lee-1;epid=00155d0a1b2c
To: Ben Okoro <tel:+493055501140>
Call-ID: ann.lee-77-+493055501140@10.20.0.40
CSeq: 1 INVITE
Contact: <sip:ann.lee@10.20.1.31:50160;transport=tls;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>
Refer-To: <sip:ben.okoro@corp.test?Replaces=old%4010.20.0.40%3Bto-tag%3Dben.okoro%3Bfrom-tag%3Dc&Subject=Ann%20Lee>
P-Asserted-Identity: "Ann Lee" <sip:ann.lee@corp.test>, <tel:+442079460123>
Proxy-Authorization: Digest username="ann.lee", realm="corp.test", nonce="n", uri="sip:corp.test", response="cafe"
Subject: Lunch with Ben Okoro at +44 20 7946 0123
Organization: Corp
X-Ann-Lee: yes
Reason: SIP;cause=480;text="ann.lee is away, ask Okoro"
User-Agent: Phone/66.86.0.15 at 10.20.1.31
Content-Type: application/sdp
Content-Length: %d

"""
SDP = """v=0
o=ann.lee 1 1 IN IP4 10.20.1.31
s=Ann Lee's call
i=call of ann.lee
e=ann.lee@corp.test
p=+44 20 7946 0123
c=IN IP4 media7.corp.test
t=0 0
m=audio 30000 RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=candidate:1 1 UDP 1 192.168.7.9 30000 typ host
a=ssrc:5 cname:ann.lee@corp.test
a=x-owner:ann.lee
a=ann.lee
a=sendonly
k=clear:hunter2
"""


GONE = """ann lee ben okoro corp secret 5550114 493055501140 7946 442079460123 hunter2 10.20.0.40 10.20.1.31 203.0.113.9
2001:db8:5::1 192.168.7.9 media7 fe1 gw1 pbx f81d4fae 00155d0a1b2c Lunch cafe"""


def anonymized(text: str, body: str = "") -> str:
    """A message under other names, as text."""
    raw = text.replace("%d", str(len(body.replace("\n", "\r\n")))).replace("\n", "\r\n")
    message = scan((raw + body.replace("\n", "\r\n")).encode(), 0, Position("a.pcap", 1), Tally(), Limits())
    assert not isinstance(message, str), message
    return Anonymizer(KEY).message(message).raw.decode("latin-1").replace("\r\n", "\n")


def test_everything_in_a_message() -> None:
    """Users, names, numbers and hosts are replaced in every header and in SDP; unknown headers keep their form only."""
    text = anonymized(INVITE, SDP)
    for word in GONE.split():
        assert not found_in(word, text.replace("X-Ann-Lee", "")), (word, text)
    assert "66.86.0.15" in text  # a version, not an address
    assert "cause=480" in text
    assert "a=sendonly" in text
    assert "m=audio 30000 RTP/AVP 0" in text
    assert "Subject: Xxxxx".lower() in text.lower()
    length = re.search(r"Content-Length: (\d+)", text)
    assert length is not None
    assert int(length[1]) == len(text.partition("\n\n")[2].replace("\n", "\r\n"))


def test_codes_that_are_extensions_too() -> None:
    """A status, cause or diagnostic stays, though a user of the message has the same number."""
    lines = """SIP/2.0 480 User 480 is away
From: <sip:480@x.test>;tag=a
To: <sip:1003@x.test>;tag=b
Call-ID: c@x
CSeq: 1 INVITE
Reason: SIP;cause=480;text="480 is away"
ms-diagnostics: 1003;reason="1003 is away"

"""
    made = anonymized(lines).split("\n")
    other = Pseudonyms(KEY)
    assert made[0] == f"SIP/2.0 480 User {other.user('480')} is away"
    assert made[5] == f'Reason: SIP;cause=480;text="{other.user("480")} is away"'
    assert made[6] == f'ms-diagnostics: 1003;reason="{other.user("1003")} is away"'


def test_the_same_is_the_same() -> None:
    """A user has one other name everywhere, an escaped Call-ID that of the call, and a second run gives others."""
    first = Anonymizer(KEY)
    uri = first.value("from", '"x" <sip:Ann.Lee@Corp.Test>;tag=1')
    assert first.address("ann.lee@corp.test") in uri
    refer = first.value("refer-to", "<sip:b@h.test?Replaces=old%4010.20.0.40%3Bto-tag%3Da%3Bfrom-tag%3Dc>")
    assert first.call_id("old@10.20.0.40").replace("@", "%40") in refer
    assert Anonymizer().address("ann.lee@corp.test") != Anonymizer().address("ann.lee@corp.test")


@pytest.mark.parametrize(
    ("given_", "form"),
    [
        ("+442079460123", r"\+\d{12}"),
        ("+49-30-555 0114", r"\+\d\d-\d\d-\d{3} \d{4}"),
        ("1001", r"\d{7}"),
        ("*21*1001#", r"user-\w{8}"),
        ("ann.lee", r"user-\w{8}"),
    ],
)
def test_users_keep_their_kind(given_: str, form: str) -> None:
    """A number stays one, with its plus and its signs; a name is another name."""
    made = Pseudonyms(KEY).user(given_)
    assert re.fullmatch(form, made), made
    assert made != given_


@pytest.mark.parametrize(
    ("given_", "form"),
    [
        ("10.20.0.40", r"10\.\d+\.\d+\.\d+"),
        ("172.20.0.40", r"172\.(1[6-9]|2\d|3[01])\.\d+\.\d+"),
        ("192.168.1.1", r"192\.168\.\d+\.\d+"),
        ("8.8.8.8", r"2[45]\d\.\d+\.\d+\.\d+"),
        ("[2a02:8109::1]", r"\[2001:db8:[0-9a-f:]+\]"),
        ("fe1.corp.test", r"n\w{6}\.n\w{6}\.example"),
        ("127.0.0.1", r"127\.0\.0\.1"),
        ("0.0.0.0", r"0\.0\.0\.0"),
    ],
)
def test_hosts_keep_their_kind(given_: str, form: str) -> None:
    """An address stays one of its network, a name a name; what names nobody stays."""
    assert re.fullmatch(form, Pseudonyms(KEY).host(given_))


@given(st.sets(st.from_regex(r"[0-9]{7,15}", fullmatch=True), max_size=50))
def test_numbers_stay_apart(numbers: set[str]) -> None:
    """Two numbers are never one, and keep their length."""
    made = {number: Pseudonyms(KEY).number(number) for number in numbers}
    assert len(set(made.values())) == len(numbers)
    assert all(len(number) == len(other) for number, other in made.items())


def test_hosts_of_a_domain_stay_together() -> None:
    """Two servers of a domain have one domain afterwards."""
    names_ = Pseudonyms(KEY)
    one, other = names_.host("fe1.corp.test"), names_.host("fe2.corp.test")
    assert one != other
    assert one.partition(".")[2] == other.partition(".")[2] == names_.host("corp.test")


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_any_message_stays_a_message(value: bytes, body: bytes) -> None:
    """Whatever stands in headers and body, the message can still be read, and is of the same call."""
    head = b"INVITE sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x@y\r\nCSeq: 1 INVITE\r\n"
    clean = value.replace(b"\r", b"").replace(b"\n", b"")
    for name in (b"Contact: ", b"Via: ", b"Reason: ", b"User-Agent: ", b"X-Other: "):
        head += name + clean + b"\r\n"
    message = scan(head + b"Content-Type: application/sdp\r\n\r\n" + body, 0, Position("a", 1), Tally(), Limits())
    assert not isinstance(message, str)
    made = Anonymizer(KEY).message(message)
    assert (made.method, made.status, made.cseq) == (message.method, message.status, message.cseq)
    assert made.call_id == Anonymizer(KEY).call_id("x@y").encode()


def test_the_command_anonymizes_all_that_comes_out(tmp_path: Path) -> None:
    """Table, JSON, CSV, report and database hold nobody; and by itself it writes into no database."""
    sent = answered("one@192.0.2.11", ANN, CLEO)
    capture = write(tmp_path / "ann-calls-cleo.pcap", sent)
    report, database = tmp_path / "r.html", tmp_path / "shared.db"
    words = ["replay", str(capture), "--anonymize", "--quiet", "--report", str(report)]
    outputs = [
        sipcdr(*words, "--format", form, "--to", to).out
        for form in ("table", "json", "csv")
        for to in ("none", f"sqlite:///{database}")
    ]  # fmt: skip
    texts = [*outputs, report.read_text(encoding="utf-8"), database.read_bytes().decode("latin-1")]
    for word in ("ann", "cleo", "49301234", "gw.example", "192.0.2.11", "192.0.2.13", "ann-calls-cleo"):
        assert [at for at, text in enumerate(texts) if found_in(word, text)] == [], word


def test_without_a_database_named_none_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual database holds calls under their own names; anonymized ones don't get into it unasked."""
    monkeypatch.chdir(tmp_path)
    capture = write(tmp_path / "a.pcap", answered("one@x"))
    assert sipcdr("replay", str(capture), "--anonymize", "--quiet").status == 0
    assert not (tmp_path / "sipcdr.db").exists()


def test_sessions_are_still_found(tmp_path: Path) -> None:
    """What is asked for is a user or Call-ID of the capture, though it goes by another name afterwards."""
    capture = write(tmp_path / "a.pcap", answered("one@x", ANN) + answered("two@x", CLEO))
    for asked, count in ((("--caller", "ann"), 1), (("--callee", "ben@example.com"), 2), (("--call-id", "two@x"), 1)):
        done = sipcdr("replay", str(capture), "--anonymize", "--quiet", "--format", "json", "--to", "none", *asked)
        assert len(done.rows) == count, asked


def test_hostile_messages(tmp_path: Path) -> None:
    """Messages that are made to trip it are anonymized, too."""
    capture = write(tmp_path / "a.pcap", hostile())
    plain = sipcdr("replay", str(capture), "--quiet", "--format", "json", "--to", "none")
    done = sipcdr("replay", str(capture), "--anonymize", "--quiet", "--format", "json", "--to", "none")
    assert done.status == plain.status == 0
    assert [row["ResponseCode"] for row in done.rows] == [row["ResponseCode"] for row in plain.rows]
    assert "evil" not in done.out
