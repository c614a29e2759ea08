"""The commands `db …`: whole commands in, the database's state out."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipcdr.app import _rederive
from sipcdr.app._db import Target
from sipcdr.app._rederive import PROGRESS, run_name
from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.builder import Call, Rules
from sipcdr.sinks import _retention
from tests.app.capture import ANN, BEN, CLEO, MORNING, SECOND, answered, busy, sipcdr, write
from tests.places import NAMES, Place
from tests.scenarios.derivation import calls_of
from tests.scenarios.notation import messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.app.capture import Done
    from tests.places import Servers

HOUR = 3600 * SECOND


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIPCDR_DATABASE__URL", raising=False)


@pytest.fixture(params=NAMES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A database of each kind, with tables and no calls; whatever a test did, nothing differs afterwards."""
    if request.param == "sqlite":
        made = Place("sqlite", f"sqlite:///{tmp_path}/cdr.db")
        made.open().close()
    else:
        servers: Servers = request.getfixturevalue("servers")
        made = servers.place(request.param)
    yield made
    assert db(made, "check").out == "nothing differs\n"
    if request.param == "sqlite":
        made.close()


def db(place: Place, *words: str) -> Done:
    """Run a command on a database."""
    return sipcdr("db", *words, "--to", place.url)


def replay(place: Place, path: Path) -> Done:
    """Replay a capture into it."""
    return sipcdr("replay", str(path), "--to", place.url, "--format", "json")


def times(place: Place) -> list[str]:
    """When the sessions that it holds began."""
    return [row[0][11:16] for row in place.query("SELECT InviteTime FROM SessionDetails ORDER BY InviteTime")]


