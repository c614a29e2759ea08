"""The whole road: from captures through the command into a database, and out again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fixtures.calls import Call, sdp, udp
from fixtures.writer import pcap, pcapng
from tests.app.capture import ANN, BEN, CLEO, KEYS, MORNING, SECOND, Done, answered, busy, sipcdr, write

if TYPE_CHECKING:
    from pathlib import Path

KEY = ("SessionIdTime", "SessionIdSeq")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_call_becomes_a_row_and_is_printed(tmp_path: Path) -> None:
    """The default database is written, and its row printed by the contract."""
    capture = write(tmp_path / "call.pcap", answered("c1"))
    done = sipcdr("replay", str(capture), "--format", "json")
    assert done.status == 0
    [row] = done.rows
    assert list(row) == KEYS
    assert (
        row
        | {
            "SessionIdTime": "2026-11-23T08:00:00.000000Z",
            "SessionIdSeq": 1,
            "User1": "ann@example.com",
            "User2": "ben@example.com",
            "InviteTime": "2026-11-23T08:00:00.000000Z",
            "ResponseTime": "2026-11-23T08:00:02.000000Z",
            "ResponseCode": 200,
            "SessionEndTime": "2026-11-23T08:01:02.020000Z",
            "ContentType": "application/sdp",
            "User1ClientVer": "Softphone/2.1",
            "User2ClientVer": "Deskphone/5.0",
            "MediaTypes": 16,
            "Media": ["Audio"],
            "CallId": "c1",
            "FromTag": "a1",
            "ToTag": "b1",
            "Processed": 0,
        }
        == row
    )
    with closing(sqlite3.connect(tmp_path / "sipcdr.db")) as database:
        assert database.execute("SELECT FromUri, ToUri, ResponseCode FROM SessionDetailsView").fetchall() == [
            ("ann@example.com", "ben@example.com", 200)
        ]


def test_the_order_is_by_time_call_and_tags(tmp_path: Path) -> None:
    """Sessions are printed by InviteTime and Call-ID, however they were read."""
    calls = [
        *answered("late", start=MORNING + 10 * SECOND),
        *busy("b", start=MORNING),
        *busy("a", start=MORNING),
        *answered("early", start=MORNING - SECOND),
    ]
    done = sipcdr("replay", str(write(tmp_path / "x.pcap", calls)), "--format", "json")
    assert done.calls == ["early", "a", "b", "late"]


@pytest.mark.parametrize("again", [["a.pcap"], ["a.pcap", "a.pcap"], ["copy/a.pcap", "a.pcap"]])
def test_reading_a_capture_again_changes_nothing(tmp_path: Path, again: list[str]) -> None:
    """Once more, twice in one command, or as a copy under another name: the same rows with the same keys."""
    capture = write(tmp_path / "a.pcap", [*answered("c1"), *busy("c2")])
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "a.pcap").write_bytes(capture.read_bytes())
    first = sipcdr("replay", "a.pcap", "--format", "json")
    second = sipcdr("replay", *again, "--format", "json")
    assert len(first.rows) == 2
    assert first.rows == second.rows
    assert "written   0 calls, 2 more had nothing new" in second.err


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
@pytest.mark.parametrize("cut", [1, 3, 5])
def test_two_halves_by_two_commands(tmp_path: Path, order: tuple[str, str], cut: int) -> None:
    """A call cut between two captures gives the row of the whole, whichever half comes first."""
    sent = answered("c1")
    write(tmp_path / "first.pcap", sent[:cut])
    write(tmp_path / "second.pcap", sent[cut:])
    for name in order:
        last = sipcdr("replay", f"{name}.pcap", "--to", "sqlite:///halves.db", "--format", "json")
    whole = sipcdr(
        "replay", str(write(tmp_path / "whole.pcap", sent)), "--to", "sqlite:///whole.db", "--format", "json"
    )
    assert without_keys(whole) == without_keys(last)


def test_several_files_are_read_as_one_by_time(tmp_path: Path) -> None:
    """Halves given in the wrong order, as files, a folder or a glob, are one call."""
    sent = answered("c1")
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts" / "2.pcap", sent[:3])
    (tmp_path / "parts" / "1.pcapng").write_bytes(pcapng(udp(sent[3:])))
    whole = sipcdr("replay", str(write(tmp_path / "whole.pcap", sent)), "--to", "none", "--format", "json")
    assert len(whole.rows) == 1
    for paths in (["parts/2.pcap", "parts/1.pcapng"], ["parts/1.pcapng", "parts/2.pcap"], ["parts"], ["parts/*.pcap*"]):
        done = sipcdr("replay", *paths, "--to", "none", "--format", "json")
        assert done.rows == whole.rows


def test_standard_input(tmp_path: Path) -> None:
    """`-` reads a capture from standard input."""
    data = pcap(udp(answered("c1")))
    done = sipcdr("replay", "-", "--to", "none", "--format", "json", stdin=data)
    assert (done.status, done.calls) == (0, ["c1"])


def test_without_a_database_the_rows_are_those_of_one(tmp_path: Path) -> None:
    """`--to none` writes no file and prints what a database would have."""
    capture = write(tmp_path / "a.pcap", [*answered("c1"), *busy("c2", start=MORNING + 7 * SECOND)])
    alone = sipcdr("replay", str(capture), "--to", "none", "--format", "json")
    assert not (tmp_path / "sipcdr.db").exists()
    stored = sipcdr("replay", str(capture), "--format", "json")
    by_call = {row["CallId"]: row for row in alone.rows}
    assert by_call == {row["CallId"]: row for row in stored.rows}


def test_without_a_database_a_long_call_stays_whole(tmp_path: Path) -> None:
    """A call of many hours, with others in between, is printed once."""
    long = answered("long", seconds=20 * 3600)
    others = [sent for hour in range(20) for sent in busy(f"b{hour}", start=MORNING + hour * 3600 * SECOND)]
    capture = write(tmp_path / "a.pcap", [*long, *others])
    done = sipcdr("replay", str(capture), "--to", "none", "--format", "json")
    [row] = [row for row in done.rows if row["CallId"] == "long"]
    assert row["SessionEndTime"] == "2026-11-24T04:00:02.020000Z"


def test_with_a_database_a_long_call_is_one_row(tmp_path: Path) -> None:
    """A call that is written before its end is joined with what comes later, and printed once."""
    long = answered("long", seconds=20 * 3600)
    others = [sent for hour in range(20) for sent in busy(f"b{hour}", start=MORNING + hour * 3600 * SECOND)]
    done = sipcdr("replay", str(write(tmp_path / "a.pcap", [*long, *others])), "--format", "json")
    assert len(done.rows) == 21
    [row] = [row for row in done.rows if row["CallId"] == "long"]
    assert row["SessionEndTime"] == "2026-11-24T04:00:02.020000Z"


def test_csv(tmp_path: Path) -> None:
    """CSV has the columns of JSON."""
    capture = write(tmp_path / "a.pcap", answered("c1", caller=CLEO))
    done = sipcdr("replay", str(capture), "--format", "csv")
    [cells] = done.cells
    assert list(cells) == KEYS
    assert cells["User1"] == "+49301234@gw.example;user=phone"
    assert (cells["Media"], cells["DiagnosticId"], cells["ResponseCode"]) == ("Audio", "", "200")


def test_table(tmp_path: Path) -> None:
    """At 80 columns who, whom, when, code, duration and media are there; nothing is wider."""
    capture = write(tmp_path / "a.pcap", [*answered("c1", seconds=187), *busy("c2", start=MORNING + SECOND)])
    done = sipcdr("replay", str(capture), columns=80)
    head, first, second = done.out.splitlines()
    assert head.split() == ["When", "(UTC)", "Caller", "Callee", "Code", "Duration", "Media"]
    assert first.split() == ["2026-11-23", "08:00:00", "ann@example.com", "ben@example.com", "200", "3:07", "Audio"]
    assert second.split() == ["2026-11-23", "08:00:01", "ann@example.com", "ben@example.com", "486", "-", "Audio"]
    assert max(map(len, done.out.splitlines())) <= 80


SELECTIONS: list[tuple[list[str], list[str]]] = [
    (["--caller", "ann"], ["ann-ben", "ann-cleo"]),
    (["--caller", "sip:ANN@example.com"], ["ann-ben", "ann-cleo"]),
    (["--callee", "+49301234"], ["ann-cleo"]),
    (["--caller", "ann", "--callee", "ben"], ["ann-ben"]),
    (["--caller", "nobody"], []),
    (["--call-id", "ben-ann"], ["ben-ann"]),
    (["--call-id", "ben-ann", "--caller", "ann"], []),
]


@pytest.mark.parametrize(("options", "calls"), SELECTIONS)
@pytest.mark.parametrize("to", [[], ["--to", "none"]])
def test_sessions_are_chosen(tmp_path: Path, options: list[str], calls: list[str], to: list[str]) -> None:
    """Only the sessions asked for are shown, and only their calls are written."""
    capture = write(
        tmp_path / "a.pcap",
        [
            *answered("ann-ben", ANN, BEN),
            *busy("ann-cleo", ANN, CLEO, start=MORNING + SECOND),
            *answered("ben-ann", BEN, ANN, start=MORNING + 2 * SECOND),
        ],
    )
    done = sipcdr("replay", str(capture), *options, *to, "--format", "json")
    assert (done.status, sorted(map(str, done.calls))) == (0, calls)
    if not to:
        with closing(sqlite3.connect(tmp_path / "sipcdr.db")) as database:
            assert database.execute("SELECT COUNT(*) FROM sipcdr_calls").fetchone() == (len(calls),)
            assert database.execute("SELECT COUNT(*) FROM SessionDetails").fetchone() == (len(calls),)


def test_a_chosen_call_is_written_whole(tmp_path: Path) -> None:
    """A call longer than a replay's hold, of which only the first part names the caller, is not cut."""
    long = answered("long", seconds=5 * 3600)
    others = [sent for hour in range(5) for sent in busy(f"b{hour}", BEN, CLEO, start=MORNING + hour * 3600 * SECOND)]
    capture = write(tmp_path / "a.pcap", [*long, *others])
    [row] = sipcdr("replay", str(capture), "--caller", "ann", "--format", "json").rows
    assert row["SessionEndTime"] == "2026-11-23T13:00:02.020000Z"


