"""The command `explain`: what an engineer reads, what tools read, and that a hostile message does nothing."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pytest

from fixtures.calls import Sent, udp
from fixtures.writer import PcapWriter, pcap
from tests.app.capture import CLEO, MORNING, SECOND, answered, busy, sipcdr, write

if TYPE_CHECKING:
    from pathlib import Path


def test_a_call_is_told_in_a_sentence_and_in_columns(tmp_path: Path) -> None:
    """One call is explained whole: how it ended, messages with frames and states, columns with rules."""
    done = sipcdr("explain", str(write(tmp_path / "a.pcap", answered("c1@x", seconds=65))), columns=100)
    assert done.status == 0
    assert "  Answered after 2.0 s; the caller (ann@example.com) hung up after 1:05 min of talk." in done.out
    assert re.search(r"   3 08:00:02\.000 +\+2\.000  ← 200 OK +#3  Moratorium\n", done.out)
    assert re.search(r" ResponseCode +200 +response\.final +\[3\] 200 OK\n", done.out)
    assert re.search(
        r" SessionEndTime +2026-11-23 08:01:07\.\d{6} end\.bye +\[5\] BYE sip:ben@example\.com\n", done.out
    )


def test_several_calls_are_told_in_a_sentence_each(tmp_path: Path) -> None:
    """Of several calls, of which none was chosen, there is a sentence each; one that is chosen is whole."""
    path = str(write(tmp_path / "a.pcap", [*answered("c1"), *busy("c2", CLEO, start=MORNING + SECOND)]))
    done = sipcdr("explain", path, columns=100)
    assert "Not answered: the callee (ben@example.com) said 486 Busy Here after 0.100 s." in done.out
    assert "2 sessions. Choose one" in done.out
    assert "Columns" not in done.out
    for words in (("--call-id", "c2"), ("--caller", "+49301234"), ("--session", "2026-11-23T08:00:01/1")):
        chosen = sipcdr("explain", path, *words, columns=100)
        assert "Columns" in chosen.out
        assert "Call-ID c2" in chosen.out
        assert "Call-ID c1" not in chosen.out


def test_no_line_is_wider_than_the_terminal(tmp_path: Path) -> None:
    """At 80 cells all is within 80, also what a database knows of a call."""
    path = str(write(tmp_path / "a.pcap", answered("c" * 200)))
    url = f"sqlite:///{tmp_path / 'a.db'}"
    sipcdr("replay", path, "--to", url)
    for words in ((path,), ("--to", url, "--call-id", "c" * 200)):
        done = sipcdr("explain", *words, columns=80)
        assert done.status == 0
        assert max(len(line) for line in done.out.splitlines()) <= 80


def test_frames_are_named_by_file(tmp_path: Path) -> None:
    """With several files, each message says in which it was read; a copy in another one is the same message."""
    sent = answered("c1")
    write(tmp_path / "a.pcap", sent[:3])
    write(tmp_path / "b.pcap", sent[2:])
    done = sipcdr("explain", str(tmp_path), "--format", "json")
    (found,) = [json.loads(line) for line in done.out.splitlines()]
    places = [[(s["File"][-6:], s["Frame"]) for s in message["Sightings"]] for message in found["Messages"]]
    assert places[:4] == [[("a.pcap", 1)], [("a.pcap", 2)], [("a.pcap", 3), ("b.pcap", 1)], [("b.pcap", 2)]]
    assert found["Columns"]["SessionEndTime"]["Frame"] == 3
    assert "a is " in sipcdr("explain", str(tmp_path)).out


def test_json_has_every_column_and_names_messages_by_number(tmp_path: Path) -> None:
    """The machine output: one object a session, with ending, messages, columns and what lost."""
    done = sipcdr("explain", str(write(tmp_path / "a.pcap", busy("c1"))), "--format", "json")
    (found,) = [json.loads(line) for line in done.out.splitlines()]
    assert found["Ending"] == {
        "How": "refused", "By": "callee", "Message": 2, "ResponseCode": 486, "DiagnosticId": None, "Reason": None,
        "WaitedSeconds": 0.1, "TalkedSeconds": None,
    }  # fmt: skip
    code = found["Columns"]["ResponseCode"]
    assert (code["Value"], code["Rule"], code["Message"], code["Frame"]) == (486, "response.final", 2, 2)
    assert code["StartLine"] == "SIP/2.0 486 Busy Here"
    assert [message["State"] for message in found["Messages"]] == [
        "Preparative", "Terminated, failed", "Terminated, failed"
    ]  # fmt: skip
    assert len(found["Columns"]) == 32


def test_a_database_has_facts_only_and_says_so(tmp_path: Path) -> None:
    """From a database the same values and rules come, without frames; a message is named by CSeq and addresses."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    path = str(write(tmp_path / "a.pcap", [*answered("c1"), *busy("c2", CLEO, start=MORNING + SECOND)]))
    sipcdr("replay", path, "--to", url)
    done = sipcdr("explain", "--to", url, "--caller", "ann", columns=140)
    assert "stored facts only" in done.out
    assert re.search(r"200 OK, CSeq 1 +192\.0\.2\.12:5060 192\.0\.2\.11:5060  Moratorium", done.out)
    stored = json.loads(sipcdr("explain", "--to", url, "--call-id", "c1", "--format", "json").out)
    (read,) = [json.loads(sipcdr("explain", path, "--call-id", "c1", "--format", "json").out)]
    assert stored["OnlyFacts"]
    for name, column in read["Columns"].items():
        assert {key: stored["Columns"][name][key] for key in ("Value", "Rule", "Lost")} == {
            key: column[key] for key in ("Value", "Rule", "Lost")
        }
    key = "2026-11-23T08:00:01/1"
    assert json.loads(sipcdr("explain", "--to", url, "--session", key, "--format", "json").out)["CallId"] == "c2"


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ((), 2, "give either PATHs or --to URL"),
        (("{path}", "--to", "{url}"), 2, "give either PATHs or --to URL"),
        (("--to", "{url}"), 2, "choose by --call-id"),
        (("{path}", "--session", "yesterday"), 2, "is no key"),
        (("{path}", "--call-id", "c9"), 1, "no such session"),
        (("--to", "{url}", "--call-id", "c9"), 1, "no such session"),
        (("--to", "nonsense", "--call-id", "c9"), 2, "sqlite:///sipcdr.db"),
        (("nowhere.pcap",), 1, "no such file"),
    ],
)
def test_refusals(tmp_path: Path, words: tuple[str, ...], status: int, text: str) -> None:
    """What can't be explained is one line on standard error, and an exit status."""
    path, url = str(write(tmp_path / "a.pcap", answered("c1"))), f"sqlite:///{tmp_path / 'a.db'}"
    sipcdr("replay", path, "--to", url)
    done = sipcdr("explain", *(word.format(path=path, url=url) for word in words))
    assert done.status == status
    assert text in done.err


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\u2066\x9b31m"
"""A screen cleared, a title set, bidirectional overrides, and an escape of eight bits."""


