"""What versions and settings of programs change in their logs, and what is lost on the way, changes no message."""

from __future__ import annotations

import codecs
import re
from datetime import date
from typing import TYPE_CHECKING

import pytest

from fixtures import logs as writers
from sipcdr.ingest import LogReader, Tally, log_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcdr.builder import SipMessage

CALL = writers.the_call()
LOGS = writers.logs()
FULL = "[%Y-%m-%d %H:%M:%S.%f3] VERBOSE[4711][C-0000001a] res_pjsip_logger.c: "


def swap(pattern: bytes, into: bytes, count: int = 0) -> Callable[[bytes], bytes]:
    """A change of each place, or of so many, that the expression finds."""
    return lambda data: re.sub(pattern, into, data, count=count, flags=re.MULTILINE)


VARIANTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "FreeSWITCH, colours of its console": ("freeswitch.log", swap(rb"^(recv|send)", b"\x1b[m\x1b[m\\1")),
    "FreeSWITCH, a prompt before": ("freeswitch.log", swap(rb"^(recv|send)", rb"freeswitch@pbx1> \1")),
    "FreeSWITCH, idle time and a call's id": (
        "freeswitch.log",
        swap(rb"^(2026-\S+ \S+) \[", rb"0f8fad5b-d9cb-469f-a165-70867728950e \1 98.83% ["),
    ),
    "FreeSWITCH, a flow and compression": ("freeswitch.log", swap(rb"(\]:5060) at", rb"\1/4711;comp=sigcomp at")),
    "FreeSWITCH, old, blanks at ends of lines trimmed": ("freeswitch-old.log", swap(rb" +$", b"")),
    "FreeSWITCH, old, with the port": ("freeswitch-old.log", swap(rb"(192.0.2.11\]) at", rb"\1:5060 at")),
    "Asterisk 1.4, no transport": ("chan-sip.log", swap(rb"from UDP:", b"from ")),
    "Asterisk 1.4, the logger as the source": ("chan-sip.log", swap(rb"(\[C-0000001a\])? chan_sip.c:", b" logger.c:")),
    "Asterisk, sent again": (
        "chan-sip.log",
        lambda data: re.sub(
            rb"\n<--- Reliably Transmitting (.*) --->\n", rb"Retransmitting #2 \1:\n", data
        ).replace(b"\n<------------>\n", b"\n---\n"),
    ),
    "Asterisk, by NAT": ("chan-sip.log", swap(rb"\(no NAT\)", b"(NAT)")),
    "Asterisk, the time above with a CRLF": ("chan-sip.log", swap(rb"chan_sip.c: $", b"chan_sip.c: \r")),
    "Asterisk, the text right behind the time": ("chan-sip.log", swap(rb"chan_sip.c: \n", b"chan_sip.c: ")),
    "Asterisk, ISO 8601 with zone": ("pjsip.log", swap(rb"^\[(2026-\S+) (\S+)\]", rb"[\1T\2+0100]")),
    "Asterisk, a function named": ("pjsip.log", swap(rb"_logger.c: ", b"_logger.c:164 logging_on_rx_msg: ")),
    "Asterisk, secure WebSocket": ("pjsip.log", swap(rb"(from|to) UDP:", rb"\1 WSS:")),
    "Asterisk, CRs dropped": ("pjsip.log", swap(rb"\r", b"")),
    "Asterisk's console, CRs dropped": ("pjsip-console.log", swap(rb"\r", b"")),
    "SIPStack, of Office Communications Server": (
        "sipstack.txt",
        swap(rb"ProtocolRecord::Flush:.*\] ", b"TraceProtocolRecord:SIPAdminLog.cpp(125))"),
    ),
    "SIPStack, capital digits": ("sipstack.txt", swap(rb"\.0000([0-9a-f]{4}) \(SIP", rb".0000ABCD (SIP")),
    "SIPStack, no blank before the mark": ("sipstack.txt", swap(rb"\] \$\$begin", rb"]$$begin")),
    "SIPStack, an en dash for no body": ("sipstack.txt", swap(rb"Body: -", "Body: –".encode())),
    "SIPStack, fields in another order": (
        "sipstack.txt",
        swap(rb"(Direction: .*\n)(Peer: .*\n)", rb"\2Transport: TLS\r\n\1"),
    ),
    "UccApi, a blank before a sender": ("client.UccApilog", swap(rb"Received -1", b"Received - 1")),
    "UccApi, no time on a message's first line": (
        "client.UccApilog",
        swap(rb"^\S+ \S+ INFO  :: (?=[A-Z]+ sip|SIP/)", b""),
    ),
    "UccApi, CRs dropped": ("client.UccApilog", swap(rb"\r", b"")),
    "Kamailio, a field that is new": ("kamailio-sipdump.data", swap(rb"^(srcip: )", rb"sockname: lan\n\1")),
    "Kamailio, a script's tag": ("kamailio-sipdump.data", swap(rb"^tag: (rcv|snd)$", b"tag: before-relay")),
    "Kamailio, sipdump with CRLF": ("kamailio-sipdump.data", swap(rb"\r?\n", b"\r\n")),
    "Kamailio, sipdump without CRs": ("kamailio-sipdump.data", swap(rb"\r", b"")),
    "Kamailio, siptrace without CRs": ("kamailio-siptrace.txt", swap(rb"\r", b"")),
    "OpenSIPS, syslog with ISO 8601": ("opensips-syslog.log", swap(rb"^Nov 23 (\S+)", rb"2026-11-23T\1+01:00")),
    "OpenSIPS, syslog without CRs": ("opensips-syslog.log", swap(rb"#015", b"")),
    "OpenSIPS, real line ends in syslog": ("opensips-syslog.log", swap(rb"#015#012|#012", b"\n")),
    "OpenSIPS, syslog a line each": (
        "opensips-syslog.log",
        lambda data: b"".join(
            line.replace(b"#015#012", b"\n").replace(b"#012", b"\n").replace(b"\n", b"\n" + line[:39]) + b"\n"
            for line in data.splitlines()
        ),
    ),
    "AudioCodes, a log number, and a socket": (
        "audiocodes.log",
        swap(rb"  ---- (Inc|Out)(.*?)TO\(#12\)", rb"  (N 6891937) ---- \1\2TO(#12) SocketID(204)"),
    ),
}  # fmt: skip


