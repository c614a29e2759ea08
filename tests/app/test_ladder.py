"""The command `ladder`: hosts, arrows, marks, retransmissions, calls that belong together, and the width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.calls import Call, Party, Sent, sdp, udp
from fixtures.writer import pcap
from sipcdr.app._flow import Flow, Related
from sipcdr.app._ladder import ladder_lines
from sipcdr.app._sdp import streams_of
from sipcdr.app._terminal import Paper
from tests.app.capture import ANN, BEN, CLEO, MORNING, SECOND, answered, busy, sipcdr, write
from tests.app.test_explain import hostile
from tests.scenarios.notation import messages

if TYPE_CHECKING:
    from pathlib import Path

BUSY = """\
ann@example.com calls ben@example.com  Call-ID c1
2026-11-23 UTC

                                192.0.2.11                  192.0.2.12
                                     │                           │
08:00:00.000    +0.000               │── INVITE (audio PCMU) ───▶│
08:00:00.100    +0.100               │◀───── 486 Busy Here ──────│
08:00:00.120    +0.020               │────────── ACK ───────────▶│
                                     │                           │
"""


def test_a_call(tmp_path: Path) -> None:
    """A column a host, an arrow a message, with time, delta, code and reason, and what the SDP says."""
    done = sipcdr("ladder", str(write(tmp_path / "a.pcap", busy("c1"))), "--call-id", "c1", columns=80)
    assert (done.status, done.out) == (0, BUSY)


def test_names_of_hosts(tmp_path: Path) -> None:
    """A hosts file names columns; two hosts of one name share one."""
    hosts = tmp_path / "hosts"
    hosts.write_text("# ours\n192.0.2.11 phone\n192.0.2.12:5060 proxy other\n")
    path = write(tmp_path / "a.pcap", busy("c1"))
    done = sipcdr("ladder", str(path), "--call-id", "c1", "--hosts", str(hosts), columns=80)
    assert done.out.splitlines()[3].split() == ["phone", "proxy"]


def test_a_host_that_talks_to_itself_is_split_by_port(tmp_path: Path) -> None:
    """On a loopback capture the ports are the columns."""
    one, other = Party("", "a@x", "127.0.0.1:5060", "A"), Party("", "b@x", "127.0.0.1:5070", "B")
    done = sipcdr("ladder", str(write(tmp_path / "a.pcap", busy("c1", one, other))), "--call-id", "c1", columns=80)
    assert done.out.splitlines()[3].split() == ["127.0.0.1:5060", "127.0.0.1:5070"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
@pytest.mark.parametrize("hosts", [1, 2, 3, 5, 9])
def test_it_fits_the_width(width: int, hosts: int) -> None:
    """Whatever the width and the number of hosts, no line is wider, and each message is there."""
    lines = [f"{number} a>- INVITE {number + 1} src=192.0.2.{number}:5060 dst=192.0.2.{number % hosts + 1}:5070"
             for number in range(hosts)]  # fmt: skip
    flow = Flow()
    flow.add(messages("\n".join(lines)))
    drawn = list(ladder_lines(flow, {}, Paper(width)))
    assert max(len(line) for line in drawn) <= width
    assert sum("INVITE" in line for line in drawn) == hosts


def test_retransmissions_are_dimmed_and_hops_are_not() -> None:
    """The same message at the same place again is dim and says so; at the next hop it is a message."""
    flow = Flow()
    flow.add(messages("0,0.5 a>- INVITE 1\n0.01 a>- INVITE 1 v=2 src=192.0.2.98:5060 dst=192.0.2.99:5060"))
    lines = list(ladder_lines(flow, {}, Paper(120, colors=True)))
    assert [("again" in line, "\x1b[2m" in line) for line in lines if "INVITE" in line] == [
        (False, False),
        (False, False),
        (True, True),
    ]


def test_without_colors_or_box_drawing() -> None:
    """On paper that has neither there are no escapes, and only ASCII."""
    flow = Flow()
    flow.add(messages("0,0.5 a>- INVITE 1\n1 a>b 486 1"))
    assert "".join(ladder_lines(flow, {}, Paper(80, lines=False))).isascii()


HOLD = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 5004 RTP/AVP 8\r\na=sendonly\r\nm=video 0 RTP/AVP 96\r\n"


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        (sdp("audio"), ["audio PCMU"]),
        (HOLD, ["audio PCMA hold", "video refused"]),
        (HOLD.replace(b"192.0.2.1", b"0.0.0.0").replace(b"sendonly", b"sendrecv"), ["audio PCMA", "video refused"]),
        (b"v=0\r\nm=audio 9 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 opus/48000/2\r\n", ["audio opus hold"]),
        (b"--b\r\n\r\nv=0\r\nm=audio 9 RTP/AVP 0\r\n--b\r\n\r\nv=0\r\nm=audio 9 RTP/AVP 8\r\n--b--", ["audio PCMA"]),
        (b"hello", []),
        (b"v=0\r\nm=audio\r\nm=audio x RTP/AVP\r\n", ["audio refused"]),
    ],
)
def test_marks_of_media(body: bytes, marks: list[str]) -> None:
    """Media, codec and hold as an SDP has them."""
    assert [stream.mark for stream in streams_of(body)] == marks


def transferred() -> list[Sent]:
    """Ben transfers Ann to Cleo: two dialogs, of which the second replaces nothing, but is referred."""
    first = Call("c1", ANN, BEN, MORNING)
    first.request("INVITE", body=sdp("audio"))
    first.respond(200, after=1, body=sdp("audio"))
    first.request("ACK")
    first.request("REFER", by=BEN, headers=(("Refer-To", f"<{CLEO.uri}>"),))
    first.respond(202)
    second = Call("c2", ANN, CLEO, MORNING + 5 * SECOND)
    second.request("INVITE", body=sdp("audio"), headers=(("Referred-By", f"<{BEN.uri}>"),))
    second.respond(200, after=1, body=sdp("audio"))
    return [*first.sent, *second.sent, *answered("c3", start=MORNING + SECOND)]


def test_calls_that_belong_together_are_drawn_together(tmp_path: Path) -> None:
    """A referred call stands in the same ladder, marked by a letter; another call doesn't."""
    done = sipcdr("ladder", str(write(tmp_path / "a.pcap", transferred())), "--call-id", "c2", columns=120)
    assert "A  ann@example.com calls ben@example.com  Call-ID c1\n" in done.out
    assert "B  ann@example.com calls +49301234@gw.example  Call-ID c2\n" in done.out
    assert " A REFER " in done.out
    assert " B INVITE (audio PCMU) " in done.out
    assert "c3" not in done.out


