"""What messages in logs may hold: bodies of all kinds, and such as look like a log themselves."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from fixtures import logs as writers
from sipcdr.ingest import LogOptions, LogReader, Tally, log_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fixtures.calls import Sent
    from sipcdr.builder import SipMessage

CALL = writers.the_call()
BERLIN = log_options(timezone="Europe/Berlin", begins=date(2026, 11, 23))
FORMATS: dict[str, tuple[Callable[[Sequence[Sent]], bytes], LogOptions]] = {
    "sipstack": (writers.sipstack, LogOptions()),
    "avaya": (writers.avaya, BERLIN),
    "uccapilog": (writers.uccapilog, BERLIN),
    "pjsip": (writers.pjsip, BERLIN),
    "pjsip, console": (lambda sent: writers.pjsip(sent, "[%b %e %H:%M:%S] ", each_line=True), BERLIN),
    "chan_sip": (writers.chan_sip, BERLIN),
    "siptrace": (writers.siptrace, LogOptions()),
    "freeswitch": (writers.freeswitch, BERLIN),
    "freeswitch, old": (writers.freeswitch_old, BERLIN),
    "opensips": (writers.opensips, BERLIN),
    "audiocodes": (writers.audiocodes, BERLIN),
    "homer": (writers.homer, LogOptions()),
    "own": (writers.own, log_options(f"/{writers.OWN_PATTERN}/")),
}
every = pytest.mark.parametrize("name", FORMATS)
BODIES = [
    b"", b"hello", b"hello\r\n", b"two\r\nlines\r\n", b"an empty\r\n\r\nline\r\n", b"\r\nfirst\r\n",
    "Änne …\r\n".encode(),
    b"---\r\nquoted\r\n---\r\n", b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--\r\n", b"x" * 5000,
    (b"y" * 70 + b"\r\n") * 200, b"   indented\r\n", b"[Nov 23 09:14:07] NOTICE[1]: a quoted line\r\nand another\r\n",
    b"2026-11-23 09:14:07.482113 [DEBUG] switch.c:1 a quoted line\r\n", b"$$end_record\r\nand more\r\n",
    b"<--- SIP read from UDP:192.0.2.1:5060 --->\r\nINVITE\r\n",
    b"recv 9 bytes from udp/[192.0.2.1]:5060 at 09:14:07.1:\r\n",
    b"in udp 2026-11-23 09:14:07 192.0.2.1:5060 -> 192.0.2.2:5060\r\nINVITE sip:x SIP/2.0\r\n",
]  # fmt: skip


def message(number: int, body: bytes) -> bytes:
    """An instant message."""
    head = (
        "MESSAGE sip:ben@corp.example SIP/2.0", f"Via: SIP/2.0/UDP 192.0.2.11:5060;branch=z9hG4bK{number}",
        "From: <sip:ann@corp.example>;tag=a", "To: <sip:ben@corp.example>", f"Call-ID: {number}@corp.example",
        f"CSeq: {number} MESSAGE", f"Content-Length: {len(body)}",
    )  # fmt: skip
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def sent(payloads: Sequence[bytes], *, received: bool = True) -> list[Sent]:
    """Messages from Ann, or to her, a second and a half between them."""
    ends = (CALL[0].source, CALL[0].destination) if received else (CALL[0].destination, CALL[0].source)
    return [
        CALL[0]._replace(payload=payload, time=CALL[0].time + at * 1_500_000, source=ends[0], destination=ends[1])
        for at, payload in enumerate(payloads)
    ]


def read(name: str, messages: Sequence[Sent]) -> tuple[list[SipMessage], Tally]:
    """The messages of a log of these."""
    write, options = FORMATS[name]
    tally = Tally()
    reader = LogReader("log", tally, options=options, written=CALL[-1].time)
    found = reader.feed(write(messages)) + reader.finish()
    return [each.message for each in found], tally


@every
@pytest.mark.parametrize("received", [True, False])
def test_bodies(name: str, received: bool) -> None:
    """A body is what was sent, whatever is in it and stands behind it."""
    found, tally = read(name, sent([message(at, body) for at, body in enumerate(BODIES)], received=received))
    assert [(each.cseq, each.body) for each in found] == list(enumerate(BODIES))
    assert tally.problems == []


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "audiocodes"])  # which writes a line a message
@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_a_log_in_a_message(name: str, end: bytes) -> None:
    """Who sends a log as an instant message puts no calls into the log that has this message."""
    inner = FORMATS[name][0](CALL).replace(b"\r\n", b"\n").rstrip().replace(b"\n", b"\r\n") + end
    found, _ = read(name, sent([message(1, b"before"), message(2, inner), message(3, b"behind")]))
    assert [each.cseq for each in found] == [1, 2, 3]
    assert found[1].body == inner


@every
def test_without_content_length(name: str) -> None:
    """A message that doesn't say its length has no body of the log's line ends, at the end of the log neither."""
    bare = message(1, b"").replace(b"Content-Length: 0\r\n", b"")
    found, tally = read(name, sent([bare, message(2, b"x"), bare]))
    assert [(each.body, each.cut) for each in found] == [(b"", False), (b"x", False), (b"", False)]
    assert tally.problems == []


@pytest.mark.parametrize("name", ["pjsip", "pjsip, console", "chan_sip", "freeswitch", "opensips"])
def test_a_body_that_is_cut(name: str) -> None:
    """Where less of a body is there than its length says, the next message is found."""
    messages = [message(1, b"seldom\r\n" * 40), message(2, b"two"), message(3, b"three")]
    write, options = FORMATS[name]
    data = write(sent(messages))
    lost = data.replace(data[data.index(b"seldom") : data.rindex(b"seldom")], b"", 1)
    reader = LogReader("log", Tally(), options=options, written=CALL[-1].time)
    found = [each.message for each in reader.feed(lost) + reader.finish()]
    assert [each.cseq for each in found] == [1, 2, 3]
    assert found[0].body.startswith(b"seldom")