def test_the_rest_of_a_stored_call_is_chosen_by_what_is_stored(tmp_path: Path) -> None:
    """A second capture holds only the callee's BYE: it belongs to the caller's call, which the database knows."""
    call = Call("c1", ANN, BEN, MORNING)
    call.request("INVITE", body=sdp("audio"))
    call.respond(200, after=2, body=sdp("audio"))
    call.request("ACK")
    call.request("BYE", by=BEN, after=60)
    call.respond(200)
    sent = call.sent
    write(tmp_path / "1.pcap", sent[:3])
    write(tmp_path / "2.pcap", sent[3:])
    first = sipcdr("replay", "1.pcap", "--caller", "ann", "--format", "json")
    assert [row["SessionEndTime"] for row in first.rows] == [None]
    second = sipcdr("replay", "2.pcap", "--caller", "ann", "--format", "json")
    assert [row["SessionEndTime"] for row in second.rows] == ["2026-11-23T08:01:02.020000Z"]


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        (["--since", "2026-11-23T08:10:00"], ["c10", "c20"]),
        (["--since", "2026-11-23T08:10:00Z"], ["c10", "c20"]),
        (["--since", "2026-11-23T09:10:00+01:00"], ["c10", "c20"]),
        (["--since", "20261123T081000"], ["c10", "c20"]),
        (["--since", "1795421400"], ["c10", "c20"]),
        (["--since", "1795421400.000001"], ["c20"]),
        (["--until", "2026-11-23T08:10:00"], ["c0"]),
        (["--until", "1795421400.5"], ["c0", "c10"]),
        (["--since", "2026-11-23T08:05", "--until", "2026-11-23T08:15"], ["c10"]),
        (["--until", "2026-11-23"], []),
        (["--until", "20261124"], ["c0", "c10", "c20"]),
        (["--since", "2026-11-24"], []),
    ],
)
def test_messages_are_chosen_by_time(tmp_path: Path, options: list[str], calls: list[str]) -> None:
    """Times are ISO 8601 with or without a zone, or seconds since 1970; from the first on and before the second."""
    sent = [one for minute in (0, 10, 20) for one in busy(f"c{minute}", start=MORNING + minute * 60 * SECOND)[:1]]
    done = sipcdr("replay", str(write(tmp_path / "a.pcap", sent)), *options, "--to", "none", "--format", "json")
    assert (done.status, done.calls) == (0, calls)