@pytest.mark.parametrize(
    ("wire", "header", "together"),
    [
        ("0 a>- INVITE 1\n1 c>- INVITE 1 call=2 | Replaces: 1@x.example;to-tag=b;from-tag=a", "", True),
        ("0 a>- INVITE 1\n1 a>b REFER 2 | Refer-To: <sip:c@x?Replaces=2%40x.example>\n2 c>d INVITE 1 call=2", "", True),
        ("0 a>- INVITE 1 | Session-ID: aa;remote=00\n1 c>- INVITE 1 call=2 | Session-ID: bb;remote=aa", "", True),
        ("0 a>- INVITE 1 | Session-ID: 00\n1 c>- INVITE 1 call=2 | Session-ID: 00;remote=00", "", False),
        ("0 a>- INVITE 1 | X-Call: 7\n1 c>- INVITE 1 call=2 | X-Call: 7", "x-call", True),
        ("0 a>- INVITE 1 | X-Call: 7\n1 c>- INVITE 1 call=2 | X-Call: 7", "", False),
        ("0 a>- INVITE 1\n1 a>- INVITE 1 call=2", "", False),
    ],
)  # fmt: skip
def test_what_belongs_together(wire: str, header: str, together: bool) -> None:
    """Replaces, also in a Refer-To, Session-ID, and a header of one's own; never the parties alone."""
    related = Related(header)
    related.add(messages(wire))
    assert (b"2@x.example" in related.of(b"1@x.example")) == together
    assert (b"1@x.example" in related.of(b"2@x.example")) == together


def test_a_flood_of_relations_is_bounded() -> None:
    """A Session-ID that thousands of calls share draws sixteen of them."""
    related = Related()
    related.add(messages("\n".join(f"{n} a>- INVITE 1 call={n} | Session-ID: aa" for n in range(100))))
    assert len(related.of(b"1@x.example")) == 16


def test_stored_calls(tmp_path: Path) -> None:
    """From a database the facts are drawn, and it says what lacks."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    sipcdr("replay", str(write(tmp_path / "a.pcap", transferred())), "--to", url)
    done = sipcdr("ladder", "--to", url, "--call-id", "c1", columns=100)
    assert done.status == 0
    assert " INVITE (audio) " in done.out
    assert "REFER" not in done.out.replace("no reason phrases, codecs, REFER or NOTIFY", "")
    assert "stored facts" in done.out
    assert sipcdr("ladder", "--to", url, "--call-id", "c9").status == 1


def test_hostile_messages_do_nothing(tmp_path: Path) -> None:
    """No control or bidirectional sign, and no password, of a message comes through."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(udp(hostile())))
    call_id = next(line for line in sipcdr("explain", str(path)).out.splitlines() if "Call-ID" in line)
    done = sipcdr("ladder", str(path), "--call-id", _as_received(call_id), columns=120)
    assert done.status == 0
    assert "404 No" in done.out
    assert all(sign == "\n" or sign.isprintable() for sign in done.out)
    assert "secret" not in done.out


def _as_received(line: str) -> str:
    return line.partition("Call-ID ")[2].encode("ascii").decode("unicode_escape")


def test_captures_from_standard_input(tmp_path: Path) -> None:
    """A capture that comes by standard input can be drawn, too."""
    data = write(tmp_path / "a.pcap", busy("c1")).read_bytes()
    assert "486 Busy Here" in sipcdr("ladder", "-", "--call-id", "c1", stdin=data).out


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("{path}", "--call-id", "c9"), 1, "no such call"),
        (("{path}",), 2, "--call-id"),
        (("--call-id", "c1"), 2, "give either"),
        (("{path}", "--call-id", "c1", "--hosts", "nowhere"), 2, "--hosts nowhere"),
    ],
)
def test_refusals(tmp_path: Path, words: tuple[str, ...], status: int, text: str) -> None:
    """What can't be drawn is one line on standard error, and an exit status."""
    path = str(write(tmp_path / "a.pcap", busy("c1")))
    done = sipcdr("ladder", *(word.format(path=path) for word in words))
    assert (done.status, text in done.err) == (status, True)
