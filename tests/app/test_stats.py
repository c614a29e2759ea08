"""The command `stats`: figures of captures and of databases."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.app.capture import ANN, BEN, CLEO, MORNING, SECOND, answered, busy, sipcdr, write

if TYPE_CHECKING:
    from tests.places import Servers

DEMO = Path(__file__).parents[2] / "fixtures" / "demo.pcap"
HOUR = 3600 * SECOND


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Four calls in two hours."""
    sent = (
        answered("one@x", ANN, BEN, start=MORNING, seconds=60)
        + busy("two@x", ANN, BEN, start=MORNING + 600 * SECOND)
        + answered("three@x", CLEO, BEN, start=MORNING + HOUR, seconds=30)
        + answered("four@x", CLEO, BEN, start=MORNING + HOUR + 60 * SECOND, seconds=10)
    )
    return write(tmp_path / "a.pcap", sent)


def test_of_a_capture(capture: Path) -> None:
    """The table says what the figures are, and what wasn't answered."""
    done = sipcdr("stats", str(capture))
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["Calls", "4"]
    assert lines[1].split()[:3] == ["ASR", "75.0", "%"]
    assert lines[2].split()[:3] == ["NER", "100.0", "%"]
    assert "0.500 s" in lines[6]
    assert "2.0 s" in lines[7]
    assert lines[-1].split() == ["1", "486", "Busy", "Here"]


@pytest.mark.parametrize("name", ["sqlite", "postgresql", "mariadb"])
def test_a_database_says_the_same(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The database sums up what the captures gave, in all groups, to the millisecond."""
    if name == "sqlite":
        url = f"sqlite:///{tmp_path / 'cdr.db'}"
    else:
        servers: Servers = request.getfixturevalue("servers")
        url = servers.place(name).url
    assert sipcdr("replay", str(DEMO), "--to", url, "--quiet").status == 0
    for by in ((), *(("--by", what) for what in ("hour", "day", "agent", "server", "code", "diagnostic"))):
        of_capture = rounded(sipcdr("stats", str(DEMO), "--format", "json", *by).rows)
        of_database = rounded(sipcdr("stats", "--to", url, "--format", "json", *by).rows)
        assert of_capture == of_database, by


def rounded(rows: list[Any]) -> list[Any]:
    """Durations to a hundredth: a database knows them to the millisecond."""
    return [
        {name: round(value, 2) if isinstance(value, float) else value for name, value in row.items()} for row in rows
    ]


def test_by_hour_and_time(capture: Path, tmp_path: Path) -> None:
    """Groups are a line each, and a time chooses sessions by when they began."""
    url = f"sqlite:///{tmp_path / 'cdr.db'}"
    sipcdr("replay", str(capture), "--to", url, "--quiet")
    for source in ((str(capture),), ("--to", url)):
        lines = sipcdr("stats", *source, "--by", "hour").out.splitlines()
        assert [line.split()[:4] for line in lines[1:]] == [
            ["2026-11-23", "08:00", "2", "1"],
            ["2026-11-23", "09:00", "2", "2"],
        ]
        [row] = sipcdr(
            "stats", *source, "--since", "2026-11-23T09:00", "--until", "2026-11-23T09:01", "--format", "json"
        ).rows
        assert (row["Calls"], row["ACD"], row["PDDCalls"]) == (1, 30.02, 1)


def test_json_and_csv(capture: Path) -> None:
    """Both have the same figures; JSON has the failures too, each with its meaning."""
    row: dict[str, Any] = json.loads(sipcdr("stats", str(capture), "--format", "json").out)
    assert row["Failures"] == [
        {"ResponseCode": 486, "Name": "Busy Here", "DiagnosticId": None, "RaisedBy": None, "Calls": 1}
    ]
    cells = list(csv.DictReader(io.StringIO(sipcdr("stats", str(capture), "--by", "code", "--format", "csv").out)))
    assert [(cell["Of"], cell["Meaning"], cell["Calls"]) for cell in cells] == [
        ("200", "OK", "3"),
        ("486", "Busy Here", "1"),
    ]


def test_a_hostile_agent(tmp_path: Path) -> None:
    """A name can neither act on the terminal nor on a spreadsheet."""
    evil = ANN._replace(agent="=cmd|'/c calc'!A1\x1b[31m")
    capture = write(tmp_path / "a.pcap", busy("one@x", evil))
    for form in ("table", "json", "csv"):
        assert "\x1b" not in sipcdr("stats", str(capture), "--by", "agent", "--format", form).out
    assert "'=cmd" in sipcdr("stats", str(capture), "--by", "agent", "--format", "csv").out


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_it_fits_the_terminal(columns: int) -> None:
    """Lines of groups are no wider than the terminal."""
    done = sipcdr("stats", str(DEMO), "--by", "agent", columns=columns)
    assert max(map(len, done.out.splitlines())) <= columns


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((), 2),
        (("a.pcap", "--to", "sqlite:///x.db"), 2),
        (("--to", "nonsense"), 2),
        (("--to", "sqlite:////nowhere/x.db"), 3),
        (("nowhere.pcap",), 1),
        (("a.pcap", "--by", "weather"), 2),
    ],
)
def test_what_cannot_be(words: tuple[str, ...], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake, or a source that isn't there, is a line on standard error and a status."""
    monkeypatch.chdir(tmp_path)
    done = sipcdr("stats", *words)
    assert done.status == status
    assert done.err.count("\n") == 1