def hostile() -> list[Sent]:
    """A call with escapes and passwords wherever a message may have them."""
    invite = (
        f"INVITE sip:ben:secret@example.com;{HOSTILE} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
        f"From: {HOSTILE} <sip:an{HOSTILE}n:secret@example.com>;tag=a\r\nTo: <sip:ben:secret@example.com>\r\n"
        f"Call-ID: c1{HOSTILE}\r\nCSeq: 1 INVITE\r\nUser-Agent: {HOSTILE}\r\nReferred-By: <sip:x{HOSTILE}@y>\r\n"
        'Authorization: Digest username="ann", response="5f4dcc3b5aa765d61d8327deb882cf99"\r\n'
        f"Content-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 1{HOSTILE}\r\nm=au{HOSTILE} 5004 RTP/AVP 96\r\n"
        f"a=rtpmap:96 {HOSTILE}/8000\r\n"
    )
    answer = (
        f"SIP/2.0 404 No{HOSTILE}body\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:ann@example.com>;tag=a\r\n"
        f"To: <sip:ben@example.com>;tag=b{HOSTILE}\r\nCall-ID: c1{HOSTILE}\r\nCSeq: 1 INVITE\r\n"
        f'ms-diagnostics: 1003;reason="{HOSTILE}";source="{HOSTILE}"\r\nReason: Q.850;cause=1;text="{HOSTILE}"\r\n\r\n'
    )
    place, other = "192.0.2.11:5060", "192.0.2.12:5060"
    return [Sent(MORNING, place, other, invite.encode()), Sent(MORNING + 1, other, place, answer.encode())]


@pytest.mark.parametrize("form", ["text", "json"])
def test_hostile_messages_do_nothing(tmp_path: Path, form: str) -> None:
    """No control, bidirectional sign, password or Authorization response of a message comes through."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(udp(hostile())))
    done = sipcdr("explain", str(path), "--format", form, columns=120)
    assert done.status == 0
    assert "404 No" in done.out
    assert all(sign == "\n" or sign.isprintable() for sign in done.out)
    assert "secret" not in done.out
    assert "5f4dcc3b" not in done.out


def test_reason_headers_are_told(tmp_path: Path) -> None:
    """A Reason of the message that ended the call stands behind the sentence, though no column has it."""
    sent = busy("c1")
    sent[1] = sent[1]._replace(payload=sent[1].payload.replace(b"\r\n\r\n", b"\r\nReason: Q.850;cause=17\r\n\r\n", 1))
    done = sipcdr("explain", str(write(tmp_path / "a.pcap", sent)), columns=200)
    assert "said 486 Busy Here after 0.100 s. Reason: Q.850;cause=17." in " ".join(done.out.split())


def test_what_is_odd_stands_before_the_columns(tmp_path: Path) -> None:
    """Retransmissions and missing ACKs are named with their messages."""
    sent = answered("c1")
    again = [sent[0]._replace(time=sent[0].time + 500_000 * number) for number in (0, 1, 3)]
    done = sipcdr("explain", str(write(tmp_path / "a.pcap", [*again, *sent[1:3]])), columns=100)
    assert "  ! no ACK to the 200 was seen [3]\n" in done.out
    assert "  ! INVITE was sent 3 times in 1.5 s [1]\n" in done.out
    assert "Answered after 2.0 s; no end was seen in the 0.000 s that followed." in done.out


def test_a_cut_message_is_said_to_be(tmp_path: Path) -> None:
    """A packet that the capture has cut is named."""
    path = tmp_path / "a.pcap"
    path.write_bytes(_cut(udp(busy("c1"))))
    done = sipcdr("explain", str(path), columns=100)
    assert "the capture has cut this message [1]" in done.out
    assert "cut by the snap length (1)" in done.err


def _cut(frames: list[tuple[int, bytes]]) -> bytes:
    file = io.BytesIO()
    writer = PcapWriter(file)
    (time, frame), *others = frames
    writer.packet(time, frame[:-40], original=len(frame))
    for time, frame in others:
        writer.packet(time, frame)
    return file.getvalue()