def counts(place: Place, *tables: str) -> list[int]:
    """How many rows tables have."""
    return [place.query(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables]


ALL = ("SessionDetails", "Dialogs", "Media", "sipcdr_calls", "sipcdr_references")
LOOKUPS = ("Users", "Servers", "Pools", "ContentTypes", "ClientVersions", "EdgeServers")


def hourly(path: Path, count: int = 4) -> Path:
    """A capture of calls that begin at eight, nine, ten …; the second takes the place of the first."""
    sent = []
    for number in range(count):
        replaces = (("Replaces", "call-0;to-tag=b1;from-tag=a1"),) if number == 1 else ()
        sent += answered(f"call-{number}", start=MORNING + number * HOUR, headers=replaces)
    return write(path, sent)


def test_purge_deletes_old_calls_and_all_that_is_theirs(place: Place, tmp_path: Path) -> None:
    """Calls last heard of before the time go, references to them become NULL, and a replay brings them back."""
    capture = hourly(tmp_path / "c.pcap")
    replay(place, capture)
    before = place.query("SELECT ReplaceDialogIdSeq, User1Id FROM SessionDetails ORDER BY InviteTime")
    assert [row[0] for row in before] == [None, 1, None, None]
    assert counts(place, *ALL) == [4, 4, 4, 4, 1]
    # The first call ended at 08:01:02.
    done = db(place, "purge", "--before", "2026-11-23T08:30")
    assert (done.status, done.out, done.err) == (0, "1 calls deleted with 1 sessions\n", "")
    assert times(place) == ["09:00", "10:00", "11:00"]
    assert counts(place, *ALL) == [3, 3, 3, 3, 1]
    assert place.query("SELECT COUNT(*) FROM SessionDetails WHERE ReplaceDialogIdTime IS NOT NULL") == [(0,)]
    replay(place, capture)
    assert place.query("SELECT ReplaceDialogIdSeq, User1Id FROM SessionDetails ORDER BY InviteTime") == before


def test_purge_keeps_a_call_that_went_on(place: Place, tmp_path: Path) -> None:
    """A call goes when its last message is old, however early it began; one that goes on keeps all its rows."""
    write(tmp_path / "c.pcap", [*answered("long", seconds=7200), *answered("short", BEN, CLEO)])
    replay(place, tmp_path / "c.pcap")
    db(place, "purge", "--before", "2026-11-23T09:00")
    assert place.query("SELECT COUNT(*) FROM Dialogs") == [(1,)]
    db(place, "purge", "--before", "2026-11-23T10:01")
    assert counts(place, *ALL) == [0, 0, 0, 0, 0]


def test_purge_goes_by_small_transactions(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many calls are old, a transaction deletes no more than a batch."""
    monkeypatch.setattr(_retention, "BATCH", 2)
    replay(place, hourly(tmp_path / "c.pcap", 7))
    (version,) = place.query("SELECT Position FROM sipcdr_positions WHERE Source = ''")[0]
    assert db(place, "purge", "--before", "2026-11-23T13:00").out == "5 calls deleted with 5 sessions\n"
    assert times(place) == ["13:00", "14:00"]
    assert place.query("SELECT Position FROM sipcdr_positions WHERE Source = ''") == [(version + 3,)]


def test_a_reference_that_another_program_wrote(place: Place, tmp_path: Path) -> None:
    """Also what sipcdr doesn't know of is NULL before a dialog goes."""
    replay(place, hourly(tmp_path / "c.pcap"))
    place.execute(
        "UPDATE SessionDetails SET ReplaceDialogIdTime = (SELECT MIN(SessionIdTime) FROM Dialogs),"
        " ReplaceDialogIdSeq = 1 WHERE InviteTime > '2026-11-23 10:30:00'"
    )
    assert db(place, "purge", "--before", "2026-11-23T08:30").status == 0
    assert place.query("SELECT COUNT(*) FROM SessionDetails WHERE ReplaceDialogIdSeq IS NULL") == [(3,)]


def test_facts_can_go_alone(place: Place, tmp_path: Path) -> None:
    """A call without facts keeps its rows, is left as it is by a replay and by rederive, and can be deleted later."""
    capture = hourly(tmp_path / "c.pcap")
    replay(place, capture)
    done = db(place, "purge", "--facts", "--before", "2026-11-23T10:30")
    assert (done.status, done.out) == (0, "3 calls emptied of their stored facts; their rows stay\n")
    assert db(place, "purge", "--facts", "--before", "2026-11-23T10:30").out.startswith("0 calls emptied")
    assert len(times(place)) == 4
    assert place.query("SELECT COUNT(*) FROM sipcdr_calls WHERE Facts = ?", b"") == [(3,)]
    place.execute("UPDATE SessionDetails SET ResponseCode = 299")
    replay(place, capture)
    done = db(place, "rederive")
    assert (done.status, done.err) == (0, "sipcdr: 3 calls were left as they are: their stored facts were purged\n")
    assert place.query("SELECT ResponseCode FROM SessionDetails ORDER BY InviteTime") == [
        (299,),
        (299,),
        (299,),
        (200,),
    ]
    db(place, "purge", "--before", "2026-11-24")
    assert counts(place, *ALL) == [0, 0, 0, 0, 0]


def test_lookups_go_when_nothing_refers_to_them(place: Place, tmp_path: Path) -> None:
    """Rows in use stay, a writer that had their numbers in mind finds new ones, and other tables' references count."""
    write(tmp_path / "old.pcap", answered("old", BEN, CLEO))
    write(tmp_path / "new.pcap", answered("new", ANN, BEN, start=MORNING + HOUR))
    replay(place, tmp_path / "new.pcap")
    with place.open() as writer:
        # Its caches hold Cleo's number.
        write_calls(writer, calls(tmp_path / "old.pcap"), Rules(), outcome=Outcome(), refusals=Refusals(Path("none")))
        before = counts(place, *LOOKUPS)
        db(place, "purge", "--before", "2026-11-23T08:30")
        assert counts(place, *LOOKUPS) == before
        done = db(place, "purge", "--before", "2026-11-23T08:30", "--with-lookups")
        assert done.status == 0
        assert "Users 1," in done.out
        assert place.query("SELECT UserUri FROM Users ORDER BY 1") == [("ann@example.com",), ("ben@example.com",)]
        write_calls(writer, calls(tmp_path / "old.pcap"), Rules(), outcome=Outcome(), refusals=Refusals(Path("none")))
    assert counts(place, *LOOKUPS) == before
    assert place.query("SELECT ToUri FROM SessionDetailsView ORDER BY InviteTime") == [
        ("+49301234@gw.example;user=phone",), ("ben@example.com",)
    ]  # fmt: skip


def test_lookups_that_another_table_refers_to_stay(place: Place, tmp_path: Path) -> None:
    """An LcsCDR has further tables: what they declare to refer to is in use."""
    replay(place, hourly(tmp_path / "c.pcap", 1))
    number = place.query("SELECT UserId FROM Users WHERE UserUri = 'ann@example.com'")[0][0]
    place.execute("CREATE TABLE Registration (Id int, UserId int, FOREIGN KEY (UserId) REFERENCES Users (UserId))")
    place.execute("INSERT INTO Registration VALUES (1, ?)", number)
    try:
        assert db(place, "purge", "--before", "2026-11-24", "--with-lookups").status == 0
        assert place.query("SELECT UserUri FROM Users") == [("ann@example.com",)]
    finally:
        place.execute("DROP TABLE Registration")


def test_lookups_wait_for_no_writer(place: Place, tmp_path: Path) -> None:
    """While a writer is at work nothing is purged, and the command doesn't wait."""
    replay(place, hourly(tmp_path / "c.pcap"))
    with place.open() as writer, writer.begin():
        done = db(place, "purge", "--before", "2026-11-24", "--with-lookups")
    assert done.status == 3
    assert "another program holds the database" in done.err
    assert counts(place, *ALL) == [4, 4, 4, 4, 1]
    assert db(place, "purge", "--before", "2026-11-24", "--with-lookups").status == 0
    assert counts(place, *ALL, *LOOKUPS) == [0] * 11


def calls(capture: Path) -> list[Call]:
    """The calls of a capture."""
    from sipcdr.ingest import Inputs, Tally

    return calls_of(message for batch in Inputs([str(capture)], tally=Tally()) for message in batch)


# Deriving again.


def test_rederive_makes_rows_what_the_rules_say(place: Place, tmp_path: Path) -> None:
    """What differs is counted by column, with --dry-run alike but unwritten; afterwards nothing differs."""
    replay(place, hourly(tmp_path / "c.pcap"))
    before = place.everything()
    place.execute(
        "UPDATE SessionDetails SET ResponseCode = 299, CallPriority = 4 WHERE InviteTime < '2026-11-23 08:30:00'"
    )
    place.execute("UPDATE SessionDetails SET ResponseCode = NULL WHERE InviteTime > '2026-11-23 10:30:00'")
    place.execute("UPDATE SessionDetails SET ReplaceDialogIdTime = NULL, ReplaceDialogIdSeq = NULL")
    changed = place.everything()
    counted = "  ResponseCode         2\n  CallPriority         1\n  ReplaceDialogIdSeq   1\n  ReplaceDialogIdTime  1\n"
    done = db(place, "rederive", "--dry-run")
    first = "4 calls derived again; sessions 1 the same, would be changed 3, new 0, deleted 0\n"
    assert (done.status, done.out, done.err) == (0, first + counted, "")
    assert place.everything() == changed
    done = db(place, "rederive")
    assert (done.status, done.out) == (0, first.replace("would be ", "") + counted)
    after = place.everything()
    for table in ("SessionDetails", "Dialogs", "Media", "sipcdr_references"):
        assert after[table] == before[table]
    assert db(place, "rederive").out == "4 calls derived again; sessions 4 the same, changed 0, new 0, deleted 0\n"
    assert place.query("SELECT Source FROM sipcdr_positions") == [("",)]


def test_rederive_since(place: Place, tmp_path: Path) -> None:
    """Only calls that were heard of then or later are derived again."""
    replay(place, hourly(tmp_path / "c.pcap"))
    place.execute("UPDATE SessionDetails SET ResponseCode = 299")
    assert db(place, "rederive", "--since", "2026-11-23T10:00").out.startswith("2 calls derived again")
    assert place.query("SELECT ResponseCode FROM SessionDetails ORDER BY InviteTime") == [
        (299,),
        (299,),
        (200,),
        (200,),
    ]


def test_rederive_with_other_rules(place: Place, tmp_path: Path) -> None:
    """The rules are those of the configuration that is given; rows that come and go are counted."""
    write(tmp_path / "c.pcap", [*answered("a"), *busy("b", start=MORNING + HOUR)])
    replay(place, tmp_path / "c.pcap")
    config = tmp_path / "sipcdr.toml"
    config.write_text(
        f"[database]\nurl = {json.dumps(place.url)}\n[rules]\nnetworks = ['192.0.2.0/24']\n"
        "[[source]]\ntype = 'captures'\nfolder = 'captures'\n"
    )
    done = sipcdr("db", "rederive", "--config", str(config))
    assert done.status == 0, done.err
    assert "  IsUser1Internal      2\n" in done.out
    assert place.query("SELECT IsUser1Internal FROM SessionDetails") == [(1,), (1,)]
    assert "IsUser1Internal      2" in db(place, "rederive").out


def test_rederive_goes_on_where_it_was_ended(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed run has committed isn't done again; a run with other rules begins at the first call."""
    replay(place, hourly(tmp_path / "c.pcap", 7))
    monkeypatch.setattr(_rederive, "BATCH_CALLS", 2)
    monkeypatch.setattr(_rederive, "_PAGES", (2, 2))
    write_some = write_calls
    times_called = 0

    def ended(*args: Any, **options: Any) -> None:
        nonlocal times_called
        times_called += 1
        if times_called == 3:
            raise KeyboardInterrupt
        write_some(*args, **options)

    monkeypatch.setattr(_rederive, "write_calls", ended)
    done = db(place, "rederive")
    assert (done.status, done.out) == (130, "")
    assert "the same command again does the rest" in done.err
    assert place.query("SELECT Source, Partition FROM sipcdr_positions WHERE Source <> ''".replace(
        "Partition", place.spelled(sqlite="Partition", postgresql="Partition", mariadb="`Partition`")
    )) == [(PROGRESS, run_name(Rules(), None))]  # fmt: skip
    monkeypatch.setattr(_rederive, "write_calls", write_some)
    assert db(place, "rederive", "--dry-run").out.startswith("7 calls")
    assert db(place, "rederive", "--since", "2026-11-23T13:00").out.startswith("2 calls")
    assert db(place, "rederive").out.startswith("3 calls")
    assert place.query("SELECT Source FROM sipcdr_positions") == [("",)]


def test_rederive_takes_up_an_ended_run(place: Place, tmp_path: Path) -> None:
    """A position says after which call the next run begins, and is gone when that is at the end."""
    replay(place, hourly(tmp_path / "c.pcap"))
    numbers = [number for (number,) in place.query("SELECT CallNumber FROM sipcdr_calls ORDER BY 1")]
    name = place.spelled(sqlite="Partition", postgresql="Partition", mariadb="`Partition`")
    place.execute(
        f"INSERT INTO sipcdr_positions (Source, {name}, Position, Epoch) VALUES (?, ?, ?, 0)",
        PROGRESS, run_name(Rules(), None), numbers[2],
    )  # fmt: skip
    assert db(place, "rederive").out.startswith("1 calls derived again")
    assert db(place, "rederive").out.startswith("4 calls derived again")


def test_rederive_leaves_damaged_calls_alone(place: Place, tmp_path: Path) -> None:
    """Facts that don't decode are named with their call, the others are derived, and the status is 3."""
    replay(place, hourly(tmp_path / "c.pcap"))
    place.execute("UPDATE sipcdr_calls SET Facts = ? WHERE LastTime < '2026-11-23 08:30:00'", b"\x07?")
    place.execute("UPDATE SessionDetails SET ResponseCode = 299")
    done = db(place, "rederive")
    assert done.status == 3
    assert "compressed by format 7, this version reads 1; its rows were left alone" in done.err
    assert place.query("SELECT ResponseCode FROM SessionDetails ORDER BY InviteTime") == [
        (299,),
        (200,),
        (200,),
        (200,),
    ]


# Loading refused calls.

CALL = """
0    a>-  INVITE 1
1    a>b  200 1
9    a>b  BYE 1
"""


def refused(path: Path, *names: str) -> list[Call]:
    """A file of refused calls."""
    found = [call for name in names for call in calls_of(messages("\n".join(
        f"{line} call={name}" for line in CALL.strip().splitlines())))]  # fmt: skip
    for call in found:
        Refusals(path).refuse(call, "no room", [], b"\x01" + compressed(bytes(call)))
    return found


def compressed(data: bytes) -> bytes:
    """One Zstandard frame."""
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


def test_refused_calls_are_loaded_again(place: Place, tmp_path: Path) -> None:
    """They are joined as if they had just been read; a second time there is nothing new."""
    refused(tmp_path / "refused.jsonl", "one", "two", "one")
    done = db(place, "load", "refused.jsonl")
    assert (done.status, done.err) == (0, "")
    assert done.out == "2 calls joined, 0 more had nothing new; sessions 2 new, 0 updated, 0 deleted\n"
    assert counts(place, *ALL) == [2, 2, 2, 2, 0]
    assert db(place, "load", "refused.jsonl").out.startswith("0 calls joined, 2 more had nothing new")


BAD_LINES = {
    "no JSON": (b"{", "truncated"),
    "not an object": (b"[1]", "Expected `object`"),
    "without facts": (b'{"call_id": "x"}', "missing required field `facts`"),
    "empty facts": (b'{"facts": ""}', "no facts"),
    "no base64": (b'{"facts": "****"}', "base64"),
    "no call": (b'{"facts": "AQID"}', "don't decompress"),
    "another format": (b'{"facts": "BwID"}', "format 7"),
    "not UTF-8": (b'{"facts": "\xff"}', ""),
    "terminal escapes": (b'{"facts": "\x1b[31m"}', ""),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_lines_are_named_and_the_others_loaded(tmp_path: Path, name: str) -> None:
    """A line that is no refused call is named by its number, and the status is 1."""
    path = tmp_path / "refused.jsonl"
    bad, said = BAD_LINES[name]
    refused(path, "one")
    path.write_bytes(path.read_bytes() + bad + b"\n\n")
    refused(path, "two")
    sipcdr("db", "upgrade")
    done = sipcdr("db", "load", str(path))
    assert done.status == 1
    assert done.out.startswith("2 calls joined")
    (line,) = done.err.splitlines()
    assert line.startswith(f"sipcdr: {path}, line 2: ")
    assert said in line
    assert "\x1b" not in line


def test_a_line_beyond_all_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named and skipped, and memory holds no more than the bound of it."""
    monkeypatch.setattr("sipcdr.app._load.LINE", 2048)
    path = tmp_path / "refused.jsonl"
    path.write_bytes(b"x" * 9000 + b"\n")
    refused(path, "one")
    sipcdr("db", "upgrade")
    done = sipcdr("db", "load", str(path))
    assert (done.status, done.out[:14]) == (1, "1 calls joined")
    assert "line 1: a line longer than" in done.err


def test_what_is_refused_again_goes_to_another_file(tmp_path: Path) -> None:
    """The file that is read isn't appended to, so that it may be thrown away."""
    path = tmp_path / "refused.jsonl"
    refused(path, "one", "two")
    sipcdr("db", "upgrade")
    with sqlite3.connect("sipcdr.db") as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON Dialogs WHEN CAST(NEW.ExternalId AS TEXT) LIKE 'one%'"
            " BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )
    connection.close()
    before = path.read_bytes()
    done = sipcdr("db", "load", str(path))
    assert done.status == 3
    assert "the database refused 1 calls" in done.err
    assert path.read_bytes() == before
    (line,) = Path(f"{path}.again").read_text().splitlines()
    assert json.loads(line)["call_id"] == "one@x.example"


def test_a_file_that_is_not_there() -> None:
    """It is named."""
    sipcdr("db", "upgrade")
    done = sipcdr("db", "load", "none.jsonl")
    assert (done.status, done.err) == (2, "sipcdr: none.jsonl: No such file or directory\n")


# The schema.


def test_upgrade_current_and_check() -> None:
    """What was made is said, then the version; nothing differs."""
    assert sipcdr("db", "current").out.startswith("no schema version")
    done = sipcdr("db", "upgrade", "--to", "sqlite:///x.db")
    assert done.status == 0
    assert done.out.startswith("made table CallPriorities\n")
    assert done.out.endswith("\nschema version 0001\n")
    assert sipcdr("db", "upgrade", "--to", "sqlite:///x.db").out == "schema version 0001\n"
    assert sipcdr("db", "current", "--to", "sqlite:///x.db").out == "0001\n"
    done = sipcdr("db", "check", "--to", "sqlite:///x.db")
    assert (done.status, done.out) == (0, "nothing differs\n")


def test_check_ends_with_three() -> None:
    """What differs is a line each on standard output."""
    done = sipcdr("db", "check")
    assert done.status == 3
    assert "missing: table SessionDetails\n" in done.out


@pytest.mark.parametrize("command", [["rederive"], ["purge", "--before", "2026-11-24"]])
def test_no_command_but_upgrade_makes_tables(command: list[str]) -> None:
    """A wrong address gets no tables."""
    done = sipcdr("db", *command)
    assert done.status == 3
    assert "lacks tables CallPriorities" in done.err
    assert sa.inspect(sa.create_engine("sqlite:///sipcdr.db")).get_table_names() == []


def test_the_script_is_printed() -> None:
    """`db sql` needs no database and no driver."""
    done = sipcdr("db", "sql", "--dialect", "mssql")
    assert done.status == 0
    assert "CREATE TABLE [SessionDetails] (" in done.out
    assert sipcdr("db", "sql", "--dialect", "oracle").status == 2


COMMANDS = [["upgrade"], ["current"], ["check"], ["load", "f"], ["rederive"], ["purge", "--before", "2026-11-24"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_passwords_are_masked(tmp_path: Path, command: list[str]) -> None:
    """Neither an unreachable server nor a wrong address shows the password, wherever it stands."""
    (tmp_path / "f").touch()
    for url, status in (
        ("postgresql://cdr:s3cr3t@127.0.0.1:1/lcscdr?connect_timeout=1", 3),
        ("mysql://cdr:s3cr3t@127.0.0.1:1/lcscdr", 3),
        ("oracle://cdr:s3cr3t@127.0.0.1:1/lcscdr", 2),
        ("cdr:s3cr3t@127.0.0.1", 2),
    ):
        done = sipcdr("db", *command, "--to", url)
        assert done.status == status, done.err
        assert done.err.count("\n") == 1
        assert "s3cr3t" not in done.err + done.out


def test_the_database_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL with a password need not stand on the command line."""
    monkeypatch.setenv("SIPCDR_DATABASE__URL", "sqlite:///other.db")
    assert sipcdr("db", "upgrade").status == 0
    assert Path("other.db").exists()
    assert not Path("sipcdr.db").exists()


def test_a_bad_configuration_is_named(tmp_path: Path) -> None:
    """A configuration that can't be read is status 2, with its line."""
    (tmp_path / "bad.toml").write_text("[database]\nurl = 7\n")
    done = sipcdr("db", "check", "--config", "bad.toml")
    assert done.status == 2
    assert "bad.toml" in done.err


def test_rules_default_where_no_configuration_is_given() -> None:
    """Without a configuration the rules are those of a replay."""
    assert Target.of("sqlite://", None) == Target("sqlite://", Rules())
    assert Target.of(None, None).url == "sqlite:///sipcdr.db"
