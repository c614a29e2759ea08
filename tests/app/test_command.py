"""The command's edges: bad input, hostile values, databases that refuse, exit statuses, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.calls import Sent, udp
from fixtures.writer import LINK_ETHERNET, TcpStream, link, pcap, pcapng
from sipcdr.builder import call_key
from tests.app.capture import ANN, BEN, MORNING, SECOND, answered, busy, sipcdr, write

PROGRAM = [sys.executable, "-m", "sipcdr.app"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed program in a process of its own."""
    return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


# Bad input: each is named, the good capture beside it is read, and the status is 1.

GOOD = pcap(udp(answered("good")))
RECORDS = udp(answered("c1"))
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "not a capture": (b"Hello, this is a text file.\n" * 10, r"bad: .*(capture|pcap)"),
    "empty": (b"", r"bad: .*empty"),
    "unknown link type": (pcap(RECORDS, 147), r"bad(, frame 1)?.*: .*147"),
    "truncated last packet": (pcap(RECORDS)[:-20], r"bad, frame 6, byte \d+: "),
    "truncated header": (pcap(RECORDS)[:11], r"bad.*: "),
    "damaged length": (
        pcap(RECORDS[:3]) + b"\xff" * 16 + pcap(RECORDS[3:])[24:],
        r"bad, frame 4, byte \d+: ",
    ),
    "damaged pcapng block": (
        pcapng(RECORDS[:3]) + b"\x06\0\0\0\x0d\0\0\0" + pcapng(RECORDS[3:])[:0],
        r"bad, frame 4, byte \d+: ",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_captures_are_named_and_others_go_on(tmp_path: Path, name: str) -> None:
    """A file that can't be read, or not all of it, is one line on standard error, and status 1."""
    data, said = BAD_FILES[name]
    (tmp_path / "bad").write_bytes(data)
    (tmp_path / "good.pcap").write_bytes(GOOD)
    done = sipcdr("replay", "bad", "good.pcap", "--quiet", "--format", "json")
    assert done.status == 1
    assert "good" in done.calls
    lines = done.err.splitlines()
    assert len(lines) == 1
    assert re.match(f"sipcdr: {said}", lines[0]), lines[0]


@pytest.mark.parametrize("name", ["truncated last packet", "damaged length", "damaged pcapng block"])
def test_what_precedes_damage_is_used(tmp_path: Path, name: str) -> None:
    """The call before the damage is in the database."""
    (tmp_path / "bad").write_bytes(BAD_FILES[name][0])
    done = sipcdr("replay", "bad", "--format", "json")
    assert (done.status, done.calls) == (1, ["c1"])


@pytest.mark.parametrize("path", ["missing.pcap", "none-*.pcap", "empty-folder"])
def test_paths_without_a_capture_are_named(tmp_path: Path, path: str) -> None:
    """A path that names nothing is a line on standard error, and status 1."""
    (tmp_path / "empty-folder").mkdir()
    done = sipcdr("replay", path, "--quiet")
    assert done.status == 1
    assert done.err.startswith(f"sipcdr: {path}: ")
    assert done.err.count("\n") == 1


def test_packets_cut_by_the_snap_length_are_used_and_counted(tmp_path: Path) -> None:
    """Headers that are whole are enough; the cut is counted, and leaves status 0."""
    from io import BytesIO

    from fixtures.writer import PcapWriter

    file = BytesIO()
    writer = PcapWriter(file, LINK_ETHERNET)
    for moment, frame in RECORDS:
        writer.packet(moment, frame[:-30] if b"application/sdp" in frame else frame, original=len(frame))
    (tmp_path / "cut.pcap").write_bytes(file.getvalue())
    done = sipcdr("replay", "cut.pcap", "--format", "json")
    assert (done.status, done.calls) == (0, ["c1"])
    assert re.search(r"noted     cut by the snap length: \d", done.err)


def message(*, start: str = "INVITE sip:ben@example.com SIP/2.0", **changed: str | None) -> bytes:
    """An INVITE with headers changed or, by None, left out."""
    headers: dict[str, str | None] = {
        "Via": "SIP/2.0/UDP 192.0.2.11;branch=z9hG4bK1",
        "From": "<sip:ann@example.com>;tag=f1",
        "To": "<sip:ben@example.com>",
        "Call-ID": "odd",
        "CSeq": "1 INVITE",
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    lines = [start, *(f"{name}: {value}" for name, value in headers.items() if value is not None), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


REFUSED = {
    "no Call-ID": message(Call_ID=None),
    "no CSeq": message(CSeq=None),
    "no From": message(From=None),
    "no To": message(To=None),
    "negative CSeq": message(CSeq="-1 INVITE"),
    "huge CSeq": message(CSeq="99999999999999999999 INVITE"),
    "CSeq without a number": message(CSeq="INVITE"),
    "empty Call-ID": message(Call_ID=""),
}
ACCEPTED = {
    "NUL bytes": message(User_Agent="a\x00b"),
    "bad UTF-8": message(User_Agent="a\udcffb"),
    "Content-Length that is no number": message(Content_Length="many"),
    "negative Content-Length": message(Content_Length="-5"),
    "huge Content-Length": message(Content_Length="99999999999999999999"),
    "missing Via": message(Via=None),
}


def alone(payload: bytes) -> bytes:
    """A capture of one datagram, and a good call."""
    return pcap(udp([Sent(MORNING, ANN.at, BEN.at, payload), *answered("good", start=MORNING + SECOND)]))


@pytest.mark.parametrize("name", REFUSED)
def test_messages_that_cannot_be_used_are_counted(tmp_path: Path, name: str) -> None:
    """A message without what a call needs is counted by its reason and named by its frame; status 0."""
    (tmp_path / "a.pcap").write_bytes(alone(REFUSED[name]))
    done = sipcdr("replay", "a.pcap", "--format", "json")
    assert (done.status, done.calls) == (0, ["good"])
    assert re.search(r"^noted     refused: .+: 1$", done.err, re.MULTILINE)
    assert re.search(r"^refused   a\.pcap, frame 1: .+$", done.err, re.MULTILINE)


@pytest.mark.parametrize("name", ACCEPTED)
def test_odd_messages_are_used(tmp_path: Path, name: str) -> None:
    """What is only odd makes a row."""
    (tmp_path / "a.pcap").write_bytes(alone(ACCEPTED[name]))
    done = sipcdr("replay", "a.pcap", "--format", "json")
    assert (done.status, done.calls) == (0, ["odd", "good"])


def test_what_is_no_sip_is_skipped(tmp_path: Path) -> None:
    """Datagrams that aren't SIP are counted only."""
    (tmp_path / "a.pcap").write_bytes(alone(b"\x80\x00" + bytes(170)))
    done = sipcdr("replay", "a.pcap", "--format", "json")
    assert (done.status, done.calls) == (0, ["good"])
    assert re.search(r"noted     .*SIP.*: 1", done.err)


LIMITS = {
    "a header far too long": message(User_Agent="x" * 30_000),
    "100,000 headers": message(start="INVITE sip:ben@example.com SIP/2.0\r\n" + "X: y\r\n" * 9000 + "X: z"),
    "an endless fold": message(User_Agent="x\r\n " + " y\r\n " * 5000 + "z"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_named(tmp_path: Path, name: str) -> None:
    """What is beyond a limit is cut, named with its frame, and gives status 1; the rest is read."""
    (tmp_path / "a.pcap").write_bytes(alone(LIMITS[name]))
    done = sipcdr("replay", "a.pcap", "--quiet", "--format", "json")
    assert done.status == 1
    assert "good" in done.calls
    assert re.match(r"sipcdr: a\.pcap, frame 1.*: .+\n", done.err)


def test_a_tcp_stream_that_never_completes(tmp_path: Path) -> None:
    """A message that is never finished holds nothing up, and is not made up."""
    stream = TcpStream(ANN.at, BEN.at)
    head = message(Content_Length="5000")
    frames = [(MORNING, link(stream.syn())), (MORNING + 1, link(stream.send(head + b"x" * 100)))]
    (tmp_path / "a.pcap").write_bytes(pcap(sorted([*frames, *udp(answered("good", start=MORNING + SECOND))])))
    done = sipcdr("replay", "a.pcap", "--quiet", "--format", "json")
    assert "good" in done.calls


def test_a_call_id_with_very_many_messages_is_bounded_and_counted(tmp_path: Path) -> None:
    """More messages than a call keeps are counted, and the call has its row."""
    sent = answered("c1")
    more = [
        Sent(
            MORNING + 10 * SECOND + n, ANN.at, BEN.at, message(Call_ID="c1", CSeq=f"{n} INVITE", To="<sip:b@x>;tag=b1")
        )
        for n in range(2, 700)
    ]
    done = sipcdr("replay", str(write(tmp_path / "a.pcap", sent + more)), "--format", "json")
    assert done.status == 0
    assert "c1" in done.calls
    assert "calls with more messages than are kept: 1" in done.err


def test_values_longer_than_a_column(tmp_path: Path) -> None:
    """A value too long is cut to its column and counted, and the row is kept."""
    (tmp_path / "a.pcap").write_bytes(alone(message(User_Agent="x" * 500, From=f"<sip:{'y' * 600}@example.com>;tag=1")))
    done = sipcdr("replay", "a.pcap", "--format", "json")
    row = done.rows[0]
    assert done.status == 0
    assert row["User1ClientVer"] == "x" * 256
    assert len(str(row["User1"])) == 450
    assert re.search(r"noted     truncated .*: 1", done.err)


HOSTILE = {
    "SQL": "x'; DROP TABLE SessionDetails; --",
    "HTML": "<script>alert(1)</script>",
    "escapes": "\x1b]0;owned\x07\x1b[2J\x9b31m",
    "markup": "[red]x[/red]",
    "bidirectional": "a\u202egnp.exe",
    "formula": "=cmd|' /C calc'!A0",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_are_stored_and_shown_harmless(tmp_path: Path, name: str) -> None:
    """Whatever a header holds, the row is kept, and neither a terminal nor a spreadsheet acts on it."""
    value = HOSTILE[name]
    capture = alone(message(User_Agent=value, Call_ID=value.replace(" ", "_")))
    (tmp_path / "a.pcap").write_bytes(capture)
    outputs = [sipcdr("replay", "a.pcap", "--quiet", "--format", form) for form in ("json", "csv", "table")]
    outputs.append(sipcdr("replay", "a.pcap", "--to", "none", columns=160))
    for done in outputs:
        assert done.status == 0
        for line in (done.out + done.err).splitlines():
            assert line.isprintable(), line
    with closing(sqlite3.connect(tmp_path / "sipcdr.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM SessionDetails").fetchone() == (2,)
    [cells] = [cells for cells in outputs[1].cells if cells["CallId"] != "good"]
    if name == "formula":
        assert cells["User1ClientVer"] == "'" + value
        assert cells["CallId"].startswith("'=")
    if name in ("SQL", "HTML", "markup"):
        assert cells["User1ClientVer"] == value


def test_hostile_file_names_are_shown_escaped(tmp_path: Path) -> None:
    """A file's name reaches the terminal without its escapes."""
    (tmp_path / "a\x1b[2J.pcap").write_bytes(b"no capture at all, but long enough to look at")
    done = sipcdr("replay", ".", "--quiet")
    assert done.status == 1
    assert "\x1b" not in done.err
    assert "\\x1b[2J" in done.err


# Databases.


def test_damaged_facts_are_named_and_left_alone(tmp_path: Path) -> None:
    """A stored call whose facts don't decode keeps its row, is named with its CallKey, and gives status 3."""
    sent = answered("c1")
    write(tmp_path / "1.pcap", sent[:3])
    write(tmp_path / "2.pcap", [*sent[3:], *busy("c2")])
    sipcdr("replay", "1.pcap")
    with closing(sqlite3.connect(tmp_path / "sipcdr.db")) as database, database:
        database.execute("UPDATE sipcdr_calls SET Facts = ?", (b"\x01rubbish",))
    done = sipcdr("replay", "2.pcap", "--quiet", "--format", "json")
    assert done.status == 3
    assert call_key(b"c1").hex() in done.err
    assert [(row["CallId"], row["SessionEndTime"]) for row in done.rows] == [
        ("c1", None),
        ("c2", "2026-11-23T08:00:00.100000Z"),
    ]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///no/such/folder/x.db", "unable to open"),
        ("sqlite:///text.db", "not a database"),
    ],
)
def test_a_database_that_cannot_be_used(tmp_path: Path, url: str, said: str) -> None:
    """One line says what the database is not; nothing is printed; status 3."""
    (tmp_path / "text.db").write_text("This is a text file, and no database.\n" * 100)
    capture = write(tmp_path / "a.pcap", answered("c1"))
    done = sipcdr("replay", str(capture), "--to", url, "--quiet")
    assert done.status == 3
    assert said in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "no database URL"),
        ("", "no database URL"),
        ("oracle://scott:tiger@db/x", "no support for oracle"),
        ("nosuch://db/x", "nosuch"),
    ],
)
def test_an_address_of_no_database(tmp_path: Path, url: str, said: str) -> None:
    """A database URL that is none, or of a database that isn't supported, is a mistake of usage; no secret is told."""
    capture = write(tmp_path / "a.pcap", answered("c1"))
    done = sipcdr("replay", str(capture), "--to", url, "--quiet")
    assert done.status == 2
    assert said in done.err
    assert "tiger" not in done.err
    assert done.err.count("\n") == 1


def test_no_ddl_refuses_a_database_without_tables(tmp_path: Path) -> None:
    """With `--no-ddl` a new database is refused, and one that has the tables is used."""
    capture = str(write(tmp_path / "a.pcap", answered("c1")))
    assert sipcdr("replay", capture, "--no-ddl", "--quiet").status == 3
    assert sipcdr("replay", capture, "--quiet").status == 0
    assert sipcdr("replay", capture, "--no-ddl", "--quiet").status == 0


def test_a_read_only_database(tmp_path: Path) -> None:
    """A database that may not be written says so; what it holds stays."""
    capture = str(write(tmp_path / "a.pcap", answered("c1")))
    other = str(write(tmp_path / "b.pcap", answered("c2")))
    assert sipcdr("replay", capture).status == 0
    with closing(sqlite3.connect(tmp_path / "sipcdr.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    url = f"sqlite:///file:{tmp_path / 'sipcdr.db'}?mode=ro&uri=true"
    done = sipcdr("replay", other, "--to", url, "--quiet")
    assert done.status == 3
    assert "read-only" in done.err or "readonly" in done.err
    assert "0 calls are committed" in done.err
    assert sipcdr("replay", capture, "--format", "json").calls == ["c1"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """A full disk under standard output is said in one line, without a traceback."""
    capture = write(tmp_path / "a.pcap", answered("c1"))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "replay", str(capture), "--quiet", "--format", "table"],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("sipcdr: can't print the sessions: ")
    assert done.stderr.count("\n") == 1


# Usage.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay"], "Missing argument"),
        (["replay", "x", "--format", "xml"], "--format"),
        (["replay", "x", "--since", "yesterday"], "'yesterday' is no time"),
        (["replay", "x", "--until", "9999-12-31T23:59:59-23:00"], ""),
        (["replay", "x", "--since", "20", "--until", "20"], "--since must be before --until"),
        (["replay", "x", "--colour"], "No such option"),
        (["repaly", "x"], "No such command"),
    ],
)
def test_usage_errors(words: list[str], said: str) -> None:
    """A mistake in the command is one line that says where help is, and status 2."""
    done = sipcdr(*words)
    if said:
        assert done.status == 2
        assert said in done.err
        assert done.err.count("\n") == 1
        assert "--help" in done.err


def test_help_fits_a_screen() -> None:
    """The help of a command has examples, and fits 80 columns and 45 lines."""
    for words in (["--help"], ["-h"], ["replay", "--help"], ["replay", "-h"]):
        done = sipcdr(*words)
        lines = done.out.splitlines()
        assert done.status == 0
        assert len(lines) <= 45
        assert max(map(len, lines)) <= 80
    assert "Examples:" in done.out
    assert "Exit status:" in done.out


def test_version() -> None:
    """`--version` names the program, its version, and which reads: the native kernel, or Python and why."""
    assert re.fullmatch(r"sipcdr \d+\.\d+\.\d+ \((native kernel \d+\.\d+\.\d+|Python: .+)\)\n", sipcdr("--version").out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(tmp_path: Path, shell: str) -> None:
    """The program prints the completion script of a shell, and completes options."""
    env = {**os.environ, "_SIPCDR_COMPLETE": f"{shell}_complete", "COMP_WORDS": "sipcdr replay --ca", "COMP_CWORD": "2"}
    env["_SIPCDR_COMPLETE"] = f"{shell}_source"
    if shell != "bash":
        done = subprocess.run(PROGRAM, env=env, capture_output=True, text=True, check=False)
        assert "_SIPCDR_COMPLETE" in done.stdout
    env["_SIPCDR_COMPLETE"] = f"{shell}_complete"
    if shell == "fish":
        env["COMP_CWORD"] = "--ca"
    done = subprocess.run(PROGRAM, env=env, capture_output=True, text=True, check=False)
    assert "--call-id" in done.stdout
    assert "--callee" in done.stdout
    assert "--caller" in done.stdout


# How it ends.


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`sipcdr replay ... | head -1` ends quietly."""
    sent = [one for n in range(3000) for one in busy(f"c{n}", start=MORNING + n)]
    capture = write(tmp_path / "a.pcap", sent)
    with subprocess.Popen(
        [*PROGRAM, "replay", str(capture), "--to", "none", "--format", "json", "--quiet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["ResponseCode"] == 486
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends with status 130, and says what is committed and how to go on."""
    with subprocess.Popen(
        [*PROGRAM, "replay", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False, cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(GOOD)
        process.stdin.flush()
        until = time.monotonic() + 60
        while not (tmp_path / "sipcdr.db").exists() and time.monotonic() < until:
            time.sleep(0.05)
        # The schema is made before the first byte is read; give it the time to get there.
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        err = process.stderr.read().decode()
        assert process.wait(timeout=60) == 130
    assert err.startswith("sipcdr: interrupted")
    assert "Traceback" not in err


def test_a_long_interrupted_run_keeps_what_it_committed(tmp_path: Path) -> None:
    """A second run after an interruption leaves the rows of an uninterrupted one."""
    sent = [one for n in range(300) for one in busy(f"c{n}", start=MORNING + n * SECOND)]
    half = pcap(udp(sent[:450]))
    (tmp_path / "half.pcap").write_bytes(half)
    write(tmp_path / "whole.pcap", sent)
    sipcdr("replay", "half.pcap")
    again = sipcdr("replay", "whole.pcap", "--format", "json")
    other = sipcdr("replay", "whole.pcap", "--to", "sqlite:///other.db", "--format", "json")
    assert len(again.rows) == 300
    assert again.rows == other.rows
    assert "150 more had nothing new" in again.err


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """A capture without permission is named; as root there is none such."""
    capture = write(tmp_path / "a.pcap", answered("c1"))
    capture.chmod(0)
    done = sipcdr("replay", str(capture), "--quiet")
    capture.chmod(stat.S_IRUSR | stat.S_IWUSR)
    if done.status:
        assert "Permission denied" in done.err