def read(name: str, data: bytes) -> tuple[list[SipMessage], Tally]:
    """The messages of a log that is read as the fixture of that name."""
    log = LOGS[name]
    tally = Tally()
    options = log_options(log.form, log.timezone, date.fromisoformat(log.begins) if log.begins else None)
    reader = LogReader("log", tally, options=options)
    return [found.message for found in reader.feed(data) + reader.finish()], tally


def same(name: str, data: bytes) -> None:
    """The messages are those of the fixture, each with its time and its ends."""
    expected, _ = read(name, LOGS[name].data)
    found, tally = read(name, data)
    assert tally.problems == []
    assert [(m.start_line, m.time, m.source, m.destination) for m in found] == [
        (m.start_line, m.time, m.source, m.destination) for m in expected
    ]
    if name != "kamailio-sipdump.data":  # of which the first body has both kinds of line ends
        assert [m.body for m in found] == [m.body for m in expected]


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(variant: str) -> None:
    """A log of another version, or with other settings, has the same messages."""
    name, change = VARIANTS[variant]
    data = change(LOGS[name].data)
    assert data != LOGS[name].data
    same(name, data)


@pytest.mark.parametrize("name", [name for name in LOGS if "utf16" not in name])
def test_a_mark_of_utf_8(name: str) -> None:
    """What Windows' editors put before UTF-8 hides nothing of the first record."""
    same(name, codecs.BOM_UTF8 + LOGS[name].data)


def test_ipv6() -> None:
    """Addresses of both forms come out with brackets and port."""
    party = writers.ANN._replace(at="[2001:db8::11]:5062")
    sent = [one._replace(source=party.at, destination=writers.SERVER) for one in CALL[:1]]
    for data in (
        writers.pjsip(sent, FULL),
        writers.chan_sip(sent),
        writers.freeswitch(sent).replace(b"[[", b"[").replace(b"]]", b"]"),
        writers.sipdump(sent).replace(b"[2001:db8::11]", b"2001:db8::11"),
        writers.opensips(sent).replace(b"[2001:db8::11]", b"2001:db8::11"),
        writers.siptrace(sent),
    ):
        reader = LogReader("log", Tally(), options=log_options(timezone="Europe/Berlin"))
        [found] = reader.feed(data) + reader.finish()
        assert found.message.source == party.at


@pytest.mark.parametrize("name", ["freeswitch.log", "freeswitch-old.log"])
def test_freeswitch_cuts_long_messages(name: str) -> None:
    """Of 16,000 bytes, or before a long line, there is the beginning; the next message is found."""
    log = LOGS[name]
    first = log.data.index(b"m=audio")
    following = log.data.index(b"send ", first)
    indented = name == "freeswitch-old.log"
    end = b"   " + b"-" * 72 + b"\n   *** message truncated at 2047 ***\n" if indented else b"\n"
    found, tally = read(name, log.data[: first + 20] + b"\n" * indented + end + log.data[following:])
    assert [m.start_line for m in found] == [one.payload.partition(b"\r\n")[0] for one in CALL]
    assert found[0].cut
    assert [problem.reason for problem in tally.problems] == ["a record cut short"]
