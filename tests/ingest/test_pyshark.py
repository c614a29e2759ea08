"""The reader that has Wireshark dissect: it gives what the own reader gives, and what only Wireshark knows."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from fixtures import make, writer
from fixtures.writer import TcpStream, datagram, fragments, ip, link, pcap
from sipcdr.ingest import Inputs, ReaderUnavailable, SharkOptions, Tally, _tshark
from sipcdr.ingest._pyshark import Shark, microseconds
from tests.ingest.reading import A6, B6, START, A, B, message
from tests.tools import module, program

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from sipcdr.builder import SipMessage
    from sipcdr.ingest._inputs import Reader

FIXTURES = Path(make.__file__).parent

SCTP = 132
LINK_FRAME_RELAY = 107
BROWSER, WEB = "192.0.2.1:40000", "192.0.2.2:8080"
GRE = struct.pack(">HH", 0, writer.ETHERTYPE_IPV4)
VXLAN = struct.pack(">II", 1 << 27, 42 << 8)


@pytest.fixture(autouse=True)
def _wireshark() -> None:
    program("tshark")
    module("pyshark")


def read(
    *captures: Path | str,
    reader: Reader = "pyshark",
    decode_as: Sequence[str] = (),
    display_filter: str = "",
) -> tuple[list[SipMessage], Tally]:
    """The messages that a reader finds, and what it counted."""
    tally = Tally()
    shark = SharkOptions(decode_as=tuple(decode_as), display_filter=display_filter)
    inputs = Inputs([str(capture) for capture in captures], tally=tally, reader=reader, shark=shark)
    return [found for batch in inputs for found in batch], tally


def made(tmp_path: Path, *packets: bytes, link_type: int = writer.LINK_ETHERNET) -> Path:
    """A capture of these IP packets, a millisecond apart."""
    file = tmp_path / "made.pcap"
    file.write_bytes(
        pcap([(START + 1000 * at, link(packet, link_type)) for at, packet in enumerate(packets)], link_type)
    )
    return file


def test_line_ends_before_a_message(tmp_path: Path) -> None:
    """Wireshark takes a datagram that begins with line ends for no SIP; RFC 3261 7.5 has us read on."""
    capture = made(tmp_path, datagram(A, B, b"\r\n\r\n" + message(1)))
    assert read(capture)[0] == []
    assert [one.cseq for one in read(capture, reader="python")[0]] == [1]


def _websocket(data: bytes) -> bytes:
    """A final text frame of a server, RFC 6455 section 5.2."""
    return b"\x81\x7e" + len(data).to_bytes(2) + data


def _websockets(*sent: bytes) -> list[bytes]:
    client, server = TcpStream(BROWSER, WEB), TcpStream(WEB, BROWSER)
    asked = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    asked += b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: sip\r\n"
    asked += b"Sec-WebSocket-Version: 13\r\n\r\n"
    granted = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    granted += b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    return [
        client.syn(),
        server.syn(),
        client.send(asked),
        server.send(granted),
        server.send(b"".join(map(_websocket, sent))),
    ]


def _sctp(data: bytes) -> bytes:
    """An SCTP packet with one whole DATA chunk (RFC 9260 section 3.3.1), its checksum left out."""
    chunk = struct.pack(">BBHIHHI", 0, 3, 16 + len(data), 1, 0, 0, 0) + data + bytes(-len(data) % 4)
    return ip("192.0.2.1", "192.0.2.2", SCTP, struct.pack(">HHII", 5060, 5061, 1, 0) + chunk)


FIRST, SECOND, THIRD = message(1), message(2), message(3)
LONG = message(1, body=b"x" * 900)
NO_LENGTH = SECOND.replace(b"Content-Length: 0\r\n", b"")
ONE = datagram(A, B, FIRST)
ENDS = (A, B)
# What is captured; the messages that come out; their transport, source and destination.
ENCAPSULATED: dict[str, tuple[list[bytes], list[bytes], str, tuple[str, str]]] = {
    "two in a datagram": ([datagram(A, B, FIRST + SECOND)], [FIRST, SECOND], "UDP", ENDS),
    "IPv6": ([datagram(A6, B6, FIRST)], [FIRST], "UDP", (A6, B6)),
    "fragments": (fragments(datagram(A, B, LONG), 400), [LONG], "UDP", ENDS),
    "no Content-Length": ([TcpStream(A, B).send(NO_LENGTH + THIRD)], [NO_LENGTH, THIRD], "TCP", ENDS),
    "many segments": (TcpStream(A, B).split(FIRST, 20), [FIRST], "TCP", ENDS),
    "IP in IP": ([ip("198.51.100.1", "198.51.100.2", 4, ONE)], [FIRST], "UDP", ENDS),
    "IPv4 in IPv6": ([ip("2001:db8::9", "2001:db8::a", 4, ONE)], [FIRST], "UDP", ENDS),
    "GRE": ([ip("198.51.100.1", "198.51.100.2", 47, GRE + ONE)], [FIRST], "UDP", ENDS),
    "VXLAN": ([datagram("198.51.100.1:9", "198.51.100.2:4789", VXLAN + link(ONE))], [FIRST], "UDP", ENDS),
    "WebSocket": (_websockets(FIRST, SECOND), [FIRST, SECOND], "WS", (WEB, BROWSER)),
    "SCTP": ([_sctp(FIRST)], [FIRST], "SCTP", ("192.0.2.1:5060", "192.0.2.2:5061")),
    "quoted by ICMP": ([ip("192.0.2.2", "192.0.2.1", 1, b"\x03\x03" + bytes(6) + ONE)], [], "", ENDS),
}


@pytest.mark.parametrize("name", ENCAPSULATED)
def test_encapsulations(name: str, tmp_path: Path) -> None:
    """Every message comes out whole, with its transport and the innermost addresses."""
    packets, expected, transport, ends = ENCAPSULATED[name]
    found, tally = read(made(tmp_path, *packets))
    assert [one.raw for one in found] == expected
    assert {(one.transport, one.source, one.destination) for one in found} <= {(transport, *ends)}
    assert tally.problems == []


def test_a_port_of_its_own(tmp_path: Path) -> None:
    """What Wireshark takes for another protocol by its port is SIP when a decode-as rule says so."""
    capture = made(tmp_path, datagram("192.0.2.1:5000", "192.0.2.2:53", message(1)))
    assert read(capture)[0] == []
    found, _ = read(capture, reader="auto", decode_as=["udp.port==53,sip"])
    assert [one.cseq for one in found] == [1]


def test_a_display_filter(tmp_path: Path) -> None:
    """Only messages in frames that the display filter shows are read."""
    capture = made(tmp_path, datagram(A, B, message(1)), datagram(B, A, message(2)), datagram(A, B, message(3)))
    found, _ = read(capture, reader="auto", display_filter="ip.src == 192.0.2.2 or sip.CSeq.seq == 3")
    assert [one.cseq for one in found] == [2, 3]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1700000000.123456789", 1_700_000_000_123_456),
        ("1700000000.000001000", 1_700_000_000_000_001),
        ("1700000000.1", 1_700_000_000_100_000),
        ("1700000000", 1_700_000_000_000_000),
        ("0.000000000", 0),
        ("4294967295.999999999", 4_294_967_295_999_999),
        ("-1.500000000", -1_500_000),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456),
        ("2106-02-07T06:28:15.999999999Z", 4_294_967_295_999_999),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000),
    ],
)
def test_time_stamps(stamp: str, expected: int) -> None:
    """Time stamps of old and new tsharks are microseconds without rounding."""
    assert expected == microseconds(stamp)


def _erf(frame: bytes) -> bytes:
    """A record of the format of Endace's cards: a time in 2**-32 s, type Ethernet, lengths, two bytes of padding."""
    return (
        struct.pack("<Q", START // 1_000_000 << 32)
        + struct.pack(">BBHHH", 2, 4, len(frame) + 18, 0, len(frame))
        + b"\0\0"
        + frame
    )


def _converted(form: str) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([program("editcap"), "-F", form, FIXTURES / "answered.pcap", file.name], check=True)
        return file.read()


FORMATS: dict[str, tuple[Callable[[], bytes], int]] = {
    "call.snoop": (lambda: _converted("snoop"), 6),
    "call.cap": (lambda: _converted("netmon2"), 6),
    "call.erf": (lambda: _erf(link(ONE)), 1),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_of_wiresharks_own(name: str, tmp_path: Path) -> None:
    """Formats that only Wireshark reads are left to it; told not to, they are named."""
    data, expected = FORMATS[name]
    capture = tmp_path / name
    capture.write_bytes(data())
    found, tally = read(capture, reader="auto")
    assert len(found) == expected
    assert tally.problems == []
    found, tally = read(capture, reader="python")
    assert found == []
    assert [str(capture)] == [problem.source for problem in tally.problems]


def test_a_link_type_of_wiresharks_own(tmp_path: Path) -> None:
    """A capture with a link type that only Wireshark knows is left to it, beside others that aren't."""
    relayed = tmp_path / "relayed.pcap"
    relayed.write_bytes(pcap([(START, b"\x18\x41\x03\xcc" + ONE)], LINK_FRAME_RELAY))
    made(tmp_path, datagram(A, B, message(2)))
    found, tally = read(tmp_path, reader="auto")
    assert sorted(one.cseq for one in found) == [1, 2]
    assert tally.problems == []
    found, tally = read(relayed, reader="python")
    assert found == []
    assert "link type 107" in tally.problems[0].reason


def test_many_captures_at_once(tmp_path: Path) -> None:
    """More captures than tsharks may run are all read."""
    for number in range(7):
        (tmp_path / f"{number}.pcap").write_bytes(pcap([(START + number, link(datagram(A, B, message(number))))]))
    found, tally = read(tmp_path)
    assert list(range(7)) == [one.cseq for one in found]
    assert tally.problems == []


def test_standard_input(tmp_path: Path) -> None:
    """A capture may come from a pipe: standard input, or one with a name."""
    capture = made(tmp_path, ONE, datagram(A, B, message(2)))
    code = "from sipcdr.ingest import *; import sys; t = Tally(); r = Inputs([sys.argv[1]], tally=t, reader='pyshark');"
    code += "print([m.cseq for b in r for m in b], [p.reason for p in t.problems])"
    command = [sys.executable, "-c", code]
    with capture.open("rb") as file:
        done = subprocess.run([*command, "-"], stdin=file, capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 2] []\n"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen([*command, str(pipe)], stdout=subprocess.PIPE, text=True) as process:
        pipe.write_bytes(capture.read_bytes())
        assert process.communicate()[0] == "[1, 2] []\n"


@pytest.mark.parametrize(
    "name", ["a b.pcap", "-r.pcap", "'$(touch hurt)'; touch hurt.pcap", 'quo"te.pcap', "ünï.pcap", "-"]
)
def test_odd_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's name is never taken for anything else."""
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(made(tmp_path, ONE).read_bytes())
    found, tally = read(f"./{name}" if name == "-" else name)
    assert [one.cseq for one in found] == [1]
    assert tally.problems == []
    assert {name, "made.pcap"} == {path.name for path in tmp_path.iterdir()}


NO_CAPTURES = {
    "empty": (b"", "empty file"),
    "text": (b"this is a log\n" * 9, "isn't a capture"),
    "binary": (b"\x00\x01\x02\x03" * 9, "isn't a capture"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(40), "not a capture"),
}


@pytest.mark.parametrize("name", NO_CAPTURES)
def test_no_capture(name: str, tmp_path: Path) -> None:
    """What Wireshark opens though it is no capture is named, and the others are read."""
    data, reason = NO_CAPTURES[name]
    (tmp_path / "a").write_bytes(data)
    made(tmp_path, ONE)
    found, tally = read(tmp_path)
    assert [one.cseq for one in found] == [1]
    assert [str(tmp_path / "a")] == [problem.source for problem in tally.problems]
    assert reason in tally.problems[0].reason


def test_a_capture_without_packets(tmp_path: Path) -> None:
    """A capture that holds nothing is no problem."""
    found, tally = read(made(tmp_path))
    assert (found, tally.problems) == ([], [])


def test_a_cut_file(tmp_path: Path) -> None:
    """What tshark complains of is a problem, and what it read before is used."""
    capture = made(tmp_path, ONE, datagram(A, B, message(2)))
    capture.write_bytes(capture.read_bytes()[:-20])
    found, tally = read(capture)
    assert [one.cseq for one in found] == [1]
    assert "cut short" in tally.problems[0].reason


def test_a_file_that_goes(tmp_path: Path) -> None:
    """A file that can't be opened when its turn comes is a problem."""
    capture = made(tmp_path, ONE)
    tally = Tally()
    inputs = Inputs([str(capture)], tally=tally, reader="pyshark")
    capture.unlink()
    assert list(inputs) == []
    assert "No such file" in tally.problems[0].reason


def test_a_cut_message(tmp_path: Path) -> None:
    """A frame that the snap length cut gives a message that says so."""
    frame = link(datagram(A, B, message(1, body=b"x" * 100)))
    file = io.BytesIO()
    writer.PcapWriter(file).packet(START, frame[:-50], original=len(frame))
    capture = tmp_path / "cut.pcap"
    capture.write_bytes(file.getvalue())
    (found,), tally = read(capture)
    (own,), _ = read(capture, reader="python")
    assert found.cut
    assert own == found
    assert tally.counts["cut by the snap length"] == 1


def test_a_frame_with_too_much_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame about which tshark writes more than the limit is left out and named; memory stays flat."""
    monkeypatch.setattr(_tshark, "_LONGEST", 100_000)
    large = TcpStream(A, B).split(message(2, body=b"x" * 60_000), 9000)
    for number in (1, 2):
        packets = [*large, datagram(B, A, message(3))]
        capture = made(tmp_path, *([ONE] if number == 1 else []), *packets)
        found, tally = read(capture)
        assert ([1, 3] if number == 1 else [3]) == [one.cseq for one in found]
        assert [len(large) + 2 - number] == [problem.frame for problem in tally.problems]


OPTIONS = {
    "no key log": (SharkOptions(keylog="nowhere.keylog"), "key log nowhere.keylog: No such file"),
    "a key log without keys": (SharkOptions(keylog=__file__), "no TLS secrets in it"),
    "no such protocol": (SharkOptions(decode_as=("udp.port==5070,nonsense",)), 'Unknown protocol -- "nonsense"'),
    "no rule": (SharkOptions(decode_as=("5070",)), "5070"),
    "no filter": (SharkOptions(display_filter="nonsense.field"), "nonsense.field"),
    "no end of a filter": (SharkOptions(display_filter="(sip"), "tshark: "),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_wrong_options(name: str, tmp_path: Path) -> None:
    """An option that makes no sense is refused at once, by name, before anything is read."""
    options, reason = OPTIONS[name]
    with pytest.raises(ReaderUnavailable) as refused:
        Inputs([str(tmp_path)], tally=Tally(), shark=options)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_own_reader_takes_no_options() -> None:
    """A key log for the own reader is refused."""
    with pytest.raises(ReaderUnavailable, match="for the reader pyshark"):
        Inputs([], tally=Tally(), reader="python", shark=SharkOptions(keylog="x"))


def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, version: str = "4.0.17") -> None:
    """Put a tshark of our own in the place of the real one, which it may call as $REAL."""
    folder = tmp_path / "bin"
    folder.mkdir()
    said = f"TShark (Wireshark) {version} (Git v{version} packaged as {version}-0)."
    file = folder / "tshark"
    file.write_text(
        f'#!/bin/sh\nREAL={program("tshark")}\n[ "$1" = --version ] && {{ echo "{said}"; exit; }}\n{script}\n'
    )
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


# Our own program's checks go to the real one.
_CHECKS = 'case "$*" in *json*) ;; *) exec "$REAL" "$@";; esac\n'
FAILURES = {
    "exit status": ('"$REAL" "$@"; echo "tshark: it hurts" >&2; exit 2', "tshark: it hurts"),
    "exit status without a word": ('"$REAL" "$@"; exit 9', "tshark failed and doesn't say why"),
    "another's words": ('"$REAL" "$@"; echo "lib: it hurts" >&2; exit 2', "lib: it hurts"),
    "signal": ('"$REAL" "$@"; kill -SEGV $$', "tshark was ended by signal 11"),
    "in the middle of a frame": ('"$REAL" "$@" | head -c 9000; exit 3', "tshark failed and doesn't say why"),
    "too many words": (
        '"$REAL" "$@"; yes "warning" | head -n 300000 >&2; echo "tshark: end" >&2; exit 1',
        "tshark: end",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_tshark_fails(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tshark that fails is a problem with the reason, and what it had said before is used."""
    script, reason = FAILURES[name]
    _program(tmp_path, monkeypatch, _CHECKS + script)
    found, tally = read(FIXTURES / "answered.pcap")
    assert len(found) == 6 if "middle" not in name else 0 < len(found) < 6
    assert reason in tally.problems[0].reason
    assert len(tally.problems) == 1


def test_no_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody wants more messages, tshark ends, though it has more to say."""
    _program(tmp_path, monkeypatch, _CHECKS + f'echo $$ >{tmp_path}/pid; exec "$REAL" "$@" -l')
    capture = tmp_path / "long.pcap"
    capture.write_bytes(pcap([(START + at, link(ONE)) for at in range(20_000)]))
    batches = cast("Generator[list[SipMessage]]", iter(Inputs([str(capture)], tally=Tally(), reader="pyshark")))
    assert next(batches)
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 0)
    batches.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("version", ["2.6.20", "1.12.1"])
def test_an_old_tshark(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tshark that is too old is refused, with the least version and the package."""
    _program(tmp_path, monkeypatch, "exit 1", version)
    with pytest.raises(ReaderUnavailable, match=r"3\.0 is the least: apt-get install tshark"):
        Shark()


def test_another_tshark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name which isn't tshark is refused."""
    _program(tmp_path, monkeypatch, "exit 1", "no number")
    with pytest.raises(ReaderUnavailable, match="doesn't say which version"):
        Shark()


def test_no_tshark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tshark the error names its package; where only Wireshark could have helped, it is counted."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReaderUnavailable, match="apt-get install tshark"):
        Inputs([], tally=Tally(), reader="pyshark")
    snoop = tmp_path / "call.snoop"
    snoop.write_bytes(b"snoop\0\0\0" + bytes(30))
    found, tally = read(snoop, made(tmp_path, ONE), reader="auto")
    assert [one.cseq for one in found] == [1]
    assert ["a snoop capture" in problem.reason for problem in tally.problems] == [True]
    assert any("apt-get install tshark" in reason for reason in tally.counts)


def test_no_pyshark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyshark the error names the extra."""
    monkeypatch.setitem(sys.modules, "pyshark.tshark.output_parser.tshark_json", None)
    with pytest.raises(ReaderUnavailable, match=r"pip install 'sipcdr\[pyshark\]'"):
        Inputs([], tally=Tally(), reader="pyshark")


def test_pyshark_is_imported_only_when_asked_for() -> None:
    """The own reader needs no pyshark."""
    code = "import sys; from sipcdr.ingest import *; "
    code += f"list(Inputs([{str(FIXTURES / 'answered.pcap')!r}], tally=Tally())); print('pyshark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_config_ini_beside_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config.ini in the current folder, from which pyshark would take the program to run, is nothing to us."""
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/hurt\n")
    evil.chmod(0o755)
    (tmp_path / "config.ini").write_text(f"[tshark]\ntshark_path = {evil}\n")
    monkeypatch.chdir(tmp_path)
    found, _ = read(made(tmp_path, ONE))
    assert [one.cseq for one in found] == [1]
    assert not (tmp_path / "hurt").exists()
