"""The table for people, and the progress bar."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sipcdr.app._cli import main
from sipcdr.app._table import COLUMNS, SAMPLE, table_lines
from tests.app.capture import MORNING, answered, busy, record, sipcdr, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipcdr.app._records import Record

ANSWERED: Record = {
    "User1": "ann@example.com",
    "User2": "ben@example.com",
    "TargetUser": "ben@example.com",
    "ResponseTime": "2026-11-23T08:00:02.500000Z",
    "ResponseCode": 200,
    "SessionEndTime": "2026-11-23T08:03:09.500000Z",
    "Media": ["Audio"],
}


def shown(values: Record) -> dict[str, str]:
    """The cells of a session with these values, by the titles of their columns."""
    return {column.title: column.cell(record(**values)) for column in COLUMNS}


def test_an_answered_call() -> None:
    """Who, whom, when, how it ended, how long it took."""
    cells = shown(ANSWERED)
    assert cells["When (UTC)"] == "2026-11-23 08:00:00"
    assert (cells["Caller"], cells["Callee"]) == ("ann@example.com", "ben@example.com")
    assert (cells["Code"], cells["Result"]) == ("200", "OK")
    assert (cells["Wait"], cells["Duration"], cells["Media"]) == ("2.5s", "3:07", "Audio")
    assert (cells["Call-ID"], cells["Notes"]) == ("c1", "")


@pytest.mark.parametrize(
    ("end", "duration"),
    [
        ("2026-11-23T08:00:02.500000Z", "0.0s"),
        ("2026-11-23T08:00:02.400000Z", "0.0s"),
        ("2026-11-23T08:00:45.120000Z", "42.6s"),
        ("2026-11-23T08:01:02.440000Z", "59.9s"),
        ("2026-11-23T08:01:02.490000Z", "59.9s"),
        ("2026-11-23T08:01:02.500000Z", "1:00"),
        ("2026-11-23T09:01:03.500000Z", "1:01:01"),
        ("2026-11-25T08:00:02.500000Z", "48:00:00"),
        (None, "no end"),
    ],
)
def test_durations(end: str | None, duration: str) -> None:
    """Seconds below a minute, then minutes and hours; a call whose end was not seen says so."""
    assert shown(ANSWERED | {"SessionEndTime": end})["Duration"] == duration


def test_a_call_that_was_not_answered() -> None:
    """A refused call has no duration; one without a response has no code."""
    busy_cells = shown(ANSWERED | {"ResponseCode": 486})
    assert (busy_cells["Code"], busy_cells["Result"], busy_cells["Duration"]) == ("486", "Busy Here", "-")
    lost = shown(ANSWERED | {"ResponseCode": None, "ResponseTime": None, "User2": None, "Media": []})
    assert (lost["Code"], lost["Result"], lost["Wait"], lost["Duration"]) == ("-", "-", "-", "-")
    assert (lost["Callee"], lost["Media"]) == ("-", "-")
    assert shown(ANSWERED | {"ResponseCode": 699})["Result"] == "-"


def test_media_and_notes() -> None:
    """Messages are counted for each side; what is unusual about a session stands behind it."""
    cells = shown(
        ANSWERED
        | {
            "Media": ["IM", "Application Sharing"],
            "User1MessageCount": 2,
            "User2MessageCount": 1,
            "TargetUser": "+491234@gw;user=phone",
            "ReferredBy": "desk@example.com",
            "OnBehalfOf": "boss@example.com",
            "ReplaceDialogIdTime": "2026-11-23T07:59:00.000000Z",
            "DiagnosticId": 1003,
        }
    )
    assert cells["Media"] == "IM 2/1, Sharing"
    assert cells["Notes"] == (
        "dialled +491234@gw, for boss@example.com, referred by desk@example.com,"
        " took over the call of 2026-11-23 07:59:00, diagnostic 1003"
    )


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (80, "When (UTC) Caller Callee Code Duration Media"),
        (120, "When (UTC) Caller Callee Code Wait Duration Media Call-ID"),
        (160, "When (UTC) Caller Callee Code Result Wait Duration Media Call-ID Notes"),
        (None, "When (UTC) Caller Callee Code Result Wait Duration Media Call-ID Notes"),
    ],
)
def test_a_wider_terminal_shows_more(width: int | None, titles: str) -> None:
    """Columns come with the room for them."""
    head, line = table_lines([record(**ANSWERED)], width, colors=False)
    assert " ".join(head.split()) == titles
    assert line.split()[:5] == ["2026-11-23", "08:00:00", "ann@example.com", "ben@example.com", "200"]


texts = st.one_of(st.none(), st.text(max_size=60), st.sampled_from(["例え@例え.example" * 4, "a" * 200, "\x1b[31m"]))


@given(st.lists(st.tuples(texts, texts, st.text(max_size=80)), max_size=5), st.integers(80, 220), st.booleans())
def test_no_line_is_wider_than_the_terminal(
    rows: list[tuple[str | None, str | None, str]], width: int, colors: bool
) -> None:
    """Whatever the values, lines fit, and the only escapes are the table's own colors."""
    records = [record(**ANSWERED | {"User1": one, "User2": two, "CallId": call}) for one, two, call in rows]
    for line in table_lines(records, width, colors=colors):
        plain = re.sub(r"\x1b\[\d+m", "", line.rstrip("\n")) if colors else line.rstrip("\n")
        assert plain.isprintable()
        assert cell_len(plain) <= width


def test_without_a_terminal_nothing_is_cut() -> None:
    """In a file or a pipe every value is whole."""
    lines = "".join(table_lines([record(**ANSWERED | {"User1": "x" * 300, "CallId": "y" * 300})], None, colors=False))
    assert "x" * 300 in lines
    assert "y" * 300 in lines
    assert "\x1b" not in lines


def test_widths_follow_the_first_records_only() -> None:
    """A table of any length is printed as it is read: what comes late is cut to the widths that there are."""
    read = 0

    def records() -> Iterator[Record]:
        nonlocal read
        for number in range(3 * SAMPLE):
            read += 1
            yield record(**ANSWERED | {"User1": "x" * (50 if number > SAMPLE else 5)})

    lines = table_lines(records(), 100, colors=False)
    next(lines)
    assert read <= SAMPLE + 1
    assert {len(line.split()[2]) for line in lines} == {5, 6}


def test_colors_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal an answer is green and a refusal red; NO_COLOR is respected."""
    capture = write(tmp_path / "a.pcap", [*answered("c1"), *busy("c2", start=MORNING + 1)])
    command = ["replay", str(capture), "--to", "none", "--quiet", "--format", "table"]
    out = CliRunner().invoke(main, command, env={"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": None}).stdout
    assert "\x1b[32m200" in out
    assert "\x1b[31m486" in out
    out = CliRunner().invoke(main, command, env={"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"}).stdout
    assert "\x1b[3" not in out


def test_the_progress_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal standard error shows bytes, messages and sessions; with `--quiet`, or in a file, it doesn't."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sipcdr.app._progress._SECONDS", 0.0)
    capture = write(tmp_path / "a.pcap", [*answered("c1"), *busy("c2")])
    env = {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "120"}
    err = CliRunner().invoke(main, ["replay", str(capture)], env=env).stderr
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err)
    assert re.search(r"[\d.]+/[\d.]+ KiB.* 9 messages \([\d,]+/s\), \d sessions", plain)
    quiet = CliRunner().invoke(main, ["replay", str(capture), "--quiet"], env=env).stderr
    assert quiet == ""
    assert "KiB" not in sipcdr("replay", str(capture)).err