def test_messages_left_out_by_time_join_later(tmp_path: Path) -> None:
    """A call read in part is completed by reading the rest."""
    capture = str(write(tmp_path / "a.pcap", answered("c1")))
    first = sipcdr("replay", capture, "--until", "2026-11-23T08:00:30", "--format", "json")
    assert [row["SessionEndTime"] for row in first.rows] == [None]
    second = sipcdr("replay", capture, "--since", "2026-11-23T08:00:30", "--format", "json")
    assert [row["SessionEndTime"] for row in second.rows] == ["2026-11-23T08:01:02.020000Z"]


def test_nothing_to_show(tmp_path: Path) -> None:
    """A capture without calls is read without complaint."""
    capture = write(tmp_path / "a.pcap", [])
    for form in ("table", "json", "csv"):
        done = sipcdr("replay", str(capture), "--format", form)
        assert done.status == 0
        assert len(done.out.splitlines()) == (0 if form == "json" else 1)
    assert "0 shown" in done.err


def test_the_summary(tmp_path: Path) -> None:
    """Packets, messages by method, sessions by response code, and what is new."""
    capture = write(tmp_path / "a.pcap", [*answered("c1"), *busy("c2")])
    done = sipcdr("replay", str(capture))
    assert "read      9 packets, 9 SIP messages in" in done.err
    assert "requests  INVITE 2, ACK 2, BYE 1\n" in done.err
    assert "responses INVITE 3, BYE 1\n" in done.err
    assert "written   2 calls, 0 more had nothing new; sessions 2 new, 0 updated, 0 deleted\n" in done.err
    assert "sessions  2 shown: 200 OK 1, 486 Busy Here 1\n" in done.err


def test_quiet(tmp_path: Path) -> None:
    """`--quiet` leaves errors alone, and sessions where a format is asked for."""
    capture = write(tmp_path / "a.pcap", answered("c1"))
    for url in ("sqlite:///a.db", "none"):
        done = sipcdr("replay", str(capture), "--quiet", "--to", url)
        assert (done.status, done.out, done.err) == (0, "", "")
    done = sipcdr("replay", str(capture), "--quiet", "--format", "json")
    assert (done.status, done.calls, done.err) == (0, ["c1"], "")
    done = sipcdr("replay", str(capture), "missing.pcap", "--quiet", "--format", "json")
    assert (done.status, done.calls) == (1, ["c1"])
    assert done.err == "sipcdr: missing.pcap: no such file or folder\n"


def without_keys(done: Done) -> list[dict[str, object]]:
    """The rows without the key that the first writer chose."""
    return [{name: value for name, value in row.items() if name not in KEY} for row in done.rows]
