"""The command `diff`: what differs between two databases, or a database and captures."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.app.capture import ANN, BEN, CLEO, MORNING, SECOND, answered, busy, sipcdr, write

if TYPE_CHECKING:
    from tests.places import Servers

DEMO = Path(__file__).parents[2] / "fixtures" / "demo.pcap"


def database(path: Path, *captures: Path) -> str:
    """The URL of a database with the calls of these captures."""
    url = f"sqlite:///{path}"
    assert sipcdr("replay", *map(str, captures), "--to", url, "--quiet").status == 0
    return url


def execute(path: Path, *texts: str) -> None:
    """Change a database as a program other than ours would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for text in texts:
            connection.execute(text)


def test_no_difference(tmp_path: Path) -> None:
    """A database is what a replay of its captures gives, and equals itself: status 0, and nothing printed."""
    url = database(tmp_path / "a.db", DEMO)
    for words in ((url, str(DEMO)), (str(DEMO), url), (url, url), (str(DEMO), str(DEMO))):
        done = sipcdr("diff", *words)
        assert (done.status, done.out) == (0, ""), words
        assert "13 equal, 0 differ" in done.err


def test_keys_are_read_as_what_they_stand_for(tmp_path: Path) -> None:
    """Two databases that gave other ids and numbers to the same sessions are equal; so are replaced dialogs."""
    at_once = write(tmp_path / "other.pcap", [*busy("x@x", CLEO, BEN), *answered("y@y", BEN, CLEO)])
    one = database(tmp_path / "one.db", at_once, DEMO)
    other = database(tmp_path / "other.db", DEMO)
    execute(tmp_path / "other.db", "UPDATE Users SET UserId = UserId + 1000")
    execute(
        tmp_path / "other.db",
        *(
            f"UPDATE SessionDetails SET {column} = {column} + 1000"
            for column in ("User1Id", "User2Id", "TargetUserId", "SessionStartedById", "OnBehalfOfId", "ReferredById")
        ),
    )
    database(tmp_path / "other.db", at_once)
    done = sipcdr("diff", one, other)
    assert (done.status, done.out) == (0, "")


def test_differences(tmp_path: Path) -> None:
    """Sessions of one side only, and the columns that differ, by time."""
    a = [answered("one@x", ANN, BEN), busy("two@x", ANN, BEN, start=MORNING + 60 * SECOND)]
    b = [answered("three@x", ANN, BEN, start=MORNING + 90 * SECOND)]
    one = database(tmp_path / "one.db", write(tmp_path / "a.pcap", a[0] + a[1]))
    execute(tmp_path / "one.db", "UPDATE SessionDetails SET ResponseCode = 404 WHERE ResponseCode = 486")
    other = write(tmp_path / "b.pcap", a[1] + b[0])
    done = sipcdr("diff", one, str(other))
    assert done.status == 1
    assert done.out.splitlines() == [
        "- 2026-11-23 08:00:00  ann@example.com → ben@example.com  200  one@x;a1;b1",
        "~ 2026-11-23 08:01:00  ann@example.com → ben@example.com  404  two@x;a1;b1",
        "    ResponseCode        404 → 486",
        "+ 2026-11-23 08:01:30  ann@example.com → ben@example.com  200  three@x;a1;b1",
    ]
    assert done.err == "sipcdr: 0 equal, 1 differ, 1 only in A, 1 only in B\n"


def test_json(tmp_path: Path) -> None:
    """One object a difference: where the session is, and the columns."""
    one = write(tmp_path / "a.pcap", busy("one@x"))
    other = write(tmp_path / "b.pcap", busy("one@x", ANN._replace(agent="Other/1")) + busy("two@x"))
    lines = sipcdr("diff", str(one), str(other), "--format", "json").out.splitlines()
    first, second = map(json.loads, lines)
    assert (first["Dialog"], first["In"]) == ("one@x;a1;b1", "both")
    assert first["Columns"] == {"User1ClientVer": {"A": "Softphone/2.1", "B": "Other/1"}}
    assert (second["In"], second["Columns"]["ResponseCode"]) == ("B", 486)


def test_rows_beside_sessiondetails(tmp_path: Path) -> None:
    """Media rows and the dialog that was replaced are compared, too."""
    url = database(tmp_path / "a.db", DEMO)
    execute(
        tmp_path / "a.db",
        "DELETE FROM Media WHERE MediaId = 6",
        "UPDATE SessionDetails SET ReplaceDialogIdTime = NULL, ReplaceDialogIdSeq = NULL",
    )
    done = sipcdr("diff", url, str(DEMO))
    assert done.status == 1
    assert "    ReplaceDialog       NULL → 2e19c0de@10.20.2.2;d3c1;c1e0" in done.out.splitlines()
    assert any(line.startswith("    Media ") and "Video" in line for line in done.out.splitlines())


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_databases_of_two_kinds(name: str, tmp_path: Path, servers: Servers) -> None:
    """The same calls are equal wherever they are stored."""
    place = servers.place(name)
    assert sipcdr("replay", str(DEMO), "--to", place.url, "--quiet").status == 0
    done = sipcdr("diff", database(tmp_path / "a.db", DEMO), place.url)
    assert (done.status, done.out) == (0, "")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("a.pcap",), 2),
        (("nonsense://x", "a.pcap"), 2),
        (("sqlite:////nowhere/x.db", "sqlite:///a.db"), 3),
        (("sqlite:///a.db", "sqlite:///b.db", "c.pcap"), 2),
        (("nowhere.pcap", "nothere.pcap"), 1),
    ],
)
def test_what_cannot_be(words: tuple[str, ...], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake, or a side that isn't there, is said, with a status."""
    monkeypatch.chdir(tmp_path)
    done = sipcdr("diff", *words)
    assert done.status == status
    assert done.err
    assert not (tmp_path / "a.db").exists()
